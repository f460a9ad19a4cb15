/*
 * Threads, where something has gone before its time: a loop that is released or closed while its work is out,
 * a child process; what a drop function leaves behind, and what a thread does when it crashes.
 */
#include "base/sanitizer.h"
#include "threads/offload.h"
#include "threads/thread_test.h"
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- Signals ------------------------------------------------------------------------------------ */

static intptr_t look_at_mask(void *arg)
{
    sigset_t *mask = arg;
    return -pthread_sigmask(SIG_SETMASK, NULL, mask);
}

/* A program that reports its crashes hears of those in its functions, too. All else is for its threads. */
ASYNC_TEST(masks)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    static const int others[] = {SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGUSR1, SIGPIPE, SIGABRT};
    sigset_t mask;
    CHECK_EQUAL(asyncio_to_thread(look_at_mask, &mask), 0);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        CHECK(!sigismember(&mask, faults[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(sigismember(&mask, others[i]));
    return 0;
}

/* ---- A loop that is released, and was not closed ------------------------------------------- */

static asyncio_executor *executor;
static pthread_t dropped_on;

static void drop_here(void *arg)
{
    dropped_on = pthread_self();
    note_drop(arg);
}

ASYNC(calls_the_gate)
{
    return asyncio_to_thread(gate_pass, NULL);
}

static asyncio_task *caller;

static void begin_and_stop(void *arg)
{
    (void)arg;
    caller = asyncio_create_task(calls_the_gate());
    asyncio_release(asyncio_run_in_executor(executor, gate_pass, (void *)1, drop_here));
    asyncio_release(asyncio_run_in_executor(executor, note_run, (void *)2, drop_here)); /* queued */
    asyncio_loop_call_soon(asyncio_get_running_loop(), stop_other, asyncio_get_running_loop());
}

/* The last reference closes it, whatever is out: the functions run, the arguments are dropped by their
 * threads, and nothing is left but the task that was waiting. */
static void release_with_work(bool returned)
{
    executor = asyncio_executor_new(1);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    gate_set(false);
    atomic_store(&dropped, 0);
    atomic_store(&ran, 0);
    asyncio_loop_call_soon(loop, begin_and_stop, NULL);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    gate_wait_inside(2);
    if (returned) { /* and nobody has seen it */
        gate_set(true);
        wait_for(&ran, 1);
        usleep(2000);
    }
    asyncio_loop_release(loop);
    CHECK_EQUAL(report_count, 1);
    CHECK_HAS(reports[0].message, "it is pending");
    gate_set(true);
    wait_for(&dropped, 2);
    wait_for(&ran, 1);
    CHECK(returned || !pthread_equal(dropped_on, pthread_self()));
    asyncio_executor_release(executor);
    wait_until_no_loop_is_left();
    asyncio_release(caller);
}

TEST(released_with_work_out)
{
    release_with_work(false);
    release_with_work(true);
    harness_settle();
}

/* ---- Main's frame, in the hands of a function that outlives the grace -------------------------- */

#define LENT 4096

static _Atomic int intact;

static intptr_t fill_and_look(void *arg)
{
    volatile unsigned char *bytes = arg;
    int same = 0;
    for (int i = 0; i < LENT; i++)
        bytes[i] = 0x5a;
    gate_pass(NULL);
    for (int i = 0; i < LENT; i++)
        same += bytes[i] == 0x5a;
    atomic_store(&intact, same);
    return 0;
}

ASYNC(main_lends_its_frame)
{
    unsigned char bytes[LENT];
    asyncio_release(asyncio_run_in_executor(NULL, fill_and_look, bytes, note_drop));
    gate_wait_inside(1);
    return 0;
}

ASYNC(main_uses_its_frame)
{
    volatile unsigned char bytes[2 * LENT];
    for (int i = 0; i < 2 * LENT; i++)
        bytes[i] = 0;
    return bytes[LENT];
}

/* Nobody else gets that stack. */
TEST(a_frame_that_is_still_in_use)
{
    /* To these a frame's memory is gone when the function returns, whatever stack it was on. */
    if (ASY_ASAN || RUNNING_ON_VALGRIND)
        skip();
    gate_set(false);
    atomic_store(&dropped, 0);
    CHECK_EQUAL(run_with_grace(main_lends_its_frame(), 0.01), 0);
    CHECK_EQUAL(report_count, 1);
    for (int i = 0; i < 5; i++)
        CHECK_EQUAL(asyncio_run(main_uses_its_frame()), 0);
    gate_set(true);
    wait_for(&dropped, 1);
    CHECK_EQUAL(atomic_load(&intact), LENT);
    wait_until_no_loop_is_left();
    harness_settle();
}

/* ---- A real deadlock after a call on a thread ------------------------------------------------ */

#define DEADLOCKS 100

static _Atomic int told;

static void tell_and_stop(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)arg;
    if (!strstr(context->message, "deadlock"))
        return;
    atomic_fetch_add(&told, 1);
    asyncio_loop_call_soon_signalsafe(loop, stop_other, loop);
}

ASYNC(is_stuck)
{
    CHECK_EQUAL(asyncio_to_thread(twice, (void *)1), 2);
    asyncio_event event = ASYNCIO_EVENT_INIT;
    return asyncio_event_wait(&event);
}

static asyncio_loop *stuck;

/* Also where the thread is about to let go of the loop that it has just woken. */
TEST(a_deadlock_is_told)
{
    for (int i = 0; i < DEADLOCKS; i++) {
        const asyncio_run_options options = {.debug = 1};
        stuck = asyncio_loop_new(&options);
        atomic_store(&told, 0);
        asyncio_loop_set_slow_callback_duration(stuck, ASYNCIO_FOREVER);
        asyncio_loop_set_exception_handler(stuck, tell_and_stop, NULL);
        asyncio_task *task = asyncio_loop_create_task(stuck, is_stuck());
        CHECK_EQUAL(asyncio_loop_run_until_complete(stuck, asyncio_ref(&task->future)), ASYNCIO_ESTATE);
        CHECK_EQUAL(atomic_load(&told), 1);
        asyncio_cancel(task);
        CHECK_EQUAL(asyncio_loop_run_until_complete(stuck, &task->future), -ECANCELED);
        asyncio_loop_close(stuck);
        asyncio_loop_release(stuck);
    }
    wait_until_no_loop_is_left();
    harness_settle();
}

/* ---- A drop function that keeps its thread ---------------------------------------------------- */

#define ROUNDS 2000

static _Atomic int spinning, go, second_ran, late;

static intptr_t spin(void *arg)
{
    (void)arg;
    atomic_store(&spinning, 1);
    while (!atomic_load(&go))
        ;
    return 0;
}

/* On the executor's thread, since the loop is closed. It waits for what another loop has queued. */
static void drop_slowly(void *arg)
{
    (void)arg;
    int waits = 0;
    while (!atomic_load(&second_ran) && waits++ < 50000)
        usleep(20);
    if (!atomic_load(&second_ran))
        atomic_fetch_add(&late, 1);
    atomic_fetch_add(&dropped, 1);
}

static intptr_t run_second(void *arg)
{
    (void)arg;
    atomic_store(&second_ran, 1);
    return 0;
}

static void spin_and_stop(void *arg)
{
    (void)arg;
    asyncio_release(asyncio_run_in_executor(executor, spin, NULL, drop_slowly));
    asyncio_loop_stop(asyncio_get_running_loop());
}

static void *run_closed_loop(void *arg)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_loop_call_soon(loop, spin_and_stop, NULL);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    return arg;
}

