/*
 * Options of connections and servers: the sockets have them, and they do what they say.
 */
#include "net/server_test.h"
#include "support/resolver.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <math.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>

static const struct resolver_name names[] = {
    {.name = "both.test", .addresses = {"::1", "127.0.0.1"}},
    {.name = "two.test", .addresses = {"127.0.0.2", "127.0.0.1"}},
    {.name = "same.test", .addresses = {"127.0.0.1"}},
};

static int number_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    CHECK_EQUAL(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

static int family_of(int fd)
{
    return number_of(fd, SOL_SOCKET, SO_DOMAIN);
}

static bool listens_at(int fd, const char *host, int port)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    char text[INET_ADDRSTRLEN] = "";
    getsockname(fd, (struct sockaddr *)&address, &length);
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    return strcmp(text, host) == 0 && (!port || ntohs(address.sin_port) == port);
}

/* ---- What stays queued ------------------------------------------------------------------ */

/* A write is accepted while no more than write_limit bytes are queued; the next waits for a quarter of it. */
static void check_limit(asyncio_stream *stream, int peer, size_t limit)
{
    static char much[512 * 1024];
    net_make_narrow(asyncio_stream_fd(stream));
    do
        CHECK_EQUAL(asyncio_stream_write(stream, much, limit / 2), 0);
    while (asy_bytes_count(&stream->out) <= limit);
    CHECK(asy_bytes_count(&stream->out) <= limit + limit / 2);
    asyncio_task *writer = asyncio_create_task(write_all(stream, "x", 1));
    settle();
    while (asy_bytes_count(&stream->out) > limit / 4) {
        CHECK(!asyncio_done(writer));
        net_drain(peer);
        settle();
    }
    CHECK_EQUAL(asyncio_await(writer), 0);
}

ASYNC_TEST(write_limit)
{
    for (size_t limit = 4096; limit <= 256 * 1024; limit *= 8) {
        asyncio_connect_options options = {.write_limit = limit};
        int peer;
        asyncio_stream *stream = stream_to(&peer, &options);
        net_make_narrow(peer);
        check_limit(stream, peer, limit);
        asyncio_stream_abort(stream);
        close(peer);
    }
    return 0;
}

static asyncio_stream *served;

ASYNC(keeps, asyncio_stream *, stream)
{
    served = stream;
    CHECK_EQUAL(asyncio_stream_detach(stream), 0);
    return 0;
}

static asyncio_coro *keeping(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return keeps(stream);
}

/* The server's end of a connection that a client has just made. */
static asyncio_stream *server_side(void)
{
    for (int i = 0; i < 20000 && !served; i++)
        asyncio_sleep(0.0005);
    asyncio_stream *found = served;
    served = NULL;
    return found;
}

ASYNC_TEST(write_limit_of_servers)
{
    asyncio_server_options options = {.write_limit = 8192};
    asyncio_server *server = serve(keeping, NULL, &options);
    int peer = client_of(server);
    net_make_narrow(peer);
    asyncio_stream *stream = server_side();
    check_limit(stream, peer, 8192);
    asyncio_stream_abort(stream);
    close(peer);
    finish(server);
    return 0;
}

/* ---- Peers that are gone ------------------------------------------------------------------- */

static void check_tcp_options(int fd, int idle, int user_ms)
{
    CHECK_EQUAL(number_of(fd, SOL_SOCKET, SO_KEEPALIVE), idle > 0);
    if (idle) {
        CHECK_EQUAL(number_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), idle);
        CHECK_EQUAL(number_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), (idle + 4) / 5);
        CHECK_EQUAL(number_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
    }
    CHECK_EQUAL(number_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), user_ms);
}

/* Of a connection, of a descriptor that becomes a stream, of what a server accepts, and of a socket that a
 * server is given. */
static void check_everywhere(double keepalive, double user_timeout, int idle, int user_ms)
{
    asyncio_server_options options = {.keepalive = keepalive, .user_timeout = user_timeout};
    asyncio_connect_options with = {.keepalive = keepalive, .user_timeout = user_timeout};
    struct sockaddr_in address;
    int fds[2], given = net_listen(&address, 5), err;
    asyncio_server *server = serve(keeping, NULL, &options), *second;
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(asyncio_start_server_on(given, keeping, NULL, &options, &second), 0);
    for (int i = 0; i < 2; i++) {
        int port = i ? ntohs(address.sin_port) : asyncio_server_port(server);
        CHECK_EQUAL(err = asyncio_open_connection("127.0.0.1", port, &with, &stream), 0);
        if (err)
            return;
        check_tcp_options(asyncio_stream_fd(stream), idle, user_ms);
        asyncio_stream *other = server_side();
        check_tcp_options(asyncio_stream_fd(other), idle, user_ms);
        asyncio_stream_abort(other);
        asyncio_stream_abort(stream);
    }
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], &with, &stream), 0);
    check_tcp_options(fds[0], idle, user_ms);
    asyncio_stream_abort(stream);
    close(fds[1]);
    finish(server);
    finish(second);
}

