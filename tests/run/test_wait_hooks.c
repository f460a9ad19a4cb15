/*
 * The program's functions around a wait that may block: when they are called, and what an error of the second
 * one does to a run.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "support/test.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    int before, after, open;
    int verdict; /* what `after` says, */
    int times;   /* so often */
    int write_to;
    asyncio_loop *post_to;
    asyncio_call *post;
} hooks;

static void *post_from_elsewhere(void *arg)
{
    (void)arg;
    assert_int_equal(asyncio_loop_post(hooks.post_to, hooks.post), 0);
    return NULL;
}

static void before(void *arg)
{
    assert_ptr_equal(arg, &hooks);
    assert_int_equal(hooks.open++, 0);
    hooks.before++;
    if (hooks.write_to >= 0)
        assert_int_equal(write(hooks.write_to, "x", 1), 1);
    hooks.write_to = -1;
    if (hooks.post) { /* a post that comes in this moment ends the wait that is about to begin */
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, post_from_elsewhere, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        hooks.post = NULL;
    }
}

static int after(void *arg)
{
    assert_ptr_equal(arg, &hooks);
    assert_int_equal(--hooks.open, 0);
    hooks.after++;
    if (hooks.times <= 0)
        return 1; /* of no meaning */
    hooks.times--;
    return hooks.verdict;
}

static void set_hooks(asyncio_loop *loop, int verdict, int times)
{
    hooks = (__typeof__(hooks)){.verdict = verdict, .times = times, .write_to = -1};
    assert_int_equal(asyncio_loop_set_wait_hooks(loop, before, after, &hooks), 0);
}

static void close_loop(asyncio_loop *loop)
{
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

/* ---- When ---------------------------------------------------------------------------------- */

ASYNC(yields_then_sleeps)
{
    set_hooks(asyncio_get_running_loop(), 0, 0);
    for (int i = 0; i < 1000; i++)
        asyncio_sleep(0);
    if (hooks.before)
        return 1;
    int err = asyncio_sleep(0.001);
    if (err || !hooks.before || hooks.before != hooks.after)
        return 2;
    asyncio_loop_set_wait_hooks(asyncio_get_running_loop(), NULL, NULL, NULL);
    int calls = hooks.before;
    asyncio_sleep(0.001);
    return hooks.before == calls ? 0 : 3;
}

TEST(called_around_waits_that_may_block_and_no_others)
{
    assert_int_equal(asyncio_run(yields_then_sleeps()), 0);
}

ASYNC(sleeps_virtually)
{
    set_hooks(asyncio_get_running_loop(), -EINTR, 1);
    return asyncio_sleep(1);
}

TEST(not_called_under_a_virtual_clock_nor_for_a_poll)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    assert_int_equal(asyncio_run_with(sleeps_virtually(), &options), 0);
    assert_int_equal(hooks.before, 0);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    set_hooks(loop, -EINTR, 1);
    assert_int_equal(asyncio_loop_run_once(loop, 0), 0);
    assert_int_equal(asyncio_loop_run_once(loop, -1), 0);
    assert_int_equal(hooks.before, 0);
    assert_int_equal(asyncio_loop_run_once(loop, 0.0001), -EINTR);
    assert_int_equal(hooks.before, 1);
    close_loop(loop);
}

static void stop_loop(asyncio_call *call)
{
    (void)call;
    asyncio_loop_stop(asyncio_get_running_loop());
}

TEST(a_post_that_comes_after_the_first_hook_ends_the_wait)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_call call;
    asyncio_call_init(&call, stop_loop);
    set_hooks(loop, 0, 0);
    hooks.post_to = loop;
    hooks.post = &call;
    assert_int_equal(asyncio_loop_run_forever(loop), 0); /* else it waits for ever */
    assert_int_equal(hooks.before, 1);
    close_loop(loop);
}

/* What the second function does to its loop. */
static struct {
    asyncio_call call, post;
    asyncio_timer timer;
    asyncio_watch watch, stopped;
    int fd, calls, rings, events, verdict;
} acts;

