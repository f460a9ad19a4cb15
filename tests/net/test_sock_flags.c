/*
 * Receiving with flags: those that take nothing from the ordinary queue leave it alone, and wait for what is
 * theirs; MSG_WAITALL waits for all. And what the limit of descriptors does to an accept.
 */
#include "asyncio.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void settle(void)
{
    for (int i = 0; i < 5; i++)
        asyncio_sleep(0.0002);
}

static void close_pair(const int fds[2])
{
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
}

ASYNC(recv_text, int, fd, char *, text, size_t, n, int, flags)
{
    memset(text, 0, n);
    return asyncio_sock_recv(fd, text, n - 1, flags);
}

/* The number of the error that the message tells of, below 0. */
ASYNC(recv_error, int, fd)
{
    union {
        struct cmsghdr align;
        char space[256];
    } control;
    struct msghdr message = {.msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = asyncio_sock_recvmsg(fd, &message, MSG_ERRQUEUE);
    struct cmsghdr *at = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
    struct sock_extended_err error = {0};
    if (at)
        memcpy(&error, CMSG_DATA(at), sizeof error);
    return got < 0 ? got : -(intptr_t)error.ee_errno;
}

ASYNC(read_stream, asyncio_stream *, stream, char *, text, size_t, n)
{
    return asyncio_stream_read(stream, text, n);
}

/* ---- The error queue ---------------------------------------------------------------------- */

static void set_on(int fd, int level, int name)
{
    int on = 1;
    CHECK_EQUAL(setsockopt(fd, level, name, &on, sizeof on), 0);
}

/* A datagram to a port where nobody is: it comes back into the error queue. */
static void send_in_vain(int fd)
{
    struct sockaddr_in nobody;
    close(net_udp(&nobody));
    CHECK_EQUAL(sendto(fd, "?", 1, 0, (struct sockaddr *)&nobody, sizeof nobody), 1);
}

/* It is empty, and a datagram waits: whoever asks for errors waits, and the datagram is still found. */
ASYNC_TEST(no_errors)
{
    struct sockaddr_in address;
    char text[8];
    int fd = net_udp(&address);
    CHECK_EQUAL(sendto(fd, "hello", 5, 0, (struct sockaddr *)&address, sizeof address), 5);
    CHECK_EQUAL(asyncio_wait_for(recv_error(fd), 0.01), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_wait_for(recv_text(fd, text, sizeof text, MSG_ERRQUEUE), 0.01), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_wait_for(recv_text(fd, text, sizeof text, 0), 5), 5);
    CHECK_TEXT(text, "hello");
    asyncio_close(fd);
    return 0;
}

/* It does not stand in line with those who wait for datagrams, and an error wakes it. */
ASYNC_TEST(error_comes)
{
    struct sockaddr_in address;
    char text[8];
    int fd = net_udp(&address);
    set_on(fd, IPPROTO_IP, IP_RECVERR);
    asyncio_task *reader = asyncio_create_task(recv_text(fd, text, sizeof text, 0));
    asyncio_task *errors = asyncio_create_task(recv_error(fd));
    settle();
    CHECK(!asyncio_done(reader) && !asyncio_done(errors));
    CHECK_EQUAL(sendto(fd, "hello", 5, 0, (struct sockaddr *)&address, sizeof address), 5);
    CHECK_EQUAL(asyncio_await(reader), 5);
    CHECK(!asyncio_done(errors));
    send_in_vain(fd);
    CHECK_EQUAL(asyncio_await(errors), -ECONNREFUSED);
    reader = asyncio_create_task(recv_text(fd, text, sizeof text, 0));
    settle();
    send_in_vain(fd);
    CHECK_EQUAL(asyncio_await(recv_error(fd)), -ECONNREFUSED); /* at once, although one waits already */
    settle();
    CHECK(!asyncio_done(reader)); /* the kernel has told it, once */
    CHECK_EQUAL(sendto(fd, "hello", 5, 0, (struct sockaddr *)&address, sizeof address), 5);
    CHECK_EQUAL(asyncio_await(reader), 5);
    asyncio_close(fd);
    return 0;
}

/* The same by hand. */
ASYNC_TEST(wait_for_error)
{
    struct sockaddr_in address;
    int fd = net_udp(&address);
    set_on(fd, IPPROTO_IP, IP_RECVERR);
    CHECK_EQUAL(sendto(fd, "hello", 5, 0, (struct sockaddr *)&address, sizeof address), 5);
    CHECK_EQUAL(asyncio_wait_fd(fd, POLLERR, 0.01), -ETIMEDOUT);
    send_in_vain(fd);
    CHECK_EQUAL(asyncio_wait_fd(fd, POLLERR, 5), POLLERR);
    asyncio_close(fd);
    return 0;
}

/* A peer that hangs up is no error, and does not keep the wait busy. */
ASYNC_TEST(hang_up)
{
    int fds[2];
    net_tcp_pair(fds);
    asyncio_task *errors = asyncio_create_task(recv_error(fds[0]));
    settle();
    CHECK_EQUAL(shutdown(fds[0], SHUT_WR), 0);
    CHECK_EQUAL(shutdown(fds[1], SHUT_WR), 0);
    struct pollfd hung = {.fd = fds[0]};
    CHECK_EQUAL(poll(&hung, 1, 10000), 1);
    settle();
    CHECK(!asyncio_done(errors));
    asyncio_cancel(errors);
    CHECK_EQUAL(asyncio_await(errors), -ECANCELED);
    close_pair(fds);
    return 0;
}

/* A stream has the descriptor. */
ASYNC_TEST(errors_of_a_stream)
{
    int fds[2];
    char text[8];
    asyncio_stream *stream;
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    CHECK_EQUAL(send(fds[1], "one", 3, 0), 3);
    CHECK_EQUAL(asyncio_wait_for(recv_error(fds[0]), 0.01), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_wait_for(read_stream(stream, text, sizeof text), 5), 3);
    asyncio_task *reader = asyncio_create_task(read_stream(stream, text, sizeof text));
    settle();
    CHECK_EQUAL(asyncio_wait_for(recv_error(fds[0]), 0.01), -ETIMEDOUT);
    CHECK_EQUAL(send(fds[1], "two!", 4, 0), 4);
    CHECK_EQUAL(asyncio_await(reader), 4);
    asyncio_task *errors = asyncio_create_task(recv_error(fds[0]));
    settle();
    asyncio_stream_abort(stream);
    CHECK_EQUAL(asyncio_await(errors), -EBADF);
    asyncio_close(fds[1]);
    return 0;
}

/* ---- Urgent data ------------------------------------------------------------------------------ */

/* What the kernel says of urgent data that is announced, and still on its way. */
static int on_its_way;

ssize_t recvfrom(int fd, void *restrict buf, size_t n, int flags, struct sockaddr *restrict from,
                 socklen_t *restrict length)
{
    if (!(flags & MSG_OOB) || !on_its_way)
        return syscall(SYS_recvfrom, fd, buf, n, flags, from, length);
    on_its_way--;
    errno = EAGAIN;
    return -1;
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
    return recvfrom(fd, buf, n, flags, NULL, NULL);
}

/* Ordinary bytes wait meanwhile, and are still found. */
ASYNC_TEST(urgent)
{
    int fds[2];
    char text[8], urgent[2];
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 1, MSG_OOB), -EINVAL); /* not even announced */
    CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
    on_its_way = 1;
    asyncio_task *task = asyncio_create_task(recv_text(fds[0], urgent, sizeof urgent, MSG_OOB));
    settle();
    CHECK(!asyncio_done(task) && !on_its_way);
    CHECK_EQUAL(asyncio_wait_for(recv_text(fds[0], text, sizeof text, 0), 5), 3);
    CHECK_EQUAL(send(fds[1], "!", 1, MSG_OOB), 1);
    CHECK_EQUAL(asyncio_await(task), 1);
    CHECK_TEXT(urgent, "!");
    close_pair(fds);
    return 0;
}

