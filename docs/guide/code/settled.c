/* Every outcome of several tasks, errors included: gather_settled. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

ASYNC(divide, int, a, int, b)
{
    int err = asyncio_sleep(0.1);
    if (err)
        return err;
    return b ? a / b : -EDOM;
}

ASYNC(wait_for_ever)
{
    return asyncio_sleep(ASYNCIO_FOREVER);
}

ASYNC(async_main)
{
    intptr_t results[3];
    int err = asyncio_gather_settled(results, divide(6, 3), divide(1, 0), divide(9, 3));
    if (err)
        return err;
    for (int i = 0; i < 3; i++)
        printf("%d: %ld (%s)\n", i, (long)results[i], asyncio_errname(results[i]));

    /* The first error cancels the rest, and is returned. */
    err = asyncio_gather(results, divide(6, 3), divide(1, 0), wait_for_ever());
    printf("gather: %s; the third: %s\n", asyncio_errname(err), asyncio_errname(results[2]));
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
