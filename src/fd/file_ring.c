/*
 * Calls on files by a ring (backend/completion.h), in place of threads: the kernel does at once what it can,
 * and has threads of its own for the rest. A call is a block of its own, with the loop's other affairs abroad
 * until it is done; its task waits, since the call uses the task's memory.
 *
 * Whatever the ring cannot do falls back to the threads, from where the ring has left it: an operation that
 * this kernel does not know, an entry that was refused, an answer that is not for a caller (-EAGAIN, -EINTR).
 */
#include "asyncio/errors.h"
#include "backend/completion.h"
#include "backend/uring.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/report.h"
#include "fd/file.h"
#include "fd/file_op.h"
#include "sys/files.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>

/* What the kernel moves at most in one call. */
#define MOVED_MAX 0x7ffff000
/* While so many calls are under way, with those that are not sent yet, no other one is tried at once. */
#define CROWD 4

/* Tests write it. Nothing is ordered by it. */
_Atomic int64_t asy_file_close_ns = INT64_C(5000000000);

struct ring_call {
    struct asy_op op;
    struct abroad abroad;
    struct file_op call;
    asyncio_loop *loop;
    asyncio_file *file;
    struct wait *wait; /* of the task; NULL: it never runs again */
    int tid;           /* for tools: 0, no thread of ours has it */
    bool is_cancelled;
    struct statx status;
};

/* ---- Whether --------------------------------------------------------------------------------- */

static struct completions *find_ring(asyncio_loop *loop)
{
    struct asy_backend *backend = loop->backend;
    bool is_allowed = backend->ops->files && !loop->is_strict && !loop->director;
    return is_allowed ? backend->ops->files(backend) : NULL;
}

/* A call at once costs a system call, and an entry in the ring a share of one. */
bool asy_file_is_crowded(asyncio_loop *loop)
{
    const struct completions *ring = loop->backend->files_ring;
    return ring && ring->under_way >= CROWD && find_ring(loop);
}

/* ---- As an entry ----------------------------------------------------------------------------- */

/* The operation of a call, or -1: threads do it. */
static int ring_code(enum file_code code)
{
    switch (code) {
    case FILE_OPEN:
        return IORING_OP_OPENAT;
    case FILE_READ:
        return IORING_OP_READ;
    case FILE_WRITE:
        return IORING_OP_WRITE;
    case FILE_SYNC:
        return IORING_OP_FSYNC;
    case FILE_TRUNCATE:
        return ASY_OP_FTRUNCATE;
    case FILE_STAT:
    case FILE_PATH_STAT:
        return IORING_OP_STATX;
    case FILE_UNLINK:
    case FILE_RMDIR:
        return IORING_OP_UNLINKAT;
    case FILE_RENAME:
        return IORING_OP_RENAMEAT;
    case FILE_MKDIR:
        return IORING_OP_MKDIRAT;
    default:
        return -1;
    }
}

static void prepare_transfer(const struct file_op *call, struct io_uring_sqe *sqe)
{
    size_t left = call->n - call->done;
    sqe->fd = call->fd;
    sqe->addr = (uintptr_t)call->buf + call->done;
    sqe->len = (uint32_t)(left < MOVED_MAX ? left : MOVED_MAX);
    sqe->off = call->offset < 0 ? UINT64_MAX : (uint64_t)call->offset + call->done;
}

static void prepare_stat(struct ring_call *ring_call, struct io_uring_sqe *sqe)
{
    const struct file_op *call = &ring_call->call;
    bool is_path = call->code == FILE_PATH_STAT;
    sqe->fd = is_path ? AT_FDCWD : call->fd;
    sqe->addr = (uintptr_t)(is_path ? call->path : "");
    sqe->len = STATX_BASIC_STATS;
    sqe->off = (uintptr_t)&ring_call->status;
    sqe->statx_flags = !is_path ? AT_EMPTY_PATH : call->flags ? AT_SYMLINK_NOFOLLOW : 0;
    sqe->statx_flags |= AT_NO_AUTOMOUNT;
}

