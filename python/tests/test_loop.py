"""The loop itself: closed ones, runs, exceptions that end a run, and loops that nobody closes."""
import asyncio
import contextvars
import errno
import gc
import resource
import socket
import sys
import threading
import time
import unittest
import warnings
import weakref

import libasyncio


class LoopTest(unittest.TestCase):
    def setUp(self):
        self.loop = libasyncio.new_event_loop()
        self.loop.set_debug(False)  # whatever the environment says
        self.addCleanup(self.loop.close)
        self.seen = []
        self.told = []
        self.loop.set_exception_handler(lambda loop, context: self.told.append(context))

    def turn(self):
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()


class ClosedTest(unittest.TestCase):
    def test_all_methods_are_refused(self):
        loop = libasyncio.new_event_loop()
        future = loop.create_future()
        loop.close()
        loop.close()
        coroutine = asyncio.sleep(0)
        calls = [
            lambda: loop.call_soon(print),
            lambda: loop.call_soon_threadsafe(print),
            lambda: loop.call_later(1, print),
            lambda: loop.call_at(1, print),
            lambda: loop.create_task(coroutine),
            lambda: loop.run_until_complete(future),
            lambda: loop.run_in_executor(None, print),
            lambda: loop.add_reader(0, print),
            lambda: loop.add_writer(0, print),
            loop.run_forever,
            loop._run_once,
        ]
        for call in calls:
            with self.assertRaisesRegex(RuntimeError, 'Event loop is closed'):
                call()
        coroutine.close()
        self.assertFalse(loop.remove_reader(0))
        self.assertTrue(loop.is_closed())
        self.assertFalse(loop.is_running())
        self.assertGreater(loop.time(), 0)
        loop.stop()
        future.cancel()

    def test_close_refused_while_it_runs(self):
        loop = libasyncio.new_event_loop()

        async def main():
            with self.assertRaisesRegex(RuntimeError, 'Cannot close a running event loop'):
                loop.close()
            with self.assertRaisesRegex(RuntimeError, 'Cannot close a running event loop'):
                loop._close_core()
            with self.assertRaisesRegex(RuntimeError, 'already running'):
                loop.run_forever()
            with self.assertRaisesRegex(RuntimeError, 'already running'):
                loop._run_once()
            other = libasyncio.new_event_loop()
            with self.assertRaisesRegex(RuntimeError, 'while another loop is running'):
                other.run_forever()
            other.close()

        loop.run_until_complete(main())
        loop.close()

    def test_handles_outlive_their_loop(self):
        loop = libasyncio.new_event_loop()
        handles = [loop.call_soon(print, 1), loop.call_later(1, print, 1, 2, 3, 4, 5),
                   loop.call_soon_threadsafe(print)]
        loop.close()
        for handle in handles:
            repr(handle)
            handle.cancel()
            self.assertTrue(handle.cancelled())

    def test_a_closing_loop_gives_back_what_it_had(self):
        class Thing:
            def call(self, *args):
                pass

        a, b = socket.socketpair()
        things = [Thing() for _ in range(6)]
        refs = [weakref.ref(thing) for thing in things]
        loop = libasyncio.new_event_loop()
        loop.call_soon(things[0].call)
        loop.call_later(100, things[1].call, 1, 2, 3, 4, 5, 6)
        loop.call_soon_threadsafe(things[2].call)
        loop.add_reader(a, things[3].call)
        loop.add_writer(a, things[4].call)
        loop.call_at(float('inf'), print, things[5])
        del things
        loop.close()
        self.assertEqual([ref() for ref in refs], [None] * 6)
        a.close()
        b.close()


