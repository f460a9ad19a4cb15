/*
 * Rings: made, entered, closed. See ring.h.
 */
#include "sys/ring.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "sys/kernel_call.h"
#include "sys/sys.h"
#include <linux/time_types.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same numbers on every architecture that we run on. */
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif

#define NS_PER_S INT64_C(1000000000)

/* Nothing is dropped; there is one mapping of both queues; an entry is taken with what it points to; a wait
 * may have a limit; offset -1 is the file's own position. */
#define FEATURES_NEEDED                                                                                      \
    (IORING_FEAT_NODROP | IORING_FEAT_SINGLE_MMAP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG |        \
     IORING_FEAT_RW_CUR_POS)

/* ---- The three calls ---------------------------------------------------------------------- */

static int ring_setup(unsigned entries, struct io_uring_params *params)
{
    KERNEL_INT("ring_setup", -ENOMEM,
               asy_sys_above_standard((int)syscall(SYS_io_uring_setup, entries, params)));
}

static int ring_enter(const struct asy_ring *ring, unsigned entries, unsigned completions, unsigned flags,
                      const struct io_uring_getevents_arg *arg)
{
    if (!ring->is_ending && ASY_FAULT("ring_enter") && !asy_fault.sticky) { /* nothing is short for ever */
        int err = asy_fault_error("ring_enter", -EAGAIN);
        if (err != -ENOMEM || entries < 2)
            return err;
        entries /= 2; /* memory for some of them: then the kernel tells how many */
        completions = 0;
    }
    int saved = errno;
    return (int)kernel_result(
        syscall(SYS_io_uring_enter, ring->fd, entries, completions, flags, arg, sizeof *arg), saved);
}

int asy_ring_register(struct asy_ring *ring, unsigned what, void *arg, unsigned count)
{
    KERNEL_INT("ring_register", -ENOMEM, (int)syscall(SYS_io_uring_register, ring->fd, what, arg, count));
}

/* ---- Made ------------------------------------------------------------------------------------ */

/* From what is best to what Linux 6.1 has. */
static int set_up_ring(enum asy_ring_manner manner, unsigned entries, struct io_uring_params *params)
{
    const unsigned manner_flags =
        manner == RING_DEFERS ? IORING_SETUP_DEFER_TASKRUN : IORING_SETUP_COOP_TASKRUN;
    const unsigned always = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                            IORING_SETUP_CLAMP | IORING_SETUP_TASKRUN_FLAG | manner_flags;
    const unsigned completions = params->cq_entries;
    params->flags = always | ASY_RING_SETUP_NO_SQARRAY;
    int fd = ring_setup(entries, params);
    if (fd != -EINVAL)
        return fd;
    *params = (struct io_uring_params){.flags = always, .cq_entries = completions};
    fd = ring_setup(entries, params);
    return fd == -EINVAL ? -ENOSYS : fd;
}

static void find_queues(struct asy_ring *ring, const struct io_uring_params *params)
{
    char *queues = ring->queues;
    ring->setup = params->flags;
    ring->features = params->features;
    ring->sq_entries = params->sq_entries;
    ring->cq_entries = params->cq_entries;
    ring->sq_head = (_Atomic uint32_t *)(void *)(queues + params->sq_off.head);
    ring->sq_tail = (_Atomic uint32_t *)(void *)(queues + params->sq_off.tail);
    ring->sq_flags = (_Atomic uint32_t *)(void *)(queues + params->sq_off.flags);
    ring->cq_head = (_Atomic uint32_t *)(void *)(queues + params->cq_off.head);
    ring->cq_tail = (_Atomic uint32_t *)(void *)(queues + params->cq_off.tail);
    ring->cqes = (struct io_uring_cqe *)(void *)(queues + params->cq_off.cqes);
    if (params->flags & ASY_RING_SETUP_NO_SQARRAY)
        return;
    uint32_t *order = (uint32_t *)(void *)(queues + params->sq_off.array);
    for (uint32_t i = 0; i < params->sq_entries; i++)
        order[i] = i; /* entries go in the order in which they stand */
}

