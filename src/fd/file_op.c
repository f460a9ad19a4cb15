/*
 * Calls on files, carried out. See file_op.h.
 */
#include "fd/file_op.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/message.h"
#include "fd/file.h"
#include "sys/files.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

#define FILE_THREADS 8
/* A read of more holds up the loop for longer than another thread takes to begin. */
#define TRY_BYTES_MAX (256 * 1024)
/* The page cache has a file in multiples of this. */
#define CACHE_UNIT 4096

static struct pool file_threads = POOL_INIT(file_threads, FILE_THREADS, 0, "asyncio-files");

/* ---- At once ---------------------------------------------------------------------------- */

#define MISSES_FREE 3
#define MISSES_MAX 9

static bool is_worth_trying(struct try_history *luck)
{
    if (luck->never)
        return false;
    if (luck->skip) {
        luck->skip--;
        return false;
    }
    return true;
}

/* Notes what a call at once has led to. True: the result is the answer. */
static bool is_answer(struct try_history *luck, intptr_t result)
{
    ASY_ASSERT(luck->misses <= MISSES_MAX);
    if (result == -EAGAIN) {
        luck->misses = luck->misses < MISSES_MAX ? luck->misses + 1 : MISSES_MAX;
        luck->skip = (uint8_t)(luck->misses > MISSES_FREE ? 1 << (luck->misses - MISSES_FREE) : 0);
        return false;
    }
    luck->misses = 0;
    return true;
}

static bool is_unsupported(intptr_t err)
{
    return err == -EOPNOTSUPP || err == -ENOSYS || err == -EINVAL || err == -ESPIPE;
}

/* A short read that ends within a unit of the cache has come to the end of the file; one that ends with a
 * unit may have, or the next is not there yet. Nobody knows where a read at the descriptor's own position
 * ends. */
static bool ends_within_unit(const struct file_op *op)
{
    return op->offset >= 0 && (op->offset + (off_t)op->done) % CACHE_UNIT != 0;
}

static bool try_read(struct file_op *op)
{
    if (op->n > TRY_BYTES_MAX || !is_worth_trying(op->luck))
        return false;
    for (;;) {
        off_t offset = op->offset < 0 ? -1 : op->offset + (off_t)op->done;
        ssize_t got = asy_sys_read_cached(op->fd, (char *)op->buf + op->done, op->n - op->done, offset);
        if (!is_answer(op->luck, got))
            return op->done && op->partial;
        if (is_unsupported(got)) {
            op->luck->never = true;
            return false;
        }
        if (got < 0)
            op->result = op->done ? (intptr_t)op->done : got;
        else
            op->result = (intptr_t)(op->done += (size_t)got);
        if (got <= 0 || op->done == op->n || op->partial || ends_within_unit(op))
            return true;
    }
}

/* Paths are looked up in memory or not at all; that says nothing of where they lead, so that all share it. */
static THREAD_LOCAL struct try_history path_luck;

/* A descriptor; an error that no thread would get rid of; or -EAGAIN. */
static int open_cached(const char *path, int flags)
{
    if (!is_worth_trying(&path_luck))
        return -EAGAIN;
    int fd = asy_sys_open_cached(path, flags);
    if (!is_answer(&path_luck, fd))
        return -EAGAIN;
    path_luck.never = fd == -ENOSYS;
    bool is_final =
        fd >= 0 || fd == -ENOENT || fd == -ENOTDIR || fd == -EACCES || fd == -ELOOP || fd == -ENXIO;
    return is_final ? fd : -EAGAIN;
}

/* A call that makes or cuts a file has to write, and a FIFO has to wait for its other end: neither is opened
 * here. */
static bool try_open(struct file_op *op)
{
    if (op->flags & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))
        return false;
    op->result = open_cached(op->path, op->flags | O_NONBLOCK);
    return op->result != -EAGAIN;
}

static bool try_stat(struct file_op *op)
{
    op->result = asy_sys_fstat_cached(op->fd, op->status);
    return op->result == 0;
}

