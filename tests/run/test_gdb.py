#!/usr/bin/python3
"""
A debugger that stops in a task shows the program's functions, down to the task's first
frame, and ends there; in a fault the same.

    test_gdb.py PROGRAM     (gdb_program.c)

Exits 77 where there is no gdb that can run a program.
"""
import faulthandler
import re
import shutil
import signal
import subprocess
import sys

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

FRAME = re.compile(r'^#\d+\s+(?:0x[0-9a-f]+ in )?(\S+) \(', re.MULTILINE)
WANTED = ['stop_here', 'goes_deeper', 'goes_deeper', 'goes_deeper', 'goes_deeper', 'inner_coroutine']


def gdb(program, *commands):
    arguments = ['gdb', '-batch', '-nx', '-ex', 'set debuginfod enabled off', '-ex', 'set confirm off']
    for command in commands:
        arguments += ['-ex', command]
    done = subprocess.run([*arguments, program], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60)
    return done.stdout + done.stderr


def main(program):
    if not shutil.which('gdb'):
        print('there is no gdb here')
        return 77
    text = gdb(program, 'break stop_here', 'run', 'bt')
    if 'Breakpoint 1, ' not in text:
        if re.search(r'ptrace|not permitted|not supported', text):
            print(f'gdb cannot run a program here:\n{text}')
            return 77
        print(text)
        return 1
    frames = FRAME.findall(text[text.index('Breakpoint 1, '):])
    # What inlining leaves of the library's own is its business.
    own = [frame for frame in frames if frame in WANTED]
    wrong = []
    if own != WANTED:
        wrong.append(f'not the functions {WANTED}')
    if frames[-1:] != ['asy_context_entry']:
        wrong.append('the last frame is not asy_context_entry')
    if '??' in text or 'Backtrace stopped' in text or 'previous frame' in text:
        wrong.append('gdb lost its way')
    if wrong:
        print(*wrong, text, sep='\n')
    return 1 if wrong else 0


sys.exit(main(sys.argv[1]))
