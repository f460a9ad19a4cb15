/*
 * Watches: level and edge, several on one descriptor, beside streams and waiting tasks; stopped, moved, freed
 * and closed in their own and in each other's functions; and system calls that none of them makes.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "fd/fd_table.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct eye {
    asyncio_watch watch;
    int fd, calls, nval;
    uint32_t last;
    size_t takes; /* bytes at each call */
    void (*also)(struct eye *self);
    struct eye *other;
};

static void see(asyncio_watch *watch, uint32_t events)
{
    struct eye *eye = (struct eye *)(void *)watch;
    char bytes[64];
    /* A transport that fn wakes must not take this for the poll, and call its protocol inside fn. */
    CHECK(!((struct fd_table *)asyncio_get_running_loop()->io)->is_taking_events);
    if (events == POLLNVAL) {
        eye->nval++;
        return;
    }
    eye->calls++;
    eye->last = events;
    if (eye->takes)
        CHECK(recv(eye->fd, bytes, eye->takes, MSG_DONTWAIT) > 0);
    if (eye->also)
        eye->also(eye);
}

static void init_eye(struct eye *eye, int fd)
{
    *eye = (struct eye){.fd = fd};
    asyncio_watch_init(&eye->watch, see);
}

static int open_eye(struct eye *eye, uint32_t events, int flags)
{
    return asyncio_watch_start(asyncio_get_running_loop(), &eye->watch, eye->fd, events, flags);
}

static void put(int fd, const char *text)
{
    CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
}

static void turns(int n)
{
    while (n--)
        asyncio_sleep(0.0001); /* each ends in a poll of its own */
}

/* Of a pair, with the second end to write to. */
static void close_pair(const int fds[2])
{
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    CHECK_EQUAL(net_registrations(-1), 0);
}

ASYNC_TEST(level_is_told_until_it_is_taken)
{
    struct eye eye;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    init_eye(&eye, fds[0]);
    eye.takes = 1;
    CHECK_EQUAL(open_eye(&eye, POLLIN, 0), 0);
    CHECK_EQUAL(open_eye(&eye, POLLIN, 0), ASYNCIO_ESTATE);
    CHECK(net_is_blocking(fds[0])); /* its flags are the program's */
    turns(3);
    CHECK_EQUAL(eye.calls, 0);
    put(fds[1], "abc");
    turns(6);
    CHECK_EQUAL(eye.calls, 3);
    CHECK_EQUAL(eye.last, POLLIN);
    CHECK(asyncio_watch_stop(&eye.watch));
    CHECK(!asyncio_watch_stop(&eye.watch));
    CHECK_EQUAL(net_registrations(-1), 0);
    put(fds[1], "d");
    turns(2);
    CHECK_EQUAL(eye.calls, 3);
    close_pair(fds);
    return 0;
}

ASYNC_TEST(edge_is_told_once_for_what_comes)
{
    struct eye eye;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    put(fds[1], "a"); /* there at the start */
    init_eye(&eye, fds[0]);
    CHECK_EQUAL(open_eye(&eye, POLLIN, ASYNCIO_WATCH_EDGE), 0);
    turns(3);
    CHECK_EQUAL(eye.calls, 1);
    put(fds[1], "b"); /* more of it */
    turns(3);
    CHECK_EQUAL(eye.calls, 2);
    CHECK_EQUAL(asyncio_watch_modify(&eye.watch, POLLIN | POLLOUT), 0); /* what is there, again */
    turns(3);
    CHECK_EQUAL(eye.calls, 3);
    CHECK_EQUAL(eye.last, POLLIN | POLLOUT);
    close(fds[1]);
    turns(3);
    CHECK_EQUAL(eye.calls, 4);
    CHECK(eye.last & POLLHUP); /* always told */
    asyncio_watch_stop(&eye.watch);
    CHECK_EQUAL(net_registrations(-1), 0);
    close(fds[0]);
    return 0;
}

