/*
 * fork while a loop runs: the child has no loop and is told so, may run one of its own,
 * and leaves the parent unharmed.
 */
#include "asyncio.h"
#include "base/sanitizer.h"
#include "child.h"
#include "core/descriptor.h"
#include "core/loop.h"
#include "support/test.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

static struct child child;

static void nothing(void *arg)
{
    (void)arg;
}

ASYNC(sleeps, double, seconds)
{
    return asyncio_sleep(seconds) ? -EIO : 3;
}

/* How a forked process ended. */
static int status_of(pid_t pid)
{
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

/* ---- In the child ------------------------------------------------------------------------- */

static asyncio_loop *loop;
static asyncio_task *other;
static asyncio_runner *runner;

static int reports;
static void count_report(asyncio_loop *of, const asyncio_exception_context *context, void *arg)
{
    (void)of;
    (void)arg;
    CHILD_CHECK(context->error == ASYNCIO_ESTATE);
    reports++;
}

static void check_waits(void)
{
    intptr_t result = 5;
    CHILD_CHECK(asyncio_sleep(0) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_sleep(1) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_await(sleeps(1)) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_await(asyncio_ref(other)) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_join(asyncio_ref(other), &result) == ASYNCIO_ENOTASK);
    CHILD_CHECK(result == 5);
    CHILD_CHECK(asyncio_gather(NULL, sleeps(1), sleeps(2)) == ASYNCIO_ENOTASK);
}

static void check_calls(void)
{
    CHILD_CHECK(asyncio_get_running_loop() == NULL);
    CHILD_CHECK(asyncio_current_task() == NULL);
    CHILD_CHECK(!asyncio_loop_is_running(loop));
    CHILD_CHECK(asyncio_loop_call_soon_threadsafe(loop, nothing, NULL) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_loop_call_soon_signalsafe(loop, nothing, NULL) == ASYNCIO_ESTATE);
    asyncio_loop_set_exception_handler(loop, count_report, NULL);
    CHILD_CHECK(!asyncio_handle_valid(asyncio_loop_call_soon(loop, nothing, NULL)));
    CHILD_CHECK(!asyncio_handle_valid(asyncio_loop_call_later(loop, 1, nothing, NULL)));
    CHILD_CHECK(reports == 2);
    asyncio_task *task = asyncio_create_task(sleeps(1));
    CHILD_CHECK(asyncio_result(task) == ASYNCIO_ESTATE);
    asyncio_release(task);
    task = asyncio_loop_create_task(loop, sleeps(1));
    CHILD_CHECK(asyncio_result(task) == ASYNCIO_ESTATE);
    asyncio_release(task);
    CHILD_CHECK(asyncio_future_new() == NULL);
    CHILD_CHECK(asyncio_loop_run_forever(loop) == ASYNCIO_ESTATE);
    CHILD_CHECK(strcmp(asyncio_error_message(),
                       "asyncio_loop_run_forever: the loop belongs to the parent process") == 0);
    CHILD_CHECK(asyncio_loop_close(loop) == ASYNCIO_ESTATE);
    CHILD_CHECK(strstr(asyncio_error_message(), "parent process") != NULL);
    CHILD_CHECK(asyncio_runner_run(runner, sleeps(0)) == ASYNCIO_ESTATE);
    CHILD_CHECK(strstr(asyncio_error_message(), "parent process") != NULL);
    CHILD_CHECK(asyncio_runner_close(runner) == ASYNCIO_ESTATE);
    asyncio_loop_release(asyncio_loop_ref(loop));
}

ASYNC(runs_in_the_child)
{
    asyncio_task *task = asyncio_create_task(sleeps(0.002));
    return asyncio_await(sleeps(0.001)) + asyncio_await(task);
}

static void check_a_loop_of_its_own(void)
{
    CHILD_CHECK(list_is_empty(&asy_runtime.loops));
    CHILD_CHECK(asyncio_run(runs_in_the_child()) == 6);
    CHILD_CHECK(asyncio_run(runs_in_the_child()) == 6);
    asyncio_loop *mine = asyncio_loop_new(NULL);
    CHILD_CHECK(mine != NULL);
    asyncio_loop_call_soon_threadsafe(mine, (asyncio_callback)(void *)asyncio_loop_stop, mine);
    CHILD_CHECK(asyncio_loop_run_forever(mine) == 0);
    CHILD_CHECK(asyncio_loop_close(mine) == 0);
    asyncio_loop_release(mine);
}

/* ---- The parent: a task that forks while others go on --------------------------------------- */

static int ticks;
ASYNC(ticks_on)
{
    while (asyncio_sleep(0.0005) == 0)
        ticks++;
    return -ECANCELED;
}

ASYNC(forks, void *, what)
{
    void (*checks)(void);
    memcpy(&checks, what, sizeof checks);
    loop = asyncio_get_running_loop();
    other = asyncio_create_task(ticks_on());
    asyncio_sleep(0.001);
    pid_t pid = fork();
    if (pid == 0) {
        checks();
        _exit(0);
    }
    CHILD_CHECK(status_of(pid) == 0);
    int before = ticks;
    CHILD_CHECK(asyncio_sleep(0.005) == 0);
    CHILD_CHECK(ticks > before);
    asyncio_cancel(other);
    CHILD_CHECK(asyncio_await(other) == -ECANCELED);
    return 0;
}

static void run_forks(void *checks)
{
    asyncio_runner mine;
    runner = &mine;
    CHILD_CHECK(asyncio_runner_init(&mine, NULL) == 0);
    CHILD_CHECK(asyncio_runner_run(&mine, forks(checks)) == 0);
    CHILD_CHECK(asyncio_runner_close(&mine) == 0);
}

static void run_checks(void (*checks)(void))
{
    child_run(&child, run_forks, &checks);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

TEST(waits_in_the_child_find_no_task)
{
    run_checks(check_waits);
}

TEST(calls_on_the_loop_are_refused)
{
    run_checks(check_calls);
}

TEST(the_child_may_run_a_loop_of_its_own)
{
    run_checks(check_a_loop_of_its_own);
}

/* ---- Going on as if nothing had happened ------------------------------------------------------ */

ASYNC(forks_and_returns)
{
    asyncio_sleep(0);
    pid_t pid = fork();
    if (pid == 0)
        return asyncio_sleep(0);
    int status = status_of(pid);
    CHILD_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    return asyncio_sleep(0.001);
}

static void run_forks_and_returns(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(forks_and_returns()) == 0);
}

TEST(a_coroutine_that_returns_in_the_child_dies_with_words)
{
    child_run(&child, run_forks_and_returns, NULL);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text,
                        "asyncio: coroutine 'forks_and_returns' returned in a forked child process; the "
                        "loop belongs to the parent: end the child with _exit, or run a loop of its own "
                        "in it\n");
}

