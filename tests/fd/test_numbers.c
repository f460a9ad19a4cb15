/*
 * Numbers of descriptors: what is known of one goes when the library closes it, for whatever reason; and what
 * the library opens never takes 0, 1 or 2.
 */
#include "asyncio.h"
#include "fd/fd_table.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How many descriptors may still be registered; what exceeds that is ENOSPC (fs.epoll.max_user_watches). */
static int room = INT_MAX;

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_ADD && room-- <= 0) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

/* No number without a file behind it has anything known of it. */
static void check_none_is_stale(void)
{
    const struct fd_table *table = (const struct fd_table *)asyncio_get_running_loop()->io;
    for (size_t i = 0; table && i < table->capacity; i++)
        if (table->records[i] && table->records[i]->is_known && fcntl((int)i, F_GETFD) < 0)
            harness_failed(__FILE__, __LINE__, "%zu is closed, and known", i);
}

/* ---- After a failure --------------------------------------------------------------------------- */

static char folder[] = "/tmp/asyncio-numbers-XXXXXX", fifo[64], place[64], path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    snprintf(place, sizeof place, "%s/socket", folder);
    snprintf(path, sizeof path, "%s/file", folder);
    return mkfifo(fifo, 0600);
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(fifo);
    unlink(place);
    unlink(path);
    return rmdir(folder);
}

/* A pipe that gets these numbers is made non-blocking, as any is. */
static void check_reused(void)
{
    int fds[2];
    char c;
    net_pipe(fds);
    CHECK_EQUAL(write(fds[1], "x", 1), 1);
    CHECK_EQUAL(asyncio_read(fds[0], &c, 1), 1);
    CHECK(!net_is_blocking(fds[0]));
    CHECK_EQUAL(asyncio_write(fds[1], "x", 1), 1);
    CHECK(!net_is_blocking(fds[1]));
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
}

static asyncio_coro *refuse(asyncio_stream *stream, void *arg)
{
    (void)stream, (void)arg;
    return NULL;
}

ASYNC_TEST(no_room)
{
    asyncio_file *file;
    asyncio_server *server;
    asyncio_stream *stream;
    asyncio_server_options options = {.max_connections = 1}; /* it is registered, on io_uring, too */
    char c;
    CHECK_EQUAL(asyncio_file_open(fifo, O_RDWR, 0, &file), 0);
    room = 0;
    CHECK_EQUAL(asyncio_file_read(file, &c, 1), -ENOSPC);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    check_none_is_stale();
    CHECK_EQUAL(asyncio_start_server(refuse, NULL, "127.0.0.1", 0, &options, &server), -ENOSPC);
    check_none_is_stale();
    CHECK_EQUAL(asyncio_start_unix_server(refuse, NULL, place, &options, &server), -ENOSPC);
    check_none_is_stale();
    /* These stay the caller's, who may close them by any means. */
    struct sockaddr_in address;
    int listener = net_listen(&address, 1);
    CHECK_EQUAL(asyncio_start_server_on(listener, refuse, NULL, &options, &server), -ENOSPC);
    close(listener);
    check_none_is_stale();
    int fds[2];
    asyncio_datagram *datagram;
    net_pipe(fds);
    CHECK_EQUAL(asyncio_datagram_from_fd(fds[0], &datagram), -ENOTSOCK);
    CHECK_EQUAL(asyncio_file_from_fd(fds[1], &file), -ENOSPC);
    close(fds[0]);
    close(fds[1]);
    check_none_is_stale();
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 1, NULL, &stream) < 0, true);
    check_none_is_stale();
    room = INT_MAX;
    check_reused();
    return 0;
}

/* ---- After any failure ------------------------------------------------------------------------- */

static asyncio_coro *greet(asyncio_stream *stream, void *arg);

ASYNC(greets, asyncio_stream *, stream)
{
    return asyncio_stream_write(stream, "hello", 5);
}

static asyncio_coro *greet(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return greets(stream);
}

/* A client, in time: a server that has no memory for it closes it, or accepts it a second later. */
ASYNC(visit, int, port)
{
    asyncio_stream *stream;
    char text[8];
    int err = asyncio_open_connection("127.0.0.1", port, NULL, &stream);
    if (err)
        return err;
    ssize_t got = asyncio_stream_read(stream, text, sizeof text);
    asyncio_stream_abort(stream);
    return got < 0 ? got : 0;
}

