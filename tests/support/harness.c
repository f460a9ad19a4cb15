/*
 * Checks, runs and sweeps: see harness.h.
 */
#include "support/harness.h"
#include "base/sanitizer.h"
#include "core/loop.h"
#include "core/task.h"
#include "sim/sweep.h"
#include "support/ledger.h"
#include "support/world.h"
#include "sys/sys.h"
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define SEEDS_DEFAULT 50
#define SWEEP_MAX 100000

/* Of a test that is killed because it hangs, the log tells which it was. */
__attribute__((constructor)) static void show_lines_at_once(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
}

/* ---- Checks ---------------------------------------------------------------- */

static unsigned failures;
static const char *sweeping; /* what is told beside a failure: which run it was */
static uint64_t sweep_at;

void harness_failed(const char *file, int line, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (sweeping)
        fprintf(stderr, "%s:%d: %s (%s %llu)\n", file, line, text, sweeping, (unsigned long long)sweep_at);
    else
        fprintf(stderr, "%s:%d: %s\n", file, line, text);
    __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
}

void harness_check_equal(intptr_t a, intptr_t b, const char *what, const char *file, int line)
{
    if (a != b)
        harness_failed(file, line, "%s is %lld (%s), not %lld (%s)", what, (long long)a, asyncio_errname(a),
                       (long long)b, asyncio_errname(b));
}

void harness_check_text(const char *a, const char *b, const char *what, const char *file, int line)
{
    if (!a || strcmp(a, b) != 0)
        harness_failed(file, line, "%s is \"%s\", not \"%s\"", what, a ? a : "(null)", b);
}

void harness_check_has(const char *a, const char *part, const char *what, const char *file, int line)
{
    if (!a || !strstr(a, part))
        harness_failed(file, line, "%s is \"%s\", without \"%s\"", what, a ? a : "(null)", part);
}

unsigned harness_failures(void)
{
    return __atomic_load_n(&failures, __ATOMIC_RELAXED);
}

void harness_settle(void)
{
    unsigned count = __atomic_exchange_n(&failures, 0, __ATOMIC_RELAXED);
    if (count)
        fail_msg("%u checks failed", count);
}

/* ---- Reports --------------------------------------------------------------- */

struct report reports[REPORTS_MAX];
size_t report_count;
static size_t reports_expected;

void expect_reports(size_t count)
{
    reports_expected = count;
}

static void record(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    if (report_count < REPORTS_MAX) {
        struct report *report = &reports[report_count];
        *report = (struct report){.line = context->line, .error = context->error};
        snprintf(report->message, sizeof report->message, "%s", context->message);
        const char *name = context->task ? asyncio_task_name(context->task) : "";
        snprintf(report->task, sizeof report->task, "%s", name);
        snprintf(report->file, sizeof report->file, "%s", context->file ? context->file : "");
        snprintf(report->peer, sizeof report->peer, "%s", context->peer ? context->peer : "");
    }
    report_count++;
}

void record_reports(asyncio_loop *loop)
{
    report_count = 0;
    asyncio_loop_set_exception_handler(loop, record, NULL);
}

static void check_reports(void)
{
    size_t expected = reports_expected;
    reports_expected = 0;
    if (report_count == expected)
        return;
    harness_failed(__FILE__, __LINE__, "%zu reports, not %zu", report_count, expected);
    for (size_t i = 0; i < report_count && i < REPORTS_MAX; i++)
        fprintf(stderr, "    %s (%s), task '%s', %s:%d\n", reports[i].message,
                asyncio_errname(reports[i].error), reports[i].task, reports[i].file, reports[i].line);
}

/* ---- Runs ------------------------------------------------------------------ */

/* What a run is to be beside the seed. */
struct manner {
    uint64_t seed;
    bool may_leave; /* tasks, for the shutdown to cancel */
    bool may_fail;  /* everything may */
};

static bool has_descriptors;

void use_descriptors(void)
{
    has_descriptors = true;
}

int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -3; /* ., .. and the folder's own */
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

size_t heap_bytes(void)
{
#if HAS_MALLINFO2
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}

static void check_idle(const asyncio_loop *loop)
{
    struct asy_stacks_stat stacks;
    asy_stacks_stat(loop->stacks, &stacks);
    size_t held = loop->spare_stack != NULL;
    LIST_EACH(node, &loop->kept_stacks)
        held++;
    CHECK_EQUAL(stacks.live, held);
    CHECK_EQUAL(loop->task_count, 0);
    CHECK_EQUAL(loop->timers.count, 0);
    CHECK_EQUAL(loop->unstarted, 0);
    CHECK(loop->current == NULL);
    CHECK(list_is_empty(&loop->tasks));
}

/* A thread of a pool may be the last to let go of the loop, a moment after its work. */
static void wait_for_threads(const struct ledger *before, int descriptors)
{
    for (int i = 0; i < 30000; i++) {
        struct ledger now = ledger_now();
        if ((!has_descriptors || count_descriptors() == descriptors) && now.blocks == before->blocks &&
            now.allocations == before->allocations && now.descriptors == before->descriptors)
            return;
        usleep(1000);
    }
}

