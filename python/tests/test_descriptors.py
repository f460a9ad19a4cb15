"""Readers and writers of descriptors, beside asyncio's own loop where there may be doubt."""
import asyncio
import os
import socket
import unittest

import libasyncio


class DescriptorTest(unittest.TestCase):
    def setUp(self):
        self.loop = libasyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.seen = []
        self.a, self.b = self.pair()

    def pair(self):
        pair = socket.socketpair()
        for end in pair:
            end.setblocking(False)
            self.addCleanup(end.close)
        return pair

    def run_for(self, seconds=0.005):
        self.loop.call_later(seconds, self.loop.stop)
        self.loop.run_forever()

    def read(self, name, sock):
        try:
            self.seen.append((name, sock.recv(1)))
        except BlockingIOError:
            self.seen.append((name, 'nothing'))

    def test_a_reader_is_called_while_there_is_something(self):
        self.loop.add_reader(self.a, self.read, 'a', self.a)
        self.b.send(b'xyz')
        self.run_for()
        self.assertEqual(self.seen, [('a', b'x'), ('a', b'y'), ('a', b'z')])
        self.assertTrue(self.loop.remove_reader(self.a))
        self.assertFalse(self.loop.remove_reader(self.a.fileno()))
        self.b.send(b'x')
        self.run_for()
        self.assertEqual(len(self.seen), 3)

    def test_a_writer_and_a_reader_of_one(self):
        def write():
            self.seen.append('write')
            self.assertTrue(self.loop.remove_writer(self.a))

        self.loop.add_writer(self.a, write)
        self.loop.add_reader(self.a, self.read, 'a', self.a)
        self.run_for()
        self.assertEqual(self.seen, ['write'])
        self.b.send(b'x')
        self.run_for()
        self.assertEqual(self.seen, ['write', ('a', b'x')])

    def test_a_second_one_replaces_the_first(self):
        self.b.send(b'x')
        first = self.loop._add_reader(self.a, self.read, 'first', self.a)
        self.loop.add_reader(self.a, self.read, 'second', self.a)
        self.assertTrue(first.cancelled())
        self.run_for()
        self.assertEqual(self.seen, [('second', b'x')])

    def test_replaced_while_it_is_queued(self):
        def replace():
            self.loop.add_reader(self.a, self.read, 'second', self.a)

        c, d = self.pair()
        self.b.send(b'x')
        d.send(b'x')
        self.loop.add_reader(c, lambda: (replace(), self.loop.remove_reader(c)))
        self.loop.add_reader(self.a, self.read, 'first', self.a)
        self.run_for()
        self.assertEqual([data for _, data in self.seen if data != 'nothing'], [b'x'])

    def test_removed_and_closed_by_another_of_the_same_turn(self):
        c, d = self.pair()

        def close_other(own, other):
            self.seen.append('closed')
            self.loop.remove_reader(own)
            self.loop.remove_reader(other)
            other.close()

        self.b.send(b'x')
        d.send(b'x')
        self.loop.add_reader(self.a, close_other, self.a, c)
        self.loop.add_reader(c, close_other, c, self.a)
        self.run_for()
        self.assertEqual(self.seen, ['closed'])

    def test_a_reader_that_removes_itself_and_raises(self):
        told = []
        self.loop.set_exception_handler(lambda loop, context: told.append(context))

        def fail():
            self.loop.remove_reader(self.a)
            raise ValueError

        self.b.send(b'x')
        self.loop.add_reader(self.a, fail)
        self.run_for()
        self.assertIsInstance(told[0]['exception'], ValueError)
        self.assertEqual(len(told), 1)

    def test_ends_and_failures_are_told_to_both(self):
        self.b.close()
        self.loop.add_reader(self.a, self.read, 'end', self.a)
        self.loop.call_later(0.002, self.loop.remove_reader, self.a)
        self.run_for(0.004)
        self.assertIn(('end', b''), self.seen)
        read_end, write_end = os.pipe()
        os.close(read_end)

        def write():
            self.seen.append('broken')
            self.loop.remove_writer(write_end)

        self.loop.add_writer(write_end, write)
        self.run_for()
        self.assertIn('broken', self.seen)
        os.close(write_end)

    def test_closed_without_a_word_and_opened_again(self):
        """asyncio's own loop raises, or tells the new one. It never waits for ever."""
        self.loop.add_reader(self.a, self.read, 'old', self.a)
        self.run_for()
        fd = self.a.detach()
        os.close(fd)
        c, d = self.pair()
        if c.fileno() != fd:
            os.dup2(c.fileno(), fd)
        try:
            self.loop.add_reader(fd, lambda: (self.seen.append('new'), self.loop.remove_reader(fd)))
        except OSError:
            return
        d.send(b'x')
        self.run_for()
        self.assertEqual(self.seen, ['new'])

    def test_removed_then_closed_then_opened_again(self):
        for i in range(50):
            c, d = self.pair()
            self.loop.add_reader(c, self.read, i, c)
            d.send(b'x')
            self.run_for(0.0002)
            self.loop.remove_reader(c)
            c.close()
            d.close()
        self.assertEqual(self.seen, [(i, b'x') for i in range(50)])

    def test_a_duplicate(self):
        copy = self.a.dup()
        self.addCleanup(copy.close)
        self.loop.add_reader(copy, self.read, 'copy', copy)
        self.loop.remove_reader(copy)
        self.loop.add_reader(self.a, self.read, 'a', self.a)
        self.b.send(b'x')
        self.run_for()
        self.assertEqual(self.seen, [('a', b'x')])

    def test_many(self):
        pairs = [self.pair() for _ in range(200)]
        for i, (own, peer) in enumerate(pairs):
            self.loop.add_reader(own, self.read, i, own)
            peer.send(b'x')
        self.run_for(0.02)
        self.assertEqual(sorted(self.seen), [(i, b'x') for i in range(200)])
        for own, _ in pairs:
            self.assertTrue(self.loop.remove_reader(own))

    def test_what_the_selector_tells(self):
        self.loop.add_reader(self.a, print)
        key = self.loop._selector.get_key(self.a)
        self.assertEqual((key.fd, key.events), (self.a.fileno(), 1))
        self.loop.remove_reader(self.a)
        self.assertRaises(KeyError, self.loop._selector.get_key, self.a)

    def test_socket_calls(self):
        async def main():
            server = socket.create_server(('127.0.0.1', 0))
            server.setblocking(False)
            client = socket.socket()
            client.setblocking(False)
            _, (peer, _) = await asyncio.gather(self.loop.sock_connect(client, server.getsockname()),
                                                self.loop.sock_accept(server))
            data = os.urandom(3_000_000)

            async def receive():
                received = bytearray()
                while len(received) < len(data):
                    received += await self.loop.sock_recv(peer, 65536)
                return bytes(received)

            _, received = await asyncio.gather(self.loop.sock_sendall(client, data), receive())
            self.assertEqual(received, data)
            waiting = asyncio.create_task(self.loop.sock_recv(peer, 1))
            await asyncio.sleep(0)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            await self.loop.sock_sendall(client, b'x')
            self.assertEqual(await self.loop.sock_recv(peer, 1), b'x')
            for sock in (server, client, peer):
                sock.close()

        self.loop.run_until_complete(asyncio.wait_for(main(), 30))


if __name__ == '__main__':
    unittest.main()