static bool try_path_stat(struct file_op *op)
{
    int fd = open_cached(op->path, O_PATH | op->flags);
    if (fd < 0) {
        op->result = fd;
        return fd != -EAGAIN;
    }
    op->result = asy_sys_fstat_cached(fd, op->status);
    asy_sys_close(fd);
    return op->result == 0;
}

bool asy_file_try(struct file_op *op)
{
    if (UNLIKELY(asy_running_loop->director != NULL))
        return false; /* what the kernel has in memory differs from run to run */
    if (asy_file_is_crowded(asy_running_loop))
        return false;
    switch (op->code) {
    case FILE_OPEN:
        return try_open(op);
    case FILE_READ:
        return try_read(op);
    case FILE_STAT:
        return try_stat(op);
    case FILE_PATH_STAT:
        return try_path_stat(op);
    default:
        return false;
    }
}

/* ---- On any thread, blocking -------------------------------------------------------------- */

/* No thread waits for a FIFO's other end, which may never come. A file that is on lease is waited for. */
static int run_open(const struct file_op *op)
{
    int fd = asy_sys_open(op->path, op->flags | O_NONBLOCK, op->mode);
    return fd == -EAGAIN ? asy_sys_open(op->path, op->flags, op->mode) : fd;
}

/* Behind what was read before, up to the end: one call gives 2 GiB at most, and of /proc a page or so.
 * An error comes again with the next call, if it lasts. */
static ssize_t run_read(struct file_op *op)
{
    for (;;) {
        off_t offset = op->offset < 0 ? -1 : op->offset + (off_t)op->done;
        ssize_t got = asy_sys_read_at(op->fd, (char *)op->buf + op->done, op->n - op->done, offset);
        if (got < 0 && !op->done)
            return got;
        if (got <= 0 || (op->done += (size_t)got) == op->n || op->partial)
            return (ssize_t)op->done;
    }
}

static ssize_t run_write(struct file_op *op)
{
    for (;;) {
        off_t offset = op->offset < 0 ? -1 : op->offset + (off_t)op->done;
        ssize_t put = asy_sys_write_at(op->fd, (const char *)op->buf + op->done, op->n - op->done, offset);
        if (put < 0 && !op->done)
            return put;
        if (put <= 0 || (op->done += (size_t)put) == op->n)
            return (ssize_t)op->done;
    }
}

static intptr_t perform(struct file_op *op)
{
    switch (op->code) {
    case FILE_OPEN:
        return run_open(op);
    case FILE_CLOSE:
        return asy_sys_close(op->fd);
    case FILE_READ:
        return run_read(op);
    case FILE_WRITE:
        return run_write(op);
    case FILE_SEEK:
        return asy_sys_lseek(op->fd, op->offset, op->flags);
    case FILE_SYNC:
        return asy_sys_fsync(op->fd, op->flags == FILE_SYNC_DATA);
    case FILE_TRUNCATE:
        return asy_sys_ftruncate(op->fd, op->offset);
    case FILE_STAT:
        return asy_sys_fstat(op->fd, op->status);
    case FILE_COPY:
        return asy_copy_run(op);
    case FILE_PATH_STAT:
        return asy_sys_stat_path(op->path, !op->flags, op->status);
    case FILE_UNLINK:
        return asy_sys_unlink(op->path);
    case FILE_RENAME:
        return asy_sys_rename(op->path, op->to);
    case FILE_MKDIR:
        return asy_sys_mkdir(op->path, op->mode);
    case FILE_RMDIR:
        return asy_sys_rmdir(op->path);
    case FILE_SCAN:
        return asy_scan_run(op->path, &op->dirents);
    }
    return -ENOSYS;
}

void asy_file_run(struct file_op *op)
{
    op->result = perform(op);
}

/* ---- On a thread of ours --------------------------------------------------------------------- */

/* With the loop closed, the tasks that lent buffers and paths are gone: only a close, which needs none, is
 * still done. Relaxed: to read the flag a moment too early is the same as to have begun a moment earlier. */
