/*
 * Sockets: each of the waiting twins, with TCP, UDP and Unix sockets, at once and waiting; sending from
 * files.
 */
#include "net/sock_test.h"

/* ---- Streams of bytes ------------------------------------------------------------------ */

ASYNC_TEST(tcp)
{
    struct sockaddr_in address, peer = {0};
    socklen_t length = sizeof peer;
    char text[64];
    int listener = net_listen(&address, 10), client = net_tcp();
    asyncio_task *connector = asyncio_create_task(connect_later(client, generic(&address), sizeof address));
    int server = asyncio_sock_accept(listener, generic(&peer), &length);
    CHECK(server >= 0);
    CHECK_EQUAL(asyncio_await(connector), 0);
    CHECK_EQUAL(length, sizeof peer);
    CHECK_EQUAL(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK(!net_is_blocking(server) && !net_is_blocking(client));
    CHECK(fcntl(server, F_GETFD) & FD_CLOEXEC);
    /* Waiting, at once, in parts, peeked at. */
    asyncio_task *reader = asyncio_create_task(recv_text(server, text, sizeof text, 0));
    settle();
    CHECK_EQUAL(asyncio_sock_send(client, "hello", 5, 0), 5);
    CHECK_EQUAL(asyncio_await(reader), 5);
    CHECK_TEXT(text, "hello");
    CHECK_EQUAL(asyncio_sock_sendall(client, "abcdef", 6, 0), 6);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_sock_recv(server, text, sizeof text, MSG_PEEK), 6);
        CHECK_EQUAL(asyncio_sock_recvfrom(server, text, sizeof text, MSG_PEEK, NULL, NULL), 6);
    }
    CHECK_EQUAL(asyncio_sock_recv(server, text, 2, 0), 2);
    CHECK_EQUAL(asyncio_sock_recv(server, text, 63, 0), 4);
    /* Half-closed: the end after the last byte, and the other direction goes on. */
    CHECK_EQUAL(asyncio_sock_sendall(client, "bye", 3, 0), 3);
    CHECK_EQUAL(shutdown(client, SHUT_WR), 0);
    settle();
    CHECK_EQUAL(asyncio_sock_recv(server, text, 63, 0), 3);
    CHECK_EQUAL(asyncio_sock_recv(server, text, 63, 0), 0);
    CHECK_EQUAL(asyncio_sock_recv(server, text, 63, 0), 0);
    reader = asyncio_create_task(recv_text(client, text, sizeof text, 0));
    settle();
    CHECK_EQUAL(asyncio_sock_send(server, "still", 5, 0), 5);
    CHECK_EQUAL(asyncio_await(reader), 5);
    asyncio_close(server);
    CHECK_EQUAL(asyncio_sock_recv(client, text, 63, 0), 0);
    asyncio_close(client);
    asyncio_close(listener);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* Bytes and the end come in one event; or the end comes between the event and the read. */
ASYNC_TEST(end_with_data)
{
    for (int between = 0; between < 2; between++) {
        int fds[2];
        char text[64];
        net_tcp_pair(fds);
        asyncio_task *reader = asyncio_create_task(recv_text(fds[0], text, sizeof text, 0));
        settle();
        CHECK_EQUAL(send(fds[1], "last", 4, 0), 4);
        if (between) {
            asyncio_loop *loop = asyncio_get_running_loop();
            net_poll(loop);
        }
        CHECK_EQUAL(shutdown(fds[1], SHUT_WR), 0);
        CHECK_EQUAL(asyncio_await(reader), 4);
        CHECK_EQUAL(asyncio_wait_for(recv_text(fds[0], text, sizeof text, 0), 2), 0);
        close_pair(fds);
    }
    return 0;
}

