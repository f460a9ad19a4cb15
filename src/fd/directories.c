/*
 * Directories, read whole: the names in one piece of memory, behind the table of entries that points to them.
 * On any thread.
 */
#include "asyncio/files.h"
#include "base/assert.h"
#include "fd/bytes.h"
#include "fd/file_op.h"
#include "sys/files.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES (32 * 1024)

void asyncio_dirents_destroy(asyncio_dirents *dirents)
{
    if (!dirents)
        return;
    asy_sys_free(dirents->entries);
    *dirents = (asyncio_dirents){0};
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Adds a type and a name for each entry of a block that the kernel has filled. */
static int collect_names(const char *block, size_t n, struct bytes *names, size_t *count)
{
    for (size_t at = 0; at < n;) {
        const struct asy_dirent *entry = (const struct asy_dirent *)(const void *)(block + at);
        at += entry->bytes;
        if (is_dot(entry->name))
            continue;
        size_t length = strlen(entry->name) + 1;
        int err = asy_bytes_append(names, &entry->type, 1);
        if (!err)
            err = asy_bytes_append(names, entry->name, length);
        if (err)
            return err;
        ++*count;
    }
    return 0;
}

static int read_names(int fd, struct bytes *names, size_t *count)
{
    char *block = asy_sys_alloc(READ_BYTES);
    if (!block)
        return -ENOMEM;
    ssize_t n;
    while ((n = asy_sys_getdents(fd, block, READ_BYTES)) > 0) {
        int err = collect_names(block, (size_t)n, names, count);
        if (err) {
            n = err;
            break;
        }
    }
    asy_sys_free(block);
    return (int)n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const asyncio_dirent *)a)->name, ((const asyncio_dirent *)b)->name);
}

static int make_entries(const struct bytes *names, size_t count, asyncio_dirents *dirents)
{
    size_t table_bytes = count * sizeof(asyncio_dirent), names_bytes = asy_bytes_count(names);
    asyncio_dirent *entries = asy_sys_alloc(table_bytes + names_bytes);
    if (!entries)
        return -ENOMEM;
    char *name = (char *)entries + table_bytes;
    if (names_bytes)
        memcpy(name, names->data + names->start, names_bytes);
    for (size_t i = 0; i < count; i++) {
        entries[i] = (asyncio_dirent){.type = (unsigned char)name[0], .name = name + 1};
        name += 1 + strlen(name + 1) + 1;
    }
    ASY_ASSERT(name == (char *)entries + table_bytes + names_bytes);
    if (count)
        qsort(entries, count, sizeof *entries, by_name);
    *dirents = (asyncio_dirents){.entries = entries, .count = count};
    return 0;
}

int asy_scan_run(const char *path, asyncio_dirents *dirents)
{
    int fd = asy_sys_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    struct bytes names = {0};
    size_t count = 0;
    int err = read_names(fd, &names, &count);
    if (!err)
        err = make_entries(&names, count, dirents);
    asy_bytes_free(&names);
    asy_sys_close(fd);
    return err;
}
