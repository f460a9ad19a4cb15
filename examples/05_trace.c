/*
 * Runs 02_sequential.c with an instrument, and prints each step that the loop takes.
 */
#include <asyncio.h>
#include <stdio.h>

static double started;

static void tell(asyncio_loop *loop, const asyncio_trace_event *event, void *arg)
{
    (void)loop;
    (void)arg;
    printf("%6.3f s  ", asyncio_time() - started);
    switch (event->kind) {
    case ASYNCIO_TRACE_TASK_CREATED:
        printf("%s is registered: it is ready to run\n", event->name);
        break;
    case ASYNCIO_TRACE_STEP_BEGIN:
        printf("%s runs\n", event->name);
        break;
    case ASYNCIO_TRACE_TIMER:
        printf("a sleep is registered: it is over at %.3f s\n", event->when - started);
        break;
    case ASYNCIO_TRACE_STEP_END:
        printf("%s gives way: it waits in %s\n", event->name, event->what);
        break;
    case ASYNCIO_TRACE_TASK_DONE:
        printf("%s has ended with %ld\n", event->name, (long)event->result);
        break;
    case ASYNCIO_TRACE_CALLBACK:
        printf("a callback runs: main is done, the loop stops\n");
        break;
    case ASYNCIO_TRACE_WAIT_BEGIN:
        printf("nothing is ready: the loop waits\n");
        break;
    case ASYNCIO_TRACE_WAIT_END:
        printf("the time has come: the loop goes on\n");
        break;
    }
}

ASYNC(say_after, double, delay, const char *, what)
{
    printf("          say_after(%g, \"%s\") begins\n", delay, what);
    int err = asyncio_sleep(delay);
    if (err)
        return err;
    puts(what);
    return 0;
}

ASYNC(async_main)
{
    puts("          main begins, and awaits say_after in place: no new task");
    intptr_t err = asyncio_await(say_after(1, "hello"));
    if (err)
        return err;
    return asyncio_await(say_after(2, "world"));
}

int main(void)
{
    static const asyncio_instrument instrument = {.event = tell};
    asyncio_runner runner;
    if (asyncio_runner_init(&runner, NULL)) {
        fprintf(stderr, "no event loop: %s\n", asyncio_error_message());
        return 1;
    }
    started = asyncio_time();
    asyncio_loop_set_instrument(asyncio_runner_get_loop(&runner), &instrument);
    intptr_t result = asyncio_runner_run(&runner, async_main());
    asyncio_runner_close(&runner);
    return result < 0;
}
