/*
 * Copies of files: piece by piece, so that a cancel comes between two pieces. A piece goes within the kernel
 * where that is possible, else through a buffer; holes are passed over.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/scopes.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/message.h"
#include "fd/file.h"
#include "sys/files.h"
#include "sys/sys.h"
#include <errno.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)64 * 1024 * 1024)
#define BUFFER_BYTES ((size_t)256 * 1024)
#define COPY_WITH_HOLES 1 /* in file_op.flags: holes are passed over */

/* ---- A piece, on any thread -------------------------------------------------------------- */

/*
 * Moves `at` to where data begin, and returns how far they go at most; 0: nothing is known, as at the end. A
 * hole at the end is where SEEK_DATA says ENXIO before the end. All else may have data, also beyond the
 * length that the file names: the kernel's own files (procfs, sysfs) name 0, or a page.
 */
static size_t find_data(int fd, off_t *at, size_t most)
{
    off_t data = asy_sys_lseek(fd, *at, SEEK_DATA);
    if (data == -ENXIO) {
        off_t end = asy_sys_lseek(fd, 0, SEEK_END);
        *at = end > *at ? end : *at;
        return 0;
    }
    if (data < 0)
        return most;
    off_t hole = asy_sys_lseek(fd, data, SEEK_HOLE);
    *at = data;
    return hole > data && (size_t)(hole - data) < most ? (size_t)(hole - data) : most;
}

/* Within the kernel: how much was copied. 0 or an error: perhaps it goes through a buffer, which knows
 * better where the file ends, and what is wrong. */
static ssize_t copy_inside(int from, int to, off_t at, size_t n)
{
    off_t from_at = at, to_at = at;
    ssize_t copied = asy_sys_copy_file_range(from, &from_at, to, &to_at, n);
    /* A file system in user space can name more than was asked for: then its word is worth nothing. */
    return copied > (ssize_t)n ? -EIO : copied;
}

static int write_all(int to, const char *data, size_t n, off_t at)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = asy_sys_write_at(to, data + done, n - done, at + (off_t)done);
        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        done += (size_t)put;
    }
    return 0;
}

static ssize_t copy_through_buffer(int from, int to, off_t at, size_t n)
{
    char *buffer = asy_sys_alloc(BUFFER_BYTES);
    if (!buffer)
        return -ENOMEM;
    ssize_t got = 1;
    size_t done = 0;
    while (done < n && got > 0) {
        size_t most = n - done < BUFFER_BYTES ? n - done : BUFFER_BYTES;
        got = asy_sys_read_at(from, buffer, most, at + (off_t)done);
        int err = got > 0 ? write_all(to, buffer, (size_t)got, at + (off_t)done) : (int)got;
        if (err)
            got = err;
        else
            done += (size_t)got;
    }
    asy_sys_free(buffer);
    return got < 0 ? got : (ssize_t)done;
}

intptr_t asy_copy_run(const struct file_op *op)
{
    off_t at = op->offset;
    size_t known = op->flags & COPY_WITH_HOLES ? find_data(op->fd, &at, op->n) : op->n;
    ssize_t copied = known ? copy_inside(op->fd, op->to_fd, at, known) : 0;
    if (copied <= 0)
        copied = copy_through_buffer(op->fd, op->to_fd, at, known ? known : op->n);
    if (copied < 0)
        return copied;
    ASY_ASSERT((size_t)copied <= op->n);
    if (copied == 0 && at > op->offset) { /* the hole was the last: the length alone tells of it */
        int err = asy_sys_ftruncate(op->to_fd, at);
        if (err)
            return err;
    }
    return at - op->offset + copied;
}

/* ---- The whole, in a task ------------------------------------------------------------------- */

struct copy {
    asyncio_file *from, *to;
    bool is_made;        /* `to` was not there before */
    bool can_have_holes; /* `to` can have some: it is a regular file, and an empty one */
    struct stat status;  /* of `from` */
};

static int open_target(struct copy *copy, const char *to)
{
    mode_t mode = copy->status.st_mode & 0777;
    int err = asyncio_file_open(to, O_WRONLY | O_CREAT | O_EXCL, mode, &copy->to);
    copy->is_made = copy->can_have_holes = !err;
    if (err != -EEXIST)
        return err;
    /* A FIFO's reader is not waited for. */
    err = asyncio_file_open(to, O_WRONLY | O_NONBLOCK, 0, &copy->to);
    if (err == -ENOENT) /* a link to nothing: the file that it names is made, and is not removed */
        err = asyncio_file_open(to, O_WRONLY | O_CREAT | O_NONBLOCK, mode, &copy->to);
    return err;
}

/* One that is there already loses what it has, unless it is the same file. */
static int empty_target(struct copy *copy, const char *to)
{
    struct stat target;
    int err = asyncio_file_stat(copy->to, &target);
    if (err)
        return err;
    if (target.st_dev == copy->status.st_dev && target.st_ino == copy->status.st_ino)
        return (int)asyncio_raise(-EINVAL, "copy to %s: it is the same file", to);
    copy->can_have_holes = S_ISREG(target.st_mode);
    return copy->can_have_holes ? asyncio_file_ftruncate(copy->to, 0) : 0;
}

static ssize_t copy_pieces(const struct copy *copy)
{
    struct file_op op = {.code = FILE_COPY,
                         .fd = copy->from->fd,
                         .to_fd = copy->to->fd,
                         .flags = copy->can_have_holes ? COPY_WITH_HOLES : 0,
                         .n = PIECE_BYTES};
    for (;;) {
        int err = asy_budget_spend(asy_running_loop);
        intptr_t n = err ? err : asy_file_offload(copy->to, &op);
        if (n <= 0)
            return n < 0 ? n : op.offset;
        op.offset += n;
    }
}

static ssize_t copy_contents(struct copy *copy, const char *from, const char *to)
{
    int err = asyncio_file_stat(copy->from, &copy->status);
    if (!err && !S_ISREG(copy->status.st_mode)) {
        int why = S_ISDIR(copy->status.st_mode) ? -EISDIR : -EINVAL;
        err = (int)asyncio_raise(why, "copy %s: not a regular file", from);
    }
    if (!err)
        err = open_target(copy, to);
    if (!err && !copy->is_made)
        err = empty_target(copy, to);
    if (err)
        return err;
    ssize_t n = copy_pieces(copy);
    if (n < 0 && n != -ECANCELED) {
        char words[ASY_WORDS];
        asyncio_raise(n, "copy %s to %s: %s", from, to, asy_words(n, words));
    }
    return n;
}

/* A file that a failed copy has made is removed, even if the task is cancelled. */
static void remove_target(const char *to)
{
    asyncio_shield_scope scope;
    if (asyncio_shield_scope_enter(&scope))
        return;
    asyncio_unlink(to);
    asyncio_shield_scope_exit(&scope);
}

ssize_t asyncio_copyfile(const char *from, const char *to)
{
    struct copy copy = {0};
    if (!from || !to)
        return asy_running_loop && asy_running_loop->current ? -EINVAL : ASYNCIO_ENOTASK;
    int err = asyncio_file_open(from, O_RDONLY, 0, &copy.from);
    if (err)
        return err;
    ssize_t n = copy_contents(&copy, from, to);
    err = asyncio_file_close(copy.to);
    if (err && n >= 0)
        n = err;
    asyncio_file_close(copy.from);
    if (n < 0 && copy.is_made)
        remove_target(to);
    return n;
}
