/*
 * Servers over several loops: who serves whom, the ends of all clients, loops that end before the server,
 * limits, and orders that overtake a client on its way.
 */
#include "net/server_spread.h"
#include "net/spread_test.h"
#include "sys/sys.h"
#include <sys/resource.h>

/* ---- A server -------------------------------------------------------------------------------- */

/* Says which loop serves, then waits for the end. */
ASYNC(tells_loop, asyncio_stream *, stream)
{
    char byte, name = (char)('0' + asyncio_loops_index());
    atomic_fetch_add(&going, 1);
    atomic_fetch_add(&served[asyncio_loops_index()], 1);
    intptr_t result = asyncio_stream_write(stream, &name, 1);
    while (result >= 0 && (result = asyncio_stream_read(stream, &byte, 1)) > 0)
        result = asyncio_stream_write(stream, &byte, 1);
    atomic_fetch_sub(&going, 1);
    atomic_fetch_add(&over, 1);
    atomic_fetch_add(&stopped, result == -ECANCELED);
    return result == -ECONNABORTED ? -EPIPE : result; /* which is not reported */
}

static asyncio_coro *telling_handler(asyncio_stream *stream, void *arg)
{
    CHECK(arg == served);
    return tells_loop(stream);
}

static asyncio_server *begin(asyncio_server_options options)
{
    asyncio_server *server = NULL;
    options.loops = loops;
    CHECK_EQUAL(asyncio_start_server(telling_handler, served, "127.0.0.1", 0, &options, &server), 0);
    return server;
}

/* ---- Shares ---------------------------------------------------------------------------------- */

static void check_fair(int spread)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = spread});
    connect_clients(server, 64);
    for (int i = 0; i < 8; i++)
        CHECK_EQUAL(served[i], 8);
    drop_clients(64);
    finish_all(server);
}

SCENE_OF(8, the_least_busy_has_its_fair_share)
{
    check_fair(0);
    return 0;
}

SCENE_OF(8, in_turn_each_has_its_fair_share)
{
    check_fair(1);
    return 0;
}

SCENE_OF(4, by_the_kernel_all_are_served)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = 2});
    connect_clients(server, 64);
    CHECK_EQUAL(served[0] + served[1] + served[2] + served[3], 64);
    drop_clients(64);
    finish_all(server);
    return 0;
}

/* Clients that leave make room: the next ones go where they were. */
SCENE_OF(4, load_follows_the_clients)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = 0});
    connect_clients(server, 16);
    for (int i = 0; i < 16; i++)
        asyncio_stream_abort(clients[i]);
    while (going)
        asyncio_sleep(0.001);
    connect_clients(server, 16);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(served[i], 8);
    drop_clients(16);
    finish_all(server);
    return 0;
}

SCENE_OF(1, one_loop_is_all)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = 0});
    connect_clients(server, 3);
    drop_clients(3);
    finish_all(server);
    return 0;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void check_ends(int spread)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = spread});
    char byte;
    connect_clients(server, 12);
    asyncio_server_close(server);
    CHECK_EQUAL(going, 12);
    asyncio_server_close_clients(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(going, 0);
    CHECK_EQUAL(over, 12);
    for (int i = 0; i < 12; i++)
        CHECK_EQUAL(asyncio_stream_read(clients[i], &byte, 1), 0);
    drop_clients(12);
    asyncio_server_release(server);
}

SCENE_OF(3, the_clients_of_all_loops_end)
{
    for (int spread = 0; spread < 3; spread++) {
        over = 0;
        check_ends(spread);
    }
    return 0;
}

/* Handlers that do not heed the end are cancelled after the grace, on all loops. */
static void check_grace(int spread, double grace)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = spread});
    connect_clients(server, 9);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, grace), 0);
    CHECK_EQUAL(going, 0);
    CHECK_EQUAL(stopped, 9);
    drop_clients(9);
    asyncio_server_release(server);
}

