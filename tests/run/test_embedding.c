/*
 * A loop inside another one: what wakes the other, and what does not. See embedding_test.h.
 */
#include "run/embedding_test.h"

/* ---- Nothing to do --------------------------------------------------------------------------- */

TEST(nothing_to_do)
{
    begin();
    for (int i = 0; i < 3; i++) {
        CHECK(!is_readable());
        CHECK(asyncio_loop_timeout(loop) == ASYNCIO_FOREVER);
        CHECK_EQUAL(asyncio_loop_run_once(loop, i ? -1 : 0), 0);
    }
    double began = seconds_now();
    CHECK_EQUAL(asyncio_loop_run_once(loop, 0.02), 0);
    CHECK(seconds_now() - began >= 0.02);
    CHECK(!is_readable());
    CHECK(!asyncio_loop_is_running(loop));
    end();
}

/* ---- What this thread does between two turns -------------------------------------------------- */

ASYNC(awaits, asyncio_future *, future)
{
    return asyncio_await(future);
}

ASYNC(gathers, asyncio_future *, future)
{
    return asyncio_gather(NULL, future);
}

static asyncio_future *new_future;

ASYNC(makes_a_future)
{
    new_future = asyncio_future_new();
    return 0;
}

ASYNC(waits_for_event, asyncio_event *, event)
{
    return asyncio_event_wait(event);
}

TEST(tasks_from_before_and_between)
{
    loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, returns());
    CHECK(asyncio_loop_timeout(loop) == 0);
    check_told();
    CHECK(asyncio_done(task));
    asyncio_release(task);
    for (int i = 0; i < 3; i++) {
        task = asyncio_loop_create_task(loop, returns());
        check_told();
        CHECK(asyncio_done(task));
        asyncio_release(task);
    }
    end();
}

TEST(callbacks_and_timers_between)
{
    int calls = 0;
    begin();
    asyncio_loop_call_soon(loop, count, &calls);
    asyncio_loop_call_soon(loop, count, &calls);
    check_told();
    CHECK_EQUAL(calls, 2);
    asyncio_handle late = asyncio_loop_call_later(loop, 100, count, &calls);
    settle();
    CHECK(asyncio_loop_timeout(loop) > 99 && asyncio_loop_timeout(loop) <= 100);
    /* An earlier one: who has set his clock by the other has to be told. */
    asyncio_loop_call_later(loop, 0.01, count, &calls);
    CHECK(is_readable());
    turn(false);
    CHECK(asyncio_loop_timeout(loop) <= 0.01);
    while (calls < 3 && turns < 100)
        turn(false);
    CHECK_EQUAL(calls, 3);
    CHECK(asyncio_handle_cancel(loop, late));
    settle();
    CHECK(asyncio_loop_timeout(loop) == ASYNCIO_FOREVER);
    asyncio_loop_stop(loop); /* means nothing here, and does no harm */
    check_told();
    end();
}

TEST(wake_ups_between)
{
    asyncio_event event;
    begin();
    run_inside(makes_a_future(), false);
    asyncio_event_init(&event);
    asyncio_task *tasks[] = {
        asyncio_loop_create_task(loop, awaits(asyncio_ref(new_future))),
        asyncio_loop_create_task(loop, gathers(asyncio_ref(new_future))),
        asyncio_loop_create_task(loop, waits_for_event(&event)),
        asyncio_loop_create_task(loop, sleeps(100)),
    };
    settle();
    CHECK_EQUAL(asyncio_future_set_result(new_future, 0), 0);
    check_told();
    CHECK(asyncio_done(tasks[0]) && asyncio_done(tasks[1]) && !asyncio_done(tasks[2]));
    asyncio_event_set(&event);
    check_told();
    CHECK(asyncio_done(tasks[2]));
    asyncio_cancel(tasks[3]);
    check_told();
    CHECK_EQUAL(asyncio_result(tasks[3]), -ECANCELED);
    for (int i = 0; i < 4; i++)
        asyncio_release(tasks[i]);
    asyncio_release(new_future);
    end();
}