ASYNC_TEST(keepalive_and_user_timeout)
{
    check_everywhere(0, 0, 0, 0);
    check_everywhere(6.2, 1.5, 7, 1500);
    check_everywhere(-1, -1, 0, 0);
    check_everywhere(0.01, 0.4999, 1, 500);
    check_everywhere(1e9, 1e9, 32767, INT32_MAX);
    check_everywhere(ASYNCIO_FOREVER, ASYNCIO_FOREVER, 0, INT32_MAX);
    return 0;
}

/* Of sockets that are not TCP's they mean nothing. */
ASYNC_TEST(only_for_tcp)
{
    asyncio_connect_options with = {.keepalive = 5, .user_timeout = 5};
    asyncio_server_options options = {.keepalive = 5, .user_timeout = 5};
    asyncio_server *server = NULL;
    asyncio_stream *stream = NULL;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], &with, &stream), 0);
    asyncio_stream_abort(stream);
    close(fds[1]);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, unix_name(), &options, &server), 0);
    CHECK_EQUAL(asyncio_open_unix_connection(unix_name(), &with, &stream), 0);
    asyncio_stream_abort(stream);
    finish(server);
    return 0;
}

/* Whatever comes is lost on the way: not even the kernel answers. */
static void silence(int fd)
{
    struct sock_filter drop = {BPF_RET | BPF_K, 0, 0, 0};
    struct sock_fprog program = {.len = 1, .filter = &drop};
    CHECK_EQUAL(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

static double time_to_fail(const asyncio_connect_options *options, bool must_write)
{
    char buf[8];
    int peer;
    asyncio_stream *stream = stream_to(&peer, options);
    silence(peer);
    double start = asyncio_time();
    if (must_write)
        CHECK_EQUAL(asyncio_stream_write(stream, "anybody?", 8), 0);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), -ETIMEDOUT);
    double took = asyncio_time() - start;
    asyncio_stream_abort(stream);
    close(peer);
    return took;
}

ASYNC_TEST(silent_while_written_to)
{
    asyncio_connect_options options = {.user_timeout = 0.3};
    double took = time_to_fail(&options, /* must_write= */ true);
    CHECK(took >= 0.3 && took < 60);
    return 0;
}

/* With both, the time is user_timeout's. */
ASYNC_TEST(silent_while_idle)
{
    asyncio_connect_options options = {.keepalive = 1, .user_timeout = 1.2};
    double took = time_to_fail(&options, /* must_write= */ false);
    CHECK(took >= 1 && took < 60);
    return 0;
}

/* Five questions, a second from one to the next, and a second for the last. */
ASYNC_TEST(silent_for_keepalive)
{
    if (!is_thorough())
        return 0;
    asyncio_connect_options options = {.keepalive = 1};
    double took = time_to_fail(&options, /* must_write= */ false);
    CHECK(took >= 5 && took < 60);
    return 0;
}

/* ---- Families -------------------------------------------------------------------------------- */

ASYNC_TEST(family)
{
    asyncio_server *server = NULL;
    for (int i = 0; i < 2; i++) {
        int family = i ? AF_INET6 : AF_INET;
        asyncio_server_options options = {.family = family};
        asyncio_connect_options with = {.family = family};
        asyncio_stream *stream = NULL;
        int fds[2];
        CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "both.test", 0, &options, &server), 0);
        CHECK_EQUAL(asyncio_server_fds(server, fds, 2), 1);
        CHECK_EQUAL(family_of(fds[0]), family);
        int port = asyncio_server_port(server);
        CHECK_EQUAL(asyncio_open_connection("both.test", port, &with, &stream), 0);
        CHECK_EQUAL(family_of(asyncio_stream_fd(stream)), family);
        asyncio_stream_abort(stream);
        with.family = family == AF_INET ? AF_INET6 : AF_INET; /* nobody is there */
        CHECK_EQUAL(asyncio_open_connection("both.test", port, &with, &stream), -ECONNREFUSED);
        finish(server);
    }
    asyncio_connect_options six = {.family = AF_INET6}, strange = {.family = AF_UNIX};
    asyncio_server_options odd = {.family = 12345};
    asyncio_stream *stream = NULL;
    CHECK(asyncio_open_connection("127.0.0.1", 80, &six, &stream) < 0);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 80, &strange, &stream), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "family");
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "127.0.0.1", 0, &odd, &server), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "family");
    return 0;
}

