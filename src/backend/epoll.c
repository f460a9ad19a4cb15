/*
 * The epoll backend: waits for time, for descriptors and for wake-ups. A wake-up is a write to an eventfd,
 * which is edge-triggered and never read, since each write is an edge.
 *
 * Beside it there may be a ring that carries out calls on files (completion.h). It cooperates, so that its
 * descriptor can stand in the epoll set, where it ends a wait; that is all it is asked. What has begun goes
 * in with one call before each wait, and completions are taken out of shared memory, without any.
 */
#include "backend/backend.h"
#include "backend/completion.h"
#include "backend/uring.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "sys/sys.h"
#include <errno.h>

#define WAKE_TAG UINT64_MAX
#define RING_TAG (UINT64_MAX - 1)

#define RING_ENTRIES 256
#define RING_ROOM 4096
/* Threads of the kernel that do what would block: for files, and for what may take for ever. */
#define KERNEL_THREADS                                                                                       \
    {                                                                                                        \
        8, 4                                                                                                 \
    }
#define DONE_MAX 1024

enum ring_state {
    RING_UNTRIED, /* there is none, and nothing stands against one */
    RING_OPEN,    /* the backend's `files_ring` */
    RING_REFUSED, /* there will be none for this loop */
};

struct epoll {
    struct asy_backend base;
    int epfd, wakefd;
    int count; /* of `events` that were fetched */
    enum ring_state ring_state;
    bool is_embedded; /* another loop polls epfd, which must not stay readable */
    struct completions ring;
    struct epoll_event events[ASY_EPOLL_EVENTS];
};

/* ---- The ring ------------------------------------------------------------------------------- */

static void close_files_ring(struct epoll *epoll)
{
    struct epoll_event ignored = {0};
    /* By hand: a forked child has the descriptor, too, and so it would stay in the set. */
    asy_sys_epoll_ctl(epoll->epfd, EPOLL_CTL_DEL, epoll->ring.ring.fd, &ignored);
    asy_completions_close(&epoll->ring);
    epoll->base.files_ring = NULL;
    epoll->ring_state = RING_UNTRIED;
}

static int open_files_ring(struct epoll *epoll)
{
    unsigned threads[2] = KERNEL_THREADS;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = RING_TAG};
    int err = asy_completions_open(&epoll->ring, RING_COOPERATES, RING_ENTRIES, RING_ROOM);
    if (err)
        return err;
    err = asy_ring_register(&epoll->ring.ring, IORING_REGISTER_IOWQ_MAX_WORKERS, threads, 2);
    err = err < 0 ? err : asy_sys_epoll_ctl(epoll->epfd, EPOLL_CTL_ADD, epoll->ring.ring.fd, &event);
    if (err) {
        asy_completions_close(&epoll->ring);
        return err;
    }
    epoll->base.files_ring = &epoll->ring;
    epoll->ring_state = RING_OPEN;
    return 0;
}

/* One that broke, or that another thread has opened, is left when it has nothing under way any more. */
static COLD struct completions *renew_files_ring(struct epoll *epoll)
{
    bool is_broken = epoll->ring_state == RING_OPEN && epoll->ring.is_broken;
    if (epoll->ring_state == RING_OPEN) {
        if (epoll->ring.under_way)
            return NULL;
        close_files_ring(epoll);
    }
    if (epoll->ring_state == RING_REFUSED || is_broken || !asy_uring_has_files() || open_files_ring(epoll)) {
        epoll->ring_state = RING_REFUSED;
        return NULL;
    }
    return &epoll->ring;
}

static struct completions *epoll_files(struct asy_backend *backend)
{
    struct epoll *epoll = (struct epoll *)backend;
    if (LIKELY(epoll->ring_state == RING_OPEN && !epoll->ring.is_broken &&
               asy_completions_is_here(&epoll->ring)))
        return &epoll->ring;
    return epoll->ring_state == RING_REFUSED ? NULL : renew_files_ring(epoll);
}

