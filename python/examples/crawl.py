# A crawler: pages name others, at most four are fetched at a time, and one never answers.
import asyncio
import re

PAGES = {f'/{i}': ' '.join(f'<a href="/{2 * i + k}">' for k in (1, 2) if 2 * i + k < 30) for i in range(30)}
DEAF = '/7'


async def serve(reader, writer):
    path = (await reader.readuntil(b'\r\n\r\n')).split()[1].decode()
    if path == DEAF:
        await reader.read()  # until the client gives up
    else:
        body = PAGES[path].encode()
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n' % len(body) + body)
        await writer.drain()
    writer.close()


async def fetch(port, path):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    try:
        writer.write(f'GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode())
        head, _, body = (await reader.read()).partition(b'\r\n\r\n')
        return body.decode()
    finally:
        writer.close()


class Crawler:
    def __init__(self, port):
        self.port, self.limit = port, asyncio.Semaphore(4)
        self.seen, self.failed = set(), set()

    async def crawl(self, path):
        if path in self.seen:
            return
        self.seen.add(path)
        try:
            async with self.limit, asyncio.timeout(0.5):
                page = await fetch(self.port, path)
        except TimeoutError:
            self.failed.add(path)
            return
        async with asyncio.TaskGroup() as group:
            for link in re.findall('href="(.*?)"', page):
                group.create_task(self.crawl(link))


async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    crawler = Crawler(server.sockets[0].getsockname()[1])
    await crawler.crawl('/0')
    server.close()
    print(f'{len(crawler.seen)} pages, {len(crawler.failed)} without an answer: {sorted(crawler.failed)}')


asyncio.run(main())
