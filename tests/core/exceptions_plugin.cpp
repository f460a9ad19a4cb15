/*
 * A plugin in C++ for a host in C (exceptions_host.c), loaded while a loop runs there.
 */
#include "asyncio.h"
#include <exception>

ASYNC(holds, int, number, double, delay)
{
    try {
        try {
            throw number;
        } catch (int) {
            asyncio_sleep(delay);
            throw;
        }
    } catch (int caught) {
        asyncio_sleep(delay);
        return caught == number ? 0 : -1;
    }
}

ASYNC_DEFINE(plugin_main)
{
    asyncio_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = asyncio_create_task(holds(i, 0.001 * (i % 3)));
    int err = asyncio_gather_array(nullptr, tasks, 10);
    return err || std::current_exception() ? -1 : 0;
}
