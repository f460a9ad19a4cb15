/*
 * Files: calls that are cancelled.
 */
#include "base/sanitizer.h"
#include "fd/file_test.h"
#include <sys/resource.h>
#include <sys/socket.h>

/* ---- Cancelled ----------------------------------------------------- */

/* A read of less than was asked for has met the end, also where the kernel gives a page at a time. */
FILE_TEST(in_pieces)
{
    static char text[1 << 20];
    asyncio_file *file = open_file("/proc/self/smaps", O_RDONLY);
    ssize_t n = asyncio_file_read(file, text, sizeof text);
    CHECK(n > 4096 && n < (ssize_t)sizeof text);
    CHECK_EQUAL(asyncio_file_read(file, text, sizeof text), 0);
    return asyncio_file_close(file);
}

/* Queued: not done. Running: waited for, nothing is lost, and the request stays. */
ASYNC(read_and_sleep, asyncio_file *, file, char *, buf, size_t, n, int *, after)
{
    ssize_t got = asyncio_file_read(file, buf, n);
    if (after)
        *after = asyncio_sleep(10);
    return got;
}

THREADS_TEST(cancelled)
{
    enum { EXTRA = 4 };
    char blocks[THREADS_MAX + EXTRA][8];
    asyncio_file *files[THREADS_MAX + EXTRA];
    asyncio_task *tasks[THREADS_MAX + EXTRA];
    int after = 0;
    memory = MEMORY_NOTHING;
    put_file("text", "hello", 5);
    for (int i = 0; i < THREADS_MAX + EXTRA; i++)
        files[i] = open_file("text", O_RDONLY);
    set_gate(true);
    for (int i = 0; i < THREADS_MAX; i++)
        tasks[i] = asyncio_create_task(read_and_sleep(files[i], blocks[i], 3, i ? NULL : &after));
    wait_at_gate(THREADS_MAX);
    for (int i = THREADS_MAX; i < THREADS_MAX + EXTRA; i++)
        tasks[i] = asyncio_create_task(read_into(files[i], blocks[i], 3));
    asyncio_sleep(0.002);
    for (int i = 0; i < THREADS_MAX + EXTRA; i++)
        if (i == 0 || i >= THREADS_MAX)
            asyncio_cancel(tasks[i]);
    for (int i = THREADS_MAX; i < THREADS_MAX + EXTRA; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), -ECANCELED);
    CHECK(!asyncio_done(tasks[0]));
    CHECK_EQUAL(waiting_at_gate(), THREADS_MAX);
    set_gate(false);
    for (int i = 0; i < THREADS_MAX; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), 3);
    CHECK_EQUAL(after, -ECANCELED);
    memory = MEMORY_REAL;
    for (int i = 0; i < THREADS_MAX + EXTRA; i++) {
        /* The position tells what was read. */
        CHECK_EQUAL(asyncio_file_lseek(files[i], 0, SEEK_CUR), i < THREADS_MAX ? 3 : 0);
        CHECK_EQUAL(asyncio_file_close(files[i]), 0);
    }
    return 0;
}

/* What a read at the descriptor's own position has got at once is not lost with the rest: not if the rest is
 * queued and taken back, nor if the request was there before. */
ASYNC(read_taken, asyncio_file *, file, bool, before)
{
    static char pages[3 * 4096];
    if (before)
        asyncio_cancel(asyncio_current_task());
    memory = MEMORY_HALF;
    tries = 1; /* the next has a page, and the one after that nothing */
    ssize_t got = asyncio_file_read(file, pages, sizeof pages);
    memory = MEMORY_REAL;
    return asyncio_sleep(0) == -ECANCELED ? got : -EPROTO;
}

THREADS_TEST(cancelled_in_between)
{
    static char data[3 * 4096];
    static char blocks[THREADS_MAX][8];
    asyncio_file *files[THREADS_MAX];
    asyncio_task *tasks[THREADS_MAX];
    put_file("pages", data, sizeof data);
    asyncio_file *file = open_file("pages", O_RDONLY | O_APPEND);
    memory = MEMORY_NOTHING;
    set_gate(true);
    for (int i = 0; i < THREADS_MAX; i++) {
        files[i] = open_file("pages", O_RDONLY);
        tasks[i] = asyncio_create_task(read_into(files[i], blocks[i], 3));
    }
    wait_at_gate(THREADS_MAX);
    asyncio_task *task = asyncio_create_task(read_taken(file, false));
    asyncio_sleep(0.002);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), 4096);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_CUR), 4096);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(read_taken(file, true))), 4096);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_CUR), 8192);
    set_gate(false);
    for (int i = 0; i < THREADS_MAX; i++) {
        CHECK_EQUAL(asyncio_await(tasks[i]), 3);
        CHECK_EQUAL(asyncio_file_close(files[i]), 0);
    }
    return asyncio_file_close(file);
}

