"""The loop itself: run, stop, close; and how a run ends."""
import asyncio
from asyncio import create_task, current_task, get_running_loop, sleep

from parity import VirtualLoop, fails, give, got, now, say, says, scenario, sleeper, text, tried


@scenario
def loop_runs_until_complete(loop):
    say(f"result {loop.run_until_complete(loop.create_task(sleeper('task', 1, 7)))}")
    say(f"clock {loop.time():g}")


@scenario
def loop_runs_until_an_error(loop):
    say(f"result {text(tried(loop.run_until_complete, loop.create_task(fails(1, 5))))}")


@scenario
def loop_runs_until_cancelled(loop):
    task = loop.create_task(sleeper("task", 9))
    loop.call_later(1, task.cancel)
    say(f"result {text(tried(loop.run_until_complete, task))}")


@scenario
def loop_runs_what_is_done_already(loop):
    task = loop.create_task(says("task", 3))
    say(f"result {loop.run_until_complete(task)}")
    loop.call_soon(say, "callback")
    say(f"result {loop.run_until_complete(task)}")


@scenario
def loop_leaves_a_task_for_the_next_run(loop):
    task = loop.create_task(sleeper("task", 3, 1))
    say(f"result {loop.run_until_complete(loop.create_task(sleeper('first', 1, 2)))}")
    say(f"done {task.done():d}")
    say(f"result {loop.run_until_complete(task)}")


@scenario
def loop_finishes_the_turn_in_which_its_future_is_done(loop):
    task = loop.create_task(says("task"))
    loop.call_soon(say, "after")
    loop.call_soon(lambda: loop.call_soon(say, "after that"))
    say(f"result {loop.run_until_complete(task)}")
    loop.call_soon(loop.stop)
    loop.run_forever()


@scenario
def loop_stops_before_it_runs(loop):
    loop.call_soon(say, "callback")
    loop.call_soon(lambda: loop.call_soon(say, "callback of the callback"))
    loop.call_later(1, say, "timer")
    loop.stop()
    loop.run_forever()
    say(f"stopped at {loop.time():g}")
    loop.stop()
    loop.run_forever()
    say(f"stopped at {loop.time():g}")


@scenario
def loop_stops_after_the_turn(loop):
    loop.call_soon(say, "before")
    loop.call_soon(loop.stop)
    loop.call_soon(say, "after")
    loop.call_soon(lambda: loop.call_soon(say, "added"))
    loop.run_forever()
    say("stopped")
    loop.call_soon(loop.stop)
    loop.run_forever()


@scenario
def loop_stops_at_a_timer(loop):
    loop.call_later(1, say, "first")
    loop.call_later(2, loop.stop)
    loop.call_later(3, say, "third")
    loop.run_forever()
    say(f"stopped at {loop.time():g}")
    loop.call_later(5, loop.stop)
    loop.run_forever()
    say(f"stopped at {loop.time():g}")


@scenario
def loop_is_stopped_before_the_future_is_done(loop):
    task = loop.create_task(sleeper("task", 2, 4))
    loop.call_later(1, loop.stop)
    say(f"result {text(tried(loop.run_until_complete, task))}, done {task.done():d}")
    say(f"result {text(tried(loop.run_until_complete, task))}")


async def stops():
    get_running_loop().stop()
    say("stopping")
    await sleep(0)
    say("in the next run")


@scenario
def loop_is_stopped_by_a_task(loop):
    task = loop.create_task(stops())
    loop.run_forever()
    say("stopped")
    loop.run_until_complete(task)


def says_state(loop):
    say(f"running {loop.is_running():d}, closed {loop.is_closed():d}")


