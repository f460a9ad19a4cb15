/*
 * Calls on files by a ring of a kernel that answers oddly: answers that are not for callers, errors, parts,
 * and descriptors that come too late. What each call does is in test_files.c, the rest in test_file_ring.c.
 */
#include "asyncio/inspect.h"
#include "backend/completion.h"
#include "core/loop.h"
#include "fd/file_op.h"
#include "fd/file_test.h"
#include "support/ring_plan.h"
#include <sys/stat.h>

static struct completions *ring(void)
{
    return asyncio_get_running_loop()->backend->files_ring;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* Each kind of call that a ring carries out, as often as it takes to see all of it. */
ASYNC(all_kinds)
{
    char block[8] = "";
    struct stat status;
    asyncio_file *file;
    memory = MEMORY_NOTHING;
    CHECK_EQUAL(asyncio_mkdir("folder", 0700), 0);
    CHECK_EQUAL(asyncio_file_open("folder/a", O_RDWR | O_CREAT, 0640, &file), 0);
    CHECK_EQUAL(asyncio_file_pwrite(file, "hello", 5, 0), 5);
    CHECK_EQUAL(asyncio_file_pread(file, block, 8, 1), 4);
    CHECK_TEXT(block, "ello");
    CHECK_EQUAL(asyncio_file_write(file, "HE", 2), 2);
    CHECK_EQUAL(asyncio_file_read(file, block, 8), 3);
    CHECK(memcmp(block, "llo", 3) == 0);
    CHECK_EQUAL(asyncio_file_ftruncate(file, 3), 0);
    CHECK_EQUAL(asyncio_file_fsync(file), 0);
    CHECK_EQUAL(asyncio_file_close(file), 0);
    struct file_op op = {.code = FILE_PATH_STAT, .path = "folder/a", .status = &status};
    CHECK_EQUAL(asy_file_offload(NULL, &op), 0);
    CHECK_EQUAL(status.st_size, 3);
    CHECK_EQUAL(asyncio_rename("folder/a", "folder/b"), 0);
    CHECK_EQUAL(asyncio_unlink("folder/b"), 0);
    CHECK_EQUAL(asyncio_rmdir("folder"), 0);
    memory = MEMORY_REAL;
    return 0;
}

/* At each place a thread does what the ring did not, and the caller learns nothing of it. */
TEST(answers_that_are_not_for_callers)
{
    static const int answers[] = {-EAGAIN, -EINTR, -512, -ECANCELED};
    if (!can_plan_answers())
        skip();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        bool was_answered = true;
        for (uint32_t skip = 0; was_answered && skip < 100; skip++) {
            plan_answers(RING_PLAN_ANY_OP, skip, 1, answers[i]);
            CHECK_EQUAL(run(all_kinds), 0);
            was_answered = ring_plan.answered > 0;
            CHECK(was_answered || skip > 10);
        }
    }
    plan_answers(0, 0, 0, 0);
    harness_settle();
}

/* An error of the file system is told, once, and nothing is done again. */
ASYNC(meets_errors)
{
    char block[8];
    asyncio_file *file = open_file("errors", O_RDWR | O_CREAT);
    memory = MEMORY_NOTHING;
    plan_answers(IORING_OP_WRITE, 0, 1, -ENOSPC);
    CHECK_EQUAL(asyncio_file_pwrite(file, "a", 1, 0), -ENOSPC);
    CHECK_EQUAL(asyncio_file_pwrite(file, "a", 1, 0), 1);
    plan_answers(IORING_OP_READ, 0, 1, -EIO);
    CHECK_EQUAL(asyncio_file_pread(file, block, 1, 0), -EIO);
    CHECK_EQUAL(asyncio_file_pread(file, block, 1, 0), 1);
    plan_answers(IORING_OP_FSYNC, 0, 1, -EIO);
    CHECK_EQUAL(asyncio_file_fsync(file), -EIO);
    plan_answers(IORING_OP_OPENAT, 0, 1, -ELOOP);
    asyncio_file *other = NULL;
    CHECK_EQUAL(asyncio_file_open("new", O_RDWR | O_CREAT, 0600, &other), -ELOOP);
    CHECK(!other);
    memory = MEMORY_REAL;
    return asyncio_file_close(file);
}

TEST(errors_are_told)
{
    if (!can_plan_answers())
        skip();
    CHECK_EQUAL(run(meets_errors), 0);
    plan_answers(0, 0, 0, 0);
    harness_settle();
}

/* ---- Parts ----------------------------------------------------------------------------------- */

/* The kernel moves less than it was asked to: the rest follows, from where it stands. */
ASYNC_TEST(a_transfer_in_parts_is_whole)
{
    char text[] = "0123456789abcdefghij", block[32] = "";
    asyncio_file *file = open_file("parts", O_RDWR | O_CREAT | O_TRUNC);
    memory = MEMORY_NOTHING;
    ring_plan.bytes_at_most = 3;
    CHECK_EQUAL(asyncio_file_pwrite(file, text, 20, 5), 20);
    CHECK_EQUAL(asyncio_file_pread(file, block, 20, 5), 20);
    CHECK_TEXT(block, text);
    CHECK_EQUAL(asyncio_file_write(file, "01234", 5), 5);
    memset(block, 0, sizeof block);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_SET), 0);
    CHECK_EQUAL(asyncio_file_pread(file, block, 30, 0), 25);
    CHECK(memcmp(block, "012340123456789abcdefghij", 25) == 0);
    ring_plan.bytes_at_most = 0;
    memory = MEMORY_REAL;
    return asyncio_file_close(file);
}

