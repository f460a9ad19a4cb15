/*
 * Servers: every way to end, and loops that close.
 */
#include "net/server_test.h"
#include <math.h>

/* ---- The end ----------------------------------------------------------------------------- */

/* wait_closed waits until it is closed and the last client is gone, in any order of things. */
ASYNC_TEST(behaviour_56_orders)
{
    enum { CLOSE, WAIT, LEAVE };
    static const int orders[][3] = {{CLOSE, WAIT, LEAVE}, {CLOSE, LEAVE, WAIT}, {WAIT, CLOSE, LEAVE},
                                    {WAIT, LEAVE, CLOSE}, {LEAVE, CLOSE, WAIT}, {LEAVE, WAIT, CLOSE}};
    for (int i = 0; i < 6; i++) {
        asyncio_server *server = serve(echo_handler, NULL, NULL);
        int client = client_of(server);
        asyncio_task *waiters[2] = {NULL, NULL};
        bool closed = false, left = false;
        wait_for_count(&begun, 1);
        for (int step = 0; step < 3; step++) {
            if (orders[i][step] == CLOSE) {
                asyncio_server_close(server);
                asyncio_server_close(server);
                closed = true;
                CHECK_EQUAL(asyncio_server_port(server), -EINVAL);
                CHECK_EQUAL(asyncio_server_fds(server, NULL, 0), 0);
            } else if (orders[i][step] == WAIT) {
                waiters[0] = asyncio_create_task(wait_closed(server, ASYNCIO_FOREVER));
                waiters[1] = asyncio_create_task(wait_closed(server, ASYNCIO_FOREVER));
            } else {
                if (!left) { /* served on, whether it listens or not */
                    peer_sends(client, "hello\n");
                    CHECK_EQUAL(seen_by(client), 6);
                }
                close(client);
                left = true;
                wait_for_count(&ended, 1);
            }
            settle();
            if (waiters[0])
                CHECK_EQUAL(asyncio_done(waiters[0]), closed && left);
        }
        CHECK_EQUAL(asyncio_await(waiters[0]), 0);
        CHECK_EQUAL(asyncio_await(waiters[1]), 0);
        CHECK_EQUAL(asyncio_server_wait_closed(server, ASYNCIO_FOREVER), 0);
        asyncio_server_release(server);
    }
    return 0;
}

/* Handlers that do not end in time are cancelled; one that takes its time over that is waited for. */
ASYNC(stubborn, asyncio_stream *, stream)
{
    char byte;
    begun++;
    intptr_t result = asyncio_stream_read(stream, &byte, 1);
    cancelled += result == -ECANCELED;
    asyncio_sleep(0.01);
    ended++;
    return result;
}

static asyncio_coro *stubborn_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return stubborn(stream);
}

ASYNC_TEST(behaviour_56_grace)
{
    static const double graces[] = {0, -1, 0.02};
    for (int i = 0; i < 3; i++) {
        asyncio_server *server = serve(stubborn_handler, NULL, NULL);
        int clients[3];
        for (int k = 0; k < 3; k++)
            clients[k] = client_of(server);
        wait_for_count(&begun, 3);
        asyncio_server_close(server);
        double start = asyncio_time();
        CHECK_EQUAL(asyncio_server_wait_closed(server, graces[i]), 0);
        double took = asyncio_time() - start;
        CHECK(took >= 0.01 + (graces[i] > 0 ? graces[i] : 0));
        CHECK_EQUAL(cancelled, 3);
        CHECK_EQUAL(ended, 3);
        for (int k = 0; k < 3; k++) {
            CHECK_EQUAL(seen_by(clients[k]), -ECONNRESET);
            close(clients[k]);
        }
        asyncio_server_release(server);
    }
    /* In time: nobody is cancelled. A wait that is cancelled leaves all as it is. */
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    int client = client_of(server);
    wait_for_count(&begun, 1);
    CHECK_EQUAL(asyncio_wait_for(wait_closed(server, ASYNCIO_FOREVER), 0.001), -ETIMEDOUT);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_wait_for(wait_closed(server, 0.05), 0.001), -ETIMEDOUT);
    asyncio_task *waiter = asyncio_create_task(wait_closed(server, 5));
    settle();
    close(client);
    CHECK_EQUAL(asyncio_await(waiter), 0);
    CHECK_EQUAL(cancelled, 0);
    CHECK_EQUAL(asyncio_server_wait_closed(server, NAN), -EINVAL);
    asyncio_server_release(server);
    return 0;
}

