#!/usr/bin/python3
"""
The example that drives hiredis, with a Redis server of its own, which is killed and started anew:

    test_redis.py REDIS

Skipped only where there is no server at all.
"""
import ctypes
import faulthandler
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 50
# An address of this test's own: nobody else takes its ports, not even while the server is down.
HOST = f'127.{os.getpid() >> 14 & 127 | 64}.{os.getpid() >> 7 & 127}.{os.getpid() & 127 | 128}'
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


def end_with_parent():
    """Should this test be killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Server:
    def __init__(self):
        with socket.create_server((HOST, 0)) as probe:
            self.port = probe.getsockname()[1]
        self.process = None

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix='asyncio-redis-', dir='/tmp')
        return self

    def __exit__(self, *error):
        if self.process:
            self.kill()
        shutil.rmtree(self.folder)

    def start(self):
        self.process = subprocess.Popen(
            ['redis-server', '--bind', HOST, '--port', str(self.port), '--save', '', '--appendonly', 'no',
             '--daemonize', 'no', '--dir', self.folder, '--logfile', os.path.join(self.folder, 'log')],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent)
        began = time.monotonic()
        while time.monotonic() - began < SECONDS_MAX:
            try:
                if self.ask('PING') == '+PONG':
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        with open(os.path.join(self.folder, 'log')) as log:
            sys.exit(f'FAILED: the server does not start:\n{log.read()}')

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def ask(self, command):
        """Past the example: the first line of the answer."""
        with socket.create_connection((HOST, self.port), timeout=SECONDS_MAX) as connection:
            connection.sendall(command.encode() + b'\r\n')
            return connection.makefile().readline().rstrip()


class Program:
    """The example, which is told what to do line by line."""

    def __init__(self, program, port, seconds, *channels):
        self.process = subprocess.Popen([program, HOST, str(port), str(seconds), *channels], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        preexec_fn=end_with_parent)
        self.complaints = []
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.process.stderr:
            self.complaints.append(line.rstrip())

    def say(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def line(self):
        return self.process.stdout.readline().rstrip('\n')

    def ask(self, line):
        """The answer, without its number."""
        self.say(line)
        return self.line().split(': ', 1)[-1]

    def waits_for_complaints(self, count):
        """Now, or soon."""
        began = time.monotonic()
        while len(self.complaints) < count and time.monotonic() - began < SECONDS_MAX:
            time.sleep(0.01)
        return len(self.complaints) >= count

    def end(self, signo=None):
        """Its status, and what is left of its output."""
        if signo:
            self.process.send_signal(signo)
        else:
            self.process.stdin.close()
        out = self.process.stdout.read()
        status = self.process.wait(SECONDS_MAX)
        self.listener.join()
        for file in self.process.stdin, self.process.stdout, self.process.stderr:
            file.close()
        return status, out


def run(program, port, seconds, *lines):
    """Its status, its lines, and what it complained of."""
    done = subprocess.run([program, HOST, str(port), str(seconds)], capture_output=True, text=True,
                          input=''.join(line + '\n' for line in lines), timeout=2 * SECONDS_MAX)
    return done.returncode, done.stdout.splitlines(), done.stderr.rstrip()


# ---- Commands -----------------------------------------------------------------------------------

def check_answers(program, server):
    nested = 'eval return{1,{2,{}},redis.status_reply("ok")} 0'
    commands = ['set a 41', 'incr a', 'get a', '', 'get none', 'rpush l x y', 'lrange l 0 -1', nested,
                '  echo   a\tb ', 'echo \x1b[2J', 'echo é']
    status, lines, err = run(program, server.port, SECONDS_MAX, *commands)
    check(lines == ['1: OK', '2: 42', '3: 42', '4: (nil)', '5: 2', '6: [x, y]', '7: [1, [2, []], ok]',
                    "8: ERR wrong number of arguments for 'echo' command", '9: \\x1b[2J', '10: é'], lines)
    check(status == 1 and err.endswith('1 failed (EIO)') and 'again' not in err, f'{status}: {err}')
    check(run(program, server.port, 5) == (0, [], ''), 'nothing to do')
    status, lines, err = run(program, server.port, 5, 'ping', 'x ' * 200)
    check(status == 1 and 'more than 100 words' in err, f'{status}: {lines} {err}')
    for words in [(), (HOST, 1), (HOST, 0, 5), (HOST, 65536, 5), (HOST, 1, 'x')]:
        done = subprocess.run([program, *map(str, words)], capture_output=True)
        check(done.returncode == 2, f'usage: {words}')


def check_many(program, server):
    """In their order, whatever their number; and larger answers than any socket takes at once."""
    status, lines, err = run(program, server.port, SECONDS_MAX, *['incr many'] * 20000)
    check(status == 0 and err == '', f'{status}: {err}')
    check(lines == [f'{number}: {number}' for number in range(1, 20001)], lines[:20])
    size = 3000000
    status, lines, _ = run(program, server.port, SECONDS_MAX, f'setrange large {size} x', 'get large', 'ping')
    check(status == 0 and lines[1] == '2: ' + '\\x00' * size + 'x' and lines[2] == '3: PONG',
          f'{status}: {[line[:50] for line in lines]}')


def check_pipeline(program):
    """No answer is there before all commands are."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(SECONDS_MAX)
        one = Program(program, listener.getsockname()[1], SECONDS_MAX)
        for number in range(500):
            one.say(f'get {number}')
        connection, _ = listener.accept()
        connection.settimeout(SECONDS_MAX)
        got = b''
        while got.count(b'get') < 500:
            part = connection.recv(65536)
            if not part:
                break
            got += part
        names = [int(name) for name in re.findall(rb'get\r\n\$\d+\r\n(\d+)\r\n', got)]
        check(names == list(range(500)), f'{len(names)} commands: {names[:20]}')
        answers = b''.join(b':%d\r\n' % name for name in names)
        for at in range(0, len(answers), 7):  # in any pieces
            connection.sendall(answers[at:at + 7])
        status, out = one.end()
        check(status == 0 and out.splitlines() == [f'{name + 1}: {name}' for name in range(500)],
              f'{status}: {out[:200]}')
        connection.close()


