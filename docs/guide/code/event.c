/* An event: several tasks wait until something has happened. */
#include <asyncio.h>
#include <stdio.h>

static asyncio_event ready = ASYNCIO_EVENT_INIT;

ASYNC(client, int, number)
{
    int err = asyncio_event_wait(&ready);
    if (err)
        return err;
    printf("client %d goes on\n", number);
    return 0;
}

ASYNC(start_up)
{
    int err = asyncio_sleep(0.1);
    if (err)
        return err;
    puts("ready");
    return asyncio_event_set(&ready);
}

ASYNC(async_main)
{
    return asyncio_gather(NULL, client(1), client(2), start_up());
}

int main(void)
{
    return asyncio_main(async_main());
}
