#!/usr/bin/python3
"""
The examples that work on files do what others do:

    test_file_examples.py CHECKSUM
"""
import faulthandler
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

SECONDS_MAX = 50
failures = 0


def check(condition, what):
    global failures
    if not condition:
        failures += 1
        print(f'FAILED: {what}')


def run(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=SECONDS_MAX, **options)


def make_tree(folder):
    """Files of all sizes, some of which look like something else."""
    for i, size in enumerate((0, 1, 4095, 4096, 4097, 262144, 262145, 3000000)):
        path = os.path.join(folder, f'd{i % 3}', f'e{i % 2}')
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, f'file {i}'), 'wb') as file:
            file.write(os.urandom(size))
    for i in range(300):
        with open(os.path.join(folder, 'd1', f'{i:03}'), 'w') as file:
            file.write(f'{i}\n' * i)
    for name in ('two\nlines', 'back\\slash', 'bell\a'):
        with open(os.path.join(folder, name), 'w') as file:
            file.write(name)
    os.symlink('d1', os.path.join(folder, 'link'))
    os.symlink('.', os.path.join(folder, 'd2', 'loop'))
    os.mkfifo(os.path.join(folder, 'fifo'))
    os.mkdir(os.path.join(folder, 'empty'))


def test_checksum(program):
    with tempfile.TemporaryDirectory() as folder:
        make_tree(folder)
        ours = run(program, '.', cwd=folder)
        theirs = run('find', '.', '-type', 'f', '-exec', 'sha256sum', '{}', '+', cwd=folder)
        lines = ours.stdout.splitlines()
        check(ours.returncode == 0 and ours.stderr == '', f'checksum: {ours.returncode}, {ours.stderr!r}')
        check(len(lines) == 311, f'{len(lines)} lines')
        check(sorted(lines) == sorted(theirs.stdout.splitlines()), 'the sums are not those of sha256sum')
        check(subprocess.run(['sha256sum', '--check', '--quiet'], cwd=folder, text=True,
                             input=ours.stdout).returncode == 0, 'sha256sum --check does not agree')
        names = [line.lstrip('\\')[66:] for line in lines]
        check([name.split('/') for name in names] == sorted(name.split('/') for name in names),
              'the names are not in order')
        check(run(program, 'd1', 'd0', cwd=folder).stdout.count('\n') > 300, 'two directories')
        missing = run(program, 'none', 'd0', cwd=folder)
        check(missing.returncode == 1, f'a missing directory: status {missing.returncode}')
        check('read directory none: no such file or directory\n' in missing.stderr,
              f'a missing directory: {missing.stderr!r}')
        check('  d0/' in missing.stdout, 'the others go on')
        test_progress(program, folder)
        make_deep(folder, 1500)
        deep = run(program, 'deep', cwd=folder)
        run('rm', '-r', 'deep', cwd=folder) # Python itself would not come to the end of it
        check(deep.returncode == 0 and deep.stdout.endswith('/d/bottom\n'),
              f'a deep tree: {deep.returncode}, {deep.stderr[-200:]!r}')


def make_deep(folder, depth):
    os.mkdir(os.path.join(folder, 'deep'))
    at = os.open(os.path.join(folder, 'deep'), os.O_RDONLY)
    for _ in range(depth):
        os.mkdir('d', dir_fd=at)
        inner = os.open('d', os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(os.open('bottom', os.O_WRONLY | os.O_CREAT, dir_fd=at))
    os.close(at)


def test_progress(program, folder):
    """On a terminal a line shows how far it is."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([program, folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=theirs)
    os.close(theirs)
    text = b''
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:
            break
        if not block:
            break
        text += block
    check(process.wait(timeout=SECONDS_MAX) == 0, f'on a terminal it ends with {process.returncode}')
    check(b'311 of 311 files' in text, f'no progress in {text[-200:]!r}')
    os.close(ours)


def wait_until_it_reads(pid, path):
    """Until the process has the file open; from then on it has a handler for SIGINT, too."""
    began = time.monotonic()
    while time.monotonic() - began < SECONDS_MAX:
        for number in os.listdir(f'/proc/{pid}/fd'):
            try:
                if os.readlink(f'/proc/{pid}/fd/{number}') == path:
                    return
            except FileNotFoundError:
                pass
        time.sleep(0.01)
    check(False, f'{path} is not read')


def test_interrupt(program):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'large'), 'wb') as file:
            file.truncate(1 << 36)
        process = subprocess.Popen([program, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until_it_reads(process.pid, os.path.join(folder, 'large'))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SECONDS_MAX)
        check(process.returncode == 130 and out == b'', f'interrupted: {process.returncode}, {out!r}')


def main(checksum):
    checksum = os.path.abspath(checksum)
    test_checksum(checksum)
    test_interrupt(checksum)
    return 1 if failures else 0


sys.exit(main(*sys.argv[1:]))
