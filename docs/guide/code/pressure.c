/* A writer that is faster than its reader waits, and memory stays small. */
#include <asyncio.h>
#include <stdio.h>
#include <sys/socket.h>

#define BLOCKS 1000

static int written;

ASYNC(write_all, asyncio_stream *, stream)
{
    static const char block[64 * 1024];
    int err = 0;
    for (; written < BLOCKS && !err; written++)
        err = asyncio_stream_write(stream, block, sizeof block); /* waits while much is queued */
    int closing = asyncio_stream_close(stream);
    return err ? err : closing;
}

ASYNC(read_all, asyncio_stream *, stream)
{
    static char block[64 * 1024];
    ssize_t n, sum = 0;
    int err = asyncio_sleep(0.1); /* slow to begin */
    if (err)
        return err;
    printf("the reader begins; all written: %s\n", written == BLOCKS ? "yes" : "no");
    while ((n = asyncio_stream_read(stream, block, sizeof block)) > 0)
        sum += n;
    printf("it has read %zd MiB\n", sum / (1024 * 1024));
    asyncio_stream_close(stream);
    return n;
}

ASYNC(async_main)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        return -1;
    asyncio_stream *from, *to;
    asyncio_stream_from_fd(ends[0], NULL, &from);
    asyncio_stream_from_fd(ends[1], NULL, &to);
    return asyncio_gather(NULL, write_all(to), read_all(from));
}

int main(void)
{
    return asyncio_main(async_main());
}