static void tell_done(asyncio_future *future, void *arg)
{
    (void)future;
    count(arg);
}

TEST(done_callbacks_between)
{
    int calls = 0;
    begin();
    run_inside(makes_a_future(), false);
    settle();
    CHECK_EQUAL(asyncio_add_done_callback(new_future, tell_done, &calls), 0);
    CHECK(!is_readable());
    CHECK_EQUAL(asyncio_future_set_result(new_future, 0), 0);
    check_told();
    CHECK_EQUAL(asyncio_add_done_callback(new_future, tell_done, &calls), 0);
    check_told();
    CHECK_EQUAL(calls, 2);
    asyncio_release(new_future);
    end();
}

static int left;

static void call_again(void *arg)
{
    if (--left > 0)
        asyncio_loop_call_soon(loop, call_again, arg);
}

/* More to do at the end of a turn. */
TEST(callbacks_that_queue_callbacks)
{
    begin();
    left = 1000;
    asyncio_loop_call_soon(loop, call_again, NULL);
    while (left > 0 && turns < 1000) {
        CHECK(is_readable());
        CHECK(asyncio_loop_timeout(loop) == 0);
        turn(true);
    }
    CHECK(turns >= 10); /* the other loop has its say meanwhile */
    settle();
    CHECK(!is_readable());
    end();
}

/* ---- Time ------------------------------------------------------------------------------------ */

ASYNC(sleeps_often)
{
    for (int i = 0; i < 10; i++) {
        double began = seconds_now();
        int err = asyncio_sleep(0.01);
        CHECK(seconds_now() - began >= 0.01);
        if (err)
            return err;
    }
    return 0;
}

TEST(timers_in_both_manners)
{
    for (int lazy = 0; lazy < 2; lazy++) {
        begin();
        run_inside(sleeps_often(), lazy);
        CHECK(turns <= 40); /* ten would do, and poll counts in milliseconds */
        end();
    }
}

ASYNC(limits)
{
    int err;
    ASYNCIO_TIMEOUT(err, 0.01) {
        err = asyncio_sleep(100);
    }
    return err == -ETIMEDOUT ? 0 : -EIO;
}

TEST(timeouts_too)
{
    begin();
    run_inside(limits(), true);
    CHECK(turns <= 10);
    end();
}

/* ---- From elsewhere -------------------------------------------------------------------------- */

static void *post_late(void *arg)
{
    usleep(20000);
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, count, arg), 0);
    return NULL;
}

/* The other loop sleeps in its poll, without limit. */
TEST(a_thread_wakes_the_other_loop)
{
    pthread_t thread;
    int calls = 0;
    begin();
    pthread_create(&thread, NULL, post_late, &calls);
    while (calls == 0 && turns < 100)
        turn(true);
    pthread_join(thread, NULL);
    CHECK_EQUAL(calls, 1);
    CHECK(turns <= 2);
    settle();
    end();
}

#define POSTERS 3
static int posts_each;

static void *post_many(void *arg)
{
    for (int i = 0; i < posts_each; i++) {
        CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, count, arg), 0);
        if (i % 7 == 0)
            usleep((useconds_t)(i % 50));
    }
    return NULL;
}

/* A wake-up that is missed leaves the poll asleep, as nothing else comes. */
TEST(no_post_is_missed)
{
    posts_each = is_slow_build() ? 500 : 5000;
    for (int lazy = 0; lazy < 2; lazy++) {
        pthread_t threads[POSTERS];
        int calls = 0;
        begin();
        for (int i = 0; i < POSTERS; i++)
            pthread_create(&threads[i], NULL, post_many, &calls);
        while (calls < POSTERS * posts_each)
            turn(lazy);
        for (int i = 0; i < POSTERS; i++)
            pthread_join(threads[i], NULL);
        CHECK(turns <= (unsigned)(2 * POSTERS * posts_each + 2));
        settle();
        CHECK(!is_readable());
        end();
    }
}

