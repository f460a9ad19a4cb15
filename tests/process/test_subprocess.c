/*
 * Child processes: what they get, what they give, how they end; and that none of them,
 * and no descriptor, is left.
 */
#include "asyncio.h"
#include "base/random.h"
#include "child.h"
#include "support/harness.h"
#include "support/net.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <cmocka.h>

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OPTIONS(...) (&(asyncio_subprocess_options){__VA_ARGS__})
#define ALL_PIPES .stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_PIPE

/* This program itself, told to look at what it was given: see look(). */
#define SELF "/proc/self/exe"

static asyncio_process *spawn(const char *const *argv, const asyncio_subprocess_options *options)
{
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_exec(argv, options, &process), 0);
    return process;
}

static asyncio_process *spawn_shell(const char *command, const asyncio_subprocess_options *options)
{
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_shell(command, options, &process), 0);
    return process;
}

static int end_of(asyncio_process *process)
{
    int returncode = -1000;
    CHECK_EQUAL(asyncio_process_wait(process, &returncode), 0);
    return returncode;
}

static void check_no_children(void)
{
    siginfo_t info = {.si_pid = 0};
    CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD);
}

/* A run of the harness, after which no child is there, either. */
static void run_all(coroutine_function main)
{
    CHECK_EQUAL(run(main), 0);
    check_no_children();
    harness_settle();
}

/* There a child that cannot begin has begun, and /proc/self/exe is Valgrind. */
static void skip_under_valgrind(void)
{
    if (RUNNING_ON_VALGRIND)
        skip();
}

/* What a command prints, as a text that is valid until the next call. */
static const char *output_of(const char *const *argv, const asyncio_subprocess_options *options)
{
    static char text[8192];
    asyncio_process *process = spawn(argv, options);
    asyncio_buffer out = {0};
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, NULL), 0);
    CHECK(out.length < sizeof text);
    CHECK(out.data && strlen(out.data) == out.length);
    snprintf(text, sizeof text, "%s", out.data ? out.data : "");
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    return text;
}

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

static void exit_status_or_minus_the_signal(void **state)
{
    (void)state;
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

static void ten_may_wait(void **state)
{
    (void)state;
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

static void a_grandchild_that_holds_the_pipe_keeps_nobody_waiting(void **state)
{
    (void)state;
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

static void a_cancelled_wait_leaves_the_process_alone(void **state)
{
    (void)state;
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

static void a_signal_that_races_with_the_end_is_harmless(void **state)
{
    (void)state;
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

static void one_that_somebody_else_has_reaped(void **state)
{
    (void)state;
    expect_reports(1);
    run_all(reaped_elsewhere);
    expect_reports(5);
    run_all(reaped_by_the_kernel);
    assert_non_null(strstr(reports[0].message, "somebody else has reaped process"));
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

static void beside_one_who_reaps_all(void **state)
{
    pthread_t thread;
    (void)state;
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

/* ---- Input and output ------------------------------------------------------------------------ */

#define BIG 1000000

static char *big_input(void)
{
    char *data = malloc(BIG);
    for (int i = 0; i < BIG; i++)
        data[i] = (char)(i * 7 + i / 255);
    return data;
}

ASYNC(says_and_hears)
{
    asyncio_buffer out, err;
    asyncio_process *process = spawn_shell("cat; echo problem >&2; exit 4", OPTIONS(ALL_PIPES));
    CHECK_EQUAL(asyncio_process_communicate(process, "hello", 5, &out, &err), 0);
    CHECK_TEXT(out.data, "hello");
    CHECK_EQUAL(out.length, 5);
    CHECK_TEXT(err.data, "problem\n");
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&err);
    CHECK(out.data == NULL && out.length == 0);
    asyncio_buffer_destroy(NULL);
    CHECK_EQUAL(end_of(process), 4);
    CHECK(asyncio_process_stdin(process) == NULL);
    /* Once more: there is nothing left to say or hear. */
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, &err), 0);
    CHECK_TEXT(out.data, "");
    CHECK_TEXT(err.data, "");
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&err);
    asyncio_process_release(process);

    process = spawn(ARGV("true"), NULL);
    CHECK_EQUAL(asyncio_process_communicate(process, "x", 1, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, NULL), 0);
    CHECK_TEXT(out.data, "");
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    return 0;
}

static void communicate(void **state)
{
    (void)state;
    run_all(says_and_hears);
}

ASYNC(much)
{
    asyncio_buffer out, err;
    char *data = big_input();
    /* It writes before it reads, and more than a pipe holds, on both. */
    const char *command = "head -c 700000 /dev/zero; head -c 500000 /dev/zero >&2; tee /dev/stderr";
    asyncio_process *process = spawn_shell(command, OPTIONS(ALL_PIPES));
    CHECK_EQUAL(asyncio_process_communicate(process, data, BIG, &out, &err), 0);
    CHECK_EQUAL(out.length, 700000 + BIG);
    CHECK_EQUAL(err.length, 500000 + BIG);
    CHECK(memcmp(out.data + 700000, data, BIG) == 0);
    CHECK(memcmp(err.data + 500000, data, BIG) == 0);
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&err);
    asyncio_process_release(process);
    /* What nobody wants is read all the same, and not kept. */
    process = spawn(ARGV("head", "-c", "500000", "/dev/zero"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, NULL, NULL), 0);
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, &out, NULL), 0);
    CHECK_EQUAL(out.length, 0);
    asyncio_buffer_destroy(&out);
    CHECK_EQUAL(end_of(process), 0);
    asyncio_process_release(process);
    free(data);
    return 0;
}

