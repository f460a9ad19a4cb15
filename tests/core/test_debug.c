/*
 * Debug mode, reports and instruments: what is told, to whom, with which words, how often.
 */
#include "asyncio.h"
#include "asyncio/instrument.h"
#include "child.h"
#include "core/loop.h"
#include "support/test.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
static asyncio_loop *loop;

/* ---- What the exception handler was told ----------------------------------------------- */

#define REPORTS_MAX 32

static struct {
    char message[256];
    intptr_t error;
    char task[32];
    char file[64];
    int line;
} reports[REPORTS_MAX];
static size_t report_count;
static atomic_bool is_told; /* there was a report */

static void keep(asyncio_loop *of, const asyncio_exception_context *context, void *arg)
{
    assert_ptr_equal(of, loop);
    assert_ptr_equal(arg, reports);
    assert_true(report_count < REPORTS_MAX);
    /* It is a callback in all but name. */
    assert_int_equal(asyncio_sleep(0), ASYNCIO_ENOTASK);
    assert_null(asyncio_current_task());
    size_t i = report_count++;
    snprintf(reports[i].message, sizeof reports[i].message, "%s", context->message);
    reports[i].error = context->error;
    snprintf(reports[i].task, sizeof reports[i].task, "%s",
             context->task ? asyncio_task_name(context->task) : "");
    const char *base = context->file ? strrchr(context->file, '/') : NULL;
    snprintf(reports[i].file, sizeof reports[i].file, "%s", base ? base + 1 : "");
    reports[i].line = context->line;
    atomic_store(&is_told, true);
}

static void open_loop(const asyncio_run_options *options)
{
    report_count = 0;
    loop = asyncio_loop_new(options);
    assert_non_null(loop);
    asyncio_loop_set_exception_handler(loop, keep, reports);
}

