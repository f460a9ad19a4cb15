/*
 * Datagram transports: made, receiving, ended. See datagram_transport.h.
 */
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "fd/lengths.h"
#include "net/datagram_transport.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

#define AT_ONCE 64 /* datagrams of one step */

static const char what_transport[] = "datagram transport";

static void check_transport(const asyncio_datagram_transport *transport, const char *call)
{
    asy_object_check(transport->what, what_transport, transport->loop, call);
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void stop_waiting(asyncio_datagram_transport *transport)
{
    list_remove(&transport->reader.node);
    list_remove(&transport->flusher.node);
    asy_timer_stop(transport->loop, &transport->pause);
}

void asy_endpoint_lose(asyncio_datagram_transport *transport, intptr_t err)
{
    if (transport->is_lost || transport->loop->is_closed) /* then the loop tells it */
        return;
    transport->is_closing = transport->is_lost = true;
    transport->error = err;
    stop_waiting(transport);
    asy_endpoint_drop_queue(transport);
    asy_endpoint_do_next(transport);
}

static void free_endpoint(asyncio_datagram_transport *transport)
{
    asyncio_loop *loop = transport->loop;
    ASY_ASSERT(transport->is_ended && list_is_empty(&transport->queue));
    callback_remove(&loop->ready, &transport->next);
    asy_vars_drop(transport->context);
    asy_object_free(loop, transport, sizeof *transport);
    asy_loop_object_freed(loop);
}

static void close_endpoint(asyncio_datagram_transport *transport)
{
    ASY_ASSERT(transport->is_ended);
    transport->what = NULL;
    list_remove(&transport->owner.node);
    stop_waiting(transport);
    asy_endpoint_drop_queue(transport);
    asyncio_datagram_close(transport->socket);
    free_endpoint(transport);
}

static void end_endpoint(asyncio_datagram_transport *transport, intptr_t err)
{
    ASY_ASSERT(transport->is_made && !transport->is_ended);
    transport->is_ended = true;
    if (transport->protocol->connection_lost)
        transport->protocol->connection_lost(transport->self, err);
    asy_connecting_lost(transport->connecting, err);
    close_endpoint(transport);
}

/* Ends one whose connection_made was not called, in silence. */
static void discard_endpoint(void *arg)
{
    asyncio_datagram_transport *transport = arg;
    transport->connecting = NULL;
    transport->is_ended = true;
    close_endpoint(transport);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static void receive_datagram(asyncio_datagram_transport *transport, const char *buf, ssize_t got,
                             const struct sockaddr_storage *from, socklen_t length)
{
    const asyncio_datagram_protocol *protocol = transport->protocol;
    if (got < 0 && protocol->error_received)
        protocol->error_received(transport->self, got);
    else if (got >= 0 && protocol->datagram_received)
        protocol->datagram_received(transport->self, buf, (size_t)got, (const struct sockaddr *)from, length);
}

static void wait_for_datagrams(asyncio_datagram_transport *transport)
{
    asy_fd_exhausted(transport->record, FD_READ);
    int err = list_is_empty(&transport->reader.node)
                  ? asy_fd_watch(transport->loop, transport->record, &transport->reader)
                  : 0;
    if (err)
        asy_endpoint_lose(transport, err);
}

/* A bounded number, so that others run, too. */
static void receive_datagrams(asyncio_datagram_transport *transport)
{
    for (int i = 0; !transport->is_closing; i++) {
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        char *buf = i < AT_ONCE ? asy_input_buffer_take(transport->loop) : NULL;
        if (!buf) { /* of memory there may be more in the next iteration */
            asy_endpoint_do_next(transport);
            return;
        }
        ssize_t got =
            transport->record->ready & FD_READ
                ? asy_sys_recvfrom(transport->fd, buf, INPUT_BYTES, 0, (struct sockaddr *)&from, &length)
                : -EAGAIN;
        if (got != -EAGAIN && got != -EBADF)
            receive_datagram(transport, buf, got, &from, got < 0 ? 0 : length);
        asy_input_buffer_leave(transport->loop);
        if (got == -EBADF)
            asy_endpoint_lose(transport, got);
        if (got == -EAGAIN) {
            wait_for_datagrams(transport);
            return;
        }
    }
}

static void reader_of_datagrams(struct fd_waiter *reader, int err)
{
    asyncio_datagram_transport *transport = LIST_ENTRY(reader, asyncio_datagram_transport, reader);
    if (err) {
        asy_endpoint_lose(transport, err);
    } else if (!asy_callout_begin(transport->loop, transport->context)) {
        asy_endpoint_do_next(transport);
    } else {
        receive_datagrams(transport);
        asy_callout_end(transport->loop);
    }
}

/* ---- What is due ---------------------------------------------------------------------------- */

static void make_endpoint(asyncio_datagram_transport *transport)
{
    transport->is_made = true;
    asy_connecting_begin(transport->connecting);
    if (transport->protocol->connection_made)
        transport->protocol->connection_made(transport->self, transport);
    asy_connecting_made(transport->connecting);
    asy_endpoint_do_next(transport);
}

static void tell_error(asyncio_datagram_transport *transport)
{
    intptr_t err = transport->pending_error;
    transport->pending_error = 0;
    if (err && !transport->is_closing && transport->protocol->error_received)
        transport->protocol->error_received(transport->self, err);
}

static void run_next_of_datagrams(struct callback *callback)
{
    asyncio_datagram_transport *transport = LIST_ENTRY(callback, asyncio_datagram_transport, next);
    ASY_ASSERT(!transport->is_ended);
    if (transport->context)
        asy_vars_enter(transport->loop, asy_vars_ref(transport->context));
    if (!transport->is_made) {
        make_endpoint(transport);
    } else if (transport->is_lost) {
        end_endpoint(transport, transport->error);
    } else {
        tell_error(transport);
        asy_endpoint_resume_writing(transport);
        if (list_is_empty(&transport->flusher.node) && !asy_heap_contains(&transport->pause.node))
            asy_endpoint_flush(transport);
        receive_datagrams(transport);
    }
}

/* A loop that closes tells the transport first, which takes it back. */
static const struct callback_kind next_kind = {run_next_of_datagrams, NULL};

void asy_endpoint_do_next(asyncio_datagram_transport *transport)
{
    if (transport->next.link || transport->loop->is_closed)
        return;
    callback_push(&transport->loop->ready, &transport->next, &next_kind);
    asy_loop_queued(transport->loop);
}

/* The socket stands before this in the loop's list, and has closed the descriptor. */
static void endpoint_loop_closes(struct fd_owner *owner)
{
    asyncio_datagram_transport *transport = LIST_ENTRY(owner, asyncio_datagram_transport, owner);
    intptr_t err = transport->is_lost ? transport->error : -ECONNABORTED;
    bool is_secret = !transport->is_made && transport->connecting;
    transport->is_closing = transport->is_lost = true;
    transport->connecting = NULL; /* on the stack of a task that never runs again */
    if (is_secret) {
        discard_endpoint(transport);
        return;
    }
    if (!transport->is_made)
        make_endpoint(transport);
    end_endpoint(transport, err);
}

/* ---- Made ------------------------------------------------------------------------------------ */

static int make_transport_of(asyncio_datagram *socket, const asyncio_datagram_protocol *protocol, void *self,
                             asyncio_datagram_transport **out)
{
    asyncio_loop *loop = asy_running_loop;
    asyncio_datagram_transport *transport = asy_slab_alloc(sizeof *transport);
    if (!transport)
        return -ENOMEM;
    memset(transport, 0, sizeof *transport);
    transport->what = what_transport;
    transport->loop = loop;
    transport->socket = socket;
    transport->protocol = protocol;
    transport->self = self;
    transport->fd = asyncio_datagram_fd(socket);
    transport->record = asy_fd_find(loop, transport->fd);
    transport->context = asy_vars_inherit(loop);
    transport->reader.events = FD_READ;
    transport->reader.notify = reader_of_datagrams;
    transport->flusher.events = FD_WRITE;
    transport->flusher.notify = asy_endpoint_flusher_notified;
    transport->pause.fire = asy_endpoint_pause_ended;
    transport->owner.loop_closes = endpoint_loop_closes;
    list_init(&transport->reader.node);
    list_init(&transport->flusher.node);
    list_init(&transport->queue);
    asy_fd_own(loop, &transport->owner);
    asy_loop_object_made(loop);
    transport->remote_length = sizeof transport->remote;
    if (asy_sys_getpeername(transport->fd, (struct sockaddr *)&transport->remote, &transport->remote_length))
        transport->remote_length = 0;
    *out = transport;
    return 0;
}

int asyncio_create_datagram_endpoint(const asyncio_datagram_protocol *protocol, void *self,
                                     const asyncio_address *local, const asyncio_address *remote,
                                     const asyncio_datagram_options *options,
                                     asyncio_datagram_transport **out)
{
    asyncio_datagram *socket;
    asyncio_datagram_transport *transport;
    if (!protocol || !out)
        return -EINVAL;
    *out = NULL;
    int err = asyncio_open_datagram(local, remote, options, &socket);
    if (err)
        return err;
    err = make_transport_of(socket, protocol, self, &transport);
    if (err) {
        asyncio_datagram_close(socket);
        return err;
    }
    struct connecting connecting = {.transport = transport, .discard = discard_endpoint};
    list_init(&connecting.waiters);
    transport->connecting = &connecting;
    asy_endpoint_do_next(transport);
    err = asy_connecting_wait(&connecting);
    if (err)
        return err;
    transport->connecting = NULL;
    *out = transport;
    return 0;
}

/* ---- From the program -------------------------------------------------------------------------- */

/* A connected socket sends to its peer alone. 0 or an error. */
static int check_destination(const asyncio_datagram_transport *transport, const struct sockaddr *to,
                             socklen_t length)
{
    if (!to)
        return length ? -EINVAL : 0;
    if (length > sizeof(struct sockaddr_storage) || length < sizeof(sa_family_t))
        return -EINVAL;
    bool is_peer = !transport->remote_length ||
                   (length == transport->remote_length && memcmp(to, &transport->remote, length) == 0);
    return is_peer ? 0 : -EINVAL;
}

int asyncio_datagram_transport_sendto(asyncio_datagram_transport *transport, const void *buf, size_t n,
                                      const struct sockaddr *to, socklen_t length)
{
    if (!transport || (!buf && n) || !asy_is_length(n))
        return -EINVAL;
    check_transport(transport, __func__);
    int err = check_destination(transport, to, length);
    if (err)
        return err;
    if (transport->is_closing || asy_loop_is_parents(transport->loop))
        return ASYNCIO_ESTATE;
    if (transport->remote_length) { /* the kernel need not compare it again */
        to = NULL;
        length = 0;
    }
    return asy_endpoint_send(transport, buf, n, to, length);
}

void asyncio_datagram_transport_close(asyncio_datagram_transport *transport)
{
    if (!transport)
        return;
    check_transport(transport, __func__);
    if (transport->is_closing || asy_loop_is_parents(transport->loop))
        return;
    transport->is_closing = true;
    list_remove(&transport->reader.node);
    if (list_is_empty(&transport->queue))
        asy_endpoint_lose(transport, 0);
}

void asyncio_datagram_transport_abort(asyncio_datagram_transport *transport)
{
    if (!transport)
        return;
    check_transport(transport, __func__);
    if (!asy_loop_is_parents(transport->loop))
        asy_endpoint_lose(transport, 0);
}

bool asyncio_datagram_transport_is_closing(asyncio_datagram_transport *transport)
{
    if (!transport)
        return true;
    check_transport(transport, __func__);
    return transport->is_closing;
}

int asyncio_datagram_transport_sockname(asyncio_datagram_transport *transport, struct sockaddr *name,
                                        socklen_t *length)
{
    if (!transport)
        return -EINVAL;
    check_transport(transport, __func__);
    return asyncio_datagram_sockname(transport->socket, name, length);
}

int asyncio_datagram_transport_fd(asyncio_datagram_transport *transport)
{
    if (!transport)
        return -EINVAL;
    check_transport(transport, __func__);
    return transport->fd;
}