static void much_in_all_directions(void **state)
{
    (void)state;
    run_all(much);
}

ASYNC(does_not_read)
{
    asyncio_buffer out;
    char *data = big_input();
    for (int i = 0; i < 3; i++) {
        static const char *const commands[] = {"exec <&-; echo hi", "head -c 5 >/dev/null; echo hi",
                                               "echo hi"};
        asyncio_process *process = spawn_shell(commands[i], OPTIONS(ALL_PIPES));
        CHECK_EQUAL(asyncio_process_communicate(process, data, BIG, &out, NULL), 0);
        CHECK_TEXT(out.data, "hi\n");
        asyncio_buffer_destroy(&out);
        CHECK_EQUAL(end_of(process), 0);
        asyncio_process_release(process);
    }
    free(data);
    return 0;
}

/* SIGPIPE has its default action here: it would end the test. */
static void input_that_is_not_read_is_no_error(void **state)
{
    (void)state;
    run_all(does_not_read);
}

ASYNC(communicates, asyncio_process *, process, const char *, input, size_t, n, asyncio_buffer *, out)
{
    return asyncio_process_communicate(process, input, n, out, NULL);
}

ASYNC(communicates_in_two_goes)
{
    asyncio_buffer out = {0};
    char *data = big_input(), command[80];
    int go[2];
    net_pipe(go);
    snprintf(command, sizeof command, "echo begun; head -c 100000; read go <&%d; cat; echo done", go[0]);
    const asyncio_subprocess_options options = {
        .stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE, .inherit = go, .inherit_count = 1};
    asyncio_process *process = spawn_shell(command, &options);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(asyncio_wait_for(communicates(process, data, BIG, &out), 0.03), -ETIMEDOUT);
        CHECK(out.data == NULL);
    }
    CHECK_EQUAL(write(go[1], "\n", 1), 1);
    close(go[0]), close(go[1]);
    asyncio_task *task = asyncio_create_task(communicates(process, data, BIG, &out));
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(asyncio_process_communicate(process, NULL, 0, NULL, NULL), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(out.length, 6 + BIG + 5);
    CHECK(out.data && memcmp(out.data, "begun\n", 6) == 0 && memcmp(out.data + 6, data, BIG) == 0);
    CHECK_TEXT(out.data + 6 + BIG, "done\n");
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    free(data);
    return 0;
}

static void a_cancelled_communicate_goes_on_later(void **state)
{
    (void)state;
    run_all(communicates_in_two_goes);
}

