/* Work that goes on alone, in an executor of its own. */
#include <asyncio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct query {
    char name[32];
    int milliseconds;
};

static struct query *make_query(const char *name, int milliseconds)
{
    struct query *query = malloc(sizeof *query);
    snprintf(query->name, sizeof query->name, "%s", name);
    query->milliseconds = milliseconds;
    return query;
}

/* Runs on a thread of the executor. It owns the query, even if the task that asked is gone. */
static intptr_t ask(void *arg)
{
    struct query *query = arg;
    usleep(query->milliseconds * 1000);
    return (intptr_t)strlen(query->name);
}

static void drop_query(void *arg)
{
    struct query *query = arg;
    printf("done with '%s'\n", query->name);
    free(query);
}

static asyncio_future *start(asyncio_executor *executor, const char *name, int milliseconds)
{
    return asyncio_run_in_executor(executor, ask, make_query(name, milliseconds), drop_query);
}

ASYNC(async_main)
{
    asyncio_executor *executor = asyncio_executor_new(1); /* one at a time */

    intptr_t length = asyncio_await(start(executor, "quick", 1));
    printf("the answer is %ld\n", (long)length);

    asyncio_future *slow = start(executor, "slow", 300), *queued = start(executor, "queued", 1);
    intptr_t err = asyncio_wait_for(slow, 0.1); /* the future is cancelled, the function goes on */
    printf("slow: %s\n", asyncio_errname(err));
    asyncio_cancel(queued); /* and this one never runs */
    asyncio_release(queued);
    asyncio_sleep(0.4);

    asyncio_release(start(executor, "forgotten", 50)); /* goes on; the end of the run waits for it */
    asyncio_executor_release(executor);
    puts("main returns");
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