static void close_loop(void)
{
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

static intptr_t run(asyncio_coro *coro)
{
    asyncio_task *task = asyncio_loop_create_task(loop, coro);
    return asyncio_loop_run_until_complete(loop, (asyncio_future *)task);
}

static void assert_report(size_t i, const char *words, const char *task, int line)
{
    assert_true(i < report_count);
    if (!strstr(reports[i].message, words))
        print_error("\"%s\" lacks \"%s\"\n", reports[i].message, words);
    assert_non_null(strstr(reports[i].message, words));
    assert_string_equal(reports[i].task, task);
    if (line) {
        assert_string_equal(reports[i].file, "test_debug.c");
        assert_int_equal(reports[i].line, line);
    }
}

/* As long as it took at the least; on a busy machine it takes longer. */
static void assert_took(size_t i, const char *what, double seconds)
{
    char words[64];
    double took = 0;
    assert_true(i < report_count);
    snprintf(words, sizeof words, "%s took ", what);
    const char *at = strstr(reports[i].message, words);
    if (!at || sscanf(at + strlen(words), "%lf seconds", &took) != 1 || took < seconds)
        print_error("\"%s\" is not of %s that took %g seconds\n", reports[i].message, what, seconds);
    assert_true(at && took >= seconds);
}

/* ---- Slow steps ---------------------------------------------------------------------------- */

static void spend(double seconds)
{
    struct timespec begun, now;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((double)(now.tv_sec - begun.tv_sec) + (double)(now.tv_nsec - begun.tv_nsec) / 1e9 < seconds);
}

static int line;

ASYNC(is_slow_once)
{
    asyncio_sleep(0);
    spend(0.012);
    asyncio_sleep(0);
    return 0;
}

ASYNC(starts_a_slow_one)
{
    line = __LINE__ + 1;
    asyncio_task *task = asyncio_create_task(is_slow_once());
    asyncio_task_set_name(task, "slow");
    return asyncio_await(task);
}

TEST(a_slow_step_is_reported_with_name_and_place)
{
    for (int clock = 0; clock < 2; clock++) {
        open_loop(clock ? &simulated : NULL);
        assert_false(asyncio_loop_get_debug(loop));
        asyncio_loop_set_slow_callback_duration(loop, 0.01);
        assert_int_equal(run(starts_a_slow_one()), 0);
        assert_int_equal(report_count, 0); /* not in debug mode */
        asyncio_loop_set_debug(loop, true);
        assert_true(asyncio_loop_get_debug(loop));
        assert_int_equal(run(starts_a_slow_one()), 0);
        size_t of_slow = 0;
        for (size_t i = 0; i < report_count; i++) {
            if (strcmp(reports[i].task, "slow") != 0)
                continue; /* the machine was slow, not the step */
            assert_report(i, "a step took ", "slow", line);
            assert_took(i, "a step", 0.012);
            assert_non_null(strstr(reports[i].message, " seconds without waiting"));
            of_slow++;
        }
        assert_true(of_slow >= 1);
        report_count = 0;
        asyncio_loop_set_slow_callback_duration(loop, ASYNCIO_FOREVER);
        asyncio_loop_set_slow_callback_duration(loop, -1); /* ignored */
        asyncio_loop_set_slow_callback_duration(loop, 0.0 / 0.0);
        assert_int_equal(run(starts_a_slow_one()), 0);
        assert_int_equal(report_count, 0);
        close_loop();
    }
}

static void ignore_event(asyncio_loop *of, const asyncio_trace_event *event, void *arg)
{
    (void)of;
    (void)event;
    (void)arg;
}

TEST(an_instrument_alone_reports_no_slow_step)
{
    static const asyncio_instrument ignorant = {.event = ignore_event};
    open_loop(NULL);
    asyncio_loop_set_slow_callback_duration(loop, 0.01);
    asyncio_loop_set_instrument(loop, &ignorant);
    assert_int_equal(run(starts_a_slow_one()), 0);
    assert_int_equal(report_count, 0);
    close_loop();
}

static void slow_callback(void *arg)
{
    (void)arg;
    spend(0.012);
    asyncio_loop_stop(loop);
}

TEST(a_slow_callback_is_reported)
{
    asyncio_run_options options = {.debug = 1};
    open_loop(&options);
    asyncio_loop_set_slow_callback_duration(loop, 0.01);
    asyncio_loop_call_soon(loop, slow_callback, NULL);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_int_equal(report_count, 1);
    assert_report(0, "a callback took ", "", 0);
    assert_took(0, "a callback", 0.012);
    close_loop();
}

ASYNC(blocks_longer_than_the_default)
{
    struct timespec pause = {.tv_nsec = 105000000};
    nanosleep(&pause, NULL);
    return 0;
}

TEST(the_default_is_a_tenth_of_a_second)
{
    asyncio_run_options options = {.debug = 1};
    open_loop(&options);
    assert_int_equal(run(blocks_longer_than_the_default()), 0);
    assert_int_equal(report_count, 1);
    assert_report(0, "a step took ", reports[0].task, 0);
    assert_took(0, "a step", 0.1);
    close_loop();
}

/* ---- What nobody received ------------------------------------------------------------------------ */

ASYNC(fails)
{
    return asyncio_raise(-EPIPE, "the pipe broke");
}

ASYNC(lets_one_fail)
{
    line = __LINE__ + 1;
    asyncio_release(asyncio_create_task(fails()));
    asyncio_sleep(0);
    asyncio_sleep(0);
    return 0;
}

TEST(a_failure_that_nobody_saw)
{
    open_loop(&simulated);
    assert_int_equal(run(lets_one_fail()), 0);
    assert_int_equal(report_count, 1);
    assert_report(0, "task failed and nobody awaited it", reports[0].task, line);
    assert_int_equal(reports[0].error, -EPIPE);
    close_loop();
    assert_int_equal(report_count, 1);
}

ASYNC(never_started)
{
    return 0;
}

static asyncio_coro *lost, *handed_over, *closed;
ASYNC(forgets_one)
{
    lost = never_started();
    closed = never_started();
    handed_over = never_started();
    asyncio_release(asyncio_create_task(handed_over));
    asyncio_coro_close(closed);
    return 0;
}

TEST(what_is_pending_at_close)
{
    open_loop(&simulated);
    assert_int_equal(run(forgets_one()), 0);
    line = __LINE__ + 1;
    asyncio_task *task = asyncio_loop_create_task(loop, never_started());
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_int_equal(report_count, 0);
    asyncio_release(task);
    line = __LINE__ + 1;
    task = asyncio_loop_create_task(loop, never_started());
    asyncio_task_set_name(task, "pending");
    close_loop();
    asyncio_release(task);
    assert_int_equal(report_count, 2);
    assert_report(0, "coroutine 'never_started' was never awaited", "", 0);
    assert_report(1, "task was destroyed but it is pending; it never ran", "pending", line);
    asyncio_coro_close(lost);
}

static void print_all(void *arg)
{
    (void)arg;
    loop = asyncio_loop_new(&simulated);
    asyncio_task *task = asyncio_loop_create_task(loop, fails());
    asyncio_task_set_name(task, "leaky");
    asyncio_release(task);
    asyncio_loop_stop(loop);
    asyncio_loop_run_forever(loop);
    asyncio_exception_context context = {
        .message = "bad weather", .error = -EIO, .file = "sky.c", .line = 7, .peer = "10.0.0.7:80"};
    asyncio_loop_call_exception_handler(loop, &context);
    context = (asyncio_exception_context){0};
    asyncio_loop_call_exception_handler(loop, &context);
    /* A line is cut, not lost. */
    static char endless[4000];
    memset(endless, 'x', sizeof endless - 1);
    context.message = endless;
    asyncio_loop_call_exception_handler(loop, &context);
}

TEST(the_default_handler_prints_a_line)
{
    struct child child;
    child_run(&child, print_all, NULL);
    assert_child_exit(&child, 0);
    assert_child_says(&child, "asyncio: task failed and nobody awaited it: the pipe broke (EPIPE); "
                              "task 'leaky' of fails, made at ");
    assert_child_says(&child, "asyncio: bad weather: Input/output error (EIO), made at sky.c:7, "
                              "peer 10.0.0.7:80\n");
    assert_child_says(&child, "asyncio: unhandled error\n");
    assert_int_equal(child_count(&child, "\n"), 4);
    assert_int_equal(child.text[strlen(child.text) - 1], '\n');
}

TEST(a_handler_is_replaced_and_taken_away)
{
    open_loop(&simulated);
    asyncio_exception_context context = {.message = "one"};
    asyncio_loop_call_exception_handler(loop, &context);
    assert_int_equal(report_count, 1);
    asyncio_loop_set_exception_handler(loop, NULL, NULL);
    assert_int_equal(report_count, 1);
    asyncio_loop_set_exception_handler(loop, keep, reports);
    context.message = "two";
    asyncio_loop_call_exception_handler(loop, &context);
    assert_int_equal(report_count, 2);
    assert_string_equal(reports[1].message, "two");
    close_loop();
}

/* The handler in `keep` tries to wait; here it is called from within a task's step. */
ASYNC(reports_from_a_task)
{
    asyncio_exception_context context = {.message = "from a task"};
    asyncio_task *self = asyncio_current_task();
    asyncio_loop_call_exception_handler(loop, &context);
    return asyncio_current_task() == self && asyncio_sleep(1) == 0;
}

TEST(a_handler_called_in_a_task_cannot_wait_but_the_task_can)
{
    open_loop(&simulated);
    assert_int_equal(run(reports_from_a_task()), 1);
    assert_int_equal(report_count, 1);
    close_loop();
}

/* ---- Handlers that call the library ------------------------------------------------------------------ */

static int handled;

/* What it calls is refused, and reported: not to itself. */
static void fail_in_handler(asyncio_loop *of, const asyncio_exception_context *context, void *arg)
{
    (void)context;
    (void)arg;
    handled++;
    asyncio_loop_call_soon(of, NULL, NULL);
}

static void a_failing_handler(void *arg)
{
    (void)arg;
    loop = asyncio_loop_new(&simulated);
    asyncio_loop_set_exception_handler(loop, fail_in_handler, NULL);
    asyncio_loop_call_soon(loop, NULL, NULL);
    asyncio_loop_call_soon(loop, NULL, NULL);
    CHILD_CHECK(handled == 2);
    close_loop();
}

TEST(a_handler_is_not_asked_about_itself)
{
    struct child child;
    child_run(&child, a_failing_handler, NULL);
    assert_child_exit(&child, 0);
    assert_int_equal(child_count(&child, "asyncio_loop_call_soon was refused"), 2);
}

/* A loop that does not run has its handler called inside a task of the one that does. */
static void note_that_no_task_runs(asyncio_loop *of, const asyncio_exception_context *context, void *arg)
{
    (void)of;
    (void)context;
    (void)arg;
    assert_null(asyncio_current_task());
    assert_int_equal(asyncio_sleep(0), ASYNCIO_ENOTASK);
    handled++;
}

ASYNC(never_runs)
{
    return 0;
}

ASYNC(closes_another_loop)
{
    asyncio_loop *other = asyncio_loop_new(&simulated);
    asyncio_loop_set_exception_handler(other, note_that_no_task_runs, NULL);
    asyncio_release(asyncio_loop_create_task(other, never_runs()));
    asyncio_loop_close(other);
    asyncio_loop_release(other);
    return asyncio_current_task() ? 3 : 4;
}

TEST(another_loops_handler_cannot_wait)
{
    open_loop(&simulated);
    handled = 0;
    assert_int_equal(run(closes_another_loop()), 3);
    assert_int_equal(handled, 1);
    close_loop();
}

/* ---- Deadlocks ------------------------------------------------------------------------------------- */

static asyncio_task *left, *right;
static asyncio_future *never;

ASYNC(awaits_right)
{
    return asyncio_await(asyncio_ref(right));
}
ASYNC(awaits_left)
{
    return asyncio_await(asyncio_ref(left));
}
ASYNC(awaits_never)
{
    return asyncio_await(asyncio_ref(never));
}

static int never_line;
ASYNC(gets_stuck)
{
    never_line = __LINE__ + 1;
    never = asyncio_future_new();
    left = asyncio_create_task(awaits_right());
    right = asyncio_create_task(awaits_left());
    asyncio_task *third = asyncio_create_task(awaits_never());
    asyncio_task_set_name(left, "left");
    asyncio_task_set_name(right, "right");
    asyncio_task_set_name(third, "third");
    asyncio_task_set_name(asyncio_current_task(), "main");
    asyncio_gather(NULL, right, left, third);
    asyncio_release(never);
    return 0;
}

static void check_deadlock(void)
{
    char words[64];
    assert_int_equal(report_count, 5);
    assert_report(0, "deadlock: 4 tasks wait, and nothing left that could wake one", "", 0);
    assert_report(1, "main waits in gather", "main", 0);
    assert_report(2, "left awaits task 'right', in a circle", "left", 0);
    assert_report(3, "right awaits task 'left', in a circle", "right", 0);
    assert_report(4, "third awaits a future made at ", "third", 0);
    snprintf(words, sizeof words, "test_debug.c:%d", never_line);
    assert_report(4, words, "third", 0);
    assert_null(strstr(reports[4].message, "circle"));
}

static void unstick(void *arg)
{
    (void)arg;
    asyncio_future_set_result(never, 1);
    asyncio_cancel(left);
}

TEST(a_deadlock_is_told_with_its_circle)
{
    open_loop(&simulated);
    asyncio_task *task = asyncio_loop_create_task(loop, gets_stuck());
    assert_int_equal(asyncio_loop_run_forever(loop), -EDEADLK);
    check_deadlock();
    /* It can be ended all the same. */
    asyncio_loop_call_soon(loop, unstick, NULL);
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    close_loop();
}

/* In debug mode the real clock's loop tells too, once, and goes on to wait. */
static void *wake_it(void *arg)
{
    const atomic_bool *when = arg; /* NULL: after a while */
    struct timespec pause = {.tv_nsec = when ? 100000 : 5000000};
    do
        nanosleep(&pause, NULL);
    while (when && !atomic_load(when));
    asyncio_loop_call_soon_threadsafe(loop, unstick, NULL);
    return NULL;
}

TEST(debug_mode_tells_of_one_in_real_time)
{
    asyncio_run_options options = {.debug = 1};
    open_loop(&options);
    asyncio_loop_set_slow_callback_duration(loop, ASYNCIO_FOREVER);
    pthread_t thread;
    atomic_store(&is_told, false);
    assert_int_equal(pthread_create(&thread, NULL, wake_it, &is_told), 0);
    assert_int_equal(run(gets_stuck()), 0);
    pthread_join(thread, NULL);
    check_deadlock();
    close_loop();
}

/* Who else has a reference may be about to post. */
TEST(debug_mode_tells_of_none_while_somebody_may_post)
{
    asyncio_run_options options = {.debug = 1};
    open_loop(&options);
    asyncio_loop_set_slow_callback_duration(loop, ASYNCIO_FOREVER);
    asyncio_loop *of_the_thread = asyncio_loop_ref(loop);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_it, NULL), 0);
    assert_int_equal(run(gets_stuck()), 0);
    pthread_join(thread, NULL);
    assert_int_equal(report_count, 0);
    asyncio_loop_release(of_the_thread);
    close_loop();
}

