/*
 * What the tests of servers over several loops share: a scene that runs on the first of several loops, while
 * the others lend themselves.
 */
#ifndef TESTS_NET_SPREAD_TEST_H
#define TESTS_NET_SPREAD_TEST_H

#include "net/server_test.h"
#include "threads/loops.h"
#include <sched.h>
#include <stdatomic.h>

static asyncio_loops *loops;
static _Atomic int served[8], going, over, stopped;
static _Atomic bool is_held, is_holding; /* a loop does nothing but wait for the first to be over */

ASYNC(stays)
{
    asyncio_sleep(ASYNCIO_FOREVER);
    return 0;
}

ASYNC(plays, asyncio_coro *, scene)
{
    intptr_t result = asyncio_await(scene);
    asyncio_loops_stop(loops);
    return result;
}

static asyncio_coro *make_scene(int index, asyncio_loops *all, void *arg)
{
    asyncio_coro *(*scene)(void) = (asyncio_coro * (*)(void)) arg;
    if (index == 0)
        loops = all;
    return index ? stays() : plays(scene());
}

static asyncio_server *left_servers[3]; /* released when all loops have ended */
static int left_clients[18];            /* closed then */

static void play(int count, asyncio_coro *(*scene)(void))
{
    const asyncio_loops_options options = {.count = count, .run.shutdown_grace = 30};
    struct ledger before = ledger_now();
    for (int i = 0; i < 8; i++)
        atomic_store(&served[i], 0);
    going = over = stopped = 0;
    CHECK_EQUAL(asyncio_run_loops(make_scene, (void *)scene, &options), 0);
    CHECK_EQUAL(going, 0);
    for (int i = 0; i < 3; i++) {
        asyncio_server_release(left_servers[i]);
        left_servers[i] = NULL;
    }
    for (int i = 0; i < 18; i++) {
        if (left_clients[i])
            close(left_clients[i]);
        left_clients[i] = 0;
    }
    CHECK(ledger_is(&before));
    harness_settle();
}

#define SCENE_OF(count, name)                                                                                \
    static asyncio_coro *scene_##name(void);                                                                 \
    TEST(name)                                                                                               \
    {                                                                                                        \
        play((count), scene_##name);                                                                         \
    }                                                                                                        \
    ASYNC(scene_##name)

/* ---- Clients -------------------------------------------------------------------------------- */

/* Connects, and says which loop serves. */
static inline int served_by(asyncio_server *server, asyncio_stream **stream)
{
    char name = 0;
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, stream), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(*stream, &name, 1), 1);
    return name - '0';
}

#define CLIENTS_MAX 64
static asyncio_stream *clients[CLIENTS_MAX];

static inline void connect_clients(asyncio_server *server, int count)
{
    for (int i = 0; i < count; i++)
        CHECK(served_by(server, &clients[i]) >= 0);
}

static inline void drop_clients(int count)
{
    for (int i = 0; i < count; i++)
        asyncio_stream_abort(clients[i]);
}

static inline void finish_all(asyncio_server *server)
{
    asyncio_server_close(server);
    asyncio_server_close_clients(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(going, 0);
    asyncio_server_release(server);
}

/* ---- A loop that is busy --------------------------------------------------------------------- */

static inline intptr_t hold_thread(void *arg)
{
    (void)arg;
    atomic_store(&is_holding, true);
    while (atomic_load(&is_held))
        sched_yield();
    return 0;
}

/* Returns when the loop is busy; it is until is_held is false. */
static inline asyncio_future *hold_loop(int index)
{
    is_holding = false;
    is_held = true;
    asyncio_future *held =
        asyncio_submit_to(asyncio_loops_get(loops, index), asyncio_coro_new(hold_thread, NULL, NULL));
    while (!is_holding)
        asyncio_sleep(0.001);
    return held;
}

#endif
