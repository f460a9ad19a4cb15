"""Timeouts: who is woken when, and what wins."""
from asyncio import create_task, current_task, get_running_loop, sleep, timeout, timeout_at

from parity import difference, ends, got, now, say, scenario, sleeper, text, ticker, E


def said_at(what):
    say(f"{what} at {now()}")


async def limited(name, delay, body):
    """The body's outcome, through a timeout."""
    try:
        async with timeout(delay) as limit:
            return await body
    finally:
        say(f"{name}: expired {limit.expired():d}, cancelling {current_task().cancelling()} at {now()}")


@scenario
async def timeout_among_timers():
    loop = get_running_loop()
    loop.call_later(1, said_at, "before")
    task = create_task(limited("task", 1, sleep(5)))
    await sleep(0)
    loop.call_later(1, said_at, "after")
    await ends(task)


@scenario
async def turns_of_a_timeout():
    async def ticks():
        await sleep(1)
        await ticker(4)
    tick = create_task(ticks())
    say(f"main: {text(await got(limited('main', 1, sleep(5))))}")
    await tick


@scenario
async def timeout_of_zero_without_a_wait():
    async def nothing():
        return 4
    say(f"main: {text(await got(limited('main', 0, nothing())))}")
    say(f"main: {text(await got(limited('main', -3, nothing())))}")


@scenario
async def timeout_of_zero_with_waits():
    tick = create_task(ticker(6))
    say(f"main: {text(await got(limited('main', 0, sleep(5))))}")
    say(f"main: {text(await got(limited('main', -1, ticker(9))))}")
    await tick


@scenario
async def timeout_at_equal_sleep():
    say(f"main: {text(await got(limited('main', 1, sleep(1))))}")


@scenario
async def timeout_and_a_cancel_before_it():
    task = create_task(limited("task", 5, sleep(9)))
    await sleep(1)
    task.cancel()
    await ends(task)


@scenario
async def timeout_and_a_cancel_in_its_tick():
    task = create_task(limited("task", 1, sleep(9)))
    await sleep(0)
    get_running_loop().call_later(1, task.cancel)
    await ends(task)


@scenario
async def timeout_after_a_cancel_in_its_tick():
    task = create_task(limited("task", 1, sleep(9)))
    get_running_loop().call_later(1, task.cancel)
    await ends(task)


async def slow_to_end(delay):
    outcome = await got(sleep(9))
    say(f"body: {text(outcome)} at {now()}")
    say(f"tidied: {text(await got(sleep(delay)))} at {now()}")
    raise outcome


@scenario
async def timeout_and_a_cancel_after_it():
    task = create_task(limited("task", 1, slow_to_end(4)))
    await sleep(2)
    task.cancel()
    await ends(task)


@scenario
async def timeout_of_a_slow_body():
    await ends(create_task(limited("task", 1, slow_to_end(4))))


@scenario
async def timeout_swallowed():
    async def swallows():
        say(f"body: {text(await got(sleep(9)))} at {now()}")
        say(f"body: {text(await got(sleep(9)))} at {now()}")
        return 5
    await ends(create_task(limited("task", 1, swallows())))


@scenario
async def timeout_and_another_error():
    async def fails_then():
        await got(sleep(9))
        raise E(5)
    await ends(create_task(limited("task", 1, fails_then())))


@scenario
async def timeouts_nested_inner():
    say(f"main: {text(await got(limited('outer', 5, limited('inner', 1, sleep(9)))))}")


@scenario
async def timeouts_nested_outer():
    say(f"main: {text(await got(limited('outer', 1, limited('inner', 5, sleep(9)))))}")


async def two_overdue(wait):
    async def inner_and_wait():
        say(f"inner gives {text(await got(limited('inner', -1, sleep(9))))}")
        if wait:
            outcome = await got(sleep(1))
            say(f"slept: {text(outcome)} at {now()}")
            if isinstance(outcome, BaseException):
                raise outcome
        return 3
    say(f"main: {text(await got(limited('outer', 0, inner_and_wait())))}")


@difference("""
    inner: expired 1, cancelling 1 at 0
    inner gives timeout
    slept: cancelled at 0
    outer: expired 1, cancelling 0 at 0
    main: timeout
    """)
async def timeouts_overdue_at_once():
    await two_overdue(True)


@difference("""
    inner: expired 1, cancelling 1 at 0
    inner gives timeout
    outer: expired 1, cancelling 0 at 0
    main: 3
    """)
async def timeouts_overdue_at_once_without_a_wait_between():
    await two_overdue(False)


@difference("""
    slept: cancelled
    cleanup: expired 1, cancelling 1 at 2
    cleanup: timeout
    slept: 0 at 3
    main: 0, cancelled 0, cancelling 1, at 3
    """, until=(3, 12))
async def timeout_in_a_cancelled_tasks_cleanup():
    async def cleans_up():
        say(f"slept: {text(await got(sleep(9)))}")
        say(f"cleanup: {text(await got(limited('cleanup', 1, sleep(9))))}")
        say(f"slept: {text(await got(sleep(1)))} at {now()}")
    task = create_task(cleans_up())
    await sleep(1)
    task.cancel()
    await ends(task)


@difference("""
    slept: cancelled
    task: expired 1, cancelling 1 at 1
    limited: timeout
    main: 0, cancelled 0, cancelling 1, at 1
    """, until=(3, 12))
async def timeout_of_a_task_cancelled_before_it():
    async def cancels_itself():
        async def waits_twice():
            say(f"slept: {text(await got(sleep(1)))}")
            await sleep(9)
        current_task().cancel()
        say(f"limited: {text(await got(limited('task', 1, waits_twice())))}")
    await ends(create_task(cancels_itself()))


@scenario
async def timeout_rescheduled():
    loop = get_running_loop()
    for delay in (1, 5, None, -1):
        limit = None
        try:
            async with timeout(3) as limit:
                limit.reschedule(loop.time() + delay if delay else None)
                await sleep(9)
        except TimeoutError:
            say("timeout")
        say(f"expired {limit.expired():d} at {now()}")


@scenario
async def timeout_at_a_time():
    try:
        async with timeout_at(get_running_loop().time() + 2):
            await sleep(9)
    except TimeoutError:
        said_at("timeout")


@scenario
async def timeout_passed_on_to_a_task():
    async def swallows():
        say(f"child: {text(await got(sleep(9)))} at {now()}")
        await sleep(1)
        return 6

    async def awaits(task):
        return await task
    say(f"main: {text(await got(limited('main', 1, awaits(create_task(swallows())))))}")
    task = create_task(sleeper("child", 9))
    say(f"main: {text(await got(limited('main', 1, awaits(task))))}")


@difference("""
    main: expired 1, cancelling 0 at 0
    main: 7
    """)
async def timeout_noticed_after_a_result():
    loop = get_running_loop()
    first, second = loop.create_future(), loop.create_future()

    async def awaits(future):
        return await future

    def give():
        first.set_result(0)
        loop.call_soon(second.set_result, 7)
    loop.call_soon(give)
    await first
    say(f"main: {text(await got(limited('main', 0, awaits(second))))}")