SCENE_OF(3, after_the_grace_all_are_cancelled)
{
    for (int spread = 0; spread < 3; spread++) {
        stopped = 0;
        check_grace(spread, spread ? 0.005 : 0);
    }
    return 0;
}

SCENE_OF(3, all_are_aborted)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = 1});
    char byte;
    connect_clients(server, 9);
    asyncio_server_abort_clients(server);
    for (int i = 0; i < 9; i++)
        CHECK(asyncio_stream_read(clients[i], &byte, 1) <= 0);
    drop_clients(9);
    finish_all(server);
    return 0;
}

SCENE_OF(3, released_with_clients)
{
    for (int spread = 0; spread < 3; spread++) {
        asyncio_server *server = begin((asyncio_server_options){.spread = spread});
        connect_clients(server, 9);
        asyncio_server_release(server);
        while (going)
            asyncio_sleep(0.001);
        drop_clients(9);
    }
    return 0;
}

/* The run ends, and nobody has closed the servers, or the clients. */
SCENE_OF(3, left_to_the_end_of_the_run)
{
    for (int spread = 0; spread < 3; spread++) {
        left_servers[spread] = begin((asyncio_server_options){.spread = spread});
        for (int i = 0; i < 6; i++)
            left_clients[spread * 6 + i] = client_of(left_servers[spread]);
    }
    while (going < 18)
        asyncio_sleep(0.001);
    return 0;
}

/* ---- Parked ---------------------------------------------------------------------------------- */

/* Answers one byte by the name of its loop, and parks there. */
ASYNC(answers_and_parks, asyncio_stream *, stream)
{
    char byte, name = (char)('0' + asyncio_loops_index());
    ssize_t n = asyncio_stream_read(stream, &byte, 1);
    int err = n > 0 ? asyncio_stream_write(stream, &name, 1) : 0;
    return n <= 0 ? n : err ? err : ASYNCIO_PARK;
}

static void count_parked_end(void *data)
{
    atomic_fetch_add((_Atomic int *)data, 1);
}

static asyncio_coro *parking_handler(asyncio_stream *stream, void *arg)
{
    asyncio_stream_set_data(stream, arg, count_parked_end);
    return answers_and_parks(stream);
}

static asyncio_server *begin_parked(int spread, double park_timeout)
{
    asyncio_server_options options = {.spread = spread, .park_timeout = park_timeout, .loops = loops};
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_server(parking_handler, &over, "127.0.0.1", 0, &options, &server), 0);
    return server;
}

static char ask_parked(asyncio_stream *stream)
{
    char name = 0;
    CHECK_EQUAL(asyncio_stream_write(stream, "?", 1), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, &name, 1), 1);
    return name;
}

/* Each stays on its loop, however often it asks. */
static void connect_parked(asyncio_server *server, int count)
{
    char names[CLIENTS_MAX];
    for (int i = 0; i < count; i++) {
        CHECK_EQUAL(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &clients[i]), 0);
        names[i] = ask_parked(clients[i]);
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < count; i++)
            CHECK_EQUAL(ask_parked(clients[i]), names[i]);
}

static void check_parked_are_gone(int count, bool is_well)
{
    char byte;
    for (int i = 0; i < count; i++) {
        ssize_t n = asyncio_stream_read(clients[i], &byte, 1);
        CHECK(is_well ? n == 0 : n <= 0);
    }
    while (over < count)
        asyncio_sleep(0.001);
    CHECK_EQUAL(over, count);
    drop_clients(count);
}

SCENE_OF(3, the_parked_clients_of_all_loops_are_closed)
{
    for (int spread = 0; spread < 3; spread++) {
        over = 0;
        asyncio_server *server = begin_parked(spread, 0);
        connect_parked(server, 12);
        finish_all(server);
        check_parked_are_gone(12, true);
    }
    return 0;
}

SCENE_OF(3, released_with_parked_clients)
{
    asyncio_server *server = begin_parked(1, 0);
    connect_parked(server, 9);
    asyncio_server_release(server);
    check_parked_are_gone(9, false);
    return 0;
}