/* The kernel gives up amid the parts, and nobody has asked it to: a thread does the rest. */
ASYNC(is_given_up_amid)
{
    char text[] = "0123456789", block[16] = "";
    asyncio_file *file = open_file("amid", O_RDWR | O_CREAT | O_TRUNC);
    memory = MEMORY_NOTHING;
    ring_plan.bytes_at_most = 3;
    plan_answers(IORING_OP_WRITE, 1, 1, -ECANCELED);
    CHECK_EQUAL(asyncio_file_pwrite(file, text, 10, 0), 10);
    CHECK_EQUAL(ring_plan.answered, 1);
    plan_answers(IORING_OP_READ, 1, 1, -ECANCELED);
    CHECK_EQUAL(asyncio_file_pread(file, block, 10, 0), 10);
    CHECK_EQUAL(ring_plan.answered, 1);
    CHECK_TEXT(block, text);
    ring_plan.bytes_at_most = 0;
    memory = MEMORY_REAL;
    return asyncio_file_close(file);
}

TEST(a_part_that_is_given_up_is_whole)
{
    if (!can_plan_answers())
        skip();
    CHECK_EQUAL(run(is_given_up_amid), 0);
    plan_answers(0, 0, 0, 0);
    harness_settle();
}

static int pipe_fds[2];
static char pipe_block[8];

ASYNC(reads_pipe, bool, is_partial, off_t, offset)
{
    struct file_op op = {.code = FILE_READ,
                         .fd = pipe_fds[0],
                         .offset = offset,
                         .buf = pipe_block,
                         .n = sizeof pipe_block,
                         .partial = is_partial};
    return asy_file_offload(NULL, &op);
}

static void let_it_begin(void)
{
    do
        asyncio_sleep(0.001);
    while (ring() && asy_completions_has_unsent(ring()));
}

/* Cancelled between two parts of what a pipe has: what was read is told, since it cannot be read again. One
 * that need not fill the buffer ends with the first part. */
ASYNC_TEST(a_part_that_is_cancelled_is_told)
{
    CHECK_EQUAL(pipe(pipe_fds), 0);
    asyncio_task *task = asyncio_create_task(reads_pipe(false, -1));
    let_it_begin();
    CHECK_EQUAL(write(pipe_fds[1], "one", 3), 3);
    let_it_begin();
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(ring()->under_way, 1);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), 3);
    CHECK_EQUAL(ring()->under_way, 0);
    task = asyncio_create_task(reads_pipe(false, 0)); /* at a place of a file it could be */
    let_it_begin();
    CHECK_EQUAL(write(pipe_fds[1], "one", 3), 3);
    let_it_begin();
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    task = asyncio_create_task(reads_pipe(true, -1));
    let_it_begin();
    CHECK_EQUAL(write(pipe_fds[1], "two", 3), 3);
    CHECK_EQUAL(asyncio_await(task), 3);
    CHECK(memcmp(pipe_block, "two", 3) == 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

/* The part is there, unseen, when the request comes: the rest is not waited for. */
ASYNC_TEST(a_request_amid_the_parts)
{
    CHECK_EQUAL(pipe(pipe_fds), 0);
    asyncio_task *task = asyncio_create_task(reads_pipe(false, -1));
    let_it_begin();
    CHECK_EQUAL(write(pipe_fds[1], "one", 3), 3);
    while (!asy_completions_has_any(ring()))
        CHECK_EQUAL(asy_completions_enter(ring(), 1000000), 0);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), 3);
    CHECK_EQUAL(ring()->under_way, 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

/* ---- Descriptors ------------------------------------------------------------------------------- */

ASYNC(opens_new)
{
    asyncio_file *file;
    int err = asyncio_file_open(".", O_WRONLY | O_TMPFILE, 0600, &file);
    return err ? err : asyncio_file_close(file);
}

/* A descriptor is there, unseen, when its caller is cancelled: the caller gets it, or it is closed. */
ASYNC_TEST(a_cancelled_open_leaves_no_descriptor)
{
    CHECK_EQUAL(asyncio_await(opens_new()), 0); /* the ring is there */
    CHECK(ring());
    int before = count_descriptors();
    for (int i = 0; i < 20; i++) {
        asyncio_task *task = asyncio_create_task(opens_new());
        asyncio_sleep(0);
        while (i % 2 && ring()->under_way && !asy_completions_has_any(ring()))
            CHECK_EQUAL(asy_completions_enter(ring(), 1000000), 0);
        asyncio_cancel(task);
        intptr_t err = asyncio_await(task);
        CHECK(err == -ECANCELED || err == 0);
        CHECK_EQUAL(ring()->under_way, 0);
        asyncio_sleep(0.001); /* a thread closes it */
        for (int looks = 0; looks < 10000 && count_descriptors() != before; looks++)
            asyncio_sleep(0.001);
        CHECK_EQUAL(count_descriptors(), before);
    }
    return 0;
}

ASYNC(leaves_a_descriptor)
{
    asyncio_release(asyncio_create_task(opens_new()));
    asyncio_sleep(0);
    while (!asy_completions_has_any(ring()))
        CHECK_EQUAL(asy_completions_enter(ring(), 1000000), 0);
    asyncio_loop_stop(asyncio_get_running_loop()); /* without another poll */
    return 0;
}

/* It is there, and the loop closes before its caller runs. */
TEST(a_loop_that_closes_leaves_no_descriptor)
{
    int before = count_descriptors();
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, opens_new()); /* the ring is there */
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    task = asyncio_loop_create_task(loop, leaves_a_descriptor());
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    CHECK_EQUAL(asyncio_result(task), 0);
    asyncio_release(task);
    CHECK_EQUAL(asy_completions_reap(loop->backend->files_ring, 10), 1);
    CHECK_EQUAL(loop->backend->files_ring->under_way, 0);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    for (int looks = 0; looks < 10000 && count_descriptors() != before; looks++)
        usleep(1000); /* a thread closes it */
    CHECK_EQUAL(count_descriptors(), before);
    harness_settle();
}

