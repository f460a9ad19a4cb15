/*
 * Servers: accepting, handlers, and every way to end.
 */
#include "base/sanitizer.h"
#include "core/loop.h"
#include "fd/address.h"
#include "fd/stream_test.h"
#include "net/server.h"
#include "support/ledger.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/un.h>

/* ---- Handlers ---------------------------------------------------------------------------- */

static unsigned begun, ended, cancelled;

static void forget_counts(void)
{
    begun = ended = cancelled = 0;
}

/* Echoes line by line, until the end. */
ASYNC(echo, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    begun++;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        int err = asyncio_stream_write(stream, line, (size_t)n);
        if (err) {
            n = err;
            break;
        }
    }
    ended++;
    cancelled += n == -ECANCELED;
    return n;
}

static asyncio_coro *echo_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return echo(stream);
}

/* A server on the loopback interface, at a port of its own. */
static asyncio_server *serve(asyncio_client_handler handler, void *arg, const asyncio_server_options *options)
{
    asyncio_server *server = NULL;
    forget_counts();
    CHECK_EQUAL(asyncio_start_server(handler, arg, "127.0.0.1", 0, options, &server), 0);
    return server;
}

/* A client, blocking, which does not wait long. */
static int client_at(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    struct timeval patience = {.tv_sec = 5};
    int fd = net_tcp();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    CHECK_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int client_of(asyncio_server *server)
{
    return client_at(asyncio_server_port(server));
}

static int port_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

/* The same over Unix sockets, whose buffers are small and do not grow. */
static const char *unix_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "@asyncio-test-%d", (int)getpid());
    return name;
}

static asyncio_server *serve_unix(asyncio_client_handler handler, void *arg)
{
    asyncio_server *server = NULL;
    forget_counts();
    CHECK_EQUAL(asyncio_start_unix_server(handler, arg, unix_name(), NULL, &server), 0);
    return server;
}

static int unix_client(const char *path)
{
    struct sockaddr_un address;
    socklen_t length;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(asy_unix_address(path, &address, &length), 0);
    CHECK_EQUAL(connect(fd, (struct sockaddr *)&address, length), 0);
    return fd;
}

/* What the peer sees next: a number of bytes, 0 for the end, or a negative error. */
static ssize_t seen_by(int fd)
{
    char buf[256];
    for (int i = 0; i < 2000; i++) {
        ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n < 0 ? -errno : n;
        asyncio_sleep(0.0005);
    }
    return -EAGAIN;
}

static void wait_for_count(const unsigned *count, unsigned value)
{
    for (int i = 0; *count != value && i < 40000; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(*count, value);
}

ASYNC(wait_closed, asyncio_server *, server, double, grace)
{
    return asyncio_server_wait_closed(server, grace);
}

ASYNC(serve_forever, asyncio_server *, server)
{
    return asyncio_server_serve_forever(server);
}

/* Ends it, and frees it. */
static void finish(asyncio_server *server)
{
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 0), 0);
    asyncio_server_release(server);
}

/* ---- Serving ----------------------------------------------------------------------------- */

ASYNC(main_serving)
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
TEST(serving)

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

ASYNC(main_looking)
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
TEST(looking)

/* What the handler wrote arrives, although it has returned, and the client is slow. */
#define MUCH 3000000
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

static size_t drain_to_end(int client, intptr_t *error)
{
    static char block[65536];
    size_t got = 0;
    *error = 0;
    for (int i = 0; i < 4000; i++) {
        ssize_t n = recv(client, block, sizeof block, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            *error = n ? -errno : 0;
            break;
        }
        got += n > 0 ? (size_t)n : 0;
        asyncio_sleep(n > 0 ? 0 : 0.0005);
    }
    return got;
}

ASYNC(main_flushed_behind_handler)
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
TEST(flushed_behind_handler)

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
ASYNC(main_behaviour_55_handler_fails)
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
            CHECK_HAS(reports[0].file, "test_servers.c");
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
TEST(behaviour_55_handler_fails)

ASYNC(main_handler_makes_none)
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
TEST(handler_makes_none)

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

static void test_told_on_stderr(void **state)
{
    (void)state;
    check_prints(tell, "the handler of a client failed: the disk is on fire (EIO); task ");
    check_prints(tell, "test_servers.c");
    check_prints(tell, "peer 127.0.0.1:");
}

/* Closed, aborted or handed on by the handler itself, whatever it returns. */
ASYNC(main_own_ways)
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
TEST(own_ways)

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

