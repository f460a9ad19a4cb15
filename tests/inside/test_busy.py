#!/usr/bin/python3
"""
The command `asyncio` and programs that never stand still: each reading is whole, or says what it
is not. And how long a program stands still for one.

    test_busy.py TOOL BUSY     (busy.c)
"""
import faulthandler
import json
import signal
import subprocess
import sys

from targets import ENVIRONMENT, IS_THOROUGH, call, check, end, running

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

READINGS = 200 if IS_THOROUGH else 20


def check_spawner(tool, busy, *arguments):
    """Tasks that last for microseconds. A list that was caught amid a change is told by status 5."""
    whole = 0
    with running(busy, 'spawn') as child:
        for _ in range(READINGS):
            done = subprocess.run([tool, 'ps', '--json', *arguments, str(child.pid)], capture_output=True,
                                  text=True, timeout=100, env=ENVIRONMENT)
            check(done.returncode in (0, 5) and (done.stderr == '') == (done.returncode == 0),
                  f'a reading ends with {done.returncode}', done.stderr, done.stdout[-2000:])
            whole += done.returncode == 0
            tasks = [task for loop in json.loads(done.stdout)['loops'] for task in loop['tasks']]
            for task in tasks:
                check(task['coroutine'] in ('spawns', 'short_lived') or not task['steady'], 'a task', task)
        check(child.poll() is None, 'the program goes on')
    print(f'ps {arguments}: {whole} of {READINGS} readings were whole')
    if not arguments:
        check(whole >= READINGS // 2, 'a stopped program is read whole as a rule')


def check_many(tool, busy, count):
    with running(busy, 'sleepers', str(count)) as child:
        text = call(tool, 'ps', child.pid)
        check(f' {count} tasks ' in text and ' sleeper ' in text, f'{count} sleepers', text[-2000:])


def largest_gap(child):
    child.stdin.write('x')
    child.stdin.flush()
    return float(child.stdout.readline())


def measure_stop(tool, busy, count):
    """For people: a loaded machine stops programs by itself."""
    with running(busy, 'sleepers', str(count), 'timed') as child:
        gaps = []
        for _ in range(5):
            largest_gap(child)
            call(tool, 'ps', child.pid)
            gaps.append(largest_gap(child))
    print(f'{count} tasks: the longest stop of a busy loop in 5 readings, in microseconds: {sorted(gaps)}')


def main(tool, busy):
    check_spawner(tool, busy)
    check_spawner(tool, busy, '--no-stop')
    check_many(tool, busy, 1000)
    if IS_THOROUGH:
        check_many(tool, busy, 100000)
        for count in 10, 1000, 100000:
            measure_stop(tool, busy, count)
    end()


main(*sys.argv[1:])
