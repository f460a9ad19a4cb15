/*
 * Sending of datagram transports: at once where the socket takes it, else from a queue in the background.
 */
#include "asyncio/errors.h"
#include "net/datagram_transport.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

#define HIGH_WATER ((size_t)64 * 1024)
#define LOW_WATER ((size_t)16 * 1024)
#define EXTRA_BYTES 8 /* that a queued datagram counts for, as in Python */
#define AT_ONCE 64    /* datagrams of one step */

/* To a Unix socket: the kernel does not tell when a full receiver has room. */
#define FULL_PAUSE_NS INT64_C(2000000)

/* ---- Levels ---------------------------------------------------------------------------- */

void asy_endpoint_pause_writing(asyncio_datagram_transport *transport)
{
    if (transport->queued_bytes <= HIGH_WATER || transport->is_writing_paused || !transport->is_made)
        return;
    transport->is_writing_paused = true;
    if (transport->protocol->pause_writing)
        transport->protocol->pause_writing(transport->self);
}

void asy_endpoint_resume_writing(asyncio_datagram_transport *transport)
{
    if (!transport->is_writing_paused || transport->queued_bytes > LOW_WATER || transport->is_closing)
        return;
    transport->is_writing_paused = false;
    if (transport->protocol->resume_writing)
        transport->protocol->resume_writing(transport->self);
}

/* ---- The queue ------------------------------------------------------------------------- */

void asy_endpoint_drop_queue(asyncio_datagram_transport *transport)
{
    struct list *node;
    while ((node = list_take_first(&transport->queue)))
        asy_sys_free(LIST_ENTRY(node, struct queued, node));
    transport->queued_bytes = 0;
}

static bool is_for_unix(const asyncio_datagram_transport *transport, const struct queued *queued)
{
    const struct sockaddr_storage *to = queued->length ? &queued->to : &transport->remote;
    return to->ss_family == AF_UNIX;
}

/* The first error may be that of an earlier datagram, which the network has reported meanwhile. */
static ssize_t send_one(asyncio_datagram_transport *transport, const void *buf, size_t n,
                        const struct sockaddr *to, socklen_t length)
{
    ssize_t sent = asy_sys_sendto(transport->fd, buf, n, MSG_NOSIGNAL, to, length);
    if (sent != -ECONNREFUSED || !transport->remote_length)
        return sent;
    transport->pending_error = sent;
    asy_endpoint_do_next(transport);
    return asy_sys_sendto(transport->fd, buf, n, MSG_NOSIGNAL, to, length);
}

static void await_send_room(asyncio_datagram_transport *transport, const struct queued *first)
{
    asyncio_loop *loop = transport->loop;
    int err = 0;
    asy_fd_exhausted(transport->record, FD_WRITE);
    if (is_for_unix(transport, first))
        err = asy_timer_start(loop, &transport->pause, asy_loop_now_ns(loop) + FULL_PAUSE_NS);
    else if (list_is_empty(&transport->flusher.node))
        err = asy_fd_watch(loop, transport->record, &transport->flusher);
    if (err)
        asy_endpoint_lose(transport, err);
}

static void drop_first(asyncio_datagram_transport *transport, struct queued *first)
{
    list_remove(&first->node);
    transport->queued_bytes -= first->n + EXTRA_BYTES;
    asy_sys_free(first);
}

void asy_endpoint_flush(asyncio_datagram_transport *transport)
{
    for (int i = 0; i < AT_ONCE && !list_is_empty(&transport->queue); i++) {
        struct queued *first = LIST_ENTRY(transport->queue.next, struct queued, node);
        const struct sockaddr *to = first->length ? (const struct sockaddr *)&first->to : NULL;
        ssize_t sent = send_one(transport, first->data, first->n, to, first->length);
        if (sent == -EAGAIN || sent == -ENOBUFS) {
            await_send_room(transport, first);
            return;
        }
        drop_first(transport, first);
        if (sent < 0) {
            transport->pending_error = sent;
            asy_endpoint_do_next(transport);
        }
    }
    bool is_empty = list_is_empty(&transport->queue);
    if (is_empty && transport->is_closing)
        asy_endpoint_lose(transport, 0);
    else if (!is_empty || (transport->is_writing_paused && transport->queued_bytes <= LOW_WATER))
        asy_endpoint_do_next(transport);
}

void asy_endpoint_flusher_notified(struct fd_waiter *flusher, int err)
{
    asyncio_datagram_transport *transport = LIST_ENTRY(flusher, asyncio_datagram_transport, flusher);
    if (err)
        asy_endpoint_lose(transport, err);
    else
        asy_endpoint_flush(transport);
}

void asy_endpoint_pause_ended(struct timer *timer)
{
    asy_endpoint_flush(LIST_ENTRY(timer, asyncio_datagram_transport, pause));
}

static int queue_datagram(asyncio_datagram_transport *transport, const void *buf, size_t n,
                          const struct sockaddr *to, socklen_t length)
{
    struct queued *queued = asy_sys_alloc(sizeof *queued + n);
    if (!queued)
        return -ENOMEM;
    *queued = (struct queued){.n = n, .length = length};
    if (n)
        memcpy(queued->data, buf, n);
    if (length)
        memcpy(&queued->to, to, length);
    list_append(&transport->queue, &queued->node);
    transport->queued_bytes += n + EXTRA_BYTES;
    if (queued->node.prev == &transport->queue)
        await_send_room(transport, queued);
    return 0;
}

int asy_endpoint_send(asyncio_datagram_transport *transport, const void *buf, size_t n,
                      const struct sockaddr *to, socklen_t length)
{
    bool may_send = list_is_empty(&transport->queue);
    ssize_t sent = may_send ? send_one(transport, buf, n, to, length) : -EAGAIN;
    if (sent >= 0 || (sent != -EAGAIN && sent != -ENOBUFS))
        return sent < 0 ? (int)sent : 0;
    int err = queue_datagram(transport, buf, n, to, length);
    if (!err)
        asy_endpoint_pause_writing(transport);
    return err;
}
