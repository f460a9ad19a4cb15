"""Eager tasks, as Python 3.14 has them. The logs are its own; older versions know no eager_start. With a
newer one both halves run, and must agree."""
import asyncio
from asyncio import (Event, TaskGroup, all_tasks, create_task, current_task, gather, get_running_loop, shield,
                     sleep)
from contextvars import ContextVar

from parity import E, difference, ends, got, say, says, text, ticker


def eager(coro, **options):
    return create_task(coro, eager_start=True, **options)


def make_all_eager():
    get_running_loop().set_task_factory(asyncio.eager_task_factory)


async def twice(name, value=0):
    say(f"{name} begins")
    outcome = await got(sleep(0))
    say(f"{name} goes on: {text(outcome)}")
    if isinstance(outcome, BaseException):
        raise outcome
    return value


async def crashes(name, code):
    say(f"{name} fails")
    raise E(code)


@difference("""
    before
    a begins
    after, done 0
    tick 1
    a goes on: 0
    main: 7, cancelled 0, cancelling 0, at 0
    tick 2
    """, until=(3, 14))
async def eager_order_of_start():
    tick = create_task(ticker(2))
    say("before")
    task = eager(twice("a", 7))
    say(f"after, done {task.done():d}")
    await sleep(0)
    await ends(task)
    await tick


@difference("""
    a
    done 1, all 2
    result 7
    tick 1
    """, until=(3, 14))
async def eager_task_that_ends_at_once_costs_no_turn():
    tick = create_task(ticker(1))
    task = eager(says("a", 7))
    say(f"done {task.done():d}, all {len(all_tasks())}")
    say(f"result {await task}")
    await tick


async def looks(creator):
    say(f"creator current {current_task() is creator:d}, creator there {creator in all_tasks():d}, "
        f"child there {current_task() in all_tasks():d}, all {len(all_tasks())}, {current_task().get_name()}")
    return 0


@difference("""
    creator current 0, creator there 1, child there 1, all 2, child
    main current 1
    main: 0, cancelled 0, cancelling 0, at 0
    """, until=(3, 14))
async def eager_task_is_the_current_one():
    me = current_task()
    task = eager(looks(me), name="child")
    say(f"main current {current_task() is me:d}")
    await ends(task)


colour = ContextVar("colour", default="none")


async def paints(value):
    say(f"child sees {colour.get()}")
    colour.set(value)
    await sleep(0)
    say(f"child sees {colour.get()}")


@difference("""
    child sees red
    main sees red
    child sees blue
    main sees green
    """, until=(3, 14))
async def eager_task_has_a_context_of_its_own():
    colour.set("red")
    task = eager(paints("blue"))
    say(f"main sees {colour.get()}")
    colour.set("green")
    await task
    say(f"main sees {colour.get()}")


async def cancels_itself():
    current_task().cancel()
    say("still")
    outcome = await got(sleep(9))
    say(f"sleep: {text(outcome)}, cancelling {current_task().cancelling()}")
    raise outcome


@difference("""
    still
    done 0
    tick 1
    sleep: cancelled, cancelling 1
    tick 2
    main: cancelled, cancelled 1, cancelling 1, at 0
    tick 3
    """, until=(3, 14))
async def eager_task_cancelled_before_its_first_wait():
    tick = create_task(ticker(3))
    task = eager(cancels_itself())
    say(f"done {task.done():d}")
    await ends(task)
    await tick


@difference("""
    a begins
    cancel 1
    a goes on: cancelled
    main: cancelled, cancelled 1, cancelling 1, at 0
    b
    cancel 0
    main: 3, cancelled 0, cancelling 0, at 0
    """, until=(3, 14))
async def eager_task_cancelled_after_its_first_wait():
    task = eager(twice("a"))
    say(f"cancel {task.cancel():d}")
    await ends(task)
    task = eager(says("b", 3))
    say(f"cancel {task.cancel():d}")
    await ends(task)


async def cancels(task):
    say(f"cancel {task.cancel():d}")


@difference("""
    cancel 1
    still here, cancelling 1
    sleep: cancelled
    main: 0, cancelled 0, cancelling 0, at 0
    """, until=(3, 14))
async def eager_task_that_cancels_its_creator():
    task = eager(cancels(current_task()))
    say(f"still here, cancelling {current_task().cancelling()}")
    say(f"sleep: {text(await got(sleep(9)))}")
    await ends(task)


@difference("""
    a fails
    done 1
    main: error 5, cancelled 0, cancelling 0, at 0
    """, until=(3, 14))
async def eager_task_that_fails():
    task = eager(crashes("a", 5))
    say(f"done {task.done():d}")
    await ends(task)


async def waits_for(task):
    outcome = await task
    say(f"creator: {text(outcome)}")


async def makes_a_waiter():
    waiter = eager(waits_for(current_task()))
    say(f"waiter done {waiter.done():d}")
    waiters.append(waiter)
    return 5


waiters = []


