/*
 * The io_uring backend: streams and listeners are served by completions (transfers.h), and everything else by
 * readiness, as on epoll.
 *
 * Readiness comes from an epoll set. A poll of the ring's own would keep the file open for as long as it
 * stands, and the peer of a descriptor that a program closes by close(2) would not learn of it. An epoll set
 * forgets a file that is closed.
 *
 * A wait is one call where it can be. While the ring has nothing to do, the loop waits by the epoll set
 * alone, as if there were no ring. While it has, the loop waits by the ring, and the ring looks at the set. A
 * look ends with the first news; the next wait by the ring begins another, which finds what is still there.
 * So a look that is left over when the ring comes to rest costs one call, once.
 *
 * Calls on files go through the ring of the epoll set's backend, if there is one; its news are news of the
 * set.
 *
 * The ring belongs to one thread. A loop that runs in another one gets a new ring, if nothing is under way.
 */
#include "backend/backend.h"
#include "backend/completion.h"
#include "backend/transfers.h"
#include "backend/uring.h"
#include "base/compiler.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define ENTRIES 1024
#define ROOM 8192
/* Completions that are told in one turn: what is left is told in the next. */
#define REAPS_MAX 1024
/* How long the end of the loop waits for what is under way. */
#define END_NS INT64_C(5000000000)
/* Without the ring a wait is at most so long: those of tests, and of tasks that clean up. */
#define LOST_MS 100
#define NS_PER_MS INT64_C(1000000)

/* The ring's look at the set. */
struct look {
    struct asy_op op;
    int fd;
    bool has_news;
    int err; /* of the look that ended; or 0 */
};

struct uring {
    struct asy_backend base;
    struct completions completions;
    struct asy_transfers transfers;
    struct asy_backend *epoll;
    struct look set;
    bool is_lost; /* the ring broke, and the loop was told */
    bool has_ended, has_leaked;
    /* Readable when there is something to reap, or a wake-up; -1: nobody has asked for it. The kernel puts
     * off its signal for one that another eventfd has caused, so a wake-up signals this and the set's. */
    _Atomic int eventfd;
    _Atomic bool is_waiting;
};

static struct uring *uring_of(struct asy_backend *backend)
{
    return (struct uring *)backend;
}

/* ---- Looks ------------------------------------------------------------------------------------- */

static void prepare_look(struct asy_op *op, struct io_uring_sqe *sqe)
{
    const struct look *look = LIST_ENTRY(op, struct look, op);
    sqe->opcode = IORING_OP_POLL_ADD;
    sqe->fd = look->fd;
    sqe->poll32_events = POLLIN;
}

/* The kernel is short of something, and may not be in a while. */
static bool will_pass(int err)
{
    return err == -EAGAIN || err == -EBUSY || err == -ENOMEM || err == -EINTR;
}

static void tell_look(struct asy_op *op, const struct asy_done *what)
{
    struct look *look = LIST_ENTRY(op, struct look, op);
    look->has_news = true;
    look->err = what->result < 0 && !will_pass(what->result) ? what->result : 0;
}

static const struct asy_op_kind look_kind = {prepare_look, tell_look};

static void init_look(struct look *look, int fd)
{
    *look = (struct look){.fd = fd};
    asy_op_init(&look->op, &look_kind);
}

/* Nothing is under way but our own look, which names no memory. */
static bool is_at_rest(const struct uring *uring)
{
    return uring->completions.under_way == (size_t)(uring->set.op.state != OP_IDLE);
}

/* The kernel drops the looks with it. */
static void drop_ring(struct uring *uring)
{
    asy_ring_close(&uring->completions.ring);
    uring->completions.thread = 0; /* nobody's, if no other ring takes its place */
    asy_transfers_destroy(&uring->transfers);
}

/* ---- Files ------------------------------------------------------------------------------------- */

static struct completions *uring_files(struct asy_backend *backend)
{
    struct asy_backend *epoll = uring_of(backend)->epoll;
    struct completions *files = epoll->ops->files(epoll);
    backend->files_ring = epoll->files_ring;
    return files;
}

static inline bool has_files_to_poll(const struct asy_backend *backend)
{
    return UNLIKELY(backend->files_ring != NULL) && asy_completions_needs_poll(backend->files_ring);
}

/* ---- Waiting --------------------------------------------------------------------------------------- */

static HOT int64_t uring_now_ns(struct asy_backend *backend)
{
    (void)backend;
    return asy_sys_now_ns();
}

static HOT bool uring_needs_poll(const struct asy_backend *backend)
{
    const struct uring *uring = (const struct uring *)backend;
    bool has_look = uring->set.op.state != OP_IDLE;
    return asy_completions_needs_poll(&uring->completions) || uring->set.has_news ||
           has_files_to_poll(backend) || (!has_look && uring->epoll->attached);
}