ASYNC(queues_a_second, int, rounds)
{
    for (int i = 0; i < rounds && !atomic_load(&late); i++) {
        pthread_t thread;
        atomic_store(&spinning, 0);
        atomic_store(&go, 0);
        atomic_store(&second_ran, 0);
        atomic_store(&dropped, 0);
        pthread_create(&thread, NULL, run_closed_loop, NULL);
        pthread_join(thread, NULL);
        wait_for(&spinning, 1);
        atomic_store(&go, 1);
        for (volatile int pause = i % 64 * 4; pause > 0; pause--)
            ;
        CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, run_second, NULL, NULL)), 0);
        wait_for(&dropped, 1);
    }
    CHECK_EQUAL(atomic_load(&late), 0);
    return 0;
}

/* Another thread of the executor comes to it. */
TEST(a_slow_drop_holds_nobody_up)
{
    executor = asyncio_executor_new(2);
    CHECK_EQUAL(asyncio_run(queues_a_second(ASY_TSAN || RUNNING_ON_VALGRIND ? 100 : ROUNDS)), 0);
    asyncio_executor_release(executor);
    wait_until_no_loop_is_left();
    harness_settle();
}

/* ---- What a drop function leaves behind ------------------------------------------------------- */

static asyncio_contextvar var = ASYNCIO_CONTEXTVAR_INIT("var", NULL);

static void drop_and_set(void *arg)
{
    asyncio_contextvar_set(&var, arg, NULL);
    atomic_fetch_add(&dropped, 1);
}

static void call_the_gate_and_stop(void *arg)
{
    asyncio_release(asyncio_run_in_executor(executor, gate_pass, arg, drop_and_set));
    asyncio_loop_stop(asyncio_get_running_loop());
}

static intptr_t look_at_var(void *arg)
{
    (void)arg;
    return (intptr_t)asyncio_contextvar_get(&var);
}

ASYNC(looks)
{
    return asyncio_await(asyncio_run_in_executor(executor, look_at_var, NULL, NULL));
}

