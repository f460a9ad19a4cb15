#!/usr/bin/python3
"""
An idle loop is idle: while a task sleeps, or all wait for another thread, the loop's
thread makes one system call, the wait itself.

    test_idle.py PROGRAM     (idle_program.c)

Exits 77 where there is no strace.
"""
import faulthandler
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

# Once, before the wait: memory of stacks is given back, a sanitizer takes some. The clock is
# a call on some machines.
BEFORE = {'madvise', 'mmap', 'clock_gettime'}


def calls_between_the_lines(folder):
    """The calls of the thread that wrote both lines, in between."""
    for path in glob.glob(f'{folder}/trace.*'):
        lines = Path(path).read_text().splitlines()
        marks = [number for number, line in enumerate(lines) if re.match(r'write\(1, "(idle|done)\\n"', line)]
        if len(marks) == 2:
            return [line for line in lines[marks[0] + 1:marks[1]] if not line.startswith('---')]
    return None


def is_idle(program, what):
    """One that is not idle never is; a machine that stands still in the midst of it does so now and then."""
    return any(check(program, what) for _ in range(3))


def check(program, what):
    with tempfile.TemporaryDirectory() as folder:
        # The address sanitizer cannot look for leaks in a process that is traced.
        environment = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'}
        done = subprocess.run(['strace', '-ff', '-o', f'{folder}/trace', program, what], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        calls = calls_between_the_lines(folder)
    if done.returncode or calls is None:
        print(f'{what}: ended with {done.returncode}, or lacks its lines\n{done.stdout}{done.stderr}')
        return False
    names = [call.split('(')[0] for call in calls]
    waits = [name for name in names if name.startswith('epoll_')]
    others = [name for name in names if not name.startswith('epoll_') and name not in BEFORE]
    if len(waits) != 1 or others or len(names) > 5:
        print(f'{what}: these system calls, in half a second of nothing to do:', *calls, sep='\n    ')
        return False
    return True


def main(program):
    if not shutil.which('strace'):
        print('there is no strace here')
        return 77
    return 0 if all([is_idle(program, 'sleep'), is_idle(program, 'post')]) else 1


sys.exit(main(sys.argv[1]))
