/*
 * Simulated TCP beside Linux's: how connections begin and end, who hears what, and that raw calls fail.
 */
#include "sim/sockets.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* ---- Beginnings ------------------------------------------------------------------------- */

WORLD_TEST(names_of_both_ends, PLAIN_LINK)
{
    int fds[2];
    struct sockaddr_in here, there;
    socklen_t length = sizeof here;
    char text[128];
    make_pair(fds);
    CHECK_EQUAL(asy_sys_getsockname(fds[0], (struct sockaddr *)&here, &length), 0);
    CHECK_EQUAL(ntohs(here.sin_port), 32768);
    CHECK_TEXT(inet_ntoa(here.sin_addr), "10.0.0.1");
    length = sizeof there;
    CHECK_EQUAL(asy_sys_getpeername(fds[1], (struct sockaddr *)&there, &length), 0);
    CHECK_EQUAL(memcmp(&here, &there, sizeof here), 0);
    CHECK_EQUAL(send_text(fds[0], "0123456789"), 0);
    CHECK_EQUAL(receive(fds[1]), 10);
    asy_sim_world_describe_fd(fds[0], text, sizeof text);
    CHECK_TEXT(text, "tcp 10.0.0.1:32768 -> 10.0.0.2:80 (sent 10, received 0)");
    asy_sim_world_describe_fd(0, text, sizeof text);
    CHECK_TEXT(text, "");
    close_pair(fds);
    return 0;
}

WORLD_TEST(nobody_listens, PLAIN_LINK)
{
    int fd = open_tcp(), other = listen_on_host("server", 80, 1);
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 81), -ECONNREFUSED);
    CHECK_TIME(2);
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), -ECONNABORTED); /* after a failure, once, as on Linux */
    CHECK_EQUAL(connect_to(fd, "10.0.0.1", 80), -ECONNREFUSED); /* this host: at once */
    CHECK_TIME(2);
    CHECK_EQUAL(connect_to(fd, "10.0.0.1", 80), -ECONNABORTED);
    CHECK_EQUAL(connect_to(fd, "10.0.0.9", 80), -EHOSTUNREACH);
    CHECK_EQUAL(connect_to(fd, "192.0.2.1", 80), -EHOSTUNREACH);
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0); /* that it was, once, as on Linux */
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), -EISCONN);
    asyncio_close(fd);
    asyncio_close(other);
    return 0;
}

/* A full backlog drops the SYN, which comes again after 1, 3, 7 ... seconds. */
WORLD_TEST(full_backlog, PLAIN_LINK)
{
    int listener = listen_on_host("server", 80, 1), fds[3];
    for (int i = 0; i < 2; i++) {
        fds[i] = open_tcp();
        CHECK_EQUAL(connect_to(fds[i], "10.0.0.2", 80), 0);
    }
    CHECK_TIME(4);
    fds[2] = open_tcp();
    struct sockaddr_in address = address_of("10.0.0.2", 80);
    CHECK_EQUAL(asy_sys_connect(fds[2], (struct sockaddr *)&address, sizeof address), -EINPROGRESS);
    asyncio_sleep(2.5); /* the SYN arrived at 5 and at 6 */
    int first = asyncio_sock_accept(listener, NULL, NULL);
    CHECK(first > 2);
    CHECK_EQUAL(asyncio_wait_writable(fds[2], 100), 0);
    CHECK_TIME(5 + 1 + 2 + 1);
    for (int i = 0; i < 3; i++)
        asyncio_close(fds[i]);
    asyncio_close(first);
    asyncio_close(listener);
    return 0;
}

/* An error that nobody has taken is the next call's. */
WORLD_TEST(an_error_of_the_last_try, PLAIN_LINK)
{
    int fd = open_tcp(), listener = listen_on_host("server", 80, 1);
    struct sockaddr_in nobody = address_of("10.0.0.2", 81);
    CHECK_EQUAL(asy_sys_connect(fd, (struct sockaddr *)&nobody, sizeof nobody), -EINPROGRESS);
    CHECK_EQUAL(asy_sys_connect(fd, (struct sockaddr *)&nobody, sizeof nobody), -EALREADY);
    asyncio_sleep(5);
    CHECK_EQUAL(asy_sys_connect(fd, (struct sockaddr *)&nobody, sizeof nobody), -ECONNREFUSED);
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    asyncio_close(fd);
    asyncio_close(listener);
    return 0;
}

