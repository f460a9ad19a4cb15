/*
 * Parked connections: how a server ends them, limits, and loops that close over them.
 */
#include "net/parked_test.h"

#define CLIENTS 5

static void park_clients(asyncio_server *server, int clients[CLIENTS])
{
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = parked_client(server);
}

/* All see the same, and are closed. */
static void check_clients(const int clients[CLIENTS], ssize_t seen)
{
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQUAL(seen_by(clients[i]), seen);
        close(clients[i]);
    }
}

/* ---- The server ends them ------------------------------------------------------------------ */

ASYNC_TEST(close_clients)
{
    int clients[CLIENTS];
    asyncio_server *server = serve_parked(NULL);
    park_clients(server, clients);
    asyncio_server_close_clients(server);
    CHECK_EQUAL(server->client_count, 0);
    CHECK_EQUAL(drops, CLIENTS);
    CHECK_EQUAL(calls, CLIENTS); /* no handler is called for the end */
    check_clients(clients, 0);
    int again = parked_client(server); /* it serves on */
    close(again);
    finish(server);
    return 0;
}

ASYNC_TEST(abort_clients)
{
    int clients[CLIENTS];
    asyncio_server *server = serve_parked(NULL);
    park_clients(server, clients);
    asyncio_server_abort_clients(server);
    CHECK_EQUAL(server->client_count, 0);
    CHECK_EQUAL(drops, CLIENTS);
    check_clients(clients, -ECONNRESET);
    finish(server);
    return 0;
}

/* A parked client counts as one until the grace is over. */
ASYNC_TEST(grace)
{
    int clients[CLIENTS];
    asyncio_server *server = serve_parked(NULL);
    park_clients(server, clients);
    asyncio_server_close(server);
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_server_wait_closed(server, 0.05), 0);
    CHECK(asyncio_time() - began > 0.0499); /* a difference is rounded */
    CHECK_EQUAL(drops, CLIENTS);
    check_clients(clients, -ECONNRESET);
    asyncio_server_release(server);
    return 0;
}

ASYNC_TEST(no_grace)
{
    int clients[CLIENTS];
    asyncio_server *server = serve_parked(NULL);
    park_clients(server, clients);
    asyncio_task *closed = asyncio_create_task(wait_closed(server, ASYNCIO_FOREVER));
    asyncio_server_close(server);
    settle();
    CHECK(!asyncio_done(closed));
    peer_sends(clients[0], "served still\n");
    CHECK_EQUAL(seen_by(clients[0]), 13);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    CHECK_EQUAL(asyncio_await(closed), 0);
    CHECK_EQUAL(drops, CLIENTS);
    asyncio_server_release(server);
    return 0;
}

ASYNC_TEST(release)
{
    int clients[CLIENTS];
    asyncio_server *server = serve_parked(NULL);
    park_clients(server, clients);
    asyncio_server_release(server);
    CHECK_EQUAL(drops, CLIENTS);
    check_clients(clients, -ECONNRESET);
    return 0;
}

/* A handler that is cancelled, and parks all the same, is taken at its word no more. */
ASYNC(park_when_cancelled, asyncio_stream *, stream)
{
    (void)stream;
    calls++;
    cancelled += asyncio_sleep(100) == -ECANCELED;
    return ASYNCIO_PARK;
}

static asyncio_coro *stubborn_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return park_when_cancelled(stream);
}

ASYNC_TEST(parking_after_the_grace)
{
    forget_calls();
    asyncio_server *server = serve(stubborn_handler, NULL, NULL);
    int client = client_of(server);
    wait_for_count(&calls, 1);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 0.01), 0);
    CHECK_EQUAL(cancelled, 1);
    CHECK_EQUAL(seen_by(client), -ECONNRESET);
    close(client);
    asyncio_server_release(server);
    return 0;
}

/* A drop function ends another client, or the server itself. */
static asyncio_server *dropped_server;
static asyncio_stream *other_stream;

static void drop_more(void *data)
{
    drops++;
    if (data == &other_stream) {
        asyncio_stream *stream = other_stream;
        other_stream = NULL;
        asyncio_stream_abort(stream);
    } else {
        asyncio_server_release(dropped_server);
    }
}

