/*
 * A ring of io_uring: two queues that this process shares with the kernel, and the calls on them. It knows
 * entries, not what they are for.
 *
 * One thread uses a ring: the one that opened it, since the kernel takes entries from no other. `tail` runs
 * ahead of what the kernel was told: the entries between are this thread's, until it enters.
 */
#ifndef ASY_SYS_RING_H
#define ASY_SYS_RING_H

#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the headers of Debian 12 (Linux 6.1) do not have. */
#define ASY_OP_FTRUNCATE 55                  /* 6.9 */
#define ASY_OPS_MAX 64                       /* that we ask for */
#define ASY_RING_SETUP_NO_SQARRAY (1U << 16) /* 6.6 */
#define ASY_RING_FEAT_NO_IOWAIT (1U << 17)   /* 6.15 */
#define ASY_RING_ENTER_NO_IOWAIT (1U << 7)

/* When the kernel lets completions in that are due. */
enum asy_ring_manner {
    RING_COOPERATES, /* at any system call: its descriptor may stand in an epoll set */
    RING_DEFERS,     /* when the ring is entered, and only then: cheaper, and no epoll set is told */
};

struct asy_ring {
    int fd;            /* -1: closed */
    bool is_ending;    /* a call that ends what is under way never fails for the seam's sake */
    uint32_t setup;    /* the flags that the kernel took */
    uint32_t features; /* IORING_FEAT_... */
    uint32_t tail;     /* behind the last entry that was filled in */
    uint32_t sq_entries, cq_entries;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    _Atomic uint32_t *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail;
    void *queues;
    size_t queues_bytes, sqes_bytes;
};

/* 0 or a negative errno; -ENOSYS also for a kernel that knows too little (before 6.1). */
int asy_ring_open(struct asy_ring *ring, enum asy_ring_manner manner, unsigned entries, unsigned completions);
/* Any thread, when nothing is under way. A ring that is closed already stays so. */
void asy_ring_close(struct asy_ring *ring);

/* An entry to fill in, zeroed. NULL: there is no room. */
struct io_uring_sqe *asy_ring_next(struct asy_ring *ring);

/* Entries that the kernel has not taken. `i` counts from 0, the oldest. */
static inline uint32_t asy_ring_queued(const struct asy_ring *ring)
{
    /* Acquire: an entry that the kernel has taken is free to be filled in again. */
    return ring->tail - atomic_load_explicit(ring->sq_head, memory_order_acquire);
}
static inline struct io_uring_sqe *asy_ring_queued_at(const struct asy_ring *ring, uint32_t i)
{
    /* Relaxed: this thread's own entries. */
    return &ring->sqes[(atomic_load_explicit(ring->sq_head, memory_order_relaxed) + i) &
                       (ring->sq_entries - 1)];
}
/* Takes all of them back. */
void asy_ring_forget_queued(struct asy_ring *ring);

/*
 * Hands over what is queued, lets completions in that are due, and waits for `completions` of them, or until
 * timeout_ns have passed (negative: no limit). 0, also when the time is over; or a negative errno, -EINTR
 * among them. After an error the kernel may have taken some of the entries: asy_ring_queued tells.
 */
int asy_ring_enter(struct asy_ring *ring, unsigned completions, int64_t timeout_ns);
int asy_ring_register(struct asy_ring *ring, unsigned what, void *arg, unsigned count);

/* Is there a completion to take? */
static inline bool asy_ring_has_any(const struct asy_ring *ring)
{
    /* Acquire: the completion is read after the kernel has written it. The head is this thread's own. */
    return atomic_load_explicit(ring->cq_tail, memory_order_acquire) !=
           atomic_load_explicit(ring->cq_head, memory_order_relaxed);
}
/* Those that are there, `i` from 0, the oldest. NULL: there are no more. */
static inline struct io_uring_cqe *asy_ring_at(const struct asy_ring *ring, uint32_t i)
{
    /* As above. */
    uint32_t head = atomic_load_explicit(ring->cq_head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(ring->cq_tail, memory_order_acquire);
    return i < tail - head ? &ring->cqes[(head + i) & (ring->cq_entries - 1)] : NULL;
}
/* Takes the oldest. False: there is none. */
bool asy_ring_take(struct asy_ring *ring, struct io_uring_cqe *out);
/* Would entering, or any system call in a ring that cooperates, let completions in? Relaxed: whoever reads an
 * old answer asks again before it sleeps, in the kernel. */
static inline bool asy_ring_is_due(const struct asy_ring *ring)
{
    return atomic_load_explicit(ring->sq_flags, memory_order_relaxed) &
           (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

#endif