ASYNC_TEST(serve_forever)
{
    for (int closed = 0; closed < 2; closed++) {
        asyncio_server *server = serve(echo_handler, NULL, NULL);
        int client = client_of(server);
        asyncio_task *forever = asyncio_create_task(serve_forever(server));
        wait_for_count(&begun, 1);
        CHECK_EQUAL(asyncio_server_serve_forever(server), ASYNCIO_ESTATE);
        if (closed)
            asyncio_server_close(server);
        else
            asyncio_cancel(forever);
        settle();
        CHECK(!asyncio_done(forever)); /* it waits for the client */
        CHECK_EQUAL(asyncio_server_port(server), -EINVAL);
        peer_sends(client, "hello\n");
        CHECK_EQUAL(seen_by(client), 6);
        close(client);
        CHECK_EQUAL(asyncio_await(forever), -ECANCELED);
        CHECK_EQUAL(asyncio_server_serve_forever(server), ASYNCIO_ESTATE);
        asyncio_server_release(server);
    }
    return 0;
}

/* As if the peers had stopped sending: what came is read, then the end; what was written is flushed. */
ASYNC_TEST(close_clients)
{
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    int idle = client_of(server), busy = client_of(server);
    wait_for_count(&begun, 2);
    peer_sends(busy, "hello\nlast");
    settle();
    asyncio_server_close(server);
    asyncio_server_close_clients(server);
    asyncio_server_close_clients(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(seen_by(idle), 0);
    CHECK_EQUAL(seen_by(busy), 10);
    CHECK_EQUAL(cancelled, 0);
    close(idle);
    close(busy);
    asyncio_server_release(server);
    return 0;
}

/* All fails with -ECONNABORTED: a reader, a writer; a line in use stays where it is. */
ASYNC(uses_line, asyncio_stream *, stream, intptr_t *, results)
{
    static char block[MUCH];
    char *line, buf[16];
    begun++;
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 6);
    asyncio_task *reader = asyncio_create_task(read_some(stream, buf, sizeof buf));
    int err = asyncio_stream_write(stream, block, sizeof block);
    if (!err)
        err = asyncio_stream_write(stream, block, sizeof block);
    results[0] = err;
    results[1] = asyncio_await(reader);
    results[2] = asyncio_stream_read(stream, buf, sizeof buf);
    results[3] = asyncio_stream_close(stream);
    return err;
}

static bool aborted;

ASYNC(keeps_line, asyncio_stream *, stream, intptr_t *, results)
{
    char *line;
    begun++;
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 6);
    while (!aborted)
        asyncio_sleep(0.001);
    CHECK_TEXT(line, "hello\n");
    CHECK_EQUAL(asyncio_stream_buffered(stream), 0); /* what nobody has read is dropped */
    results[0] = asyncio_stream_write(stream, line, 6);
    results[1] = results[2] = asyncio_stream_readline(stream, &line);
    results[3] = asyncio_stream_close(stream);
    return results[0];
}

static bool keeps;

static asyncio_coro *aborted_handler(asyncio_stream *stream, void *arg)
{
    return keeps ? keeps_line(stream, arg) : uses_line(stream, arg);
}

