"""Locks, events, conditions, semaphores, barriers and queues; last, where C differs on purpose."""
import asyncio
from asyncio import (Barrier, BoundedSemaphore, Condition, Event, Lock, LifoQueue, PriorityQueue, Queue,
                     Semaphore, create_task, sleep)

from parity import difference, got, say, scenario, text, ticker, tried


def word(outcome):
    """The outcome of a call that gives no number."""
    if outcome is None or outcome is True:
        return "ok"
    if isinstance(outcome, asyncio.BrokenBarrierError):
        return "broken"
    if isinstance(outcome, asyncio.QueueEmpty):
        return "empty"
    if isinstance(outcome, asyncio.QueueFull):
        return "full"
    return text(outcome)


async def settle():
    for _ in range(10):
        await sleep(0)


async def started(*coroutines):
    """Tasks that have run as far as they can."""
    tasks = [create_task(coroutine) for coroutine in coroutines]
    await settle()
    return tasks


async def ended(tasks):
    for task in tasks:
        await got(task)


async def takes(what, name, turns=1):
    """Takes a lock or semaphore, keeps it for some turns, and gives it back."""
    outcome = await got(what.acquire())
    say(f"{name}: {word(outcome)}")
    if outcome is not True:
        return
    for _ in range(turns):
        outcome = await got(sleep(0))
        if outcome is not None:
            say(f"{name} has it: {text(outcome)}")
    say(f"{name} releases")
    what.release()
    say(f"{name} slept: {text(await got(sleep(0)))}")


# ---- Lock ----

@scenario
async def a_lock_goes_from_task_to_task():
    lock = Lock()
    await lock.acquire()
    tasks = await started(takes(lock, "a"), takes(lock, "b", 3), takes(lock, "c"))
    tick = create_task(ticker(12))
    lock.release()
    say("released")
    await ended([*tasks, tick])
    say(f"locked {lock.locked():d}")


@scenario
async def whoever_released_a_lock_comes_last():
    lock = Lock()
    await lock.acquire()
    tasks = await started(takes(lock, "a"), takes(lock, "b"))
    lock.release()
    await lock.acquire()
    say("main has it")
    lock.release()
    await ended(tasks)


@scenario
async def a_waiter_of_a_lock_is_cancelled():
    lock = Lock()
    await lock.acquire()
    tasks = await started(takes(lock, "a"), takes(lock, "b"), takes(lock, "c"))
    tasks[1].cancel()
    tasks[0].cancel()
    lock.release()
    await ended(tasks)
    say(f"locked {lock.locked():d}")


@scenario
async def a_free_lock_is_not_released():
    lock = Lock()
    say(word(tried(lock.release)))
    say(word(await got(lock.acquire())))
    lock.release()
    say(word(tried(lock.release)))


# ---- Event ----

async def waits(event, name):
    outcome = await got(event.wait())
    say(f"{name}: {word(outcome)}")


@scenario
async def an_event_lets_all_go():
    event = Event()
    tasks = await started(waits(event, "a"), waits(event, "b"), waits(event, "c"))
    tick = create_task(ticker(3))
    tasks[1].cancel()
    event.set()
    event.clear()
    say(f"set {event.is_set():d}")
    late = create_task(waits(event, "late"))
    await ended([*tasks, tick])
    event.set()
    await ended([late])
    say(word(await got(event.wait())))


# ---- Condition ----

async def waits_for_news(condition, name):
    await condition.acquire()
    outcome = await got(condition.wait())
    say(f"{name}: {word(outcome)}, locked {condition.locked():d}")
    condition.release()


@scenario
async def a_condition_wakes_so_many():
    condition = Condition()
    tasks = await started(*[waits_for_news(condition, name) for name in "abcd"])
    say(f"locked {condition.locked():d}")
    say(word(tried(condition.notify)))
    for n in (1, 2, 5):
        await condition.acquire()
        condition.notify(n)
        say(f"notified {n}")
        condition.release()
        await settle()
    await ended(tasks)


@scenario
async def a_condition_takes_the_lock_again_when_cancelled():
    condition = Condition()
    tasks = await started(waits_for_news(condition, "a"))
    await condition.acquire()
    tasks[0].cancel()
    await settle()
    tasks[0].cancel()
    say("cancelled twice")
    await settle()
    condition.release()
    await ended(tasks)
    say(f"locked {condition.locked():d}, cancelling {tasks[0].cancelling()}")


@difference("""
    a: cancelled, locked 1
    b: ok, locked 1
    """, until=(3, 11, 8))