/* ---- The environment ---------------------------------------------------------------------------------- */

static void look_at_debug(void *value)
{
    asyncio_run_options options = {.debug = -1};
    if (value)
        setenv("ASYNCIO_DEBUG", value, 1);
    loop = asyncio_loop_new(NULL);
    printf("%d", asyncio_loop_get_debug(loop));
    asyncio_loop *other = asyncio_loop_new(&options);
    printf("%d", asyncio_loop_get_debug(other));
    options.debug = 1;
    other = asyncio_loop_new(&options);
    printf("%d", asyncio_loop_get_debug(other));
}

TEST(the_environment_turns_it_on_and_options_win)
{
    struct child child;
    char one[] = "1", zero[] = "0", empty[] = "", list[] = "slow=0.2,block";
    child_run(&child, look_at_debug, one);
    assert_string_equal(child.text, "101");
    child_run(&child, look_at_debug, zero);
    assert_string_equal(child.text, "001");
    child_run(&child, look_at_debug, empty);
    assert_string_equal(child.text, "001");
    child_run(&child, look_at_debug, list);
    assert_string_equal(child.text, "101");
    child_run(&child, look_at_debug, NULL);
    assert_string_equal(child.text, "001");
}

static void print_words(void *value)
{
    setenv("ASYNCIO_DEBUG", value, 1);
    for (int i = 0; i < 2; i++)
        loop = asyncio_loop_new(NULL);
    printf("%g %g %g %d", (double)loop->slow_ns / 1e9, loop->words.watchdog,
           (double)loop->watched.limit_ns / 1e9, loop->words.checks);
}