def check_times(program, server):
    """A late answer is nobody else's."""
    one = Program(program, server.port, 0.5)
    while one.ask('ping') != 'PONG':  # a busy machine may need more time for this
        pass
    server.process.send_signal(signal.SIGSTOP)
    for word in 'first', 'second':
        check(one.ask(f'echo {word}') == 'no answer within 0.5 s', f'{word}: the server is stopped')
    server.process.send_signal(signal.SIGCONT)
    for word in 'third', 'fourth':
        answer = one.ask(f'echo {word}')
        check(answer in (word, 'no answer within 0.5 s'), f'{word}: {answer}')
    status, out = one.end()
    check(status == 1 and out == '' and re.fullmatch(r'.*: \d+ failed \(EIO\)', '\n'.join(one.complaints)),
          f'{status}: {out} {one.complaints}')


# ---- Connections that are lost ---------------------------------------------------------------------

def check_restart(program, server):
    server.kill()
    one = Program(program, server.port, SECONDS_MAX)
    one.say('set a 1')
    one.say('incr a')
    check(one.waits_for_complaints(2), one.complaints)
    server.start()
    check([one.line(), one.line()] == ['1: OK', '2: 2'], 'these two have waited for the server')
    for _ in range(2):
        one.say('blpop nothing 0')
        wait_for_blocked(server)
        before = len(one.complaints)
        server.kill()
        check('the connection was lost before the answer came' in one.line(), 'in the middle of a command')
        check(one.waits_for_complaints(before + 1), one.complaints)
        one.say('set b 5')
        server.start()
        check(one.line().endswith(': OK'), 'after a restart')
        check(one.ask('get a') == '(nil)' and one.ask('get b') == '5', 'another server')
    check(all(re.search(r'; again in \d+\.\d\d s$', line) for line in one.complaints), one.complaints)
    check('refused' in one.complaints[0] and str(server.port) in one.complaints[0], one.complaints[0])
    status, out = one.end()
    check(status == 1 and out == '' and one.complaints[-1].endswith('2 failed (EIO)'),
          f'{status}: {out} {one.complaints}')


def wait_for_blocked(server):
    """Until the server has a client that waits."""
    began = time.monotonic()
    while time.monotonic() - began < SECONDS_MAX:
        with socket.create_connection((HOST, server.port), timeout=SECONDS_MAX) as connection:
            connection.sendall(b'INFO clients\r\nQUIT\r\n')
            if b'blocked_clients:1' in connection.makefile('rb').read():
                return
        time.sleep(0.01)
    check(False, 'no client waits')