@scenario
def loop_states(loop):
    says_state(loop)
    loop.call_soon(says_state, loop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    says_state(loop)
    loop.close()
    says_state(loop)
    loop.close()
    says_state(loop)


@scenario
def loop_takes_nothing_once_closed(loop):
    loop.close()
    say(f"run {text(tried(loop.run_forever))}")
    say(f"soon {text(tried(loop.call_soon, say, 'never'))}")
    say(f"later {text(tried(loop.call_later, 1, say, 'never'))}")


@scenario
def loop_drops_callbacks_when_closed(loop):
    loop.call_soon(say, "never")
    loop.call_later(1, say, "never")
    loop.close()
    say("closed")


def runs_nested(loop):
    say(f"close {text(tried(loop.close))}")
    say(f"run {text(tried(loop.run_forever))}")


@scenario
def loop_refuses_to_run_in_itself(loop):
    loop.call_soon(runs_nested, loop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    say(f"closed {loop.is_closed():d}")


async def makes_future():
    return get_running_loop().create_future()


@scenario
def loop_refuses_a_future_of_another_loop(loop):
    other = VirtualLoop()
    future = other.run_until_complete(makes_future())
    outcome = loop.run_until_complete(got(future))
    say(f"await {text(outcome)}")
    say(f"run {text(tried(loop.run_until_complete, future))}")
    other.close()


@scenario
def loop_tells_its_exception_handler(loop):
    loop.call_exception_handler({"message": "words"})
    loop.set_exception_handler(lambda loop, context: say(f"another handler: {context['message']}"))
    loop.call_exception_handler({"message": "words"})


@scenario
def no_loop_no_task(loop):
    coroutine = says("never")
    say(f"task {text(tried(create_task, coroutine))}")
    coroutine.close()
    say(f"loop {'none' if asyncio._get_running_loop() is None else 'some'}")


@scenario
def tasks_made_before_the_run_start_in_order(loop):
    a = loop.create_task(says("a"))
    loop.call_soon(say, "callback")
    b = loop.create_task(says("b"))
    say("run")
    loop.run_until_complete(b)
    loop.run_until_complete(a)


# ---- How asyncio.run ends --------------------------------------------------

@scenario
async def run_cancels_itself():
    current_task().cancel()
    await sleep(1)
    say("never")


@scenario
async def run_fails():
    await fails(1, 5)


async def tidies(name, delay):
    outcome = await got(sleep(9))
    tidied = await got(sleep(delay))
    say(f"{name}: {text(outcome)}, tidied: {text(tidied)} at {now()}")
    give(outcome)


kept = []  # Python's loop keeps no task alive, and C's does


@scenario
async def run_cancels_what_is_left():
    kept.extend([create_task(tidies("a", 1)), create_task(tidies("b", 0)), create_task(tidies("c", 0.5))])
    await sleep(1)
    say("main ends")


async def fails_when_cancelled(code):
    await got(sleep(9))
    await fails(0, code)


@scenario
async def run_reports_what_fails_at_its_end():
    kept.append(create_task(fails_when_cancelled(5)))
    await sleep(1)
    say("main ends")


@scenario
async def run_waits_for_who_swallows_its_cancel():
    async def swallows():
        say(f"task: {text(await got(sleep(9)))} at {now()}")
        say(f"task: {text(await got(sleep(5)))} at {now()}")
    kept.append(create_task(swallows()))
    await sleep(1)
    say("main ends")


@scenario
async def run_in_a_task_is_refused():
    coroutine = says("never")
    say(f"run {text(tried(asyncio.run, coroutine))}")
    coroutine.close()


@scenario
def runner_runs_twice(loop):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        kept.append(runner.get_loop().create_task(sleeper("left", 2)))
        say(f"result {text(tried(runner.run, sleeper('first', 1, 1)))}")
        say(f"result {text(tried(runner.run, sleeper('second', 2, 2)))}")
    say(f"run {text(tried(runner.run, None))}")


@scenario
def runner_ends_what_is_left(loop):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        kept.append(runner.get_loop().create_task(tidies("left", 2)))
        say(f"result {text(tried(runner.run, fails(1, 5)))}")
        say("close")
    say("closed")


@scenario
async def run_drops_timers_at_its_end():
    get_running_loop().call_later(1, say, "in time")
    get_running_loop().call_later(3, say, "never")
    await sleep(2)
    say("main ends")
