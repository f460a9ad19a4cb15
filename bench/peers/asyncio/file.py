"""
asyncio's side of `file`: it has no calls on files; a thread reads each, as its documentation says.
"""
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time

COUNT, AT_ONCE = 10000, 16


def read_whole(path):
    with open(path, 'rb', buffering=0) as file:
        return len(file.read())


async def read_share(paths):
    total = 0
    for path in paths:
        total += await asyncio.to_thread(read_whole, path)
    return total


async def read_small(paths):
    return sum(await asyncio.gather(*(read_share(paths[i::AT_ONCE]) for i in range(AT_ONCE))))


async def main():
    if 'small' not in sys.argv[2:]:
        return
    quick = os.environ.get('BENCH_QUICK', '0') not in ('', '0')
    folder = tempfile.mkdtemp(prefix='bench-file-')
    try:
        paths = []
        for i in range(COUNT):
            paths.append(f'{folder}/file-{i:05}')
            with open(paths[-1], 'wb') as file:
                file.write(bytes(1024 + i * 7919 % 7168))
        wall, cpu = [], []
        for _ in range(1 if quick else 3):
            began, cpu_began = time.monotonic_ns(), time.process_time_ns()
            await read_small(paths)
            cpu.append((time.process_time_ns() - cpu_began) / COUNT)
            wall.append((time.monotonic_ns() - began) / COUNT)
        for variant, samples in (('small', wall), ('small-cpu', cpu)):
            print(f'file {variant} {statistics.median(samples):.2f} ns {min(samples):.2f}', flush=True)
    finally:
        shutil.rmtree(folder)


asyncio.run(main())
