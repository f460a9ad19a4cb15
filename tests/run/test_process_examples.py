#!/usr/bin/python3
"""
The examples that start processes or follow files do what they say:

    test_process_examples.py RUN_COMMANDS PROCESS_SUPERVISOR TAIL
"""
import faulthandler
import os
import signal
import socket
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


def start(*command, **options):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, **options)


def read_until(process, *words):
    """The lines until there are all of the words."""
    lines = ''
    while not all(word in lines for word in words):
        line = process.stdout.readline()
        if not line:
            check(False, f'"{words}" was expected after: {lines}')
            break
        lines += line
    return lines


def test_run_commands(program):
    process = start(program)
    text = process.communicate(timeout=SECONDS_MAX)[0]
    check(process.returncode == 0, f'run_commands ends with {process.returncode}')
    check('20 of 20 done, 0 running, 1 failed' in text, f'no last line in {text!r}')
    check('no luck\n(status 13)\n' in text, f'the failure is not shown in {text!r}')
    running = [int(words.split()[0]) for words in text.split('done, ')[1:]]
    check(max(running) == 4, f'{max(running)} run at a time, not 4')
    process = start(program, 'echo one; echo two >&2', 'kill -KILL $$')
    text = process.communicate(timeout=SECONDS_MAX)[0]
    check('(null)' not in text, f'a command that says nothing: {text!r}')
    check('\none\ntwo\n' in text and '(status -9)\n' in text, f'output and signal in {text!r}')
    process = start(program, 'head -c 1000000 /dev/zero | tr "\\0" x')
    text = process.communicate(timeout=SECONDS_MAX)[0]
    check(text.count('x') < 70000 and '(934464 bytes more)' in text, f'much output: {text[-200:]!r}')
    # Interrupted: what runs is killed.
    with tempfile.TemporaryDirectory() as folder:
        pids = os.path.join(folder, 'pids')
        process = start(program, *[f'echo $$ >> {pids}; exec sleep 100'] * 6)
        began = time.monotonic()
        while time.monotonic() - began < SECONDS_MAX and (
                not os.path.exists(pids) or len(open(pids).readlines()) < 4):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS_MAX)
        check(process.returncode == 130, f'an interrupted run_commands ends with {process.returncode}')
        started = [int(line) for line in open(pids)]
        check(len(started) == 4, f'{len(started)} were started')
        for pid in started:
            check(not os.path.exists(f'/proc/{pid}'), f'process {pid} is left')


def test_supervisor(program):
    with tempfile.TemporaryDirectory() as folder:
        flag = os.path.join(folder, 'flag')
        process = start(program,
                        'steady=trap "echo told; exit 3" TERM; echo up; while :; do sleep 0.05; done',
                        f'shaky=echo one line; test -e {flag} || {{ touch {flag}; exit 7; }}; sleep 0.2')
        text = read_until(process, 'steady | up\n', 'shaky has ended')
        check(text.count('shaky | one line\n') == 2, f'shaky was not started twice in {text!r}')
        check('shaky failed with status 7; restarting it\n' in text,
              f'no word of a restart in {text!r}')
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=SECONDS_MAX)[0]
        check('SIGTERM: all must end\n' in rest and 'steady | told\n' in rest and
              rest.endswith('all have ended\n'), f'at the end: {rest!r}')
        check(process.returncode == 0, f'the supervisor ends with {process.returncode}')
    process = start(program, 'a=exit 0', 'b=echo b')
    text = process.communicate(timeout=SECONDS_MAX)[0]
    check(process.returncode == 0 and 'all have ended' in text, f'it ends with its programs: {text!r}')
    check('give me 1 to 32 programs' in start(program).communicate(timeout=SECONDS_MAX)[0], 'usage')
    process = start(program, 'nothing')
    text = process.communicate(timeout=SECONDS_MAX)[0]
    check(process.returncode == 1 and 'nothing is not NAME=COMMAND' in text, f'for a wrong word: {text!r}')


