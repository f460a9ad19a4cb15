#!/usr/bin/python3
"""
The pool of connections, with the servers played here: patient ones, and those that close whenever they like.

    test_connection_pool.py PROGRAM     (25_connection_pool)
"""
import asyncio
import faulthandler
import os
import re
import signal
import socket
import struct
import sys

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

PROGRAM = sys.argv[1]
REQUESTS = 20000 if 'ASYNCIO_TEST_LARGE' in os.environ else 400
LIMIT = 4
SECONDS_MAX = 50
failed = 0


def check(condition, what):
    global failed
    if not condition:
        failed += 1
        print(f'FAILED: {what}')


class Server:
    """Answers requests; `behave(number of the request on its connection, writer)` comes after each answer,
    and says whether the connection goes on."""

    def __init__(self, behave=None, words=b'', delay=None, tail=b''):
        self.behave, self.words, self.delay, self.tail = behave, words, delay, tail
        self.connections = self.now = self.most = self.requests = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, '127.0.0.1', 0)
        self.key = f'127.0.0.1:{self.server.sockets[0].getsockname()[1]}'
        return self

    async def __aexit__(self, *error):
        self.server.close()

    async def serve(self, reader, writer):
        self.connections += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            number = 0
            while True:
                await reader.readuntil(b'\r\n\r\n')
                number += 1
                self.requests += 1
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(b'HTTP/1.1 200 OK\r\n' + self.words + b'Content-Length: 5000\r\n\r\n' +
                             b'x' * 5000 + self.tail)
                await writer.drain()
                if self.behave and not self.behave(number, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        # The client may open the next one as soon as it sees the end of this one.
        self.now -= 1
        writer.close()


async def run(requests, seconds, *servers):
    keys = [server if isinstance(server, str) else server.key for server in servers]
    process = await asyncio.create_subprocess_exec(
        PROGRAM, str(requests), str(seconds), *keys,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, errors = await asyncio.wait_for(process.communicate(), SECONDS_MAX)
    return process.returncode, out.decode(), errors.decode()


async def check_reuse():
    async with Server() as a, Server() as b:
        status, out, errors = await run(REQUESTS, SECONDS_MAX, a, b)
        check((status, errors) == (0, ''), errors)
        for server in [a, b]:
            check(f'\n{server.key}: {server.connections} connections\n' in out, out)
        check(out.startswith(f'{REQUESTS} answers\n'), out)
        check(a.requests == b.requests == REQUESTS // 2, 'requests of each')
        check(1 <= a.connections <= LIMIT and 1 <= b.connections <= LIMIT, 'connections of each')


async def check_closing(behave, words=b''):
    """However the server ends its connections, each request has its answer, and nobody makes too many."""
    async with Server(behave, words) as server:
        status, out, errors = await run(REQUESTS, SECONDS_MAX, server)
        check((status, errors) == (0, ''), errors)
        check(out.startswith(f'{REQUESTS} answers\n'), out)
        check(server.connections > LIMIT, f'{server.connections} connections')
        return server


def closes_with_words(number, writer):
    return False


def closes_each_third(number, writer):
    return number < 3


def resets_each_third(number, writer):
    if number < 3:
        return True
    sock = writer.get_extra_info('socket')
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    return False


async def check_lies():
    """What nobody asked for would be taken for the next answer."""
    async with Server(tail=b'HTTP/1.1 500 Lie\r\nContent-Length: 0\r\n\r\n') as server:
        status, out, errors = await run(100, SECONDS_MAX, server)
        check((status, errors) == (0, '') and server.connections == 100, out)


async def check_times():
    # Nobody answers: all fail in their time, those that wait for a place as well.
    async with Server(delay=SECONDS_MAX) as server:
        status, out, errors = await run(20, 0.3, server)
        check(status == 1 and out.startswith('0 answers\n'), out)
        expected = f'{server.key}: no answer in time\n' * 20
        check(errors == expected + '25_connection_pool: 20 requests have failed (EIO)\n', errors)
    # A place is waited for.
    async with Server(delay=0.01) as server:
        status, out, errors = await run(100, SECONDS_MAX, server)
        check(status == 0 and server.most <= LIMIT and server.connections <= LIMIT, f'{server.most} at once')
    # Nobody there.
    with socket.create_server(('127.0.0.1', 0)) as closed:
        key = f'127.0.0.1:{closed.getsockname()[1]}'
    status, out, errors = await run(8, SECONDS_MAX, key)
    check(status == 1 and out == f'0 answers\n{key}: 0 connections\n', out)
    check(errors.count(f'{key}: connect to {key}: connection refused') == 8, errors)


async def main():
    await check_reuse()
    server = await check_closing(closes_with_words, b'Connection: close\r\n')
    check(server.connections == REQUESTS, 'one for each')
    check(server.most <= LIMIT + 1, f'{server.most} at once')
    for behave in [closes_each_third, resets_each_third]:
        await check_closing(behave)
    await check_lies()
    await check_times()


asyncio.run(main())
sys.exit(1 if failed else 0)
