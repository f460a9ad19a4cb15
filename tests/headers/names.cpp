/*
 * Coroutines with the names that programs give them: words of the library's own, of its macros' helpers, and
 * of functions that no header here has declared.
 */
#include <asyncio.h>

ASYNC(server)
{
    return 0;
}
ASYNC(client, int, server, int, client)
{
    return server + client;
}
ASYNC(coroutine)
{
    return 0;
}
ASYNC(args, int, args)
{
    return args;
}
ASYNC(start, const char *, name, int, type)
{
    return *name + type;
}
ASYNC(task, asyncio_buffer *, buffer)
{
    asyncio_buffer_destroy(buffer);
    return 0;
}
ASYNC(coro, int, result, int, place)
{
    return result + place;
}
ASYNC(read)
{
    return 0;
}
ASYNC_DECLARE(worker, int, n);
ASYNC_DEFINE(worker, int, n)
{
    return n;
}

ASYNC(async_main)
{
    asyncio_buffer none = {};
    asyncio_task *running = asyncio_create_task(server());
    return asyncio_await(running) + asyncio_await(client(1, -1)) + asyncio_await(coroutine()) +
           asyncio_await(args(0)) + asyncio_await(start("", 0)) + asyncio_await(task(&none)) +
           asyncio_await(coro(0, 0)) + asyncio_await(read()) + asyncio_await(worker(0));
}

int main()
{
    return asyncio_main(async_main());
}
