/*
 * Writing of transports: into the queue of the stream, which never makes the program wait; the program is
 * told when to stop and when to go on.
 */
#include "asyncio/errors.h"
#include "base/assert.h"
#include "fd/lengths.h"
#include "fd/transport.h"
#include <errno.h>

/* ---- Levels ------------------------------------------------------------------------------- */

void asy_transport_pause_writing(asyncio_transport *transport)
{
    if (LIKELY(!transport->stream->is_full) || transport->is_writing_paused || !transport->is_made ||
        transport->state != TRANSPORT_OPEN)
        return;
    transport->is_writing_paused = true;
    if (transport->protocol->pause_writing)
        transport->protocol->pause_writing(transport->self);
}

void asy_transport_resume_writing(asyncio_transport *transport)
{
    if (!transport->is_writing_paused || transport->stream->is_full || transport->state != TRANSPORT_OPEN)
        return;
    transport->is_writing_paused = false;
    if (transport->protocol->resume_writing)
        transport->protocol->resume_writing(transport->self);
}

/* ---- Through a filter --------------------------------------------------------------------- */

/* What the filter makes of a step's bytes is enough to send for a while. */
void asy_transport_write_step(asyncio_transport *transport)
{
    asyncio_stream *stream = transport->stream;
    struct bytes *rest = &transport->rest;
    size_t n = stream->to_come < ASY_STEP_BYTES ? stream->to_come : ASY_STEP_BYTES;
    if (!n || asy_bytes_count(&stream->out) >= ASY_STEP_BYTES)
        return;
    int err = asy_stream_push(stream, rest->data + rest->start, n, /* is_torn= */ true);
    if (err) /* which has lost the transport */
        return;
    ASY_ASSERT(transport->state <= TRANSPORT_CLOSING && stream->to_come == asy_bytes_count(rest));
    asy_bytes_consume(rest, n);
    stream->to_come -= n;
    if (!stream->to_come) {
        asy_bytes_free(rest);
        if (transport->state == TRANSPORT_CLOSING || stream->ends)
            asy_stream_say_end(stream);
    }
    asy_stream_output_moved(stream);
}

/* A filter takes its time: a large write is copied, and goes through it a step at a time. */
static COLD int write_in_steps_later(asyncio_transport *transport, const struct iovec *parts, int count)
{
    struct bytes *rest = &transport->rest;
    int err = 0;
    for (int i = 0; i < count && !err; i++)
        err = asy_bytes_append(rest, parts[i].iov_base, parts[i].iov_len);
    if (err)
        return err;
    bool is_first = !transport->stream->to_come;
    transport->stream->to_come = asy_bytes_count(rest);
    if (is_first)
        asy_transport_write_step(transport);
    return transport->stream->write_error;
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
    bool goes_in_steps = stream->filter && (stream->to_come || total > ASY_STEP_BYTES);
    err = UNLIKELY(goes_in_steps) ? write_in_steps_later(transport, parts, count)
                                  : asy_stream_put(stream, parts, count, total);
    asy_stream_note_level(stream);
    if (UNLIKELY(err)) {
        if (!stream->write_error)
            asy_transport_lose(transport, err);
        return err == -ENOMEM ? err : 0;
    }
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
    else if (!transport->stream->to_come)
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
    asy_transport_pause_writing(transport); /* in which the program may close it */
    asy_transport_resume_writing(transport);
    return 0;
}