/* A client that left amid the handshake answers with a reset, and its place is free. */
WORLD_TEST(a_client_that_leaves, PLAIN_LINK)
{
    int listener = listen_on_host("server", 80, 0);
    struct sockaddr_in address = address_of("10.0.0.2", 80);
    int fd = open_tcp();
    CHECK_EQUAL(asy_sys_connect(fd, (struct sockaddr *)&address, sizeof address), -EINPROGRESS);
    asyncio_sleep(1.5);
    asyncio_close(fd);
    asyncio_sleep(2);
    fd = open_tcp();
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    CHECK_TIME(3.5 + 2);
    asyncio_close(fd);
    asyncio_close(listener);
    return 0;
}

/* The last word of a handshake never comes: the client gives up, and its place is free. */
WORLD_TEST(a_handshake_that_does_not_end, PLAIN_LINK)
{
    int listener = listen_on_host("server", 80, 0), fd = open_tcp();
    asyncio_sim_link cut = PLAIN_LINK;
    cut.state = ASYNCIO_SIM_DROP;
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    CHECK_EQUAL(asyncio_sim_set_link("test", "server", &cut), 0);
    CHECK_EQUAL(receive(fd), -ETIMEDOUT);
    CHECK_TIME(3 + 0.2 * 1023);
    asyncio_close(fd);
    CHECK_EQUAL(asyncio_sim_set_link("test", "server", NULL), 0);
    fd = open_tcp();
    double before = world_time();
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    CHECK(world_time() == before + 2);
    asyncio_close(fd);
    asyncio_close(listener);
    return 0;
}