ASYNC(reads_late)
{
    char text[16] = "";
    asyncio_process *process = spawn(ARGV("echo", "hello"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_EQUAL(end_of(process), 0);
    CHECK_EQUAL(asyncio_stream_read(asyncio_process_stdout(process), text, 15), 6);
    CHECK_TEXT(text, "hello\n");
    CHECK_EQUAL(asyncio_stream_read(asyncio_process_stdout(process), text, 15), 0);
    CHECK_EQUAL(asyncio_stream_close(asyncio_process_stdout(process)), 0);
    CHECK(asyncio_process_stdout(process) == NULL);
    asyncio_process_release(process);
    return 0;
}

static void output_is_there_after_the_end(void **state)
{
    (void)state;
    run_all(reads_late);
}

ASYNC(ends_input)
{
    char *line;
    for (int i = 0; i < 2; i++) {
        asyncio_process *process = spawn(ARGV("cat"), OPTIONS(ALL_PIPES));
        asyncio_stream *in = asyncio_process_stdin(process), *out = asyncio_process_stdout(process);
        CHECK_EQUAL(asyncio_stream_printf(in, "line %d\n", i), 0);
        CHECK(asyncio_stream_readline(out, &line) > 0);
        CHECK_EQUAL(i ? asyncio_stream_write_eof(in) : asyncio_stream_close(in), 0);
        CHECK_EQUAL(asyncio_stream_readline(out, &line), 0);
        CHECK((asyncio_process_stdin(process) == NULL) == !i);
        if (i) {
            CHECK_EQUAL(asyncio_stream_write(in, "x", 1), ASYNCIO_ESTATE);
            CHECK_EQUAL(asyncio_stream_fd(in), -EBADF);
        }
        CHECK_EQUAL(end_of(process), 0);
        asyncio_process_release(process);
    }
    return 0;
}

static void closing_stdin_ends_the_input(void **state)
{
    (void)state;
    run_all(ends_input);
}

/* ---- What they get --------------------------------------------------------------------------- */

/* In the child: descriptors that are open, "+" where they block; the state of signals; groups. */
static int look(void)
{
    for (int fd = 0; fd < 1000; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags >= 0)
            printf("%d%s ", fd, flags & O_NONBLOCK ? "" : "+");
    }
    puts("");
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0)
            fputs(line, stdout);
    printf("group %s, session %s\n", getpgid(0) == getpid() ? "own" : "other",
           getsid(0) == getpid() ? "own" : "other");
    return 0;
}

ASYNC(gets_descriptors)
{
    const char *const *look_here = ARGV(SELF, "look");
    int kept[2] = {dup(2), fcntl(2, F_DUPFD_CLOEXEC, 40)}, lost = fcntl(2, F_DUPFD, 30);
    CHECK(strstr(output_of(look_here, OPTIONS(ALL_PIPES)), "0+ 1+ 2+ \n"));
    char wanted[64];
    const asyncio_subprocess_options options = {
        .stdout_fd = ASYNCIO_PIPE, .inherit = kept, .inherit_count = 2};
    snprintf(wanted, sizeof wanted, "0+ 1+ 2+ %d+ %d+ \n", kept[0], kept[1]);
    CHECK_HAS(output_of(look_here, &options), wanted);
    kept[0] = kept[1];
    snprintf(wanted, sizeof wanted, "0+ 1+ 2+ %d+ \n", kept[1]);
    CHECK_HAS(output_of(look_here, &options), wanted);
    close(lost);
    for (int fd = 3; fd < 50; fd++) /* those of the loop stay */
        if (fd == kept[1])
            close(fd);
    return 0;
}

ASYNC(gets_signals)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    void (*interrupt)(int) = signal(SIGINT, SIG_IGN); /* as a shell's background job does */
    void (*quit)(int) = signal(SIGQUIT, SIG_IGN);
    const char *text = output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_HAS(text, "SigBlk:\t0000000000000000\n");
    CHECK_HAS(text, "SigIgn:\t0000000000000007\n"); /* as nohup and the shell want it */
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    text = output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHECK_HAS(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, interrupt);
    signal(SIGQUIT, quit);
    CHECK_HAS(text, "group other, session other");
    text = output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE, .process_group = 1));
    CHECK_HAS(text, "group own, session other");
    text =
        output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE, .process_group = -1, .detach = -1));
    CHECK_HAS(text, "group other, session other");
    for (int group = -1; group < 2; group++) {
        text = output_of(ARGV(SELF, "look"),
                         OPTIONS(.stdout_fd = ASYNCIO_PIPE, .process_group = group, .detach = 1));
        CHECK_HAS(text, "group own, session own");
    }
    asyncio_process *first = spawn(ARGV("sleep", "100"), OPTIONS(.process_group = 1));
    CHECK_EQUAL(getpgid(asyncio_process_pid(first)), asyncio_process_pid(first));
    asyncio_process *second =
        spawn(ARGV("sleep", "100"), OPTIONS(.process_group = asyncio_process_pid(first)));
    CHECK_EQUAL(getpgid(asyncio_process_pid(second)), asyncio_process_pid(first));
    CHECK_EQUAL(kill(-asyncio_process_pid(first), SIGTERM), 0);
    CHECK_EQUAL(end_of(first), -SIGTERM);
    CHECK_EQUAL(end_of(second), -SIGTERM);
    asyncio_process_release(first);
    asyncio_process_release(second);
    return 0;
}