ASYNC(main_tasks_left)
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
TEST(tasks_left)

/* ---- The end ----------------------------------------------------------------------------- */

/* wait_closed waits until it is closed and the last client is gone, in any order of things. */
ASYNC(main_behaviour_56_orders)
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
TEST(behaviour_56_orders)

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

ASYNC(main_behaviour_56_grace)
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
    const double nan = 0.0 / (double)(server == NULL);
    CHECK_EQUAL(asyncio_server_wait_closed(server, nan), -EINVAL);
    asyncio_server_release(server);
    return 0;
}
TEST(behaviour_56_grace)

ASYNC(main_serve_forever)
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
TEST(serve_forever)

/* As if the peers had stopped sending: what came is read, then the end; what was written is flushed. */
ASYNC(main_close_clients)
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
TEST(close_clients)

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

ASYNC(main_abort_clients)
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
TEST(abort_clients)

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
TEST(release)

/* ---- Limits ------------------------------------------------------------------------------ */

ASYNC(main_max_connections)
{
    asyncio_server_options options = {.max_connections = 2, .limit = 3};
    asyncio_server *server = serve(echo_handler, NULL, &options);
    int clients[5];
    for (int i = 0; i < 5; i++)
        clients[i] = client_of(server);
    for (unsigned left = 0; left < 3; left++) {
        wait_for_count(&begun, 2 + left);
        double cpu = cpu_time();
        asyncio_sleep(0.1);
        CHECK(is_slow_build() || cpu_time() - cpu < 0.05);
        CHECK_EQUAL(begun, 2 + left);
        close(clients[left]);
    }
    wait_for_count(&begun, 5);
    /* The other option, on this occasion. */
    peer_sends(clients[4], "too long\n");
    expect_reports(1);
    CHECK_EQUAL(seen_by(clients[4]), -ECONNRESET);
    CHECK_EQUAL(reports[0].error, ASYNCIO_ELIMIT);
    close(clients[3]);
    close(clients[4]);
    finish(server);
    return 0;
}
TEST(max_connections)

/* Of what lasts: once, where the machine is as fast as it should be. */
static void check_told_once_a_second(double began)
{
    CHECK(report_count >= 1);
    CHECK((double)report_count <= 1 + (asyncio_time() - began));
}

/* No descriptors are left: it says so, waits for a second without spinning, and goes on. */
ASYNC(main_no_descriptors)
{
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    struct rlimit limit, little;
    int client = net_tcp(), spare = net_tcp();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)asyncio_server_port(server))};
    getrlimit(RLIMIT_NOFILE, &limit);
    little = limit;
    little.rlim_cur = (rlim_t)spare + 1;
    setrlimit(RLIMIT_NOFILE, &little);
    CHECK_EQUAL(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    double cpu = cpu_time(), began = asyncio_time();
    asyncio_sleep(0.2);
    CHECK(is_slow_build() || cpu_time() - cpu < 0.1);
    CHECK_EQUAL(begun, 0);
    check_told_once_a_second(began);
    CHECK_EQUAL(reports[0].error, -EMFILE);
    CHECK_HAS(reports[0].message, "127.0.0.1:");
    CHECK_HAS(reports[0].message, "paused");
    close(spare);
    wait_for_count(&begun, 1);
    peer_sends(client, "hello\n");
    CHECK_EQUAL(seen_by(client), 6);
    setrlimit(RLIMIT_NOFILE, &limit);
    close(client);
    finish(server);
    expect_reports(report_count);
    return 0;
}

static void test_no_descriptors(void **state)
{
    (void)state;
    if (RUNNING_ON_VALGRIND) /* which has limits of its own */
        skip();
    CHECK_EQUAL(run(main_no_descriptors), 0);
    harness_settle();
}

/* Somebody shuts the listening socket down: told, once a second, and no spinning. */
ASYNC(main_listener_broken)
{
    int fd;
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    asyncio_server_fds(server, &fd, 1);
    shutdown(fd, SHUT_RDWR);
    double cpu = cpu_time(), began = asyncio_time();
    asyncio_sleep(0.1);
    CHECK(is_slow_build() || cpu_time() - cpu < 0.05);
    check_told_once_a_second(began);
    CHECK_EQUAL(reports[0].error, -EINVAL);
    finish(server);
    expect_reports(report_count);
    return 0;
}
TEST(listener_broken)

/* Who is told of the pause may close and release the server. */
static asyncio_server *told_of;

