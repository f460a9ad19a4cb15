/*
 * Open files. See asyncio/files.h, and file_op.h for how calls are carried out.
 */
#include "asyncio/files.h"
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/loop.h"
#include "fd/fd_table.h"
#include "fd/file.h"
#include "fd/lengths.h"
#include "sys/files.h"
#include "sys/net.h"
#include "sys/process.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char asy_what_file[] = "file";

/* ---- Made ----------------------------------------------------------------------------- */

/* Makes one without a descriptor. */
static asyncio_file *make_file(asyncio_loop *loop, const char *path)
{
    size_t bytes = asy_file_bytes(path);
    asyncio_file *file = asy_slab_alloc(bytes);
    if (!file)
        return NULL;
    *file = (asyncio_file){.what = asy_what_file, .loop = loop, .fd = -1};
    atomic_init(&file->refs, 1);
    memcpy(file->path, path, bytes - sizeof *file);
    asy_loop_object_made(loop);
    return file;
}

/* ---- Calls ---------------------------------------------------------------------------------- */

static intptr_t end_file_call(asyncio_file *file, intptr_t result, const char *verb)
{
    ASY_ASSERT(file->calls > 0);
    asy_file_report_error(result, verb, file->path);
    if (--file->calls == 0 && !file->what)
        asy_file_release(file);
    return result;
}

/* 0: the call is in progress, until `end_file_call`. */
static int begin_file_call(asyncio_file *file, bool is_valid, const char *call)
{
    if (!file)
        return -EINVAL;
    asy_file_check(file, call);
    if (!file->loop->current)
        return ASYNCIO_ENOTASK;
    if (!is_valid)
        return -EINVAL;
    file->calls++;
    int err = asy_budget_spend(file->loop);
    if (!err && !file->what) /* closed meanwhile */
        err = -EBADF;
    return err ? (int)end_file_call(file, err, "use") : 0;
}

/* A call that needs the descriptor and nothing else of the file, and is in progress. */
static int finish_file_call(asyncio_file *file, struct file_op *op, const char *verb)
{
    op->fd = file->fd;
    return (int)end_file_call(file, asy_file_call(file, op), verb);
}

/* ---- Its kind ---------------------------------------------------------------------------------- */

/* A file without positions is waited for in the loop, if that is possible. */
static int settle_sequential(asyncio_file *file)
{
    struct fd_record *record = asy_fd_record(file->loop, file->fd);
    if (!record)
        return asy_fd_record_error(file->fd);
    asy_fd_record_reset(file->loop, record, NULL);
    int err = asy_fd_prepare(record);
    if (!err && record->kind != ASY_FD_SHARED)
        err = asy_fd_register(file->loop, record);
    if (err) {
        asy_fd_drop(file->loop, record);
        return err;
    }
    /* A FIFO that nobody has written to yet would look as if it were at its end. */
    if (record->mode == FD_EDGE)
        asy_fd_exhausted(record, FD_READ);
    file->kind = record->kind == ASY_FD_ALWAYS_READY ? FILE_PLAIN : FILE_POLLED;
    file->position = -1;
    return 0;
}

/* Finds out what kind of file it is, when that matters for the first time. */
static int settle_kind(asyncio_file *file)
{
    if (file->kind != FILE_FRESH)
        return 0;
    off_t at = asy_sys_lseek(file->fd, 0, SEEK_CUR);
    int err = at >= 0 ? 0 : (int)at;
    if (!err)
        file->kind = FILE_PLAIN;
    else if (err == -ESPIPE || err == -EINVAL)
        err = settle_sequential(file);
    if (!err && file->kind == FILE_PLAIN && !file->is_nonblocking) /* which was set to open it */
        err = asy_sys_set_blocking(file->fd);
    if (err)
        file->kind = FILE_FRESH;
    return err;
}

/* ---- Opened -------------------------------------------------------------------------------------- */

/* Nothing tells that a FIFO has got a reader, except that it can be opened. */
#define READER_PAUSE_S 0.01

/* Why opening a path to write has failed with ENXIO. -EAGAIN: it is a FIFO without a reader yet, which the
 * caller waits for; -ENXIO: it is something else; or another error. */
static int check_reader(const char *path, int flags)
{
    struct stat status;
    struct file_op op = {.code = FILE_PATH_STAT, .path = path, .status = &status};
    if ((flags & O_NONBLOCK) || (flags & O_ACCMODE) != O_WRONLY)
        return -ENXIO;
    int err = (int)asy_file_call(NULL, &op);
    if (err)
        return err;
    return S_ISFIFO(status.st_mode) ? -EAGAIN : -ENXIO;
}

