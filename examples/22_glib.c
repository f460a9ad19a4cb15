/*
 * Runs asyncio inside a GLib main loop, as a program with a window would: GLib's timers and
 * callbacks, and tasks with sockets and a process, in one thread.
 *
 *     22_glib [COMMAND]
 *
 * The bridge is one GSource: GLib polls the descriptor of our loop beside its own, at most
 * until our next timer, and runs an iteration of ours when either comes. All below it is an
 * ordinary program.
 */
#include <asyncio.h>
#include <glib-unix.h>
#include <glib.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>

/* ---- The bridge ------------------------------------------------------------------------------ */

struct loop_source {
    GSource source;
    asyncio_loop *loop;
    gpointer fd;
    GMainLoop *glib;
};

/* Called before GLib polls: is there something to do at once, and if not, when? */
static gboolean prepare(GSource *source, gint *timeout_ms)
{
    double seconds = asyncio_loop_timeout(((struct loop_source *)source)->loop);
    *timeout_ms = seconds * 1000 < G_MAXINT ? (gint)ceil(seconds * 1000) : -1;
    return seconds == 0;
}

/* Called after GLib has polled. */
static gboolean check(GSource *source)
{
    struct loop_source *bridge = (struct loop_source *)source;
    return g_source_query_unix_fd(source, bridge->fd) || asyncio_loop_timeout(bridge->loop) == 0;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    (void)callback, (void)data;
    struct loop_source *bridge = (struct loop_source *)source;
    if (asyncio_loop_run_once(bridge->loop, 0) == 0)
        return G_SOURCE_CONTINUE;
    g_warning("no turn for asyncio: %s", asyncio_error_message());
    g_main_loop_quit(bridge->glib); /* without turns our main task would never end it */
    return G_SOURCE_REMOVE;
}

static GSource *attach(asyncio_loop *loop, GMainLoop *glib)
{
    static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch};
    GSource *source = g_source_new(&functions, sizeof(struct loop_source));
    struct loop_source *bridge = (struct loop_source *)source;
    bridge->loop = loop;
    bridge->glib = glib;
    bridge->fd = g_source_add_unix_fd(source, asyncio_loop_fd(loop), G_IO_IN);
    g_source_attach(source, NULL);
    return source;
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

/* Shows what a command prints, line by line, as it comes. */
ASYNC(run_command, const char *, command)
{
    asyncio_process *process;
    int status, err = asyncio_create_subprocess_shell(
        command, &(asyncio_subprocess_options){.stdout_fd = ASYNCIO_PIPE}, &process);
    if (err)
        return err;
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(asyncio_process_stdout(process), &line)) > 0)
        printf("process: %s", line);
    err = n ? (int)n : asyncio_process_wait(process, &status);
    if (!err)
        printf("process: ended with status %d\n", status);
    asyncio_process_release(process);
    return err;
}

ASYNC(echo, asyncio_stream *, stream)
{
    return asyncio_stream_copy(stream, stream);
}

static asyncio_coro *serve(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return echo(stream);
}

/* A client: sends three lines, a tenth of a second apart, and reads them back. */
ASYNC(talk, int, port)
{
    asyncio_stream *stream;
    char *line;
    int err = asyncio_open_connection("127.0.0.1", port, NULL, &stream);
    if (err)
        return err;
    for (int i = 1; i <= 3 && !err; i++) {
        asyncio_stream_printf(stream, "hello %d\n", i);
        ssize_t n = asyncio_stream_readline(stream, &line);
        if (n > 0)
            printf("socket: %s", line);
        err = n > 0 ? asyncio_sleep(0.1) : n ? (int)n : ASYNCIO_EINCOMPLETE;
    }
    asyncio_stream_abort(stream);
    return err;
}

ASYNC(async_main, const char *, command)
{
    asyncio_server *server;
    int err = asyncio_start_server(serve, NULL, "127.0.0.1", 0, NULL, &server);
    if (err)
        return err;
    err = asyncio_gather(NULL, run_command(command), talk(asyncio_server_port(server)));
    asyncio_server_release(server);
    return err;
}

/* ---- GLib's side ------------------------------------------------------------------------------ */

struct program {
    asyncio_loop *loop;
    asyncio_task *main;
    GMainLoop *glib;
    int ticks;
};

ASYNC(answer, int, tick)
{
    int err = asyncio_sleep(0.01);
    printf("task: tick %d was heard\n", tick);
    return err;
}

/* A callback of GLib's cannot wait, but it can start tasks. */
static gboolean tick(gpointer arg)
{
    struct program *program = arg;
    printf("GLib: tick %d\n", ++program->ticks);
    asyncio_release(asyncio_loop_create_task(program->loop, answer(program->ticks)));
    return G_SOURCE_CONTINUE;
}

static gboolean interrupt(gpointer arg)
{
    struct program *program = arg;
    puts("GLib: interrupted");
    asyncio_cancel(program->main);
    return G_SOURCE_CONTINUE;
}

/* The program ends with our main task. */
static void ended(asyncio_future *main, void *arg)
{
    (void)main;
    g_main_loop_quit(((struct program *)arg)->glib);
}

/* Runs with a loop whose descriptor GLib can poll. */
static intptr_t run(struct program *program, const char *command)
{
    program->main = asyncio_loop_create_task(program->loop, async_main(command));
    asyncio_add_done_callback(program->main, ended, program);

    GSource *bridge = attach(program->loop, program->glib);
    guint timer = g_timeout_add(80, tick, program);
    guint signals = g_unix_signal_add(SIGINT, interrupt, program);
    g_main_loop_run(program->glib);
    g_source_remove(timer);
    g_source_remove(signals);
    g_source_destroy(bridge);
    g_source_unref(bridge);

    intptr_t result = asyncio_result(program->main);
    asyncio_release(program->main);
    return result;
}

int main(int argc, char **argv)
{
    asyncio_runner runner;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (asyncio_runner_init(&runner, NULL)) {
        fprintf(stderr, "22_glib: %s\n", asyncio_error_message());
        return 1;
    }
    struct program program = {.loop = asyncio_runner_get_loop(&runner), .glib = g_main_loop_new(NULL, FALSE)};
    intptr_t result =
        run(&program, argc > 1 ? argv[1] : "for i in 1 2 3; do echo $i; sleep 0.1; done; exit 4");
    printf("the end: %s\n", result < 0 ? asyncio_errname(result) : "all is done");
    asyncio_runner_close(&runner); /* ends the tasks that are left, and then the loop */
    g_main_loop_unref(program.glib);
    return result < 0;
}
