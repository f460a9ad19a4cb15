/*
 * A kernel that answers as a test says. The linker sends the library's entries of a ring through here; an
 * entry that is planned for is made another one, before the kernel sees it, and its completion comes in the
 * order of all. Included by one file of a program.
 */
#ifndef TESTS_SUPPORT_RING_PLAN_H
#define TESTS_SUPPORT_RING_PLAN_H

#include "sys/ring.h"
#include <errno.h>

#define RING_PLAN_ANY_OP 255 /* but for looks of the loop's own */

static struct {
    /* Entries with this operation are answered so, and not carried out: `count` of them, after `skip`. */
    uint8_t opcode;
    uint32_t skip, count;
    int answer;
    uint32_t answered, seen;
    uint32_t failing_enters;    /* so many calls from now on take nothing: -EAGAIN */
    uint32_t bytes_at_most;     /* of a read or a write; 0: as many as were asked for */
    uint32_t fsync_flags;       /* of the latest fsync */
    void (*before_enter)(void); /* called once, before the next call */
    bool has_no_repeats;        /* the kernel knows no receive that repeats */
} ring_plan;

/* What Linux 6.10 has: a NOP whose answer stands in the entry. */
#define RING_PLAN_NOP_ANSWERS 1U

/* The next `count` entries with the operation, after `skip` of them, get the answer. */
static inline void plan_answers(uint8_t opcode, uint32_t skip, uint32_t count, int answer)
{
    ring_plan.opcode = opcode;
    ring_plan.skip = skip;
    ring_plan.count = count;
    ring_plan.answer = answer;
    ring_plan.answered = ring_plan.seen = 0;
}

static inline bool is_planned_for(const struct io_uring_sqe *sqe)
{
    if (!ring_plan.count || sqe->opcode == IORING_OP_NOP || sqe->opcode == IORING_OP_ASYNC_CANCEL)
        return false;
    bool is_any = ring_plan.opcode == RING_PLAN_ANY_OP && sqe->opcode != IORING_OP_POLL_ADD;
    return is_any || sqe->opcode == ring_plan.opcode;
}

static inline void follow_plan(struct io_uring_sqe *sqe)
{
    if (ring_plan.has_no_repeats && sqe->opcode == IORING_OP_RECV)
        sqe->ioprio &= (uint16_t)~IORING_RECV_MULTISHOT;
    if (ring_plan.bytes_at_most && (sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_WRITE) &&
        sqe->len > ring_plan.bytes_at_most)
        sqe->len = ring_plan.bytes_at_most;
    if (sqe->opcode == IORING_OP_FSYNC)
        ring_plan.fsync_flags = sqe->fsync_flags;
    if (!is_planned_for(sqe) || ring_plan.seen++ < ring_plan.skip)
        return;
    uint64_t name = sqe->user_data;
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_NOP,
                                 .fd = -1,
                                 .rw_flags = RING_PLAN_NOP_ANSWERS,
                                 .len = (uint32_t)ring_plan.answer,
                                 .user_data = name};
    ring_plan.count--;
    ring_plan.answered++;
}

int __real_asy_ring_enter(struct asy_ring *ring, unsigned completions, int64_t timeout_ns);
int __wrap_asy_ring_enter(struct asy_ring *ring, unsigned completions, int64_t timeout_ns);
int __wrap_asy_ring_enter(struct asy_ring *ring, unsigned completions, int64_t timeout_ns)
{
    if (ring_plan.failing_enters) {
        ring_plan.failing_enters--;
        return -EAGAIN;
    }
    void (*hook)(void) = ring_plan.before_enter;
    ring_plan.before_enter = NULL;
    if (hook)
        hook();
    for (uint32_t i = 0; i < asy_ring_queued(ring); i++)
        follow_plan(asy_ring_queued_at(ring, i));
    return __real_asy_ring_enter(ring, completions, timeout_ns);
}

/* Does the kernel let a plan say its answers? */
static inline bool can_plan_answers(void)
{
    struct asy_ring ring;
    struct io_uring_cqe cqe = {0};
    if (asy_ring_open(&ring, RING_COOPERATES, 1, 2))
        return false;
    *asy_ring_next(&ring) = (struct io_uring_sqe){
        .opcode = IORING_OP_NOP, .fd = -1, .rw_flags = RING_PLAN_NOP_ANSWERS, .len = (uint32_t)-EINTR};
    bool answers = !__real_asy_ring_enter(&ring, 1, -1) && asy_ring_take(&ring, &cqe) && cqe.res == -EINTR;
    asy_ring_close(&ring);
    return answers;
}

#endif
