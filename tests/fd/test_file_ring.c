/*
 * Calls on files by a ring: each kind of call, cancels at each stage, a loop that closes over them, a fork,
 * another thread, and a kernel that denies what it allowed. What the calls do is in test_files.c and such.
 * Those run with a ring and with threads. Where the kernel denies rings, all of it is skipped.
 */
#include "asyncio/inspect.h"
#include "backend/completion.h"
#include "child.h"
#include "core/loop.h"
#include "fd/file_op.h"
#include "fd/file_test.h"
#include "sys/sys.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct completions *ring(void)
{
    return asyncio_get_running_loop()->backend->files_ring;
}

static uint64_t begun(void)
{
    return ring() ? ring()->begun : 0;
}

/* A thread of the files' may hold a loop for a moment when it is over. */
static void await_descriptors(int before)
{
    for (int i = 0; i < 30000 && count_descriptors() != before; i++)
        usleep(1000);
    CHECK_EQUAL(count_descriptors(), before);
}

/* ---- Each call ------------------------------------------------------------------------------- */

#define BY_RING(call, expected)                                                                              \
    do {                                                                                                     \
        uint64_t before_ = begun();                                                                          \
        CHECK_EQUAL(call, expected);                                                                         \
        CHECK(begun() > before_);                                                                            \
    } while (0)

ASYNC_TEST(each_call_goes_through_the_ring)
{
    char block[8] = "";
    struct stat status;
    asyncio_file *file;
    memory = MEMORY_NOTHING;
    BY_RING(asyncio_mkdir("folder", 0700), 0);
    BY_RING(asyncio_mkdir("folder", 0700), -EEXIST);
    BY_RING(asyncio_file_open("folder/a", O_RDWR | O_CREAT, 0640, &file), 0);
    CHECK_EQUAL(fcntl(asyncio_file_fd(file), F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_SET), 0);
    BY_RING(asyncio_file_pwrite(file, "hello", 5, 0), 5);
    BY_RING(asyncio_file_pread(file, block, 8, 1), 4);
    CHECK_TEXT(block, "ello");
    BY_RING(asyncio_file_write(file, "HE", 2), 2);
    BY_RING(asyncio_file_read(file, block, 8), 3);
    CHECK(memcmp(block, "llo", 3) == 0);
    BY_RING(asyncio_file_ftruncate(file, 3), 0);
    BY_RING(asyncio_file_fsync(file), 0);
    BY_RING(asyncio_file_fdatasync(file), 0);
    CHECK_EQUAL(asyncio_file_stat(file, &status), 0);
    CHECK_EQUAL(status.st_size, 3);
    CHECK_EQUAL(status.st_mode & 0777, 0640);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    BY_RING(asyncio_rename("folder/a", "folder/b"), 0);
    BY_RING(asyncio_rename("folder/a", "folder/b"), -ENOENT);
    BY_RING(asyncio_unlink("folder/b"), 0);
    BY_RING(asyncio_rmdir("folder"), 0);
    BY_RING(asyncio_rmdir("folder"), -ENOENT);
    BY_RING(asyncio_file_open("folder/b", O_RDWR | O_CREAT, 0640, &file), -ENOENT);
    memory = MEMORY_REAL;
    return 0;
}

/* As when many calls are under way. */
static intptr_t offload(struct file_op *op)
{
    intptr_t result = asy_file_offload(NULL, op);
    return result;
}

