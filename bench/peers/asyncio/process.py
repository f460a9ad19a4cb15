"""
asyncio's side of `process`.
"""
import asyncio
import os
import statistics
import sys
import time


async def start_and_wait():
    process = await asyncio.create_subprocess_exec('/bin/true')
    assert await process.wait() == 0


async def main():
    quick = os.environ.get('BENCH_QUICK', '0') not in ('', '0')
    times, repetitions = (20, 3) if quick else (50, 5)
    for variant in sys.argv[2:]:
        memory = bytearray(int(variant) * 1024 * 1024)
        memory[::4096] = bytes(len(memory) // 4096)
        await start_and_wait()
        samples = []
        for _ in range(repetitions):
            began = time.monotonic_ns()
            for _ in range(times):
                await start_and_wait()
            samples.append((time.monotonic_ns() - began) / times)
        print(f'process {variant} {statistics.median(samples):.2f} ns {min(samples):.2f}', flush=True)


asyncio.run(main())
