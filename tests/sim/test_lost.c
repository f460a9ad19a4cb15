/*
 * Sockets that the program closes by close(2), past the library: each run in which one comes out has failed,
 * and says which it was.
 */
#include "sim/scenario.h"
#include "sim/world.h"
#include "sys/files.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const asyncio_sim_options once = {.runs = 1};

/* A UDP socket that is bound to the port. */
static int open_udp(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = asy_sys_socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd > 2);
    CHECK_EQUAL(asy_sys_bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The run fails by nothing else. Its text, without the numbers of descriptors, has the words. */
static void check_loses(coroutine_function scenario, const char *words)
{
    char text[sizeof result.text], *from, *to = text;
    assert_int_equal(simulate(scenario, &once), ASYNCIO_EINCOMPLETE);
    for (from = result.text; *from; *to++ = *from++)
        if (strncmp(from, "fd ", 3) == 0)
            from += strcspn(from, ",") + 2;
    *to = '\0';
    CHECK_HAS(text, words);
    CHECK(!strstr(text, "left behind"));
    harness_settle();
}

ASYNC(close_at_the_end)
{
    close(open_udp(53));
    return 0;
}

TEST(found_at_the_end)
{
    check_loses(close_at_the_end,
                "asyncio: 1 socket was closed by close(2), not by the library: udp 0.0.0.0:53");
}

/* The number comes back for another socket, which is closed as it should be. */
ASYNC(close_and_open_again)
{
    int fd = open_udp(53);
    close(fd);
    CHECK_EQUAL(open_udp(54), fd);
    CHECK_EQUAL(open_udp(53), fd + 1); /* the port is free */
    CHECK_EQUAL(asyncio_close(fd), 0);
    CHECK_EQUAL(asyncio_close(fd + 1), 0);
    return 0;
}

TEST(found_at_the_next_socket)
{
    check_loses(close_and_open_again, ": udp 0.0.0.0:53");
}

/* The library opens a file, and gets the number; what is read comes from there. */
ASYNC(close_and_open_file)
{
    int fd = open_udp(53), again;
    char byte = 'x';
    close(fd);
    CHECK_EQUAL(again = asy_sys_open("/dev/zero", O_RDONLY, 0), fd);
    CHECK_EQUAL(asy_sys_read(again, &byte, 1), 1);
    CHECK_EQUAL(byte, 0);
    CHECK_EQUAL(asyncio_close(again), 0);
    return 0;
}

TEST(found_at_the_next_file)
{
    check_loses(close_and_open_file, ": udp 0.0.0.0:53");
}

/* The program opens one by itself; the library learns of it when it is told to use the number. */
ASYNC(close_and_open_own_file)
{
    int fd = open_udp(53);
    close(fd);
    CHECK_EQUAL(open("/dev/zero", O_RDONLY | O_CLOEXEC), fd);
    CHECK_EQUAL(asy_sys_fd_kind(fd) & ASY_FD_SOCKET, 0);
    CHECK_EQUAL(asyncio_close(fd), 0);
    CHECK_EQUAL(fcntl(fd, F_GETFD), -1); /* that was the file */
    return 0;
}

TEST(found_at_the_next_use)
{
    check_loses(close_and_open_own_file, ": udp 0.0.0.0:53");
}

ASYNC(close_twice)
{
    int fd = open_udp(53);
    close(fd);
    CHECK_EQUAL(asyncio_close(fd), -EBADF);
    return 0;
}

TEST(found_when_it_is_closed)
{
    check_loses(close_twice, ": udp 0.0.0.0:53");
}

/* A client that is accepted would get the number of its listener, whose queue it is in. */
ASYNC(accept_from_closed)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    int listener = asy_sys_socket(AF_INET, SOCK_STREAM, 0), client = asy_sys_socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQUAL(asy_sys_bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asy_sys_listen(listener, 1), 0);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    CHECK_EQUAL(asyncio_sock_connect(client, (struct sockaddr *)&address, sizeof address), 0);
    asyncio_sleep(1);
    close(listener);
    CHECK_EQUAL(asy_sys_accept(listener, NULL, NULL), -EBADF);
    CHECK_EQUAL(asyncio_close(client), 0);
    return 0;
}

TEST(found_when_a_client_is_accepted)
{
    check_loses(accept_from_closed, ": tcp 0.0.0.0:80");
}

ASYNC(close_five)
{
    int fds[5];
    for (int i = 0; i < 5; i++)
        fds[i] = open_udp((uint16_t)(i + 1));
    for (int i = 0; i < 5; i++)
        close(fds[i]);
    return 0;
}

TEST(several)
{
    check_loses(close_five,
                "asyncio: 5 sockets were closed by close(2), not by the library: udp 0.0.0.0:1 (sent 0, "
                "received 0); udp 0.0.0.0:2 (sent 0, received 0); udp 0.0.0.0:3 (sent 0, received 0)\n");
}

/* It is told beside another failure, too: here what it has led to. */
ASYNC(receive_from_closed)
{
    int fds[2];
    char byte;
    CHECK_EQUAL(asy_sim_world_pair(SOCK_STREAM, fds), 0);
    close(fds[0]);
    intptr_t n = asyncio_sock_recv(fds[1], &byte, 1, 0);
    asyncio_close(fds[1]);
    return n;
}

TEST(told_with_a_deadlock)
{
    assert_int_equal(simulate(receive_from_closed, &once), -EDEADLK);
    CHECK_HAS(result.text, "asyncio: 1 socket was closed by close(2), not by the library: fd ");
    CHECK_HAS(result.text, "waits in reading fd ");
    harness_settle();
}

/* A socket that is only left behind is not. */
ASYNC(leave_socket)
{
    open_udp(53);
    return 0;
}

TEST(left_sockets_are_not_lost)
{
    assert_int_equal(simulate(leave_socket, &once), ASYNCIO_EINCOMPLETE);
    CHECK_HAS(result.text, "asyncio: left behind: 1 socket: fd ");
    CHECK(!strstr(result.text, "close(2)"));
    harness_settle();
}

TEST_MAIN()
