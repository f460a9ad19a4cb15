/*
 * Over TLS: writes that do not wait, files, and whether a connection may be used again.
 */
#include "tls/tls_test.h"
#include <poll.h>

#define MANY 200000

static char pattern[MANY];

ASYNC(reads_exactly, asyncio_stream *, stream, char *, buf, size_t, n)
{
    return asyncio_stream_readexactly(stream, buf, n);
}

/* Bytes have arrived, or the end. */
static void wait_until_there(asyncio_stream *stream)
{
    struct pollfd one = {.fd = asyncio_stream_fd(stream), .events = POLLIN};
    CHECK_EQUAL(poll(&one, 1, 20000), 1);
}

/* Session tickets come after the handshake: they make no connection unfit. */
ASYNC_TEST(is_idle)
{
    struct pair pair;
    char buf[8];
    pair_init(&pair);
    pair_connect(&pair, "server.test");
    wait_until_there(pair.client);
    CHECK(asyncio_stream_is_idle(pair.client));
    CHECK(asyncio_stream_is_idle(pair.server));
    CHECK_EQUAL(asyncio_stream_write(pair.server, "hi", 2), 0);
    wait_until_there(pair.client);
    CHECK(!asyncio_stream_is_idle(pair.client));
    CHECK(!asyncio_stream_is_idle(pair.client)); /* which has taken nothing */
    CHECK_EQUAL(asyncio_stream_read(pair.client, buf, 1), 1);
    CHECK(!asyncio_stream_is_idle(pair.client));
    CHECK_EQUAL(asyncio_stream_read(pair.client, buf, 1), 1);
    CHECK(asyncio_stream_is_idle(pair.client));
    CHECK_EQUAL(asyncio_stream_write_eof(pair.server), 0); /* its goodbye */
    wait_until_there(pair.client);
    CHECK(!asyncio_stream_is_idle(pair.client));
    CHECK_EQUAL(asyncio_stream_read(pair.client, buf, 1), 0);
    pair_destroy(&pair);
    return 0;
}

/* A task that waits to read gets what the look has found. */
ASYNC_TEST(is_idle_beside_a_reader)
{
    struct pair pair;
    char buf[8];
    pair_init(&pair);
    pair_connect(&pair, "server.test");
    asyncio_task *reader = asyncio_create_task(reads_exactly(pair.client, buf, 2));
    asyncio_sleep(0.01);
    CHECK(asyncio_stream_is_idle(pair.client));
    CHECK_EQUAL(asyncio_stream_write(pair.server, "hi", 2), 0);
    asyncio_stream_is_idle(pair.client);
    CHECK_EQUAL(asyncio_await(reader), 2);
    pair_destroy(&pair);
    return 0;
}

ASYNC_TEST(files_and_writes)
{
    struct pair pair;
    static const size_t sizes[] = {1, 16384, 65537, 100000};
    static char got[MANY];
    char path[] = "/tmp/asyncio-tls-XXXXXX";
    int file = mkstemp(path);
    off_t offset = 0;
    unlink(path);
    for (size_t i = 0; i < MANY; i++)
        pattern[i] = (char)(i * 7 + i / 251);
    CHECK_EQUAL(write(file, pattern, MANY), MANY);
    pair_init(&pair);
    pair_connect(&pair, "server.test");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t before = (size_t)offset, n = sizes[i];
        asyncio_task *reader = asyncio_create_task(reads_exactly(pair.client, got, n + 5));
        CHECK_EQUAL(asyncio_stream_sendfile(pair.server, file, &offset, n), n);
        CHECK_EQUAL(offset, before + n);
        int err;
        while ((err = asyncio_stream_write_nowait(pair.server, "after", 5)) == -EAGAIN)
            asyncio_sleep(0.001);
        CHECK_EQUAL(err, 0);
        CHECK_EQUAL(asyncio_await(reader), n + 5);
        CHECK(memcmp(got, pattern + before, n) == 0 && memcmp(got + n, "after", 5) == 0);
    }
    close(file);
    pair_destroy(&pair);
    return 0;
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