static void check_words(const char *value, const char *wanted)
{
    struct child child;
    char copy[128];
    snprintf(copy, sizeof copy, "%s", value);
    child_run(&child, print_words, copy);
    assert_string_equal(child.text, wanted);
}

TEST(the_environment_may_be_a_list)
{
    check_words("0", "0.1 0.5 0 0");
    check_words("1", "0.1 0.5 0.5 0");
    check_words("slow=0.25,watchdog=2,block,cancel,stacks,fd", "0.25 2 2 15");
    check_words("fd,,block,", "0.1 0.5 0.5 9");
    check_words("watchdog=0", "0.1 0 0 0");
    check_words("watchdog=.125,slow=3.", "3 0.125 0.125 0");
}

#define KNOWN_WORDS ". There are 1, slow=SECONDS, watchdog=SECONDS, block, cancel, stacks and fd\n"

/* Once, in a line, however many loops there are; the rest is taken. */
TEST(words_that_nobody_knows)
{
    check_words("leak,cancel,slow=100ms,watchdog=,blocks,slow",
                "asyncio: ASYNCIO_DEBUG has words that nobody knows: leak slow=100ms watchdog= blocks "
                "slow" KNOWN_WORDS "0.1 0.5 0.5 2");
    check_words("slow=-1",
                "asyncio: ASYNCIO_DEBUG has words that nobody knows: slow=-1" KNOWN_WORDS "0.1 0.5 0.5 0");
    check_words("slow=1e999999,watchdog=0.1.2,slow=nan",
                "asyncio: ASYNCIO_DEBUG has words that nobody knows: slow=1e999999 watchdog=0.1.2 "
                "slow=nan" KNOWN_WORDS "0.1 0.5 0.5 0");
}

