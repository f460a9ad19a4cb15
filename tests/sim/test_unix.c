/*
 * Simulated Unix sockets: names of a host's own, streams, datagrams that wait for room.
 */
#include "sim/in_world.h"
#include "sys/net.h"
#include "sys/sys.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH "/tmp/asyncio-simulated-socket"

ASYNC(answer, asyncio_stream *, stream, void *, arg)
{
    char *line;
    ssize_t n;
    (void)arg;
    while ((n = asyncio_stream_readline(stream, &line)) > 0)
        asyncio_stream_write(stream, line, (size_t)n);
    return n;
}

static asyncio_coro *make_answer(asyncio_stream *stream, void *arg)
{
    return answer(stream, arg);
}

static asyncio_server *start_at(const char *path)
{
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_unix_server(make_answer, NULL, path, NULL, &server), 0);
    return server;
}

static void ask_at(const char *path)
{
    asyncio_stream *stream = NULL;
    char *line;
    CHECK_EQUAL(asyncio_open_unix_connection(path, NULL, &stream), 0);
    asyncio_stream_write(stream, "hello\n", 6);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 6);
    asyncio_stream_close(stream);
}

static void end_server(asyncio_server *server)
{
    asyncio_server_close(server);
    asyncio_server_wait_closed(server, ASYNCIO_FOREVER);
    asyncio_server_release(server);
}

WORLD_TEST(streams, PLAIN_LINK)
{
    static const char *const paths[] = {PATH, "@abstract"};
    for (size_t i = 0; i < 2; i++) {
        asyncio_server *server = start_at(paths[i]);
        CHECK(access(PATH, F_OK) != 0); /* not in the real world */
        ask_at(paths[i]);
        end_server(server);
        asyncio_stream *stream = NULL;
        CHECK_EQUAL(asyncio_open_unix_connection(paths[i], NULL, &stream), i ? -ECONNREFUSED : -ENOENT);
    }
    CHECK_TIME(0);
    return 0;
}

ASYNC(look_at_path)
{
    asyncio_stream *stream = NULL;
    return asyncio_open_unix_connection(PATH, NULL, &stream);
}

/* A path of one host is none of another's. */
WORLD_TEST(hosts_have_their_own, PLAIN_LINK)
{
    asyncio_server *server = start_at(PATH);
    CHECK_EQUAL(asyncio_await(asyncio_sim_start("other", look_at_path())), -ENOENT);
    end_server(server);
    return 0;
}

/* To close a stream ends both of the peer's directions at once. */
WORLD_TEST(closed_peer, PLAIN_LINK)
{
    asyncio_server *server = start_at(PATH);
    asyncio_stream *stream = NULL;
    char byte;
    CHECK_EQUAL(asyncio_open_unix_connection(PATH, NULL, &stream), 0);
    asyncio_sleep(0);
    expect_reports(1); /* of the handler that fails */
    asyncio_server_abort_clients(server);
    CHECK(asyncio_stream_read(stream, &byte, 1) <= 0);
    CHECK_EQUAL(asyncio_sock_send(asyncio_stream_fd(stream), "x", 1, 0), -EPIPE);
    asyncio_stream_close(stream);
    end_server(server);
    return 0;
}

static struct sockaddr_un name_of(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strncpy(name.sun_path, path, sizeof name.sun_path - 1);
    return name;
}

static int listen_at_path(const char *path, int backlog)
{
    struct sockaddr_un name = name_of(path);
    int fd = asy_sys_socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(asy_sys_bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    CHECK_EQUAL(asy_sys_listen(fd, backlog), 0);
    return fd;
}

static int connect_at(int fd, const char *path)
{
    struct sockaddr_un name = name_of(path);
    return asy_sys_connect(fd, (struct sockaddr *)&name, sizeof name);
}

/* One more than the backlog may wait; a client knows its listener's name already. */
WORLD_TEST(backlog, PLAIN_LINK)
{
    struct sockaddr_un peer = {0};
    socklen_t length = sizeof peer;
    int listener = listen_at_path(PATH, 1), fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = asy_sys_socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK_EQUAL(connect_at(fds[i], PATH), i < 2 ? 0 : -EAGAIN);
    }
    CHECK_EQUAL(asy_sys_getpeername(fds[0], (struct sockaddr *)&peer, &length), 0);
    CHECK_TEXT(peer.sun_path, PATH);
    int first = asyncio_sock_accept(listener, NULL, NULL);
    memset(&peer, 0, length = sizeof peer);
    CHECK_EQUAL(asy_sys_getpeername(fds[0], (struct sockaddr *)&peer, &length), 0);
    CHECK_TEXT(peer.sun_path, PATH);
    memset(&peer, 0, length = sizeof peer);
    CHECK_EQUAL(asy_sys_getsockname(first, (struct sockaddr *)&peer, &length), 0);
    CHECK_TEXT(peer.sun_path, PATH);
    CHECK_EQUAL(connect_at(fds[2], PATH), 0);
    for (int i = 0; i < 3; i++)
        asyncio_close(fds[i]);
    asyncio_close(first);
    asyncio_close(listener);
    CHECK_EQUAL(asy_sys_unlink(PATH), 0);
    return 0;
}