async def a_notify_of_a_cancelled_task_reaches_another():
    condition = Condition()
    tasks = await started(waits_for_news(condition, "a"), waits_for_news(condition, "b"))
    await condition.acquire()
    condition.notify()
    tasks[0].cancel()
    await settle()
    condition.release()
    await ended(tasks)


@scenario
async def a_condition_needs_its_lock():
    condition = Condition()
    say(word(await got(condition.wait())))
    say(word(tried(condition.notify_all)))


# ---- Semaphore ----

@scenario
async def a_semaphore_lets_the_first_pass():
    semaphore = Semaphore(0)
    tasks = await started(*[takes(semaphore, name) for name in "abcd"])
    tasks[0].cancel()
    tasks[1].cancel()
    semaphore.release()
    await ended(tasks)
    say(f"locked {semaphore.locked():d}")


@scenario
async def a_semaphore_counts():
    semaphore, bounded = Semaphore(2), BoundedSemaphore(1)
    tasks = await started(*[takes(semaphore, name, turns) for name, turns in zip("abc", (2, 4, 1))])
    await ended(tasks)
    semaphore.release()
    for _ in range(3):
        await semaphore.acquire()
    say(f"locked {semaphore.locked():d}")
    say(word(tried(bounded.release)))
    await bounded.acquire()
    say(f"locked {bounded.locked():d}")
    say(word(tried(bounded.release)))


# ---- Barrier ----

async def meets(barrier, name):
    outcome = await got(barrier.wait())
    say(f"{name}: {word(outcome)}")


async def meets_often(barrier, name):
    for _ in range(3):
        await meets(barrier, name)


@scenario
async def a_barrier_is_reset_and_aborted():
    barrier = Barrier(3)
    tasks = await started(meets(barrier, "a"), meets(barrier, "b"))
    say(f"waiting {barrier.n_waiting}, broken {barrier.broken:d}, parties {barrier.parties}")
    await barrier.reset()
    await ended(tasks)
    say(f"waiting {barrier.n_waiting}, broken {barrier.broken:d}")
    tasks = await started(meets(barrier, "c"))
    await barrier.abort()
    await ended(tasks)
    await meets(barrier, "late")
    say(f"broken {barrier.broken:d}")
    await barrier.reset()
    say(f"broken {barrier.broken:d}")
    tasks = await started(*[meets(barrier, name) for name in "def"])
    await ended(tasks)


@scenario
async def a_filler_of_a_barrier_is_cancelled():
    barrier = Barrier(2)
    tasks = await started(meets(barrier, "a"))
    tasks[0].cancel()
    await ended(tasks)
    say(f"waiting {barrier.n_waiting}")
    tasks = await started(meets(barrier, "b"), meets(barrier, "c"))
    await ended(tasks)


# ---- Queue ----

async def puts(queue, *items):
    for item in items:
        outcome = await got(queue.put(item))
        say(f"put {item}: {word(outcome)}")


async def takes_items(queue, name, n=1):
    for _ in range(n):
        say(f"{name}: {text(await got(queue.get()))}")


@scenario
async def putters_come_in_as_room_is_made():
    queue = Queue(1)
    tasks = await started(puts(queue, 1), puts(queue, 2), puts(queue, 3))
    say(f"full {queue.full():d}, {word(tried(queue.put_nowait, 9))}")
    tasks[1].cancel()
    await settle()
    for _ in range(2):
        say(text(queue.get_nowait()))
        await settle()
    say(f"empty {queue.empty():d}, {word(tried(queue.get_nowait))}")


@scenario
async def a_cancelled_getter_takes_nothing():
    queue = Queue()
    tasks = await started(takes_items(queue, "a"), takes_items(queue, "b"))
    tasks[0].cancel()
    queue.put_nowait(1)
    queue.put_nowait(2)
    await ended(tasks)
    say(text(queue.get_nowait()))


@scenario
async def queues_have_their_orders():
    for queue in (Queue(), LifoQueue(), PriorityQueue()):
        for item in (3, 1, 2):
            queue.put_nowait(item)
        say(f"size {queue.qsize()}: " + ", ".join(text(queue.get_nowait()) for _ in range(3)))


async def joins(queue):
    say(f"joined: {word(await got(queue.join()))}")


