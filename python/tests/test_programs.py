"""
Real programs on our loop, and on asyncio's as the reference: aiohttp, uvicorn and websockets, as servers and
as clients, their first examples and an echo under load. What is not installed is skipped.
"""
import asyncio
import importlib.util
import subprocess
import sys
import tempfile
import textwrap
import unittest
import urllib.request
from pathlib import Path

import libasyncio

LOOPS = {'asyncio': asyncio.SelectorEventLoop, 'libasyncio': libasyncio.new_event_loop}
CLIENTS, MESSAGES = 40, 25


def needs(module):
    return unittest.skipUnless(importlib.util.find_spec(module), f'{module} is not installed')


def is_ours():
    return isinstance(asyncio.get_running_loop(), libasyncio.Loop)


class ProgramTest(unittest.TestCase):
    def on_both(self, scenario):
        """What a scenario finds is the same on both loops, and nothing is reported."""
        results = {}
        for name, factory in LOOPS.items():
            reports = []

            async def main():
                loop = asyncio.get_running_loop()
                loop.set_exception_handler(lambda loop, context: reports.append(context))
                self.assertEqual(is_ours(), name == 'libasyncio')
                return await asyncio.wait_for(scenario(), 60)

            with asyncio.Runner(loop_factory=factory) as runner:
                results[name] = runner.run(main())
            self.assertEqual(reports, [], name)
        self.assertEqual(results['libasyncio'], results['asyncio'])
        return results['libasyncio']


