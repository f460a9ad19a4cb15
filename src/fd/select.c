/*
 * asyncio_select, with all kinds of cases; and descriptors as one of them.
 */
#include "asyncio/select.h"
#include "base/assert.h"
#include "core/select.h"
#include "fd/fd_table.h"
#include "fd/fd_wait.h"
#include "fd/transfer.h"
#include "threads/channel_case.h"
#include <errno.h>
#include <poll.h>

#define EVENTS (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLERR)

static struct fd_waiter *fd_waiter_of_case(asyncio_case *one)
{
    return (struct fd_waiter *)(void *)one->wait_;
}
_Static_assert(sizeof(struct fd_waiter) <= sizeof(((asyncio_case *)0)->wait_), "it fits into a case");

static const char *refuse_fd(asyncio_case *one, int *err)
{
    *err = -EINVAL;
    return one->events_ & EVENTS ? NULL : "there are no events to wait for";
}

static bool try_fd_case(asyncio_case *one)
{
    one->result = asy_fd_look(one->fd_, one->events_ & EVENTS);
    return one->result != 0;
}

static void notify_fd_case(struct fd_waiter *waiter, int err)
{
    asyncio_case *one = LIST_ENTRY(waiter, asyncio_case, wait_);
    if (!asy_select_claim(one->call_))
        return;
    one->result = err;
    asy_select_wake(one->call_, one, 0);
}

static int enlist_fd_case(asyncio_case *one)
{
    asyncio_loop *loop = asy_running_loop;
    struct fd_record *record = asy_fd_record(loop, one->fd_);
    if (!record)
        return asy_fd_record_error(one->fd_);
    struct fd_waiter *waiter = fd_waiter_of_case(one);
    *waiter = (struct fd_waiter){.events = (uint32_t)(one->events_ & EVENTS), .notify = notify_fd_case};
    return asy_fd_watch_events(loop, record, waiter);
}

/* An event that led to nothing leaves 0. */
static void leave_fd_case(asyncio_case *one, bool has_won)
{
    struct fd_record *record = asy_fd_find(asy_running_loop, one->fd_);
    list_remove(&fd_waiter_of_case(one)->node);
    if (record)
        asy_fd_unregister_unused(asy_running_loop, record);
    if (has_won && one->result == 0)
        try_fd_case(one);
}

static void abandon_fd_case(asyncio_case *one)
{
    list_remove(&fd_waiter_of_case(one)->node);
}

static const struct wait_kind fd_case_wait = {
    .name = "waiting for a descriptor",
    .shape = {.kind = SHAPE_DESCRIPTOR, .at = {offsetof(asyncio_case, fd_)}},
};

/* Leaves late: whoever notifies it walks along the record's list. */
static const struct case_kind fd_case = {
    .name = "descriptor",
    .refuse = refuse_fd,
    .try_now = try_fd_case,
    .enlist = enlist_fd_case,
    .leave = leave_fd_case,
    .abandon = abandon_fd_case,
    .leaves_late = true,
    .alone = &fd_case_wait,
};

ptrdiff_t asyncio_select(asyncio_case cases[], size_t n, double timeout)
{
    static const struct case_kind *const kinds[] = {
        [ASYNCIO_CASE_KIND_GET_] = &asy_case_get,
        [ASYNCIO_CASE_KIND_PUT_] = &asy_case_put,
        [ASYNCIO_CASE_KIND_EVENT_] = &asy_case_event,
        [ASYNCIO_CASE_KIND_LOCK_] = &asy_case_lock,
        [ASYNCIO_CASE_KIND_SEMAPHORE_] = &asy_case_semaphore,
        [ASYNCIO_CASE_KIND_DONE_] = &asy_case_done,
        [ASYNCIO_CASE_KIND_FD_] = &fd_case,
        [ASYNCIO_CASE_KIND_RECEIVE_] = &asy_case_receive,
        [ASYNCIO_CASE_KIND_SEND_] = &asy_case_send,
    };
    return asy_select(cases, n, timeout, kinds, sizeof kinds / sizeof *kinds);
}