/* An error is told once. */
static int begin_look(struct uring *uring)
{
    int err = uring->set.err;
    uring->set.err = 0;
    if (!err && !uring->set.has_news && uring->set.op.state == OP_IDLE)
        asy_op_begin(&uring->completions, &uring->set.op);
    return err;
}

static HOT int enter_ring(struct uring *uring, int64_t timeout_ns)
{
    uring->transfers.sends_queued = 0;
    return asy_completions_enter(&uring->completions, timeout_ns);
}

/* Events of the set. An error leaves them there, and is the next wait's. */
static void fetch_events(struct uring *uring)
{
    struct asy_backend *epoll = uring->epoll;
    int err = epoll->ops->wait(epoll, 0);
    uring->set.has_news = err != 0;
    if (UNLIKELY(err && err != -EINTR))
        uring->set.err = err;
    uring->base.fetches += epoll->fetched > 0;
}

static int64_t time_left(struct uring *uring, int64_t deadline_ns)
{
    if (deadline_ns > 0)
        uring->base.began_ns = asy_sys_now_ns();
    if (deadline_ns == ASY_NO_DEADLINE)
        return -1;
    int64_t left_ns = deadline_ns > 0 ? deadline_ns - uring->base.began_ns : 0;
    return left_ns > 0 ? left_ns : 0;
}

/* A kernel that is short of memory is asked again, in a while. -EINTR may come without a signal, when the
 * kernel has work for the thread. */
static int be_patient(const struct uring *uring, int err)
{
    if (err == -EINTR)
        return 0;
    if (LIKELY(!will_pass(err)))
        return err;
    if (!asy_completions_has_any(&uring->completions))
        asy_sys_poll(NULL, 0, ASY_ASK_AGAIN_NS / NS_PER_MS);
    return 0;
}

/* First the flag, then the look, in one order for all threads: a wake-up at the same time either sees the
 * flag, and signals what this wait looks at, or has signalled before the look. */
static bool clear_eventfd(struct uring *uring)
{
    atomic_store(&uring->is_waiting, true);
    return asy_sys_eventfd_clear(uring->eventfd);
}

/* A filter says no; any other error means that the number is no ring's any more. */
static COLD void tell_loss(const struct uring *uring)
{
    int err = uring->completions.broken_by;
    bool is_denied = err == -EPERM || err == -EACCES || err == -ENOSYS;
    char line[128];
    int n = snprintf(line, sizeof line, "asyncio: io_uring is lost: %s; the loop ends\n",
                     is_denied ? "the kernel denies it now" : "somebody has closed its descriptor");
    asy_sys_write(STDERR_FILENO, line, (size_t)n);
}

/* Waits for readiness and wake-ups alone. Where these descriptors are closed, too, it sleeps a little. */
static COLD void sleep_without_ring(const struct uring *uring, int limit_ms)
{
    struct pollfd set = {.fd = uring->set.fd, .events = POLLIN};
    asy_sys_poll(&set, 1, limit_ms);
    if (set.revents & POLLNVAL)
        asy_sys_poll(NULL, 0, limit_ms < 0 ? LOST_MS : limit_ms);
}

/* The kernel takes nothing any more, as when a filter has come. What it had is not to be had back, so that
 * the loop fails, once. After that epoll alone serves: the tasks end, and clean up. */
static COLD int wait_without_ring(struct uring *uring, int64_t timeout_ns)
{
    if (!uring->is_lost) {
        uring->is_lost = true;
        tell_loss(uring);
        return -EIO;
    }
    bool is_told = asy_completions_has_any(&uring->completions);
    int limit_ms = timeout_ns < 0                     ? -1
                   : timeout_ns < LOST_MS * NS_PER_MS ? (int)((timeout_ns + NS_PER_MS - 1) / NS_PER_MS)
                                                      : LOST_MS;
    sleep_without_ring(uring, is_told ? 0 : limit_ms);
    uring->set.has_news = true;
    uring->base.fetched = 1;
    return 0;
}

/* Is there nothing that the ring would tell? A loop that another one embeds is told by the ring alone. */
static bool can_wait_by_set(const struct uring *uring)
{
    return is_at_rest(uring) && !asy_completions_needs_poll(&uring->completions) && !uring->set.has_news &&
           !uring->set.err && uring->eventfd < 0 && !uring->completions.is_broken;
}

static HOT int wait_by_set(struct uring *uring, int64_t deadline_ns)
{
    struct asy_backend *epoll = uring->epoll;
    int err = epoll->ops->wait(epoll, deadline_ns);
    if (deadline_ns > 0)
        uring->base.began_ns = epoll->began_ns;
    uring->base.fetched = epoll->fetched;
    uring->base.fetches += epoll->fetched > 0;
    return be_patient(uring, err);
}