/* Hands over what has begun. Returns how long the wait may be now. */
static int64_t send_files(struct epoll *epoll, int64_t deadline_ns)
{
    if (asy_completions_has_unsent(&epoll->ring) || asy_ring_is_due(&epoll->ring.ring))
        asy_completions_enter(&epoll->ring, 0);
    if (asy_completions_has_any(&epoll->ring))
        return 0;
    if (LIKELY(!asy_completions_has_unsent(&epoll->ring)))
        return deadline_ns;
    int64_t again_ns = asy_sys_now_ns() + ASY_ASK_AGAIN_NS;
    return deadline_ns < again_ns ? deadline_ns : again_ns;
}

/* Could epoll say anything that the ring's own queue does not? */
static bool must_ask_epoll(const struct epoll *epoll, int64_t deadline_ns)
{
    return deadline_ns > 0 || epoll->base.attached || epoll->is_embedded;
}

/* ---- Made ------------------------------------------------------------------------------------ */

/* A ring that still has something under way stays, for good: the kernel writes to memory by it. */
static void epoll_close(struct asy_backend *backend)
{
    struct epoll *epoll = (struct epoll *)backend;
    if (epoll->ring_state == RING_OPEN && epoll->ring.under_way)
        return;
    if (epoll->ring_state == RING_OPEN)
        close_files_ring(epoll);
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

/* ---- Waited for ------------------------------------------------------------------------------ */

static HOT int64_t epoll_now_ns(struct asy_backend *backend)
{
    (void)backend;
    return asy_sys_now_ns();
}

/* Asks epoll, and waits until the deadline for an answer. */
static inline __attribute__((always_inline)) int wait_for_events(struct epoll *epoll, int64_t deadline_ns)
{
    struct asy_backend *backend = &epoll->base;
    int64_t timeout_ns = -1;
    if (deadline_ns > 0)
        backend->began_ns = asy_sys_now_ns();
    if (deadline_ns != ASY_NO_DEADLINE) {
        int64_t left_ns = deadline_ns > 0 ? deadline_ns - backend->began_ns : 0;
        timeout_ns = left_ns > 0 ? left_ns : 0;
    }
    int n = asy_sys_epoll_wait(epoll->epfd, epoll->events, ASY_EPOLL_EVENTS, timeout_ns);
    if (n > 0) {
        epoll->count = n;
        backend->fetched = (uint32_t)n;
        backend->fetches++;
    }
    return n < 0 ? n : 0;
}

static NOINLINE int wait_beside_ring(struct epoll *epoll, int64_t deadline_ns)
{
    deadline_ns = send_files(epoll, deadline_ns);
    epoll->count = 0;
    int err = must_ask_epoll(epoll, deadline_ns) ? wait_for_events(epoll, deadline_ns) : 0;
    if (asy_completions_has_any(&epoll->ring))
        epoll->base.fetched++;
    return err;
}

static HOT int epoll_wait_until(struct asy_backend *backend, int64_t deadline_ns)
{
    struct epoll *epoll = (struct epoll *)backend;
    if (UNLIKELY(backend->fetched))
        return 0;
    if (UNLIKELY(backend->files_ring != NULL))
        return wait_beside_ring(epoll, deadline_ns);
    return wait_for_events(epoll, deadline_ns);
}

static NOINLINE void deliver_beside_ring(struct epoll *epoll)
{
    if (epoll->base.happened)
        epoll->base.happened(epoll->base.context, epoll->events, epoll->count);
    asy_completions_reap(&epoll->ring, DONE_MAX);
}

/* The ring may have come, or gone, after the events were fetched: `count` is about epoll's alone. */
static HOT void epoll_deliver(struct asy_backend *backend)
{
    struct epoll *epoll = (struct epoll *)backend;
    backend->fetched = 0;
    if (UNLIKELY(backend->files_ring != NULL))
        deliver_beside_ring(epoll);
    else if (backend->happened)
        backend->happened(backend->context, epoll->events, epoll->count);
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
    return backend->attached > 0 || (backend->files_ring && asy_completions_needs_poll(backend->files_ring));
}

static void epoll_wake(struct asy_backend *backend)
{
    const struct epoll *epoll = (const struct epoll *)backend;
    asy_sys_eventfd_signal(epoll->wakefd);
}

static int epoll_fd(struct asy_backend *backend)
{
    struct epoll *epoll = (struct epoll *)backend;
    epoll->is_embedded = true;
    return epoll->epfd;
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
    .files = epoll_files,
    .fd = epoll_fd,
};
