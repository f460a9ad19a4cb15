/*
 * Writing of transports: into the queue of the stream, which never makes the program wait; the program is
 * told when to stop and when to go on.
 */
#include "asyncio/errors.h"
#include "fd/lengths.h"
#include "fd/transport.h"
#include <errno.h>

/* ---- Levels ------------------------------------------------------------------------------- */

void asy_transport_pause_writing(asyncio_transport *transport)
{
    if (LIKELY(!transport->stream->is_full) || transport->is_writing_paused || !transport->is_made)
        return;
    transport->is_writing_paused = true;
    if (transport->protocol->pause_writing)
        transport->protocol->pause_writing(transport->self);
}

void asy_transport_resume_writing(asyncio_transport *transport)
{
    if (!transport->is_writing_paused || transport->stream->is_full)
        return;
    transport->is_writing_paused = false;
    if (transport->protocol->resume_writing)
        transport->protocol->resume_writing(transport->self);
}

/* ---- From the program --------------------------------------------------------------------- */

static int check_may_send(const asyncio_transport *transport)
{
    bool may = transport->state == TRANSPORT_OPEN && !transport->stream->ends && transport->can_write &&
               !asy_loop_is_parents(transport->loop);
    return may ? 0 : ASYNCIO_ESTATE;
}

/* An error of the connection has lost the transport already (output_moved), and connection_lost tells it. */
static inline int send_parts(asyncio_transport *transport, const struct iovec *parts, int count, size_t total)
{
    asyncio_stream *stream = transport->stream;
    int err = check_may_send(transport);
    if (UNLIKELY(err) || !total)
        return err;
    err = asy_stream_put(stream, parts, count, total);
    asy_stream_note_level(stream);
    if (UNLIKELY(err)) {
        if (!stream->write_error)
            asy_transport_lose(transport, err);
        return err == -ENOMEM ? err : 0;
    }
    if (transport->state == TRANSPORT_OPEN)
        asy_transport_pause_writing(transport);
    return 0;
}

int asyncio_transport_write(asyncio_transport *transport, const void *buf, size_t n)
{
    struct iovec part = {(void *)buf, n};
    if (!transport || !asy_is_length(n) || (!buf && n))
        return -EINVAL;
    asy_transport_check(transport, __func__);
    return send_parts(transport, &part, 1, n);
}

int asyncio_transport_writev(asyncio_transport *transport, const struct iovec *parts, int count)
{
    ssize_t total = asy_parts_length(parts, count);
    if (!transport || total < 0)
        return -EINVAL;
    asy_transport_check(transport, __func__);
    return send_parts(transport, parts, count, (size_t)total);
}

int asyncio_transport_write_eof(asyncio_transport *transport)
{
    if (!transport)
        return -EINVAL;
    asy_transport_check(transport, __func__);
    int err = check_may_send(transport);
    if (err)
        return err;
    transport->stream->ends = true;
    if (!transport->can_read && !transport->stream->is_socket)
        asy_transport_close(transport);
    else
        asy_stream_say_end(transport->stream);
    return 0;
}

size_t asyncio_transport_get_write_buffer_size(asyncio_transport *transport)
{
    if (!transport)
        return 0;
    asy_transport_check(transport, __func__);
    return asy_stream_unsent(transport->stream);
}

int asyncio_transport_set_write_buffer_limits(asyncio_transport *transport, size_t high, size_t low)
{
    if (!transport || low > high)
        return -EINVAL;
    asy_transport_check(transport, __func__);
    asyncio_stream *stream = transport->stream;
    stream->high_water = high;
    stream->low_water = low;
    asy_stream_note_level(stream);
    if (transport->state != TRANSPORT_OPEN)
        return 0;
    asy_transport_pause_writing(transport);
    asy_transport_resume_writing(transport);
    return 0;
}
