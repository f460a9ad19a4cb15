/*
 * add_reader and add_writer: called each time a descriptor is ready,
 * level-triggered, until taken away.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void settle(void)
{
    for (int i = 0; i < 5; i++)
        asyncio_sleep(0.0002);
}

static void put(int fd, const char *text)
{
    CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
}

struct seen {
    asyncio_loop *loop;
    int fds[2];
    int calls;
    bool reads;   /* takes a byte each time */
    int then;     /* what it does at its last call: */
    int last;     /* its number */
    int other[2]; /* what it has opened */
};

enum { NOTHING, REMOVE, CLOSE, REPLACE, CLOSE_AND_REOPEN, REMOVE_AND_ADD };

static void count_call(void *arg)
{
    ++*(int *)arg;
}

static void on_readable(void *arg)
{
    struct seen *seen = arg;
    char c;
    seen->calls++;
    if (seen->reads)
        CHECK_EQUAL(read(seen->fds[0], &c, 1), 1);
    if (seen->calls < seen->last)
        return;
    switch (seen->then) {
    case REMOVE:
        CHECK(asyncio_loop_remove_reader(seen->loop, seen->fds[0]));
        CHECK(!asyncio_loop_remove_reader(seen->loop, seen->fds[0]));
        break;
    case CLOSE:
        CHECK_EQUAL(asyncio_close(seen->fds[0]), 0);
        break;
    case REPLACE:
        CHECK_EQUAL(asyncio_loop_add_reader(seen->loop, seen->fds[0], count_call, &seen->other[0]), 0);
        break;
    case REMOVE_AND_ADD:
        CHECK(asyncio_loop_remove_reader(seen->loop, seen->fds[0]));
        CHECK_EQUAL(asyncio_loop_add_reader(seen->loop, seen->fds[0], count_call, &seen->other[0]), 0);
        break;
    case CLOSE_AND_REOPEN:
        CHECK_EQUAL(asyncio_close(seen->fds[0]), 0);
        net_unix_pair(SOCK_STREAM, seen->other);
        CHECK_EQUAL(seen->other[0], seen->fds[0]);
        seen->then = NOTHING;
        CHECK_EQUAL(asyncio_loop_add_reader(seen->loop, seen->fds[0], on_readable, seen), 0);
        break;
    default:
        break;
    }
}

/* Has on_readable called for a fresh pair. */
static void begin(struct seen *seen)
{
    seen->loop = asyncio_get_running_loop();
    net_unix_pair(SOCK_STREAM, seen->fds);
    CHECK_EQUAL(asyncio_loop_add_reader(seen->loop, seen->fds[0], on_readable, seen), 0);
}

static void end(struct seen *seen)
{
    asyncio_close(seen->fds[0]);
    asyncio_close(seen->fds[1]);
    CHECK_EQUAL(net_registrations(-1), 0);
}

ASYNC_TEST(level)
{
    struct seen seen = {.reads = true, .last = 1000};
    begin(&seen);
    settle();
    CHECK_EQUAL(seen.calls, 0);
    put(seen.fds[1], "abc"); /* one event, three calls */
    settle();
    CHECK_EQUAL(seen.calls, 3);
    put(seen.fds[1], "d");
    settle();
    CHECK_EQUAL(seen.calls, 4);
    CHECK(net_is_blocking(seen.fds[0])); /* it is the program's */
    /* Bytes that are there when it is added. */
    CHECK(asyncio_loop_remove_reader(seen.loop, seen.fds[0]));
    CHECK_EQUAL(net_registrations(-1), 0);
    put(seen.fds[1], "e");
    settle();
    CHECK_EQUAL(seen.calls, 4);
    CHECK_EQUAL(asyncio_loop_add_reader(seen.loop, seen.fds[0], on_readable, &seen), 0);
    settle();
    CHECK_EQUAL(seen.calls, 5);
    end(&seen);
    return 0;
}

