/* Two transfers lock the same two accounts in opposite orders: the program hangs. */
#include <asyncio.h>
#include <stdio.h>

static asyncio_lock alice = ASYNCIO_LOCK_INIT;
static asyncio_lock bob = ASYNCIO_LOCK_INIT;

static int move_money(asyncio_lock *from, asyncio_lock *to)
{
    int err = asyncio_lock_acquire(from);
    if (err)
        return err;
    asyncio_sleep(0.001); /* asks the bank */
    err = asyncio_lock_acquire(to);
    if (!err)
        asyncio_lock_release(to);
    asyncio_lock_release(from);
    return err;
}

ASYNC(transfer, asyncio_lock *, from, asyncio_lock *, to)
{
    int err = move_money(from, to);
    puts(err ? "not moved" : "moved");
    return err;
}

ASYNC(async_main)
{
    int err = 0;
    asyncio_task_group group;
    ASYNCIO_TASK_GROUP(group, err) {
        asyncio_task *there = asyncio_task_group_create_task(&group, transfer(&alice, &bob));
        asyncio_task *back = asyncio_task_group_create_task(&group, transfer(&bob, &alice));
        asyncio_task_set_name(there, "alice-to-bob");
        asyncio_task_set_name(back, "bob-to-alice");
        puts("ready");
        fflush(stdout);
    }
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
