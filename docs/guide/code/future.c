/* A future turns a callback into something that can be awaited. */
#include <asyncio.h>
#include <stdio.h>

/* Stands for a library that knows only callbacks. */
static void start_measuring(void (*done)(void *arg), void *arg)
{
    asyncio_loop_call_later(asyncio_get_running_loop(), 0.1, done, arg);
}

static void measured(void *arg)
{
    asyncio_future *future = arg;
    asyncio_future_set_result(future, 21); /* refused if the task was cancelled */
    asyncio_release(future);
}

/* The same, for tasks: a plain function that waits. */
static intptr_t measure(void)
{
    asyncio_future *future = asyncio_future_new();
    if (future)
        start_measuring(measured, asyncio_ref(future)); /* one reference for the callback */
    return asyncio_await(future);                       /* takes the other one; NULL: -ENOMEM */
}

ASYNC(measure_again)
{
    return measure();
}

ASYNC(async_main)
{
    intptr_t degrees = measure();
    if (degrees < 0)
        return degrees;
    printf("%ld degrees\n", (long)degrees);

    intptr_t err = asyncio_wait_for(measure_again(), 0.05); /* the callback comes later */
    printf("too late: %s\n", asyncio_errname(err));
    return asyncio_sleep(0.1);
}

int main(void)
{
    return asyncio_main(async_main());
}
