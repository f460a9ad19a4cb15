/*
 * The watchdog: who holds the loop, in what, and when it goes on.
 */
#include "core/loop.h"
#include "core/watchdog_test.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- In a step ---------------------------------------------------------------------------- */

ASYNC(burns)
{
    burn_until_told(0);
    return 0;
}

static int line;

ASYNC(starts, asyncio_coro *, coro)
{
    line = __LINE__ + 1;
    asyncio_task *task = asyncio_create_task(coro);
    asyncio_task_set_name(task, "rude");
    return asyncio_await(task);
}

static const struct note *note_of_rude(asyncio_coro *coro, const char *coroutine)
{
    begin_notes();
    assert_int_equal(asyncio_run_with(starts(coro), &watched), 0);
    const struct note *note = find_note(0, false);
    assert_non_null(note);
    assert_string_equal(note->task, "rude");
    assert_string_equal(note->coroutine, coroutine);
    assert_non_null(strstr(find_note(0, false)->file, "test_watchdog.c"));
    assert_int_equal(note->stall.line, line);
    assert_true(note->stall.seconds >= LIMIT);
    return note;
}

/* A signal is not delivered at once under these, or not on an alternate stack. */
static bool has_frames(void)
{
    return HAS_UNWINDER && !ASY_TSAN && !RUNNING_ON_VALGRIND && !getenv("ASYNCIO_TEST_SMALL");
}

static bool is_in_burn(const void *pc)
{
    const char *at = pc;
    return at > __start_watchdog_burns && at < __stop_watchdog_burns;
}

TEST(computing_is_told_with_the_calls)
{
    const struct note *note = note_of_rude(burns(), "burns");
    check_words(note, "it computes");
    if (!has_frames())
        return;
    assert_int_equal(note->stall.state, 'R');
    assert_int_equal(note->stall.syscall, -1);
    size_t in_burn = 0;
    for (size_t i = 0; i < note->stall.frame_count; i++)
        in_burn += is_in_burn(note->frames[i]);
    assert_int_equal(in_burn, 1);
    assert_true(note->stall.frame_count >= 3);
    assert_true(is_in_burn(note->frames[0]) || is_in_burn(note->frames[1]) || is_in_burn(note->frames[2]));
}

/* The loop ends right behind the step, and yet its end is told, before asyncio_run returns. */
TEST(the_end_is_told)
{
    note_of_rude(burns(), "burns");
    const struct note *note = find_note(0, true), *begun = find_note(0, false);
    assert_non_null(note);
    assert_ptr_equal(begun, note - 1);
    assert_int_equal(note->stall.loop, begun->stall.loop);
    assert_true(note->stall.seconds >= begun->stall.seconds);
    assert_null(note->stall.task);
    assert_int_equal(note->stall.frame_count, 0);
}

ASYNC(goes_on)
{
    burn_until_told(0);
    while (!find_note(0, true))
        asyncio_sleep(0.001);
    return 0;
}

TEST(it_is_told_while_the_loop_runs_on)
{
    note_of_rude(goes_on(), "goes_on");
}

/* ---- In a system call ---------------------------------------------------------------------- */

static int pipe_ends[2];

/* The handler makes the call return. It may do that: it uses no loop. */
static void note_and_write(const asyncio_stall *stall, void *arg)
{
    note_stall(stall, arg);
    if (!stall->over && write(pipe_ends[1], "x", 1) != 1)
        abort();
}

ASYNC(reads_a_pipe)
{
    char byte;
    asyncio_set_stall_handler(note_and_write, NULL);
    return read(pipe_ends[0], &byte, 1) == 1 ? 0 : -EIO;
}