TEST(a_word_without_an_end)
{
    struct child child;
    static char value[100000];
    memset(value, 'x', sizeof value - 1);
    child_run(&child, print_words, value);
    assert_child_exit(&child, 0);
    memset(value, ',', sizeof value - 1);
    child_run(&child, print_words, value);
    assert_string_equal(child.text, "0.1 0.5 0.5 0");
    memset(value + 5, '9', sizeof value - 6);
    memcpy(value, "slow=", 5);
    child_run(&child, print_words, value);
    assert_child_exit(&child, 0);
}

/* ---- Instruments ------------------------------------------------------------------------- */

static char events[512];

static void note_event(asyncio_loop *of, const asyncio_trace_event *event, void *arg)
{
    static const char *const names[] = {"created",  "begin", "end",  "done",
                                        "callback", "timer", "wait", "awake"};
    assert_ptr_equal(of, loop);
    assert_ptr_equal(arg, events);
    assert_int_equal(asyncio_sleep(0), ASYNCIO_ENOTASK);
    char text[96];
    snprintf(text, sizeof text, "%s%s%s%s%s", names[event->kind], event->name ? " " : "",
             event->name ? event->name : "", event->what ? " " : "", event->what ? event->what : "");
    if (event->kind == ASYNCIO_TRACE_TASK_DONE)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %ld", (long)event->result);
    if (event->kind == ASYNCIO_TRACE_TIMER || event->kind == ASYNCIO_TRACE_WAIT_BEGIN)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %g", event->when);
    strncat(events, text, sizeof events - strlen(events) - 1);
    strncat(events, "\n", sizeof events - strlen(events) - 1);
}

