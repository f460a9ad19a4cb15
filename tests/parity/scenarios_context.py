"""Context variables: who sees what of whom."""
from asyncio import create_task, gather, get_running_loop, shield, sleep
from contextvars import ContextVar, copy_context

from parity import say, scenario, text, tried

var = ContextVar("var", default="none")


async def changes(name, to):
    """Says what it sees, sets it, and says it again a turn later."""
    say(f"{name}: {var.get()}")
    var.set(to)
    await sleep(0)
    say(f"{name}: {var.get()} then")


@scenario
async def a_task_has_a_copy_of_its_creators_context():
    a = create_task(changes("a", "a's"))
    var.set("main's")
    b = create_task(changes("b", "b's"))
    var.set("later")
    await sleep(0)
    say(f"main: {var.get()}")
    await gather(a, b, changes("c", "c's"), changes("d", "d's"))
    say(f"main: {var.get()}")
    await changes("in place", "set in place")
    say(f"main: {var.get()}")
    await shield(changes("shielded", "shielded"))
    say(f"main: {var.get()}")


async def turns(name, to):
    """What it sees and sets in turns with another one."""
    for _ in range(2):
        say(f"{name}: {var.get()}")
        var.set(to)
        await sleep(0)


@scenario
async def tasks_in_one_context():
    var.set("main's")
    context = copy_context()
    var.set("later")
    a = create_task(turns("a", "a's"), context=context)
    b = create_task(turns("b", "b's"), context=context)
    await gather(a, b)
    say(f"main: {var.get()}")
    await create_task(turns("c", "c's"), context=context)


def calls(name):
    """Says what it sees; what it sets nobody else does."""
    say(f"{name}: {var.get()}")
    var.set("the callback's")
    say(f"{name}: {var.get()}")


made = set()


def makes_a_task():
    var.set("made in a callback")
    task = create_task(changes("its task", "x"))
    made.add(task)
    task.add_done_callback(made.discard)
    get_running_loop().call_soon(calls, "its callback")
    var.set("later")


@scenario
async def callbacks_have_the_context_of_the_call():
    loop = get_running_loop()
    future = loop.create_future()
    loop.call_soon(calls, "soon")
    var.set("1")
    loop.call_soon(calls, "soon 1")
    loop.call_later(1, calls, "later 1")
    future.add_done_callback(lambda _: calls("done 1"))
    loop.call_soon_threadsafe(calls, "posted 1")
    var.set("2")
    future.add_done_callback(lambda _: calls("done 2"))
    loop.call_soon(makes_a_task)
    await sleep(2)
    say(f"main: {var.get()}")
    var.set("3")
    future.set_result(0)
    await sleep(1)
    say(f"main: {var.get()}")


async def resets(name, token):
    say(f"{name}: {text(tried(var.reset, token))}")


@scenario
async def tokens_of_context_variables():
    one = var.set("1")
    two = var.set("2")
    three = var.set("3")
    await create_task(resets("another task", three))
    say(f"main: {var.get()}")
    say(f"three: {text(tried(var.reset, three))}")
    say(f"main: {var.get()}")
    say(f"three again: {text(tried(var.reset, three))}")
    say(f"one: {text(tried(var.reset, one))}")
    say(f"main: {var.get()}")
    await resets("in place", two)
    say(f"main: {var.get()}")
    say(f"two again: {text(tried(var.reset, two))}")


@scenario
def context_before_the_loop_runs(loop):
    a = loop.create_task(changes("a", "a's"))
    token = var.set("outside")
    b = loop.create_task(changes("b", "b's"))
    loop.call_soon(calls, "soon")
    var.set("outside, later")
    loop.run_until_complete(a)
    loop.run_until_complete(b)
    say(f"outside: {var.get()}")
    say(f"outside: {text(tried(var.reset, token))}")
    say(f"outside: {var.get()}")
