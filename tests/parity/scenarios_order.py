"""Who runs when: tasks, callbacks, timers and turns of the loop."""
from asyncio import create_task, get_running_loop, sleep

from parity import now, say, says, scenario, sleeper, ticker, waiter


def said_at(what):
    say(f"{what} at {now()}")


@scenario
async def tasks_start_in_the_order_made():
    tasks = [create_task(says(name)) for name in ("a", "b", "c")]
    say("made")
    for task in tasks:
        await task


@scenario
async def a_new_task_waits_for_the_ready_ones():
    task = create_task(ticker(3))
    await sleep(0)
    late = create_task(says("late"))
    await sleep(0)
    say("main")
    await late
    await task


@scenario
async def tasks_and_callbacks_share_one_queue():
    loop = get_running_loop()
    loop.call_soon(say, "callback 1")
    task = create_task(says("task"))
    loop.call_soon(say, "callback 2")
    await sleep(0)
    say("main")
    await task


async def takes_turns(name):
    for i in range(1, 4):
        say(f"{name}{i}")
        await sleep(0)


@scenario
async def yields_take_turns():
    a, b = create_task(takes_turns("a")), create_task(takes_turns("b"))
    await a
    say("main")
    await b


def again(n):
    say(f"callback {n}")
    if n > 1:
        get_running_loop().call_soon(again, n - 1)


@scenario
async def a_callback_from_a_callback_runs_a_turn_later():
    get_running_loop().call_soon(again, 3)
    await create_task(ticker(4))


tasks_of_callbacks = []


def makes_task():
    say("callback")
    tasks_of_callbacks.append(get_running_loop().create_task(says("task")))


@scenario
async def a_task_from_a_callback_runs_a_turn_later():
    get_running_loop().call_soon(makes_task)
    await create_task(ticker(3))
    await tasks_of_callbacks.pop()


@scenario
async def sleeps_end_in_time_order():
    tasks = [create_task(sleeper(name, delay)) for name, delay in (("a", 1.5), ("b", 0.5), ("c", 1))]
    for task in tasks:
        await task


@scenario
async def two_equal_sleeps():
    a, b = create_task(sleeper("a", 1)), create_task(sleeper("b", 1))
    await b
    await a


@scenario
async def two_equal_timers():
    loop = get_running_loop()
    loop.call_later(1, said_at, "later")
    loop.call_at(loop.time() + 1, said_at, "at")
    await sleep(2)


@scenario
async def a_sleep_and_then_an_equal_timer():
    task = create_task(sleeper("sleep", 1))
    await sleep(0)
    get_running_loop().call_later(1, said_at, "timer")
    await task


@scenario
async def a_timer_and_then_an_equal_sleep():
    get_running_loop().call_later(1, said_at, "timer")
    await create_task(sleeper("sleep", 1))


@scenario
async def a_due_sleep_and_a_ticker():
    loop = get_running_loop()
    loop.call_later(1, lambda: loop.call_soon(say, "callback of the timer"))
    task = create_task(sleeper("sleep", 1))
    await sleep(1)
    say("main")
    await create_task(ticker(2))
    await task


@scenario
async def a_timer_of_zero_comes_after_what_is_ready():
    loop = get_running_loop()
    loop.call_later(0, say, "timer")
    loop.call_soon(say, "callback")
    await sleep(0)
    say("main")
    await sleep(0)
    say("main again")


@scenario
async def a_timer_in_the_past_is_one_of_zero():
    loop = get_running_loop()
    await sleep(2)
    loop.call_at(loop.time() - 1, said_at, "timer")
    loop.call_later(-1, said_at, "negative")
    await create_task(ticker(2))


def rearms(delay):
    said_at(f"timer {delay:g}")
    if delay >= 0:
        get_running_loop().call_later(delay, rearms, delay - 0.25)


@scenario
async def a_timer_from_a_timer():
    get_running_loop().call_later(1, rearms, 0.5)
    await sleep(3)
    said_at("main")


@scenario
async def many_timers_fire_by_deadline():
    loop = get_running_loop()
    handles = [loop.call_later(i * 37 % 64 * 0.25, said_at, f"timer {i}") for i in range(64)]
    for handle in handles[::3]:
        handle.cancel()
    await sleep(20)
    said_at("main")


@scenario
async def a_negative_sleep_yields_once():
    task = create_task(ticker(3))
    await sleep(0)
    await sleep(-1)
    said_at("main")
    await task


@scenario
async def time_stands_still_between_waits():
    await sleep(0.25)
    await create_task(ticker(3))
    said_at("main")


async def in_place(depth):
    return depth if depth == 3 else await in_place(depth + 1)


@scenario
async def a_coroutine_awaited_in_place_costs_no_turn():
    task = create_task(ticker(2))
    await sleep(0)
    say(f"depth {await in_place(1)}")
    await task


@scenario
async def turns_to_await_a_task():
    tick, task = create_task(ticker(5)), create_task(says("child"))
    await task
    say("main")
    await tick


async def link(n):
    return 1 if n == 0 else 1 + await create_task(link(n - 1))


@scenario
async def turns_along_a_chain_of_tasks():
    tick = create_task(ticker(12))
    say(f"links {await create_task(link(4))}")
    await tick


class Turns:
    """Counts the turns of the loop until it is stopped."""

    def __init__(self):
        self.count = -1
        self.turn()

    def turn(self):
        self.count += 1
        self.handle = get_running_loop().call_soon(self.turn)

    def stop(self):
        self.handle.cancel()
        return self.count


@scenario
async def turns_along_a_long_chain_of_tasks():
    turns = Turns()
    links = await create_task(link(200))
    say(f"links {links}, turns {turns.stop()}")


@scenario
async def an_ended_task_is_awaited_without_a_turn():
    task, tick = create_task(says("child", 7)), create_task(ticker(3))
    await sleep(0)
    say(f"main {await task}")
    say(f"again {await task}")
    await tick


@scenario
async def waiters_of_a_task_resume_in_order():
    task = create_task(sleeper("task", 1, 5))
    waiters = [create_task(waiter(name, task)) for name in ("a", "b", "c")]
    await task
    say("main")
    for each in waiters:
        await each


@scenario
async def a_late_waiter_overtakes():
    future = get_running_loop().create_future()
    early = create_task(waiter("early", future))
    await sleep(0)
    late = create_task(waiter("late", future))
    future.set_result(1)
    await early
    say("main")
    await late


def takes_back(handles):
    said_at("first")
    handles.pop().cancel()


@scenario
async def a_queued_callback_is_taken_back():
    loop, handles = get_running_loop(), []
    loop.call_soon(takes_back, handles)
    handles.append(loop.call_soon(say, "second"))
    loop.call_soon(say, "third")
    await sleep(0)
    say("main")


@scenario
async def a_timer_is_taken_back_in_its_own_tick():
    loop, handles = get_running_loop(), []
    loop.call_later(1, takes_back, handles)
    handles.append(loop.call_later(1, said_at, "second"))
    await sleep(2)
    said_at("main")


@scenario
async def a_timer_is_taken_back_early():
    handle = get_running_loop().call_later(1, said_at, "timer")
    await sleep(0.5)
    handle.cancel()
    await sleep(1)
    said_at("main")


@scenario
async def a_sleep_ends_among_yielding_tasks():
    yielding = [create_task(takes_turns(name)) for name in ("a", "b")]
    await sleep(0)
    await sleep(0.25)
    said_at("main")
    for task in yielding:
        await task