/* ---- Peeking ---------------------------------------------------------------------------------- */

/* Peeks that go on where the last one stopped find nothing, and what they have passed is still to be read. */
static void check_peeks(int type)
{
    int fds[2], from = 0;
    char text[8];
    net_unix_pair(type, fds);
    CHECK_EQUAL(setsockopt(fds[0], SOL_SOCKET, SO_PEEK_OFF, &from, sizeof from), 0);
    CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 3, MSG_PEEK), 3);
    asyncio_task *peek = asyncio_create_task(recv_text(fds[0], text, sizeof text, MSG_PEEK));
    settle();
    CHECK(!asyncio_done(peek));
    CHECK_EQUAL(send(fds[1], "defg", 4, 0), 4);
    CHECK_EQUAL(asyncio_await(peek), 4);
    CHECK_TEXT(text, "defg");
    CHECK_EQUAL(asyncio_wait_for(recv_text(fds[0], text, sizeof text, MSG_PEEK), 0.01), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_wait_for(recv_text(fds[0], text, 4, 0), 5), 3);
    CHECK_TEXT(text, "abc");
    close_pair(fds);
}

ASYNC_TEST(peek)
{
    check_peeks(SOCK_STREAM);
    check_peeks(SOCK_DGRAM);
    return 0;
}

