/*
 * Servers: made, ended, looked at. Connections are accepted in server_accept.c; the tasks that serve are in
 * server_clients.c.
 */
#include "asyncio/servers.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/contextvars.h"
#include "core/handles.h"
#include "core/loop.h"
#include "core/quarantine.h"
#include "core/timer.h"
#include "fd/address.h"
#include "fd/socket_options.h"
#include "fd/stream.h"
#include "fd/tls_hook.h"
#include "net/server.h"
#include "net/server_spread.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

const char asy_what_server[] = "server";

/* ---- References ----------------------------------------------------------------------- */

void asy_server_unref(asyncio_server *server)
{
    ASY_ASSERT(server->refs > 0);
    if (--server->refs)
        return;
    asyncio_loop *loop = server->loop;
    list_remove(&server->owner.node);
    asy_timer_stop(loop, &server->park_timer);
    asy_spread_drop(server);
    asy_sys_free(server->path);
    asy_sys_free(server->listeners);
    asy_vars_drop(server->context);
    if (server->options.tls)
        asy_tls_hooks()->unref(server->options.tls);
    asy_object_free(loop, server, sizeof *server);
    asy_loop_object_freed(loop);
}

void asy_server_wake_waiters(asyncio_server *server)
{
    struct list *node;
    while ((node = list_take_first(&server->waiters))) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        asy_wait_wake(LIST_ENTRY(waiter, struct wait, waiter), 0);
    }
}

size_t asy_server_count_clients(const asyncio_server *server)
{
    return server->spread ? asy_spread_client_count(server) : server->client_count;
}

void asy_server_client_went(asyncio_server *server)
{
    if (server->spread) {
        asy_spread_client_went(server);
        return;
    }
    asy_loop_client_went(server->loop);
    asy_server_watch(server);
    if (!server->client_count && server->is_closed)
        asy_server_wake_waiters(server);
}

/* ---- Starting --------------------------------------------------------------------------------- */

static void server_loop_closes(struct fd_owner *owner);
static void server_loop_ends(struct fd_owner *owner);

/* 0, or -EINVAL with what is wrong. */
static int check_server_options(const asyncio_server_options *options)
{
    int err = asy_check_seconds(options->close_timeout, options->keepalive, options->user_timeout);
    if (err)
        return err;
    if (options->proxy_protocol < 0 || options->proxy_protocol > 2)
        return (int)asyncio_raise(-EINVAL, "the option proxy_protocol is 0, 1 or 2, not %d",
                                  options->proxy_protocol);
    if (isnan(options->park_timeout))
        return (int)asyncio_raise(-EINVAL, "the server's park_timeout is not a number");
    err = asy_spread_check(options);
    if (err)
        return err;
    if (options->tls && !(asy_tls_hooks() && asy_tls_hooks()->is_server(options->tls)))
        return (int)asyncio_raise(-EINVAL, "TLS: a server needs a context that was made for servers");
    return 0;
}

int asy_server_new(asyncio_client_handler handler, void *arg, const asyncio_server_options *options,
                   size_t room, asyncio_server **out)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    int err = !handler ? -EINVAL : options ? check_server_options(options) : 0;
    if (err)
        return err;
    asyncio_server *server = asy_server_alloc(loop, handler, arg, options);
    if (!server)
        return -ENOMEM;
    err = asy_server_make_room(server, room);
    if (!err)
        err = asy_spread_make(server);
    if (err) {
        asy_server_unref(server);
        return err;
    }
    server->context = asy_vars_inherit(loop);
    *out = server;
    return 0;
}

asyncio_server *asy_server_alloc(asyncio_loop *loop, asyncio_client_handler handler, void *arg,
                                 const asyncio_server_options *options)
{
    asyncio_server *server = asy_slab_alloc(sizeof *server);
    if (!server)
        return NULL;
    memset(server, 0, sizeof *server);
    server->what = asy_what_server;
    server->loop = loop;
    server->handler = handler;
    server->arg = arg;
    server->refs = 1;
    server->pause.fire = asy_server_resume_accepting;
    server->park_timer.fire = asy_server_park_timed_out;
    if (options)
        server->options = *options;
    server->options.addresses = NULL; /* the caller's, and no longer needed */
    if (server->options.tls)
        asy_tls_hooks()->ref(server->options.tls);
    list_init(&server->clients);
    list_init(&server->parked);
    list_init(&server->connections);
    list_init(&server->waiters);
    list_init(&server->owner.node);
    server->owner.loop_closes = server_loop_closes;
    server->owner.loop_ends = server_loop_ends;
    asy_loop_object_made(loop);
    return server;
}

