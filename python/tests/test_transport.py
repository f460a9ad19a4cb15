"""
Socket transports: each scenario runs on asyncio's own loop and on ours, and both must tell the same. What
only ours does, and what only ours could do wrong, comes behind.
"""
import asyncio
import contextvars
import gc
import hashlib
import logging
import os
import socket
import ssl
import struct
import threading
import unittest
import warnings
import weakref

import libasyncio

TIMEOUT_S = 60  # of a whole scenario: a hang is a failure
SIZES = [1, 2, 63, 64, 4095, 4096, 65535, 65536, 262144, 1 << 20]
RESET = struct.pack('ii', 1, 0)


class Recorder(asyncio.Protocol):
    """Notes what it is told. Runs of data_received count once, since packets are cut as the kernel likes."""

    def __init__(self, log, name=''):
        self.log, self.name, self.data = log, name, bytearray()
        self.lost = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()

    def note(self, *words):
        self.log.append((self.name, *words))

    def connection_made(self, transport):
        self.transport = transport
        self.note('made')

    def data_received(self, data):
        if not self.data:
            self.note('data', type(data).__name__)
        self.data += data

    def eof_received(self):
        self.note('eof', bytes(self.data[:100]), len(self.data))
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self):
        self.note('pause')

    def resume_writing(self):
        self.note('resume')

    def connection_lost(self, exc):
        self.note('lost', describe(exc))
        if not self.lost.done():
            self.lost.set_result(None)


def describe(exc):
    return exc and (type(exc).__name__, str(exc))


async def connect(factory, family=socket.AF_INET):
    """A transport with its protocol, and the peer: a blocking socket, used with sock_ calls of the loop."""
    loop = asyncio.get_running_loop()
    if family == socket.AF_UNIX:
        ours, peer = socket.socketpair()
    else:
        with socket.create_server(('127.0.0.1', 0)) as listener:
            peer = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
    peer.setblocking(False)
    transport, protocol = await loop.create_connection(factory, sock=ours)
    return transport, protocol, peer


async def receive_exactly(peer, n):
    loop, data = asyncio.get_running_loop(), bytearray()
    while len(data) < n:
        block = await loop.sock_recv(peer, 1 << 20)
        if not block:
            break
        data += block
    return bytes(data)


def run(make_loop, scenario, *args):
    log = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: log.append(
            ('handler', context['message'].replace('_Selector', ''), describe(context.get('exception')),
             sorted(context))))
        async with asyncio.timeout(TIMEOUT_S):
            await scenario(log, *args)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    gc.collect()
    return log


class Both(unittest.TestCase):
    maxDiff = 4000

    def compare(self, scenario, *args):
        expected = run(asyncio.SelectorEventLoop, scenario, *args)
        self.assertEqual(run(libasyncio.new_event_loop, scenario, *args), expected)
        self.assertTrue(expected)
        return expected