/* ---- The program's own function ---------------------------------------------------------------- */

struct seen {
    int calls, refuses; /* refuses: with this error, if it is not 0 */
    bool was_bound, was_connected;
};

static int note_socket(int fd, void *arg)
{
    struct seen *seen = arg;
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name, peer_length = sizeof name;
    int tos = IPTOS_LOWDELAY;
    seen->calls++;
    getsockname(fd, (struct sockaddr *)&name, &length);
    seen->was_bound |= name.ss_family == AF_UNIX ? length > sizeof(sa_family_t)
                                                 : asy_address_port((struct sockaddr *)&name) > 0;
    seen->was_connected |= getpeername(fd, (struct sockaddr *)&name, &peer_length) == 0;
    if (family_of(fd) == AF_INET)
        CHECK_EQUAL(setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos), 0);
    return seen->refuses;
}

static struct seen expect_calls(const struct seen *seen, int calls)
{
    CHECK_EQUAL(seen->calls, calls);
    CHECK(!seen->was_bound && !seen->was_connected);
    return (struct seen){0};
}

/* A positive result is no error. */
ASYNC_TEST(setup)
{
    struct seen seen = {.refuses = 7};
    asyncio_connect_options with = {.setup = note_socket, .setup_arg = &seen, .happy_eyeballs_delay = -1};
    asyncio_server_options options = {.setup = note_socket, .setup_arg = &seen};
    asyncio_stream *stream = NULL;
    asyncio_server *server = serve(echo_handler, NULL, &options);
    int listener = -1;
    seen = expect_calls(&seen, 1);
    CHECK_EQUAL(asyncio_server_fds(server, &listener, 1), 1);
    CHECK_EQUAL(number_of(listener, IPPROTO_IP, IP_TOS), IPTOS_LOWDELAY);
    CHECK_EQUAL(asyncio_open_connection("two.test", asyncio_server_port(server), &with, &stream), 0);
    seen = expect_calls(&seen, 2); /* 127.0.0.2 refuses */
    CHECK_EQUAL(number_of(asyncio_stream_fd(stream), IPPROTO_IP, IP_TOS), IPTOS_LOWDELAY);
    asyncio_stream_abort(stream);
    finish(server);
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, unix_name(), &options, &server), 0);
    seen = expect_calls(&seen, 1);
    CHECK_EQUAL(asyncio_open_unix_connection(unix_name(), &with, &stream), 0);
    seen = expect_calls(&seen, 1);
    asyncio_stream_abort(stream);
    finish(server);
    return 0;
}

ASYNC_TEST(setup_refuses)
{
    struct seen seen = {.refuses = -EACCES};
    asyncio_connect_options with = {.setup = note_socket, .setup_arg = &seen};
    asyncio_server_options options = {.setup = note_socket, .setup_arg = &seen};
    asyncio_stream *stream = NULL;
    asyncio_server *server = NULL;
    int before = count_descriptors();
    CHECK_EQUAL(asyncio_open_connection("two.test", 80, &with, &stream), -EACCES);
    CHECK_HAS(asyncio_error_message(), "setup: permission denied; 2 addresses were tried");
    CHECK_EQUAL(asyncio_open_unix_connection(unix_name(), &with, &stream), -EACCES);
    CHECK_HAS(asyncio_error_message(), "setup: permission denied");
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "two.test", 0, &options, &server), -EACCES);
    CHECK_HAS(asyncio_error_message(), "127.0.0.2:0: setup: permission denied");
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, unix_name(), &options, &server), -EACCES);
    CHECK_HAS(asyncio_error_message(), "setup: permission denied");
    CHECK_EQUAL(count_descriptors(), before);
    return 0;
}

/* ---- Several addresses --------------------------------------------------------------------------- */

