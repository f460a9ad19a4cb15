"""Coroutines in C that Python awaits, and Python that they await."""
import asyncio
import contextvars
import gc
import os
import socket
import subprocess
import sys
import traceback
import unittest
import weakref

import libasyncio

try:
    import bridge_module as bridge
except ImportError:  # built with the package's tests
    bridge = None


def with_loop(method):
    """A test that is a coroutine."""
    def run(self):
        return libasyncio.run(method(self))
    run.__name__ = method.__name__
    return run


@unittest.skipIf(bridge is None, 'no bridge_module')
class BridgeTest(unittest.TestCase):
    def setUp(self):
        self.reports = []

    def listen(self):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: self.reports.append(context))
        return loop

    def run_program(self, program):
        return subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))


class ResultTest(BridgeTest):
    @with_loop
    async def test_values(self):
        self.assertEqual(await bridge.value_after(5, 0), 5)
        self.assertEqual(await bridge.value_after(6, 3), 6)
        self.assertEqual(await bridge.nothing(), 0)
        self.assertEqual(await bridge.sum_of_eight(1, 2, 3, 4, 5, 6, 7, 8.5), 36)

    @with_loop
    async def test_one_that_need_not_wait_runs_inside_await(self):
        order = []
        asyncio.get_running_loop().call_soon(order.append, 'turn')
        await bridge.value_after(1, 0)
        self.assertEqual(order, [])
        await bridge.value_after(1, 1)
        self.assertEqual(order, ['turn'])

    @with_loop
    async def test_errors(self):
        for err, kind in ((-2, FileNotFoundError), (-111, ConnectionRefusedError), (-110, TimeoutError),
                          (-12, MemoryError), (-11, BlockingIOError), (-5, OSError),
                          (-1025, asyncio.InvalidStateError), (-1027, EOFError),
                          (-1030, asyncio.QueueEmpty), (-1028, RuntimeError),
                          (-1282, socket.gaierror)):
            with self.subTest(err=err):
                with self.assertRaises(kind) as plain:
                    await bridge.fails(err, '')
                with self.assertRaises(kind) as told:
                    await bridge.fails(err, 'in other words')
                self.assertIn('in other words', str(told.exception))
                self.assertTrue(str(plain.exception))
                if -1024 < err and err != -12:
                    self.assertEqual(told.exception.errno, -err)
        with self.assertRaises(socket.gaierror) as caught:
            await bridge.fails(-1282, '')
        self.assertEqual(caught.exception.errno, socket.EAI_NONAME)

    @with_loop
    async def test_arguments(self):
        for args in ((), (1,), (1, 2, 3)):
            with self.assertRaisesRegex(TypeError, r'value_after\(\) takes 2 positional arguments but'):
                bridge.value_after(*args)
        with self.assertRaises(TypeError):
            bridge.value_after('one', 2)
        with self.assertRaises(OverflowError):
            bridge.value_after(1 << 70, 2)
        # They live as long as it runs.
        with self.assertRaisesRegex(RuntimeError, 'a' * 1000):
            await bridge.fails(-1028, ''.join(['a'] * 1000))

    @with_loop
    async def test_result_function(self):
        before = bridge.count_results()
        self.assertEqual(await bridge.pair('x', 3), ('x', 3))
        self.assertIsNone(await bridge.pair('x', -2))
        with self.assertRaisesRegex(LookupError, 'of the result'):
            await bridge.pair('x', -5)
        with self.assertRaises(PermissionError):
            await bridge.pair('x', -1)
        unstarted = bridge.pair('x', 3)
        unstarted.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await unstarted
        task = asyncio.create_task(bridge.pair('x', 3))
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(bridge.count_results(), before + 6)

    def test_no_loop(self):
        with self.assertRaisesRegex(RuntimeError, 'no running event loop'):
            bridge.value_after(1, 1)
        before = bridge.count_results()
        with self.assertRaisesRegex(RuntimeError, 'no running event loop'):
            bridge.pair('x', 3)
        self.assertEqual(bridge.count_results(), before)

        async def main():
            with self.assertRaisesRegex(RuntimeError, 'no running event loop'):
                bridge.value_after(1, 1)
        asyncio.run(main())

    @with_loop
    async def test_no_memory(self):
        with self.assertRaises(MemoryError):
            bridge.null_coroutine()

    @with_loop
    async def test_many(self):
        results = await asyncio.gather(*[bridge.value_after(i, i % 7) for i in range(10000)])
        self.assertEqual(results, list(range(10000)))


