/*
 * Sockets: connecting and accepting, which fail in every way.
 */
#include "net/server.h"
#include "net/sock_test.h"

/* ---- Connecting ------------------------------------------------------------------------------ */

ASYNC_TEST(refused)
{
    struct sockaddr_in address;
    asyncio_close(net_listen(&address, 1));
    int fd = net_tcp();
    CHECK_EQUAL(asyncio_sock_connect(fd, generic(&address), sizeof address), -ECONNREFUSED);
    asyncio_close(fd);
    CHECK_EQUAL(asyncio_sock_connect(-1, generic(&address), sizeof address), -EBADF);
    CHECK_EQUAL(asyncio_sock_connect(fd, generic(&address), sizeof address), -EBADF);
    int fds[2];
    net_pipe(fds);
    CHECK_EQUAL(asyncio_sock_connect(fds[0], generic(&address), sizeof address), -ENOTSOCK);
    CHECK_EQUAL(asyncio_sock_accept(fds[0], NULL, NULL), -ENOTSOCK);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], &fd, 1, 0), -ENOTSOCK);
    CHECK_EQUAL(asyncio_sock_send(fds[1], &fd, 1, 0), -ENOTSOCK);
    close_pair(fds);
    struct sockaddr_un name;
    socklen_t length = net_unix_address((struct sockaddr *)&name);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(asyncio_sock_connect(fd, (struct sockaddr *)&name, length), -ECONNREFUSED);
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/nowhere/socket"};
    CHECK_EQUAL(asyncio_sock_connect(fd, (struct sockaddr *)&path, sizeof path), -ENOENT);
    asyncio_close(fd);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* Nobody answers: the listener's queue is full, and the kernel drops what comes. */
ASYNC_TEST(connect_timeout)
{
    struct sockaddr_in address;
    int listener = net_listen(&address, 0), fds[4];
    asyncio_task *tasks[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = net_tcp();
        tasks[i] = asyncio_create_task(connect_later(fds[i], generic(&address), sizeof address));
    }
    settle();
    CHECK(asyncio_done(tasks[0]));
    CHECK(!asyncio_done(tasks[3]));
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(tasks[3]), 0.005), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_result(tasks[3]), -ECANCELED);
    for (int i = 0; i < 4; i++) {
        asyncio_close(fds[i]); /* ends the others */
        intptr_t result = asyncio_await(tasks[i]);
        CHECK(result == 0 || result == -EBADF || result == -ECANCELED);
    }
    asyncio_close(listener);
    return 0;
}

static void check_unix(const struct sockaddr *name, socklen_t length)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[3];
    asyncio_task *tasks[3];
    CHECK_EQUAL(bind(listener, name, length), 0);
    CHECK_EQUAL(listen(listener, 0), 0);
    for (int i = 0; i < 3; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        tasks[i] = asyncio_create_task(connect_later(fds[i], name, length));
    }
    settle();
    CHECK_EQUAL(asyncio_result(tasks[0]), 0);
    CHECK(!asyncio_done(tasks[1]) && !asyncio_done(tasks[2])); /* the queue is full */
    asyncio_close(fds[2]);
    CHECK_EQUAL(asyncio_await(tasks[2]), -EBADF);
    for (int i = 0; i < 2; i++) {
        int server = asyncio_sock_accept(listener, NULL, NULL);
        CHECK(server >= 0);
        CHECK_EQUAL(asyncio_await(tasks[i]), 0);
        char text[8];
        CHECK_EQUAL(asyncio_sock_sendall(server, "hi", 2, 0), 2);
        CHECK_EQUAL(asyncio_sock_recv(fds[i], text, sizeof text, 0), 2);
        asyncio_close(server);
        asyncio_close(fds[i]);
    }
    asyncio_close(listener);
}