SCENE_OF(3, parked_clients_are_aborted_after_the_grace)
{
    asyncio_server *server = begin_parked(1, 0);
    connect_parked(server, 9);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 0), 0);
    CHECK_EQUAL(over, 9);
    check_parked_are_gone(9, false);
    asyncio_server_release(server);
    return 0;
}

/* Each loop has a timer for its own. */
SCENE_OF(3, parked_clients_of_all_loops_are_idle_for_too_long)
{
    asyncio_server *server = begin_parked(1, 0.05);
    for (int i = 0; i < 9; i++)
        CHECK_EQUAL(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &clients[i]), 0);
    for (int i = 0; i < 9; i++)
        ask_parked(clients[i]);
    check_parked_are_gone(9, true);
    finish_all(server);
    return 0;
}

/* The run ends, and nobody has closed the server. */
SCENE_OF(3, parked_clients_left_to_the_end_of_the_run)
{
    left_servers[0] = begin_parked(1, 10);
    connect_parked(left_servers[0], 9);
    for (int i = 0; i < 9; i++)
        left_clients[i] = dup(asyncio_stream_fd(clients[i]));
    drop_clients(9);
    return 0;
}

/* ---- Limits ---------------------------------------------------------------------------------- */

ASYNC(comes_and_goes, asyncio_server *, server, int *, most)
{
    asyncio_stream *stream;
    CHECK(served_by(server, &stream) >= 0);
    *most = going > *most ? going : *most;
    asyncio_sleep(0.001);
    return asyncio_stream_close(stream);
}

static void check_limit(int spread)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = spread, .max_connections = 3});
    asyncio_task *tasks[20];
    int most = 0;
    for (int i = 0; i < 20; i++)
        tasks[i] = asyncio_create_task(comes_and_goes(server, &most));
    CHECK_EQUAL(asyncio_gather_array(NULL, tasks, 20), 0);
    CHECK(most <= 3);
    finish_all(server);
}

SCENE_OF(3, a_limit_for_all_loops_together)
{
    check_limit(0);
    check_limit(1);
    return 0;
}

/* No descriptor is left when a connection is to be taken: that is told, and later it is served. */
SCENE_OF(2, without_descriptors)
{
    static struct net_shortage shortage;
    asyncio_stream *stream;
    net_prepare_shortage(&shortage);
    asyncio_server *server = begin((asyncio_server_options){.spread = 1});
    connect_clients(server, 2);
    int fd = client_of(server);
    record_reports(asyncio_get_running_loop());
    net_begin_shortage(&shortage);
    while (!report_count)
        asyncio_sleep(0.001);
    CHECK_HAS(reports[0].message, "is paused for a second");
    net_end_shortage(&shortage);
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), NULL, NULL);
    CHECK(served_by(server, &stream) >= 0);
    asyncio_stream_abort(stream);
    close(fd);
    drop_clients(2);
    finish_all(server);
    return 0;
}

/* ---- Loops that end before the server -------------------------------------------------------- */

/* As asyncio_loops_idlest sees it. */
static void wait_until_gone(int index)
{
    while (!atomic_load(&asyncio_loops_get(loops, index)->load.is_ending))
        asyncio_sleep(0.001);
}

static intptr_t end_main(void *arg)
{
    (void)arg;
    return asyncio_cancel(asyncio_get_running_loop()->main);
}

static void check_loop_that_ends(int spread)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = spread});
    connect_clients(server, 6);
    asyncio_await_on(asyncio_loops_get(loops, 1), asyncio_coro_new(end_main, NULL, NULL));
    wait_until_gone(1);
    int before = served[1];
    asyncio_stream *stream;
    for (int i = 0; i < 12; i++) {
        CHECK(served_by(server, &stream) != 1);
        asyncio_stream_abort(stream);
    }
    CHECK_EQUAL(served[1], before);
    drop_clients(6);
    finish_all(server);
}

