/* Writes a file, reads it back, and looks at it. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int write_file(const char *path, const char *text)
{
    asyncio_file *file;
    int err = asyncio_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &file);
    if (err)
        return err;
    ssize_t n = asyncio_file_write(file, text, strlen(text));
    if (n >= 0)
        err = asyncio_file_fsync(file); /* on the disk from here on */
    int closing = asyncio_file_close(file);
    return n < 0 ? n : err ? err : closing;
}

static int show_file(const char *path)
{
    char block[4096];
    asyncio_file *file;
    int err = asyncio_file_open(path, O_RDONLY, 0, &file);
    if (err)
        return err;
    ssize_t n;
    while ((n = asyncio_file_read(file, block, sizeof block)) > 0)
        fwrite(block, 1, n, stdout);
    asyncio_file_close(file);
    return n;
}

ASYNC(async_main)
{
    struct stat status;
    int err = write_file("guide-new.txt", "Files do not hold up the loop.\n");
    if (!err)
        err = asyncio_rename("guide-new.txt", "guide.txt"); /* whole, or not at all */
    if (!err)
        err = show_file("guide.txt");
    if (!err)
        err = asyncio_stat("guide.txt", &status);
    if (err)
        return err;
    printf("%lld bytes\n", (long long)status.st_size);
    asyncio_unlink("guide.txt");
    if (show_file("guide.txt") == -ENOENT)
        puts(asyncio_error_message());
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
