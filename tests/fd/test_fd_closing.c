/*
 * Descriptors: what is left when somebody closes one.
 */
#include "fd/fd_test.h"

/* ---- Closing --------------------------------------------------------------------------------- */

static void check_closed(int (*end)(int), bool granted)
{
    int fds[2];
    char text[4][8];
    net_unix_pair(SOCK_STREAM, fds);
    net_fill(fds[0]);
    asyncio_task *tasks[] = {
        asyncio_create_task(read_text(fds[0], text[0], 2)),
        asyncio_create_task(read_text(fds[0], text[1], 2)),
        asyncio_create_task(wait_events(fds[0], POLLIN, 5)),
        asyncio_create_task(fill_pipe(fds[0], 10)),
    };
    settle();
    if (granted) {
        asyncio_loop *loop = asyncio_get_running_loop();
        put(fds[1], "x");
        net_poll(loop);
    }
    CHECK_EQUAL(end(fds[0]), 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    int other[2];
    if (end == asyncio_close) {
        /* Another file gets the number before they run. */
        net_pipe(other);
        CHECK_EQUAL(other[0], fds[0]);
        put(other[1], "y");
    }
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), -EBADF);
    CHECK_EQUAL(timers(), 0);
    if (end == asyncio_close) {
        CHECK_EQUAL(asyncio_read(other[0], text[0], 2), 1);
        asyncio_close(other[0]);
        asyncio_close(other[1]);
    } else {
        CHECK_EQUAL(asyncio_forget(fds[0]), 0);
        close(fds[0]);
    }
    asyncio_close(fds[1]);
}

ASYNC_TEST(closed)
{
    check_closed(asyncio_close, false);
    check_closed(asyncio_close, true);
    check_closed(asyncio_forget, false);
    check_closed(asyncio_forget, true);
    return 0;
}

/* A task that yields for fairness does not come back to another file with the number. */
ASYNC(spend_and_use, int, fd, int, way)
{
    char c;
    asyncio_get_running_loop()->budget = 1;
    return way == 0   ? asyncio_read(fd, &c, 1)
           : way == 1 ? asyncio_wait_readable(fd, 1)
                      : asyncio_write(fd, "z", 1);
}

ASYNC_TEST(closed_in_budget)
{
    for (int way = 0; way < 3; way++) {
        int fds[2], other[2];
        char text[8];
        net_unix_pair(SOCK_STREAM, fds);
        asyncio_task *task = asyncio_create_task(spend_and_use(fds[0], way));
        asyncio_sleep(0);
        CHECK(!asyncio_done(task));
        asyncio_close(fds[0]);
        net_unix_pair(SOCK_STREAM, other);
        CHECK_EQUAL(other[0], fds[0]);
        put(other[1], "y");
        CHECK_EQUAL(asyncio_await(task), -EBADF);
        CHECK_EQUAL(asyncio_read(other[0], text, sizeof text), 1);
        CHECK_EQUAL(asyncio_wait_readable(other[1], 0), -ETIMEDOUT);
        asyncio_close(other[0]);
        asyncio_close(other[1]);
        asyncio_close(fds[1]);
    }
    return 0;
}

/* The old file lives on behind another number; its events are nobody's, and make no work. */
ASYNC_TEST(dup)
{
    int fds[2], other[2];
    char text[8];
    net_unix_pair(SOCK_STREAM, fds);
    asyncio_task *task = asyncio_create_task(read_text(fds[0], text, sizeof text));
    settle();
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    int copy = dup(fds[0]);
    close(fds[0]); /* by somebody who does not know better */
    net_unix_pair(SOCK_STREAM, other);
    CHECK_EQUAL(other[0], fds[0]);
    CHECK_EQUAL(asyncio_forget(other[0]), 0);
    task = asyncio_create_task(read_text(other[0], text, sizeof text));
    settle();
    uint64_t steps = task->steps;
    put(fds[1], "stale");
    CHECK_EQUAL(asyncio_wait_readable(copy, 1), 0);
    settle();
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(task->steps, steps);
    /* Asleep, the loop stays asleep. */
    uint64_t turns = asyncio_get_running_loop()->steps;
    asyncio_sleep(0.01);
    CHECK(asyncio_get_running_loop()->steps - turns < 5);
    put(other[1], "fresh");
    CHECK_EQUAL(asyncio_await(task), 5);
    CHECK_TEXT(text, "fresh");
    asyncio_close(copy);
    asyncio_close(fds[1]);
    asyncio_close(other[0]);
    asyncio_close(other[1]);
    return 0;
}

/* Foreign code closes what it asked about, and gets the number again. */
ASYNC_TEST(foreign_close)
{
    for (int i = 0; i < 3; i++) {
        int fds[2];
        net_unix_pair(SOCK_STREAM, fds);
        asyncio_task *task = asyncio_create_task(wait_events(fds[0], POLLIN, 5));
        settle();
        CHECK_EQUAL(net_registrations(fds[0]), 1);
        if (i == 1)
            shutdown(fds[1], SHUT_WR);
        else
            put(fds[1], "x");
        CHECK_EQUAL(asyncio_await(task), POLLIN);
        CHECK_EQUAL(net_registrations(-1), 0);
        close(fds[0]), close(fds[1]);
    }
    return 0;
}

/* A loop that runs again: what was closed between the runs is not taken for the same file. */
ASYNC(first_run, int, fd)
{
    char text[4];
    asyncio_task *task = asyncio_create_task(read_text(fd, text, sizeof text));
    settle();
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    return 0;
}

ASYNC(second_run, int, fd, int, other)
{
    char text[4];
    asyncio_task *task = asyncio_create_task(read_text(fd, text, sizeof text));
    settle();
    CHECK(!asyncio_done(task));
    CHECK(!net_is_blocking(fd));
    put(other, "ab");
    CHECK_EQUAL(asyncio_await(task), 2);
    return 0;
}

TEST(closed_between_runs)
{
    int fds[2], again[2];
    asyncio_runner runner;
    net_pipe(fds);
    assert_int_equal(asyncio_runner_init(&runner, NULL), 0);
    assert_int_equal(asyncio_runner_run(&runner, first_run(fds[0])), 0);
    assert_int_equal(asyncio_close(fds[0]), 0);
    close(fds[1]);
    net_pipe(again);
    assert_int_equal(again[0], fds[0]);
    assert_int_equal(asyncio_runner_run(&runner, second_run(again[0], again[1])), 0);
    assert_int_equal(asyncio_runner_close(&runner), 0);
    close(again[0]), close(again[1]);
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
