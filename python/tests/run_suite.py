#!/usr/bin/python3
"""
Runs test suites of Python on a loop, and counts; a hang or a death costs one test, and no more.

    run_suite.py [OPTIONS] [MODULE ...]     (test_events, or events; all of them by default)

    --suite NAME     own: the tests of this folder; cpython: its test_asyncio; uvloop: its tests, whose source
                     the environment names by UVLOOP_SOURCE, a work tree or a git directory (default: own)
    --loop NAME      libasyncio, stock or uvloop (default: libasyncio)
    --agnostic       of cpython, only the modules that ask nothing of a loop's inside
    --limit SECONDS  a test that takes longer hangs (default: 60)
    --jobs N         so many modules at a time (default: as many as processors)
    --log FILE       appends a line of JSON for each module, for tools/summarise
    --table          prints a line of Markdown for each module

Each module runs in a process of its own, which starts again after a hang or a death. Tests that are known
to fail stand in expected/SUITE-LOOP, below the reason. One of them that passes is a failure, too: a list
only shrinks. A test of others that fails runs once more, alone, since some of them depend on real time; that
is said. The last line is "N passed, N failed", with what was skipped or failed as expected.
"""
import argparse
import concurrent.futures
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Where `make python` puts it; what PYTHONPATH names comes before.
PACKAGE = HERE.parent.parent / 'build/release/python'
# They need Windows, or test the selector that our loop has no use for.
FOREIGN = {'cpython': {'test_windows_events', 'test_windows_utils', 'test_proactor_events'},
           # Of uvloop: its build, its style, its libuv.
           'uvloop': {'test_cython', 'test_sourcecode', 'test_libuv_api'},
           'own': set()}
AGNOSTIC = '''
    locks queues tasks taskgroups timeouts waitfor threads streams server ssl sslproto buffered_proto sendfile
    sock_lowlevel subprocess runners context futures2 events
'''.split()
# How long a process may take to end after its last test, or after a signal.
GRACE_S = 20


class NotThere(Exception):
    """A suite that this machine does not have."""


# ---- Suites -----------------------------------------------------------------------

def find_cpython(_scratch):
    """Debian has the tests in a package of their own."""
    import importlib.util
    try:
        spec = importlib.util.find_spec('test.test_asyncio')
    except ImportError:
        spec = None
    if spec is None:
        raise NotThere("CPython's tests are not installed (Debian: libpython3-testsuite)")
    return Path(spec.origin).parent, 'test.test_asyncio.', None


