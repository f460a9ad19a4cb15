/*
 * Files: references, and closing, which may wait for a disk or a server and so is done by a thread.
 */
#include "asyncio/errors.h"
#include "asyncio/files.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "fd/fd_table.h"
#include "fd/file.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>

/* ---- References -------------------------------------------------------------------------- */

/* On this thread. The loop knows nothing of the descriptor any more. */
static int close_here(int fd)
{
    struct file_op op = {.code = FILE_CLOSE, .fd = fd};
    asy_file_run(&op);
    return (int)op.result;
}

/* Relaxed: the caller has a reference already, so nothing has to be ordered. */
asyncio_file *asy_file_ref(asyncio_file *file)
{
    if (file)
        atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
    return file;
}

/* True: the file has no reference any more. Release and acquire: each thread is done with the file before the
 * last one closes and frees it. */
static bool drop_ref(asyncio_file *file)
{
    uint32_t before = atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel);
    ASY_ASSERT(before > 0);
    if (before > 1)
        return false;
    if (!file->keeps_fd)
        close_here(file->fd);
    return true;
}

/* No quarantine: the loop whose it would be may be over. */
void asy_file_unref(asyncio_file *file)
{
    if (file && drop_ref(file))
        asy_slab_free(file, asy_file_bytes(file->path));
}

/* ---- Descriptors -------------------------------------------------------------------------- */

/* A cancelled task does not wait any longer; the thread closes the descriptor all the same. */
static bool leave_close(struct wait *wait)
{
    struct work *work = wait->object;
    work->wait = NULL;
    asy_wait_wake(wait, -ECANCELED);
    return true;
}

static const struct wait_kind close_kind = {
    .name = "closing a file", .cancel = leave_close, .shape = FILE_WORK_SHAPE};

static struct file_work *make_close_work(int fd)
{
    struct file_work *work = asy_sys_calloc(1, sizeof *work);
    if (!work)
        return NULL;
    work->op = (struct file_op){.code = FILE_CLOSE, .fd = fd};
    work->work.goes_on = true; /* nobody else has the descriptor */
    return work;
}

/* On a thread, and nobody waits. */
static void close_behind(asyncio_loop *loop, int fd)
{
    struct file_work *work = make_close_work(fd);
    if (work && asy_file_start(loop, work, NULL) == 0)
        return;
    asy_sys_free(work);
    close_here(fd);
}

/* On a thread, and the task waits. */
static int close_waiting(asyncio_loop *loop, int fd)
{
    int err = asy_cancel_deliver(loop->current);
    if (err) {
        close_behind(loop, fd);
        return err;
    }
    struct file_work *work = make_close_work(fd);
    if (!work)
        return close_here(fd);
    err = asy_file_wait(loop, work, NULL, &close_kind);
    if (err)
        return err == -ECANCELED ? err : close_here(fd);
    err = (int)work->op.result;
    asy_file_work_free(&work->work);
    return err;
}

enum close_manner {
    CLOSE_AWAITED, /* by the calling task, if there is one */
    CLOSE_BEHIND,  /* nobody waits */
};

/* Closing a file that was written may take a while: a thread does it, where there is one. */
static int close_file_fd(const asyncio_file *file, enum close_manner manner)
{
    asyncio_loop *loop = file->loop;
    int fd = file->fd;
    if (!file->can_write || asy_loop_unusable(loop) || loop->backend->ops->is_virtual)
        return close_here(fd);
    if (manner == CLOSE_AWAITED && loop->current)
        return close_waiting(loop, fd);
    close_behind(loop, fd);
    return 0;
}

/* ---- Files --------------------------------------------------------------------------------- */

/* The program has closed the file, and no task is in a call of it. */
static int release_file(asyncio_file *file, enum close_manner manner)
{
    asyncio_loop *loop = file->loop;
    int err = 0;
    /* Acquire: a thread that has dropped its reference is done with the descriptor. */
    if (!file->keeps_fd && atomic_load_explicit(&file->refs, memory_order_acquire) == 1) {
        file->keeps_fd = true;
        err = close_file_fd(file, manner);
        asy_file_report_error(err, "close", file->path);
    }
    if (drop_ref(file))
        asy_object_free(loop, file, asy_file_bytes(file->path));
    asy_loop_object_freed(loop);
    return err;
}

void asy_file_release(asyncio_file *file)
{
    release_file(file, CLOSE_BEHIND);
}

static int end_file(asyncio_file *file, enum close_manner manner)
{
    bool is_usable = !asy_loop_unusable(file->loop);
    struct fd_record *record = is_usable && !file->keeps_fd ? asy_fd_find(file->loop, file->fd) : NULL;
    file->what = NULL;
    if (record)
        asy_fd_drop(file->loop, record); /* calls that wait find out */
    if (file->calls && is_usable)
        return 0; /* the last call takes it along */
    return release_file(file, manner);
}

int asyncio_file_close(asyncio_file *file)
{
    if (!file)
        return 0;
    asy_file_check(file, __func__);
    return end_file(file, CLOSE_AWAITED);
}

void asy_file_drop(asyncio_file *file)
{
    end_file(file, CLOSE_BEHIND);
}