/* One that takes nothing is called in each iteration, and others have their turn. */
ASYNC_TEST(not_taken)
{
    struct seen seen = {.last = 20, .then = REMOVE};
    begin(&seen);
    put(seen.fds[1], "x");
    for (int i = 0; i < 10; i++)
        asyncio_sleep(0);
    settle();
    CHECK_EQUAL(seen.calls, 20);
    end(&seen);
    return 0;
}

ASYNC_TEST(within_itself)
{
    struct seen seen = {.reads = true, .last = 2, .then = REMOVE};
    begin(&seen);
    put(seen.fds[1], "abcd");
    settle();
    CHECK_EQUAL(seen.calls, 2);
    CHECK_EQUAL(net_registrations(-1), 0);
    end(&seen);

    seen = (struct seen){.reads = true, .last = 2, .then = CLOSE};
    begin(&seen);
    put(seen.fds[1], "abcd");
    settle();
    CHECK_EQUAL(seen.calls, 2);
    CHECK_EQUAL(net_registrations(-1), 0);
    asyncio_close(seen.fds[1]);

    for (int then = 0; then < 2; then++) {
        seen = (struct seen){.reads = true, .last = 2, .then = then ? REPLACE : REMOVE_AND_ADD};
        begin(&seen);
        put(seen.fds[1], "abcd");
        settle();
        CHECK_EQUAL(seen.calls, 2);
        CHECK(seen.other[0] > 2);
        end(&seen);
    }

    seen = (struct seen){.reads = true, .last = 1, .then = CLOSE_AND_REOPEN};
    begin(&seen);
    put(seen.fds[1], "abcd");
    settle();
    CHECK_EQUAL(seen.calls, 1);
    put(seen.other[1], "xy");
    settle();
    CHECK_EQUAL(seen.calls, 3);
    asyncio_close(seen.other[1]);
    end(&seen);
    return 0;
}

/* Taken away, or closed, after the event and before the call. */
ASYNC_TEST(queued)
{
    for (int close_it = 0; close_it < 2; close_it++) {
        struct seen seen = {.reads = true, .last = 1000};
        begin(&seen);
        put(seen.fds[1], "a");
        net_poll(seen.loop);
        if (close_it)
            asyncio_close(seen.fds[0]);
        else
            CHECK(asyncio_loop_remove_reader(seen.loop, seen.fds[0]));
        settle();
        CHECK_EQUAL(seen.calls, 0);
        end(&seen);
    }
    return 0;
}

static void on_writable(void *arg)
{
    struct seen *seen = arg;
    seen->other[0]++;
    if (net_fill(seen->fds[0]) == 0)
        seen->other[1]++;
}

ASYNC_TEST(both)
{
    struct seen seen = {.reads = true, .last = 1000};
    begin(&seen);
    CHECK_EQUAL(asyncio_loop_add_writer(seen.loop, seen.fds[0], on_writable, &seen), 0);
    settle();
    CHECK(seen.other[0] >= 1 && seen.other[0] < 5); /* not while it is full */
    CHECK_EQUAL(net_registrations(seen.fds[0]), 1);
    int before = seen.other[0];
    put(seen.fds[1], "ab");
    settle();
    CHECK_EQUAL(seen.calls, 2);
    CHECK_EQUAL(seen.other[0], before);
    net_drain(seen.fds[1]);
    settle();
    CHECK(seen.other[0] > before);
    CHECK(asyncio_loop_remove_reader(seen.loop, seen.fds[0]));
    put(seen.fds[1], "c");
    settle();
    CHECK_EQUAL(seen.calls, 2);
    CHECK(asyncio_loop_remove_writer(seen.loop, seen.fds[0]));
    CHECK(!asyncio_loop_remove_writer(seen.loop, seen.fds[0]));
    CHECK_EQUAL(net_registrations(-1), 0);
    /* The other side goes: both are told. */
    int calls[2] = {0};
    net_drain(seen.fds[0]);
    CHECK_EQUAL(asyncio_loop_add_reader(seen.loop, seen.fds[0], count_call, &calls[0]), 0);
    net_fill(seen.fds[0]);
    CHECK_EQUAL(asyncio_loop_add_writer(seen.loop, seen.fds[0], count_call, &calls[1]), 0);
    settle();
    CHECK_EQUAL(calls[0] + calls[1], 0);
    asyncio_close(seen.fds[1]);
    settle();
    CHECK(calls[0] > 0 && calls[1] > 0);
    asyncio_close(seen.fds[0]);
    return 0;
}