static void fork_in_a_callback(void *of)
{
    pid_t pid = fork();
    if (pid == 0)
        return;
    int status = status_of(pid);
    CHILD_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    asyncio_loop_stop(of);
}

static void run_forking_callback(void *arg)
{
    (void)arg;
    loop = asyncio_loop_new(NULL);
    asyncio_loop_call_soon(loop, fork_in_a_callback, loop);
    CHILD_CHECK(asyncio_loop_run_forever(loop) == 0);
    asyncio_loop_release(loop);
}

TEST(and_so_does_a_callback)
{
    child_run(&child, run_forking_callback, NULL);
    assert_child_exit(&child, 0);
    assert_child_says(&child, "asyncio: a callback returned in a forked child process; the loop belongs to "
                              "the parent");
}

/* ---- Signals ------------------------------------------------------------------------------------ */

ASYNC(forks_and_is_interrupted)
{
    int ends[2];
    char byte;
    CHILD_CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHILD_CHECK(write(ends[1], "x", 1) == 1);
        for (;;)
            pause();
    }
    CHILD_CHECK(read(ends[0], &byte, 1) == 1);
    kill(pid, SIGINT);
    int status = status_of(pid);
    CHILD_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    /* And this one's own handler is in force all the same. */
    if (asyncio_sleep(0.003))
        return -EIO;
    kill(getpid(), SIGINT);
    return asyncio_sleep(30);
}