class SameTest(Both):
    """Equal to asyncio's."""

    def test_order_of_calls(self):
        async def scenario(log, keeps_open):
            class Protocol(Recorder):
                def eof_received(self):
                    super().eof_received()
                    return keeps_open
            transport, protocol, peer = await connect(lambda: Protocol(log))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(peer, b'hello')
            peer.shutdown(socket.SHUT_WR)
            await protocol.ended
            for _ in range(3):
                await asyncio.sleep(0)
            log.append(('closing', transport.is_closing(), transport.is_reading()))
            if keeps_open:
                transport.write(b'answer')
                log.append(await receive_exactly(peer, 6))
                transport.close()
                log.append(('size', transport.get_write_buffer_size(), transport.is_closing()))
            await protocol.lost
            log.append(await receive_exactly(peer, 1))
            log.append((transport.get_protocol(), transport._sock, transport._conn_lost))
            peer.close()
        for keeps_open in (True, False, None, 1):
            self.compare(scenario, keeps_open)

    def test_sizes_and_kinds(self):
        async def scenario(log, family, sizes, kind):
            class Echo(asyncio.Protocol):
                def connection_made(self, transport):
                    self.transport = transport

                def data_received(self, data):
                    self.transport.write(kind(data))
            transport, protocol, peer = await connect(Echo, family)
            loop = asyncio.get_running_loop()
            for n in sizes:
                data = bytes(i * 7 % 251 for i in range(min(n, 65536))) * (n // 65536 or 1)
                sending = asyncio.ensure_future(loop.sock_sendall(peer, data))
                back = await receive_exactly(peer, len(data))
                await sending
                log.append((n, back == data, transport.get_write_buffer_size()))
            transport.abort()
            peer.close()
        for family in (socket.AF_INET, socket.AF_UNIX):
            for kind in (bytes, bytearray, lambda data: memoryview(bytearray(data))):
                self.compare(scenario, family, SIZES, kind)
            self.compare(scenario, family, [64 << 20], bytes)

    def test_one_byte_at_a_time(self):
        async def scenario(log, family):
            transport, protocol, peer = await connect(lambda: Recorder(log), family)
            data = bytes(range(250)) * 8
            for i in range(len(data)):
                transport.write(data[i:i + 1])
            log.append(await receive_exactly(peer, len(data)) == data)
            loop = asyncio.get_running_loop()
            for i in range(len(data)):
                await loop.sock_sendall(peer, data[i:i + 1])
            peer.close()
            await protocol.ended
            log.append(protocol.data == data)
            await protocol.lost
        for family in (socket.AF_INET, socket.AF_UNIX):
            self.compare(scenario, family)

    def test_slow_reader(self):
        """Pausing, with limits of all kinds; what changes after the write does not change what is sent."""
        async def scenario(log, limits, sizes, kind):
            transport, protocol, peer = await connect(lambda: Recorder(log), socket.AF_UNIX)
            transport.set_write_buffer_limits(*limits)
            log.append(transport.get_write_buffer_limits())
            expected = hashlib.sha256()
            total = 0
            for n in sizes:
                data = kind(b'%c' % (n % 251) * n)
                expected.update(data)
                transport.write(data)
                if isinstance(data, bytearray):
                    data[:] = b'?' * n
                total += n
                log.append(('queued', transport.get_write_buffer_size()))
            transport.write_eof()
            transport.close()
            log.append(hashlib.sha256(await receive_exactly(peer, total)).digest() == expected.digest())
            log.append(await receive_exactly(peer, 1))
            await protocol.lost
            peer.close()
        for limits in ((), (0,), (10,), (1 << 20,), (None, 5), (300000, 299999), (1 << 80, 1)):
            for kind in (bytes, bytearray):
                self.compare(scenario, limits, [1000] * 700 + [3 << 20] + [1, 5000] * 50 + [0], kind)

    def test_refused_limits(self):
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder(log))
            for limits in ((1, 2), (-1,), (5, -1), (None, -1), ('a',)):
                try:
                    transport.set_write_buffer_limits(*limits)
                except Exception as exc:
                    log.append(describe(exc))
                log.append(transport.get_write_buffer_limits())
            transport.abort()
            peer.close()
        self.compare(scenario)

    def test_refused_writes(self):
        async def scenario(log):
            def attempt(data, method='write'):
                try:
                    log.append(getattr(transport, method)(data))
                except Exception as exc:
                    log.append(describe(exc))
            transport, protocol, peer = await connect(lambda: Recorder(log))
            for data in ('text', None, 1, [b'a'], object):
                attempt(data)
            for lines in ([b'a', b'', bytearray(b'b'), memoryview(b'c')], iter([b'd', b'e']), [], ['f'],
                          5):
                attempt(lines, 'writelines')
            attempt(memoryview(b'0123456789')[::2])  # not contiguous: ends the connection
            log.append((transport.is_closing(), transport._conn_lost))
            await protocol.lost
            log.append(await receive_exactly(peer, 100))
            for data in (b'', b'late', 'text', b'late', bytearray(b'late')):
                attempt(data)
            log.append(transport._conn_lost)
            transport.close()
            transport.abort()
            log.append((transport.get_extra_info('nothing', 7), transport.can_write_eof()))
            peer.close()
            transport, protocol, peer = await connect(lambda: Recorder(log))
            transport.write_eof()
            transport.write_eof()
            for data in (b'late', b'', 'text'):
                attempt(data)
            attempt([b'late'], 'writelines')
            transport.close()
            await protocol.lost
            peer.close()
        self.compare(scenario)

    def test_warning_of_lost_writes(self):
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder(log))
            transport.abort()
            with self.assertLogs('asyncio', 'WARNING') as logs:
                for _ in range(7):
                    transport.write(b'late')
            log.append(logs.output)
            await protocol.lost
            peer.close()
        self.compare(scenario)

    def test_reset(self):
        async def scenario(log, when):
            transport, protocol, peer = await connect(lambda: Recorder(log))
            if when == 'writing':
                transport.write(b'x' * (8 << 20))
            if when == 'paused':
                transport.pause_reading()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            peer.close()
            if when == 'paused':
                await asyncio.sleep(0)
                transport.resume_reading()
            await protocol.lost
            log.append((transport.is_closing(), transport.get_write_buffer_size()))
        for when in ('idle', 'writing', 'paused'):
            self.compare(scenario, when)

    def test_failing_callbacks(self):
        class Failure(Exception):
            pass

        async def scenario(log, method):
            class Protocol(Recorder):
                pass

            def fail(self, *args):
                self.note(method)
                raise Failure(method)
            setattr(Protocol, method, fail)
            transport, protocol, peer = await connect(lambda: Protocol(log), socket.AF_UNIX)
            loop = asyncio.get_running_loop()
            if 'writing' in method:
                transport.write(b'x' * (1 << 20))
                await receive_exactly(peer, 1 << 20)
            await loop.sock_sendall(peer, b'hello')
            peer.shutdown(socket.SHUT_WR)
            if method == 'connection_lost':
                await protocol.ended
                await asyncio.sleep(0)
            else:
                await protocol.lost
            for _ in range(3):
                await asyncio.sleep(0)
            peer.close()
        for method in ('data_received', 'eof_received', 'pause_writing', 'resume_writing', 'connection_lost'):
            self.compare(scenario, method)

    def test_fatal_exceptions(self):
        for error in (KeyboardInterrupt, SystemExit):
            for make_loop in (asyncio.SelectorEventLoop, libasyncio.new_event_loop):
                loop = make_loop()

                class Protocol(asyncio.Protocol):
                    def data_received(self, data):
                        seen.append(data)
                        if data == b'fatal':
                            raise error
                seen = []
                transport, _, peer = loop.run_until_complete(connect(Protocol))
                peer.send(b'fatal')
                with self.assertRaises(error):
                    loop.run_forever()
                peer.send(b'more')
                loop.call_later(0.01, loop.stop)
                while len(seen) < 2:
                    loop.call_later(0.01, loop.stop)
                    loop.run_forever()
                self.assertEqual(seen, [b'fatal', b'more'])
                transport.abort()
                loop.run_until_complete(asyncio.sleep(0))
                peer.close()
                loop.close()

    def test_pausing_reading(self):
        async def scenario(log):
            class Protocol(Recorder):
                def data_received(self, data):
                    self.data += data
                    self.transport.pause_reading()
                    self.note('paused', self.transport.is_reading())
                    loop.call_soon(self.go_on)

                def go_on(self):
                    self.transport.resume_reading()
                    self.note('resumed', self.transport.is_reading())
            loop = asyncio.get_running_loop()
            transport, protocol, peer = await connect(lambda: Protocol(log))
            transport.resume_reading()
            for _ in range(5):
                await loop.sock_sendall(peer, b'abc')
                n = len(log)
                while len(log) < n + 2:
                    await asyncio.sleep(0)
            transport.pause_reading()
            transport.pause_reading()
            await loop.sock_sendall(peer, b'while paused')
            for _ in range(20):
                await asyncio.sleep(0)
            log.append(bytes(protocol.data))
            transport.resume_reading()
            peer.close()
            await protocol.lost
            log.append(bytes(protocol.data))
            transport.pause_reading()
            transport.resume_reading()
            log.append(transport.is_reading())
        self.compare(scenario)

    def test_end_while_paused(self):
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder(log))
            transport.pause_reading()
            peer.send(b'x' * 1000)
            peer.close()
            for _ in range(10):
                await asyncio.sleep(0)
            transport.resume_reading()
            await protocol.lost
        self.compare(scenario)

    def test_full_reads_and_end(self):
        """Input of just the size of a read, or more, with the end right behind it."""
        async def scenario(log, family, n):
            with socket.create_server(('127.0.0.1', 0)) as listener:
                if family == socket.AF_UNIX:
                    ours, peer = socket.socketpair()
                    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
                else:
                    peer = socket.create_connection(listener.getsockname())
                    ours, _ = listener.accept()
            thread = threading.Thread(target=lambda: (peer.sendall(b'x' * n), peer.close()))
            thread.start()
            transport, protocol = await asyncio.get_running_loop().create_connection(
                lambda: Recorder(log), sock=ours)
            await protocol.lost
            thread.join()
        for family in (socket.AF_INET, socket.AF_UNIX):
            for n in (1, 262143, 262144, 262145, 3 << 20):
                self.compare(scenario, family, n)

    def test_buffered_protocol(self):
        async def scenario(log, size, give=None):
            class Protocol(asyncio.BufferedProtocol):
                def connection_made(self, transport):
                    self.transport, self.data = transport, bytearray()
                    self.buffer = bytearray(size)
                    self.lost = loop.create_future()

                def get_buffer(self, hint):
                    if not self.data:
                        log.append(hint)
                    return give() if give else memoryview(self.buffer)

                def buffer_updated(self, n):
                    self.data += self.buffer[:n]

                def eof_received(self):
                    log.append(('eof', bytes(self.data)))

                def connection_lost(self, exc):
                    log.append(('lost', describe(exc)))
                    self.lost.set_result(None)
            loop = asyncio.get_running_loop()
            transport, protocol, peer = await connect(Protocol)
            peer.sendall(b'0123456789' * 10)
            peer.shutdown(socket.SHUT_WR)
            await protocol.lost
            peer.close()

        def fail():
            raise ZeroDivisionError('no buffer')
        for size in (1, 2, 7, 100, 101, 1 << 20):
            self.compare(scenario, size)
        for give in (lambda: b'read-only', lambda: bytearray(), lambda: 5, lambda: None, fail):
            self.compare(scenario, 1, give)

    def test_switching_protocols(self):
        async def scenario(log):
            class Buffered(asyncio.BufferedProtocol):
                def __init__(self):
                    self.buffer = bytearray(100)

                def get_buffer(self, hint):
                    return self.buffer

                def buffer_updated(self, n):
                    log.append(('buffered', bytes(self.buffer[:n])))
                    turn.set()

                def connection_lost(self, exc):
                    log.append(('buffered lost', exc))

            class Plain(Recorder):
                def data_received(self, data):
                    self.note('data', data)
                    turn.set()
            turn = asyncio.Event()
            transport, protocol, peer = await connect(lambda: Plain(log, 'first'))
            protocols = [protocol, Buffered(), Plain(log, 'third')]
            for i in range(9):
                transport.set_protocol(protocols[i % 3])
                log.append(transport.get_protocol() is protocols[i % 3])
                turn.clear()
                peer.send(b'data %d' % i)
                await turn.wait()
            transport.close()
            await protocols[2].lost
            peer.close()
        self.compare(scenario)

    def test_ending_in_connection_made(self):
        async def scenario(log, how, n):
            class Protocol(Recorder):
                def connection_made(self, transport):
                    super().connection_made(transport)
                    transport.write(b'x' * n)
                    getattr(transport, how)()
                    self.note(how, transport.is_closing(), transport.is_reading())
            transport, protocol, peer = await connect(lambda: Protocol(log), socket.AF_UNIX)
            if how == 'abort':
                await protocol.lost
                log.append(len(await receive_exactly(peer, n)))
            else:
                log.append(len(await receive_exactly(peer, n)))
                if how == 'write_eof':
                    log.append(await receive_exactly(peer, 1))
                    transport.close()
                await protocol.lost
            peer.close()
        for how in ('close', 'abort', 'write_eof'):
            for n in (0, 10, 3 << 20):
                self.compare(scenario, how, n)

    def test_writing_in_resume_writing(self):
        async def scenario(log, ends, last):
            class Protocol(Recorder):
                rounds = 0

                def resume_writing(self):
                    super().resume_writing()
                    self.rounds += 1
                    if self.rounds < 4:
                        self.transport.write(b'y' * (1 << 20 if self.rounds < 3 else last))
                        self.note('written', self.transport._sock is None)  # lost, but not in here
            transport, protocol, peer = await connect(lambda: Protocol(log), socket.AF_UNIX)
            transport.write(b'x' * (1 << 20))
            if ends:
                getattr(transport, ends)()
            log.append(len(await receive_exactly(peer, (3 << 20) + last)))
            if ends == 'close':
                await protocol.lost
            else:
                transport.abort()
            peer.close()
        for ends in (None, 'close'):
            for last in (5, 70000):
                self.compare(scenario, ends, last)

    def test_no_delay_where_the_protocol_is_not_named(self):
        """asyncio leaves it out for a socket made by socket.socket() alone, which is one of TCP, too."""
        async def main():
            server = await asyncio.get_running_loop().create_server(asyncio.Protocol, '127.0.0.1', 0)
            for sock in socket.socket(), socket.socket(proto=socket.IPPROTO_TCP):
                sock.connect(server.sockets[0].getsockname())
                transport, _ = await asyncio.get_running_loop().create_connection(
                    asyncio.Protocol, sock=sock)
                self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                transport.close()
            server.close()

        libasyncio.run(main())

    def test_extra_info(self):
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder(log))
            sock = transport.get_extra_info('socket')
            log.append((transport.get_extra_info('peername') == peer.getsockname(),
                        transport.get_extra_info('sockname') == peer.getpeername(),
                        type(sock).__name__, sock.fileno() == transport._sock_fd,
                        transport.get_extra_info('sslcontext'), transport.get_extra_info('x', 'y')))
            for args in ((), (1, 2, 3), ([],)):
                try:
                    transport.get_extra_info(*args)
                except TypeError:
                    log.append('TypeError')
            transport.write(b'before the end')
            transport.get_extra_info('socket').shutdown(socket.SHUT_WR)
            log.append(await receive_exactly(peer, 100))
            transport.close()
            await protocol.lost
            peer.close()
        self.compare(scenario)

    def test_socket_closed_behind(self):
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder(log))
            sock = transport._sock
            fd = os.dup(sock.fileno())  # the event comes although the socket is closed
            sock.close()
            transport.write(b'nowhere')
            await protocol.lost
            os.close(fd)
            peer.close()
        self.compare(scenario)

    def test_contexts(self):
        variable = contextvars.ContextVar('variable', default='none')

        async def scenario(log):
            class Protocol(Recorder):
                def connection_made(self, transport):
                    super().connection_made(transport)
                    self.note(variable.get())

                def data_received(self, data):
                    self.note(variable.get())
                    variable.set(variable.get() + '!')
                    loop.call_soon(turn.set)

                def connection_lost(self, exc):
                    self.note(variable.get())
                    super().connection_lost(exc)
            loop, turn = asyncio.get_running_loop(), asyncio.Event()
            variable.set('outer')
            transport, protocol, peer = await connect(lambda: Protocol(log))
            variable.set('later')
            for _ in range(3):
                peer.send(b'x')
                await turn.wait()
                turn.clear()
            peer.close()
            await protocol.lost
            log.append(variable.get())
        self.compare(scenario)

    def test_thousand_connections(self):
        async def scenario(log):
            class Echo(asyncio.Protocol):
                def connection_made(self, transport):
                    self.transport = transport

                def data_received(self, data):
                    self.transport.write(data)

            class Client(asyncio.Protocol):
                def __init__(self, number):
                    self.data, self.number = b'', number

                def connection_made(self, transport):
                    self.transport = transport
                    transport.write(b'%06d' % self.number)

                def data_received(self, data):
                    self.data += data
                    if len(self.data) == 6 * 3:
                        self.transport.close()
                    elif len(self.data) % 6 == 0:
                        self.transport.write(b'%06d' % self.number)

                def connection_lost(self, exc):
                    results.append((self.number, self.data, exc))
                    if len(results) == 1000:
                        done.set_result(None)
            loop = asyncio.get_running_loop()
            results, done = [], loop.create_future()
            server = await loop.create_server(Echo, '127.0.0.1', 0, backlog=1000)
            address = server.sockets[0].getsockname()
            for start in range(0, 1000, 100):
                await asyncio.gather(*(loop.create_connection(lambda i=i: Client(i), *address)
                                       for i in range(start, start + 100)))
            await done
            log.append(sorted(results) == [(i, b'%06d' % i * 3, None) for i in range(1000)])
            server.close()
            await server.wait_closed()
        self.compare(scenario)

    def test_sendfile(self):
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder(log), socket.AF_UNIX)
            loop = asyncio.get_running_loop()
            with open(__file__, 'rb') as file:
                transport.write(b'a' * 500000)
                sending = asyncio.ensure_future(loop.sendfile(transport, file))
                await asyncio.sleep(0)
                try:
                    transport.write(b'meanwhile')
                except RuntimeError as exc:
                    log.append(describe(exc))
                n = 500000 + os.path.getsize(__file__)
                data = await receive_exactly(peer, n)
                log.append((await sending, len(data), hashlib.sha256(data).hexdigest()))
            transport.write(b'b')
            log.append(await receive_exactly(peer, 1))
            transport.close()
            await protocol.lost
            peer.close()
        self.compare(scenario)


