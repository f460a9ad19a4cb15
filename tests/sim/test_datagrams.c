/*
 * Simulated UDP: loss, twins, overtaking, full buffers, errors that come back.
 */
#include "sim/sockets.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static asyncio_datagram *receiver;

ASYNC(open_receiver)
{
    asyncio_address local = {.host = "0.0.0.0", .port = 53};
    return asyncio_open_datagram(&local, NULL, NULL, &receiver);
}

static asyncio_datagram *open_sender(void)
{
    asyncio_address remote = {.host = "10.0.0.2", .port = 53};
    asyncio_datagram *sender = NULL;
    CHECK_EQUAL(asyncio_await(asyncio_sim_start("server", open_receiver())), 0);
    CHECK_EQUAL(asyncio_open_datagram(NULL, &remote, NULL, &sender), 0);
    return sender;
}

static void close_both(asyncio_datagram *sender)
{
    asyncio_datagram_close(sender);
    asyncio_datagram_close(receiver);
}

/* The bytes of what has come within `seconds`, in order, as text. */
static const char *collect(double seconds, char *text)
{
    double until = world_time() + seconds;
    size_t used = 0;
    ssize_t n = 0;
    while (n >= 0 && used < 60) {
        n = asyncio_wait_readable(asyncio_datagram_fd(receiver), until - world_time());
        if (n == 0)
            n = asyncio_datagram_recv(receiver, text + used, 64 - used);
        if (n > 0)
            used += (size_t)n;
    }
    text[used] = '\0';
    return text;
}

static void send_letters(asyncio_datagram *sender, const char *letters)
{
    for (; *letters; letters++)
        CHECK_EQUAL(asyncio_datagram_send(sender, letters, 1), 1);
}

static asyncio_sim_link with(asyncio_sim_link link, double loss, double duplicate, double reorder)
{
    link.loss = loss;
    link.duplicate = duplicate;
    link.reorder = reorder;
    return link;
}

WORLD_TEST(arrive_in_order, PLAIN_LINK)
{
    char text[65];
    asyncio_datagram *sender = open_sender();
    send_letters(sender, "abc");
    CHECK_TEXT(collect(1.5, text), "abc");
    close_both(sender);
    return 0;
}

WORLD_TEST(all_lost, with(PLAIN_LINK, 1, 0, 0))
{
    char text[65];
    asyncio_datagram *sender = open_sender();
    for (int i = 0; i < 20; i++)
        send_letters(sender, "abc");
    CHECK_TEXT(collect(10, text), "");
    close_both(sender);
    return 0;
}

WORLD_TEST(all_doubled, with(PLAIN_LINK, 0, 1, 0))
{
    char text[65];
    asyncio_datagram *sender = open_sender();
    send_letters(sender, "abc");
    CHECK_TEXT(collect(10, text), "aabbcc");
    close_both(sender);
    return 0;
}

/* Half of them take their latency twice, and so the others overtake them. */
WORLD_TEST(some_overtaken, with(PLAIN_LINK, 0, 0, 0.5))
{
    static const char sent[] = "abcdefghijklmnop";
    char text[65];
    asyncio_datagram *sender = open_sender();
    send_letters(sender, sent);
    collect(2.5, text);
    CHECK_EQUAL(strlen(text), strlen(sent));
    CHECK(strcmp(text, sent) != 0);
    close_both(sender);
    return 0;
}

WORLD_TEST(bandwidth, ((asyncio_sim_link){.latency = 1, .bandwidth = 100}))
{
    char text[200];
    asyncio_datagram *sender = open_sender();
    memset(text, 'x', sizeof text);
    CHECK_EQUAL(asyncio_datagram_send(sender, text, 200), 200);
    CHECK_EQUAL(asyncio_datagram_send(sender, text, 100), 100);
    CHECK_EQUAL(asyncio_datagram_recv(receiver, text, sizeof text), 200);
    CHECK_TIME(3);
    CHECK_EQUAL(asyncio_datagram_recv(receiver, text, sizeof text), 100);
    CHECK_TIME(4);
    close_both(sender);
    return 0;
}

static void set_state(asyncio_sim_state state)
{
    asyncio_sim_link link = PLAIN_LINK;
    link.state = state;
    CHECK_EQUAL(asyncio_sim_set_link("test", "server", &link), 0);
}

WORLD_TEST(states, PLAIN_LINK)
{
    char text[65];
    asyncio_datagram *sender = open_sender();
    set_state(ASYNCIO_SIM_DROP);
    send_letters(sender, "a");
    CHECK_TEXT(collect(2, text), "");
    set_state(ASYNCIO_SIM_HOLD);
    send_letters(sender, "bc");
    CHECK_TEXT(collect(20, text), "");
    set_state(ASYNCIO_SIM_UP);
    CHECK_TEXT(collect(0.1, text), "bc");
    set_state(ASYNCIO_SIM_REFUSE);
    send_letters(sender, "d");
    asyncio_sleep(2);
    CHECK_EQUAL(asyncio_datagram_send(sender, "e", 1), -EHOSTUNREACH);
    close_both(sender);
    return 0;
}

