"""Where C differs from Python on purpose: each with the log that C must give.

Why it differs is told in docs/parity-*.md, by the name of the scenario.
"""
from asyncio import create_task, current_task, gather, get_running_loop, sleep

from parity import difference, ends, fails, got, now, say, says, sleeper, text, ticker, tried


async def works(name):
    say(f"{name} begins")
    outcome = await got(sleep(1))
    say(f"{name}: {text(outcome)}")
    if isinstance(outcome, BaseException):
        raise outcome


@difference("""
    cancel 1
    task begins
    task: cancelled
    main: cancelled, cancelled 1, cancelling 1, at 0
    """)
async def a_task_cancelled_before_its_first_step_runs():
    task = create_task(works("task"))
    say(f"cancel {task.cancel():d}")
    await ends(task)


async def returns(value):
    return value


@difference("""
    main: 4, cancelled 0, cancelling 1, at 0
    """)
async def a_task_cancelled_before_its_first_step_that_never_waits():
    task = create_task(returns(4))
    task.cancel()
    await ends(task)


async def waits_and_sleeps(awaitable):
    say(f"task: {text(await got(awaitable))}, cancelling {current_task().cancelling()}")
    say(f"task slept: {text(await got(sleep(1)))} at {now()}")
    say(f"task slept again: {text(await got(sleep(1)))} at {now()}")


@difference("""
    cancel 1
    task: 7, cancelling 1
    task slept: cancelled at 0
    task slept again: 0 at 1
    main: 0, cancelled 0, cancelling 1, at 1
    """)
async def a_result_set_before_the_cancel_is_kept():
    future = get_running_loop().create_future()
    task = create_task(waits_and_sleeps(future))
    await sleep(0)
    future.set_result(7)
    say(f"cancel {task.cancel():d}")
    await ends(task)


@difference("""
    child: 0 at 1
    cancel 1
    task: 7, cancelling 1
    task slept: cancelled at 1
    task slept again: 0 at 2
    main: 0, cancelled 0, cancelling 1, at 2
    """)
async def the_result_of_a_task_that_ended_before_the_cancel_is_kept():
    child = create_task(sleeper("child", 1, 7))
    task = create_task(waits_and_sleeps(child))
    child.add_done_callback(lambda _: say(f"cancel {task.cancel():d}"))
    await ends(task)


@difference("""
    task: error 5, cancelling 1
    task slept: cancelled at 0
    task slept again: 0 at 1
    main: 0, cancelled 0, cancelling 1, at 1
    """)
async def an_error_set_before_the_cancel_is_kept():
    child = create_task(fails(0, 5))
    task = create_task(waits_and_sleeps(child))
    child.add_done_callback(lambda _: task.cancel())
    await ends(task)


async def cancels_itself_and_returns():
    current_task().cancel()
    return 6


@difference("""
    main: 6, cancelled 0, cancelling 1, at 0
    """)
async def a_task_that_returns_keeps_its_value():
    await ends(create_task(cancels_itself_and_returns()))


async def uncancels_itself():
    current_task().cancel()
    say(f"uncancel {current_task().uncancel()}")
    say(f"slept: {text(await got(sleep(1)))} at {now()}")


@difference("""
    uncancel 0
    slept: 0 at 1
    main: 0, cancelled 0, cancelling 0, at 1
    """, until=(3, 13))
async def uncancel_before_delivery_drops_the_request():
    await ends(create_task(uncancels_itself()))


@difference("""
    uncancel 0
    task: 0 at 0
    main: 0, cancelled 0, cancelling 0, at 0
    """, until=(3, 13))
async def uncancel_of_a_yielding_task_drops_the_request():
    task = create_task(sleeper("task", 0))
    await sleep(0)
    task.cancel()
    say(f"uncancel {task.uncancel()}")
    await ends(task)


# ---- gather ----------------------------------------------------------------

async def tidies(name, delay, value=0):
    outcome = await got(sleep(9))
    say(f"{name}: {text(outcome)} at {now()}")
    say(f"{name} tidied: {text(await got(sleep(delay)))} at {now()}")
    if value:
        return value
    raise outcome


async def gathers(*awaitables):
    say(f"gather: {text(await got(gather(*awaitables)))} at {now()}")
    say(f"slept: {text(await got(sleep(20)))} at {now()}")


@difference("""
    b: cancelled at 1
    b tidied: 0 at 3
    gather: error 5 at 3
    slept: 0 at 23
    """)
