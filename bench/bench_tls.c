/*
 * tls: two tasks, one of which writes to a stream and one reads from the other. See tls.h.
 */
#include "tls.h"

#include <asyncio.h>
#include <asyncio/tls.h>

struct sides {
    asyncio_stream *from, *to;
};

ASYNC(shake_hands, int, fd, asyncio_tls_context *, tls, asyncio_stream **, stream)
{
    asyncio_connect_options options = {.tls = tls};
    return asyncio_stream_from_fd(fd, &options, stream);
}

ASYNC(send_all, asyncio_stream *, stream, size_t, total, size_t, each)
{
    char *block = calloc(1, each);
    for (size_t sent = 0; sent < total; sent += each)
        BENCH_CHECK(asyncio_stream_write(stream, block, each) == 0);
    free(block);
    return 0;
}

ASYNC(receive_all, asyncio_stream *, stream, size_t, total)
{
    char *block = malloc(TLS_READ_BYTES);
    size_t got = 0;
    while (got < total) {
        ssize_t n = asyncio_stream_read(stream, block, TLS_READ_BYTES);
        BENCH_CHECK(n > 0);
        got += (size_t)n;
    }
    free(block);
    return 0;
}

static void transfer(void *arg, size_t total, size_t each)
{
    struct sides *sides = arg;
    BENCH_CHECK(asyncio_gather(NULL, send_all(sides->from, total, each), receive_all(sides->to, total)) == 0);
}

/* ---- Handshakes ---- */

struct contexts {
    asyncio_tls_context *client, *server;
    bool resumes;
};

ASYNC(serve_once, int, fd, asyncio_tls_context *, tls)
{
    asyncio_stream *stream;
    asyncio_connect_options options = {.tls = tls};
    BENCH_CHECK(asyncio_stream_from_fd(fd, &options, &stream) == 0);
    BENCH_CHECK(asyncio_stream_write(stream, "x", 1) == 0);
    return asyncio_stream_close(stream);
}

ASYNC(ask_once, int, fd, struct contexts *, contexts)
{
    asyncio_stream *stream;
    asyncio_tls_info info;
    char c;
    asyncio_connect_options options = {.tls = contexts->client, .server_hostname = "bench.test"};
    BENCH_CHECK(asyncio_stream_from_fd(fd, &options, &stream) == 0);
    BENCH_CHECK(asyncio_stream_read(stream, &c, 1) == 1);
    if (contexts->resumes)
        BENCH_CHECK(asyncio_stream_tls_info(stream, &info) == 0 && info.resumed);
    return asyncio_stream_close(stream);
}

static void connect_once(void *arg)
{
    struct contexts *contexts = arg;
    int fds[2];
    BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    BENCH_CHECK(asyncio_gather(NULL, ask_once(fds[0], contexts), serve_once(fds[1], contexts->server)) == 0);
}

static void measure_handshakes(const char *variant, asyncio_tls_context *client, asyncio_tls_context *server)
{
    struct contexts contexts = {client, server, false};
    bool resumes = strcmp(variant, "resumed") == 0;
    BENCH_CHECK(asyncio_tls_context_set_resumption(client, resumes) == 0);
    connect_once(&contexts); /* the first one is full */
    contexts.resumes = resumes;
    tls_measure_handshakes(variant, connect_once, &contexts);
}

ASYNC(async_main, char *const *, variants)
{
    asyncio_tls_context *client, *server;
    const char *certificate = tls_make_certificate();
    struct sides sides;
    int fds[2];
    tls_connect(fds);
    BENCH_CHECK(asyncio_tls_context_new_client(&client) == 0);
    BENCH_CHECK(asyncio_tls_context_dangerously_accept_any_cert(client) == 0);
    BENCH_CHECK(asyncio_tls_context_new_server(&server) == 0);
    BENCH_CHECK(asyncio_tls_context_load_cert(server, certificate, NULL) == 0);
    unlink(certificate);
    BENCH_CHECK(asyncio_gather(NULL, shake_hands(fds[0], client, &sides.from),
                               shake_hands(fds[1], server, &sides.to)) == 0);
    asyncio_tls_info info;
    BENCH_CHECK(asyncio_stream_tls_info(sides.from, &info) == 0 && strcmp(info.cipher, TLS_CIPHER) == 0);
    for (; *variants; variants++) {
        if (tls_is_handshakes(*variants))
            measure_handshakes(*variants, client, server);
        else
            tls_measure(*variants, transfer, &sides);
    }
    asyncio_stream_abort(sides.from);
    asyncio_stream_abort(sides.to);
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    return 0;
}

int main(int argc, char **argv)
{
    BENCH_CHECK(argc > 2);
    return asyncio_main(async_main(argv + 2));
}
