"""
Runs a program of asyncio's, unchanged, on loops of libasyncio:

    python3 -m libasyncio program.py [ARGUMENT ...]
    python3 -m libasyncio -m module [ARGUMENT ...]
"""
import os
import runpy
import sys

from . import install


def is_ours(traceback):
    return traceback.tb_frame.f_code.co_filename in (__file__, runpy.__file__, '<frozen runpy>')


def show_as_python(hook):
    """Have the traceback of an error that ends the program begin in the program, as without this module."""
    def show(kind, error, traceback):
        while traceback and is_ours(traceback):
            traceback = traceback.tb_next
        hook(kind, error.with_traceback(traceback), traceback)
    return show


def find_program(path):
    """In words if it is not there. A folder and an archive have a __main__.py."""
    try:
        os.stat(path)
    except OSError as error:
        print(f"python3 -m libasyncio: can't open file {path!r}: {error.strerror}", file=sys.stderr)
        sys.exit(2)


def main():
    arguments = sys.argv[1:]
    if arguments[:1] in (['-h'], ['--help']):
        print(__doc__.strip())
        return
    is_module = arguments[:1] == ['-m']
    sys.argv[:] = arguments[1:] if is_module else arguments
    if not sys.argv or (not is_module and sys.argv[0].startswith('-')):
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    install()
    try:
        if is_module:
            runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
        else:
            find_program(sys.argv[0])
            sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))  # as python3 program.py has it
            runpy.run_path(sys.argv[0], run_name='__main__')
    except BaseException:
        sys.excepthook = show_as_python(sys.excepthook)
        raise


main()