static void release_when_told(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
    ended++;
    asyncio_server_release(told_of);
    told_of = NULL;
}

ASYNC(main_released_when_told)
{
    int fd;
    asyncio_server *server = told_of = serve(echo_handler, NULL, NULL);
    asyncio_server_fds(server, &fd, 1);
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), release_when_told, NULL);
    shutdown(fd, SHUT_RDWR);
    wait_for_count(&ended, 1);
    settle();
    return 0;
}
TEST(released_when_told)

/* Many at once: all are served. */
#define STORM 400
ASYNC(main_storm)
{
    static int clients[STORM];
    asyncio_server_options options = {.backlog = STORM};
    asyncio_server *server = serve(echo_handler, NULL, &options);
    for (int i = 0; i < STORM; i++)
        clients[i] = client_of(server);
    for (int i = 0; i < STORM; i++)
        peer_sends(clients[i], "hello\n");
    for (int i = 0; i < STORM; i++)
        CHECK_EQUAL(seen_by(clients[i]), 6);
    CHECK_EQUAL(begun, STORM);
    for (int i = 0; i < STORM; i += 2)
        peer_resets(clients[i]);
    for (int i = 1; i < STORM; i += 2)
        close(clients[i]);
    wait_for_count(&ended, STORM);
    finish(server);
    return 0;
}
TEST(storm)

/* Many come at once: the loop does other things in between. */
#define AT_ONCE 200

ASYNC(main_storm_in_turns)
{
    int clients[AT_ONCE];
    struct sockaddr_in address;
    asyncio_server *server = NULL;
    int fd = net_listen(&address, AT_ONCE);
    size_t before = 0, most = 0;
    for (int i = 0; i < AT_ONCE; i++)
        clients[i] = client_at(ntohs(address.sin_port));
    forget_counts();
    asyncio_server_options options = {.backlog = AT_ONCE};
    CHECK_EQUAL(asyncio_start_server_on(fd, echo_handler, NULL, &options, &server), 0);
    for (int turns = 0; before < AT_ONCE && turns < 100000; turns++) {
        asyncio_sleep(0);
        size_t came = server->client_count - before;
        most = came > most ? came : most;
        before = server->client_count;
    }
    CHECK_EQUAL(before, AT_ONCE);
    CHECK(most <= 2 * 64); /* for an event, and in the turn that was queued */
    for (int i = 0; i < AT_ONCE; i++)
        close(clients[i]);
    wait_for_count(&ended, AT_ONCE);
    finish(server);
    return 0;
}
TEST(storm_in_turns)

/* A thousand connections that say nothing: what each of them costs. */
#define IDLE 1000

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file && fscanf(file, "%*u %lu", &pages) == 1);
    if (file)
        fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

ASYNC(main_idle)
{
    static int clients[IDLE];
    struct rlimit limit, enough;
    getrlimit(RLIMIT_NOFILE, &limit);
    enough = limit;
    enough.rlim_cur = enough.rlim_max < 2 * IDLE + 100 ? enough.rlim_max : 2 * IDLE + 100;
    setrlimit(RLIMIT_NOFILE, &enough);
    unsigned count = enough.rlim_cur < 2 * IDLE + 100 ? 100 : IDLE;
    asyncio_server_options options = {.backlog = 1024};
    asyncio_server *server = serve(echo_handler, NULL, &options);
    size_t before = resident_bytes();
    for (unsigned i = 0; i < count; i++)
        clients[i] = client_of(server);
    wait_for_count(&begun, count);
    size_t each = (resident_bytes() - before) / count;
    CHECK(is_slow_build() || count < IDLE || each <= 6 * 1024);
    for (unsigned i = 0; i < count; i++)
        close(clients[i]);
    wait_for_count(&ended, count);
    finish(server);
    setrlimit(RLIMIT_NOFILE, &limit);
    return 0;
}
TEST(idle)

/* ---- Bad peers --------------------------------------------------------------------------- */

