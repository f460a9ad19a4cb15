/*
 * Running the tests that have collected themselves. See test.h.
 */
#include "support/test.h"
#include "base/sanitizer.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if ASY_TSAN
/* Else a child that leaves tasks behind ends a second later than it could. A child cannot join the threads
 * that its parent has had; and one that leaves a process behind leaves the thread that waits for it, where
 * there are no pidfds. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "atexit_sleep_ms=0:report_thread_leaks=0";
}
#endif

static int compare_lines(const void *a, const void *b)
{
    return (*(const struct test_case *const *)a)->line - (*(const struct test_case *const *)b)->line;
}

/* Does the environment's list, with commas, have it? */
static bool is_left_out(const char *name)
{
    const char *at = getenv("ASYNCIO_TEST_WITHOUT");
    size_t length = strlen(name);
    for (; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || !at[length]))
            return true;
    }
    return false;
}

int tests_run_between(const struct test_case *first, const struct test_case *end,
                      const struct test_fixtures *fixtures)
{
    static const struct test_fixtures none;
    size_t count = (size_t)(end - first), n = 0;
    const struct test_case **cases = calloc(count, sizeof *cases);
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    if (!cases || !tests)
        abort();
    /* A shell ignores the first two for what it runs in the background, and nohup the third. */
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    fixtures = fixtures ? fixtures : &none;
    for (const struct test_case *at = first; at < end; at++)
        if ((!at->once || !fixtures->skips_once) && !is_left_out(at->name))
            cases[n++] = at;
    qsort(cases, n, sizeof *cases, compare_lines);
    for (size_t i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){.name = cases[i]->name,
                                       .test_func = cases[i]->fn,
                                       .setup_func = fixtures->setup,
                                       .teardown_func = fixtures->teardown};
    int failed = _cmocka_run_group_tests("tests", tests, n, fixtures->group_setup, fixtures->group_teardown);
    free(cases);
    free(tests);
    return failed;
}