ASYNC_TEST(addresses)
{
    asyncio_address two[] = {{"127.0.0.1", 0}, {"127.0.0.3", 0}};
    asyncio_server_options options = {.addresses = two, .address_count = 2};
    asyncio_server *server = NULL;
    int fds[4];
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, NULL, 0, &options, &server), 0);
    CHECK_EQUAL(asyncio_server_fds(server, fds, 4), 2);
    CHECK(listens_at(fds[0], "127.0.0.1", asyncio_server_port(server)) && listens_at(fds[1], "127.0.0.3", 0));
    int port = asyncio_server_port(server), another = port_of(fds[1]);
    finish(server);
    /* Each has its own port; one that two hosts have in common is listened on once. */
    asyncio_address four[] = {
        {"127.0.0.1", port}, {"two.test", port}, {"same.test", port}, {"127.0.0.3", another}};
    options = (asyncio_server_options){.addresses = four, .address_count = 4};
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, NULL, 0, &options, &server), 0);
    CHECK_EQUAL(asyncio_server_fds(server, fds, 4), 3);
    CHECK(listens_at(fds[0], "127.0.0.1", port) && listens_at(fds[1], "127.0.0.2", port) &&
          listens_at(fds[2], "127.0.0.3", another));
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in address = {0};
        socklen_t length = sizeof address;
        int client = net_tcp();
        getsockname(fds[i], (struct sockaddr *)&address, &length);
        CHECK_EQUAL(connect(client, (struct sockaddr *)&address, length), 0);
        CHECK_EQUAL(send(client, "x\n", 2, 0), 2);
        CHECK_EQUAL(seen_by(client), 2);
        close(client);
    }
    finish(server);
    return 0;
}

static void check_refused(const char *host, int port, const asyncio_server_options *options,
                          const char *words)
{
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, host, port, options, &server), -EINVAL);
    CHECK_HAS(asyncio_error_message(), words);
    CHECK(!server);
}

ASYNC_TEST(bad_addresses)
{
    asyncio_address one[] = {{"127.0.0.1", 0}}, wrong[] = {{"127.0.0.1", 0}, {"127.0.0.1", 70000}};
    asyncio_server_options none = {.addresses = one}, nowhere = {.address_count = 1};
    asyncio_server_options good = {.addresses = one, .address_count = 1};
    asyncio_server_options bad = {.addresses = wrong, .address_count = 2};
    asyncio_server *server = NULL;
    int fds[2];
    check_refused(NULL, 0, &none, "address_count");
    check_refused(NULL, 0, &nowhere, "addresses");
    check_refused("127.0.0.1", 0, &good, "host is NULL");
    check_refused(NULL, 80, &good, "port is 0");
    check_refused(NULL, 0, &bad, "127.0.0.1:70000");
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, unix_name(), &good, &server), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "addresses");
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_start_server_on(fds[0], echo_handler, NULL, &good, &server), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "addresses");
    close(fds[0]);
    close(fds[1]);
    return 0;
}

/* One taken: none is listened on. */
ASYNC_TEST(taken_address)
{
    struct sockaddr_in taken;
    int listener = net_listen(&taken, 5), before = count_descriptors();
    asyncio_address two[] = {{"127.0.0.3", 0}, {"127.0.0.1", ntohs(taken.sin_port)}};
    asyncio_server_options options = {.addresses = two, .address_count = 2};
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, NULL, 0, &options, &server), -EADDRINUSE);
    CHECK_HAS(asyncio_error_message(), "listen on 127.0.0.1:");
    asyncio_sleep(0);
    CHECK_EQUAL(count_descriptors(), before);
    close(listener);
    return 0;
}

/* ---- IPv6 alone, or with IPv4 --------------------------------------------------------------------- */

ASYNC_TEST(v6only)
{
    const char *const hosts[] = {"::", NULL};
    for (int i = 0; i < 2; i++) {
        asyncio_server_options dual = {.v6only = -1};
        asyncio_server *server = NULL;
        int fds[2];
        CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, hosts[i], 0, &dual, &server), 0);
        CHECK_EQUAL(asyncio_server_fds(server, fds, 2), 1); /* which is both wildcards */
        CHECK_EQUAL(number_of(fds[0], IPPROTO_IPV6, IPV6_V6ONLY), 0);
        int client = client_of(server);
        CHECK_EQUAL(send(client, "x\n", 2, 0), 2);
        CHECK_EQUAL(seen_by(client), 2);
        close(client);
        finish(server);
    }
    for (int v6only = 0; v6only <= 1; v6only++) {
        asyncio_server_options alone = {.v6only = v6only};
        asyncio_server *server = NULL;
        int fd;
        CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, "::", 0, &alone, &server), 0);
        CHECK_EQUAL(asyncio_server_fds(server, &fd, 1), 1);
        CHECK_EQUAL(number_of(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
        finish(server);
    }
    return 0;
}

