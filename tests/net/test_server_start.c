/*
 * Where servers listen: all addresses of a name, one port for all of them, what is left when one of them is
 * taken, given descriptors, and the files of Unix sockets.
 */
#include "fd/address.h"
#include "fd/stream_test.h"
#include "net/server.h"
#include "support/resolver.h"
#include "sys/sys.h"
#include <fcntl.h>
#include <linux/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Where nobody else is: ports of 127.0.0.1 come and go. */
#define QUIET_NETWORK 0x7f4d0700u

static const struct resolver_name names[] = {
    {.name = "both.test", .addresses = {"127.0.0.1", "::1"}},
    {.name = "two.test", .addresses = {"127.0.0.1", "127.0.0.2"}},
    {.name = "four.test", .addresses = {"127.77.7.1", "127.77.7.2", "127.77.7.3", "127.77.7.4"}},
    {.name = "some.test", .addresses = {"203.0.113.77", "127.0.0.1", "203.0.113.78"}}, /* not all are ours */
    {.name = "strange.test", .addresses = {"203.0.113.77", "203.0.113.78"}},
    {.name = "missing.test", .code = EAI_NONAME},
};

ASYNC(says_hello, asyncio_stream *, stream)
{
    return asyncio_stream_printf(stream, "hello\n");
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return says_hello(stream);
}

static void finish(asyncio_server *server)
{
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 5), 0);
    asyncio_server_release(server);
}

static int start(const char *host, int port, const asyncio_server_options *options, asyncio_server **server)
{
    return asyncio_start_server(handler, NULL, host, port, options, server);
}

/* Whether somebody says hello at an address. */
static bool is_served(const struct sockaddr *address, socklen_t length)
{
    char buf[16];
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssize_t n = connect(fd, address, length) ? -1 : 0;
    for (int i = 0; i < 4000 && n == 0; i++) {
        n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            n = asyncio_sleep(0.0005);
    }
    close(fd);
    return n == 6;
}

static bool fd_is_served(int fd)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    CHECK_EQUAL(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    return is_served((struct sockaddr *)&name, length);
}

static int port_of(int fd)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    CHECK_EQUAL(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    return asy_address_port((struct sockaddr *)&name);
}

static struct sockaddr_in quiet(unsigned last, int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(QUIET_NETWORK + last),
                                .sin_port = htons((uint16_t)port)};
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    CHECK_EQUAL(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return has;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static void check_all(const char *host, int expected)
{
    int fds[8];
    asyncio_server *server = NULL;
    CHECK_EQUAL(start(host, 0, NULL, &server), 0);
    CHECK_EQUAL(asyncio_server_fds(server, fds, 8), expected);
    for (int i = 0; i < expected; i++) {
        CHECK_EQUAL(port_of(fds[i]), asyncio_server_port(server));
        CHECK(fd_is_served(fds[i]));
        CHECK_EQUAL(option(fds[i], SOL_SOCKET, SO_REUSEADDR), 1);
        CHECK_EQUAL(option(fds[i], SOL_SOCKET, SO_REUSEPORT), 0);
        if (option(fds[i], SOL_SOCKET, SO_DOMAIN) == AF_INET6)
            CHECK_EQUAL(option(fds[i], IPPROTO_IPV6, IPV6_V6ONLY), 1);
        CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        CHECK(!net_is_blocking(fds[i]));
    }
    finish(server);
}

ASYNC_TEST(names)
{
    check_all("both.test", has_ipv6() ? 2 : 1);
    check_all("two.test", 2);
    check_all("four.test", 4);
    check_all("some.test", 1); /* addresses of others are passed over */
    check_all("127.0.0.3", 1);
    return 0;
}

ASYNC_TEST(no_address)
{
    int before = count_descriptors();
    asyncio_server *server = NULL;
    CHECK_EQUAL(start("strange.test", 0, NULL, &server), -EADDRNOTAVAIL);
    CHECK_TEXT(asyncio_error_message(), "listen on 203.0.113.78:0: cannot assign requested address");
    CHECK_EQUAL(start("missing.test", 0, NULL, &server), ASYNCIO_EGAI_NONAME);
    CHECK_HAS(asyncio_error_message(), "missing.test");
    CHECK(!server);
    CHECK_EQUAL(count_descriptors(), before);
    return 0;
}

/* One of several addresses is taken: it is named, and nobody listens at the others. */
ASYNC_TEST(one_in_use)
{
    struct sockaddr_in taken = quiet(2, 0), other;
    socklen_t length = sizeof taken;
    int fd = net_tcp(), port, before;
    char words[80];
    asyncio_server *server = NULL;
    CHECK_EQUAL(bind(fd, (struct sockaddr *)&taken, sizeof taken), 0);
    CHECK_EQUAL(listen(fd, 1), 0);
    CHECK_EQUAL(getsockname(fd, (struct sockaddr *)&taken, &length), 0);
    port = ntohs(taken.sin_port);
    other = quiet(1, port);
    before = count_descriptors();
    CHECK_EQUAL(start("four.test", port, NULL, &server), -EADDRINUSE);
    snprintf(words, sizeof words, "listen on 127.77.7.2:%d: address already in use", port);
    CHECK_TEXT(asyncio_error_message(), words);
    CHECK(!server);
    CHECK_EQUAL(count_descriptors(), before);
    CHECK_EQUAL(net_registrations(-1), 0);
    CHECK(!is_served((struct sockaddr *)&other, sizeof other));
    close(fd);
    CHECK_EQUAL(start("four.test", port, NULL, &server), 0);
    CHECK(is_served((struct sockaddr *)&other, sizeof other));
    finish(server);
    return 0;
}

/* This program's bind, before the C library's: calls number `taken_from` to `taken_to` find the address
 * taken. */
static unsigned binds, taken_from, taken_to;

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
    static int (*next)(int, const struct sockaddr *, socklen_t);
    if (!next)
        next = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
    binds++;
    if (binds < taken_from || binds > taken_to)
        return next(fd, address, length);
    errno = EADDRINUSE;
    return -1;
}