static int map_queues(struct asy_ring *ring, const struct io_uring_params *params)
{
    size_t sq_bytes = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    size_t cq_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    size_t queues_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    size_t sqes_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
    void *queues, *sqes;
    int err = asy_sys_map_file(ring->fd, queues_bytes, IORING_OFF_SQ_RING, &queues);
    if (err)
        return err;
    ring->queues = queues;
    ring->queues_bytes = queues_bytes;
    err = asy_sys_map_file(ring->fd, sqes_bytes, IORING_OFF_SQES, &sqes);
    if (err)
        return err;
    ring->sqes = sqes;
    ring->sqes_bytes = sqes_bytes;
    /* A child process has no business with the parent's queues. */
    err = asy_sys_madvise(queues, queues_bytes, MADV_DONTFORK);
    return err ? err : asy_sys_madvise(sqes, sqes_bytes, MADV_DONTFORK);
}

int asy_ring_open(struct asy_ring *ring, enum asy_ring_manner manner, unsigned entries, unsigned completions)
{
    struct io_uring_params params = {.cq_entries = completions};
    int fd = set_up_ring(manner, entries, &params);
    if (fd < 0)
        return fd;
    *ring = (struct asy_ring){.fd = fd};
    int err = (params.features & FEATURES_NEEDED) == FEATURES_NEEDED ? 0 : -ENOSYS;
    err = err ? err : map_queues(ring, &params);
    if (err) {
        asy_ring_close(ring);
        return err;
    }
    find_queues(ring, &params);
    return 0;
}

void asy_ring_close(struct asy_ring *ring)
{
    if (ring->sqes)
        asy_sys_unmap(ring->sqes, ring->sqes_bytes);
    if (ring->queues)
        asy_sys_unmap(ring->queues, ring->queues_bytes);
    if (ring->fd >= 0)
        asy_sys_close(ring->fd);
    *ring = (struct asy_ring){.fd = -1};
}

/* ---- Used ------------------------------------------------------------------------------------ */

HOT struct io_uring_sqe *asy_ring_next(struct asy_ring *ring)
{
    if (asy_ring_queued(ring) == ring->sq_entries)
        return NULL;
    struct io_uring_sqe *sqe = &ring->sqes[ring->tail++ & (ring->sq_entries - 1)];
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

void asy_ring_forget_queued(struct asy_ring *ring)
{
    ring->tail -= asy_ring_queued(ring); /* which the kernel is told when this thread enters */
}

HOT int asy_ring_enter(struct asy_ring *ring, unsigned completions, int64_t timeout_ns)
{
    uint32_t queued = asy_ring_queued(ring);
    struct __kernel_timespec limit = {timeout_ns / NS_PER_S, timeout_ns % NS_PER_S};
    struct io_uring_getevents_arg arg = {.ts = timeout_ns < 0 ? 0 : (uintptr_t)&limit};
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if (completions && (ring->features & ASY_RING_FEAT_NO_IOWAIT))
        flags |=
            ASY_RING_ENTER_NO_IOWAIT; /* else an idle loop looks busy to those that count waits for disks */
    /* Release: what the entries say is read by the kernel after the tail. */
    atomic_store_explicit(ring->sq_tail, ring->tail, memory_order_release);
    int result = ring_enter(ring, queued, completions, flags, &arg);
    return result >= 0 || result == -ETIME ? 0 : result;
}

HOT bool asy_ring_take(struct asy_ring *ring, struct io_uring_cqe *out)
{
    if (!asy_ring_has_any(ring))
        return false;
    /* Relaxed: this thread's own. */
    uint32_t head = atomic_load_explicit(ring->cq_head, memory_order_relaxed);
    *out = ring->cqes[head & (ring->cq_entries - 1)];
    /* Release: the kernel may write over the place once it was read. */
    atomic_store_explicit(ring->cq_head, head + 1, memory_order_release);
    return true;
}
