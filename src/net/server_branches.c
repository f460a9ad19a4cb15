/*
 * Servers over several loops: how the home and the branches tell each other. See server_spread.h.
 *
 * An order reaches the clients that were sent before it, no matter in which order the two arrive: several
 * orders that are on their way at once become one post, which may overtake a client. So each client has a
 * number, and an order says up to which number it holds (server_spread.c: obey_late).
 */
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "core/post.h"
#include "fd/tls_hook.h"
#include "net/server_spread.h"
#include "sys/sys.h"
#include <errno.h>

/* ---- References ------------------------------------------------------------------------- */

void asy_spread_ref(struct spread *spread)
{
    atomic_fetch_add(&spread->refs, 1);
}

void asy_spread_unref(struct spread *spread)
{
    uint32_t refs = atomic_fetch_sub(&spread->refs, 1);
    ASY_ASSERT(refs > 0);
    if (refs > 1)
        return;
    for (int i = 0; i < spread->count; i++)
        asy_vars_drop(spread->branches[i].context);
    if (spread->options.tls)
        asy_tls_hooks()->unref(spread->options.tls);
    asy_sys_free(spread);
}

/* ---- News: from a branch to the home ---------------------------------------------------- */

static void send_order(struct branch *branch, enum spread_order order);

static void order_all(struct spread *spread, enum spread_order order)
{
    for (int i = 0; i < spread->count; i++)
        if (spread->branches[i].loop != spread->home_loop)
            send_order(&spread->branches[i], order);
}

/* On the home's thread: clients have ended. */
static void heed_news(struct spread *spread)
{
    asyncio_server *home = spread->home;
    if (!home)
        return;
    asy_server_watch(home);
    if (!home->is_closed && spread->options.spread == SPREAD_BY_KERNEL && home->options.max_connections > 0)
        order_all(spread, ORDER_WATCH);
    if (home->is_closed && !atomic_load(&spread->clients))
        asy_server_wake_waiters(home);
}

static void take_news(struct callback *callback)
{
    struct spread *spread = LIST_ENTRY(callback, struct spread, news);
    atomic_store(&spread->has_news, false);
    heed_news(spread);
    asy_spread_unref(spread);
}

static void drop_news(struct callback *callback)
{
    asy_spread_unref(LIST_ENTRY(callback, struct spread, news));
}

static const struct callback_kind news_kind = {take_news, drop_news};

static void send_branch_news(struct spread *spread)
{
    if (asy_running_loop == spread->home_loop) {
        heed_news(spread);
        return;
    }
    /* The home sets wants_news before it looks at `clients`, which changed before this look: one of the two
     * sees the other's store. */
    if (!atomic_load(&spread->wants_news) || atomic_exchange(&spread->has_news, true))
        return;
    asy_spread_ref(spread);
    if (asy_post(spread->home_loop, &spread->news))
        drop_news(&spread->news);
}

/* A client has ended, or was lost on its way to a loop. */
void asy_spread_uncount(struct spread *spread, asyncio_loop *loop)
{
    asy_loop_client_went(loop);
    uint32_t clients = atomic_fetch_sub(&spread->clients, 1);
    ASY_ASSERT(clients > 0);
    send_branch_news(spread);
}

void asy_spread_client_went(asyncio_server *server)
{
    asy_spread_uncount(server->spread, server->loop);
}

size_t asy_spread_client_count(const asyncio_server *server)
{
    return atomic_load(&server->spread->clients);
}

void asy_spread_want_news(asyncio_server *server)
{
    atomic_store(&server->spread->wants_news, true);
}

/* ---- A branch's server ---------------------------------------------------------------------- */

/* On the branch's thread. NULL: no memory. */
asyncio_server *asy_branch_open(struct branch *branch, int fd)
{
    struct spread *spread = branch->spread;
    ASY_ASSERT(!branch->has_left);
    if (branch->server)
        return branch->server;
    if (!asy_fd_record(branch->loop, fd)) /* so that the loop has a table, too */
        return NULL;
    asyncio_server *server = asy_server_alloc(branch->loop, spread->handler, spread->arg, &spread->options);
    if (!server)
        return NULL;
    server->factory = spread->factory;
    server->context = branch->context;
    branch->context = NULL;
    server->spread = spread;
    server->branch = branch;
    branch->server = server;
    asy_spread_ref(spread);
    asy_fd_own(branch->loop, &server->owner);
    return server;
}

