#!/usr/bin/python3
"""transports.py PROGRAM [seed...]: the same script of actions on asyncio's transports and on ours.

Two transports stand at the two ends of a socket pair. A seed makes a script: one action on one side in each
line, or what a protocol is to do in the middle of its next function. After each action both sides settle, and
each says what its protocol was told meanwhile. PROGRAM (transports.c) does the same in C; the lines must be
equal. What is not compared: in how many pieces bytes come, where they stand between a pause and a resume, and
whether a read or a write is the first to find that the peer is gone.

Python accepts writes after a close, resumes a protocol that has closed, does not resume one whose limits are
raised, and tells the end anew to one that stays open and resumes reading: scripts keep away from all of
these.
"""
import asyncio
import difflib
import errno
import os
import random
import socket
import subprocess
import sys

SECONDS_MAX = 300


# ---- Scripts ---------------------------------------------------------------------------------

def bulk_action(rng):
    """Large writes fill the queue; nothing depends on how many bytes come at a time."""
    return rng.choice(['w 400000', 'w 300000', 'w 1000', 'v 250000', 'w 90000', 'p', 'r', 'r', 'k 1', 'k 0',
                       'e', 'l 1000 100', 'l 65536 16384', 'l 0 0', 's', 'u c', 'u a', 'r', 'w 400000', 'p'])


def small_action(rng):
    """Small writes, and things done in the middle of data_received and eof_received."""
    n = rng.randrange(1, 1500)
    return rng.choice([f'w {n}', f'w {n}', f'w {n}', f'v {n}', 'p', 'r', 'r', 'k 1', 'k 0', 'e', 's',
                       f'd w{n}', 'd p', 'd e', 'd s', 'd c', 'd a', f'f w{n}', 'f c', 'f a', f'd w{n}',
                       'd p'])


def script(seed):
    rng = random.Random(seed)
    action = rng.choice([bulk_action, small_action])
    lines = [f'{rng.choice("AB")} {action(rng)}' for _ in range(rng.randrange(4, 16))]
    lines.append(f'{rng.choice("AB")} {rng.choice("caer")}')
    return lines + ['A r', 'B r', 'A a', 'B a']


# ---- Python's side ---------------------------------------------------------------------------

class Side:
    """What both protocols of one side share."""

    def __init__(self, name):
        self.name = name
        self.transport = None
        self.keeps = False
        self.has_ended = False
        self.paused = False
        self.at_data = self.at_eof = self.at_pause = None
        self.sent = self.received = 0
        self.is_lost = False
        self.clear()

    def clear(self):
        self.events, self.bytes = [], 0

    def note(self, event):
        assert not self.is_lost, f'{event} after connection_lost'
        self.events.append(event)

    def take(self, data):
        assert self.transport and not self.is_lost and not self.has_ended
        expected = bytes((self.received + i) % 251 for i in range(len(data)))
        assert bytes(data) == expected, 'bytes are lost or in disorder'
        self.received += len(data)
        self.bytes += len(data)
        action, self.at_data = self.at_data, None
        if action:
            self.do(action)

    def pattern(self, n):
        data = bytes((self.sent + i) % 251 for i in range(n))
        self.sent += n
        return data

    def may_write(self):
        return not self.is_lost and not self.transport.is_closing() and not self.has_written_eof()

    def has_written_eof(self):
        return getattr(self, 'wrote_eof', False)

    def do(self, action):
        verb, rest = action[0], action[1:].split()
        transport = self.transport
        if self.is_lost:
            return
        if verb == 'w' and self.may_write():
            transport.write(self.pattern(int(rest[0])))
        elif verb == 'v' and self.may_write():
            data = self.pattern(int(rest[0]))
            cut = len(data) // 3
            transport.writelines([data[:cut], b'', data[cut:]])
        elif verb == 'e' and self.may_write():
            self.wrote_eof = True
            transport.write_eof()
        elif verb == 'c':
            transport.close()
        elif verb == 'a':
            transport.abort()
        elif verb == 'p' and not self.has_ended:
            transport.pause_reading()
        elif verb == 'r' and not self.has_ended:
            transport.resume_reading()
        elif verb == 'k':
            self.keeps = rest[0] == '1'
        elif verb == 'l' and not self.paused and not transport.is_closing():
            transport.set_write_buffer_limits(int(rest[0]), int(rest[1]))
        elif verb == 's':
            transport.set_protocol(Buffered(self))
        elif verb == 'd':
            self.at_data = rest[0]
        elif verb == 'f':
            self.at_eof = rest[0]
        elif verb == 'u':
            self.at_pause = rest[0]

    def describe(self):
        events = ' '.join(self.events)
        state = 'lost' if self.is_lost else (f'size={self.transport.get_write_buffer_size()} '
                                             f'closing={int(self.transport.is_closing())} '
                                             f'reading={int(self.transport.is_reading())}')
        line = f'{self.name}: data={self.bytes} [{events}] {state}'
        self.clear()
        return line