ASYNC_TEST(stat_by_the_ring_is_stat)
{
    struct stat by_ring, here;
    put_file("text", "hello", 5);
    CHECK_EQUAL(symlink("text", "link"), 0);
    static const struct {
        const char *path;
        int flags;
    } cases[] = {{"text", 0}, {"link", 0}, {"link", O_NOFOLLOW}, {"/", 0}, {"/dev/null", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file_op op = {
            .code = FILE_PATH_STAT, .path = cases[i].path, .flags = cases[i].flags, .status = &by_ring};
        memset(&by_ring, 0, sizeof by_ring);
        BY_RING(offload(&op), 0);
        CHECK_EQUAL(cases[i].flags ? lstat(cases[i].path, &here) : stat(cases[i].path, &here), 0);
        CHECK_EQUAL(by_ring.st_ino, here.st_ino);
        CHECK_EQUAL(by_ring.st_dev, here.st_dev);
        CHECK_EQUAL(by_ring.st_rdev, here.st_rdev);
        CHECK_EQUAL(by_ring.st_mode, here.st_mode);
        CHECK_EQUAL(by_ring.st_size, here.st_size);
        CHECK_EQUAL(by_ring.st_mtim.tv_nsec, here.st_mtim.tv_nsec);
    }
    struct file_op op = {.code = FILE_PATH_STAT, .path = "none", .status = &by_ring};
    BY_RING(offload(&op), -ENOENT);
    unlink("link");
    return 0;
}

/* ---- Many ------------------------------------------------------------------------------------ */

#define MANY 1000

ASYNC(write_and_read, asyncio_file *, file, int, i)
{
    char block[8];
    CHECK_EQUAL(asyncio_file_pwrite(file, &i, sizeof i, (off_t)sizeof i * i), sizeof i);
    CHECK_EQUAL(asyncio_file_pread(file, block, sizeof i, (off_t)sizeof i * i), sizeof i);
    CHECK(memcmp(block, &i, sizeof i) == 0);
    return 0;
}

/* More than the ring has room for, at once. */
ASYNC_TEST(a_thousand_at_once)
{
    static asyncio_task *tasks[MANY];
    asyncio_file *file = open_file("many", O_RDWR | O_CREAT | O_TRUNC);
    memory = MEMORY_NOTHING;
    uint64_t before = begun();
    for (int i = 0; i < MANY; i++)
        tasks[i] = asyncio_create_task(write_and_read(file, i));
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), 0);
    CHECK_EQUAL(begun() - before, 2 * MANY);
    CHECK_EQUAL(ring()->under_way, 0);
    memory = MEMORY_REAL;
    return asyncio_file_close(file);
}

/* One task that finds everything in memory has no use for a ring, nor does it make one. */
ASYNC_TEST(what_is_at_hand_needs_no_ring)
{
    char block[8];
    put_file("text", "hello", 5);
    asyncio_file *file = open_file("text", O_RDONLY);
    for (int i = 0; i < 100; i++)
        CHECK_EQUAL(asyncio_file_pread(file, block, 5, 0), 5);
    CHECK(!ring());
    return asyncio_file_close(file);
}

/* ---- Cancelled ------------------------------------------------------------------------------- */

static int pipe_fds[2];
static char pipe_block[8];

/* A call that lasts: a pipe is no file for the public functions, which wait for it in the loop. */
ASYNC(read_pipe, off_t, offset)
{
    struct file_op op = {
        .code = FILE_READ, .fd = pipe_fds[0], .offset = offset, .buf = pipe_block, .n = sizeof pipe_block};
    op.partial = true;
    return asy_file_offload(NULL, &op);
}

static void open_pipe(void)
{
    CHECK_EQUAL(pipe(pipe_fds), 0);
    memset(pipe_block, 0, sizeof pipe_block);
}

