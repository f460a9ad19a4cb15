/*
 * What the program keeps with a stream.
 */
#include "asyncio/streams.h"
#include "core/task.h"
#include "fd/stream.h"

/* The program's function may not wait, as in a callback. */
static void call_drop(void (*drop)(void *), void *data)
{
    if (!drop)
        return;
    asyncio_task *hidden = asy_task_hide();
    drop(data);
    asy_task_show(hidden);
}

void asy_stream_drop_data(asyncio_stream *stream)
{
    call_drop(stream->drop, stream->data);
}

void asyncio_stream_set_data(asyncio_stream *stream, void *data, void (*drop)(void *data))
{
    if (!stream) {
        call_drop(drop, data);
        return;
    }
    asy_stream_check(stream, __func__);
    void *old = stream->data;
    void (*drop_old)(void *) = stream->drop;
    stream->data = data;
    stream->drop = drop;
    if (old != data)
        call_drop(drop_old, old);
}

void *asyncio_stream_data(asyncio_stream *stream)
{
    if (!stream)
        return NULL;
    asy_stream_check(stream, __func__);
    return stream->data;
}
