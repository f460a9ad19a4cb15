"""Futures, their callbacks, and what is told of a task."""
import asyncio
import gc
from asyncio import create_task, current_task, get_running_loop, sleep

from parity import E, fails, give, got, say, says, scenario, sleeper, text, ticker, tried, waiter


def new_future():
    return get_running_loop().create_future()


def called_a(future):
    say(f"callback a: {text(tried(future.result))}")


def called_b(future):
    say(f"callback b: {text(tried(future.result))}")


@scenario
async def callbacks_run_a_turn_later_in_order():
    future = new_future()
    future.add_done_callback(called_b)
    future.add_done_callback(called_a)
    future.add_done_callback(called_b)
    future.set_result(3)
    say("set")
    await sleep(0)
    say("main")


@scenario
async def callbacks_and_waiters_keep_their_order():
    future = new_future()
    future.add_done_callback(called_a)
    task = create_task(waiter("waiter", future))
    await sleep(0)
    future.add_done_callback(called_b)
    future.set_result(1)
    await create_task(ticker(2))
    await task


@scenario
async def a_callback_added_when_done_is_deferred():
    future = new_future()
    future.set_result(2)
    future.add_done_callback(called_a)
    say("added")
    await sleep(0)
    say("main")


@scenario
async def callbacks_of_a_task():
    task, tick = create_task(says("task", 4)), create_task(ticker(3))
    task.add_done_callback(called_a)
    task.add_done_callback(called_b)
    say(f"main {await task}")
    await tick


def adds(future):
    say("adds")
    future.add_done_callback(called_a)


@scenario
async def a_callback_adds_a_callback():
    future = new_future()
    future.add_done_callback(adds)
    future.add_done_callback(called_b)
    future.set_result(0)
    await create_task(ticker(3))


def removes(future):
    say(f"removes {future.remove_done_callback(called_a)}")


@scenario
async def a_callback_removes_a_callback_too_late():
    future = new_future()
    future.add_done_callback(removes)
    future.add_done_callback(called_a)
    future.set_result(0)
    await sleep(0)
    say("main")


@scenario
async def remove_counts_what_it_removed():
    future = new_future()
    for callback in (called_a, called_b, called_a):
        future.add_done_callback(callback)
    say(f"removed {future.remove_done_callback(called_a)}")
    say(f"removed {future.remove_done_callback(called_a)}")
    future.set_result(0)
    await sleep(0)
    say(f"removed {future.remove_done_callback(called_b)}")


@scenario
async def callbacks_of_a_cancelled_future():
    future = new_future()
    future.add_done_callback(called_a)
    say(f"cancel {future.cancel():d}")
    say(f"cancel {future.cancel():d}")
    await sleep(0)
    say("main")


@scenario
async def a_future_is_set_once():
    future = new_future()
    say(f"done {future.done():d}, result {text(tried(future.result))}")
    say(f"first {text(tried(future.set_result, 1))}")
    say(f"second {text(tried(future.set_result, 2))}")
    say(f"error {text(tried(future.set_exception, E(5)))}")
    say(f"cancel {future.cancel():d}")
    say(f"done {future.done():d}, result {text(tried(future.result))}")


@scenario
async def a_cancelled_future_takes_no_result():
    future = new_future()
    future.cancel()
    say(f"set {text(tried(future.set_result, 1))}")
    say(f"done {future.done():d}, cancelled {future.cancelled():d}, result {text(tried(future.result))}")


@scenario
async def a_task_takes_no_result():
    task = create_task(says("task", 1))
    say(f"set {text(tried(task.set_result, 2))}")
    say(f"result {text(tried(task.result))}")
    say(f"main {await task}")
    say(f"result {text(tried(task.result))}")


@scenario
async def waiters_of_a_future_resume_in_order():
    future = new_future()
    waiters = [create_task(waiter(name, future)) for name in ("a", "b", "c", "d")]
    await sleep(0)
    future.set_result(9)
    say("set")
    for task in waiters:
        await task


@scenario
async def waiters_of_a_failed_future():
    future = new_future()
    a, b = create_task(waiter("a", future)), create_task(waiter("b", future))
    await sleep(0)
    future.set_exception(E(5))
    say(f"main a: {text(await got(a))}")
    say(f"main b: {text(await got(b))}")
    say(f"main: {text(await got(future))}")


async def counts(name, awaitable):
    outcome = await got(awaitable)
    say(f"{name}: {text(outcome)}, cancelling {current_task().cancelling()}")
    return give(outcome)


