/*
 * Addresses that a program gives to servers, connections and datagram sockets: those that come twice,
 * ports that there are none of, and listening sockets made by others. The resolver is the test's.
 */
#include "fd/address.h"
#include "fd/stream_test.h"
#include "support/resolver.h"
#include "sys/sys.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/un.h>

static const struct resolver_name names[] = {
    {.name = "same.test", .addresses = {"127.0.0.1", "127.0.0.1"}},
    {.name = "again.test", .addresses = {"127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2", "127.0.0.1"}},
};

static asyncio_coro *swallows(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return swallow(stream);
}

/* ---- Twice ---------------------------------------------------------------------------------- */

static void check_server(const char *host, int port, int listeners)
{
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_server(swallows, NULL, host, port, NULL, &server), 0);
    if (server)
        CHECK_EQUAL(asyncio_server_fds(server, NULL, 0), listeners);
    asyncio_server_release(server);
}

/* A port that nobody listens at. */
static int free_port(void)
{
    struct sockaddr_in address;
    close(net_listen(&address, 1));
    return ntohs(address.sin_port);
}

ASYNC_TEST(serves_each_address_once)
{
    check_server("same.test", 0, 1);
    check_server("same.test", free_port(), 1);
    check_server("again.test", 0, 2);
    check_server("again.test", free_port(), 2);
    return 0;
}

ASYNC_TEST(dials_each_address_once)
{
    char words[128];
    asyncio_stream *stream;
    int port = free_port();
    CHECK_EQUAL(asyncio_open_connection("same.test", port, NULL, &stream), -ECONNREFUSED);
    snprintf(words, sizeof words, "connect to same.test:%d (127.0.0.1): connection refused", port);
    CHECK_TEXT(asyncio_error_message(), words);
    CHECK_EQUAL(asyncio_open_connection("again.test", port, NULL, &stream), -ECONNREFUSED);
    CHECK_HAS(asyncio_error_message(), "refused; 2 addresses were tried");
    return 0;
}

ASYNC_TEST(opens_datagrams)
{
    const asyncio_address address = {"again.test", 0}, remote = {"same.test", 9};
    asyncio_datagram *datagram;
    CHECK_EQUAL(asyncio_open_datagram(&address, &remote, NULL, &datagram), 0);
    asyncio_datagram_close(datagram);
    return 0;
}

/* ---- Ports ------------------------------------------------------------------------------------- */

#define REASON ": a port is a number from 0 to 65535"

ASYNC_TEST(names_the_port)
{
    const asyncio_address bad = {"127.0.0.1", 99999}, any = {NULL, -1}, good = {"127.0.0.1", 0};
    asyncio_connect_options options = {.local = &any};
    asyncio_stream *stream;
    asyncio_server *server;
    asyncio_datagram *datagram;
    CHECK_EQUAL(asyncio_open_connection("same.test", 99999, NULL, &stream), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "connect to same.test:99999" REASON);
    CHECK_EQUAL(asyncio_open_connection("::1", -80, NULL, &stream), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "connect to [::1]:-80" REASON);
    CHECK_EQUAL(asyncio_open_connection(NULL, 65536, NULL, &stream), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "connect to localhost:65536" REASON);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 80, &options, &stream), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "bind to *:-1" REASON);
    CHECK_EQUAL(asyncio_start_server(swallows, NULL, "same.test", 99999, NULL, &server), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "listen on same.test:99999" REASON);
    CHECK_EQUAL(asyncio_start_server(swallows, NULL, NULL, 99999, NULL, &server), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "listen on *:99999" REASON);
    CHECK_EQUAL(asyncio_open_datagram(&bad, NULL, NULL, &datagram), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "bind to 127.0.0.1:99999" REASON);
    CHECK_EQUAL(asyncio_open_datagram(&good, &bad, NULL, &datagram), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "connect to 127.0.0.1:99999" REASON);
    return 0;
}

/* ---- As text ------------------------------------------------------------------------------------ */

static void check_text(const struct sockaddr_in6 *address, const char *expected)
{
    char text[ASY_ADDRESS_TEXT];
    asy_address_text((const struct sockaddr *)(const void *)address, text);
    assert_string_equal(text, expected);
}

TEST(a_zone)
{
    char name[IF_NAMESIZE], expected[64];
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    inet_pton(AF_INET6, "fe80::1", &address.sin6_addr);
    check_text(&address, "[fe80::1]:443");
    address.sin6_scope_id = 1;
    snprintf(expected, sizeof expected, "[fe80::1%%%s]:443", if_indextoname(1, name));
    check_text(&address, expected);
    asy_fault_arm(1, true);
    check_text(&address, "[fe80::1%1]:443");
    asy_fault_disarm();
    address.sin6_scope_id = UINT32_MAX;
    check_text(&address, "[fe80::1%4294967295]:443");
}

ASYNC_TEST(needs_a_path)
{
    asyncio_stream *stream;
    asyncio_server *server;
    CHECK_EQUAL(asyncio_open_unix_connection("", NULL, &stream), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "a Unix socket needs a path, which is empty");
    CHECK_EQUAL(asyncio_start_unix_server(swallows, NULL, NULL, NULL, &server), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "a Unix socket needs a path, which is NULL");
    return 0;
}

/* ---- The peer after a reset ---------------------------------------------------------------------- */

