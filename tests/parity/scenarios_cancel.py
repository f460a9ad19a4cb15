"""Cancellation: in each state of a task, along chains, counted."""
import asyncio
from asyncio import create_task, current_task, get_running_loop, sleep

from parity import E, ends, give, got, now, say, says, scenario, sleeper, text, ticker, waiter


def new_future():
    return get_running_loop().create_future()


# ---- In each state ---------------------------------------------------------

@scenario
async def cancel_a_sleeping_task():
    task = create_task(sleeper("task", 9))
    await sleep(1)
    say(f"cancel {task.cancel():d}, done {task.done():d}")
    await ends(task)
    say(f"cancel {task.cancel():d}, cancelling {task.cancelling()}")


@scenario
async def cancel_a_task_that_yields():
    task = create_task(sleeper("task", 0))
    await sleep(0)
    say(f"cancel {task.cancel():d}")
    await ends(task)


@scenario
async def cancel_a_task_that_awaits_a_future():
    future = new_future()
    task = create_task(waiter("task", future))
    await sleep(0)
    say(f"cancel {task.cancel():d}, future cancelled {future.cancelled():d}")
    await ends(task)


@scenario
async def cancel_a_task_that_awaits_a_task():
    inner = create_task(sleeper("inner", 9))
    outer = create_task(waiter("outer", inner))
    await sleep(1)
    say(f"cancel {outer.cancel():d}, inner cancelling {inner.cancelling()}")
    await ends(outer)
    await ends(inner)


@scenario
async def cancel_a_task_that_awaits_a_coroutine():
    task = create_task(waiter("outer", sleeper("inner", 9)))
    await sleep(1)
    task.cancel()
    await ends(task)


@scenario
async def cancel_along_a_chain_of_tasks():
    tasks = [create_task(sleeper("0", 9))]
    for name in ("1", "2", "3"):
        tasks.append(create_task(waiter(name, tasks[-1])))
    await sleep(1)
    tasks[-1].cancel()
    tick = create_task(ticker(6))
    for task in reversed(tasks):
        await ends(task)
    await tick


async def tidies(name, delay):
    outcome = await got(sleep(9))
    say(f"{name}: {text(outcome)}")
    say(f"{name} tidied: {text(await got(sleep(delay)))} at {now()}")
    give(outcome)


@scenario
async def a_cancelled_awaiter_waits_for_the_inner_task():
    inner = create_task(tidies("inner", 2))
    outer = create_task(waiter("outer", inner))
    await sleep(1)
    outer.cancel()
    await ends(outer)


async def swallows(name, value):
    say(f"{name}: {text(await got(sleep(9)))}")
    return value


@scenario
async def a_task_swallows_its_cancel():
    task = create_task(swallows("task", 42))
    await sleep(1)
    task.cancel()
    await ends(task)


async def waits_and_sleeps(name, awaitable):
    say(f"{name}: {text(await got(awaitable))}, cancelling {current_task().cancelling()}")
    say(f"{name} slept: {text(await got(sleep(1)))} at {now()}")
    return 5


@scenario
async def an_inner_task_swallows_the_cancel_of_the_outer():
    inner = create_task(swallows("inner", 7))
    outer = create_task(waits_and_sleeps("outer", inner))
    await sleep(1)
    outer.cancel()
    await ends(outer)
    await ends(inner)


@scenario
async def an_inner_task_was_cancelled_before_the_outer():
    """Both requests end in the one CancelledError of the inner task."""
    inner = create_task(sleeper("inner", 9))
    outer = create_task(waits_and_sleeps("outer", inner))
    await sleep(1)
    inner.cancel()
    outer.cancel()
    await ends(outer)


@scenario
async def an_inner_task_has_ended_cancelled_when_the_outer_is():
    inner = create_task(sleeper("inner", 9))
    outer = create_task(waits_and_sleeps("outer", inner))
    inner.add_done_callback(lambda _: outer.cancel())
    await sleep(1)
    inner.cancel()
    await ends(outer)


async def cancels_itself():
    say(f"cancel {current_task().cancel():d}")
    say(f"slept: {text(await got(sleep(9)))} at {now()}")
    say(f"slept again: {text(await got(sleep(1)))} at {now()}")
    return 3


@scenario
async def cancel_oneself_and_then_sleep():
    await ends(create_task(cancels_itself()))


@scenario
async def turns_of_a_cancel_that_waits_for_a_sleep():
    task, tick = create_task(cancels_itself()), create_task(ticker(3))
    await ends(task)
    await tick


