/*
 * Operations that the kernel carries out while the loop does something else, by a ring (sys/ring.h).
 *
 * An operation is part of its owner: a stream, a listener, a call on a file. It is never in a frame that can
 * be left. It begins, and then its `done` is called: once, or for one that repeats any number of times, the
 * last of which says so. Only the last `done` lets go of the memory that the operation uses. A request to
 * cancel changes nothing about that: it makes the last `done` come sooner.
 *
 *   OP_IDLE        nothing is under way; the owner may free it, or begin it
 *   OP_WAITING     it has begun, and there is no room in the ring for it yet
 *   OP_UNDER_WAY   its entry is in the ring, or with the kernel
 *   OP_CANCELLING  the same, and the kernel was asked to end it, or is to be when there is room
 *   OP_REFUSED     the kernel never had it; its last `done` is about to say so
 *
 * To begin cannot fail. What the kernel refuses is told by `done` with `is_refused`.
 */
#ifndef ASY_BACKEND_COMPLETION_H
#define ASY_BACKEND_COMPLETION_H

#include "base/list.h"
#include "sys/ring.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum asy_op_state { OP_IDLE, OP_WAITING, OP_UNDER_WAY, OP_CANCELLING, OP_REFUSED };

struct asy_op;

struct asy_done {
    int result;      /* the kernel's: a number, or a negative errno */
    uint32_t flags;  /* its IORING_CQE_F_... : the number of a buffer stands in the upper 16 bits */
    bool is_last;    /* the operation is idle */
    bool is_refused; /* the kernel never had it. result says why; -ECANCELED: it was cancelled before */
};

struct asy_op_kind {
    /* Fills in an entry, which is zero, but for its user_data. Called when there is room. */
    void (*prepare)(struct asy_op *op, struct io_uring_sqe *sqe);
    /* On the loop's stack. It does not wait, and may begin this or another operation. */
    void (*done)(struct asy_op *op, const struct asy_done *what);
};

struct asy_op {
    const struct asy_op_kind *kind;
    struct list node;    /* among those that wait for room, or were refused */
    int refusal;         /* OP_REFUSED: why */
    uint16_t generation; /* + 1 each time it begins: a late word about an earlier time is known by it */
    uint8_t state;       /* enum asy_op_state */
};

struct completions {
    struct asy_ring ring;
    struct list waiting; /* operations without room, and requests to cancel without */
    struct list refused;
    size_t under_way; /* operations that are not idle */
    uintptr_t thread; /* that opened the ring, and alone may enter it */
    bool is_broken;   /* the kernel takes no entries any more, for the reason `broken_by` */
    int broken_by;    /* a negative errno */
    bool is_ending;   /* nothing begins any more */
    uint64_t begun, ended;
};

static inline void asy_op_init(struct asy_op *op, const struct asy_op_kind *kind)
{
    *op = (struct asy_op){.kind = kind};
    list_init(&op->node);
}

/* 0 or a negative errno. */
int asy_completions_open(struct completions *completions, enum asy_ring_manner manner, unsigned entries,
                         unsigned room);
/* Nothing is under way. Any thread. */
void asy_completions_close(struct completions *completions);

/* May this thread enter it? Only the one that opened it. In others, what begins is refused. */
static inline bool asy_completions_is_here(const struct completions *completions)
{
    return completions->thread == (uintptr_t)__builtin_thread_pointer();
}

/* The owner's thread from here on, all of them. */
void asy_op_begin(struct completions *completions, struct asy_op *op);
/* True: the kernel had not seen it, and it is idle; no `done` comes. */
bool asy_op_take_back(struct completions *completions, struct asy_op *op);
/* A request. The last `done` still comes, with whatever the operation has achieved. Again, or for one that is
 * idle: nothing. */
void asy_op_cancel(struct completions *completions, struct asy_op *op);

/*
 * Hands over what has begun, and waits for a completion until timeout_ns have passed (0: does not wait,
 * negative: no limit); a ring that cooperates need not be waited for, since epoll tells. 0, -EINTR, or an
 * error that the next time may not have (-EAGAIN, -EBUSY, -ENOMEM). Where the kernel will take nothing any
 * more, or nothing that it has would make room, what has begun is refused.
 */
int asy_completions_enter(struct completions *completions, int64_t timeout_ns);
/* How soon a kernel that did not take all of it is asked again. */
#define ASY_ASK_AGAIN_NS INT64_C(1000000)
/* Calls `done` for completions that are there, `most` at most. Returns how many it took. */
unsigned asy_completions_reap(struct completions *completions, unsigned most);
/* The same for one operation, which the kernel has, and all of them: what came before for others is told
 * later. */
void asy_completions_tell(struct completions *completions, const struct asy_op *op);
/* Is there anything to reap? */
static inline bool asy_completions_has_any(const struct completions *completions)
{
    return asy_ring_has_any(&completions->ring) || !list_is_empty(&completions->refused);
}
/* Operations and requests that the kernel has not been told of. */
static inline bool asy_completions_has_unsent(const struct completions *completions)
{
    return asy_ring_queued(&completions->ring) || !list_is_empty(&completions->waiting);
}
/* Would a poll bring anything? */
static inline bool asy_completions_needs_poll(const struct completions *completions)
{
    return asy_completions_has_any(completions) || asy_completions_has_unsent(completions) ||
           asy_ring_is_due(&completions->ring);
}
/* Cancels everything, and waits until nothing is under way, but no longer than so. False: the kernel still
 * has something, and its memory must stay. Nothing begins any more. */
bool asy_completions_end(struct completions *completions, int64_t timeout_ns);

#endif
