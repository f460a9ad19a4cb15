/*
 * Child processes: how they end, and how they do not begin; and that none of them, and no descriptor, is
 * left.
 */
#include "process/subprocess_test.h"
#include "support/test.h"

static struct child child;

/* ---- How they end ---------------------------------------------------------------------------- */

ASYNC(ends)
{
    int returncode = 77;
    asyncio_process *process = spawn(ARGV("true"), NULL);
    CHECK(asyncio_process_pid(process) > 1);
    CHECK(asyncio_process_stdin(process) == NULL);
    CHECK(asyncio_process_stdout(process) == NULL);
    CHECK(asyncio_process_stderr(process) == NULL);
    CHECK_EQUAL(end_of(process), 0);
    CHECK_EQUAL(end_of(process), 0);
    CHECK(asyncio_process_returncode(process, &returncode));
    CHECK_EQUAL(returncode, 0);
    asyncio_process_release(process);

    process = spawn_shell("exit 42", NULL);
    CHECK(!asyncio_process_returncode(process, NULL));
    CHECK_EQUAL(asyncio_process_wait(process, NULL), 0);
    CHECK_EQUAL(end_of(process), 42);
    asyncio_process_release(process);

    process = spawn(ARGV("sleep", "100"), NULL);
    CHECK_EQUAL(asyncio_sleep(0.01), 0);
    returncode = 5;
    CHECK(!asyncio_process_returncode(process, &returncode));
    CHECK_EQUAL(returncode, 5);
    CHECK_EQUAL(asyncio_process_terminate(process), 0);
    CHECK_EQUAL(end_of(process), -SIGTERM);
    asyncio_process_release(process);

    process = spawn_shell("kill -KILL $$", NULL);
    CHECK_EQUAL(end_of(process), -SIGKILL);
    asyncio_process_release(process);
    return 0;
}

TEST(exit_status_or_minus_the_signal)
{
    run_all(ends);
}

ASYNC(waits_for, asyncio_process *, process)
{
    return end_of(process);
}

