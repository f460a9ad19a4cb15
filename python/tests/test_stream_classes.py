"""
Streams: asyncio's own tests of them on our classes, scenarios that must be told alike on asyncio's loop and
on ours, and what is ours alone.
"""
import asyncio
import collections.abc
import gc
import importlib
import inspect
import socket
import unittest
import unittest.mock
import weakref

import libasyncio
from libasyncio import _core

TIMEOUT_S = 60  # of a whole scenario: a hang is a failure


def load_tests(loader, tests, pattern):
    """asyncio's test_streams, where it is installed, with our classes in place of asyncio's."""
    try:
        module = importlib.import_module('test.test_asyncio.test_streams')
    except ImportError:
        return tests
    classes = {'StreamReader': _core.StreamReader, 'StreamWriter': _core.StreamWriter,
               'StreamReaderProtocol': _core.StreamReaderProtocol}

    class Patched(unittest.TestSuite):
        def run(self, result, debug=False):
            with unittest.mock.patch.multiple(asyncio, **classes):
                with unittest.mock.patch.multiple(asyncio.streams, **classes):
                    return super().run(result, debug)
    tests.addTest(Patched(loader.loadTestsFromModule(module)))
    return tests


async def open_pair(limit=2 ** 16, family=socket.AF_UNIX):
    """A reader and a writer, and the peer, a socket."""
    ours, peer = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours, limit=limit)
    peer.setblocking(False)
    return reader, writer, peer


def describe(exc):
    words = [type(exc).__name__, str(exc)]
    for name in ('partial', 'expected', 'consumed'):
        if hasattr(exc, name):
            words.append(getattr(exc, name))
    return tuple(words)


async def outcome(awaitable):
    try:
        return await awaitable
    except (Exception, asyncio.CancelledError) as exc:
        return describe(exc)


def state(reader):
    return (bytes(reader._buffer), reader._eof, reader._paused, reader._waiter is None, reader.at_eof(),
            reader._exception)


async def feed(reader, peer, data):
    """Sends data, and waits until the reader has it."""
    n = len(reader._buffer) + len(data)
    peer.send(data)
    while len(reader._buffer) < n and reader._waiter is None:
        await asyncio.sleep(0)


def run(make_loop, scenario, *args):
    log = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: log.append((context['message'],
                                                                     describe(context['exception']))))
        async with asyncio.timeout(TIMEOUT_S):
            await scenario(log, *args)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    gc.collect()
    return log


# What one may call, as words for a program below.
CALLS = {
    'read': lambda reader: reader.read(),
    'read -1': lambda reader: reader.read(-1),
    'read 0': lambda reader: reader.read(0),
    'read 3': lambda reader: reader.read(3),
    'read n=5': lambda reader: reader.read(n=5),
    'read 1000': lambda reader: reader.read(1000),
    'exactly 0': lambda reader: reader.readexactly(0),
    'exactly 4': lambda reader: reader.readexactly(4),
    'exactly 100': lambda reader: reader.readexactly(100),
    'exactly -1': lambda reader: reader.readexactly(-1),
    'line': lambda reader: reader.readline(),
    'until': lambda reader: reader.readuntil(),
    'until AB': lambda reader: reader.readuntil(b'AB'),
    'until AAB': lambda reader: reader.readuntil(separator=b'AAB'),
    'until bytearray': lambda reader: reader.readuntil(bytearray(b'\n')),
    'until nothing': lambda reader: reader.readuntil(b''),
}
INPUTS = [b'', b'abc', b'abcd\nefg', b'\n\n', b'xxAAAByyABzz\n', b'0123456789' * 3, b'line\n' * 20,
          b'A' * 25 + b'B',
          b'0123456789abcdef\n', b'0123456789abcdefg\n', b'0123456789abcdef0\n1\n']