static void prepare_path(const struct file_op *call, struct io_uring_sqe *sqe)
{
    sqe->fd = AT_FDCWD;
    sqe->addr = (uintptr_t)call->path;
    switch (call->code) {
    case FILE_OPEN: /* a FIFO's other end is not waited for: it may never come */
        sqe->open_flags = (uint32_t)(call->flags | O_NONBLOCK | O_CLOEXEC);
        sqe->len = call->mode;
        break;
    case FILE_MKDIR:
        sqe->len = call->mode;
        break;
    case FILE_RMDIR:
        sqe->unlink_flags = AT_REMOVEDIR;
        break;
    case FILE_RENAME:
        sqe->len = (uint32_t)AT_FDCWD;
        sqe->addr2 = (uintptr_t)call->to;
        break;
    default:
        break;
    }
}

static void prepare_file(struct asy_op *op, struct io_uring_sqe *sqe)
{
    struct ring_call *ring_call = (struct ring_call *)op;
    const struct file_op *call = &ring_call->call;
    sqe->opcode = (uint8_t)ring_code(call->code);
    switch (call->code) {
    case FILE_READ:
    case FILE_WRITE:
        prepare_transfer(call, sqe);
        break;
    case FILE_SYNC:
        sqe->fd = call->fd;
        sqe->fsync_flags = call->flags == FILE_SYNC_DATA ? IORING_FSYNC_DATASYNC : 0;
        break;
    case FILE_TRUNCATE:
        sqe->fd = call->fd;
        sqe->off = (uint64_t)call->offset;
        break;
    case FILE_STAT:
    case FILE_PATH_STAT:
        prepare_stat(ring_call, sqe);
        break;
    default:
        prepare_path(call, sqe);
        break;
    }
}

/* ---- Its answer ------------------------------------------------------------------------------ */

static bool is_transfer(const struct file_op *call)
{
    return call->code == FILE_READ || call->code == FILE_WRITE;
}

/* Bytes were moved: is there more to do? As file_op.c's threads have it. */
static bool has_rest(struct file_op *call, int moved)
{
    call->done += (size_t)moved;
    return moved > 0 && call->done < call->n && !call->partial;
}

/* What the caller is told of a transfer that has come to an end. Bytes that were moved are told, unless a
 * cancelled read can be made again. */
static intptr_t judge_transfer(const struct file_op *call, int result)
{
    bool is_repeatable = call->code == FILE_READ && call->offset >= 0;
    if (result >= 0 || (call->done && !(result == -ECANCELED && is_repeatable)))
        return (intptr_t)call->done;
    return result;
}

static intptr_t judge_answer(struct ring_call *ring_call, int result)
{
    struct file_op *call = &ring_call->call;
    if (is_transfer(call))
        return judge_transfer(call, result);
    if (call->code == FILE_OPEN && result >= 0)
        return asy_sys_opened(result);
    if (ring_code(call->code) == IORING_OP_STATX && result == 0)
        asy_sys_from_statx(&ring_call->status, call->status);
    return result;
}

static bool is_for_threads(const struct ring_call *call, const struct asy_done *what)
{
    bool is_stray = what->result == -ECANCELED && !call->is_cancelled; /* its thread has ended */
    return what->is_refused || is_stray || what->result == -EAGAIN || what->result == -EINTR;
}

/* A descriptor that nobody has taken is closed. */
static void free_ring_call(struct ring_call *call)
{
    ASY_ASSERT(call->op.state == OP_IDLE);
    if (call->call.code == FILE_OPEN && call->call.result >= 0)
        asy_sys_close((int)call->call.result);
    asy_file_unref(call->file);
    asy_slab_free(call, sizeof *call);
}

static void file_done(struct asy_op *op, const struct asy_done *what)
{
    struct ring_call *call = (struct ring_call *)op;
    struct wait *wait = call->wait;
    bool is_dead = !wait || call->loop->is_closed;
    if (!is_dead && is_transfer(&call->call) && what->result > 0 && has_rest(&call->call, what->result)) {
        asy_op_begin(call->loop->backend->files_ring, op);
        if (call->is_cancelled)
            asy_op_cancel(call->loop->backend->files_ring, op);
        return;
    }
    list_remove(&call->abroad.node);
    call->call.result = is_for_threads(call, what) ? ASY_FILE_BY_THREAD : judge_answer(call, what->result);
    call->wait = NULL;
    if (is_dead)
        free_ring_call(call);
    else
        asy_wait_wake(wait, 0);
}

