#!/usr/bin/python3
"""
The command `asyncio` and a program that waits in every way: words, tree, filters, JSON, what is kept
of it, and how the command ends where there is nothing to see.

    test_command.py TOOL TARGET BUSY HANG     (target.c, busy.c, docs/guide/code/hang.c)
"""
import faulthandler
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from targets import HERE, call, check, columns, end, expected, masked, running, settled, tasks_of

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)


def check_words(tool, pid):
    settled(lambda: masked(call(tool, 'ps', pid)), expected('ps.txt'), 'ps')
    settled(lambda: masked(call(tool, 'pstree', pid)), expected('pstree.txt'), 'pstree')


def check_filters(tool, pid):
    whole = columns(call(tool, 'ps', pid))
    for arguments, function in [(['--wait', 'sleep'], 'napper'), (['--name', 'work*'], 'worker'),
                                (['--name', 'client-7'], 'client'), (['--wait', 'LOCK'], 'worker')]:
        rows = columns(call(tool, 'ps', *arguments, pid))[1:]
        check(rows and all(row[2] == function for row in rows), f'ps {arguments}', rows)
    check(len(columns(call(tool, 'ps', '--older', '1000000', pid))) == 0, 'tasks that wait for 11 days')
    check(columns(call(tool, 'ps', '--older', '0.001', pid)) == whole, 'tasks that wait at all')
    check(not call(tool, 'ps', '--loop', '4711', pid, wanted=1), 'a loop that is not there')
    grouped = call(tool, 'ps', '--group', pid)
    check(re.search(r'^ *\d+ +6 tasks +napper ', grouped, re.MULTILINE), 'tasks alike', grouped)
    frames = call(tool, 'ps', '--stack=1', '--name', 'client-7', pid)
    has_one = '      read_request target.c' in frames and '      client target.c' not in frames
    check(has_one, 'one frame', frames)
    check('asyncio_read' in call(tool, 'pstree', '--all-frames', pid), 'frames of the library')


def check_machines(tool, pid):
    whole = json.loads(call(tool, 'ps', '--json', pid))
    loop = whole['loops'][0]
    check(whole['version'] == 1 and whole['pid'] == pid and len(loop['tasks']) == 27, 'the object', whole)
    by_id = {task['id']: task for task in loop['tasks']}
    kinds = {(by_id[edge['from']]['coroutine'], by_id[edge['to']]['coroutine'], edge['kind'])
             for edge in loop['edges']}
    check(kinds == {('worker', 'client', 'lock'), ('grouped', 'napper', 'awaits'),
                    ('gatherer', 'napper', 'awaits'), ('shielder', 'napper', 'awaits'),
                    ('awaiter', 'napper', 'awaits'),
                    ('server', 'client_connected', 'owns')}, 'edges', kinds)
    dot = call(tool, 'ps', '--dot', pid)
    check(dot.count('[label=') == 27 and dot.startswith('digraph') and dot.endswith('}\n'), 'dot', dot)


def check_saved(tool, pid, folder):
    kept = folder / 'kept'
    call(tool, 'save', pid, kept)
    check(os.stat(kept).st_mode & 0o777 == 0o600, 'the file is for its owner')
    kept.chmod(0o644)
    call(tool, 'save', pid, kept)
    check(os.stat(kept).st_mode & 0o777 == 0o600, 'a file that was there is for its owner from then on')
    call(tool, 'ps', kept, folder / 'no-program', wanted=2)
    for command in 'ps', 'pstree':
        settled(lambda: masked(call(tool, command, kept)), expected(f'{command}.txt'),
                f'{command} of what was saved')
    bytes_of = kept.read_bytes()
    for length in 0, 63, 1000, len(bytes_of) // 2:
        (folder / 'cut').write_bytes(bytes_of[:length])
        done = subprocess.run([tool, 'ps', folder / 'cut'], capture_output=True, timeout=60)
        check(done.returncode in (1, 4, 5), f'cut at {length}: {done.returncode}', done.stderr)