class FutureTest(BridgeTest):
    @with_loop
    async def test_it_is_a_future(self):
        loop = asyncio.get_running_loop()
        awaitable = bridge.value_after(5, 1)
        self.assertTrue(asyncio.isfuture(awaitable))
        self.assertTrue(asyncio.iscoroutine(awaitable))
        self.assertIs(awaitable.get_loop(), loop)
        self.assertIs(asyncio.ensure_future(awaitable), awaitable)
        self.assertFalse(awaitable.done())
        self.assertRaises(asyncio.InvalidStateError, awaitable.result)
        self.assertRaises(asyncio.InvalidStateError, awaitable.exception)
        self.assertEqual(await awaitable, 5)
        self.assertEqual(await awaitable, 5)
        self.assertTrue(awaitable.done())
        self.assertFalse(awaitable.cancelled())
        self.assertFalse(awaitable.cancel())
        self.assertEqual(awaitable.result(), 5)
        self.assertIsNone(awaitable.exception())
        self.assertIn('value_after', repr(awaitable))
        self.assertIn('finished', repr(awaitable))

    @with_loop
    async def test_asyncio_takes_it_unstarted(self):
        self.assertEqual(await asyncio.wait_for(bridge.value_after(1, 2), 10), 1)
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(bridge.sleeps(1000), 0.01)
        self.assertEqual(await asyncio.shield(bridge.value_after(2, 2)), 2)
        self.assertEqual(await asyncio.gather(bridge.value_after(3, 1), bridge.value_after(4, 0)), [3, 4])
        self.assertEqual(await asyncio.create_task(bridge.value_after(5, 1)), 5)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bridge.value_after(6, 1))
        self.assertEqual(task.result(), 6)
        done, pending = await asyncio.wait([asyncio.create_task(bridge.value_after(7, 1))])
        self.assertEqual([task.result() for task in done], [7])
        self.assertFalse(pending)
        self.assertEqual([await future for future in asyncio.as_completed([bridge.value_after(9, 1)])], [9])
        async with asyncio.timeout(10):
            self.assertEqual(await bridge.value_after(10, 1), 10)
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(0.01):
                await bridge.sleeps(1000)

    @with_loop
    async def test_two_tasks_await_one(self):
        awaitable = bridge.value_after(5, 3)

        async def waits():
            return await awaitable
        self.assertEqual(await asyncio.gather(waits(), waits()), [5, 5])

    @with_loop
    async def test_callbacks(self):
        order = []

        def first(future):
            order.append(('first', future.result()))

        def second(future):
            order.append('second')
        variable = contextvars.ContextVar('variable', default=0)
        context = contextvars.copy_context()
        context.run(variable.set, 9)
        awaitable = bridge.value_after(5, 1)
        awaitable.add_done_callback(first)
        awaitable.add_done_callback(second)
        awaitable.add_done_callback(lambda future: order.append(variable.get()), context=context)
        self.assertEqual(awaitable.remove_done_callback(second), 1)
        self.assertEqual(awaitable.remove_done_callback(second), 0)
        self.assertEqual(await awaitable, 5)
        self.assertEqual(order, [('first', 5), 9])
        awaitable.add_done_callback(second)
        self.assertEqual(order, [('first', 5), 9])
        await asyncio.sleep(0)
        self.assertEqual(order, [('first', 5), 9, 'second'])

    @with_loop
    async def test_another_loop(self):
        awaitable = bridge.value_after(5, 1)

        def elsewhere():
            async def main():
                with self.assertRaisesRegex(RuntimeError, 'attached to a different loop'):
                    await awaitable
            libasyncio.run(main())
        await asyncio.to_thread(elsewhere)
        self.assertEqual(await awaitable, 5)

    @with_loop
    async def test_by_hand(self):
        awaitable = bridge.value_after(5, 1)
        self.assertIs(awaitable.send(None), awaitable)
        self.assertTrue(awaitable._asyncio_future_blocking)
        with self.assertRaisesRegex(RuntimeError, "await wasn't used with future"):
            awaitable.send(None)
        awaitable._asyncio_future_blocking = False
        self.assertEqual(await awaitable, 5)
        with self.assertRaises(StopIteration) as stop:
            next(awaitable)
        self.assertEqual(stop.exception.value, 5)
        unstarted = bridge.value_after(5, 1)
        with self.assertRaises(ZeroDivisionError):
            unstarted.throw(ZeroDivisionError)
        self.assertTrue(unstarted.cancelled())
        closed = bridge.value_after(5, 1)
        closed.close()
        self.assertTrue(closed.cancelled())


