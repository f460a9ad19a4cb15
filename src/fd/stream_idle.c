/*
 * Streams that no task works with: is there anything to read, and may a connection be used again?
 */
#include "asyncio/streams.h"
#include "fd/stream.h"
#include "fd/traffic.h"
#include "fd/transfer.h"
#include <errno.h>
#include <poll.h>

/* Through the filter: a record that has no data in it, such as a session ticket, is no news. */
static bool has_plain_news(asyncio_stream *stream)
{
    ssize_t got = asy_stream_receive_plain(stream, NULL, 0);
    return got != -EAGAIN || (stream->record->ready & FD_READ);
}

/* If poll(2) cannot tell, a read in vain is better than none. */
bool asy_stream_has_news(asyncio_stream *stream)
{
    if (asy_bytes_count(&stream->in) || stream->is_at_end || stream->read_error || stream->write_error)
        return true;
    if (stream->filter)
        return has_plain_news(stream);
    if (!(stream->record->ready & FD_READ))
        return false;
    if (asy_traffic_has_news(stream->record) || asy_fd_look(stream->fd, POLLIN))
        return true;
    asy_fd_exhausted(stream->record, FD_READ);
    return false;
}

/* Nothing is wrong with it, as far as is known without a look. */
static bool is_sound(const asyncio_stream *stream)
{
    return !stream->is_closed && !stream->is_closing && !stream->ends && !stream->is_shaking &&
           !stream->is_at_end && !stream->read_error && !stream->write_error &&
           !asy_loop_is_parents(stream->loop);
}

/* A call that waits for input, or a server that has parked the stream, learns what came. */
static void tell_reader(asyncio_stream *stream)
{
    stream->record->ready |= FD_READ;
    asy_fd_pass_on(stream->record, FD_READ);
}

bool asyncio_stream_is_idle(asyncio_stream *stream)
{
    if (!stream)
        return false;
    asy_stream_check(stream, __func__);
    if (!is_sound(stream) || asy_bytes_count(&stream->in) || stream->file)
        return false;
    int events = asy_traffic_has_news(stream->record) ? POLLIN : asy_fd_look(stream->fd, POLLIN | POLLRDHUP);
    if (!stream->filter || (events && stream->is_reading))
        return events == 0;
    if (events)
        stream->record->ready |= FD_READ;
    bool has_news = has_plain_news(stream) || !is_sound(stream);
    if (has_news)
        tell_reader(stream);
    return !has_news;
}