ASYNC(many_wait)
{
    intptr_t results[10];
    asyncio_task *tasks[10];
    asyncio_process *process = spawn_shell("read line; exit 9", OPTIONS(.stdin_fd = ASYNCIO_PIPE));
    for (int i = 0; i < 10; i++)
        tasks[i] = asyncio_create_task(waits_for(process));
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(asyncio_stream_write(asyncio_process_stdin(process), "\n", 1), 0);
    CHECK_EQUAL(asyncio_gather_array(results, tasks, 10), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQUAL(results[i], 9);
    asyncio_process_release(process);
    return 0;
}

TEST(ten_may_wait)
{
    run_all(many_wait);
}

ASYNC(grandchild_holds)
{
    char *line;
    asyncio_process *process = spawn_shell("sleep 100 & echo $!", OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK(asyncio_stream_readline(asyncio_process_stdout(process), &line) > 0);
    pid_t grandchild = atoi(line);
    CHECK_EQUAL(asyncio_wait_for(waits_for(process), 10), 0);
    CHECK_EQUAL(kill(grandchild, 0), 0);
    kill(grandchild, SIGKILL);
    CHECK_EQUAL(asyncio_stream_readline(asyncio_process_stdout(process), &line), 0);
    asyncio_process_release(process);
    return 0;
}

TEST(a_grandchild_that_holds_the_pipe_keeps_nobody_waiting)
{
    run_all(grandchild_holds);
}

ASYNC(only_waits, asyncio_process *, process)
{
    return asyncio_process_wait(process, NULL);
}

ASYNC(cancels_a_wait)
{
    asyncio_process *process = spawn(ARGV("sleep", "100"), NULL);
    asyncio_task *other = asyncio_create_task(waits_for(process));
    CHECK_EQUAL(asyncio_wait_for(only_waits(process), 0.01), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_process_send_signal(process, 0), 0);
    CHECK(!asyncio_process_returncode(process, NULL));
    CHECK_EQUAL(asyncio_process_kill(process), 0);
    CHECK_EQUAL(asyncio_await(other), -SIGKILL);
    asyncio_process_release(process);
    return 0;
}

TEST(a_cancelled_wait_leaves_the_process_alone)
{
    run_all(cancels_a_wait);
}

ASYNC(races)
{
    for (int i = 0; i < 100; i++) {
        asyncio_process *process = spawn(ARGV("true"), NULL);
        if (i % 3 == 0)
            usleep((useconds_t)i * 20);
        while (!asyncio_process_returncode(process, NULL)) {
            CHECK_EQUAL(asyncio_process_send_signal(process, i % 2 ? SIGTERM : SIGCONT), 0);
            CHECK_EQUAL(asyncio_sleep(0), 0);
        }
        int returncode = end_of(process);
        CHECK(returncode == 0 || returncode == -SIGTERM);
        CHECK_EQUAL(asyncio_process_kill(process), 0);
        CHECK_EQUAL(asyncio_process_terminate(process), 0);
        CHECK_EQUAL(end_of(process), returncode);
        asyncio_process_release(process);
    }
    return 0;
}

TEST(a_signal_that_races_with_the_end_is_harmless)
{
    run_all(races);
}

ASYNC(reaped_elsewhere)
{
    int status;
    asyncio_process *process = spawn_shell("exit 3", NULL);
    CHECK_EQUAL(waitpid(asyncio_process_pid(process), &status, 0), asyncio_process_pid(process));
    CHECK_EQUAL(asyncio_process_kill(process), 0); /* the loop has not noticed yet */
    CHECK_EQUAL(end_of(process), 255);
    CHECK_EQUAL(asyncio_process_kill(process), 0);
    asyncio_process_release(process);
    /* Of one that was given up nobody wants to know. */
    process = spawn(ARGV("sleep", "100"), NULL);
    pid_t pid = asyncio_process_pid(process);
    asyncio_process_release(process);
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    return asyncio_sleep(0.02);
}

ASYNC(reaped_by_the_kernel)
{
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 5; i++) {
        asyncio_process *process = spawn_shell("exit 3", NULL);
        CHECK_EQUAL(end_of(process), 255);
        asyncio_process_release(process);
    }
    signal(SIGCHLD, SIG_DFL);
    return 0;
}

TEST(one_that_somebody_else_has_reaped)
{
    expect_reports(1);
    run_all(reaped_elsewhere);
    assert_non_null(strstr(reports[0].message, "somebody else has reaped process"));
    expect_reports(5);
    run_all(reaped_by_the_kernel);
    for (int i = 0; i < 5; i++)
        assert_non_null(strstr(reports[i].message, "SIGCHLD is ignored, so the kernel has reaped process"));
}

static _Atomic bool reaping;

static void *reap_all(void *arg)
{
    (void)arg;
    while (atomic_load(&reaping))
        if (waitpid(-1, NULL, WNOHANG) <= 0)
            usleep(100);
    return NULL;
}

static void not_told(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    CHECK_HAS(context->message, "somebody else has reaped process");
    ++*(int *)arg;
}

/* Now the one is first and now the other: at the start, while it runs, at the end. */
ASYNC(races_with_a_reaper)
{
    int told = 0, lost = 0;
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), not_told, &told);
    for (int i = 0; i < 60; i++) {
        asyncio_buffer out = {0};
        asyncio_process *process = spawn_shell(i % 3 ? "echo x; exit 3" : "sleep 0.01; echo x; exit 3",
                                               OPTIONS(.stdout_fd = ASYNCIO_PIPE));
        CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, NULL), 0);
        CHECK_TEXT(out.data, "x\n");
        int returncode = end_of(process);
        CHECK(returncode == 3 || returncode == 255);
        lost += returncode == 255;
        CHECK_EQUAL(asyncio_process_kill(process), 0);
        asyncio_buffer_destroy(&out);
        asyncio_process_release(process);
    }
    CHECK_EQUAL(told, lost);
    return 0;
}