/* ---- The mode of a Unix socket's file -------------------------------------------------------------- */

static unsigned mode_of(const char *path)
{
    struct stat status;
    CHECK_EQUAL(stat(path, &status), 0);
    return status.st_mode & 07777;
}

ASYNC_TEST(mode)
{
    static const unsigned modes[][2] = {{0, 0751}, {0600, 0600}, {0666, 0666}, {0777, 0777}, {0020, 0020}};
    char path[64];
    snprintf(path, sizeof path, "/tmp/asyncio-test-mode-%d", (int)getpid());
    mode_t before = umask(0026);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        asyncio_server_options options = {.mode = (int)modes[i][0]};
        asyncio_server *server = NULL;
        CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, path, &options, &server), 0);
        CHECK_EQUAL(mode_of(path), modes[i][1]);
        finish(server);
        CHECK_EQUAL(access(path, F_OK), -1);
    }
    umask(before);
    return 0;
}

ASYNC_TEST(bad_modes)
{
    static const int bad[] = {-1, 010000, 0777777};
    asyncio_server *server = NULL;
    asyncio_server_options options = {.mode = 0600};
    CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, unix_name(), &options, &server), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "abstract");
    check_refused("127.0.0.1", 0, &options, "mode");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.mode = bad[i];
        CHECK_EQUAL(asyncio_start_unix_server(echo_handler, NULL, "/tmp/x", &options, &server), -EINVAL);
        CHECK_HAS(asyncio_error_message(), "mode");
    }
    return 0;
}

/* ---- No numbers -------------------------------------------------------------------------------------- */

ASYNC_TEST(not_a_number)
{
    static const char *const words[] = {"close_timeout", "keepalive", "user_timeout"};
    for (int i = 0; i < 3; i++) {
        asyncio_connect_options with = {.limit = 0};
        asyncio_server_options options = {.limit = 0};
        asyncio_stream *stream = NULL;
        *(i == 0 ? &with.close_timeout : i == 1 ? &with.keepalive : &with.user_timeout) = NAN;
        *(i == 0 ? &options.close_timeout : i == 1 ? &options.keepalive : &options.user_timeout) = NAN;
        CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 80, &with, &stream), -EINVAL);
        CHECK_HAS(asyncio_error_message(), words[i]);
        CHECK_EQUAL(asyncio_open_unix_connection(unix_name(), &with, &stream), -EINVAL);
        CHECK_HAS(asyncio_error_message(), words[i]);
        CHECK_EQUAL(asyncio_stream_from_fd(0, &with, &stream), -EINVAL);
        CHECK_HAS(asyncio_error_message(), words[i]);
        check_refused("127.0.0.1", 0, &options, words[i]);
    }
    return 0;
}

/* ---- What fails -------------------------------------------------------------------------------------- */

ASYNC(main_all_options)
{
    static int calls;
    struct seen seen = {0};
    asyncio_address two[] = {{"127.0.0.1", 0}, {"127.0.0.3", 0}};
    asyncio_server_options options = {.addresses = two,
                                      .address_count = 2,
                                      .keepalive = 5,
                                      .user_timeout = 5,
                                      .setup = note_socket,
                                      .setup_arg = &seen,
                                      .write_limit = 4096};
    asyncio_connect_options with = {
        .keepalive = 5, .user_timeout = 5, .setup = note_socket, .setup_arg = &seen, .family = AF_INET};
    asyncio_server_options file = {.mode = 0600};
    char path[64];
    asyncio_server *server = NULL, *local = NULL;
    asyncio_stream *stream = NULL;
    snprintf(path, sizeof path, "/tmp/asyncio-test-sweep-%d-%d", (int)getpid(), ++calls);
    int err = asyncio_start_server(echo_handler, NULL, NULL, 0, &options, &server);
    if (!err)
        err = asyncio_start_unix_server(echo_handler, NULL, path, &file, &local);
    if (!err)
        err = asyncio_open_connection("127.0.0.1", asyncio_server_port(server), &with, &stream);
    asyncio_stream_abort(stream);
    asyncio_server_release(server);
    asyncio_server_release(local);
    unlink(path); /* the run may fail to remove it */
    return err;
}

TEST(sweeps)
{
    sweep_failures(main_all_options);
    sweep_cancels(main_all_options, NULL);
}

int main(void)
{
    resolver.names = names;
    resolver.count = sizeof names / sizeof *names;
    use_descriptors();
    return tests_run(NULL);
}
