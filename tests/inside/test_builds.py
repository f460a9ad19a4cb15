#!/usr/bin/python3
"""
The command `asyncio` and programs that were built in each way: what it shows is the same for all. And
programs in other places: deleted, in other namespaces, dead with a core file left.

    test_builds.py TOOL LIBRARY INCLUDE     (LIBRARY: libasyncio.a; the shared one lies beside it)

Compiles target.c with $CC (cc where unset).
"""
import faulthandler
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from targets import (HERE, IS_THOROUGH, await_rest, call, check, columns, end, expected, masked, running,
                     settled)

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

# What the suite does each time is the one that differs most from the usual; the rest takes its time.
BUILDS = {
    'stripped': ['-O2', '-s', '-fno-pie', '-no-pie'],
    'shared': ['-O2', '-fomit-frame-pointer'],
    'headless': ['-O2'],
    'static-pie': ['-O2', '-static-pie'],
    'pie': ['-O2', '-fpie', '-pie'],
    'no-pie': ['-O2', '-fno-pie', '-no-pie'],
    'static': ['-O2', '-static'],
    'clang': ['-O2'],
    'bodies-inlined': ['-O2', '-g0'],
    'no-optimisation': ['-O0'],
    'size': ['-Os'],
    'frame-pointers': ['-O1', '-fno-omit-frame-pointer'],
}
ALWAYS = ['shared', 'stripped', 'clang', 'bodies-inlined']
NAMELESS = ['stripped', 'headless']
LINELESS = ['bodies-inlined']


def compile_target(build, library, include, program):
    compiler = ['clang'] if build == 'clang' else os.environ.get('CC', 'cc').split()
    if not shutil.which(compiler[0]):
        print(f'there is no {compiler[0]} here')
        return False
    libraries = [library]
    if build == 'shared':
        libraries = ['-L', Path(library).parent, '-lasyncio', f'-Wl,-rpath,{Path(library).parent.resolve()}']
    done = subprocess.run([*compiler, '-std=gnu11', '-g', '-fno-optimize-sibling-calls', *BUILDS[build],
                           '-I', include, HERE / 'target.c', *libraries, '-pthread', '-lm', '-o', program],
                          capture_output=True, text=True)
    if done.returncode:
        print(f'{build} cannot be built here:\n{done.stderr[-500:]}')
    return done.returncode == 0


def cut_headers(program):
    """Takes the section headers off, as some packers do."""
    with open(program, 'r+b') as file:
        file.seek(40)
        file.write(struct.pack('<Q', 0))  # e_shoff
        file.seek(60)
        file.write(struct.pack('<HH', 0, 0))  # e_shnum, e_shstrndx


def check_build(tool, library, include, folder, build):
    program = folder / build
    if not compile_target(build, library, include, program):
        return
    if build == 'headless':
        cut_headers(program)
    with running(program) as child:
        if build in NAMELESS:
            settled(lambda: columns(call(tool, 'ps', child.pid)), columns(expected('ps.txt')), build)
            frames = call(tool, 'pstree', '--name', 'client-7', child.pid)
            places = re.findall(rf'^ +{build}\+(0x[0-9a-f]+)$', frames, re.MULTILINE)
            check(len(places) >= 2, f'{build}: frames without names', frames)
        elif build in LINELESS:
            frames = call(tool, 'pstree', '--name', 'worker', child.pid)
            check(re.search(r'^.    worker$', frames, re.MULTILINE), f'{build}: a body within', frames)
        else:
            settled(lambda: masked(call(tool, 'ps', child.pid)), expected('ps.txt'), build)
            settled(lambda: masked(call(tool, 'pstree', child.pid)), expected('pstree.txt'), build)


