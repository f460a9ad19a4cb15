/* Several failures give ASYNCIO_EGROUP, and a list; and the results of children. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

ASYNC(fail, intptr_t, err)
{
    return asyncio_raise(err, "this failed with %s", asyncio_errname(err));
}

ASYNC(square, int, n)
{
    int err = asyncio_sleep(0.1);
    return err ? err : n * n;
}

ASYNC(async_main)
{
    asyncio_task_group group;
    int err;
    ASYNCIO_TASK_GROUP(group, err) {
        asyncio_task_group_create_task(&group, fail(-EIO));
        asyncio_task_group_create_task(&group, fail(-ENOENT));
    }
    printf("%s: %s\n", asyncio_errname(err), asyncio_error_message());
    for (size_t i = 0; i < asyncio_task_group_error_count(&group); i++)
        printf("  %s\n", asyncio_errname(asyncio_task_group_error(&group, i)));

    /* A child is borrowed; a reference keeps it beyond the group. */
    asyncio_task *squares[3];
    ASYNCIO_TASK_GROUP(group, err) {
        for (int i = 0; i < 3; i++)
            squares[i] = asyncio_ref(asyncio_task_group_create_task(&group, square(i)));
    }
    for (int i = 0; i < 3; i++) {
        printf("%ld\n", (long)asyncio_result(squares[i]));
        asyncio_release(squares[i]);
    }
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
