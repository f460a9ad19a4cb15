/*
 * Shows what is added to several files, like tail -F. A file that is cut short, or replaced
 * by another of its name, is read from its beginning.
 *
 *     19_tail FILE ...
 */
#include <asyncio.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_S 0.1

struct followed {
    const char *name;
    asyncio_file *file; /* NULL: not there, or not yet */
};

/* The file that was shown last: text of another one has its name before it. */
static const struct followed *shown;

static void show(const struct followed *it, const char *text, size_t n)
{
    if (shown != it)
        printf("==> %s <==\n", it->name);
    shown = it;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
}

/* Shows what was added since the last time. */
static int show_news(const struct followed *it)
{
    char block[4096];
    struct stat status;
    if (!it->file)
        return 0;
    int err = asyncio_file_stat(it->file, &status);
    if (err)
        return err;
    if (asyncio_file_lseek(it->file, 0, SEEK_CUR) > status.st_size)
        asyncio_file_lseek(it->file, 0, SEEK_SET);
    ssize_t n;
    while ((n = asyncio_file_read(it->file, block, sizeof block)) > 0)
        show(it, block, (size_t)n);
    return (int)n;
}

/* A missing file is no error: it may come. */
static int open_file(struct followed *it)
{
    int err = asyncio_file_open(it->name, O_RDONLY, 0, &it->file);
    return err == -ENOENT ? 0 : err;
}

static void close_file(struct followed *it)
{
    asyncio_file_close(it->file);
    it->file = NULL;
}

/* Has another file the name by now? */
static bool was_replaced(const struct followed *it)
{
    struct stat named, opened;
    if (asyncio_stat(it->name, &named))
        return false;
    return !it->file || asyncio_file_stat(it->file, &opened) || named.st_ino != opened.st_ino ||
           named.st_dev != opened.st_dev;
}

ASYNC(follow, const char *, name)
{
    struct followed it = {.name = name};
    int err = open_file(&it);
    if (it.file)
        asyncio_file_lseek(it.file, 0, SEEK_END);
    while (!err) {
        bool replaced = was_replaced(&it);
        err = show_news(&it); /* the rest of the old file */
        if (replaced) {
            close_file(&it);
            err = err ? err : open_file(&it);
        }
        if (!err)
            err = asyncio_sleep(replaced ? 0 : LOOK_S);
    }
    close_file(&it);
    return err;
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