static void close_pipe(void)
{
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* Until the kernel has the call. */
static void let_it_begin(void)
{
    do
        asyncio_sleep(0.001);
    while (ring() && asy_completions_has_unsent(ring()));
}

/* The kernel was not told, or it has the call and gives it up: the buffer is the caller's again. */
ASYNC_TEST(a_cancelled_call_leaves_the_buffer_alone)
{
    char left[8] = "";
    for (int is_sent = 0; is_sent < 2; is_sent++) {
        open_pipe();
        asyncio_task *task = asyncio_create_task(read_pipe(0));
        asyncio_sleep(0);
        if (is_sent)
            let_it_begin();
        asyncio_cancel(task);
        asyncio_cancel(task);
        CHECK_EQUAL(asyncio_await(task), -ECANCELED);
        CHECK_EQUAL(ring()->under_way, 0);
        CHECK_EQUAL(write(pipe_fds[1], "late", 4), 4);
        asyncio_sleep(0.001);
        CHECK_EQUAL(pipe_block[0], 0);
        CHECK_EQUAL(read(pipe_fds[0], left, sizeof left), 4);
        close_pipe();
    }
    return 0;
}

ASYNC(read_pipe_and_sleep, int *, after)
{
    struct file_op op = {
        .code = FILE_READ, .fd = pipe_fds[0], .offset = 0, .buf = pipe_block, .n = 4, .partial = true};
    intptr_t got = asy_file_offload(NULL, &op);
    *after = asyncio_sleep(10);
    return got;
}

/* The data has come, and then the request does: both arrive. */
ASYNC_TEST(a_call_that_is_done_keeps_its_answer)
{
    int after = 0;
    open_pipe();
    asyncio_task *task = asyncio_create_task(read_pipe_and_sleep(&after));
    let_it_begin();
    CHECK_EQUAL(write(pipe_fds[1], "data", 4), 4);
    asyncio_cancel(task);
    intptr_t got = asyncio_await(task);
    /* Which of them the kernel sees first is its affair; nothing is lost. */
    CHECK(got == 4 || got == -ECANCELED);
    if (got == 4)
        CHECK_EQUAL(after, -ECANCELED);
    else
        CHECK_EQUAL(read(pipe_fds[0], pipe_block, 8), 4);
    close_pipe();
    return 0;
}

ASYNC_TEST(a_timeout_gives_the_pipe_back)
{
    open_pipe();
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(read_pipe(0)), 0.002), -ETIMEDOUT);
    CHECK_EQUAL(ring()->under_way, 0);
    close_pipe();
    return 0;
}

/* Each call of the public functions, cancelled at each place where it waits. */
ASYNC(all_calls)
{
    char block[8];
    asyncio_file *file = NULL;
    struct stat status;
    unlink("swept");
    unlink("swept2");
    rmdir("swept3");
    int err = asyncio_file_open("swept", O_RDWR | O_CREAT, 0600, &file);
    if (err)
        return err;
    memory = MEMORY_NOTHING;
    ssize_t n = asyncio_file_write(file, "hello", 5);
    if (n >= 0)
        n = asyncio_file_pread(file, block, 5, 0);
    if (n >= 0)
        n = asyncio_file_fdatasync(file);
    if (n >= 0)
        n = asyncio_file_ftruncate(file, 3);
    if (n >= 0)
        n = asyncio_rename("swept", "swept2");
    if (n >= 0)
        n = asyncio_mkdir("swept3", 0700);
    if (n >= 0)
        n = asyncio_stat("swept2", &status);
    memory = MEMORY_REAL;
    err = asyncio_file_close(file);
    return n < 0 ? n : err;
}

TEST(calls_are_cancelled_at_each_place)
{
    sweep_cancels(all_calls, NULL);
    memory = MEMORY_REAL;
    harness_settle();
}

/* Each call of the seam fails once, and from there on: the calls fail, or are done by threads. */
ASYNC(all_calls_in_a_task)
{
    asyncio_await(all_calls());
    memory = MEMORY_REAL;
    return 0;
}

TEST(each_failure_is_survived)
{
    sweep_failures(all_calls_in_a_task);
    harness_settle();
}

/* The ring's own: a call that the kernel refuses is done by a thread. */
ASYNC_TEST(what_the_ring_refuses_threads_do)
{
    put_file("text", "hello", 5);
    asyncio_file *file = open_file("text", O_RDWR);
    CHECK_EQUAL(asyncio_file_pwrite(file, "H", 1, 0), 1); /* there is a ring now */
    uint64_t before = begun();
    asyncio_task *task = asyncio_create_task(write_and_read(file, 1));
    asyncio_sleep(0);
    CHECK_EQUAL(begun(), before + 1);
    memory = MEMORY_NOTHING;
    asy_fault_arm(1, false); /* of the loop, before it waits */
    CHECK_EQUAL(asyncio_await(task), 0);
    asy_fault_disarm();
    CHECK_TEXT(asy_fault.failed, "ring_enter");
    memory = MEMORY_REAL;
    return asyncio_file_close(file);
}

