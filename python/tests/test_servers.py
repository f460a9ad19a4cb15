"""Accepting clients, and waiting for children."""
import asyncio
import contextvars
import errno
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import unittest
import unittest.mock
import warnings

import libasyncio


class Greeter(asyncio.Protocol):
    """Sends the client its own address as the server sees it, and ends."""

    def connection_made(self, transport):
        name = transport.get_extra_info('peername')
        sock = transport.get_extra_info('socket')
        assert sock.gettimeout() == 0 and sock.getpeername() == name, (name, sock)
        transport.write(repr(name).encode())
        transport.close()


class ServerTest(unittest.TestCase):
    def setUp(self):
        self.loop = libasyncio.new_event_loop()
        self.loop.set_debug(False)  # in which asyncio's own code accepts
        self.addCleanup(self.loop.close)
        self.told = []
        self.loop.set_exception_handler(lambda loop, context: self.told.append(context))

    def run_for(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    def check_greeting(self, sock, client_kind):
        async def main():
            server = await (self.loop.create_unix_server(Greeter, sock=sock) if sock.family == socket.AF_UNIX
                            else self.loop.create_server(Greeter, sock=sock))
            for _ in range(3):
                client = socket.socket(*client_kind)
                client.setblocking(False)
                await self.loop.sock_connect(client, sock.getsockname())
                greeting = await self.loop.sock_recv(client, 1000)
                self.assertEqual(greeting.decode(), repr(client.getsockname()))
                client.close()
            server.close()
            await server.wait_closed()

        self.run_for(main())
        self.assertEqual(self.told, [])

    def test_addresses(self):
        self.check_greeting(socket.create_server(('127.0.0.1', 0)), (socket.AF_INET,))
        if socket.has_ipv6:
            try:
                server = socket.create_server(('::1', 0), family=socket.AF_INET6)
            except OSError:
                server = None
            if server:
                self.check_greeting(server, (socket.AF_INET6,))
        with tempfile.TemporaryDirectory() as folder:
            server = socket.socket(socket.AF_UNIX)
            server.bind(os.path.join(folder, 'socket'))
            self.check_greeting(server, (socket.AF_UNIX,))
        server = socket.socket(socket.AF_UNIX)
        server.bind(b'\0libasyncio %d' % os.getpid())
        self.check_greeting(server, (socket.AF_UNIX,))

    def test_a_named_client_of_a_unix_socket(self):
        seen = []

        class Seer(asyncio.Protocol):
            def connection_made(self, transport):
                seen.append(transport.get_extra_info('peername'))
                transport.close()

        async def main():
            server_name = b'\0server %d' % os.getpid()
            names = [b'\0client %d' % os.getpid(), folder + '/client']
            server = await self.loop.create_unix_server(Seer, server_name)
            for name in names:
                client = socket.socket(socket.AF_UNIX)
                client.bind(name)
                client.setblocking(False)
                await self.loop.sock_connect(client, server_name)
                await self.loop.sock_recv(client, 1)
                client.close()
            server.close()
            self.assertEqual(seen, names)

        with tempfile.TemporaryDirectory() as folder:
            self.run_for(main())

    def test_a_factory_that_raises(self):
        def factory():
            raise ValueError

        async def main():
            server = await self.loop.create_server(factory, '127.0.0.1', 0)
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await asyncio.sleep(0.01)
            writer.close()
            self.assertEqual(self.told, [])
            server.close()

        self.run_for(main())

        def interrupt():
            raise KeyboardInterrupt

        async def fatal():
            server = await self.loop.create_server(interrupt, '127.0.0.1', 0)
            await asyncio.open_connection(*server.sockets[0].getsockname())
            await asyncio.sleep(10)

        with warnings.catch_warnings(), self.assertRaises(KeyboardInterrupt):
            warnings.simplefilter('ignore')
            self.loop.run_until_complete(fatal())

    def test_each_client_has_a_context_of_its_own(self):
        variable = contextvars.ContextVar('variable', default=0)
        seen = []

        def factory():
            seen.append(variable.get())
            variable.set(variable.get() + 1)
            return asyncio.Protocol()

        async def main():
            variable.set(5)
            server = await self.loop.create_server(factory, '127.0.0.1', 0)
            for _ in range(3):
                _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.close()
            await asyncio.sleep(0.01)
            self.assertEqual(seen, [5, 5, 5])
            server.close()

        self.run_for(main())

    def test_a_server_that_is_closed_by_its_first_client(self):
        made = []

        async def main():
            def factory():
                made.append(1)
                server.close()
                return asyncio.Protocol()

            server = await self.loop.create_server(factory, '127.0.0.1', 0)
            clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(3)]
            await asyncio.sleep(0.01)
            for client in clients:
                client.close()

        self.run_for(main())
        self.assertEqual((made, self.told), ([1], []))

    def test_no_descriptors_are_left(self):
        """The listener rests for a second, and goes on."""
        async def main():
            server = await self.loop.create_server(Greeter, '127.0.0.1', 0)
            client = socket.socket()
            client.setblocking(False)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                await self.loop.sock_connect(client, server.sockets[0].getsockname())
                await asyncio.sleep(0.05)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            self.assertEqual(len(self.told), 1)
            self.assertIn('out of system resource', self.told[0]['message'])
            self.assertTrue(await self.loop.sock_recv(client, 100))
            client.close()
            server.close()

        self.run_for(main())


