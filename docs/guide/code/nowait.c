/* One writer for readers of all kinds: a write that would have to wait is refused instead. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#define READERS 3
#define LINES 1000

static const char line[1024] = "news";

/* Reads until the end, slowly or not. */
ASYNC(read_all, asyncio_stream *, stream, double, pause)
{
    static char buf[64 * 1024];
    ssize_t n, sum = 0;
    int err = 0;
    while (!err && (n = asyncio_stream_read(stream, buf, sizeof buf)) > 0) {
        sum += n;
        err = asyncio_sleep(pause);
    }
    asyncio_stream_close(stream);
    return sum == LINES * (ssize_t)sizeof line;
}

static void broadcast(asyncio_stream **to)
{
    for (int i = 0; i < READERS; i++) {
        if (!to[i])
            continue;
        int err = asyncio_stream_write_nowait(to[i], line, sizeof line); /* all of the line, or none of it */
        if (!err)
            continue;
        printf("reader %d: %s, with more than 16 KiB queued: %s\n", i, asyncio_errname(err),
               asyncio_stream_queued(to[i]) > 16 * 1024 ? "yes" : "no");
        asyncio_stream_abort(to[i]); /* the policy: who falls behind must go */
        to[i] = NULL;
    }
}

ASYNC(async_main)
{
    asyncio_connect_options options = {.write_limit = 16 * 1024};
    asyncio_stream *to[READERS], *from[READERS];
    asyncio_task *readers[READERS - 1];
    int ends[2];
    for (int i = 0; i < READERS; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
            return -errno;
        asyncio_stream_from_fd(ends[0], &options, &to[i]);
        asyncio_stream_from_fd(ends[1], NULL, &from[i]);
    }
    readers[0] = asyncio_create_task(read_all(from[0], 0));
    readers[1] = asyncio_create_task(read_all(from[1], 0.001)); /* slow, but not too slow */
    for (int i = 0; i < LINES; i++) {
        broadcast(to); /* does not wait for the third, which never reads */
        asyncio_sleep(0.0005);
    }
    for (int i = 0; i < READERS - 1; i++) {
        asyncio_stream_close(to[i]);
        printf("reader %d has all: %s\n", i, asyncio_await(readers[i]) ? "yes" : "no");
    }
    return asyncio_stream_close(from[READERS - 1]);
}

int main(void)
{
    return asyncio_main(async_main());
}
