/*
 * A large write through TLS gives way between its steps, and others may end, close or abort the stream
 * meanwhile. tests/fd/test_write_steps.c has what does not depend on TLS.
 */
#include "tls/tls_test.h"

#define MIB ((size_t)1 << 20)
#define TOTAL (8 * MIB)
#define RUNS_MIN 7

static char *data;
static bool is_over;
static int runs;

ASYNC(runs_beside)
{
    while (!is_over) {
        asyncio_sleep(0);
        runs++;
    }
    return 0;
}

ASYNC(writes_all, asyncio_stream *, stream)
{
    return asyncio_stream_write(stream, data, TOTAL);
}

ASYNC(writes_mark, asyncio_stream *, stream)
{
    return asyncio_stream_write(stream, "next", 4);
}

/* Reads to the end, and compares; how many bytes. */
ASYNC(receives, asyncio_stream *, stream)
{
    static char block[65536];
    size_t got = 0;
    ssize_t n;
    while ((n = asyncio_stream_read(stream, block, sizeof block)) > 0) {
        if (got < TOTAL)
            CHECK(memcmp(block, data + got, (size_t)n < TOTAL - got ? (size_t)n : TOTAL - got) == 0);
        got += (size_t)n;
    }
    return n < 0 ? n : (intptr_t)got;
}

ASYNC(receives_and_closes, struct pair *, pair)
{
    ssize_t got = asyncio_await(receives(pair->server));
    CHECK_EQUAL(asyncio_stream_close(pair->server), 0);
    pair->server = NULL;
    return got;
}

static void open_pair(struct pair *pair)
{
    pair_init(pair);
    pair_connect(pair, "server.test");
}

/* A task that is amid its write. */
static asyncio_task *begin_large(asyncio_stream *stream)
{
    asyncio_task *large = asyncio_create_task(writes_all(stream));
    asyncio_sleep(0);
    asyncio_sleep(0);
    CHECK(!asyncio_done(large));
    return large;
}

/* The peer does not read. */
ASYNC_TEST(others_run)
{
    struct pair pair;
    open_pair(&pair);
    is_over = false;
    asyncio_task *beside = asyncio_create_task(runs_beside());
    asyncio_sleep(0);
    runs = 0;
    CHECK_EQUAL(asyncio_stream_write(pair.client, data, TOTAL), 0);
    CHECK(runs >= RUNS_MIN);
    is_over = true;
    asyncio_await(beside);
    asyncio_task *reader = asyncio_create_task(receives(pair.server));
    CHECK_EQUAL(asyncio_stream_write_eof(pair.client), 0);
    CHECK_EQUAL(asyncio_await(reader), TOTAL);
    pair_destroy(&pair);
    return 0;
}

/* The peer reads as fast, so that there is room for the next writer again and again. */
ASYNC_TEST(in_one_piece)
{
    struct pair pair;
    open_pair(&pair);
    asyncio_task *reader = asyncio_create_task(receives(pair.server));
    asyncio_task *large = begin_large(pair.client), *mark = asyncio_create_task(writes_mark(pair.client));
    CHECK_EQUAL(asyncio_await(large), 0);
    CHECK_EQUAL(asyncio_await(mark), 0);
    CHECK_EQUAL(asyncio_stream_write_eof(pair.client), 0);
    CHECK_EQUAL(asyncio_await(reader), TOTAL + 4);
    pair_destroy(&pair);
    return 0;
}

ASYNC_TEST(ended)
{
    struct pair pair;
    open_pair(&pair);
    asyncio_task *large = begin_large(pair.client), *mark = asyncio_create_task(writes_mark(pair.client));
    asyncio_task *reader = asyncio_create_task(receives(pair.server));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_stream_write_eof(pair.client), 0);
    CHECK_EQUAL(asyncio_await(large), 0);
    CHECK_EQUAL(asyncio_await(mark), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_await(reader), TOTAL);
    pair_destroy(&pair);
    return 0;
}

ASYNC_TEST(closed)
{
    struct pair pair;
    open_pair(&pair);
    asyncio_task *large = begin_large(pair.client);
    asyncio_task *reader = asyncio_create_task(receives_and_closes(&pair));
    CHECK_EQUAL(asyncio_stream_close(pair.client), 0);
    pair.client = NULL;
    CHECK_EQUAL(asyncio_await(large), 0);
    CHECK_EQUAL(asyncio_await(reader), TOTAL);
    pair_destroy(&pair);
    return 0;
}

ASYNC_TEST(aborted)
{
    struct pair pair;
    open_pair(&pair);
    asyncio_task *large = begin_large(pair.client), *mark = asyncio_create_task(writes_mark(pair.client));
    asyncio_sleep(0);
    asyncio_stream_abort(pair.client);
    pair.client = NULL;
    CHECK_EQUAL(asyncio_await(large), -EBADF);
    CHECK_EQUAL(asyncio_await(mark), -EBADF);
    asyncio_stream_abort(pair.server);
    pair.server = NULL;
    pair_destroy(&pair);
    return 0;
}

/* Hello does not come between the bytes of a plain write. */
ASYNC_TEST(no_start_amid)
{
    int fds[2];
    asyncio_stream *stream;
    asyncio_tls_context *client = new_client("ca.pem");
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    asyncio_task *large = begin_large(stream);
    CHECK_EQUAL(asyncio_stream_start_tls(stream, client, "server.test"), ASYNCIO_ESTATE);
    CHECK_TEXT(asyncio_error_message(), "TLS cannot start: the stream has it, is read, written or ends");
    CHECK_EQUAL(asyncio_await(large), 0);
    asyncio_stream_abort(stream);
    close(fds[1]);
    asyncio_tls_context_release(client);
    return 0;
}

static int allocate(void **state)
{
    (void)state;
    data = malloc(TOTAL);
    for (size_t i = 0; data && i < TOTAL; i++)
        data[i] = (char)(i * 2654435761u >> 24);
    return !data;
}

static int release(void **state)
{
    (void)state;
    free(data);
    return 0;
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = allocate, .group_teardown = release};
    use_descriptors();
    certs_make();
    return tests_run(&fixtures);
}
