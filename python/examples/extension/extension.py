"""
Coroutines in C beside coroutines in Python: an echo server in Python, four clients in C, and a computation.

The module echo_client is in echo_client.c; `make python` builds it.
"""
import asyncio
import time

import echo_client
import libasyncio


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def tick(ticks):
    while True:
        await asyncio.sleep(0.001)
        ticks.append(time.monotonic())


async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    host, port = server.sockets[0].getsockname()

    async with server:
        sizes = await asyncio.gather(*[echo_client.echo(host, port, 100) for _ in range(4)])
        print('echoed', sizes, 'bytes')

    # Python's tasks go on while C computes.
    ticks = []
    ticker = asyncio.create_task(tick(ticks))
    primes = await echo_client.count_primes(100_000)
    ticker.cancel()
    print(primes, 'primes;', 'Python went on meanwhile' if ticks else 'Python stood still')

    # An error of C's is an exception of Python's, and wait_for cancels a coroutine in C.
    try:
        await echo_client.echo('127.0.0.1', port, 1)
    except ConnectionRefusedError as error:
        print('refused:', error.strerror)
    silent = await asyncio.start_server(lambda reader, writer: None, '127.0.0.1', 0)
    try:
        await asyncio.wait_for(echo_client.echo(*silent.sockets[0].getsockname(), 1), 0.05)
    except TimeoutError:
        print('timed out')
    silent.close()


libasyncio.run(main())
