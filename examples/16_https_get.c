/*
 * Fetches a page over HTTPS, within limits of time: ten seconds to connect, and
 * thirty for everything.
 *
 *     16_https_get HOST [PATH [PORT [CA_FILE]]]
 *
 * The page goes to stdout, what was agreed on to stderr. CA_FILE: trust these authorities, not the system's.
 */
#include <asyncio.h>
#include <asyncio/tls.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct request {
    const char *host, *path;
    int port;
    const char *ca_file; /* NULL: the system's */
};

static int make_context(const struct request *request, asyncio_tls_context **tls)
{
    int err = asyncio_tls_context_new_client(tls);
    if (err)
        return err;
    err = asyncio_tls_context_set_alpn(*tls, (const char *const[]){"http/1.1", NULL});
    if (!err && request->ca_file)
        err = asyncio_tls_context_load_ca(*tls, request->ca_file);
    if (err)
        asyncio_tls_context_release(*tls);
    return err;
}

static void tell(asyncio_stream *stream)
{
    asyncio_tls_info info;
    if (asyncio_stream_tls_info(stream, &info) == 0)
        fprintf(stderr, "%s, %s, %s\n", info.version, info.cipher, info.subject);
}

/* Skips the head of the answer. The length of the body; -1: it goes on to the end. */
static int read_head(asyncio_stream *stream, long long *length)
{
    char *line;
    ssize_t n;
    *length = -1;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        if (line[0] == '\r' || line[0] == '\n')
            return 0;
        if (strncasecmp(line, "content-length:", 15) == 0)
            *length = atoll(line + 15);
    }
    return n < 0 ? (int)n : ASYNCIO_EINCOMPLETE;
}

static int read_body(asyncio_stream *stream, long long length)
{
    char block[8192];
    while (length) {
        size_t most = length > 0 && length < (long long)sizeof block ? (size_t)length : sizeof block;
        ssize_t n = asyncio_stream_read(stream, block, most);
        if (n < 0)
            return (int)n; /* ASYNCIO_ETLS, too, if somebody has cut the connection */
        if (n == 0)
            return length < 0 ? 0 : ASYNCIO_EINCOMPLETE;
        fwrite(block, 1, (size_t)n, stdout);
        if (length > 0)
            length -= n;
    }
    return 0;
}

static int talk(const struct request *request, asyncio_stream *stream)
{
    long long length;
    int err = asyncio_stream_printf(stream, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", request->path,
                                    request->host);
    if (!err)
        err = read_head(stream, &length);
    return err ? err : read_body(stream, length);
}

ASYNC(get, const struct request *, request, asyncio_tls_context *, tls)
{
    asyncio_connect_options options = {.tls = tls};
    asyncio_stream *stream;
    int err;
    ASYNCIO_TIMEOUT(err, 10) {
        err = asyncio_open_connection(request->host, request->port, &options, &stream);
    }
    if (err)
        return err;
    tell(stream);
    err = talk(request, stream);
    asyncio_stream_close(stream);
    return err;
}

ASYNC(async_main, const struct request *, request)
{
    asyncio_tls_context *tls;
    int err = make_context(request, &tls);
    if (err)
        return err;
    intptr_t result = asyncio_wait_for(get(request, tls), 30);
    asyncio_tls_context_release(tls);
    return result;
}

int main(int argc, char *argv[])
{
    if (argc < 2 || argc > 5) {
        fprintf(stderr, "usage: %s HOST [PATH [PORT [CA_FILE]]]\n", argv[0]);
        return 2;
    }
    struct request request = {argv[1], argc > 2 ? argv[2] : "/", argc > 3 ? atoi(argv[3]) : 443,
                              argc > 4 ? argv[4] : NULL};
    return asyncio_main(async_main(&request));
}