TEST(a_read_is_told_with_its_file)
{
    char link[64] = "", path[64], words[128];
    assert_int_equal(pipe(pipe_ends), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", pipe_ends[0]);
    assert_true(readlink(path, link, sizeof link - 1) > 0);
    const struct note *note = note_of_rude(reads_a_pipe(), "reads_a_pipe");
    snprintf(words, sizeof words, "it is in read(%d), %s", pipe_ends[0], link);
    check_words(note, words);
    if (!RUNNING_ON_VALGRIND) {
        assert_int_equal(note->stall.state, 'S');
        assert_true(note->stall.syscall >= 0);
        assert_int_equal(note->stall.frame_count, 1);
    }
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static pthread_mutex_t taken = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool is_taken;

static void *hold_until_told(void *arg)
{
    pthread_mutex_lock(&taken);
    atomic_store(&is_taken, true);
    while (!find_note(0, false))
        usleep(1000);
    pthread_mutex_unlock(&taken);
    return arg;
}

ASYNC(locks)
{
    pthread_mutex_lock(&taken);
    pthread_mutex_unlock(&taken);
    return 0;
}

TEST(a_lock_of_threads_is_told)
{
    pthread_t thread;
    atomic_store(&note_count, 0);
    atomic_store(&is_taken, false);
    assert_int_equal(pthread_create(&thread, NULL, hold_until_told, NULL), 0);
    while (!atomic_load(&is_taken))
        usleep(1000);
    const struct note *note = note_of_rude(locks(), "locks");
    pthread_join(thread, NULL);
    check_words(note, "it is in futex");
}

/* A signal would end it early. How long it takes to be told is not said, so it sleeps longer and longer. */
ASYNC(sleeps)
{
    for (long ms = 100; !find_note(0, false); ms = ms < 900 ? ms * 2 : 999) {
        struct timespec pause = {.tv_nsec = ms * 1000000}, left = {0};
        int64_t end_ns = clock_ns(CLOCK_MONOTONIC) + pause.tv_nsec;
        CHECK_EQUAL(nanosleep(&pause, &left), 0);
        CHECK(clock_ns(CLOCK_MONOTONIC) >= end_ns);
    }
    return 0;
}

TEST(a_sleep_is_told_and_not_cut_short)
{
    const struct note *note = note_of_rude(sleeps(), "sleeps");
    harness_settle();
    bool goes_on =
        strcmp(note->words, "it is in restart_syscall") == 0; /* the ring had work for the thread */
    assert_true(RUNNING_ON_VALGRIND || goes_on || strstr(note->words, "nanosleep"));
}

/* ---- After long idleness ------------------------------------------------------------------------- */

#define LONG_NS INT64_C(250000000)

static asyncio_loop *_Atomic idle_loop;
static _Atomic int64_t slept_ns; /* by the watchdog, in its first long sleep */

static void end_idleness(void *arg)
{
    asyncio_future_set_result(arg, 0);
}

static asyncio_future *idle_until;

/* The first sleep that is long becomes one without an end, almost. The loop wakes at its beginning. */
static void sleep_until_called(struct asy_thread *self, int64_t timeout_ns)
{
    asyncio_loop *loop = timeout_ns < LONG_NS ? NULL : atomic_exchange(&idle_loop, NULL);
    if (!loop) {
        __real_asy_sys_thread_sleep(self, timeout_ns);
        return;
    }
    int64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, end_idleness, idle_until), 0);
    __real_asy_sys_thread_sleep(self, GENEROUS_NS);
    atomic_store(&slept_ns, clock_ns(CLOCK_MONOTONIC) - begun_ns);
}

ASYNC(wakes_late)
{
    idle_until = asyncio_future_new();
    atomic_store(&idle_loop, asyncio_get_running_loop());
    intptr_t err = asyncio_await(idle_until);
    burn_until_told(0);
    return err;
}

TEST(a_loop_that_wakes_calls_the_watchdog)
{
    begin_notes();
    atomic_store(&slept_ns, 0);
    atomic_store(&sleep_of_watchdog, sleep_until_called);
    assert_int_equal(asyncio_run_with(wakes_late(), &watched), 0);
    atomic_store(&sleep_of_watchdog, NULL);
    harness_settle();
    assert_in_range(atomic_load(&slept_ns), 1, GENEROUS_NS - 1);
}

