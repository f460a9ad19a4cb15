/*
 * A client for tests with foreign servers:
 *
 *     tls-client PORT NAME CA [CERTIFICATE]
 *
 * Sends its input, a line at a time, shows what comes back, and what was agreed on, on stderr. In the
 * environment: ALPN, a protocol to propose; AGAIN, connects twice; STARTTLS, TLS starts after a line
 * that says so and an answer to it.
 */
#include <asyncio.h>
#include <asyncio/tls.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, intptr_t err)
{
    fprintf(stderr, "%s: %s: %s\n", what, asyncio_errname(err), asyncio_error_message());
    return 1;
}

static int set_up(asyncio_tls_context **tls, char **argv)
{
    int err = asyncio_tls_context_new_client(tls);
    if (!err)
        err = asyncio_tls_context_load_ca(*tls, argv[3]);
    if (!err && argv[4])
        err = asyncio_tls_context_load_cert(*tls, argv[4], NULL);
    if (!err)
        err = asyncio_tls_context_set_timeouts(*tls, 20, 5);
    if (!err && getenv("ALPN"))
        err = asyncio_tls_context_set_alpn(*tls, (const char *const[]){getenv("ALPN"), NULL});
    return err;
}

static void tell(asyncio_stream *stream)
{
    asyncio_tls_info info;
    if (asyncio_stream_tls_info(stream, &info) == 0)
        fprintf(stderr, "%s %s alpn=%s resumed=%d subject=%s fingerprint=%s\n", info.version, info.cipher,
                info.alpn, info.resumed, info.subject, info.fingerprint);
}

static intptr_t converse(asyncio_stream *stream)
{
    char line[4096], *answer;
    while (fgets(line, sizeof line, stdin)) {
        int err = asyncio_stream_write(stream, line, strlen(line));
        ssize_t n = asyncio_stream_readline(stream, &answer); /* also why a write failed */
        if (n < 0)
            return n;
        if (err)
            return err;
        if (n == 0)
            break;
        fputs(answer, stdout);
    }
    return 0;
}

static int once(asyncio_tls_context *tls, char **argv)
{
    bool late = getenv("STARTTLS") != NULL;
    asyncio_connect_options options = {.tls = late ? NULL : tls, .server_hostname = argv[2]};
    asyncio_stream *stream;
    char *answer;
    int err = asyncio_open_connection("127.0.0.1", atoi(argv[1]), &options, &stream);
    if (err)
        return fail("connect", err);
    if (late) {
        asyncio_stream_write(stream, "STARTTLS\n", 9);
        asyncio_stream_readline(stream, &answer);
        err = asyncio_stream_start_tls(stream, tls, argv[2]);
    }
    intptr_t result = err ? err : converse(stream);
    if (result) {
        fail("talk", result);
        asyncio_stream_abort(stream);
        return 1;
    }
    tell(stream);
    err = asyncio_stream_close(stream);
    return err ? fail("close", err) : 0;
}

ASYNC(async_main, char **, argv)
{
    asyncio_tls_context *tls = NULL;
    int err = set_up(&tls, argv);
    int status = err ? fail("set up", err) : once(tls, argv);
    if (!status && getenv("AGAIN")) {
        rewind(stdin);
        status = once(tls, argv);
    }
    asyncio_tls_context_release(tls);
    return status;
}

int main(int argc, char **argv)
{
    return argc < 4 ? 2 : (int)asyncio_run(async_main(argv));
}