static intptr_t run_in(const struct manner *manner, coroutine_function main)
{
    struct ledger before = ledger_now();
    if (test_world_renew)
        test_world_renew();
    int descriptors = count_descriptors();
    bool is_real = has_descriptors && !test_world_renew;
    asyncio_clock clock = is_real ? ASYNCIO_CLOCK_REAL : ASYNCIO_CLOCK_VIRTUAL;
    asyncio_run_options options = {.clock = clock, .seed = manner->seed, .handle_sigint = -1};
    asyncio_runner runner;
    report_count = 0;
    intptr_t result = asyncio_runner_init(&runner, &options);
    if (result == 0) {
        asyncio_loop *loop = asyncio_runner_get_loop(&runner);
        record_reports(loop);
        result = asyncio_runner_run(&runner, main());
        if (!manner->may_leave && !manner->may_fail)
            check_idle(loop);
        CHECK_EQUAL(asyncio_runner_close(&runner), 0);
    }
    if (!manner->may_fail)
        check_reports();
    wait_for_threads(&before, descriptors);
    if (has_descriptors)
        CHECK_EQUAL(count_descriptors(), descriptors);
    if (!ledger_is(&before))
        harness_failed(__FILE__, __LINE__, "something is left of the run");
    return result;
}

intptr_t run_seeded(coroutine_function main, uint64_t seed)
{
    struct manner manner = {.seed = seed};
    intptr_t result = run_in(&manner, main);
    if (!sweeping)
        harness_settle();
    return result;
}

intptr_t run(coroutine_function main)
{
    return run_seeded(main, 0);
}

intptr_t run_with_leftovers(coroutine_function main)
{
    struct manner manner = {.may_leave = true};
    intptr_t result = run_in(&manner, main);
    harness_settle();
    return result;
}

/* ---- Sweeps ---------------------------------------------------------------- */

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* After one run of a sweep: whether it may go on. */
static void end_of_one(void)
{
    const char *what = sweeping;
    if (!__atomic_load_n(&failures, __ATOMIC_RELAXED))
        return;
    sweeping = NULL;
    fprintf(stderr, "%s %llu fails\n", what, (unsigned long long)sweep_at);
    harness_settle();
}

void for_each_seed(void (*body)(uint64_t seed))
{
    uint64_t only = number_from("ASYNCIO_TEST_SEED", 0);
    uint64_t last = only ? only : number_from("ASYNCIO_TEST_SEEDS", SEEDS_DEFAULT);
    sweeping = "ASYNCIO_TEST_SEED";
    for (sweep_at = only ? only : 1; sweep_at <= last; sweep_at++) {
        body(sweep_at);
        end_of_one();
    }
    sweeping = NULL;
}

static coroutine_function seeded_main;

static void run_one_seed(uint64_t seed)
{
    CHECK_EQUAL(run_seeded(seeded_main, seed), 0);
}

void run_all_seeds(coroutine_function main)
{
    seeded_main = main;
    for_each_seed(run_one_seed);
}

static bool run_failing(void *main, struct sim_fault *fault)
{
    struct manner faulty = {.may_fail = true};
    sweeping = fault->sticky ? "all calls fail from number" : "the call that fails is number";
    sweep_at = fault->at;
    asy_sim_fault_begin(fault);
    (void)run_in(&faulty, *(coroutine_function *)main);
    asy_sim_fault_end(fault);
    if (__atomic_load_n(&failures, __ATOMIC_RELAXED))
        fprintf(stderr, "it was a call of %s (%s)\n", fault->call ? fault->call : "nothing",
                asyncio_errname(fault->error));
    end_of_one();
    return true;
}

void sweep_failures(coroutine_function main)
{
    /* Once as it is: what threads keep for good is there from then on. */
    CHECK(run(main) >= 0);
    CHECK(asy_sim_each_fault(run_failing, &main));
    sweeping = NULL;
    harness_settle();
}

static struct sim_cancel cancels;
static coroutine_function cancelled_subject;

static asyncio_coro *make_subject(void *arg)
{
    (void)arg;
    return cancelled_subject();
}

static asyncio_coro *make_cancelled(void)
{
    return asy_sim_cancel_main(&cancels);
}

void sweep_cancels(coroutine_function subject, void (*check)(intptr_t result, unsigned suspension))
{
    sweeping = "cancelled at suspension";
    cancelled_subject = subject;
    cancels = (struct sim_cancel){.subject = make_subject, .has_fired = true};
    for (sweep_at = 1; cancels.has_fired && sweep_at < SWEEP_MAX; sweep_at++) {
        cancels.at = (unsigned)sweep_at;
        intptr_t result = run_seeded(make_cancelled, 0);
        CHECK_EQUAL(result, cancels.result);
        if (check)
            check(cancels.result, cancels.has_fired ? cancels.at : 0);
        end_of_one();
    }
    CHECK(sweep_at > 2 && sweep_at < SWEEP_MAX);
    sweeping = NULL;
    harness_settle();
}

/* ---- Child processes ---------------------------------------------------------------- */

static _Noreturn void die(void (*fn)(void), int out)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(out, STDERR_FILENO);
    fn();
    _exit(0);
}

/* What became of the child; its stderr in `text`. */
static int outcome_of(void (*fn)(void), char *text, size_t bytes)
{
    int fds[2], status;
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(fds[0]);
        die(fn, fds[1]);
    }
    close(fds[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(fds[0], text + used, bytes - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

void check_dies(void (*fn)(void), const char *words)
{
    char text[16384];
    int status = outcome_of(fn, text, sizeof text);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(text, words))
        fail_msg("status %#x, \"%s\"; an abort with \"%s\" was expected", (unsigned)status, text, words);
}

void check_dies_of_late_use(void (*fn)(void), const char *words)
{
    char text[65536];
    if (!ASY_ASAN && !ASY_TSAN) {
        check_dies(fn, words);
        return;
    }
    int status = outcome_of(fn, text, sizeof text);
    if (status == 0)
        fail_msg("nothing happened, \"%s\"", text);
}

void check_prints(void (*fn)(void), const char *words)
{
    char text[16384];
    int status = outcome_of(fn, text, sizeof text);
    if (status != 0 || !strstr(text, words))
        fail_msg("status %#x, \"%s\"; \"%s\" was expected", (unsigned)status, text, words);
}
