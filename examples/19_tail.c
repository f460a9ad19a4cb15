/*
 * Shows what is added to several files, as tail -F does: one that is cut short, or
 * replaced by another of the same name, is read from its beginning.
 *
 *     19_tail FILE ...
 */
#include <asyncio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_S 0.1

struct file {
    const char *name;
    int fd; /* -1: not there, or not yet */
};

/* The one that was shown last: what comes from another has its name before it. */
static const struct file *shown;

static void show(const struct file *file, const char *text, size_t n)
{
    if (shown != file)
        printf("==> %s <==\n", file->name);
    shown = file;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
}

/* Whatever was added since the last time. */
static int show_news(struct file *file)
{
    char block[4096];
    struct stat status;
    if (file->fd < 0)
        return 0;
    if (fstat(file->fd, &status) == 0 && lseek(file->fd, 0, SEEK_CUR) > status.st_size)
        lseek(file->fd, 0, SEEK_SET);
    ssize_t n;
    while ((n = asyncio_read(file->fd, block, sizeof block)) > 0)
        show(file, block, (size_t)n);
    return (int)n;
}

static void forget(struct file *file)
{
    if (file->fd >= 0)
        asyncio_close(file->fd);
    file->fd = -1;
}

/* Is there another file of that name by now? */
static bool was_replaced(const struct file *file)
{
    struct stat named, opened;
    if (stat(file->name, &named))
        return false;
    return file->fd < 0 || fstat(file->fd, &opened) || named.st_ino != opened.st_ino ||
           named.st_dev != opened.st_dev;
}

ASYNC(follow, const char *, name)
{
    struct file file = {name, open(name, O_RDONLY | O_CLOEXEC)};
    int err = 0;
    if (file.fd >= 0)
        lseek(file.fd, 0, SEEK_END);
    while (!err) {
        err = show_news(&file);
        if (!err && was_replaced(&file)) {
            forget(&file);
            file.fd = open(name, O_RDONLY | O_CLOEXEC);
            continue;
        }
        if (!err)
            err = asyncio_sleep(LOOK_S);
    }
    forget(&file);
    return err && err != -ECANCELED ? asyncio_raise(err, "%s: %s", name, asyncio_strerror(err)) : err;
}

ASYNC(async_main, int, count, char **, names)
{
    asyncio_task_group group;
    int err;
    if (count < 1)
        return asyncio_raise(-EINVAL, "which files?");
    ASYNCIO_TASK_GROUP(group, err) {
        for (int i = 0; i < count; i++)
            asyncio_task_group_create_task(&group, follow(names[i]));
    }
    return err;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc - 1, argv + 1));
}