/* Each as if it were alone. */
ASYNC_TEST(several_on_one_descriptor)
{
    struct eye level, edge, late, writer;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    init_eye(&level, fds[0]);
    init_eye(&edge, fds[0]);
    init_eye(&late, fds[0]);
    init_eye(&writer, fds[0]);
    CHECK_EQUAL(open_eye(&level, POLLIN, 0), 0);
    CHECK_EQUAL(open_eye(&edge, POLLIN, ASYNCIO_WATCH_EDGE), 0);
    put(fds[1], "a");
    turns(4);
    CHECK(level.calls >= 4);
    CHECK_EQUAL(edge.calls, 1);
    CHECK_EQUAL(open_eye(&late, POLLIN, ASYNCIO_WATCH_EDGE), 0);
    CHECK_EQUAL(open_eye(&writer, POLLOUT, ASYNCIO_WATCH_EDGE), 0);
    turns(4);
    CHECK_EQUAL(edge.calls, 1); /* the others' starts are nothing to it */
    CHECK_EQUAL(late.calls, 1);
    CHECK_EQUAL(writer.calls, 1);
    CHECK_EQUAL(net_drain(fds[0]), 1);
    turns(2);
    int before = level.calls;
    turns(3);
    CHECK_EQUAL(level.calls, before);
    put(fds[1], "b");
    turns(2);
    CHECK(level.calls > before);
    CHECK_EQUAL(edge.calls, 2);
    CHECK_EQUAL(late.calls, 2);
    /* The edges gone, the level one is alone again. */
    CHECK(asyncio_watch_stop(&edge.watch) && asyncio_watch_stop(&late.watch));
    CHECK(asyncio_watch_stop(&writer.watch));
    before = level.calls;
    turns(3);
    CHECK(level.calls >= before + 3);
    CHECK(asyncio_watch_stop(&level.watch));
    close_pair(fds);
    return 0;
}

ASYNC(reads_all, int, fd)
{
    char byte;
    intptr_t n, sum = 0;
    while ((n = asyncio_read(fd, &byte, 1)) > 0 && byte != '.')
        sum++;
    return n < 0 ? n : sum;
}

ASYNC_TEST(beside_a_task_that_reads)
{
    struct eye level;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    init_eye(&level, fds[0]);
    CHECK_EQUAL(open_eye(&level, POLLOUT, 0), 0);
    asyncio_task *task = asyncio_create_task(reads_all(fds[0]));
    turns(2);
    CHECK(level.calls > 0);
    CHECK_EQUAL(asyncio_watch_modify(&level.watch, POLLIN), 0);
    turns(2);
    int before = level.calls;
    for (int i = 0; i < 10; i++) {
        put(fds[1], "x");
        turns(1);
    }
    put(fds[1], ".");
    CHECK_EQUAL(asyncio_await(task), 10);
    CHECK(level.calls > before);
    turns(2);
    before = level.calls;
    turns(3);
    CHECK_EQUAL(level.calls, before);
    CHECK(asyncio_watch_stop(&level.watch));
    close_pair(fds);
    return 0;
}

/* ---- In functions ------------------------------------------------------------------------- */

static void stop_and_free_other(struct eye *self)
{
    if (!self->other)
        return;
    CHECK(asyncio_watch_stop(&self->other->watch));
    free(self->other);
    self->other = NULL;
}

static void stop_and_free_self(struct eye *self)
{
    CHECK(asyncio_watch_stop(&self->watch));
    free(self);
}

static void close_fd(struct eye *self)
{
    asyncio_close(self->fd);
}

static int late_calls;

static void count_late(asyncio_watch *watch, uint32_t events)
{
    (void)watch;
    late_calls += events != POLLNVAL;
}

static asyncio_watch late_watch;

/* One that is started for an event that was fetched before hears nothing of it. */
static void drain_and_start_late(struct eye *self)
{
    net_drain(self->other->fd);
    asyncio_watch_init(&late_watch, count_late);
    CHECK_EQUAL(asyncio_watch_start(asyncio_get_running_loop(), &late_watch, self->other->fd, POLLIN, 0), 0);
    self->also = self->other->also = NULL;
}

ASYNC_TEST(stopped_and_freed_in_functions)
{
    for (int flags = 0; flags < 2; flags++) {
        int fds[2];
        net_unix_pair(SOCK_STREAM, fds);
        struct eye *a = malloc(sizeof *a), *b = malloc(sizeof *b), *c = malloc(sizeof *c);
        init_eye(a, fds[0]);
        init_eye(b, fds[0]);
        init_eye(c, fds[0]);
        a->also = stop_and_free_other;
        a->other = b;
        c->also = stop_and_free_self;
        CHECK_EQUAL(open_eye(a, POLLIN, flags), 0);
        CHECK_EQUAL(open_eye(b, POLLIN, flags), 0);
        CHECK_EQUAL(open_eye(c, POLLIN, flags), 0);
        put(fds[1], "x");
        turns(2);
        CHECK(a->calls >= 1);
        CHECK_EQUAL(net_registrations(-1), 1);
        CHECK(asyncio_watch_stop(&a->watch));
        free(a);
        close_pair(fds);
    }
    return 0;
}