/* A read stops short at urgent data, and there is more behind. */
ASYNC_TEST(urgent)
{
    int fds[2];
    char text[64];
    net_tcp_pair(fds);
    asyncio_task *reader = asyncio_create_task(recv_text(fds[0], text, sizeof text, 0));
    settle();
    CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
    CHECK_EQUAL(send(fds[1], "!", 1, MSG_OOB), 1);
    CHECK_EQUAL(send(fds[1], "def", 3, 0), 3);
    size_t got = (size_t)asyncio_await(reader);
    while (got < 6) {
        intptr_t n = asyncio_wait_for(recv_text(fds[0], text, sizeof text, 0), 2);
        CHECK(n > 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    CHECK_EQUAL(got, 6);
    close_pair(fds);
    return 0;
}

/* What a reset leaves of the bytes, then the error, once; then the end. */
ASYNC_TEST(reset)
{
    int fds[2];
    char text[64];
    net_tcp_pair(fds);
    asyncio_task *reader = asyncio_create_task(recv_text(fds[0], text, sizeof text, 0));
    settle();
    net_reset_at_close(fds[1]);
    close(fds[1]);
    CHECK_EQUAL(asyncio_await(reader), -ECONNRESET);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 1, 0), 0);
    CHECK_EQUAL(asyncio_sock_send(fds[0], "x", 1, 0), -EPIPE);
    CHECK_EQUAL(asyncio_sock_sendall(fds[0], "x", 1, 0), -EPIPE);
    asyncio_close(fds[0]);
    /* Unread bytes at the other side make a reset, too; what it sent before comes first. */
    net_unix_pair(SOCK_STREAM, fds);
    CHECK_EQUAL(asyncio_sock_send(fds[0], "unread", 6, 0), 6);
    CHECK_EQUAL(send(fds[1], "data", 4, 0), 4);
    close(fds[1]);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 64, 0), 4);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 64, 0), -ECONNRESET);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], text, 64, 0), 0);
    asyncio_close(fds[0]);
    return 0;
}

/* A writer waits for room: the reset ends it. */
ASYNC(send_much, int, fd, size_t, n, unsigned char, first)
{
    unsigned char *block = malloc(n);
    for (size_t i = 0; i < n; i++)
        block[i] = (unsigned char)(first + i);
    intptr_t result = asyncio_sock_sendall(fd, block, n, 0);
    free(block);
    return result;
}

ASYNC_TEST(reset_writer)
{
    int fds[2];
    net_tcp_pair(fds);
    net_make_narrow(fds[0]);
    asyncio_task *writer = asyncio_create_task(send_much(fds[0], 10000000, 0));
    settle();
    CHECK(!asyncio_done(writer));
    net_reset_at_close(fds[1]);
    close(fds[1]);
    intptr_t result = asyncio_await(writer);
    CHECK(result == -ECONNRESET || result == -EPIPE);
    asyncio_close(fds[0]);
    return 0;
}

/* Two tasks send at once: neither's bytes lie among the other's. */
ASYNC_TEST(sendall_together)
{
    enum { EACH = 500000 };
    int types[] = {SOCK_STREAM, 0};
    for (int kind = 0; kind < 2; kind++) {
        int fds[2];
        if (types[kind])
            net_unix_pair(types[kind], fds);
        else
            net_tcp_pair(fds);
        net_make_narrow(fds[0]);
        asyncio_task *a = asyncio_create_task(send_much(fds[0], EACH, 0));
        asyncio_task *b = asyncio_create_task(send_much(fds[0], EACH, 100));
        unsigned char block[5000];
        size_t got = 0, wrong = 0;
        while (got < 2 * EACH) {
            ssize_t n = asyncio_sock_recv(fds[1], block, sizeof block, 0);
            CHECK(n > 0);
            if (n <= 0)
                break;
            for (ssize_t i = 0; i < n; i++, got++)
                wrong += block[i] != (unsigned char)(got < EACH ? got : got - EACH + 100);
        }
        CHECK_EQUAL(wrong, 0);
        CHECK_EQUAL(asyncio_await(a), EACH);
        CHECK_EQUAL(asyncio_await(b), EACH);
        close_pair(fds);
    }
    return 0;
}