class OursTest(unittest.TestCase):
    """What is ours alone."""

    def run_ours(self, scenario):
        return run(libasyncio.new_event_loop, scenario)

    @staticmethod
    def packets_sent(transport):
        info = transport.get_extra_info('socket').getsockopt(socket.IPPROTO_TCP, 11, 256)  # TCP_INFO
        return struct.unpack_from('I', info, 156)[0]  # tcpi_data_segs_out

    def test_writes_of_a_callback_are_one_packet(self):
        async def scenario(log):
            class Protocol(asyncio.Protocol):
                def connection_made(self, transport):
                    self.transport = transport

                def data_received(self, data):
                    self.transport.write(b'head')
                    self.transport.write(bytearray(b'body'))
                    self.transport.writelines([b'a', b'b'])
            transport, _, peer = await connect(Protocol)
            before = self.packets_sent(transport)
            peer.send(b'x')
            log.append(await receive_exactly(peer, 10))
            log.append(self.packets_sent(transport) - before)
            transport.write(b'from ')  # of a task's step
            transport.write(b'a task')
            log.append(await receive_exactly(peer, 11))
            log.append(self.packets_sent(transport) - before)
            transport.abort()
            peer.close()
        self.assertEqual(self.run_ours(scenario), [b'headbodyab', 1, b'from a task', 2])

    def test_writes_outside_the_loop_are_sent_at_once(self):
        loop = libasyncio.new_event_loop()
        transport, _, peer = loop.run_until_complete(connect(asyncio.Protocol))
        transport.write(b'at once')
        self.assertEqual(peer.recv(100), b'at once')
        thread = threading.Thread(target=transport.write, args=(b'elsewhere',))
        thread.start()
        thread.join()
        self.assertEqual(peer.recv(100), b'elsewhere')
        transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
        peer.close()
        loop.close()

    def test_writes_of_other_threads_while_it_runs(self):
        async def scenario(log):
            transport, _, peer = await connect(lambda: Recorder([]))
            def write():
                for _ in range(100):
                    transport.write(b'x')
                    transport.pause_reading()
                    transport.resume_reading()
            threads = [threading.Thread(target=write) for _ in range(4)]
            for thread in threads:
                thread.start()
            log.append(len(await receive_exactly(peer, 400)))
            await asyncio.to_thread(lambda: [thread.join() for thread in threads])
            transport.abort()
            peer.close()
        self.assertEqual(self.run_ours(scenario), [400])

    def test_a_signal_and_a_stop_lose_no_output(self):
        loop = libasyncio.new_event_loop()
        transport, _, peer = loop.run_until_complete(connect(asyncio.Protocol))
        def write_and_stop():
            transport.write(b'last words')
            loop.stop()
        loop.call_soon(write_and_stop)
        loop.run_forever()
        self.assertEqual(peer.recv(100), b'last words')

        def write_and_raise():
            transport.write(b'in anger')
            raise KeyboardInterrupt
        loop.call_soon(write_and_raise)
        with self.assertRaises(KeyboardInterrupt):
            loop.run_forever()
        self.assertEqual(peer.recv(100), b'in anger')
        transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
        peer.close()
        loop.close()

    def test_urgent_data(self):
        """It ends a read early; what is behind it is read all the same."""
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder([]))
            for i in range(20):
                peer.send(b'abc')
                peer.send(b'!', socket.MSG_OOB)
                peer.send(b'def')
                if i % 2:
                    await asyncio.sleep(0)
            while len(protocol.data.replace(b'!', b'')) < 20 * 6:  # a later mark lets an earlier one in
                await asyncio.sleep(0.001)
            log.append(protocol.data.replace(b'!', b'') == b'abcdef' * 20)
            transport.abort()
            peer.close()
        self.assertEqual(self.run_ours(scenario), [True])

    def test_descriptors_that_go_along(self):
        """A read of a Unix socket stops short behind a message with descriptors."""
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder([]), socket.AF_UNIX)
            with open(os.devnull) as file:
                for _ in range(5):
                    peer.send(b'abc')
                    socket.send_fds(peer, [b'def'], [file.fileno()])
                    peer.send(b'ghi')
            while len(protocol.data) < 5 * 9:
                await asyncio.sleep(0.001)
            log.append(bytes(protocol.data) == b'abcdefghi' * 5)
            transport.abort()
            peer.close()
        self.assertEqual(self.run_ours(scenario), [True])

    def test_debug_mode_tells_slow_callbacks(self):
        async def scenario(log):
            asyncio.get_running_loop().set_debug(True)
            asyncio.get_running_loop().slow_callback_duration = 0
            transport, protocol, peer = await connect(lambda: Recorder([]))
            with self.assertLogs('asyncio', 'DEBUG') as logs:
                peer.send(b'x')
                while not protocol.data:
                    await asyncio.sleep(0)
                transport.pause_reading()
                transport.resume_reading()
                peer.close()
                await protocol.lost
            log.append([any(words in line for line in logs.output) for words in
                        ('_read_ready', 'pauses reading', 'resumes reading', 'received EOF')])
        self.assertEqual(self.run_ours(scenario), [[True] * 4])

    def test_slots_of_asyncio_have_members_before_them(self):
        """Else what is in a slot would be neither visited nor freed."""
        core = libasyncio._core.TransportCore
        for base in core.__mro__[1:]:
            for name in base.__dict__.get('__slots__', ()):
                self.assertIn(name, core.__dict__)

    def test_refuses_another_loop(self):
        with socket.socket() as sock:
            loop = asyncio.SelectorEventLoop()
            with self.assertRaises(TypeError):
                libasyncio._transports.SocketTransport(loop, sock, asyncio.Protocol())
            loop.close()