/* A request that is there before: what can be done at once is done, and delivers nothing. */
ASYNC(read_when_cancelled, asyncio_file *, file)
{
    char block[8];
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_file_pread(file, block, 3, 0), 3);
    memory = MEMORY_NOTHING;
    CHECK_EQUAL(asyncio_file_pread(file, block, 3, 0), -ECANCELED);
    return asyncio_file_pread(file, block, 3, 0);
}

/* Closed while a request is there: all the same. */
ASYNC(close_when_cancelled, asyncio_file *, file)
{
    asyncio_cancel(asyncio_current_task());
    return asyncio_file_close(file);
}

ASYNC(main_cancelled_before)
{
    memory = MEMORY_REAL;
    put_file("text", "hello", 5);
    asyncio_file *file = open_file("text", O_RDWR);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(read_when_cancelled(file))), 3);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(close_when_cancelled(file))), -ECANCELED);
    file = open_file("text", O_RDONLY);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(close_when_cancelled(file))), 0);
    return 0;
}

TEST(cancelled_before)
{
    CHECK_EQUAL(run(main_cancelled_before), 0);
    memory = MEMORY_REAL;
    harness_settle();
}

/* The loop closes over an open that a thread is in: what comes of it is closed. */
ASYNC(open_gated)
{
    static asyncio_file *never;
    return asyncio_file_open(GATED, O_WRONLY | O_CREAT, 0600, &never);
}

ASYNC(leave_an_open)
{
    asyncio_release(asyncio_create_task(open_gated()));
    wait_at_gate(1);
    return 0;
}

TEST(open_abandoned)
{
    int before = count_descriptors();
    begin_by_threads();
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    set_gate(true);
    asyncio_task *task = asyncio_loop_create_task(loop, leave_an_open());
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    asyncio_loop_close(loop);
    CHECK_EQUAL(report_count, 1);
    asyncio_loop_release(loop);
    CHECK_EQUAL(access(GATED, F_OK), -1);
    set_gate(false);
    for (int i = 0; i < 30000 && (access(GATED, F_OK) || count_descriptors() > before); i++)
        usleep(1000);
    CHECK_EQUAL(access(GATED, F_OK), 0);
    CHECK_EQUAL(count_descriptors(), before);
    end_by_threads();
    harness_settle();
}

/* The loop closes over a read that runs on a thread, one that is queued, and a close that is. */
static char left_block[8];
static int left_fd;

ASYNC(close_to_be_left)
{
    asyncio_file *file = open_file("text", O_RDWR);
    left_fd = asyncio_file_fd(file);
    return asyncio_file_close(file);
}

ASYNC(leave_reads, asyncio_file **, file)
{
    memory = MEMORY_NOTHING;
    put_file("text", "hello", 5);
    *file = open_file("text", O_RDONLY);
    for (int i = 0; i < THREADS_MAX + 1; i++)
        asyncio_release(asyncio_create_task(read_into(open_file("text", O_RDONLY), left_block, 5)));
    wait_at_gate(THREADS_MAX);
    asyncio_release(asyncio_create_task(close_to_be_left()));
    asyncio_sleep(0.002);
    return 0;
}

TEST(loop_abandoned)
{
    asyncio_file *file = NULL;
    begin_by_threads();
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    set_gate(true);
    gate.passed = 0;
    asyncio_task *task = asyncio_loop_create_task(loop, leave_reads(&file));
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    asyncio_loop_close(loop);
    CHECK_EQUAL(report_count, THREADS_MAX + 2);
    CHECK(fcntl(left_fd, F_GETFD) >= 0);
    set_gate(false);
    CHECK_EQUAL(asyncio_file_close(file), 0); /* after the end */
    asyncio_loop_release(loop);
    memory = MEMORY_REAL;
    for (int i = 0; i < 30000 && waiting_at_gate(); i++)
        usleep(1000);
    CHECK_EQUAL(waiting_at_gate(), 0);
    usleep(20000);
    for (int i = 0; i < 30000 && fcntl(left_fd, F_GETFD) >= 0; i++)
        usleep(1000);
    CHECK_EQUAL(fcntl(left_fd, F_GETFD), -1);
    CHECK_EQUAL(gate.passed, THREADS_MAX); /* the one that was queued is not done: its memory may be gone */
    end_by_threads();
    harness_settle();
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = enter_folder,
                                                  .group_teardown = leave_folder};
    use_descriptors();
    return tests_run(&fixtures);
}
