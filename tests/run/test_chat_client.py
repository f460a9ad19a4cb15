#!/usr/bin/python3
"""
The chat client, at a terminal that this program plays, and without one:

    test_chat_client.py CHAT_CLIENT CHAT_SERVER
"""
import faulthandler
import fcntl
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import time

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 50
failures = 0


def check(condition, what):
    global failures
    if not condition:
        failures += 1
        print(f'FAILED: {what}')


class Server:
    def __init__(self, program):
        self.process = subprocess.Popen([program, '0'], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[3])

    def __enter__(self):
        return self

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=SECONDS_MAX)

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.stop()


class Guest:
    """Somebody else in the room."""

    def __init__(self, port, name):
        self.socket = socket.create_connection(('localhost', port), timeout=SECONDS_MAX)
        self.file = self.socket.makefile('rb')
        self.line()
        self.say(name)
        self.line()

    def say(self, text):
        self.socket.sendall(text.encode() + b'\n')

    def line(self):
        return self.file.readline().decode()


class Terminal:
    """The client at a terminal of its own."""

    def __init__(self, program, port, ignores_hangup=False):
        self.controller, self.terminal = pty.openpty()
        self.before = self.state()
        self.shown = ''

        def begin():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            if ignores_hangup:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)

        self.process = subprocess.Popen([program, str(port)], stdin=self.terminal, stdout=self.terminal,
                                        stderr=subprocess.PIPE, start_new_session=True, preexec_fn=begin)

    def state(self):
        return termios.tcgetattr(self.terminal), fcntl.fcntl(self.terminal, fcntl.F_GETFL)

    def type(self, text):
        os.write(self.controller, text.encode())

    def wait_for(self, words):
        """Everything shown through these words."""
        end = time.monotonic() + SECONDS_MAX
        while words not in self.shown and time.monotonic() < end:
            if select.select([self.controller], [], [], 0.1)[0]:
                self.shown += os.read(self.controller, 65536).decode()
        check(words in self.shown, f'{words!r} in {self.shown!r}')
        seen, _, self.shown = self.shown.partition(words)
        return seen + words

    def end(self, status, words=''):
        errors = self.process.communicate(timeout=SECONDS_MAX)[1].decode()
        check(self.process.returncode == status, f'status {self.process.returncode}, not {status}: {errors}')
        check(words in errors if words else errors == '', f'{words!r} in {errors!r}')
        check(self.state() == self.before, 'the terminal is as it was')
        os.close(self.terminal)
        os.close(self.controller)


def join(program, server, name='Ann'):
    terminal = Terminal(program, server.port)
    terminal.wait_for('Your name, please:\r\n> ')
    terminal.type(name + '\n')
    terminal.wait_for(f'* {name} has come\r\n> ')
    return terminal


def check_talk(program, server_program):
    with Server(server_program) as server:
        ben = Guest(server.port, 'Ben')
        ann = join(program, server)
        check(ann.state() == ann.before, 'the terminal stays as it is meanwhile')
        check(ben.line() == '* Ann has come\n', 'come')
        ann.type('hello\n')
        check(ben.line() == 'Ann: hello\n', 'heard')
        ann.wait_for('hello\r\n> ')  # the echo, and the next prompt
        ann.type('half a li')  # while she types, somebody speaks
        ben.say('you too\x1b[2J')
        ann.wait_for('Ben: you too?[2J\r\n> ')  # which does not clear her screen
        ann.type('ne\n')
        check(ben.line() == 'Ann: half a line\n', 'nothing typed is lost')
        ann.type('\x04')
        check(ben.line() == '* Ann has left\n', 'the end of the input is the end of the visit')
        ann.end(0)


def check_ends(program, server_program):
    with Server(server_program) as server:
        ann = join(program, server)
        ann.type('\x03')
        ann.end(130)
        ann = join(program, server)
        ann.process.send_signal(signal.SIGTERM)
        ann.end(143)
        ann = join(program, server)
        server.stop()
        ann.wait_for('* good night\r\n> ')
        ann.end(1, 'the server has closed the connection')
        nobody = Terminal(program, server.port)
        nobody.end(1, 'connection refused')


def check_hangup(program, server_program):
    with Server(server_program) as server:
        ben = Guest(server.port, 'Ben')
        for ignores in False, True:
            ann = Terminal(program, server.port, ignores)
            ann.wait_for('please:\r\n> ')
            ann.type('Ann\n')
            ann.wait_for('come\r\n> ')
            os.close(ann.terminal)
            os.close(ann.controller)
            ann.process.communicate(timeout=SECONDS_MAX)
            check(ben.line() == '* Ann has come\n' and ben.line() == '* Ann has left\n', 'she is gone')
            # The end of the input comes a moment before the signal, which may find nobody any more.
            ways = [1] if ignores else [1, -signal.SIGHUP]
            check(ann.process.returncode in ways, f'status {ann.process.returncode}')


def check_pipes(program, server_program):
    with Server(server_program) as server:
        ben = Guest(server.port, 'Ben')
        command = [program, str(server.port), '127.0.0.1']
        done = subprocess.run(command, input='Bot\none\ntwo', capture_output=True, text=True,
                              timeout=SECONDS_MAX)
        check(done.returncode == 0 and done.stderr == '', f'{done.returncode}: {done.stderr}')
        check(done.stdout == 'Your name, please:\n* Bot has come\n', f'no prompt in {done.stdout!r}')
        for line in ['* Bot has come\n', 'Bot: one\n', 'Bot: two\n', '* Bot has left\n']:
            check(ben.line() == line, line)
        # Nobody reads what it shows.
        reader, writer = os.pipe()
        os.close(reader)
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=writer, stderr=subprocess.PIPE,
                                   text=True)
        os.close(writer)
        errors = process.stderr.read()
        process.communicate(timeout=SECONDS_MAX)
        check(process.returncode == 1 and 'cannot show more: broken pipe' in errors.lower(), errors)
        closed = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX,
                                preexec_fn=lambda: os.close(0))
        check(closed.returncode == 1 and 'stdin and stdout are needed' in closed.stderr, closed.stderr)


def check_long_line(program):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        process = subprocess.Popen([program, str(listener.getsockname()[1]), '127.0.0.1'], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        server = listener.accept()[0]
        server.sendall(b'x' * 100000)
        errors = process.stderr.read()
        process.communicate(timeout=SECONDS_MAX)
        server.close()
        check(process.returncode == 1 and 'the server sends a line that is too long' in errors, errors)


check_talk(*sys.argv[1:])
check_ends(*sys.argv[1:])
check_hangup(*sys.argv[1:])
check_pipes(*sys.argv[1:])
check_long_line(sys.argv[1])
sys.exit(1 if failures else 0)
