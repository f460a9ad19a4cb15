#!/usr/bin/python3
"""
What people try first: socat at the other end of our servers, and of our clients.

    test_socat.py ECHO FORWARDER RELAY

The last one is tests/run/relay.c. TLS with socat is in tests/tls/test_peers.py.
"""
import faulthandler
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

TIMEOUT_S = 40
folder = tempfile.mkdtemp(prefix='asyncio-socat-')
failed = 0


def check(condition, *what):
    global failed
    if not condition:
        failed += 1
        print('FAILED:', *what)


def socat(address, data, *options):
    """Sends data and its end to an address; returns all that comes back until the other's end."""
    done = subprocess.run(['socat', *options, '-t', str(TIMEOUT_S), '-', address], input=data,
                          capture_output=True, timeout=TIMEOUT_S)
    check(done.returncode == 0 and done.stderr == b'', address, done.returncode, done.stderr)
    return done.stdout


class Running:
    """A program while the block lasts, which has said where it listens; a signal ends it."""

    def __init__(self, *command, ends=signal.SIGINT, status=130):
        self.ends, self.status = ends, status
        self.log = open(os.path.join(folder, 'log'), 'w+')
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        self.port = None
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            found = re.search(r'listening on (?:port |AF=2 127.0.0.1:)?(.+)\n', self.said())
            if found:
                self.port = found.group(1)
                return
            time.sleep(0.01)
        check(False, command, 'does not listen:', self.said())

    def said(self):
        with open(self.log.name) as file:
            return file.read()

    def __enter__(self):
        os.unlink(self.log.name)
        return self

    def __exit__(self, *_):
        self.process.send_signal(self.ends)
        status = self.process.wait(TIMEOUT_S)
        self.log.seek(0)
        said = self.log.read()
        check(status == self.status, self.process.args, status, said)
        check(self.ends != signal.SIGINT or said.count('\n') == 1, self.process.args, said)


def socat_serving(*addresses):
    """socat as a server, which tells with two -d where it listens."""
    return Running('socat', '-d', '-d', *addresses, ends=signal.SIGTERM, status=143)


NOTHING, LITTLE, MUCH = b'', b'hello\nworld\n', os.urandom(3_000_000)


def check_tcp(echo, forwarder):
    with Running(echo, 0) as server, Running(forwarder, 0, '127.0.0.1', server.port) as forward:
        for port in server.port, forward.port:
            for data in NOTHING, LITTLE, MUCH:
                check(socat(f'TCP:127.0.0.1:{port}', data) == data, 'TCP', port, len(data))


def check_forwarded_to(forwarder):
    with socat_serving('TCP-LISTEN:0,bind=127.0.0.1,fork', 'EXEC:tr a-z A-Z') as target:
        with Running(forwarder, 0, '127.0.0.1', target.port) as forward:
            for data in NOTHING, LITTLE, LITTLE * 200_000:
                check(socat(f'TCP:127.0.0.1:{forward.port}', data) == data.upper(), 'forwarded', len(data))
    # socat leaves after one line: its end is ours, and no error.
    with socat_serving('TCP-LISTEN:0,bind=127.0.0.1,fork', 'SYSTEM:read line; echo "$line"') as target:
        with Running(forwarder, 0, '127.0.0.1', target.port) as forward:
            check(socat(f'TCP:127.0.0.1:{forward.port}', LITTLE) == b'hello\n', 'one line')


def check_unix(relay, kind, name, target):
    """`kind` is socat's word; to us an abstract name begins with @."""
    mark = '@' if kind == 'ABSTRACT' else ''
    with socat_serving(f'{kind}-LISTEN:{target},fork', 'EXEC:cat'):
        with Running(relay, mark + name, mark + target):
            for data in NOTHING, LITTLE, MUCH:
                check(socat(f'{kind}-CONNECT:{name}', data) == data, kind, len(data))
        check(not os.path.exists(name), 'the socket is removed')


check_tcp(*sys.argv[1:3])
check_forwarded_to(sys.argv[2])
check_unix(sys.argv[3], 'UNIX', os.path.join(folder, 'ours'), os.path.join(folder, 'theirs'))
check_unix(sys.argv[3], 'ABSTRACT', folder + '.ours', folder + '.theirs')
for left in os.listdir(folder):
    os.unlink(os.path.join(folder, left))
os.rmdir(folder)
sys.exit(1 if failed else 0)
