/* Works until it is killed, if told so, with all that a trace has records of. */
#include <asyncio.h>

static asyncio_queue jobs;
static asyncio_lock lock = ASYNCIO_LOCK_INIT;

ASYNC(work)
{
    int err, job;
    while (!(err = asyncio_queue_get(&jobs, &job)) && job >= 0) {
        err = asyncio_lock_acquire(&lock);
        if (err)
            return err;
        asyncio_trace_mark("has the lock");
        asyncio_sleep(job % 5 == 0 ? 0.001 : 0);
        asyncio_lock_release(&lock);
    }
    return err;
}

ASYNC(feed, int, rounds)
{
    for (int i = 0; i < rounds; i++) {
        int err = asyncio_queue_put(&jobs, &i);
        if (err)
            return err;
    }
    int end = -1, err = 0;
    for (int i = 0; i < 2 && !err; i++)
        err = asyncio_queue_put(&jobs, &end);
    return err;
}

ASYNC(naps)
{
    return asyncio_sleep(10);
}

ASYNC(async_main, int, rounds)
{
    int err = asyncio_queue_init(&jobs, sizeof(int), 2);
    asyncio_task_group group;
    ASYNCIO_TASK_GROUP(group, err) {
        asyncio_task_set_name(asyncio_task_group_create_task(&group, work()), "alice");
        asyncio_task_set_name(asyncio_task_group_create_task(&group, work()), "bob");
        asyncio_task_group_create_task(&group, feed(rounds));
        asyncio_cancel(asyncio_task_group_create_task(&group, naps()));
    }
    asyncio_queue_destroy(&jobs);
    return err;
}

int main(int count, char **words)
{
    (void)words;
    asyncio_run_options options = {.clock = count > 1 ? ASYNCIO_CLOCK_REAL : ASYNCIO_CLOCK_VIRTUAL};
    return asyncio_run_with(async_main(count > 1 ? 1 << 30 : 40), &options) < 0;
}
