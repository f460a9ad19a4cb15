/* When tasks start, and in which order they run. */
#include <asyncio.h>
#include <stdio.h>

ASYNC(count, const char *, name)
{
    for (int i = 1; i <= 3; i++) {
        printf("%s %d\n", name, i);
        int err = asyncio_sleep(0); /* gives way once */
        if (err)
            return err;
    }
    return 0;
}

ASYNC(async_main)
{
    asyncio_task *a = asyncio_create_task(count("a"));
    asyncio_task *b = asyncio_create_task(count("b"));
    puts("both are made, neither has started");
    intptr_t err_a = asyncio_await(a);
    intptr_t err_b = asyncio_await(b);
    return err_a ? err_a : err_b;
}

int main(void)
{
    return asyncio_main(async_main());
}
