/*
 * Reading of transports: from the descriptor to the protocol. Each call of the protocol may close the
 * transport, pause it or replace the protocol, so the state is looked at before each.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "fd/transfer.h"
#include "fd/transport.h"
#include <errno.h>
#include <string.h>

static bool may_receive(const asyncio_transport *transport)
{
    if (transport->state == TRANSPORT_PARTING)
        return true;
    return transport->state == TRANSPORT_OPEN && !transport->stream->is_at_end &&
           !(transport->is_reading_paused && transport->can_read);
}

/* ---- One attempt -------------------------------------------------------------------------- */

/* Bytes that came behind a PROXY header, and were read with it. */
static ssize_t take_read_ahead(asyncio_stream *stream, void *buf, size_t n)
{
    size_t count = asy_bytes_count(&stream->in);
    n = n < count ? n : count;
    memcpy(buf, stream->in.data + stream->in.start, n);
    asy_bytes_consume(&stream->in, n);
    if (n == count)
        asy_bytes_free(&stream->in);
    return n ? (ssize_t)n : -EAGAIN;
}

/* The number of bytes, 0 at the end, -EAGAIN, or an error. */
static inline ssize_t receive_input(asyncio_stream *stream, void *buf, size_t n)
{
    if (UNLIKELY(stream->in.data != NULL))
        return take_read_ahead(stream, buf, n);
    return stream->filter ? asy_stream_receive_plain(stream, buf, n)
                          : asy_stream_receive(stream, NULL, buf, n);
}

/* Into the loop's buffer. */
static ssize_t receive_data(asyncio_transport *transport)
{
    char *buf = asy_input_buffer_take(transport->loop);
    if (!buf)
        return -ENOMEM;
    ssize_t got = receive_input(transport->stream, buf, INPUT_BYTES);
    const asyncio_protocol *protocol = transport->protocol;
    /* What a filter has sent meanwhile may have lost the connection. */
    if (got > 0 && transport->state == TRANSPORT_OPEN && protocol->data_received)
        protocol->data_received(transport->self, buf, (size_t)got);
    asy_input_buffer_leave(transport->loop);
    return got;
}

/* Into the protocol's. -EINTR: another protocol has taken over. */
static ssize_t receive_into_protocol(asyncio_transport *transport)
{
    const asyncio_protocol *protocol = transport->protocol;
    void *self = transport->self, *buf = NULL;
    size_t n = protocol->get_buffer(self, INPUT_BYTES, &buf);
    if (!may_receive(transport) || transport->protocol != protocol || transport->self != self)
        return -EINTR;
    if (!n || !buf)
        return asyncio_raise(-ENOBUFS, "the protocol's get_buffer has lent no memory");
    ssize_t got = receive_input(transport->stream, buf, n);
    if (got > 0 && transport->state == TRANSPORT_OPEN && protocol->buffer_updated)
        protocol->buffer_updated(self, (size_t)got);
    return got;
}

/* A descriptor that is only written to has no input. It tells that the peer has gone away. */
static ssize_t look_for_peer(const asyncio_transport *transport)
{
    int events = asy_fd_look(transport->stream->fd, 0);
    if (events < 0)
        return events;
    if (!(events & (POLLERR | POLLHUP)))
        return -EAGAIN;
    return asy_stream_unsent(transport->stream) ? -EPIPE : 0;
}

static ssize_t receive_some(asyncio_transport *transport)
{
    const asyncio_stream *stream = transport->stream;
    if (!stream->filter && !(stream->record->ready & FD_READ) && !stream->in.data)
        return -EAGAIN;
    if (UNLIKELY(!transport->can_read))
        return look_for_peer(transport);
    bool is_buffered = transport->protocol->get_buffer && transport->state == TRANSPORT_OPEN;
    return is_buffered ? receive_into_protocol(transport) : receive_data(transport);
}

/* ---- Ends --------------------------------------------------------------------------------- */

static void end_input(asyncio_transport *transport)
{
    const asyncio_protocol *protocol = transport->protocol;
    transport->stream->is_at_end = true;
    bool stays = false;
    if (transport->can_read && protocol->eof_received)
        stays = protocol->eof_received(transport->self) && transport->can_write;
    if (!stays && transport->state == TRANSPORT_OPEN)
        asy_transport_close(transport);
}

/* `got`: 0 or an error. Nothing that the peer does while it is parted from matters any more. */
static void stop_at(asyncio_transport *transport, ssize_t got)
{
    if (transport->state == TRANSPORT_PARTING)
        asy_transport_lose(transport, 0);
    else if (transport->state != TRANSPORT_OPEN) /* it was lost by what this read has sent */
        return;
    else if (got < 0)
        asy_transport_lose(transport, got);
    else
        end_input(transport);
}

/* ---- Several attempts --------------------------------------------------------------------- */

static void wait_for_input(asyncio_transport *transport)
{
    struct fd_waiter *reader = &transport->reader;
    struct fd_record *record = transport->stream->record;
    asy_fd_exhausted(record, FD_READ);
    if (!list_is_empty(&reader->node))
        return;
    int err = asy_fd_watch(transport->loop, record, reader);
    if (UNLIKELY(err))
        asy_transport_lose(transport, err);
}

/* A peer that sends as fast as this reads does not keep others from running. */
void asy_transport_read(asyncio_transport *transport)
{
    size_t done = 0;
    while (may_receive(transport)) {
        if (done >= ASY_STEP_BYTES) {
            asy_transport_do_next(transport);
            return;
        }
        ssize_t got = receive_some(transport);
        if (got > 0) {
            done += (size_t)got;
            continue;
        }
        if (got == -EINTR)
            asy_transport_do_next(transport);
        else if (got != -EAGAIN)
            stop_at(transport, got);
        else if (may_receive(transport))
            wait_for_input(transport);
        return;
    }
}

void asy_transport_stop_reading(asyncio_transport *transport)
{
    list_remove(&transport->reader.node);
}

void asy_transport_reader_notified(struct fd_waiter *reader, int err)
{
    asyncio_transport *transport = LIST_ENTRY(reader, asyncio_transport, reader);
    asyncio_loop *loop = transport->loop;
    if (UNLIKELY(err)) {
        asy_transport_lose(transport, err);
    } else if (UNLIKELY(!asy_callout_begin(loop, transport->context))) {
        asy_transport_do_next(transport);
    } else {
        asy_transport_read(transport);
        asy_callout_end(loop);
    }
}

/* ---- From the program --------------------------------------------------------------------- */

void asyncio_transport_pause_reading(asyncio_transport *transport)
{
    if (!transport)
        return;
    asy_transport_check(transport, __func__);
    if (transport->is_reading_paused || transport->state > TRANSPORT_SHAKING)
        return;
    transport->is_reading_paused = true;
    if (transport->can_read)
        asy_transport_stop_reading(transport);
}

void asyncio_transport_resume_reading(asyncio_transport *transport)
{
    if (!transport)
        return;
    asy_transport_check(transport, __func__);
    if (!transport->is_reading_paused || transport->state > TRANSPORT_SHAKING)
        return;
    transport->is_reading_paused = false;
    asy_transport_do_next(transport);
}

bool asyncio_transport_is_reading(asyncio_transport *transport)
{
    if (!transport)
        return false;
    asy_transport_check(transport, __func__);
    return transport->can_read && !transport->is_reading_paused && transport->state <= TRANSPORT_SHAKING;
}
