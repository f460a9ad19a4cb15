"""What every scenario of the Python half needs.

A scenario is an async function, or a plain function of an idle loop, marked @scenario. Its twin in C has the
same name and says the same lines. Errors follow one convention: CancelledError is "cancelled", E(code) stands
for the C result -code and is "error <code>", misuse (RuntimeError, InvalidStateError, ...) is "refused".

Time is virtual: a wait moves the clock and takes no time. Delays are multiples of 1/4 s, exact in binary.
"""
import asyncio
import errno
import gc
import inspect
import selectors
import sys


class E(Exception):
    """The C result -code, with the message that asyncio_raise would attach."""

    def __init__(self, code, message=""):
        super().__init__(message)
        self.code = code


# ---- Saying ----------------------------------------------------------------

def say(line):
    print(line, flush=True)


def text(outcome):
    """An outcome as both halves write it."""
    if outcome is None:
        return "0"
    if isinstance(outcome, list):
        return "[" + ", ".join(text(each) for each in outcome) + "]"
    if isinstance(outcome, asyncio.CancelledError):
        return "cancelled"
    if isinstance(outcome, TimeoutError):
        return "timeout"
    if isinstance(outcome, E):
        return f"error {outcome.code}"
    if isinstance(outcome, (RuntimeError, ValueError, TypeError, asyncio.InvalidStateError)):
        return "refused"
    return str(outcome)


def now():
    """Seconds since the scenario began."""
    return f"{asyncio.get_running_loop().time():g}"


# ---- Outcomes: an exception as a value, as C has it ------------------------

async def got(awaitable):
    """Awaits; an exception becomes the result."""
    try:
        return await awaitable
    except (Exception, asyncio.CancelledError) as error:
        return error


def tried(fn, *args):
    """Calls; an exception becomes the result."""
    try:
        return fn(*args)
    except (Exception, asyncio.CancelledError) as error:
        return error


def give(outcome):
    """Returns a value, raises an exception: C's `return outcome`."""
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


# ---- Coroutines that many scenarios use ------------------------------------

async def ticker(n):
    """Counts the turns of the loop."""
    for i in range(1, n + 1):
        say(f"tick {i}")
        await asyncio.sleep(0)


async def says(what, value=0):
    say(what)
    return value


async def sleeper(name, delay, value=0):
    """Sleeps, says how that ended, and ends in the same way."""
    outcome = await got(asyncio.sleep(delay))
    say(f"{name}: {text(outcome)} at {now()}")
    give(outcome)
    return value


async def fails(delay, code):
    await asyncio.sleep(delay)
    raise E(code)


async def waiter(name, awaitable):
    """Awaits, says the outcome, and ends in the same way."""
    outcome = await got(awaitable)
    say(f"{name}: {text(outcome)}")
    return give(outcome)


async def ends(task):
    """Awaits the task and says all that can be told of it."""
    outcome = await got(task)
    say(f"main: {text(outcome)}, cancelled {task.cancelled():d}, cancelling {task.cancelling()}, at {now()}")


# ---- The table and the runs ------------------------------------------------

class Scenario:
    def __init__(self, fn, c_log=None, until=None):
        self.fn = fn
        self.name = fn.__name__
        self.c_log = c_log  # what C says where it differs on purpose
        self.until = until  # the Python version that no longer differs

    def differs(self):
        return self.c_log is not None and (self.until is None or sys.version_info < self.until)


scenarios = {}


def scenario(fn):
    assert fn.__name__ not in scenarios, fn.__name__
    scenarios[fn.__name__] = Scenario(fn)
    return fn


def difference(c_log, until=None):
    """Marks a scenario in which C differs on purpose, and gives its log. `until`: the Python version
    from which on there is no difference."""
    def mark(fn):
        assert fn.__name__ not in scenarios, fn.__name__
        scenarios[fn.__name__] = Scenario(fn, inspect.cleandoc(c_log).splitlines(), until)
        return fn
    return mark


class VirtualSelector(selectors.SelectSelector):
    """Where others wait for the timeout, this one moves the clock."""

    now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise E(errno.EDEADLK)
        self.now += max(timeout, 0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.clock = VirtualSelector()
        super().__init__(self.clock)
        self.set_exception_handler(report)

    def time(self):
        return self.clock.now


def report(loop, context):
    """The exception handler of every loop: no report goes unseen."""
    error = context.get("exception")
    say(f"report: {text(error) if error else context['message']}")


def run(one):
    say(f"== {one.name}")
    if inspect.iscoroutinefunction(one.fn):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            outcome = tried(runner.run, one.fn())
        if isinstance(outcome, BaseException):
            say(f"run: {text(outcome)}")
    else:
        loop = VirtualLoop()
        one.fn(loop)
        loop.close()
    gc.collect()
