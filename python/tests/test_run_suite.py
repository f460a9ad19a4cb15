"""
Tests the runner of suites itself: a sham module has tests of every outcome, and each must be told.
"""
import argparse
import contextlib
import io
import tempfile
import textwrap
import unittest
from pathlib import Path

import run_suite

SHAM = '''
    import os, signal, time, unittest

    class Sham(unittest.TestCase):
        def test_a_passes(self):
            pass

        def test_b_fails(self):
            self.fail('words of the failure')

        def test_c_hangs(self):
            time.sleep(1000)

        def test_d_dies(self):
            os.kill(os.getpid(), signal.SIGKILL)

        def test_e_exits(self):
            os._exit(0)

        @unittest.skip('not today')
        def test_f_is_skipped(self):
            self.fail()

        def test_g_forks(self):
            pid = os.fork()
            if pid == 0:
                raise SystemExit  # a child that goes on as the suite does
            os.waitpid(pid, 0)

        def test_h_has_parts(self):
            for part in range(2):
                with self.subTest(part=part):
                    self.assertEqual(part, 0)

        def test_i_passes(self):
            pass

    class Unprepared(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            raise ValueError('nothing is ready')

        def test_never_runs(self):
            pass
'''


def outcomes_of(source, limit_s=2.0):
    """Runs a module of this source; the outcomes by the last word of each test."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'test_sham.py').write_text(textwrap.dedent(source))
        options = argparse.Namespace(suite='own', loop='stock', limit=limit_s)
        run = run_suite.ModuleRun(options, 'test_sham', Path(folder), folder).run()
    return run, {test.rpartition('.')[2]: outcome for test, outcome in run.outcomes.items()}


class RunnerTest(unittest.TestCase):
    def test_every_outcome_is_told(self):
        run, outcomes = outcomes_of(SHAM)
        unprepared = [test for test in outcomes if test.startswith('Unprepared')]
        self.assertEqual({outcomes.pop(test) for test in unprepared}, {'failed'})
        self.assertEqual(outcomes, {
            'test_a_passes': 'passed', 'test_b_fails': 'failed', 'test_c_hangs': 'failed',
            'test_d_dies': 'failed', 'test_e_exits': 'failed', 'test_f_is_skipped': 'skipped',
            'test_g_forks': 'passed', 'test_h_has_parts': 'failed', 'test_i_passes': 'passed'})
        why = {test.rpartition('.')[2]: words for test, words in run.why.items()}
        self.assertIn('words of the failure', why['test_b_fails'])
        self.assertIn('hangs', why['test_c_hangs'])
        self.assertIn('in test_c_hangs', why['test_c_hangs'])  # the line where it is, by faulthandler
        self.assertIn('status -9', why['test_d_dies'])
        self.assertEqual(run.hung, {'test_sham.Sham.test_c_hangs'})

    def test_module_that_cannot_be_imported_fails(self):
        _, outcomes = outcomes_of('import no_such_module')
        self.assertEqual(outcomes, {'test_sham (outside tests)': 'failed'})

    def test_module_may_skip_itself(self):
        run, outcomes = outcomes_of('import unittest\nraise unittest.SkipTest("no such thing here")')
        self.assertEqual((outcomes, run.skipped), ({}, 'no such thing here'))

    def test_process_that_does_not_end_is_told(self):
        grace_s, run_suite.GRACE_S = run_suite.GRACE_S, 1
        self.addCleanup(setattr, run_suite, 'GRACE_S', grace_s)
        _, outcomes = outcomes_of('''
            import atexit, time, unittest
            atexit.register(time.sleep, 1000)
            class Sham(unittest.TestCase):
                def test_passes(self):
                    pass
        ''')
        self.assertEqual(outcomes, {'test_passes': 'passed', 'test_sham (at the end)': 'failed'})


class TallyTest(unittest.TestCase):
    def judge(self, outcome, expected):
        tally = run_suite.Tally(argparse.Namespace(log=None, table=False), expected)
        run = argparse.Namespace(outcomes={'m.C.test': outcome}, why={}, with_loop=set(), hung=set())
        with contextlib.redirect_stdout(io.StringIO()):
            counts, _ = tally.judge(run, [])
        return dict(counts)

    def test_list_of_expected_failures_only_shrinks(self):
        listed = {'m.C.test': 'a reason'}
        self.assertEqual(self.judge('failed', listed), {'expected': 1})
        self.assertEqual(self.judge('passed', listed), {'failed': 1})
        self.assertEqual(self.judge('skipped', listed), {'skipped': 1})
        self.assertEqual(self.judge('failed', {}), {'failed': 1})
        self.assertEqual(self.judge('passed', {}), {'passed': 1})

    def test_every_expected_failure_has_a_reason(self):
        for path in (run_suite.HERE / 'expected').glob('*-*'):
            for test, reason in run_suite.read_expected(*path.name.split('-')).items():
                self.assertTrue(reason.strip(), test)


if __name__ == '__main__':
    unittest.main()
