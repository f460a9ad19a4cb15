"""Cancellation, counted: several requests, several waiters, messages."""
from asyncio import create_task, current_task, get_running_loop, sleep

from parity import ends, give, got, now, say, scenario, sleeper, text, waiter


def new_future():
    return get_running_loop().create_future()


async def tidies(name, delay):
    outcome = await got(sleep(9))
    say(f"{name}: {text(outcome)}")
    say(f"{name} tidied: {text(await got(sleep(delay)))} at {now()}")
    give(outcome)


async def waits_and_sleeps(name, awaitable):
    say(f"{name}: {text(await got(awaitable))}, cancelling {current_task().cancelling()}")
    say(f"{name} slept: {text(await got(sleep(1)))} at {now()}")
    return 5


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


async def reads_three_messages():
    for _ in range(3):
        outcome = await got(sleep(9))
        say(f"task: {text(outcome)}, {outcome}")


@scenario
async def a_message_goes_with_its_request_alone():
    task = create_task(reads_three_messages())
    await sleep(1)
    task.cancel("first")
    await sleep(1)
    task.cancel()
    await sleep(1)
    task.cancel("third")
    await got(task)


@scenario
async def two_messages_to_a_sleeping_task():
    task = create_task(reads_message("task", sleep(9)))
    await sleep(1)
    task.cancel("one")
    task.cancel("two")
    await got(task)


@scenario
async def two_messages_to_a_yielding_task():
    task = create_task(reads_message("task", sleep(0)))
    await sleep(0)
    task.cancel("one")
    task.cancel("two")
    await got(task)