/* ---- Datagrams ----------------------------------------------------------------------------- */

ASYNC_TEST(udp)
{
    struct sockaddr_in addresses[2], from;
    socklen_t length = sizeof from;
    char text[64];
    int fds[2] = {net_udp(&addresses[0]), net_udp(&addresses[1])};
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(asyncio_sock_sendto(fds[0], "one", 3, 0, generic(&addresses[1]), sizeof from), 3);
    CHECK_EQUAL(asyncio_sock_recvfrom(fds[1], text, sizeof text, 0, generic(&from), &length), 3);
    CHECK_EQUAL(from.sin_port, addresses[0].sin_port);
    CHECK_EQUAL(length, sizeof from);
    /* Each is shorter than the room for it, and there are more behind. */
    CHECK_EQUAL(asyncio_sock_connect(fds[1], generic(&addresses[0]), sizeof from), 0);
    CHECK_EQUAL(asyncio_wait_for(recv_text(fds[1], text, sizeof text, 0), 2), 3);
    CHECK_EQUAL(asyncio_wait_for(recv_text(fds[1], text, sizeof text, 0), 2), 3);
    asyncio_task *reader = asyncio_create_task(recv_text(fds[1], text, sizeof text, 0));
    settle();
    CHECK(!asyncio_done(reader));
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(asyncio_sock_sendto(fds[0], "two", 3, 0, generic(&addresses[1]), sizeof from), 3);
    CHECK_EQUAL(asyncio_await(reader), 3);
    CHECK_EQUAL(asyncio_wait_for(recv_text(fds[1], text, sizeof text, 0), 2), 3);
    /* One without bytes is no end. */
    CHECK_EQUAL(asyncio_sock_sendall(fds[1], "", 0, 0), 0);
    CHECK_EQUAL(asyncio_sock_recvfrom(fds[0], text, sizeof text, 0, NULL, NULL), 0);
    /* Nobody there: the error comes once, and is not the end of the socket. */
    asyncio_close(fds[0]);
    reader = asyncio_create_task(recv_text(fds[1], text, sizeof text, 0));
    settle();
    CHECK_EQUAL(send(fds[1], "x", 1, 0), 1);
    CHECK_EQUAL(asyncio_await(reader), -ECONNREFUSED);
    reader = asyncio_create_task(recv_text(fds[1], text, sizeof text, 0));
    settle();
    CHECK(!asyncio_done(reader));
    asyncio_cancel(reader);
    CHECK_EQUAL(asyncio_await(reader), -ECANCELED);
    asyncio_close(fds[1]);
    return 0;
}

ASYNC(sendto_unix, int, fd, const struct sockaddr *, to, socklen_t, length, bool, by_message)
{
    struct iovec part = {(void *)"x", 1};
    struct msghdr message = {
        .msg_name = (void *)to, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1};
    return by_message ? asyncio_sock_sendmsg(fd, &message, 0)
                      : asyncio_sock_sendto(fd, "x", 1, 0, to, length);
}