ASYNC_TEST(closed_in_a_function_tells_all_once)
{
    for (int flags = 0; flags < 2; flags++) {
        int fds[2];
        struct eye eyes[3];
        net_unix_pair(SOCK_STREAM, fds);
        for (int i = 0; i < 3; i++) {
            init_eye(&eyes[i], fds[0]);
            CHECK_EQUAL(open_eye(&eyes[i], POLLIN, flags), 0);
        }
        eyes[1].also = close_fd;
        turns(1); /* looks at what is there are over */
        put(fds[1], "x");
        turns(3);
        CHECK_EQUAL(eyes[0].calls, 1);
        CHECK_EQUAL(eyes[1].calls, 1);
        CHECK_EQUAL(eyes[2].calls, 0);
        for (int i = 0; i < 3; i++) {
            CHECK_EQUAL(eyes[i].nval, 1);
            CHECK(!asyncio_watch_stop(&eyes[i].watch));
        }
        /* The number is used anew: they are idle, and can be started. */
        int again[2];
        close(fds[1]);
        net_unix_pair(SOCK_STREAM, again);
        CHECK_EQUAL(again[0], fds[0]);
        CHECK_EQUAL(open_eye(&eyes[2], POLLIN, flags), 0);
        put(again[1], "y");
        turns(1);
        CHECK(eyes[2].calls > 0);
        asyncio_forget(again[0]);
        CHECK_EQUAL(eyes[2].nval, 1); /* later */
        CHECK_EQUAL(asyncio_watch_modify(&eyes[2].watch, POLLIN), -EBADF);
        CHECK(asyncio_watch_stop(&eyes[2].watch)); /* and it does not come */
        turns(2);
        CHECK_EQUAL(eyes[2].nval, 1);
        close_pair(again);
    }
    return 0;
}

static int another[2];

static void close_another(struct eye *self)
{
    asyncio_close(another[0]);
    close(another[1]);
    self->also = NULL;
}

/* The others on this descriptor are still told of the event, which would not come again. */
ASYNC_TEST(another_descriptor_is_closed_in_a_function)
{
    struct eye eyes[3], far;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    net_unix_pair(SOCK_STREAM, another);
    init_eye(&far, another[0]);
    CHECK_EQUAL(open_eye(&far, POLLIN, 0), 0);
    for (int i = 0; i < 3; i++) {
        init_eye(&eyes[i], fds[0]);
        CHECK_EQUAL(open_eye(&eyes[i], POLLIN, ASYNCIO_WATCH_EDGE), 0);
    }
    turns(1); /* looks at what is there are over */
    eyes[0].also = close_another;
    put(fds[1], "x");
    turns(3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(eyes[i].calls, 1);
        CHECK(asyncio_watch_stop(&eyes[i].watch));
    }
    CHECK_EQUAL(far.nval, 1);
    close_pair(fds);
    return 0;
}

ASYNC_TEST(stale_events_are_dropped)
{
    int first[2], second[2];
    struct eye a, b;
    net_unix_pair(SOCK_STREAM, first);
    net_unix_pair(SOCK_STREAM, second);
    init_eye(&a, first[0]);
    init_eye(&b, second[0]);
    a.also = b.also = drain_and_start_late; /* whichever is told first */
    a.other = &b;
    b.other = &a;
    CHECK_EQUAL(open_eye(&a, POLLIN, ASYNCIO_WATCH_EDGE), 0);
    CHECK_EQUAL(open_eye(&b, POLLIN, ASYNCIO_WATCH_EDGE), 0);
    turns(1);
    late_calls = 0;
    a.takes = b.takes = 0;
    put(first[1], "x");
    put(second[1], "y");
    net_poll(asyncio_get_running_loop());
    CHECK(a.calls == 1 && b.calls == 1); /* both were fetched at once */
    CHECK_EQUAL(late_calls, 0);
    CHECK(asyncio_watch_stop(&late_watch));
    CHECK(asyncio_watch_stop(&a.watch) && asyncio_watch_stop(&b.watch));
    close_pair(first);
    close_pair(second);
    return 0;
}

/* ---- Refused, failing, closed ------------------------------------------------------------------ */