ASYNC(child_task)
{
    return 4;
}

ASYNC(does_all)
{
    asyncio_task *task = asyncio_create_task(child_task());
    asyncio_sleep(0);
    asyncio_sleep(2.5);
    return asyncio_await(task);
}

static const asyncio_instrument instrument = {note_event, events};

TEST(an_instrument_is_told_of_each_step)
{
    open_loop(&simulated);
    events[0] = '\0';
    asyncio_loop_set_instrument(loop, &instrument);
    assert_int_equal(run(does_all()), 4);
    assert_string_equal(events, "created does_all\n"
                                "begin does_all\n"
                                "created child_task\n"
                                "end does_all ready\n"
                                "begin child_task\n"
                                "done child_task 4\n"
                                "begin does_all\n"
                                "timer does_all 2.5\n"
                                "end does_all sleep\n"
                                "wait 2.5\n"
                                "awake\n"
                                "begin does_all\n"
                                "done does_all 4\n"
                                "callback\n");
    events[0] = '\0';
    asyncio_loop_set_instrument(loop, NULL);
    assert_int_equal(run(does_all()), 4);
    assert_string_equal(events, "");
    close_loop();
}

ASYNC(sets_the_instrument)
{
    asyncio_loop_set_instrument(loop, &instrument);
    asyncio_sleep(0);
    asyncio_loop_set_instrument(loop, NULL);
    asyncio_sleep(0);
    asyncio_loop_set_instrument(loop, &instrument);
    return 0;
}

TEST(an_instrument_may_come_and_go_within_a_step)
{
    open_loop(&simulated);
    events[0] = '\0';
    assert_int_equal(run(sets_the_instrument()), 0);
    assert_non_null(strstr(events, "begin sets_the_instrument\n"));
    close_loop();
}

TEST_MAIN()
