#!/usr/bin/python3
"""
An idle loop is idle: while a task sleeps, or all wait for another thread, or for a hundred peers, the loop's
thread makes one system call, the wait itself. On epoll, and on io_uring where there is one.

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


WAITS = {'epoll_wait', 'epoll_pwait', 'epoll_pwait2', 'io_uring_enter'}


def calls_between_the_lines(folder):
    """The calls of the thread that wrote both lines, in between."""
    for path in glob.glob(f'{folder}/trace.*'):
        lines = Path(path).read_text().splitlines()
        marks = [number for number, line in enumerate(lines) if re.match(r'write\(1, "(idle|done)\\n"', line)]
        if len(marks) == 2:
            return [line for line in lines[marks[0] + 1:marks[1]] if not line.startswith('---')]
    return None


def is_idle(program, what, backend):
    """One that is not idle never is; a machine that stands still meanwhile does so now and then."""
    return any(check(program, what, backend) for _ in range(3))


def has_ring(program):
    """Whether the kernel lets us, which the program would say on stderr."""
    environment = {**os.environ, 'ASYNCIO_BACKEND': 'io_uring'}
    done = subprocess.run([program, 'sleep', '0'], env=environment, capture_output=True, text=True,
                          timeout=60)
    if 'using epoll' in done.stderr:
        print('not on io_uring:', done.stderr)
        return False
    return True


def check(program, what, backend):
    with tempfile.TemporaryDirectory() as folder:
        # The address sanitizer cannot look for leaks in a process that is traced.
        environment = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0', 'ASYNCIO_BACKEND': backend}
        done = subprocess.run(['strace', '-ff', '-o', f'{folder}/trace', program, what], env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        calls = calls_between_the_lines(folder)
    if done.returncode or calls is None:
        print(f'{what}, {backend}: ended with {done.returncode}, or lacks its lines')
        print(done.stdout + done.stderr)
        return False
    names = [call.split('(')[0] for call in calls]
    waits = [name for name in names if name in WAITS]
    others = [name for name in names if name not in WAITS and name not in BEFORE]
    if len(waits) != 1 or others or len(names) > 5:
        print(f'{what}, {backend}: these system calls, in half a second of nothing to do:')
        print('   ', *calls, sep='\n    ')
        return False
    return True


def main(program):
    if not shutil.which('strace'):
        print('there is no strace here')
        return 77
    backends = ['epoll'] + ['io_uring'] * has_ring(program)
    kinds = ['sleep', 'post', 'connections']
    found = [is_idle(program, kind, backend) for backend in backends for kind in kinds]
    return 0 if all(found) else 1


sys.exit(main(sys.argv[1]))