ASYNC_TEST(refused)
{
    struct eye eye;
    asyncio_loop *loop = asyncio_get_running_loop();
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    init_eye(&eye, fds[0]);
    CHECK_EQUAL(asyncio_watch_start(NULL, &eye.watch, fds[0], POLLIN, 0), -EINVAL);
    CHECK_EQUAL(asyncio_watch_start(loop, NULL, fds[0], POLLIN, 0), -EINVAL);
    CHECK_EQUAL(asyncio_watch_start(loop, &eye.watch, fds[0], POLLIN, 2), -EINVAL);
    CHECK_EQUAL(asyncio_watch_start(loop, &eye.watch, fds[0], 0x80000000, 0), -EINVAL);
    CHECK_EQUAL(asyncio_watch_start(loop, &eye.watch, -1, POLLIN, 0), -EBADF);
    CHECK_EQUAL(asyncio_watch_start(loop, &eye.watch, 1000000, POLLIN, 0), -EBADF);
    for (int flags = 0; flags < 2; flags++)
        CHECK_EQUAL(asyncio_watch_start(loop, &eye.watch, file, POLLIN, flags), -EPERM);
    CHECK_EQUAL(asyncio_watch_modify(&eye.watch, POLLIN), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_watch_modify(NULL, POLLIN), -EINVAL);
    CHECK(!asyncio_watch_stop(NULL));
    CHECK(!asyncio_watch_stop(&eye.watch));
    asyncio_close(file);
    close_pair(fds);
    return 0;
}

ASYNC(watches_in_vain)
{
    struct eye eyes[3];
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    put(fds[1], "x");
    for (int i = 0; i < 3; i++) {
        init_eye(&eyes[i], fds[0]);
        if (open_eye(&eyes[i], POLLIN, i & 1) == 0)
            asyncio_watch_modify(&eyes[i].watch, POLLIN | POLLOUT);
    }
    asyncio_sleep(0.0001);
    for (int i = 0; i < 3; i++)
        asyncio_watch_stop(&eyes[i].watch);
    asyncio_close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(each_failure_leaves_nothing)
{
    sweep_failures(watches_in_vain);
    harness_settle();
}

static int drained_watches;

static void drain(asyncio_call *call, asyncio_timer *timer, asyncio_watch *watch, void *arg)
{
    CHECK(!call && !timer && watch && !arg);
    CHECK(!asyncio_watch_stop(watch));
    drained_watches++;
    free(watch);
}

TEST(a_closing_loop_gives_watches_back)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    int fds[2];
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    drained_watches = 0;
    CHECK_EQUAL(asyncio_loop_set_drain(loop, drain, NULL), 0);
    for (int i = 0; i < 6; i++) {
        struct eye *eye = malloc(sizeof *eye);
        init_eye(eye, fds[i & 1]);
        CHECK_EQUAL(asyncio_watch_start(loop, &eye->watch, eye->fd, POLLIN | POLLOUT, i / 2 & 1), 0);
    }
    CHECK_EQUAL(asyncio_loop_add_reader(loop, fds[0], (asyncio_callback)free, NULL), 0);
    CHECK_EQUAL(asyncio_forget(fds[1]), 0); /* those are waiting to be told */
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    CHECK_EQUAL(drained_watches, 6);
    asyncio_loop_release(loop);
    close(fds[0]);
    close(fds[1]);
    harness_settle();
}

/* ---- While the loop spins ------------------------------------------------------------------------- */

static asyncio_timer stopping_timer;

static void stop_loop(asyncio_timer *timer)
{
    (void)timer;
    asyncio_loop_stop(asyncio_get_running_loop());
}

static void stop_at_once(struct eye *self)
{
    asyncio_watch_stop(&self->watch);
    stop_loop(NULL);
}

static void stop_by_timer(struct eye *self)
{
    asyncio_watch_stop(&self->watch);
    asyncio_timer_init(&stopping_timer, stop_loop);
    CHECK_EQUAL(asyncio_timer_start(asyncio_get_running_loop(), &stopping_timer, 0), 0);
}

/* A loop that looks for other threads' calls before it sleeps goes by what the function does. */
TEST(a_function_ends_a_spin)
{
    void (*const ways[])(struct eye *) = {stop_at_once, stop_by_timer};
    const int64_t s = 1000000000;
    for (int i = 0; i < 2; i++) {
        asyncio_loop *loop = asyncio_loop_new(NULL);
        struct eye eye;
        int fds[2];
        CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        put(fds[1], "x");
        init_eye(&eye, fds[0]);
        eye.also = ways[i];
        loop->spin_ns = 60 * s;
        CHECK_EQUAL(asyncio_watch_start(loop, &eye.watch, fds[0], POLLIN, 0), 0);
        int64_t began_ns = asyncio_loop_time_ns(loop);
        CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
        CHECK(asyncio_loop_time_ns(loop) - began_ns < 30 * s);
        CHECK_EQUAL(asyncio_loop_close(loop), 0);
        asyncio_loop_release(loop);
        close(fds[0]);
        close(fds[1]);
    }
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