static void drops_that_end_others(void (*end)(asyncio_server *server))
{
    int clients[CLIENTS];
    dropped_server = serve_parked(NULL);
    park_clients(dropped_server, clients);
    struct list *first = dropped_server->parked.next, *second = first->next, *third = second->next;
    other_stream = LIST_ENTRY(second, struct client, node)->stream;
    asyncio_stream_set_data(LIST_ENTRY(first, struct client, node)->stream, &other_stream, drop_more);
    asyncio_stream_set_data(LIST_ENTRY(third, struct client, node)->stream, &dropped_server, drop_more);
    forget_calls();
    end(dropped_server);
    CHECK_EQUAL(drops, CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
}

ASYNC_TEST(drops_that_end_more)
{
    drops_that_end_others(asyncio_server_close_clients);
    drops_that_end_others(asyncio_server_abort_clients);
    return 0;
}

/* ---- Limits -------------------------------------------------------------------------------- */

ASYNC_TEST(max_connections)
{
    asyncio_server_options options = {.max_connections = 1};
    asyncio_server *server = serve_parked(&options);
    int first = parked_client(server), second = client_of(server);
    peer_sends(second, "hello\n");
    asyncio_sleep(0.02);
    CHECK_EQUAL(calls, 1);
    close(first);
    CHECK_EQUAL(seen_by(second), 6);
    close(second);
    finish(server);
    return 0;
}

#define TIMEOUT_S 0.1

/* Idle for longer: closed, never early; input begins anew. */
ASYNC_TEST(park_timeout)
{
    asyncio_server_options options = {.park_timeout = TIMEOUT_S};
    asyncio_server *server = serve_parked(&options);
    int idle = parked_client(server), busy = parked_client(server);
    double began = asyncio_time(), latest = began;
    while (asyncio_time() - began < 3 * TIMEOUT_S) {
        latest = asyncio_time();
        peer_sends(busy, "x\n");
        if (seen_by(busy) != 2) /* a machine that was busy elsewhere for so long */
            break;
    }
    CHECK_EQUAL(seen_by(idle), 0);
    wait_for_count(&drops, 2);
    CHECK(asyncio_time() - latest >= TIMEOUT_S);
    CHECK_EQUAL(server->client_count, 0);
    CHECK_EQUAL(seen_by(busy), 0);
    CHECK_EQUAL(ended, 0); /* no handler was called for that */
    close(idle);
    close(busy);
    CHECK(!asy_heap_contains(&server->park_timer.node)); /* and nobody is woken without need */
    finish(server);
    return 0;
}

/* With a virtual clock it would be exact; with this one it comes in order, and is not early. */
ASYNC_TEST(many_park_timeouts)
{
    asyncio_server_options options = {.park_timeout = TIMEOUT_S};
    asyncio_server *server = serve_parked(&options);
    int clients[CLIENTS];
    double parked[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        parked[i] = asyncio_time(); /* it parks after this */
        clients[i] = parked_client(server);
        asyncio_sleep(TIMEOUT_S / 10);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        while (drops <= i)
            asyncio_sleep(0.001);
        CHECK(asyncio_time() - parked[i] >= TIMEOUT_S);
    }
    check_clients(clients, 0);
    finish(server);
    return 0;
}

/* The client does not read: it is cut off after the close timeout, and reported. */
ASYNC(write_much_and_park, asyncio_stream *, stream)
{
    char *block = calloc(1, MUCH);
    int err = asyncio_stream_write(stream, block, MUCH);
    free(block);
    return err ? err : ASYNCIO_PARK;
}

static asyncio_coro *much_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return write_much_and_park(stream);
}

ASYNC_TEST(timeout_with_output)
{
    intptr_t error;
    asyncio_server_options options = {.park_timeout = 0.02, .close_timeout = 0.1};
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_unix_server(much_handler, NULL, unix_name(), &options, &server), 0);
    int client = unix_client(unix_name());
    expect_reports(1);
    while (!report_count)
        asyncio_sleep(0.005);
    CHECK_EQUAL(reports[0].error, -ETIMEDOUT);
    CHECK_HAS(reports[0].message, "a client was cut off");
    settle();
    CHECK_EQUAL(server->client_count, 0);
    drain_to_end(client, &error);
    close(client);
    finish(server);
    return 0;
}