/* The receiver's queue is full. Nothing tells when it has room, but sending ends well. */
ASYNC_TEST(unix_datagrams)
{
    struct sockaddr_un name;
    struct sockaddr *to = (struct sockaddr *)&name;
    socklen_t length = net_unix_address(to);
    char text[8];
    int receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(bind(receiver, to, length), 0);
    for (int by_message = 0; by_message < 2; by_message++) {
        int queued = 0;
        while (sendto(other, "x", 1, MSG_DONTWAIT, to, length) == 1)
            queued++;
        CHECK(queued > 0);
        asyncio_task *task = asyncio_create_task(sendto_unix(sender, to, length, by_message));
        uint64_t turns = asyncio_get_running_loop()->steps;
        asyncio_sleep(0.01);
        CHECK(!asyncio_done(task));
        CHECK(asyncio_get_running_loop()->steps - turns < 30); /* it is no busy waiting */
        for (int i = 0; i < queued + 1; i++)
            CHECK_EQUAL(asyncio_sock_recv(receiver, text, sizeof text, 0), 1);
        CHECK_EQUAL(asyncio_await(task), 1);
    }
    /* The same, connected: the descriptor itself tells. */
    CHECK_EQUAL(asyncio_sock_connect(sender, to, length), 0);
    int queued = 0;
    while (send(sender, "x", 1, MSG_DONTWAIT) == 1)
        queued++;
    asyncio_task *task = asyncio_create_task(sendto_unix(sender, NULL, 0, false));
    settle();
    CHECK(!asyncio_done(task));
    for (int i = 0; i < queued + 1; i++)
        CHECK_EQUAL(asyncio_sock_recv(receiver, text, sizeof text, 0), 1);
    CHECK_EQUAL(asyncio_await(task), 1);
    asyncio_close(receiver);
    asyncio_close(sender);
    asyncio_close(other);
    return 0;
}

/* One who waits for room sends nothing by another socket that has got the number meanwhile. */
ASYNC_TEST(unix_reused)
{
    struct sockaddr_un name;
    struct sockaddr *to = (struct sockaddr *)&name;
    socklen_t length = net_unix_address(to);
    char text[8];
    int receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(bind(receiver, to, length), 0);
    while (sendto(sender, "x", 1, MSG_DONTWAIT, to, length) == 1)
        ;
    asyncio_task *task = asyncio_create_task(sendto_unix(sender, to, length, false));
    asyncio_sleep(0);
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(asyncio_close(sender), 0);
    CHECK_EQUAL(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), sender);
    while (recv(receiver, text, sizeof text, MSG_DONTWAIT) == 1)
        ;
    CHECK_EQUAL(asyncio_await(task), -EBADF);
    CHECK_EQUAL(recv(receiver, text, sizeof text, MSG_DONTWAIT), -1);
    asyncio_close(receiver);
    asyncio_close(sender);
    return 0;
}

/* ---- Descriptors passed along ------------------------------------------------------------- */

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

static ssize_t send_descriptor(int fd, int passed)
{
    struct iovec part = {(void *)"fd", 2};
    union control control = {
        .head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.head), &passed, sizeof passed);
    return asyncio_sock_sendmsg(fd, &message, 0);
}

static int receive_descriptor(int fd)
{
    char text[8];
    struct iovec part = {text, sizeof text};
    union control control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = asyncio_sock_recvmsg(fd, &message, 0);
    CHECK_EQUAL(n, 2);
    int passed = -1;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    CHECK(head != NULL);
    if (head)
        memcpy(&passed, CMSG_DATA(head), sizeof passed);
    return passed;
}

ASYNC(receive_one, int, fd)
{
    return receive_descriptor(fd);
}