TEST(a_function_begins_in_an_empty_context)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    executor = asyncio_executor_new(1);
    gate_set(false);
    atomic_store(&dropped, 0);
    asyncio_loop_call_soon(loop, call_the_gate_and_stop, (void *)7);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    gate_set(true);
    wait_for(&dropped, 1);
    CHECK_EQUAL(asyncio_run(looks()), 0);
    asyncio_executor_release(executor);
    harness_settle();
}

/* ---- Inside another loop ------------------------------------------------------------------------ */

static asyncio_future *queued;

static void queue_two_and_stop(void *arg)
{
    (void)arg;
    asyncio_release(asyncio_run_in_executor(executor, gate_pass, NULL, NULL));
    queued = asyncio_run_in_executor(executor, note_run, NULL, note_drop);
}

/* A cancel between two turns: the other loop is told that there is something to drop. */
TEST(cancelled_inside_another_loop)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    struct pollfd fd = {.fd = asyncio_loop_fd(loop), .events = POLLIN};
    executor = asyncio_executor_new(1);
    gate_set(false);
    atomic_store(&dropped, 0);
    asyncio_loop_call_soon(loop, queue_two_and_stop, NULL);
    while (poll(&fd, 1, 0) == 1)
        CHECK_EQUAL(asyncio_loop_run_once(loop, 0), 0);
    gate_wait_inside(1);
    CHECK(asyncio_cancel(queued));
    asyncio_release(queued);
    CHECK_EQUAL(poll(&fd, 1, 0), 1);
    CHECK_EQUAL(asyncio_loop_run_once(loop, 0), 0);
    CHECK_EQUAL(atomic_load(&dropped), 1);
    gate_set(true);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    asyncio_executor_release(executor);
    wait_until_no_loop_is_left();
    harness_settle();
}

/* ---- A forked child ------------------------------------------------------------------------------ */

static int ends[2];

ASYNC(reads_a_byte)
{
    char byte = 0;
    ssize_t n = asyncio_read(ends[0], &byte, 1);
    return n == 1 ? byte : -EIO;
}

/* All that can be cancelled there is; the parent does not notice. */
static void cancel_in_child(asyncio_task_group *group, asyncio_future *call, asyncio_task *reader,
                            asyncio_thread_future *submitted)
{
    asyncio_task_group_cancel(group);
    if (asyncio_cancel(reader))
        _exit(3);
    asyncio_cancel(call);
    asyncio_release(call);
    if (asyncio_thread_future_cancel(submitted) || asyncio_thread_future_cancel(submitted))
        _exit(4);
    if (asyncio_thread_future_result(submitted, 0) != ASYNCIO_ESTATE)
        _exit(5);
    asyncio_thread_future_release(submitted);
    _exit(harness_failures() ? 6 : 0);
}

ASYNC(main_forks)
{
    asyncio_task_group group;
    CHECK_EQUAL(pipe(ends), 0);
    gate_set(false);
    atomic_store(&dropped, 0);
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    asyncio_task *reader = asyncio_ref(asyncio_task_group_create_task(&group, reads_a_byte()));
    asyncio_task *task = asyncio_ref(asyncio_task_group_create_task(&group, calls_the_gate()));
    asyncio_future *call = asyncio_run_in_executor(NULL, gate_pass, (void *)3, note_drop);
    asyncio_thread_future *submitted =
        asyncio_run_coroutine_threadsafe(reads_a_byte(), asyncio_get_running_loop());
    wait_inside(2);
    asyncio_sleep(0);
    asyncio_thread_future_cancel(submitted); /* is under way when the process forks */
    pid_t pid = fork();
    if (pid == 0)
        cancel_in_child(&group, call, reader, submitted);
    int status = -1;
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(status, 0);
    while (asyncio_thread_future_result(submitted, 0) == -EDEADLK)
        asyncio_sleep(0);
    CHECK_EQUAL(asyncio_thread_future_result(submitted, 0), -EIO);
    asyncio_thread_future_release(submitted);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    CHECK_EQUAL(asyncio_await(reader), 'x');
    gate_set(true);
    CHECK_EQUAL(asyncio_await(call), 3);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    CHECK_EQUAL(atomic_load(&dropped), 1);
    asyncio_close(ends[0]);
    close(ends[1]);
    return 0;
}

TEST(cancels_in_a_child)
{
    static const asyncio_backend backends[] = {ASYNCIO_BACKEND_EPOLL, ASYNCIO_BACKEND_IO_URING};
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        const asyncio_run_options options = {.backend = backends[i]};
        intptr_t result = asyncio_run_with(main_forks(), &options);
        CHECK(result == 0 || (result == -ENOSYS && backends[i] == ASYNCIO_BACKEND_IO_URING));
    }
    harness_settle();
}

int main(void)
{
    static const struct test_fixtures fixtures = {.teardown = end_threads};
    asy_pool_idle_ns = INT64_C(1000000);
    return tests_run(&fixtures);
}
