/*
 * Posts from many threads: none is lost, none runs twice, of threads that post the same call one succeeds;
 * and a loop that closes in the middle runs or gives back each.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "support/repeats.h"
#include "support/test.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define THREADS 8

static asyncio_loop *loop;

static void open_loop(void)
{
    loop = asyncio_loop_new(NULL);
    assert_non_null(loop);
}

static void start_threads(pthread_t *threads, void *(*fn)(void *))
{
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fn, (void *)i), 0);
}

static void join_threads(const pthread_t *threads)
{
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* ---- A storm --------------------------------------------------------------------------------- */

/* Each thread posts its own calls, and those that all share, until told to stop. */
#define CALLS 16

struct storm_call {
    asyncio_call call;
    _Atomic size_t posted; /* returned 0 */
    size_t ran, drained, cancelled;
    uint64_t written; /* by the poster, without an atomic */
};

static struct {
    struct storm_call own[THREADS][CALLS], shared[CALLS];
    _Atomic bool is_over;
    _Atomic size_t refused;
    size_t ran, stop_at;
} storm;

static void run_storm_call(asyncio_call *call)
{
    struct storm_call *it = (struct storm_call *)call;
    it->ran++;
    storm.ran++;
    it->written = 0;          /* the next poster may write: the checker would see a race */
    if (storm.ran % 3 == 0) { /* one that may be posted in this moment */
        struct storm_call *other = &storm.shared[storm.ran % CALLS];
        other->cancelled += asyncio_call_cancel(&other->call);
    }
    if (storm.ran % 5 == 0)
        atomic_fetch_add(&it->posted, asyncio_loop_call(loop, call));
    if (storm.ran >= storm.stop_at)
        asyncio_loop_stop(loop);
}

static void drain_storm_call(asyncio_call *call, asyncio_timer *timer, asyncio_watch *watch, void *arg)
{
    assert_true(call && !timer && !watch && !arg);
    struct storm_call *it = (struct storm_call *)call;
    it->drained++;
    struct storm_call *other = &storm.shared[it->drained % CALLS];
    other->cancelled += asyncio_call_cancel(&other->call);
}

static bool post_storm_call(struct storm_call *it)
{
    int err = asyncio_loop_post(loop, &it->call);
    if (err == 0)
        atomic_fetch_add(&it->posted, 1);
    assert_true(err == 0 || err == 1 || err == ASYNCIO_ESTATE);
    return err != ASYNCIO_ESTATE;
}

static void *make_storm(void *arg)
{
    struct storm_call *own = storm.own[(uintptr_t)arg];
    for (size_t i = 0; !atomic_load(&storm.is_over); i++) {
        if (!post_storm_call(&own[i % CALLS]) || !post_storm_call(&storm.shared[i % CALLS]))
            atomic_fetch_add(&storm.refused, 1);
        if (i % 64 == 63)
            sched_yield();
    }
    asyncio_loop_release(loop);
    return NULL;
}

static void check_storm_call(const struct storm_call *it)
{
    assert_int_equal(it->posted, it->ran + it->drained + it->cancelled);
}

static void init_storm(size_t stop_at)
{
    for (int i = 0; i < CALLS; i++) {
        for (int thread = 0; thread < THREADS; thread++) {
            storm.own[thread][i] = (struct storm_call){.ran = 0};
            asyncio_call_init(&storm.own[thread][i].call, run_storm_call);
        }
        storm.shared[i] = (struct storm_call){.ran = 0};
        asyncio_call_init(&storm.shared[i].call, run_storm_call);
    }
    atomic_store(&storm.is_over, false);
    storm.ran = 0;
    storm.stop_at = stop_at;
}

TEST(a_storm_from_eight_threads_and_a_close_in_the_middle)
{
    size_t rounds = repeats(10, 40, 1000), closed_in_the_middle = 0;
    for (size_t round = 0; round < rounds; round++) {
        pthread_t threads[THREADS];
        open_loop();
        init_storm(1 + round * 37 % 2000);
        atomic_store(&storm.refused, 0);
        assert_int_equal(asyncio_loop_set_drain(loop, drain_storm_call, NULL), 0);
        for (int i = 0; i < THREADS; i++)
            asyncio_loop_ref(loop);
        start_threads(threads, make_storm);
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        assert_int_equal(asyncio_loop_close(loop), 0);
        while (!atomic_load(&storm.refused)) /* some thread has seen the close */
            sched_yield();
        closed_in_the_middle++;
        atomic_store(&storm.is_over, true);
        join_threads(threads);
        for (int i = 0; i < CALLS; i++) {
            check_storm_call(&storm.shared[i]);
            for (int thread = 0; thread < THREADS; thread++)
                check_storm_call(&storm.own[thread][i]);
        }
        asyncio_loop_release(loop);
    }
    assert_int_equal(closed_in_the_middle, rounds);
}

/* ---- One call, many threads ------------------------------------------------------------------- */

static asyncio_call contested;
static pthread_barrier_t gate;
static _Atomic int won;
static int contested_ran;
static size_t contests;