def check_versions(tool, pid, folder):
    """A descriptor of before the shapes is read as far as it goes; one of a later version is refused."""
    kept, older, later = folder / 'kept', folder / 'older', folder / 'later'
    whole = kept.read_bytes()
    places = [found.start() for found in re.finditer(rb'asyncio\x00\x01\x00\x00\x00', whole)]
    for place in places:
        size = struct.pack('<I', 232)
        older.write_bytes(whole[:place + 12] + size + whole[place + 16:])
        later.write_bytes(whole[:place + 8] + struct.pack('<I', 2) + whole[place + 12:])
        done = subprocess.run([tool, 'ps', later], capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            continue  # words of the program that only look like it
        check(done.returncode == 4 and 'version 2' in done.stderr, 'a later version', done.stderr)
        rows = columns(call(tool, 'ps', older))
        names = [row[:3] for row in columns(expected('ps.txt'))]
        check([row[:3] for row in rows] == names, 'version 1', rows)
        tree = call(tool, 'pstree', older)
        check(re.search(r'Task-12 awaiter: await.*\n.*awaiter target.c.*\n.*Task-11 napper', tree),
              'awaits of version 1', tree)
        # One of before the kinds of cases, which came last.
        size, = struct.unpack('<I', whole[place + 12:place + 16])
        older.write_bytes(whole[:place + 12] + struct.pack('<I', size - 16) + whole[place + 16:])
        text = call(tool, 'ps', older)
        check('one of 4: results | go | db | a descriptor;' in text, 'cases without their kinds', text)
        return
    check(False, 'the descriptor was saved', len(places))


def check_deadlock(tool, target):
    with running(target, 'deadlock') as child:
        text = call(tool, 'pstree', child.pid)
    # Wherever the round begins.
    parts = [f'{a} waits for lock {lock}, held by {b}' for a, lock, b in
             [('stores', 'log_file', 'logs'), ('reports', 'db', 'stores')]] + ['logs awaits reports']
    first = text.splitlines()[0]
    check(first.startswith('cycle: ') and all(part in first for part in parts), 'the deadlock', text)


def check_running(tool, busy):
    with running(busy, 'spin') as child:
        text = call(tool, 'pstree', child.pid)
        is_shown = re.search(r'computes: running.*\n(?:.*\n)*?.* burn busy\.c:\d+', text)
        check(is_shown, 'a task that computes', text)
        check('is_shut_out: lock, lock, held by Task-2' in text, 'one that waits for it', text)

    with running(busy, 'eager') as child:
        text = call(tool, 'pstree', child.pid)
        wanted = (r'outermost: creates.*\n(?:.*\n)?.* begin_middle busy\.c:\d+\n.* outermost busy\.c:\d+\n'
                  r'.* middle: creates.*\n.* middle busy\.c:\d+\n'
                  r'.* innermost: running.*\n(?:.*\n)*?.* burn busy\.c:\d+')
        check(re.search(wanted, text), 'creators of tasks that start eagerly', text)

    with running(busy, 'callback') as child:
        text = call(tool, 'pstree', child.pid)
        is_shown = re.search(r'runs a callback.*\n(?:│.*\n)*│ burn busy\.c:\d+\n│ hang busy\.c:\d+', text)
        check(is_shown and 'hangs: sleep' in text, 'a callback that hangs', text)


def depths_of(tool, where):
    """By coroutine: KiB touched, KiB of stack, tasks."""
    text = call(tool, 'ps', '--stacks', where)
    line = r'^stacks of (\w+): (\d+) of (\d+) KiB, the deepest of (\d+) tasks?$'
    found = re.findall(line, text, re.MULTILINE)
    return {name: tuple(map(int, numbers)) for name, *numbers in found}, text


def check_depths(tool, busy, folder):
    with running(busy, 'deep') as child:
        depths, text = depths_of(tool, child.pid)
        call(tool, 'save', child.pid, folder / 'depths')
        tree = call(tool, 'pstree', '--stacks', child.pid)
        tasks = json.loads(call(tool, 'ps', '--json', '--stacks', child.pid))['loops'][0]['tasks']
        plain = call(tool, 'ps', child.pid) + call(tool, 'ps', '--json', child.pid)
    check(list(depths) and list(depths)[0] == 'deep', 'the deepest comes first', text)
    touched, room, count = depths.get('deep', (0, 0, 0))
    check(97 <= touched <= 160 and 200 <= room <= 1100 and count == 1, 'a deep stack', text)
    check(depths.get('shallow', (999,))[0] < 64 and depths['shallow'][2] == 2, 'shallow ones', text)
    check(depths.get('dives', (999,))[0] < 64, 'main', text)
    row = rf'SINCE +STACK +WHERE\n(.*\n)* *4 .* deep .* {touched} of {room} KiB '
    check(re.search(row, text), 'a column', text)
    check(f'stack {touched} of {room} KiB' in tree and 'stacks of deep' in tree, 'in the tree', tree)
    check([-(-task['stack_touched'] // 1024) for task in tasks if task['coroutine'] == 'deep'] == [touched]
          and all(-(-task['stack_bytes'] // 1024) == room for task in tasks), 'for programs', tasks)
    check('STACK' not in plain and 'KiB' not in plain and 'stack_' not in plain, 'only if asked for', plain)
    kept, text = depths_of(tool, folder / 'depths')
    check(kept == depths, 'depths of what was saved', kept, depths)


def check_ends(tool, folder):
    other = subprocess.Popen(['sleep', '100'])
    try:
        call(tool, 'ps', other.pid, wanted=4)
    finally:
        other.kill()
        other.wait()
    call(tool, 'ps', other.pid, wanted=1)
    call(tool, 'ps', '/dev/null', wanted=1)
    call(tool, 'ps', folder / 'nothing', wanted=1)
    for arguments in [], ['ps'], ['ps', '--wrong', '1'], ['ps', '--older', 'x', '1'], ['save', '1'], ['sing']:
        call(tool, *arguments, wanted=2)
    check('usage' in call(tool, '--help'), 'help')
    for command in 'ps', 'pstree', 'save', 'trace', 'symbolise':
        check(f'usage: asyncio {command} ' in call(tool, command, '--help'), f'help for {command}')
    wrong = subprocess.run([tool, 'ps', '--older', 'x', '1'], capture_output=True, text=True)
    check("--older takes a number, not 'x'" in wrong.stderr, 'the option that is wrong', wrong.stderr)
    os.mkfifo(folder / 'fifo')
    call(tool, 'ps', folder / 'fifo', wanted=1)


def check_output(tool, pid):
    """What cannot be written is an error."""
    for arguments in ['ps', pid], ['pstree', '--json', pid], ['--help']:
        with open('/dev/full', 'w') as full:
            done = subprocess.run([tool, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE,
                                  text=True)
        check(done.returncode == 2 and 'No space left' in done.stderr, f'{arguments} to a full disk', done)


def check_names(tool, busy):
    """Names stand in their column, and a terminal obeys none of them."""
    with running(busy, 'names') as child:
        text = call(tool, 'ps', child.pid)
        tree = call(tool, 'pstree', child.pid)
        names = [task['name'] for task in tasks_of(tool, child.pid)]
        dot = call(tool, 'ps', '--dot', child.pid)
    lines = [line for line in text.splitlines() if ' shallow ' in line]
    check(len(lines) == 5 and len({line.index('shallow') for line in lines}) == 1, 'a column', text)
    check(names[1:] == ['äöü', 'plain', '?[m', '?[m', '???'], 'names', names)
    for words in text, tree, dot:
        check(not re.search('[\0-\x09\x0b-\x1f\x7f-\x9f\ufffd]', words), 'controls', repr(words))


def check_symbols(tool, target):
    symbols = subprocess.run(['nm', target], capture_output=True, text=True).stdout
    burn = re.search(r'^([0-9a-f]+) t read_request', symbols, re.MULTILINE)
    if not burn:
        return
    line = f'  #0 {target}+0x{int(burn.group(1), 16):x}\nnothing here\n./gone+0x12\n'
    done = subprocess.run([tool, 'symbolise'], input=line, capture_output=True, text=True)
    got = done.stdout.splitlines()
    check(re.fullmatch(r'  #0 read_request\S* target\.c:\d+', got[0]) and got[1:] == line.splitlines()[1:],
          'symbolise', done.stdout)
    # As the watchdog has them: several in a line.
    place = f'{target}+0x{int(burn.group(1), 16):x}'
    line = f'  {place} gone+0x12 {place} end\0{place}\n'
    done = subprocess.run([tool, 'symbolise'], input=line, capture_output=True, text=True)
    wanted = rf'  (read_request\S* target\.c:\d+) gone\+0x12 \1 end\0{re.escape(place)}\n'
    check(re.fullmatch(wanted, done.stdout), 'several places', done.stdout)
    line = f'{Path(target).name}+0x1 [0123456789abcdef]\n'
    done = subprocess.run([tool, 'symbolise', target], input=line, capture_output=True, text=True)
    check('another build' in done.stdout, 'another build', done.stdout)


def check_guide(tool, hang):
    """What the guide shows is what there is to see."""
    shown = (HERE.parents[1] / 'docs/guide/code/hang.pstree').read_text().split('\n', 1)[1]
    with running(hang) as child:
        settled(lambda: masked(call(tool, 'pstree', child.pid)), masked(shown), 'the picture in the guide')


def main(tool, target, busy, hang):
    with tempfile.TemporaryDirectory() as folder, running(target) as child:
        check_words(tool, child.pid)
        check_filters(tool, child.pid)
        check_machines(tool, child.pid)
        check_saved(tool, child.pid, Path(folder))
        check_versions(tool, child.pid, Path(folder))
        check_ends(tool, Path(folder))
        check_output(tool, child.pid)
        check(len(tasks_of(tool, child.pid)) == 27, 'it is as before')
        child.stdin.close()
        check(child.wait(60) == 0, 'the program that was looked at ends well')
    check_deadlock(tool, target)
    check_running(tool, busy)
    check_names(tool, busy)
    with tempfile.TemporaryDirectory() as folder:
        check_depths(tool, busy, Path(folder))
    check_symbols(tool, target)
    check_guide(tool, hang)
    end()


main(*sys.argv[1:])
