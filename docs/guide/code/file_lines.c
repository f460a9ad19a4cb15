/* A file read line by line, through a stream. */
#include <asyncio.h>
#include <stdio.h>
#include <string.h>

static int open_stream(const char *path, int flags, asyncio_stream **stream)
{
    asyncio_file *file;
    int err = asyncio_file_open(path, flags, 0644, &file);
    if (err)
        return err;
    err = asyncio_stream_from_file(file, NULL, stream); /* the stream now owns the file */
    if (err)
        asyncio_file_close(file);
    return err;
}

static int write_lines(void)
{
    asyncio_stream *stream;
    int err = open_stream("guide-lines.txt", O_WRONLY | O_CREAT | O_TRUNC, &stream);
    if (err)
        return err;
    for (int i = 1; i <= 1000 && !err; i++)
        err = asyncio_stream_printf(stream, "%d squared is %d\n", i, i * i);
    int closing = asyncio_stream_close(stream); /* waits until all is written */
    return err ? err : closing;
}

ASYNC(async_main)
{
    asyncio_stream *stream;
    char *line;
    ssize_t n;
    int lines = 0;
    int err = write_lines();
    if (!err)
        err = open_stream("guide-lines.txt", O_RDONLY, &stream);
    if (err)
        return err;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        lines++;
        if (strncmp(line, "77 ", 3) == 0)
            fputs(line, stdout);
    }
    printf("%d lines\n", lines);
    asyncio_stream_close(stream);
    asyncio_unlink("guide-lines.txt");
    return n;
}

int main(void)
{
    return asyncio_main(async_main());
}
