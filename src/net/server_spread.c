/*
 * Servers over several loops: the way of a client to its loop, and listeners on all loops. See
 * server_spread.h.
 *
 * All loops are those of one asyncio_run_loops, which keeps their structs until the last has ended.
 */
#include "net/server_spread.h"
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "core/post.h"
#include "fd/tls_hook.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>

/* ---- Clients: from one loop to another -------------------------------------------------------- */

struct arrival {
    struct callback callback;
    struct branch *branch;
    uint64_t number;
    int fd;
    bool is_socket, short_is_end; /* of its record, as the listener's has them */
    struct sockaddr_storage peer;
};

/* Takes the descriptor over. */
static int begin_arrived(asyncio_server *server, const struct arrival *arrival)
{
    const struct fd_record like = {.is_socket = arrival->is_socket, .short_is_end = arrival->short_is_end};
    return asy_client_begin(server, &like, arrival->fd, &arrival->peer);
}

static void free_arrival(struct arrival *arrival)
{
    struct spread *spread = arrival->branch->spread;
    asy_slab_free(arrival, sizeof *arrival);
    asy_spread_unref(spread);
}

/* It could not be served. The descriptor is closed. */
static void lose_arrival(struct arrival *arrival, asyncio_loop *loop)
{
    asy_spread_uncount(arrival->branch->spread, loop);
    free_arrival(arrival);
}

static void report_lost(asyncio_loop *loop, const struct arrival *arrival, int err)
{
    char peer[ASY_ADDRESS_TEXT];
    asy_address_text((const struct sockaddr *)&arrival->peer, peer);
    asyncio_exception_context context = {
        .message = "a client that came from another loop could not be served", .error = err, .peer = peer};
    asy_report(loop, &context);
}

static bool takes_clients(const asyncio_server *server)
{
    return server && !server->is_closed && !server->loop->is_shutting_down;
}

/* On the home's thread: the loop that it was sent to takes nobody any more. */
static void take_home(struct callback *callback)
{
    struct arrival *arrival = LIST_ENTRY(callback, struct arrival, callback);
    struct spread *spread = arrival->branch->spread;
    if (!takes_clients(spread->home)) {
        asyncio_close(arrival->fd);
        lose_arrival(arrival, spread->home_loop);
        return;
    }
    int err = begin_arrived(spread->home, arrival);
    if (!err) {
        free_arrival(arrival);
        return;
    }
    report_lost(spread->home_loop, arrival, err);
    lose_arrival(arrival, spread->home_loop);
}

static void drop_arrival(struct callback *callback)
{
    struct arrival *arrival = LIST_ENTRY(callback, struct arrival, callback);
    asyncio_close(arrival->fd);
    lose_arrival(arrival, arrival->branch->loop);
}

static void drop_on_way_home(struct callback *callback)
{
    struct arrival *arrival = LIST_ENTRY(callback, struct arrival, callback);
    asyncio_close(arrival->fd);
    lose_arrival(arrival, arrival->branch->spread->home_loop);
}

static const struct callback_kind home_kind = {take_home, drop_on_way_home};

static void send_home(struct arrival *arrival)
{
    asyncio_loop *home = arrival->branch->spread->home_loop;
    arrival->callback.kind = &home_kind;
    asy_loop_client_went(arrival->branch->loop);
    asy_loop_client_came(home);
    if (asy_post(home, &arrival->callback))
        drop_on_way_home(&arrival->callback);
}

static void end_late_client(asyncio_server *server, uint32_t orders)
{
    struct client *client = LIST_ENTRY(server->clients.prev, struct client, node);
    if (orders & ORDER_END)
        asy_stream_end_input(client->stream, 0);
    if (orders & ORDER_ABORT)
        asy_stream_end_input(client->stream, -ECONNABORTED);
    if (orders & ORDER_CANCEL) {
        server->parks_none = true;
        asyncio_cancel(client->task);
    }
}

/* The client that has just begun obeys the orders that were given after it was sent, and came before it. */
static void obey_late(asyncio_server *server, const struct arrival *arrival)
{
    uint32_t orders = 0;
    for (int i = 0; i < ORDERS_OF_CLIENTS; i++)
        if (arrival->number < atomic_load(&arrival->branch->until[i]))
            orders |= 1u << i;
    if (asy_server_has_tasks(server))
        end_late_client(server, orders);
    else if (orders)
        asy_server_end_last_connection(server, orders & (ORDER_ABORT | ORDER_CANCEL) ? -ECONNABORTED : 0);
}

/* The server that takes it; NULL: none does, and *err says why. One that has left may be there still, with
 * its last clients. */
static asyncio_server *server_of_arrival(struct branch *branch, int fd, int *err)
{
    *err = -ECONNABORTED;
    if (branch->has_left)
        return NULL;
    *err = -ENOMEM;
    return asy_branch_open(branch, fd);
}

static void take_arrival(struct callback *callback)
{
    struct arrival *arrival = LIST_ENTRY(callback, struct arrival, callback);
    struct branch *branch = arrival->branch;
    int err;
    if (branch->loop->is_shutting_down) {
        send_home(arrival);
        return;
    }
    asyncio_server *server = server_of_arrival(branch, arrival->fd, &err);
    if (server)
        err = begin_arrived(server, arrival);
    else
        asyncio_close(arrival->fd);
    if (!err) {
        obey_late(server, arrival);
        free_arrival(arrival);
        return;
    }
    if (err != -ECONNABORTED)
        report_lost(branch->loop, arrival, err);
    lose_arrival(arrival, branch->loop);
}

static const struct callback_kind arrival_kind = {take_arrival, drop_arrival};

/* ---- Choosing a loop ----------------------------------------------------------------------------- */

