/*
 * Rings: their queues, what a failed call of the kernel leaves behind, and a kernel that denies them.
 */
#include "child.h"
#include "support/test.h"
#include "sys/ring.h"
#include "sys/sys.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const enum asy_ring_manner manners[] = {RING_COOPERATES, RING_DEFERS};
#define EACH_MANNER(i) for (size_t i = 0; i < sizeof manners / sizeof manners[0]; i++)

/* Where the kernel or a container denies rings, their tests say so and stop. */
static void open_ring(struct asy_ring *ring, enum asy_ring_manner manner, unsigned entries)
{
    int err = asy_ring_open(ring, manner, entries, 2 * entries);
    if (err == -EPERM || err == -ENOSYS) {
        print_message("skipped: io_uring is denied (%s)\n", strerror(-err));
        skip();
    }
    assert_int_equal(err, 0);
}

static int count_files(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void put_nop(struct asy_ring *ring, uint64_t name)
{
    struct io_uring_sqe *sqe = asy_ring_next(ring);
    assert_non_null(sqe);
    sqe->opcode = IORING_OP_NOP;
    sqe->user_data = name;
}

TEST(entries_come_back_in_order)
{
    EACH_MANNER(m)
    {
        struct asy_ring ring;
        open_ring(&ring, manners[m], 4);
        for (uint64_t round = 0; round < 10; round++) {
            for (uint64_t i = 0; i < 4; i++)
                put_nop(&ring, round * 4 + i);
            assert_null(asy_ring_next(&ring));
            assert_int_equal(asy_ring_queued(&ring), 4);
            assert_int_equal(asy_ring_queued_at(&ring, 3)->user_data, round * 4 + 3);
            assert_int_equal(asy_ring_enter(&ring, 4, -1), 0);
            assert_int_equal(asy_ring_queued(&ring), 0);
            struct io_uring_cqe cqe;
            for (uint64_t i = 0; i < 4; i++) {
                assert_true(asy_ring_take(&ring, &cqe));
                assert_int_equal(cqe.user_data, round * 4 + i);
                assert_int_equal(cqe.res, 0);
            }
            assert_false(asy_ring_take(&ring, &cqe));
        }
        asy_ring_close(&ring);
        asy_ring_close(&ring);
    }
}

TEST(what_is_taken_back_is_never_seen)
{
    struct asy_ring ring;
    struct io_uring_cqe cqe;
    open_ring(&ring, RING_COOPERATES, 4);
    put_nop(&ring, 1);
    put_nop(&ring, 2);
    asy_ring_forget_queued(&ring);
    assert_int_equal(asy_ring_queued(&ring), 0);
    put_nop(&ring, 3);
    assert_int_equal(asy_ring_enter(&ring, 0, 0), 0);
    assert_true(asy_ring_take(&ring, &cqe));
    assert_int_equal(cqe.user_data, 3);
    assert_false(asy_ring_has_any(&ring));
    asy_ring_close(&ring);
}

TEST(a_wait_ends_in_time)
{
    EACH_MANNER(m)
    {
        struct asy_ring ring;
        open_ring(&ring, manners[m], 4);
        int64_t begun_ns = asy_sys_now_ns();
        assert_int_equal(asy_ring_enter(&ring, 1, 2000000), 0);
        assert_true(asy_sys_now_ns() - begun_ns >= 2000000);
        assert_false(asy_ring_has_any(&ring));
        asy_ring_close(&ring);
    }
}

/* More completions than the queue has room for: none is lost. */
TEST(an_overflow_loses_nothing)
{
    struct asy_ring ring;
    struct io_uring_cqe cqe;
    open_ring(&ring, RING_COOPERATES, 4);
    uint64_t put = 0, taken = 0;
    while (put < 100) {
        while (put < 100 && asy_ring_queued(&ring) < 4)
            put_nop(&ring, ++put);
        int err = asy_ring_enter(&ring, 0, 0);
        assert_true(err == 0 || err == -EBUSY);
        if (err == -EBUSY)
            while (asy_ring_take(&ring, &cqe))
                assert_int_equal(cqe.user_data, ++taken);
    }
    while (taken < put) {
        assert_true(asy_ring_has_any(&ring) || asy_ring_is_due(&ring) || asy_ring_queued(&ring));
        asy_ring_enter(&ring, 0, 0);
        while (asy_ring_take(&ring, &cqe))
            assert_int_equal(cqe.user_data, ++taken);
    }
    asy_ring_close(&ring);
}

TEST(each_failure_leaves_nothing_behind)
{
    struct asy_ring ring;
    open_ring(&ring, RING_COOPERATES, 4);
    asy_ring_close(&ring);
    int files = count_files("/proc/self/fd");
    EACH_MANNER(m)
    {
        uint64_t nth = 0;
        bool has_failed;
        do {
            asy_fault_arm(++nth, false);
            int err = asy_ring_open(&ring, manners[m], 4, 8);
            asy_fault_disarm();
            has_failed = asy_fault.failed != NULL;
            assert_int_equal(err < 0, has_failed);
            if (!err)
                asy_ring_close(&ring);
            assert_int_equal(count_files("/proc/self/fd"), files);
        } while (has_failed);
        assert_true(nth > 3);
    }
}

TEST(calls_fail_when_a_test_says_so)
{
    struct asy_ring ring;
    open_ring(&ring, RING_COOPERATES, 4);
    put_nop(&ring, 1);
    asy_fault_arm(1, false);
    assert_int_equal(asy_ring_enter(&ring, 1, -1), -EAGAIN);
    assert_string_equal(asy_fault.failed, "ring_enter");
    asy_fault_arm(1, false);
    assert_int_equal(asy_ring_register(&ring, IORING_REGISTER_PROBE, NULL, 0), -ENOMEM);
    asy_fault_disarm();
    assert_int_equal(asy_ring_queued(&ring), 1);
    assert_int_equal(asy_ring_enter(&ring, 1, -1), 0);
    assert_true(asy_ring_has_any(&ring));
    asy_ring_close(&ring);
}

TEST_MAIN()
