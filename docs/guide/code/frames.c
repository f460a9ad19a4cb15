/* Four ways to read, and their errors. */
#include <asyncio.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void show(const char *call, ssize_t n, const char *data)
{
    if (n >= 0)
        printf("%-12s %zd  %.*s\n", call, n, (int)n, data);
    else
        printf("%-12s %s\n", call, asyncio_errname(n));
}

static int receive(asyncio_stream *stream)
{
    char buf[16], *data;
    ssize_t n = asyncio_stream_readuntil(stream, ";", 1, &data);
    show("readuntil", n, data);
    n = asyncio_stream_readexactly(stream, buf, 5);
    show("readexactly", n, buf);
    n = asyncio_stream_readline(stream, &data); /* longer than the limit ... */
    show("readline", n, data);
    n = asyncio_stream_read(stream, buf, 8); /* ... but still there */
    show("read", n, buf);
    n = asyncio_stream_readexactly(stream, buf, 16); /* the end comes first */
    show("readexactly", n, buf);
    printf("%zu bytes are left\n", asyncio_stream_buffered(stream));
    return 0;
}

ASYNC(async_main)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        return -1;
    const char *text = "key=value;fives and a line without end";
    asyncio_connect_options options = {.limit = 16};
    asyncio_stream *from, *to;
    asyncio_stream_from_fd(ends[0], &options, &from);
    asyncio_stream_from_fd(ends[1], NULL, &to);
    asyncio_stream_write(to, text, strlen(text));
    asyncio_stream_close(to);
    int err = receive(from);
    asyncio_stream_close(from);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
