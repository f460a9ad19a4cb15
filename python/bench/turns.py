"""
What turns of the loop cost: nanoseconds of processor time for each operation, by the loop that is named.

    turns.py LOOP        (prints `row figure`, a line each)

Called by `run`. A row is first made long enough for the clock not to matter; its figure is the least of
several repetitions.
"""
import asyncio
import os
import sys
import time

from loops import run

QUICK = os.environ.get('BENCH_QUICK', '0') not in ('', '0')
ENOUGH_NS, REPETITIONS = (10_000_000, 3) if QUICK else (40_000_000, 4)
ROWS = {}
ALIVE = []  # timers that the next call takes away


def row(function):
    """`await function(loop, times)` does it so many times. It may return when it began after preparations."""
    ROWS[function.__name__] = function
    return function


async def least_cost(function, loop):
    async def cost_ns(times):
        called_ns = time.process_time_ns()
        began_ns = await function(loop, times)
        return time.process_time_ns() - (began_ns or called_ns)

    times = 1000
    while await cost_ns(times) < ENOUGH_NS:
        times *= 2
    return min([await cost_ns(times) for _ in range(REPETITIONS)]) / times


@row
async def call_soon_chain(loop, times):
    done = loop.create_future()
    left = times

    def step():
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            done.set_result(None)

    loop.call_soon(step)
    await done


@row
async def threadsafe_chain(loop, times):
    done = loop.create_future()
    left = times

    def step():
        nonlocal left
        left -= 1
        if left:
            loop.call_soon_threadsafe(step)
        else:
            done.set_result(None)

    loop.call_soon_threadsafe(step)
    await done


@row
async def call_soon_10000(loop, times):
    for start in range(0, times, 10_000):
        done = loop.create_future()
        for _ in range(min(10_000, times - start) - 1):
            loop.call_soon(int)
        loop.call_soon(done.set_result, None)
        await done


@row
async def sleep0_one(loop, times):
    for _ in range(times):
        await asyncio.sleep(0)


@row
async def sleep0_100(loop, times):
    async def sleeper():
        for _ in range(times // 100):
            await asyncio.sleep(0)

    await asyncio.gather(*[sleeper() for _ in range(100)])


async def nothing():
    pass


@row
async def create_task(loop, times):
    for _ in range(times):
        await asyncio.create_task(nothing())


@row
async def gather_1000(loop, times):
    for _ in range(max(1, times // 1000)):
        await asyncio.gather(*[nothing() for _ in range(1000)])


@row
async def create_future(loop, times):
    for _ in range(times):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


@row
async def call_later_cancel(loop, times):
    for _ in range(times):
        loop.call_later(1000, int).cancel()


@row
async def call_later_10000(loop, times):
    while ALIVE:
        ALIVE.pop().cancel()
    ALIVE.extend(loop.call_later(1000 + i, int) for i in range(10_000))
    began_ns = time.process_time_ns()
    for i in range(times):
        ALIVE[i % 10_000].cancel()
        ALIVE[i % 10_000] = loop.call_later(1000 + i, int)
    return began_ns


@row
async def timeout_sleep0(loop, times):
    for _ in range(times):
        async with asyncio.timeout(1000):
            await asyncio.sleep(0)


@row
async def queue_128(loop, times):
    queue = asyncio.Queue(128)

    async def get():
        for _ in range(times):
            await queue.get()

    getter = asyncio.create_task(get())
    for i in range(times):
        await queue.put(i)
    await getter


async def main():
    loop = asyncio.get_running_loop()
    for name, function in ROWS.items():
        print(name, f'{await least_cost(function, loop):.1f}', flush=True)


if __name__ == '__main__':
    run(sys.argv[1], main())