static int listen_and_share(const char *ip)
{
    int on = 1, fd = open_tcp();
    struct sockaddr_in address = address_of(ip, 80);
    CHECK_EQUAL(asy_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    CHECK_EQUAL(asy_sys_bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asy_sys_listen(fd, 10), 0);
    return fd;
}

/* How many clients of four to an address come to a listener; all are accepted. */
static int count_clients(int listener, int other, const char *ip)
{
    int clients[4], count = 0;
    for (int i = 0; i < 4; i++) {
        clients[i] = open_tcp();
        CHECK_EQUAL(connect_to(clients[i], ip, 80), 0);
    }
    for (int i = 0; i < 8; i++) {
        int fd = asy_sys_accept(i % 2 ? listener : other, NULL, NULL);
        count += fd >= 0 && i % 2;
        if (fd >= 0)
            asyncio_close(fd);
    }
    for (int i = 0; i < 4; i++)
        asyncio_close(clients[i]);
    return count;
}

/* Listeners that share a port take turns; one that names the address comes before one for any. */
WORLD_TEST(listeners_that_share, PLAIN_LINK)
{
    int first = listen_and_share("0.0.0.0"), second = listen_and_share("0.0.0.0");
    CHECK_EQUAL(count_clients(first, second, "127.0.0.1"), 2);
    int exact = listen_and_share("127.0.0.1");
    CHECK_EQUAL(count_clients(exact, first, "127.0.0.1"), 4);
    asyncio_close(first);
    first = listen_and_share("0.0.0.0"); /* whichever came first */
    CHECK_EQUAL(count_clients(exact, first, "127.0.0.1"), 4);
    asyncio_close(second);
    CHECK_EQUAL(count_clients(exact, first, "10.0.0.1"), 0);
    asyncio_close(first);
    asyncio_close(exact);
    return 0;
}

/* A listener that closes resets those that nobody has accepted. */
WORLD_TEST(closed_listener, PLAIN_LINK)
{
    int listener = listen_on_host("server", 80, 5), fd = open_tcp();
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    asyncio_sleep(5);
    asyncio_close(listener);
    CHECK_EQUAL(receive(fd), -ECONNRESET);
    CHECK_TIME(8);
    asyncio_close(fd);
    return 0;
}

WORLD_TEST(addresses_in_use, PLAIN_LINK)
{
    int on = 1, first = listen_at("0.0.0.0", 80, 1), second = open_tcp(), third = open_tcp();
    struct sockaddr_in address = address_of("127.0.0.1", 80), other = address_of("10.0.0.2", 80);
    CHECK_EQUAL(asy_sys_bind(second, (struct sockaddr *)&address, sizeof address), -EADDRINUSE);
    CHECK_EQUAL(asy_sys_setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    CHECK_EQUAL(asy_sys_bind(second, (struct sockaddr *)&address, sizeof address), -EADDRINUSE);
    CHECK_EQUAL(asy_sys_bind(third, (struct sockaddr *)&other, sizeof other), -EADDRNOTAVAIL);
    asyncio_close(first);
    CHECK_EQUAL(asy_sys_bind(second, (struct sockaddr *)&address, sizeof address), 0);
    asyncio_close(second);
    asyncio_close(third);
    return 0;
}

static int bind_any(int fd, int family, int port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 any_6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    return family == AF_INET ? asy_sys_bind(fd, (struct sockaddr *)&any, sizeof any)
                             : asy_sys_bind(fd, (struct sockaddr *)&any_6, sizeof any_6);
}

static int port_of(int fd)
{
    struct sockaddr_in here;
    socklen_t length = sizeof here;
    CHECK_EQUAL(asy_sys_getsockname(fd, (struct sockaddr *)&here, &length), 0);
    return ntohs(here.sin_port);
}

/* The system's ports come in order, but for those that are taken, and begin again after the last. */
WORLD_TEST(ports_of_the_system, PLAIN_LINK)
{
    int taken = listen_at("0.0.0.0", 32769, 1), fd = open_tcp();
    CHECK_EQUAL(bind_any(fd, AF_INET, 0), 0);
    CHECK_EQUAL(port_of(fd), 32768);
    CHECK_EQUAL(bind_any(fd, AF_INET, 0), -EINVAL); /* it is bound */
    for (int port = 32770; port <= 60999; port++) {
        asyncio_close(fd);
        fd = open_tcp();
        CHECK_EQUAL(bind_any(fd, AF_INET, 0), 0);
        CHECK_EQUAL(port_of(fd), port);
    }
    asyncio_close(fd);
    fd = open_tcp();
    CHECK_EQUAL(bind_any(fd, AF_INET, 0), 0);
    CHECK_EQUAL(port_of(fd), 32768);
    asyncio_close(fd);
    asyncio_close(taken);
    return 0;
}

/* A port of version 4 is one of version 6, too, unless that takes its own version alone. */
WORLD_TEST(a_port_of_both_versions, PLAIN_LINK)
{
    int on = 1, first = listen_at("0.0.0.0", 80, 1), fd = asy_sys_socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQUAL(bind_any(fd, AF_INET6, 80), -EADDRINUSE);
    CHECK_EQUAL(asy_sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), 0);
    CHECK_EQUAL(bind_any(fd, AF_INET6, 80), 0);
    asyncio_close(first);
    asyncio_close(fd);
    return 0;
}

/* The clients that a listener has accepted keep its port, unless all say that they share it. */
WORLD_TEST(a_port_with_clients, PLAIN_LINK)
{
    int on = 1;
    for (int shares = 0; shares < 2; shares++) {
        int listener = open_tcp(), fd = open_tcp(), again = open_tcp();
        CHECK_EQUAL(asy_sys_setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &shares, sizeof shares), 0);
        CHECK_EQUAL(asy_sys_setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
        CHECK_EQUAL(bind_any(listener, AF_INET, 80), 0);
        CHECK_EQUAL(asy_sys_listen(listener, 1), 0);
        CHECK_EQUAL(connect_to(fd, "127.0.0.1", 80), 0);
        int client = asyncio_sock_accept(listener, NULL, NULL);
        asyncio_close(listener);
        CHECK_EQUAL(bind_any(again, AF_INET, 80), shares ? 0 : -EADDRINUSE);
        asyncio_close(client);
        if (!shares)
            CHECK_EQUAL(bind_any(again, AF_INET, 80), 0);
        asyncio_close(fd);
        asyncio_close(again);
    }
    return 0;
}

/* A socket of version 6 takes both kinds of addresses, unless it is told not to. */
WORLD_TEST(both_versions, PLAIN_LINK)
{
    int on = 1, any = asy_sys_socket(AF_INET6, SOCK_STREAM, 0),
        only = asy_sys_socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(80)}, peer;
    socklen_t length = sizeof peer;
    CHECK_EQUAL(asy_sys_bind(any, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asy_sys_listen(any, 5), 0);
    int fd = open_tcp();
    CHECK_EQUAL(connect_to(fd, "127.0.0.1", 80), 0);
    int client = asyncio_sock_accept(any, (struct sockaddr *)&peer, &length);
    CHECK(client > 2);
    CHECK(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
    asyncio_close(fd);
    asyncio_close(client);
    address.sin6_port = htons(81);
    CHECK_EQUAL(asy_sys_setsockopt(only, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), 0);
    CHECK_EQUAL(asy_sys_bind(only, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asy_sys_listen(only, 5), 0);
    fd = open_tcp();
    CHECK_EQUAL(connect_to(fd, "127.0.0.1", 81), -ECONNREFUSED);
    asyncio_close(fd);
    asyncio_close(any);
    asyncio_close(only);
    return 0;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

WORLD_TEST(half_close, PLAIN_LINK)
{
    int fds[2];
    make_pair(fds);
    CHECK_EQUAL(send_text(fds[0], "question"), 0);
    CHECK_EQUAL(asy_sys_shutdown(fds[0], SHUT_WR), 0);
    CHECK_EQUAL(send_text(fds[0], "more"), -EPIPE);
    CHECK_EQUAL(receive(fds[1]), 8);
    CHECK_EQUAL(receive(fds[1]), 0);
    CHECK_EQUAL(send_text(fds[1], "answer"), 0);
    CHECK_EQUAL(receive(fds[0]), 6);
    close_pair(fds);
    return 0;
}

/* What comes for an end that was shut down both ways is answered by a reset, which is its own end, too. */
WORLD_TEST(shut_down_both_ways, PLAIN_LINK)
{
    int fds[2];
    make_pair(fds);
    CHECK_EQUAL(asy_sys_shutdown(fds[0], SHUT_RDWR), 0);
    CHECK_EQUAL(receive(fds[1]), 0);
    CHECK_EQUAL(send_text(fds[1], "x"), 0);
    asyncio_sleep(2.5);
    CHECK_EQUAL(asy_sys_socket_error(fds[0]), -ECONNRESET);
    CHECK_EQUAL(receive(fds[0]), 0);
    CHECK_EQUAL(asy_sys_socket_error(fds[1]), -EPIPE);
    close_pair(fds);
    return 0;
}

/* After a reset that connect(2) has told the socket is as it was: nothing of the old connection is left. */
WORLD_TEST(connected_again, PLAIN_LINK)
{
    struct sockaddr_in address = address_of("10.0.0.2", 80);
    int listener = listen_on_host("server", 80, 5), fd = open_tcp();
    CHECK_EQUAL(asy_sys_connect(fd, (struct sockaddr *)&address, sizeof address), -EINPROGRESS);
    asyncio_sleep(5);
    asyncio_close(asyncio_sock_accept(listener, NULL, NULL));
    CHECK_EQUAL(send_text(fd, "x"), 0);
    asyncio_sleep(5);
    CHECK_EQUAL(asy_sys_connect(fd, (struct sockaddr *)&address, sizeof address), -EPIPE);
    CHECK_EQUAL(receive(fd), -ENOTCONN);
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    int client = asyncio_sock_accept(listener, NULL, NULL);
    CHECK_EQUAL(send_text(client, "hello"), 0);
    CHECK_EQUAL(receive(fd), 5);
    CHECK_EQUAL(send_text(fd, "world"), 0);
    CHECK_EQUAL(receive(client), 5);
    asyncio_close(fd);
    asyncio_close(client);
    asyncio_close(listener);
    return 0;
}

/* To close with bytes unread is a reset; what had arrived can still be read. */
WORLD_TEST(close_with_unread_bytes, PLAIN_LINK)
{
    int fds[2];
    make_pair(fds);
    CHECK_EQUAL(send_text(fds[0], "ignored"), 0);
    CHECK_EQUAL(send_text(fds[1], "last words"), 0);
    asyncio_sleep(2);
    asyncio_close(fds[1]);
    asyncio_sleep(2);
    CHECK_EQUAL(send_text(fds[0], "x"), -ECONNRESET);
    CHECK_EQUAL(send_text(fds[0], "x"), -EPIPE);
    CHECK_EQUAL(receive(fds[0]), 10);
    CHECK_EQUAL(receive(fds[0]), 0);
    asyncio_close(fds[0]);
    return 0;
}

/* What is sent to a closed socket is answered by a reset. */
WORLD_TEST(send_to_a_closed_one, PLAIN_LINK)
{
    int fds[2];
    make_pair(fds);
    asyncio_close(fds[1]);
    CHECK_EQUAL(receive(fds[0]), 0);
    CHECK_EQUAL(send_text(fds[0], "x"), 0);
    asyncio_sleep(2.5);
    CHECK_EQUAL(send_text(fds[0], "x"), -EPIPE); /* after its end, a reset reads like that */
    asyncio_close(fds[0]);
    return 0;
}

WORLD_TEST(reset_at_close, PLAIN_LINK)
{
    int fds[2];
    struct linger linger = {.l_onoff = 1};
    make_pair(fds);
    CHECK_EQUAL(asy_sys_setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    asyncio_close(fds[0]);
    CHECK_EQUAL(receive(fds[1]), -ECONNRESET);
    asyncio_close(fds[1]);
    return 0;
}

WORLD_TEST(reset_from_outside, PLAIN_LINK)
{
    int fds[2];
    make_pair(fds);
    CHECK_EQUAL(asyncio_sim_reset("server", "nobody"), 0);
    CHECK_EQUAL(asyncio_sim_reset("server", "test"), 1);
    CHECK_EQUAL(asy_sys_socket_error(fds[0]), -ECONNRESET);
    CHECK_EQUAL(receive(fds[1]), -ECONNRESET);
    CHECK_EQUAL(asyncio_sim_reset("server", "test"), 0);
    close_pair(fds);
    return 0;
}

/* ---- Crashes ------------------------------------------------------------------------------------ */

static int cancelled;

ASYNC(sleep_long)
{
    int err = asyncio_sleep(1e6);
    cancelled += err == -ECANCELED;
    int fd = asy_sys_socket(AF_INET, SOCK_STREAM, 0); /* the host is gone */
    CHECK_EQUAL(fd, -ENETDOWN);
    return err;
}

WORLD_TEST(crash, PLAIN_LINK)
{
    int fds[2];
    cancelled = 0;
    make_pair(fds);
    asyncio_task *task = asyncio_sim_start("server", sleep_long());
    asyncio_sleep(1);
    CHECK_EQUAL(asyncio_sim_crash("server"), 0);
    CHECK_EQUAL(asyncio_sim_crash("nobody"), -ENOENT);
    CHECK_EQUAL(asyncio_sim_crash("test"), -EINVAL);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(cancelled, 1);
    CHECK_EQUAL(receive(fds[1]), -ENETDOWN);
    asyncio_sleep(100);
    CHECK_EQUAL(asy_sys_socket_error(fds[0]), 0); /* in silence */
    CHECK_EQUAL(send_text(fds[0], "x"), 0);
    double before = world_time();
    CHECK_EQUAL(receive(fds[0]), -ECONNRESET);
    CHECK(world_time() == before + 2);
    int fd = open_tcp();
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), -ECONNREFUSED);
    asyncio_close(fd);
    fd = open_tcp();
    int listener = listen_on_host("server", 80, 1); /* its next life */
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    asyncio_close(fd);
    asyncio_close(listener);
    close_pair(fds);
    return 0;
}

/* One that nobody has accepted hears as little. */
WORLD_TEST(crash_before_accept, PLAIN_LINK)
{
    int listener = listen_on_host("server", 80, 5), fd = open_tcp();
    CHECK_EQUAL(connect_to(fd, "10.0.0.2", 80), 0);
    asyncio_sleep(5);
    CHECK_EQUAL(asyncio_sim_crash("server"), 0);
    asyncio_sleep(100);
    CHECK_EQUAL(asy_sys_socket_error(fd), 0);
    CHECK_EQUAL(send_text(fd, "x"), 0);
    CHECK_EQUAL(receive(fd), -ECONNRESET);
    asyncio_close(fd);
    asyncio_close(listener);
    return 0;
}

/* ---- Raw calls, and descriptors that are not simulated ----------------------------------------- */

WORLD_TEST(raw_calls, PLAIN_LINK)
{
    int fd = open_tcp(), ends[2], on = 1;
    char byte = 0;
    CHECK(read(fd, &byte, 1) < 0 && errno == EBADF);
    CHECK(write(fd, &byte, 1) < 0 && errno == EBADF);
    CHECK(send(fd, &byte, 1, MSG_NOSIGNAL) < 0 && errno == EBADF);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 && errno == EBADF);
    asyncio_close(fd);
    CHECK_EQUAL(pipe(ends), 0);
    CHECK_EQUAL(asyncio_read(ends[0], &byte, 1), -ENOSYS);
    asyncio_close(ends[0]);
    asyncio_close(ends[1]);
    CHECK_EQUAL(asy_sys_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), -ENOSYS);
    return 0;
}

/* Closed by close(2): the number is free, and the next socket that gets it is another one. */
WORLD_TEST(closed_by_the_kernel, PLAIN_LINK)
{
    int fd = listen_at("0.0.0.0", 80, 1);
    close(fd);
    CHECK_EQUAL(open_tcp(), fd);
    int again = listen_at("0.0.0.0", 80, 1);
    char text[256];
    CHECK_EQUAL(asy_sim_world_lost(text, sizeof text), 1);
    CHECK_HAS(text, "tcp 0.0.0.0:80, listening");
    asyncio_close(fd);
    asyncio_close(again);
    return 0;
}

TEST_MAIN()
