#!/usr/bin/python3
"""
asyncio inside GLib's main loop: both take their turns, and neither spins.

    test_glib_example.py GLIB
"""
import faulthandler
import resource
import signal
import subprocess
import sys

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 50
failures = 0


def check(condition, what):
    global failures
    if not condition:
        failures += 1
        print(f'FAILED: {what}')


def run(program, *words):
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=SECONDS_MAX)


def check_turns(program):
    done = run(program)
    lines = done.stdout.splitlines()
    check(done.returncode == 0 and done.stderr == '', f'status {done.returncode}: {done.stderr}')
    for line in ['process: 1', 'process: 2', 'process: 3', 'process: ended with status 4', 'socket: hello 1',
                 'socket: hello 2', 'socket: hello 3', 'GLib: tick 1', 'task: tick 1 was heard']:
        check(lines.count(line) == 1, f'{line!r}, once, in {lines}')
    check(lines.count('the end: all is done') == 1, lines)  # a task that is left may say something after it
    between = lines[lines.index('socket: hello 1'):lines.index('socket: hello 3')]
    check(any(line.startswith('GLib: tick') for line in between), f'they take turns: {lines}')


def check_errors(program):
    done = run(program, 'kill -KILL $$')
    check('process: ended with status -9' in done.stdout, done.stdout)


def check_interrupt(program):
    process = subprocess.Popen([program, 'echo up; exec sleep 100'], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    while process.stdout.readline() not in ('process: up\n', ''):
        pass
    process.send_signal(signal.SIGINT)
    text, errors = process.communicate(timeout=SECONDS_MAX)
    check('GLib: interrupted' in text and '\nthe end: ECANCELED\n' in text, text)
    check(process.returncode == 1 and errors == '', f'status {process.returncode}: {errors}')


def check_failure(program):
    """A turn that fails ends the program. strace makes it fail, where it is and may."""
    command = ['strace', '-f', '-o', '/dev/null', '-e', 'inject=/^epoll_p?wait2?$:error=EBADF:when=20',
               program, 'exec sleep 100']
    try:
        done = run(*command)
    except FileNotFoundError:
        return
    if done.stdout:
        check('no turn for asyncio' in done.stderr and '\nthe end: ASYNCIO_ESTATE\n' in done.stdout, done)


def check_idle(program):
    """Waiting for a process costs no processor time: nobody polls in vain."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(program, 'sleep 2; echo slept')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    check('process: slept' in done.stdout, done.stdout)
    check(used < 1, f'it took {used:.2f} s of processor time')


check_turns(sys.argv[1])
check_errors(sys.argv[1])
check_interrupt(sys.argv[1])
check_failure(sys.argv[1])
check_idle(sys.argv[1])
sys.exit(1 if failures else 0)
