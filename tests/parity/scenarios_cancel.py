"""Cancellation: in each state of a task, along chains, counted."""
import asyncio
from asyncio import create_task, current_task, get_running_loop, sleep

from parity import E, fails, give, got, now, say, says, scenario, sleeper, text, ticker, tried, waiter


def new_future():
    return get_running_loop().create_future()


async def ends(task):
    """Awaits the task and says all that can be told of it."""
    outcome = await got(task)
    say(f"main: {text(outcome)}, cancelled {task.cancelled():d}, cancelling {task.cancelling()}, at {now()}")


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
async def cancel_oneself_and_then_await_a_task():
    inner = create_task(sleeper("inner", 9))
    await ends(create_task(cancels_itself_and_awaits(inner)))
    await ends(inner)


@scenario
async def cancel_oneself_and_then_await_a_future():
    future = new_future()
    await ends(create_task(cancels_itself_and_awaits(future)))
    say(f"future cancelled {future.cancelled():d}")


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


# ---- Several requests, several waiters -------------------------------------

@scenario
async def two_requests_before_delivery_are_one():
    task = create_task(waits_and_sleeps("task", sleep(9)))
    await sleep(1)
    say(f"cancel {task.cancel():d}")
    say(f"cancel {task.cancel():d}, cancelling {task.cancelling()}")
    await ends(task)


@scenario
async def two_requests_to_a_yielding_task_are_one():
    task = create_task(waits_and_sleeps("task", sleep(0)))
    await sleep(0)
    task.cancel()
    task.cancel()
    await ends(task)


@scenario
async def a_second_request_during_cleanup():
    task = create_task(tidies("task", 4))
    await sleep(1)
    task.cancel()
    await sleep(1)
    task.cancel()
    await ends(task)


@scenario
async def a_second_request_to_an_awaiter_reaches_the_inner_task():
    inner = create_task(tidies("inner", 4))
    outer = create_task(waiter("outer", inner))
    await sleep(1)
    outer.cancel()
    await sleep(1)
    outer.cancel()
    await ends(outer)
    say(f"inner cancelling {inner.cancelling()}")


async def gives_back():
    for _ in range(2):
        outcome = await got(sleep(9))
        say(f"task: {text(outcome)} at {now()}, cancelling {current_task().cancelling()}")
        say(f"uncancel {current_task().uncancel()}")
    return 1


@scenario
async def a_request_given_back_makes_room_for_the_next():
    task = create_task(gives_back())
    await sleep(1)
    task.cancel()
    await sleep(1)
    task.cancel()
    await ends(task)


async def counts_down():
    outcome = await got(sleep(9))
    me = current_task()
    say(f"task: {text(outcome)}, cancelling {me.cancelling()}")
    say(f"uncancel {me.uncancel()}, {me.uncancel()}, {me.uncancel()}")
    say(f"slept: {text(await got(sleep(1)))}")


@scenario
async def uncancel_counts_down_to_zero():
    task = create_task(counts_down())
    await sleep(1)
    task.cancel()
    task.cancel()
    await ends(task)
    say(f"uncancel {task.uncancel()}")


async def uncancels_one_of_two():
    current_task().cancel()
    current_task().cancel()
    say(f"uncancel {current_task().uncancel()}")
    say(f"slept: {text(await got(sleep(1)))} at {now()}")


@scenario
async def uncancel_of_one_of_two_leaves_the_other():
    await ends(create_task(uncancels_one_of_two()))


@scenario
async def uncancel_does_not_help_a_task_whose_sleep_was_cancelled():
    task = create_task(sleeper("task", 9))
    await sleep(1)
    task.cancel()
    say(f"uncancel {task.uncancel()}")
    await ends(task)


@scenario
async def a_cancelled_task_with_two_awaiters():
    task = create_task(sleeper("task", 9))
    a, b = create_task(waiter("a", task)), create_task(waiter("b", task))
    await sleep(1)
    task.cancel()
    await ends(a)
    await ends(b)


@scenario
async def one_of_two_awaiters_is_cancelled():
    task = create_task(sleeper("task", 9))
    a, b = create_task(waiter("a", task)), create_task(waiter("b", task))
    await sleep(1)
    a.cancel()
    await ends(b)
    await ends(a)
    await ends(task)


@scenario
async def one_of_two_waiters_of_a_future_is_cancelled():
    future = new_future()
    a, b = create_task(waiter("a", future)), create_task(waiter("b", future))
    await sleep(1)
    b.cancel()
    await ends(b)
    await ends(a)


@scenario
async def cancel_the_future_and_then_its_waiter():
    future = new_future()
    task = create_task(waits_and_sleeps("task", future))
    await sleep(1)
    say(f"future {future.cancel():d}, task {task.cancel():d}")
    await ends(task)


@scenario
async def cancel_the_waiter_and_then_its_future():
    future = new_future()
    task = create_task(waits_and_sleeps("task", future))
    await sleep(1)
    say(f"task {task.cancel():d}, future {future.cancel():d}")
    await ends(task)


@scenario
async def an_awaiter_survives_a_cancelled_child():
    child = create_task(sleeper("child", 9))
    task = create_task(waits_and_sleeps("task", child))
    await sleep(1)
    child.cancel()
    await ends(task)


async def cancels_other(name, tasks, other):
    say(f"{name} yielded: {text(await got(sleep(0)))}")
    say(f"{name} cancels {tasks[other].cancel():d}")
    outcome = await got(sleep(1))
    say(f"{name}: {text(outcome)} at {now()}")
    give(outcome)


@scenario
async def two_tasks_cancel_each_other():
    tasks = {}
    tasks["a"] = create_task(cancels_other("a", tasks, "b"))
    tasks["b"] = create_task(cancels_other("b", tasks, "a"))
    await ends(tasks["b"])
    await ends(tasks["a"])


# ---- Messages --------------------------------------------------------------

async def reads_message(name, awaitable):
    outcome = await got(awaitable)
    say(f"{name}: {text(outcome)}, {outcome}")
    give(outcome)


@scenario
async def a_cancel_with_a_message():
    task = create_task(reads_message("task", sleep(9)))
    await sleep(1)
    task.cancel("enough")
    await reads_message("main", task)


@scenario
async def a_future_is_cancelled_with_a_message():
    future = new_future()
    task = create_task(reads_message("task", future))
    await sleep(0)
    future.cancel("no more")
    await got(task)


@scenario
async def a_message_goes_down_and_up_the_chain():
    inner = create_task(reads_message("inner", sleep(9)))
    outer = create_task(reads_message("outer", inner))
    await sleep(1)
    outer.cancel("all of you")
    await reads_message("main", outer)


# ---- What cannot be awaited ------------------------------------------------

async def awaits_itself():
    say(f"task: {text(await got(current_task()))}")
    return 2


@scenario
async def a_task_awaits_itself():
    await ends(create_task(awaits_itself()))