static HOT int wait_by_ring(struct uring *uring, int64_t deadline_ns)
{
    struct asy_backend *backend = &uring->base;
    int64_t timeout_ns = time_left(uring, deadline_ns);
    if (UNLIKELY(uring->completions.is_broken))
        return wait_without_ring(uring, timeout_ns);
    if (has_files_to_poll(backend))
        fetch_events(uring);
    int err = begin_look(uring); /* last: what is not fetched here ends it */
    if (UNLIKELY(err))
        return err;
    if (UNLIKELY(uring->eventfd >= 0) && clear_eventfd(uring))
        timeout_ns = 0;
    if (uring->set.has_news || uring->epoll->fetched)
        timeout_ns = 0;
    else if (has_files_to_poll(backend)) /* the kernel has not taken what it was to do: it is asked again */
        timeout_ns = timeout_ns >= 0 && timeout_ns < ASY_ASK_AGAIN_NS ? timeout_ns : ASY_ASK_AGAIN_NS;
    err = be_patient(uring, enter_ring(uring, timeout_ns));
    /* Relaxed: a wake-up that still reads true signals once too often. */
    atomic_store_explicit(&uring->is_waiting, false, memory_order_relaxed);
    if (UNLIKELY(uring->completions.is_broken))
        return wait_without_ring(uring, 0);
    bool has_any = asy_completions_has_any(&uring->completions);
    backend->fetched = has_any || uring->set.has_news || uring->epoll->fetched;
    backend->fetches += has_any;
    return err;
}

static HOT int uring_wait(struct asy_backend *backend, int64_t deadline_ns)
{
    struct uring *uring = uring_of(backend);
    if (UNLIKELY(backend->fetched))
        return 0;
    return can_wait_by_set(uring) ? wait_by_set(uring, deadline_ns) : wait_by_ring(uring, deadline_ns);
}

static HOT void uring_deliver(struct asy_backend *backend)
{
    struct uring *uring = uring_of(backend);
    struct asy_backend *epoll = uring->epoll;
    backend->fetched = 0;
    uring->transfers.receipts = 0;
    asy_completions_reap(&uring->completions, REAPS_MAX);
    if (uring->set.has_news && !epoll->fetched)
        fetch_events(uring);
    asy_transfers_note_crowd(&uring->transfers, uring->transfers.receipts + epoll->fetched);
    if (!epoll->fetched)
        return;
    epoll->happened = backend->happened;
    epoll->context = backend->context;
    epoll->ops->deliver(epoll);
}

static void uring_wake(struct asy_backend *backend)
{
    struct uring *uring = uring_of(backend);
    /* Acquire: the descriptor is open. */
    int eventfd = atomic_load_explicit(&uring->eventfd, memory_order_acquire);
    if (UNLIKELY(eventfd >= 0))
        asy_sys_eventfd_signal(eventfd);
    if (LIKELY(eventfd < 0) || atomic_load(&uring->is_waiting))
        uring->epoll->ops->wake(uring->epoll);
}

/* ---- Opened and closed --------------------------------------------------------------------------- */

static int register_eventfd(struct uring *uring, int fd)
{
    return asy_ring_register(&uring->completions.ring, IORING_REGISTER_EVENTFD, &fd, 1);
}

static int open_ring(struct uring *uring)
{
    int err = asy_completions_open(&uring->completions, RING_DEFERS, ENTRIES, ROOM);
    if (err)
        return err;
    if (uring->eventfd >= 0)
        err = register_eventfd(uring, uring->eventfd);
    if (err) {
        asy_completions_close(&uring->completions);
        return err;
    }
    asy_transfers_init(&uring->transfers, &uring->completions);
    init_look(&uring->set, uring->set.fd);
    err = enter_ring(uring, 0); /* a filter may allow the making of a ring, and deny its use */
    if (!err || err == -EINTR)
        err = uring->completions.is_broken ? -EPERM : 0;
    if (err)
        asy_ring_close(&uring->completions.ring);
    return err;
}

static void close_descriptors(struct uring *uring)
{
    if (uring->eventfd >= 0)
        asy_sys_close(uring->eventfd);
    if (uring->epoll)
        uring->epoll->ops->close(uring->epoll);
}

