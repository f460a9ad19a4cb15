"""
References, counted by a debug build of Python (see test_leaks.py): transports and streams, whatever becomes
of them, leave none behind.
"""
import asyncio
import gc
import socket
import unittest
import warnings

from test_leaks import LeakTest


async def connect(factory):
    ours, peer = socket.socketpair()
    transport, protocol = await asyncio.get_running_loop().create_connection(factory, sock=ours)
    return transport, protocol, peer


class Protocol(asyncio.Protocol):
    def __init__(self):
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)
        if data == b'fail':
            raise ValueError

    def connection_lost(self, exc):
        self.lost.set_result(None)


class Buffered(asyncio.BufferedProtocol):
    def __init__(self):
        self.buffer, self.lost = bytearray(10), asyncio.get_running_loop().create_future()

    def get_buffer(self, hint):
        return self.buffer if len(self.buffer) else 5

    def buffer_updated(self, n):
        pass

    def connection_lost(self, exc):
        self.lost.set_result(None)


async def use_transports():
    for data in (b'x', bytearray(b'y' * 5000), memoryview(b'z' * 10000)):
        transport, protocol, peer = await connect(Protocol)
        for _ in range(20):
            transport.write(data)
        transport.writelines([b'a', b'b', data])
        repr(transport)
        transport.user_attribute = transport
        peer.send(b'hello')
        await asyncio.sleep(0)
        transport.pause_reading()
        transport.resume_reading()
        peer.close()
        await protocol.lost
    transport, protocol, peer = await connect(Protocol)
    transport.write(b'x' * 1000000)
    transport.abort()
    await protocol.lost
    peer.close()


async def use_failures():
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    for data in ('text', None, memoryview(b'abc')[::2]):
        transport, protocol, peer = await connect(Protocol)
        try:
            transport.write(data)
        except TypeError:
            transport.abort()
        await protocol.lost
        transport.write(b'late')
        peer.close()
    transport, protocol, peer = await connect(Protocol)
    peer.send(b'fail')
    await protocol.lost
    peer.close()
    for how in ('', 'empty'):
        transport, protocol, peer = await connect(Buffered)
        if how:
            protocol.buffer = b''
        peer.send(b'hello')
        await asyncio.sleep(0)
        peer.close()
        await protocol.lost


async def use_dropped():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        transport, protocol, peer = await connect(Protocol)
        await asyncio.sleep(0)
        transport.pause_reading()
        protocol = transport = None
        gc.collect()
        peer.close()


async def use_streams():
    ours, peer = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours, limit=20)
    peer.send(b'line\nanother\nrest12345678')
    await reader.readline()
    await reader.readuntil(b'er\n')
    await reader.readexactly(4)
    await reader.read(3)
    writer.write(b'x')
    await writer.drain()
    task = asyncio.create_task(reader.readline())
    await asyncio.sleep(0)
    peer.send(b'x' * 50)
    for call in (lambda: task, lambda: reader.readexactly(-1), lambda: reader.readuntil(b''),
                 lambda: reader.readexactly(1000)):
        waiting = asyncio.ensure_future(call())
        peer.close()
        try:
            await waiting
        except (ValueError, ConnectionError, asyncio.IncompleteReadError):
            pass
    for name in ('read', 'readline', 'readexactly'):
        task = asyncio.create_task(getattr(reader, name)(*[5] * (name == 'readexactly')))
        await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass
    operation = reader.read(5)
    operation.close()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        reader.readline()
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def use_server():
    async def serve(reader, writer):
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
        writer.close()
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b'x' * 300000)
    drain = asyncio.create_task(writer.drain())
    await reader.readexactly(300000)
    await drain
    writer.write_eof()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


class TransportLeakTest(LeakTest):
    pass


for name in list(vars(LeakTest)):
    if name.startswith('test_'):
        setattr(TransportLeakTest, name, None)  # the base's are run in its own module
for use in (use_transports, use_failures, use_dropped, use_streams, use_server):
    setattr(TransportLeakTest, f'test_{use.__name__}',
            lambda self, use=use: self.check(lambda loop: loop.run_until_complete(use())))
del LeakTest

if __name__ == '__main__':
    unittest.main()