ASYNC_TEST(refused)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    char path[] = "/tmp/asyncio-reader-XXXXXX";
    int calls = 0, fd = mkstemp(path), fds[2];
    unlink(path);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, fd, count_call, &calls), -EPERM);
    CHECK_EQUAL(asyncio_loop_add_writer(loop, fd, count_call, &calls), -EPERM);
    close(fd);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, fd, count_call, &calls), -EBADF);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, -1, count_call, &calls), -EBADF);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, 1 << 30, count_call, &calls), -EBADF);
    fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, fd, count_call, &calls), -EPERM);
    close(fd);
    net_pipe(fds);
    CHECK_EQUAL(fds[0], fd); /* what was refused is forgotten */
    CHECK_EQUAL(asyncio_loop_add_reader(loop, fds[0], NULL, &calls), -EINVAL);
    CHECK_EQUAL(asyncio_loop_add_reader(NULL, fds[0], count_call, &calls), -EINVAL);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, fds[0], count_call, &calls), 0);
    put(fds[1], "x");
    settle();
    CHECK(calls > 0);
    CHECK(!asyncio_loop_remove_reader(loop, fds[1]));
    CHECK(!asyncio_loop_remove_reader(loop, -1));
    CHECK(!asyncio_loop_remove_reader(NULL, fds[0]));
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return 0;
}

/* A number that a foreign close has freed, after remove_reader. */
ASYNC_TEST(reused)
{
    for (int i = 0; i < 3; i++) {
        struct seen seen = {.reads = true, .last = 1000};
        begin(&seen);
        put(seen.fds[1], "a");
        settle();
        CHECK_EQUAL(seen.calls, 1);
        CHECK(asyncio_loop_remove_reader(seen.loop, seen.fds[0]));
        close(seen.fds[0]), close(seen.fds[1]);
    }
    return 0;
}

/* ---- With the waiting calls at the same descriptor ------------------------------------------ */

ASYNC(wait_events, int, fd, int, events)
{
    return asyncio_wait_fd(fd, events, 5);
}

ASYNC(read_one, int, fd)
{
    char c;
    return asyncio_read(fd, &c, 1);
}