class LifeTest(unittest.TestCase):
    def test_forgotten_transport(self):
        """A paused one is collected, in any thread, and says that it was not closed."""
        for other_thread in (False, True):
            loop = libasyncio.new_event_loop()
            transport, protocol, peer = loop.run_until_complete(connect(asyncio.Protocol))
            loop.run_until_complete(asyncio.sleep(0))
            transport.pause_reading()
            reference = weakref.ref(transport)
            with self.assertWarnsRegex(ResourceWarning, 'unclosed transport'):
                del transport, protocol
                if other_thread:
                    loop.run_until_complete(asyncio.to_thread(gc.collect))
                gc.collect()
            gc.collect()
            self.assertIsNone(reference())
            loop.run_until_complete(asyncio.sleep(0))
            self.assertEqual(peer.recv(1) if not peer.setblocking(True) else None, b'')
            peer.close()
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def test_collected_while_the_loop_runs_elsewhere(self):
        async def scenario(log):
            transport, protocol, peer = await connect(asyncio.Protocol)
            await asyncio.sleep(0)
            transport.pause_reading()
            transport.circle = [transport]
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                gc.disable()
                del transport, protocol
                await asyncio.to_thread(gc.collect)
                gc.enable()
            log.append(await receive_exactly(peer, 1))
            peer.close()
        self.assertEqual(run(libasyncio.new_event_loop, scenario), [b''])

    def test_dropped_loop(self):
        """A loop that is dropped with an open transport is collected with it."""
        for closes in (True, False):
            loop = libasyncio.new_event_loop()
            class Protocol(asyncio.Protocol):
                pass
            transport, protocol, peer = loop.run_until_complete(connect(Protocol))
            protocol.transport = transport
            transport.write(b'x' * (4 << 20))
            references = weakref.ref(loop), weakref.ref(transport), weakref.ref(protocol)
            if closes:
                loop.close()
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                del loop, transport, protocol
                gc.collect()
                gc.collect()
            self.assertEqual([reference() for reference in references], [None] * 3)
            peer.close()

    def test_lost_connection_keeps_nothing(self):
        async def scenario(log):
            transport, protocol, peer = await connect(lambda: Recorder([]))
            reference = weakref.ref(protocol)
            peer.close()
            await protocol.lost
            await asyncio.sleep(0)
            del protocol
            gc.collect()
            log.append((reference(), transport._loop))
        self.assertEqual(run(libasyncio.new_event_loop, scenario), [(None, None)])

    def test_no_descriptor_is_left(self):
        async def scenario(log):
            for _ in range(50):
                transport, protocol, peer = await connect(lambda: Recorder([]))
                transport.write(b'x')
                peer.close()
                await protocol.lost
        run(libasyncio.new_event_loop, scenario)
        before = len(os.listdir('/proc/self/fd'))
        run(libasyncio.new_event_loop, scenario)
        self.assertEqual(len(os.listdir('/proc/self/fd')), before)


if __name__ == '__main__':
    logging.getLogger('asyncio').setLevel(logging.CRITICAL)
    unittest.main()
