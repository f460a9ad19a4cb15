/* A task group ends when all of its tasks have ended. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

ASYNC(step, const char *, name, double, takes, int, result)
{
    int err = asyncio_sleep(takes);
    printf("%s: %s\n", name, asyncio_errname(err ? err : result));
    return err ? err : result;
}

ASYNC(async_main)
{
    asyncio_task_group group;
    int err;

    ASYNCIO_TASK_GROUP(group, err) {
        asyncio_task_group_create_task(&group, step("one", 0.1, 0));
        asyncio_task_group_create_task(&group, step("two", 0.2, 0));
    }
    printf("the first group: %s\n", asyncio_errname(err));

    ASYNCIO_TASK_GROUP(group, err) {
        asyncio_task_group_create_task(&group, step("three", 0.1, -EIO));
        asyncio_task_group_create_task(&group, step("four", 10, 0));
        err = asyncio_sleep(10);
        printf("the body: %s\n", asyncio_errname(err));
    }
    printf("the second group: %s\n", asyncio_errname(err));
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