class ChildTest(unittest.TestCase):
    def setUp(self):
        self.loop = libasyncio.new_event_loop()
        self.loop.set_debug(False)
        self.addCleanup(self.loop.close)

    def run_for(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 60))

    def test_ends(self):
        async def main():
            threads = threading.active_count()
            for code in (0, 1, 77):
                process = await asyncio.create_subprocess_shell(f'exit {code}')
                self.assertEqual(await process.wait(), code)
                self.assertEqual(await process.wait(), code)
            process = await asyncio.create_subprocess_exec('sleep', '100')
            process.send_signal(signal.SIGTERM)
            self.assertEqual(await process.wait(), -signal.SIGTERM)
            processes = await asyncio.gather(*(asyncio.create_subprocess_exec('true') for _ in range(20)))
            self.assertEqual(await asyncio.gather(*(process.wait() for process in processes)), [0] * 20)
            self.assertEqual(threading.active_count(), threads)

        self.run_for(main())

    def test_output_and_cancel(self):
        async def main():
            process = await asyncio.create_subprocess_exec('cat', stdin=asyncio.subprocess.PIPE,
                                                           stdout=asyncio.subprocess.PIPE)
            data = os.urandom(1_000_000)
            self.assertEqual(await process.communicate(data), (data, None))
            process = await asyncio.create_subprocess_exec('sleep', '100')
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(process.wait(), 0.01)
            process.kill()
            self.assertEqual(await process.wait(), -signal.SIGKILL)
            with self.assertRaises(FileNotFoundError):
                await asyncio.create_subprocess_exec('/no/such/program')

        self.run_for(main())

    def test_a_child_that_somebody_else_has_waited_for(self):
        async def main():
            process = await asyncio.create_subprocess_exec('true')
            os.waitpid(process.pid, 0)
            self.assertEqual(await process.wait(), 255)

        with self.assertLogs('asyncio', 'WARNING') as logs:
            self.run_for(main())
        self.assertIn('exit status already read', logs.output[0])

    def test_a_loop_that_closes_before_its_child_ends(self):
        async def main():
            return await self.loop.subprocess_exec(asyncio.SubprocessProtocol, 'sleep', '100', stdin=None,
                                                   stdout=None, stderr=None)

        transport, _ = self.run_for(main())
        count = len(os.listdir('/proc/self/fd'))
        pid = transport.get_pid()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            self.loop.close()
            del transport
        self.assertLess(len(os.listdir('/proc/self/fd')), count)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    def test_without_descriptors_of_processes(self):
        """As in a sandbox, below Valgrind, or when too many files are open."""
        async def main():
            for error in (errno.ENOSYS, errno.EPERM, errno.EMFILE):
                with unittest.mock.patch('os.pidfd_open', side_effect=OSError(error, 'refused')):
                    process = await asyncio.create_subprocess_shell('echo output; exit 3',
                                                                    stdout=asyncio.subprocess.PIPE)
                    self.assertEqual(await process.communicate(), (b'output\n', None))
                    self.assertEqual(await process.wait(), 3)

        self.run_for(main())

    def test_a_watcher_that_the_program_chose(self):
        class Watcher(asyncio.PidfdChildWatcher):
            used = 0

            def add_child_handler(self, *args):
                Watcher.used += 1
                super().add_child_handler(*args)

        if sys.version_info >= (3, 12):
            self.skipTest('watchers are going')
        watcher = Watcher()
        watcher.attach_loop(self.loop)
        asyncio.set_child_watcher(watcher)
        try:
            async def main():
                process = await asyncio.create_subprocess_exec('true')
                self.assertEqual(await process.wait(), 0)

            self.run_for(main())
            self.assertEqual(Watcher.used, 1)
        finally:
            asyncio.set_child_watcher(None)


if __name__ == '__main__':
    unittest.main()