static void run_interrupted(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(forks_and_is_interrupted()) == -EINTR);
}

TEST(signals_of_the_child_take_their_default_action)
{
    child_run(&child, run_interrupted, NULL);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

ASYNC(interrupts_itself)
{
    kill(getpid(), SIGINT);
    return asyncio_sleep(30);
}

static void check_interrupt(void)
{
    CHILD_CHECK(asyncio_run(interrupts_itself()) == -EINTR);
}

TEST(a_loop_of_the_childs_own_is_interrupted)
{
    run_checks(check_interrupt);
}

/* ---- With everything in use: descriptors, signals, threads, a process -------------------------------- */

static struct {
    int pipe[2], gate[2];
    asyncio_stream *near, *far;
    asyncio_server *server;
    asyncio_process *process;
    asyncio_executor *executor;
    int hangups;
} used;

static void count_hangup(void *arg)
{
    ++*(int *)arg;
}

static intptr_t wait_at_gate(void *arg)
{
    char byte;
    return read(used.gate[0], &byte, 1) == 1 ? (intptr_t)arg : -EIO;
}

static intptr_t adds_one(void *arg)
{
    return (intptr_t)arg + 1;
}

ASYNC(waits_at_gate, int, number)
{
    return asyncio_to_thread(wait_at_gate, (void *)(intptr_t)number);
}

ASYNC(reads_pipe)
{
    char byte;
    ssize_t n = asyncio_read(used.pipe[0], &byte, 1);
    return n == 1 ? byte : n;
}

ASYNC(reads_line)
{
    char *line;
    ssize_t n = asyncio_stream_readline(used.far, &line);
    return n > 0 ? line[0] : -EIO;
}

ASYNC(waits_for_usr1)
{
    return asyncio_wait_signal(SIGUSR1);
}

ASYNC(shouts_back, asyncio_stream *, stream)
{
    return asyncio_stream_copy(stream, stream);
}

static asyncio_coro *serve(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return shouts_back(stream);
}

static char socket_path[64];

static int shout(void)
{
    asyncio_stream *stream;
    char *line;
    int err = asyncio_open_unix_connection(socket_path, NULL, &stream);
    if (err)
        return err;
    asyncio_stream_write(stream, "hello\n", 6);
    err = asyncio_stream_readline(stream, &line) == 6 ? 0 : -EIO;
    asyncio_stream_close(stream);
    return err;
}

ASYNC(uses_everything_in_the_child)
{
    int ends[2];
    char byte = 0;
    asyncio_process *process;
    asyncio_buffer out;
    asyncio_loop *mine = asyncio_get_running_loop();
    CHILD_CHECK(pipe(ends) == 0);
    CHILD_CHECK(write(ends[1], "x", 1) == 1);
    CHILD_CHECK(asyncio_read(ends[0], &byte, 1) == 1 && byte == 'x');
    int hangups = 0;
    CHILD_CHECK(asyncio_loop_add_signal_handler(mine, SIGHUP, count_hangup, &hangups) == 0);
    raise(SIGHUP);
    CHILD_CHECK(asyncio_sleep(0.001) == 0 && hangups == 1);
    CHILD_CHECK(asyncio_to_thread(adds_one, (void *)4) == 5);
    CHILD_CHECK(asyncio_await(asyncio_run_in_executor(used.executor, adds_one, (void *)5, NULL)) == 6);
    const asyncio_subprocess_options options = {.stdout_fd = ASYNCIO_PIPE};
    CHILD_CHECK(asyncio_create_subprocess_shell("echo hello", &options, &process) == 0);
    CHILD_CHECK(asyncio_process_communicate(process, NULL, 0, &out, NULL) == 0);
    CHILD_CHECK(strcmp(out.data, "hello\n") == 0);
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    return 0;
}

static void check_with_everything(void)
{
    char byte, *line;
    int returncode;
    CHILD_CHECK(asyncio_loop_fd(loop) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_loop_timeout(loop) == ASYNCIO_FOREVER);
    CHILD_CHECK(asyncio_loop_run_once(loop, 0) == ASYNCIO_ESTATE);
    CHILD_CHECK(strstr(asyncio_error_message(), "the loop belongs to the parent process") != NULL);
    CHILD_CHECK(asyncio_loop_add_reader(loop, used.pipe[0], nothing, NULL) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_loop_add_signal_handler(loop, SIGHUP, nothing, NULL) == ASYNCIO_ESTATE);
    CHILD_CHECK(!asyncio_loop_remove_signal_handler(loop, SIGHUP));
    CHILD_CHECK(asyncio_wait_signal(SIGUSR1) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_to_thread(adds_one, NULL) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_run_in_executor(used.executor, adds_one, NULL, NULL) == NULL);
    CHILD_CHECK(asyncio_read(used.pipe[0], &byte, 1) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_process_wait(used.process, &returncode) == ASYNCIO_ENOTASK);
    CHILD_CHECK(!asyncio_process_returncode(used.process, &returncode));
    CHILD_CHECK(asyncio_process_kill(used.process) == 0); /* and does nothing */
    CHILD_CHECK(asyncio_stream_readline(used.near, &line) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_stream_write(used.near, "x", 1) == ASYNCIO_ENOTASK);
    CHILD_CHECK(asyncio_stream_write_eof(used.near) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_server_wait_closed(used.server, 0) == ASYNCIO_ENOTASK);
    /* Its copies can be closed, and the parent sees nothing of it. */
    CHILD_CHECK(asyncio_stream_close(used.near) == ASYNCIO_ESTATE);
    asyncio_stream_abort(used.far);
    asyncio_server_release(used.server);
    asyncio_process_release(used.process);
    CHILD_CHECK(asyncio_close(used.pipe[0]) == 0);
    CHILD_CHECK(asyncio_run(uses_everything_in_the_child()) == 0);
    asyncio_executor_release(used.executor);
}

static void open_everything(void)
{
    int ends[2];
    CHILD_CHECK(pipe(used.pipe) == 0 && pipe(used.gate) == 0);
    CHILD_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    CHILD_CHECK(asyncio_stream_from_fd(ends[0], NULL, &used.near) == 0);
    CHILD_CHECK(asyncio_stream_from_fd(ends[1], NULL, &used.far) == 0);
    snprintf(socket_path, sizeof socket_path, "fork-test-%d.sock", getpid());
    CHILD_CHECK(asyncio_start_unix_server(serve, NULL, socket_path, NULL, &used.server) == 0);
    CHILD_CHECK(asyncio_create_subprocess_shell("exec sleep 100", NULL, &used.process) == 0);
    CHILD_CHECK((used.executor = asyncio_executor_new(1)) != NULL);
    CHILD_CHECK(asyncio_loop_add_signal_handler(loop, SIGHUP, count_hangup, &used.hangups) == 0);
}

ASYNC(forks_with_everything)
{
    loop = asyncio_get_running_loop();
    CHILD_CHECK(asyncio_loop_fd(loop) >= 0);
    open_everything();
    asyncio_task *pipe_task = asyncio_create_task(reads_pipe()),
                 *line_task = asyncio_create_task(reads_line()),
                 *signal_task = asyncio_create_task(waits_for_usr1()),
                 *thread_task = asyncio_create_task(waits_at_gate(9));
    asyncio_future *works = asyncio_run_in_executor(used.executor, wait_at_gate, (void *)7, NULL),
                   *queued = asyncio_run_in_executor(used.executor, adds_one, (void *)7, NULL);
    CHILD_CHECK(asyncio_sleep(0.01) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        check_with_everything();
        _exit(0);
    }
    CHILD_CHECK(status_of(pid) == 0);
    /* All as if nothing had been. */
    CHILD_CHECK(used.hangups == 0);
    raise(SIGHUP);
    raise(SIGUSR1);
    CHILD_CHECK(write(used.pipe[1], "p", 1) == 1 && write(used.gate[1], "xx", 2) == 2);
    CHILD_CHECK(asyncio_stream_write(used.near, "line\n", 5) == 0);
    CHILD_CHECK(asyncio_await(pipe_task) == 'p');
    CHILD_CHECK(asyncio_await(line_task) == 'l');
    CHILD_CHECK(asyncio_await(signal_task) == 0 && used.hangups == 1);
    CHILD_CHECK(asyncio_await(thread_task) == 9 && asyncio_await(works) == 7 && asyncio_await(queued) == 8);
    CHILD_CHECK(shout() == 0);
    int returncode = 0;
    CHILD_CHECK(!asyncio_process_returncode(used.process, NULL));
    CHILD_CHECK(asyncio_process_terminate(used.process) == 0);
    CHILD_CHECK(asyncio_process_wait(used.process, &returncode) == 0 && returncode == -SIGTERM);
    asyncio_process_release(used.process);
    asyncio_server_release(used.server);
    CHILD_CHECK(asyncio_stream_close(used.near) == 0 && asyncio_stream_close(used.far) == 0);
    asyncio_executor_release(used.executor);
    return 0;
}

static void run_with_everything(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(forks_with_everything()) == 0);
}