/* What a server at any port of four addresses makes of that. */
static void check_taken(unsigned from, unsigned to, int expected, unsigned expected_binds)
{
    int fds[4], before = count_descriptors();
    asyncio_server *server = NULL;
    binds = 0;
    taken_from = from;
    taken_to = to;
    CHECK_EQUAL(start("four.test", 0, NULL, &server), expected);
    CHECK(binds >= expected_binds); /* more, where others on this machine have taken ports */
    taken_from = taken_to = 0;
    if (!expected) {
        CHECK_EQUAL(asyncio_server_fds(server, fds, 4), 4);
        for (int i = 0; i < 4; i++)
            CHECK_EQUAL(port_of(fds[i]), port_of(fds[0]));
        finish(server);
    }
    CHECK_EQUAL(count_descriptors(), before);
}

/* One that is free at the first address and taken at another is given up for another one, several times. A
 * first address without a port is the system's lack of any. */
ASYNC_TEST(another_port)
{
    check_taken(0, 0, 0, 4);
    check_taken(1, 1, -EADDRINUSE, 1);
    check_taken(2, 2, 0, 2 + 4);
    check_taken(3, 3, 0, 3 + 4);
    check_taken(4, 4, 0, 4 + 4);
    check_taken(2, UINT32_MAX, -EADDRINUSE, 2);
    return 0;
}

/* ---- Options --------------------------------------------------------------------------------- */

/* Of a listening socket, tcpi_sacked is the room in its queue. */
static unsigned backlog_of(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    CHECK_EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info.tcpi_sacked;
}

ASYNC_TEST(backlog)
{
    static const struct {
        int option;
        unsigned expected;
    } cases[] = {{0, 100}, {7, 7}, {-5, 100}, {1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fds[2];
        asyncio_server *server = NULL;
        asyncio_server_options options = {.backlog = cases[i].option};
        CHECK_EQUAL(start("two.test", 0, &options, &server), 0);
        CHECK_EQUAL(asyncio_server_fds(server, fds, 2), 2);
        CHECK_EQUAL(backlog_of(fds[0]), cases[i].expected);
        CHECK_EQUAL(backlog_of(fds[1]), cases[i].expected);
        finish(server);
    }
    return 0;
}

ASYNC_TEST(reuse_port)
{
    int fds[2], more[2];
    asyncio_server *servers[2] = {NULL, NULL}, *third = NULL;
    asyncio_server_options options = {.reuse_port = 1};
    CHECK_EQUAL(start("two.test", 0, &options, &servers[0]), 0);
    int port = asyncio_server_port(servers[0]);
    CHECK_EQUAL(start("two.test", port, &options, &servers[1]), 0);
    options.reuse_port = -1;
    CHECK_EQUAL(start("two.test", port, &options, &third), -EADDRINUSE);
    CHECK_EQUAL(asyncio_server_fds(servers[0], fds, 2), 2);
    CHECK_EQUAL(asyncio_server_fds(servers[1], more, 2), 2);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(option(fds[i], SOL_SOCKET, SO_REUSEPORT), 1);
        CHECK_EQUAL(port_of(more[i]), port);
        CHECK(fd_is_served(fds[i]));
    }
    finish(servers[0]);
    CHECK(fd_is_served(more[0]) && fd_is_served(more[1]));
    finish(servers[1]);
    return 0;
}

