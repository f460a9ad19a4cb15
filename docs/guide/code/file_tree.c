/* Makes a directory, copies a file in it, lists it, and removes it. */
#include <asyncio.h>
#include <dirent.h>
#include <stdio.h>

static int fill(void)
{
    asyncio_file *file;
    int err = asyncio_mkdir("guide-folder", 0755);
    if (!err)
        err = asyncio_mkdir("guide-folder/pictures", 0755);
    if (!err)
        err = asyncio_file_open("guide-folder/notes", O_WRONLY | O_CREAT, 0644, &file);
    if (err)
        return err;
    asyncio_file_write(file, "to do\n", 6);
    asyncio_file_close(file);
    ssize_t n = asyncio_copyfile("guide-folder/notes", "guide-folder/copy");
    printf("%zd bytes copied\n", n);
    return n < 0 ? n : 0;
}

ASYNC(async_main)
{
    asyncio_dirents dirents;
    int err = fill();
    if (!err)
        err = asyncio_scandir("guide-folder", &dirents);
    if (err)
        return err;
    for (size_t i = 0; i < dirents.count; i++)
        printf("%s%s\n", dirents.entries[i].name, dirents.entries[i].type == DT_DIR ? "/" : "");
    asyncio_dirents_destroy(&dirents);
    asyncio_unlink("guide-folder/copy");
    asyncio_unlink("guide-folder/notes");
    asyncio_rmdir("guide-folder/pictures");
    return asyncio_rmdir("guide-folder");
}

int main(void)
{
    return asyncio_main(async_main());
}