static const struct asy_op_kind file_op_kind = {prepare_file, file_done};

/* ---- Waited for ------------------------------------------------------------------------------ */

/* A call that the kernel has begun is waited for: it uses the caller's memory. */
static bool cancel_ring_call(struct wait *wait)
{
    struct ring_call *call = wait->object;
    struct completions *ring = call->loop->backend->files_ring;
    if (!asy_op_take_back(ring, &call->op)) {
        call->is_cancelled = true;
        asy_op_cancel(ring, &call->op);
        return false;
    }
    list_remove(&call->abroad.node);
    call->wait = NULL;
    call->call.result = is_transfer(&call->call) ? judge_transfer(&call->call, -ECANCELED) : -ECANCELED;
    asy_wait_wake(wait, 0);
    return false; /* its task takes the request when it runs */
}

/* The call is done, and its task never hears of it. */
static void revoke_ring_call(struct wait *wait)
{
    free_ring_call(wait->object);
}

static const struct wait_kind ring_kind = {
    .name = "a file",
    .cancel = cancel_ring_call,
    .revoke = revoke_ring_call,
    .shape = {.kind = SHAPE_WORK,
              .at = {offsetof(struct ring_call, tid), 0, offsetof(struct ring_call, call.fd),
                     offsetof(struct ring_call, call.path)}},
};

/* Before anything of the loop's goes, the kernel is done with all calls: it writes to the memory of tasks. */
static void ring_call_loop_closes(struct abroad *abroad)
{
    struct ring_call *call = LIST_ENTRY(abroad, struct ring_call, abroad);
    asyncio_loop *loop = call->loop;
    struct completions *ring = loop->backend->files_ring;
    call->wait = NULL;
    if (ring->is_ending || asy_completions_end(ring, asy_file_close_ns))
        return;
    asy_report_site(
        loop, NULL, -EBUSY,
        "the loop closed over %zu calls on files that the kernel does not end; their memory is kept",
        ring->under_way);
}

static struct ring_call *make_ring_call(asyncio_loop *loop, asyncio_file *file, const struct file_op *op)
{
    struct ring_call *call = asy_slab_alloc(sizeof *call);
    if (!call)
        return NULL;
    *call = (struct ring_call){.loop = loop, .call = *op, .abroad.loop_closes = ring_call_loop_closes};
    asy_op_init(&call->op, &file_op_kind);
    list_init(&call->abroad.node);
    call->file = asy_file_ref(file);
    return call;
}

/* Parks the task until the call is done. */
static void await_ring_call(struct completions *ring, struct ring_call *call)
{
    asyncio_loop *loop = call->loop;
    struct wait wait;
    asy_wait_init(&wait, loop->current, &ring_kind, call);
    call->wait = &wait;
    list_append(&loop->abroad.entries, &call->abroad.node);
    asy_op_begin(ring, &call->op);
    asy_wait_park(&wait);
}

static struct completions *find_ring_for(asyncio_loop *loop, enum file_code code)
{
    int ring_op = ring_code(code);
    struct completions *ring = ring_op < 0 ? NULL : find_ring(loop);
    return ring && asy_uring_knows((unsigned)ring_op) ? ring : NULL;
}

intptr_t asy_file_ring_call(asyncio_loop *loop, asyncio_file *file, struct file_op *op)
{
    struct completions *ring = find_ring_for(loop, op->code);
    if (!ring)
        return ASY_FILE_BY_THREAD;
    int err = asy_cancel_deliver(loop->current);
    if (err)
        return err;
    struct ring_call *call = make_ring_call(loop, file, op);
    if (!call)
        return -ENOMEM;
    await_ring_call(ring, call);
    intptr_t result = call->call.result;
    op->done = call->call.done;
    call->call.result = -ECANCELED; /* taken */
    free_ring_call(call);
    if (result != -ECANCELED)
        return result;
    /* Without a request, which may have been withdrawn, nobody may be told. */
    return loop->current->must_cancel ? asy_cancel_take(loop->current) : ASY_FILE_BY_THREAD;
}
