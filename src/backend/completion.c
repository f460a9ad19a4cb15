/*
 * Operations and the ring that carries them out. See completion.h.
 *
 * user_data of an entry is the operation's address with its generation in the top 16 bits; 0: a request to
 * cancel, whose own completion tells nothing. A request names the operation and its generation, so that it
 * never ends what began later in the same place.
 */
#include "backend/completion.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>

#define GENERATION_SHIFT 48
#define ADDRESS_MASK ((UINT64_C(1) << GENERATION_SHIFT) - 1)
#define NO_OP 0
/* How long the end sleeps, at most, before it asks again for what the kernel refused to do. */
#define LOOK_MS 10
/* What the kernel says to itself of a call that a signal interrupted (ERESTARTSYS and those behind it). Of an
 * operation that its own threads carry out it may reach us. */
#define RESTARTS_FROM 512

/* ---- Names --------------------------------------------------------------------------------- */

static uint64_t name_op(const struct asy_op *op)
{
    return (uint64_t)op->generation << GENERATION_SHIFT | ((uintptr_t)op & ADDRESS_MASK);
}

static struct asy_op *op_named(uint64_t name)
{
    return (struct asy_op *)(uintptr_t)(name & ADDRESS_MASK);
}

/* ---- Begun ---------------------------------------------------------------------------------- */

static bool is_with_kernel(const struct asy_op *op)
{
    return op->state == OP_UNDER_WAY || op->state == OP_CANCELLING;
}

static void refuse_op(struct completions *completions, struct asy_op *op, int why)
{
    list_remove(&op->node);
    op->state = OP_REFUSED;
    op->refusal = why;
    list_append(&completions->refused, &op->node);
}

static void settle_op(struct completions *completions, struct asy_op *op)
{
    ASY_ASSERT(completions->under_way > 0 && op->state != OP_IDLE);
    list_remove(&op->node);
    op->state = OP_IDLE;
    completions->under_way--;
    completions->ended++;
}

/* False: there is no room. */
static bool place_op(struct completions *completions, struct asy_op *op)
{
    struct io_uring_sqe *sqe = asy_ring_next(&completions->ring);
    if (!sqe)
        return false;
    op->kind->prepare(op, sqe);
    sqe->user_data = name_op(op);
    op->state = OP_UNDER_WAY;
    return true;
}

static bool place_cancel(struct completions *completions, const struct asy_op *op)
{
    struct io_uring_sqe *sqe = asy_ring_next(&completions->ring);
    if (!sqe)
        return false;
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->fd = -1;
    sqe->addr = name_op(op);
    sqe->user_data = NO_OP;
    return true;
}

/* In the order in which they came. */
static void place_waiting(struct completions *completions)
{
    LIST_EACH_SAFE(node, next, &completions->waiting) {
        struct asy_op *op = LIST_ENTRY(node, struct asy_op, node);
        bool is_placed = op->state == OP_WAITING ? place_op(completions, op) : place_cancel(completions, op);
        if (!is_placed)
            return;
        list_remove(&op->node);
    }
}

HOT void asy_op_begin(struct completions *completions, struct asy_op *op)
{
    ASY_ASSERT(op->state == OP_IDLE && op->kind);
    op->generation++;
    op->state = OP_WAITING;
    completions->under_way++;
    completions->begun++;
    if (UNLIKELY(completions->is_broken || completions->is_ending))
        refuse_op(completions, op, -ECANCELED);
    else if (!list_is_empty(&completions->waiting) || !place_op(completions, op))
        list_append(&completions->waiting, &op->node);
}

/* ---- Given up ------------------------------------------------------------------------------- */

/* The entry of an operation, if the kernel has not taken it. */
static struct io_uring_sqe *find_queued_entry(struct completions *completions, const struct asy_op *op)
{
    uint32_t queued = asy_ring_queued(&completions->ring);
    for (uint32_t i = queued; i > 0; i--) {
        struct io_uring_sqe *sqe = asy_ring_queued_at(&completions->ring, i - 1);
        if (sqe->user_data == name_op(op))
            return sqe;
    }
    return NULL;
}