@needs('aiohttp')
class AiohttpTest(ProgramTest):
    @staticmethod
    async def start(*routes):
        from aiohttp import web
        app = web.Application(client_max_size=2 ** 26)
        app.add_routes(routes)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, '127.0.0.1', 0)
        await site.start()
        return runner, f'http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}'

    def test_hello(self):
        from aiohttp import ClientSession, web

        async def hello(request):
            return web.Response(text=f'Hello, {request.match_info.get("name", "Anonymous")}')

        async def scenario():
            runner, url = await self.start(web.get('/', hello), web.get('/{name}', hello))
            async with ClientSession() as session:
                texts = []
                for path in ('/', '/world'):
                    async with session.get(url + path) as response:
                        texts.append((response.status, await response.text()))
                async with session.post(url + '/') as response:
                    texts.append(response.status)
            await runner.cleanup()
            return texts

        self.assertEqual(self.on_both(scenario), [(200, 'Hello, Anonymous'), (200, 'Hello, world'), 405])

    def test_echo_under_load(self):
        from aiohttp import ClientSession, web

        async def echo(request):
            return web.Response(body=await request.read())

        async def client(session, url, number):
            for i in range(MESSAGES):
                body = b'%d-%d ' % (number, i) * (number + 1)
                async with session.post(url, data=body) as response:
                    if await response.read() != body:
                        return 'another body'
            return MESSAGES

        async def scenario():
            runner, url = await self.start(web.post('/', echo))
            async with ClientSession() as session:
                counts = await asyncio.gather(*[client(session, url, i) for i in range(CLIENTS)])
            await runner.cleanup()
            return counts

        self.assertEqual(self.on_both(scenario), [MESSAGES] * CLIENTS)

    def test_large_bodies_both_ways(self):
        from aiohttp import ClientSession, web
        body = bytes(range(256)) * (2 ** 24 // 256)

        async def chunked(request):
            response = web.StreamResponse()
            await response.prepare(request)
            async for chunk in request.content.iter_chunked(100_000):
                await response.write(chunk)
            await response.write_eof()
            return response

        async def scenario():
            runner, url = await self.start(web.post('/', chunked))
            async with ClientSession() as session, session.post(url, data=body) as response:
                is_equal = await response.read() == body
            await runner.cleanup()
            return is_equal

        self.assertTrue(self.on_both(scenario))

    def test_file_is_sent(self):
        from aiohttp import ClientSession, web
        content = b'0123456789' * 300_000

        async def scenario():
            with tempfile.NamedTemporaryFile() as file:
                file.write(content)
                file.flush()

                async def send(request):
                    return web.FileResponse(file.name)

                runner, url = await self.start(web.get('/', send))
                async with ClientSession() as session:
                    async with session.get(url) as response:
                        whole = await response.read()
                    async with session.get(url, headers={'Range': 'bytes=5-14'}) as response:
                        part = await response.read()
                await runner.cleanup()
            return whole == content, part

        self.assertEqual(self.on_both(scenario), (True, b'5678901234'))

    def test_websocket_and_a_client_that_times_out(self):
        from aiohttp import ClientSession, ClientTimeout, WSMsgType, web

        async def upper(request):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    await socket.send_str(message.data.upper())
            return socket

        async def scenario():
            is_over = asyncio.Event()

            async def never(request):
                await is_over.wait()

            runner, url = await self.start(web.get('/ws', upper), web.get('/never', never))
            answers = []
            async with ClientSession() as session:
                async with session.ws_connect(url + '/ws') as socket:
                    for word in ('one', 'two'):
                        await socket.send_str(word)
                        answers.append(await socket.receive_str())
                try:
                    await session.get(url + '/never', timeout=ClientTimeout(total=0.05))
                except asyncio.TimeoutError:
                    answers.append('timeout')
            is_over.set()
            await runner.cleanup()
            return answers

        self.assertEqual(self.on_both(scenario), ['ONE', 'TWO', 'timeout'])


@needs('websockets')
class WebsocketsTest(ProgramTest):
    def test_hello(self):
        import websockets

        async def hello(socket):
            await socket.send(f'Hello {await socket.recv()}!')

        async def scenario():
            async with websockets.serve(hello, '127.0.0.1', 0) as server:
                port = server.sockets[0].getsockname()[1]
                async with websockets.connect(f'ws://127.0.0.1:{port}') as socket:
                    await socket.send('world')
                    return await socket.recv()

        self.assertEqual(self.on_both(scenario), 'Hello world!')

    def test_echo_under_load(self):
        import websockets

        async def echo(socket):
            async for message in socket:
                await socket.send(message)

        async def client(port, number):
            async with websockets.connect(f'ws://127.0.0.1:{port}', max_size=None) as socket:
                for i in range(MESSAGES):
                    message = f'{number} {i} ' * (1 + 1000 * (i % 5 == 0))
                    await socket.send(message)
                    if await socket.recv() != message:
                        return 'another message'
                await (await socket.ping())
            return MESSAGES

        async def scenario():
            async with websockets.serve(echo, '127.0.0.1', 0) as server:
                port = server.sockets[0].getsockname()[1]
                return await asyncio.gather(*[client(port, i) for i in range(CLIENTS)])

        self.assertEqual(self.on_both(scenario), [MESSAGES] * CLIENTS)


@needs('uvicorn')
class UvicornTest(ProgramTest):
    @staticmethod
    async def app(scope, receive, send):
        """Answers the path, and what came in the body."""
        if scope['type'] != 'http':
            return
        body, more = b'', True
        while more:
            message = await receive()
            body += message.get('body', b'')
            more = message.get('more_body', False)
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'x-name', b'text')]})
        await send({'type': 'http.response.body', 'body': scope['path'].encode() + b' ', 'more_body': True})
        await send({'type': 'http.response.body', 'body': body})

    async def serve(self, ask):
        """Runs a server as long as `ask(port)` takes."""
        import uvicorn
        server = uvicorn.Server(uvicorn.Config(self.app, port=0, log_level='error', loop='none'))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        try:
            return await ask(server.servers[0].sockets[0].getsockname()[1])
        finally:
            server.should_exit = True
            await serving

    def test_hello(self):
        async def ask(port):
            def get():
                with urllib.request.urlopen(f'http://127.0.0.1:{port}/hello', data=b'world') as answer:
                    return answer.status, answer.read()
            return await asyncio.to_thread(get)

        self.assertEqual(self.on_both(lambda: self.serve(ask)), (200, b'/hello world'))

    def test_echo_under_load(self):
        async def client(port, number):
            reader, writer = await asyncio.open_connection('127.0.0.1', port)
            for i in range(MESSAGES):
                body = b'x' * (number * i)
                head = b'POST /echo HTTP/1.1\r\nHost: me\r\nContent-Length: %d\r\n\r\n' % len(body)
                writer.write(head + body)
                head = await reader.readuntil(b'\r\n\r\n')
                if not head.startswith(b'HTTP/1.1 200'):
                    return head
                got = b''
                while size := int(await reader.readline(), 16):
                    got += await reader.readexactly(size)
                    await reader.readline()
                await reader.readline()
                if got != b'/echo ' + body:
                    return 'another body'
            writer.close()
            await writer.wait_closed()
            return MESSAGES

        async def ask(port):
            return await asyncio.gather(*[client(port, i) for i in range(CLIENTS)])

        self.assertEqual(self.on_both(lambda: self.serve(ask)), [MESSAGES] * CLIENTS)

    def test_command_line_and_its_end_by_a_signal(self):
        """`uvicorn app:app`, run by `python3 -m libasyncio`; SIGINT is its orderly end."""
        program = textwrap.dedent('''
            import asyncio
            async def app(scope, receive, send):
                body = type(asyncio.get_running_loop()).__module__.partition('.')[0].encode()
                await send({'type': 'http.response.start', 'status': 200, 'headers': []})
                await send({'type': 'http.response.body', 'body': body})
        ''')
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, 'app.py').write_text(program)
            words = [sys.executable, '-m', 'libasyncio', '-m', 'uvicorn', 'app:app', '--port', '0',
                     '--loop', 'asyncio', '--lifespan', 'off']
            process = subprocess.Popen(words, cwd=folder, text=True, stderr=subprocess.PIPE)
            with process, process.stderr as log:
                while 'running on' not in (line := log.readline()):
                    self.assertTrue(line, 'uvicorn ended')
                url = line.split('running on ')[1].split()[0]
                with urllib.request.urlopen(url) as answer:
                    self.assertEqual(answer.read(), b'libasyncio')
                process.send_signal(2)
                rest = log.read()
                self.assertEqual(process.wait(60), 0, rest)
                self.assertIn('Finished server process', rest)


if __name__ == '__main__':
    unittest.main()