/* The branch's server is freed, on its thread: it has left, or the loop has closed. */
static void forget_branch_server(struct branch *branch)
{
    branch->server = NULL;
    branch->has_left = true;
    asy_spread_unref(branch->spread);
}

/* The loop of a branch closes over its clients. */
void asy_branch_closes(asyncio_server *server)
{
    for (size_t left = server->client_count; left > 0; left--)
        asy_spread_uncount(server->spread, server->loop);
}

/* ---- Orders: from the home to a branch ------------------------------------------------------- */

static void obey_about_clients(asyncio_server *server, uint32_t orders)
{
    if (orders & ORDER_END)
        asy_server_end_clients(server, 0);
    if (orders & ORDER_ABORT)
        asy_server_end_clients(server, -ECONNABORTED);
    if (orders & ORDER_CANCEL)
        asy_server_cancel_handlers(server);
}

static void obey_orders(struct branch *branch, uint32_t orders)
{
    asyncio_server *server = branch->server;
    if (!server) {
        branch->has_left |= (orders & ORDER_LEAVE) != 0;
        return;
    }
    server->refs++;
    if (orders & (ORDER_CLOSE | ORDER_LEAVE))
        asy_server_close(server);
    obey_about_clients(server, orders);
    if (orders & ORDER_WATCH)
        asy_server_watch(server);
    if (orders & ORDER_LEAVE && !branch->has_left) {
        branch->has_left = true;
        asy_server_unref(server);
    }
    asy_server_unref(server);
}

static void take_orders(struct callback *callback)
{
    struct branch *branch = LIST_ENTRY(callback, struct branch, order);
    struct spread *spread = branch->spread;
    obey_orders(branch, atomic_exchange(&branch->orders, 0));
    asy_spread_unref(spread);
}

static void drop_orders(struct callback *callback)
{
    asy_spread_unref(LIST_ENTRY(callback, struct branch, order)->spread);
}

static const struct callback_kind order_kind = {take_orders, drop_orders};

static void send_order(struct branch *branch, enum spread_order order)
{
    for (int i = 0; i < ORDERS_OF_CLIENTS; i++)
        if (order == 1u << i)
            atomic_store(&branch->until[i], atomic_load(&branch->sent));
    if (atomic_fetch_or(&branch->orders, order))
        return;
    asy_spread_ref(branch->spread);
    if (asy_post(branch->loop, &branch->order)) /* it has closed, and its clients with it */
        drop_orders(&branch->order);
}

void asy_spread_order(asyncio_server *server, enum spread_order order)
{
    if (server->spread && !server->branch)
        order_all(server->spread, order);
}

/* The program has released the server, or its loop closes. */
void asy_spread_leave(asyncio_server *server)
{
    asy_spread_order(server, ORDER_CANCEL);
    asy_spread_order(server, ORDER_LEAVE);
}

void asy_spread_drop(asyncio_server *server)
{
    struct spread *spread = server->spread;
    server->spread = NULL;
    if (!spread)
        return;
    if (server->branch) {
        forget_branch_server(server->branch);
        return;
    }
    spread->home = NULL;
    asy_spread_unref(spread);
}

static void init_branch(struct spread *spread, int index)
{
    struct branch *branch = &spread->branches[index];
    *branch = (struct branch){
        .spread = spread, .loop = spread->options.loops->places[index].loop, .order.kind = &order_kind};
}

int asy_spread_make(asyncio_server *server)
{
    asyncio_loops *loops = server->options.loops;
    if (!loops || loops->count == 1)
        return 0;
    size_t count = (size_t)loops->count;
    struct spread *spread = asy_sys_alloc(sizeof *spread + count * sizeof(struct branch));
    if (!spread)
        return -ENOMEM;
    *spread = (struct spread){.refs = 1,
                              .wants_news = server->options.max_connections > 0,
                              .news.kind = &news_kind,
                              .home = server,
                              .home_loop = server->loop,
                              .handler = server->handler,
                              .arg = server->arg,
                              .options = server->options,
                              .count = loops->count};
    for (int i = 0; i < spread->count; i++)
        init_branch(spread, i);
    int err = 0;
    for (int i = 0; i < spread->count && !err; i++)
        err = asy_vars_export(&spread->branches[i].context);
    if (spread->options.tls)
        asy_tls_hooks()->ref(spread->options.tls);
    if (err) {
        asy_spread_unref(spread);
        return err;
    }
    server->spread = spread;
    return 0;
}
