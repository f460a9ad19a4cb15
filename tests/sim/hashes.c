/*
 * Prints the hash of each of 200 runs of a small cluster, twice in this process: of servers and clients with
 * loss, jitter, pieces, resets, work on threads. check-hashes runs it in several processes, and built in
 * several ways.
 */
#include "server.h"
#include <asyncio.h>
#include <asyncio/sim.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CLIENTS 4

static intptr_t reverse_line(void *arg)
{
    char *line = arg;
    size_t n = strcspn(line, "\n");
    for (size_t i = 0; i < n / 2; i++) {
        char swapped = line[i];
        line[i] = line[n - 1 - i];
        line[n - 1 - i] = swapped;
    }
    return 0;
}

ASYNC(answer, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        char copy[64];
        snprintf(copy, sizeof copy, "%s", line);
        asyncio_to_thread(reverse_line, copy);
        int err = asyncio_stream_printf(stream, "%s", copy);
        if (err)
            return 0;
    }
    return 0;
}

static asyncio_coro *handle(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer(stream);
}

static int ask_once(int number)
{
    asyncio_stream *stream;
    char *line;
    int err = asyncio_open_connection("server", 80, NULL, &stream);
    if (err)
        return err;
    ssize_t n = 0;
    for (int i = 0; i < 5 && n >= 0; i++) {
        n = asyncio_stream_printf(stream, "line %d of client %d\n", i, number);
        n = n ? n : asyncio_stream_readline(stream, &line);
        if (n == 0)
            n = -ECONNRESET;
    }
    asyncio_stream_abort(stream);
    return n < 0 ? (int)n : 0;
}

ASYNC(ask, int, number)
{
    int err;
    do {
        ASYNCIO_TIMEOUT(err, 10) {
            err = ask_once(number);
        }
        if (err)
            asyncio_sleep(0.05);
    } while (err);
    return 0;
}

ASYNC(cluster)
{
    asyncio_task *clients[CLIENTS];
    asyncio_release(asyncio_sim_start("server", serve_on_80(handle)));
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = asyncio_sim_start(i % 2 ? "odd" : "even", ask(i));
    while (asyncio_sleep(0.02) == 0 && !asyncio_done(clients[0]))
        if (asyncio_sim_chance("reset", 8))
            asyncio_sim_reset("server", NULL);
    intptr_t err = 0;
    for (int i = 0; i < CLIENTS; i++) {
        intptr_t end = asyncio_await(clients[i]);
        err = err ? err : end;
    }
    asyncio_sim_note("all done at %.6f", asyncio_time());
    return err;
}

static asyncio_coro *make_cluster(void *arg)
{
    (void)arg;
    return cluster();
}

int main(void)
{
    for (unsigned seed = 1; seed <= 200; seed++) {
        const asyncio_sim_options options = {
            .seed = seed, .runs = 1, .repeat = 1, .link = {.latency = 0.002, .jitter = 0.01, .loss = 0.02}};
        asyncio_sim_result result;
        if (asyncio_sim_run(make_cluster, NULL, &options, &result))
            return 1;
        printf("%u %016llx %llu %.9f\n", seed, (unsigned long long)result.hash,
               (unsigned long long)result.draws, result.seconds);
    }
    return 0;
}
