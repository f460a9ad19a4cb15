"""
References, counted by a debug build of Python: what is done again and again leaves none behind.

    make check-python SUITES=leaks

Other builds cannot count them, and skip it.
"""
import asyncio
import gc
import socket
import sys
import threading
import unittest
import warnings

import libasyncio

try:
    import bridge_module as bridge
except ImportError:  # built with the package's tests
    bridge = None

ROUNDS = 20
USES = 5


def do_nothing(*args):
    pass


def raise_error(error):
    raise error


def use_handles(loop):
    for n in (0, 1, 4, 5, 9):
        args = [object() for _ in range(n)]
        loop.call_soon(do_nothing, *args)
        loop.call_soon(do_nothing, *args).cancel()
        loop.call_later(0, do_nothing, *args)
        loop.call_later(1, do_nothing, *args).cancel()
        loop.call_soon_threadsafe(do_nothing, *args)
        repr(loop.call_soon(do_nothing, *args))
        loop.call_at(0, do_nothing, *args).when()
    loop.run_until_complete(asyncio.sleep(0.0001))


def use_wrong_arguments(loop):
    for call in (lambda: loop.call_soon(), lambda: loop.call_later('x', print),
                 lambda: loop.call_at(None, print), lambda: loop.call_soon(print, wrong=1),
                 lambda: loop.add_reader("x", print),
                 lambda: loop.add_reader(12345, print), lambda: loop.create_task(1)):
        try:
            call()
        except (TypeError, ValueError, OSError):
            pass


def raise_in_callbacks(loop):
    loop.set_exception_handler(do_nothing)
    loop.call_soon(raise_error, ValueError())
    loop.call_soon(raise_error, KeyboardInterrupt())
    loop.call_soon(do_nothing, 1, 2, 3, 4, 5)
    loop.call_later(0, do_nothing, 1, 2, 3, 4, 5)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        pass
    loop.run_until_complete(asyncio.sleep(0.0001))


def use_debug_mode(loop):
    loop.set_debug(True)
    use_handles(loop)
    loop.set_debug(False)


def use_descriptors(loop):
    a, b = socket.socketpair()
    b.send(b'x')
    for _ in range(3):
        loop.add_reader(a, do_nothing, 1, 2, 3, 4, 5)
        loop.add_writer(a, do_nothing)
    loop.run_until_complete(asyncio.sleep(0.0001))
    loop.remove_reader(a)
    loop.remove_writer(a)
    loop.add_reader(b, do_nothing)
    loop.remove_reader(b)
    a.close()
    b.close()


def use_tasks(loop):
    async def main():
        async with asyncio.TaskGroup() as group:
            for i in range(10):
                group.create_task(asyncio.sleep(0.0001 * i), name=str(i))
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(10)))
        try:
            await asyncio.wait_for(loop.create_future(), 0.0001)
        except TimeoutError:
            pass
        queue = asyncio.Queue(1)
        await asyncio.gather(queue.put(1), queue.put(2), queue.get(), queue.get())

    loop.run_until_complete(main())


def use_threads(loop):
    thread = threading.Thread(target=lambda: (loop.call_soon(do_nothing), loop.call_later(0, do_nothing),
                                              loop.call_soon_threadsafe(loop.stop)))
    thread.start()
    loop.run_forever()
    thread.join()


def use_clients(loop):
    class Closer(asyncio.Protocol):
        def connection_made(self, transport):
            transport.write(b'x' * 10)
            transport.close()

    def fail():
        raise ValueError

    async def main():
        for factory in (Closer, fail):
            server = await loop.create_server(factory, '127.0.0.1', 0)
            for _ in range(3):
                client = socket.socket()
                client.setblocking(False)
                await loop.sock_connect(client, server.sockets[0].getsockname())
                await loop.sock_recv(client, 100)
                client.close()
            server.close()
            await asyncio.sleep(0)

    loop.run_until_complete(main())


def use_datagrams(loop):
    class Waker(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            if not came.done():
                came.set_result(address)

    async def main():
        nonlocal came
        end, _ = await loop.create_datagram_endpoint(Waker, ('127.0.0.1', 0))
        for data in (b'x', bytearray(b'x')):
            came = loop.create_future()
            end.sendto(data, end.get_extra_info('sockname'))
            end.sendto(data, await came)
        end.close()
        await asyncio.sleep(0)

    came = None
    loop.run_until_complete(main())


def make_loops(_loop):
    closed = libasyncio.new_event_loop()
    use_handles(closed)
    closed.call_soon(do_nothing, closed)
    closed.call_later(1, do_nothing, closed)
    closed.close()
    libasyncio.run(asyncio.sleep(0))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        dropped = libasyncio.new_event_loop()
        dropped.call_soon(do_nothing, dropped)
        dropped.call_later(5, do_nothing, dropped)
        del dropped
        gc.collect()


def use_bridge(loop):
    async def python(error=None):
        await asyncio.sleep(0)
        if error:
            raise error
        return object()

    async def settle(awaitable):
        try:
            return await awaitable
        except (Exception, asyncio.CancelledError) as error:
            return type(error)

    async def main():
        await asyncio.gather(bridge.value_after(5, 0), bridge.value_after(5, 3))
        await settle(bridge.fails(-5, 'words'))
        await settle(bridge.fails(-1282, ''))
        for error in (None, ValueError('v'), OSError(2, 'o'), asyncio.CancelledError()):
            await settle(bridge.awaits(lambda: python(error), []))
            await settle(bridge.awaits_below(lambda: python(error), [], 2))
            await settle(bridge.swallows(lambda: python(error), []))
        for value in (3, -2, -5, -1):
            await settle(bridge.pair(object(), value))
        for turns in (0, 1, 3):
            task = asyncio.create_task(bridge.awaits(lambda: asyncio.sleep(1000), []))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await settle(task)
        await settle(asyncio.wait_for(bridge.sleeps(1000), 0.0001))
        bridge.pair(object(), 1).cancel()
        bridge.value_after(1, 1).close()
        try:
            bridge.value_after('x', 1)
        except TypeError:
            pass
        awaitable = bridge.value_after(1, 1)
        awaitable.add_done_callback(do_nothing)
        awaitable.remove_done_callback(do_nothing)
        await awaitable
        await bridge.calls(lambda: settle(None).close())

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        loop.run_until_complete(main())


@unittest.skipUnless(hasattr(sys, 'gettotalrefcount'), 'a debug build of Python counts')
class LeakTest(unittest.TestCase):
    def check(self, use):
        loop = libasyncio.new_event_loop()
        counts = [0] * ROUNDS  # made here: a list that grows would count
        for i in range(ROUNDS):
            for _ in range(USES):
                use(loop)
            gc.collect()
            counts[i] = sys.gettotalrefcount()
        loop.close()
        steps = [counts[i + 1] - counts[i] for i in range(ROUNDS - 1)]
        # Caches fill up at first, and a number of this list counts, too; what leaks does so in each use.
        self.assertLess(min(steps[ROUNDS // 2:]), USES, steps)


for use in (use_handles, use_wrong_arguments, raise_in_callbacks, use_debug_mode, use_descriptors, use_tasks,
            use_threads, use_clients, use_datagrams, make_loops) + ((use_bridge,) if bridge else ()):
    setattr(LeakTest, f'test_{use.__name__}', lambda self, use=use: self.check(use))

if __name__ == '__main__':
    unittest.main()
