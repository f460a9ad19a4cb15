#!/usr/bin/python3
"""
`asyncio trace`: what it writes is what Perfetto reads, also of a process that was killed, of a ring that has
wrapped around, and of files that say nonsense.

    test_trace.py TOOL TRACED     (traced.c)
"""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from targets import HERE, check, end

BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4
RING = 4096 + 65536


def trace(program, path, *arguments, records=1024):
    environment = dict(os.environ, ASYNCIO_TRACE=f'{path}:{records}')
    return subprocess.Popen([program, *arguments], env=environment)


def convert(tool, path, *arguments):
    done = subprocess.run([tool, 'trace', path, *arguments], capture_output=True, timeout=60)
    check(done.returncode == 0, f'trace {arguments}: {done.returncode}', done.stderr)
    return done.stdout.decode()


# ---- A decoder of our own: protobuf without a description -----------------------------------

def number(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    at = 0
    while at < len(data):
        key, at = number(data, at)
        if key & 7 == 0:
            value, at = number(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from('<Q', data, at)[0], at + 8
        else:
            check(key & 7 == 2, 'wire type', key)
            length, at = number(data, at)
            value, at = data[at:at + length], at + length
            check(len(value) == length, 'a field is whole')
        yield key >> 3, value


def check_picture(data, is_whole):
    """Slices are balanced and nested, times never fall, each flow begins once and ends once."""
    tracks, names, open_slices, begun, ended, latest = {}, {}, {}, set(), set(), 0
    for field, packet in fields(data):
        check(field == 1, 'packet', field)
        packet = dict(fields(packet))
        if 60 in packet:
            track = dict(fields(packet[60]))
            check(track.get(5, 1) in tracks or track[1] == 1 or 5 in track, 'parent', track)
            tracks[track[1]] = track
        if 12 in packet:
            name = dict(fields(dict(fields(packet[12]))[2]))
            names[name[1]] = name[2].decode()
        if 11 not in packet:
            continue
        check(packet[8] >= latest, 'time')
        latest = packet[8]
        event = dict(fields(packet[11]))
        check(event[11] in tracks, 'track', event)
        stack = open_slices.setdefault(event[11], [])
        if event[9] == BEGIN:
            check(event[10] in names, 'name', event)
            stack.append(names[event[10]])
            check(len(stack) == 1, 'slices of a track follow each other', stack)
        elif event[9] == END:
            check(stack, 'a slice ends that has begun', event)
            stack.pop()
        if 47 in event:
            check(event[47] not in begun, 'a flow begins once')
            begun.add(event[47])
        if 48 in event:
            check(event[48] in begun and event[48] not in ended, 'a flow ends once, after its begin')
            ended.add(event[48])
    check(begun and ended, 'there are flows')
    if is_whole:
        check(begun == ended, 'all flows end', begun - ended)
        check(not any(open_slices.values()), 'all slices end', open_slices)
    return {name for name in names.values()}, [track[2].decode() for track in tracks.values() if 2 in track]


def check_protoc(path):
    protoc = shutil.which('protoc')
    if not protoc:
        print('no protoc: its part is left out')
        return
    with open(path, 'rb') as file:
        done = subprocess.run([protoc, f'--proto_path={HERE}', '--decode=Trace', 'perfetto.proto'],
                              stdin=file, capture_output=True, timeout=60)
    check(done.returncode == 0, 'protoc', done.stderr)
    lines = done.stdout.decode().splitlines()
    unknown = [line for line in lines if line.strip().split(':')[0].rstrip(' {').isdigit()]
    check(not unknown, 'unknown fields', unknown[:5])
    check(any('terminating_flow_ids' in line for line in lines), 'flows')


# ---- Runs ------------------------------------------------------------------------------------

def check_whole(tool, traced, folder):
    path, picture = folder / 'whole', folder / 'whole.pftrace'
    check(trace(traced, path).wait(60) == 0, 'it ends')
    convert(tool, path, '-o', picture)
    names, tracks = check_picture(picture.read_bytes(), True)
    check({'work', 'feed', 'has the lock', 'queue get', 'lock', 'sleep', 'poll'} <= names, 'names', names)
    for title in 'alice (2)', 'bob (3)', 'feed (4)', 'ready', 'tasks', 'lag':
        check(title in tracks, title, tracks)
    check_protoc(picture)
    records = json.loads(convert(tool, path, '--json'))['records']
    steps = sum(record['kind'] == 'step' and record.get('coroutine') == 'work' for record in records)
    stats = convert(tool, path, '--stats')
    row = next(line.split() for line in stats.splitlines() if line.startswith('work '))
    check([int(word) for word in row[1:4]] == [2, 2, steps], 'figures', stats)
    text = convert(tool, path, '--text')
    check(len(text.splitlines()) == len(records), 'a line a record')
    check('alice (2) has the lock' in text and 'bob (3) left: lock' in text, 'words', text)
    few = convert(tool, path, '--text', '--last', '0.0000001')
    check(0 < len(few.splitlines()) < len(records), 'the last of them')


def check_work(tool, traced, folder):
    """Work on other threads, and steps that debug mode finds slow."""
    path, picture = folder / 'slow', folder / 'slow.pftrace'
    process = trace(traced, path, 'slow')
    check(process.wait(60) == 0, 'it ends')
    convert(tool, path, '-o', picture)
    names, tracks = check_picture(picture.read_bytes(), True)
    check({'to_thread', 'slow'} <= names, 'names', names)
    check_protoc(picture)
    records = json.loads(convert(tool, path, '--json'))['records']
    times = [record['ns'] for record in records]
    check(times == sorted(times), 'records in order of time')
    begins = [record for record in records if record['kind'] == 'work']
    ends = [record for record in records if record['kind'] == 'worked']
    check(len(begins) == len(ends) == 3, 'work', begins, ends)
    check({record['name'] for record in begins} == {'to_thread'}, 'what it is', begins)
    asks = {record['task'] for record in records if record.get('coroutine') == 'asks' and 'task' in record}
    check({record['task'] for record in begins} == asks, 'whose work', begins)
    for begin in begins:
        end_ns = next(record['ns'] for record in ends if record['task'] == begin['task'])
        check(end_ns - begin['ns'] >= 1900000, 'how long it took', begin, end_ns)
        thread = begin['on']
        check(thread != process.pid and f'thread {thread}' in tracks, 'on which thread', thread, tracks)
    slow = [record for record in records if record['kind'] == 'slow']
    check({'holds', None} <= {record.get('coroutine') for record in slow}, 'slow steps', slow)
    check(all(record['took'] >= 2000000 for record in slow), 'how slow', slow)
    stats = convert(tool, path, '--stats')
    check('3 pieces of work on ' in stats and 'of them slow' in stats, 'totals', stats)
    check('slow steps' in stats.split('holds ')[1].split('\n')[1], 'a slow coroutine', stats)
    text = convert(tool, path, '--text')
    check(len(text.splitlines()) == len(records), 'a line a record')
    check(f'to_thread on thread {begins[0]["on"]}' in text, 'words', text)


def check_killed(tool, traced, folder):
    """Killed in the middle, with a ring that has wrapped around many times; and read while it still runs."""
    path, picture = folder / 'killed', folder / 'killed.pftrace'
    process = trace(traced, path, 'for-ever', records=256)
    index = 0
    while index < 3000:
        time.sleep(0.001)
        head = path.read_bytes()[:4096] if path.exists() else b''
        index = struct.unpack_from('<Q', head, head_index())[0] if len(head) == 4096 else 0
    for _ in range(5):
        convert(tool, path, '-o', picture)
        check_picture(picture.read_bytes(), False)
    process.kill()
    process.wait()
    convert(tool, path, '-o', picture)
    check_picture(picture.read_bytes(), False)
    check_protoc(picture)
    check('older records are gone' in convert(tool, path, '--text'), 'what is lost is told')


def head_index():
    return 16 + 4 + 4 + 8 + 4 + 4 + 4 + 4 + 8 + 3 * 24 + 8


def check_hostile(tool, folder):
    """Whatever the file says, the command ends by itself."""
    whole = (folder / 'whole').read_bytes()
    rng, path = random.Random(4711), folder / 'hostile'
    forms = [['--text'], ['--json'], ['--stats'], ['-o', folder / 'out'], ['--text', '--last', '1']]
    for turn in range(200):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 30)):
            place = rng.choice([rng.randrange(160), 4096 + rng.randrange(200), RING + rng.randrange(8000)])
            data[place] = rng.choice([0, 1, 0x7f, 0x80, 0xff, rng.randrange(256)])
        if turn % 10 == 0:
            data = data[:rng.randrange(len(data))]
        path.write_bytes(data)
        done = subprocess.run([tool, 'trace', path, *forms[turn % 5]], capture_output=True, timeout=60)
        check(done.returncode in (0, 4, 5), f'turn {turn}: {done.returncode}', done.stderr)


def check_misuse(tool, folder):
    for arguments, status in [([], 2), ([folder / 'whole'], 2), ([folder / 'none', '--text'], 2),
                              ([folder / 'whole', '--text', '--json'], 2), ([tool, '--text'], 4),
                              ([folder / 'whole', '--text', '--last', 'x'], 2), (['/dev/zero', '--text'], 4),
                              ([folder / 'whole', '-o', folder / 'whole'], 2),
                              ([folder / 'whole', '-o', '/nowhere/x'], 2), ([folder, '--text'], 4)]:
        done = subprocess.run([tool, 'trace', *arguments], capture_output=True, timeout=60)
        check(done.returncode == status and done.stderr, f'{arguments}: {done.returncode}', done.stderr)


def main():
    tool, traced = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_whole(tool, traced, folder)
        check_work(tool, traced, folder)
        check_killed(tool, traced, folder)
        check_hostile(tool, folder)
        check_misuse(tool, folder)
    end()


main()
