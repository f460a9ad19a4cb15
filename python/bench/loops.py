"""
The loops that are measured, by name. Each is made by the call that its users make.
"""
import asyncio


def new_loop_factory(name):
    """What asyncio.Runner takes as its `loop_factory`."""
    if name == 'asyncio':
        return asyncio.SelectorEventLoop
    if name == 'uvloop':
        import uvloop
        return uvloop.new_event_loop
    import libasyncio
    return libasyncio.new_event_loop


def run(name, coroutine):
    with asyncio.Runner(loop_factory=new_loop_factory(name)) as runner:
        return runner.run(coroutine)