async def gather_cancels_the_siblings_of_a_failed_child():
    await gathers(fails(1, 5), tidies("b", 2))


@difference("""
    a: cancelled at 1
    b: cancelled at 1
    a tidied: 0 at 2
    b tidied: 0 at 4
    gather: cancelled at 4
    slept: 0 at 24
    """)
async def gather_that_is_cancelled_waits_for_all():
    task = create_task(gathers(tidies("a", 1), tidies("b", 3)))
    await sleep(1)
    task.cancel()
    await task


@difference("""
    a: cancelled at 2
    b: cancelled at 2
    b tidied: 0 at 4
    gather: cancelled at 4
    slept: 0 at 24
    """)
async def gather_cancels_the_siblings_of_a_cancelled_child():
    a = create_task(sleeper("a", 9))
    task = create_task(gathers(a, tidies("b", 2)))
    await sleep(2)
    a.cancel()
    await task


@difference("""
    a: 0 at 1
    b: 0 at 1
    gather: [1, 2] at 1
    slept: cancelled at 1
    """)
async def gather_whose_children_have_ended_keeps_their_results():
    a, b = create_task(sleeper("a", 1, 1)), create_task(sleeper("b", 1, 2))
    task = create_task(gathers(a, b))
    b.add_done_callback(lambda _: task.cancel())
    await task


@difference("""
    b: cancelled at 1
    b tidied: 0 at 3
    gather: error 5 at 3
    slept: cancelled at 3
    """)
async def gather_keeps_an_error_that_came_before_the_cancel():
    task = create_task(gathers(fails(1, 5), tidies("b", 2)))
    await sleep(2)
    task.cancel()
    await task


async def fails_when_cancelled(code):
    await got(sleep(9))
    await fails(0, code)


@difference("""
    b: cancelled at 1
    b tidied: 0 at 2
    gather: cancelled at 2
    slept: 0 at 22
    """)
async def gather_that_is_cancelled_is_cancelled_though_a_child_fails():
    task = create_task(gathers(fails_when_cancelled(5), tidies("b", 1)))
    await sleep(1)
    task.cancel()
    await task


@difference("""
    a
    gather: error 12 at 0
    slept: 0 at 20
    """)
async def gather_of_null_fails_as_out_of_memory():
    coroutine = says("a", 1)
    say(f"gather: {text(tried(gather, coroutine, None))}")


@difference("""
    a
    b: cancelled at 0
    gather: cancelled at 0
    slept: 0 at 20
    """)
async def gather_that_is_cancelled_starts_its_children():
    task = create_task(gathers(says("a", 1), sleeper("b", 1)))
    get_running_loop().call_soon(task.cancel)
    await task


@difference("""
    tick 1
    gather: [1, 2]
    tick 2
    """, until=(3, 12))
async def gather_of_ended_tasks_costs_no_turn():
    a, b = create_task(returns(1)), create_task(returns(2))
    await sleep(0)
    tick = create_task(ticker(2))
    await sleep(0)
    say(f"gather: {text(await got(gather(a, b)))}")
    await tick


@difference("""
    gather: refused
    """)
async def gather_refuses_the_same_coroutine_twice():
    coroutine = says("once", 1)
    say(f"gather: {text(await got(gather(coroutine, coroutine)))}")


# ---- The rest --------------------------------------------------------------

@difference("""
    main: error 12
    """)
async def null_is_out_of_memory():
    say(f"main: {text(await got(None))}")


@difference("\n".join(f"timer {i}" for i in range(10)))
async def equal_deadlines_keep_their_order():
    when = get_running_loop().time() + 1
    for i in range(10):
        get_running_loop().call_at(when, say, f"timer {i}")
    await sleep(2)


@difference("""
    slept: refused
    """, until=(3, 13))
async def a_sleep_of_nan_is_refused():
    say(f"slept: {text(await got(sleep(float('nan'))))}")


async def stubborn():
    for _ in range(5):
        outcome = await got(sleep(4))
        say(f"stubborn: {text(outcome)} at {now()}")


kept = []


@difference("""
    main ends
    stubborn: cancelled at 1
    stubborn: 0 at 5
    stubborn: 0 at 9
    report: task did not end within 10 s of being cancelled; it is abandoned; it waits in sleep
    """)
async def a_task_that_will_not_end_is_left_behind():
    kept.append(create_task(stubborn()))
    await sleep(1)
    say("main ends")
