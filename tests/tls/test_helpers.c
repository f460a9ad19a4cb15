/*
 * Over TLS: writes that do not wait, files, and whether a connection may be used again.
 */
#include "fd/stream.h"
#include "fd/traffic.h"
#include "sys/sys.h"
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
    for (int i = 0; i < 20000 && !poll(&one, 1, 0) && !asy_traffic_has_news(stream->record); i++)
        asyncio_sleep(0.001);
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

static int pattern_file(void)
{
    char path[] = "/tmp/asyncio-tls-XXXXXX";
    int file = mkstemp(path);
    unlink(path);
    for (size_t i = 0; i < MANY; i++)
        pattern[i] = (char)(i * 7 + i / 251);
    CHECK_EQUAL(write(file, pattern, MANY), MANY);
    return file;
}

ASYNC_TEST(files_and_writes)
{
    struct pair pair;
    static const size_t sizes[] = {1, 16384, 65537, 100000};
    static char got[MANY];
    int file = pattern_file();
    off_t offset = 0;
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

/* From one secure stream to another, and no more than was asked for. */
ASYNC_TEST(copies)
{
    static const size_t sizes[] = {0, 1, 16384, 100000};
    static char got[MANY];
    struct pair from, to;
    char rest[3];
    close(pattern_file());
    pair_init(&from);
    pair_init(&to);
    pair_connect(&from, "server.test");
    pair_connect(&to, "server.test");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i];
        asyncio_task *reader = asyncio_create_task(reads_exactly(to.client, got, n));
        CHECK_EQUAL(asyncio_stream_write(from.client, pattern, n + 3), 0);
        CHECK_EQUAL(asyncio_stream_copy_n(from.server, to.server, n), n);
        CHECK_EQUAL(asyncio_await(reader), n);
        CHECK(memcmp(got, pattern, n) == 0);
        CHECK_EQUAL(asyncio_stream_readexactly(from.server, rest, 3), 3);
        CHECK(memcmp(rest, pattern + n, 3) == 0);
    }
    pair_destroy(&from);
    pair_destroy(&to);
    return 0;
}

/* ---- Sweeps -------------------------------------------------------------------------------- */

#define SENT 20000
#define COPIED 5000

/* Sends a file and more, then copies what comes back to where it came from. */
ASYNC(gives, int *, fd, asyncio_tls_context *, tls, int, file)
{
    asyncio_stream *stream;
    off_t offset = 0;
    int own = *fd;
    *fd = -1;
    int err = connect_side(own, tls, NULL, &stream);
    if (err)
        return err;
    ssize_t n = asyncio_stream_sendfile(stream, file, &offset, SENT);
    if (n >= 0)
        n = asyncio_stream_write_nowait(stream, pattern, 100);
    if (n >= 0)
        n = asyncio_stream_copy_n(stream, stream, COPIED);
    int closed = asyncio_stream_close(stream);
    return n < 0 ? n : closed;
}

static intptr_t take(int fd, asyncio_tls_context *tls)
{
    static char got[SENT + 100];
    asyncio_stream *stream;
    int err = connect_side(fd, tls, "server.test", &stream);
    if (err)
        return err;
    ssize_t n = asyncio_stream_readexactly(stream, got, sizeof got);
    asyncio_stream_is_idle(stream);
    if (n >= 0)
        n = asyncio_stream_write(stream, pattern, COPIED);
    if (n >= 0)
        n = asyncio_stream_readexactly(stream, got, COPIED);
    int closed = asyncio_stream_close(stream);
    return n < 0 ? n : closed;
}

static int make_contexts(asyncio_tls_context **client, asyncio_tls_context **server)
{
    /* If one side has failed, the other one waits for so long. */
    double handshake_s = asy_fault_is_armed() && !is_slow_build() ? 0.5 : asy_fault_is_armed() ? 5 : 20;
    int err = asyncio_tls_context_new_client(client);
    if (!err)
        err = asyncio_tls_context_load_ca(*client, cert("ca.pem"));
    if (!err)
        err = asyncio_tls_context_new_server(server);
    if (!err)
        err = asyncio_tls_context_load_cert(*server, cert("server.pem"), cert("server.key"));
    if (!err)
        err = asyncio_tls_context_set_timeouts(*client, handshake_s, 0.02);
    return err ? err : asyncio_tls_context_set_timeouts(*server, handshake_s, 0.02);
}

ASYNC(helps)
{
    asyncio_tls_context *client = NULL, *server = NULL;
    int file = pattern_file(), fds[2];
    intptr_t result = make_contexts(&client, &server);
    if (!result) {
        net_unix_pair(SOCK_STREAM, fds);
        net_make_narrow(fds[0]);
        net_make_narrow(fds[1]);
        asyncio_task *other = asyncio_create_task(gives(&fds[1], server, file));
        result = take(fds[0], client);
        asyncio_cancel(other);
        asyncio_gather_settled(NULL, other);
        if (fds[1] >= 0)
            close(fds[1]); /* its task never began */
    }
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    close(file);
    return result;
}

static void check_helped(intptr_t result, unsigned suspension)
{
    CHECK(result == 0 || (suspension && result == -ECANCELED));
}

TEST(cancels)
{
    sweep_cancels(helps, check_helped);
}

TEST(failures)
{
    sweep_failures(helps);
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