ASYNC(main_bad_peers)
{
    static char letters[4096];
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    int dribbler = client_of(server), resetter = client_of(server), half = client_of(server),
        endless = client_of(server), good = client_of(server);
    memset(letters, 'x', sizeof letters);
    peer_sends(resetter, "in the midd");
    peer_sends(half, "half\nrest");
    shutdown(half, SHUT_WR);
    for (int i = 0; i < 300; i++) {
        peer_sends(dribbler, i == 299 ? "\n" : "d");
        send(endless, letters, sizeof letters, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (i == 100)
            peer_resets(resetter);
        if (i % 50 == 0) {
            peer_sends(good, "hello\n");
            CHECK_EQUAL(seen_by(good), 6);
        }
        asyncio_sleep(0);
    }
    expect_reports(1); /* the endless line */
    CHECK_EQUAL(seen_by(half), 9);
    CHECK_EQUAL(seen_by(half), 0);
    CHECK(seen_by(dribbler) > 0);
    CHECK(seen_by(endless) <= 0);
    CHECK_EQUAL(reports[0].error, ASYNCIO_ELIMIT);
    close(dribbler);
    close(half);
    close(endless);
    close(good);
    wait_for_count(&ended, 5);
    finish(server);
    return 0;
}
TEST(bad_peers)

/* ---- Addresses --------------------------------------------------------------------------- */

ASYNC(main_all_addresses)
{
    int fds[8];
    for (int i = 0; i < 20; i++) {
        asyncio_server *server = NULL;
        forget_counts();
        CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, i % 2 ? NULL : "", 0, NULL, &server), 0);
        int count = asyncio_server_fds(server, fds, 8);
        CHECK(count >= 1);
        for (int k = 0; k < count; k++)
            CHECK_EQUAL(port_of(fds[k]), asyncio_server_port(server));
        int client = client_of(server);
        peer_sends(client, "hello\n");
        CHECK_EQUAL(seen_by(client), 6);
        close(client);
        wait_for_count(&ended, 1);
        finish(server);
    }
    return 0;
}
TEST(all_addresses)

ASYNC(main_refused)
{
    int fds[2];
    asyncio_server *server = serve(echo_handler, NULL, NULL), *other = NULL;
    char words[64];
    int port = asyncio_server_port(server);
    snprintf(words, sizeof words, "listen on 127.0.0.1:%d: address already in use", port);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", port, NULL, &other), -EADDRINUSE);
    CHECK_TEXT(asyncio_error_message(), words);
    CHECK_EQUAL(asyncio_start_server(NULL, NULL, "127.0.0.1", 0, NULL, &other), -EINVAL);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", 0, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", 65536, NULL, &other), -EINVAL);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", -1, NULL, &other), -EINVAL);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "203.0.113.77", 0, NULL, &other), -EADDRNOTAVAIL);
    /* Nobody has loaded TLS: whatever that is, it is no context. */
    asyncio_server_options options = {.tls = (asyncio_tls_context *)(void *)words};
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", 0, &options, &other), -EINVAL);
    CHECK_EQUAL(asyncio_start_server_on(-1, echo_handler, NULL, NULL, &other), -EBADF);
    CHECK_EQUAL(asyncio_start_server_on(fds[0] = net_tcp(), echo_handler, NULL, NULL, NULL), -EINVAL);
    close(fds[0]);
    net_pipe(fds);
    CHECK_EQUAL(asyncio_start_server_on(fds[0], echo_handler, NULL, NULL, &other), -ENOTSOCK);
    CHECK_EQUAL(close(fds[0]), 0); /* still ours */
    close(fds[1]);
    CHECK_EQUAL(asyncio_server_port(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_server_fds(NULL, NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_server_fds(server, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_server_wait_closed(NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_server_serve_forever(NULL), -EINVAL);
    asyncio_server_close(NULL);
    asyncio_server_close_clients(NULL);
    asyncio_server_abort_clients(NULL);
    CHECK(other == NULL);
    finish(server);
    return 0;
}
TEST(refused)

ASYNC(main_given_listener)
{
    struct sockaddr_in address;
    int fd = net_listen(&address, 10), before = client_at(ntohs(address.sin_port));
    asyncio_server *server = NULL;
    forget_counts();
    CHECK_EQUAL(asyncio_start_server_on(fd, echo_handler, NULL, NULL, &server), 0);
    CHECK_EQUAL(asyncio_server_port(server), ntohs(address.sin_port));
    int after = client_of(server);
    peer_sends(before, "hello\n");
    peer_sends(after, "hello\n");
    CHECK_EQUAL(seen_by(before), 6);
    CHECK_EQUAL(seen_by(after), 6);
    close(before);
    close(after);
    finish(server);
    CHECK(fcntl(fd, F_GETFD) < 0);
    return 0;
}
TEST(given_listener)

/* Two servers at one port, among which the kernel spreads the clients. */
ASYNC(main_reuse_port)
{
    asyncio_server_options options = {.reuse_port = 1};
    asyncio_server *first = serve(echo_handler, NULL, &options), *second = NULL, *third = NULL;
    int port = asyncio_server_port(first);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", port, &options, &second), 0);
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", port, NULL, &third), -EADDRINUSE);
    for (int i = 0; i < 20; i++) {
        int client = client_at(port);
        peer_sends(client, "hello\n");
        CHECK_EQUAL(seen_by(client), 6);
        close(client);
    }
    finish(first);
    finish(second);
    return 0;
}
TEST(reuse_port)

static void check_unix(const char *path)
{
    int client = unix_client(path);
    peer_sends(client, "hello\n");
    CHECK_EQUAL(seen_by(client), 6);
    close(client);
}

/* A stale file is replaced; at the end the file goes, if it is still ours. */
ASYNC(main_behaviour_56_unix)
{
    char path[64], too_long[200];
    const char *abstract = unix_name();
    asyncio_server *server = NULL, *second = NULL;
    struct stat status;
    snprintf(path, sizeof path, "/tmp/asyncio-test-%d", (int)getpid());
    unlink(path);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, &server), 0);
    check_unix(path);
    CHECK_EQUAL(asyncio_server_port(server), -EINVAL);
    finish(server);
    CHECK(stat(path, &status) < 0);
    /* Replaced by another server: its file stays. */
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, &server), 0);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, &second), 0);
    finish(server);
    check_unix(path);
    finish(second);
    CHECK(stat(path, &status) < 0);
    /* A file that is no socket is left alone. */
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, &server), -EADDRINUSE);
    CHECK_HAS(asyncio_error_message(), path);
    CHECK_EQUAL(unlink(path), 0);
    /* Without a file. */
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, abstract, NULL, &server), 0);
    check_unix(abstract);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, abstract, NULL, &second), -EADDRINUSE);
    finish(server);
    memset(too_long, 'x', sizeof too_long);
    too_long[sizeof too_long - 1] = '\0';
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, too_long, NULL, &server), -ENAMETOOLONG);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, "", NULL, &server), -EINVAL);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, NULL, NULL, &server), -EINVAL);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, NULL, NULL), -EINVAL);
    return 0;
}
TEST(behaviour_56_unix)

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

