/* A stack that is too small for what it holds. */
#include <asyncio.h>
#include <stdio.h>

static int deep(int n)
{
    volatile char frame[1024];
    frame[0] = (char)n;
    return n ? deep(n - 1) + (frame[0] == (char)n) : 0;
}

ASYNC(parse, int, depth)
{
    return deep(depth);
}

ASYNC(async_main)
{
    asyncio_task_options large = {.name = "large", .stack_size = 16 * 1024 * 1024};
    intptr_t err = asyncio_await(asyncio_create_task_with(parse(10000), &large));
    printf("with 16 MiB: %ld\n", (long)err);

    asyncio_task_options usual = {.name = "usual"};
    return asyncio_await(asyncio_create_task_with(parse(10000), &usual));
}

int main(void)
{
    return asyncio_main(async_main());
}