class CancelTest(BridgeTest):
    @with_loop
    async def test_a_task_that_awaits_it(self):
        async def waits():
            await bridge.sleeps(1000)
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        self.assertTrue(task.cancel())
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertTrue(task.cancelled())
        self.assertEqual(task.cancelling(), 1)

    @with_loop
    async def test_messages(self):
        async def waits(awaitable):
            await awaitable
        awaitable = bridge.sleeps(1000)
        task = asyncio.create_task(waits(awaitable))
        await asyncio.sleep(0)
        task.cancel('for a reason')
        await asyncio.wait([task])
        with self.assertRaisesRegex(asyncio.CancelledError, 'for a reason'):
            awaitable.result()

    @with_loop
    async def test_in_a_gather(self):
        for message in None, 'enough':
            for is_gathered in False, True:
                awaitable = bridge.sleeps(1000.0)
                gathered = asyncio.gather(awaitable, bridge.nothing(), return_exceptions=is_gathered)
                await asyncio.sleep(0)
                awaitable.cancel(msg=message)
                if is_gathered:
                    error = (await asyncio.wait_for(gathered, 60))[0]
                else:
                    with self.assertRaises(asyncio.CancelledError) as raised:
                        await asyncio.wait_for(gathered, 60)
                    error = raised.exception
                self.assertIsInstance(error, asyncio.CancelledError)
                if is_gathered:
                    self.assertEqual(error.args, (message or '',))

    @with_loop
    async def test_before_it_starts(self):
        task = asyncio.create_task(bridge.sleeps(1000))
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        awaitable = bridge.sleeps(1000)
        self.assertTrue(awaitable.cancel())
        self.assertTrue(awaitable.cancelled())
        awaitable = bridge.sleeps(1000)
        awaitable.add_done_callback(lambda future: None)  # a task that has not run
        self.assertTrue(awaitable.cancel())
        with self.assertRaises(asyncio.CancelledError):
            await awaitable

    @with_loop
    async def test_c_refuses(self):
        async def waits():
            return await bridge.shields(2)
        task = asyncio.create_task(waits())
        await asyncio.sleep(0)
        for _ in range(2):
            task.cancel()
            self.assertFalse(task.done())
            await asyncio.sleep(0.001)
        self.assertEqual(await task, 2)
        self.assertEqual(task.cancelling(), 2)

    @with_loop
    async def test_c_passes_it_on_to_python(self):
        told = []

        async def python():
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                told.append(asyncio.current_task().cancelling())
                raise

        async def waits():
            await bridge.awaits(python, [])
        task = asyncio.create_task(waits())
        await asyncio.sleep(0.01)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(told, [1])
        self.assertEqual(task.cancelling(), 1)

    @with_loop
    async def test_python_refuses(self):
        async def python():
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                await asyncio.sleep(0.001)
                return 'refused'
        results = []
        task = asyncio.create_task(bridge.awaits(python, results))
        await asyncio.sleep(0.01)
        task.cancel()
        self.assertEqual(await task, 0)
        self.assertEqual(results, ['refused'])

    @with_loop
    async def test_python_cancels_itself(self):
        async def python():
            raise asyncio.CancelledError('of its own')
        with self.assertRaisesRegex(asyncio.CancelledError, 'of its own'):
            await bridge.awaits(python, [])

    @with_loop
    async def test_at_every_wait(self):
        async def python(turns):
            for _ in range(turns):
                await bridge.value_after(1, 1)
            return turns

        for turns in range(12):
            results = []
            task = asyncio.create_task(bridge.awaits_below(lambda: python(5), results, 2))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_running = task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                self.assertTrue(was_running)
                self.assertEqual(results, [])
            else:
                self.assertEqual(results, [5])


