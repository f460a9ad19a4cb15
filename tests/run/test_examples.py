#!/usr/bin/python3
"""
The first examples take the time that they promise, and say so:

    test_examples.py PROGRAM ...

All run at once. None may be early; how late they may be leaves room for a slow machine.
"""
import faulthandler
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

# Where it hangs, if it is killed for that.
faulthandler.register(signal.SIGTERM, chain=True)

LATE_S = 30

# Seconds, and what it prints, as one pattern.
EXAMPLES = {
    '01_hello': (1, r'hello\nworld\n'),
    '02_sequential': (3, r'started at (?P<a>[\d:]{8})\nhello\nworld\nfinished at (?P<b>[\d:]{8})\n'),
    '03_create_task': (2, r'started at (?P<a>[\d:]{8})\nhello\nworld\nfinished at (?P<b>[\d:]{8})\n'),
    '04_gather': (2, r'started at (?P<a>[\d:]{8})\nhello\nworld\nfinished at (?P<b>[\d:]{8})\n'),
    '05_trace': (3, r'(?s).*async_main runs\n.*waits in sleep\n.*the loop waits\n.*\nhello\n.*\nworld\n'
                    r'.*async_main has ended with 0\n.*'),
}


def seconds_of_day(text):
    hours, minutes, seconds = map(int, text.split(':'))
    return hours * 3600 + minutes * 60 + seconds


def check(wanted_s, pattern, process):
    """What is wrong with one that has been started; None if nothing is."""
    begun, out = process
    text = out.communicate(timeout=60)[0]
    took_s = time.monotonic() - begun
    if out.returncode:
        return f'ended with {out.returncode}: {text}'
    match = re.fullmatch(pattern, text)
    if not match:
        return f'printed:\n{text}'
    if not wanted_s <= took_s <= wanted_s + LATE_S:
        return f'took {took_s:.3f} s; promised are {wanted_s}'
    if 'a' in match.groupdict():
        shown_s = (seconds_of_day(match['b']) - seconds_of_day(match['a'])) % 86400
        # Of two whole seconds, either may have been about to turn.
        if not wanted_s <= shown_s <= wanted_s + LATE_S:
            return f'says that it took {shown_s} s; promised are {wanted_s}'
    return None


def main(programs):
    started = {}
    for program in programs:
        started[Path(program).name] = (time.monotonic(),
                                       subprocess.Popen([program], stdout=subprocess.PIPE,
                                                        stderr=subprocess.STDOUT, text=True))
    failed = 0
    # The shortest first: the time is taken when each is looked at.
    for name in sorted(started, key=lambda name: EXAMPLES[name][0]):
        wrong = check(*EXAMPLES[name], started[name])
        if wrong:
            print(f'{name} {wrong}')
            failed += 1
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