static int serve_and_visit(void)
{
    asyncio_server *server;
    int err = asyncio_start_server(greet, NULL, "127.0.0.1", 0, NULL, &server);
    if (err)
        return err;
    int port = asyncio_server_port(server);
    err = port < 0 ? port : (int)asyncio_wait_for(visit(port), 5);
    asyncio_server_release(server);
    return err;
}

static int use_files(void)
{
    asyncio_file *file;
    char c;
    int err = asyncio_file_open(fifo, O_RDWR, 0, &file);
    if (err)
        return err;
    ssize_t n = asyncio_file_write(file, "x", 1);
    if (n == 1)
        n = asyncio_file_read(file, &c, 1);
    err = asyncio_file_close(file);
    return n < 0 ? (int)n : err;
}

static int use_others(void)
{
    asyncio_server *server;
    asyncio_datagram *datagram;
    asyncio_address local = {"127.0.0.1", 0};
    int err = asyncio_start_unix_server(refuse, NULL, place, NULL, &server);
    if (!err)
        asyncio_server_release(server);
    int other = asyncio_open_datagram(&local, NULL, NULL, &datagram);
    if (!other)
        other = asyncio_datagram_close(datagram);
    return err ? err : other;
}

ASYNC(main_all_kinds)
{
    int err = serve_and_visit(), files = use_files(), others = use_others();
    check_none_is_stale();
    return err ? err : files ? files : others;
}

TEST(sweep)
{
    sweep_failures(main_all_kinds);
}

/* ---- 0, 1 and 2 --------------------------------------------------------------------------------- */

static int open_standard_ones(void)
{
    int count = 0;
    for (int fd = 0; fd < 3; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

ASYNC(watching_handler, asyncio_stream *, stream, int *, taken)
{
    *taken += open_standard_ones() || asyncio_stream_fd(stream) < 3;
    return asyncio_stream_write(stream, "hello", 5);
}

static asyncio_coro *watch(asyncio_stream *stream, void *taken)
{
    return watching_handler(stream, taken);
}

/* Opens all that there is to open; how often one of the numbers was taken. */
ASYNC(opens_all)
{
    int taken = 0;
    char text[8];
    asyncio_server *server;
    asyncio_stream *stream;
    asyncio_datagram *datagram;
    asyncio_file *files[2];
    asyncio_process *process;
    asyncio_dirents dirents;
    const char *const argv[] = {"true", NULL};
    const asyncio_subprocess_options pipes = {
        .stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_PIPE};
    asyncio_address local = {"127.0.0.1", 0};
    if (asyncio_start_server(watch, &taken, "127.0.0.1", 0, NULL, &server) ||
        asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &stream) ||
        asyncio_stream_readexactly(stream, text, 5) != 5)
        return -1;
    taken += open_standard_ones();
    if (asyncio_open_datagram(&local, NULL, NULL, &datagram) ||
        asyncio_file_open(path, O_RDWR | O_CREAT, 0600, &files[0]) ||
        asyncio_file_open(path, O_RDONLY, 0, &files[1]) || asyncio_scandir(folder, &dirents))
        return -2;
    taken += open_standard_ones();
    if (asyncio_create_subprocess_exec(argv, &pipes, &process) || asyncio_process_wait(process, NULL))
        return -3;
    taken += open_standard_ones();
    asyncio_process_release(process);
    asyncio_dirents_destroy(&dirents);
    asyncio_file_close(files[0]);
    asyncio_file_close(files[1]);
    asyncio_datagram_close(datagram);
    asyncio_stream_abort(stream);
    asyncio_server_release(server);
    return taken;
}

/* As some start a server. What is printed must not go to a client. */
TEST(standard_ones)
{
    int saved[3];
    fflush(NULL);
    for (int fd = 0; fd < 3; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 50);
        close(fd);
    }
    intptr_t taken = asyncio_run(opens_all());
    for (int fd = 0; fd < 3; fd++) {
        dup2(saved[fd], fd);
        close(saved[fd]);
    }
    assert_int_equal(taken, 0);
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = make_folder,
                                                  .group_teardown = remove_folder};
    use_descriptors();
    return tests_run(&fixtures);
}