TEST(beside_one_who_reaps_all)
{
    pthread_t thread;
    atomic_store(&reaping, true);
    pthread_create(&thread, NULL, reap_all, NULL);
    int descriptors = count_descriptors();
    CHECK_EQUAL(asyncio_run(races_with_a_reaper()), 0);
    CHECK_EQUAL(count_descriptors(), descriptors);
    atomic_store(&reaping, false);
    pthread_join(thread, NULL);
    check_no_children();
    harness_settle();
}

/* ---- How they do not begin ------------------------------------------------------------------- */

static void check_refused(const char *const *argv, const asyncio_subprocess_options *options, int err,
                          const char *words)
{
    asyncio_process *process = (asyncio_process *)&process, *untouched = process;
    int descriptors = count_descriptors();
    CHECK_EQUAL(asyncio_create_subprocess_exec(argv, options, &process), err);
    CHECK_TEXT(asyncio_error_message(), words);
    CHECK(process == untouched);
    CHECK_EQUAL(count_descriptors(), descriptors);
    check_no_children();
}

ASYNC(is_refused)
{
    check_refused(ARGV("no-such-program"), OPTIONS(ALL_PIPES), -ENOENT,
                  "run no-such-program: no such file or directory");
    check_refused(ARGV("/etc/passwd"), OPTIONS(ALL_PIPES), -EACCES,
                  "run /etc/passwd: permission denied (it is no executable file)");
    check_refused(ARGV("true"), OPTIONS(ALL_PIPES, .cwd = "/nowhere"), -ENOENT,
                  "run true: its folder /nowhere: no such file or directory");
    check_refused(ARGV("true"), OPTIONS(.cwd = "/etc/passwd"), -ENOTDIR,
                  "run true: its folder /etc/passwd: not a directory");
    check_refused(ARGV("no-such-program"), OPTIONS(.cwd = "/usr"), -ENOENT,
                  "run no-such-program in /usr: no such file or directory");
    check_refused(ARGV("true"), OPTIONS(.stdout_fd = 999), -EBADF,
                  "run true: descriptor 999: bad file descriptor");
    const int bad = 998;
    check_refused(ARGV("true"), OPTIONS(.inherit = &bad, .inherit_count = 1), -EBADF,
                  "run true: descriptor 998: bad file descriptor");
    asyncio_process *process;
    const asyncio_subprocess_options wrong[] = {
        {.stdin_fd = -4}, {.stdin_fd = ASYNCIO_STDOUT}, {.stdout_fd = ASYNCIO_STDOUT}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_refused(ARGV("true"), &wrong[i], -EINVAL, "run true: there is no such stdin, stdout or stderr");
    const int negative = -5;
    check_refused(ARGV("true"), OPTIONS(.inherit_count = 1), -EINVAL,
                  "run true: inherit has what is no descriptor");
    check_refused(ARGV("true"), OPTIONS(.inherit = &negative, .inherit_count = 1), -EINVAL,
                  "run true: inherit has what is no descriptor");
    check_refused(ARGV("true"), OPTIONS(.process_group = -2), -EINVAL,
                  "run true: there is no such process_group");
    check_refused(ARGV("true"), OPTIONS(.process_group = getpgid(0), .detach = 1), -EINVAL,
                  "run true: with detach it is in a session of its own, and cannot join a process_group");
    check_refused(ARGV("true"), OPTIONS(.process_group = INT_MAX), -EPERM,
                  "run true: operation not permitted");
    CHECK_EQUAL(asyncio_create_subprocess_exec(NULL, NULL, &process), -EINVAL);
    CHECK_EQUAL(asyncio_create_subprocess_exec((const char *const[]){NULL}, NULL, &process), -EINVAL);
    CHECK_EQUAL(asyncio_create_subprocess_exec(ARGV("true"), NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_create_subprocess_shell(NULL, NULL, &process), -EINVAL);
    CHECK_EQUAL(asyncio_process_wait(NULL, NULL), -EINVAL);
    CHECK(!asyncio_process_returncode(NULL, NULL));
    CHECK_EQUAL(asyncio_process_send_signal(NULL, SIGTERM), -EINVAL);
    CHECK(asyncio_process_stdin(NULL) == NULL);
    asyncio_process_release(NULL);
    process = spawn(ARGV("true"), NULL);
    CHECK_EQUAL(asyncio_process_send_signal(process, 1000), -EINVAL);
    CHECK_EQUAL(asyncio_process_send_signal(process, -1), -EINVAL);
    CHECK_EQUAL(end_of(process), 0);
    asyncio_process_release(process);
    return 0;
}

TEST(what_cannot_be_run)
{
    skip_under_valgrind();
    asyncio_process *process;
    assert_int_equal(asyncio_create_subprocess_exec(ARGV("true"), NULL, &process), ASYNCIO_ENOTASK);
    run_all(is_refused);
}

ASYNC(under_a_virtual_clock)
{
    asyncio_process *process;
    return asyncio_create_subprocess_exec(ARGV("true"), NULL, &process);
}

TEST(not_under_a_virtual_clock)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    assert_int_equal(asyncio_run_with(under_a_virtual_clock(), &options), -ENOSYS);
    assert_string_equal(asyncio_error_message(), "run true: not under a virtual clock");
}

/* One descriptor less each time. */
ASYNC(runs_out_of_descriptors)
{
    int open_now = count_descriptors(), refused = 0;
    for (int limit = open_now + 12; limit >= open_now; limit--) {
        struct rlimit most = {(rlim_t)limit, 4096};
        CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &most) == 0);
        asyncio_process *process;
        int err = asyncio_create_subprocess_exec(ARGV("true"), OPTIONS(ALL_PIPES), &process);
        if (!err) {
            CHILD_CHECK(asyncio_process_communicate(process, NULL, 0, NULL, NULL) == 0);
            asyncio_process_release(process);
        }
        CHILD_CHECK(!err || err == -EMFILE || err == -EBADF);
        refused += err != 0;
        most.rlim_cur = 1000;
        setrlimit(RLIMIT_NOFILE, &most);
        CHILD_CHECK(count_descriptors() == open_now);
        siginfo_t info;
        CHILD_CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1);
    }
    CHILD_CHECK(refused > 3);
    return 0;
}

