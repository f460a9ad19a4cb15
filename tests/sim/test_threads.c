/*
 * Two worlds in two threads know nothing of each other: each seed is the run that it is alone.
 */
#include "asyncio.h"
#include "asyncio/sim.h"
#include "sim/server.h"
#include "support/harness.h"
#include <pthread.h>

ASYNC(answer, asyncio_stream *, stream)
{
    char bytes[64];
    ssize_t n;
    while ((n = asyncio_stream_read(stream, bytes, sizeof bytes)) > 0)
        if (asyncio_stream_write(stream, bytes, (size_t)n))
            break;
    return n;
}

static asyncio_coro *handle(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer(stream);
}

ASYNC(ask)
{
    asyncio_stream *stream;
    char bytes[32];
    asyncio_release(asyncio_sim_start("server", serve_on_80(handle)));
    asyncio_sleep(0.01);
    int err = asyncio_open_connection("server", 80, NULL, &stream);
    if (err)
        return err;
    for (int i = 0; i < 5 && !err; i++) {
        err = asyncio_stream_write(stream, bytes, sizeof bytes);
        ssize_t n = err ? err : asyncio_stream_readexactly(stream, bytes, sizeof bytes);
        err = n < 0 ? (int)n : 0;
    }
    asyncio_stream_close(stream);
    return err;
}

static asyncio_coro *make_ask(void *arg)
{
    (void)arg;
    return ask();
}

static void *simulate_some(void *arg)
{
    const asyncio_sim_options options = {.seed = 1, .runs = 20};
    asyncio_sim_result *result = arg;
    asyncio_sim_run(make_ask, NULL, &options, result);
    return NULL;
}

TEST(two_worlds_in_two_threads)
{
    asyncio_sim_result alone, results[2];
    pthread_t threads[2];
    simulate_some(&alone);
    assert_int_equal(alone.error, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, simulate_some, &results[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(results[i].error, 0);
        assert_int_equal(results[i].runs, 20);
        assert_true(results[i].hash == alone.hash);
    }
}

TEST_MAIN()