static void descriptors_and_signals(void **state)
{
    skip_under_valgrind();
    (void)state;
    int before = count_descriptors();
    CHECK_EQUAL(run_with_leftovers(gets_signals), 0);
    for (int i = 0; i < 2; i++) {
        intptr_t result = asyncio_run(gets_descriptors());
        CHECK_EQUAL(result, 0);
        close(before); /* the dup of 2 */
    }
    check_no_children();
    harness_settle();
}

/* Which files the child has beyond 2, as "descriptor:inode" each, in order. */
static int list(int most)
{
    struct stat status;
    for (int fd = 3; fd < most; fd++)
        if (fstat(fd, &status) == 0)
            printf("%d:%llu ", fd, (unsigned long long)status.st_ino);
    return 0;
}

/* How many actions the latest spawn of this thread took. */
static _Thread_local unsigned actions;

int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *to, int fd)
{
    static _Thread_local int (*next)(posix_spawn_file_actions_t *, int);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "posix_spawn_file_actions_addclose");
    actions++;
    return next(to, fd);
}

int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *to, int fd, int place)
{
    static _Thread_local int (*next)(posix_spawn_file_actions_t *, int, int);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "posix_spawn_file_actions_adddup2");
    actions++;
    return next(to, fd, place);
}

#define INHERITED_MAX 12

/* Numbers that lie close together, so that they are in each other's way, and some far up; some twice. */
static void check_inheritance(struct random *random, int most)
{
    int inherit[INHERITED_MAX];
    size_t count = asy_random_below(random, INHERITED_MAX + 1);
    char wanted[1024] = "", number[32];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_far = asy_random_below(random, 4) == 0;
        inherit[i] = is_far ? most - 1 - (int)asy_random_below(random, 3) : (int)asy_random_below(random, 18);
        int file = memfd_create("file", MFD_CLOEXEC), fd = fcntl(file, F_DUPFD_CLOEXEC, 100);
        close(file);
        if (inherit[i] > 2 && fcntl(inherit[i], F_GETFD) < 0) /* some close on exec, and some do not */
            CHILD_CHECK(dup3(fd, inherit[i], asy_random_below(random, 2) ? O_CLOEXEC : 0) == inherit[i]);
        close(fd);
    }
    for (int fd = 3; fd < most; fd = fd < 30 || fd >= most - 4 ? fd + 1 : most - 4)
        for (size_t i = 0; i < count; i++) {
            struct stat status;
            if (inherit[i] != fd)
                continue;
            CHILD_CHECK(fstat(fd, &status) == 0);
            used += (size_t)snprintf(wanted + used, sizeof wanted - used, "%d:%llu ", fd,
                                     (unsigned long long)status.st_ino);
            break;
        }
    snprintf(number, sizeof number, "%d", most);
    actions = 0;
    /* Where the C library cannot close a range, what is open is closed one by one. */
    size_t others = ASY_ADDCLOSEFROM ? 0 : (size_t)count_descriptors();
    const asyncio_subprocess_options options = {
        .stdout_fd = ASYNCIO_PIPE, .inherit = inherit, .inherit_count = count};
    const char *found = output_of(ARGV(SELF, "list", number), &options);
    if (strcmp(found, wanted) != 0)
        dprintf(2, "found %s, wanted %s\n", found, wanted);
    CHILD_CHECK(strcmp(found, wanted) == 0);
    CHILD_CHECK(actions <= 3 * count + 3 + others);
}