static void clear_entry(struct io_uring_sqe *sqe)
{
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = NO_OP};
}

bool asy_op_take_back(struct completions *completions, struct asy_op *op)
{
    ASY_ASSERT(op->state != OP_IDLE);
    if (is_with_kernel(op)) {
        struct io_uring_sqe *sqe = find_queued_entry(completions, op);
        if (!sqe)
            return false;
        clear_entry(sqe);
    }
    settle_op(completions, op);
    return true;
}

void asy_op_cancel(struct completions *completions, struct asy_op *op)
{
    if (op->state == OP_WAITING) {
        refuse_op(completions, op, -ECANCELED);
    } else if (op->state == OP_UNDER_WAY) {
        op->state = OP_CANCELLING;
        if (!list_is_empty(&completions->waiting) || !place_cancel(completions, op))
            list_append(&completions->waiting, &op->node);
    }
}

/* ---- Handed over ---------------------------------------------------------------------------- */

/* What the kernel has not taken is refused: operations are done elsewhere, or fail, and requests to cancel
 * are lost. */
static void refuse_unsent(struct completions *completions, int why)
{
    uint32_t queued = asy_ring_queued(&completions->ring);
    for (uint32_t i = 0; i < queued; i++) {
        struct asy_op *op = op_named(asy_ring_queued_at(&completions->ring, i)->user_data);
        if (op)
            refuse_op(completions, op, why);
    }
    asy_ring_forget_queued(&completions->ring);
    LIST_EACH_SAFE(node, next, &completions->waiting) {
        struct asy_op *op = LIST_ENTRY(node, struct asy_op, node);
        if (op->state == OP_WAITING)
            refuse_op(completions, op, why);
        else
            list_remove(&op->node);
    }
}

/* Does the kernel have an operation? */
static bool has_sent(const struct completions *completions)
{
    size_t unsent = 0;
    uint32_t queued = asy_ring_queued(&completions->ring);
    for (uint32_t i = 0; i < queued; i++)
        unsent += asy_ring_queued_at(&completions->ring, i)->user_data != NO_OP;
    LIST_EACH(node, &completions->waiting)
        unsent += LIST_ENTRY(node, struct asy_op, node)->state == OP_WAITING;
    LIST_EACH(node, &completions->refused)
        unsent++;
    ASY_ASSERT(completions->under_way >= unsent);
    return completions->under_way > unsent;
}

static bool is_passing_error(int err)
{
    return err == -EAGAIN || err == -EBUSY || err == -ENOMEM || err == -EINTR;
}

/* What is short now comes back with the completions of what the kernel has; if that is nothing, waiting
 * would be for ever. */
static int judge_failed_enter(struct completions *completions, int err)
{
    if (!is_passing_error(err)) {
        completions->is_broken = true;
        completions->broken_by = err;
    } else if (err == -EINTR || asy_completions_has_any(completions) || has_sent(completions)) {
        return err;
    }
    refuse_unsent(completions, err);
    return 0;
}

HOT int asy_completions_enter(struct completions *completions, int64_t timeout_ns)
{
    if (UNLIKELY(completions->is_broken || !asy_completions_is_here(completions))) {
        refuse_unsent(completions, -EEXIST);
        return 0;
    }
    for (;;) {
        place_waiting(completions);
        bool is_all = list_is_empty(&completions->waiting);
        bool waits = is_all && timeout_ns != 0 && !asy_completions_has_any(completions);
        int err = asy_ring_enter(&completions->ring, waits, waits ? timeout_ns : 0);
        if (UNLIKELY(!err && asy_ring_queued(&completions->ring)))
            err = -EAGAIN; /* it took a part of them, and had no memory for the rest */
        if (UNLIKELY(err))
            return judge_failed_enter(completions, err);
        if (is_all)
            return 0;
    }
}

/* ---- Told ----------------------------------------------------------------------------------- */

