/*
 * A ring of io_uring by hand, on the kernel's own interface, for yardsticks.
 */
#ifndef RING_H
#define RING_H

#include "bench.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_ENTRIES 256

struct ring {
    int fd;
    unsigned *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask, to_submit;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    char *queues;
    size_t queues_bytes, sqes_bytes;
};

/* False: it is denied here. */
static inline bool ring_open(struct ring *ring)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    ring->fd = (int)syscall(SYS_io_uring_setup, RING_ENTRIES, &params);
    if (ring->fd < 0)
        return false;
    size_t sq_bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    ring->queues_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    ring->sqes_bytes = params.sq_entries * sizeof(struct io_uring_sqe);
    ring->queues = mmap(NULL, ring->queues_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                        IORING_OFF_SQ_RING);
    void *sqes = mmap(NULL, ring->sqes_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                      IORING_OFF_SQES);
    BENCH_CHECK(ring->queues != MAP_FAILED && sqes != MAP_FAILED);
    ring->sqes = sqes;
    ring->sq_tail = (unsigned *)(void *)(ring->queues + params.sq_off.tail);
    ring->sq_mask = *(unsigned *)(void *)(ring->queues + params.sq_off.ring_mask);
    ring->cq_head = (unsigned *)(void *)(ring->queues + params.cq_off.head);
    ring->cq_tail = (unsigned *)(void *)(ring->queues + params.cq_off.tail);
    ring->cq_mask = *(unsigned *)(void *)(ring->queues + params.cq_off.ring_mask);
    ring->cqes = (struct io_uring_cqe *)(void *)(ring->queues + params.cq_off.cqes);
    unsigned *array = (unsigned *)(void *)(ring->queues + params.sq_off.array);
    for (unsigned i = 0; i < RING_ENTRIES; i++)
        array[i] = i;
    return true;
}

static inline void ring_close(struct ring *ring)
{
    munmap(ring->sqes, ring->sqes_bytes);
    munmap(ring->queues, ring->queues_bytes);
    close(ring->fd);
}

/* What is done is told with `tag`. */
static inline struct io_uring_sqe *ring_take(struct ring *ring, void *tag, uint8_t opcode, int fd)
{
    BENCH_CHECK(ring->to_submit < RING_ENTRIES);
    struct io_uring_sqe *sqe = &ring->sqes[*ring->sq_tail & ring->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = opcode;
    sqe->fd = fd;
    sqe->user_data = (uintptr_t)tag;
    __atomic_store_n(ring->sq_tail, *ring->sq_tail + 1, __ATOMIC_RELEASE);
    ring->to_submit++;
    return sqe;
}

/* Waits for so many completions. */
static inline void ring_enter(struct ring *ring, unsigned completions)
{
    int n = (int)syscall(SYS_io_uring_enter, ring->fd, ring->to_submit, completions, IORING_ENTER_GETEVENTS,
                         NULL, 0);
    BENCH_CHECK(n >= 0 || errno == EINTR);
    ring->to_submit -= n > 0 ? (unsigned)n : 0;
}

static inline bool ring_reap(struct ring *ring, struct io_uring_cqe *cqe)
{
    unsigned head = *ring->cq_head;
    if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
        return false;
    *cqe = ring->cqes[head & ring->cq_mask];
    __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
    return true;
}

#endif
