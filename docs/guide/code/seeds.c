/* A bug that depends on the order of tasks, found by trying orders. */
#include <asyncio.h>
#include <stdio.h>

static int balance;

/* Between the look and the change others run. */
ASYNC(withdraw, int, amount, int, delay)
{
    for (int i = 0; i < delay; i++)
        asyncio_sleep(0);
    if (balance < amount)
        return 0;
    asyncio_sleep(0); /* say, a line in a log */
    balance -= amount;
    return amount;
}

ASYNC(scenario)
{
    balance = 100;
    return asyncio_gather(NULL, withdraw(100, 0), withdraw(100, 1));
}

/* Runs the scenario in the order of a seed. Is the balance possible? */
static int is_sound(uint64_t seed)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL, .seed = seed};
    asyncio_run_with(scenario(), &options);
    return balance >= 0;
}

int main(void)
{
    printf("in the usual order: %s\n", is_sound(0) ? "sound" : "broken");
    uint64_t seed = 1;
    while (seed <= 100 && is_sound(seed))
        seed++;
    printf("in some order: %s\n", seed <= 100 ? "broken" : "sound");
    printf("the same seed again: %s\n", is_sound(seed) ? "sound" : "broken");
    return 0;
}