static asyncio_loop *choose_loop(struct spread *spread, asyncio_loop *here)
{
    unsigned turn = atomic_fetch_add(&spread->turn, 1);
    asyncio_loops *loops = spread->options.loops;
    asyncio_loop *chosen = NULL;
    if (spread->options.spread == SPREAD_IN_TURN)
        chosen = asy_loops_next_open(loops, turn);
    else if (spread->options.spread == SPREAD_IDLEST || atomic_load(&here->load.is_ending))
        chosen = asy_loops_least_busy(loops, turn);
    return chosen ? chosen : here;
}

/* False: it is still the caller's. */
static bool send_client(const struct listener *listener, asyncio_loop *loop, int fd,
                        const struct sockaddr_storage *peer)
{
    struct spread *spread = listener->server->spread;
    bool is_home = loop == spread->home_loop;
    struct branch *branch = is_home ? listener->server->branch : &spread->branches[loop->index];
    struct arrival *arrival = asy_slab_alloc(sizeof *arrival);
    if (!arrival)
        return false;
    *arrival = (struct arrival){
        .callback.kind = is_home ? &home_kind : &arrival_kind,
        .branch = branch,
        .number = atomic_fetch_add(&branch->sent, !is_home),
        .fd = fd,
        .is_socket = listener->record->is_socket,
        .short_is_end = listener->record->short_is_end,
        .peer = *peer,
    };
    asy_spread_ref(spread);
    asy_loop_client_came(loop);
    if (asy_post(loop, &arrival->callback) == 0)
        return true;
    asy_loop_client_went(loop);
    free_arrival(arrival);
    return false;
}

int asy_spread_client(const struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    asyncio_server *server = listener->server;
    asyncio_loop *here = server->loop, *chosen = choose_loop(server->spread, here);
    atomic_fetch_add(&server->spread->clients, 1);
    if (chosen != here && send_client(listener, chosen, fd, peer))
        return 0;
    asy_loop_client_came(here);
    int err = asy_client_begin(server, listener->record, fd, peer);
    if (err) {
        asy_loop_client_went(here);
        atomic_fetch_sub(&server->spread->clients, 1);
    }
    return err;
}

/* ---- Spread by the kernel -------------------------------------------------------------------------- */

/* Listening sockets on their way to a branch. */
struct opening {
    struct callback callback;
    struct branch *branch;
    size_t count;
    int fds[];
};

static void drop_opening(struct callback *callback)
{
    struct opening *opening = LIST_ENTRY(callback, struct opening, callback);
    struct spread *spread = opening->branch->spread;
    for (size_t i = 0; i < opening->count; i++)
        asyncio_close(opening->fds[i]);
    asy_sys_free(opening);
    asy_spread_unref(spread);
}

/* Clients that a third loop has sent may be here before the listeners. */
static int begin_listeners(struct opening *opening)
{
    asyncio_server *server = asy_branch_open(opening->branch, opening->fds[0]);
    int err = server ? asy_server_make_room(server, opening->count) : -ENOMEM;
    while (!err && opening->count) {
        err = asy_server_add(server, opening->fds[opening->count - 1]);
        opening->count -= !err;
    }
    if (server)
        asy_server_watch(server);
    return err;
}

static void take_opening(struct callback *callback)
{
    struct opening *opening = LIST_ENTRY(callback, struct opening, callback);
    struct branch *branch = opening->branch;
    int err = branch->has_left || branch->loop->is_shutting_down ? 0 : begin_listeners(opening);
    if (err)
        asy_report_site(branch->loop, NULL, err, "a server does not listen on this loop");
    drop_opening(callback); /* closes those that are left */
}

static const struct callback_kind opening_kind = {take_opening, drop_opening};

static int open_listeners(asyncio_server *server, struct opening *opening)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct sockaddr_storage name = {0};
        socklen_t length = sizeof name;
        int fd = asy_sys_getsockname(server->listeners[i].fd, (struct sockaddr *)&name, &length);
        if (!fd)
            fd = asy_server_listen_on((const struct sockaddr *)&name, length, &server->options);
        if (fd < 0)
            return fd;
        opening->fds[opening->count++] = fd;
    }
    return 0;
}

static int send_listeners(asyncio_server *server, struct branch *branch)
{
    struct opening *opening = asy_sys_calloc(1, sizeof *opening + server->listener_count * sizeof(int));
    if (!opening)
        return -ENOMEM;
    opening->callback.kind = &opening_kind;
    opening->branch = branch;
    asy_spread_ref(branch->spread);
    int err = open_listeners(server, opening);
    /* A loop that has ended already needs none. */
    if (err || asy_post(branch->loop, &opening->callback))
        drop_opening(&opening->callback);
    return err;
}

int asy_spread_listen(asyncio_server *server)
{
    struct spread *spread = server->spread;
    int err = 0;
    if (!spread || spread->options.spread != SPREAD_BY_KERNEL)
        return 0;
    for (int i = 0; i < spread->count && !err; i++)
        if (spread->branches[i].loop != spread->home_loop)
            err = send_listeners(server, &spread->branches[i]);
    return err;
}

/* ---- Made ------------------------------------------------------------------------------------------- */

int asy_spread_check(const asyncio_server_options *options)
{
    const struct loop_place *here = asy_running_loop->place;
    if (options->spread < SPREAD_IDLEST || options->spread > SPREAD_BY_KERNEL)
        return (int)asyncio_raise(-EINVAL, "the option spread is 0, 1 or 2, not %d", options->spread);
    if (options->loops && !(here && here->loops == options->loops))
        return (int)asyncio_raise(-EINVAL, "the option loops has to be those that this loop is one of");
    return 0;
}
