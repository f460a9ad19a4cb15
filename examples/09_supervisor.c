/*
 * Restarts services that fail, after a pause; one that fails too often ends the whole group,
 * and the others are cancelled.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

#define RESTARTS_MAX 3

struct service {
    const char *name;
    int fails_times; /* before it works */
    int starts;
};

/* In place of a service: works until it is cancelled, or fails soon. */
ASYNC(serve, struct service *, service)
{
    printf("%s starts\n", service->name);
    if (++service->starts > service->fails_times)
        return asyncio_sleep(ASYNCIO_FOREVER);
    int err = asyncio_sleep(0.1);
    if (err)
        return err;
    return asyncio_raise(-EIO, "%s lost its disk", service->name);
}

/* Ends when the service ends by itself, is cancelled, or fails too often. */
ASYNC(supervise, struct service *, service)
{
    double pause = 0.1;
    for (int restarts = 0;; restarts++) {
        intptr_t err = asyncio_await(serve(service)); /* in place: a cancel reaches it */
        if (err >= 0 || err == -ECANCELED)
            return err;
        printf("%s failed: %s\n", service->name, asyncio_error_message());
        if (restarts == RESTARTS_MAX)
            return asyncio_raise(err, "%s failed %d times", service->name, restarts + 1);
        err = asyncio_sleep(pause);
        if (err)
            return err;
        pause *= 2;
    }
}

ASYNC(async_main)
{
    struct service services[] = {
        {.name = "steady"},
        {.name = "shaky", .fails_times = 2},
        {.name = "hopeless", .fails_times = 100},
    };
    asyncio_task_group group;
    int err;
    ASYNCIO_TASK_GROUP(group, err) {
        for (size_t i = 0; i < sizeof services / sizeof *services; i++)
            asyncio_task_group_create_task(&group, supervise(&services[i]));
    }
    printf("the group has ended: %s\n", asyncio_error_message());
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