ASYNC_TEST(abort_clients)
{
    expect_reports(2);
    for (int i = 0; i < 2; i++) {
        intptr_t results[4] = {0, 0, 0, 0}, error;
        keeps = i;
        aborted = false;
        asyncio_server *server = serve_unix(aborted_handler, results);
        int client = unix_client(unix_name());
        peer_sends(client, i ? "hello\nmore\n" : "hello\n");
        wait_for_count(&begun, 1);
        settle();
        asyncio_server_abort_clients(server);
        aborted = true;
        finish(server);
        for (int k = 0; k < 4; k++)
            CHECK_EQUAL(results[k], -ECONNABORTED);
        drain_to_end(client, &error);
        close(client);
    }
    return 0;
}

/* Released with clients: they are cancelled, and the loop does the rest; a waiter gets his answer. */
ASYNC(main_release)
{
    asyncio_server *server = serve(stubborn_handler, NULL, NULL);
    int client = client_of(server);
    wait_for_count(&begun, 1);
    asyncio_task *waiter = asyncio_create_task(wait_closed(server, ASYNCIO_FOREVER));
    settle();
    asyncio_server_release(server);
    asyncio_server_release(NULL);
    CHECK_EQUAL(asyncio_await(waiter), 0);
    CHECK_EQUAL(cancelled, 1);
    CHECK_EQUAL(ended, 1);
    CHECK_EQUAL(seen_by(client), -ECONNRESET);
    close(client);
    /* With clients that have not begun. */
    server = serve(stubborn_handler, NULL, NULL);
    client = client_of(server);
    asyncio_server_release(server);
    CHECK(seen_by(client) == -ECONNRESET);
    close(client);
    return 0;
}
TEST_OF(main_release)

/* ---- The loop closes --------------------------------------------------------------------- */

static asyncio_server *left_open;
static int left_clients[3];

/* Two clients with handlers that wait, one that has only just connected. */
ASYNC(leave_open, asyncio_client_handler, handler)
{
    left_open = serve(handler, NULL, NULL);
    for (int i = 0; i < 2; i++)
        left_clients[i] = client_of(left_open);
    wait_for_count(&begun, 2);
    left_clients[2] = client_of(left_open);
    return 0;
}

static void close_left(int descriptors, const struct ledger *before, bool stacks)
{
    CHECK_EQUAL(count_descriptors(), descriptors + 3); /* the clients */
    for (int i = 0; i < 3; i++)
        close(left_clients[i]);
    asyncio_server_close(left_open);
    asyncio_server_release(left_open);
    CHECK_EQUAL(count_descriptors(), descriptors);
    if (!stacks)
        CHECK(ledger_is(before));
}

TEST(loop_closes)
{
    struct ledger before = ledger_now();
    int descriptors = count_descriptors();
    /* By asyncio_run: handlers are cancelled first. */
    CHECK_EQUAL(asyncio_run(leave_open(echo_handler)), 0);
    CHECK_EQUAL(cancelled, 2);
    close_left(descriptors, &before, false);
    /* Released before: nothing is left to do. */
    CHECK_EQUAL(asyncio_run(main_release()), 0);
    CHECK(ledger_is(&before));
    harness_settle();
}

/* By hand, without a shutdown: handlers never run again, and neither does one that never began. Last in this
 * program: their stacks are abandoned. */
TEST(loop_closes_by_hand)
{
    int descriptors = count_descriptors();
    for (int released = 0; released < 2; released++) {
        asyncio_loop *loop = asyncio_loop_new(NULL);
        record_reports(loop);
        asyncio_task *task = asyncio_loop_create_task(loop, leave_open(echo_handler));
        CHECK_EQUAL(asyncio_loop_run_until_complete(loop, &task->future), 0);
        /* The third client is accepted, and its task not begun. */
        asyncio_loop_run_once(loop, 0);
        if (released) {
            asyncio_server_release(left_open);
            left_open = NULL;
        }
        CHECK_EQUAL(asyncio_loop_close(loop), 0);
        asyncio_loop_release(loop);
        close_left(descriptors, NULL, true);
        CHECK(report_count >= 2);
    }
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