/* Naps between computing are not cut short, either: it slept since the earlier look. */
ASYNC(naps)
{
    struct timespec pause = {.tv_nsec = 100000};
    while (!find_note(0, false)) {
        burn(0.0005);
        CHECK_EQUAL(nanosleep(&pause, NULL), 0);
    }
    return 0;
}

TEST(naps_are_not_cut_short)
{
    const struct note *note = note_of_rude(naps(), "naps");
    harness_settle();
    if (strcmp(note->words, "it computes, and sleeps in between") == 0)
        assert_int_equal(note->stall.frame_count, 0);
}

/* ---- In callbacks, and several loops --------------------------------------------------------- */

static void burn_in_callback(void *arg)
{
    (void)arg;
    burn_until_told(0);
}

ASYNC(calls_soon)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), burn_in_callback, NULL);
    return asyncio_sleep(0.001);
}

TEST(a_callback_has_no_task)
{
    begin_notes();
    assert_int_equal(asyncio_run_with(calls_soon(), &watched), 0);
    const struct note *note = find_note(0, false);
    assert_non_null(note);
    assert_null(note->stall.task);
    assert_null(note->stall.file);
    check_words(note, "it computes");
}

ASYNC(burns_of, uint64_t *, id)
{
    *id = asyncio_get_running_loop()->id;
    burn_until_told(*id);
    return 0;
}

static void *run_in_thread(void *arg)
{
    asyncio_run_with(burns_of(arg), &watched);
    return NULL;
}

TEST(loops_of_two_threads_are_told_apart)
{
    uint64_t ids[2] = {0};
    pthread_t threads[2];
    begin_notes();
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_in_thread, &ids[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_not_equal(ids[0], ids[1]);
    for (int i = 0; i < 2; i++) {
        assert_non_null(find_note(ids[i], false));
        assert_string_equal(find_note(ids[i], false)->coroutine, "burns_of");
        assert_non_null(find_note(ids[i], true));
    }
}

/* Between its iterations the loop around it has the thread. */
TEST(a_loop_inside_another_is_held_in_its_iterations_only)
{
    uint64_t id = 0;
    begin_notes();
    asyncio_loop *loop = asyncio_loop_new(&watched);
    assert_true(asyncio_loop_fd(loop) >= 0);
    assert_true(asyncio_loop_run_once(loop, 0) >= 0);
    burn(LIMIT * 5);
    assert_null(find_note(0, false));
    asyncio_release(asyncio_loop_create_task(loop, starts(burns_of(&id))));
    for (int i = 0; i < 5 && !id; i++)
        asyncio_loop_run_once(loop, 0);
    assert_int_equal(id, loop->id);
    assert_non_null(find_note(id, false));
    asyncio_loop_release(loop);
    assert_non_null(find_note(id, true));
}

/* ---- The thread ------------------------------------------------------------------------------- */

ASYNC(looks_for_the_thread)
{
    wait_for_watchdogs(1);
    return 0;
}

TEST(the_thread_ends_with_the_last_loop)
{
    begin_notes();
    assert_int_equal(asyncio_run_with(looks_for_the_thread(), &watched), 0);
    wait_for_watchdogs(0);
    assert_int_equal(asyncio_run_with(looks_for_the_thread(), &(asyncio_run_options){.debug = 1}), 0);
    wait_for_watchdogs(0);
}

ASYNC(counts_threads, int *, count)
{
    for (int i = 0; i < 5; i++) { /* it would take a moment to appear */
        asyncio_sleep(0.005);
        *count += count_watchdogs();
    }
    return 0;
}

TEST(without_a_limit_there_is_none)
{
    int count = 0;
    assert_int_equal(asyncio_run(counts_threads(&count)), 0);
    asyncio_run_options options = {.debug = 1, .watchdog = -1};
    assert_int_equal(asyncio_run_with(counts_threads(&count), &options), 0);
    options = (asyncio_run_options){.watchdog = ASYNCIO_FOREVER};
    assert_int_equal(asyncio_run_with(counts_threads(&count), &options), 0);
    assert_int_equal(count, 0);
    options = (asyncio_run_options){.watchdog = __builtin_nan("")};
    assert_int_equal(asyncio_run_with(counts_threads(&count), &options), -EINVAL);
}

ASYNC(turns_debug_mode_on)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_loop_set_debug(loop, true);
    wait_for_watchdogs(1);
    asyncio_loop_set_debug(loop, false);
    wait_for_watchdogs(0);
    return 0;
}

