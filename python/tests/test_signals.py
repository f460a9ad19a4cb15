"""Signals that come while the loop waits, runs Python or runs C; children forked in a callback."""
import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import unittest

import libasyncio

LIMIT_S = 60


def run_program(text, *, then=None):
    """Runs a program. `then` is called with its process when it says that it is ready. Returns its output."""
    process = subprocess.Popen([sys.executable, '-W', 'ignore', '-c', textwrap.dedent(text)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with process:
        try:
            head = process.stdout.readline() if then else ''
            if then:
                assert head == 'ready\n', head + process.stdout.read()
                then(process)
            out, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    return process.returncode, out


def interrupt(process):
    process.send_signal(signal.SIGINT)


HEAD = '''
import asyncio, libasyncio, os, signal, sys, threading, time
def say(words):
    os.write(1, f'{words}\\n'.encode())  # whole, whoever else writes
def ready():
    say('ready')
'''


class InterruptTest(unittest.TestCase):
    def check(self, text, words='interrupted\n'):
        status, out = run_program(HEAD + textwrap.dedent(text), then=interrupt)
        self.assertEqual((status, out), (0, words))

    def test_idle(self):
        self.check('''
            loop = libasyncio.new_event_loop()
            loop.call_soon(ready)
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                print('interrupted')
            loop.run_until_complete(asyncio.sleep(0.001))  # it can run again
            loop.close()
        ''')

    def test_idle_in_a_runner(self):
        """asyncio's runner cancels the main task at the first SIGINT."""
        self.check('''
            async def main():
                ready()
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    print('cancelled')
                    raise
            try:
                libasyncio.run(main())
            except KeyboardInterrupt:
                print('interrupted')
        ''', 'cancelled\ninterrupted\n')

    def test_in_a_callback(self):
        self.check('''
            def spin():
                ready()
                while True:
                    pass
            loop = libasyncio.new_event_loop()
            loop.call_soon(spin)
            loop.call_soon(print, 'and on')
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                print('interrupted')
            loop.call_soon(loop.stop)
            loop.run_forever()
            loop.close()
        ''', 'interrupted\nand on\n')

    def test_in_callables_of_c_alone(self):
        """No bytecode runs, and the loop never waits."""
        self.check('''
            import functools
            loop = libasyncio.new_event_loop()
            def call_again():
                pass
            class Again:
                pass
            again = functools.partial(loop.call_soon)
            again.__setstate__((loop.call_soon, (again,), {}, None))
            loop.call_soon(ready)
            loop.call_soon(again)
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                print('interrupted')
            loop.close()
        ''')

    def test_in_a_blocking_call_of_c(self):
        self.check('''
            loop = libasyncio.new_event_loop()
            def block():
                ready()
                time.sleep(100)
            loop.call_soon(block)
            try:
                loop.run_forever()
            except KeyboardInterrupt:
                print('interrupted')
            loop.close()
        ''')

    def test_while_another_thread_runs_the_loop(self):
        self.check('''
            loop = libasyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            try:
                ready()
                while True:
                    time.sleep(100)
            except KeyboardInterrupt:
                print('interrupted')
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        ''')

    def test_before_each_wait(self):
        """A signal between the last bytecode and the wait is not lost."""
        loop = libasyncio.new_event_loop()
        self.addCleanup(loop.close)
        main = threading.main_thread().ident
        old = signal.signal(signal.SIGUSR1, lambda *args: loop.stop())
        self.addCleanup(signal.signal, signal.SIGUSR1, old)
        for _ in range(300):
            thread = threading.Thread(target=signal.pthread_kill, args=(main, signal.SIGUSR1))
            loop.call_soon(thread.start)
            loop.run_forever()
            thread.join()


class HandlerTest(unittest.TestCase):
    def setUp(self):
        self.loop = libasyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.seen = []

    def run_for(self, seconds):
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()

    def test_handlers(self):
        self.loop.add_signal_handler(signal.SIGUSR1, self.seen.append, 1)
        self.loop.add_signal_handler(signal.SIGUSR2, self.loop.stop)
        os.kill(os.getpid(), signal.SIGUSR1)
        self.run_for(0.01)
        self.assertEqual(self.seen, [1])
        self.loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        self.loop.call_later(0.001, os.kill, os.getpid(), signal.SIGUSR2)
        self.loop.run_forever()
        self.assertEqual(self.seen, [1, 1])
        os.kill(os.getpid(), signal.SIGUSR1)  # between two runs
        self.run_for(0.01)
        self.assertEqual(self.seen, [1, 1, 1])
        self.assertTrue(self.loop.remove_signal_handler(signal.SIGUSR1))
        self.assertFalse(self.loop.remove_signal_handler(signal.SIGUSR1))
        self.assertTrue(self.loop.remove_signal_handler(signal.SIGUSR2))

    def test_the_programs_wakeup_descriptor_comes_back(self):
        a, b = socket.socketpair()
        a.setblocking(False)
        old = signal.set_wakeup_fd(a.fileno())
        try:
            self.run_for(0.001)
            self.assertEqual(signal.set_wakeup_fd(old), a.fileno())
        finally:
            signal.set_wakeup_fd(old)
            a.close()
            b.close()

    def test_waits_are_ended_after_the_last_handler_is_removed(self):
        self.loop.add_signal_handler(signal.SIGUSR1, print)
        old = signal.signal(signal.SIGUSR2, lambda *args: self.loop.stop())
        self.addCleanup(signal.signal, signal.SIGUSR2, old)

        def remove():
            self.loop.remove_signal_handler(signal.SIGUSR1)
            self.assertGreaterEqual(signal.set_wakeup_fd(self.loop._csock.fileno()), 0)
            self.loop.call_later(0.001, os.kill, os.getpid(), signal.SIGUSR2)

        self.loop.call_soon(remove)
        self.loop.run_forever()

    def test_a_program_that_takes_the_wakeup_descriptor_away(self):
        """Then the signal itself ends the wait, if it comes during one."""
        stopped = threading.Event()
        main = threading.main_thread().ident
        old = signal.signal(signal.SIGUSR1, lambda *args: self.loop.stop())
        self.addCleanup(signal.signal, signal.SIGUSR1, old)

        def send():
            while not stopped.wait(0.001):
                signal.pthread_kill(main, signal.SIGUSR1)

        thread = threading.Thread(target=send)
        self.loop.call_soon(signal.set_wakeup_fd, -1)
        self.loop.call_soon(thread.start)
        self.loop.run_forever()
        stopped.set()
        thread.join()

    def test_a_handler_that_cancels_and_calls(self):
        """Python's handlers run between the wait and what it brought."""
        async def main():
            task = asyncio.current_task()
            old = signal.signal(signal.SIGUSR1, lambda *args: (self.loop.call_soon(self.seen.append, 1),
                                                               self.loop.call_later(0, self.seen.append, 2),
                                                               task.cancel()))
            self.loop.call_later(0.001, os.kill, os.getpid(), signal.SIGUSR1)
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                await asyncio.sleep(0.001)
            signal.signal(signal.SIGUSR1, old)

        self.loop.run_until_complete(main())
        self.assertEqual(self.seen, [1, 2])


class ForkTest(unittest.TestCase):
    def test_a_child_has_no_loop(self):
        status, out = run_program(HEAD + textwrap.dedent('''
            loop = libasyncio.new_event_loop()
            def fork():
                global pid
                pid = os.fork()
                if pid:
                    loop.stop()
            loop.call_soon(fork)
            loop.call_soon(say, 'parent alone')
            try:
                loop.run_forever()
            except RuntimeError as error:
                assert pid == 0
                say(error)
                for call in (lambda: loop.call_soon(print), lambda: loop.call_later(1, print),
                             lambda: loop.call_soon_threadsafe(print), loop.run_forever,
                             lambda: loop.add_reader(0, print)):
                    try:
                        call()
                    except RuntimeError as error:
                        assert 'parent process' in str(error), error
                    else:
                        assert 0
                assert signal.set_wakeup_fd(-1) == -1
                loop.close()
                libasyncio.run(asyncio.sleep(0.001))
                say('child done')
                os._exit(0)
            assert pid > 0
            assert os.waitpid(pid, 0)[1] == 0
            loop.run_until_complete(asyncio.sleep(0.001))
            loop.close()
            print('parent done')
        '''))
        self.assertEqual(status, 0, out)
        self.assertEqual(sorted(out.splitlines()), ['child done', 'parent alone', 'parent done',
                                                    'the event loop belongs to the parent process'])

    def test_a_child_in_a_task_runs_a_loop_of_its_own(self):
        status, out = run_program(HEAD + textwrap.dedent('''
            import multiprocessing
            async def child():
                await asyncio.sleep(0.001)
                print('child', flush=True)
            async def main():
                process = multiprocessing.get_context('fork').Process(target=lambda: libasyncio.run(child()))
                process.start()
                await asyncio.to_thread(process.join)
                print('parent', process.exitcode)
            libasyncio.run(main())
        '''))
        self.assertEqual((status, out), (0, 'child\nparent 0\n'))

    def test_a_signal_of_a_child_is_not_the_parents(self):
        status, out = run_program(HEAD + textwrap.dedent('''
            def fork():
                pid = os.fork()
                if pid == 0:
                    os.kill(os.getpid(), signal.SIGUSR1)
                    time.sleep(0.01)
                    os._exit(0)
                os.waitpid(pid, 0)
                loop.call_later(0.01, loop.stop)
            loop = libasyncio.new_event_loop()
            loop.add_signal_handler(signal.SIGUSR1, print, 'came')
            loop.call_soon(fork)
            loop.run_forever()
            loop.close()
        '''))
        self.assertEqual((status, out), (0, ''))


class EndTest(unittest.TestCase):
    def test_a_process_ends_with_a_loop_that_runs_in_a_daemon_thread(self):
        status, out = run_program(HEAD + textwrap.dedent('''
            loop = libasyncio.new_event_loop()
            async def tick():
                while True:
                    await asyncio.sleep(0.0001)
            loop.create_task(tick())
            threading.Thread(target=loop.run_forever, daemon=True).start()
            time.sleep(0.05)
        '''))
        self.assertEqual(status, 0, out)

    def test_a_process_ends_with_a_loop_that_nobody_closed(self):
        status, out = run_program(HEAD + textwrap.dedent('''
            loop = libasyncio.new_event_loop()
            loop.call_soon(print)
            loop.call_later(100, print, loop)
            loop.add_signal_handler(signal.SIGUSR1, print)
        '''))
        self.assertEqual((status, out), (0, ''))


if __name__ == '__main__':
    unittest.main()
