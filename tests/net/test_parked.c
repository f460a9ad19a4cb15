/*
 * Parked connections: served by one call of the handler after the other, without a task in between.
 */
#include "net/parked_test.h"

/* ---- Input ------------------------------------------------------------------------------- */

ASYNC_TEST(requests)
{
    asyncio_server *server = serve_parked(NULL);
    int client = client_of(server);
    for (unsigned i = 1; i <= 5; i++) {
        peer_sends(client, "hello\n");
        CHECK_EQUAL(seen_by(client), 6);
        wait_for_parked(server, 1);
        asyncio_task *tasks[4];
        CHECK_EQUAL(asyncio_all_tasks(tasks, 4), 1); /* this one */
        CHECK_EQUAL(calls, i);
        CHECK_EQUAL(server->client_count, 1);
    }
    asyncio_stream *stream = first_parked_stream(server);
    CHECK(!stream->in.data && !stream->out.data && !stream->wire.data);
    CHECK_EQUAL(drops, 0);
    close(client);
    wait_for_count(&ended, 1);
    settle();
    CHECK_EQUAL(calls, 6); /* the last saw the end */
    CHECK_EQUAL(drops, 1);
    CHECK_EQUAL(server->client_count, 0);
    finish(server);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* What a call leaves unread is the next call's, in the next turn. The byte behind the line comes back. */
ASYNC(main_unread, bool, is_unix)
{
    forget_calls();
    asyncio_server *server = is_unix ? serve_unix(answering, NULL) : serve_parked(NULL);
    int client = is_unix ? unix_client(unix_name()) : client_of(server);
    char buf[64] = "";
    peer_sends(client, "ab\ncd\nef\ngh\n");
    wait_for_count(&calls, 4);
    wait_for_parked(server, 1);
    CHECK_EQUAL(recv(client, buf, sizeof buf, MSG_DONTWAIT), 12);
    CHECK_TEXT(buf, "ab\ncd\nef\ngh\n");
    peer_sends(client, "ij"); /* the next call waits for its line itself */
    wait_for_count(&calls, 5);
    peer_sends(client, "\n");
    CHECK_EQUAL(seen_by(client), 3);
    shutdown(client, SHUT_WR);
    wait_for_count(&ended, 1);
    CHECK_EQUAL(seen_by(client), 0);
    close(client);
    finish(server);
    return 0;
}

ASYNC_TEST(unread)
{
    asyncio_await(main_unread(false));
    return asyncio_await(main_unread(true));
}

/* Reads 4 bytes at a time, exactly: such a read does not say whether more has come. Before it parks, the peer
 * sends the next ones, or nothing. */
static int own_client;

ASYNC(four_bytes, asyncio_stream *, stream, unsigned, rounds)
{
    char buf[4];
    ssize_t n = asyncio_stream_readexactly(stream, buf, sizeof buf);
    if (n <= 0)
        return 0;
    if (++calls < rounds)
        peer_sends(own_client, "next");
    return ASYNCIO_PARK;
}

static asyncio_coro *four_bytes_handler(asyncio_stream *stream, void *arg)
{
    return four_bytes(stream, *(unsigned *)arg);
}

ASYNC_TEST(input_amid_parking)
{
    unsigned rounds = 20;
    for (int is_unix = 0; is_unix < 2; is_unix++) {
        forget_calls();
        asyncio_server *server =
            is_unix ? serve_unix(four_bytes_handler, &rounds) : serve(four_bytes_handler, &rounds, NULL);
        own_client = is_unix ? unix_client(unix_name()) : client_of(server);
        peer_sends(own_client, "next");
        wait_for_count(&calls, rounds);
        wait_for_parked(server, 1);
        double cpu = cpu_time();
        asyncio_sleep(0.1); /* no news: nobody is called */
        CHECK_EQUAL(calls, rounds);
        CHECK(is_slow_build() || cpu_time() - cpu < 0.05);
        peer_sends(own_client, "next");
        wait_for_count(&calls, rounds + 1);
        close(own_client);
        finish(server);
    }
    return 0;
}

/* ---- Ends -------------------------------------------------------------------------------- */

static ssize_t latest_read;

/* Parks at once; the next call notes what a read gives. */
ASYNC(note_read, asyncio_stream *, stream)
{
    char byte;
    if (calls++ == 0)
        return ASYNCIO_PARK;
    latest_read = asyncio_stream_read(stream, &byte, 1);
    ended++;
    return latest_read < 0 ? latest_read : 0;
}

static asyncio_coro *noting_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return note_read(stream);
}