async def cancels_itself_and_yields():
    current_task().cancel()
    outcome = await got(sleep(0))
    say(f"yielded: {text(outcome)}")
    give(outcome)


@scenario
async def cancel_oneself_and_then_yield():
    await ends(create_task(cancels_itself_and_yields()))


async def cancels_itself_and_awaits(awaitable):
    current_task().cancel()
    outcome = await got(awaitable)
    say(f"awaited: {text(outcome)}")
    return give(outcome)


@scenario
async def turns_of_a_cancel_that_waits_for_a_yield():
    task, tick = create_task(cancels_itself_and_yields()), create_task(ticker(3))
    await ends(task)
    await tick


@scenario
async def cancel_oneself_and_then_await_a_task():
    inner = create_task(sleeper("inner", 9))
    await ends(create_task(cancels_itself_and_awaits(inner)))
    await ends(inner)


@scenario
async def cancel_oneself_and_then_await_a_future():
    future = new_future()
    await ends(create_task(cancels_itself_and_awaits(future)))
    say(f"future cancelled {future.cancelled():d}")


@scenario
async def turns_of_a_cancel_that_waits_for_a_future():
    task, tick = create_task(cancels_itself_and_awaits(new_future())), create_task(ticker(3))
    await ends(task)
    await tick


async def cancels_itself_and_takes(future):
    current_task().cancel()
    say(f"taken: {text(await got(future))}")
    outcome = await got(sleep(0))
    say(f"yielded: {text(outcome)}")
    give(outcome)


@scenario
async def a_done_future_delivers_no_cancel():
    future = new_future()
    future.set_result(8)
    await ends(create_task(cancels_itself_and_takes(future)))


async def cancels_itself_and_fails():
    current_task().cancel()
    raise E(5)


@scenario
async def cancel_oneself_and_then_fail():
    await ends(create_task(cancels_itself_and_fails()))


@scenario
async def cancel_a_task_that_is_done():
    task = create_task(says("task", 4))
    await sleep(0)
    say(f"cancel {task.cancel():d}")
    await ends(task)


@scenario
async def cancel_a_task_that_has_just_ended():
    """Its awaiter has not resumed yet."""
    task = create_task(says("task", 4))
    task.add_done_callback(lambda _: say(f"cancel {task.cancel():d}"))
    await ends(task)


async def is_cancelled():
    raise asyncio.CancelledError


@scenario
async def a_task_ends_cancelled_without_a_request():
    await ends(create_task(is_cancelled()))


@scenario
async def cancel_from_a_callback():
    task = create_task(sleeper("task", 9))
    get_running_loop().call_later(1, lambda: say(f"cancel {task.cancel():d}"))
    await ends(task)


async def cancels_its_parent(parent):
    await sleep(1)
    say(f"cancel {parent.cancel():d}, cancelling {current_task().cancelling()}")
    outcome = await got(sleep(1))
    say(f"child: {text(outcome)} at {now()}")
    give(outcome)


async def has_a_child():
    outcome = await got(create_task(cancels_its_parent(current_task())))
    say(f"parent: {text(outcome)}")
    give(outcome)


@scenario
async def a_child_cancels_its_parent_and_so_itself():
    await ends(create_task(has_a_child()))


@scenario
async def a_cancelled_task_fails_in_its_cleanup():
    async def fails_instead():
        say(f"task: {text(await got(sleep(9)))}")
        raise E(5)
    task = create_task(fails_instead())
    await sleep(1)
    task.cancel()
    await ends(task)


# ---- As it ends anyway -----------------------------------------------------

@scenario
async def cancel_a_sleep_in_the_tick_in_which_it_ends():
    """The timer of the canceller is first; that of the sleep is due as well."""
    tasks = []
    get_running_loop().call_later(1, lambda: say(f"cancel {tasks[0].cancel():d}"))
    tasks.append(create_task(sleeper("task", 1)))
    await ends(tasks[0])


@scenario
async def cancel_a_sleep_that_has_just_ended():
    """The timer of the sleep is first: its task is ready, and has not resumed."""
    task = create_task(sleeper("task", 1))
    await sleep(0)
    get_running_loop().call_later(1, lambda: say(f"cancel {task.cancel():d}"))
    await ends(task)


# ---- What cannot be awaited ------------------------------------------------

async def awaits_itself():
    say(f"task: {text(await got(current_task()))}")
    return 2


@scenario
async def a_task_awaits_itself():
    await ends(create_task(awaits_itself()))