ASYNC(inherits, int, most)
{
    struct random random;
    asy_random_seed(&random, 7);
    for (int i = 0; i < (is_slow_build() ? 10 : 60); i++)
        check_inheritance(&random, most);
    return 0;
}

static void inherit_far_up(void *arg)
{
    struct rlimit limit;
    (void)arg;
    CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t most = limit.rlim_max < 200000 ? limit.rlim_max : 200000;
    limit.rlim_cur = most;
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHILD_CHECK(asyncio_run(inherits((int)most)) == 0);
}

static struct child child;

static void what_is_inherited_costs_the_same_whatever_its_number(void **state)
{
    skip_under_valgrind();
    (void)state;
    child_run(&child, inherit_far_up, NULL);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
}

/* They are inherited, says the header, and it does not say "unless". 2 is not even open. */
ASYNC(inherits_standard)
{
    int kept = fcntl(2, F_DUPFD_CLOEXEC, 60);
    for (int fd = 0; fd < 2; fd++)
        CHILD_CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
    close(2);
    asyncio_process *process = spawn_shell("read line <&0 || echo read; true >&2 || echo no 2", NULL);
    int returncode = end_of(process);
    asyncio_process_release(process);
    dup2(kept, 2);
    CHILD_CHECK(returncode == 0);
    for (int fd = 0; fd < 2; fd++)
        CHILD_CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    return 0;
}

static void inherit_standard(void *arg)
{
    int fd = open("/dev/null", O_RDONLY);
    (void)arg;
    dup2(fd, 0);
    CHILD_CHECK(asyncio_run(inherits_standard()) == 0);
}

static void standard_descriptors_that_close_on_exec_here(void **state)
{
    (void)state;
    child_run(&child, inherit_standard, NULL);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "read\nno 2\n");
}

ASYNC(gets_places)
{
    const asyncio_subprocess_options here = {.stdout_fd = ASYNCIO_PIPE, .cwd = "/usr"};
    CHECK_TEXT(output_of(ARGV("pwd"), &here), "/usr\n");
    /* A program that is named by a path is looked for from there. */
    const asyncio_subprocess_options root = {.stdout_fd = ASYNCIO_PIPE, .cwd = "/"};
    CHECK_TEXT(output_of(ARGV("bin/sh", "-c", "pwd"), &root), "/\n");
    const char *const env[] = {"ONE=1", "TWO=2", NULL};
    const asyncio_subprocess_options other = {.stdout_fd = ASYNCIO_PIPE, .env = env};
    CHECK_TEXT(output_of(ARGV("env"), &other), "ONE=1\nTWO=2\n");
    setenv("THREE", "3", 1);
    CHECK_TEXT(output_of(ARGV("sh", "-c", "echo $THREE"), OPTIONS(.stdout_fd = ASYNCIO_PIPE)), "3\n");
    CHECK_TEXT(output_of(ARGV("sh", "-c", "echo a; echo b >&2; echo c"),
                         OPTIONS(.stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_STDOUT)),
               "a\nb\nc\n");
    CHECK_TEXT(output_of(ARGV("sh", "-c", "echo no >&2 && cat && echo yes"),
                         OPTIONS(.stdin_fd = ASYNCIO_DEVNULL, .stdout_fd = ASYNCIO_PIPE,
                                 .stderr_fd = ASYNCIO_DEVNULL)),
               "yes\n");
    CHECK_TEXT(output_of(ARGV("sh", "-c", "echo x >&2"),
                         OPTIONS(.stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_STDOUT)),
               "x\n");
    return 0;
}

static void folder_environment_and_files(void **state)
{
    (void)state;
    run_all(gets_places);
}

ASYNC(gets_files)
{
    int one[2], two[2];
    char text[16] = "";
    net_pipe(one);
    net_pipe(two);
    const asyncio_subprocess_options options = {.stdin_fd = one[0], .stdout_fd = two[1], .stderr_fd = two[1]};
    asyncio_process *process = spawn_shell("cat; echo out; echo err >&2", &options);
    CHECK_EQUAL(write(one[1], "in\n", 3), 3);
    close(one[1]);
    CHECK_EQUAL(end_of(process), 0);
    CHECK_EQUAL(read(two[0], text, sizeof text - 1), 11);
    CHECK_TEXT(text, "in\nout\nerr\n");
    CHECK(net_is_blocking(one[0]) && net_is_blocking(two[1]));
    asyncio_process_release(process);
    close(one[0]);
    close(two[0]);
    close(two[1]);
    return 0;
}

