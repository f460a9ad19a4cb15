/*
 * Several loops, looked at from odd places and at odd times: from threads and loops that are none of theirs,
 * while they end, after they have ended, in callbacks, before they run.
 */
#include "asyncio.h"
#include "support/harness.h"
#include "support/ledger.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define LOOPS 3

ASYNC(nothing)
{
    return 0;
}

static intptr_t run_loops(asyncio_loop_main make, void *arg)
{
    const asyncio_loops_options options = {.count = LOOPS};
    return asyncio_run_loops(make, arg, &options);
}

/* ---- Where no loop runs, or another one ---------------------------------------------------------- */

static asyncio_loops *_Atomic known;

TEST(of_no_loops)
{
    CHECK_EQUAL(asyncio_loops_index(), -1);
    CHECK_EQUAL(asyncio_loops_count(NULL), 0);
    CHECK(!asyncio_loops_get(NULL, 0));
    CHECK(!asyncio_loops_idlest(NULL));
    CHECK_EQUAL(asyncio_loops_stop(NULL), -EINVAL);
    harness_settle();
}

static void *look_from_thread(void *arg)
{
    CHECK_EQUAL(asyncio_loops_index(), -1);
    CHECK_EQUAL(asyncio_loops_count(known), LOOPS);
    CHECK(asyncio_loops_get(known, LOOPS - 1) != NULL);
    CHECK(asyncio_loops_idlest(known) != NULL);
    return arg;
}

static void look_in_callback(void *arg)
{
    int *index = arg;
    *index = asyncio_loops_index();
}

ASYNC(looks)
{
    pthread_t thread;
    int seen = -2, here = asyncio_loops_index();
    CHECK(asyncio_get_running_loop() == asyncio_loops_get(known, here));
    CHECK_EQUAL(pthread_create(&thread, NULL, look_from_thread, NULL), 0);
    pthread_join(thread, NULL);
    asyncio_loop_call_soon(asyncio_get_running_loop(), look_in_callback, &seen);
    asyncio_sleep(0);
    CHECK_EQUAL(seen, here);
    return 0;
}

static asyncio_coro *make_looks(int index, asyncio_loops *loops, void *arg)
{
    (void)arg;
    CHECK(asyncio_loops_index() == -1 || asyncio_loops_index() == index);
    known = loops;
    return looks();
}

TEST(from_all_sides)
{
    CHECK_EQUAL(run_loops(make_looks, NULL), 0);
    CHECK_EQUAL(asyncio_loops_index(), -1);
    harness_settle();
}

/* ---- While they end --------------------------------------------------------------------------------- */

#define ROUNDS 200

/* Filled by the last loop; emptied by the thread that uses it. */
static struct outsider {
    asyncio_loop *_Atomic loop; /* a reference */
    asyncio_loops *_Atomic loops;
    _Atomic bool is_over;
    int calls;
} outsider;

static asyncio_coro *make_short(int index, asyncio_loops *loops, void *arg)
{
    (void)arg;
    if (index == LOOPS - 1)
        atomic_store(&outsider.loop, asyncio_loop_ref(asyncio_loops_get(loops, index)));
    return nothing();
}

/* Until the loop has closed; its struct is there for as long as the reference, and no longer. */
ASYNC(calls_from_outside)
{
    asyncio_loop *loop;
    while (!(loop = atomic_load(&outsider.loop)))
        sched_yield();
    intptr_t result;
    while ((result = asyncio_await_on(loop, nothing())) == 0)
        outsider.calls++;
    CHECK_EQUAL(result, ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "close");
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(asyncio_await_on(loop, nothing()), ASYNCIO_ESTATE);
    asyncio_loop_release(loop);
    return 0;
}

static void *run_outside(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQUAL(asyncio_run(calls_from_outside()), 0);
        atomic_store(&outsider.loop, NULL);
    }
    return arg;
}

TEST(called_from_outside_while_they_end)
{
    struct ledger before = ledger_now();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_outside, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQUAL(run_loops(make_short, NULL), 0);
        while (atomic_load(&outsider.loop))
            sched_yield();
    }
    pthread_join(thread, NULL);
    CHECK(ledger_is(&before));
    harness_settle();
}

/* Keeps the loops from being freed, but not from ending. */
static intptr_t wait_for_chooser(void *arg)
{
    struct outsider *one = arg;
    while (!atomic_load(&one->is_over))
        sched_yield();
    return 0;
}

static void *choose_for_ever(void *arg)
{
    struct outsider *one = arg;
    asyncio_loops *loops;
    while (!(loops = atomic_load(&one->loops)))
        sched_yield();
    for (int i = 0; i < 20000; i++)
        CHECK(asyncio_loops_idlest(loops) != NULL);
    atomic_store(&one->is_over, true);
    return NULL;
}

static asyncio_coro *make_chosen(int index, asyncio_loops *loops, void *arg)
{
    if (index == LOOPS - 1)
        atomic_store(&((struct outsider *)arg)->loops, loops);
    return nothing();
}

/* The last one's end waits for a function on a thread, which is over when the chooser is. */
ASYNC(ends_late, struct outsider *, one)
{
    asyncio_future *work = asyncio_run_in_executor(NULL, wait_for_chooser, one, NULL);
    asyncio_release(work);
    return 0;
}

static asyncio_coro *make_chosen_or_late(int index, asyncio_loops *loops, void *arg)
{
    return index == 0 ? ends_late(arg) : make_chosen(index, loops, arg);
}

TEST(chosen_while_they_end)
{
    for (int i = 0; i < 20; i++) {
        struct outsider one = {.is_over = false};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, choose_for_ever, &one), 0);
        CHECK_EQUAL(run_loops(make_chosen_or_late, &one), 0);
        pthread_join(thread, NULL);
    }
    harness_settle();
}

int main(void)
{
    return tests_run(NULL);
}