class PythonTest(BridgeTest):
    @with_loop
    async def test_values(self):
        async def coroutine():
            await asyncio.sleep(0)
            return 'value'
        results = []
        self.assertEqual(await bridge.awaits(coroutine, results), 0)
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, 'of a future')
        await bridge.awaits(lambda: future, results)
        await bridge.awaits(lambda: future, results)
        await bridge.awaits(lambda: bridge.value_after(5, 1), results)

        class Awaitable:
            def __await__(self):
                yield from asyncio.sleep(0).__await__()
                return 'awaitable'
        await bridge.awaits(Awaitable, results)
        self.assertEqual(results, ['value', 'of a future', 'of a future', 5, 'awaitable'])

    @with_loop
    async def test_exceptions_come_back_whole(self):
        class Own(Exception):
            pass

        async def deepest():
            raise Own('from the deep')
        for call in (lambda: bridge.awaits(deepest, []), lambda: bridge.awaits_below(deepest, [], 0),
                     lambda: bridge.awaits_below(deepest, [], 3)):
            try:
                await call()
                self.fail('no exception')
            except Own as error:
                self.assertEqual(str(error), 'from the deep')
                frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
                self.assertIn('deepest', frames)

    @with_loop
    async def test_three_languages_deep(self):
        async def python(levels):
            if not levels:
                raise KeyError('bottom')
            results = []
            await bridge.awaits(lambda: python(levels - 1), results)
            return results[0]
        with self.assertRaisesRegex(KeyError, 'bottom'):
            await python(3)

    @with_loop
    async def test_kinds(self):
        for error in (ValueError('v'), OSError(2, 'no file'), OSError('no number'), TimeoutError('t'),
                      MemoryError(), asyncio.CancelledError('c'), StopAsyncIteration(), RuntimeError()):
            async def raises():
                raise error
            with self.assertRaises(BaseException) as caught:
                await bridge.awaits(raises, [])
            self.assertIs(caught.exception, error)

    @with_loop
    async def test_a_factory_that_raises(self):
        def factory():
            raise ValueError('no awaitable')
        with self.assertRaisesRegex(ValueError, 'no awaitable'):
            await bridge.awaits(factory, [])

    @with_loop
    async def test_what_cannot_be_awaited(self):
        with self.assertRaises(TypeError):
            await bridge.awaits(lambda: 5, [])
        foreign = asyncio.new_event_loop().create_future()
        with self.assertRaises((RuntimeError, ValueError)):
            await bridge.awaits(lambda: foreign, [])
        foreign.get_loop().close()

    @with_loop
    async def test_itself(self):
        for is_eager in True, False:
            box = []
            awaitable = bridge.awaits(lambda: box[0], [])
            box.append(awaitable)
            if not is_eager:
                awaitable.add_done_callback(lambda awaitable: None)
            with self.assertRaisesRegex(RuntimeError, 'cannot await itself'):
                await awaitable

    @with_loop
    async def test_python_recurses_to_its_own_limit(self):
        class Nested:
            def __init__(self, level):
                self.level = level

            def __lt__(self, other):
                if self.level:
                    sorted([Nested(self.level - 1)] * 2)
                return True
        await bridge.calls(lambda: Nested(250) < None)
        with self.assertRaises(RecursionError):
            await bridge.calls(lambda: Nested(10_000) < None)

    @unittest.skipIf(sys.version_info >= (3, 12), 'no such module for tests')
    def test_exceptions_in_a_subinterpreter(self):
        inner = ('import libasyncio, bridge_module as bridge\n'
                 'async def raises():\n'
                 '    raise ValueError("inner")\n'
                 'async def main():\n'
                 '    try:\n'
                 '        await bridge.awaits_below(raises, [], 1)\n'
                 '    except ValueError as error:\n'
                 '        print(error, flush=True)\n'
                 'libasyncio.run(main())\n')
        done = self.run_program('import _xxsubinterpreters as interpreters\n'
                                'inner = interpreters.create()\n'
                                f'interpreters.run_string(inner, {inner!r})\n'
                                'interpreters.destroy(inner)\n'
                                f'exec({inner.replace("inner", "outer")!r})\n')
        self.assertEqual((done.stdout, done.returncode), ('inner\nouter\n', 0), done.stderr)

    def test_a_process_ends_with_tasks_in_c(self):
        program = ('import asyncio, libasyncio, bridge_module as bridge\n'
                   'async def raises():\n'
                   '    try:\n'
                   '        raise ValueError("kept")\n'
                   '    finally:\n'
                   '        await asyncio.sleep(100)\n'
                   'async def main():\n'
                   '    global kept\n'
                   '    kept = [bridge.sleeps(9.0), bridge.awaits_below(raises, [], 2), bridge.shields(1)]\n'
                   '    for awaitable in kept:\n'
                   '        awaitable.add_done_callback(print)\n'
                   '    await asyncio.sleep(0)\n'
                   'loop = libasyncio.new_event_loop()\n'
                   'loop.run_until_complete(main())\n')
        for end in '', 'loop.close()\n':
            done = self.run_program(program + end)
            self.assertEqual((done.stdout, done.returncode), ('', 0), done.stderr)

    @with_loop
    async def test_an_error_that_c_deals_with(self):
        async def raises():
            raise ValueError('gone')
        self.assertEqual(await bridge.swallows(raises, []), 7)

    @with_loop
    async def test_contexts(self):
        variable = contextvars.ContextVar('variable', default=0)

        async def look():
            await asyncio.sleep(0)
            return variable.get()

        async def with_value(value):
            variable.set(value)
            results = []
            await bridge.awaits(look, results)
            await bridge.value_after(1, 3)
            await bridge.awaits(look, results)
            return results
        self.assertEqual(await asyncio.gather(with_value(1), with_value(2)), [[1, 1], [2, 2]])

    @with_loop
    async def test_no_waiting_below_python(self):
        told = []

        def python():
            coroutine = asyncio.sleep(0)
            try:
                bridge.wait_here(coroutine)
            except RuntimeError as error:
                told.append(str(error))
            coroutine.close()
        await bridge.calls(python)
        self.assertEqual(len(told), 1)
        self.assertIn('below a frame', told[0])
        # And so after a wait of its own, on the loop's stack.
        task = asyncio.create_task(bridge.calls(python))
        await task
        self.assertEqual(len(told), 2)

    @with_loop
    async def test_no_waiting_without_a_task(self):
        coroutine = asyncio.sleep(0)
        with self.assertRaises(RuntimeError):
            bridge.wait_here(coroutine)
        coroutine.close()

    def test_other_waits_below_python_end_the_process(self):
        program = ('import asyncio, libasyncio, bridge_module as bridge\n'
                   'async def main():\n'
                   '    await asyncio.gather(bridge.calls(lambda: bridge.sleep_here()), asyncio.sleep(1))\n'
                   'libasyncio.run(main())\n')
        done = self.run_program(program)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('waits below a frame of Python', done.stderr)

    @with_loop
    async def test_exceptions_of_what_c_calls(self):
        def python():
            raise ZeroDivisionError('below')
        with self.assertRaisesRegex(ZeroDivisionError, 'below'):
            await bridge.calls(python)