/* ---- The loop closes ------------------------------------------------------------------------- */

static asyncio_coro *(*left_call)(void);
static int left_count;

enum stage { STAGE_UNSENT, STAGE_SENT, STAGES };

ASYNC(leave_calls, enum stage, stage)
{
    for (int i = 0; i < left_count; i++)
        asyncio_release(asyncio_create_task(left_call()));
    asyncio_sleep(0);
    while (stage == STAGE_SENT && asy_completions_has_unsent(ring()))
        asyncio_sleep(0);
    asyncio_loop_stop(asyncio_get_running_loop()); /* without another poll */
    if (stage == STAGE_SENT)
        usleep(1000); /* what is done meanwhile is found when the loop closes, as a rule */
    return 0;
}

static void close_over(asyncio_coro *(*call)(void), int count, enum stage stage)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    left_call = call;
    left_count = count;
    asyncio_task *task = asyncio_loop_create_task(loop, leave_calls(stage));
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    CHECK_EQUAL(asyncio_result(task), 0);
    asyncio_release(task);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
}

static asyncio_coro *make_pipe_read(void)
{
    return read_pipe(0);
}

/* With calls that the kernel has, and with those that it was not told of. */
TEST(a_loop_closes_over_reads)
{
    for (enum stage stage = 0; stage < STAGES; stage++) {
        int before = count_descriptors();
        open_pipe();
        close_over(make_pipe_read, 5, stage);
        CHECK_EQUAL(report_count, 5);
        CHECK_EQUAL(write(pipe_fds[1], "late", 4), 4);
        usleep(1000);
        CHECK_EQUAL(pipe_block[0], 0);
        close_pipe();
        await_descriptors(before);
    }
    harness_settle();
}

ASYNC(open_new)
{
    struct file_op op = {.code = FILE_OPEN, .path = ".", .flags = O_WRONLY | O_TMPFILE, .mode = 0600};
    intptr_t fd = asy_file_offload(NULL, &op);
    if (fd >= 0)
        close((int)fd);
    return 0;
}

/* A descriptor that nobody takes is closed. */
TEST(a_loop_closes_over_opens)
{
    for (enum stage stage = 0; stage < STAGES; stage++)
        for (int i = 0; i < 20; i++) {
            int before = count_descriptors();
            close_over(open_new, 12, stage);
            await_descriptors(before);
        }
    harness_settle();
}

/* The kernel has a call and does not end it: the memory stays, and the handler is told. */
static void close_over_a_stuck_call(void)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asy_file_close_ns = 20000000;
    open_pipe();
    left_call = make_pipe_read;
    left_count = 1;
    asyncio_task *task = asyncio_loop_create_task(loop, leave_calls(STAGE_SENT));
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    CHECK_EQUAL(asyncio_result(task), 0);
    asyncio_release(task);
    int fd = loop->backend->files_ring->ring.fd;
    CHECK(dup(fd) >= 0);
    CHECK_EQUAL(dup2(open("/dev/null", O_RDONLY), fd), fd); /* nor can it be asked to */
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    CHECK_EQUAL(write(pipe_fds[1], "late", 4), 4);
    fprintf(stderr, "%s; %u failures\n", reports[0].message, harness_failures());
    _exit(0); /* what is lost on purpose is no leak */
}

TEST(a_loop_closes_over_a_call_that_does_not_end)
{
    check_prints(close_over_a_stuck_call,
                 "1 calls on files that the kernel does not end; their memory is kept; 0 failures");
    harness_settle();
}

/* ---- Inside another loop --------------------------------------------------------------------- */

