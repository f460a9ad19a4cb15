/*
 * Connections by name and by path: real sockets on the loopback interface, and in
 * a network of the test's own, where an address does not answer. The resolver is the test's.
 */
#include "asyncio.h"
#include "fd/stream.h"
#include "fd/tls_hook.h"
#include "support/harness.h"
#include "support/net.h"
#include "support/resolver.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct resolver_name names[] = {
    {.name = "one.test", .addresses = {"127.0.0.1"}},
    {.name = "two.test", .addresses = {"127.0.0.2", "127.0.0.1"}},
    {.name = "three.test", .addresses = {"127.0.0.2", "127.0.0.3", "127.0.0.4"}},
    {.name = "both.test", .addresses = {"::1", "127.0.0.1"}},
    {.name = "hole.test", .addresses = {"192.0.2.99", "127.0.0.1"}},
    {.name = "holes.test", .addresses = {"192.0.2.99", "192.0.2.98"}},
    {.name = "slow.test", .addresses = {"127.0.0.1"}, .is_slow = true},
    {.name = "none.test", .code = EAI_NONAME},
};

static struct sockaddr *generic(struct sockaddr_in *address)
{
    return (struct sockaddr *)address;
}

/* A TCP listener on an address of ours, at a port (0: any), which is returned in *port. Negative if another
 * process has that port there. */
static int listen_on(const char *host, int backlog, int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t length = sizeof address;
    int fd = net_tcp(), on = 1;
    inet_pton(AF_INET, host, &address.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int refused = bind(fd, generic(&address), length);
    if (refused && *port) {
        close(fd);
        return -1;
    }
    CHECK_EQUAL(refused, 0);
    CHECK_EQUAL(listen(fd, backlog), 0);
    CHECK_EQUAL(getsockname(fd, generic(&address), &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* A port at which nobody listens. */
static int closed_port(void)
{
    int port = 0;
    close(listen_on("127.0.0.1", 1, &port));
    return port;
}

/* A listener whose queue is full: connections to it hang. */
static int listen_full(const char *host, int *port, int fillers[4])
{
    int listener = listen_on(host, 0, port);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], generic(&address), sizeof address);
    }
    usleep(1000);
    return listener;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

/* A hole at one address of two.test, and a listener at the other, at a port that is free at both. */
static int listen_beside_hole(int *hole, int fillers[4], int *port)
{
    for (;;) {
        *port = 0;
        *hole = listen_full("127.0.0.2", port, fillers);
        int listener = listen_on("127.0.0.1", 10, port);
        if (listener >= 0)
            return listener;
        close(*hole);
        close_all(fillers, 4);
    }
}

ASYNC(open_later, const char *, host, int, port, const asyncio_connect_options *, options)
{
    asyncio_stream *stream = NULL;
    int err = asyncio_open_connection(host, port, options, &stream);
    CHECK_EQUAL(!err, stream != NULL);
    if (!err)
        asyncio_stream_abort(stream);
    return err;
}

/* ---- Established ------------------------------------------------------------------------ */

/* Both ends talk; the stream is closed. */
static void check_talk(int listener, asyncio_stream *stream)
{
    char text[16];
    int fd = asyncio_stream_fd(stream), server = accept(listener, NULL, NULL), on = 0;
    socklen_t length = sizeof on;
    CHECK(server >= 0);
    CHECK(!net_is_blocking(fd));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &length) == 0)
        CHECK(on);
    CHECK_EQUAL(send(server, "hello", 5, 0), 5);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, text, 5), 5);
    CHECK_EQUAL(asyncio_stream_write(stream, "bye", 3), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(recv(server, text, sizeof text, MSG_WAITALL), 3);
    close(server);
}

