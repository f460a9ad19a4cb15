/* A group whose children say when they are ready, and a group with a limit. */
#include <asyncio.h>
#include <stdio.h>

/* A service that takes a while until others may use it. */
ASYNC(serve, int, port)
{
    int err = asyncio_sleep(0.2);
    if (err)
        return err;
    puts("the service is ready");
    asyncio_started(port);
    return asyncio_sleep(ASYNCIO_FOREVER);
}

ASYNC(fetch, int, port, int, page)
{
    printf("asks port %d for page %d\n", port, page);
    return asyncio_sleep(0.1);
}

ASYNC(fetch_all, int, port)
{
    asyncio_task_group pages;
    int err;
    ASYNCIO_TASK_GROUP(pages, err) {
        asyncio_task_group_set_limit(&pages, 2);
        for (int page = 1; page <= 5; page++) {
            asyncio_task_group_create_task(&pages, fetch(port, page)); /* waits while two run */
            if (page == 3)
                puts("three were made, so one has ended");
        }
    }
    return err;
}

ASYNC(async_main)
{
    asyncio_task_group services;
    intptr_t err;
    ASYNCIO_TASK_GROUP(services, err) {
        err = asyncio_task_group_start(&services, serve(8080)); /* the port, or why it did not start */
        if (err >= 0)
            err = asyncio_await(fetch_all((int)err));
        asyncio_task_group_cancel(&services);
    }
    puts(err < 0 ? "failed" : "done");
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
