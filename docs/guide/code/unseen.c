/* Nothing fails in silence: a failed task that nobody looked at is reported. */
#include <asyncio.h>
#include <errno.h>

ASYNC(doomed)
{
    return asyncio_raise(-EIO, "the disk is on fire");
}

ASYNC(async_main)
{
    asyncio_release(asyncio_create_task(doomed())); /* fire and forget */
    return asyncio_sleep(0.1);
}

int main(void)
{
    return asyncio_main(async_main());
}
