/*
 * The epoll backend: waits for time, for descriptors and for wake-ups. A wake-up is a write to an eventfd,
 * which is edge-triggered and never read, since each write is an edge.
 */
#include "backend/backend.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "sys/sys.h"
#include <errno.h>

#define WAKE_TAG UINT64_MAX

struct epoll {
    struct asy_backend base;
    int epfd, wakefd;
    struct epoll_event events[ASY_EPOLL_EVENTS];
};

static void epoll_close(struct asy_backend *backend)
{
    struct epoll *epoll = (struct epoll *)backend;
    if (epoll->wakefd >= 0)
        asy_sys_close(epoll->wakefd);
    if (epoll->epfd >= 0)
        asy_sys_close(epoll->epfd);
    asy_sys_free(epoll);
}

static int epoll_open(struct asy_backend **out)
{
    struct epoll *epoll = asy_sys_alloc(sizeof *epoll);
    if (!epoll)
        return -ENOMEM;
    *epoll = (struct epoll){.base.ops = &asy_backend_epoll};
    epoll->epfd = epoll->base.epfd = asy_sys_epoll_create();
    epoll->wakefd = epoll->epfd < 0 ? -1 : asy_sys_eventfd();
    int err = epoll->epfd < 0 ? epoll->epfd : epoll->wakefd;
    if (err >= 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_TAG};
        err = asy_sys_epoll_ctl(epoll->epfd, EPOLL_CTL_ADD, epoll->wakefd, &event);
    }
    if (err < 0) {
        epoll_close(&epoll->base);
        return err;
    }
    *out = &epoll->base;
    return 0;
}

static HOT int64_t epoll_now_ns(struct asy_backend *backend)
{
    (void)backend;
    return asy_sys_now_ns();
}

static HOT int epoll_wait_until(struct asy_backend *backend, int64_t deadline_ns)
{
    struct epoll *epoll = (struct epoll *)backend;
    int64_t timeout_ns = -1;
    if (UNLIKELY(backend->fetched))
        return 0;
    if (deadline_ns > 0)
        backend->began_ns = asy_sys_now_ns();
    if (deadline_ns != ASY_NO_DEADLINE) {
        int64_t left_ns = deadline_ns > 0 ? deadline_ns - backend->began_ns : 0;
        timeout_ns = left_ns > 0 ? left_ns : 0;
    }
    int n = asy_sys_epoll_wait(epoll->epfd, epoll->events, ASY_EPOLL_EVENTS, timeout_ns);
    if (n > 0) {
        backend->fetched = (uint32_t)n;
        backend->fetches++;
    }
    return n < 0 ? n : 0;
}

static HOT void epoll_deliver(struct asy_backend *backend)
{
    struct epoll *epoll = (struct epoll *)backend;
    int count = (int)backend->fetched;
    backend->fetched = 0;
    if (backend->happened)
        backend->happened(backend->context, epoll->events, count);
}

static int epoll_attach(struct asy_backend *backend, int fd, uint64_t tag, uint32_t events, bool is_attached)
{
    struct epoll *epoll = (struct epoll *)backend;
    struct epoll_event event = {.events = events, .data.u64 = tag};
    int err = asy_sys_epoll_ctl(epoll->epfd, is_attached ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    /* The number may have been closed, and reused, behind our back. */
    if (err == -ENOENT || err == -EEXIST)
        err = asy_sys_epoll_ctl(epoll->epfd, is_attached ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    if (!err && !is_attached)
        backend->attached++;
    return err;
}

static void epoll_detach(struct asy_backend *backend, int fd)
{
    struct epoll *epoll = (struct epoll *)backend;
    struct epoll_event ignored = {0};
    ASY_ASSERT(backend->attached > 0);
    asy_sys_epoll_ctl(epoll->epfd, EPOLL_CTL_DEL, fd, &ignored);
    backend->attached--;
}

static HOT bool epoll_needs_poll(const struct asy_backend *backend)
{
    return backend->attached > 0;
}

static void epoll_wake(struct asy_backend *backend)
{
    const struct epoll *epoll = (const struct epoll *)backend;
    asy_sys_eventfd_signal(epoll->wakefd);
}

static int epoll_fd(struct asy_backend *backend)
{
    return ((struct epoll *)backend)->epfd;
}

const struct asy_backend_ops asy_backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .now_ns = epoll_now_ns,
    .wait = epoll_wait_until,
    .deliver = epoll_deliver,
    .attach = epoll_attach,
    .detach = epoll_detach,
    .needs_poll = epoll_needs_poll,
    .wake = epoll_wake,
    .fd = epoll_fd,
};