/* Where a program has closed its standard input, a file does not take its place. */
ASYNC_TEST(an_opened_file_is_no_standard_descriptor)
{
    CHECK_EQUAL(asyncio_await(opens_new()), 0); /* the ring is there */
    int input = dup(STDIN_FILENO);
    CHECK(input > 2);
    close(STDIN_FILENO);
    struct file_op op = {.code = FILE_OPEN, .path = ".", .flags = O_WRONLY | O_TMPFILE, .mode = 0600};
    uint64_t begun = ring()->begun;
    intptr_t fd = asy_file_offload(NULL, &op);
    CHECK_EQUAL(ring()->begun, begun + 1);
    CHECK(fd > 2);
    CHECK_EQUAL(fcntl((int)fd, F_GETFD), FD_CLOEXEC);
    close((int)fd);
    CHECK_EQUAL(dup2(input, STDIN_FILENO), STDIN_FILENO);
    close(input);
    return 0;
}

/* Nobody has the other end. */
ASYNC_TEST(a_fifo_is_not_waited_for)
{
    CHECK_EQUAL(mkfifo("fifo", 0600), 0);
    struct file_op op = {.code = FILE_OPEN, .path = "fifo", .flags = O_RDONLY | O_CREAT};
    intptr_t fd = asy_file_offload(NULL, &op);
    CHECK(fd > 2);
    close((int)fd);
    op = (struct file_op){.code = FILE_OPEN, .path = "fifo", .flags = O_WRONLY};
    CHECK_EQUAL(asy_file_offload(NULL, &op), -ENXIO);
    return asyncio_unlink("fifo");
}

/* ---- What is asked for ----------------------------------------------------------------------------- */

ASYNC_TEST(data_alone_is_synchronised)
{
    asyncio_file *file = open_file("synchronised", O_RDWR | O_CREAT);
    CHECK_EQUAL(asyncio_file_fdatasync(file), 0);
    CHECK_EQUAL(ring_plan.fsync_flags, IORING_FSYNC_DATASYNC);
    CHECK_EQUAL(asyncio_file_fsync(file), 0);
    CHECK_EQUAL(ring_plan.fsync_flags, 0);
    return asyncio_file_close(file);
}

/* While four calls are under way, no other one is tried at once. */
ASYNC_TEST(a_crowd_queues)
{
    char byte;
    asyncio_task *readers[4];
    asyncio_file *file = open_file("crowd", O_RDWR | O_CREAT);
    CHECK_EQUAL(asyncio_file_pwrite(file, "x", 1, 0), 1);
    CHECK_EQUAL(pipe(pipe_fds), 0);
    for (int count = 0; count <= 4; count++) {
        unsigned before = tries;
        uint64_t begun = ring()->begun;
        CHECK_EQUAL(asyncio_file_pread(file, &byte, 1, 0), 1);
        CHECK_EQUAL(tries != before, count < 4);
        CHECK_EQUAL(ring()->begun > begun, count == 4);
        if (count < 4)
            readers[count] = asyncio_create_task(reads_pipe(true, -1));
        let_it_begin();
    }
    close(pipe_fds[1]);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(asyncio_await(readers[i]), 0);
    close(pipe_fds[0]);
    return asyncio_file_close(file);
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = enter_folder,
                                                  .group_teardown = leave_folder};
    use_descriptors();
    setenv("ASYNCIO_FILES", "auto", 1);
    if (!strstr(asyncio_backend_why(), "io_uring carries out calls on files")) {
        fprintf(stderr, "skipped: %s\n", asyncio_backend_why());
        return 77;
    }
    return tests_run(&fixtures);
}
