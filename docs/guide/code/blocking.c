/* Calls that block, beside a loop that goes on. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct search {
    int from, to;
    int primes;
};

/* Runs on another thread. `arg` may point into the caller's frame. */
static intptr_t count_primes(void *arg)
{
    struct search *search = arg;
    if (search->from < 2)
        return asyncio_raise(-EINVAL, "%d is too small to begin with", search->from);
    for (int n = search->from; n < search->to; n++) {
        int divisor = 2;
        while (divisor * divisor <= n && n % divisor)
            divisor++;
        search->primes += divisor * divisor > n;
    }
    return 0;
}

static intptr_t nap(void *arg)
{
    usleep(200000); /* like a library that knows nothing of loops */
    return (intptr_t)arg;
}

ASYNC(primes_in, int, from, int, to)
{
    struct search search = {.from = from, .to = to};
    intptr_t err = asyncio_to_thread(count_primes, &search);
    return err ? err : search.primes;
}

ASYNC(naps)
{
    intptr_t result = asyncio_to_thread(nap, (void *)7);
    printf("the nap gave %ld\n", (long)result);
    int err = asyncio_sleep(10); /* the request is delivered here */
    printf("and then: %s\n", asyncio_errname(err));
    return err;
}

ASYNC(async_main)
{
    intptr_t primes[2];
    int err = asyncio_gather(primes, primes_in(2, 10000), primes_in(10000, 20000));
    if (err)
        return err;
    printf("%ld and %ld primes\n", (long)primes[0], (long)primes[1]);

    asyncio_await(primes_in(0, 10));
    printf("refused: %s\n", asyncio_error_message());

    asyncio_task *task = asyncio_create_task(naps());
    asyncio_sleep(0.1);
    asyncio_cancel(task); /* the function runs, so the task waits for it */
    asyncio_await(task);
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