static void descriptors_of_the_callers(void **state)
{
    (void)state;
    run_all(gets_files);
}

/* stdout and stderr of this process change places in the child; and 0 is not even open. */
ASYNC(changes_places)
{
    close(0);
    asyncio_process *process = spawn_shell("echo one; echo two >&2", OPTIONS(.stdout_fd = 2, .stderr_fd = 1));
    CHILD_CHECK(end_of(process) == 0);
    asyncio_process_release(process);
    const char *text = output_of(ARGV(SELF, "look"), OPTIONS(.stdout_fd = ASYNCIO_PIPE));
    CHILD_CHECK(strncmp(text, "1+ 2+ \n", 7) == 0);
    CHILD_CHECK(strncmp(output_of(ARGV(SELF, "look"), OPTIONS(ALL_PIPES)), "0+ 1+ 2+ \n", 10) == 0);
    CHILD_CHECK(fcntl(0, F_GETFD) < 0);
    return 0;
}

static void change_places(void *arg)
{
    int fds[2];
    char text[16] = "";
    (void)arg;
    CHILD_CHECK(pipe(fds) == 0);
    dup2(fds[1], 2); /* 1 goes to the test */
    close(fds[1]);
    int result = (int)asyncio_run(changes_places());
    close(2);
    CHILD_CHECK(result == 0);
    CHILD_CHECK(read(fds[0], text, sizeof text - 1) == 4 && strcmp(text, "one\n") == 0);
}

static void standard_descriptors_in_other_places(void **state)
{
    skip_under_valgrind();
    (void)state;
    child_run(&child, change_places, NULL);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "two\n");
}

/* All there is for each of the three, in all combinations, with any of them closed here. Each wish is told
 * by the file that the child finds there: files of our own, one a number. */
#define FILES 5 /* those that are 0, 1 and 2 here, and two more */
static int files[FILES];
static ino_t inodes[FILES], null_inode;

/* In the child, which was told which inodes to find (0: none). */
static int find(char **wanted)
{
    for (int fd = 0; fd < 3; fd++) {
        struct stat status;
        ino_t found = fstat(fd, &status) ? 0 : status.st_ino;
        if (found != strtoull(wanted[fd], NULL, 10))
            return 1 + fd;
    }
    return 0;
}

static ino_t outcome(int wish, int i, int closed, const ino_t outcomes[3])
{
    if (wish == ASYNCIO_DEVNULL)
        return null_inode;
    if (wish == ASYNCIO_STDOUT)
        return outcomes[1];
    if (wish == 0)
        return closed & 1 << i ? 0 : inodes[i];
    for (int k = 0; k < FILES; k++)
        if (wish == files[k])
            return inodes[k];
    return 0;
}

static bool is_possible(int wish, int closed, ino_t first)
{
    return wish == ASYNCIO_STDOUT ? first != 0 : wish <= 0 || wish > 2 || !(closed & 1 << wish);
}

static void check_redirection(const int wishes[3], int closed)
{
    ino_t outcomes[3];
    char words[3][32];
    bool possible = true;
    for (int i = 0; i < 3; i++) {
        possible = possible && is_possible(wishes[i], closed, i == 2 ? outcomes[1] : 0);
        outcomes[i] = outcome(wishes[i], i, closed, outcomes);
        snprintf(words[i], sizeof words[i], "%llu", (unsigned long long)outcomes[i]);
    }
    asyncio_process *process;
    const asyncio_subprocess_options options = {wishes[0], wishes[1], wishes[2], .cwd = NULL};
    int err =
        asyncio_create_subprocess_exec(ARGV(SELF, "find", words[0], words[1], words[2]), &options, &process);
    int returncode = -1000;
    if (!err) {
        asyncio_process_wait(process, &returncode);
        asyncio_process_release(process);
    }
    if (possible ? !err && !returncode : err == -EBADF)
        return;
    dprintf(files[3] + 100, "%d %d %d with %d closed: error %d, status %d\n", wishes[0], wishes[1], wishes[2],
            closed, err, returncode);
    _exit(CHILD_FAILED);
}

