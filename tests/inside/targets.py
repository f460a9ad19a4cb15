"""
For the tests of the command `asyncio`: programs to look at, and what is the same of them in every run.
"""
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

HERE = Path(__file__).parent
IS_THOROUGH = 'ASYNCIO_TEST_LARGE' in os.environ
# A program under the leak checker cannot be traced while it ends.
ENVIRONMENT = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0', 'DEBUGINFOD_URLS': ''}

failures = 0


def fail(what, *details):
    global failures
    failures += 1
    print(f'FAILED: {what}', *details, sep='\n')


def check(is_so, what, *details):
    if not is_so:
        fail(what, *details)


@contextmanager
def running(program, *arguments, **how):
    """A program that has said "ready", and is killed in the end."""
    child = subprocess.Popen([str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True, env=ENVIRONMENT, start_new_session=True, **how)
    try:
        line = child.stdout.readline()
        if line != 'ready\n':
            raise RuntimeError(f'{program} says {line!r}')
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # and what it has begun
        child.wait()
        child.stdin.close()
        child.stdout.close()


def await_rest(pid):
    """Until its first thread sleeps: what it had to write is written, and its loop waits."""
    while Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'S':
        time.sleep(0.001)


def call(tool, *arguments, wanted=0, **how):
    """What the command prints; its status must be `wanted`."""
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, timeout=100,
                          env=ENVIRONMENT, **{'stdin': subprocess.DEVNULL, **how})
    check(done.returncode == wanted, f'{arguments}: ends with {done.returncode}, not {wanted}',
          done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


# A process is slow to come to rest on a busy machine: then it is looked at once more.
def settled(look, wanted, what):
    for _ in range(20):
        got = look()
        if got == wanted:
            return
    fail(f'{what} differs; wanted, then got', wanted, got)


MASKS = [
    (r'\b\d+\.\d{3}-?', 'N'),               # seconds
    (r'\bpipe:\[\d+\]', 'pipe:[N]'),
    (r'127\.0\.0\.1:\d+', '127.0.0.1:N'),
    (r'\b(thread|pid|fd) \d+', r'\1 N'),
    (r'runners\.c:\d+', 'runners.c:N'),     # lines of the library
    (r'server_clients\.c:\d+', 'server_clients.c:N'),
    (r'\b0x[0-9a-f]+\b', '0xN'),            # objects of the heap
    (r'  +', '  '),
    (r' +$', ''),
]


def masked(text):
    for pattern, by in MASKS:
        text = re.sub(pattern, by, text, flags=re.MULTILINE)
    return text


def expected(name):
    return (HERE / 'expected' / name).read_text()


def columns(text):
    """Number, name, function and state of each task: what needs no symbols."""
    rows = (re.match(r' *(\d+|ID) +(\S+) +(\S+) +(\S+)', line) for line in text.splitlines())
    return [row.groups() for row in rows if row]


def tasks_of(tool, pid):
    tree = json.loads(call(tool, 'ps', '--json', pid))
    return [task for loop in tree['loops'] for task in loop['tasks']]


def end():
    sys.exit(1 if failures else 0)
