/*
 * The watchdog where it is not at home: forks, debuggers, stopped processes, no /proc, signals of the
 * program's own, calls that fail; and what it must not tell.
 */
#include "core/watchdog_test.h"
#include "support/repeats.h"
#include "sys/sys.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct child child;

/* ---- Programs that hold their loop --------------------------------------------------------- */

ASYNC(computes)
{
    burn(LIMIT * 40);
    return 0;
}

ASYNC(burns)
{
    burn_until_told(0);
    return 0;
}

static void compute(void *arg)
{
    (void)arg;
    asyncio_set_stall_handler(NULL, NULL);
    CHILD_CHECK(asyncio_run_with(computes(), &watched) == 0);
}

#define HELD " has been held for "

/* ---- Forks ------------------------------------------------------------------------------------ */

/* In the child of a task. There is no watchdog; a loop of its own has one. */
static void compute_in_child(void *arg)
{
    CHILD_CHECK(count_watchdogs() == 0);
    begin_notes();
    CHILD_CHECK(asyncio_run_with(burns(), &watched) == 0);
    CHILD_CHECK(find_note(0, true));
    (void)arg;
}

ASYNC(forks)
{
    burn_until_told(0);
    child_run(&child, compute_in_child, NULL);
    return 0;
}

TEST(a_child_has_a_watchdog_of_its_own)
{
    begin_notes();
    assert_int_equal(asyncio_run_with(forks(), &watched), 0);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

static _Atomic bool are_done;

static void *keep_burning(void *arg)
{
    while (!atomic_load(&are_done))
        asyncio_run_with(computes(), &watched);
    return arg;
}

/* While the thread looks, tells and waits for an answer. */
TEST(forks_at_any_moment)
{
    pthread_t thread;
    asyncio_set_stall_handler(note_stall, NULL);
    atomic_store(&are_done, false);
    assert_int_equal(pthread_create(&thread, NULL, keep_burning, NULL), 0);
    for (size_t i = 0; i < repeats(3, 20, 200); i++) {
        child_run(&child, compute_in_child, NULL);
        assert_child_exit(&child, 0);
    }
    atomic_store(&are_done, true);
    pthread_join(thread, NULL);
}

/* ---- Debuggers, and stopped processes ------------------------------------------------------------- */

static int start[2];

static void compute_when_told(void *arg)
{
    char byte;
    CHILD_CHECK(read(start[0], &byte, 1) == 1);
    compute(arg);
}

static pid_t fork_computing(int *out)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(start), 0);
    pid_t pid = fork();
    if (pid == 0) {
        child_begin(ends[1]);
        compute_when_told(NULL);
        _exit(0);
    }
    assert_true(pid > 0);
    close(ends[1]);
    *out = ends[0];
    return pid;
}

static void end_computing(pid_t pid, int out)
{
    size_t used = 0;
    ssize_t n;
    memset(&child, 0, sizeof child);
    while ((n = read(out, child.text + used, sizeof child.text - 1 - used)) > 0)
        used += (size_t)n;
    while (waitpid(pid, &child.status, 0) == pid && WIFSTOPPED(child.status))
        ptrace(PTRACE_CONT, pid, NULL, NULL);
    assert_child_exit(&child, 0);
    close(out);
    close(start[0]);
    close(start[1]);
}

TEST(a_computing_program_is_told)
{
    int out;
    pid_t pid = fork_computing(&out);
    assert_int_equal(write(start[1], "x", 1), 1);
    end_computing(pid, out);
    assert_child_says(&child, HELD);
}

TEST(a_debugger_is_left_in_peace)
{
    int out;
    pid_t pid = fork_computing(&out);
    bool is_traced = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
    assert_int_equal(write(start[1], "x", 1), 1);
    end_computing(pid, out);
    if (is_traced)
        assert_child_silent(&child);
    else
        print_message("skipped: nothing may be traced here\n");
}

static sem_t has_come, may_look;

/* Behind its sleep the watchdog waits until it may look. That is as if it had slept too long. */
static void sleep_and_ask(struct asy_thread *self, int64_t timeout_ns)
{
    __real_asy_sys_thread_sleep(self, timeout_ns);
    sem_post(&has_come);
    sem_wait(&may_look);
}

static void let_watchdog_look(void)
{
    sem_post(&may_look);
    sem_wait(&has_come);
}

/* It looks at this step once before the stop, and once behind it: the step could have gone on for a quarter
 * of the limit. */
ASYNC(is_stopped)
{
    sem_wait(&has_come);
    let_watchdog_look();
    raise(SIGSTOP);
    let_watchdog_look();
    atomic_store(&sleep_of_watchdog, NULL);
    sem_post(&may_look);
    return 0;
}

static void stop_and_go_on(void *arg)
{
    (void)arg;
    asyncio_set_stall_handler(NULL, NULL);
    sem_init(&has_come, 0, 0);
    sem_init(&may_look, 0, 0);
    atomic_store(&sleep_of_watchdog, sleep_and_ask);
    CHILD_CHECK(asyncio_run_with(is_stopped(), &watched) == 0);
}

