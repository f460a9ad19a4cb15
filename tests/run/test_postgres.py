#!/usr/bin/python3
"""
The example that drives libpq, with a PostgreSQL server of its own:

    test_postgres.py POSTGRES

Skipped only where there is no server at all.
"""
import ctypes
import faulthandler
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 40
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


def find(program):
    """Debian has the server's programs in a folder that no PATH has."""
    found = shutil.which(program) or max(glob.glob(f'/usr/lib/postgresql/*/bin/{program}'), default=None)
    return os.path.realpath(found) if found else None


def other_user():
    """The server refuses to be root's."""
    if os.getuid():
        return {}
    for name in ['postgres', 'nobody']:
        try:
            user = pwd.getpwnam(name)
            return {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []}
        except KeyError:
            continue
    sys.exit('FAILED: no user to run the server as')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def end_with_parent():
    """The server, should this test be killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


class Server:
    process = None

    def __enter__(self):
        try:
            self.set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def set_up(self):
        self.user = other_user()
        self.folder = tempfile.mkdtemp(prefix='asyncio-postgres-', dir='/tmp')
        if self.user:
            os.chown(self.folder, self.user['user'], self.user['group'])
        self.data = os.path.join(self.folder, 'data')
        environment = {**os.environ, 'LC_ALL': 'C', 'TZ': 'UTC'}
        self.options = dict(cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, text=True,
                            **self.user)
        self.run('initdb', '-D', self.data, '-U', 'tester', '-A', 'trust', '-E', 'UTF8', '--no-locale',
                 '--no-sync', '--no-instructions')
        for _ in range(5):  # somebody may take the port meanwhile
            self.port = free_port()
            if self.start():
                return
        sys.exit(f'FAILED: the server does not start:\n{self.log()}')

    def __exit__(self, *error):
        if self.process:
            self.kill()
        shutil.rmtree(self.folder)

    def run(self, program, *arguments):
        done = subprocess.run([find(program), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS_MAX, **self.options)
        if done.returncode:
            sys.exit(f'FAILED: {program}: {done.stdout}')

    def start(self):
        settings = ['fsync=off', 'listen_addresses=127.0.0.1', f'unix_socket_directories={self.folder}',
                    f'port={self.port}', 'shared_buffers=1MB', 'max_connections=50', 'autovacuum=off']
        command = [find('postgres'), '-D', self.data]
        for setting in settings:
            command += ['-c', setting]
        with open(os.path.join(self.folder, 'log'), 'w') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True,
                                            preexec_fn=end_with_parent, **self.options)
        while self.process.poll() is None:
            try:  # the last line that the server writes there once it is up
                with open(os.path.join(self.data, 'postmaster.pid')) as state:
                    if 'ready' in state.read():
                        return True
            except FileNotFoundError:
                pass
            time.sleep(0.01)
        return False

    def log(self):
        with open(os.path.join(self.folder, 'log')) as log:
            return log.read()

    def kill(self):
        """At once, with all its processes, each of which is a group of its own."""
        if self.process.poll() is not None:
            return
        with open(f'/proc/{self.process.pid}/task/{self.process.pid}/children') as file:
            children = file.read().split()
        self.process.kill()
        for child in children:
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def local(self):
        return f'host={self.folder} port={self.port} user=tester dbname=postgres'

    def tcp(self):
        return f'hostaddr=127.0.0.1 port={self.port} user=tester dbname=postgres'


def start(*command):
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*command):
    """Exit status, and its lines in order of their numbers, and what it complained of."""
    process = start(*command)
    out, err = process.communicate(timeout=SECONDS_MAX)
    return process.returncode, sorted(out.splitlines(), key=lambda line: int(line.split(':')[0])), err


def running(program, server, mark):
    """How many queries with this mark the server works on."""
    _, lines, _ = run(program, server.local(), 50, 'select count(*) from pg_stat_activity where state = '
                      f"'active' and query like '%{mark}%' and pid <> pg_backend_pid()")
    return int(lines[0].split()[1])


def wait_for(program, server, mark, count):
    began = time.monotonic()
    while time.monotonic() - began < SECONDS_MAX:
        if running(program, server, mark) == count:
            return True
        time.sleep(0.02)
    return False


# ---- Queries --------------------------------------------------------------------------------

def check_results(program, server):
    queries = [f'select {number}, {number} * {number}, null' for number in range(1, 41)]
    for where in server.local(), server.tcp():
        status, lines, err = run(program, where, 20, *queries)
        expected = [f'{number}: {number} | {number * number} | ' for number in range(1, 41)]
        check(status == 0 and lines == expected and err == '', f'forty queries: {status} {lines} {err}')
    status, lines, err = run(program, server.local(), 20, r"select e'\x1b[2J\n', 1", r"select e'1\x1b'::int")
    check(lines[0] == '1: ?[2J? | 1' and '"1?"' in lines[1], f'harmless: {lines} {err}')
    # Larger than what any socket takes at once, there and back; several results; none.
    long = 'x' * 3000000
    status, lines, err = run(program, server.tcp(), 20, "select repeat('y', 5000000)",
                             'create temp table t(n int); insert into t select generate_series(1, 3); '
                             'select n from t', '', f'select length(\'{long[:100000]}\')')
    check(status == 0 and len(lines) == 5 and len(lines[0]) == 5000003 and
          lines[1:] == ['2: 1', '2: 2', '2: 3', '4: 100000'],
          f'large ones: {status} {[line[:50] for line in lines]} {err}')


def check_overlap(program, server):
    began = time.monotonic()
    status, lines, _ = run(program, server.local(), 50, *['select pg_sleep(2)'] * 12)
    took = time.monotonic() - began
    check(status == 0 and len(lines) == 12, f'sleeps: {status} {lines}')
    check(2 <= took < 22, f'twelve sleeps of 2 s took {took} s')


def check_errors(program, server):
    status, lines, err = run(program, server.local(), 20, 'select 1', 'selekt 2', 'select 1 / 0', 'select 4',
                             'copy pg_class to stdout')
    check(status == 1 and '3 of 5 queries failed' in err, f'errors: {status} {err}')
    check(lines[0] == '1: 1' and lines[3] == '4: 4' and 'syntax error' in lines[1] and
          'division by zero' in lines[2] and 'no use' in lines[4], f'errors: {lines}')
    nobody = free_port()
    status, lines, err = run(program, f'hostaddr=127.0.0.1 port={nobody} dbname=x', 20, 'select 1')
    check(status == 1 and 'refused' in lines[0], f'nobody there: {status} {lines} {err}')
    status, lines, err = run(program, server.local() + ' nonsense=1', 20, 'select 1')
    check(status == 1 and 'nonsense' in lines[0], f'bad conninfo: {lines}')
    check(run(program)[0] == 2, 'usage')


def check_other_descriptor(program, server):
    """The first two addresses refuse: libpq closes its descriptor, and opens another, while we wait."""
    where = (f'hostaddr=127.0.0.1,127.0.0.1,127.0.0.1 port={free_port()},{free_port()},{server.port} '
             'user=tester dbname=postgres')
    status, lines, err = run(program, where, 20, *['select 1'] * 10)
    check(status == 0 and lines == [f'{number}: 1' for number in range(1, 11)], f'{status} {lines} {err}')


# ---- Cancelled --------------------------------------------------------------------------------

def check_timeout(program, server):
    began = time.monotonic()
    status, lines, err = run(program, server.local(), 3, 'select pg_sleep(100) /* late */', 'select 2')
    took = time.monotonic() - began
    check(status == 1 and lines == ['1: no answer within 3 s', '2: 2'], f'timeout: {status} {lines} {err}')
    check('cancel:' not in err, err)
    check(took < 50, f'a timeout of 3 s took {took} s')
    check(wait_for(program, server, 'late', 0), 'the server works on a query that nobody waits for')
    # A listener that says nothing: no connection in time.
    with socket.create_server(('127.0.0.1', 0)) as silent:
        port = silent.getsockname()[1]
        status, lines, err = run(program, f'hostaddr=127.0.0.1 port={port} dbname=x', 0.2, 'select 1')
        check(lines == ['1: no answer within 0.2 s'], f'silent: {lines} {err}')


def check_interrupt(program, server):
    process = start(program, server.tcp(), 100, *['select pg_sleep(100) /* long */'] * 5)
    check(wait_for(program, server, 'long', 5), 'five queries do not run')
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS_MAX)
    check(process.returncode == 130 and out == '', f'interrupted: {process.returncode} {out} {err}')
    check(wait_for(program, server, 'long', 0), 'the server works on after an interrupt')


def check_killed(program, server):
    """The last one: the server goes in the middle of it."""
    process = start(program, server.tcp(), 100, *['select pg_sleep(100) /* doomed */'] * 3)
    check(wait_for(program, server, 'doomed', 3), 'three queries do not run')
    server.kill()
    out, err = process.communicate(timeout=SECONDS_MAX)
    check(process.returncode == 1 and '3 of 3 queries failed' in err, f'killed: {process.returncode} {err}')
    check(len(re.findall(r'^\d: .*(server closed the connection|terminating|reset)', out, re.MULTILINE)) == 3,
          f'killed: {out}')


if not find('postgres') or not find('initdb'):
    print('no PostgreSQL server here')
    sys.exit(77)
with Server() as the_server:
    for one_check in [check_results, check_overlap, check_errors, check_other_descriptor, check_timeout,
                      check_interrupt, check_killed]:
        one_check(sys.argv[1], the_server)
sys.exit(1 if failed else 0)
