/*
 * Uses all processors: a thread for each, with a loop and a server of its own, at one port.
 * The kernel spreads the clients among them (SO_REUSEPORT); the threads share nothing else.
 *
 *     20_loop_per_core [PORT] [LOOPS]
 *
 * Try it: nc localhost PORT, several times; each client is told which loop serves it.
 */
#include <asyncio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GRACE_S 2.0
#define LOOPS_MAX 256

struct worker {
    int number, port;
    pthread_t thread;
    asyncio_loop *loop;     /* its own, once it runs */
    asyncio_event is_over;  /* of its loop: tells it to end */
    asyncio_loop *first;    /* that of main */
    asyncio_event is_ready; /* of the first loop: it listens, or has failed */
    bool listens;
    intptr_t result;        /* once the thread has ended */
};

/* ---- A client ------------------------------------------------------------------------------ */

ASYNC(serve, asyncio_stream *, stream, const struct worker *, worker)
{
    int err = asyncio_stream_printf(stream, "loop %d\n", worker->number);
    return err ? err : asyncio_stream_copy(stream, stream);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    return serve(stream, arg);
}

static int start(struct worker *worker, asyncio_server **server)
{
    asyncio_server_options options = {.reuse_port = 1};
    return asyncio_start_server(handler, worker, "127.0.0.1", worker->port, &options, server);
}

static void finish(asyncio_server *server)
{
    asyncio_server_close(server);
    asyncio_server_close_clients(server);
    asyncio_server_wait_closed(server, GRACE_S);
    asyncio_server_release(server);
}

/* ---- The other threads ----------------------------------------------------------------------- */

static void set_event(void *event)
{
    asyncio_event_set(event);
}

/* Serves until main tells it to end. */
ASYNC(work, struct worker *, worker)
{
    asyncio_server *server;
    int err = start(worker, &server);
    if (err)
        return err;
    asyncio_event_init(&worker->is_over);
    worker->loop = asyncio_loop_ref(asyncio_get_running_loop());
    worker->listens = true;
    asyncio_loop_call_soon_threadsafe(worker->first, set_event, &worker->is_ready);
    err = asyncio_event_wait(&worker->is_over);
    finish(server);
    return err;
}

static void *run_worker(void *arg)
{
    struct worker *worker = arg;
    asyncio_run_options options = {.handle_sigint = -1}; /* the first thread does that */
    worker->result = asyncio_run_with(work(worker), &options);
    if (!worker->listens) /* and never will */
        asyncio_loop_call_soon_threadsafe(worker->first, set_event, &worker->is_ready);
    return NULL;
}

static void end_thread(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    asyncio_loop_release(worker->loop);
    if (worker->result < 0)
        fprintf(stderr, "loop %d: %s\n", worker->number, asyncio_strerror(worker->result));
}

/* Must not be cancelled before the thread has set its loop, or has failed. */
static int start_thread(struct worker *worker)
{
    asyncio_shield_scope shield;
    asyncio_event_init(&worker->is_ready);
    worker->first = asyncio_get_running_loop();
    int err = -pthread_create(&worker->thread, NULL, run_worker, worker);
    if (err)
        return err;
    asyncio_shield_scope_enter(&shield);
    asyncio_event_wait(&worker->is_ready);
    asyncio_shield_scope_exit(&shield);
    if (worker->listens)
        return 0;
    end_thread(worker);
    return (int)worker->result;
}

/* ---- The first one ------------------------------------------------------------------------------ */

static void end_all(struct worker *workers, int count, asyncio_server *server)
{
    for (int i = 1; i < count; i++)
        asyncio_loop_call_soon_threadsafe(workers[i].loop, set_event, &workers[i].is_over);
    finish(server);
    for (int i = 1; i < count; i++)
        end_thread(&workers[i]);
}

ASYNC(async_main, int, port, int, loops)
{
    static struct worker workers[LOOPS_MAX];
    asyncio_server *server;
    int count = 1;
    workers[0].port = port;
    int err = start(&workers[0], &server);
    if (err)
        return err;
    for (; count < loops && !err; count += !err) {
        workers[count] = (struct worker){.number = count, .port = asyncio_server_port(server)};
        err = start_thread(&workers[count]);
    }
    printf("listening on port %d with %d loops\n", asyncio_server_port(server), count);
    fflush(stdout);
    if (!err)
        err = asyncio_server_wait_closed(server, ASYNCIO_FOREVER); /* until Ctrl-C */
    end_all(workers, count, server);
    return err;
}

int main(int argc, char **argv)
{
    int loops = argc > 2 ? atoi(argv[2]) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    loops = loops < 1 ? 1 : loops > LOOPS_MAX ? LOOPS_MAX : loops;
    return asyncio_main(async_main(argc > 1 ? atoi(argv[1]) : 8010, loops));
}