static void test_loop_closes(void **state)
{
    (void)state;
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
static void test_loop_closes_by_hand(void **state)
{
    (void)state;
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

/* A server's life with two visitors, each wait of which waits. */
static intptr_t live(void)
{
    asyncio_server *server;
    pthread_t visitors[2];
    forget_counts();
    int err = asyncio_start_server(one_line_handler, NULL, "127.0.0.1", 0, NULL, &server);
    if (err)
        return err;
    int port = asyncio_server_port(server);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&visitors[i], NULL, visit, (void *)(intptr_t)port), 0);
    for (int i = 0; i < 10 && ended < 2 && !err; i++)
        err = asyncio_sleep(0.001);
    asyncio_server_close(server);
    int status = asyncio_server_wait_closed(server, 0.001);
    asyncio_server_release(server);
    for (int i = 0; i < 2; i++)
        pthread_join(visitors[i], NULL);
    return err ? err : status;
}

ASYNC(lives)
{
    return live();
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == -ECANCELED || result == 0 : result == 0);
}

static void test_cancels(void **state)
{
    (void)state;
    sweep_cancels(lives, check_cancelled);
}

static void test_failures(void **state)
{
    (void)state;
    sweep_failures(lives);
}

int main(void)
{
    use_descriptors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serving),
        cmocka_unit_test(test_looking),
        cmocka_unit_test(test_flushed_behind_handler),
        cmocka_unit_test(test_behaviour_55_handler_fails),
        cmocka_unit_test(test_handler_makes_none),
        cmocka_unit_test(test_told_on_stderr),
        cmocka_unit_test(test_own_ways),
        cmocka_unit_test(test_tasks_left),
        cmocka_unit_test(test_behaviour_56_orders),
        cmocka_unit_test(test_behaviour_56_grace),
        cmocka_unit_test(test_serve_forever),
        cmocka_unit_test(test_close_clients),
        cmocka_unit_test(test_abort_clients),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_max_connections),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_listener_broken),
        cmocka_unit_test(test_released_when_told),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_storm_in_turns),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_bad_peers),
        cmocka_unit_test(test_all_addresses),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_given_listener),
        cmocka_unit_test(test_reuse_port),
        cmocka_unit_test(test_behaviour_56_unix),
        cmocka_unit_test(test_loop_closes),
        cmocka_unit_test(test_cancels),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_loop_closes_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