static void run_out_of_descriptors(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(runs_out_of_descriptors()) == 0);
}

TEST(without_descriptors_nothing_is_left)
{
    skip_under_valgrind();
    child_run(&child, run_out_of_descriptors, NULL);
    assert_child_exit(&child, 0);
}

/* ---- Released -------------------------------------------------------------------------------- */

ASYNC(releases_one_that_runs)
{
    asyncio_process *process = spawn(ARGV("sleep", "100"), OPTIONS(ALL_PIPES));
    asyncio_task *task = asyncio_create_task(only_waits(process));
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    pid_t pid = asyncio_process_pid(process);
    int descriptors = count_descriptors();
    asyncio_process_release(process);
    CHECK_EQUAL(asyncio_await(task), -EBADF);
    for (int i = 0; i < 15000 && kill(pid, 0) == 0; i++)
        CHECK_EQUAL(asyncio_sleep(0.002), 0);
    check_no_children();
    CHECK_EQUAL(count_descriptors(), descriptors - 4);
    /* Several, and the loop ends before they do. */
    for (int i = 0; i < 5; i++)
        asyncio_process_release(spawn(ARGV("sleep", "100"), i % 2 ? OPTIONS(ALL_PIPES) : NULL));
    return 0;
}

TEST(one_that_runs_is_killed_and_reaped)
{
    run_all(releases_one_that_runs);
}

/* While a task is in the middle of each part of it: input, output, the end. */
ASYNC(releases_one_that_communicates)
{
    static const char *const commands[] = {"exec sleep 100", "cat; exec sleep 100",
                                           "exec 1>&- 2>&- <&-; exec sleep 100"};
    char *data = big_input();
    for (int i = 0; i < 6; i++) {
        asyncio_buffer out = {0};
        asyncio_process *process =
            spawn_shell(commands[i % 3], i < 3 ? OPTIONS(ALL_PIPES) : OPTIONS(.stdout_fd = ASYNCIO_PIPE));
        asyncio_task *task =
            asyncio_create_task(communicates(process, i < 3 ? data : NULL, i < 3 ? BIG : 0, &out));
        CHECK_EQUAL(asyncio_sleep(0.03), 0);
        asyncio_process_release(process);
        CHECK_EQUAL(asyncio_await(task), -EBADF);
        CHECK(!out.data);
    }
    free(data);
    return 0;
}

