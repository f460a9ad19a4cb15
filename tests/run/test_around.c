/*
 * What happens around a loop, to its process: programs that are executed, stops, debuggers, signals without
 * end, limits, other rights, closed numbers, daemons, many loops. Each on epoll, and on io_uring where there
 * is one.
 */
#include "asyncio.h"
#include "asyncio/inspect.h"
#include "backend/backend.h"
#include "child.h"
#include "core/loop.h"
#include "support/deny.h"
#include "support/net.h"
#include "support/repeats.h"
#include "support/test.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

static struct child child;
static const char *backend; /* of the case that runs */

static bool has_ring(void)
{
    struct asy_backend *opened = NULL;
    if (asy_backend_io_uring.open(&opened))
        return false;
    opened->ops->close(opened);
    return true;
}

/* Runs it in a child with each backend. The child does well, and says `words`, unless NULL. */
static void check_each(void (*fn)(void *arg), const char *words)
{
    static const char *const backends[] = {"epoll", "io_uring"};
    for (int i = 0; i < 1 + has_ring(); i++) {
        backend = backends[i];
        setenv("ASYNCIO_BACKEND", backend, 1);
        setenv("ASYNCIO_URING_CALL_NS", "2000", 1); /* so dear that completions pay from the first byte */
        child_run(&child, fn, NULL);
        if (child_exit(&child) == 77) {
            print_message("skipped: %s\n", child.text);
            skip();
        }
        assert_child_exit(&child, 0);
        if (words)
            assert_child_says(&child, words);
    }
    if (!has_ring())
        print_message("on epoll alone: %s\n", asyncio_backend_why());
    unsetenv("ASYNCIO_BACKEND");
    unsetenv("ASYNCIO_URING_CALL_NS");
}

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000};
    nanosleep(&pause, NULL);
}

/* ---- Work ------------------------------------------------------------------------------------------ */

#define TALKERS 4

ASYNC(echoes, asyncio_stream *, stream)
{
    char buf[64];
    ssize_t n;
    while ((n = asyncio_stream_read(stream, buf, sizeof buf)) > 0)
        CHILD_CHECK(asyncio_stream_write(stream, buf, (size_t)n) == 0);
    CHILD_CHECK(n == 0);
    return asyncio_stream_close(stream);
}

ASYNC(talks, asyncio_stream *, stream, int, rounds)
{
    char buf[16];
    for (int i = 0; i < rounds; i++) {
        snprintf(buf, sizeof buf, "%15d", i);
        CHILD_CHECK(asyncio_stream_write(stream, buf, sizeof buf) == 0);
        CHILD_CHECK(asyncio_stream_readexactly(stream, buf, sizeof buf) == sizeof buf);
        CHILD_CHECK(atoi(buf) == i);
    }
    return asyncio_stream_close(stream);
}

/* A file's bytes that are nowhere in memory, as a rule: by the ring, or by threads. */
ASYNC(writes_files, int, rounds)
{
    char byte;
    asyncio_file *file;
    CHILD_CHECK(asyncio_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &file) == 0);
    for (int i = 0; i < rounds; i++) {
        byte = (char)i;
        CHILD_CHECK(asyncio_file_pwrite(file, &byte, 1, i) == 1);
        CHILD_CHECK(asyncio_file_pread(file, &byte, 1, i) == 1);
        CHILD_CHECK(byte == (char)i);
    }
    return asyncio_file_close(file);
}

static asyncio_stream *stream_of(int fd)
{
    asyncio_stream *stream;
    CHILD_CHECK(asyncio_stream_from_fd(fd, NULL, &stream) == 0);
    return stream;
}

/* Pairs that talk, and files, all at once. */
ASYNC(works, int, rounds)
{
    asyncio_task *tasks[2 * TALKERS + 1];
    for (int i = 0; i < TALKERS; i++) {
        int fds[2];
        net_tcp_pair(fds);
        for (int end = 0; end < 2; end++)
            fcntl(fds[end], F_SETFD, FD_CLOEXEC);
        tasks[2 * i] = asyncio_create_task(echoes(stream_of(fds[0])));
        tasks[2 * i + 1] = asyncio_create_task(talks(stream_of(fds[1]), rounds));
    }
    tasks[2 * TALKERS] = asyncio_create_task(writes_files(rounds));
    for (int i = 0; i <= 2 * TALKERS; i++)
        CHILD_CHECK(asyncio_await(tasks[i]) == 0);
    return 0;
}

