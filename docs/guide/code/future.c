/* A future turns a callback into something that can be awaited. */
#include <asyncio.h>
#include <stdio.h>

/* As if it belonged to a library that knows callbacks only. */
static void start_measuring(void (*done)(void *arg), void *arg)
{
    asyncio_loop_call_later(asyncio_get_running_loop(), 0.1, done, arg);
}

static void measured(void *arg)
{
    asyncio_future_set_result(arg, 21);
}

/* The same, for tasks: a plain function that waits. */
static intptr_t measure(void)
{
    asyncio_future *future = asyncio_future_new();
    if (future)
        start_measuring(measured, future);
    return asyncio_await(future); /* of NULL: -ENOMEM */
}

ASYNC(async_main)
{
    intptr_t degrees = measure();
    if (degrees < 0)
        return degrees;
    printf("%ld degrees\n", (long)degrees);
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