ASYNC_TEST(bad_timeouts)
{
    asyncio_server *server = NULL;
    asyncio_server_options options = {.park_timeout = __builtin_nan("")};
    CHECK_EQUAL(asyncio_start_server(answering, NULL, "127.0.0.1", 0, &options, &server), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "park_timeout");
    static const double never[] = {0, -1, ASYNCIO_FOREVER};
    for (int i = 0; i < 3; i++) {
        options.park_timeout = never[i];
        server = serve_parked(&options);
        int client = parked_client(server);
        settle();
        CHECK_EQUAL(parked_count(server), 1);
        CHECK(!asy_heap_contains(&server->park_timer.node));
        close(client);
        finish(server);
    }
    return 0;
}

/* ---- Loops that close ---------------------------------------------------------------------- */

static asyncio_server *left_open;
static int left_clients[CLIENTS];

ASYNC(leave_parked, bool, must_release)
{
    asyncio_server_options options = {.park_timeout = 100};
    left_open = serve_parked(&options);
    park_clients(left_open, left_clients);
    if (must_release) { /* with a request under way, and one that came and was not served yet */
        peer_sends(left_clients[0], "x");
        wait_for_count(&calls, CLIENTS + 1);
        peer_sends(left_clients[1], "x");
        while (parked_count(left_open) == CLIENTS - 1)
            asyncio_sleep(0);
    }
    return 0;
}

static void close_left_clients(void)
{
    char byte;
    for (int i = 0; i < CLIENTS; i++) {
        ssize_t n = recv(left_clients[i], &byte, 1, MSG_DONTWAIT);
        CHECK(n == 0 || (n < 0 && errno != EAGAIN));
        close(left_clients[i]);
    }
}

TEST(loop_closes)
{
    struct ledger before = ledger_now();
    int descriptors = count_descriptors();
    CHECK_EQUAL(asyncio_run(leave_parked(false)), 0);
    CHECK_EQUAL(drops, CLIENTS);
    CHECK_EQUAL(calls, CLIENTS);
    close_left_clients();
    asyncio_server_close(left_open);
    asyncio_server_release(left_open);
    CHECK_EQUAL(count_descriptors(), descriptors);
    CHECK(ledger_is(&before));
    harness_settle();
}

/* What a parked client sends while the program shuts down is nobody's business. */
ASYNC(clean_up_slowly, int, client)
{
    int err = asyncio_sleep(1000);
    send(client, "hello?\n", 7, MSG_NOSIGNAL);
    for (int i = 0; i < 10; i++)
        asyncio_sleep(0.001);
    return err;
}

ASYNC(leave_serving, bool, for_ever)
{
    left_open = serve_parked(NULL);
    park_clients(left_open, left_clients);
    if (for_ever)
        asyncio_release(asyncio_create_task(serve_forever(left_open)));
    asyncio_release(asyncio_create_task(clean_up_slowly(left_clients[0])));
    asyncio_sleep(0);
    return 0;
}

/* A task that serves for ever does not keep it up, either. */
TEST(shutdown_does_not_serve)
{
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        double began = asyncio_time();
        CHECK_EQUAL(asyncio_run(leave_serving(for_ever)), 0);
        CHECK(asyncio_time() - began < 5); /* the grace is 10 s */
        CHECK_EQUAL(drops, CLIENTS);
        CHECK_EQUAL(calls, CLIENTS);
        close_left_clients();
        asyncio_server_release(left_open);
    }
    harness_settle();
}

/* By hand, without a shutdown. Last in this program: the stacks of handlers that wait are abandoned. */
TEST(loop_closes_by_hand)
{
    int descriptors = count_descriptors();
    for (int released = 0; released < 2; released++) {
        asyncio_loop *loop = asyncio_loop_new(NULL);
        record_reports(loop);
        asyncio_task *task = asyncio_loop_create_task(loop, leave_parked(true));
        CHECK_EQUAL(asyncio_loop_run_until_complete(loop, &task->future), 0);
        if (released)
            asyncio_server_release(left_open);
        CHECK_EQUAL(asyncio_loop_close(loop), 0);
        asyncio_loop_release(loop);
        CHECK_EQUAL(drops, CLIENTS);
        close_left_clients();
        if (!released)
            asyncio_server_release(left_open);
        CHECK_EQUAL(count_descriptors(), descriptors);
    }
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
