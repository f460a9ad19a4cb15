# The questions of bench/, asked of Python's asyncio (and of uvloop, which
# ../uvloop/bench.py puts in its place). Called and printed as bench/bench.h says.
import asyncio
import os
import random
import resource
import statistics
import sys
from time import perf_counter_ns as now_ns

CHILDREN = 100
TIMERS = 1_000_000
TIMERS_TURN = 100
GROUPS = 10

QUICK = os.environ.get("BENCH_QUICK", "0") not in ("", "0")


def report(question, variant, median, unit, best):
    print(f"{question} {variant} {median:.2f} {unit} {best:.2f}", flush=True)


async def measure(question, variant, each, fn):
    """Reports nanoseconds per thing; fn does it so many times and returns how long that took."""
    enough_ns, repetitions = (4_000_000, 3) if QUICK else (20_000_000, 5)
    times = 1
    while await fn(times) < enough_ns:
        times *= 2
    samples = [await fn(times) / (times * each) for _ in range(repetitions)]
    report(question, variant, statistics.median(samples), "ns", min(samples))


# ---- switch ----

async def question_switch(variant):
    """As bench_ring of bench.h. To an interpreter it is all one which functions the tasks are of."""
    n = 10 if variant == "mixed" else int(variant)

    async def step(times, is_first):
        look, began, took_ns = (2 if is_first else -1), 0, 0
        for i in range(times + 4):
            if i == look:
                if began:
                    took_ns = now_ns() - began
                else:
                    look, began = 2 + times, now_ns()
            await asyncio.sleep(0)
        return took_ns

    async def ring(times):
        tasks = [asyncio.create_task(step(times, i == 0)) for i in range(n)]
        return [await task for task in tasks][0]

    await measure("switch", variant, n, ring)


# ---- spawn, gather ----

async def child_return(value):
    return value + 1


async def child_yield(value):
    await asyncio.sleep(0)
    return value + 1


async def question_spawn(variant):
    async def spawn(times):
        began = now_ns()
        for i in range(times):
            assert await asyncio.create_task(child_return(i)) == i + 1
        return now_ns() - began

    await measure("spawn", variant, 1, spawn)


async def question_gather(variant):
    child = child_yield if variant == "yield" else child_return

    async def gather(times):
        began = now_ns()
        for _ in range(times):
            results = await asyncio.gather(*[child(i) for i in range(CHILDREN)])
            assert results[-1] == CHILDREN
        return now_ns() - began

    await measure("gather", variant, CHILDREN, gather)


# ---- structure ----

async def question_structure(variant):
    """As bench_structure.c."""
    task = asyncio.create_task(child_return(1))
    await task

    async def call(times):
        for _ in range(times):
            await task

    async def wait_for(times):
        for _ in range(times):
            await asyncio.wait_for(task, 1)

    async def gives_way(times):
        for _ in range(times):
            await child_yield(1)

    async def limited(times):
        for _ in range(times):
            await asyncio.wait_for(child_yield(1), 1)

    async def timeout(times):
        for _ in range(times):
            async with asyncio.timeout(1):
                pass

    async def group(times):
        for _ in range(times):
            async with asyncio.TaskGroup() as tasks:
                for i in range(CHILDREN):
                    tasks.create_task(child_return(i))

    do = {"call": call, "wait_for": wait_for, "yield": gives_way, "limited": limited, "timeout": timeout,
          "block": timeout, "group": group}[variant]

    async def timed(times):
        began = now_ns()
        await do(times)
        return now_ns() - began

    await measure("structure", variant, CHILDREN if variant == "group" else 1, timed)


# ---- sync, queue ----

async def question_sync(variant):
    lock, semaphore, event = asyncio.Lock(), asyncio.Semaphore(1), asyncio.Event()

    async def pair(times, what=semaphore if variant == "semaphore" else lock):
        began = now_ns()
        for _ in range(times):
            await what.acquire()
            what.release()
        return now_ns() - began

    async def wait(times):
        event.set()
        began = now_ns()
        for _ in range(times):
            await event.wait()
        return now_ns() - began

    async def take_turns(times):
        for _ in range(times):
            await lock.acquire()
            await asyncio.sleep(0)
            lock.release()

    async def contended(times):
        began = now_ns()
        await asyncio.gather(take_turns(times), take_turns(times))
        return now_ns() - began

    fn = {"event": wait, "contended": contended}.get(variant, pair)
    await measure("sync", variant, 2 if variant == "contended" else 1, fn)


async def question_queue(variant):
    async def produce(queue, times):
        for i in range(times):
            await queue.put(i)

    async def consume(queue, times):
        for i in range(times):
            assert await queue.get() == i

    async def hand_over(times):
        queue = asyncio.Queue(int(variant))
        began = now_ns()
        await asyncio.gather(consume(queue, times), produce(queue, times))
        return now_ns() - began

    await measure("queue", variant, 1, hand_over)