ASYNC(write_in_steps)
{
    asyncio_file *file = open_file("steps", O_RDWR | O_CREAT | O_TRUNC);
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(asyncio_file_pwrite(file, "x", 1, i), 1);
    CHECK(begun() >= 20);
    return asyncio_file_close(file);
}

/* The other loop sleeps on the descriptor, and sees each call end. */
TEST(a_loop_inside_another_one)
{
    int before = count_descriptors();
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    struct pollfd inner = {.fd = asyncio_loop_fd(loop), .events = POLLIN};
    asyncio_task *task = asyncio_loop_create_task(loop, write_in_steps());
    while (!asyncio_done(task)) {
        double timeout = asyncio_loop_timeout(loop);
        int ready = poll(&inner, 1, timeout == 0 ? 0 : 10000);
        CHECK(ready == 1 || timeout == 0);
        CHECK_EQUAL(asyncio_loop_run_once(loop, 0), 0);
    }
    CHECK_EQUAL(asyncio_result(task), 0);
    asyncio_release(task);
    CHECK_EQUAL(report_count, 0);
    asyncio_loop_release(loop);
    await_descriptors(before);
    harness_settle();
}

/* ---- Forks and threads ----------------------------------------------------------------------- */

ASYNC(use_files_in_child)
{
    asyncio_file *file = open_file("child", O_RDWR | O_CREAT);
    CHECK_EQUAL(asyncio_file_write(file, "child", 5), 5);
    CHECK(ring() && ring()->begun >= 2);
    return asyncio_file_close(file);
}

/* The child has a loop of its own, with a ring of its own; the parent's calls go on. */
ASYNC_TEST(a_child_leaves_the_parents_ring_alone)
{
    open_pipe();
    asyncio_task *task = asyncio_create_task(read_pipe(0));
    let_it_begin();
    pid_t pid = fork();
    if (pid == 0) {
        int result = (int)asyncio_run(use_files_in_child());
        _exit(result || harness_failures());
    }
    int status;
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(status, 0);
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(write(pipe_fds[1], "parent", 6), 6);
    CHECK_EQUAL(asyncio_await(task), 6);
    CHECK(memcmp(pipe_block, "parent", 6) == 0);
    close_pipe();
    return 0;
}

ASYNC(begin_pipe_read, asyncio_task **, task)
{
    *task = asyncio_create_task(read_pipe(0));
    let_it_begin();
    return 0;
}

ASYNC(go_on_elsewhere, asyncio_task *, task)
{
    struct file_op op = {.code = FILE_UNLINK, .path = "none"};
    struct completions *before = ring();
    uint64_t begun_before = begun();
    CHECK(before && before->under_way == 1);
    CHECK_EQUAL(asy_file_offload(NULL, &op), -ENOENT); /* by a thread: the ring is another thread's */
    CHECK_EQUAL(begun(), begun_before);
    CHECK_EQUAL(write(pipe_fds[1], "data", 4), 4);
    CHECK_EQUAL(asyncio_await(task), 4);
    op = (struct file_op){.code = FILE_UNLINK, .path = "none"};
    CHECK_EQUAL(asy_file_offload(NULL, &op), -ENOENT); /* by a new ring */
    CHECK(ring() && asy_completions_is_here(ring()) && begun() == 1);
    return 0;
}

static asyncio_loop *moved_loop;
static asyncio_task *moved_task;

static void *run_elsewhere(void *task)
{
    CHECK_EQUAL(asyncio_loop_run_until_complete(moved_loop, task), 0);
    asyncio_loop_release(moved_loop);
    return NULL;
}

TEST(a_loop_goes_on_in_another_thread)
{
    pthread_t thread;
    int before = count_descriptors();
    open_pipe();
    moved_loop = asyncio_loop_new(NULL);
    record_reports(moved_loop);
    asyncio_task *task = asyncio_loop_create_task(moved_loop, begin_pipe_read(&moved_task));
    CHECK_EQUAL(asyncio_loop_run_until_complete(moved_loop, (asyncio_future *)task), 0);
    task = asyncio_loop_create_task(moved_loop, go_on_elsewhere(moved_task));
    CHECK_EQUAL(pthread_create(&thread, NULL, run_elsewhere, task), 0);
    pthread_join(thread, NULL);
    close_pipe();
    await_descriptors(before);
    harness_settle();
}

