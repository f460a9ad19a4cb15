#!/usr/bin/python3
"""
One writer and many clients, of whom most never read:

    test_broadcast.py PROGRAM     (26_broadcast)

200 clients, and 5,000 in a thorough check. Those that read get every line, those that read now and then
as well; all others are dropped, and the memory is bounded.
"""
import faulthandler
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 100
COUNT = 5000 if 'ASYNCIO_TEST_LARGE' in os.environ else 200
BEHIND_BYTES, LINE = 16384, b'x' * 4095 + b'\n'
LINES = 40      # far more than the buffers of one that does not read
NOW_AND_THEN = 5
# Of the program, beside what it queues: a stream, its client and so on; and what it has had from the first.
CLIENT_BYTES, OWN_BYTES = 1536, 4 << 20
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


def connect(port):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(SECONDS_MAX)
    client.connect(('127.0.0.1', port))
    return client


def say(process, line):
    process.stdin.write(line)
    process.stdin.flush()


def wait_for_all(process, clients):
    """Clients are accepted in turn: a line that the last one gets is for all."""
    poll = select.poll()
    poll.register(clients[-1], select.POLLIN)
    while not poll.poll(100):
        say(process, b'hello\n')
    say(process, b'go\n')
    for client in clients:
        text = b''
        while not text.endswith(b'go\n'):
            text += client.recv(1)


def read_exactly(client, n):
    data = b''
    while len(data) < n:
        part = client.recv(n - len(data))
        if not part:
            break
        data += part
    return data


def write_lines(process, readers, sloths):
    for number in range(1, LINES + 1):
        say(process, LINE)
        for client in readers:
            check(read_exactly(client, len(LINE)) == LINE, f'line {number} for one that reads')
        if number % NOW_AND_THEN == 0:
            for client in sloths:
                check(read_exactly(client, NOW_AND_THEN * len(LINE)) == LINE * NOW_AND_THEN,
                      f'line {number} for one that reads now and then')


def check_end(process, readers, deaf):
    process.stdin.close()
    for client in readers:
        check(client.recv(1) == b'', 'the end, after all lines')
    for client in deaf:
        try:
            while client.recv(65536):
                pass
            check(False, 'one that was dropped is told by a reset')
        except ConnectionResetError:
            pass


def peak_bytes(process):
    status = Path(f'/proc/{process.pid}/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+)', status).group(1)) * 1024


most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(COUNT + 1000, most), most))
process = subprocess.Popen([sys.argv[1], '0'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
port = int(re.match(rb'listening on port (\d+)', process.stdout.readline()).group(1))
clients = [connect(port) for _ in range(COUNT)]
wait_for_all(process, clients)
readers, sloths = clients[::10], clients[1::10]
deaf = [client for number, client in enumerate(clients) if number % 10 > 1]
before = peak_bytes(process)
write_lines(process, readers, sloths)
grown = peak_bytes(process) - before
check_end(process, readers + sloths, deaf)
text = process.stdout.read().decode()
check(process.wait(SECONDS_MAX) == 0, f'status {process.returncode}')
lines, count, dropped, queued = map(int, re.findall(r'\d+', text))
print(text, f'memory grew by {grown} bytes, {grown / COUNT:.0f} for each of {COUNT} clients', sep='')
check(lines > LINES and count == COUNT, 'lines and clients')
check(dropped == len(deaf), 'all that did not read are dropped, and nobody else')
check(queued <= COUNT * (BEHIND_BYTES + len(LINE)), 'what is queued has a bound')
if 'ASAN_OPTIONS' not in os.environ:
    check(grown <= COUNT * (BEHIND_BYTES + len(LINE) + CLIENT_BYTES) + OWN_BYTES, 'so has the memory')
sys.exit(1 if failed else 0)