TEST(one_that_is_released_while_a_task_communicates)
{
    run_all(releases_one_that_communicates);
}

static asyncio_process *kept_process;

ASYNC(keeps_a_process, bool, ended)
{
    kept_process = spawn(ARGV("sleep", ended ? "0" : "100"), OPTIONS(ALL_PIPES));
    if (ended)
        CHECK_EQUAL(end_of(kept_process), 0);
    return 0;
}

TEST(one_that_outlives_the_loop)
{
    for (int i = 0; i < 2; i++) {
        int descriptors = count_descriptors();
        assert_int_equal(asyncio_run(keeps_a_process(i == 0)), 0);
        assert_int_equal(asyncio_process_wait(kept_process, NULL), ASYNCIO_ENOTASK);
        assert_true(asyncio_process_returncode(kept_process, NULL) == (i == 0));
        asyncio_process_release(kept_process);
        check_no_children();
        assert_int_equal(count_descriptors(), descriptors);
    }
    harness_settle();
}

/* A loop that is closed while a task waits for a process that nobody has released. */
static void close_below(void *arg)
{
    (void)arg;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_release(asyncio_loop_create_task(loop, keeps_a_process(false)));
    CHILD_CHECK(asyncio_loop_run_once(loop, 0) == 0);
    int descriptors = count_descriptors();
    asyncio_release(asyncio_loop_create_task(loop, waits_for(kept_process)));
    CHILD_CHECK(asyncio_loop_run_once(loop, 0) == 0);
    pid_t pid = asyncio_process_pid(kept_process);
    CHILD_CHECK(asyncio_loop_close(loop) == 0);
    CHILD_CHECK(kill(pid, 0) == 0); /* it runs on */
    CHILD_CHECK(!asyncio_process_returncode(kept_process, NULL));
    asyncio_process_release(kept_process);
    CHILD_CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    asyncio_loop_release(loop);
    CHILD_CHECK(count_descriptors() < descriptors - 4); /* three pipes, the process's own, and the loop's */
}

TEST(one_whose_loop_closes_while_a_task_waits)
{
    child_run(&child, close_below, NULL);
    assert_child_exit(&child, 0);
    assert_child_says(&child, "it waits in process");
}

