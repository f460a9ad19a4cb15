/*
 * sim: what do runs in a simulated world cost? All times are of the processor.
 *
 * runs        one run: five clients, each with 100 round trips of 16 bytes, which come in pieces
 * connect-n   one connection and its first round trip, until there are n sockets
 * trip-n      one more round trip over each of them
 * bytes-n     what is held for each socket then: the world's, and its stream, of which every second is parked
 */
#include "bench.h"

#include <asyncio.h>
#include <asyncio/sim.h>
#include <sys/resource.h>

enum { CLIENTS = 5, TRIPS = 100, SIZE = 16, REPETITIONS = 5 };

static double processor_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- The server: answers what comes, and parks ------------------------------------------------ */

ASYNC(answer, asyncio_stream *, stream)
{
    char text[SIZE];
    ssize_t n = asyncio_stream_readexactly(stream, text, SIZE);
    if (n < 0)
        return 0;
    int err = asyncio_stream_write(stream, text, SIZE);
    return err ? err : ASYNCIO_PARK;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer(stream);
}

ASYNC(serve)
{
    asyncio_server *server;
    int err = asyncio_start_server(handler, NULL, NULL, 80, NULL, &server);
    if (err)
        return err;
    err = asyncio_server_serve_forever(server);
    asyncio_server_release(server);
    return err;
}

ASYNC(make_trip, asyncio_stream *, stream)
{
    char text[SIZE] = "sixteen bytes ..";
    int err = asyncio_stream_write(stream, text, SIZE);
    if (err)
        return err;
    ssize_t n = asyncio_stream_readexactly(stream, text, SIZE);
    return n < 0 ? n : 0;
}

/* ---- Runs ----------------------------------------------------------------------------------------- */

ASYNC(ask)
{
    asyncio_stream *stream;
    intptr_t err = asyncio_open_connection("server", 80, NULL, &stream);
    if (err)
        return err;
    for (int i = 0; i < TRIPS && !err; i++)
        err = asyncio_await(make_trip(stream));
    asyncio_stream_abort(stream);
    return err;
}

ASYNC(ask_often)
{
    asyncio_release(asyncio_sim_start("server", serve()));
    asyncio_sleep(0.1);
    asyncio_task *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = asyncio_sim_start("client", ask());
    return asyncio_gather(NULL, clients[0], clients[1], clients[2], clients[3], clients[4]);
}

static asyncio_coro *make_ask_often(void *arg)
{
    (void)arg;
    return ask_often();
}

static void measure_runs(void)
{
    double samples[REPETITIONS];
    size_t runs = bench_is_quick() ? 50 : 200;
    for (size_t i = 0; i < REPETITIONS; i++) {
        asyncio_sim_options options = {.seed = 1 + i * runs, .runs = runs, .repeat = -1};
        double begin_ns = processor_ns();
        BENCH_CHECK(asyncio_sim_run(make_ask_often, NULL, &options, NULL) == 0);
        samples[i] = (processor_ns() - begin_ns) / (double)runs / 1000;
    }
    double median = bench_median(samples, REPETITIONS);
    bench_print("sim", "runs", median, "us", samples[0]);
}

/* ---- Many sockets ----------------------------------------------------------------------------------- */

struct crowd {
    size_t count; /* of sockets, two to a connection */
    asyncio_stream **streams;
    double connect_ns[REPETITIONS], trip_ns[REPETITIONS];
    int64_t bytes; /* of the first run, whose memory was new */
    size_t runs;
};

ASYNC(connect_all, struct crowd *, crowd, size_t, connections)
{
    intptr_t err = 0;
    for (size_t i = 0; i < connections && !err; i++) {
        err = asyncio_open_connection("server", 80, NULL, &crowd->streams[i]);
        if (!err)
            err = asyncio_await(make_trip(crowd->streams[i]));
    }
    return err;
}

ASYNC(connect_many, struct crowd *, crowd)
{
    size_t connections = crowd->count / 2;
    asyncio_release(asyncio_sim_start("server", serve()));
    asyncio_sleep(0.1);
    int64_t bytes = bench_memory_bytes();
    double begin_ns = processor_ns();
    BENCH_CHECK(asyncio_await(asyncio_sim_start("client", connect_all(crowd, connections))) == 0);
    crowd->connect_ns[crowd->runs] = (processor_ns() - begin_ns) / (double)connections;
    asyncio_sleep(1); /* the last of them parks */
    if (!crowd->runs)
        crowd->bytes = bench_memory_bytes() - bytes;
    begin_ns = processor_ns();
    for (size_t i = 0; i < connections; i++)
        BENCH_CHECK(asyncio_await(make_trip(crowd->streams[i])) == 0);
    crowd->trip_ns[crowd->runs++] = (processor_ns() - begin_ns) / (double)connections;
    for (size_t i = 0; i < connections; i++)
        asyncio_stream_abort(crowd->streams[i]);
    return 0;
}

static asyncio_coro *make_connect_many(void *arg)
{
    return connect_many(arg);
}

static void print_crowd(const char *what, size_t count, double *samples)
{
    char variant[32];
    snprintf(variant, sizeof variant, "%s-%zu", what, count);
    double median = bench_median(samples, REPETITIONS);
    bench_print("sim", variant, median, "ns", samples[0]);
}

static void measure_sockets(size_t count)
{
    struct crowd crowd = {.count = count};
    asyncio_sim_options options = {.runs = REPETITIONS, .repeat = -1};
    char variant[32];
    BENCH_CHECK(crowd.streams = calloc(count, sizeof *crowd.streams));
    memset(crowd.streams, 1, count * sizeof *crowd.streams); /* it is not the sockets' */
    BENCH_CHECK(asyncio_sim_run(make_connect_many, &crowd, &options, NULL) == 0);
    print_crowd("connect", count, crowd.connect_ns);
    print_crowd("trip", count, crowd.trip_ns);
    snprintf(variant, sizeof variant, "bytes-%zu", count);
    bench_print("sim", variant, (double)crowd.bytes / (double)count, "B",
                (double)crowd.bytes / (double)count);
    free(crowd.streams);
}

static void measure_variant(const char *variant)
{
    struct rlimit limit;
    size_t count = strtoul(variant, NULL, 10);
    if (strcmp(variant, "runs") == 0) {
        measure_runs();
        return;
    }
    BENCH_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > count + 100)
        measure_sockets(count);
    else
        bench_print_none("sim", variant, "not so many descriptors are allowed");
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"runs", "100", "10000", NULL};
    const char *const *variants = argc > 2 ? (const char *const *)argv + 2 : all;
    for (size_t i = 0; variants[i]; i++)
        measure_variant(variants[i]);
    return 0;
}
