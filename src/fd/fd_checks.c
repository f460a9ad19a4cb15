/*
 * Checks of descriptors. See fd/fd_checks.h.
 */
#include "fd/fd_checks.h"
#include "asyncio/tasks.h"
#include "core/task.h"
#include "fd/fd_wait.h"
#include "sys/net.h"
#include <errno.h>
#include <sys/socket.h>

static bool is_checking(const asyncio_loop *loop)
{
    return loop && loop->debug && loop->words.checks & CHECK_FD;
}

/* A task that waits to transfer, if the waiter is one; else NULL. Streams, servers and the like have their
 * own rules. */
static asyncio_task *transferring_task(const struct fd_waiter *waiter)
{
    if (!waiter->takes_turns || waiter->notify != asy_fd_wake_task)
        return NULL;
    return LIST_ENTRY(waiter, struct fd_wait, waiter)->wait.task;
}

static int read_option(int fd, int name)
{
    int value = 0;
    socklen_t length = sizeof value;
    return asy_sys_getsockopt(fd, SOL_SOCKET, name, &value, &length) ? -1 : value;
}

/* Messages and clients come whole, whichever task gets them; bytes do not. */
static bool is_of_bytes(const struct fd_record *record)
{
    if (!record->is_socket)
        return true;
    return read_option(record->fd, SO_TYPE) == SOCK_STREAM && read_option(record->fd, SO_ACCEPTCONN) == 0;
}

void asy_fd_check_sharing(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    if (!is_checking(loop) || record->is_sharing_told)
        return;
    LIST_EACH(node, &record->waiters) {
        const struct fd_waiter *waiter = asy_fd_waiter_at(node);
        asyncio_task *other = transferring_task(waiter);
        if (!other || waiter->events != direction || !is_of_bytes(record))
            continue;
        record->is_sharing_told = true;
        asy_report_task(
            loop, loop->current, 0, "a task %s descriptor %d while task '%s' does: their bytes are mixed",
            direction == FD_READ ? "reads from" : "writes to", record->fd, asyncio_task_name(other));
        return;
    }
}

void asy_fd_check_closing(asyncio_loop *loop, const struct fd_record *record)
{
    if (!is_checking(loop))
        return;
    LIST_EACH(node, &record->waiters) {
        asyncio_task *task = transferring_task(asy_fd_waiter_at(node));
        if (!task)
            continue;
        asy_report_task(loop, task, 0, "descriptor %d is closed while a task is in a call on it", record->fd);
        return;
    }
}

void asy_fd_check_open(int fd, int err)
{
    asyncio_loop *loop = asy_running_loop;
    if (err == -EBADF && is_checking(loop) && loop->current)
        asy_report_task(loop, loop->current, 0, "a task uses descriptor %d, which is not open", fd);
}