/* ---- Given descriptors ----------------------------------------------------------------------- */

/* Refused, and still its owner's. */
static void check_refused(int fd, int expected)
{
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_server_on(fd, handler, NULL, NULL, &server), expected);
    CHECK(!server);
    CHECK(expected == -EBADF || fcntl(fd, F_GETFD) >= 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    if (expected != -EBADF)
        close(fd);
}

ASYNC_TEST(given)
{
    struct sockaddr_in address;
    int fds[2], fd;
    asyncio_server *server = NULL;
    int closed = dup(0);
    close(closed);
    check_refused(closed, -EBADF);
    check_refused(-1, -EBADF);
    check_refused(INT32_MAX, -EBADF);
    check_refused(open("/dev/null", O_RDWR | O_CLOEXEC), -ENOTSOCK);
    check_refused(open("/", O_RDONLY | O_CLOEXEC), -ENOTSOCK);
    check_refused(net_udp(&address), -EOPNOTSUPP);
    net_tcp_pair(fds); /* connected */
    check_refused(fds[0], -EINVAL);
    check_refused(fds[1], -EINVAL);
    net_unix_pair(SOCK_STREAM, fds);
    check_refused(fds[0], -EINVAL);
    check_refused(fds[1], -EINVAL);
    net_unix_pair(SOCK_DGRAM, fds);
    check_refused(fds[0], -EOPNOTSUPP);
    check_refused(fds[1], -EOPNOTSUPP);
    /* Bound, and not listening yet; and neither of the two, for which the kernel finds a port. */
    for (int is_bound = 0; is_bound < 2; is_bound++) {
        address = quiet(1, 0);
        fd = net_tcp();
        if (is_bound)
            CHECK_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        CHECK(net_is_blocking(fd));
        asyncio_server_options options = {.backlog = 3};
        CHECK_EQUAL(asyncio_start_server_on(fd, handler, NULL, &options, &server), 0);
        CHECK(!net_is_blocking(fd));
        CHECK_EQUAL(backlog_of(fd), 3);
        CHECK(asyncio_server_port(server) > 0);
        CHECK(fd_is_served(fd));
        finish(server);
        CHECK(fcntl(fd, F_GETFD) < 0);
    }
    return 0;
}

/* ---- Unix sockets ---------------------------------------------------------------------------- */

static char folder[64], path[96], other_path[96];

static int start_unix(const char *where, asyncio_server **server)
{
    return asyncio_start_unix_server(handler, NULL, where, NULL, server);
}

static bool exists(const char *where)
{
    struct stat status;
    return lstat(where, &status) == 0;
}

static bool path_is_served(const char *where)
{
    struct sockaddr_un address;
    socklen_t length;
    CHECK_EQUAL(asy_unix_address(where, &address, &length), 0);
    return is_served((struct sockaddr *)&address, length);
}

/* A socket that its server has left behind. */
static void leave_stale(const char *where)
{
    struct sockaddr_un address;
    socklen_t length;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(asy_unix_address(where, &address, &length), 0);
    CHECK_EQUAL(bind(fd, (struct sockaddr *)&address, length), 0);
    close(fd);
    CHECK(exists(where));
}

