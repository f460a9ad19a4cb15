/*
 * Lengths: a number that is none, such as an error that was passed on by mistake, is refused wherever one
 * comes in, and not a byte is touched.
 */
#include "asyncio.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As a size_t, the first is one more than there can be. */
static const ssize_t wrong[] = {-SSIZE_MAX - 1, -ECONNRESET, -1};
#define WRONG_COUNT (sizeof wrong / sizeof wrong[0])

static char buf[64];

static void check_nothing_came(int fd)
{
    CHECK_EQUAL(recv(fd, buf, sizeof buf, MSG_DONTWAIT), -1);
    CHECK_EQUAL(errno, EAGAIN);
}

ASYNC_TEST(descriptors)
{
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    for (size_t i = 0; i < WRONG_COUNT; i++) {
        size_t n = (size_t)wrong[i];
        struct iovec one = {buf, n}, two[2] = {{buf, 1}, {buf, SSIZE_MAX}};
        struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
        CHECK_EQUAL(asyncio_write(fds[0], buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_writev(fds[0], &one, 1), -EINVAL);
        CHECK_EQUAL(asyncio_writev(fds[0], two, 2), -EINVAL);
        CHECK_EQUAL(asyncio_sock_send(fds[0], buf, n, 0), -EINVAL);
        CHECK_EQUAL(asyncio_sock_sendto(fds[0], buf, n, 0, NULL, 0), -EINVAL);
        if (!RUNNING_ON_VALGRIND) /* which looks at all of it first, and complains */
            CHECK_EQUAL(asyncio_sock_sendmsg(fds[0], &message, 0), -EINVAL);
        CHECK_EQUAL(asyncio_sock_sendall(fds[0], buf, n, 0), -EINVAL);
        check_nothing_came(fds[1]);
        CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
        CHECK_EQUAL(asyncio_read(fds[0], buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_readv(fds[0], &one, 1), -EINVAL);
        CHECK_EQUAL(asyncio_readv(fds[0], two, 2), -EINVAL);
        CHECK_EQUAL(asyncio_sock_recv(fds[0], buf, n, 0), -EINVAL);
        CHECK_EQUAL(asyncio_sock_recv(fds[0], buf, n, MSG_PEEK), -EINVAL);
        CHECK_EQUAL(asyncio_sock_recv(fds[0], buf, n, MSG_WAITALL), -EINVAL);
        CHECK_EQUAL(asyncio_sock_recvfrom(fds[0], buf, n, 0, NULL, NULL), -EINVAL);
        if (!RUNNING_ON_VALGRIND)
            CHECK_EQUAL(asyncio_sock_recvmsg(fds[0], &message, 0), -EINVAL);
        CHECK_EQUAL(asyncio_sock_recv(fds[0], buf, 3, 0), 3);
    }
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return 0;
}

/* More parts than the kernel takes at a time; and fewer than none. */
ASYNC_TEST(parts)
{
    static struct iovec parts[IOV_MAX + 1];
    int fds[2];
    for (int socket = 0; socket < 2; socket++) {
        if (socket)
            net_unix_pair(SOCK_STREAM, fds);
        else
            net_pipe(fds);
        for (int i = 0; i <= IOV_MAX; i++)
            parts[i] = (struct iovec){buf, 1};
        CHECK_EQUAL(asyncio_writev(fds[1], parts, IOV_MAX + 1), -EINVAL);
        CHECK_EQUAL(asyncio_writev(fds[1], parts, -1), -EINVAL);
        if (!RUNNING_ON_VALGRIND) /* which complains */
            CHECK_EQUAL(asyncio_writev(fds[1], NULL, 1), -EFAULT);
        CHECK_EQUAL(asyncio_writev(fds[1], parts, IOV_MAX), IOV_MAX);
        CHECK_EQUAL(asyncio_readv(fds[0], parts, IOV_MAX + 1), -EINVAL);
        CHECK_EQUAL(asyncio_readv(fds[0], parts, -1), -EINVAL);
        CHECK_EQUAL(asyncio_readv(fds[0], parts, IOV_MAX), IOV_MAX);
        asyncio_close(fds[0]);
        asyncio_close(fds[1]);
    }
    return 0;
}

ASYNC_TEST(streams)
{
    int fds[2];
    char *data;
    asyncio_stream *stream;
    net_unix_pair(SOCK_STREAM, fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    for (size_t i = 0; i < WRONG_COUNT; i++) {
        size_t n = (size_t)wrong[i];
        struct iovec one = {buf, n}, two[2] = {{buf, 1}, {buf, SSIZE_MAX}};
        CHECK_EQUAL(asyncio_stream_write(stream, buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_stream_writev(stream, &one, 1), -EINVAL);
        CHECK_EQUAL(asyncio_stream_writev(stream, two, 2), -EINVAL);
        check_nothing_came(fds[1]);
        CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
        CHECK_EQUAL(asyncio_stream_read(stream, buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_stream_readuntil(stream, "c", n, &data), -EINVAL);
        CHECK_EQUAL(asyncio_stream_read(stream, buf, 3), 3);
    }
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(fds[1]);
    return 0;
}

ASYNC_TEST(datagrams)
{
    asyncio_datagram *datagram;
    int fds[2];
    net_unix_pair(SOCK_DGRAM, fds);
    CHECK_EQUAL(asyncio_datagram_from_fd(fds[0], &datagram), 0);
    struct iovec part = {buf, 1};
    struct mmsghdr batch = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    for (size_t i = 0; i < WRONG_COUNT; i++) {
        size_t n = (size_t)wrong[i];
        unsigned count = (unsigned)INT_MAX + 1 + (unsigned)i;
        CHECK_EQUAL(asyncio_datagram_send(datagram, buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_datagram_sendto(datagram, buf, n, NULL, 0), -EINVAL);
        CHECK_EQUAL(asyncio_datagram_sendmmsg(datagram, &batch, count), -EINVAL);
        check_nothing_came(fds[1]);
        CHECK_EQUAL(send(fds[1], "abc", 3, 0), 3);
        CHECK_EQUAL(asyncio_datagram_recv(datagram, buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_datagram_recvfrom(datagram, buf, n, NULL, NULL), -EINVAL);
        CHECK_EQUAL(asyncio_datagram_recvmmsg(datagram, &batch, count), -EINVAL);
        CHECK_EQUAL(asyncio_datagram_recv(datagram, buf, 3), 3);
    }
    asyncio_datagram_close(datagram);
    close(fds[1]);
    return 0;
}

ASYNC_TEST(files)
{
    char path[] = "/tmp/asyncio-lengths-XXXXXX";
    int made = mkstemp(path), fds[2];
    asyncio_file *file;
    CHECK(made >= 0);
    CHECK_EQUAL(asyncio_file_open(path, O_RDWR, 0, &file), 0);
    CHECK_EQUAL(asyncio_file_write(file, "abc", 3), 3);
    net_unix_pair(SOCK_STREAM, fds);
    for (size_t i = 0; i < WRONG_COUNT; i++) {
        size_t n = (size_t)wrong[i];
        off_t offset = 0;
        CHECK_EQUAL(asyncio_file_write(file, buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_file_pwrite(file, buf, n, 0), -EINVAL);
        CHECK_EQUAL(asyncio_file_read(file, buf, n), -EINVAL);
        CHECK_EQUAL(asyncio_file_pread(file, buf, n, 0), -EINVAL);
        CHECK_EQUAL(asyncio_sock_sendfile(fds[0], made, &offset, n), -EINVAL);
        check_nothing_came(fds[1]);
    }
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    struct stat status;
    CHECK_EQUAL(asyncio_file_stat(file, &status), 0);
    CHECK_EQUAL(status.st_size, 3);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    close(made);
    unlink(path);
    return 0;
}

ASYNC_TEST(processes)
{
    asyncio_process *process;
    asyncio_buffer out;
    const char *const argv[] = {"cat", NULL};
    const asyncio_subprocess_options options = {.stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE};
    CHECK_EQUAL(asyncio_create_subprocess_exec(argv, &options, &process), 0);
    for (size_t i = 0; i < WRONG_COUNT; i++)
        CHECK_EQUAL(asyncio_process_communicate(process, buf, (size_t)wrong[i], &out, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_process_communicate(process, "abc", 3, &out, NULL), 0);
    CHECK_EQUAL(out.length, 3);
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