/* ---- Programs ------------------------------------------------------------------------------------- */

static int count_files(void)
{
    int count = 0;
    for (int fd = 3; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* This program again, to say how many descriptors it has got. */
static void exec_counter(void)
{
    execl("/proc/self/exe", "test", "--descriptors", NULL);
    _exit(1);
}

/* By fork and exec, while everything is under way, again and again. */
ASYNC(forks_and_executes)
{
    asyncio_task *work = asyncio_create_task(works(300));
    for (int i = 0; i < 20; i++) {
        int status;
        asyncio_sleep(0);
        pid_t pid = fork();
        CHILD_CHECK(pid >= 0);
        if (pid == 0)
            exec_counter();
        CHILD_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    return asyncio_await(work);
}

/* And by the library. */
ASYNC(executes)
{
    static const char *const argv[] = {"/proc/self/exe", "--descriptors", NULL};
    asyncio_task *work = asyncio_create_task(works(300));
    for (int i = 0; i < 20; i++) {
        asyncio_process *process;
        CHILD_CHECK(asyncio_create_subprocess_exec(argv, NULL, &process) == 0);
        int code = -1;
        CHILD_CHECK(asyncio_process_wait(process, &code) == 0 && code == 0);
        asyncio_process_release(process);
    }
    return asyncio_await(work);
}

static void run_programs(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(forks_and_executes()) == 0);
    CHILD_CHECK(asyncio_run(executes()) == 0);
}

TEST(a_program_inherits_nothing)
{
    check_each(run_programs, NULL);
}

/* ---- Stops and signals ----------------------------------------------------------------------------- */

static void work_alone(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(works(2000)) == 0);
}

/* A worker that is stopped and goes on while `poke` returns true. */
static void work_beside(bool (*poke)(pid_t pid))
{
    pid_t pid = fork();
    if (pid == 0) {
        work_alone(NULL);
        _exit(0);
    }
    int status, pokes = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        if (pokes++ > 200 || !poke(pid))
            pause_ms(1);
    CHILD_CHECK(status == 0);
}

static bool stop_and_continue(pid_t pid)
{
    int status;
    kill(pid, SIGSTOP);
    CHILD_CHECK(waitpid(pid, &status, WUNTRACED) == pid);
    if (!WIFSTOPPED(status)) {
        CHILD_CHECK(status == 0);
        _exit(0); /* it was done */
    }
    kill(pid, SIGCONT);
    pause_ms(1);
    return true;
}

static void be_stopped(void *arg)
{
    (void)arg;
    work_beside(stop_and_continue);
}

TEST(a_stop_and_a_continue)
{
    check_each(be_stopped, NULL);
}

/* As a debugger, or a profiler, that looks at the process now and then. */
static bool attach_and_detach(pid_t pid)
{
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL)) {
        siginfo_t ended = {0};
        waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT);
        if (ended.si_pid)
            return false;
        fputs("no process may be traced here", stderr);
        kill(pid, SIGKILL);
        _exit(77);
    }
    ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
    CHILD_CHECK(waitpid(pid, &status, __WALL) == pid);
    if (WIFEXITED(status)) {
        CHILD_CHECK(status == 0);
        _exit(0);
    }
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    pause_ms(1);
    return true;
}

static void be_traced(void *arg)
{
    (void)arg;
    work_beside(attach_and_detach);
}

TEST(a_debugger_comes_and_goes)
{
    check_each(be_traced, NULL);
}

static volatile sig_atomic_t ticks;

static void tick(int signal)
{
    (void)signal;
    ticks++;
}

ASYNC(works_amid_signals)
{
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    asyncio_task *work = asyncio_create_task(works(500));
    asyncio_sleep(0.001);
    CHILD_CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    CHILD_CHECK(asyncio_await(work) == 0);
    CHILD_CHECK(asyncio_sleep(0.01) == 0);
    return setitimer(ITIMER_REAL, &never, NULL);
}

/* Calls that a signal interrupts are not restarted. */
static void be_interrupted(void *arg)
{
    struct sigaction action = {.sa_handler = tick};
    (void)arg;
    CHILD_CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHILD_CHECK(asyncio_run(works_amid_signals()) == 0);
    CHILD_CHECK(ticks > 0);
}