@scenario
async def waiters_of_a_cancelled_future():
    future = new_future()
    a, b = create_task(counts("a", future)), create_task(counts("b", future))
    await sleep(0)
    future.cancel()
    say(f"main a: {text(await got(a))}, cancelled {a.cancelled():d}")
    say(f"main b: {text(await got(b))}, cancelled {b.cancelled():d}")


@scenario
async def turns_to_await_a_future():
    future = new_future()
    task, tick = create_task(waiter("waiter", future)), create_task(ticker(5))
    get_running_loop().call_later(0, future.set_result, 1)
    say(f"main {await task}")
    await tick


@scenario
async def a_done_future_is_awaited_without_a_turn():
    future = new_future()
    tick = create_task(ticker(2))
    await sleep(0)
    future.set_result(1)
    say(f"main {await future}, {await future}")
    await tick


# ---- What is told of errors ------------------------------------------------

@scenario
async def a_failed_task_that_nobody_awaits_is_reported():
    task = create_task(fails(0, 5))
    del task
    await sleep(1)
    gc.collect()
    say("main")


@scenario
async def a_failed_task_is_reported_when_it_is_dropped():
    task = create_task(fails(0, 5))
    await sleep(1)
    gc.collect()
    say(f"done {task.done():d}")
    del task
    gc.collect()
    say("main")


@scenario
async def a_failed_task_whose_result_was_read_is_not_reported():
    task = create_task(fails(0, 5))
    await sleep(1)
    say(f"result {text(tried(task.result))}")
    del task
    gc.collect()
    say("main")


@scenario
async def a_cancelled_task_is_not_reported():
    task = create_task(sleeper("task", 1))
    await sleep(0)
    task.cancel()
    del task
    await sleep(1)
    gc.collect()
    say("main")


@scenario
async def a_failed_future_is_reported_when_it_is_dropped():
    future = new_future()
    future.set_exception(E(7))
    del future
    gc.collect()
    say("main")


async def raises(code, message):
    raise E(code, message)


@scenario
async def an_error_carries_its_message():
    task = create_task(raises(5, "no luck"))
    outcome = await got(task)
    say(f"main: {text(outcome)}, {outcome}")


@scenario
async def a_message_belongs_to_its_error():
    outcome = await got(create_task(raises(5, "no luck")))
    say(f"first: {text(outcome)}, {outcome}")
    outcome = await got(create_task(fails(0, 5)))
    say(f"second: {text(outcome)}, {outcome}")
    outcome = await got(create_task(raises(5, "again")))
    await sleep(1)
    again = await got(create_task(raises(6, "another")))
    say(f"third: {text(again)}, {again}")


async def raises_through(depth, code, message):
    await (raises_through(depth - 1, code, message) if depth else create_task(raises(code, message)))


@scenario
async def a_message_goes_up_a_chain():
    outcome = await got(create_task(raises_through(3, 5, "deep down")))
    say(f"main: {text(outcome)}, {outcome}")


# ---- Who am I, who is there ------------------------------------------------

def says_current():
    say(f"in a callback: {'none' if current_task() is None else 'some'}")


async def is_current(box):
    say(f"in a task: {current_task() is box[0]:d}")
    await sleep(0)
    say(f"after a wait: {current_task() is box[0]:d}")


@scenario
async def the_current_task():
    me, box = current_task(), []
    get_running_loop().call_soon(says_current)
    get_running_loop().call_later(0.5, says_current)
    box.append(create_task(is_current(box)))
    box[0].add_done_callback(lambda _: says_current())
    await box[0]
    say(f"in main: {current_task() is me:d}")
    await sleep(1)


@scenario
async def all_the_tasks():
    say(f"tasks {len(asyncio.all_tasks())}")
    a, b = create_task(sleeper("a", 1)), create_task(says("b"))
    say(f"tasks {len(asyncio.all_tasks())}")
    await sleep(0)
    await sleep(0)
    say(f"tasks {len(asyncio.all_tasks())}")
    await a
    await b
    say(f"tasks {len(asyncio.all_tasks())}")


async def own_name():
    say(f"I am {current_task().get_name()}")


@scenario
async def names_of_tasks():
    a, b = create_task(own_name(), name="first"), create_task(says("second"))
    say(f"a {a.get_name()}")
    say(f"b {b.get_name()[:5]}")
    c = create_task(says("third"))
    say(f"c is b plus {int(c.get_name()[5:]) - int(b.get_name()[5:])}")
    b.set_name("renamed")
    say(f"b {b.get_name()}")
    for task in (a, b, c):
        await task
    say(f"a {a.get_name()}")


@scenario
async def states_of_a_task():
    task = create_task(sleeper("task", 1, 6))
    for _ in range(3):
        say(f"done {task.done():d}, cancelled {task.cancelled():d}, result {text(tried(task.result))}")
        await sleep(1)