static intptr_t works(void *arg)
{
    usleep(5000);
    return (intptr_t)arg;
}

ASYNC(uses_threads)
{
    for (int i = 1; i < 5; i++)
        CHECK_EQUAL(asyncio_to_thread(works, (void *)(intptr_t)i), i);
    return 0;
}

static void *submits(void *arg)
{
    (void)arg;
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(sleeps(0.01), loop);
    intptr_t result = asyncio_thread_future_result(future, SECONDS_MAX);
    asyncio_thread_future_release(future);
    return (void *)result;
}

ASYNC(joins, pthread_t, thread, _Atomic bool *, ended)
{
    void *result = NULL;
    while (!atomic_load(ended))
        asyncio_sleep(0.005);
    pthread_join(thread, &result);
    CHECK(result == NULL);
    return 0;
}

static _Atomic bool submitted;

static void *submits_and_tells(void *arg)
{
    void *result = submits(arg);
    atomic_store(&submitted, true);
    return result;
}

TEST(work_of_threads_comes_back)
{
    pthread_t thread;
    begin();
    run_inside(uses_threads(), true);
    CHECK(turns <= 20);
    atomic_store(&submitted, false);
    pthread_create(&thread, NULL, submits_and_tells, NULL);
    run_inside(joins(thread, &submitted), true);
    settle();
    end();
}

/* ---- Descriptors, signals, processes ---------------------------------------------------------- */

static int ends_of_pipe[2];

ASYNC(reads_bytes, int, wanted)
{
    char byte;
    for (int i = 0; i < wanted; i++)
        CHECK_EQUAL(asyncio_read(ends_of_pipe[0], &byte, 1), 1);
    return 0;
}

static void *write_slowly(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        usleep(3000);
        CHECK_EQUAL(write(ends_of_pipe[1], "xy", 2), 2);
    }
    return NULL;
}

TEST(a_descriptor_wakes_the_other_loop)
{
    for (int lazy = 0; lazy < 2; lazy++) {
        pthread_t thread;
        begin();
        net_pipe(ends_of_pipe);
        pthread_create(&thread, NULL, write_slowly, NULL);
        run_inside(reads_bytes(10), lazy);
        pthread_join(thread, NULL);
        CHECK(turns <= 16);
        asyncio_forget(ends_of_pipe[0]);
        close(ends_of_pipe[0]);
        close(ends_of_pipe[1]);
        end();
    }
}

static void read_one(void *arg)
{
    char byte;
    CHECK_EQUAL(read(ends_of_pipe[0], &byte, 1), 1);
    count(arg);
}

/* One byte a call: what is left is told again. */
TEST(a_reader_that_takes_little)
{
    int calls = 0;
    begin();
    net_pipe(ends_of_pipe);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, ends_of_pipe[0], read_one, &calls), 0);
    settle();
    CHECK(!is_readable());
    CHECK_EQUAL(write(ends_of_pipe[1], "hello", 5), 5);
    while (calls < 5 && turns < 100)
        turn(true);
    CHECK_EQUAL(calls, 5);
    settle();
    CHECK(!is_readable());
    CHECK(asyncio_loop_remove_reader(loop, ends_of_pipe[0]));
    close(ends_of_pipe[0]);
    close(ends_of_pipe[1]);
    end();
}

/* Its edge was seen already: nothing but the call itself tells. */
TEST(a_reader_of_what_is_there_already)
{
    int calls = 0;
    begin();
    net_pipe(ends_of_pipe);
    asyncio_task *task = asyncio_loop_create_task(loop, reads_bytes(1));
    settle();
    CHECK_EQUAL(write(ends_of_pipe[1], "xy", 2), 2);
    CHECK(is_readable());
    settle();
    CHECK(asyncio_done(task));
    asyncio_release(task);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, ends_of_pipe[0], read_one, &calls), 0);
    check_told();
    CHECK_EQUAL(calls, 1);
    CHECK(asyncio_loop_remove_reader(loop, ends_of_pipe[0]));
    asyncio_forget(ends_of_pipe[0]);
    close(ends_of_pipe[0]);
    close(ends_of_pipe[1]);
    end();
}

