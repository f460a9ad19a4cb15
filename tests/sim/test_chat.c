/*
 * The example of a chat server, as it is, in a simulated world: two visitors by seeds, and every cancel and
 * every failing call of its day.
 */
#include "sim/scenario.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* It says where it listens; a sweep would say so a thousand times. */
int chat_main(int argc, char **argv);
#define main chat_main
#define printf(...) ((void)0)
#include "../../examples/11_chat_server.c"
#undef printf
#undef main

static int read_until(asyncio_stream *stream, const char *wanted)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0)
        if (strcmp(line, wanted) == 0)
            return 0;
    return n ? (int)n : ASYNCIO_EINCOMPLETE;
}

static int talk(asyncio_stream *stream, const char *name, const char *other)
{
    char words[64];
    int err = asyncio_stream_printf(stream, "%s\n", name);
    snprintf(words, sizeof words, "* %s has come\n", name);
    err = err ? err : read_until(stream, words);
    err = err ? err : asyncio_sleep(1); /* the other one has come, too */
    err = err ? err : asyncio_stream_printf(stream, "hello\n");
    snprintf(words, sizeof words, "%s: hello\n", other);
    err = err ? err : read_until(stream, words);
    return err ? err : asyncio_sleep(1);
}

ASYNC(visit, const char *, name, const char *, other)
{
    asyncio_stream *stream;
    int err = asyncio_open_connection("localhost", 8008, NULL, &stream);
    if (err)
        return err;
    err = talk(stream, name, other);
    int closed = asyncio_stream_close(stream);
    return err ? err : closed;
}

ASYNC(both_visit)
{
    return asyncio_gather(NULL, visit("ann", "bob"), visit("bob", "ann"));
}

ASYNC(day)
{
    asyncio_task *server = asyncio_create_task(async_main(8008));
    intptr_t err = asyncio_sleep(0.5);
    err = err ? err : asyncio_wait_for(both_visit(), 60);
    asyncio_cancel(server);
    intptr_t end = asyncio_await(server);
    return err < 0 ? err : end == -ECANCELED ? 0 : end;
}

TEST(visitors)
{
    assert_int_equal(simulate(day, NULL), 0);
}

TEST(each_cancel)
{
    const asyncio_sim_options options = {.runs = 3};
    assert_int_equal(asyncio_sim_sweep_cancel(call_scenario, (void *)(uintptr_t)day, &options, &result), 0);
    assert_in_range(result.runs, 3 * 7, 10000);
}

TEST(each_failing_call)
{
    const asyncio_sim_options options = {.runs = 1};
    assert_int_equal(asyncio_sim_sweep_faults(call_scenario, (void *)(uintptr_t)day, &options, &result), 0);
    assert_in_range(result.runs, 100, 100000);
}

TEST_MAIN()