/* The descriptor, without O_NONBLOCK or with it. */
static intptr_t open_path(const char *path, int flags, mode_t mode)
{
    for (;;) {
        struct file_op op = {.code = FILE_OPEN, .path = path, .flags = flags, .mode = mode};
        intptr_t fd = asy_file_call(NULL, &op);
        int err = fd == -ENXIO ? check_reader(path, flags) : 0;
        if (err != -EAGAIN)
            return err ? err : fd;
        err = asyncio_sleep(READER_PAUSE_S);
        if (err)
            return err;
    }
}

int asyncio_file_open(const char *path, int flags, mode_t mode, asyncio_file **out)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!path || !out)
        return -EINVAL;
    int err = asy_budget_spend(loop);
    if (err)
        return err;
    asyncio_file *file = make_file(loop, path); /* first: a descriptor must have a place to go to */
    if (!file)
        return -ENOMEM;
    intptr_t fd = asy_file_report_error(open_path(path, flags, mode), "open", path);
    if (fd < 0) {
        file->keeps_fd = true;
        asy_file_release(file);
        return (int)fd;
    }
    file->fd = (int)fd;
    file->can_write = (flags & O_ACCMODE) != O_RDONLY;
    file->is_nonblocking = flags & O_NONBLOCK;
    file->position = flags & O_APPEND ? -1 : 0;
    *out = file;
    return 0;
}

asyncio_file *asy_file_adopt(asyncio_loop *loop, int fd)
{
    char name[32];
    snprintf(name, sizeof name, "descriptor %d", fd);
    asyncio_file *file = make_file(loop, name);
    if (!file)
        return NULL;
    file->fd = fd;
    file->kind = FILE_PLAIN;
    file->position = -1;
    file->can_write = asy_sys_access_mode(fd) != O_RDONLY;
    return file;
}

int asyncio_file_from_fd(int fd, asyncio_file **out)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!out || fd < 0)
        return out ? -EBADF : -EINVAL;
    asyncio_file *file = asy_file_adopt(loop, fd);
    if (!file)
        return -ENOMEM;
    file->keeps_fd = true; /* until it is known to be a file's */
    file->kind = FILE_FRESH;
    file->is_nonblocking = true; /* not ours to change */
    int err = settle_kind(file);
    file->keeps_fd = err != 0;
    if (err)
        asy_file_release(file);
    else
        *out = file;
    return err;
}

/* ---- Read and written ------------------------------------------------------------------------- */

#define AT_POSITION (-1)

/* FIFOs and the like. */
static ssize_t transfer_polled(asyncio_file *file, const struct file_op *op, off_t offset)
{
    if (offset != AT_POSITION)
        return -ESPIPE;
    return op->code == FILE_READ ? asyncio_read(file->fd, op->buf, op->n)
                                 : asyncio_write(file->fd, op->buf, op->n);
}

/* At once if that is possible; else it is time to know what kind of file it is. */
static ssize_t transfer_bytes(asyncio_file *file, struct file_op *op, off_t offset)
{
    op->fd = file->fd;
    op->luck = &file->luck;
    op->offset = offset == AT_POSITION ? file->position : offset;
    if (file->kind != FILE_POLLED && asy_file_try(op))
        return op->result;
    int err = settle_kind(file);
    if (err)
        return err;
    if (file->kind == FILE_POLLED)
        return transfer_polled(file, op, offset);
    op->offset = offset == AT_POSITION ? file->position : offset;
    return asy_file_offload(file, op);
}

static ssize_t transfer_at_position(asyncio_file *file, struct file_op *op)
{
    if (file->is_moving)
        return ASYNCIO_ESTATE;
    file->is_moving = file->position >= 0;
    ssize_t n = transfer_bytes(file, op, AT_POSITION);
    if (n > 0 && file->position >= 0)
        file->position += n;
    file->is_moving = false;
    return n;
}

ssize_t asyncio_file_read(asyncio_file *file, void *buf, size_t n)
{
    struct file_op op = {.code = FILE_READ, .buf = buf, .n = n};
    int err = begin_file_call(file, asy_is_length(n) && (buf || !n), __func__);
    return err ? err : end_file_call(file, transfer_at_position(file, &op), "read");
}

