/*
 * Descriptors: waiting until one is ready, and the waiting twins of read and
 * write. See asyncio/fdio.h.
 */
#include "asyncio/fdio.h"
#include "asyncio/errors.h"
#include "core/loop.h"
#include "io/transfer.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>

/* ---- Waiting until ready ----------------------------------------------------------- */

static int look(int fd, int events)
{
    struct pollfd one = {.fd = fd, .events = (short)events};
    int n = asy_sys_poll(&one, 1, 0);
    if (n < 0)
        return n == -EINTR ? 0 : n;
    return one.revents & POLLNVAL ? -EBADF : one.revents;
}

struct deadline {
    struct timer timer;
    struct fd_record *record;
    asyncio_task *task;
    bool over;
};

/* Ends the wait as if the descriptor were ready; the waiter looks and finds the time over. */
static void deadline_over(struct timer *timer)
{
    struct deadline *deadline = LIST_ENTRY(timer, struct deadline, timer);
    deadline->over = true;
    asy_fd_wait_over(deadline->task, deadline->record);
}

/* Waits for `events` of a record until the deadline. The events, or an error. */
static int wait_until_ready(asyncio_loop *loop, struct fd_record *record, int events, struct deadline *deadline)
{
    for (;;) {
        int err = asy_fd_wait(loop, record, (uint32_t)events, record->mode == FD_EDGE);
        if (err)
            return err;
        int ready = look(record->fd, events);
        if (ready)
            return ready;
        if (record->kind == ASY_FD_READY)
            return events;
        if (deadline->over)
            return -ETIMEDOUT;
    }
}

int asyncio_wait_fd(int fd, int poll_events, double timeout)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    int events = poll_events & (POLLIN | POLLOUT | POLLPRI | POLLRDHUP);
    if (!events || isnan(timeout))
        return -EINVAL;
    int err = asy_budget_spend(loop);
    if (err)
        return err;
    int ready = look(fd, events);
    if (ready)
        return ready;
    if (timeout <= 0)
        return -ETIMEDOUT;
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return -ENOMEM;
    struct deadline deadline = {.record = record, .task = loop->current, .timer.fire = deadline_over};
    if (!isinf(timeout))
        err = asy_timer_start(loop, &deadline.timer, asy_deadline_after(asy_loop_now_ns(loop), timeout));
    if (err)
        return err;
    ready = wait_until_ready(loop, record, events, &deadline);
    asy_timer_stop(loop, &deadline.timer);
    /* It only wanted to know: those behind it may want to transfer. */
    asy_fd_pass_on(record, FD_READ);
    asy_fd_pass_on(record, FD_WRITE);
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

struct fd_record *asy_transfer_begin(asyncio_loop *loop, int fd, int *err)
{
    if (UNLIKELY(!loop || !loop->current)) {
        *err = ASYNCIO_ENOTASK;
        return NULL;
    }
    struct fd_record *record = asy_fd_record(loop, fd);
    if (UNLIKELY(!record)) {
        *err = fd < 0 ? -EBADF : -ENOMEM;
        return NULL;
    }
    *err = asy_fd_prepare(record);
    if (LIKELY(!*err))
        *err = asy_budget_spend(loop);
    return record;
}

int asy_transfer_wait(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    asy_fd_exhausted(record, direction);
    return asy_fd_wait(loop, record, direction, true);
}

/* Others see the flags of this open file: it is asked first, instead of being
 * made non-blocking, and waited for without a lasting registration. */
int asy_transfer_shared(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    if (record->kind != ASY_FD_SHARED)
        return 0;
    for (;;) {
        int ready = look(record->fd, (int)direction);
        if (ready)
            return ready < 0 ? ready : 0;
        int err = asy_fd_wait(loop, record, direction, false);
        if (err)
            return err;
        if (record->kind == ASY_FD_READY)
            return 0;
    }
}

/* A pipe that is ready takes this much without blocking. */
#define SHARED_WRITE_MAX 4096

static size_t limited(const struct fd_record *record, size_t n)
{
    return record->kind == ASY_FD_SHARED && n > SHARED_WRITE_MAX ? SHARED_WRITE_MAX : n;
}

ssize_t asyncio_read(int fd, void *buf, size_t n)
{
    TRANSFER(FD_READ, asy_sys_read(fd, buf, n));
}

ssize_t asyncio_write(int fd, const void *buf, size_t n)
{
    TRANSFER(FD_WRITE, asy_sys_write(fd, buf, limited(record, n)));
}

ssize_t asyncio_readv(int fd, const struct iovec *parts, int count)
{
    TRANSFER(FD_READ, asy_sys_readv(fd, parts, count));
}

/* The first part that has something, when the whole might block. */
static ssize_t write_parts(const struct fd_record *record, int fd, const struct iovec *parts, int count)
{
    if (record->kind != ASY_FD_SHARED)
        return asy_sys_writev(fd, parts, count);
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len)
            return asy_sys_write(fd, parts[i].iov_base, limited(record, parts[i].iov_len));
    return 0;
}

ssize_t asyncio_writev(int fd, const struct iovec *parts, int count)
{
    TRANSFER(FD_WRITE, write_parts(record, fd, parts, count));
}

/* ---- Closing --------------------------------------------------------------------------- */

int asyncio_forget(int fd)
{
    asyncio_loop *loop = asy_running_loop;
    struct fd_record *record = loop ? asy_fd_find(loop, fd) : NULL;
    if (!record)
        return -EBADF;
    asy_fd_drop(loop, record);
    return 0;
}

int asyncio_close(int fd)
{
    asyncio_forget(fd);
    return asy_sys_close(fd);
}
