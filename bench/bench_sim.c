/*
 * sim: how many simulated runs are there in a minute of processor time? Five clients, each with 100 round
 * trips of 16 bytes; the argument is the number of runs.
 */
#include <asyncio.h>
#include <asyncio/sim.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CLIENTS = 5, TRIPS = 100, SIZE = 16 };

ASYNC(echo, asyncio_stream *, stream)
{
    char text[SIZE];
    ssize_t n;
    while ((n = asyncio_stream_readexactly(stream, text, SIZE)) == SIZE)
        asyncio_stream_write(stream, text, SIZE);
    return 0;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return echo(stream);
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

ASYNC(ask)
{
    asyncio_stream *stream;
    char text[SIZE] = "sixteen bytes ..";
    int err = asyncio_open_connection("server", 80, NULL, &stream);
    if (err)
        return err;
    ssize_t n = 0;
    for (int i = 0; i < TRIPS && n >= 0; i++) {
        n = asyncio_stream_write(stream, text, SIZE);
        if (n >= 0)
            n = asyncio_stream_readexactly(stream, text, SIZE);
    }
    asyncio_stream_abort(stream);
    return n < 0 ? n : 0;
}

ASYNC(scenario)
{
    asyncio_release(asyncio_sim_start("server", serve()));
    asyncio_sleep(0.1);
    asyncio_task *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = asyncio_sim_start("client", ask());
    intptr_t worst = 0;
    for (int i = 0; i < CLIENTS; i++) {
        intptr_t result = asyncio_await(clients[i]);
        worst = result < 0 ? result : worst;
    }
    return worst;
}

static asyncio_coro *make_scenario(void *arg)
{
    (void)arg;
    return scenario();
}

int main(int argc, char **argv)
{
    size_t runs = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    asyncio_sim_options options = {.seed = 1, .runs = runs, .repeat = -1};
    asyncio_sim_result result;
    struct timespec begin, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    if (asyncio_sim_run(make_scenario, NULL, &options, &result))
        return 1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    double cpu = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("sim: %zu runs, %.0f a minute of CPU time, %llu draws in the last\n", result.runs,
           (double)result.runs * 60 / cpu, (unsigned long long)result.draws);
    return 0;
}
