"""Task groups: turns, failures, requests from outside. Python wraps failures in groups; here one failure
is written as itself, several as a list in brackets."""
from asyncio import CancelledError, TaskGroup, create_task, current_task, get_running_loop, sleep, timeout

from parity import difference, ends, fails, got, now, say, says, scenario, sleeper, text, ticker, tried, E


def told(outcome):
    """An outcome as C has it."""
    if isinstance(outcome, BaseExceptionGroup):
        errors = [told(error) for error in outcome.exceptions]
        return errors[0] if len(errors) == 1 else "[" + ", ".join(errors) + "]"
    return text(outcome)


async def grouped(name, body, *children):
    """Runs the children in a group, with a body; returns its outcome as an exception or a value."""
    outcome = 0
    try:
        async with TaskGroup() as group:
            for child in children:
                group.create_task(child)
            outcome = await body
    except (Exception, CancelledError) as error:
        outcome = error
    say(f"{name}: {told(outcome)}, cancelling {current_task().cancelling()} at {now()}")
    return outcome


async def crashes(delay, code):
    await got(sleep(99))
    await sleep(delay)
    raise E(code)


async def nothing():
    return 0


@scenario
async def turns_of_an_empty_group():
    tick = create_task(ticker(2))
    await grouped("main", nothing())
    await tick


@scenario
async def turns_of_a_group():
    tick = create_task(ticker(6))
    await grouped("main", nothing(), says("a"), says("b"))
    await tick


@scenario
async def turns_of_a_group_whose_children_wait():
    tick = create_task(ticker(8))
    await grouped("main", sleep(0), sleeper("a", 0), sleeper("b", 1))
    await tick


@scenario
async def turns_when_a_child_fails():
    tick = create_task(ticker(8))
    await grouped("main", sleep(9), sleeper("a", 9), fails(0, 5))
    await tick


@difference("""
    tick 1
    tick 2
    tick 3
    tick 4
    a: cancelled at 0
    tick 5
    tick 6
    main: error 5, cancelling 0 at 0
    tick 7
    tick 8
    """, until=(3, 13))
async def turns_when_a_child_fails_during_the_exit():
    tick = create_task(ticker(8))
    await grouped("main", nothing(), sleeper("a", 9), fails(0, 5))
    await tick


@scenario
async def group_waits_for_all():
    await grouped("main", sleep(1), sleeper("a", 2), sleeper("b", 3), sleeper("c", 0.5))


@scenario
async def group_with_a_cancelled_child():
    a, b = sleeper("a", 2), sleeper("b", 3)
    outcome = 0
    async with TaskGroup() as group:
        a = group.create_task(a)
        group.create_task(b)
        await sleep(0)
        a.cancel()
    say(f"main: {told(outcome)} at {now()}")


@scenario
async def group_with_a_failing_child():
    await grouped("main", sleeper("body", 9), sleeper("a", 9), fails(1, 5), sleeper("b", 0.5))


@scenario
async def group_with_two_that_fail_at_once():
    await grouped("main", sleeper("body", 9), fails(1, 5), fails(1, 6), sleeper("a", 9))


@difference("""
    a: cancelled at 1
    main: [error 7, error 6, error 5], cancelling 0 at 3
    """, until=(3, 13))
async def group_with_siblings_that_crash():
    await grouped("main", nothing(), crashes(2, 5), crashes(1, 6), fails(1, 7), sleeper("a", 9))


@scenario
async def group_with_a_failing_body():
    await grouped("main", fails(1, 5), sleeper("a", 9))
    await grouped("main", fails(1, 5), sleeper("a", 9), crashes(1, 6))


@scenario
async def group_whose_body_swallows():
    async def swallows():
        say(f"body: {text(await got(sleep(9)))} at {now()}")
        say(f"body: {text(await got(sleep(1)))} at {now()}")
    await grouped("main", swallows(), fails(1, 5))


@scenario
async def group_cancelled_while_it_is_left():
    task = create_task(grouped("task", nothing(), sleeper("a", 9), sleep(9)))
    await sleep(1)
    task.cancel()
    await got(task)