def is_running(pid):
    """Whether there is such a process, and it is no zombie that nobody reaps here."""
    try:
        return open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_families(program):
    """What a program has started keeps the supervisor from nothing, and ends with the program."""
    with tempfile.TemporaryDirectory() as folder:
        flag = os.path.join(folder, 'flag')
        process = start(program, f'parent=sleep 20 & test -e {flag} || {{ touch {flag}; exit 7; }}')
        text = process.communicate(timeout=SECONDS_MAX)[0]
        check('parent failed with status 7' in text and 'parent has ended' in text,
              f'with a grandchild at the pipe: {text!r}')
    process = start(program, 'family=sleep 98 & echo $!; wait; :')
    pid = int(read_until(process, 'family | ').split()[-1])
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=SECONDS_MAX)
    for _ in range(SECONDS_MAX * 100):
        if not is_running(pid):
            break
        time.sleep(0.01)
    check(not is_running(pid), 'a grandchild is left')
    process = start(program, r"zero=printf 'a\0b\nc'")
    text = process.communicate(timeout=SECONDS_MAX)[0]
    check('zero | a\0b\nzero | c\n' in text, f'a line with a NUL: {text!r}')
    process = start(program, "long=head -c 200000 /dev/zero | tr '\\0' x; echo; echo after")
    text = process.communicate(timeout=SECONDS_MAX)[0]
    check(process.returncode == 0 and text.count('x') == 200000 and 'long | after\n' in text,
          f'a long line: status {process.returncode}, {text[-200:]!r}')


def wait_until_at(pid, path, offset):
    """Until the process has the file open, and is there."""
    began = time.monotonic()
    while time.monotonic() - began < SECONDS_MAX:
        for number in os.listdir(f'/proc/{pid}/fd'):
            try:
                if os.readlink(f'/proc/{pid}/fd/{number}') == path and \
                        f'pos:\t{offset}\n' in open(f'/proc/{pid}/fdinfo/{number}').read():
                    return
            except FileNotFoundError:
                pass
        time.sleep(0.01)
    check(False, f'the end of {path} is not gone to')


def test_tail(program):
    with tempfile.TemporaryDirectory() as folder:
        one, two = os.path.join(folder, 'one'), os.path.join(folder, 'two')
        with open(one, 'w') as file:
            file.write('old\n')
        open(two, 'w').close()
        process = start(program, one, two)
        wait_until_at(process.pid, one, 4)
        wait_until_at(process.pid, two, 0)  # else a late open would begin behind what is written to it now
        with open(one, 'a') as file:
            file.write('new\n')
        text = read_until(process, 'new\n')
        check(text == f'==> {one} <==\nnew\n', f'tail shows {text!r}')
        with open(two, 'a') as file:
            file.write('from two\n')
        text = read_until(process, 'from two\n')
        check(text == f'==> {two} <==\nfrom two\n', f'tail shows {text!r}')
        os.rename(two, two + '.1')
        with open(two, 'w') as file:
            file.write('another two\n')
        check(read_until(process, 'another two\n') == 'another two\n', 'a file that was replaced')
        with open(one, 'w') as file:
            file.write('cut\n')
        text = read_until(process, 'cut\n')
        check(text == f'==> {one} <==\ncut\n', f'tail shows {text!r}')
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS_MAX)
        check(process.returncode == 130, f'tail ends with {process.returncode}')
    process = start(program, '/usr')
    text = process.communicate(timeout=SECONDS_MAX)[0]
    check(process.returncode == 1 and 'read /usr: is a directory' in text, f'a folder: {text!r}')
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as it:
        it.bind(os.path.join(folder, 'socket'))
        process = start(program, 'socket', cwd=folder)
        text = process.communicate(timeout=SECONDS_MAX)[0]
        check(process.returncode == 1 and 'open socket: no such device or address' in text,
              f'what cannot be opened: {text!r}')


def main(run_commands, supervisor, tail):
    test_run_commands(run_commands)
    test_supervisor(supervisor)
    test_families(supervisor)
    test_tail(os.path.abspath(tail))
    return 1 if failures else 0


sys.exit(main(*map(os.path.abspath, sys.argv[1:])))
