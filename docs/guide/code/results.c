/* Three ways to wait for several tasks: all, one by one as they end, the first. */
#include <asyncio.h>
#include <stdio.h>

ASYNC(fetch, int, value, double, delay)
{
    int err = asyncio_sleep(delay);
    return err ? err : value;
}

static int all(void)
{
    intptr_t results[3];
    int err = asyncio_gather(results, fetch(1, 0.3), fetch(2, 0.1), fetch(3, 0.2));
    if (err)
        return err;
    printf("gather: %ld %ld %ld\n", (long)results[0], (long)results[1], (long)results[2]);
    return 0;
}

static int one_by_one(asyncio_task *tasks[], size_t n)
{
    asyncio_as_completed it;
    size_t i;
    int more = asyncio_as_completed_init(&it, tasks, n, ASYNCIO_FOREVER);
    if (more)
        return more;
    while ((more = asyncio_as_completed_next(&it, &i)) > 0)
        printf("as_completed: task %zu gave %ld\n", i, (long)asyncio_result(tasks[i]));
    return more;
}

static int the_first(asyncio_task *tasks[], size_t n)
{
    ptrdiff_t done = asyncio_wait(tasks, n, ASYNCIO_FOREVER, ASYNCIO_FIRST_COMPLETED);
    if (done < 0)
        return (int)done;
    printf("wait: %td done, the first gave %ld\n", done, (long)asyncio_result(tasks[0]));
    for (size_t i = (size_t)done; i < n; i++)
        asyncio_cancel(tasks[i]);
    return 0;
}

ASYNC(async_main)
{
    int (*const ways[])(asyncio_task **, size_t) = {one_by_one, the_first};
    int err = all();
    for (int way = 0; way < 2 && !err; way++) {
        asyncio_task *tasks[3];
        tasks[0] = asyncio_create_task(fetch(1, 0.3));
        tasks[1] = asyncio_create_task(fetch(2, 0.1));
        tasks[2] = asyncio_create_task(fetch(3, 0.2));
        err = ways[way](tasks, 3);
        /* wait and as_completed borrow: we still own the references. */
        for (int i = 0; i < 3; i++)
            asyncio_release(tasks[i]);
    }
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