@scenario
async def group_cancelled_in_its_body():
    task = create_task(grouped("task", sleeper("body", 9), sleeper("a", 9)))
    await sleep(1)
    task.cancel()
    await got(task)


async def grouped_and_sleeps(*args):
    await grouped(*args)
    say(f"slept: {text(await got(sleep(1)))} at {now()}")
    say(f"slept: {text(await got(sleep(1)))} at {now()}")


@difference("""
    task: error 5, cancelling 1 at 2
    slept: cancelled at 2
    slept: 0 at 3
    main: 0, cancelled 0, cancelling 1, at 3
    """, until=(3, 13))
async def group_cancelled_and_a_child_crashes():
    task = create_task(grouped_and_sleeps("task", nothing(), crashes(1, 5)))
    await sleep(1)
    task.cancel()
    await ends(task)


@scenario
async def groups_nested_inner_fails():
    await grouped("outer", grouped_or_raises("inner", sleeper("body", 9), fails(1, 5)), sleeper("a", 9))


async def grouped_or_raises(*args):
    outcome = await grouped(*args)
    if isinstance(outcome, BaseException):
        raise outcome


@scenario
async def groups_nested_outer_fails():
    await grouped("outer", grouped_or_raises("inner", sleeper("body", 9), sleeper("a", 9)), fails(1, 5))


@scenario
async def groups_nested_both_fail_at_once():
    await grouped("outer", grouped_or_raises("inner", sleeper("body", 9), fails(1, 5)), fails(1, 6))


@difference("""
    inner: error 5, cancelling 1 at 1
    outer: [error 6, error 5], cancelling 0 at 1
    """, until=(3, 13))
async def groups_nested_both_fail_during_the_exit():
    await grouped("outer", grouped_or_raises("inner", nothing(), fails(1, 5)), fails(1, 6))


async def spawns(group, depth):
    await sleep(1)
    say(f"depth {depth} at {now()}")
    if depth:
        group.create_task(spawns(group, depth - 1))


@scenario
async def group_spawns_while_it_is_left():
    async with TaskGroup() as group:
        group.create_task(spawns(group, 3))
    say(f"main at {now()}")


@scenario
async def group_refuses_children():
    group, late = TaskGroup(), says("late")
    try:
        async with group:
            group.create_task(fails(0, 5))
            outcome = await got(sleep(1))
            say(f"slept: {text(outcome)}")
            say(f"spawn: {text(tried(group.create_task, late))}")
    except ExceptionGroup as error:
        say(f"main: {told(error)}")
    say(f"spawn: {text(tried(group.create_task, late))}")
    late.close()


@scenario
async def timeout_around_a_group():
    try:
        async with timeout(1):
            await grouped_or_raises("group", nothing(), sleeper("a", 9))
    except TimeoutError:
        say(f"timeout at {now()}, cancelling {current_task().cancelling()}")


@scenario
async def timeout_around_a_group_that_crashes():
    outcome = 0
    try:
        async with timeout(1) as limit:
            await grouped_or_raises("group", nothing(), crashes(1, 5))
    except Exception as error:
        outcome = error
    say(f"main: {told(outcome)}, expired {limit.expired():d}, cancelling {current_task().cancelling()}")


@difference("""
    a: cancelled at 1
    main: timeout, cancelling 0 at 1
    """, until=(3, 13))
async def timeout_in_a_child_of_a_group():
    async def limited():
        async with timeout(1):
            await sleep(9)
    await grouped("main", nothing(), limited(), sleeper("a", 9))


@scenario
async def group_in_a_cancelled_tasks_cleanup():
    async def cleans_up():
        say(f"slept: {text(await got(sleep(9)))}")
        await grouped("cleanup", sleep(2), sleeper("a", 1))
        say(f"slept: {text(await got(sleep(1)))} at {now()}")
    task = create_task(cleans_up())
    await sleep(1)
    task.cancel()
    await ends(task)


@scenario
async def group_and_a_callback_in_the_tick_of_a_failure():
    loop = get_running_loop()
    loop.call_later(1, say, "callback before")
    task = create_task(grouped("task", sleeper("body", 9), fails(1, 5), sleeper("a", 9)))
    await sleep(0)
    await sleep(0)
    loop.call_later(1, say, "callback after")
    await task
