/*
 * Accepting, for servers.
 *
 * A listener is no task. It accepts by calls, or by completions:
 *
 *   by calls        it is a waiter of its descriptor. When connections have come it accepts a bounded number
 *                   of them, and begins a task for each
 *   by completions  the backend has a ring, and the kernel accepts what comes (fd/accepts.h)
 *
 * If no descriptor is left it pauses for a second; if the server has as many clients as it may have, it waits
 * for one to end. A server with such a limit accepts by calls: what the kernel accepted beyond the limit
 * would have to wait here, where no other process that shares the listener could serve it. An error of
 * completions makes it accept by calls, which judge it, until one of them succeeds: at the limit of
 * descriptors the kernel gives up at once, each time, even if nobody wants to connect.
 */
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/timer.h"
#include "fd/accepts.h"
#include "fd/address.h"
#include "net/endpoint.h"
#include "net/server.h"
#include "net/server_spread.h"
#include "sys/net.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#define PAUSE_NS INT64_C(1000000000)
#define SHORT_PAUSE_NS INT64_C(1000000)

/* ---- Whether ------------------------------------------------------------------------------- */

static bool takes_no_more(const asyncio_server *server)
{
    int most = server->options.max_connections;
    return server->is_closed || server->loop->is_shutting_down ||
           (most > 0 && asy_server_count_clients(server) >= (size_t)most);
}

void asy_server_resume_accepting(struct timer *timer)
{
    asyncio_server *server = LIST_ENTRY(timer, asyncio_server, pause);
    asy_server_watch(server);
}

static bool is_paused(const asyncio_server *server)
{
    return asy_heap_contains(&server->pause.node);
}

static void report_pause(const struct listener *listener, int err)
{
    char address[ASY_ADDRESS_TEXT], text[ASY_ADDRESS_TEXT + 80];
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    asy_sys_getsockname(listener->fd, (struct sockaddr *)&name, &length);
    asy_address_text((const struct sockaddr *)&name, address);
    snprintf(text, sizeof text, "accepting connections on %s is paused for a second", address);
    asyncio_exception_context context = {.message = text, .error = err};
    asy_report(listener->server->loop, &context);
}

void asy_server_end_completions(asyncio_server *server)
{
    for (size_t i = 0; i < server->listener_count && !server->is_closed; i++)
        asy_accepts_end(server->listeners[i].record);
}

/* Without memory for a timer, the next connection makes it go on. */
static void pause_accepting(struct listener *listener, int64_t pause_ns)
{
    asyncio_server *server = listener->server;
    asyncio_loop *loop = server->loop;
    if (server->is_closed || is_paused(server))
        return;
    if (!asy_timer_start(loop, &server->pause, asy_loop_now_ns(loop) + pause_ns))
        asy_server_end_completions(server); /* what that tells of does not pause it once more */
    else if (list_is_empty(&listener->waiter.node))
        asy_fd_watch(loop, listener->record, &listener->waiter);
}

/* Takes the descriptor over. 0 or a negative errno. */
static int begin_client(const struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    if (listener->record->short_is_end) { /* TCP */
        int on = 1;
        asy_sys_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (listener->server->spread)
        return asy_spread_client(listener, fd, peer);
    int err = asy_client_begin(listener->server, listener->record, fd, peer);
    if (!err)
        asy_loop_client_came(listener->server->loop);
    return err;
}

static int accept_client(struct listener *listener)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    memset(&peer, 0, sizeof peer);
    int fd = asy_accept(listener->fd, (struct sockaddr *)&peer, &length);
    if (fd < 0)
        return fd;
    listener->needs_calls = false;
    return begin_client(listener, fd, &peer);
}

/* Errors of one connection, or of the network: the next accept may succeed. Any other error would come
 * again. */
static bool can_go_on(int err)
{
    static const int passing[] = {ECONNABORTED, EINTR,        EPROTO, EPERM,       ENETDOWN,   ENETUNREACH,
                                  EHOSTDOWN,    EHOSTUNREACH, ENONET, ENOPROTOOPT, EOPNOTSUPP, ETIMEDOUT};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (err == -passing[i])
            return true;
    return err >= 0;
}

static void watch_listener(struct listener *listener);

/* The program may close the server when it is told of an error. */
static void accept_some(struct listener *listener)
{
    asyncio_server *server = listener->server;
    for (int i = 0; i < ASY_ACCEPTS_AT_ONCE && !takes_no_more(server); i++) {
        int err = accept_client(listener);
        if (err == -EAGAIN) {
            asy_fd_exhausted(listener->record, FD_READ);
            break;
        }
        if (!can_go_on(err)) {
            pause_accepting(listener, PAUSE_NS);
            report_pause(listener, err);
            return;
        }
    }
    watch_listener(listener);
}