def check_symbolise(tool, library, include, folder, build):
    """Offsets are from where a program is loaded, wherever it wants to be."""
    program = folder / f'{build}-symbols'
    if not compile_target(build, library, include, program):
        return
    with running(program) as child:
        maps = Path(f'/proc/{child.pid}/maps').read_text()
    mine = [line for line in maps.splitlines() if line.endswith(f'/{program.name}')]
    start = min(int(line.split('-')[0], 16) for line in mine)
    symbols = subprocess.run(['nm', program], capture_output=True, text=True).stdout
    address = int(re.search(r'^([0-9a-f]+) t read_request', symbols, re.MULTILINE).group(1), 16)
    offset = address if address < start else address - start
    done = subprocess.run([tool, 'symbolise'], input=f'{program}+0x{offset:x}\n', capture_output=True,
                          text=True)
    check(re.fullmatch(r'read_request\S* target\.c:\d+\n', done.stdout), f'{build}: symbolise', done.stdout)


# ---- Places ------------------------------------------------------------------------------------


def check_deleted(tool, program, folder):
    copy = folder / 'deleted'
    shutil.copy(program, copy)
    with running(copy) as child:
        copy.unlink()
        settled(lambda: masked(call(tool, 'ps', child.pid)), expected('ps.txt'), 'a deleted program')
        copy.write_text('something else')
        settled(lambda: masked(call(tool, 'ps', child.pid)), expected('ps.txt'), 'a replaced program')


def children_of(pid):
    try:
        return [int(word) for word in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
    except OSError:
        return []


def check_namespaces(tool, program, folder):
    """A program on a file system that we do not see, with a number that we do not know it by."""
    hidden = folder / 'hidden'
    hidden.mkdir()
    script = f'mount -t tmpfs none {hidden} && cp {program} {hidden}/target && exec {hidden}/target'
    unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script]
    try:
        with running(*unshare) as child:
            inside = children_of(child.pid)
            check(inside and not (hidden / 'target').exists(), 'it is hidden', inside)
            settled(lambda: masked(call(tool, 'ps', inside[0])), expected('ps.txt'), 'other namespaces')
    except (RuntimeError, FileNotFoundError):
        print('no namespaces here')


def check_core(tool, program, folder):
    """Of a core the kernel wrote: all but what only the kernel knew."""
    pattern = Path('/proc/sys/kernel/core_pattern').read_text().strip()
    if '/' in pattern or '|' in pattern:
        print('no core files here')
        return
    limit = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with running(program, cwd=folder,
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))) as child:
        await_rest(child.pid)
        child.send_signal(signal.SIGABRT)
        child.wait(60)
    cores = [path for path in folder.iterdir() if path.name.startswith('core')]
    if not cores:
        print('no core file was left')
        return
    text = masked(call(tool, 'ps', cores[0]))
    wanted = re.sub(r'(fd N), (pipe:\[N\]|unix|tcp \S+ <- \S+)', r'\1', expected('ps.txt'))
    check(text == wanted.replace(', waits since N s', ', waits'), 'a core file', text)
    tree = call(tool, 'pstree', cores[0], program)
    depths = call(tool, 'ps', '--stacks', cores[0])
    check(re.search(r'^stacks of client: \d+ of \d+ KiB', depths, re.MULTILINE), 'depths of a core', depths)
    check('read_request target.c' in tree, 'stacks of a core file', tree)
    cut = folder / 'cut'
    cut.write_bytes(cores[0].read_bytes()[:cores[0].stat().st_size // 3])
    done = subprocess.run([tool, 'ps', cut], capture_output=True, timeout=60)
    check(done.returncode in (1, 4, 5), f'a core that is cut: {done.returncode}')


def main(tool, library, include):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for build in BUILDS if IS_THOROUGH else ALWAYS:
            check_build(tool, library, include, folder, build)
        for build in 'pie', 'no-pie':
            check_symbolise(tool, library, include, folder, build)
        program = folder / 'shared'
        check_deleted(tool, program, folder)
        check_namespaces(tool, program, folder)
        check_core(tool, program, folder)
    end()


main(*sys.argv[1:])
