"""
asyncio's side of `thread`.
"""
import asyncio
import os
import statistics
import sys
import threading
import time


def nothing():
    pass


async def call(times):
    for _ in range(times):
        await asyncio.to_thread(nothing)


async def post(times):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = times

    def count_down():
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    def post_all():
        for _ in range(times):
            loop.call_soon_threadsafe(count_down)

    thread = threading.Thread(target=post_all)
    thread.start()
    await done
    thread.join()


async def main(variant):
    quick = os.environ.get('BENCH_QUICK', '0') not in ('', '0')
    times, repetitions = (200, 3) if quick else (1000, 5)
    now_ns = time.process_time_ns if variant == 'cpu' else time.monotonic_ns
    fn = post if variant == 'post' else call
    cpus = sorted(os.sched_getaffinity(0))
    if variant != 'post':
        os.sched_setaffinity(0, cpus[:1])
    await call(1)
    if variant in ('two', 'cpu'):
        os.sched_setaffinity(0, cpus[1:2])
    await fn(10)
    samples = []
    for _ in range(repetitions):
        began = now_ns()
        await fn(times)
        samples.append((now_ns() - began) / times)
    print(f'thread {variant} {statistics.median(samples):.2f} ns {min(samples):.2f}', flush=True)


asyncio.run(main(sys.argv[2]))
