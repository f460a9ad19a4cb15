/*
 * What the tests of tasks share: checks that work inside a coroutine, a run
 * under the virtual clock that leaves nothing behind, and sweeps that repeat a run with a
 * failure, a cancel or another ready order in each place.
 */
#ifndef TESTS_SUPPORT_HARNESS_H
#define TESTS_SUPPORT_HARNESS_H

#include "asyncio.h"
#include "support/repeats.h"
#include "support/test.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Checks ----------------------------------------------------------------
 * cmocka's asserts jump out of the function, which a task's stack does not
 * survive. These say what is wrong and go on; `run` fails at its end. */

#define CHECK(condition) ((condition) ? (void)0 : harness_failed(__FILE__, __LINE__, "%s", #condition))
#define CHECK_EQUAL(a, b) harness_check_equal((intptr_t)(a), (intptr_t)(b), #a, __FILE__, __LINE__)
#define CHECK_TEXT(a, b) harness_check_text((a), (b), #a, __FILE__, __LINE__)
/* Does the text contain it? */
#define CHECK_HAS(a, part) harness_check_has((a), (part), #a, __FILE__, __LINE__)

void harness_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void harness_check_equal(intptr_t a, intptr_t b, const char *what, const char *file, int line);
void harness_check_text(const char *a, const char *b, const char *what, const char *file, int line);
void harness_check_has(const char *a, const char *part, const char *what, const char *file, int line);

/* How many checks have failed since the last time: for child processes, which tell by their exit. */
unsigned harness_failures(void);
/* Fails the cmocka test if a check has failed since the last time. */
void harness_settle(void);

/* ---- Reports ---------------------------------------------------------------- */

struct report {
    char message[256];
    char task[64]; /* its name; "" if there was none */
    char file[128];
    char peer[128];
    int line;
    intptr_t error;
};

/* What the exception handler was told in the latest run. */
#define REPORTS_MAX 16
extern struct report reports[REPORTS_MAX];
extern size_t report_count;

/* The next run is to end with as many reports; without this with none. */
void expect_reports(size_t count);
/* For loops that a test makes itself. Also forgets earlier reports. */
void record_reports(asyncio_loop *loop);

/* ---- Runs --------------------------------------------------------------------- */

typedef asyncio_coro *(*coroutine_function)(void);

/* Runs main() under the virtual clock, in FIFO order, and returns its result.
 * Checks that no task, timer, memory or descriptor is left, and the number of reports. */
intptr_t run(coroutine_function main);
/* The same in the ready order of a seed. */
intptr_t run_seeded(coroutine_function main, uint64_t seed);
/* From now on runs have the real clock, and descriptors to wait for, of which none may be left. */
void use_descriptors(void);
/* How many this process has. */
int count_descriptors(void);
/* What this process has of the heap; 0 where the C library does not tell. */
size_t heap_bytes(void);

/* The same as run; tasks may be left, which the shutdown cancels and waits for. */
intptr_t run_with_leftovers(coroutine_function main);

/* Calls body with each seed, ASYNCIO_TEST_SEEDS in number (50). The first one that fails is
 * named and ends the test; ASYNCIO_TEST_SEED=n replays that one alone. */
void for_each_seed(void (*body)(uint64_t seed));
/* run_seeded, with each seed. */
void run_all_seeds(coroutine_function main);

/* Runs main() with the 1st, 2nd, 3rd ... call of the seam failing, once as
 * the only one and once with all that follow, until a run passes
 * untouched. Each run ends, and nothing is left. Within main no checks, please, but of
 * what holds on any day. */
void sweep_failures(coroutine_function main);

/* Runs subject() as a task that is cancelled at its 1st, 2nd, 3rd ...
 * suspension, until it ends before that. Nothing is left. check, which may be
 * NULL, sees each result, and which suspension it was (0: the untouched run). */
void sweep_cancels(coroutine_function subject, void (*check)(intptr_t result, unsigned suspension));

/* ---- Tests (support/test.h) ------------------------------------------------------------ */

/* A test that is a coroutine: ASYNC_TEST(name) { ... return 0; }. Runs as harness.h's `run` has it. */
#define ASYNC_TEST(name)                                                                                     \
    static asyncio_coro *main_of_##name(void);                                                               \
    TEST_WITH(test_##name, case_##name, #name, false)                                                        \
    {                                                                                                        \
        CHECK_EQUAL(run(main_of_##name), 0);                                                                 \
        harness_settle();                                                                                    \
    }                                                                                                        \
    ASYNC(main_of_##name)

/* The same with a coroutine that others use, too. */
#define TEST_OF(coroutine)                                                                                   \
    TEST_WITH(test_##coroutine, case_##coroutine, #coroutine, false)                                         \
    {                                                                                                        \
        CHECK_EQUAL(run(coroutine), 0);                                                                      \
        harness_settle();                                                                                    \
    }

/* ---- Child processes --------------------------------------------------------------------- */

/* fn(), in a child process, aborts, and its stderr has `words`. */
void check_dies(void (*fn)(void), const char *words);
/* The same for a use of freed memory: under a checker, which then speaks first, any death will do. */
void check_dies_of_late_use(void (*fn)(void), const char *words);

/* fn(), in a child process, ends well, and its stderr has `words`. */
void check_prints(void (*fn)(void), const char *words);

#endif
