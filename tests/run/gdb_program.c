/*
 * For test_gdb.py: two tasks, each some calls deep, one of which ends up in stop_here.
 */
#include <asyncio.h>

__attribute__((noinline)) void stop_here(int *depth);
void stop_here(int *depth)
{
    __asm__ volatile("" : : "r"(depth) : "memory");
}

static __attribute__((noinline)) int goes_deeper(int left)
{
    int depth = left;
    if (left == 0) {
        stop_here(&depth);
        return depth;
    }
    int below = goes_deeper(left - 1);
    __asm__ volatile("" : "+r"(below)); /* a call in the last place would leave no frame */
    return below;
}

ASYNC(inner, int, levels)
{
    int err = asyncio_sleep(0.001);
    int sum = err ? err : goes_deeper(levels);
    __asm__ volatile("" : "+r"(sum));
    return sum;
}

ASYNC(sleeper)
{
    return asyncio_sleep(0.01);
}

ASYNC(async_main)
{
    asyncio_task *beside = asyncio_create_task(sleeper());
    asyncio_task *task = asyncio_create_task(inner(3));
    intptr_t err = asyncio_await(task);
    return err ? err : asyncio_await(beside);
}

int main(void)
{
    return asyncio_main(async_main());
}