TEST(a_stopped_process_is_not_held)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        child_begin(ends[1]);
        stop_and_go_on(NULL);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    usleep((useconds_t)(LIMIT * 2e6));
    kill(pid, SIGCONT);
    memset(&child, 0, sizeof child);
    assert_true(read(ends[0], child.text, sizeof child.text - 1) >= 0);
    assert_int_equal(waitpid(pid, &child.status, 0), pid);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
    close(ends[0]);
}

/* ---- No /proc ------------------------------------------------------------------------------------- */

#define REFUSE(call)                                                                                         \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                                   \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

/* For all threads that begin from here on. */
static bool refuse_to_look(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_open /* musl's way, where there is one */
        REFUSE(open),
        REFUSE(readlink),
#endif
        REFUSE(openat),
        REFUSE(readlinkat),
        REFUSE(process_vm_readv),
        REFUSE(tgkill),
        REFUSE(rt_sigaction),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void compute_in_the_dark(void *arg)
{
    if (!refuse_to_look())
        dprintf(2, "skipped");
    else
        compute(arg);
}

TEST(a_filter_of_system_calls_takes_the_words_only)
{
    if (RUNNING_ON_VALGRIND || ASY_TSAN || getenv("ASYNCIO_TEST_SMALL"))
        skip();
    child_run(&child, compute_in_the_dark, NULL);
    assert_child_exit(&child, 0);
    if (strcmp(child.text, "skipped") == 0)
        skip();
    assert_child_says(&child, " by a callback: what it does is unknown, since /proc cannot be read\n");
    assert_child_says(&child, " goes on, after ");
}

/* ---- Signals of the program's own ---------------------------------------------------------------------- */

static volatile sig_atomic_t urgent;

static void note_urgent(int signo)
{
    (void)signo;
    urgent = urgent + 1;
}

TEST(a_handler_of_the_programs_is_not_called)
{
    struct sigaction action, old, now;
    memset(&action, 0, sizeof action);
    action.sa_handler = note_urgent;
    sigaction(SIGURG, &action, &old);
    begin_notes();
    assert_int_equal(asyncio_run_with(burns(), &watched), 0);
    check_words(find_note(0, false), "it computes");
    assert_int_equal(find_note(0, false)->stall.frame_count, 0);
    assert_int_equal(urgent, 0);
    sigaction(SIGURG, &old, &now);
    assert_ptr_equal(now.sa_handler, note_urgent);
}

TEST(the_signal_is_the_programs_again)
{
    struct sigaction now;
    begin_notes();
    assert_int_equal(asyncio_run_with(burns(), &watched), 0);
    sigaction(SIGURG, NULL, &now);
    assert_ptr_equal(now.sa_handler, SIG_DFL);
}

/* The thread never answers, and is told without its calls. */
ASYNC(burns_with_the_signal_blocked)
{
    sigset_t urgent_alone, before;
    sigemptyset(&urgent_alone);
    sigaddset(&urgent_alone, SIGURG);
    pthread_sigmask(SIG_BLOCK, &urgent_alone, &before);
    burn_until_told(0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return 0;
}

TEST(a_blocked_signal_is_not_waited_for_for_ever)
{
    begin_notes();
    may_not_answer = true;
    assert_int_equal(asyncio_run_with(burns_with_the_signal_blocked(), &watched), 0);
    may_not_answer = false;
    check_words(find_note(0, false), "it computes");
    assert_int_equal(find_note(0, false)->stall.frame_count, 0);
    begin_notes();
    assert_int_equal(asyncio_run_with(burns(), &watched), 0);
}

TEST(a_stack_is_lent_without_the_overflow_report)
{
    asyncio_run_options options = {.watchdog = LIMIT, .overflow_report = -1};
    struct sigaction now;
    begin_notes();
    assert_int_equal(asyncio_run_with(burns(), &options), 0);
    sigaction(SIGSEGV, NULL, &now);
    if (HAS_UNWINDER && !ASY_TSAN && !RUNNING_ON_VALGRIND && !getenv("ASYNCIO_TEST_SMALL"))
        assert_true(find_note(0, false)->stall.frame_count > 0);
}

/* ---- Calls that fail ---------------------------------------------------------------------------------- */

ASYNC(burns_while_calls_fail, uint64_t, first)
{
    asy_fault_arm(first, /* sticky= */ true);
    burn_until_told(0);
    asy_fault_disarm();
    return 0;
}

TEST(every_look_may_fail)
{
    for (uint64_t first = 1; first <= 24; first++) {
        begin_notes();
        assert_int_equal(asyncio_run_with(burns_while_calls_fail(first), &watched), 0);
        assert_non_null(find_note(0, true));
    }
}

ASYNC(nothing)
{
    return 0;
}

/* Runs a loop, whose call number `at` into the system fails. Returns which one it was; NULL: none. */
static const char *run_with_failure(uint64_t at)
{
    asyncio_loop *loop = asyncio_loop_new(&watched);
    assert_non_null(loop);
    record_reports(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, nothing());
    asy_fault_arm(at, /* sticky= */ false);
    intptr_t result = asyncio_loop_run_until_complete(loop, (asyncio_future *)task);
    asy_fault_disarm();
    const char *failed = asy_fault.failed;
    if (failed && strcmp(failed, "thread_start") == 0)
        assert_int_equal(result, 0);
    asyncio_loop_release(loop);
    return failed;
}

/* Without a thread the loop runs, and the loop's handler hears of it. */
TEST(without_a_thread_the_loop_runs)
{
    uint64_t at = 1;
    const char *failed;
    while ((failed = run_with_failure(at)) && strcmp(failed, "thread_start") != 0)
        at++;
    assert_non_null(failed);
    assert_int_equal(report_count, 1);
    assert_string_equal(reports[0].message, "the loop is not watched: there is no thread for it");
    assert_int_equal(reports[0].error, -EAGAIN);
}

/* ---- What it must not tell ---------------------------------------------------------------------------- */

#define LOAD_LIMIT 0.1

static void *load(void *arg)
{
    while (!atomic_load(&are_done))
        burn(0.01);
    return arg;
}

/* Steps of all kinds, none of them long. */
ASYNC(is_polite, double, seconds)
{
    int64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (int64_t)(seconds * 1e9);
    while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
        burn(0.0002);
        asyncio_sleep(0);
        asyncio_sleep(0.0001);
        asyncio_sleep(0.03);
    }
    return 0;
}

static void assert_nothing_was_told(void)
{
    for (unsigned i = 0; i < atomic_load(&note_count); i++)
        print_error("task '%s': %s, after %.3f s\n", notes[i].task, notes[i].words, notes[i].stall.seconds);
    assert_int_equal(atomic_load(&note_count), 0);
}

/* Eight threads compute beside it. A loop that waits for a processor is not held. */
TEST(a_loaded_machine_is_no_stall)
{
    pthread_t threads[8];
    asyncio_run_options options = {.watchdog = LOAD_LIMIT};
    double seconds = (double)repeats(1, 2, 60);
    begin_notes();
    atomic_store(&are_done, false);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load, NULL), 0);
    assert_int_equal(asyncio_run_with(is_polite(seconds), &options), 0);
    atomic_store(&are_done, true);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_nothing_was_told();
}

