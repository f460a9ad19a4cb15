/*
 * Descriptors: waiting until one is ready, and the waiting twins of read and write. See asyncio/fdio.h.
 */
#include "asyncio/fdio.h"
#include "asyncio/errors.h"
#include "asyncio/tasks.h"
#include "core/loop.h"
#include "fd/fd_checks.h"
#include "fd/lengths.h"
#include "fd/transfer.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>

/* ---- Waiting until ready ----------------------------------------------------------- */

int asy_fd_look(int fd, int events)
{
    struct pollfd one = {.fd = fd, .events = (short)events};
    int n = fd < 0 ? -EBADF : asy_sys_poll(&one, 1, 0); /* which passes over negative ones */
    if (n < 0)
        return n == -EINTR ? 0 : n;
    return one.revents & POLLNVAL ? -EBADF : one.revents;
}

struct deadline {
    struct timer timer;
    struct fd_record *record;
    asyncio_task *task;
    bool is_over;
};

/* Ends the wait as if the descriptor were ready; the waiter looks and finds the time over. */
static void deadline_over(struct timer *timer)
{
    struct deadline *deadline = LIST_ENTRY(timer, struct deadline, timer);
    deadline->is_over = true;
    asy_fd_end_wait(deadline->task, deadline->record);
}

/* Waits for `events` of a record until the deadline. The events, or an error. */
static int wait_until_ready(asyncio_loop *loop, struct fd_record *record, int events,
                            struct deadline *deadline)
{
    for (;;) {
        int err = asy_fd_wait_events(loop, record, (uint32_t)events);
        if (err)
            return err;
        int ready = asy_fd_look(record->fd, events);
        if (ready)
            return ready;
        if (deadline->is_over)
            return -ETIMEDOUT;
    }
}

int asyncio_wait_fd(int fd, int poll_events, double timeout)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    int events = poll_events & (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLERR);
    if (!events || isnan(timeout))
        return -EINVAL;
    int err = asy_transfer_spend(loop, fd);
    if (err)
        return err;
    int ready = asy_fd_look(fd, events);
    if (ready)
        return ready;
    if (timeout <= 0)
        return -ETIMEDOUT;
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return asy_fd_record_error(fd);
    struct deadline deadline = {.record = record, .task = loop->current, .timer.fire = deadline_over};
    err = asy_timer_start(loop, &deadline.timer, asy_deadline_after(asy_loop_now_ns(loop), timeout));
    if (err)
        return err;
    ready = wait_until_ready(loop, record, events, &deadline);
    asy_timer_stop(loop, &deadline.timer);
    return ready;
}

int asyncio_wait_readable(int fd, double timeout)
{
    int ready = asyncio_wait_fd(fd, POLLIN, timeout);
    return ready > 0 ? 0 : ready;
}

int asyncio_wait_writable(int fd, double timeout)
{
    int ready = asyncio_wait_fd(fd, POLLOUT, timeout);
    return ready > 0 ? 0 : ready;
}

/* ---- Transfers ---------------------------------------------------------------------- */

int asy_transfer_yield(asyncio_loop *loop, int fd)
{
    const struct fd_record *record = asy_fd_record(loop, fd);
    uint32_t generation = record ? record->generation : 0;
    int err = asy_budget_yield(loop);
    return !err && record && record->generation != generation ? -EBADF : err;
}

/* Nothing tells when a file that cannot be waited for has something. */
#define PAUSE_S 0.002

HOT int asy_transfer_wait(asyncio_loop *loop, struct fd_record *record, uint32_t direction, bool had_turn)
{
    if (UNLIKELY(had_turn && record->kind == ASY_FD_ALWAYS_READY))
        return asyncio_sleep(PAUSE_S);
    return had_turn ? asy_fd_wait_again(loop, record, direction) : asy_fd_wait_turn(loop, record, direction);
}

/* Others see the flags of this open file: it is asked first, instead of being made non-blocking, and waited
 * for without a lasting registration. */
int asy_transfer_wait_shared(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    for (;;) {
        int ready = asy_fd_look(record->fd, (int)direction);
        if (ready)
            return ready < 0 ? ready : 0;
        int err = asy_fd_wait_events(loop, record, direction);
        if (err)
            return err;
    }
}