ASYNC(detaches)
{
    char *line;
    asyncio_process *process =
        spawn_shell("echo $$; exec sleep 100", OPTIONS(.stdout_fd = ASYNCIO_PIPE, .detach = 1));
    CHECK(asyncio_stream_readline(asyncio_process_stdout(process), &line) > 0);
    pid_t pid = asyncio_process_pid(process);
    CHECK_EQUAL(atoi(line), pid);
    asyncio_process_release(process);
    CHECK_EQUAL(asyncio_sleep(0.02), 0);
    siginfo_t info = {.si_pid = 0};
    CHECK_EQUAL(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    CHECK_EQUAL(info.si_pid, 0);
    kill(pid, SIGKILL);
    for (int i = 0; i < 15000 && kill(pid, 0) == 0; i++) /* the loop reaps it all the same */
        CHECK_EQUAL(asyncio_sleep(0.002), 0);
    check_no_children();
    return 0;
}

TEST(a_detached_one_runs_on)
{
    run_all(detaches);
}

#define DETACHED 30

static double all_detached; /* when */

ASYNC(detaches_many, pid_t *, pids)
{
    for (int i = 0; i < DETACHED; i++) {
        asyncio_process *process = spawn(ARGV("sleep", "100"), OPTIONS(.detach = 1));
        pids[i] = asyncio_process_pid(process);
        asyncio_process_release(process);
    }
    all_detached = asyncio_time();
    return 0;
}

/* The loop that closes waits for those that it has killed, and for no others. */
TEST(detached_ones_hold_up_no_close)
{
    pid_t pids[DETACHED];
    int descriptors = count_descriptors(), status;
    if (RUNNING_ON_VALGRIND) /* knows no pidfds: each keeps a descriptor for the thread that waits for it */
        skip();
    assert_int_equal(asyncio_run(detaches_many(pids)), 0);
    assert_true(asyncio_time() - all_detached < DETACHED / 2);
    for (int i = 0; i < DETACHED; i++) {
        assert_int_equal(waitpid(pids[i], &status, WNOHANG), 0);
        kill(pids[i], SIGKILL);
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    }
    check_no_children();
    assert_int_equal(count_descriptors(), descriptors);
    harness_settle();
}

ASYNC(forks_meanwhile)
{
    asyncio_process *process = spawn(ARGV("sleep", "100"), NULL);
    pid_t pid = fork();
    if (pid == 0) {
        asyncio_process_kill(process);
        asyncio_process_release(process);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(asyncio_sleep(0.02), 0);
    CHECK(!asyncio_process_returncode(process, NULL));
    CHECK_EQUAL(asyncio_process_terminate(process), 0);
    CHECK_EQUAL(end_of(process), -SIGTERM);
    asyncio_process_release(process);
    return 0;
}

TEST(a_forks_child_leaves_them_alone)
{
    run_all(forks_meanwhile);
}

/* ---- In the wrong thread ------------------------------------------------------------------ */

static asyncio_process *theirs;
static unsigned which_call;

#define PROCESS_CALLS(CALL)                                                                                  \
    CALL(asyncio_process_pid, (theirs))                                                                      \
    CALL(asyncio_process_stdin, (theirs))                                                                    \
    CALL(asyncio_process_stdout, (theirs))                                                                   \
    CALL(asyncio_process_stderr, (theirs))                                                                   \
    CALL(asyncio_process_wait, (theirs, NULL))                                                               \
    CALL(asyncio_process_returncode, (theirs, NULL))                                                         \
    CALL(asyncio_process_communicate, (theirs, NULL, 0, NULL, NULL))                                         \
    CALL(asyncio_process_send_signal, (theirs, 0))                                                           \
    CALL(asyncio_process_release, (theirs))                                                                  \
    CALL(asyncio_stream_fd, (stream))                                                                        \
    CALL(asyncio_stream_buffered, (stream))                                                                  \
    CALL(asyncio_stream_at_eof, (stream))                                                                    \
    CALL(asyncio_stream_peername, (stream, (struct sockaddr *)&name, &length))                               \
    CALL(asyncio_stream_sockname, (stream, (struct sockaddr *)&name, &length))                               \
    CALL(asyncio_stream_read, (stream, &name, 1))                                                            \
    CALL(asyncio_stream_write, (stream, "x", 1))                                                             \
    CALL(asyncio_stream_close, (stream))                                                                     \
    CALL(asyncio_stream_abort, (stream))

static void *call_there(void *arg)
{
    asyncio_stream *stream = arg;
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    unsigned i = 0;
#define CALL(function, arguments)                                                                            \
    if (i++ == which_call)                                                                                   \
        (void)function arguments;
    PROCESS_CALLS(CALL)
#undef CALL
    return NULL;
}

ASYNC(calls_there)
{
    pthread_t thread;
    theirs = spawn(ARGV("cat"), OPTIONS(ALL_PIPES));
    pthread_create(&thread, NULL, call_there, asyncio_process_stdin(theirs));
    pthread_join(thread, NULL);
    return 0;
}

static void call_in_thread(void)
{
    asyncio_run(calls_there());
}

TEST(each_call_knows_its_thread)
{
#define CALL(function, arguments) #function " was called from a thread",
    static const char *const words[] = {PROCESS_CALLS(CALL)};
#undef CALL
    for (which_call = 0; which_call < sizeof words / sizeof *words; which_call++)
        check_dies(call_in_thread, words[which_call]);
}

/* ---- Many ------------------------------------------------------------------------------------ */

ASYNC(one_of_many, int, i)
{
    char command[64], wanted[32];
    asyncio_buffer out = {0};
    snprintf(command, sizeof command, "echo %d; exit %d", i, i % 7);
    asyncio_process *process = spawn_shell(command, OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, NULL), 0);
    snprintf(wanted, sizeof wanted, "%d\n", i);
    CHECK_TEXT(out.data, wanted);
    CHECK_EQUAL(end_of(process), i % 7);
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    return 0;
}

ASYNC(many)
{
    asyncio_task *tasks[50];
    for (int i = 0; i < 50; i++)
        tasks[i] = asyncio_create_task(one_of_many(i));
    return asyncio_gather_array(NULL, tasks, 50);
}

TEST(fifty_at_once)
{
    run_all(many);
}

static void *run_many(void *arg)
{
    (void)arg;
    return (void *)asyncio_run(many());
}

TEST(from_several_loops)
{
    pthread_t threads[4];
    int descriptors = count_descriptors();
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_many, NULL);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, NULL);
    }
    check_no_children();
    assert_int_equal(count_descriptors(), descriptors);
    harness_settle();
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

