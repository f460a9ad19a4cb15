#!/usr/bin/python3
"""
What a debugger sees of a context, at every single instruction of a switch: the
functions that run there, down to asy_context_entry, and nothing beyond; in the
caller's frame the registers as the caller has them.

    test_gdb_backtrace.py [root of the tree]

Compiles a small program with $CC (cc where unset) and steps through it with gdb.
Exits 77 where there is no gdb that can run a program.
"""
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

PROGRAM = r'''
#include "sys/context.h"

static void *main_sp, *context_sp;
static _Alignas(64) char stack[65536];

/* More numbers than registers, none like another, that are needed after the call. */
static volatile long counter, sink;
#define FOR_ALL(DO) DO(a) DO(b) DO(c) DO(d) DO(e) DO(f) DO(g) DO(h) DO(i) DO(j) DO(k) DO(l)
#define MAKE(name) long name = ++counter; double name##2 = (double)++counter;
#define USE(name) sink = name; sink = (long)name##2;
#define WITH_FULL_REGISTERS(call) do { FOR_ALL(MAKE) call; FOR_ALL(USE) } while (0)

/* A call in the last place would be a jump and leave no frame. */
#define NOT_LAST __asm__ volatile("" : : : "memory")
#define LEVEL __attribute__((noinline)) void

LEVEL level3(void *arg)
{
    WITH_FULL_REGISTERS(asy_context_switch(&context_sp, main_sp));
    WITH_FULL_REGISTERS(asy_context_leave(main_sp));
    (void)arg;
}

LEVEL level2(void *arg)
{
    level3(arg);
    NOT_LAST;
}

LEVEL level1(void *arg)
{
    level2(arg);
    NOT_LAST;
}

LEVEL finished(void)
{
    NOT_LAST;
}

int main(void)
{
    struct asy_fp_control fp;
    asy_fp_control_save(&fp);
    WITH_FULL_REGISTERS(asy_context_start(&main_sp, stack + sizeof stack, level1, 0, &fp));
    WITH_FULL_REGISTERS(asy_context_switch(&main_sp, context_sp));
    finished();
    return 0;
}
'''

# What a call keeps, with the two that say where the caller is.
KEPT = {
    'x86_64': ['rip', 'rsp', 'rbx', 'rbp', 'r12', 'r13', 'r14', 'r15'],
    'aarch64': ['pc', 'sp'] + [f'x{i}' for i in range(19, 30)] + [f'd{i}.u' for i in range(8, 16)],
    'riscv64': ['pc', 'sp'] + [f's{i}' for i in range(12)],
}

MAIN = ('main',)
CONTEXT = ('level3', 'level2', 'level1', 'asy_context_entry')

# The way through: where the program is, and who is below. On a stack that is
# entered for the first time there is nobody, until its first function is there.
WAY = [
    ('asy_context_start', MAIN),
    ('asy_context_start', ()),
    ('level1', CONTEXT[3:]),
    ('level2', CONTEXT[2:]),
    ('level3', CONTEXT[1:]),
    ('asy_context_switch', CONTEXT),
    ('asy_context_switch', MAIN),
    ('main', ()),
    ('asy_context_switch', MAIN),
    ('asy_context_switch', CONTEXT),
    ('level3', CONTEXT[1:]),
    ('asy_context_leave', CONTEXT),
    ('asy_context_leave', MAIN),
    ('main', ()),
]


def compile_program(root, folder, arch, flags):
    source, program = folder / 'program.c', folder / 'program'
    source.write_text(PROGRAM)
    subprocess.run(os.environ.get('CC', 'cc').split() + ['-std=gnu11', '-O2', '-fomit-frame-pointer', *flags,
                   '-I', root / 'src', source, root / 'src/sys/arch' / f'{arch}.S', '-o', program], check=True)
    return program


def commands(arch, start):
    formats = ' '.join(['%#lx'] * len(KEPT[arch]))
    values = ', '.join('$' + name for name in KEPT[arch])
    return f'''
set confirm off
set pagination off
set width 0
set debuginfod enabled off
break main
{start}
break *asy_context_start
continue
delete
while $pc != (unsigned long)&finished
  echo @step\\n
  backtrace
  frame apply 2 -q -s printf "kept {formats}\\n", {values}
  stepi
end
echo @finished\\n
kill
'''


def run_gdb(gdb, program, script, folder):
    path = folder / 'commands'
    path.write_text(script)
    # Without colours and whatever else the user's set-up adds; gdb needs no terminal.
    done = subprocess.run([gdb, '-nx', '-batch', '-x', path, program], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.stdout


class Step:
    def __init__(self, text):
        self.text = text
        frames = re.findall(r'^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(', text, re.MULTILINE)
        # A compiler's copies of a function are called level2.constprop.0 and the like.
        self.functions = [name.split('.')[0] for name in frames]
        kept = re.findall(r'^kept (.*)$', text, re.MULTILINE)
        self.caller_kept = kept[1] if len(kept) > 1 else None

    def place(self):
        return self.functions[0], tuple(self.functions[1:])

    def complaints(self):
        return re.findall(r'.*(?:corrupt|[Bb]acktrace stopped|Cannot access|\?\?).*', self.text)


def check(output):
    """Yields what is wrong."""
    before, *texts = output.split('@step\n')
    if '@finished' not in output:
        yield 'gdb did not reach the end:\n' + output[-1000:]
        return
    steps = [Step(text.split('@finished')[0]) for text in texts]
    for number, step in enumerate(steps):
        for complaint in step.complaints():
            yield f'step {number}: {complaint}'
    way = [place for place, _ in groupby(step.place() for step in steps)]
    if way != WAY:
        yield 'the way was:\n' + '\n'.join(f'    {at}  <- {below}' for at, below in way)
    # As long as the switch stays on one stack, its caller's registers are the same.
    for place, run in groupby(steps, Step.place):
        run = list(run)
        if place[0].startswith('asy_context_') and place[1]:
            kept = sorted({str(step.caller_kept) for step in run})
            if len(kept) != 1 or kept == ['None']:
                yield f'{place}: registers of the caller: {kept}'
            print(f'{place[0]} below {place[1][0]}: {len(run)} instructions')


def can_run(output):
    return not re.search(r'ptrace|Cannot create process|[Nn]o symbol table|startup program', output.split('@step')[0])


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    arch = platform.machine()
    gdb = shutil.which('gdb')
    if not gdb:
        print('no gdb')
        return 77
    status = 0
    for flags in [], ['-g']:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            program = compile_program(root, folder, arch, flags)
            output = run_gdb(gdb, program, commands(arch, 'run'), folder)
        if not can_run(output):
            print('gdb cannot run a program here:\n' + output[-500:])
            return 77
        for wrong in check(output):
            print(f'with {flags}: {wrong}')
            status = 1
    return status


if __name__ == '__main__':
    sys.exit(main())