static void count_acted_call(asyncio_call *call)
{
    (void)call;
    if (++acts.calls == 2)
        asyncio_loop_stop(asyncio_get_running_loop());
}

static void count_acted_ring(asyncio_timer *timer)
{
    (void)timer;
    acts.rings++;
}

static void count_acted_event(asyncio_watch *watch, uint32_t events)
{
    (void)events;
    acts.events++;
    asyncio_watch_stop(watch);
}

/* The watch that it stops has an event already, which the wait brought. */
static int act_after(void *arg)
{
    asyncio_loop *loop = arg;
    if (acts.calls || !asyncio_loop_call(loop, &acts.call))
        return 0;
    assert_int_equal(asyncio_loop_post(loop, &acts.post), 0);
    assert_int_equal(asyncio_timer_start(loop, &acts.timer, 0), 0);
    assert_true(asyncio_watch_stop(&acts.stopped));
    assert_int_equal(asyncio_watch_start(loop, &acts.watch, acts.fd, POLLIN, 0), 0);
    return acts.verdict;
}

static void act_in_a_wait(int verdict)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    acts = (__typeof__(acts)){.fd = fds[0], .verdict = verdict};
    asyncio_call_init(&acts.call, count_acted_call);
    asyncio_call_init(&acts.post, count_acted_call);
    asyncio_timer_init(&acts.timer, count_acted_ring);
    asyncio_watch_init(&acts.watch, count_acted_event);
    asyncio_watch_init(&acts.stopped, count_acted_event);
    assert_int_equal(asyncio_watch_start(loop, &acts.stopped, fds[0], POLLIN, 0), 0);
    assert_int_equal(asyncio_loop_set_wait_hooks(loop, NULL, act_after, loop), 0);
    int err = asyncio_loop_run_forever(loop);
    assert_int_equal(err, verdict);
    assert_int_equal(acts.calls, verdict ? 0 : 2);
    if (err)
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_int_equal(asyncio_loop_run_once(loop, 0), 0);
    assert_int_equal(acts.calls, 2);
    assert_int_equal(acts.rings, 1);
    assert_int_equal(acts.events, 1); /* of the later watch alone */
    close_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

TEST(the_second_hook_may_call_its_loop)
{
    act_in_a_wait(0);
    act_in_a_wait(-EINTR);
}

TEST(one_hook_alone_and_wrong_arguments)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    assert_int_equal(asyncio_loop_set_wait_hooks(NULL, before, after, NULL), -EINVAL);
    set_hooks(loop, -EINTR, 1);
    assert_int_equal(asyncio_loop_set_wait_hooks(loop, before, NULL, &hooks), 0);
    assert_int_equal(asyncio_loop_run_once(loop, 0.0001), 0);
    assert_int_equal(hooks.before, 1);
    hooks.open = 1;
    assert_int_equal(asyncio_loop_set_wait_hooks(loop, NULL, after, &hooks), 0);
    assert_int_equal(asyncio_loop_run_once(loop, 0.0001), -EINTR);
    assert_int_equal(hooks.before, 1);
    asyncio_loop_ref(loop);
    close_loop(loop);
    assert_int_equal(asyncio_loop_set_wait_hooks(loop, before, after, &hooks), ASYNCIO_ESTATE);
    asyncio_loop_release(loop);
}

/* Ends waits that would last. */
static asyncio_timer ticker;

static void tick(asyncio_timer *timer)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_timer_start(loop, timer, asyncio_loop_time_ns(loop) + 200000);
}

static void start_ticker(asyncio_loop *loop)
{
    asyncio_timer_stop(&ticker); /* all zero is idle, too */
    asyncio_timer_init(&ticker, tick);
    assert_int_equal(asyncio_timer_start(loop, &ticker, asyncio_loop_time_ns(loop) + 200000), 0);
}

