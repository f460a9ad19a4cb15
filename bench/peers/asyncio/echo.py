# The questions `echo`, `protocol` and `stream` (bench/echo.h), asked of asyncio, or of uvloop where that
# word comes first: for the first two a protocol for each connection, which is its fast way, for `stream` its
# streams.
import asyncio
import os
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def start_echo(variant):
    loop = asyncio.get_running_loop()
    return await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)


async def start_stream(variant):
    room = min(2 * int(variant.split("x")[1]), 65536)

    async def serve(reader, writer):
        try:
            while data := await reader.read(room):
                writer.write(data)
                await writer.drain()
        except ConnectionResetError:
            pass  # how the load ends
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)


async def main(question, variants):
    for variant in variants:
        server = await {"stream": start_stream}.get(question, start_echo)(variant)
        port = server.sockets[0].getsockname()[1]
        load = await asyncio.create_subprocess_exec(
            os.environ["BENCH_ECHO_LOAD"], str(port), str(os.getpid()), variant)
        if await load.wait():
            sys.exit(1)
        server.close()


arguments = sys.argv[1:]
if arguments[0] == "uvloop":
    import uvloop

    uvloop.install()
    del arguments[0]
asyncio.run(main(arguments[0], arguments[1:]))
