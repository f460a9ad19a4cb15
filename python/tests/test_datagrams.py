"""Datagrams: each scenario on asyncio's own loop and on ours, with equal results."""
import asyncio
import os
import socket
import tempfile
import unittest

import libasyncio


class Recorder(asyncio.DatagramProtocol):
    def __init__(self, seen):
        self.seen = seen

    def connection_made(self, transport):
        self.transport = transport
        self.seen.append('made')

    def datagram_received(self, data, address):
        self.seen.append((data, type(address)))

    def error_received(self, error):
        self.seen.append((type(error).__name__, error.errno, error.strerror))

    def pause_writing(self):
        self.seen.append('pause')

    def resume_writing(self):
        self.seen.append('resume')

    def connection_lost(self, error):
        self.seen.append(('lost', str(error)))


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


class DatagramTest(unittest.TestCase):
    def check(self, scenario):
        """Runs it on both loops. Returns what ours saw, which is what asyncio's saw."""
        seen = {}
        for make in (asyncio.SelectorEventLoop, libasyncio.new_event_loop):
            loop = make()
            loop.set_debug(False)
            told = seen[make] = []
            loop.set_exception_handler(lambda loop, context: told.append(str(context.get('exception'))))
            try:
                loop.run_until_complete(asyncio.wait_for(scenario(told), 30))
            finally:
                loop.close()
        stock, ours = seen.values()
        self.assertEqual(ours, stock)
        return ours

    async def bind(self, factory, host='127.0.0.1', **options):
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(factory, (host, 0), **options)
        return transport, transport.get_extra_info('sockname')

    async def until(self, condition):
        for _ in range(3000):
            if condition():
                return
            await asyncio.sleep(0.001)
        self.fail('it did not come')

    def check_echo(self, host):
        async def scenario(seen):
            server, name = await self.bind(Echo, host)
            client, _ = await self.bind(lambda: Recorder(seen), host)
            for i in range(50):
                client.sendto(b'%d' % i, name)
            client.sendto(bytearray(b'array'), name)
            client.sendto(memoryview(b'view'), name)
            client.sendto(b'x' * 60000, name)
            await self.until(lambda: len(seen) == 54)
            client.close()
            client.sendto(b'late', name)
            await asyncio.sleep(0)
            server.close()

        self.assertEqual(len(self.check(scenario)), 55)

    def test_echo(self):
        self.check_echo('127.0.0.1')

    def test_echo_of_version_6(self):
        try:
            socket.create_server(('::1', 0), family=socket.AF_INET6).close()
        except OSError:
            self.skipTest('no IPv6')
        self.check_echo('::1')

    def test_a_connected_one(self):
        async def scenario(seen):
            server, name = await self.bind(Echo)
            client, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: Recorder(seen), remote_addr=name)
            client.sendto(b'one')
            client.sendto(b'two', name)
            for wrong in (('127.0.0.1', 1), ('127.0.0.2', name[1]), 'x'):
                try:
                    client.sendto(b'three', wrong)
                except ValueError as error:
                    seen.append(str(error)[:20])
            await self.until(lambda: len(seen) == 6)
            client.close()
            server.close()

        self.check(scenario)

    def test_nobody_listens(self):
        async def scenario(seen):
            free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            free.bind(('127.0.0.1', 0))
            name = free.getsockname()
            free.close()
            client, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: Recorder(seen), remote_addr=name)
            client.sendto(b'one')
            await self.until(lambda: len(seen) == 2)
            client.sendto(b'two')
            client.sendto(b'three')  # this call meets the error
            await self.until(lambda: len(seen) == 3)
            client.close()
            await asyncio.sleep(0)

        self.assertEqual([what[0] for what in self.check(scenario)[1:3]], ['ConnectionRefusedError'] * 2)

    def check_wrong(self, *wrong):
        async def scenario(seen):
            server, name = await self.bind(Echo)
            client, _ = await self.bind(lambda: Recorder(seen))
            for data, address in wrong:
                try:
                    client.sendto(data, name if address == 'server' else address)
                except Exception as error:
                    seen.append((type(error).__name__, str(error)))
            client.sendto(b'by name', ('localhost', name[1]))
            await self.until(lambda: seen[-1][0] in (b'by name', 'lost'))
            client.abort()
            await asyncio.sleep(0)
            server.close()

        return self.check(scenario)

    def test_wrong_ones(self):
        seen = self.check_wrong((b'x' * 70000, 'server'), ('text', 'server'), (5, 'server'), (b'', 'server'),
                                (b'x', ('no such host.', 5)), (b'x', ('::1', 5)))
        self.assertIn((b'by name', tuple), seen)
        for address in (5, None, ('127.0.0.1',), ('127.0.0.1', 'x'), ('127.0.0.1', 70000), ('127.0.0.1', -1),
                        ('127.0.0.1', 5, 6), (b'127.0.0.1', 5)):
            self.check_wrong((b'x', address))

    def test_closed_by_its_protocol(self):
        async def scenario(seen):
            class Closer(Recorder):
                def datagram_received(self, data, address):
                    super().datagram_received(data, address)
                    self.transport.close()

            server, name = await self.bind(lambda: Closer(seen))
            client, _ = await self.bind(asyncio.DatagramProtocol)
            for i in range(5):
                client.sendto(b'%d' % i, name)
            await self.until(lambda: ('lost', 'None') in seen)
            client.close()

        self.assertEqual(self.check(scenario), ['made', (b'0', tuple), ('lost', 'None')])

    def test_a_protocol_that_raises(self):
        async def scenario(seen):
            class Raiser(Recorder):
                def datagram_received(self, data, address):
                    super().datagram_received(data, address)
                    raise OSError(5, 'of its own')

            server, name = await self.bind(lambda: Raiser(seen))
            client, _ = await self.bind(asyncio.DatagramProtocol)
            for i in range(3):
                client.sendto(b'%d' % i, name)
            await self.until(lambda: len(seen) >= 7)
            client.close()
            server.close()

        self.assertEqual(self.check(scenario).count('[Errno 5] of its own'), 3)

    def test_a_peer_that_does_not_read(self):
        async def scenario(seen):
            name = '\0libasyncio reader %d' % os.getpid()
            b = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            b.bind(name)
            loop = asyncio.get_running_loop()
            client, _ = await loop.create_datagram_endpoint(lambda: Recorder(seen), remote_addr=name,
                                                            family=socket.AF_UNIX)
            for i in range(1000):
                client.sendto(b'%4d' % i + b'x' * 1000)
            assert client.get_write_buffer_size() > 0
            b.setblocking(False)
            for i in range(1000):
                data = await loop.sock_recv(b, 2000)
                assert data[:4] == b'%4d' % i
            await self.until(lambda: client.get_write_buffer_size() == 0)
            client.close()
            b.close()

        self.assertEqual(self.check(scenario)[:3], ['made', 'pause', 'resume'])

    def test_a_peer_without_a_name(self):
        """asyncio cannot send to it."""
        async def main():
            seen = []
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            loop = asyncio.get_running_loop()
            client, _ = await loop.create_datagram_endpoint(lambda: Recorder(seen), sock=a)
            for i in range(1000):
                client.sendto(b'%4d' % i + b'x' * 1000)
            client.sendto(bytearray(b'last'))
            client.sendto(b'')
            self.assertGreater(client.get_write_buffer_size(), 0)
            self.assertRaises(TypeError, client.sendto, 'text')
            self.assertRaises(ValueError, client.sendto, b'x', 'address')
            client.close()
            b.setblocking(False)
            for i in range(1000):
                self.assertEqual((await loop.sock_recv(b, 2000))[:4], b'%4d' % i)
            self.assertEqual(await loop.sock_recv(b, 2000), b'last')
            await self.until(lambda: len(seen) == 4)
            self.assertEqual(seen, ['made', 'pause', 'resume', ('lost', 'None')])
            client.sendto(b'late')
            b.close()

        libasyncio.run(main())

    def test_unix_addresses(self):
        async def scenario(seen):
            loop = asyncio.get_running_loop()
            with tempfile.TemporaryDirectory() as folder:
                names = [os.path.join(folder, 'socket'), '\0libasyncio datagram %d' % os.getpid()]
                for name in names:
                    class Namer(asyncio.DatagramProtocol):
                        def datagram_received(self, data, address):
                            seen.append((data, address in ('', None) or os.fsdecode(address) in names))

                    server, _ = await loop.create_datagram_endpoint(Namer, name, family=socket.AF_UNIX)
                    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                    client.sendto(b'unnamed', name)
                    await self.until(lambda: len(seen) % 2 == 1)
                    server.sendto(b'to itself', name)
                    await self.until(lambda: len(seen) % 2 == 0)
                    server.close()
                    client.close()

        self.assertEqual(len(self.check(scenario)), 4)


if __name__ == '__main__':
    unittest.main()
