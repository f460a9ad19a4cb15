/* An error is a code and a message; both reach the task that awaits. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

ASYNC(load, const char *, name)
{
    int err = asyncio_sleep(0.1);
    if (err)
        return err;
    if (name[0] != 'a')
        return asyncio_raise(-ENOENT, "load %s: there is no such record", name);
    return 42;
}

ASYNC(async_main)
{
    asyncio_task *good = asyncio_create_task(load("apple"));
    asyncio_task *bad = asyncio_create_task(load("pear"));

    printf("apple: %ld\n", (long)asyncio_await(good));
    intptr_t result = asyncio_await(bad);
    printf("pear:  %s (%s)\n", asyncio_errname(result), asyncio_strerror(result));
    printf("       %s\n", asyncio_error_message());
    return result;
}

int main(void)
{
    return asyncio_main(async_main());
}
