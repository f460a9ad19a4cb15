# An echo server by streams, and 100 clients that talk to it at the same time.
import asyncio

CLIENTS, LINES = 100, 50


async def serve(reader, writer):
    async for line in reader:
        writer.write(line)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def talk(port, number):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    for i in range(LINES):
        line = f'line {i} of client {number}\n'.encode()
        writer.write(line)
        assert await reader.readline() == line
    writer.close()
    await writer.wait_closed()
    return LINES


async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        answers = await asyncio.gather(*[talk(port, number) for number in range(CLIENTS)])
    print(f'{len(answers)} clients had {sum(answers)} answers')


asyncio.run(main())