/* ---- Denied ---------------------------------------------------------------------------------- */

/* From now on, in this thread and those that it makes. */
static void deny(int call, int err)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    CHECK_EQUAL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQUAL(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

ASYNC(use_files)
{
    asyncio_file *file = open_file("denied", O_RDWR | O_CREAT);
    CHECK_EQUAL(asyncio_file_write(file, "hello", 5), 5);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    CHECK_EQUAL(asyncio_unlink("denied"), 0);
    return 0;
}

#define SETUP 425
#define ENTER 426

struct denial {
    int call, err;
    const char *files, *words, *printed;
};

static const struct denial *denial;

/* A program of its own: the self test is made once. */
static void use_denied_files(void)
{
    setenv("ASYNCIO_BACKEND", "epoll", 1);
    setenv("ASYNCIO_FILES", denial->files, 1);
    deny(denial->call, denial->err);
    CHECK_EQUAL(asyncio_run(use_files()), 0);
    CHECK_EQUAL(asyncio_run(use_files()), 0);
    CHECK_HAS(asyncio_backend_why(), denial->words);
    fflush(NULL);
    _exit(harness_failures() != 0);
}

#define EPERM_WORDS "io_uring is denied (EPERM): kernel.io_uring_disabled or a container's seccomp profile"

/* Runs this program again with the name of a case. */
static void check_denial(size_t i, const struct denial *one)
{
    char number[8], text[512] = "";
    int fds[2], status;
    snprintf(number, sizeof number, "%zu", i);
    CHECK_EQUAL(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        unsetenv("ASYNCIO_BACKEND"); /* which would be denied, too, and say so */
        execl("/proc/self/exe", "test", "--denied", number, NULL);
        _exit(1);
    }
    close(fds[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(fds[0], text + n, sizeof text - 1 - n)) > 0; n += (size_t)got)
        continue;
    close(fds[0]);
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(status, 0);
    CHECK_TEXT(text, one->printed);
}

static const struct denial denials[] = {
    {SETUP, EPERM, "auto", EPERM_WORDS, ""},
    {SETUP, EPERM, "ring", EPERM_WORDS,
     "asyncio: ASYNCIO_FILES=ring: threads carry out calls on files: " EPERM_WORDS "\n"},
    {SETUP, EPERM, "threads", "ASYNCIO_FILES=threads", ""},
    {SETUP, ENOSYS, "auto", "there is no io_uring (ENOSYS)", ""},
    {SETUP, ENOMEM, "auto", "RLIMIT_MEMLOCK", ""},
    {ENTER, EPERM, "auto", EPERM_WORDS, ""},
    {ENTER, ENOSYS, "auto", "there is no io_uring (ENOSYS)", ""},
};

TEST(what_is_denied_is_told)
{
    for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++)
        check_denial(i, &denials[i]);
    harness_settle();
}

/* A filter comes while the ring is in use: threads take over. */
ASYNC(lose_the_ring)
{
    asyncio_file *file = open_file("lost", O_RDWR | O_CREAT);
    CHECK_EQUAL(asyncio_file_pwrite(file, "a", 1, 0), 1);
    CHECK(begun() >= 2);
    deny(ENTER, EPERM);
    for (int i = 0; i < 10; i++)
        CHECK_EQUAL(asyncio_file_pwrite(file, "b", 1, i), 1);
    return asyncio_file_close(file);
}

static void use_a_lost_ring(void)
{
    setenv("ASYNCIO_BACKEND", "epoll", 1); /* the other one would be lost with its ring */
    CHECK_EQUAL(asyncio_run(lose_the_ring()), 0);
    CHECK_EQUAL(asyncio_run(use_files()), 0);
    fprintf(stderr, "%u failures\n", harness_failures());
}

