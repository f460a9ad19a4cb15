/* A shielded block runs to its end, even if its task is cancelled. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

ASYNC(transfer)
{
    ASYNCIO_SHIELD_SCOPE {
        puts("debit");
        asyncio_sleep(0.2); /* no request gets in here */
        puts("credit");
    }
    int err = asyncio_sleep(10); /* but here */
    printf("after the shield: %s\n", asyncio_errname(err));
    return err;
}

ASYNC(async_main)
{
    asyncio_task *task = asyncio_create_task(transfer());
    int err = asyncio_sleep(0.1);
    if (err)
        return err;
    puts("cancel");
    asyncio_cancel(task);
    asyncio_await(task);
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