/* Another end's own address is what the stream calls its peer's. */
static void check_peer(asyncio_stream *stream, const struct sockaddr_in *expected)
{
    struct sockaddr_storage name = {0};
    struct sockaddr_in own;
    socklen_t length = sizeof name, own_length = sizeof own;
    CHECK_EQUAL(asyncio_stream_peername(stream, (struct sockaddr *)&name, &length), 0);
    CHECK_EQUAL(length, sizeof *expected);
    CHECK(memcmp(&name, expected, sizeof *expected) == 0);
    length = 3; /* it may be too short */
    memset(&name, 0, sizeof name);
    CHECK_EQUAL(asyncio_stream_peername(stream, (struct sockaddr *)&name, &length), 0);
    CHECK_EQUAL(length, sizeof *expected);
    CHECK(memcmp(&name, expected, 3) == 0 && ((struct sockaddr_in *)&name)->sin_addr.s_addr == 0);
    CHECK_EQUAL(asyncio_stream_sockname(stream, (struct sockaddr *)&own, &own_length), 0);
    CHECK_EQUAL(own.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK(own.sin_port != 0);
}

static struct sockaddr_in name_of(int fd)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    CHECK_EQUAL(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    return name;
}

static void check_reset(asyncio_stream *stream, int peer)
{
    char byte;
    struct sockaddr_in expected = name_of(peer);
    peer_resets(peer);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -ECONNRESET);
    check_peer(stream, &expected);
}

ASYNC_TEST(knows_the_peer_after_a_reset)
{
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    check_reset(stream, peer);
    asyncio_stream_close(stream);

    struct sockaddr_in address;
    int listener = net_listen(&address, 1);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", ntohs(address.sin_port), NULL, &stream), 0);
    check_reset(stream, accept(listener, NULL, NULL));
    asyncio_stream_close(stream);
    close(listener);
    return 0;
}

static struct sockaddr_in client_name;

ASYNC(is_reset, asyncio_stream *, stream)
{
    char byte;
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -ECONNRESET);
    check_peer(stream, &client_name);
    return 0;
}

static asyncio_coro *is_reset_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return is_reset(stream);
}

ASYNC_TEST(knows_its_client_after_a_reset)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_server(is_reset_handler, NULL, "127.0.0.1", 0, NULL, &server), 0);
    address.sin_port = htons((uint16_t)asyncio_server_port(server));
    int peer = net_tcp();
    CHECK_EQUAL(connect(peer, (struct sockaddr *)&address, sizeof address), 0);
    client_name = name_of(peer);
    peer_resets(peer);
    settle();
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, ASYNCIO_FOREVER), 0);
    asyncio_server_release(server);
    return 0;
}

/* A Unix socket's is still the kernel's to tell. */
ASYNC_TEST(knows_a_unix_peer_after_its_end)
{
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    asyncio_stream *stream;
    char byte;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    CHECK_EQUAL(send(fds[0], "x", 1, 0), 1); /* unread: the close is a reset */
    close(fds[1]);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -ECONNRESET);
    CHECK_EQUAL(asyncio_stream_peername(stream, (struct sockaddr *)&name, &length), 0);
    CHECK_EQUAL(name.sun_family, AF_UNIX);
    asyncio_stream_close(stream);
    return 0;
}

/* ---- Sockets made by others ---------------------------------------------------------------------- */

static unsigned backlog_of(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    CHECK_EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info.tcpi_sacked; /* of a socket that listens */
}

static void check_backlog(int given, const asyncio_server_options *options, unsigned expected)
{
    struct sockaddr_in address;
    asyncio_server *server = NULL;
    int fd = net_listen(&address, given);
    CHECK_EQUAL(asyncio_start_server_on(fd, swallows, NULL, options, &server), 0);
    CHECK_EQUAL(backlog_of(fd), expected);
    asyncio_server_release(server);
}

ASYNC_TEST(leaves_the_backlog)
{
    const asyncio_server_options none = {.limit = 100}, some = {.backlog = 7};
    check_backlog(200, NULL, 200);
    check_backlog(3, NULL, 3);
    check_backlog(200, &none, 200);
    check_backlog(200, &some, 7);
    return 0;
}

/* One that does not listen yet begins to. */
ASYNC_TEST(listens_on_a_bound_socket)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    asyncio_server *server = NULL;
    int fd = net_tcp();
    CHECK_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asyncio_start_server_on(fd, swallows, NULL, NULL, &server), 0);
    CHECK_EQUAL(backlog_of(fd), 100);
    asyncio_server_release(server);
    return 0;
}

ASYNC_TEST(refuses_what_cannot_listen)
{
    int fds[2];
    struct sockaddr_in address;
    asyncio_server *server;
    CHECK_EQUAL(asyncio_start_server_on(-1, swallows, NULL, NULL, &server), -EBADF);
    CHECK_TEXT(asyncio_error_message(), "listen on descriptor -1: bad file descriptor");
    net_pipe(fds);
    CHECK_EQUAL(asyncio_start_server_on(fds[0], swallows, NULL, NULL, &server), -ENOTSOCK);
    CHECK_HAS(asyncio_error_message(), ": socket operation on non-socket");
    int udp = net_udp(&address);
    CHECK_EQUAL(asyncio_start_server_on(udp, swallows, NULL, NULL, &server), -EOPNOTSUPP);
    close(udp);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

int main(void)
{
    resolver.names = names;
    resolver.count = sizeof names / sizeof *names;
    use_descriptors();
    return tests_run(NULL);
}
