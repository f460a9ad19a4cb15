/*
 * Servers: serving clients, handlers that fail, and sweeps over a whole life.
 */
#include "net/server_test.h"

/* ---- Serving ----------------------------------------------------------------------------- */

ASYNC_TEST(serving)
{
    int fds[4] = {-1, -1, -1, -1}, clients[50];
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    CHECK(asyncio_server_port(server) > 0);
    CHECK_EQUAL(asyncio_server_fds(server, NULL, 0), 1);
    CHECK_EQUAL(asyncio_server_fds(server, fds, 4), 1);
    CHECK(fds[0] >= 0 && fds[1] == -1);
    CHECK(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    for (int i = 0; i < 50; i++)
        clients[i] = client_of(server);
    wait_for_count(&begun, 50);
    for (int i = 49; i >= 0; i--) {
        peer_sends(clients[i], "hello\n");
        CHECK_EQUAL(seen_by(clients[i]), 6);
    }
    for (int i = 0; i < 50; i++)
        close(clients[i]);
    wait_for_count(&ended, 50);
    settle();
    CHECK_EQUAL(server->client_count, 0);
    finish(server);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

ASYNC(look, asyncio_stream *, stream, intptr_t *, seen)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    int on = 0;
    CHECK_EQUAL(asyncio_stream_peername(stream, (struct sockaddr *)&name, &length), 0);
    *seen = ntohs(name.sin_port);
    length = sizeof on;
    CHECK_EQUAL(getsockopt(asyncio_stream_fd(stream), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &length), 0);
    CHECK(on);
    CHECK(fcntl(asyncio_stream_fd(stream), F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(asyncio_stream_fd(stream), F_GETFL) & O_NONBLOCK);
    return asyncio_stream_printf(stream, "seen");
}

static asyncio_coro *look_handler(asyncio_stream *stream, void *arg)
{
    return look(stream, arg);
}

ASYNC_TEST(looking)
{
    intptr_t seen = 0;
    asyncio_server *server = serve(look_handler, &seen, NULL);
    int client = client_of(server);
    CHECK_EQUAL(seen_by(client), 4);
    CHECK_EQUAL(seen_by(client), 0); /* closed behind the handler */
    CHECK_EQUAL(seen, port_of(client));
    close(client);
    finish(server);
    return 0;
}

/* What the handler wrote arrives, although it has returned, and the client is slow. */
ASYNC(write_much, asyncio_stream *, stream)
{
    char *block = calloc(1, MUCH);
    int err = asyncio_stream_write(stream, block, MUCH);
    free(block);
    ended++;
    return err;
}

static asyncio_coro *much_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return write_much(stream);
}

ASYNC_TEST(flushed_behind_handler)
{
    for (int abort = 0; abort < 2; abort++) {
        intptr_t error;
        asyncio_server *server = serve_unix(much_handler, NULL);
        int client = unix_client(unix_name());
        wait_for_count(&ended, 1);
        settle();
        CHECK_EQUAL(server->client_count, 1);
        if (abort)
            asyncio_server_abort_clients(server); /* also those that are being flushed */
        size_t got = drain_to_end(client, &error);
        CHECK(abort ? got < MUCH : got == MUCH);
        CHECK_EQUAL(error, 0);
        settle();
        CHECK_EQUAL(server->client_count, 0);
        close(client);
        finish(server);
    }
    return 0;
}

/* ---- Handlers that fail, or see to their streams themselves ------------------------------ */

struct wish {
    intptr_t result;
    bool says;              /* with a message */
    bool makes_none;        /* the handler returns NULL */
    int own;                /* 1: closes itself; 2: aborts; 3: detaches */
    asyncio_stream *stream; /* detached */
};

ASYNC(fails, asyncio_stream *, stream, struct wish *, wish)
{
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    CHECK_EQUAL(n, 6);
    if (wish->own == 1)
        CHECK_EQUAL(asyncio_stream_close(stream), 0);
    if (wish->own == 2)
        asyncio_stream_abort(stream);
    if (wish->own == 3) {
        CHECK_EQUAL(asyncio_stream_detach(stream), 0);
        CHECK_EQUAL(asyncio_stream_detach(stream), ASYNCIO_ESTATE);
        wish->stream = stream;
    }
    ended++;
    if (wish->says)
        return asyncio_raise(wish->result, "the disk is on fire");
    return wish->result;
}

static asyncio_coro *failing_handler(asyncio_stream *stream, void *arg)
{
    struct wish *wish = arg;
    return wish->makes_none ? NULL : fails(stream, wish);
}

static void check_report(int client, intptr_t err)
{
    char peer[64];
    snprintf(peer, sizeof peer, "127.0.0.1:%d", port_of(client));
    CHECK_EQUAL(report_count, 1);
    CHECK_EQUAL(reports[0].error, err);
    CHECK_TEXT(reports[0].peer, peer);
    CHECK_HAS(reports[0].message, "handler");
}

/* Reported, with the address; the client sees a reset; the others and the server go on. */
ASYNC_TEST(behaviour_55_handler_fails)
{
    static const intptr_t errors[] = {-EIO, -EIO, ASYNCIO_EINCOMPLETE, -ECANCELED, -EPIPE, -ECONNRESET};
    for (int i = 0; i < 6; i++) {
        struct wish wish = {.says = i == 1, .result = errors[i]};
        asyncio_server *server = serve(failing_handler, &wish, NULL);
        int client = client_of(server), other = client_of(server);
        report_count = 0;
        peer_sends(client, "hello\n");
        CHECK_EQUAL(seen_by(client), -ECONNRESET);
        if (i < 3) {
            check_report(client, errors[i]);
            CHECK_HAS(reports[0].file, "test_serving.c");
        } else {
            CHECK_EQUAL(report_count, 0);
        }
        wish = (struct wish){0};
        peer_sends(other, "hello\n");
        CHECK_EQUAL(seen_by(other), 0);
        close(client);
        close(other);
        finish(server);
    }
    return 0;
}

ASYNC_TEST(handler_makes_none)
{
    struct wish wish = {.makes_none = true};
    asyncio_server *server = serve(failing_handler, &wish, NULL);
    int client = client_of(server);
    CHECK_EQUAL(seen_by(client), -ECONNRESET);
    check_report(client, -ENOMEM);
    expect_reports(1);
    close(client);
    finish(server);
    return 0;
}

/* On stderr: the handler's own words, where it stands, and who the peer was. */
ASYNC(main_told_on_stderr)
{
    struct wish wish = {.result = -EIO, .says = true};
    asyncio_server *server = serve(failing_handler, &wish, NULL);
    int client = client_of(server);
    peer_sends(client, "hello\n");
    seen_by(client);
    close(client);
    finish(server);
    return 0;
}

static void tell(void)
{
    asyncio_run(main_told_on_stderr());
}

TEST(told_on_stderr)
{
    check_prints(tell, "the handler of a client failed: the disk is on fire (EIO); task ");
    check_prints(tell, "test_serving.c");
    check_prints(tell, "peer 127.0.0.1:");
}

/* Closed, aborted or handed on by the handler itself, whatever it returns. */
ASYNC_TEST(own_ways)
{
    size_t told = 0;
    for (int own = 1; own <= 3; own++)
        for (int failing = 0; failing < 2; failing++) {
            struct wish wish = {.own = own, .result = failing ? -EIO : 0};
            asyncio_server *server = serve(failing_handler, &wish, NULL);
            int client = client_of(server);
            peer_sends(client, "hello\n");
            wait_for_count(&ended, 1);
            told += failing ? 1 : 0;
            if (own == 3) {
                settle();
                CHECK_EQUAL(server->client_count, 0);
                asyncio_server_abort_clients(server); /* not its client any more */
                CHECK_EQUAL(asyncio_stream_write(wish.stream, "still", 5), 0);
                CHECK_EQUAL(seen_by(client), 5);
                CHECK_EQUAL(asyncio_stream_close(wish.stream), 0);
            }
            CHECK_EQUAL(seen_by(client), own == 2 ? -ECONNRESET : 0);
            close(client);
            finish(server);
        }
    expect_reports(told);
    return 0;
}

/* A task of the handler's still closes, or reads, when the handler has returned. */
static asyncio_task *left_behind;

ASYNC(leaves, asyncio_stream *, stream, int, what)
{
    static char block[MUCH], byte;
    if (what == 0)
        CHECK_EQUAL(asyncio_stream_write(stream, block, sizeof block), 0);
    left_behind =
        what == 0 ? asyncio_create_task(closes(stream)) : asyncio_create_task(read_exactly(stream, &byte, 1));
    settle();
    ended++;
    return 0;
}

static asyncio_coro *leaving_handler(asyncio_stream *stream, void *arg)
{
    return leaves(stream, *(int *)arg);
}

ASYNC_TEST(tasks_left)
{
    for (int what = 0; what < 2; what++) {
        intptr_t error;
        asyncio_server *server = serve_unix(leaving_handler, &what);
        int client = unix_client(unix_name());
        wait_for_count(&ended, 1);
        settle();
        CHECK_EQUAL(server->client_count, 0);
        CHECK_EQUAL(drain_to_end(client, &error), what ? 0 : MUCH);
        CHECK_EQUAL(error, 0);
        CHECK_EQUAL(asyncio_await(left_behind), what ? -EBADF : 0);
        close(client);
        finish(server);
    }
    return 0;
}

/* ---- Sweeps ------------------------------------------------------------------------------ */

/* Connects, asks and leaves; whatever happens at the other end. */
static void *visit(void *arg)
{
    char buf[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)(intptr_t)arg)};
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        send(fd, "hello\n", 6, MSG_NOSIGNAL);
        while (recv(fd, buf, sizeof buf, 0) > 0)
            ;
    }
    close(fd);
    return NULL;
}

static asyncio_coro *one_line_handler(asyncio_stream *stream, void *arg);

ASYNC(one_line, asyncio_stream *, stream)
{
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    if (n > 0)
        n = asyncio_stream_write(stream, line, (size_t)n);
    ended++;
    return n;
}

static asyncio_coro *one_line_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return one_line(stream);
}

ASYNC(lives)
{
    return live_serving(one_line_handler, NULL, visit);
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == -ECANCELED || result == 0 : result == 0);
}

TEST(cancels)
{
    sweep_cancels(lives, check_cancelled);
}

TEST(failures)
{
    sweep_failures(lives);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
