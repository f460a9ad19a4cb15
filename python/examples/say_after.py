# Two tasks sleep at the same time: everybody's first program of asyncio.
import asyncio


async def say_after(delay, what):
    await asyncio.sleep(delay)
    print(what)
    return len(what)


async def main():
    hello = asyncio.create_task(say_after(0.1, 'hello'))
    world = asyncio.create_task(say_after(0.2, 'world'))
    print('started')
    print('lengths:', await hello, await world)
    print('all:', await asyncio.gather(*[say_after(0.05 * i, f'number {i}') for i in (3, 1, 2)]))


asyncio.run(main())