ASYNC(redirects)
{
    const int wishes[] = {0, 1, 2, files[3], files[4], ASYNCIO_DEVNULL, ASYNCIO_STDOUT};
    for (int closed = 0; closed < 8; closed++) {
        for (int fd = 0; fd < 3; fd++)
            if (closed & 1 << fd)
                close(fd);
            else
                dup2(files[fd] + 50, fd);
        for (int n = 0; n < 6 * 6 * 7; n++) {
            const int chosen[3] = {wishes[n % 6], wishes[n / 6 % 6], wishes[n / 36]};
            if (closed == 0 || n % 7 == closed) /* all of them, and a choice with some that are closed */
                check_redirection(chosen, closed);
        }
        int descriptors = 0;
        for (int fd = 0; fd < 3; fd++)
            descriptors += fcntl(fd, F_GETFD) < 0 ? 1 << fd : 0;
        CHILD_CHECK(descriptors == closed);
    }
    return 0;
}

/* Files 0 to 2 are 0, 1 and 2; they are kept at 50 and above, and what the test says goes through another. */
static void redirect_all_ways(void *arg)
{
    struct stat status;
    (void)arg;
    CHILD_CHECK(stat("/dev/null", &status) == 0);
    null_inode = status.st_ino;
    for (int k = 0; k < FILES; k++) {
        int fd = memfd_create("file", MFD_CLOEXEC);
        CHILD_CHECK(fd > 2 && fstat(fd, &status) == 0);
        inodes[k] = status.st_ino;
        files[k] = k < 3 ? k : 20 + k;
        CHILD_CHECK(dup3(fd, k < 3 ? k + 50 : files[k], O_CLOEXEC) >= 0);
        close(fd);
    }
    CHILD_CHECK(dup3(1, files[3] + 100, O_CLOEXEC) >= 0);
    CHILD_CHECK(asyncio_run(redirects()) == 0);
}