class RunTest(LoopTest):
    def test_stop_ends_after_what_was_ready(self):
        self.loop.call_soon(self.seen.append, 1)
        self.loop.call_soon(self.loop.stop)
        self.loop.call_soon(self.seen.append, 2)
        self.loop.call_soon(lambda: self.loop.call_soon(self.seen.append, 3))
        self.loop.run_forever()
        self.assertEqual(self.seen, [1, 2])
        self.loop.stop()
        self.loop.run_forever()
        self.assertEqual(self.seen, [1, 2, 3])

    def test_callbacks_come_in_order(self):
        for i in range(1000):
            self.loop.call_soon(self.seen.append, i)
        when = self.loop.time()
        for i in range(1000, 2000):
            self.loop.call_at(when, self.seen.append, i)
        self.loop.call_later(0.001, self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(self.seen, list(range(2000)))

    def test_arguments(self):
        for n in range(12):
            self.loop.call_soon(lambda *args: self.seen.append(args), *range(n))
            self.loop.call_later(0, lambda *args: self.seen.append(args), *range(n))
        self.loop.call_soon(callback=self.loop.stop)
        self.loop.call_later(delay=5, callback=print).cancel()
        self.loop.run_forever()
        self.turn()
        self.assertEqual(sorted(self.seen), sorted(2 * [tuple(range(n)) for n in range(12)]))

    def test_bad_arguments(self):
        for call in (lambda: self.loop.call_soon(), lambda: self.loop.call_later(1),
                     lambda: self.loop.call_at(), lambda: self.loop.call_later(None, print),
                     lambda: self.loop.call_at(None, print), lambda: self.loop.call_later('soon', print),
                     lambda: self.loop.call_soon(print, wrong=1),
                     lambda: self.loop.call_soon(print, callback=print),
                     lambda: self.loop.add_reader(0)):
            self.assertRaises(TypeError, call)
        for fd in (-1, 'x', object(), 2**40):
            with self.assertRaises((ValueError, OverflowError)):
                self.loop.add_reader(fd, print)
        with self.assertRaises(OSError):
            self.loop.add_reader(100_000, print)
        with open(__file__) as file, self.assertRaises(PermissionError):
            self.loop.add_reader(file, print)

    def test_times(self):
        for when in (float('nan'), -float('inf'), -1e300, 0, -5):
            self.loop.call_at(when, self.seen.append, when)
        never = [self.loop.call_at(float('inf'), self.seen.append, 'never'),
                 self.loop.call_later(1e300, self.seen.append, 'never')]
        self.loop.call_later(0.01, self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(len(self.seen), 5)
        self.assertNotIn('never', self.seen)
        for handle in never:
            handle.cancel()

    def test_contexts(self):
        variable = contextvars.ContextVar('variable', default=0)

        def look(value):
            self.seen.append((value, variable.get()))
            variable.set(-1)

        context = contextvars.copy_context()
        context.run(variable.set, 7)
        self.loop.call_soon(look, 'own', context=context)
        self.loop.call_soon(look, 'none', context=None)
        variable.set(3)
        self.loop.call_soon(look, 'copy')
        self.loop.call_later(0, look, 'later')
        variable.set(4)
        self.loop.call_later(0.001, self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(self.seen, [('own', 7), ('none', 0), ('copy', 3), ('later', 3)])
        self.assertEqual((context[variable], variable.get()), (-1, 4))

    def test_a_context_that_is_entered_is_reported(self):
        context = contextvars.copy_context()
        self.loop.call_soon(self.seen.append, 1, context=context)
        self.loop.call_soon(self.loop.stop)
        context.run(self.loop.run_forever)
        self.assertEqual(self.seen, [])
        self.assertIn('already entered', str(self.told[0]['exception']))

    def test_another_loops_future(self):
        other = libasyncio.new_event_loop()
        future = other.create_future()

        async def main():
            await future

        with self.assertRaisesRegex(RuntimeError, 'attached to a different loop'):
            self.loop.run_until_complete(main())
        other.close()

    def test_run(self):
        async def main():
            self.assertIsInstance(asyncio.get_running_loop(), libasyncio.Loop)
            with self.assertRaisesRegex(RuntimeError, 'running event loop'):
                libasyncio.run(asyncio.sleep(0))
            return 42

        with warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)
            self.assertEqual(libasyncio.run(main()), 42)
        with asyncio.Runner(loop_factory=libasyncio.new_event_loop) as runner:
            self.assertEqual(runner.run(asyncio.sleep(0, 1)), 1)
            self.assertEqual(runner.run(asyncio.sleep(0, 2)), 2)

    def test_install(self):
        old = asyncio.get_event_loop_policy()
        try:
            libasyncio.install()
            loop = asyncio.new_event_loop()
            self.assertIsInstance(loop, libasyncio.Loop)
            loop.close()
            asyncio.run(asyncio.sleep(0))
        finally:
            asyncio.set_event_loop_policy(old)


class ExceptionTest(LoopTest):
    def test_what_ends_a_run_and_what_is_told(self):
        class Odd(BaseException):
            pass

        def fail(error):
            raise error

        for error in (ValueError(), GeneratorExit(), asyncio.CancelledError(), Odd(), StopIteration()):
            handle = self.loop.call_soon(fail, error)
            self.turn()
            self.assertIs(self.told[-1]['exception'], error)
            self.assertIs(self.told[-1]['handle'], handle)
            self.assertIn('Exception in callback', self.told[-1]['message'])
        for error in (KeyboardInterrupt(), SystemExit(3)):
            self.loop.call_soon(fail, error)
            with self.assertRaises(type(error)) as caught:
                self.loop.run_forever()
            self.assertIs(caught.exception, error)
            self.assertFalse(self.loop.is_running())
        self.assertEqual(len(self.told), 5)

    def test_after_a_run_that_ended_all_else_comes_in_order(self):
        def fail():
            self.loop.call_soon(self.seen.append, 'made by it')
            raise KeyboardInterrupt

        cancelled = []
        self.loop.call_soon(self.seen.append, 'before')
        self.loop.call_soon(fail)
        self.loop.call_soon(self.seen.append, 'after')
        cancelled.append(self.loop.call_soon(self.seen.append, 'cancelled'))
        self.loop.call_soon(fail)
        self.loop.call_soon(self.seen.append, 'last')
        self.assertRaises(KeyboardInterrupt, self.loop.run_forever)
        self.assertEqual(self.seen, ['before'])
        cancelled[0].cancel()
        self.assertRaises(KeyboardInterrupt, self.loop.run_forever)
        self.assertEqual(self.seen, ['before', 'after'])
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(self.seen, ['before', 'after', 'last', 'made by it', 'made by it'])

    def test_closed_with_calls_that_were_put_off(self):
        def fail():
            raise KeyboardInterrupt

        self.loop.call_soon(fail)
        handle = self.loop.call_soon(self.seen.append, 1)
        timer = self.loop.call_later(0, self.seen.append, 1)
        self.assertRaises(KeyboardInterrupt, self.loop.run_forever)
        self.loop.close()
        handle.cancel()
        timer.cancel()

    def test_a_handler_that_raises(self):
        def fail(*args):
            raise KeyboardInterrupt

        self.loop.set_exception_handler(fail)
        self.loop.call_soon(lambda: 1 / 0)
        self.assertRaises(KeyboardInterrupt, self.loop.run_forever)

    def test_what_cannot_be_called(self):
        self.loop.call_soon(None)
        self.turn()
        self.assertIsInstance(self.told[0]['exception'], TypeError)


class ThreadTest(LoopTest):
    def test_made_here_run_there_closed_here(self):
        for _ in range(20):
            loop = libasyncio.new_event_loop()
            loop.call_soon(self.seen.append, 1)
            loop.call_later(0.0001, loop.stop)
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            thread.join()
            loop.call_soon(self.seen.append, 2)
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
        self.assertEqual(self.seen, [1, 2] * 20)

    def test_a_storm_of_posts(self):
        threads, each = 8, 3000
        done = [0] * threads

        def count(i):
            done[i] += 1
            if sum(done) == threads * each:
                self.loop.stop()

        def post(i):
            for _ in range(each):
                self.loop.call_soon_threadsafe(count, i)

        workers = [threading.Thread(target=post, args=(i,)) for i in range(threads)]
        for worker in workers:
            worker.start()
        self.loop.run_forever()
        for worker in workers:
            worker.join()
        self.assertEqual(done, [each] * threads)

    def test_posts_to_a_loop_that_closes(self):
        for _ in range(30):
            loop = libasyncio.new_event_loop()

            def post():
                try:
                    while True:
                        loop.call_soon_threadsafe(self.seen.append, 1)
                        time.sleep(0)
                except RuntimeError as error:
                    self.assertEqual(str(error), 'Event loop is closed')

            workers = [threading.Thread(target=post) for _ in range(3)]
            for worker in workers:
                worker.start()
            loop.call_later(0.001, loop.stop)
            loop.run_forever()
            loop.close()
            for worker in workers:
                worker.join()

    def test_calls_that_are_not_for_other_threads_are_posted(self):
        """asyncio lets them pass, and loses some; nothing may be lost or die."""
        def call():
            handles = [self.loop.call_soon(self.seen.append, i) for i in range(100)]
            timers = [self.loop.call_later(0, self.seen.append, i) for i in range(100, 200)]
            for handle in (handles + timers)[::2]:
                handle.cancel()
            with self.assertRaises(RuntimeError):
                self.loop.add_reader(0, print)
            self.loop.call_later(0.01, self.loop.stop)

        thread = threading.Thread(target=call)
        self.loop.call_soon(thread.start)
        self.loop.run_forever()
        thread.join()
        self.assertLessEqual(set(range(1, 200, 2)), set(self.seen))

    def test_stop_from_another_thread(self):
        thread = threading.Thread(target=self.loop.stop)
        self.loop.call_soon(thread.start)
        self.loop.run_forever()
        thread.join()

    def test_debug_mode_refuses_them(self):
        self.loop.set_debug(True)
        errors = []

        def call():
            for method in (self.loop.call_soon, lambda fn: self.loop.call_later(0, fn),
                           lambda fn: self.loop.call_at(0, fn)):
                try:
                    method(print)
                except RuntimeError as error:
                    errors.append(str(error))
            self.loop.call_soon_threadsafe(self.loop.stop)

        thread = threading.Thread(target=call)
        self.loop.call_soon(thread.start)
        self.loop.run_forever()
        thread.join()
        self.assertEqual(len(errors), 3)
        self.assertIn('Non-thread-safe operation', errors[0])

    def test_loops_in_many_threads(self):
        async def main():
            await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(50)))
            return await asyncio.to_thread(lambda: 5)

        results = []
        threads = [threading.Thread(target=lambda: results.append(libasyncio.run(main()))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [5] * 8)


class FailureTest(unittest.TestCase):
    def test_too_many_open_files(self):
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            with self.assertRaises(OSError) as raised:
                libasyncio._core.LoopCore()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.assertEqual(raised.exception.errno, errno.EMFILE)


class GarbageTest(unittest.TestCase):
    def test_a_dropped_loop_is_collected(self):
        class Owner:
            pass

        def make(kind):
            loop = libasyncio.new_event_loop()
            owner = Owner()
            owner.loop = loop
            owner.call = lambda: owner
            if kind == 'soon':
                loop.call_soon(owner.call)
            elif kind == 'later':
                loop.call_later(100, owner.call, owner, owner, owner, owner, owner)
            elif kind == 'reader':
                a, b = socket.socketpair()
                owner.sockets = a, b
                loop.add_reader(a, owner.call)
            elif kind == 'task':
                owner.task = loop.create_task(asyncio.sleep(0))
                owner.task._log_destroy_pending = False
            elif kind == 'put off':
                loop.call_soon(sys.exit)
                loop.call_soon(owner.call)
                self.assertRaises(SystemExit, loop.run_forever)
            return weakref.ref(owner), weakref.ref(loop)

        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            for kind in ('nothing', 'soon', 'later', 'reader', 'task', 'put off'):
                refs = make(kind)
                gc.collect()
                gc.collect()
                self.assertEqual([ref() for ref in refs], [None, None], kind)

    def test_a_closed_loop_lets_go_of_what_it_was_to_call(self):
        class Owner:
            pass

        async def sleep(owner):
            await asyncio.sleep(100)

        def make(kind):
            loop = libasyncio.new_event_loop()
            owner = Owner()
            if kind == 'task':
                task = loop.create_task(sleep(owner))
                task._log_destroy_pending = False
                loop.call_soon(loop.stop)
                loop.run_forever()
            elif kind == 'later':
                owner.handle = loop.call_later(100, lambda: owner)
            elif kind == 'soon':
                owner.handle = loop.call_soon(owner.__class__, owner)
            elif kind == 'reader':
                a, b = owner.sockets = socket.socketpair()
                owner.handle = loop._add_reader(a, lambda: owner)
            loop.close()
            if kind == 'reader':
                a.close()
                b.close()
            return weakref.ref(owner)

        for kind in ('task', 'later', 'soon', 'reader'):
            owner = make(kind)
            gc.collect()
            self.assertIsNone(owner(), kind)

    def test_a_closed_loop_tells_of_a_task_that_slept(self):
        told = []
        loop = libasyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context['message']))
        task = loop.create_task(asyncio.sleep(100))
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        self.assertEqual(told, [])
        del task
        gc.collect()
        self.assertEqual(told, ['Task was destroyed but it is pending!'])

    def test_a_dropped_loop_warns(self):
        loop = libasyncio.new_event_loop()
        with self.assertWarnsRegex(ResourceWarning, 'unclosed event loop'):
            del loop
            gc.collect()

    def test_collection_in_callbacks_and_in_other_threads(self):
        loop = libasyncio.new_event_loop()
        kept = [loop.call_later(50, print, object()) for _ in range(100)]
        for i in range(200):
            loop.call_soon(gc.collect if i % 50 == 0 else (lambda: None), *([0] if i % 50 == 0 else []))
        thread = threading.Thread(target=gc.collect)
        loop.call_soon(thread.start)
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        thread.join()
        self.assertEqual([handle._args is None for handle in kept], [False] * 100)
        loop.close()


if __name__ == '__main__':
    unittest.main()
