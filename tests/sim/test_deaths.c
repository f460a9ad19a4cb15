/*
 * A run that takes the process with it tells its seed first.
 */
#include "base/sanitizer.h"
#include "core/overflow.h"
#include "sim/scenario.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Ways to die, in the run of seed 7 --------------------------------------------------------- */

static int deadly;
static void (*volatile give_back)(void *) = free;    /* the compiler does not see that it comes twice */
static int *volatile nowhere = (int *)(uintptr_t)64; /* never mapped */

/* More than the stack holds; the compiler does not see that it never ends. */
static int dig(volatile int *depth)
{
    volatile char room[4096];
    room[0] = (char)++*depth;
    return *depth > 0 ? dig(depth) + room[0] : 0;
}

ASYNC(die_at_seed_7)
{
    static volatile int depth;
    static int runs;
    char *block;
    asyncio_sleep(1);
    if (++runs < 7)
        return 0;
    switch (deadly) {
    case SIGABRT:
        abort();
    case SIGSEGV:
        *nowhere = 1;
        break;
    case SIGFPE:
        raise(SIGFPE);
        break;
    case SIGSTKFLT:
        return dig(&depth);
    default:
        block = malloc(8);
        give_back(block);
        give_back(block);
    }
    return 0;
}

static void die(void)
{
    const asyncio_sim_options never_repeated = {.repeat = -1};
    simulate(die_at_seed_7, &never_repeated);
}

static void die_with_own_seed(void)
{
    const asyncio_sim_options options = {.seed = 1, .repeat = -1};
    simulate(die_at_seed_7, &options);
}

/* What a process said before it died; "" if it did not. */
static const char *last_words(int how, void (*fn)(void))
{
    static char text[65536];
    int ends[2], status;
    size_t used = 0;
    ssize_t n;
    deadly = how;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* cmocka's */
        signal(SIGFPE, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        fn();
        _exit(0);
    }
    close(ends[1]);
    while (used < sizeof text - 1 && (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (how)
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == (how == SIGSTKFLT ? SIGSEGV : how));
    return status ? text : "";
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part))) {
        text++;
        count++;
    }
    return count;
}

static void check_last_words(int how, const char *cause)
{
    char expected[256], again[256];
    const char *text = last_words(how, die);
    snprintf(expected, sizeof expected, "asyncio: simulation died of %s, seed 7 (run 7 of 100)\n", cause);
    snprintf(again, sizeof again, "asyncio: again: ASYNCIO_SIM_SEED=7 %s\n", program_invocation_name);
    CHECK_HAS(text, expected);
    CHECK_HAS(text, again);
    CHECK_EQUAL(count_of(text, "simulation died"), 1);
    harness_settle();
}

TEST(an_abort)
{
    check_last_words(SIGABRT, "SIGABRT");
}

TEST(a_fault)
{
    check_last_words(SIGSEGV, "SIGSEGV");
}

TEST(a_signal_that_is_sent)
{
    check_last_words(SIGFPE, "SIGFPE");
}

TEST(a_seed_of_the_options)
{
    CHECK_HAS(last_words(SIGABRT, die_with_own_seed), "asyncio: again: options.seed = 7\n");
    harness_settle();
}

ASYNC(call_exit)
{
    pid_t child = fork();
    if (child == 0)
        exit(EXIT_SUCCESS); /* one that the program forks may */
    waitpid(child, NULL, 0);
    asyncio_sleep(1);
    exit(EXIT_SUCCESS);
    return 0;
}

static void die_by_exit(void)
{
    const asyncio_sim_options options = {.runs = 3};
    simulate(call_exit, &options);
}

/* Else a test would pass that has run nothing. */
TEST(a_call_of_exit)
{
    const char *text = last_words(0, die_by_exit);
    CHECK_HAS(text, "asyncio: simulation died of a call of exit, seed 1 (run 1 of 3)\n");
    CHECK_EQUAL(count_of(text, "simulation died"), 1);
    harness_settle();
}

/* No call works any more; but the seed is told. */
ASYNC(die_without_memory)
{
    asyncio_queue queues[2];
    int failures = 0, item = 1;
    for (int i = 0; i < 2; i++) {
        asyncio_queue_init(&queues[i], sizeof item, 0);
        failures += asyncio_queue_put_nowait(&queues[i], &item) != 0;
        asyncio_queue_destroy(&queues[i]);
    }
    if (failures == 2)
        abort();
    return 0;
}

static void die_in_sweep(void)
{
    asyncio_sim_sweep_faults(call_scenario, (void *)(uintptr_t)die_without_memory, NULL, NULL);
}

TEST(a_sweep_whose_calls_all_fail)
{
    const char *text = last_words(SIGABRT, die_in_sweep);
    CHECK_HAS(text, "asyncio: simulation died of SIGABRT, seed 1 (run 1 of 10), place ");
    CHECK_HAS(text, "asyncio: again: ASYNCIO_SIM_SEED=1 ");
    harness_settle();
}

/* The calls by which a loop sets its alternate stack fail in a sweep, too. The handlers have one all
 * the same. */
ASYNC(look_for_stack)
{
    return asy_overflow_has_stack() ? 0 : -EFAULT;
}

static intptr_t take_all_but_efault(intptr_t value, void *arg)
{
    (void)arg;
    return value == -EFAULT ? value : 0;
}

TEST(a_stack_for_the_handlers_in_a_sweep)
{
    const asyncio_sim_options options = {.runs = 1, .check = take_all_but_efault};
    if (RUNNING_ON_VALGRIND)
        skip();
    assert_int_equal(
        asyncio_sim_sweep_faults(call_scenario, (void *)(uintptr_t)look_for_stack, &options, &result), 0);
    harness_settle();
}

TEST(a_stack_overflow)
{
    if (ASY_ASAN || ASY_TSAN)
        skip(); /* they have stacks of their own size, and words */
    const char *text = last_words(SIGSTKFLT, die);
    CHECK_HAS(text, "asyncio: stack overflow in task '");
    CHECK_HAS(text, "asyncio: simulation died of SIGSEGV, seed 7 (run 7 of 100)\n");
    harness_settle();
}

TEST(a_sanitizer)
{
    if (!ASY_ASAN)
        skip();
    check_last_words(0, "what the sanitizer found");
}

/* ---- Afterwards --------------------------------------------------------------------------------- */

static void handle_nothing(int signo)
{
    (void)signo;
}

ASYNC(pass)
{
    return asyncio_sleep(1);
}

ASYNC(set_own_handler)
{
    signal(SIGFPE, handle_nothing);
    return 0;
}

TEST(handlers_are_as_before)
{
    struct sigaction now;
    const asyncio_sim_options once = {.runs = 1};
    void (*earlier)(int) = signal(SIGBUS, handle_nothing);
    assert_int_equal(simulate(pass, &once), 0);
    assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
    assert_true(now.sa_handler == handle_nothing);
    signal(SIGBUS, earlier);
    /* A handler that the program sets meanwhile stays. */
    earlier = signal(SIGFPE, SIG_DFL);
    assert_int_equal(simulate(set_own_handler, &once), 0);
    assert_true(signal(SIGFPE, earlier) == handle_nothing);
}

TEST_MAIN()
