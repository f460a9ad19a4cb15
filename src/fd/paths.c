/*
 * Calls on files by path. See asyncio/files.h.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "core/loop.h"
#include "core/message.h"
#include "fd/file_op.h"
#include <errno.h>

/* 0, or why no call can begin. */
static int begin_path_call(bool is_valid)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    return is_valid ? asy_budget_spend(loop) : -EINVAL;
}

static int make_path_call(struct file_op *op, const char *verb)
{
    int err = begin_path_call(op->path != NULL);
    return err ? err : (int)asy_file_report_error(asy_file_call(NULL, op), verb, op->path);
}

int asyncio_unlink(const char *path)
{
    struct file_op op = {.code = FILE_UNLINK, .path = path};
    return make_path_call(&op, "unlink");
}

int asyncio_rename(const char *from, const char *to)
{
    struct file_op op = {.code = FILE_RENAME, .path = from, .to = to};
    int err = begin_path_call(from && to);
    if (err)
        return err;
    err = (int)asy_file_call(NULL, &op);
    char words[ASY_WORDS];
    if (err && err != -ECANCELED)
        asyncio_raise(err, "rename %s to %s: %s", from, to, asy_words(err, words));
    return err;
}

int asyncio_mkdir(const char *path, mode_t mode)
{
    struct file_op op = {.code = FILE_MKDIR, .path = path, .mode = mode};
    return make_path_call(&op, "make directory");
}

int asyncio_rmdir(const char *path)
{
    struct file_op op = {.code = FILE_RMDIR, .path = path};
    return make_path_call(&op, "remove directory");
}

static int stat_path(const char *path, int flags, struct stat *status)
{
    struct file_op op = {.code = FILE_PATH_STAT, .path = path, .flags = flags, .status = status};
    return status ? make_path_call(&op, "stat") : -EINVAL;
}

int asyncio_stat(const char *path, struct stat *status)
{
    return stat_path(path, 0, status);
}

int asyncio_lstat(const char *path, struct stat *status)
{
    return stat_path(path, O_NOFOLLOW, status);
}

int asyncio_scandir(const char *path, asyncio_dirents *dirents)
{
    struct file_op op = {.code = FILE_SCAN, .path = path};
    int err = dirents ? make_path_call(&op, "read directory") : -EINVAL;
    if (!err)
        *dirents = op.dirents;
    return err;
}