ASYNC_TEST(passing)
{
    int fds[2], pipe_fds[2];
    char text[8];
    net_unix_pair(SOCK_STREAM, fds);
    net_pipe(pipe_fds);
    asyncio_task *task = asyncio_create_task(receive_one(fds[1]));
    settle();
    CHECK_EQUAL(send_descriptor(fds[0], pipe_fds[1]), 2);
    CHECK_EQUAL(send_descriptor(fds[0], pipe_fds[1]), 2);
    int first = (int)asyncio_await(task), second = receive_descriptor(fds[1]);
    CHECK(fcntl(first, F_GETFD) & FD_CLOEXEC);
    CHECK_EQUAL(asyncio_write(first, "a", 1), 1);
    CHECK_EQUAL(asyncio_write(second, "b", 1), 1);
    CHECK_EQUAL(asyncio_read(pipe_fds[0], text, 8), 2);
    asyncio_close(first);
    asyncio_close(second);
    /* A read stops behind what a descriptor came with; the rest is not forgotten. */
    task = asyncio_create_task(recv_text(fds[1], text, sizeof text, 0));
    settle();
    CHECK_EQUAL(send_descriptor(fds[0], pipe_fds[1]), 2);
    CHECK_EQUAL(send(fds[0], "rest", 4, 0), 4);
    size_t got = (size_t)asyncio_await(task);
    while (got < 6) {
        intptr_t n = asyncio_wait_for(recv_text(fds[1], text, sizeof text, 0), 2);
        CHECK(n > 0);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    close_pair(pipe_fds);
    close_pair(fds);
    return 0;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int file_with(size_t n)
{
    char path[] = "/tmp/asyncio-file-XXXXXX", *block = malloc(n);
    int fd = mkstemp(path);
    unlink(path);
    for (size_t i = 0; i < n; i++)
        block[i] = (char)(i * 7);
    CHECK_EQUAL(write(fd, block, n), n);
    free(block);
    return fd;
}

ASYNC(send_file, int, fd, int, in, off_t *, offset, size_t, count)
{
    return asyncio_sock_sendfile(fd, in, offset, count);
}

/* Reads n bytes of the file from `at` on, and compares. */
static void check_received(int fd, size_t at, size_t n)
{
    char *block = malloc(n + 1);
    size_t got = 0, wrong = 0;
    while (got < n) {
        ssize_t part = asyncio_sock_recv(fd, block + got, n - got, 0);
        CHECK(part > 0);
        if (part <= 0)
            break;
        got += (size_t)part;
    }
    for (size_t i = 0; i < got; i++)
        wrong += block[i] != (char)((at + i) * 7);
    CHECK_EQUAL(wrong, 0);
    free(block);
}

ASYNC_TEST(sendfile)
{
    enum { SIZE = 1000000 };
    int fds[2], in = file_with(SIZE);
    net_tcp_pair(fds);
    net_make_narrow(fds[0]);
    net_make_narrow(fds[1]); /* else it may come to hold all of it */
    /* By position: it moves. */
    CHECK_EQUAL(lseek(in, 10, SEEK_SET), 10);
    asyncio_task *task = asyncio_create_task(send_file(fds[0], in, NULL, 300000));
    check_received(fds[1], 10, 300000);
    CHECK_EQUAL(asyncio_await(task), 300000);
    CHECK_EQUAL(lseek(in, 0, SEEK_CUR), 300010);
    /* By offset: the position stays; ends at the file's end. */
    off_t offset = SIZE - 5000;
    task = asyncio_create_task(send_file(fds[0], in, &offset, SIZE_MAX / 4));
    check_received(fds[1], SIZE - 5000, 5000);
    CHECK_EQUAL(asyncio_await(task), 5000);
    CHECK_EQUAL(offset, SIZE);
    CHECK_EQUAL(lseek(in, 0, SEEK_CUR), 300010);
    CHECK_EQUAL(asyncio_sock_sendfile(fds[0], in, &offset, 100), 0);
    CHECK_EQUAL(asyncio_sock_sendfile(fds[0], in, &offset, 0), 0);
    /* Cancelled: as much was sent as the offset tells. */
    offset = 0;
    task = asyncio_create_task(send_file(fds[0], in, &offset, SIZE));
    settle();
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK(offset > 0 && offset < SIZE);
    check_received(fds[1], 0, (size_t)offset);
    CHECK_EQUAL(net_drain(fds[1]), 0);
    /* Nobody there: an error, no signal. */
    close(fds[1]);
    asyncio_sock_send(fds[0], "x", 1, 0);
    settle();
    offset = 0;
    CHECK_EQUAL(asyncio_sock_sendfile(fds[0], in, &offset, 100), -EPIPE);
    CHECK_EQUAL(offset, 0);
    CHECK_EQUAL(asyncio_sock_sendfile(fds[0], -1, &offset, 100), -EBADF);
    asyncio_close(fds[0]);
    asyncio_close(in);
    return 0;
}

/* From what the kernel cannot send from: by way of memory, as it comes. */
ASYNC_TEST(sendfile_copies)
{
    int fds[2], pipe_fds[2], pair[2];
    net_tcp_pair(fds);
    net_pipe(pipe_fds);
    net_unix_pair(SOCK_STREAM, pair);
    for (int kind = 0; kind < 2; kind++) {
        int in = kind ? pair[0] : pipe_fds[0], feed = kind ? pair[1] : pipe_fds[1];
        asyncio_task *task = asyncio_create_task(send_file(fds[0], in, NULL, 1000));
        settle();
        char block[1000];
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (char)(i * 7);
        CHECK_EQUAL(write(feed, block, 400), 400);
        settle();
        CHECK(!asyncio_done(task));
        CHECK_EQUAL(write(feed, block + 400, 600), 600);
        check_received(fds[1], 0, 1000);
        CHECK_EQUAL(asyncio_await(task), 1000);
    }
    off_t offset = 0;
    CHECK_EQUAL(asyncio_sock_sendfile(fds[0], pair[0], &offset, 10), -ESPIPE);
    /* A file, to where the kernel will not: cancelled halfway, the offset tells what was sent. */
    enum { SIZE = 3000000 };
    int file = file_with(SIZE);
    CHECK_EQUAL(fcntl(fds[0], F_SETFL, O_APPEND | O_NONBLOCK), 0);
    net_make_narrow(fds[0]);
    offset = 5;
    asyncio_task *task = asyncio_create_task(send_file(fds[0], file, &offset, SIZE));
    settle();
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK(offset > 5 && offset < SIZE);
    check_received(fds[1], 5, (size_t)offset - 5);
    CHECK_EQUAL(net_drain(fds[1]), 0);
    offset = SIZE - 1000;
    CHECK_EQUAL(asyncio_sock_sendfile(fds[0], file, &offset, SIZE), 1000);
    CHECK_EQUAL(offset, SIZE);
    check_received(fds[1], SIZE - 1000, 1000);
    /* The same of the position, without one. */
    CHECK_EQUAL(lseek(file, 5, SEEK_SET), 5);
    task = asyncio_create_task(send_file(fds[0], file, NULL, SIZE));
    settle();
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    off_t position = lseek(file, 0, SEEK_CUR);
    CHECK(position > 5 && position < SIZE);
    check_received(fds[1], 5, (size_t)position - 5);
    CHECK_EQUAL(net_drain(fds[1]), 0);
    asyncio_close(file);
    close_pair(fds);
    close_pair(pipe_fds);
    close_pair(pair);
    return 0;
}

/* Closed while it waits for the source, it sends nothing into another socket with that number. */
ASYNC_TEST(sendfile_reused)
{
    int fds[2], other[2], pipe_fds[2];
    net_tcp_pair(fds);
    net_tcp_pair(other);
    net_pipe(pipe_fds);
    asyncio_task *task = asyncio_create_task(send_file(fds[0], pipe_fds[0], NULL, 3));
    settle();
    CHECK_EQUAL(asyncio_close(fds[0]), 0);
    CHECK_EQUAL(dup2(other[0], fds[0]), fds[0]);
    CHECK_EQUAL(write(pipe_fds[1], "abc", 3), 3);
    CHECK_EQUAL(asyncio_await(task), -EBADF);
    CHECK_EQUAL(asyncio_wait_readable(other[1], 0.001), -ETIMEDOUT);
    close_pair(fds);
    close_pair(other);
    close_pair(pipe_fds);
    return 0;
}

/* ---- Outside a task, and sweeps ------------------------------------------------------------- */

TEST(outside_a_task)
{
    int fds[2];
    char c = 0;
    struct iovec part = {&c, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct sockaddr_un name;
    socklen_t length = net_unix_address((struct sockaddr *)&name);
    const struct sockaddr *to = (struct sockaddr *)&name;
    net_unix_pair(SOCK_STREAM, fds);
    CHECK_EQUAL(asyncio_sock_recv(fds[0], &c, 1, 0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_recvfrom(fds[0], &c, 1, 0, NULL, NULL), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_recvmsg(fds[0], &message, 0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_send(fds[0], &c, 1, 0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_sendall(fds[0], &c, 1, 0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_sendto(fds[0], &c, 1, 0, NULL, 0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_sendto(fds[0], &c, 1, 0, to, length), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_sendmsg(fds[0], &message, 0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_accept(fds[0], NULL, NULL), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_connect(fds[0], to, length), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_sock_sendfile(fds[0], fds[1], NULL, 1), ASYNCIO_ENOTASK);
    close(fds[0]), close(fds[1]);
    harness_settle();
}

/* A peer in a thread: connects, says "hello" by and by, reads what comes, and goes. */
struct peer {
    pthread_t thread;
    struct sockaddr_in address;
    atomic_bool ends;
};

static void *be_peer(void *arg)
{
    struct peer *peer = arg;
    int fd = net_tcp();
    if (connect(fd, generic(&peer->address), sizeof peer->address) == 0) {
        for (int i = 0; i < 5 && !peer->ends; i++) {
            usleep(100);
            (void)!send(fd, &"hello"[i], 1, MSG_NOSIGNAL);
        }
        while (!peer->ends) {
            net_drain(fd);
            usleep(50);
        }
    }
    close(fd);
    return NULL;
}

static intptr_t talk(int server)
{
    char text[8] = "", big[60000] = "";
    struct iovec part = {text, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    intptr_t n = 1;
    for (int i = 0; i < 5 && n > 0; i++) {
        n = i < 3   ? asyncio_sock_recv(server, text, 1, 0)
            : i < 4 ? asyncio_sock_recvfrom(server, text, 1, 0, NULL, NULL)
                    : asyncio_sock_recvmsg(server, &message, 0);
        if (n > 0 && *text != "hello"[i])
            return -EPROTO; /* one is lost */
    }
    if (n <= 0)
        return n;
    n = asyncio_sock_sendall(server, big, sizeof big, 0);
    return n < 0 ? n : 0;
}

ASYNC(main_conversation)
{
    struct peer peer = {0};
    int listener = net_listen(&peer.address, 10);
    pthread_create(&peer.thread, NULL, be_peer, &peer);
    int server = asyncio_sock_accept(listener, NULL, NULL);
    if (server >= 0)
        net_make_narrow(server);
    intptr_t result = server < 0 ? server : talk(server);
    peer.ends = true;
    asyncio_close(listener);
    if (server >= 0)
        asyncio_close(server);
    pthread_join(peer.thread, NULL);
    return result;
}

static void check_conversation(intptr_t result, unsigned suspension)
{
    CHECK(result == 0 || (suspension && result == -ECANCELED));
}

TEST(cancel_sweep)
{
    sweep_cancels(main_conversation, check_conversation);
}

TEST(failure_sweep)
{
    sweep_failures(main_conversation);
}

ASYNC(main_connecting)
{
    struct sockaddr_in address;
    int listener = net_listen(&address, 10), fd = net_tcp(), in = file_with(20000);
    int result = asyncio_sock_connect(fd, generic(&address), sizeof address);
    off_t offset = 0;
    ssize_t sent = result ? result : asyncio_sock_sendfile(fd, in, &offset, 20000);
    asyncio_close(fd);
    asyncio_close(in);
    asyncio_close(listener);
    return sent < 0 ? sent : 0;
}

TEST(connect_sweeps)
{
    sweep_cancels(main_connecting, check_conversation);
    sweep_failures(main_connecting);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
