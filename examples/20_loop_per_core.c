/*
 * Uses all processors: an HTTP server over a loop for each, which share one rate limiter.
 * Each loop has as many clients as the others; the limiter lives on the first loop, and the others ask it.
 *
 *     20_loop_per_core [PORT] [LOOPS] [REQUESTS_PER_SECOND]
 *
 * Try it: curl http://localhost:PORT/, several times; then Ctrl-C while a client is connected.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_S 2.0
#define REQUEST_MAX_S 10.0

/* ---- The rate limiter: on the first loop alone, so that it needs no lock ------------------------ */

struct limiter {
    double per_second, tokens, filled_at;
};

static bool limiter_take(struct limiter *limiter)
{
    double now = asyncio_time();
    limiter->tokens += (now - limiter->filled_at) * limiter->per_second;
    limiter->filled_at = now;
    if (limiter->tokens > limiter->per_second)
        limiter->tokens = limiter->per_second;
    if (limiter->tokens < 1)
        return false;
    limiter->tokens--;
    return true;
}

struct site {
    int port;
    asyncio_loop *first;
    struct limiter limiter;  /* the first loop's, and so are the next two */
    asyncio_server *server;
    asyncio_event is_closed; /* the last client has ended */
};

ASYNC(ask_limiter, struct site *, site)
{
    return limiter_take(&site->limiter);
}

/* ---- A client, on any loop -------------------------------------------------------------------- */

static int answer(asyncio_stream *stream, int status, const char *words, const char *more)
{
    return asyncio_stream_printf(stream, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n\r\n%s", status, words,
                                 strlen(more), more);
}

static int answer_request(asyncio_stream *stream, struct site *site)
{
    char text[64];
    intptr_t is_allowed = asyncio_await_on(site->first, ask_limiter(site));
    if (is_allowed < 0)
        return (int)is_allowed;
    snprintf(text, sizeof text, "served by loop %d\n", asyncio_loops_index());
    return is_allowed ? answer(stream, 200, "OK", text) : answer(stream, 429, "Too Many Requests", "later\n");
}

/* Requests without a body, one after the other, until the peer or the server ends the input. */
ASYNC(serve, asyncio_stream *, stream, struct site *, site)
{
    for (;;) {
        char *head;
        ssize_t n = 0;
        ASYNCIO_TIMEOUT(n, REQUEST_MAX_S)
            n = asyncio_stream_readuntil(stream, "\r\n\r\n", 4, &head);
        if (n == ASYNCIO_EINCOMPLETE || n == -ETIMEDOUT)
            return 0;
        if (n == ASYNCIO_ELIMIT || (n > 0 && strncmp(head, "GET ", 4) != 0))
            return answer(stream, 400, "Bad Request", "only GET\n");
        if (n < 0)
            return n;
        int err = answer_request(stream, site);
        if (err)
            return err;
    }
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    return serve(stream, arg);
}

/* ---- The first loop: accepts, and says when all is over --------------------------------------------- */

static int close_site(struct site *site)
{
    asyncio_server_close(site->server);
    asyncio_server_close_clients(site->server); /* of all loops, once they have been answered */
    int err = asyncio_server_wait_closed(site->server, GRACE_S);
    asyncio_server_release(site->server);
    asyncio_event_set(&site->is_closed);
    return err;
}

ASYNC(run_site, struct site *, site, asyncio_loops *, loops)
{
    const asyncio_server_options options = {.loops = loops};
    site->first = asyncio_get_running_loop();
    int err = asyncio_start_server(handler, site, NULL, site->port, &options, &site->server);
    if (err)
        return err;
    printf("listening on port %d with %d loops\n", asyncio_server_port(site->server),
           asyncio_loops_count(loops));
    fflush(stdout);
    err = asyncio_sleep(ASYNCIO_FOREVER); /* until Ctrl-C, which cancels the mains of all loops */
    int unclean = close_site(site);
    return unclean ? unclean : err;
}

/* ---- The others: there for as long as they have clients ------------------------------------------------ */

ASYNC(wait_until_closed, struct site *, site)
{
    return asyncio_event_wait(&site->is_closed);
}

/* The end of a loop's main cancels what runs on it, so this one waits until the clients have ended. */
ASYNC(lend_loop, struct site *, site, asyncio_loops *, loops)
{
    int err = asyncio_sleep(ASYNCIO_FOREVER);
    asyncio_await_on(asyncio_loops_get(loops, 0), wait_until_closed(site));
    return err;
}

static asyncio_coro *make_main(int index, asyncio_loops *loops, void *arg)
{
    struct site *site = arg;
    return index == 0 ? run_site(site, loops) : lend_loop(site, loops);
}

int main(int argc, char **argv)
{
    struct site site = {.port = argc > 1 ? atoi(argv[1]) : 8010};
    asyncio_loops_options options = {.count = argc > 2 ? atoi(argv[2]) : 0, .run.handle_sigterm = 1};
    site.limiter.per_second = argc > 3 ? atof(argv[3]) : 1000;
    site.limiter.tokens = site.limiter.per_second;
    asyncio_event_init(&site.is_closed);
    intptr_t err = asyncio_run_loops(make_main, &site, &options);
    if (err == -EINTR)
        return 0; /* as it should be */
    fprintf(stderr, "20_loop_per_core: %s\n", asyncio_error_message());
    return 1;
}