def pauses(complaints):
    return [float(re.search(r'; again in (\d+\.\d\d) s$', line).group(1)) for line in complaints]


def check_backoff(program, server):
    """The pauses double from 0.1 s on, less up to a half; also where the server takes connections."""
    server.kill()
    refuses = Program(program, server.port, 0.1, 'channel')
    with socket.create_server((HOST, 0)) as listener:
        def turn_away():
            while True:
                try:
                    listener.accept()[0].close()
                except OSError:
                    return
        threading.Thread(target=turn_away, daemon=True).start()
        closes = Program(program, listener.getsockname()[1], 0.1, 'channel')
        for one in refuses, closes:
            check(one.waits_for_complaints(6), one.complaints)
            for number, pause in enumerate(pauses(one.complaints)[:6]):
                check(0.04 * 2 ** number <= pause <= 0.11 * 2 ** number, f'{number}: {one.complaints}')
            status, out = one.end(signal.SIGINT)
            check((status, out) == (130, ''), f'interrupted in a pause: {status} {out} {one.complaints}')
        listener.shutdown(socket.SHUT_RDWR)
    server.start()


def check_nonsense(program):
    """A server that is none."""
    half = b'$5\r\nhal'
    for answer, words in [(b'?!\r\n', 'Protocol error'), (b'HTTP/1.1 400 Bad Request\r\n', 'Protocol error'),
                          (b'+OK\r\n', 'nobody has asked'), (half, 'has closed the connection')]:
        with socket.create_server((HOST, 0)) as listener:
            listener.settimeout(SECONDS_MAX)
            one = Program(program, listener.getsockname()[1], SECONDS_MAX)
            connection, _ = listener.accept()
            connection.sendall(answer)
            if answer == half:
                connection.shutdown(socket.SHUT_WR)
            check(one.waits_for_complaints(1) and words in one.complaints[0], f'{answer}: {one.complaints}')
            again, _ = listener.accept()
            check(one.end()[0] == 0, f'{answer}: {one.complaints}')
            connection.close()
            again.close()


# ---- Channels -----------------------------------------------------------------------------------------

def check_channels(program, server):
    one = Program(program, server.port, 5, 'news', 'weather')
    for restart in range(3):
        check(sorted([one.line(), one.line()]) == ['news: subscribed', 'weather: subscribed'], 'subscribed')
        for number in range(100):
            check(server.ask(f'PUBLISH news {number}') == ':1', 'one subscriber')
        server.ask('PUBLISH elsewhere x')
        server.ask('PUBLISH weather \x1b[2J')
        check([one.line() for _ in range(100)] == [f'news: {number}' for number in range(100)], 'the news')
        check(one.line() == 'weather: \\x1b[2J', 'the weather')
        if restart < 2:
            server.kill()
            server.start()
    status, out = one.end(signal.SIGINT)
    check(status == 130 and out == '', f'interrupted: {status} {out}')
    # One that is not let in.
    server.ask('CONFIG SET requirepass secret')
    one = Program(program, server.port, 5, 'news')
    check(one.waits_for_complaints(3) and 'NOAUTH' in one.complaints[0], one.complaints)
    check(pauses(one.complaints)[2] > 0.15, f'errors do not shorten the pauses: {one.complaints}')
    check(one.end(signal.SIGTERM)[1] == '', 'nothing')
    with socket.create_connection((HOST, server.port), timeout=SECONDS_MAX) as connection:
        connection.sendall(b'AUTH secret\r\nCONFIG SET requirepass ""\r\n')
        check(connection.makefile().read(8) == '+OK\n+OK\n', 'let in again')


def check_interrupt(program, server):
    one = Program(program, server.port, SECONDS_MAX)
    for _ in range(1500):  # more than may be under way
        one.say('blpop nothing 0')
    wait_for_blocked(server)
    status, out = one.end(signal.SIGINT)
    check(status == 130 and out == '' and one.complaints == [],
          f'interrupted: {status} {out} {one.complaints}')


if not shutil.which('redis-server'):
    print('no Redis server here')
    sys.exit(77)
with Server() as the_server:
    the_server.start()
    for one_check in [check_answers, check_many, check_times, check_restart, check_channels, check_interrupt,
                      check_backoff]:
        one_check(sys.argv[1], the_server)
check_pipeline(sys.argv[1])
check_nonsense(sys.argv[1])
sys.exit(1 if failed else 0)