ASYNC_TEST(the_peer_leaves)
{
    for (int resets = 0; resets < 2; resets++) {
        forget_calls();
        asyncio_server *server = serve(noting_handler, NULL, NULL);
        int client = client_of(server);
        wait_for_parked(server, 1);
        if (resets)
            peer_resets(client);
        else
            close(client);
        wait_for_count(&ended, 1);
        CHECK_EQUAL(calls, 2);
        CHECK_EQUAL(latest_read, resets ? -ECONNRESET : 0);
        settle();
        CHECK_EQUAL(server->client_count, 0);
        finish(server);
    }
    return 0;
}

/* It left before the handler parked. */
ASYNC(park_late, asyncio_stream *, stream)
{
    if (calls++)
        return asyncio_await(note_read(stream));
    peer_resets(own_client);
    asyncio_sleep(0.01);
    return ASYNCIO_PARK;
}

static asyncio_coro *late_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return park_late(stream);
}

ASYNC_TEST(the_peer_has_left)
{
    forget_calls();
    asyncio_server *server = serve(late_handler, NULL, NULL);
    own_client = client_of(server);
    wait_for_count(&ended, 1);
    CHECK_EQUAL(latest_read, -ECONNRESET);
    finish(server);
    return 0;
}

/* ---- Output ------------------------------------------------------------------------------ */

/* Queues much, and parks: the client reads it all, and asks again meanwhile. */
ASYNC(write_and_park, asyncio_stream *, stream)
{
    char byte;
    if (calls++ && asyncio_stream_read(stream, &byte, 1) <= 0)
        return 0;
    char *block = calloc(1, MUCH);
    int err = asyncio_stream_write(stream, block, MUCH);
    free(block);
    return err ? err : ASYNCIO_PARK;
}

static asyncio_coro *writing_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return write_and_park(stream);
}

ASYNC_TEST(output_goes_on)
{
    intptr_t error;
    forget_calls();
    asyncio_server *server = serve_unix(writing_handler, NULL);
    int client = unix_client(unix_name());
    wait_for_parked(server, 1);
    peer_sends(client, "x");
    wait_for_count(&calls, 2); /* its write waits for room */
    shutdown(client, SHUT_WR); /* the third call sees the end, and writes no more */
    CHECK_EQUAL(drain_to_end(client, &error), 2 * MUCH);
    CHECK_EQUAL(error, 0);
    CHECK_EQUAL(calls, 3);
    close(client);
    finish(server);
    return 0;
}

/* What is queued is sent before a parked client is closed. */
ASYNC_TEST(close_clients_sends_first)
{
    intptr_t error;
    forget_calls();
    asyncio_server *server = serve_unix(writing_handler, NULL);
    int client = unix_client(unix_name());
    wait_for_parked(server, 1);
    asyncio_server_close_clients(server);
    CHECK_EQUAL(parked_count(server), 0);
    CHECK_EQUAL(server->client_count, 1);
    CHECK_EQUAL(drain_to_end(client, &error), MUCH);
    CHECK_EQUAL(error, 0);
    settle();
    CHECK_EQUAL(server->client_count, 0);
    CHECK_EQUAL(calls, 1);
    close(client);
    finish(server);
    return 0;
}

/* ---- Gone meanwhile ---------------------------------------------------------------------- */

enum leave { BY_CLOSE, BY_ABORT, BY_DETACH };

/* The handler itself has ended the stream: what it returns then is 0. */
ASYNC(leave_and_park, asyncio_stream *, stream, asyncio_stream **, taken, int, how)
{
    calls++;
    if (how == BY_CLOSE)
        asyncio_stream_close(stream);
    else if (how == BY_ABORT)
        asyncio_stream_abort(stream);
    else if (asyncio_stream_detach(stream) == 0)
        *taken = stream;
    return ASYNCIO_PARK;
}

static asyncio_stream *taken;

static asyncio_coro *leaving_handler(asyncio_stream *stream, void *arg)
{
    return leave_and_park(stream, &taken, *(int *)arg);
}

ASYNC_TEST(nothing_to_park)
{
    for (int how = BY_CLOSE; how <= BY_DETACH; how++) {
        forget_calls();
        taken = NULL;
        asyncio_server *server = serve(leaving_handler, &how, NULL);
        int client = client_of(server);
        wait_for_count(&calls, 1);
        settle();
        CHECK_EQUAL(server->client_count, 0);
        if (how == BY_DETACH) {
            peer_sends(client, "x");
            char byte;
            CHECK_EQUAL(asyncio_stream_read(taken, &byte, 1), 1);
            asyncio_stream_close(taken);
        }
        CHECK_EQUAL(seen_by(client), how == BY_ABORT ? -ECONNRESET : 0);
        CHECK_EQUAL(calls, 1);
        close(client);
        finish(server);
    }
    return 0;
}