static void all_redirections(void **state)
{
    skip_under_valgrind();
    (void)state;
    child_run(&child, redirect_all_ways, NULL);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
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

static void what_cannot_be_run(void **state)
{
    skip_under_valgrind();
    asyncio_process *process;
    (void)state;
    assert_int_equal(asyncio_create_subprocess_exec(ARGV("true"), NULL, &process), ASYNCIO_ENOTASK);
    run_all(is_refused);
}

ASYNC(under_a_virtual_clock)
{
    asyncio_process *process;
    return asyncio_create_subprocess_exec(ARGV("true"), NULL, &process);
}

static void not_under_a_virtual_clock(void **state)
{
    (void)state;
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

static void without_descriptors_nothing_is_left(void **state)
{
    skip_under_valgrind();
    (void)state;
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

static void one_that_runs_is_killed_and_reaped(void **state)
{
    (void)state;
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

static void one_that_is_released_while_a_task_communicates(void **state)
{
    (void)state;
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

static void one_that_outlives_the_loop(void **state)
{
    (void)state;
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

static void one_whose_loop_closes_while_a_task_waits(void **state)
{
    (void)state;
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

static void a_detached_one_runs_on(void **state)
{
    (void)state;
    run_all(detaches);
}

#define DETACHED 30

ASYNC(detaches_many, pid_t *, pids)
{
    for (int i = 0; i < DETACHED; i++) {
        asyncio_process *process = spawn(ARGV("sleep", "100"), OPTIONS(.detach = 1));
        pids[i] = asyncio_process_pid(process);
        asyncio_process_release(process);
    }
    return 0;
}

/* The loop that closes waits for those that it has killed, and for no others. */
static void detached_ones_hold_up_no_close(void **state)
{
    (void)state;
    pid_t pids[DETACHED];
    int descriptors = count_descriptors(), status;
    double began = asyncio_time();
    assert_int_equal(asyncio_run(detaches_many(pids)), 0);
    assert_true(asyncio_time() - began < DETACHED / 2);
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

static void a_forks_child_leaves_them_alone(void **state)
{
    (void)state;
    run_all(forks_meanwhile);
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

static void fifty_at_once(void **state)
{
    (void)state;
    run_all(many);
}

static void *run_many(void *arg)
{
    (void)arg;
    return (void *)asyncio_run(many());
}

static void from_several_loops(void **state)
{
    (void)state;
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

static void every_call_may_fail(void **state)
{
    (void)state;
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

static void every_wait_may_be_cancelled(void **state)
{
    (void)state;
    sweep_cancels(a_busy_day, check_cancelled);
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

static void each_call_knows_its_thread(void **state)
{
    (void)state;
#define CALL(function, arguments) #function " was called from a thread",
    static const char *const words[] = {PROCESS_CALLS(CALL)};
#undef CALL
    for (which_call = 0; which_call < sizeof words / sizeof *words; which_call++)
        check_dies(call_in_thread, words[which_call]);
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
        cmocka_unit_test(one_whose_loop_closes_while_a_task_waits), /* forks: before any threads */
        cmocka_unit_test(exit_status_or_minus_the_signal),
        cmocka_unit_test(ten_may_wait),
        cmocka_unit_test(a_grandchild_that_holds_the_pipe_keeps_nobody_waiting),
        cmocka_unit_test(a_signal_that_races_with_the_end_is_harmless),
        cmocka_unit_test(one_that_somebody_else_has_reaped),
        cmocka_unit_test(one_that_runs_is_killed_and_reaped),
        cmocka_unit_test(one_that_is_released_while_a_task_communicates),
        cmocka_unit_test(one_that_outlives_the_loop),
        cmocka_unit_test(a_detached_one_runs_on),
        cmocka_unit_test(fifty_at_once),
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test(every_wait_may_be_cancelled),
    };
    return forbid_pidfd() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_status_or_minus_the_signal),
        cmocka_unit_test(ten_may_wait),
        cmocka_unit_test(a_grandchild_that_holds_the_pipe_keeps_nobody_waiting),
        cmocka_unit_test(a_cancelled_wait_leaves_the_process_alone),
        cmocka_unit_test(a_signal_that_races_with_the_end_is_harmless),
        cmocka_unit_test(one_that_somebody_else_has_reaped),
        cmocka_unit_test(beside_one_who_reaps_all),
        cmocka_unit_test(communicate),
        cmocka_unit_test(much_in_all_directions),
        cmocka_unit_test(input_that_is_not_read_is_no_error),
        cmocka_unit_test(a_cancelled_communicate_goes_on_later),
        cmocka_unit_test(output_is_there_after_the_end),
        cmocka_unit_test(closing_stdin_ends_the_input),
        cmocka_unit_test(descriptors_and_signals),
        cmocka_unit_test(what_is_inherited_costs_the_same_whatever_its_number),
        cmocka_unit_test(standard_descriptors_that_close_on_exec_here),
        cmocka_unit_test(folder_environment_and_files),
        cmocka_unit_test(descriptors_of_the_callers),
        cmocka_unit_test(standard_descriptors_in_other_places),
        cmocka_unit_test(all_redirections),
        cmocka_unit_test(what_cannot_be_run),
        cmocka_unit_test(not_under_a_virtual_clock),
        cmocka_unit_test(without_descriptors_nothing_is_left),
        cmocka_unit_test(one_that_runs_is_killed_and_reaped),
        cmocka_unit_test(one_that_is_released_while_a_task_communicates),
        cmocka_unit_test(one_that_outlives_the_loop),
        cmocka_unit_test(one_whose_loop_closes_while_a_task_waits),
        cmocka_unit_test(a_detached_one_runs_on),
        cmocka_unit_test(detached_ones_hold_up_no_close),
        cmocka_unit_test(a_forks_child_leaves_them_alone),
        cmocka_unit_test(each_call_knows_its_thread), /* forks: before there are other threads */
        cmocka_unit_test(fifty_at_once),
        cmocka_unit_test(from_several_loops),
        cmocka_unit_test(every_call_may_fail),
        cmocka_unit_test(every_wait_may_be_cancelled),
    };
    if (argc > 1 && strcmp(argv[1], "look") == 0)
        return look();
    if (argc > 2 && strcmp(argv[1], "list") == 0)
        return list(atoi(argv[2]));
    if (argc > 4 && strcmp(argv[1], "find") == 0)
        return find(argv + 2);
    use_descriptors();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed ? failed : run_without_pidfd();
}