SCENE_OF(3, a_loop_that_ends_takes_no_more)
{
    check_loop_that_ends(0);
    return 0;
}

SCENE_OF(3, a_loop_that_ends_takes_no_more_in_turn)
{
    check_loop_that_ends(1);
    return 0;
}

SCENE_OF(3, a_loop_that_ends_listens_no_more)
{
    check_loop_that_ends(2);
    return 0;
}

/* ---- Orders that overtake a client ----------------------------------------------------------- */

ASYNC(waits_for_end, asyncio_server *, server)
{
    return asyncio_server_wait_closed(server, 0);
}

/* Loop 1 is busy while a client is on its way there, between two orders that become one post. */
SCENE_OF(2, an_order_that_overtakes_a_client)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = 1});
    connect_clients(server, 2);
    asyncio_future *held = hold_loop(1);
    asyncio_server_close_clients(server); /* on its way to loop 1 */
    int fd[2] = {client_of(server), client_of(server)};
    while (served[0] < 2)
        asyncio_sleep(0.001);
    asyncio_server_close(server);
    asyncio_task *waits = asyncio_create_task(waits_for_end(server));
    while (going > 2) /* all of loop 0 have been cancelled */
        asyncio_sleep(0.001);
    atomic_store(&is_held, false);
    CHECK_EQUAL(asyncio_await(waits), 0);
    CHECK_EQUAL(going, 0);
    CHECK_EQUAL(asyncio_await(held), 0);
    close(fd[0]);
    close(fd[1]);
    drop_clients(2);
    asyncio_server_release(server);
    return 0;
}

/* Loop 1 is busy, with a client of its own, while another one is on its way there; then the server goes. */
SCENE_OF(2, released_with_a_client_on_its_way)
{
    asyncio_server *server = begin((asyncio_server_options){.spread = 1});
    connect_clients(server, 2);
    asyncio_future *held = hold_loop(1);
    asyncio_server_close_clients(server); /* on its way to loop 1 */
    while (going > 1)
        asyncio_sleep(0.001);
    int fds[2] = {client_of(server), client_of(server)};
    while (served[0] < 2)
        asyncio_sleep(0.001);
    while (asy_spread_client_count(server) < 3)
        asyncio_sleep(0.001);
    asyncio_server_release(server);
    atomic_store(&is_held, false);
    CHECK_EQUAL(asyncio_await(held), 0);
    while (going)
        asyncio_sleep(0.001);
    CHECK_EQUAL(served[1], 1);
    close(fds[0]);
    close(fds[1]);
    drop_clients(2);
    return 0;
}

/* ---- Refused --------------------------------------------------------------------------------- */

static int start_with(asyncio_server_options options)
{
    asyncio_server *server;
    return asyncio_start_server(telling_handler, served, "127.0.0.1", 0, &options, &server);
}

SCENE_OF(2, options_that_cannot_be_met)
{
    struct sockaddr_in address;
    asyncio_server *server;
    asyncio_server_options by_kernel = {.loops = loops, .spread = 2};
    CHECK_EQUAL(start_with((asyncio_server_options){.loops = loops, .spread = 3}), -EINVAL);
    CHECK_EQUAL(start_with((asyncio_server_options){.loops = loops, .spread = -1}), -EINVAL);
    CHECK_EQUAL(asyncio_start_unix_server(telling_handler, NULL, unix_name(), &by_kernel, &server), -EINVAL);
    int fd = net_listen(&address, 5);
    CHECK_EQUAL(asyncio_start_server_on(fd, telling_handler, NULL, &by_kernel, &server), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "the kernel spreads");
    close(fd);
    return 0;
}

ASYNC_TEST(loops_of_others)
{
    static char none[4096] __attribute__((aligned(64)));
    CHECK_EQUAL(start_with((asyncio_server_options){.loops = (asyncio_loops *)(void *)none}), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "this loop is one of");
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