ssize_t asyncio_file_write(asyncio_file *file, const void *buf, size_t n)
{
    struct file_op op = {.code = FILE_WRITE, .buf = (void *)buf, .n = n};
    int err = begin_file_call(file, asy_is_length(n) && (buf || !n), __func__);
    return err ? err : end_file_call(file, transfer_at_position(file, &op), "write");
}

ssize_t asyncio_file_pread(asyncio_file *file, void *buf, size_t n, off_t offset)
{
    struct file_op op = {.code = FILE_READ, .buf = buf, .n = n};
    int err = begin_file_call(file, asy_is_length(n) && (buf || !n) && offset >= 0, __func__);
    return err ? err : end_file_call(file, transfer_bytes(file, &op, offset), "read");
}

ssize_t asyncio_file_pwrite(asyncio_file *file, const void *buf, size_t n, off_t offset)
{
    struct file_op op = {.code = FILE_WRITE, .buf = (void *)buf, .n = n};
    int err = begin_file_call(file, asy_is_length(n) && (buf || !n) && offset >= 0, __func__);
    return err ? err : end_file_call(file, transfer_bytes(file, &op, offset), "write");
}

ssize_t asy_file_read_some(asyncio_file *file, void *buf, size_t n)
{
    struct file_op op = {.code = FILE_READ, .buf = buf, .n = n, .partial = true};
    file->calls++;
    ssize_t got = transfer_bytes(file, &op, AT_POSITION);
    return end_file_call(file, got == -EAGAIN ? -ENOMEM : got,
                         "read"); /* no thread: there is nothing to wait for */
}

/* ---- The position ---------------------------------------------------------------------------------- */

static off_t seek_file(asyncio_file *file, off_t offset, int whence)
{
    int err = settle_kind(file);
    if (err)
        return err;
    if (file->kind == FILE_POLLED)
        return -ESPIPE;
    if (file->is_moving)
        return ASYNCIO_ESTATE;
    off_t at;
    if (whence != SEEK_SET && whence != SEEK_CUR) {
        struct file_op op = {.code = FILE_SEEK, .fd = file->fd, .offset = offset, .flags = whence};
        file->is_moving = file->position >= 0;
        at = asy_file_call(file, &op);
        file->is_moving = false;
    } else if (file->position < 0) {
        return asy_sys_lseek(file->fd, offset, whence);
    } else if (__builtin_add_overflow(whence == SEEK_CUR ? file->position : 0, offset, &at)) {
        return -EOVERFLOW;
    } else if (at < 0) {
        return -EINVAL;
    }
    if (at >= 0 && file->position >= 0)
        file->position = at;
    return at;
}

off_t asyncio_file_lseek(asyncio_file *file, off_t offset, int whence)
{
    int err = begin_file_call(file, /* is_valid= */ true, __func__);
    return err ? err : end_file_call(file, seek_file(file, offset, whence), "seek in");
}

int asyncio_file_fd(asyncio_file *file)
{
    if (!file)
        return -EINVAL;
    asy_file_check(file, __func__);
    if (file->is_moving)
        return ASYNCIO_ESTATE;
    off_t position = file->position;
    int err = settle_kind(file);
    if (err)
        return err;
    if (position >= 0 && file->kind == FILE_PLAIN) {
        off_t at = asy_sys_lseek(file->fd, position, SEEK_SET);
        if (at < 0)
            return (int)at;
    }
    file->position = -1;
    return file->fd;
}

/* ---- The rest ---------------------------------------------------------------------------------------- */

static int sync_file(asyncio_file *file, int flags, const char *call)
{
    struct file_op op = {.code = FILE_SYNC, .flags = flags};
    int err = begin_file_call(file, /* is_valid= */ true, call);
    return err ? err : finish_file_call(file, &op, "sync");
}

int asyncio_file_fsync(asyncio_file *file)
{
    return sync_file(file, 0, __func__);
}

int asyncio_file_fdatasync(asyncio_file *file)
{
    return sync_file(file, FILE_SYNC_DATA, __func__);
}

int asyncio_file_ftruncate(asyncio_file *file, off_t length)
{
    struct file_op op = {.code = FILE_TRUNCATE, .offset = length};
    int err = begin_file_call(file, length >= 0, __func__);
    return err ? err : finish_file_call(file, &op, "truncate");
}

int asyncio_file_stat(asyncio_file *file, struct stat *status)
{
    struct file_op op = {.code = FILE_STAT, .status = status};
    int err = begin_file_call(file, status != NULL, __func__);
    return err ? err : finish_file_call(file, &op, "stat");
}
