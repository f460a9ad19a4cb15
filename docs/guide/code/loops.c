/* Three loops: work that goes to another one, to all of them, and a request to cancel that goes over. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

/* Runs on whatever loop it is sent to. */
ASYNC(count_primes, int, from, int, to)
{
    int primes = 0;
    if (from < 2)
        return asyncio_raise(-EINVAL, "%d is too small to begin with", from);
    for (int n = from; n < to; n++) {
        int divisor = 2;
        while (divisor * divisor <= n && n % divisor)
            divisor++;
        primes += divisor * divisor > n;
    }
    return primes;
}

ASYNC(waits_there)
{
    int err = asyncio_sleep(1000);
    printf("loop %d: %s\n", asyncio_loops_index(), asyncio_errname(err));
    return err;
}

/* Made on each loop, for its share of the numbers. */
static asyncio_coro *make_share(int index, asyncio_loops *loops, void *arg)
{
    int to = *(int *)arg, step = to / asyncio_loops_count(loops);
    return count_primes(index ? index * step : 2, (index + 1) * step);
}

ASYNC(first, asyncio_loops *, loops)
{
    asyncio_loop *other = asyncio_loops_get(loops, 1);
    printf("on another loop: %ld\n", (long)asyncio_await_on(other, count_primes(2, 1000)));
    intptr_t err = asyncio_await_on(other, count_primes(0, 1000));
    printf("%s: %s\n", asyncio_errname(err), asyncio_error_message());

    intptr_t shares[3];
    int to = 3000;
    err = asyncio_gather_on_all(loops, make_share, &to, shares);
    printf("on all: %ld + %ld + %ld, %s\n", (long)shares[0], (long)shares[1], (long)shares[2],
           asyncio_errname(err));

    err = asyncio_wait_for(asyncio_submit_to(other, waits_there()), 0.05);
    printf("too late: %s\n", asyncio_errname(err));
    asyncio_loops_stop(loops); /* the others wait for that */
    return 0;
}

/* Lends its loop to the others, until all are stopped. */
ASYNC(lend)
{
    return asyncio_sleep(ASYNCIO_FOREVER);
}

static asyncio_coro *make_main(int index, asyncio_loops *loops, void *arg)
{
    (void)arg;
    return index == 0 ? first(loops) : lend();
}

int main(void)
{
    const asyncio_loops_options options = {.count = 3};
    return asyncio_run_loops(make_main, NULL, &options) < 0;
}
