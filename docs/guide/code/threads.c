/* Another thread does the work; the loop's thread completes the future. */
#include <asyncio.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

struct work {
    int n;
    long sum;
    asyncio_loop *loop;
    asyncio_future *future;
};

/* Runs in the loop's thread, to which futures belong. */
static void finished(void *arg)
{
    struct work *work = arg;
    asyncio_future_set_result(work->future, 0);
}

/* Runs in the other thread, which may call only functions that end in _threadsafe. */
static void *compute(void *arg)
{
    struct work *work = arg;
    for (int i = 1; i <= work->n; i++)
        work->sum += i;
    asyncio_loop_call_soon_threadsafe(work->loop, finished, work);
    return NULL;
}

ASYNC(async_main)
{
    pthread_t thread;
    struct work work = {.n = 1000000, .loop = asyncio_get_running_loop(), .future = asyncio_future_new()};
    if (!work.future)
        return -ENOMEM;
    int err = pthread_create(&thread, NULL, compute, &work);
    if (err) {
        asyncio_release(work.future);
        return -err;
    }
    /* The thread uses this frame, so a cancel must not end the wait. */
    intptr_t result = 0;
    ASYNCIO_SHIELD_SCOPE {
        result = asyncio_await(work.future);
    }
    pthread_join(thread, NULL);
    printf("the sum is %ld\n", work.sum);
    return result;
}

int main(void)
{
    return asyncio_main(async_main());
}
