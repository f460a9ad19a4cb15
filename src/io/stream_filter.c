/*
 * Putting a filter, such as TLS, between a stream and its descriptor.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "core/loop.h"
#include "io/stream.h"
#include "io/tls_hook.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>

#define FEED_BYTES (16 * 1024)

/* What had been read ahead belongs to the filter. */
static int feed_buffered(asyncio_stream *stream)
{
    if (stream->terminated)
        stream->in.data[stream->in.start] = stream->covered;
    stream->terminated = false;
    size_t n = bytes_count(&stream->in);
    int err = n ? stream->filter_ops->feed(stream->filter, stream->in.data + stream->in.start, n) : 0;
    bytes_free(&stream->in);
    return err;
}

static int shake_hands(asyncio_stream *stream)
{
    int err = feed_buffered(stream);
    while (!err) {
        err = stream->filter_ops->handshake(stream->filter);
        int sent = asy_stream_push_filter(stream);
        if (err != -EAGAIN)
            break;
        err = sent ? sent : asy_stream_feed(stream, FEED_BYTES);
    }
    return err;
}

int asyncio_stream_set_filter_(asyncio_stream *stream, const struct asy_stream_filter_ops *ops, void *filter)
{
    stream->filter_ops = ops;
    stream->filter = filter;
    stream->reading = true;
    asy_stream_use(stream);
    int err = shake_hands(stream);
    stream->reading = false;
    if (err && !stream->read_error)
        stream->read_error = stream->write_error = err;
    asy_stream_leave(stream);
    return err;
}

/* The TLS library sets this when it makes its first context. */
asy_tls_start_fn asyncio_tls_start_;

int asyncio_stream_start_tls(asyncio_stream *stream, asyncio_tls_context *tls, const char *server_hostname)
{
    if (!stream || !tls || !asyncio_tls_start_)
        return -EINVAL;
    asy_loop_check(stream->loop, "asyncio_stream_start_tls");
    if (!stream->loop->current)
        return ASYNCIO_ENOTASK;
    if (stream->filter || stream->reading || stream->closing || stream->ends)
        return ASYNCIO_ESTATE;
    return asyncio_tls_start_(stream, tls, server_hostname);
}