static void run_contested(asyncio_call *call)
{
    (void)call;
    contested_ran++;
}

static void *contend(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < contests; i++) {
        pthread_barrier_wait(&gate);
        atomic_fetch_add(&won, asyncio_loop_post(loop, &contested) == 0);
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate); /* the loop has run it */
    }
    return NULL;
}

TEST(of_racing_threads_one_gets_0)
{
    pthread_t threads[THREADS];
    contests = repeats(200, 2000, 20000);
    open_loop();
    asyncio_call_init(&contested, run_contested);
    assert_int_equal(pthread_barrier_init(&gate, NULL, THREADS + 1), 0);
    start_threads(threads, contend);
    for (size_t i = 0; i < contests; i++) {
        atomic_store(&won, 0);
        contested_ran = 0;
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
        bool is_cancelled = i % 2 && asyncio_call_cancel(&contested);
        assert_int_equal(asyncio_loop_run_once(loop, 0), 0);
        assert_int_equal(atomic_load(&won), 1);
        assert_int_equal(contested_ran + is_cancelled, 1);
        assert_int_equal(is_cancelled, i % 2);
        pthread_barrier_wait(&gate);
    }
    join_threads(threads);
    pthread_barrier_destroy(&gate);
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

/* ---- Freed by fn --------------------------------------------------------------------------------- */

/* A poster does not touch a call after it was pushed: the loop may have run and freed it. */
static _Atomic size_t live;
static size_t freed_each;

static void free_call(asyncio_call *call)
{
    free(call);
    atomic_fetch_sub(&live, 1);
}

static void *post_and_forget(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < freed_each; i++) {
        asyncio_call *call = malloc(sizeof *call);
        asyncio_call_init(call, free_call);
        atomic_fetch_add(&live, 1);
        assert_int_equal(asyncio_loop_post(loop, call), 0);
    }
    atomic_fetch_sub(&live, 1); /* its own */
    return NULL;
}

TEST(what_was_posted_is_freed_by_its_function)
{
    pthread_t threads[THREADS];
    freed_each = repeats(500, 5000, 50000);
    open_loop();
    atomic_store(&live, THREADS);
    start_threads(threads, post_and_forget);
    while (atomic_load(&live))
        assert_int_equal(asyncio_loop_run_once(loop, 0.01), 0);
    join_threads(threads);
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

/* A loop that sleeps without limit is woken by each. */
static _Atomic bool has_run;

static void note_run(asyncio_call *call)
{
    (void)call;
    atomic_store(&has_run, true);
    asyncio_loop_stop(loop);
}

static void *post_once(void *arg)
{
    asyncio_loop_post(loop, arg);
    return NULL;
}

TEST(a_post_wakes_a_loop_that_sleeps)
{
    asyncio_call call;
    open_loop();
    asyncio_call_init(&call, note_run);
    for (size_t i = 0; i < repeats(50, 500, 5000); i++) {
        pthread_t thread;
        atomic_store(&has_run, false);
        assert_int_equal(pthread_create(&thread, NULL, post_once, &call), 0);
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        assert_true(atomic_load(&has_run));
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

/* ---- A loop that goes from thread to thread ------------------------------------------------ */

static int adopted_while_it_ran = 1;

static void adopt_own(asyncio_call *call)
{
    (void)call;
    adopted_while_it_ran = asyncio_loop_adopt(loop);
}

static asyncio_call adopting;

static void *use_in_thread(void *arg)
{
    (void)arg;
    int err = asyncio_loop_adopt(loop);
    asyncio_call_init(&adopting, adopt_own);
    bool is_queued = asyncio_loop_call(loop, &adopting);
    return !err && is_queued ? &adopting : NULL;
}

static void *run_in_thread(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)asyncio_loop_run_forever(loop);
}

static void *adopt_in_thread(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)asyncio_loop_adopt(loop);
}

static void adopt_elsewhere_and_stop(asyncio_call *call)
{
    (void)call;
    pthread_t thread;
    void *err;
    assert_int_equal(pthread_create(&thread, NULL, adopt_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &err), 0);
    assert_int_equal((intptr_t)err, ASYNCIO_ESTATE);
    asyncio_loop_stop(loop);
}

TEST(a_loop_that_does_not_run_is_adopted)
{
    pthread_t thread;
    void *result;
    loop = asyncio_loop_new(NULL);
    assert_int_equal(asyncio_loop_adopt(NULL), -EINVAL);
    assert_int_equal(asyncio_loop_adopt(loop), 0);
    assert_int_equal(pthread_create(&thread, NULL, use_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &adopting);
    asyncio_call stopper;
    asyncio_call_init(&stopper, adopt_elsewhere_and_stop);
    assert_int_equal(asyncio_loop_post(loop, &stopper), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_int_equal(adopted_while_it_ran, 0); /* by its own thread */
    assert_int_equal(asyncio_loop_adopt(loop), 0);
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_int_equal(asyncio_loop_adopt(loop), ASYNCIO_ESTATE);
    asyncio_loop_release(loop);
}

TEST_MAIN()