/* Whoever peeks sees what another task then takes. */
ASYNC_TEST(peek_first)
{
    int fds[2];
    char seen[8], taken[8];
    net_tcp_pair(fds);
    asyncio_task *reader = asyncio_create_task(recv_text(fds[0], taken, sizeof taken, 0));
    asyncio_task *peek = asyncio_create_task(recv_text(fds[0], seen, sizeof seen, MSG_PEEK));
    settle();
    CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
    CHECK_EQUAL(asyncio_await(peek), 3);
    CHECK_EQUAL(asyncio_await(reader), 3);
    peek = asyncio_create_task(recv_text(fds[0], seen, sizeof seen, MSG_PEEK));
    settle();
    close(fds[1]);
    CHECK_EQUAL(asyncio_await(peek), 0);
    asyncio_close(fds[0]);
    return 0;
}

/* ---- All of it -------------------------------------------------------------------------------- */

static void check_all(int fds[2])
{
    char text[16], rest[8];
    asyncio_task *all = asyncio_create_task(recv_text(fds[0], text, 10, MSG_WAITALL));
    asyncio_task *next = asyncio_create_task(recv_text(fds[0], rest, sizeof rest, 0));
    for (int i = 0; i < 3; i++) {
        settle();
        CHECK(!asyncio_done(all));
        CHECK_EQUAL(send(fds[1], &"abcdefghi"[3 * i], 3, 0), 3);
    }
    CHECK_EQUAL(asyncio_await(all), 9);
    CHECK_TEXT(text, "abcdefghi");
    settle();
    CHECK(!asyncio_done(next)); /* it came later, and gets what comes later */
    CHECK_EQUAL(send(fds[1], "xyz", 3, 0), 3);
    CHECK_EQUAL(asyncio_await(next), 3);
    CHECK_TEXT(rest, "xyz");
    CHECK_EQUAL(send(fds[1], "abcd", 4, 0), 4);
    CHECK_EQUAL(asyncio_sock_recvfrom(fds[0], text, 2, MSG_WAITALL, NULL, NULL), 2);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 0, MSG_WAITALL), 0);
    CHECK_EQUAL(shutdown(fds[1], SHUT_WR), 0);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 10, MSG_WAITALL), 2); /* the end came first */
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 10, MSG_WAITALL), 0);
    close_pair(fds);
}

ASYNC_TEST(all)
{
    int fds[2];
    net_tcp_pair(fds);
    check_all(fds);
    net_unix_pair(SOCK_STREAM, fds);
    check_all(fds);
    return 0;
}

/* More than the socket can hold. */
ASYNC_TEST(all_of_much)
{
    static unsigned char block[1 << 20];
    int fds[2];
    net_tcp_pair(fds);
    net_make_narrow(fds[0]);
    net_make_narrow(fds[1]);
    asyncio_task *all = asyncio_create_task(recv_text(fds[0], (char *)block, sizeof block, MSG_WAITALL));
    static unsigned char sent[sizeof block - 1];
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (unsigned char)(i * 7 / 3);
    CHECK_EQUAL(asyncio_sock_sendall(fds[1], sent, sizeof sent, 0), sizeof sent);
    CHECK_EQUAL(asyncio_await(all), sizeof sent);
    CHECK(memcmp(block, sent, sizeof sent) == 0);
    close_pair(fds);
    return 0;
}

/* A message has an end of its own, and the flag means nothing. What cannot be kept is refused. */
ASYNC_TEST(all_of_what)
{
    struct sockaddr_in address;
    struct msghdr message = {.msg_iovlen = 0};
    int udp = net_udp(&address), fds[2];
    char text[16];
    CHECK_EQUAL(sendto(udp, "one", 3, 0, (struct sockaddr *)&address, sizeof address), 3);
    CHECK_EQUAL(sendto(udp, "two", 3, 0, (struct sockaddr *)&address, sizeof address), 3);
    CHECK_EQUAL(asyncio_sock_recv(udp, text, 6, MSG_WAITALL), 3);
    CHECK_EQUAL(asyncio_sock_recvmsg(udp, &message, MSG_WAITALL), 0);
    asyncio_close(udp);
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 6, MSG_WAITALL | MSG_PEEK), -EOPNOTSUPP);
    CHECK_HAS(asyncio_error_message(), "MSG_PEEK");
    CHECK_EQUAL(asyncio_sock_recvmsg(fds[0], &message, MSG_WAITALL), -EOPNOTSUPP);
    CHECK_HAS(asyncio_error_message(), "asyncio_sock_recv");
    CHECK_EQUAL(asyncio_sock_recv(-1, text, 6, MSG_WAITALL), -EBADF);
    close_pair(fds);
    return 0;
}

/* Takes at least n bytes, and tells what became of the request to stop. */
ASYNC(take_and_sleep, int, fd, char *, text, size_t, n, ssize_t *, got)
{
    *got = asyncio_sock_recv(fd, text, n, MSG_WAITALL);
    return asyncio_sleep(0);
}