static void run_work(struct work *base)
{
    struct file_work *work = (struct file_work *)base;
    bool is_orphan = __atomic_load_n(&base->loop->is_closed, __ATOMIC_RELAXED);
    if (is_orphan && work->op.code != FILE_CLOSE)
        work->op.result = -ECANCELED;
    else
        asy_file_run(&work->op);
}

/* A descriptor or a table of entries that no caller has taken goes, too. */
void asy_file_work_free(struct work *base)
{
    struct file_work *work = (struct file_work *)base;
    if (work->op.code == FILE_OPEN && work->op.result >= 0)
        asy_sys_close((int)work->op.result);
    asyncio_dirents_destroy(&work->op.dirents);
    asy_file_unref(work->file);
    asy_sys_free(work);
}

static void prepare_work(struct file_work *work, asyncio_file *file)
{
    ASY_ASSERT(!work->file && !work->work.loop);
    work->work.run = run_work;
    work->work.free = asy_file_work_free;
    work->file = asy_file_ref(file);
}

int asy_file_start(asyncio_loop *loop, struct file_work *work, asyncio_file *file)
{
    prepare_work(work, file);
    int err = asy_offload(&file_threads, loop, &work->work);
    if (err)
        asy_file_unref(file);
    return err;
}

int asy_file_wait(asyncio_loop *loop, struct file_work *work, asyncio_file *file,
                  const struct wait_kind *kind)
{
    prepare_work(work, file);
    return asy_offload_wait_as(&file_threads, loop, &work->work, kind);
}

/* Bytes that the descriptor's own position has passed are the caller's: a read that gets no further has
 * them as its result, and a request to cancel stays. */
static bool has_taken(const struct file_op *op)
{
    return op->done && op->offset < 0;
}

/* A call that a thread has begun is waited for: it uses the caller's memory. */
static bool cancel_file_work(struct wait *wait)
{
    struct work *work = wait->object;
    if (!asy_offload_take_back(work))
        return false;
    bool is_delivered = !has_taken(&((struct file_work *)work)->op);
    work->wait = NULL;
    work->free(work);
    asy_wait_wake(wait, -ECANCELED);
    return is_delivered;
}

static const struct wait_kind file_kind = {
    .name = "a file", .cancel = cancel_file_work, .shape = FILE_WORK_SHAPE};

intptr_t asy_file_offload(asyncio_file *file, struct file_op *op)
{
    asyncio_loop *loop = asy_running_loop;
    if (loop->backend->ops->is_virtual && !loop->director) {
        asy_file_run(op);
        return op->result;
    }
    if (has_taken(op) && loop->current->must_cancel)
        return (intptr_t)op->done;
    intptr_t result = asy_file_ring_call(loop, file, op);
    if (result != ASY_FILE_BY_THREAD)
        return result < 0 && has_taken(op) ? (intptr_t)op->done : result;
    struct file_work *work = asy_sys_calloc(1, sizeof *work);
    if (work) {
        work->op = *op;
        work->op.result = -ECANCELED;
    }
    int err = work ? asy_file_wait(loop, work, file, &file_kind) : -ENOMEM;
    if (err)
        return has_taken(op) ? (intptr_t)op->done : err;
    *op = work->op;
    work->op.result = -ECANCELED; /* taken */
    work->op.dirents = (asyncio_dirents){0};
    asy_file_work_free(&work->work);
    return op->result;
}

intptr_t asy_file_call(asyncio_file *file, struct file_op *op)
{
    return asy_file_try(op) ? op->result : asy_file_offload(file, op);
}

/* ---- In words ------------------------------------------------------------------------------------ */

intptr_t asy_file_report_error(intptr_t result, const char *verb, const char *path)
{
    char words[ASY_WORDS];
    if (result < 0 && result != -ECANCELED && result != ASYNCIO_ENOTASK)
        asyncio_raise(result, "%s %s: %s", verb, path, asy_words(result, words));
    return result;
}