/* A pipe that is ready takes as much as this without blocking. A terminal may not, however little it is; but
 * it can be opened once more. Where it cannot: the less, the rarer. */
#define PIPE_WRITE_MAX 4096
#define TERMINAL_WRITE_MAX 256

ssize_t asy_write_shared(struct fd_record *record, const void *buf, size_t n)
{
    if (record->is_terminal && record->reopened < 0)
        record->reopened = asy_sys_reopen(record->fd);
    if (record->reopened >= 0)
        return asy_sys_write(record->reopened, buf, n);
    size_t most = record->is_terminal ? TERMINAL_WRITE_MAX : PIPE_WRITE_MAX;
    return asy_sys_write_quietly(record->fd, buf, n < most ? n : most);
}

/* Sockets have calls that do not block, whatever the flags. */
static ssize_t read_some(struct fd_record *record, int fd, void *buf, size_t n)
{
    if (!record->is_socket || n == 0)
        return asy_sys_read(fd, buf, n);
    ssize_t got = asy_sys_recv(fd, buf, n, MSG_DONTWAIT);
    if (got > 0 && (size_t)got < n)
        asy_fd_short(record, FD_READ);
    return got;
}

static ssize_t write_some(struct fd_record *record, int fd, const void *buf, size_t n)
{
    if (record->is_socket)
        return asy_sys_send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (record->kind == ASY_FD_SHARED)
        return asy_write_shared(record, buf, n);
    return record->kind == ASY_FD_ALWAYS_READY ? asy_sys_write(fd, buf, n)
                                               : asy_fd_written(record, asy_sys_write_quietly(fd, buf, n));
}

ssize_t asyncio_read(int fd, void *buf, size_t n)
{
    if (!asy_is_length(n))
        return -EINVAL;
    TRANSFER(FD_READ, read_some(record, fd, buf, n));
}

ssize_t asyncio_write(int fd, const void *buf, size_t n)
{
    if (!asy_is_length(n))
        return -EINVAL;
    TRANSFER(FD_WRITE, write_some(record, fd, buf, n));
}

/* NULL the kernel refuses in its own words. */
static bool are_parts(const struct iovec *parts, int count)
{
    return count >= 0 && count <= IOV_MAX && (!parts || asy_parts_length(parts, count) >= 0);
}

ssize_t asyncio_readv(int fd, const struct iovec *parts, int count)
{
    if (!are_parts(parts, count))
        return -EINVAL;
    TRANSFER(FD_READ, asy_sys_readv(fd, parts, count));
}

/* The first part that has something, where the whole might block. */
static ssize_t write_some_parts(struct fd_record *record, int fd, const struct iovec *parts, int count)
{
    if (record->is_socket && count > 0) {
        struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
        return asy_sys_sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (record->kind != ASY_FD_SHARED || !parts) /* which the kernel refuses in its own words */
        return asy_fd_written(record, asy_sys_writev_quietly(fd, parts, count));
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len)
            return asy_write_shared(record, parts[i].iov_base, parts[i].iov_len);
    return 0;
}

ssize_t asyncio_writev(int fd, const struct iovec *parts, int count)
{
    if (!are_parts(parts, count))
        return -EINVAL;
    TRANSFER(FD_WRITE, write_some_parts(record, fd, parts, count));
}

/* ---- Closing --------------------------------------------------------------------------- */

struct forgotten {
    int fd;
    bool was_known;
};

static void forget_fd(asyncio_loop *loop, void *arg)
{
    struct forgotten *it = arg;
    struct fd_record *record = asy_fd_find(loop, it->fd);
    if (!record)
        return;
    asy_fd_check_closing(loop, record);
    asy_fd_drop(loop, record);
    it->was_known = true;
}

int asyncio_forget(int fd)
{
    struct forgotten it = {.fd = fd};
    if (asy_running_loop)
        forget_fd(asy_running_loop, &it);
    else
        asy_loop_each_here(forget_fd, &it); /* those that may run again */
    return it.was_known ? 0 : -EBADF;
}

int asyncio_close(int fd)
{
    asyncio_forget(fd);
    return asy_sys_close(fd);
}