static void make_file(const char *where)
{
    int fd = open(where, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    CHECK_EQUAL(write(fd, "kept", 4), 4);
    close(fd);
}

/* What is no socket is in the way, and stays. */
static void check_in_the_way(mode_t kind)
{
    struct stat status;
    char words[160];
    asyncio_server *server = NULL;
    CHECK_EQUAL(start_unix(path, &server), -EADDRINUSE);
    snprintf(words, sizeof words, "listen on %s: address already in use", path);
    CHECK_TEXT(asyncio_error_message(), words);
    CHECK(!server);
    CHECK_EQUAL(lstat(path, &status), 0);
    CHECK_EQUAL(status.st_mode & S_IFMT, kind);
}

ASYNC_TEST(in_the_way)
{
    struct stat status;
    make_file(path);
    check_in_the_way(S_IFREG);
    CHECK_EQUAL(stat(path, &status), 0);
    CHECK_EQUAL(status.st_size, 4);
    CHECK_EQUAL(unlink(path), 0);
    CHECK_EQUAL(mkdir(path, 0700), 0);
    check_in_the_way(S_IFDIR);
    CHECK_EQUAL(rmdir(path), 0);
    CHECK_EQUAL(mkfifo(path, 0600), 0);
    check_in_the_way(S_IFIFO);
    CHECK_EQUAL(unlink(path), 0);
    /* A link, to nothing, or to a socket, which is somebody else's. */
    CHECK_EQUAL(symlink(other_path, path), 0);
    check_in_the_way(S_IFLNK);
    leave_stale(other_path);
    check_in_the_way(S_IFLNK);
    CHECK(exists(other_path));
    CHECK_EQUAL(unlink(path), 0);
    CHECK_EQUAL(unlink(other_path), 0);
    return 0;
}

ASYNC_TEST(files)
{
    asyncio_server *server = NULL;
    leave_stale(path);
    CHECK_EQUAL(start_unix(path, &server), 0);
    CHECK(path_is_served(path));
    finish(server);
    CHECK(!exists(path));
    /* Removed by somebody: nothing is left to do. */
    CHECK_EQUAL(start_unix(path, &server), 0);
    CHECK_EQUAL(unlink(path), 0);
    finish(server);
    /* Something else has its name, or it has another name: both stay. */
    CHECK_EQUAL(start_unix(path, &server), 0);
    CHECK_EQUAL(unlink(path), 0);
    make_file(path);
    finish(server);
    CHECK(exists(path));
    CHECK_EQUAL(unlink(path), 0);
    CHECK_EQUAL(start_unix(path, &server), 0);
    CHECK_EQUAL(rename(path, other_path), 0);
    leave_stale(path);
    CHECK(path_is_served(other_path));
    finish(server);
    CHECK(exists(path) && exists(other_path));
    CHECK_EQUAL(unlink(path), 0);
    CHECK_EQUAL(unlink(other_path), 0);
    /* By _release, too. */
    CHECK_EQUAL(start_unix(path, &server), 0);
    asyncio_server_release(server);
    CHECK(!exists(path));
    /* No folder to be in. */
    char missing[160];
    snprintf(missing, sizeof missing, "%s/missing/socket", folder);
    CHECK_EQUAL(start_unix(missing, &server), -ENOENT);
    CHECK_HAS(asyncio_error_message(), missing);
    return 0;
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

/* Whatever fails, unless it is what cleans up: no socket file is left. */
ASYNC(main_unix_life)
{
    asyncio_server *server = NULL;
    int err = start_unix(path, &server);
    asyncio_server_release(server);
    const char *failed = asy_fault.failed;
    bool cannot = failed && (asy_fault.sticky || !strcmp(failed, "unlink") || !strcmp(failed, "stat"));
    CHECK(cannot || !exists(path));
    unlink(path);
    return err;
}

ASYNC(main_name_life)
{
    asyncio_server *server = NULL;
    int err = start("four.test", 0, NULL, &server);
    if (!err)
        err = asyncio_sleep(0);
    asyncio_server_release(server);
    return err;
}

TEST(failures)
{
    sweep_failures(main_unix_life);
    sweep_failures(main_name_life);
    assert_false(exists(path));
}

TEST(cancels)
{
    sweep_cancels(main_name_life, NULL);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/asyncio-server-XXXXXX");
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(other_path, sizeof other_path, "%s/other", folder);
}

int main(void)
{
    use_descriptors();
    resolver.names = names;
    resolver.count = sizeof names / sizeof *names;
    make_folder();
    int failed = tests_run(NULL);
    rmdir(folder);
    return failed;
}
