"""
Runs one module of a test suite on one loop, in this process; run_suite.py starts it.

    suite_child.py SUITE LOOP MODULE EVENTS_FD      (stdin: a JSON list of the tests that are not to run)

Tells run_suite.py what happens, as a line of JSON each, on the descriptor EVENTS_FD: which test starts, that
it makes a loop, how it ended, and that the module is through. So the parent knows which test was running when
this process hung or died.
"""
import asyncio
import faulthandler
import importlib
import json
import os
import sys
import traceback
import unittest
from asyncio import unix_events


class Events:
    """The way to the parent. A test may fork: only the process that began speaks."""

    def __init__(self, fd):
        self.fd, self.pid = fd, os.getpid()
        os.set_inheritable(fd, False)

    def tell(self, **event):
        if os.getpid() == self.pid:
            os.write(self.fd, json.dumps(event).encode() + b'\n')


# ---- The loop under test ----------------------------------------------------------

def stock_factory():
    return unix_events._UnixSelectorEventLoop, unix_events._UnixSelectorEventLoop


def uvloop_factory():
    import uvloop
    make = uvloop.new_event_loop
    return uvloop.Loop, lambda selector=None: make()


def libasyncio_factory():
    import libasyncio
    # It waits by itself: a selector, of which CPython's tests try all kinds, is not for it.
    return libasyncio.Loop, lambda selector=None: libasyncio.new_event_loop()


# What isinstance() is asked about, and what makes one.
FACTORIES = {'stock': stock_factory, 'uvloop': uvloop_factory, 'libasyncio': libasyncio_factory}


def counted_class(loop_type, make, count):
    """A class that stands for `loop_type`, whose objects `make` makes."""
    class Meta(type):
        def __call__(cls, *args, **options):
            count()
            return make(*args, **options)

        def __instancecheck__(cls, instance):
            return isinstance(instance, loop_type)

        def __subclasscheck__(cls, other):
            return issubclass(other, loop_type)

    return Meta(loop_type.__name__, (), {'__module__': loop_type.__module__, '__doc__': loop_type.__doc__})


def put_into_asyncio(loop_type, make, count):
    """CPython's tests make loops by these names, and by the policy."""
    stand_in = counted_class(loop_type, make, count)
    unix_events._UnixDefaultEventLoopPolicy._loop_factory = stand_in
    asyncio.SelectorEventLoop = unix_events.SelectorEventLoop = stand_in
    if hasattr(asyncio, 'EventLoop'):
        asyncio.EventLoop = unix_events.EventLoop = stand_in

    from test.test_asyncio import utils
    close_loop = utils.TestCase.close_loop

    def close_any_loop(loop):
        if hasattr(loop, '_default_executor'):
            close_loop(loop)
        else:
            loop.close()

    utils.TestCase.close_loop = staticmethod(close_any_loop)


def put_into_uvloop(loop_type, make, count):
    """uvloop's tests make loops by this one name, and by the policy, which calls it."""
    import uvloop

    def new_event_loop():
        count()
        return make()

    uvloop.new_event_loop = new_event_loop
    # uvloop has its own way to wait for children; other loops ask the policy.
    if loop_type is not uvloop.Loop:
        uvloop.EventLoopPolicy = type('EventLoopPolicy', (asyncio.DefaultEventLoopPolicy,),
                                      {'_loop_factory': staticmethod(new_event_loop)})


# ---- Tests ------------------------------------------------------------------------

class Result(unittest.TestResult):
    """Tells each step. The worst of what is said about a test is its outcome."""
    RANK = ['passed', 'skipped', 'failed']

    def __init__(self, events):
        super().__init__()
        self.events, self.current, self.outcome, self.why = events, None, 'passed', ''

    def startTest(self, test):
        super().startTest(test)
        self.current, self.outcome, self.why = test.id(), 'passed', ''
        self.events.tell(what='start', test=self.current)

    def stopTest(self, test):
        self.events.tell(what='end', test=self.current, outcome=self.outcome, why=self.why)
        self.current = None
        super().stopTest(test)

    def note(self, test, outcome, why=''):
        if self.current is None:  # what a class or a module prepares
            if outcome == 'failed':
                self.events.tell(what='end', test=test.id(), outcome=outcome, why=why)
        elif self.RANK.index(outcome) >= self.RANK.index(self.outcome):
            self.outcome, self.why = outcome, self.why + why

    def addError(self, test, error):
        self.note(test, 'failed', ''.join(traceback.format_exception(*error)))

    addFailure = addError

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.note(test, 'failed', f'{subtest}\n' + ''.join(traceback.format_exception(*error)))

    def addSkip(self, test, reason):
        self.note(test, 'skipped', reason)

    def addUnexpectedSuccess(self, test):
        self.note(test, 'failed', 'passed, where its author expects a failure')


def tests_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def is_wanted(suite, test, left_out):
    # uvloop's tests run on asyncio, too, to compare: that is not the loop under test.
    if suite == 'uvloop' and any(base.__name__ == 'AIOTestCase' for base in type(test).__mro__):
        return False
    return test.id() not in left_out


def main(suite, loop, module, events_fd):
    faulthandler.enable()  # the parent sends SIGABRT to one that hangs
    events = Events(int(events_fd))
    left_out = set(json.load(sys.stdin))
    result = Result(events)

    def count():
        if result.current:
            events.tell(what='loop', test=result.current)

    try:
        if suite != 'own':
            put = put_into_asyncio if suite == 'cpython' else put_into_uvloop
            put(*FACTORIES[loop](), count)
        loaded = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(module))
    except unittest.SkipTest as reason:
        events.tell(what='through', skipped=str(reason))
        return
    wanted = [test for test in tests_of(loaded) if is_wanted(suite, test, left_out)]
    unittest.TestSuite(wanted).run(result)
    events.tell(what='through')


if __name__ == '__main__':
    main(*sys.argv[1:])