ASYNC(shouts_back, asyncio_stream *, stream)
{
    return asyncio_stream_copy(stream, stream);
}

static asyncio_coro *serve(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return shouts_back(stream);
}

ASYNC(serves_itself)
{
    static char much[300000], back[sizeof much];
    asyncio_server *server;
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_start_server(serve, NULL, "127.0.0.1", 0, NULL, &server), 0);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, much, sizeof much), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, back, sizeof back), sizeof back);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, ASYNCIO_FOREVER), 0);
    asyncio_server_release(server);
    return 0;
}

TEST(connections)
{
    for (int lazy = 0; lazy < 2; lazy++) {
        begin();
        run_inside(serves_itself(), lazy);
        end();
    }
}

static _Atomic int heard;

ASYNC(waits_for_signals)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_wait_signal(SIGUSR1), 0);
        atomic_store(&heard, i + 1);
    }
    return 0;
}

/* Each when the one before has been heard: two that come together are one. */
static void *send_signals(void *arg)
{
    for (int i = 0; i < 3; i++) {
        while (atomic_load(&heard) < i)
            usleep(100);
        usleep(5000);
        kill(getpid(), SIGUSR1);
    }
    return arg;
}

TEST(signals_wake_the_other_loop)
{
    pthread_t thread;
    int calls = 0;
    begin();
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR2, count, &calls), 0);
    CHECK(!is_readable());
    raise(SIGUSR2);
    check_told();
    CHECK_EQUAL(calls, 1);
    asyncio_task *task = asyncio_loop_create_task(loop, waits_for_signals());
    settle();
    atomic_store(&heard, 0);
    pthread_create(&thread, NULL, send_signals, NULL);
    for (int i = 0; i < 1000 && !asyncio_done(task); i++) {
        /* The signal may come to this thread, and end the poll early. */
        sleep_until(asyncio_loop_fd(loop), asyncio_loop_timeout(loop));
        CHECK_EQUAL(asyncio_loop_run_once(loop, 0), 0);
    }
    pthread_join(thread, NULL);
    CHECK_EQUAL(asyncio_result(task), 0);
    asyncio_release(task);
    end();
}

static void call_from_handler(int signo)
{
    static int ignored;
    (void)signo;
    CHECK_EQUAL(asyncio_loop_call_soon_signalsafe(loop, count, &ignored), 0);
}

TEST(a_call_from_a_signal_handler)
{
    begin();
    signal(SIGUSR1, call_from_handler);
    for (int i = 0; i < 100; i++) { /* more than there are places */
        raise(SIGUSR1);
        check_told();
    }
    signal(SIGUSR1, SIG_DFL);
    end();
}

ASYNC(runs_a_command)
{
    asyncio_process *process;
    asyncio_buffer out = {0};
    int returncode = 0;
    asyncio_subprocess_options options = {.stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE};
    CHECK_EQUAL(asyncio_create_subprocess_shell("cat; sleep 0.05; exit 3", &options, &process), 0);
    CHECK_EQUAL(asyncio_process_communicate(process, "hello", 5, &out, NULL), 0);
    CHECK_TEXT(out.data, "hello");
    CHECK_EQUAL(asyncio_process_wait(process, &returncode), 0);
    CHECK_EQUAL(returncode, 3);
    asyncio_buffer_destroy(&out);
    asyncio_process_release(process);
    return 0;
}

TEST(a_process_that_ends_wakes_the_other_loop)
{
    for (int lazy = 0; lazy < 2; lazy++) {
        begin();
        run_inside(runs_a_command(), lazy);
        CHECK(turns <= 30);
        end();
    }
}

/* ---- Idle ------------------------------------------------------------------------------------ */

ASYNC(waits_for_much)
{
    char byte;
    return (int)asyncio_read(ends_of_pipe[0], &byte, 1);
}