ASYNC_TEST(with_waits)
{
    struct seen seen = {.last = 1, .then = REMOVE};
    begin(&seen);
    asyncio_task *looker = asyncio_create_task(wait_events(seen.fds[0], POLLIN));
    settle();
    CHECK_EQUAL(net_registrations(seen.fds[0]), 1);
    put(seen.fds[1], "a");
    CHECK_EQUAL(asyncio_await(looker), POLLIN);
    settle();
    CHECK_EQUAL(seen.calls, 1);
    CHECK_EQUAL(net_registrations(-1), 0);
    net_drain(seen.fds[0]);
    /* The callback goes while somebody waits; and the other way round. */
    int calls = 0;
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            CHECK_EQUAL(asyncio_loop_add_reader(seen.loop, seen.fds[0], count_call, &calls), 0);
        looker = asyncio_create_task(wait_events(seen.fds[0], POLLIN));
        settle();
        if (i == 1)
            CHECK_EQUAL(asyncio_loop_add_reader(seen.loop, seen.fds[0], count_call, &calls), 0);
        CHECK(asyncio_loop_remove_reader(seen.loop, seen.fds[0]));
        CHECK_EQUAL(net_registrations(seen.fds[0]), 1);
        put(seen.fds[1], "b");
        CHECK_EQUAL(asyncio_await(looker), POLLIN);
        CHECK_EQUAL(calls, 0);
        CHECK_EQUAL(net_registrations(-1), 0);
        net_drain(seen.fds[0]);
    }
    /* Who reads keeps it registered. */
    asyncio_task *reader = asyncio_create_task(read_one(seen.fds[0]));
    settle();
    CHECK_EQUAL(asyncio_loop_add_reader(seen.loop, seen.fds[0], count_call, &calls), 0);
    CHECK(asyncio_loop_remove_reader(seen.loop, seen.fds[0]));
    CHECK_EQUAL(net_registrations(seen.fds[0]), 1);
    put(seen.fds[1], "c");
    CHECK_EQUAL(asyncio_await(reader), 1);
    /* An end seen by the callback only is not missed by a later reader. */
    CHECK_EQUAL(asyncio_forget(seen.fds[0]), 0);
    CHECK_EQUAL(asyncio_loop_add_reader(seen.loop, seen.fds[0], count_call, &calls), 0);
    put(seen.fds[1], "d");
    shutdown(seen.fds[1], SHUT_WR);
    settle();
    CHECK(calls > 0);
    CHECK_EQUAL(asyncio_await(read_one(seen.fds[0])), 1);
    CHECK_EQUAL(asyncio_wait_for(read_one(seen.fds[0]), 2), 0);
    end(&seen);
    return 0;
}

/* ---- The loop ----------------------------------------------------------------------------------- */

static void stop_loop(void *arg)
{
    asyncio_loop_stop(arg);
}

TEST(loop_alone)
{
    int fds[2], calls = 0;
    struct ends {
        int before;
    } ends = {count_descriptors()};
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    net_pipe(fds);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, fds[0], stop_loop, loop), 0);
    put(fds[1], "x");
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0); /* it still is */
    /* Left there, and one queued, when the loop closes. */
    CHECK_EQUAL(asyncio_loop_add_writer(loop, fds[1], count_call, &calls), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, fds[0], count_call, &calls), ASYNCIO_ESTATE);
    CHECK(!asyncio_loop_remove_reader(loop, fds[0]));
    asyncio_loop_release(loop);
    CHECK_EQUAL(calls, 0);
    CHECK_EQUAL(report_count, 0);
    close(fds[0]), close(fds[1]);
    CHECK_EQUAL(count_descriptors(), ends.before);
    harness_settle();
}

/* Debug mode looks for deadlocks: to wait for a descriptor is none. */
static void write_late(void *arg)
{
    put(*(int *)arg, "x");
}

ASYNC_TEST(no_deadlock)
{
    struct seen seen = {.reads = true, .last = 1000};
    asyncio_loop_set_debug(asyncio_get_running_loop(), true);
    asyncio_loop_set_slow_callback_duration(asyncio_get_running_loop(), ASYNCIO_FOREVER);
    begin(&seen);
    asyncio_task *looker = asyncio_create_task(wait_events(seen.fds[1], POLLIN));
    settle();
    asyncio_loop_call_later(seen.loop, 0.002, write_late, &seen.fds[0]);
    CHECK_EQUAL(asyncio_await(looker), POLLIN);
    end(&seen);
    return 0;
}

ASYNC(main_sweep)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    int fds[2], calls = 0;
    net_pipe(fds);
    int err = asyncio_loop_add_reader(loop, fds[0], count_call, &calls);
    put(fds[1], "x");
    for (int i = 0; i < 3 && !err; i++)
        err = asyncio_sleep(0.0001);
    if (!err)
        CHECK(calls > 0);
    asyncio_loop_add_writer(loop, fds[1], count_call, &calls);
    asyncio_sleep(0);
    asyncio_loop_remove_reader(loop, fds[0]);
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return err;
}

TEST(failure_sweep)
{
    sweep_failures(main_sweep);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
