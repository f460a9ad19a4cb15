/*
 * At most three requests in any half second, however many tasks make them: a semaphore whose
 * places a timer gives back.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

#define REQUESTS 7

struct limiter {
    asyncio_semaphore places;
    double period;
};

static void give_back(void *arg)
{
    struct limiter *limiter = arg;
    asyncio_semaphore_release(&limiter->places);
}

/* Waits for a place. The loop gives it back `period` seconds later. */
static int limiter_wait(struct limiter *limiter)
{
    int err = asyncio_semaphore_acquire(&limiter->places);
    if (err)
        return err;
    asyncio_loop *loop = asyncio_get_running_loop();
    if (asyncio_handle_valid(asyncio_loop_call_later(loop, limiter->period, give_back, limiter)))
        return 0;
    give_back(limiter);
    return -ENOMEM;
}

ASYNC(request, struct limiter *, limiter, int, number, double, started)
{
    int err = limiter_wait(limiter);
    if (err)
        return err;
    printf("request %d at %.3f s\n", number, asyncio_time() - started);
    return 0;
}

ASYNC(async_main)
{
    static struct limiter limiter = {.places = ASYNCIO_SEMAPHORE_INIT(3), .period = 0.5};
    asyncio_task *tasks[REQUESTS];
    double started = asyncio_time();
    for (int i = 0; i < REQUESTS; i++)
        tasks[i] = asyncio_create_task(request(&limiter, i + 1, started));
    return asyncio_gather_array(NULL, tasks, REQUESTS);
}

int main(void)
{
    return asyncio_main(async_main());
}