/* A cancel before the first byte is told; after it the bytes are, and the request waits for the next call. */
ASYNC_TEST(all_cancelled)
{
    int fds[2];
    char text[16];
    ssize_t got;
    net_tcp_pair(fds);
    for (int part = 0; part < 4; part += 3) {
        asyncio_task *task = asyncio_create_task(take_and_sleep(fds[0], text, 10, &got));
        settle();
        CHECK_EQUAL(send(fds[1], "abc", (size_t)part, 0), part);
        settle();
        asyncio_cancel(task);
        CHECK_EQUAL(asyncio_await(task), part ? -ECANCELED : 0);
        CHECK_EQUAL(got, part ? part : -ECANCELED);
    }
    CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
    asyncio_timeout limit;
    CHECK_EQUAL(asyncio_timeout_enter(&limit, 0.01), 0);
    got = asyncio_sock_recv(fds[0], text, 10, MSG_WAITALL);
    CHECK_EQUAL(got, 3);
    CHECK_EQUAL(asyncio_timeout_exit(&limit, got), 3); /* in spite of it */
    CHECK_EQUAL(asyncio_sleep(0), 0);
    close_pair(fds);
    return 0;
}

/* A reset, or a close here, after a part: the part is told. */
ASYNC_TEST(all_cut)
{
    char text[16];
    for (int reset = 0; reset < 2; reset++) {
        int fds[2];
        net_tcp_pair(fds);
        asyncio_task *all = asyncio_create_task(recv_text(fds[0], text, sizeof text, MSG_WAITALL));
        settle();
        CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
        settle();
        CHECK(!asyncio_done(all));
        if (reset) {
            net_reset_at_close(fds[1]);
            close(fds[1]);
        } else {
            asyncio_close(fds[0]);
        }
        CHECK_EQUAL(asyncio_await(all), 3);
        if (reset) /* kept for the next call, as the kernel keeps it: no clean end */
            CHECK_EQUAL(asyncio_sock_recv(fds[0], text, sizeof text, MSG_WAITALL), -ECONNRESET);
        asyncio_close(fds[!reset]);
    }
    return 0;
}

/* ---- Sweeps ------------------------------------------------------------------------------------ */

/* Whatever becomes of it: no byte is lost, and none comes twice. */
ASYNC(main_conversation)
{
    int fds[2], err = 0;
    char text[16];
    net_unix_pair(SOCK_STREAM, fds);
    asyncio_task *reader = asyncio_create_task(recv_text(fds[0], text, 13, MSG_WAITALL));
    for (int i = 0; i < 3; i++) {
        int slept = asyncio_sleep(0.001);
        err = err ? err : slept;
        CHECK_EQUAL(send(fds[1], "abcd", 4, 0), 4);
    }
    intptr_t got = asyncio_await(reader);
    size_t left = net_drain(fds[0]);
    CHECK_EQUAL((got < 0 ? 0 : (size_t)got) + left, 12);
    close_pair(fds);
    return got < 0 ? got : err ? err : got;
}

static void check_conversation(intptr_t result, unsigned suspension)
{
    CHECK(result == 12 || (suspension && (result == -ECANCELED || result % 4 == 0)));
}

TEST(sweeps)
{
    sweep_cancels(main_conversation, check_conversation);
    sweep_failures(main_conversation);
}

/* ---- Accepting at the limit ------------------------------------------------------------------- */

ASYNC(accept_one, int, listener)
{
    return asyncio_sock_accept(listener, NULL, NULL);
}

/* No descriptor is to be had: that matters once there is a connection. */
ASYNC(main_accept_at_the_limit)
{
    struct sockaddr_in address;
    struct rlimit before, limit;
    int listener = net_listen(&address, 10), client = net_tcp(), lowest = dup(listener);
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
    close(lowest);
    limit = (struct rlimit){.rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max};
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    asyncio_task *accepting = asyncio_create_task(accept_one(listener));
    settle();
    CHECK(!asyncio_done(accepting));
    CHECK_EQUAL(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asyncio_await(accepting), -EMFILE);
    CHECK_EQUAL(asyncio_sock_accept(listener, NULL, NULL), -EMFILE);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
    int server = asyncio_sock_accept(listener, NULL, NULL);
    CHECK(server >= 0);
    asyncio_close(server);
    asyncio_close(client);
    asyncio_close(listener);
    return 0;
}

TEST(accept_at_the_limit)
{
    if (RUNNING_ON_VALGRIND) /* which has a limit of its own, and drops what was accepted beyond it */
        skip();
    CHECK_EQUAL(run(main_accept_at_the_limit), 0);
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