@scenario
async def a_join_waits_until_all_is_dealt_with():
    queue = Queue()
    await joins(queue)
    say(word(tried(queue.task_done)))
    queue.put_nowait(1)
    queue.put_nowait(2)
    tasks = await started(joins(queue))
    for _ in range(2):
        queue.get_nowait()
        say(f"done: {word(tried(queue.task_done))}")
        await settle()
    await ended(tasks)


# ---- Differences ----

@difference("""
    locked 1
    a: ok
    a releases
    a slept: 0
    """)
async def a_lock_that_was_handed_over_is_locked():
    lock = Lock()
    await lock.acquire()
    tasks = await started(takes(lock, "a"))
    lock.release()
    say(f"locked {lock.locked():d}")
    await ended(tasks)


@difference("""
    a: ok
    a has it: cancelled
    a releases
    b: ok
    a slept: 0
    b releases
    b slept: 0
    """)
async def a_waiter_that_was_given_the_lock_keeps_it():
    lock = Lock()
    await lock.acquire()
    tasks = await started(takes(lock, "a"), takes(lock, "b"))
    lock.release()
    tasks[0].cancel()
    await ended(tasks)


@difference("""
    a: ok
    a has it: cancelled
    a releases
    b: ok
    a slept: 0
    b releases
    b slept: 0
    """)
async def a_waiter_that_was_let_through_a_semaphore_has_passed():
    semaphore = Semaphore(0)
    tasks = await started(takes(semaphore, "a"), takes(semaphore, "b"))
    semaphore.release()
    tasks[0].cancel()
    await ended(tasks)


@difference("""
    a: ok, locked 1
    second notify
    b: ok, locked 1
    """)
async def a_waiter_of_a_condition_that_has_the_lock_was_notified():
    condition = Condition()
    tasks = await started(waits_for_news(condition, "a"), waits_for_news(condition, "b"))
    async with condition:
        condition.notify()
    tasks[0].cancel()
    await settle()
    say("second notify")
    async with condition:
        condition.notify()
    await ended(tasks)


@difference("""
    a: 1
    b: 2
    """)
async def a_getter_that_was_handed_an_item_keeps_it():
    queue = Queue()
    tasks = await started(takes_items(queue, "a"), takes_items(queue, "b"))
    queue.put_nowait(1)
    tasks[0].cancel()
    queue.put_nowait(2)
    await ended(tasks)


@difference("""
    size 0
    a: 1
    """)
async def an_item_for_a_waiting_task_is_not_in_the_queue():
    queue = Queue()
    tasks = await started(takes_items(queue, "a"))
    queue.put_nowait(1)
    say(f"size {queue.qsize()}")
    await ended(tasks)


@difference("""
    2
    put 2: ok
    full 0
    """)
async def a_putter_that_was_let_in_has_put():
    queue = Queue(1)
    queue.put_nowait(1)
    tasks = await started(puts(queue, 2))
    queue.get_nowait()
    tasks[0].cancel()
    say(word(tried(queue.get_nowait)))
    await ended(tasks)
    say(f"full {queue.full():d}")


@difference("""
    a: 5
    1
    """)
async def a_getter_of_a_priority_queue_gets_the_first_item_put():
    queue = PriorityQueue()
    tasks = await started(takes_items(queue, "a"))
    queue.put_nowait(5)
    queue.put_nowait(1)
    await ended(tasks)
    say(text(queue.get_nowait()))


class Ranked:
    def __init__(self, item):
        self.item = item

    def __lt__(self, other):
        return self.item // 10 < other.item // 10


@difference("""
    11, 12, 13, 14, 25
    """)
async def equal_priorities_leave_as_they_came():
    queue = PriorityQueue()
    for item in (25, 11, 12, 13, 14):
        queue.put_nowait(Ranked(item))
    say(", ".join(text(queue.get_nowait().item) for _ in range(5)))


@difference("""
    c: 2
    a: 0
    b: 1
    b: 2
    c: 0
    a: 1
    a: 2
    b: 0
    c: 1
    """)
async def who_was_kept_out_of_a_barrier_comes_next():
    barrier = Barrier(3)
    tasks = await started(*[meets_often(barrier, name) for name in "abc"])
    await ended(tasks)


@difference("""
    a: cancelled
    b: 0
    c: 1
    d: 2
    """)
async def numbers_at_a_barrier_are_unique_though_one_left():
    barrier = Barrier(3)
    tasks = await started(meets(barrier, "a"), meets(barrier, "b"))
    tasks[0].cancel()
    await settle()
    tasks += await started(meets(barrier, "c"))
    outcome = await got(barrier.wait())
    await ended(tasks)
    say(f"d: {word(outcome)}")
