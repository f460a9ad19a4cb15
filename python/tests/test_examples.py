"""
The programs of python/examples: on asyncio's loop and on ours they print what stands beside them, unchanged.
And `python3 -m libasyncio`, which runs them.
"""
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / 'examples'
ON_OURS = ['-m', 'libasyncio']


def run_python(*words, cwd=None):
    return subprocess.run([sys.executable, *map(str, words)], cwd=cwd, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class ExamplesTest(unittest.TestCase):
    def test_output_is_the_same_on_both_loops(self):
        programs = [path for path in sorted(EXAMPLES.glob('*.py')) if path.with_suffix('.out').exists()]
        self.assertGreaterEqual(len(programs), 4)
        for program in programs:
            for words in ([], ON_OURS):
                with self.subTest(program=program.name, words=words):
                    done = run_python(*words, program)
                    self.assertEqual(done.stderr, '')
                    self.assertEqual(done.stdout, program.with_suffix('.out').read_text())
                    self.assertEqual(done.returncode, 0)


class MainTest(unittest.TestCase):
    PROGRAM = textwrap.dedent('''
        import asyncio, sys
        async def main():
            print(type(asyncio.get_running_loop()).__module__.partition('.')[0], sys.argv[1:], __name__)
            print(sys.path[0])
        asyncio.run(main())
        sys.exit(3)
    ''')

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        (self.folder / 'app.py').write_text(self.PROGRAM)

    def test_program_runs_on_our_loop(self):
        done = run_python(*ON_OURS, self.folder / 'app.py', 'one', '-m')
        self.assertEqual(done.stdout, f"libasyncio ['one', '-m'] __main__\n{self.folder}\n", done.stderr)
        self.assertEqual(done.returncode, 3)

    def test_module_runs_on_our_loop(self):
        done = run_python(*ON_OURS, '-m', 'app', 'one', cwd=self.folder)
        self.assertEqual(done.stdout, f"libasyncio ['one'] __main__\n{self.folder}\n", done.stderr)
        self.assertEqual(done.returncode, 3)

    def test_words_without_a_program_are_refused(self):
        for words in ([], ['-m'], ['-c', 'pass']):
            with self.subTest(words=words):
                done = run_python(*ON_OURS, *words)
                self.assertEqual(done.returncode, 2)
                self.assertIn('python3 -m libasyncio program.py', done.stderr)
                self.assertNotIn('Traceback', done.stderr)

    def test_help(self):
        for words in ('-h', '--help'):
            done = run_python(*ON_OURS, words)
            self.assertIn('python3 -m libasyncio program.py', done.stdout)
            self.assertEqual((done.returncode, done.stderr), (0, ''))

    def test_program_that_is_not_there_is_told(self):
        done = run_python(*ON_OURS, self.folder / 'no_such.py')
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"\A.*can't open file .*no_such.py': No such file or directory\n\Z")
        done = run_python(*ON_OURS, '-m', 'no_such_module')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.splitlines()[-1], 'ImportError: No module named no_such_module')
        self.assertNotIn('File', done.stderr)

    def test_traceback_begins_in_the_program(self):
        programs = {
            'raises': 'def f():\n    1 / 0\nf()\n',
            'in_a_coroutine': 'import asyncio\nasync def f():\n    raise KeyError(7)\nasyncio.run(f())\n',
            'is_none': 'def f(\n',
            'interrupted': 'import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n',
            'exits': 'import sys\nsys.exit("words")\n',
            'has_a_hook': 'import sys\nsys.excepthook = lambda kind, error, traceback: print(kind,'
                          ' traceback.tb_frame.f_code.co_filename)\n1 / 0\n',
        }
        for name, program in programs.items():
            path = self.folder / f'{name}.py'
            path.write_text(program)
            ours, stock = run_python(*ON_OURS, path), run_python(path)
            lines = [re.sub(r'line \d+', 'line N', line) for line in ours.stderr.splitlines()
                     if 'libasyncio' not in line]
            wanted = [re.sub(r'line \d+', 'line N', line) for line in stock.stderr.splitlines()]
            self.assertEqual((ours.returncode, ours.stdout), (stock.returncode, stock.stdout), name)
            self.assertEqual((lines[:2], lines[-1:]), (wanted[:2], wanted[-1:]), name)


if __name__ == '__main__':
    unittest.main()
