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

#define FIELDS_MAX 100

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

static int wrong(const char *words)
{
    return (int)asyncio_raise(-EBADMSG, "the answer %s", words);
}

/* Returns the value of a field of that name, behind spaces, or NULL. */
static const char *value_of(const char *line, const char *name)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':')
        return NULL;
    return line + n + 1 + strspn(line + n + 1, " \t");
}

/* Reads digits with nothing behind them. Returns -1 if that is no length, or exceeds all memory. */
static long long read_length(const char *value)
{
    size_t digits = strspn(value, "0123456789");
    return digits && digits < 18 && !value[digits + strspn(value + digits, " \t\r\n")] ? atoll(value) : -1;
}

/* One field of the head. */
static int read_field(const char *line, long long *length)
{
    const char *value = value_of(line, "content-length");
    if (value_of(line, "transfer-encoding"))
        return wrong("has a coding that was not asked for");
    if (!value)
        return 0;
    long long n = read_length(value);
    if (n < 0 || (*length >= 0 && *length != n))
        return wrong("has no length that can be understood");
    *length = n;
    return 0;
}

/* Prints the status, and skips the rest of the head. Returns the length of the body, or -1 if it goes on to
 * the end. */
static int read_head(asyncio_stream *stream, long long *length)
{
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    *length = -1;
    if (n > 0 && strncmp(line, "HTTP/1.", 7) != 0)
        return wrong("is not HTTP");
    if (n > 0)
        fprintf(stderr, "%.*s\n", (int)strcspn(line, "\r\n"), line);
    for (int fields = 0; n > 0 && fields <= FIELDS_MAX; fields++) {
        n = asyncio_stream_readline(stream, &line);
        if (n > 0 && (line[0] == '\r' || line[0] == '\n'))
            return 0;
        int err = n > 0 ? read_field(line, length) : 0;
        if (err)
            return err;
    }
    return n > 0 ? wrong("has too long a head") : n < 0 ? (int)n : ASYNCIO_EINCOMPLETE;
}

static int read_body(asyncio_stream *stream, long long length)
{
    char block[8192];
    while (length) {
        size_t most = length > 0 && length < (long long)sizeof block ? (size_t)length : sizeof block;
        ssize_t n = asyncio_stream_read(stream, block, most);
        if (n < 0)
            return (int)n; /* ASYNCIO_ETLS if the connection was cut */
        if (n == 0)
            return length < 0 ? 0 : ASYNCIO_EINCOMPLETE;
        if (fwrite(block, 1, (size_t)n, stdout) != (size_t)n)
            return (int)asyncio_raise(-EIO, "the page cannot be written");
        if (length > 0)
            length -= n;
    }
    return fflush(stdout) ? (int)asyncio_raise(-EIO, "the page cannot be written") : 0;
}

static int talk(const struct request *request, asyncio_stream *stream)
{
    long long length;
    char port[16] = "";
    if (request->port != 443)
        snprintf(port, sizeof port, ":%d", request->port);
    const char *form = strchr(request->host, ':') ? "GET %s HTTP/1.0\r\nHost: [%s]%s\r\n\r\n"
                                                  : "GET %s HTTP/1.0\r\nHost: %s%s\r\n\r\n";
    int err = asyncio_stream_printf(stream, form, request->path, request->host, port);
    if (!err)
        err = read_head(stream, &length);
    return err ? err : read_body(stream, length);
}

/* A space or the end of a line in either would make another request of it. */
static bool is_one_word(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 127)
            return false;
    return true;
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
    if (!is_one_word(request->host) || !is_one_word(request->path))
        return asyncio_raise(-EINVAL, "HOST and PATH have no spaces");
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