ASYNC_TEST(unix)
{
    struct sockaddr_un name;
    check_unix((struct sockaddr *)&name, net_unix_address((struct sockaddr *)&name));
    char folder[] = "/tmp/asyncio-unix-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    name = (struct sockaddr_un){.sun_family = AF_UNIX};
    CHECK(snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", folder) > 0);
    check_unix((struct sockaddr *)&name, sizeof name);
    unlink(name.sun_path);
    rmdir(folder);
    return 0;
}

/* A number that a foreign close has freed starts afresh, whatever was known of it. */
ASYNC_TEST(afresh)
{
    struct sockaddr_in address;
    int fds[2], listener = net_listen(&address, 10);
    char text[8];
    net_unix_pair(SOCK_STREAM, fds);
    asyncio_task *stale = asyncio_create_task(recv_text(fds[0], text, sizeof text, 0));
    settle();
    close(fds[0]); /* no way to say so, and somebody waits still */
    int client = net_tcp();
    CHECK_EQUAL(client, fds[0]);
    asyncio_task *connector = asyncio_create_task(connect_later(client, generic(&address), sizeof address));
    settle();
    CHECK_EQUAL(asyncio_await(stale), -EBADF);
    CHECK_EQUAL(asyncio_await(connector), 0);
    CHECK(!net_is_blocking(client));
    stale = asyncio_create_task(recv_text(client, text, sizeof text, 0));
    settle();
    close(client);
    int server = asyncio_sock_accept(listener, NULL, NULL);
    CHECK_EQUAL(server, client);
    CHECK_EQUAL(asyncio_await(stale), -EBADF);
    CHECK_EQUAL(asyncio_sock_recv(server, text, sizeof text, 0), 0);
    asyncio_close(server);
    asyncio_close(fds[1]);
    asyncio_close(listener);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* ---- Accepting -------------------------------------------------------------------------------- */

ASYNC(accept_many, int, listener, int *, count)
{
    for (;;) {
        int fd = asyncio_sock_accept(listener, NULL, NULL);
        if (fd < 0)
            return fd;
        ++*count;
        asyncio_close(fd);
    }
}

/* A call that was cancelled has begun to connect: the next one waits for that. */
ASYNC_TEST(connect_again)
{
    struct sockaddr_in address;
    int listener = net_listen(&address, 0), fds[3], count = 0;
    for (int i = 0; i < 3; i++) {
        fds[i] = net_tcp();
        asyncio_wait_for(connect_later(fds[i], generic(&address), sizeof address), 0.005);
    }
    asyncio_task *task = asyncio_create_task(connect_later(fds[2], generic(&address), sizeof address));
    settle();
    CHECK(!asyncio_done(task));
    asyncio_task *accepting = asyncio_create_task(accept_many(listener, &count));
    CHECK_EQUAL(asyncio_await(task), 0); /* the kernel tries again in a second */
    asyncio_cancel(accepting);
    CHECK_EQUAL(asyncio_await(accepting), -ECANCELED);
    for (int i = 0; i < 3; i++)
        asyncio_close(fds[i]);
    asyncio_close(listener);
    return 0;
}

ASYNC_TEST(accept_storm)
{
    struct sockaddr_in address;
    int listener = net_listen(&address, 500), counts[3] = {0};
    asyncio_task *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = asyncio_create_task(accept_many(listener, &counts[i]));
    settle();
    for (int i = 0; i < 300; i++) {
        int fd = net_tcp();
        CHECK_EQUAL(connect(fd, generic(&address), sizeof address), 0);
        if (i % 3 == 0)
            net_reset_at_close(fd); /* gone before it is accepted */
        close(fd);
    }
    for (int i = 0; i < 100 && counts[0] + counts[1] + counts[2] < 300; i++)
        settle();
    CHECK_EQUAL(counts[0] + counts[1] + counts[2], 300);
    CHECK_EQUAL(counts[0], 100); /* in turn */
    CHECK_EQUAL(counts[2], 100);
    CHECK_EQUAL(asyncio_close(listener), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), -EBADF);
    return 0;
}

/* This program's accept, before the C library's: the next calls fail with these, up to a 0. Each such
 * failure takes a connection with it, as the kernel's do. */
static const int *accept_errors;
static unsigned accepts;

int accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags)
{
    static int (*next)(int, struct sockaddr *, socklen_t *, int);
    if (!next)
        next = (int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4");
    accepts++;
    int got = next(fd, peer, length, flags);
    if (got < 0 || !accept_errors || !*accept_errors)
        return got;
    close(got);
    if (length)
        *length = 0;
    errno = *accept_errors++;
    return -1;
}

ASYNC(greets, asyncio_stream *, stream)
{
    return asyncio_stream_write(stream, "hello", 5);
}

static int connected_to(struct sockaddr_in *address)
{
    int fd = net_tcp();
    CHECK_EQUAL(connect(fd, generic(address), sizeof *address), 0);
    return fd;
}

/* Connections that end before they are accepted are nobody's business: the next one comes, and its whole
 * address. What is wrong here is told. */
ASYNC_TEST(accept_failures)
{
    static const int peers[] = {ECONNABORTED, EPROTO,      ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
                                EHOSTUNREACH, ENETUNREACH, 0};
    static const int ours[] = {EMFILE, 0};
    enum { FAILURES = sizeof peers / sizeof *peers - 1 };
    struct sockaddr_in address, peer;
    socklen_t length = sizeof peer;
    int listener = net_listen(&address, 50), clients[FAILURES + 1];
    accept_errors = peers;
    accepts = 0;
    for (int i = 0; i < FAILURES + 1; i++)
        clients[i] = connected_to(&address);
    int server = asyncio_sock_accept(listener, generic(&peer), &length);
    CHECK(server >= 0);
    CHECK_EQUAL(length, sizeof peer);
    CHECK_EQUAL(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_EQUAL(accepts, FAILURES + 1);
    asyncio_close(server);
    for (int i = 0; i < FAILURES + 1; i++)
        close(clients[i]);

    /* None is left: it waits. */
    accept_errors = peers;
    asyncio_task *task = asyncio_create_task(accept_later(listener));
    settle();
    close(connected_to(&address));
    settle();
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(*accept_errors, peers[1]);
    accept_errors = NULL;
    close(connected_to(&address));
    server = (int)asyncio_await(task);
    CHECK(server >= 0);
    asyncio_close(server);

    accept_errors = ours;
    for (int i = 0; i < 2; i++) /* the kernel leaves the first one where it is */
        close(connected_to(&address));
    CHECK_EQUAL(asyncio_sock_accept(listener, NULL, NULL), -EMFILE);
    accept_errors = NULL;
    asyncio_close(listener);
    return 0;
}

static asyncio_coro *greeter(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return greets(stream);
}

/* A server passes over them, too, reports none, and has no pause after it. */
ASYNC_TEST(server_accept_failures)
{
    static const int passing[] = {ECONNABORTED, EPROTO, ECONNABORTED, EPERM, ETIMEDOUT, EOPNOTSUPP, 0};
    enum { FAILURES = sizeof passing / sizeof *passing - 1 };
    struct sockaddr_in address;
    int listener = net_listen(&address, 50), clients[FAILURES + 1];
    char text[8];
    asyncio_server *server;
    CHECK_EQUAL(asyncio_start_server_on(listener, greeter, NULL, NULL, &server), 0);
    accept_errors = passing;
    for (int i = 0; i < FAILURES + 1; i++)
        clients[i] = connected_to(&address);
    CHECK_EQUAL(asyncio_sock_recv(clients[FAILURES], text, sizeof text, 0), 5);
    CHECK_EQUAL(report_count, 0);            /* a pause is told of */
    if (!asy_server_has_completions(server)) /* which make no calls */
        CHECK_EQUAL(*accept_errors, 0);
    accept_errors = NULL;
    for (int i = 0; i < FAILURES + 1; i++)
        asyncio_close(clients[i]);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 5), 0);
    asyncio_server_release(server);
    return 0;
}

/* A connection that is there when the request comes is accepted, and the request stays. */
ASYNC_TEST(accept_cancelled)
{
    struct sockaddr_in address;
    int listener = net_listen(&address, 10), client = net_tcp();
    asyncio_task *task = asyncio_create_task(accept_later(listener));
    settle();
    asyncio_cancel(task);
    CHECK_EQUAL(connect(client, generic(&address), sizeof address), 0);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    task = asyncio_create_task(accept_later(listener));
    asyncio_sleep(0);
    int server = (int)asyncio_await(task);
    CHECK(server >= 0);
    asyncio_close(server);
    asyncio_close(client);
    asyncio_close(listener);
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