/* ---- What an error does ------------------------------------------------------------------------ */

TEST(the_runs_of_a_loop_return_the_error)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    set_hooks(loop, -1234567, 1); /* any number below 0 */
    start_ticker(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), -1234567);
    assert_false(asyncio_loop_is_running(loop));
    close_loop(loop);
}

ASYNC(reads_one, int, fd)
{
    char byte;
    return asyncio_read(fd, &byte, 1);
}

/* The wait brings an event, which is told once, and the turn ends: the event is not lost. */
TEST(events_that_the_wait_brought_are_kept)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    asyncio_task *task = asyncio_loop_create_task(loop, reads_one(fds[0]));
    assert_int_equal(asyncio_loop_run_once(loop, 0), 0); /* it waits */
    set_hooks(loop, -EINTR, 1);
    hooks.write_to = fds[1];
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)asyncio_ref(task)), -EINTR);
    assert_false(asyncio_done(task));
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)asyncio_ref(task)), 1);
    assert_int_equal(hooks.before, 1); /* the second run had no need to wait */
    asyncio_release(task);
    close_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

/* The loop around it hears of them, too. */
TEST(kept_events_make_the_descriptor_readable)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    asyncio_task *task = asyncio_loop_create_task(loop, reads_one(fds[0]));
    struct pollfd one = {.fd = asyncio_loop_fd(loop), .events = POLLIN};
    while (asyncio_loop_timeout(loop) <= 0)
        assert_int_equal(asyncio_loop_run_once(loop, 0), 0);
    set_hooks(loop, -EINTR, 1);
    hooks.write_to = fds[1];
    assert_int_equal(asyncio_loop_run_once(loop, ASYNCIO_FOREVER), -EINTR);
    assert_true(asyncio_loop_timeout(loop) <= 0);
    assert_int_equal(poll(&one, 1, 0), 1);
    assert_int_equal(asyncio_loop_run_once(loop, 0), 0);
    assert_true(asyncio_done(task));
    assert_int_equal(asyncio_result(task), 1);
    asyncio_release(task);
    close_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

/* ---- Runners ----------------------------------------------------------------------------------- */

static int cancels_seen;

ASYNC(sleeps_long, int, verdict, int, times, bool, ends_well, double, cleanup)
{
    set_hooks(asyncio_get_running_loop(), verdict, times);
    start_ticker(asyncio_get_running_loop());
    int err = asyncio_sleep(3600);
    cancels_seen += err == -ECANCELED;
    if (ends_well)
        return 77;
    if (cleanup > 0)
        asyncio_sleep(cleanup);
    return err;
}

TEST(asyncio_run_cancels_main_and_returns_the_error)
{
    cancels_seen = 0;
    assert_int_equal(asyncio_run(sleeps_long(-EINTR, 1, false, 0)), -EINTR);
    assert_int_equal(asyncio_run(sleeps_long(-123, 1, false, 0)), -123);
    assert_int_equal(asyncio_run(sleeps_long(-123, 1, false, 0.001)), -123);
    assert_int_equal(asyncio_run(sleeps_long(-123, 1, true, 0)), 77); /* main did not end for it */
    assert_int_equal(cancels_seen, 4);
}

TEST(a_runner_does_the_same_and_can_run_again)
{
    asyncio_runner runner;
    cancels_seen = 0;
    assert_int_equal(asyncio_runner_init(&runner, NULL), 0);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(asyncio_runner_run(&runner, sleeps_long(-i, 1, false, 0)), -i);
        assert_int_equal(cancels_seen, i);
    }
    assert_int_equal(asyncio_runner_close(&runner), 0);
}

TEST(a_second_error_ends_the_run_at_once)
{
    asyncio_run_options options = {.shutdown_grace = 0.01};
    cancels_seen = 0;
    assert_int_equal(asyncio_run_with(sleeps_long(-123, 2, false, 3600), &options), -123);
    assert_int_equal(cancels_seen, 1);
}

TEST_MAIN()
