"""
Python's asyncio on the event loop of libasyncio, which is written in C.

    import libasyncio

    libasyncio.run(main())

runs a program of asyncio's as asyncio.run does. `Loop` is a class of event loops, `new_event_loop` a function
that makes one (for `loop_factory=` of asyncio.Runner), and `install()` makes all new loops of this process
such loops.
"""
import asyncio as _asyncio
import collections.abc as _abc

from . import _core
from ._core import _C_API  # of <asyncio/python.h>, for extension modules
from ._loop import EventLoopPolicy, Loop, install, new_event_loop

__all__ = ['EventLoopPolicy', 'Loop', 'install', 'new_event_loop', 'run']
__version__ = _core.__version__

_abc.Coroutine.register(_core.Awaitable)  # so that create_task takes a coroutine in C


def run(main, *, debug=None, loop_factory=None):
    """
    Runs a coroutine as asyncio.run does, on a loop of libasyncio.

    `debug` switches the loop's debug mode; None leaves it to the environment. `loop_factory` makes the loop
    (default: new_event_loop).
    """
    if _asyncio._get_running_loop() is not None:
        raise RuntimeError('libasyncio.run() cannot be called from a running event loop')
    with _asyncio.Runner(debug=debug, loop_factory=loop_factory or new_event_loop) as runner:
        return runner.run(main)