TEST(with_everything_in_use)
{
    if (ASY_TSAN)
        skip(); /* as below */
    child_run(&child, run_with_everything, NULL);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

/* ---- Outside of a run, and from another thread ------------------------------------------------------ */

static void fork_beside_a_loop(void *arg)
{
    (void)arg;
    loop = asyncio_loop_new(NULL);
    asyncio_release(asyncio_loop_create_task(loop, sleeps(0.001)));
    other = asyncio_loop_create_task(loop, sleeps(0.002));
    pid_t pid = fork();
    if (pid == 0) {
        CHILD_CHECK(asyncio_loop_run_forever(loop) == ASYNCIO_ESTATE);
        CHILD_CHECK(asyncio_loop_close(loop) == ASYNCIO_ESTATE);
        asyncio_loop_release(loop);
        check_a_loop_of_its_own();
        _exit(0);
    }
    CHILD_CHECK(status_of(pid) == 0);
    CHILD_CHECK(asyncio_loop_run_until_complete(loop, (asyncio_future *)other) == 3);
    CHILD_CHECK(asyncio_loop_close(loop) == 0);
    asyncio_loop_release(loop);
}

TEST(a_loop_that_does_not_run_stays_the_parents)
{
    child_run(&child, fork_beside_a_loop, NULL);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

static void *fork_here(void *arg)
{
    (void)arg;
    pid_t pid = fork();
    if (pid == 0) {
        check_a_loop_of_its_own();
        _exit(0);
    }
    CHILD_CHECK(status_of(pid) == 0);
    return NULL;
}

ASYNC(lets_a_thread_fork)
{
    pthread_t thread;
    asyncio_task *task = asyncio_create_task(ticks_on());
    pthread_create(&thread, NULL, fork_here, NULL);
    asyncio_sleep(0.005);
    pthread_join(thread, NULL);
    asyncio_cancel(task);
    return asyncio_await(task) == -ECANCELED ? 0 : -EIO;
}

static void run_with_a_forking_thread(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(lets_a_thread_fork()) == 0);
}

TEST(another_thread_may_fork)
{
    if (ASY_TSAN)
        skip(); /* its own allocator may be locked in a child of many threads */
    child_run(&child, run_with_a_forking_thread, NULL);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

TEST_MAIN()