ASYNC_TEST(numeric)
{
    int port = 0, listener = listen_on("127.0.0.1", 10, &port);
    asyncio_stream *stream;
    unsigned calls = resolver_calls();
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", port, NULL, &stream), 0);
    CHECK_EQUAL(resolver_calls(), calls);
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    CHECK_EQUAL(asyncio_stream_peername(stream, generic(&peer), &length), 0);
    CHECK_EQUAL(ntohs(peer.sin_port), port);
    check_talk(listener, stream);
    /* Without a host: this one. */
    CHECK_EQUAL(asyncio_open_connection(NULL, port, NULL, &stream), 0);
    check_talk(listener, stream);
    close(listener);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

ASYNC_TEST(names)
{
    int port = 0, listener = listen_on("127.0.0.1", 10, &port);
    asyncio_stream *stream;
    const char *const hosts[] = {"one.test", "two.test", "both.test"};
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_open_connection(hosts[i], port, NULL, &stream), 0);
        check_talk(listener, stream);
    }
    close(listener);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

ASYNC(main_v6)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, length)) {
        close(listener);
        return -EAFNOSUPPORT;
    }
    setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    CHECK_EQUAL(listen(listener, 10), 0);
    CHECK_EQUAL(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    int port = ntohs(address.sin6_port);
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_open_connection("::1", port, NULL, &stream), 0);
    check_talk(listener, stream);
    CHECK_EQUAL(asyncio_open_connection("both.test", port, NULL, &stream), 0);
    check_talk(listener, stream);
    close(listener);
    char words[96];
    CHECK_EQUAL(asyncio_open_connection("::1", port, NULL, &stream), -ECONNREFUSED);
    snprintf(words, sizeof words, "connect to [::1]:%d: connection refused", port);
    CHECK_TEXT(asyncio_error_message(), words);
    return 0;
}

TEST(v6)
{
    intptr_t result = run(main_v6);
    if (result == -EAFNOSUPPORT) {
        print_message("skipped: this machine has no IPv6\n");
        skip();
    }
    CHECK_EQUAL(result, 0);
    harness_settle();
}

/* The first address hangs: the second is asked after the delay, and the first is let go. */
ASYNC_TEST(black_hole)
{
    int port, fillers[4], hole;
    int listener = listen_beside_hole(&hole, fillers, &port);
    asyncio_connect_options options = {.happy_eyeballs_delay = 0.02};
    asyncio_stream *stream;
    double start = asyncio_time();
    CHECK_EQUAL(asyncio_open_connection("two.test", port, &options, &stream), 0);
    double took = asyncio_time() - start;
    CHECK(took >= 0.02 && took < 20); /* how exact it is, test_happy_eyeballs.c tells */
    check_talk(listener, stream);
    start = asyncio_time();
    CHECK_EQUAL(asyncio_open_connection("two.test", port, NULL, &stream), 0);
    CHECK(asyncio_time() - start >= 0.25);
    check_talk(listener, stream);
    /* One after the other: the first hangs. */
    options.happy_eyeballs_delay = -1;
    CHECK_EQUAL(asyncio_wait_for(open_later("two.test", port, &options), 0.3), -ETIMEDOUT);
    close(listener);
    close(hole);
    close_all(fillers, 4);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* ---- Failed ---------------------------------------------------------------------------- */

/* The message, in which the port stands between two parts. */
static void check_refused(const char *host, int port, const char *before, const char *after)
{
    asyncio_stream *stream = NULL;
    char words[160];
    snprintf(words, sizeof words, "%s%d%s", before, port, after);
    CHECK_EQUAL(asyncio_open_connection(host, port, NULL, &stream), -ECONNREFUSED);
    CHECK_TEXT(asyncio_error_message(), words);
    CHECK(!stream);
}

ASYNC_TEST(refused)
{
    int port = closed_port();
    asyncio_stream *stream = NULL;
    check_refused("127.0.0.1", port, "connect to 127.0.0.1:", ": connection refused");
    check_refused("one.test", port, "connect to one.test:", " (127.0.0.1): connection refused");
    check_refused("three.test", port,
                  "connect to three.test:", " (127.0.0.4): connection refused; 3 addresses were tried");
    CHECK_EQUAL(asyncio_open_connection("none.test", port, NULL, &stream), ASYNCIO_EGAI_NONAME);
    CHECK_TEXT(asyncio_error_message(), "look up none.test: name or service not known");
    /* The message goes with the error to who awaits the task. */
    asyncio_task *task = asyncio_create_task(open_later("one.test", port, NULL));
    CHECK_EQUAL(asyncio_await(task), -ECONNREFUSED);
    CHECK_HAS(asyncio_error_message(), "one.test");
    CHECK(!stream);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

ASYNC_TEST(misuse)
{
    asyncio_stream *stream = NULL;
    asyncio_connect_options options = {.happy_eyeballs_delay = NAN};
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 80, &options, &stream), -EINVAL);
    options = (asyncio_connect_options){.close_timeout = NAN};
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 80, &options, &stream), -EINVAL);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 80, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", -1, NULL, &stream), -EINVAL);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 65536, NULL, &stream), -EINVAL);
    CHECK_EQUAL(asyncio_open_unix_connection(NULL, NULL, &stream), -EINVAL);
    CHECK_EQUAL(asyncio_open_unix_connection("", NULL, &stream), -EINVAL);
    CHECK_EQUAL(asyncio_open_unix_connection("@x", NULL, NULL), -EINVAL);
    CHECK(!stream);
    return 0;
}