WORLD_TEST(nobody_there, PLAIN_LINK)
{
    char byte;
    asyncio_datagram *sender = open_sender();
    asyncio_datagram_close(receiver);
    send_letters(sender, "a");
    CHECK_EQUAL(asyncio_datagram_recv(sender, &byte, 1), -ECONNREFUSED);
    CHECK_TIME(1);
    asyncio_datagram_close(sender);
    return 0;
}

/* A buffer that is full drops; a datagram that is too large is refused. */
WORLD_TEST(full_buffer, PLAIN_LINK)
{
    static char block[66000];
    asyncio_datagram *sender = open_sender();
    int bytes = 4096, count = 0;
    CHECK_EQUAL(asyncio_datagram_send(sender, block, 65508), -EMSGSIZE);
    CHECK_EQUAL(
        asy_sys_setsockopt(asyncio_datagram_fd(receiver), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQUAL(asyncio_datagram_send(sender, block, 1000), 1000);
    asyncio_sleep(2);
    while (asyncio_wait_readable(asyncio_datagram_fd(receiver), 0) == 0) {
        CHECK_EQUAL(asyncio_datagram_recv(receiver, block, sizeof block), 1000);
        count++;
    }
    CHECK_EQUAL(count, 8192 / (1000 + 256));
    close_both(sender);
    return 0;
}

/* A connected socket takes from its peer alone; others come to one that takes from any. */
WORLD_TEST(connected_receiver, PLAIN_LINK)
{
    char text[65];
    asyncio_datagram *sender = open_sender(), *other = NULL;
    asyncio_address any = {.host = "10.0.0.1", .port = 7};
    CHECK_EQUAL(asyncio_open_datagram(&any, NULL, NULL, &other), 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)}, from;
    socklen_t length = sizeof from;
    CHECK_EQUAL(inet_pton(AF_INET, "10.0.0.1", &to.sin_addr), 1);
    CHECK_EQUAL(asyncio_datagram_sendto(receiver, "x", 1, (struct sockaddr *)&to, sizeof to), 1);
    CHECK_EQUAL(asyncio_datagram_recvfrom(other, text, sizeof text, (struct sockaddr *)&from, &length), 1);
    CHECK_TEXT(inet_ntoa(from.sin_addr), "10.0.0.2");
    CHECK_EQUAL(ntohs(from.sin_port), 53);
    asyncio_datagram_close(other);
    close_both(sender);
    return 0;
}

/* What does not fit where it is read is cut off, which a receiver may ask for. */
WORLD_TEST(cut_off, PLAIN_LINK)
{
    char text[4];
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    asyncio_datagram *sender = open_sender();
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(asyncio_datagram_send(sender, "0123456789", i < 2 ? 10 : 4), i < 2 ? 10 : 4);
    asyncio_sleep(2);
    CHECK_EQUAL(asy_sys_recvmsg(asyncio_datagram_fd(receiver), &message, MSG_TRUNC), 10);
    CHECK_EQUAL(message.msg_flags, MSG_TRUNC);
    CHECK_EQUAL(asy_sys_recvmsg(asyncio_datagram_fd(receiver), &message, 0), 4);
    CHECK_EQUAL(message.msg_flags, MSG_TRUNC);
    CHECK_EQUAL(asy_sys_recvmsg(asyncio_datagram_fd(receiver), &message, 0), 4);
    CHECK_EQUAL(message.msg_flags, 0);
    close_both(sender);
    return 0;
}

/* What has been read makes room for as much. */
WORLD_TEST(a_buffer_that_is_read, PLAIN_LINK)
{
    char block[1000] = "", text[1000];
    asyncio_datagram *sender = open_sender();
    int bytes = 2048, fd = asyncio_datagram_fd(receiver);
    CHECK_EQUAL(asy_sys_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 3; j++)
            CHECK_EQUAL(asyncio_datagram_send(sender, block, sizeof block), sizeof block);
        asyncio_sleep(2);
        for (int j = 0; j < 3; j++)
            CHECK_EQUAL(asyncio_datagram_recv(receiver, text, sizeof text), sizeof text);
    }
    close_both(sender);
    return 0;
}