static void tell_refused(struct completions *completions)
{
    struct list refused;
    list_init(&refused);
    list_splice(&refused, &completions->refused); /* those of now, and none that `done` begins */
    struct list *node;
    while ((node = list_take_first(&refused))) {
        struct asy_op *op = LIST_ENTRY(node, struct asy_op, node);
        struct asy_done what = {.result = op->refusal, .is_last = true, .is_refused = true};
        settle_op(completions, op);
        op->kind->done(op, &what);
    }
}

static HOT void tell_completion(struct completions *completions, const struct io_uring_cqe *cqe)
{
    struct asy_op *op = op_named(cqe->user_data);
    if (!op || name_op(op) != cqe->user_data || !is_with_kernel(op))
        return;
    struct asy_done what = {
        .result = cqe->res, .flags = cqe->flags, .is_last = !(cqe->flags & IORING_CQE_F_MORE)};
    if (UNLIKELY(what.result <= -RESTARTS_FROM))
        what.result = -EINTR;
    if (what.is_last)
        settle_op(completions, op);
    op->kind->done(op, &what);
}

HOT unsigned asy_completions_reap(struct completions *completions, unsigned most)
{
    struct io_uring_cqe cqe;
    unsigned taken = 0;
    while (taken < most && asy_ring_take(&completions->ring, &cqe)) {
        tell_completion(completions, &cqe);
        taken++;
    }
    if (UNLIKELY(!list_is_empty(&completions->refused)))
        tell_refused(completions);
    return taken;
}

/* `done` may free the operation. */
void asy_completions_tell(struct completions *completions, const struct asy_op *op)
{
    const uint64_t name = name_op(op);
    struct io_uring_cqe *cqe;
    for (uint32_t i = 0; (cqe = asy_ring_at(&completions->ring, i)); i++) {
        if (cqe->user_data != name)
            continue;
        struct io_uring_cqe told = *cqe;
        cqe->user_data = NO_OP;
        tell_completion(completions, &told);
    }
}

/* ---- A ring's life -------------------------------------------------------------------------- */

int asy_completions_open(struct completions *completions, enum asy_ring_manner manner, unsigned entries,
                         unsigned room)
{
    struct asy_ring ring;
    int err = asy_ring_open(&ring, manner, entries, room);
    if (err)
        return err;
    *completions = (struct completions){.ring = ring, .thread = (uintptr_t)__builtin_thread_pointer()};
    list_init(&completions->waiting);
    list_init(&completions->refused);
    return 0;
}

void asy_completions_close(struct completions *completions)
{
    ASY_ASSERT(!completions->under_way && completions->begun == completions->ended);
    asy_ring_close(&completions->ring);
}

/* All that the kernel has. */
static void cancel_all(struct completions *completions)
{
    struct io_uring_sqe *sqe = asy_ring_next(&completions->ring);
    if (!sqe)
        return;
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->cancel_flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    sqe->user_data = NO_OP;
}

/* Another thread's ring, or a broken one, still tells by its descriptor. */
static void await_completion(struct completions *completions, int64_t timeout_ns)
{
    struct pollfd ring = {.fd = completions->ring.fd, .events = POLLIN};
    int err = asy_completions_enter(completions, timeout_ns);
    if (err || completions->is_broken || !asy_completions_is_here(completions))
        asy_sys_poll(&ring, 1, LOOK_MS);
}

bool asy_completions_end(struct completions *completions, int64_t timeout_ns)
{
    int64_t deadline_ns = asy_sys_now_ns() + timeout_ns, left_ns = timeout_ns;
    bool is_asked = false;
    completions->is_ending = completions->ring.is_ending = true;
    refuse_unsent(completions, -ECANCELED);
    for (;;) {
        asy_completions_reap(completions, UINT32_MAX);
        if (!completions->under_way)
            return true;
        if (!is_asked)
            cancel_all(completions);
        is_asked = true;
        if (left_ns <= 0)
            return false;
        await_completion(completions, left_ns);
        left_ns = deadline_ns - asy_sys_now_ns();
    }
}