TEST(outside_a_task)
{
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 80, NULL, &stream), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_open_unix_connection("@x", NULL, &stream), ASYNCIO_ENOTASK);
    harness_settle();
}

/* ---- The local address -------------------------------------------------------------------- */

ASYNC_TEST(local)
{
    int port = 0, listener = listen_on("127.0.0.1", 10, &port), own_port = closed_port();
    asyncio_address local = {"127.0.0.5", 0};
    asyncio_connect_options options = {.local = &local};
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_open_connection("two.test", port, &options, &stream), 0);
    CHECK_EQUAL(asyncio_stream_sockname(stream, generic(&peer), &length), 0);
    CHECK_EQUAL(ntohl(peer.sin_addr.s_addr), 0x7f000005);
    check_talk(listener, stream);
    /* A port, with attempts beside each other. */
    local = (asyncio_address){NULL, own_port};
    options.happy_eyeballs_delay = 0.02;
    CHECK_EQUAL(asyncio_open_connection("both.test", port, &options, &stream), 0);
    CHECK_EQUAL(asyncio_stream_sockname(stream, generic(&peer), &length), 0);
    CHECK_EQUAL(ntohs(peer.sin_port), own_port);
    check_talk(listener, stream);
    /* The same port again, though the connection that we have closed lingers. */
    int other_port = 0, other = listen_on("127.0.0.1", 10, &other_port);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", other_port, &options, &stream), 0);
    check_talk(other, stream);
    close(other);
    /* Of another family; not ours; without one. */
    char words[160];
    local = (asyncio_address){"::1", 0};
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", port, &options, &stream), -EADDRNOTAVAIL);
    snprintf(words, sizeof words, "connect to 127.0.0.1:%d: no local address of its family: ", port);
    CHECK_HAS(asyncio_error_message(), words);
    local = (asyncio_address){"198.51.100.1", 0};
    CHECK_EQUAL(asyncio_open_connection("one.test", port, &options, &stream), -EADDRNOTAVAIL);
    snprintf(words, sizeof words,
             "connect to one.test:%d (127.0.0.1): bind to 198.51.100.1:0: cannot assign requested address",
             port);
    CHECK_TEXT(asyncio_error_message(), words);
    local = (asyncio_address){"none.test", 0};
    CHECK_EQUAL(asyncio_open_connection("one.test", port, &options, &stream), ASYNCIO_EGAI_NONAME);
    close(listener);
    return 0;
}

/* ---- Unix sockets ------------------------------------------------------------------------- */

static int listen_unix(const struct sockaddr_un *name, socklen_t length, int backlog)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(bind(fd, (const struct sockaddr *)name, length), 0);
    CHECK_EQUAL(listen(fd, backlog), 0);
    return fd;
}

ASYNC(open_unix_later, const char *, path)
{
    asyncio_stream *stream = NULL;
    int err = asyncio_open_unix_connection(path, NULL, &stream);
    if (!err)
        asyncio_stream_abort(stream);
    return err;
}