@difference("""
    waiter done 0
    main: 5, cancelled 0, cancelling 0, at 0
    creator: 5
    """, until=(3, 14))
async def eager_task_that_awaits_its_creator():
    task = create_task(makes_a_waiter())
    await ends(task)
    await waiters.pop()


async def makes_two(name):
    a = eager(twice(f"{name}a"))
    say(f"{name} between")
    b = eager(twice(f"{name}b"))
    say(f"{name} awaits")
    await a
    await b


@difference("""
    xa begins
    x between
    xb begins
    x awaits
    main
    xa goes on: 0
    xb goes on: 0
    """, until=(3, 14))
async def eager_tasks_within_eager_tasks():
    task = eager(makes_two("x"))
    say("main")
    await task


@difference("""
    a
    main
    awaited
    tick 1
    called back
    tick 2
    """, until=(3, 14))
async def eager_task_and_done_callbacks():
    tick = create_task(ticker(2))
    task = eager(says("a"))
    task.add_done_callback(lambda _: say("called back"))
    say("main")
    await task
    say("awaited")
    await tick


async def sets_and_waits(mine, other):
    mine.set()
    say("set")
    await other.wait()
    say("woken")


@difference("""
    set
    set
    woken
    done 0 1
    woken
    """, until=(3, 14))
async def eager_tasks_that_wake_each_other():
    a, b = Event(), Event()
    first = eager(sets_and_waits(a, b))
    second = eager(sets_and_waits(b, a))
    say(f"done {first.done():d} {second.done():d}")
    await first
    await second


@difference("""
    a begins
    after a
    after b
    a goes on: 0
    b
    main: 1, cancelled 0, cancelling 0, at 0
    """, until=(3, 14))
async def eager_by_the_loop():
    make_all_eager()
    task = create_task(twice("a", 1))
    say("after a")
    last = create_task(says("b"), eager_start=False)
    say("after b")
    await ends(task)
    await last


@difference("""
    a
    b
    gather: [1, 2]
    c begins
    d
    tick 1
    c goes on: 0
    tick 2
    gather: [3, 4]
    """, until=(3, 14))
async def eager_gather():
    make_all_eager()
    tick = create_task(ticker(2), eager_start=False)
    say(f"gather: {text(await got(gather(says('a', 1), says('b', 2))))}")
    say(f"gather: {text(await got(gather(twice('c', 3), says('d', 4))))}")
    await tick


@difference("""
    a
    b fails
    c fails
    gather: error 5
    d fails
    e
    gather: [error 7, 0]
    """, until=(3, 14))
async def eager_gather_that_fails():
    make_all_eager()
    say(f"gather: {text(await got(gather(says('a', 1), crashes('b', 5), crashes('c', 6))))}")
    say(f"gather: {text(await got(gather(crashes('d', 7), says('e'), return_exceptions=True)))}")


@difference("""
    a
    shield: 1
    b begins
    b goes on: 0
    shield: 2
    """, until=(3, 14))
async def eager_shield():
    make_all_eager()
    say(f"shield: {text(await got(shield(says('a', 1))))}")
    say(f"shield: {text(await got(shield(twice('b', 2))))}")


def told(outcome):
    if isinstance(outcome, BaseExceptionGroup):
        return text(outcome.exceptions[0])
    return text(outcome)


async def grouped(*children):
    outcome = 0
    try:
        async with TaskGroup() as group:
            for child in children:
                task = group.create_task(child)
                say(f"done {task.done():d}")
            await sleep(1)
            say("slept")
    except BaseException as error:
        outcome = error
    say(f"group: {told(outcome)}, cancelling {current_task().cancelling()}")


@difference("""
    a
    done 1
    b begins
    done 0
    c
    done 1
    b goes on: 0
    slept
    group: 0, cancelling 0
    """, until=(3, 14))
async def eager_group():
    make_all_eager()
    await grouped(says("a"), twice("b"), says("c"))


@difference("""
    a fails
    done 1
    b begins
    done 0
    b goes on: cancelled
    group: error 5, cancelling 0
    """, until=(3, 14))
async def eager_group_whose_first_child_fails():
    make_all_eager()
    await grouped(crashes("a", 5), twice("b"))


async def spawns(group, left):
    say(f"child {left}")
    if left:
        group.create_task(spawns(group, left - 1))


@difference("""
    child 2
    child 1
    child 0
    body ends
    group ends
    """, until=(3, 14))
async def eager_group_whose_children_make_more():
    make_all_eager()
    async with TaskGroup() as group:
        group.create_task(spawns(group, 2))
        say("body ends")
    say("group ends")


@difference("""
    a
    b
    tick 1
    tick 2
    group ends
    tick 3
    tick 4
    """, until=(3, 14))
async def eager_turns_of_a_group():
    make_all_eager()
    tick = create_task(ticker(4), eager_start=False)
    async with TaskGroup() as group:
        group.create_task(says("a"))
        group.create_task(says("b"))
    say("group ends")
    await tick
