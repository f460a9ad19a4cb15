/*
 * Hand-overs between threads, by the million: one at a time, so that a wake-up that is lost hangs; and
 * several loops that submit to each other and to executors, cancel, and close at any moment.
 */
#include "base/sanitizer.h"
#include "sys/thread.h"
#include "threads/offload.h"
#include "threads/thread_test.h"
#include <sched.h>

/* How often of 400,000 times. */
static unsigned times(unsigned often)
{
    return (unsigned)repeats(often / 10, often / 4, often);
}

/* Nobody waits for this test for longer than that: a machine that is slow does less. */
#define ENOUGH_S 8.0

static double enough_at;

static bool is_enough(unsigned i)
{
    return i % 16 == 0 && asyncio_time() > enough_at;
}

/* ---- Processors that do not sleep ------------------------------------------------------
 * A processor that has nothing to do takes long to wake. Threads of the lowest kind keep them awake,
 * and give way to any other. */

static _Atomic bool are_over;

static void *keep_awake(void *arg)
{
    const struct sched_param none = {0};
    if (pthread_setschedparam(pthread_self(), SCHED_IDLE, &none))
        return arg;
    while (!atomic_load_explicit(&are_over, memory_order_relaxed))
        ;
    return arg;
}

static void hand_over_a_million(void (*body)(void))
{
    enum { KEEPERS = 2 };
    pthread_t keepers[KEEPERS];
    atomic_store(&are_over, false);
    for (int i = 0; i < KEEPERS; i++)
        pthread_create(&keepers[i], NULL, keep_awake, NULL);
    enough_at = asyncio_time() + ENOUGH_S;
    body();
    atomic_store(&are_over, true);
    for (int i = 0; i < KEEPERS; i++)
        pthread_join(keepers[i], NULL);
    harness_settle();
}

/* ---- One at a time ----------------------------------------------------------------------- */

static intptr_t one_more(void *arg)
{
    return (intptr_t)arg + 1;
}

/* To a thread and back. */
ASYNC(calls_threads)
{
    for (unsigned i = 0, end = times(400000); i < end && !is_enough(i); i++) {
        intptr_t result = asyncio_to_thread(one_more, (void *)(uintptr_t)i);
        if (result != (intptr_t)i + 1)
            return asyncio_raise(-EIO, "call %u gave %ld", i, (long)result);
    }
    return 0;
}

static void to_threads(void)
{
    CHECK_EQUAL(asyncio_run(calls_threads()), 0);
}

TEST(to_threads)
{
    hand_over_a_million(to_threads);
}

/* To a loop, by a callback, which answers at a place where this thread sleeps. */
static _Atomic uint32_t answers;

static void answer(void *arg)
{
    (void)arg;
    atomic_fetch_add(&answers, 1);
    asy_sys_futex_wake(&answers, 1);
}

static struct other other;

static void post_and_sleep(void)
{
    other_begin(&other);
    atomic_store(&answers, 0);
    for (unsigned i = 0, end = times(400000); i < end && !is_enough(i); i++) {
        CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(other.loop, answer, NULL), 0);
        while (atomic_load(&answers) == i)
            asy_sys_futex_wait(&answers, i, -1);
    }
    other_end(&other);
}

TEST(posts)
{
    hand_over_a_million(post_and_sleep);
}

/* To a loop, as a coroutine, and back. */
ASYNC(gives_back, intptr_t, n)
{
    return n;
}

static void submit_and_wait(void)
{
    other_begin(&other);
    for (unsigned i = 0, end = times(200000); i < end && !is_enough(i); i++) {
        asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(gives_back(i), other.loop);
        CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), i);
        asyncio_thread_future_release(future);
    }
    other_end(&other);
}

TEST(submissions)
{
    hand_over_a_million(submit_and_wait);
}

/* ---- Everything at once ---------------------------------------------------------------------- */

#define LOOPS 4

