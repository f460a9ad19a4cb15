/* An eager task runs to its first wait inside the call that makes it. */
#include <asyncio.h>
#include <stdio.h>

static const char *cache[3];

/* Waits only where the cache has nothing. */
ASYNC(look_up, int, key)
{
    if (cache[key]) {
        printf("%d: in the cache\n", key);
        return key;
    }
    printf("%d: asks the server\n", key);
    int err = asyncio_sleep(0.1);
    if (err)
        return err;
    cache[key] = "value";
    printf("%d: has the answer\n", key);
    return key;
}

ASYNC(async_main)
{
    const asyncio_task_options eager = {.eager_start = 1};
    cache[1] = "one";
    asyncio_task *first = asyncio_create_task_with(look_up(1), &eager);
    asyncio_task *second = asyncio_create_task_with(look_up(2), &eager);
    printf("made: the first is %s, the second is %s\n", asyncio_done(first) ? "done" : "waiting",
           asyncio_done(second) ? "done" : "waiting");
    intptr_t err = asyncio_await(first); /* returns at once */
    return err < 0 ? err : asyncio_await(second);
}

int main(void)
{
    return asyncio_main(async_main());
}
