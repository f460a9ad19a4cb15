/*
 * OpenSSL without memory: the Nth of its own allocations (each with 1,000 seeds, else some hundreds)
 * fails, once alone and once with all that follow, over a conversation from contexts to goodbyes. That
 * ends with an error or well, and nothing of ours is left. What OpenSSL itself loses on such a day is not
 * looked at.
 */
#include "tls/tls_test.h"
#include <openssl/crypto.h>

/* The allocations still to come before one fails; below 0: none does. */
static long countdown = -1;
static bool and_all_after;
static long count;

static bool fails(void)
{
    count++;
    if (countdown < 0)
        return false;
    if (countdown == 0)
        return and_all_after || countdown-- == 0;
    countdown--;
    return false;
}

static void *allocate(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n == 0 || fails() ? NULL : malloc(n);
}

static void *reallocate(void *memory, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n == 0) {
        free(memory);
        return NULL;
    }
    return fails() ? NULL : realloc(memory, n);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

/* ---- The conversation ------------------------------------------------------------------------- */

ASYNC(answer, int, fd, asyncio_tls_context *, tls)
{
    asyncio_stream *stream;
    char text[8];
    int err = connect_side(fd, tls, NULL, &stream);
    if (err)
        return err;
    ssize_t n = asyncio_stream_readexactly(stream, text, 4);
    if (n == 4)
        n = asyncio_stream_write(stream, text, 4);
    int closed = asyncio_stream_close(stream);
    return n < 0 ? n : closed;
}

ASYNC(ask, int, fd, asyncio_tls_context *, tls)
{
    asyncio_stream *stream;
    asyncio_tls_info info;
    char text[8] = "";
    int err = connect_side(fd, tls, "server.test", &stream);
    if (err)
        return err;
    ssize_t n = asyncio_stream_write(stream, "ping", 4);
    if (n == 0)
        n = asyncio_stream_readexactly(stream, text, 4);
    if (n == 4 && strcmp(text, "ping") != 0)
        n = -EPROTO;
    asyncio_stream_tls_info(stream, &info);
    int closed = asyncio_stream_close(stream);
    return n < 0 ? n : closed;
}

/* A peer that did not take the goodbye in time would be cut off; in a sweep that is as good an end as any. */
static double shutdown_timeout = 20;

static int set_up(asyncio_tls_context **client, asyncio_tls_context **server)
{
    int err = asyncio_tls_context_new_client(client);
    if (!err)
        err = asyncio_tls_context_load_ca(*client, cert("ca.pem"));
    if (!err)
        err = asyncio_tls_context_set_alpn(*client, (const char *const[]){"h2", NULL});
    if (!err)
        err = asyncio_tls_context_set_timeouts(*client, 20, shutdown_timeout);
    if (!err)
        err = asyncio_tls_context_new_server(server);
    if (!err)
        err = asyncio_tls_context_load_cert(*server, cert("server.pem"), cert("server.key"));
    return err ? err : asyncio_tls_context_set_timeouts(*server, 20, shutdown_timeout);
}

/* Twice: the second time there is a session to resume. */
ASYNC(main_conversation)
{
    asyncio_tls_context *client = NULL, *server = NULL;
    intptr_t results[2] = {0, 0};
    int err = set_up(&client, &server);
    for (int i = 0; i < 2 && !err && !results[0] && !results[1]; i++) {
        int fds[2];
        net_unix_pair(SOCK_STREAM, fds);
        asyncio_gather_settled(results, ask(fds[0], client), answer(fds[1], server));
    }
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    return err ? err : results[0] ? results[0] : results[1];
}

static bool is_expected(intptr_t result)
{
    return result == 0 || result == ASYNCIO_ETLS || result == -ENOMEM || result == -ECONNRESET ||
           result == -ETIMEDOUT || result == -EINVAL || result == -ENOENT || result == -ECONNABORTED ||
           result == ASYNCIO_EINCOMPLETE || result == -EPIPE || result == ASYNCIO_ESTATE;
}

TEST(allocations)
{
    CHECK_EQUAL(run(main_conversation), 0); /* what is made once is there now */
    count = 0;
    CHECK_EQUAL(run(main_conversation), 0);
    shutdown_timeout = 0.02;
    long total = count, step = is_thorough() ? 1 : total / (is_slow_build() ? 100 : 500) + 1;
    CHECK(total > 500);
    for (int all = 0; all < 2; all++) {
        for (long nth = 0; nth < total; nth += nth < 50 ? 1 : step) {
            and_all_after = all;
            countdown = nth;
            intptr_t result = run(main_conversation);
            countdown = -1;
            if (!is_expected(result) || (all && result == 0 && nth < total / 2))
                harness_failed(__FILE__, __LINE__, "allocation %ld of %ld, %d: %s", nth, total, all,
                               asyncio_errname(result));
        }
    }
    CHECK_EQUAL(run(main_conversation), 0);
    harness_settle();
}

int main(void)
{
    if (!CRYPTO_set_mem_functions(allocate, reallocate, release))
        return 1;
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
