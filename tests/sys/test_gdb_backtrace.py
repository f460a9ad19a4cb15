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

# What a call keeps, with the two that say where the caller is. Not AArch64's d8 to d15:
# where they are part of longer registers, gdb shows those of the innermost frame.
KEPT = {
    'x86_64': ['rip', 'rsp', 'rbx', 'rbp', 'r12', 'r13', 'r14', 'r15'],
    'aarch64': ['pc', 'sp'] + [f'x{i}' for i in range(19, 30)],
    'riscv64': ['pc', 'sp'] + [f's{i}' for i in range(12)] + [f'fs{i}.double' for i in range(12)],
}

MAIN = ('main',)
CONTEXT = ('level3', 'level2', 'level1', 'asy_context_entry')

# The way through the assembly: where the program is, and who is below. On a stack
# that is entered for the first time there is nobody.
WAY = [
    ('asy_context_start', MAIN),
    ('asy_context_start', ()),
    ('asy_context_switch', CONTEXT),
    ('asy_context_switch', MAIN),
    ('asy_context_switch', MAIN),
    ('asy_context_switch', CONTEXT),
    ('asy_context_leave', CONTEXT),
    ('asy_context_leave', MAIN),
]


def compile_program(root, folder, arch, flags):
    source, program = folder / 'program.c', folder / 'program'
    source.write_text(PROGRAM)
    compiler = os.environ.get('CC', 'cc').split() + ['-std=gnu11', '-O2', '-fomit-frame-pointer', *flags]
    sources = [source, root / 'src/sys/arch' / f'{arch}.S']
    subprocess.run([*compiler, '-I', root / 'src', *sources, '-o', program], check=True)
    return program


def commands(arch):
    formats = ' '.join(['%#lx'] * len(KEPT[arch]))
    values = ', '.join('$' + name for name in KEPT[arch])
    return f'''
set confirm off
set pagination off
set width 0
set debuginfod enabled off
break main
run
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
    # -nx: without what the user's own set-up adds.
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

    def is_in_assembly(self):
        return self.functions[0].startswith('asy_context_')

    def place(self):
        return self.functions[0], tuple(self.functions[1:])

    def complaints(self):
        return re.findall(r'.*(?:corrupt|[Bb]acktrace stopped|Cannot access|\?\?).*', self.text)


def check(output):
    """Yields what is wrong."""
    if '@finished' not in output:
        yield 'gdb did not reach the end:\n' + output[-1000:]
        return
    steps = [Step(text) for text in output.split('@finished')[0].split('@step\n')[1:]]
    # The rest is the compiler's, which may be less exact in a prologue or an epilogue.
    runs = [list(run) for in_assembly, run in groupby(steps, Step.is_in_assembly) if in_assembly]
    for step in sum(runs, []):
        for complaint in step.complaints():
            yield complaint
    places = [(place, list(same)) for run in runs for place, same in groupby(run, Step.place)]
    way = [place for place, _ in places]
    if way != WAY:
        yield 'the way was:\n' + '\n'.join(f'    {at} <- {", ".join(below)}' for at, below in way)
    # As long as the switch stays on one stack, its caller's registers are the same.
    for (at, below), run in places:
        print(f'{len(run):3} instructions of {at} <- {", ".join(below)}')
        kept = {str(step.caller_kept) for step in run}
        if below and (len(kept) != 1 or kept == {'None'}):
            yield '\n    '.join([f"{at}: registers of {below[0]}, not always the same:", *sorted(kept)])


def can_run(output):
    return '@step' in output or not re.search(r'ptrace|Cannot create process|startup program', output)


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
            output = run_gdb(gdb, program, commands(arch), folder)
        if not can_run(output):
            print('gdb cannot run a program here:\n' + output[-500:])
            return 77
        for wrong in check(output):
            print(f'with {flags}: {wrong}')
            status = 1
    return status


if __name__ == '__main__':
    sys.exit(main())
