"""
Runs a program of asyncio's, unchanged, on loops of libasyncio:

    python3 -m libasyncio program.py [ARGUMENT ...]
    python3 -m libasyncio -m module [ARGUMENT ...]
"""
import os
import runpy
import sys

from . import install


def main():
    is_module = sys.argv[1:2] == ['-m']
    del sys.argv[:2 if is_module else 1]
    if not sys.argv or (not is_module and sys.argv[0].startswith('-')):
        sys.exit(__doc__.strip())
    install()
    if is_module:
        runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))  # as python3 program.py has it
        runpy.run_path(sys.argv[0], run_name='__main__')


main()