/* Loops that run now, for each other to submit to; and executors, for all of them. */
static struct {
    pthread_mutex_t lock;
    asyncio_loop *loops[LOOPS];
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static asyncio_executor *executors[2];
static _Atomic long handed, given_back, submitted, settled;

static void show_loop(int place, asyncio_loop *loop)
{
    pthread_mutex_lock(&shared.lock);
    asyncio_loop *before = shared.loops[place];
    shared.loops[place] = asyncio_loop_ref(loop);
    pthread_mutex_unlock(&shared.lock);
    asyncio_loop_release(before);
}

/* With a reference; NULL: there is none. */
static asyncio_loop *any_loop(unsigned *seed)
{
    pthread_mutex_lock(&shared.lock);
    asyncio_loop *loop = asyncio_loop_ref(shared.loops[rand_r(seed) % LOOPS]);
    pthread_mutex_unlock(&shared.lock);
    return loop;
}

static void drop(void *arg)
{
    free(arg);
    atomic_fetch_add(&given_back, 1);
}

static intptr_t use(void *arg)
{
    unsigned *seed = arg;
    if (rand_r(seed) % 4 == 0)
        sched_yield();
    return 0;
}

static void counted_post(void *arg)
{
    (void)arg;
}

ASYNC(submitted_coro, unsigned, kind)
{
    for (unsigned i = 0; i < kind % 5; i++) {
        int err = asyncio_sleep(kind % 3 ? 0 : 0.0001);
        if (err)
            return err;
    }
    return kind;
}

/* On a thread of the default executor: asks any loop, and waits for it, or does not. */
static intptr_t ask_any(void *arg)
{
    unsigned *seed = arg, kind = (unsigned)rand_r(seed);
    asyncio_loop *loop = any_loop(seed);
    if (!loop)
        return 0;
    asyncio_loop_call_soon_threadsafe(loop, counted_post, NULL);
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(submitted_coro(kind % 100), loop);
    atomic_fetch_add(&submitted, 1);
    bool asked = kind % 7 == 0 && asyncio_thread_future_cancel(future);
    intptr_t result = -ETIMEDOUT;
    if (kind % 11)
        result = asyncio_thread_future_result(future, kind % 13 ? 10 : 0);
    CHECK(result == (intptr_t)(kind % 100) || result == -ECANCELED || result == ASYNCIO_ESTATE ||
          (result == -ETIMEDOUT && (kind % 13 == 0 || kind % 11 == 0 || asked)));
    asyncio_thread_future_release(future);
    asyncio_loop_release(loop);
    atomic_fetch_add(&settled, 1);
    return 0;
}

static unsigned *new_seed(unsigned *seed)
{
    unsigned *own = malloc(sizeof *own);
    *own = (unsigned)rand_r(seed);
    return own;
}

/* In an executor: awaited, cancelled, forgotten, or any of it later. */
static int use_an_executor(unsigned *seed)
{
    asyncio_executor *executor = rand_r(seed) % 3 ? executors[rand_r(seed) % 2] : NULL;
    atomic_fetch_add(&handed, 1);
    asyncio_future *future = asyncio_run_in_executor(executor, use, new_seed(seed), drop);
    int err = 0;
    switch (rand_r(seed) % 4) {
    case 0:
        asyncio_cancel(future);
        break;
    case 1:
        err = asyncio_sleep(0);
        asyncio_cancel(future);
        break;
    case 2:
        return (int)asyncio_await(future);
    default:
        break;
    }
    asyncio_release(future);
    return err;
}

ASYNC(does_this_and_that, unsigned, seed, int, steps)
{
    int err = 0;
    for (int i = 0; i < steps && err != -ECANCELED; i++) {
        unsigned lent = (unsigned)rand_r(&seed);
        switch (rand_r(&seed) % 4) {
        case 0:
            err = (int)asyncio_to_thread(use, &lent);
            break;
        case 1:
            err = (int)asyncio_to_thread(ask_any, &lent);
            break;
        case 2:
            err = use_an_executor(&seed);
            break;
        default:
            err = asyncio_sleep(0);
        }
    }
    return err;
}

/* Ends in the midst of what its tasks do, as a rule. */
ASYNC(one_run, unsigned, seed, int, place)
{
    asyncio_task *tasks[4];
    show_loop(place, asyncio_get_running_loop());
    for (int i = 0; i < 4; i++)
        tasks[i] = asyncio_create_task(does_this_and_that((unsigned)rand_r(&seed), rand_r(&seed) % 12));
    asyncio_sleep(0.0001 * (rand_r(&seed) % 20));
    for (int i = 0; i < 4; i++) {
        if (rand_r(&seed) % 2)
            asyncio_cancel(tasks[i]);
        if (rand_r(&seed) % 2)
            asyncio_release(tasks[i]);
        else
            asyncio_await(tasks[i]);
    }
    return 0;
}

static void *run_again_and_again(void *arg)
{
    int place = (int)(intptr_t)arg;
    unsigned seed = 1000u + (unsigned)place;
    for (unsigned i = 0, end = is_slow_build() ? 200 : 300; i < end; i++) {
        CHECK_EQUAL(asyncio_run(one_run((unsigned)rand_r(&seed), place)), 0);
        if (rand_r(&seed) % 3)
            show_loop(place, NULL); /* else it is closed, and there all the same */
    }
    show_loop(place, NULL);
    return NULL;
}

TEST(everything_at_once)
{
    struct ledger before = ledger_now();
    pthread_t threads[LOOPS];
    asy_pool_idle_ns = INT64_C(1000000);
    executors[0] = asyncio_executor_new(1);
    executors[1] = asyncio_executor_new(3);
    for (intptr_t i = 0; i < LOOPS; i++)
        pthread_create(&threads[i], NULL, run_again_and_again, (void *)i);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    asyncio_executor_release(executors[0]);
    asyncio_executor_release(executors[1]);
    CHECK(wait_for_ledger(&before));
    for (int i = 0; i < 10000 && atomic_load(&given_back) != atomic_load(&handed); i++)
        usleep(1000);
    CHECK_EQUAL(atomic_load(&given_back), atomic_load(&handed));
    CHECK_EQUAL(atomic_load(&settled), atomic_load(&submitted));
    wait_for_threads_to_be(0);
    harness_settle();
}

TEST_MAIN()