def find_uvloop(scratch):
    """The tests of the version that is installed, since their base class is in the package."""
    source = os.environ.get('UVLOOP_SOURCE')
    if not source:
        raise NotThere("UVLOOP_SOURCE does not name a copy of uvloop's repository")
    try:
        import uvloop
    except ImportError:
        raise NotThere('uvloop is not installed (Debian: python3-uvloop)') from None
    if Path(source, 'tests').is_dir():
        folder = Path(source)
    else:
        folder = Path(scratch, 'uvloop-tests')
        folder.mkdir()
        packed = subprocess.run(['git', '--git-dir', source, 'archive', f'v{uvloop.__version__}', 'tests'],
                                stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(['tar', '-x', '-C', folder], input=packed, check=True)
    return folder / 'tests', 'tests.', folder


def find_own(_scratch):
    return HERE, '', HERE


FINDERS = {'cpython': find_cpython, 'uvloop': find_uvloop, 'own': find_own}


def read_expected(suite, loop):
    """Tests that are known to fail: test → reason. A line is a test; the reason is the `#` line above."""
    path = HERE / 'expected' / f'{suite}-{loop}'
    expected, reason = {}, ''
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith('#'):
            reason = line[1:].strip()
        elif line:
            expected[line] = reason
    return expected


# ---- One module -------------------------------------------------------------------

class Child:
    """A process that runs a module, but for some of its tests."""

    def __init__(self, run, left_out):
        self.output = tempfile.TemporaryFile('w+', errors='replace')
        self.scratch = tempfile.mkdtemp(dir=run.scratch)
        reader, writer = os.pipe()
        env = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'}
        paths = [run.path, env.get('PYTHONPATH'), PACKAGE]
        env['PYTHONPATH'] = os.pathsep.join(str(path) for path in paths if path)
        command = [sys.executable, HERE / 'suite_child.py', run.suite, run.loop, run.name, str(writer)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.output,
                                        stderr=self.output, pass_fds=[writer], env=env, cwd=self.scratch,
                                        start_new_session=True)
        os.close(writer)
        self.reader, self.pending = reader, b''
        with self.process.stdin as stdin:
            stdin.write(json.dumps(sorted(left_out)).encode())

    def next_event(self, limit_s):
        """What it says next; None at its end. Raises TimeoutError."""
        end_s = time.monotonic() + limit_s
        while b'\n' not in self.pending:
            if not select.select([self.reader], [], [], max(0, end_s - time.monotonic()))[0]:
                raise TimeoutError
            block = os.read(self.reader, 65536)
            if not block:
                return None
            self.pending += block
        line, self.pending = self.pending.split(b'\n', 1)
        return json.loads(line)

    def kill(self):
        """Lets it say first where it hangs."""
        self.process.send_signal(signal.SIGABRT)
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            pass
        self.kill_group()

    def kill_group(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def end(self):
        """How it ended, in words if badly."""
        try:
            status = self.process.wait(GRACE_S)
            words = '' if status == 0 else f'the process ended with status {status}'
        except subprocess.TimeoutExpired:
            self.kill()
            words = 'the process does not end'
        self.kill_group()  # what a test has left running
        os.close(self.reader)
        shutil.rmtree(self.scratch, ignore_errors=True)
        return words

    def tail(self):
        self.output.seek(0)
        return ''.join(self.output.readlines()[-40:])


class ModuleRun:
    """Runs the tests of a module: outcomes[test] is passed, skipped or failed, why[test] says more."""

    def __init__(self, options, name, path, scratch):
        self.suite, self.loop, self.limit_s = options.suite, options.loop, options.limit
        self.name, self.path, self.scratch = name, path, scratch
        self.outcomes, self.why, self.with_loop, self.hung, self.skipped = {}, {}, set(), set(), None

    def run(self, left_out=frozenset()):
        began_s = time.monotonic()
        while not self.run_once({*left_out, *self.outcomes}):
            pass
        self.took_s = time.monotonic() - began_s
        return self

    def run_once(self, left_out):
        """False when a test hung or died, and others are left."""
        child = Child(self, left_out)
        running, is_through, before = None, False, len(self.outcomes)
        try:
            while not is_through and (event := child.next_event(self.limit_s)):
                running = self.take(event, running)
                is_through = event['what'] == 'through'
        except TimeoutError:
            child.kill()
            where = running or f'{self.name} (outside tests)'
            self.hung.add(where)
            self.fail(where, f'hangs for {self.limit_s} s\n{child.tail()}')
            running = None
        words = child.end()
        if running:
            self.fail(running, f'{words or "the process ended in the middle"}\n{child.tail()}')
        elif is_through and words:
            self.fail(f'{self.name} (at the end)', f'{words}\n{child.tail()}')
        elif not is_through and len(self.outcomes) == before:
            self.fail(f'{self.name} (outside tests)', f'{words}\n{child.tail()}')
            return True
        return is_through

    def take(self, event, running):
        if event['what'] == 'start':
            return event['test']
        if event['what'] == 'loop':
            self.with_loop.add(event['test'])
            return running
        if event['what'] == 'through':
            self.skipped = event.get('skipped')
            return None
        self.outcomes[event['test']], self.why[event['test']] = event['outcome'], event['why']
        return None

    def fail(self, test, why):
        self.outcomes[test], self.why[test] = 'failed', why


def run_again(options, run, expected):
    """Unexpected failures once more, each alone. One that then passes was a matter of time."""
    failed = [test for test, outcome in run.outcomes.items() if outcome == 'failed' and test not in expected]
    late = []
    for test in failed:
        again = ModuleRun(options, run.name, run.path, run.scratch)
        others = set(run.outcomes) - {test}
        again.run(left_out=others)
        if again.outcomes.get(test) == 'passed':
            run.outcomes[test] = 'passed'
            late.append(test)
    return late


# ---- All of them ------------------------------------------------------------------

class Tally:
    """Adds up, and says what is wrong as it comes."""

    def __init__(self, options, expected):
        self.options, self.expected = options, expected
        self.total, self.with_loop, self.seen, self.hung = Counter(), Counter(), set(), 0

    def judge(self, run, late):
        """The counts of a module: passed, failed, skipped, expected."""
        counts, loops = Counter(), Counter()
        for test, outcome in sorted(run.outcomes.items()):
            self.seen.add(test)
            verdict = outcome
            if test in self.expected and outcome != 'skipped':
                verdict = 'expected' if outcome == 'failed' else 'failed'
            if verdict == 'failed':
                self.report(test, run.why.get(test, '') if outcome == 'failed' else
                            'passes now: take it from the list of expected failures')
            counts[verdict] += 1
            if test in run.with_loop:
                loops[outcome] += 1
        self.total += counts
        self.with_loop += loops
        self.hung += len(run.hung)
        for test in late:
            print(f'{test}: failed at first, passed alone', flush=True)
        return counts, loops

    def report(self, test, why):
        print(f'\nFAILED {test}\n    ' + '\n    '.join(why.strip().splitlines()), flush=True)

    def say_module(self, run, counts, loops):
        name = run.name.rpartition('.')[2]
        words = self.words(counts) + (f' ({run.skipped})' if run.skipped else '')
        if self.options.table:
            ran = sum(counts.values()) - counts['skipped']
            made = sum(loops.values()) - loops['skipped']
            print(f'| {name} | {ran} | {made} | {loops["passed"]} |', flush=True)
        else:
            print(f'{name:<22} {run.took_s:6.1f} s  {words}', flush=True)
        if self.options.log:
            with open(self.options.log, 'a') as log:
                print(json.dumps({'name': f'{self.options.suite} {name}', 'stdout': words,
                                  'result': 'FAIL' if counts['failed'] else 'OK'}), file=log)

    @staticmethod
    def words(counts):
        """As tools/summarise reads it: what fails as expected is among what is skipped."""
        skipped = counts['skipped'] + counts['expected']
        words = f'{counts["passed"]} passed, {counts["failed"]} failed'
        return words + (f', {skipped} skipped' if skipped else '')


def modules(options, folder):
    wanted = {name.removesuffix('.py') for name in options.modules}
    wanted = {name if name.startswith('test_') else f'test_{name}' for name in wanted}
    found = {path.stem for path in folder.glob('test_*.py')} - FOREIGN[options.suite]
    if options.agnostic:
        found &= {f'test_{name}' for name in AGNOSTIC}
    if wanted - found:
        sys.exit(f'{options.suite} has no {", ".join(sorted(wanted - found))}')
    return sorted(wanted or found)


def run_module(options, name, path, scratch, expected):
    run = ModuleRun(options, name, path, scratch).run()
    return run, run_again(options, run, expected) if options.suite != 'own' else []


def run_all(options, scratch):
    folder, prefix, path = FINDERS[options.suite](scratch)
    expected = read_expected(options.suite, options.loop)
    tally = Tally(options, expected)
    names = modules(options, folder)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(run_module, options, prefix + name, path, scratch, expected) for name in names]
        for future in concurrent.futures.as_completed(runs):
            run, late = future.result()
            tally.say_module(run, *tally.judge(run, late))
    if not options.modules and not options.agnostic:
        for test in sorted(set(expected) - tally.seen):
            tally.total['failed'] += 1
            tally.report(test, 'is not there: take it from the list of expected failures')
    return tally


def parse(words):
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--suite', choices=FINDERS, default='own')
    parser.add_argument('--loop', choices=['libasyncio', 'stock', 'uvloop'], default='libasyncio')
    parser.add_argument('--agnostic', action='store_true')
    parser.add_argument('--limit', type=float, default=60)
    parser.add_argument('--jobs', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--log')
    parser.add_argument('--table', action='store_true')
    parser.add_argument('modules', nargs='*')
    return parser.parse_args(words)


def main():
    options = parse(sys.argv[1:])
    print(f'== {options.suite} on {options.loop}, Python {sys.version.split()[0]}', flush=True)
    with tempfile.TemporaryDirectory(prefix='suite-') as scratch:
        try:
            tally = run_all(options, scratch)
        except NotThere as reason:
            print(f'skipped: {reason}\n0 passed, 0 failed, 1 skipped')
            return 0
    loops = tally.with_loop
    print(f'of {loops["passed"] + loops["failed"]} tests that make a loop {loops["passed"]} pass; '
          f'{tally.hung} hang; {tally.total["expected"]} fail as expected')
    print(tally.words(tally.total))
    return 1 if tally.total['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
