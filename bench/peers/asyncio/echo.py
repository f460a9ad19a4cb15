# The question `echo` (bench/echo.h), asked of asyncio, or of uvloop where that
# word comes first: a protocol for each connection, which is its fast way.
import asyncio
import os
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main(variants):
    loop = asyncio.get_running_loop()
    for variant in variants:
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=4096)
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
asyncio.run(main(arguments[1:]))
