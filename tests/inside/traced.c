/* Works until it is killed, if told so, with all that a trace has records of. */
#include <asyncio.h>
#include <string.h>
#include <time.h>

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

static void burn(double seconds)
{
    struct timespec now;
    double end = 0;
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        double at = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
        end = end > 0 ? end : at + seconds;
        if (at >= end)
            return;
    } while (1);
}

static intptr_t burn_there(void *arg)
{
    (void)arg;
    burn(0.002);
    return 0;
}

ASYNC(asks)
{
    return asyncio_to_thread(burn_there, NULL);
}

ASYNC(holds)
{
    burn(0.002);
    return 0;
}

static void hold(void *arg)
{
    (void)arg;
    burn(0.002);
}

ASYNC(slow_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_loop_set_debug(loop, true);
    asyncio_loop_set_slow_callback_duration(loop, 0.002);
    asyncio_loop_call_soon(loop, hold, NULL);
    return asyncio_gather(NULL, asks(), asks(), asks(), holds());
}

int main(int count, char **words)
{
    if (count > 1 && strcmp(words[1], "slow") == 0)
        return asyncio_run(slow_main()) < 0;
    asyncio_run_options options = {.clock = count > 1 ? ASYNCIO_CLOCK_REAL : ASYNCIO_CLOCK_VIRTUAL};
    return asyncio_run_with(async_main(count > 1 ? 1 << 30 : 40), &options) < 0;
}