/* To close with bytes unread is a reset. */
WORLD_TEST(close_with_unread_bytes, PLAIN_LINK)
{
    int fds[2];
    char byte;
    CHECK_EQUAL(asy_sim_world_pair(SOCK_STREAM, fds), 0);
    CHECK_EQUAL(asyncio_sock_send(fds[0], "x", 1, 0), 1);
    asyncio_close(fds[1]);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], &byte, 1, 0), -ECONNRESET);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], &byte, 1, 0), 0);
    asyncio_close(fds[0]);
    return 0;
}

/* The name of an abstract socket goes with it, a path stays; a socket of the other kind is none to reach. */
WORLD_TEST(names_that_stay, PLAIN_LINK)
{
    struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0name"}, path = name_of(PATH);
    for (int i = 0; i < 2; i++) {
        int fd = asy_sys_socket(AF_UNIX, SOCK_STREAM, 0), other = asy_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
        CHECK_EQUAL(asy_sys_bind(fd, (struct sockaddr *)&abstract, sizeof abstract), 0);
        CHECK_EQUAL(asy_sys_bind(other, (struct sockaddr *)&path, sizeof path), i ? -EADDRINUSE : 0);
        if (i == 0)
            CHECK_EQUAL(connect_at(fd, PATH), -EPROTOTYPE);
        asyncio_close(fd);
        asyncio_close(other);
    }
    CHECK_EQUAL(asy_sys_unlink(PATH), 0);
    return 0;
}

/* ---- Datagrams ----------------------------------------------------------------------------- */

static int bind_at(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = asy_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    strncpy(name.sun_path, path, sizeof name.sun_path - 1);
    CHECK_EQUAL(asy_sys_bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

static int sent;

ASYNC(send_many, int, fd, int, count)
{
    ssize_t n = 1;
    for (sent = 0; n == 1 && sent < count; sent += n == 1)
        n = asyncio_sock_send(fd, "x", 1, 0);
    return n;
}

/* A writer waits while its peer's queue is full, and is refused when that is gone. */
WORLD_TEST(datagrams_wait_for_room, PLAIN_LINK)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = PATH};
    int reader = bind_at(PATH), writer = asy_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    char byte;
    CHECK_EQUAL(asyncio_sock_send(writer, "x", 1, 0), -ENOTCONN);
    CHECK_EQUAL(asyncio_sock_connect(writer, (struct sockaddr *)&name, sizeof name), 0);
    asyncio_task *task = asyncio_create_task(send_many(writer, 20));
    asyncio_sleep(1);
    CHECK_EQUAL(sent, 11);
    for (int i = 0; i < 5; i++)
        CHECK_EQUAL(asyncio_sock_recv(reader, &byte, 1, 0), 1);
    asyncio_sleep(1);
    CHECK_EQUAL(sent, 16);
    asyncio_close(reader);
    CHECK_EQUAL(asyncio_await(task), -ECONNREFUSED);
    CHECK_EQUAL(asy_sys_unlink(PATH), 0);
    asyncio_close(writer);
    return 0;
}

/* A socket that is connected takes from its peer alone; one that was shut down sends, or takes, no more. */
WORLD_TEST(datagrams_of_strangers, PLAIN_LINK)
{
    struct sockaddr_un name = name_of(PATH);
    int reader = bind_at(PATH), peer = bind_at(PATH ".2"), stranger = asy_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_EQUAL(connect_at(reader, PATH ".2"), 0);
    CHECK_EQUAL(connect_at(stranger, PATH), -EPERM);
    CHECK_EQUAL(asyncio_sock_sendto(stranger, "x", 1, 0, (struct sockaddr *)&name, sizeof name), -EPERM);
    CHECK_EQUAL(asyncio_sock_sendto(peer, "x", 1, 0, (struct sockaddr *)&name, sizeof name), 1);
    CHECK_EQUAL(asy_sys_shutdown(reader, SHUT_RD), 0);
    CHECK_EQUAL(asyncio_sock_sendto(peer, "x", 1, 0, (struct sockaddr *)&name, sizeof name), -EPIPE);
    CHECK_EQUAL(asyncio_sock_send(reader, "x", 1, 0), 1);
    CHECK_EQUAL(asy_sys_shutdown(reader, SHUT_WR), 0);
    CHECK_EQUAL(asyncio_sock_send(reader, "x", 1, 0), -EPIPE);
    asyncio_close(reader);
    asyncio_close(peer);
    asyncio_close(stranger);
    CHECK_EQUAL(asy_sys_unlink(PATH), 0);
    CHECK_EQUAL(asy_sys_unlink(PATH ".2"), 0);
    return 0;
}

WORLD_TEST(datagrams_say_from_whom, PLAIN_LINK)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = PATH}, from;
    socklen_t length = sizeof from;
    int reader = bind_at(PATH), writer = bind_at(PATH ".2");
    char byte, text[128];
    CHECK_EQUAL(asyncio_sock_sendto(writer, "x", 1, 0, (struct sockaddr *)&name, sizeof name), 1);
    CHECK_EQUAL(asyncio_sock_recvfrom(reader, &byte, 1, 0, (struct sockaddr *)&from, &length), 1);
    CHECK_TEXT(from.sun_path, PATH ".2");
    asy_sim_world_describe_fd(reader, text, sizeof text);
    CHECK_TEXT(text, "unix datagram " PATH);
    asyncio_close(reader);
    asyncio_close(writer);
    return 0;
}

TEST_MAIN()