ASYNC(any_day)
{
    asyncio_process *process;
    asyncio_buffer out = {0}, errors = {0};
    int err = asyncio_create_subprocess_shell("cat; echo e >&2; exit 1", OPTIONS(ALL_PIPES), &process);
    if (err)
        return err;
    err = asyncio_process_communicate(process, "input", 5, &out, &errors);
    CHECK(err || strcmp(out.data, "input") == 0);
    CHECK(err || strcmp(errors.data, "e\n") == 0);
    CHECK(!err || (!out.data && !errors.data));
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&errors);
    asyncio_process_release(process);
    return err;
}

TEST(every_call_may_fail)
{
    sweep_failures(any_day);
    check_no_children();
    harness_settle();
}

ASYNC(a_busy_day)
{
    /* A creation that has to give way first, too. */
    asyncio_semaphore semaphore;
    asyncio_semaphore_init(&semaphore, 1);
    int err = 0;
    for (int i = 0; i < 127 && !err; i++) {
        err = asyncio_semaphore_acquire(&semaphore);
        if (!err)
            asyncio_semaphore_release(&semaphore);
    }
    return err ? err : (int)asyncio_await(any_day());
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    CHECK(result == (suspension ? -ECANCELED : 0));
    check_no_children();
}

TEST(every_wait_may_be_cancelled)
{
    sweep_cancels(a_busy_day, check_cancelled);
}

/* ---- Where there are no pidfds ------------------------------------------------------------ */

/* From here on the kernel, as some containers do, says that it does not know them. */
static bool forbid_pidfd(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
           syscall(SYS_pidfd_open, getpid(), 0) < 0;
}

static int run_without_pidfd(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_whose_loop_closes_while_a_task_waits), /* forks: before any threads */
        cmocka_unit_test(test_exit_status_or_minus_the_signal),
        cmocka_unit_test(test_ten_may_wait),
        cmocka_unit_test(test_a_grandchild_that_holds_the_pipe_keeps_nobody_waiting),
        cmocka_unit_test(test_a_signal_that_races_with_the_end_is_harmless),
        cmocka_unit_test(test_one_that_somebody_else_has_reaped),
        cmocka_unit_test(test_one_that_runs_is_killed_and_reaped),
        cmocka_unit_test(test_one_that_is_released_while_a_task_communicates),
        cmocka_unit_test(test_one_that_outlives_the_loop),
        cmocka_unit_test(test_a_detached_one_runs_on),
        cmocka_unit_test(test_fifty_at_once),
        cmocka_unit_test(test_every_call_may_fail),
        cmocka_unit_test(test_every_wait_may_be_cancelled),
    };
    return forbid_pidfd() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

int main(void)
{
    use_descriptors();
    int failed = tests_run(NULL);
    return failed ? failed : run_without_pidfd();
}
