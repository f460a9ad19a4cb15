"""wait, as_completed, wait_for and shield."""
from asyncio import (ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, TimeoutError, as_completed, create_task,
                     gather, get_running_loop, shield, sleep, wait, wait_for)

from parity import difference, ends, fails, got, now, say, says, scenario, sleeper, text, ticker, E


async def quiet(delay, value=0):
    await sleep(delay)
    return value


async def waited(tasks, when=ALL_COMPLETED, timeout=None):
    outcome = await got(wait(tasks, timeout=timeout, return_when=when))
    done = outcome if isinstance(outcome, BaseException) else len(outcome[0])
    say(f"done {text(done)}: {' '.join(str(int(task.done())) for task in tasks)} at {now()}")


async def end(tasks):
    for task in tasks:
        task.cancel()
        await got(task)


@scenario
async def wait_for_all_of_them():
    tasks = [create_task(quiet(3)), create_task(fails(1, 5)), create_task(quiet(2))]
    await waited(tasks)
    await end(tasks)


@scenario
async def wait_for_the_first():
    tasks = [create_task(quiet(3)), create_task(quiet(1)), create_task(quiet(2))]
    await waited(tasks, FIRST_COMPLETED)
    await waited(tasks[::2], FIRST_COMPLETED)
    await end(tasks)


@scenario
async def wait_for_the_first_error():
    coroutines = [quiet(3), fails(2, 5), quiet(9), quiet(1)]
    tasks = [create_task(each) for each in coroutines]
    await sleep(0)
    tasks[2].cancel()
    await waited(tasks, FIRST_EXCEPTION)
    await end(tasks)


@scenario
async def wait_with_a_timeout():
    tasks = [create_task(quiet(3)), create_task(quiet(1))]
    await waited(tasks, timeout=0)
    await waited(tasks, timeout=2)
    await waited(tasks, timeout=9)
    await end(tasks)


@scenario
async def wait_that_is_cancelled():
    tasks = [create_task(quiet(3)), create_task(quiet(5))]
    waiter = create_task(waited(tasks))
    await sleep(1)
    waiter.cancel()
    await ends(waiter)
    say(f"cancelling {tasks[0].cancelling()}")
    await end(tasks)


@scenario
async def turns_of_a_wait():
    tick = create_task(ticker(6))
    await waited([create_task(says("a")), create_task(says("b"))])
    await tick


@scenario
async def turns_of_a_wait_for_the_first():
    tick = create_task(ticker(6))
    tasks = [create_task(says("a")), create_task(says("b")), create_task(quiet(9))]
    await waited(tasks, FIRST_COMPLETED)
    await tick
    await end(tasks)


@difference("""
    tick 1
    done 2: 1 1 at 1
    tick 2
    tick 3
    """)
async def turns_of_a_wait_for_what_has_ended():
    tasks = [create_task(quiet(0)), create_task(quiet(0))]
    await sleep(1)
    tick = create_task(ticker(3))
    await sleep(0)
    await waited(tasks)
    await tick


@scenario
async def completed_in_order():
    tasks = [create_task(sleeper(*each)) for each in (("a", 3, 1), ("b", 1, 2), ("c", 2, 3))]
    for each in as_completed(tasks):
        say(f"main: {text(await got(each))} at {now()}")


@scenario
async def completed_until_the_time_is_over():
    tasks = [create_task(quiet(3, 1)), create_task(quiet(1, 2))]
    for each in as_completed(tasks, timeout=2):
        outcome = await got(each)
        say(f"main: {text(outcome)} at {now()}")
        if isinstance(outcome, TimeoutError):
            break
    await end(tasks)


@scenario
async def shielded_to_the_end():
    tick = create_task(ticker(6))
    say(f"main: {text(await got(shield(says('a', 5))))}")
    say(f"main: {text(await got(shield(create_task(fails(0, 5)))))}")
    await tick


async def shields(awaitable):
    outcome = await got(shield(awaitable))
    say(f"shield: {text(outcome)} at {now()}")
    if isinstance(outcome, BaseException):
        raise outcome


@scenario
async def shield_keeps_the_inner_one():
    inner = create_task(sleeper("inner", 3, 5))
    task = create_task(shields(inner))
    await sleep(1)
    task.cancel()
    await ends(task)
    say(f"inner: {text(await got(inner))} at {now()}")


@scenario
async def shield_whose_inner_one_is_cancelled():
    inner = create_task(sleeper("inner", 3, 5))
    task = create_task(shields(inner))
    await sleep(1)
    inner.cancel()
    await ends(task)


@scenario
async def shield_whose_inner_one_fails_unseen():
    task = create_task(shields(fails(2, 5)))
    await sleep(1)
    task.cancel()
    await ends(task)
    del task
    await sleep(5)
    say("slept")


@scenario
async def shield_of_a_gather():
    a, b = create_task(sleeper("a", 2, 1)), create_task(sleeper("b", 3, 2))

    async def gathers():
        return sum(await gather(a, b))
    inner = create_task(gathers())
    task = create_task(shields(inner))
    await sleep(1)
    task.cancel()
    await ends(task)
    say(f"inner: {text(await got(inner))} at {now()}")


async def limits(awaitable, timeout):
    outcome = await got(wait_for(awaitable, timeout))
    say(f"wait_for: {text(outcome)} at {now()}")
    if isinstance(outcome, BaseException):
        raise outcome


async def slow_to_end(delay, outcome=None):
    cancelled = await got(sleep(9))
    say(f"inner: {text(cancelled)} at {now()}")
    await sleep(delay)
    if isinstance(outcome, BaseException):
        raise outcome
    if outcome is None:
        raise cancelled
    return outcome


@scenario
async def wait_for_in_time():
    await limits(sleeper("a", 1), 2)
    await got(limits(fails(1, 5), 2))
    await limits(create_task(sleeper("a", 1)), None)


@scenario
async def wait_for_too_long():
    await got(limits(create_task(sleeper("a", 5)), 1))
    await got(limits(get_running_loop().create_future(), 1))


@scenario
async def wait_for_a_slow_end():
    await got(limits(create_task(slow_to_end(2)), 1))
    await got(limits(create_task(slow_to_end(2, 6)), 1))
    await got(limits(create_task(slow_to_end(2, E(5))), 1))


@scenario
async def wait_for_without_time():
    future = get_running_loop().create_future()
    future.set_result(8)
    await limits(future, 0)
    await got(limits(says("never"), 0))
    task = create_task(slow_to_end(2))
    await sleep(0)
    await got(limits(task, -1))


@scenario
async def wait_for_that_is_cancelled():
    inner = create_task(sleeper("inner", 5))
    task = create_task(limits(inner, 9))
    await sleep(1)
    task.cancel()
    await ends(task)
    say(f"inner cancelled {inner.cancelled():d}")


@difference("""
    tick 1
    a
    wait_for: 0 at 0
    tick 2
    tick 3
    tick 4
    """, until=(3, 12))
async def wait_for_a_coroutine_costs_no_turn():
    tick = create_task(ticker(4))
    await sleep(0)
    await limits(says("a"), 1)
    await tick
