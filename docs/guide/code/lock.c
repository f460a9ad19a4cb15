/* A lock keeps others out between a look and a change. */
#include <asyncio.h>
#include <stdio.h>

static asyncio_lock lock = ASYNCIO_LOCK_INIT;
static int balance = 100;

static int withdraw_locked(int amount)
{
    if (balance < amount)
        return 0;
    int err = asyncio_sleep(0.1); /* others run meanwhile, but none enters here */
    if (err)
        return err;
    balance -= amount;
    return amount;
}

ASYNC(withdraw, int, amount)
{
    int err = asyncio_lock_acquire(&lock);
    if (err)
        return err; /* not held */
    int result = withdraw_locked(amount);
    asyncio_lock_release(&lock);
    return result;
}

ASYNC(async_main)
{
    intptr_t got[2];
    int err = asyncio_gather(got, withdraw(100), withdraw(100));
    if (err)
        return err;
    printf("got %ld and %ld; left: %d\n", (long)got[0], (long)got[1], balance);
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
