/* Ownership: arguments that own memory, with a drop function. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    char *text;
};

static intptr_t run_job(void *arg)
{
    struct job *job = arg;
    int err = asyncio_sleep(0.1);
    if (err)
        return err;
    printf("done: %s\n", job->text);
    return 0;
}

/* Runs once: after the body, or when the coroutine never starts. */
static void drop_job(void *arg)
{
    struct job *job = arg;
    printf("freed: %s\n", job->text);
    free(job->text);
    free(job);
}

static asyncio_coro *job_new(const char *text)
{
    struct job *job = malloc(sizeof *job);
    if (!job)
        return NULL; /* awaiting NULL gives -ENOMEM */
    job->text = strdup(text);
    if (!job->text) {
        free(job);
        return NULL;
    }
    return asyncio_coro_new(run_job, job, drop_job);
}

ASYNC(async_main)
{
    asyncio_coro_close(job_new("one that is never started"));
    asyncio_task *task = asyncio_create_task(job_new("one that is cancelled"));
    asyncio_cancel(task);
    intptr_t err = asyncio_await(task);
    printf("its result: %s\n", asyncio_errname(err));
    err = asyncio_await(job_new("one that runs"));
    if (err)
        return err;
    return asyncio_await((asyncio_coro *)NULL) == -ENOMEM ? 0 : 1;
}

int main(void)
{
    return asyncio_main(async_main());
}