TEST(debug_mode_begins_and_ends_it)
{
    assert_int_equal(asyncio_run(turns_debug_mode_on()), 0);
}

static void *end_threads(void *arg)
{
    assert_int_equal(asyncio_shutdown_threads(ASYNCIO_FOREVER), 0);
    return arg;
}

ASYNC(loses_the_thread)
{
    pthread_t thread;
    wait_for_watchdogs(1);
    CHECK_EQUAL(pthread_create(&thread, NULL, end_threads, NULL), 0);
    pthread_join(thread, NULL);
    wait_for_watchdogs(0);
    return 0;
}

/* The library's threads may be ended at any time; the next run has them again. */
TEST(a_shutdown_of_threads_ends_it_until_the_next_run)
{
    asyncio_runner runner;
    begin_notes();
    assert_int_equal(asyncio_runner_init(&runner, &watched), 0);
    assert_int_equal(asyncio_runner_run(&runner, loses_the_thread()), 0);
    harness_settle();
    assert_int_equal(asyncio_runner_run(&runner, starts(burns())), 0);
    assert_non_null(find_note(0, false));
    assert_int_equal(asyncio_runner_close(&runner), 0);
    wait_for_watchdogs(0);
}

/* ---- The handler -------------------------------------------------------------------------------- */

static _Atomic int answer_inside;

static void set_inside(const asyncio_stall *stall, void *arg)
{
    atomic_store(&answer_inside, asyncio_set_stall_handler(NULL, NULL));
    note_stall(stall, arg);
}

ASYNC(burns_with_that_handler)
{
    asyncio_set_stall_handler(set_inside, NULL);
    burn_until_told(0);
    return 0;
}

TEST(a_handler_sets_no_handler)
{
    atomic_store(&answer_inside, 0);
    note_of_rude(burns_with_that_handler(), "burns_with_that_handler");
    assert_int_equal(atomic_load(&answer_inside), ASYNCIO_ESTATE);
}

static _Atomic bool is_inside, may_leave;

static void stay_inside(const asyncio_stall *stall, void *arg)
{
    note_stall(stall, arg);
    atomic_store(&is_inside, true);
    while (!atomic_load(&may_leave))
        usleep(100);
    usleep(2000);
    atomic_store(&is_inside, false);
}

ASYNC(replaces_the_handler)
{
    atomic_store(&may_leave, false);
    asyncio_set_stall_handler(stay_inside, NULL);
    while (!atomic_load(&is_inside))
        burned++;
    atomic_store(&may_leave, true);
    CHECK_EQUAL(asyncio_set_stall_handler(note_stall, NULL), 0);
    CHECK(!atomic_load(&is_inside));
    return 0;
}

TEST(the_old_handler_runs_no_more_when_it_was_replaced)
{
    note_of_rude(replaces_the_handler(), "replaces_the_handler");
    harness_settle();
}

ASYNC(holds_for_a_while)
{
    burn(LIMIT * 50);
    return 0;
}

static void print_a_stall(void *arg)
{
    (void)arg;
    asyncio_set_stall_handler(NULL, NULL);
    asyncio_run_with(starts(holds_for_a_while()), &watched);
}

TEST(without_a_handler_there_are_lines)
{
    struct child child;
    child_run(&child, print_a_stall, NULL);
    assert_child_exit(&child, 0);
    assert_child_says(&child, " has been held for 0.");
    assert_child_says(&child, " s by task 'rude' of holds_for_a_while, made at ");
    if (!RUNNING_ON_VALGRIND)
        assert_child_says(&child, ": it computes\n");
    assert_child_says(&child, " goes on, after ");
    if (has_frames())
        assert_child_says(&child, "\nasyncio:   ");
}

TEST_MAIN()