int asy_server_make_room(asyncio_server *server, size_t room)
{
    ASY_ASSERT(!server->listeners);
    server->listeners = asy_sys_calloc(room, sizeof *server->listeners);
    server->listener_room = server->listeners ? room : 0;
    return server->listeners ? 0 : -ENOMEM;
}

int asy_server_add(asyncio_server *server, int fd)
{
    struct fd_record *record = asy_fd_record(server->loop, fd);
    if (!record)
        return asy_fd_record_error(fd);
    asy_fd_record_reset(server->loop, record, NULL);
    int err = asy_fd_prepare(record);
    /* Other processes may share these descriptors, so asy_fd_prepare leaves their flags alone. A listener is
     * ours. */
    if (!err && fd <= STDERR_FILENO)
        err = asy_sys_set_nonblocking(fd);
    if (!err && !asy_server_has_completions(server))
        err = asy_fd_register(server->loop, record);
    if (err) {
        asy_fd_drop(server->loop, record);
        return err;
    }
    ASY_ASSERT(server->listener_count < server->listener_room);
    struct listener *listener = &server->listeners[server->listener_count++];
    *listener = (struct listener){.server = server, .fd = fd, .record = record};
    list_init(&listener->waiter.node);
    return 0;
}

void asy_server_begin(asyncio_server *server)
{
    ASY_ASSERT(!server->is_closed && server->listener_count > 0);
    asy_fd_own(server->loop, &server->owner);
    asy_server_watch(server);
}

/* ---- Ending -------------------------------------------------------------------------------------- */

static void stop_listening(asyncio_server *server)
{
    ASY_ASSERT(!server->is_closed);
    server->is_closed = true;
    asy_timer_stop(server->loop, &server->pause);
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        list_remove(&listener->waiter.node);
        asy_fd_close(server->loop, listener->record);
    }
    asy_server_unlink(server);
}

void asy_server_close(asyncio_server *server)
{
    if (server->is_closed)
        return;
    asy_server_end_completions(server);
    if (server->is_closed)
        return;
    stop_listening(server);
    asy_server_wake_waiters(server);
}

/* On all loops. */
static void close_server(asyncio_server *server)
{
    if (server->spread)
        asy_spread_want_news(server); /* of the end of the last client */
    asy_spread_order(server, ORDER_CLOSE);
    asy_server_close(server);
}

/* Others go on: the connections that wait for this loop to accept them go to those. */
static void give_backlog_away(asyncio_server *server)
{
    asy_server_accept_rest(server);
    asy_server_close(server);
}

/* The loop's run is at its end. A server of one loop just accepts no more. */
static void server_loop_ends(struct fd_owner *owner)
{
    asyncio_server *server = LIST_ENTRY(owner, asyncio_server, owner);
    if (server->branch)
        give_backlog_away(server);
    else
        asy_spread_order(server, ORDER_CLOSE);
}

void asyncio_server_close(asyncio_server *server)
{
    if (!server)
        return;
    asy_server_check(server, __func__);
    close_server(server);
}

/* The tasks that serve or wait never run again: what is left is the owner's reference. The clients' streams
 * are told after this. */
static void server_loop_closes(struct fd_owner *owner)
{
    asyncio_server *server = LIST_ENTRY(owner, asyncio_server, owner);
    if (!server->is_closed)
        stop_listening(server);
    asy_timer_stop(server->loop, &server->park_timer);
    list_splice(&server->clients, &server->parked);
    while (!list_is_empty(&server->clients))
        asy_client_orphan(LIST_ENTRY(server->clients.next, struct client, node));
    asy_server_orphan_connections(server);
    if (server->branch)
        asy_branch_closes(server);
    else
        asy_spread_leave(server);
    list_init(&server->waiters);
    server->client_count = 0;
    server->refs = 1;
    if (server->what && !server->branch)
        asy_spread_drop(server); /* its owner has it still */
    else
        asy_server_unref(server);
}