/* The set is there from the beginning: its descriptor is not missing when there is none to be had. */
static int uring_open(struct asy_backend **out)
{
    int err = asy_uring_check(); /* a ring that can be made may still not do what streams need */
    if (err)
        return err;
    struct uring *uring = asy_sys_calloc(1, sizeof *uring);
    if (!uring)
        return -ENOMEM;
    uring->base.ops = &asy_backend_io_uring;
    uring->eventfd = -1;
    err = asy_backend_epoll.open(&uring->epoll);
    if (!err) {
        uring->set.fd = uring->base.epfd = uring->epoll->epfd;
        err = open_ring(uring);
    }
    if (err) {
        close_descriptors(uring);
        asy_sys_free(uring);
        return err;
    }
    uring->base.transfers = &uring->transfers;
    *out = &uring->base;
    return 0;
}

/* ---- Threads ------------------------------------------------------------------------------------- */

static int uring_enter_thread(struct asy_backend *backend)
{
    struct uring *uring = uring_of(backend);
    if (LIKELY(asy_completions_is_here(&uring->completions)))
        return 0;
    if (!is_at_rest(uring))
        return -EBUSY;
    drop_ring(uring);
    return open_ring(uring);
}

/* What the loop has begun goes to the kernel. */
static void uring_rest(struct asy_backend *backend)
{
    struct uring *uring = uring_of(backend);
    if (uring->eventfd >= 0 && !uring->set.err) /* an error is the next wait's */
        begin_look(uring);
    if (asy_completions_has_unsent(&uring->completions))
        enter_ring(uring, 0);
    if (uring->eventfd >= 0 && uring_needs_poll(backend))
        asy_sys_eventfd_signal(uring->eventfd);
}

/* ---- Readiness --------------------------------------------------------------------------------------- */

static int uring_attach(struct asy_backend *backend, int fd, uint64_t tag, uint32_t events, bool is_attached)
{
    struct uring *uring = uring_of(backend);
    int err = uring->epoll->ops->attach(uring->epoll, fd, tag, events, is_attached);
    backend->attached += !err && !is_attached;
    return err;
}

static void uring_detach(struct asy_backend *backend, int fd)
{
    struct uring *uring = uring_of(backend);
    uring->epoll->ops->detach(uring->epoll, fd);
    backend->attached--;
}

/* The ring's own descriptor is not told of completions that it has put off. */
static int uring_fd(struct asy_backend *backend)
{
    struct uring *uring = uring_of(backend);
    if (uring->eventfd >= 0)
        return uring->eventfd;
    int fd = asy_sys_eventfd();
    if (fd < 0)
        return fd;
    int err = register_eventfd(uring, fd);
    if (err) {
        asy_sys_close(fd);
        return err;
    }
    /* Release: see uring_wake. */
    atomic_store_explicit(&uring->eventfd, fd, memory_order_release);
    uring_rest(backend);
    return fd;
}

/* ---- The end ------------------------------------------------------------------------------------------- */

static bool end_operations(struct uring *uring)
{
    /* A ring that is lost cannot be asked to end what it has, nor can that of another thread. */
    bool hears = !uring->completions.is_broken && asy_completions_is_here(&uring->completions);
    int64_t limit_ns = hears ? END_NS : 0;
    return is_at_rest(uring) || asy_completions_end(&uring->completions, limit_ns);
}

/* The kernel still writes to memory of ours, or may: all of it stays. */
static void leak_operations(const struct uring *uring)
{
    char line[128];
    bool is_here = asy_completions_is_here(&uring->completions);
    int n = snprintf(line, sizeof line, "asyncio: io_uring: %zu operations do not end%s; memory is lost\n",
                     uring->completions.under_way, is_here ? "" : " when another thread closes the loop");
    asy_sys_write(STDERR_FILENO, line, (size_t)n);
}

static void uring_end(struct asy_backend *backend)
{
    struct uring *uring = uring_of(backend);
    uring->has_ended = end_operations(uring);
    if (!uring->has_ended && !uring->has_leaked)
        leak_operations(uring);
    uring->has_leaked = !uring->has_ended;
}

static void uring_close(struct asy_backend *backend)
{
    struct uring *uring = uring_of(backend);
    if (!uring->has_ended)
        uring_end(backend);
    /* The kernel ends in its own time what is left, and lets go of the files. */
    asy_ring_close(&uring->completions.ring);
    close_descriptors(uring);
    if (uring->has_ended) {
        asy_transfers_destroy(&uring->transfers);
        asy_sys_free(uring);
    }
}

const struct asy_backend_ops asy_backend_io_uring = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .now_ns = uring_now_ns,
    .wait = uring_wait,
    .deliver = uring_deliver,
    .attach = uring_attach,
    .detach = uring_detach,
    .needs_poll = uring_needs_poll,
    .wake = uring_wake,
    .files = uring_files,
    .fd = uring_fd,
    .enter = uring_enter_thread,
    .rest = uring_rest,
    .end = uring_end,
};