TEST(signals_without_end)
{
    check_each(be_interrupted, NULL);
}

/* ---- Limits ---------------------------------------------------------------------------------------- */

static void limit_files(rlim_t limit)
{
    struct rlimit files;
    CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = limit;
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

ASYNC(sleeps_a_little)
{
    return asyncio_sleep(0.001);
}

/* A loop is made whole, or not at all. */
static void reach_the_limit(void *arg)
{
    bool was_made = false;
    (void)arg;
    int before = count_files();
    for (rlim_t limit = 3; !was_made; limit++) {
        CHILD_CHECK(limit < 40);
        limit_files(limit);
        intptr_t err = asyncio_run(sleeps_a_little());
        CHILD_CHECK(err == 0 || err == -EMFILE);
        was_made = err == 0;
        limit_files(256);
        CHILD_CHECK(count_files() == before);
    }
    CHILD_CHECK(asyncio_run(works(10)) == 0);
}

TEST(no_descriptor_for_a_loop)
{
    check_each(reach_the_limit, NULL);
}

/* While it runs: what is open goes on, what would be new is refused. */
ASYNC(goes_on_below_the_limit)
{
    int fds[2];
    asyncio_file *file;
    char path[] = "/tmp";
    net_tcp_pair(fds);
    asyncio_task *echo = asyncio_create_task(echoes(stream_of(fds[0])));
    asyncio_stream *talker = stream_of(fds[1]);
    asyncio_sleep(0.001);
    limit_files(3);
    CHILD_CHECK(asyncio_file_open(path, O_RDONLY, 0, &file) == -EMFILE);
    CHILD_CHECK(asyncio_await(talks(talker, 100)) == 0);
    CHILD_CHECK(asyncio_await(echo) == 0);
    limit_files(256);
    CHILD_CHECK(asyncio_file_open(path, O_RDONLY, 0, &file) == 0);
    return asyncio_file_close(file);
}

static void lower_the_limit(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(goes_on_below_the_limit()) == 0);
}

TEST(a_limit_that_is_lowered)
{
    check_each(lower_the_limit, NULL);
}

static intptr_t run_in(asyncio_loop *loop, asyncio_coro *coro)
{
    return asyncio_loop_run_until_complete(loop, (asyncio_future *)asyncio_loop_create_task(loop, coro));
}

/* A loop runs in another thread, where a ring has to be made anew, and there is no descriptor for it. Nothing
 * is lost: it runs there when there is one. */
static void *try_elsewhere(void *arg)
{
    asyncio_loop *loop = arg;
    bool is_ring = strcmp(backend, "io_uring") == 0;
    limit_files(3);
    CHILD_CHECK(asyncio_loop_adopt(loop) == 0);
    int err = asyncio_loop_run_once(loop, 0);
    CHILD_CHECK(err == (is_ring ? -EMFILE : 0));
    CHILD_CHECK(asyncio_loop_timeout(loop) != 0);
    CHILD_CHECK(asyncio_loop_run_once(loop, 0) == err);
    limit_files(256);
    CHILD_CHECK(asyncio_loop_run_once(loop, 0) == 0);
    CHILD_CHECK(run_in(loop, works(10)) == 0);
    limit_files(3);
    return NULL;
}

static void move_without_descriptors(void *arg)
{
    pthread_t thread;
    (void)arg;
    limit_files(256);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    CHILD_CHECK(run_in(loop, works(10)) == 0);
    CHILD_CHECK(pthread_create(&thread, NULL, try_elsewhere, loop) == 0);
    pthread_join(thread, NULL);
    CHILD_CHECK(asyncio_loop_adopt(loop) == 0);
    asyncio_loop_run_once(loop, 0); /* and back, where there is none again */
    CHILD_CHECK(asyncio_loop_timeout(loop) != 0);
    CHILD_CHECK(asyncio_loop_close(loop) == 0);
    asyncio_loop_release(loop);
}

TEST(no_descriptor_in_another_thread)
{
    check_each(move_without_descriptors, NULL);
}

ASYNC(reads_in_vain, asyncio_stream *, stream)
{
    char byte;
    return asyncio_stream_read(stream, &byte, 1);
}

