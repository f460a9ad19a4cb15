"""gather, where C does as Python."""
from asyncio import create_task, current_task, gather, get_running_loop, sleep

from parity import E, fails, got, now, say, says, scenario, sleeper, text, ticker


@scenario
async def gather_keeps_the_order_of_its_arguments():
    results = await got(gather(sleeper("a", 3, 1), sleeper("b", 1, 2), sleeper("c", 2, 3)))
    say(f"gather: {text(results)} at {now()}")


@scenario
async def gather_starts_its_children_in_order():
    task = create_task(says("task"))
    results = await got(gather(says("a", 1), says("b", 2), task))
    say(f"gather: {text(results)}")


@scenario
async def gather_takes_coroutines_tasks_and_futures():
    future = get_running_loop().create_future()
    get_running_loop().call_later(2, future.set_result, 3)
    results = await got(gather(says("coroutine", 1), create_task(sleeper("task", 1, 2)), future))
    say(f"gather: {text(results)} at {now()}")


@scenario
async def gather_of_nothing():
    tick = create_task(ticker(1))
    say(f"gather: {text(await got(gather()))}")
    await tick


@scenario
async def gather_takes_a_task_twice():
    task = create_task(sleeper("task", 1, 4))
    say(f"gather: {text(await got(gather(task, task)))}")


async def gathers(name, *awaitables):
    outcome = await got(gather(*awaitables))
    say(f"{name}: {text(outcome)}")
    return 0


@scenario
async def turns_of_gather():
    loop = get_running_loop()
    a, b = loop.create_future(), loop.create_future()
    task = create_task(gathers("gather", a, b))
    await sleep(0)
    a.set_result(1)
    await sleep(0)
    await sleep(0)
    b.set_result(2)
    await create_task(ticker(5))
    await task


@scenario
async def turns_of_gather_over_tasks():
    tick = create_task(ticker(8))
    await gathers("gather", says("a", 1), says("b", 2))
    await tick


@scenario
async def gather_in_gather():
    results = await got(gather(gathers("inner", says("a", 1), sleeper("b", 1, 2)), sleeper("c", 2, 3)))
    say(f"outer: {text(results)} at {now()}")


@scenario
async def gather_fails_with_its_last_child():
    outcome = await got(gather(sleeper("a", 1), fails(2, 5)))
    say(f"gather: {text(outcome)} at {now()}")


@scenario
async def gather_with_a_cancelled_child():
    a, b = create_task(sleeper("a", 1)), create_task(sleeper("b", 9))
    get_running_loop().call_later(2, b.cancel)
    outcome = await got(gather(a, b))
    say(f"gather: {text(outcome)} at {now()}, cancelling {current_task().cancelling()}")


@scenario
async def gather_reports_no_second_error():
    outcome = await got(gather(fails(1, 5), fails(1, 6)))
    say(f"gather: {text(outcome)} at {now()}")


@scenario
async def gather_takes_a_failed_future_twice():
    future = get_running_loop().create_future()
    get_running_loop().call_later(1, future.set_exception, E(5))
    say(f"gather: {text(await got(gather(future, future, return_exceptions=True)))} at {now()}")


@scenario
async def gather_of_a_task_that_failed_before():
    task = create_task(fails(0, 5))
    await sleep(1)
    say(f"gather: {text(await got(gather(task)))} at {now()}")


@scenario
async def settled_gather_has_errors_in_their_places():
    cancelled = create_task(sleeper("cancelled", 9))
    get_running_loop().call_later(1.5, cancelled.cancel)
    children = fails(1, 5), sleeper("b", 2, 7), cancelled, fails(0, 6)
    results = await got(gather(*children, return_exceptions=True))
    say(f"gather: {text(results)} at {now()}")


async def tidies(name, delay, value=0):
    """When it is cancelled, it takes time to end."""
    outcome = await got(sleep(9))
    say(f"{name}: {text(outcome)}")
    tidied = await got(sleep(delay))
    say(f"{name} tidied: {text(tidied)} at {now()}")
    if value:
        return value
    raise outcome


@scenario
async def gather_is_cancelled():
    task = create_task(gathers("gather", sleeper("a", 5), sleeper("b", 6)))
    await sleep(1)
    task.cancel()
    say(f"main: {text(await got(task))}, cancelling {task.cancelling()}, at {now()}")


@scenario
async def gather_is_cancelled_and_its_children_swallow_it():
    task = create_task(gathers("gather", tidies("a", 0, 1), tidies("b", 1, 2)))
    await sleep(1)
    task.cancel()
    say(f"main: {text(await got(task))} at {now()}")


async def gathers_settled(name, *awaitables):
    outcome = await got(gather(*awaitables, return_exceptions=True))
    say(f"{name}: {text(outcome)} at {now()}")
    return 0


@scenario
async def settled_gather_is_cancelled():
    task = create_task(gathers_settled("gather", tidies("a", 2), tidies("b", 1, 2)))
    await sleep(1)
    task.cancel()
    say(f"main: {text(await got(task))} at {now()}, cancelling {task.cancelling()}")


async def fails_when_cancelled(code):
    await got(sleep(9))
    raise E(code)


@scenario
async def settled_gather_is_cancelled_and_a_child_fails():
    task = create_task(gathers_settled("gather", fails_when_cancelled(5), tidies("b", 1)))
    await sleep(1)
    task.cancel()
    say(f"main: {text(await got(task))}")


async def cancels_itself_and_gathers(a, b):
    current_task().cancel()
    await gathers("gather", a, b)


@scenario
async def cancel_oneself_and_then_gather():
    a, b = create_task(sleeper("a", 1)), create_task(sleeper("b", 2))
    await create_task(cancels_itself_and_gathers(a, b))


@scenario
async def gather_is_cancelled_twice():
    task = create_task(gathers_settled("gather", tidies("a", 2), tidies("b", 4)))
    await sleep(1)
    task.cancel()
    await sleep(1)
    task.cancel()
    say(f"main: {text(await got(task))} at {now()}, cancelling {task.cancelling()}")


@scenario
async def gather_lets_a_request_go():
    """Once it was delivered by gather, the next wait is an ordinary one."""
    async def goes_on():
        await gathers("gather", sleeper("a", 5), sleeper("b", 6))
        say(f"sleep: {text(await got(sleep(1)))} at {now()}")
    task = create_task(goes_on())
    await sleep(1)
    task.cancel()
    say(f"main: {text(await got(task))}")
