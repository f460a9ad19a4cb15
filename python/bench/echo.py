"""
An echo server, by the loop that is named: a protocol, a BufferedProtocol, streams, or a coroutine in C. It
starts the program that asks, and serves until that one ends.

    echo.py LOOP MANNER load CONNECTIONSxBYTES    (bench/echo_load, by BENCH_ECHO_LOAD)
    echo.py LOOP MANNER count CONNECTIONS ROUNDS  (ask.py)

MANNER is protocol, buffered, streams or coroutine.
"""
import asyncio
import os
import socket
import sys

from loops import run


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = memoryview(bytearray(65536))

    def get_buffer(self, size_hint):
        return self.buffer

    def buffer_updated(self, count):
        self.transport.write(self.buffer[:count])


async def serve_stream(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionResetError:
        pass  # how the load ends
    finally:
        writer.close()


class CoroutineServer:
    """Has a coroutine in C serve, which Python awaits, and nothing else."""

    def __init__(self):
        import echo_server
        self.sockets = [socket.create_server(('127.0.0.1', 0), backlog=4096)]
        self.sockets[0].setblocking(False)
        self.task = asyncio.create_task(echo_server.serve(self.sockets[0].fileno()))

    def close(self):
        self.task.cancel()


async def start_server(manner):
    if manner == 'coroutine':
        return CoroutineServer()
    if manner == 'streams':
        return await asyncio.start_server(serve_stream, '127.0.0.1', 0, backlog=4096)
    protocol = {'protocol': Echo, 'buffered': BufferedEcho}[manner]
    return await asyncio.get_running_loop().create_server(protocol, '127.0.0.1', 0, backlog=4096)


async def main(manner, *asker):
    """Serves until the program ends that asks."""
    server = await start_server(manner)
    words = [str(server.sockets[0].getsockname()[1]) if word == 'PORT' else word for word in asker]
    load = await asyncio.create_subprocess_exec(*words)
    if await load.wait():
        sys.exit(1)
    server.close()


if __name__ == '__main__':
    loop, manner, how, *rest = sys.argv[1:]
    if how == 'load':
        asker = [os.environ['BENCH_ECHO_LOAD'], 'PORT', str(os.getpid()), *rest]
    else:
        asker = [sys.executable, os.path.join(os.path.dirname(__file__), 'ask.py'), 'PORT', *rest]
    run(loop, main(manner, *asker))
