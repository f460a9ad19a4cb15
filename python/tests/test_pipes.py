"""Pipes and terminals: each scenario on asyncio's own loop and on ours, with equal results."""
import asyncio
import os
import socket
import unittest

import libasyncio


class Recorder(asyncio.Protocol):
    def __init__(self, seen):
        self.seen, self.data = seen, b''

    def connection_made(self, transport):
        self.transport = transport
        self.seen.append('made')

    def data_received(self, data):
        self.data += data

    def eof_received(self):
        self.seen.append(('end', len(self.data)))

    def connection_lost(self, error):
        self.seen.append(('lost', str(error)))


class PipeTest(unittest.TestCase):
    def check(self, scenario):
        seen = {}
        for make in (asyncio.SelectorEventLoop, libasyncio.new_event_loop):
            loop = make()
            told = seen[make] = []
            loop.set_exception_handler(lambda loop, context: told.append(str(context.get('exception'))))
            try:
                loop.run_until_complete(asyncio.wait_for(scenario(told), 30))
            finally:
                loop.close()
        stock, ours = seen.values()
        self.assertEqual(ours, stock)
        return ours

    async def read(self, fd, seen, protocol=Recorder):
        loop = asyncio.get_running_loop()
        return await loop.connect_read_pipe(lambda: protocol(seen), os.fdopen(fd, 'rb', 0))

    async def until(self, condition):
        for _ in range(3000):
            if condition():
                return
            await asyncio.sleep(0.001)
        self.fail('it did not come')

    def test_much_and_the_end(self):
        data = os.urandom(3_000_000)

        async def scenario(seen):
            a, b = os.pipe()
            _, reader = await self.read(a, seen)
            writer, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.BaseProtocol,
                                                                            os.fdopen(b, 'wb', 0))
            for i in range(0, len(data), 100_000):
                writer.write(data[i:i + 100_000])
            writer.write_eof()
            await self.until(lambda: len(seen) == 3)
            assert reader.data == data

        self.assertEqual(self.check(scenario), ['made', ('end', 3_000_000), ('lost', 'None')])

    def test_paused(self):
        async def scenario(seen):
            a, b = os.pipe()
            transport, reader = await self.read(a, seen)
            transport.pause_reading()
            os.write(b, b'x')
            await asyncio.sleep(0.005)
            seen.append(reader.data)
            transport.resume_reading()
            await self.until(lambda: reader.data)
            transport.close()
            os.close(b)
            await self.until(lambda: len(seen) == 3)

        self.check(scenario)

    def test_a_protocol_that_raises_and_one_that_closes(self):
        class Raiser(Recorder):
            def data_received(self, data):
                super().data_received(data)
                if len(self.data) == 1:
                    raise ValueError('raised')
                self.transport.close()

        async def scenario(seen):
            a, b = os.pipe()
            _, reader = await self.read(a, seen, Raiser)
            for n in (1, 2):
                os.write(b, b'x')
                await self.until(lambda: len(reader.data) == n)
            await self.until(lambda: len(seen) == 3)
            os.close(b)

        self.assertEqual(self.check(scenario), ['made', 'raised', ('lost', 'None')])

    def test_a_terminal_that_hangs_up(self):
        async def scenario(seen):
            master, slave = os.openpty()
            _, reader = await self.read(master, seen)
            os.write(slave, b'hello')
            await self.until(lambda: reader.data)
            os.close(slave)
            await self.until(lambda: len(seen) >= 2 and seen[-1][0] == 'lost')

        self.check(scenario)

    def test_a_socket_that_is_reset(self):
        async def scenario(seen):
            server = socket.create_server(('127.0.0.1', 0))
            a = socket.create_connection(server.getsockname())
            b, _ = server.accept()
            await self.read(a.detach(), seen)
            b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            b.close()
            server.close()
            await self.until(lambda: len(seen) >= 2 and seen[-1][0] == 'lost')

        self.check(scenario)


if __name__ == '__main__':
    unittest.main()