class Base:
    def __init__(self, side):
        self.side = side

    def connection_made(self, transport):
        self.side.transport = transport
        self.side.note('made')

    def eof_received(self):
        self.side.note('eof')
        self.side.has_ended = True
        action, self.side.at_eof = self.side.at_eof, None
        if action:
            self.side.do(action)
        return self.side.keeps

    def pause_writing(self):
        self.side.paused = True
        if self.side.transport.is_closing():
            return
        self.side.note('pause')
        action, self.side.at_pause = self.side.at_pause, None
        if action:
            self.side.do(action)

    def resume_writing(self):
        self.side.paused = False
        if not self.side.transport.is_closing():
            self.side.note('resume')

    def connection_lost(self, exc):
        name = '0' if exc is None else errno.errorcode.get(getattr(exc, 'errno', None), repr(exc))
        name = 'ECONNRESET' if name == 'EPIPE' else name
        self.side.note(f'lost:{name}')
        self.side.is_lost = True


class Plain(Base, asyncio.Protocol):
    def data_received(self, data):
        self.side.take(data)


class Buffered(Base, asyncio.BufferedProtocol):
    def __init__(self, side):
        super().__init__(side)
        self.buffer = bytearray(65536)

    def get_buffer(self, hint):
        return self.buffer

    def buffer_updated(self, n):
        self.side.take(self.buffer[:n])


async def settle(sides):
    """Until nothing has happened for a while."""
    quiet, before = 0, None
    while quiet < 20:
        await asyncio.sleep(0)
        now = [(side.received, len(side.events), side.is_lost) for side in sides]
        quiet = quiet + 1 if now == before else 0
        before = now


async def play(lines):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    sides = [Side('A'), Side('B')]
    for side, sock in zip(sides, socket.socketpair()):
        sock.setblocking(False)
        await loop.create_connection(lambda side=side: Plain(side), sock=sock)
    said = []
    for line in ['', *lines]:
        if line:
            sides[line[0] == 'B'].do(line[2:])
        await settle(sides)
        said += [f'> {line}', *(side.describe() for side in sides)]
    return said


# ---- Both ------------------------------------------------------------------------------------

def ours(program, scripts):
    """The lines of each script, as the C program says them."""
    text = ''.join(f'{len(lines)}\n' + ''.join(f'{line}\n' for line in lines) for lines in scripts)
    environment = {name: value for name, value in os.environ.items() if not name.startswith('ASYNCIO_')}
    result = subprocess.run([program], input=text, capture_output=True, text=True, timeout=SECONDS_MAX,
                            env=environment)
    if result.returncode:
        print(f'the program ended with {result.returncode}', result.stderr, sep='\n')
    return [part.splitlines() for part in result.stdout.split('==\n')[1:]]


def main():
    program = sys.argv[1]
    seeds = [int(seed) for seed in sys.argv[2:]]
    if not seeds:
        seeds = range(1000 if os.environ.get('ASYNCIO_TEST_LARGE') else 50)
    scripts = [script(seed) for seed in seeds]
    said = ours(program, scripts)
    failed = 0
    for i, (seed, lines) in enumerate(zip(seeds, scripts)):
        wanted = asyncio.run(play(lines))
        got = said[i] if i < len(said) else []
        if wanted == got:
            continue
        failed += 1
        diff = difflib.unified_diff(wanted, got, 'Python', 'C', lineterm='', n=100)
        print(f'== seed {seed}', *diff, sep='\n')
    print(f'{len(scripts) - failed} passed, {failed} failed')
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