class LifeTest(BridgeTest):
    @with_loop
    async def test_never_awaited(self):
        with self.assertWarnsRegex(RuntimeWarning, "coroutine 'sleeps' was never awaited"):
            bridge.sleeps(5)
            gc.collect()

    @with_loop
    async def test_an_exception_that_nobody_looks_at(self):
        self.listen()
        awaitable = bridge.fails(-5, 'lost')
        awaitable.add_done_callback(lambda future: None)
        await asyncio.sleep(0.01)
        del awaitable
        gc.collect()
        self.assertEqual(len(self.reports), 1)
        self.assertIn('never retrieved', self.reports[0]['message'])
        self.assertIsInstance(self.reports[0]['exception'], OSError)

    @with_loop
    async def test_weak_references_and_circles(self):
        awaitable = bridge.value_after(5, 1)
        weak = weakref.ref(awaitable)
        awaitable.add_done_callback(lambda future, itself=awaitable: None)
        await awaitable
        del awaitable
        gc.collect()
        await asyncio.sleep(0)
        gc.collect()
        self.assertIsNone(weak())

    @with_loop
    async def test_nothing_is_kept_afterwards(self):
        self.listen()
        variable = contextvars.ContextVar('variable')

        class Value:
            pass

        async def fails():
            raise ValueError(1)

        async def use():
            value = Value()
            variable.set(value)
            try:
                await bridge.awaits(fails, [])
            except ValueError:
                pass
            return weakref.ref(value)

        def make():
            async def answers():
                return 1
            return bridge.awaits(answers, []), weakref.ref(answers)
        awaitable, argument = make()
        await awaitable
        gc.collect()
        self.assertIsNone(argument())
        value = await asyncio.create_task(use())
        await asyncio.sleep(0)  # the handle that ran the task's last step goes
        gc.collect()
        self.assertIsNone(value())
        failed = bridge.fails(-5, '')
        failed.add_done_callback(lambda failed: None)
        while not failed.done():
            await asyncio.sleep(0)
        self.assertRaises(OSError, failed.result)
        del failed
        await asyncio.sleep(0)  # its callback's handle goes
        gc.collect()
        self.assertEqual(self.reports, [])  # the exception was looked at

    def test_a_loop_that_closes_meanwhile(self):
        loop = libasyncio.new_event_loop()

        async def main():
            global kept
            kept = asyncio.ensure_future(bridge.sleeps(1000))
            kept.add_done_callback(lambda future: None)
            await asyncio.sleep(0)
        loop.run_until_complete(main())
        loop.close()
        self.assertFalse(globals()['kept'].done())
        with self.assertRaisesRegex(RuntimeError, 'closed'):
            globals()['kept'].cancel()
        del globals()['kept']

    def test_a_run_ends_what_is_left(self):
        cleaned = []

        async def clean():
            try:
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(0)
                cleaned.append(True)

        async def main():
            loop = asyncio.get_running_loop()
            left = [bridge.sleeps(1000.0), bridge.shields(0), bridge.awaits_below(clean, [], 3)]
            gathered = asyncio.gather(*left, return_exceptions=True)
            await asyncio.sleep(0.001)
            return weakref.ref(loop), left, gathered
        loop, left, gathered = libasyncio.run(main())
        self.assertEqual(left[0].cancelled(), True)
        self.assertEqual([awaitable.done() for awaitable in left], [True] * 3)
        self.assertEqual(cleaned, [True])
        del left, gathered
        gc.collect()
        self.assertIsNone(loop())

    def test_until_complete(self):
        loop = libasyncio.new_event_loop()

        async def main():
            return bridge.value_after(5, 3)
        self.assertEqual(loop.run_until_complete(loop.run_until_complete(main())), 5)
        loop.close()

    @with_loop
    async def test_loops(self):
        self.assertTrue(bridge.is_running_loop(asyncio.get_running_loop()))
        other = libasyncio.new_event_loop()
        self.assertFalse(bridge.is_running_loop(other))
        other.close()
        with self.assertRaisesRegex(RuntimeError, 'closed'):
            bridge.is_running_loop(other)
        stock = asyncio.SelectorEventLoop()
        with self.assertRaises(TypeError):
            bridge.is_running_loop(stock)
        stock.close()

    def test_no_running_loop(self):
        loop = libasyncio.new_event_loop()
        with self.assertRaisesRegex(RuntimeError, 'no running event loop'):
            bridge.is_running_loop(loop)
        loop.close()


if __name__ == '__main__':
    unittest.main()