ASYNC_TEST(unix)
{
    char folder[] = "/tmp/asyncio-connect-XXXXXX", words[200], abstract[120], long_path[300];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    asyncio_stream *stream;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", folder);
    CHECK_EQUAL(asyncio_open_unix_connection(name.sun_path, NULL, &stream), -ENOENT);
    snprintf(words, sizeof words, "connect to %s: no such file or directory", name.sun_path);
    CHECK_TEXT(asyncio_error_message(), words);
    int listener = listen_unix(&name, sizeof name, 10);
    CHECK_EQUAL(asyncio_open_unix_connection(name.sun_path, NULL, &stream), 0);
    check_talk(listener, stream);
    close(listener);
    CHECK_EQUAL(asyncio_open_unix_connection(name.sun_path, NULL, &stream), -ECONNREFUSED);
    unlink(name.sun_path);
    rmdir(folder);
    socklen_t length = net_unix_address((struct sockaddr *)&name);
    snprintf(abstract, sizeof abstract, "@%s", name.sun_path + 1);
    /* Its queue is full after one: the second waits, and can be cancelled. */
    listener = listen_unix(&name, length, 0);
    CHECK_EQUAL(asyncio_open_unix_connection(abstract, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_wait_for(open_unix_later(abstract), 0.01), -ETIMEDOUT);
    asyncio_task *task = asyncio_create_task(open_unix_later(abstract));
    asyncio_sleep(0.002);
    check_talk(listener, stream);
    CHECK_EQUAL(asyncio_await(task), 0);
    close(listener);
    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    CHECK_EQUAL(asyncio_open_unix_connection(long_path, NULL, &stream), -ENAMETOOLONG);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* ---- TLS --------------------------------------------------------------------------------- */

static char verified[64];
static int tls_result;

static int fake_tls(asyncio_stream *stream, asyncio_tls_context *tls, const char *server_hostname)
{
    CHECK(stream && tls);
    snprintf(verified, sizeof verified, "%s", server_hostname ? server_hostname : "(none)");
    int err = asyncio_sleep(0.001);
    return err ? err : tls_result;
}

static bool is_servers(const asyncio_tls_context *tls)
{
    return !tls;
}

static const struct asy_tls_hooks fake_hooks = {.start = fake_tls, .is_server = is_servers};

ASYNC_TEST(tls)
{
    int port = 0, listener = listen_on("127.0.0.1", 10, &port), context;
    asyncio_connect_options options = {.tls = (asyncio_tls_context *)(void *)&context};
    asyncio_stream *stream = NULL;
    asyncio_tls_hook_(&fake_hooks);
    CHECK_EQUAL(asyncio_open_connection("one.test", port, &options, &stream), 0);
    CHECK_TEXT(verified, "one.test");
    check_talk(listener, stream);
    options.server_hostname = "other.test";
    CHECK_EQUAL(asyncio_open_connection("one.test", port, &options, &stream), 0);
    CHECK_TEXT(verified, "other.test");
    check_talk(listener, stream);
    stream = NULL;
    tls_result = ASYNCIO_ETLS;
    CHECK_EQUAL(asyncio_open_connection("one.test", port, &options, &stream), ASYNCIO_ETLS);
    CHECK(!stream);
    tls_result = 0;
    /* Nobody to verify. */
    options.server_hostname = NULL;
    CHECK_EQUAL(asyncio_open_connection(NULL, port, &options, &stream), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "server_hostname");
    CHECK_EQUAL(asyncio_open_unix_connection("@x", &options, &stream), -EINVAL);
    close(listener);
    asyncio_tls_hook_(NULL);
    return 0;
}

/* ---- Cancelled, and sweeps ------------------------------------------------------------------ */

ASYNC_TEST(cancelled)
{
    int port = 0, fillers[4], hole = listen_full("127.0.0.2", &port, fillers);
    for (int i = 0; i < 10; i++) {
        asyncio_task *task = asyncio_create_task(open_later(i % 2 ? "three.test" : "127.0.0.2", port, NULL));
        asyncio_sleep(0.0003 * i);
        asyncio_cancel(task);
        CHECK_EQUAL(asyncio_await(task), -ECANCELED);
        CHECK_EQUAL(asyncio_wait_for(open_later("127.0.0.2", port, NULL), 0.001), -ETIMEDOUT);
    }
    asyncio_task *slow = asyncio_create_task(open_later("slow.test", port, NULL));
    while (!resolver_running())
        asyncio_sleep(0.001);
    asyncio_cancel(slow);
    CHECK_EQUAL(asyncio_await(slow), -ECANCELED);
    resolver_set_gate(true);
    while (resolver_running())
        asyncio_sleep(0.001);
    resolver_set_gate(false);
    close(hole);
    close_all(fillers, 4);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* Two addresses refuse, one hangs, and one answers. */
ASYNC(main_conversation)
{
    int port = 0, listener = listen_on("127.0.0.1", 10, &port), context;
    asyncio_address local = {"127.0.0.1", 0};
    asyncio_connect_options options = {
        .happy_eyeballs_delay = 0.001, .local = &local, .tls = (asyncio_tls_context *)(void *)&context};
    asyncio_tls_hook_(&fake_hooks);
    asyncio_stream *stream = NULL;
    int err = asyncio_open_connection("two.test", port, &options, &stream);
    if (!err)
        err = asyncio_stream_write(stream, "x", 1);
    if (stream)
        asyncio_stream_close(stream);
    close(listener);
    asyncio_tls_hook_(NULL);
    return err;
}

TEST(sweeps)
{
    sweep_failures(main_conversation);
    sweep_cancels(main_conversation, NULL);
}

/* ---- A network of its own ------------------------------------------------------------------- */

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return done;
}

/* Commands that set it up, in a shell. */
static bool enter_network(const char *commands)
{
    char map[64];
    snprintf(map, sizeof map, "0 %d 1", (int)geteuid());
    if (unshare(CLONE_NEWNET)) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
            return false;
        write_file("/proc/self/setgroups", "deny");
        if (!write_file("/proc/self/uid_map", map))
            return false;
    }
    return system(commands) == 0;
}

#define SKIPPED 77

/* 192.0.2.0/24 leads to the other end of a cable, where nobody is. */
#define HOLE                                                                                                 \
    "(ip link set lo up && ip link add hole type veth peer name end && ip link set end up &&"                \
    " ip link set hole up arp off && ip addr add 192.0.2.1/24 dev hole) 2>/dev/null"

ASYNC(main_hole)
{
    int port = 0, listener = listen_on("127.0.0.1", 10, &port);
    asyncio_stream *stream;
    double start = asyncio_time();
    CHECK_EQUAL(asyncio_open_connection("hole.test", port, NULL, &stream), 0);
    double took = asyncio_time() - start;
    CHECK(took >= 0.25 && took < 20);
    check_talk(listener, stream);
    close(listener);
    CHECK_EQUAL(asyncio_wait_for(open_later("holes.test", port, NULL), 0.4), -ETIMEDOUT);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* The only port that the kernel may choose for us is the one that nobody listens at. */
#define ONE_PORT "(ip link set lo up && echo 50000 50000 >/proc/sys/net/ipv4/ip_local_port_range) 2>/dev/null"

ASYNC(main_itself)
{
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 50000, NULL, &stream), -ECONNREFUSED);
    CHECK(!stream);
    return 0;
}

static void in_network(coroutine_function main, const char *commands)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!enter_network(commands))
            _exit(SKIPPED);
        int result = (int)asyncio_run(main());
        _exit(result ? 1 : harness_failures() != 0);
    }
    int status = -1;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        print_message("skipped: no network of its own may be made here\n");
        skip();
    }
    CHECK_EQUAL(status, 0);
    harness_settle();
}

TEST(network_hole)
{
    in_network(main_hole, HOLE);
}

TEST(network_itself)
{
    in_network(main_itself, ONE_PORT);
}

int main(void)
{
    resolver.names = names;
    resolver.count = sizeof names / sizeof *names;
    use_descriptors();
    return tests_run(NULL);
}