/* A fifth of a second with somebody who waits for what does not come, and a timer far away. */
TEST(an_idle_loop_gets_no_turns)
{
    begin();
    net_pipe(ends_of_pipe);
    asyncio_task *reader = asyncio_loop_create_task(loop, waits_for_much());
    asyncio_task *sleeper = asyncio_loop_create_task(loop, sleeps(100));
    settle();
    unsigned before = turns;
    double end_at = seconds_now() + 0.2;
    while (seconds_now() < end_at) {
        struct pollfd one = {.fd = asyncio_loop_fd(loop), .events = POLLIN};
        double most = asyncio_loop_timeout(loop), left_s = end_at - seconds_now();
        poll(&one, 1, (int)ceil((most < left_s ? most : left_s) * 1000));
        if (one.revents || most == 0) {
            asyncio_loop_run_once(loop, 0);
            turns++;
        }
    }
    CHECK_EQUAL(turns, before);
    asyncio_cancel(reader);
    asyncio_cancel(sleeper);
    check_told();
    CHECK_EQUAL(asyncio_result(reader), -ECANCELED);
    asyncio_release(reader);
    asyncio_release(sleeper);
    close(ends_of_pipe[1]);
    asyncio_forget(ends_of_pipe[0]);
    close(ends_of_pipe[0]);
    end();
}

/* ---- In turns with its own runs, and all at once ----------------------------------------------- */

TEST(runs_of_its_own_in_between)
{
    int calls = 0;
    begin();
    for (int i = 1; i <= 3; i++) {
        run_inside(sleeps(0.001), true);
        asyncio_task *task = asyncio_loop_create_task(loop, sleeps(0.001));
        CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
        CHECK(!is_readable());
        asyncio_loop_call_soon(loop, count, &calls);
        check_told();
        CHECK_EQUAL(calls, i);
    }
    end();
}

ASYNC(does_everything)
{
    return asyncio_gather(NULL, sleeps(0.003), serves_itself(), runs_a_command(), uses_threads(), limits());
}

static void everything_at_once(uint64_t seed)
{
    asyncio_run_options options = {.seed = seed, .debug = 1};
    begin_with(&options);
    asyncio_loop_set_slow_callback_duration(loop, SECONDS_MAX);
    run_inside(does_everything(), seed % 2);
    end();
}

TEST(all_of_it_in_seeded_orders_and_debug_mode)
{
    for (uint64_t seed = 1; seed <= (is_slow_build() ? 2 : 10); seed++)
        everything_at_once(seed);
}

/* Each call of the seam fails in turn: no turn hangs, and nothing is left. */
static void run_some(void)
{
    int calls = 0;
    loop = asyncio_loop_new(NULL);
    if (!loop)
        return;
    record_reports(loop);
    int fd = asyncio_loop_fd(loop);
    asyncio_loop_call_soon(loop, count, &calls);
    asyncio_loop_call_later(loop, 0.001, count, &calls);
    asyncio_loop_call_soon_threadsafe(loop, count, &calls);
    asyncio_task *task = asyncio_loop_create_task(loop, sleeps(0.002));
    int err = 0;
    for (int i = 0; i < 100 && !err && !asyncio_done(task); i++) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        poll(&one, 1, (int)ceil(fmin(asyncio_loop_timeout(loop), 5) * 1000));
        err = asyncio_loop_run_once(loop, 0);
    }
    CHECK(err || asyncio_done(task));
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_release(task);
    asyncio_loop_release(loop);
}

TEST(every_call_may_fail)
{
    for (int sticky = 0; sticky < 2; sticky++) {
        run_some(); /* what is kept for good */
        for (uint64_t at = 1; at < 1000; at++) {
            struct ledger before = ledger_now();
            asy_fault_arm(at, sticky);
            run_some();
            bool untouched = asy_fault_disarm() < at;
            CHECK(ledger_is(&before));
            if (untouched)
                break;
        }
    }
    report_count = 0;
    harness_settle();
}

TEST_MAIN()
