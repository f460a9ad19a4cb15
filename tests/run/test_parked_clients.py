#!/usr/bin/python3
"""
Servers whose idle clients are parked: what one costs, and that it is served again.

    test_parked_clients.py PARKED [HTTP]     (31_parked, 13_http_server)

1,000 clients, and 100,000 of 31_parked in a thorough check.
"""
import faulthandler
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 600 if 'ASYNCIO_TEST_LARGE' in os.environ else 100
# A task that waits in its place would take 5,000. Sanitizers take more for themselves.
BYTES_MAX = 10000000 if 'ASAN_OPTIONS' in os.environ else 800
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


def check_program(program, clients, servers, descriptors):
    def bounded():
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    done = subprocess.run([program, str(clients)], capture_output=True, text=True, timeout=SECONDS_MAX,
                          preexec_fn=bounded)
    print(done.stdout, done.stderr, sep='')
    check((done.returncode, done.stderr) == (0, ''), done.returncode)
    said = re.fullmatch(
        r'(\d+) clients of (\d+) servers are parked: (-?\d+) bytes each\nall have asked again\n', done.stdout)
    check(said and int(said[1]) == clients and int(said[2]) == servers, done.stdout)
    check(said and int(said[3]) <= BYTES_MAX, 'no client has a task')


def own_bytes(process):
    text = Path(f'/proc/{process.pid}/smaps_rollup').read_text()
    return int(re.search(r'Anonymous: +(\d+)', text).group(1)) * 1024


GET = b'GET / HTTP/1.1\r\nHost: here\r\n\r\n'


def ask(client, request=GET, answers=1):
    client.sendall(request)
    text = b''
    while text.count(b'Hello, world!\n') < answers:
        part = client.recv(4096)
        if not part:
            break
        text += part
    check(text.count(b'HTTP/1.1 200 OK\r\n') == answers, text)


def check_http(program, count=1000):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 200, most), most))
    process = subprocess.Popen([program, '0'], stdout=subprocess.PIPE, text=True)
    port = int(re.search(r'\d+', process.stdout.readline()).group())
    clients = [socket.create_connection(('127.0.0.1', port), timeout=SECONDS_MAX) for _ in range(count)]
    few = count // 10
    for client in clients[:few]:
        ask(client)
    before = own_bytes(process)
    for client in clients[few:]:
        ask(client)
    each = (own_bytes(process) - before) / (count - few)
    print(f'13_http_server: {each:.0f} bytes for a parked client')
    check(each <= BYTES_MAX + 200, 'no client has a task between its requests')  # pages of the first ones
    # A request that comes in two pieces, the first of them with the one before.
    for client in clients[:few]:
        ask(client, GET + GET[:10])
        ask(client, GET[10:] + b'\r\n')
        ask(client, GET * 3, 3)
    process.send_signal(signal.SIGINT)
    check(process.wait(SECONDS_MAX) == 130, f'status {process.returncode}')
    for client in clients:
        check(client.recv(1) == b'', 'those that are parked see the end')


check_program(sys.argv[1], 1000, 5, 300)
if 'ASYNCIO_TEST_LARGE' in os.environ:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    check_program(sys.argv[1], 100000, -(-100000 // min(most - 64, 14000)), most)
if len(sys.argv) > 2:
    check_http(sys.argv[2])
sys.exit(1 if failed else 0)