static void handle_listener_event(struct fd_waiter *waiter, int gone)
{
    struct listener *listener = LIST_ENTRY(waiter, struct listener, waiter);
    asyncio_server *server = listener->server;
    if (gone || is_paused(server)) /* another listener has paused it: at its end all are watched again */
        return;
    server->refs++;
    accept_some(listener);
    asy_server_unref(server);
}

/* Accepts the connections that were left for the next iteration. */
static void retry_accept(void *arg)
{
    asyncio_server *server = arg;
    ASY_ASSERT(server->is_retry_queued);
    server->is_retry_queued = false;
    for (size_t i = 0; i < server->listener_count && !server->is_closed && !is_paused(server); i++)
        if (server->listeners[i].record->ready & FD_READ) {
            list_remove(&server->listeners[i].waiter.node);
            accept_some(&server->listeners[i]);
        }
    asy_server_unref(server);
}

static void queue_retry(struct listener *listener)
{
    asyncio_server *server = listener->server;
    if (server->is_retry_queued)
        return;
    if (asy_call_soon(server->loop, retry_accept, server)) {
        pause_accepting(listener, SHORT_PAUSE_NS);
        return;
    }
    server->is_retry_queued = true;
    server->refs++;
}

/* ---- By completions ------------------------------------------------------------------------ */

/* A stream asks for its peer when somebody wants to know, and has a descriptor until then. A transport has
 * none when it tells of its end, and another loop has not even a stream yet. */
static void ask_peer(const asyncio_server *server, int fd, struct sockaddr_storage *peer)
{
    memset(peer, 0, sizeof *peer);
    if (server->spread || server->factory)
        asy_sys_peername(fd, peer);
}

static void take_connection(struct listener *listener, int fd)
{
    asyncio_server *server = listener->server;
    bool was_paused = is_paused(server);
    struct sockaddr_storage peer;
    ask_peer(server, fd, &peer);
    int err = begin_client(listener, fd, &peer);
    if (err >= 0 || was_paused)
        return;
    pause_accepting(listener, PAUSE_NS);
    report_pause(listener, err);
}

/* The loop that ends serves nobody any more. Another one may. */
static bool gives_nobody_service(const asyncio_server *server)
{
    return server->is_closed || (server->loop->is_shutting_down && !server->branch);
}

static void connection_came(void *context, int result)
{
    struct listener *listener = context;
    asyncio_server *server = listener->server;
    server->refs++;
    if (result < 0) {
        listener->needs_calls = true;
        asy_accepts_end(listener->record); /* where only this one connection was lost */
        if (!server->is_closed && !is_paused(server))
            accept_some(listener);
    } else if (gives_nobody_service(server)) {
        asy_reset_connection(result);
    } else {
        take_connection(listener, result);
    }
    asy_server_unref(server);
}

bool asy_server_has_completions(const asyncio_server *server)
{
    return asy_accepts_may(server->loop) && server->options.max_connections <= 0;
}

/* False: it is to accept by calls. */
static bool watch_by_completions(struct listener *listener)
{
    asyncio_loop *loop = listener->server->loop;
    if (listener->needs_calls || !asy_server_has_completions(listener->server))
        return false;
    if (asy_accepts_begin(loop, listener->record, connection_came, listener))
        return false;
    list_remove(&listener->waiter.node);
    asy_fd_unregister_idle(loop, listener->record);
    return true;
}

/* ---- Either way ---------------------------------------------------------------------------- */

/* Waits for the next connection. If there may be one already, it is accepted in the next iteration, so that
 * others run in between. */
static void watch_listener(struct listener *listener)
{
    asyncio_server *server = listener->server;
    if (takes_no_more(server) || is_paused(server) || watch_by_completions(listener))
        return;
    listener->waiter.events = FD_READ;
    listener->waiter.notify = handle_listener_event;
    if (list_is_empty(&listener->waiter.node) &&
        asy_fd_watch(server->loop, listener->record, &listener->waiter))
        pause_accepting(listener, PAUSE_NS);
    else if (listener->record->ready & FD_READ)
        queue_retry(listener);
}

void asy_server_watch(asyncio_server *server)
{
    if (server->is_closed)
        return;
    for (size_t i = 0; i < server->listener_count; i++)
        watch_listener(&server->listeners[i]);
}

void asy_server_accept_rest(asyncio_server *server)
{
    asy_server_end_completions(server);
    for (size_t i = 0; i < server->listener_count && !server->is_closed; i++)
        for (int err = 0; can_go_on(err);)
            err = accept_client(&server->listeners[i]);
}