static int open_udp(const char *ip, int port)
{
    int on = 1, fd = asy_sys_socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in here = address_of(ip, port);
    CHECK_EQUAL(asy_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    CHECK_EQUAL(asy_sys_bind(fd, (struct sockaddr *)&here, sizeof here), 0);
    return fd;
}

static void send_letter_to(int fd, const char *letter, int port)
{
    struct sockaddr_in to = address_of("10.0.0.1", port);
    CHECK_EQUAL(asyncio_sock_sendto(fd, letter, 1, 0, (struct sockaddr *)&to, sizeof to), 1);
}

static void check_letter(int fd, char letter)
{
    char byte = 0;
    CHECK_EQUAL(asyncio_sock_recv(fd, &byte, 1, 0), 1);
    CHECK_EQUAL(byte, letter);
    CHECK_EQUAL(asyncio_wait_readable(fd, 0), -ETIMEDOUT);
}

/* Two sockets share a port: one that is connected takes what its peer sends, and nothing else, whichever came
 * first. */
WORLD_TEST(a_port_that_is_shared, PLAIN_LINK)
{
    int peer = open_udp("10.0.0.1", 1), stranger = open_udp("10.0.0.1", 2);
    struct sockaddr_in its = address_of("10.0.0.1", 1);
    for (int port = 10; port < 12; port++) {
        int first = open_udp("10.0.0.1", port), second = open_udp("10.0.0.1", port);
        int connected = port == 10 ? first : second, other = port == 10 ? second : first;
        CHECK_EQUAL(asyncio_sock_connect(connected, (struct sockaddr *)&its, sizeof its), 0);
        send_letter_to(peer, "p", port);
        send_letter_to(stranger, "s", port);
        check_letter(connected, 'p');
        check_letter(other, 's');
        asyncio_close(first);
        asyncio_close(second);
    }
    asyncio_close(peer);
    asyncio_close(stranger);
    return 0;
}

/* One that was connected, and is no more, hears of no port that is closed. */
WORLD_TEST(connected_no_more, PLAIN_LINK)
{
    int fd = open_udp("10.0.0.1", 1);
    struct sockaddr_in closed = address_of("10.0.0.1", 2);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    CHECK_EQUAL(asyncio_sock_connect(fd, (struct sockaddr *)&closed, sizeof closed), 0);
    CHECK_EQUAL(asyncio_sock_send(fd, "x", 1, 0), 1);
    CHECK_EQUAL(asy_sys_socket_error(fd), -ECONNREFUSED);
    CHECK_EQUAL(asy_sys_connect(fd, &none, sizeof none), 0);
    send_letter_to(fd, "x", 2);
    CHECK_EQUAL(asy_sys_socket_error(fd), 0);
    CHECK_EQUAL(asyncio_sock_send(fd, "x", 1, 0), -EDESTADDRREQ);
    asyncio_close(fd);
    return 0;
}

/* Shut down, a socket sends no more; what has come can be read. */
WORLD_TEST(shut_down, PLAIN_LINK)
{
    asyncio_datagram *sender = open_sender();
    int fd = asyncio_datagram_fd(sender);
    CHECK_EQUAL(asy_sys_shutdown(asyncio_datagram_fd(receiver), SHUT_WR), -ENOTCONN);
    struct sockaddr_in to = address_of("10.0.0.1", 9);
    CHECK_EQUAL(asyncio_datagram_sendto(receiver, "x", 1, (struct sockaddr *)&to, sizeof to), -EPIPE);
    CHECK_EQUAL(asy_sys_shutdown(fd, 3), -EINVAL);
    CHECK_EQUAL(asy_sys_shutdown(fd, SHUT_RD), 0);
    CHECK_EQUAL(asyncio_wait_readable(fd, 1), 0);
    CHECK_EQUAL(asyncio_sock_send(fd, "x", 1, 0), 1);
    CHECK_EQUAL(asy_sys_shutdown(fd, SHUT_WR), 0);
    CHECK_EQUAL(asyncio_sock_send(fd, "x", 1, 0), -EPIPE);
    close_both(sender);
    return 0;
}

/* Both of a datagram that is doubled come from its sender, which is bound to no address. */
WORLD_TEST(twins_have_one_sender, with(PLAIN_LINK, 0, 1, 0))
{
    char byte;
    struct sockaddr_in from[2];
    socklen_t length = sizeof *from;
    asyncio_datagram *sender = open_sender();
    struct sockaddr_in to = address_of("10.0.0.2", 53);
    int fd = open_udp("0.0.0.0", 1);
    CHECK_EQUAL(asyncio_sock_sendto(fd, "a", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(asyncio_datagram_recvfrom(receiver, &byte, 1, (struct sockaddr *)&from[i], &length), 1);
        CHECK_TEXT(inet_ntoa(from[i].sin_addr), "10.0.0.1");
        CHECK_EQUAL(ntohs(from[i].sin_port), 1);
    }
    asyncio_close(fd);
    close_both(sender);
    return 0;
}

WORLD_TEST(multicast, PLAIN_LINK)
{
    struct ip_mreq group = {.imr_multiaddr.s_addr = htonl(0xe0000001)};
    int fd = asy_sys_socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQUAL(asy_sys_setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group), -ENOSYS);
    asyncio_close(fd);
    return 0;
}

TEST_MAIN()