static const struct wait_kind server_kind = {
    .name = "server",
    .shape = {.kind = SHAPE_SERVER,
              .at = {offsetof(asyncio_server, client_count), offsetof(asyncio_server, clients),
                     offsetof(struct client, task) - offsetof(struct client, node)}},
};

static int wait_for_news(asyncio_server *server)
{
    return (int)asy_wait_in(&server->waiters, &server_kind, server);
}

struct grace {
    struct timer timer;
    asyncio_server *server;
};

void asy_server_cancel_handlers(asyncio_server *server)
{
    server->parks_none = true;
    LIST_EACH(node, &server->clients)
        asyncio_cancel(LIST_ENTRY(node, struct client, node)->task);
    asy_server_abort_parked(server);
    asy_server_abort_connections(server);
}

static void cancel_handlers(asyncio_server *server)
{
    asy_server_cancel_handlers(server);
    asy_spread_order(server, ORDER_CANCEL);
}

static void end_clients_grace(struct timer *timer)
{
    cancel_handlers(LIST_ENTRY(timer, struct grace, timer)->server);
}

static int wait_for_clients(asyncio_server *server, double grace)
{
    struct grace limit = {.server = server, .timer.fire = end_clients_grace};
    int err = 0;
    if (server->loop->is_shutting_down) { /* which has cancelled the handlers */
        asy_server_abort_parked(server);
        asy_server_abort_connections(server);
    }
    if (grace <= 0)
        cancel_handlers(server);
    else
        err = asy_timer_start(server->loop, &limit.timer,
                              asy_deadline_after(asy_loop_now_ns(server->loop), grace));
    while (asy_server_count_clients(server) && !err)
        err = wait_for_news(server);
    asy_timer_stop(server->loop, &limit.timer);
    return err;
}

static int wait_until_closed(asyncio_server *server)
{
    int err = 0;
    while (!server->is_closed && !err)
        err = wait_for_news(server);
    return err;
}

int asyncio_server_wait_closed(asyncio_server *server, double grace)
{
    if (!server || isnan(grace))
        return -EINVAL;
    asy_server_check(server, __func__);
    if (!server->loop->current)
        return ASYNCIO_ENOTASK;
    server->refs++;
    int err = wait_until_closed(server);
    if (!err)
        err = wait_for_clients(server, grace);
    asy_server_unref(server);
    return err;
}

int asyncio_server_serve_forever(asyncio_server *server)
{
    if (!server)
        return -EINVAL;
    asy_server_check(server, __func__);
    if (!server->loop->current)
        return ASYNCIO_ENOTASK;
    if (server->is_closed || server->is_served)
        return ASYNCIO_ESTATE;
    server->refs++;
    server->is_served = true;
    wait_until_closed(server);
    server->is_served = false;
    close_server(server); /* a cancel ends the wait while it is open */
    wait_for_clients(server, ASYNCIO_FOREVER);
    asy_server_unref(server);
    return -ECANCELED;
}

void asyncio_server_release(asyncio_server *server)
{
    if (!server)
        return;
    asy_server_check(server, __func__);
    server->what = NULL;
    close_server(server);
    cancel_handlers(server);
    asy_spread_order(server, ORDER_LEAVE);
    asy_server_unref(server);
}

/* ---- Looking at it ---------------------------------------------------------------------------------- */

int asyncio_server_port(asyncio_server *server)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    if (!server)
        return -EINVAL;
    asy_server_check(server, __func__);
    if (server->is_closed || !server->listener_count)
        return -EINVAL;
    int err = asy_sys_getsockname(server->listeners[0].fd, (struct sockaddr *)&name, &length);
    return err ? err : asy_address_port((const struct sockaddr *)&name);
}

int asyncio_server_fds(asyncio_server *server, int *out, size_t capacity)
{
    if (!server || (!out && capacity))
        return -EINVAL;
    asy_server_check(server, __func__);
    size_t count = server->is_closed ? 0 : server->listener_count;
    for (size_t i = 0; i < count && i < capacity; i++)
        out[i] = server->listeners[i].fd;
    return (int)count;
}