/* The thread that made a loop, and began to receive, has ended. Another one closes the loop. */
ASYNC(begins_to_receive, asyncio_stream **, stream, int *, peer)
{
    int fds[2];
    net_tcp_pair(fds);
    *stream = stream_of(fds[0]);
    *peer = fds[1];
    asyncio_file *file;
    CHILD_CHECK(asyncio_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &file) == 0);
    CHILD_CHECK(asyncio_file_close(file) == 0);
    return asyncio_wait_for(reads_in_vain(*stream), 0.01);
}

struct left {
    asyncio_loop *loop;
    asyncio_stream *stream;
    int peer;
};

static void *leave_a_loop(void *arg)
{
    struct left *left = arg;
    left->loop = asyncio_loop_new(NULL);
    CHILD_CHECK(run_in(left->loop, begins_to_receive(&left->stream, &left->peer)) == -ETIMEDOUT);
    return NULL;
}

static void close_elsewhere(void *arg)
{
    struct left left;
    pthread_t thread;
    char byte;
    (void)arg;
    int before = count_files();
    CHILD_CHECK(pthread_create(&thread, NULL, leave_a_loop, &left) == 0);
    pthread_join(thread, NULL);
    CHILD_CHECK(asyncio_loop_adopt(left.loop) == 0);
    CHILD_CHECK(asyncio_loop_close(left.loop) == 0);
    asyncio_stream_abort(left.stream);
    asyncio_loop_release(left.loop);
    CHILD_CHECK(recv(left.peer, &byte, 1, 0) <= 0);
    close(left.peer);
    while (count_files() > before)
        pause_ms(1);
}

TEST(a_thread_ends_before_its_loop)
{
    check_each(close_elsewhere, NULL);
}

/* No thread is to be had: not for the library, nor for what the kernel would have a thread do. Calls on files
 * end all the same. */
ASYNC(uses_files_without_threads)
{
    int ended = 0;
    for (int i = 0; i < 20; i++) {
        char path[64];
        asyncio_file *file;
        snprintf(path, sizeof path, "/tmp/asyncio-none-%d", (int)getpid());
        int err = asyncio_file_open(path, O_RDWR | O_CREAT, 0600, &file);
        CHILD_CHECK(err == 0 || err == -EAGAIN || err == -ENOMEM);
        if (err == 0) {
            err = asyncio_file_fsync(file);
            CHILD_CHECK(err == 0 || err == -EAGAIN || err == -ENOMEM);
            CHILD_CHECK(asyncio_file_close(file) == 0);
            ended++;
        }
        unlink(path);
    }
    return ended;
}

static void have_no_threads(void *arg)
{
    struct rlimit none = {1, 1};
    (void)arg;
    if (geteuid() != 0) {
        fputs("only root can become another user", stderr);
        _exit(77);
    }
    CHILD_CHECK(setrlimit(RLIMIT_NPROC, &none) == 0);
    CHILD_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    CHILD_CHECK(asyncio_run(uses_files_without_threads()) >= 0);
}

TEST(no_thread_is_to_be_had)
{
    check_each(have_no_threads, NULL);
}

/* Another user, who may lock no memory: what is under way goes on, and a new loop works, too. */
ASYNC(drops_its_rights)
{
    asyncio_task *work = asyncio_create_task(works(300));
    asyncio_sleep(0.001);
    struct rlimit none = {0, 0};
    CHILD_CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
    CHILD_CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    return asyncio_await(work);
}

static void drop_rights(void *arg)
{
    (void)arg;
    if (geteuid() != 0) {
        fputs("only root can become another user", stderr);
        _exit(77);
    }
    CHILD_CHECK(asyncio_run(drops_its_rights()) == 0);
    CHILD_CHECK(asyncio_run(works(100)) == 0);
}

TEST(rights_are_dropped)
{
    check_each(drop_rights, NULL);
}

/* ---- Closed under it ----------------------------------------------------------------------------------- */

ASYNC(reads_for_ever, asyncio_stream *, stream)
{
    char byte;
    ssize_t n = asyncio_stream_read(stream, &byte, 1);
    asyncio_stream_abort(stream);
    return n;
}

/* Takes its time to clean up: the loop sleeps meanwhile. */
ASYNC(cleans_up)
{
    int err = asyncio_sleep(60);
    uint64_t polls = asyncio_get_running_loop()->polls;
    asyncio_sleep(0.3);
    CHILD_CHECK(asyncio_get_running_loop()->polls - polls < 100);
    return err;
}

