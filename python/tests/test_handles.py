"""Handles: what asyncio's say and do, these do."""
import asyncio
import gc
import sys
import unittest
import weakref

import libasyncio


class HandleTest(unittest.TestCase):
    def setUp(self):
        self.loop = libasyncio.new_event_loop()
        self.loop.set_debug(False)  # whatever the environment says
        self.addCleanup(self.loop.close)
        self.seen = []

    def turn(self):
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def test_kinds(self):
        handle = self.loop.call_soon(print)
        timer = self.loop.call_later(1, print)
        self.assertIsInstance(handle, asyncio.Handle)
        self.assertNotIsInstance(handle, asyncio.TimerHandle)
        self.assertIsInstance(timer, asyncio.TimerHandle)
        self.assertRaises(TypeError, type(handle))
        self.assertTrue(timer._scheduled)
        timer.cancel()
        self.assertFalse(timer._scheduled)

    def test_cancel_while_it_runs(self):
        """The arguments are what the call stands on, until it returns."""
        for n in (0, 1, 3, 4, 5, 9):
            for make in (lambda *args: self.loop.call_soon(*args),
                         lambda *args: self.loop.call_later(0, *args)):
                class Owner:
                    def call(own, *args):
                        handle.cancel()
                        gc.collect()
                        self.seen.append(args)

                handle = make(Owner().call, *[object() for _ in range(n)])
                self.turn()
                self.turn()
                self.assertEqual(len(self.seen.pop()), n)
                self.assertTrue(handle.cancelled())
                self.assertIsNone(handle._callback)

    def test_a_handle_that_ran_or_was_cancelled_holds_nothing(self):
        class Thing:
            def call(self, *args):
                pass

        for cancels in (False, True):
            for n in (0, 2, 6):
                thing = Thing()
                handle = self.loop.call_soon(thing.call, *[thing] * n)
                timer = self.loop.call_later(0, thing.call, *[thing] * n)
                if cancels:
                    handle.cancel()
                    timer.cancel()
                else:
                    self.turn()
                    self.turn()
                ref = weakref.ref(thing)
                del thing
                self.assertIsNone(ref())

    def test_cancelled_ones_are_not_called(self):
        handles = [self.loop.call_soon(self.seen.append, i) for i in range(10)]
        timers = [self.loop.call_later(0, self.seen.append, i) for i in range(10, 20)]
        for handle in (handles + timers)[::2]:
            handle.cancel()
            handle.cancel()
        self.loop.call_later(0.001, self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(self.seen, list(range(1, 20, 2)))

    def test_one_cancels_another(self):
        def cancel():
            for handle in later:
                handle.cancel()

        self.loop.call_soon(cancel)
        later = [self.loop.call_soon(self.seen.append, 1), self.loop.call_at(0, self.seen.append, 2)]
        self.turn()
        self.turn()
        self.assertEqual(self.seen, [])

    def test_times_and_order(self):
        when = self.loop.time()
        early, late = self.loop.call_at(when, print, 1), self.loop.call_at(when + 1, print, 1)
        same = self.loop.call_at(when, print, 1)
        self.assertEqual(early.when(), when)
        self.assertEqual(early._when, when)
        self.assertEqual(hash(early), hash(when))
        self.assertTrue(early < late and early <= late and late > early and late >= early)
        self.assertTrue(early == same and not early != same and early != late)
        self.assertFalse(early == 5)
        self.assertRaises(TypeError, lambda: early < 5)
        later = self.loop.call_later(5, print)
        self.assertAlmostEqual(later.when(), self.loop.time() + 5, delta=1)
        for handle in (early, late, same, later):
            handle.cancel()

    def test_words(self):
        def named():
            pass

        handle = self.loop.call_soon(named)
        self.assertRegex(repr(handle), r'<Handle .*named.*test_handles.py:\d+>')
        timer = self.loop.call_at(12.5, named)
        self.assertRegex(repr(timer), r'<TimerHandle when=12.5 .*named')
        timer.cancel()
        self.assertEqual(repr(timer), '<TimerHandle cancelled when=12.5>')
        handle.cancel()
        self.assertEqual(repr(handle), '<Handle cancelled>')

    def test_debug_mode(self):
        self.loop.set_debug(True)
        handle = self.loop.call_soon(print)
        self.assertEqual(handle._source_traceback[-1][:2], (__file__, sys._getframe().f_lineno - 1))
        self.assertRegex(repr(handle), r'created at .*test_handles.py:\d+>')
        handle.cancel()
        self.assertRegex(repr(handle), 'print')
        timer = self.loop.call_later(1, print)
        self.assertEqual(timer._source_traceback[-1][:2], (__file__, sys._getframe().f_lineno - 1))
        timer.cancel()
        self.assertRaises(TypeError, self.loop.call_soon, None)
        coroutine = asyncio.sleep(0)
        self.assertRaises(TypeError, self.loop.call_soon, coroutine)
        coroutine.close()

    def test_slow_callbacks_are_told(self):
        self.loop.set_debug(True)
        self.loop.slow_callback_duration = 0
        with self.assertLogs('asyncio', 'WARNING') as logs:
            self.loop.call_soon(self.seen.append, 1)
            self.turn()
        self.assertRegex(logs.output[0], r'Executing <Handle .*append.*> took \d')

    def test_weak_references(self):
        handle = self.loop.call_soon(print, 1)
        ref = weakref.ref(handle)
        handle.cancel()
        del handle
        self.turn()
        self.assertIsNone(ref())

    def test_by_hand(self):
        handle = self.loop.call_soon(self.seen.append, 1)
        handle._run()
        self.turn()
        self.assertEqual(self.seen, [1, 1])

        def fail():
            raise SystemExit

        handle = self.loop.call_soon(fail)
        self.assertRaises(SystemExit, handle._run)
        handle.cancel()
        handle._run()
        self.turn()


if __name__ == '__main__':
    unittest.main()