/* Another task ends the stream while it is parked. */
ASYNC_TEST(others_end_it)
{
    for (int how = BY_CLOSE; how <= BY_DETACH; how++) {
        asyncio_server *server = serve_parked(NULL);
        int client = parked_client(server);
        asyncio_stream *stream = first_parked_stream(server);
        if (how == BY_CLOSE)
            CHECK_EQUAL(asyncio_stream_close(stream), 0);
        else if (how == BY_ABORT)
            asyncio_stream_abort(stream);
        else
            CHECK_EQUAL(asyncio_stream_detach(stream), 0);
        CHECK_EQUAL(server->client_count, 0);
        CHECK_EQUAL(drops, how == BY_DETACH ? 0 : 1);
        CHECK_EQUAL(seen_by(client), how == BY_CLOSE ? 0 : how == BY_ABORT ? -ECONNRESET : -EAGAIN);
        if (how == BY_DETACH)
            asyncio_stream_close(stream);
        CHECK_EQUAL(drops, 1);
        CHECK_EQUAL(calls, 1);
        close(client);
        finish(server);
    }
    return 0;
}

/* The event has come, and the handler has not been called yet. */
ASYNC_TEST(others_end_it_before_the_handler)
{
    asyncio_server *server = serve_parked(NULL);
    int client = parked_client(server);
    asyncio_stream *stream = first_parked_stream(server);
    peer_sends(client, "more\n");
    while (parked_count(server))
        asyncio_sleep(0);
    CHECK_EQUAL(calls, 1);
    asyncio_stream_abort(stream);
    settle();
    CHECK_EQUAL(calls, 1);
    CHECK_EQUAL(drops, 1);
    CHECK_EQUAL(server->client_count, 0);
    close(client);
    finish(server);
    return 0;
}

/* Another task closes it, which takes a while; the client asks meanwhile, and nobody listens. */
ASYNC_TEST(others_close_it_slowly)
{
    intptr_t error;
    forget_calls();
    asyncio_server *server = serve_unix(writing_handler, NULL);
    int client = unix_client(unix_name());
    wait_for_parked(server, 1);
    asyncio_stream *stream = first_parked_stream(server);
    asyncio_task *closer = asyncio_create_task(closes(stream));
    settle();
    peer_sends(client, "x");
    settle();
    asyncio_server_close_clients(server); /* leaves it to the closer */
    CHECK_EQUAL(server->client_count, 1);
    CHECK_EQUAL(drain_to_end(client, &error), MUCH);
    CHECK_EQUAL(asyncio_await(closer), 0);
    CHECK_EQUAL(server->client_count, 0);
    CHECK_EQUAL(calls, 1);
    close(client);
    finish(server);
    return 0;
}

/* ---- Mistakes of the handler --------------------------------------------------------------- */

static asyncio_task *reader;

ASYNC(park_beside_a_reader, asyncio_stream *, stream)
{
    static char byte;
    reader = asyncio_create_task(read_some(stream, &byte, 1));
    asyncio_sleep(0);
    return ASYNCIO_PARK;
}

static asyncio_coro *beside_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return park_beside_a_reader(stream);
}

ASYNC_TEST(a_task_reads_it)
{
    asyncio_server *server = serve(beside_handler, NULL, NULL);
    int client = client_of(server);
    expect_reports(1);
    CHECK_EQUAL(seen_by(client), -ECONNRESET);
    CHECK_EQUAL(reports[0].error, ASYNCIO_ESTATE);
    CHECK_HAS(reports[0].message, "a task reads its stream");
    CHECK_EQUAL(asyncio_await(reader), -EBADF);
    close(client);
    finish(server);
    return 0;
}

/* ---- Sweeps -------------------------------------------------------------------------------- */

/* Asks twice, with a pause, and leaves; whatever happens at the other end. */
static void *visit_twice(void *arg)
{
    char buf[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)(intptr_t)arg)};
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        for (int i = 0; i < 2; i++)
            if (send(fd, "hello\n", 6, MSG_NOSIGNAL) != 6 || recv(fd, buf, sizeof buf, 0) <= 0)
                break;
    close(fd);
    return NULL;
}

ASYNC(lives_parked)
{
    asyncio_server_options options = {.park_timeout = 10};
    forget_calls();
    return live_serving(answering, &options, visit_twice);
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == -ECANCELED || result == 0 : result == 0);
}

TEST(cancels)
{
    sweep_cancels(lives_parked, check_cancelled);
}

TEST(failures)
{
    sweep_failures(lives_parked);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
