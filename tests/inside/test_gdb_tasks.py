#!/usr/bin/python3
"""
gdb with tools/asyncio/asyncio-gdb.py: tasks listed, commands applied to suspended ones, the tree, values in
words; of a live process, and of its core file.

    test_gdb_tasks.py SCRIPT TARGET BUSY     (target.c, busy.c)

Exits 77 where there is no gdb that can look at a process.
"""
import faulthandler
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from targets import ENVIRONMENT, await_rest, check, end, running

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

COMMANDS = '''
info asyncio-tasks
echo @filtered\\n
info asyncio-tasks work*
echo @selected\\n
asyncio-task 2
bt
echo @locals\\n
asyncio-task 2
frame function read_request
info locals
info args
echo @applied\\n
asyncio-task 4 bt
echo @back\\n
asyncio-task 0
bt
echo @tree\\n
asyncio-tree
echo @values\\n
print db
print jobs
echo @all\\n
asyncio-task all bt -1
echo @wrong\\n
asyncio-task 4711
'''


def gdb(script, *arguments):
    with tempfile.NamedTemporaryFile('w', suffix='.gdb') as commands:
        commands.write(f'set debuginfod enabled off\nset pagination off\nset width 0\nsource {script}\n')
        commands.write(COMMANDS)
        commands.flush()
        done = subprocess.run(['gdb', '-nx', '-batch', *arguments, '-x', commands.name], capture_output=True,
                              stdin=subprocess.DEVNULL, text=True, timeout=100, env=ENVIRONMENT)
    return done.stdout, done.stderr


def check_session(text, errors, what):
    parts = dict(zip(['list', *re.findall(r'^@(\w+)$', text, re.MULTILINE)],
                     re.split(r'^@\w+\n', text, flags=re.MULTILINE)))
    wanted = [
        ('list', r'^  *2 +client-7 +client +reading a descriptor +fd \d+ +read_request target\.c:\d+$'),
        ('list', r'^  *3 +Task-3 +worker +lock +db, held by client-7 +store target\.c:\d+$'),
        ('list', r'^  *4 +Task-4 +producer +queue put +jobs, 4 of 4 +producer target\.c:\d+$'),
        ('filtered', r'^  *3 +Task-3 '),
        ('selected', r'^client-7 \(client: reading a descriptor\)\n#1 '),
        ('selected', r'^#\d+ .*\bread_request \(.*\n#\d+ .*\bclient_coroutine \('),
        ('selected', r'^#\d+ .*\basy_context_entry \(.*\n\Z'),
        ('locals', r'^fd = \d+$'),
        # The latter is the former's last call: clang leaves no frame of the caller.
        ('applied', r'^#\d+ .*\b(asyncio_queue_put|wait_to_put) \('),
        ('applied', r'^#\d+ .*\bproducer_coroutine \('),
        ('back', r'^#\d+ .*\bmain \('),
        ('tree', r'^loop 1, thread \d+: 27 tasks$'),
        ('tree', r'^   8 Task-8 \(grouped: task group\) 2 left\n      22 Task-22 \(napper: sleep\)'),
        ('tree', r'^   12 Task-12 \(awaiter: await\) Task-11\n      11 Task-11'),
        ('values', r'^\$1 = held by client-7$'),
        ('values', r'^\$2 = 4 of 4 items$'),
    ]
    for part, pattern in wanted:
        check(re.search(pattern, parts.get(part, ''), re.MULTILINE), f'{what}: {part} has no {pattern}',
              parts.get(part, text), errors)
    check(len(re.findall(r'^#\d+ .*asy_context_entry', parts.get('all', ''), re.MULTILINE)) == 27,
          f'{what}: 27 tasks end at asy_context_entry', parts.get('all'))
    check('there is no task 4711' in errors, f'{what}: a task that is not there', errors)
    for part in parts:
        check(part == 'back' or 'Backtrace stopped' not in parts[part], f'{what}: {part}', parts[part])


def leaves_cores(folder):
    pattern = Path('/proc/sys/kernel/core_pattern').read_text().strip()
    return '/' not in pattern and '|' not in pattern


def check_core(script, target, folder):
    """A core of the kernel, where it leaves one in the process's folder."""
    if not leaves_cores(folder):
        print('no core files here')
        return
    limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with running(target, cwd=folder,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))) as child:
        await_rest(child.pid)
        child.send_signal(signal.SIGABRT)
        child.wait(60)
    cores = [path for path in Path(folder).iterdir() if path.name.startswith('core')]
    if cores:
        check_session(*gdb(script, target, str(cores[0])), 'core')


def check_creators(script, busy):
    """Tasks that make one which starts eagerly, and computes."""
    with running(busy, 'eager') as child:
        text, errors = gdb(script, '-p', str(child.pid))
    for pattern in (r'^  *1 +Task-1 +outermost +creates +begin_middle busy\.c:\d+$',
                    r'^  *2 +Task-2 +middle +creates +middle busy\.c:\d+$',
                    r'^  *3 +Task-3 +innermost +running +burn busy\.c:\d+$'):
        check(re.search(pattern, text, re.MULTILINE), f'eager: no {pattern}', text, errors)


def main(script, target, busy):
    if not shutil.which('gdb'):
        print('there is no gdb here')
        return 77
    with running(target) as child:
        await_rest(child.pid)
        text, errors = gdb(script, '-p', str(child.pid))
        if re.search(r'ptrace|not permitted|ython scripting is not', errors) and '@tree' not in text:
            print(f'gdb cannot look at a process here:\n{errors}')
            return 77
        check_session(text, errors, 'live')
    check_creators(script, busy)
    with tempfile.TemporaryDirectory() as folder:
        check_core(script, str(Path(target).resolve()), folder)
    return end()


sys.exit(main(*sys.argv[1:]))
