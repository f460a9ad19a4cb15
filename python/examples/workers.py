# A queue hands work to three workers, which are cancelled when all of it is done.
import asyncio


async def work(name, queue, done):
    while True:
        item = await queue.get()
        await asyncio.sleep(0.01 * item)
        done.append((item, name))
        queue.task_done()


async def main():
    queue, done = asyncio.Queue(maxsize=4), []
    workers = [asyncio.create_task(work(f'worker {i}', queue, done)) for i in range(3)]
    for item in range(12):
        await queue.put(item)
    await queue.join()
    for worker in workers:
        worker.cancel()
    ends = await asyncio.gather(*workers, return_exceptions=True)
    print('items:', sorted(item for item, _ in done))
    print('workers:', sorted({name for _, name in done}))
    print('ends:', [type(end).__name__ for end in ends])


asyncio.run(main())
