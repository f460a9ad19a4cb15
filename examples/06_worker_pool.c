/*
 * A queue and three workers with a graceful end: a worker finishes the job that it has
 * begun, even when the program is interrupted.
 */
#include <asyncio.h>
#include <stdio.h>

#define WORKERS 3
#define JOBS 8

struct job {
    int number;
    double takes;
};

static int do_job(int worker, const struct job *job)
{
    int err = asyncio_sleep(job->takes);
    if (err)
        return err;
    printf("worker %d did job %d\n", worker, job->number);
    return 0;
}

/* Until the queue is shut down and empty. */
ASYNC(work, int, worker, asyncio_queue *, queue)
{
    struct job job;
    int err;
    while ((err = asyncio_queue_get(queue, &job)) == 0) {
        /* A cancel waits until the job is done; the next get delivers it. */
        ASYNCIO_SHIELD_SCOPE {
            err = do_job(worker, &job);
        }
        asyncio_queue_task_done(queue);
        if (err)
            return err;
    }
    return err == ASYNCIO_EQUEUE_SHUTDOWN ? 0 : err;
}

/* Waits whenever the queue is full. */
static int put_jobs(asyncio_queue *queue)
{
    for (int i = 1; i <= JOBS; i++) {
        struct job job = {.number = i, .takes = 0.2};
        int err = asyncio_queue_put(queue, &job);
        if (err)
            return err;
    }
    return 0;
}

ASYNC(async_main)
{
    asyncio_queue queue;
    int err = asyncio_queue_init(&queue, sizeof(struct job), 2 * WORKERS);
    if (err)
        return err;

    asyncio_task_group workers;
    ASYNCIO_TASK_GROUP(workers, err) {
        for (int i = 1; i <= WORKERS; i++)
            asyncio_task_group_create_task(&workers, work(i, &queue));
        err = put_jobs(&queue);
        if (!err)
            err = asyncio_queue_join(&queue);
        puts(err ? "interrupted: the workers finish their jobs" : "all jobs are done");
        /* The next get of each worker tells it. If interrupted, the jobs that are left are dropped. */
        asyncio_queue_shutdown(&queue, err != 0);
    }
    asyncio_queue_destroy(&queue);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