class SameTest(unittest.TestCase):
    """Equal to asyncio's."""
    maxDiff = 4000

    def compare(self, scenario, *args):
        expected = run(asyncio.SelectorEventLoop, scenario, *args)
        self.assertEqual(run(libasyncio.new_event_loop, scenario, *args), expected)
        self.assertTrue(expected)

    def test_calls_on_what_is_there(self):
        async def scenario(log, ends):
            for data in INPUTS:
                for name, call in CALLS.items():
                    if name in ('read', 'read -1') and not ends:
                        continue
                    reader, writer, peer = await open_pair(limit=16)
                    await feed(reader, peer, data) if data else None
                    if ends:
                        peer.shutdown(socket.SHUT_WR)
                        while not reader._eof and not reader._paused:
                            await asyncio.sleep(0)
                    try:
                        async with asyncio.timeout(None if ends else 0):
                            log.append((data, name, await outcome(call(reader)), state(reader)))
                    except TimeoutError:
                        log.append((data, name, 'waits', state(reader)))
                    writer.close()
                    peer.close()
        self.compare(scenario, True)
        self.compare(scenario, False)

    def test_input_in_pieces(self):
        """Each call with input that comes a piece at a time, and ends or not."""
        async def scenario(log, size):
            for data in INPUTS[1:]:
                for name, call in CALLS.items():
                    if name in ('read 3', 'read n=5', 'read 1000', 'read 0', 'exactly 0'):
                        continue
                    reader, writer, peer = await open_pair(limit=16)
                    task = asyncio.create_task(outcome(call(reader)))
                    for i in range(0, len(data), size):
                        await asyncio.sleep(0)
                        if task.done():
                            break
                        n = len(reader._buffer)
                        peer.send(data[i:i + size])
                        while reader._waiter is not None and len(reader._buffer) == n and not task.done():
                            await asyncio.sleep(0)
                        for _ in range(3):
                            await asyncio.sleep(0)
                    peer.shutdown(socket.SHUT_WR)
                    log.append((data, name, await task))
                    log.append(await outcome(reader.read()))
                    writer.close()
                    peer.close()
        for size in (1, 2, 7):
            self.compare(scenario, size)

    def test_cancelled_at_each_point(self):
        """A call that is cancelled after so many pieces leaves all that came to the next one."""
        async def scenario(log, name, pieces, turns):
            reader, writer, peer = await open_pair()
            data = b'0123456789' * 3
            async def go():
                return await outcome(CALLS[name](reader))
            task = asyncio.create_task(go())
            for i in range(pieces):
                await asyncio.sleep(0)
                n = len(reader._buffer)
                peer.send(data[i * 3:i * 3 + 3])
                while len(reader._buffer) == n and not task.done():
                    await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            was_done = task.done()
            task.cancel()
            try:
                result = await task
            except asyncio.CancelledError:
                result = 'never began'
            log.append((name, pieces, was_done, result, state(reader)[3:]))
            peer.send(data[pieces * 3:])
            peer.shutdown(socket.SHUT_WR)
            rest = await reader.read()
            log.append((result if isinstance(result, bytes) else b'') + rest == data or rest)
            writer.close()
            peer.close()
        for name in ('read', 'read 1000', 'exactly 100', 'line', 'until AB'):
            for pieces in range(4):
                for turns in range(4):
                    self.compare(scenario, name, pieces, turns)

    def test_flow_control(self):
        async def scenario(log, size):
            reader, writer, peer = await open_pair(limit=1000)
            peer.setblocking(True)
            total = 300000
            sending = asyncio.to_thread(lambda: (peer.sendall(bytes(i % 251 for i in range(total))),
                                                 peer.shutdown(socket.SHUT_WR)))
            sending = asyncio.ensure_future(sending)
            received = bytearray()
            while True:
                block = await (reader.read(size) if size else reader.readexactly(2500)
                               if total - len(received) >= 2500 else reader.read())
                if not block:
                    break
                received += block
            await sending
            log.append(received == bytes(i % 251 for i in range(total)))
            log.append(state(reader))
            writer.close()
            await writer.wait_closed()
            peer.close()
        for size in (1, 100, 999, 5000, 1 << 20, 0):
            if size != 1:
                self.compare(scenario, size)

    def test_draining(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            loop = asyncio.get_running_loop()
            log.append(await outcome(writer.drain()))
            writer.write(b'x' * (1 << 20))
            drains = [asyncio.create_task(outcome(writer.drain())) for _ in range(3)]
            for _ in range(5):
                await asyncio.sleep(0)
            log.append([task.done() for task in drains])
            drains[1].cancel()
            log.append(await drains[1])
            n = 0
            while n < 1 << 20:
                n += len(await loop.sock_recv(peer, 1 << 20))
            log.append([await task for task in drains])
            writer.writelines([b'a', b'b'])
            log.append((await outcome(writer.drain()), await loop.sock_recv(peer, 10)))
            writer.write(b'x' * (1 << 20))
            drain = asyncio.create_task(outcome(writer.drain()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            peer.close()
            log.append(await drain)
            log.append(await outcome(writer.drain()))
            writer.close()
            log.append(await outcome(writer.wait_closed()))
            log.append(await outcome(writer.drain()))
            log.append(await outcome(reader.read(1)))
        self.compare(scenario)

    def test_draining_of_a_server(self):
        """Whose writers are ours."""
        async def scenario(log):
            async def serve(reader, writer):
                log.append((await reader.readline(), isinstance(writer, asyncio.StreamWriter)))
                for data in (b'head', bytearray(b'body'), memoryview(b'tail'), b''):
                    writer.write(data)
                    log.append(await outcome(writer.drain()))
                for bad in ('text', None):
                    try:
                        writer.write(bad)
                    except TypeError as exc:
                        log.append(str(exc))
                writer.write(b'x' * (8 << 20))
                log.append(await outcome(writer.drain()))
                log.append(await reader.read())
                writer.close()
                log.append(await outcome(writer.drain()))
                await writer.wait_closed()
                log.append(await outcome(writer.drain()))
                done.set()
            done = asyncio.Event()
            server = await asyncio.start_server(serve, '127.0.0.1', 0)
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b'hello\n')
            log.append(await reader.readexactly(12 + (8 << 20)) == b'headbodytail' + b'x' * (8 << 20))
            writer.write_eof()
            log.append(await reader.read())
            await done.wait()
            writer.close()
            server.close()
            await server.wait_closed()
        self.compare(scenario)

    def test_reset(self):
        async def scenario(log):
            with socket.create_server(('127.0.0.1', 0)) as listener:
                peer = socket.create_connection(listener.getsockname())
                ours, _ = listener.accept()
            reader, writer = await asyncio.open_connection(sock=ours)
            task = asyncio.create_task(outcome(reader.read()))
            await asyncio.sleep(0)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            peer.close()
            log.append(await task)
            for name, call in CALLS.items():
                log.append((name, await outcome(call(reader))))
            log.append((await outcome(writer.drain()), describe(reader.exception())))
            writer.close()
            log.append(await outcome(writer.wait_closed()))
        self.compare(scenario)

    def test_two_readers_at_once(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            first = asyncio.create_task(outcome(reader.read(1)))
            await asyncio.sleep(0)
            for name, call in CALLS.items():
                log.append((name, await outcome(call(reader))))
            peer.send(b'x')
            log.append(await first)
            writer.close()
            peer.close()
        self.compare(scenario)

    def test_waiting_for_a_time(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            for _ in range(3):
                log.append(await outcome(asyncio.wait_for(reader.readexactly(2), 0.001)))
            peer.send(b'a')
            log.append(await outcome(asyncio.wait_for(reader.readexactly(2), 0.01)))
            peer.send(b'b')
            log.append(await outcome(asyncio.wait_for(reader.readexactly(2), 10)))
            log.append(await asyncio.gather(asyncio.shield(outcome(reader.read(0))), writer.drain()))
            writer.close()
            peer.close()
        self.compare(scenario)

    def test_lines_by_iteration(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            peer.send(b'one\ntwo\nthree')
            peer.close()
            async for line in reader:
                log.append(line)
            writer.close()
        self.compare(scenario)

    def test_reader_that_is_gone(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            transport = writer.transport
            protocol = writer._protocol
            del reader, writer
            gc.collect()
            peer.send(b'nobody reads it')
            peer.close()
            while protocol._transport is not None and not transport.is_closing():
                await asyncio.sleep(0)
                if protocol._stream_reader is None:
                    break
            log.append(protocol._stream_reader)
            transport.abort()
        self.compare(scenario)

    def test_a_buffer_that_is_looked_at(self):
        """Nothing can be appended then, and the connection ends, as in asyncio."""
        async def scenario(log):
            reader, writer, peer = await open_pair()
            await feed(reader, peer, b'abc')
            with memoryview(reader._buffer):
                peer.send(b'def')
                while not writer.is_closing():
                    await asyncio.sleep(0)
            for _ in range(3):
                await asyncio.sleep(0)
            log.append(describe(reader.exception()))
            writer.close()
            peer.close()
        self.compare(scenario)

    def test_changed_limit(self):
        async def scenario(log):
            reader, writer, peer = await open_pair(limit=10)
            reader._limit = 1 << 20
            peer.send(b'x' * 5000 + b'\n')
            log.append(len(await reader.readline()))
            reader._limit = 1 << 100
            peer.send(b'x' * 5000 + b'\n')
            log.append(len(await reader.readline()))
            writer.close()
            peer.close()
        self.compare(scenario)


class OperationTest(unittest.TestCase):
    """An operation is a coroutine to all who look."""

    def run_ours(self, scenario):
        return run(libasyncio.new_event_loop, scenario)

    def test_classes(self):
        async def scenario(log):
            class Reader(asyncio.StreamReader):
                pass
            reader, writer, peer = await open_pair()
            log.append((type(reader), isinstance(reader, asyncio.StreamReader), type(writer)))
            writer.close()
            peer.close()
            ours, peer = socket.socketpair()
            loop = asyncio.get_running_loop()
            reader = Reader(loop=loop)
            transport, protocol = await loop.create_connection(
                lambda: asyncio.StreamReaderProtocol(reader, loop=loop), sock=ours)
            log.append((type(reader) is Reader, type(protocol)))
            transport.abort()
            peer.close()
        self.assertEqual(self.run_ours(scenario), [
            (_core.StreamReader, True, asyncio.StreamWriter), (True, asyncio.StreamReaderProtocol)])

    def test_a_coroutine_to_all_who_look(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            operation = reader.read(5)
            log.append((asyncio.iscoroutine(operation), inspect.isawaitable(operation),
                        isinstance(operation, collections.abc.Coroutine), operation.__qualname__,
                        operation.__name__, operation.cr_running, operation.cr_await))
            task = asyncio.create_task(operation)
            await asyncio.sleep(0)
            log.append(('StreamReader.read' in repr(task), operation.cr_await is reader._waiter,
                        task.get_stack()))
            peer.send(b'hello')
            log.append(await task)
            log.append(await outcome(operation))
            operation = reader.read(5)
            future = operation.send(None)
            log.append((future is reader._waiter, future._asyncio_future_blocking))
            try:
                operation.throw(ZeroDivisionError('thrown'))
            except ZeroDivisionError as exc:
                log.append((str(exc), reader._waiter))
            operation = reader.read(5)
            operation.send(None)
            operation.close()
            log.append(reader._waiter)
            operation = reader.read(0)
            try:
                operation.send(None)
            except StopIteration as exc:
                log.append(exc.value)
            operation = reader.readline()
            operation.close()
            operation.close()
            for args in ((5,), (ValueError, 'words'), (ValueError,), (ValueError('words'), None, None)):
                operation = reader.readline()
                try:
                    operation.throw(*args)
                except Exception as exc:
                    log.append(type(exc))
            operation = reader.readline()
            operation.send(None)
            try:
                operation.send(None)
            except RuntimeError as exc:
                log.append(str(exc))
            writer.close()
            peer.close()
        self.assertEqual(self.run_ours(scenario), [
            (True, True, True, 'StreamReader.read', 'read', False, None), (True, True, []), b'hello',
            ('RuntimeError', 'cannot reuse already awaited coroutine'), (True, True), ('thrown', None), None,
            b'', TypeError, ValueError, ValueError, ValueError, "await wasn't used with future"])

    def test_drain_sends(self):
        """What was written is on its way when drain() returns, before the callback does."""
        async def scenario(log):
            async def serve(reader, writer):
                writer.write(b'head')
                writer.write(b'body')
                await writer.drain()
                peer.setblocking(True)  # nobody else runs meanwhile
                peer.settimeout(TIMEOUT_S)
                log.append(peer.recv(100))
                writer.close()
                done.set()
            done = asyncio.Event()
            server = await asyncio.start_server(serve, '127.0.0.1', 0)
            peer = socket.create_connection(server.sockets[0].getsockname())
            await done.wait()
            peer.close()
            server.close()
            await server.wait_closed()
        self.assertEqual(self.run_ours(scenario), [b'headbody'])

    def test_never_awaited(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            with self.assertWarnsRegex(RuntimeWarning, "coroutine 'StreamReader.readline' was never awaited"):
                reader.readline()
            writer.close()
            peer.close()
        self.run_ours(scenario)

    def test_arguments(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            for call in (lambda: reader.read('a'), lambda: reader.read(1, 2), lambda: reader.read(m=1),
                         lambda: reader.readexactly(), lambda: reader.readexactly(None),
                         lambda: reader.readuntil(1, 2), lambda: reader.readline(1), lambda: writer.drain(1)):
                with self.assertRaises(TypeError):
                    call()
            writer.close()
            peer.close()
        self.run_ours(scenario)

    def test_circles_are_collected(self):
        async def scenario(log):
            reader, writer, peer = await open_pair()
            reference = weakref.ref(reader)
            operation = reader.read(5)
            operation.send(None)
            reader.operation = operation
            writer.transport.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            peer.close()
            del reader, writer, operation
            gc.collect()
            log.append(reference())
        self.assertEqual(self.run_ours(scenario), [None])

    def test_tracing(self):
        """A debugger, under which coroutines go another way."""
        import sys

        async def scenario(log):
            reader, writer, peer = await open_pair()
            sys.settrace(lambda *args: None)
            try:
                peer.send(b'hello')
                log.append(await reader.readexactly(5))
                await writer.drain()
            finally:
                sys.settrace(None)
            writer.close()
            peer.close()
        self.assertEqual(self.run_ours(scenario), [b'hello'])


if __name__ == '__main__':
    unittest.main()