/* All but the standard ones, as careless programs do before an exec that fails. */
ASYNC(closes_everything)
{
    int fds[2];
    net_tcp_pair(fds);
    asyncio_release(asyncio_create_task(reads_for_ever(stream_of(fds[0]))));
    asyncio_release(asyncio_create_task(cleans_up()));
    asyncio_sleep(0.001);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    return asyncio_sleep(60);
}

static void lose_everything(void *arg)
{
    (void)arg;
    intptr_t result = asyncio_run(closes_everything());
    dprintf(2, "%s: %s; %s\n", backend, asyncio_errname(result), asyncio_error_message());
    CHILD_CHECK(result < 0 && result != -ECANCELED);
}

/* The loop ends in words, and does not spin meanwhile. */
TEST(all_descriptors_are_closed_under_it)
{
    check_each(lose_everything, "the event loop cannot wait");
    if (strcmp(backend, "io_uring") == 0)
        assert_child_says(&child, "io_uring is lost: somebody has closed its descriptor; the loop ends");
}

/* ---- Daemons ------------------------------------------------------------------------------------------ */

/* The loop is the parent's, who is gone. */
static void become_a_daemon(void *arg)
{
    asyncio_runner runner;
    int ends[2], status = -1;
    (void)arg;
    net_pipe(ends);
    CHILD_CHECK(asyncio_runner_init(&runner, NULL) == 0);
    CHILD_CHECK(asyncio_runner_run(&runner, works(10)) == 0);
    pid_t pid = fork();
    if (pid == 0 && fork() > 0)
        _exit(0);
    if (pid == 0) {
        setsid();
        int well = asyncio_runner_run(&runner, sleeps_a_little()) == ASYNCIO_ESTATE &&
                   strstr(asyncio_error_message(), "belongs to the parent process") &&
                   asyncio_run(works(10)) == 0;
        _exit(write(ends[1], &well, sizeof well) < 0);
    }
    CHILD_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    int well = 0;
    CHILD_CHECK(read(ends[0], &well, sizeof well) == sizeof well && well == 1);
    CHILD_CHECK(asyncio_runner_run(&runner, works(10)) == 0);
    CHILD_CHECK(asyncio_runner_close(&runner) == 0);
}

TEST(a_daemon_makes_a_loop_of_its_own)
{
    check_each(become_a_daemon, NULL);
}

/* ---- Many loops --------------------------------------------------------------------------------------- */

/* The kernel takes its time to free a ring: what it keeps meanwhile must not run out. */
static void make_and_end(void *arg)
{
    size_t count = repeats(50, 1000, 20000);
    (void)arg;
    int before = count_files();
    for (size_t i = 0; i < count; i++)
        CHILD_CHECK(asyncio_run(works(1)) == 0);
    while (count_files() > before) /* a thread of the files' may hold a loop a moment longer */
        pause_ms(1);
    dprintf(2, "%s", asyncio_backend_why());
}

TEST(many_loops_one_after_the_other)
{
    check_each(make_and_end, NULL);
    if (strcmp(backend, "io_uring") == 0)
        assert_child_says(&child, "io_uring serves streams"); /* none had to be made of less */
}

static void make_many(void *arg)
{
    size_t count = repeats(20, 100, 1000);
    struct rlimit files;
    (void)arg;
    CHILD_CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    asyncio_loop **loops = calloc(count, sizeof *loops);
    for (size_t i = 0; i < count; i++) {
        loops[i] = asyncio_loop_new(NULL);
        CHILD_CHECK(loops[i]);
    }
    for (size_t i = 0; i < count; i++) {
        asyncio_loop_adopt(loops[i]);
        CHILD_CHECK(run_in(loops[i], works(1)) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        CHILD_CHECK(asyncio_loop_close(loops[i]) == 0);
        asyncio_loop_release(loops[i]);
    }
    free(loops);
}

TEST(many_loops_at_the_same_time)
{
    check_each(make_many, NULL);
}

/* The descriptors that a program of its own has got, but for the standard ones, and that of the answer. */
static int say_descriptors(void)
{
    int count = count_files();
    if (count)
        dprintf(2, "%d descriptors were inherited\n", count);
    return count != 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--descriptors") == 0)
        return say_descriptors();
    for (int fd = 3; fd < 1024; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC); /* what this program has inherited itself */
    return tests_run(NULL);
}