static _Atomic int looks;

static void sleep_and_count(struct asy_thread *self, int64_t timeout_ns)
{
    __real_asy_sys_thread_sleep(self, timeout_ns);
    atomic_fetch_add(&looks, 1);
}

/* Twice as many looks as make up a limit. */
static void stand_still(asyncio_loop *loop, const asyncio_trace_event *event, void *arg)
{
    (void)loop, (void)arg;
    int end = atomic_load(&looks) + 10;
    while (event->kind == ASYNCIO_TRACE_WAIT_END && atomic_load(&looks) < end)
        burned++;
}

ASYNC(sleeps_and_stands_still)
{
    asyncio_instrument instrument = {stand_still, NULL};
    asyncio_loop_set_instrument(asyncio_get_running_loop(), &instrument);
    int err = asyncio_sleep(LIMIT * 2);
    asyncio_loop_set_instrument(asyncio_get_running_loop(), NULL);
    return err;
}

/* It was last seen asleep, gets no processor, and has done nothing yet. */
TEST(a_loop_that_wakes_slowly_is_not_held)
{
    begin_notes();
    atomic_store(&sleep_of_watchdog, sleep_and_count);
    atomic_store(&has_no_processor, true);
    assert_int_equal(asyncio_run_with(sleeps_and_stands_still(), &watched), 0);
    atomic_store(&has_no_processor, false);
    atomic_store(&sleep_of_watchdog, NULL);
    assert_nothing_was_told();
}

ASYNC(sleeps_long)
{
    return asyncio_sleep(LIMIT * 10);
}

ASYNC(sleeps_for_years)
{
    return asyncio_sleep(1e9);
}

TEST(a_loop_that_waits_is_not_held)
{
    asyncio_run_options simulated = {.watchdog = LIMIT, .clock = ASYNCIO_CLOCK_VIRTUAL};
    begin_notes();
    assert_int_equal(asyncio_run_with(sleeps_long(), &watched), 0);
    assert_int_equal(asyncio_run_with(sleeps_for_years(), &simulated), 0);
    assert_nothing_was_told();
}

/* Under the virtual clock it goes by real time. */
TEST(virtual_time_is_no_excuse)
{
    asyncio_run_options simulated = {.watchdog = LIMIT, .clock = ASYNCIO_CLOCK_VIRTUAL};
    begin_notes();
    assert_int_equal(asyncio_run_with(burns(), &simulated), 0);
    assert_non_null(find_note(0, false));
}

TEST_MAIN()