TEST(a_ring_is_lost)
{
    check_prints(use_a_lost_ring, "0 failures");
    harness_settle();
}

/* Without a descriptor for a ring threads do the calls; the next loop tries again. */
ASYNC(use_files_without_descriptors)
{
    struct rlimit before, none;
    asyncio_sleep(0);
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQUAL(asyncio_unlink("none"), -ENOENT);
    CHECK(!ring());
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQUAL(asyncio_unlink("none"), -ENOENT);
    CHECK(!ring());
    return 0;
}

TEST(no_descriptor_is_left)
{
    CHECK_EQUAL(run(use_files_without_descriptors), 0);
    CHECK_EQUAL(run(main_of_each_call_goes_through_the_ring), 0);
    harness_settle();
}

/* ---- Masked, and never ----------------------------------------------------------------------- */

ASYNC(use_no_ring)
{
    CHECK_EQUAL(asyncio_unlink("none"), -ENOENT);
    CHECK(!ring());
    return 0;
}

TEST(a_mask_forbids_it)
{
    setenv("ASYNCIO_URING_WITHOUT", "send,files", 1);
    CHECK_EQUAL(run(use_no_ring), 0);
    CHECK_HAS(asyncio_backend_why(), "ASYNCIO_URING_WITHOUT has files");
    setenv("ASYNCIO_URING_WITHOUT", "file,filess,", 1);
    CHECK_HAS(asyncio_backend_why(), "io_uring carries out calls on files; ");
    unsetenv("ASYNCIO_URING_WITHOUT");
    CHECK_EQUAL(run(main_of_each_call_goes_through_the_ring), 0);
    harness_settle();
}

/* Tests that can be repeated have no ring. */
TEST(a_seed_or_a_virtual_clock_forbids_it)
{
    asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    CHECK_EQUAL(run_seeded(use_no_ring, 1), 0);
    CHECK_EQUAL(asyncio_run_with(use_no_ring(), &simulated), 0);
    harness_settle();
}

/* ---- Whose rights ---------------------------------------------------------------------------- */

ASYNC(open_as_another)
{
    asyncio_file *file = NULL;
    put_file("mine", "root", 4);
    CHECK_EQUAL(chmod("mine", 0600), 0);
    CHECK_EQUAL(asyncio_unlink("none"), -ENOENT); /* the ring is root's */
    CHECK(ring());
    struct file_op op = {.code = FILE_OPEN, .path = "mine", .flags = O_RDONLY};
    CHECK_EQUAL(seteuid(65534), 0);
    CHECK_EQUAL(asy_file_offload(NULL, &op), -EACCES);
    op.flags = O_RDWR | O_CREAT; /* in a thread of the kernel's */
    CHECK_EQUAL(asy_file_offload(NULL, &op), -EACCES);
    CHECK_EQUAL(seteuid(0), 0);
    (void)file;
    return 0;
}

/* Not those of the ring's maker, but those that the thread has when the call goes in. */
TEST(a_call_has_the_rights_of_its_thread)
{
    if (geteuid() != 0)
        skip();
    CHECK_EQUAL(chmod(".", 0755), 0);
    CHECK_EQUAL(run(open_as_another), 0);
    harness_settle();
}

int main(int argc, char **argv)
{
    static const struct test_fixtures fixtures = {.group_setup = enter_folder,
                                                  .group_teardown = leave_folder};
    use_descriptors();
    if (argc == 3 && strcmp(argv[1], "--denied") == 0) {
        denial = &denials[atoi(argv[2])];
        use_denied_files();
    }
    setenv("ASYNCIO_FILES", "auto", 1);
    if (!strstr(asyncio_backend_why(), "io_uring carries out calls on files")) {
        fprintf(stderr, "skipped: %s\n", asyncio_backend_why());
        return 77;
    }
    return tests_run(&fixtures);
}