# ---- timer ----

def never():
    raise AssertionError("a timer fired")


def delay(uniform=random.Random(1).random):
    return 1000 + 1000 * uniform()


async def question_timer(variant):
    loop = asyncio.get_running_loop()
    timers = [loop.call_later(delay(), never) for _ in range(TIMERS)]

    async def pair(times):
        began = now_ns()
        for i in range(times):
            loop.call_later(delay(), never).cancel()
            if i % TIMERS_TURN == 0:
                await asyncio.sleep(0)
        return now_ns() - began

    async def replace(times):
        began = now_ns()
        for i in range(times):
            j = int(random.random() * TIMERS)
            timers[j].cancel()
            timers[j] = loop.call_later(delay(), never)
            if i % TIMERS_TURN == 0:
                await asyncio.sleep(0)
        return now_ns() - began

    cancelled = 0

    async def sleeper():
        nonlocal cancelled
        while True:
            try:
                await asyncio.sleep(delay())
            except asyncio.CancelledError:
                if asyncio.current_task().uncancel() > 0:
                    raise
                cancelled += 1

    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0)

    async def sleep(times):
        before, began = cancelled, now_ns()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        took_ns = now_ns() - began
        assert cancelled == before + times
        return took_ns

    await measure("timer", variant, 1, {"pair": pair, "replace": replace, "sleep": sleep}[variant])
    for timer in timers:
        timer.cancel()
    task.cancel()
    task.cancel()


# ---- memory ----

def read_kib(path, key):
    """The number after key, which is in KiB, in bytes; -1 if it is not there."""
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return -1


def memory_bytes():
    resident = read_kib("/proc/self/smaps_rollup", "Rss:")
    if resident < 0:
        resident = read_kib("/proc/self/status", "VmRSS:")
    return resident + read_kib("/proc/self/status", "VmPTE:")


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class Group:
    def __init__(self, n):
        self.tasks = [None] * n

    async def idle(self):
        self.parked += 1
        await self.first
        self.woken += 1
        await self.second

    async def start(self):
        loop, tasks = asyncio.get_running_loop(), self.tasks
        self.parked = self.woken = 0
        self.first, self.second = loop.create_future(), loop.create_future()
        for i in range(len(tasks)):
            tasks[i] = asyncio.create_task(self.idle())
        while self.parked < len(tasks):
            await asyncio.sleep(0)

    async def wake(self):
        self.first.set_result(None)
        while self.woken < len(self.tasks):
            await asyncio.sleep(0)

    async def end(self):
        tasks = self.tasks
        self.second.set_result(None)
        for i in range(len(tasks)):
            await tasks[i]
            tasks[i] = None


async def question_memory(variant):
    """As bench_memory of bench.h, which tells what is measured."""
    n, size = int(variant), int(variant) // GROUPS
    available = read_kib("/proc/meminfo", "MemAvailable:")
    if 0 <= available * 0.8 < n * 3072:
        for what in ("bytes", "start", "again", "wake"):
            print(f"memory {what}-{n} - not enough memory in this machine", flush=True)
        return

    def show(what, samples, unit):
        report("memory", f"{what}-{n}", statistics.median(samples), unit, min(samples))

    groups = [Group(size) for _ in range(GROUPS)]
    memory_bytes()
    held, touched, began = memory_bytes(), faults(), now_ns()
    for group in groups:
        await group.start()
    took_ns = now_ns() - began
    touched = faults() - touched
    show("bytes", [(memory_bytes() - held) / n], "B")
    show("start", [took_ns / n], "ns")
    show("faults", [touched / n], "each")

    samples = GROUPS if n >= 1_000_000 else 3 * GROUPS if n >= 10_000 else 100 * GROUPS
    again, wake, refaults = [], [], 0
    limit = now_ns() + (50_000_000 if QUICK else 500_000_000)
    while len(again) < samples and (len(again) < GROUPS or now_ns() < limit):
        group = groups[len(again) % GROUPS]
        began = now_ns()
        await group.wake()
        wake.append((now_ns() - began) / size)
        await group.end()
        touched, began = faults(), now_ns()
        await group.start()
        again.append((now_ns() - began) / size)
        refaults += faults() - touched
    show("again", again, "ns")
    show("wake", wake, "ns")
    show("refaults", [refaults / (size * len(again))], "each")


async def main():
    question = {"switch": question_switch, "spawn": question_spawn, "gather": question_gather,
                "structure": question_structure, "sync": question_sync, "queue": question_queue,
                "timer": question_timer, "memory": question_memory}[sys.argv[1]]
    for variant in sys.argv[2:]:
        await question(variant)
    # The million timers and tasks need no orderly end.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
