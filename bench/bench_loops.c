/*
 * The question `loops`: how long does it take to run an empty coroutine on another loop, and to have its
 * result?
 *
 * many      1,000 tasks call at a time: processor time of both threads, for each call
 * asleep    one call at a time, both threads on one processor, and each sleeps while the other works; in
 *           turns with `hand`: the same by two eventfds and two epolls, with nothing else (the least of many)
 * spin      one call at a time, each loop on a processor of its own, looking for calls before it sleeps (the
 *           least of many, too)
 */
#include "bench.h"

#include <asyncio.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

ASYNC(nothing)
{
    return 0;
}

static asyncio_loop *other;

static void call_in_turn(uint64_t times)
{
    for (uint64_t i = 0; i < times; i++)
        BENCH_CHECK(asyncio_await_on(other, nothing()) == 0);
}

/* ---- Many at a time ---------------------------------------------------------------------- */

#define CALLERS 1000

static int64_t cpu_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

ASYNC(calls, uint64_t, times)
{
    call_in_turn(times);
    return 0;
}

static int64_t measure_many(void *arg, uint64_t times)
{
    asyncio_task *callers[CALLERS];
    int64_t began = cpu_now_ns();
    (void)arg;
    for (int i = 0; i < CALLERS; i++)
        callers[i] = asyncio_create_task(calls(times));
    BENCH_CHECK(asyncio_gather_array(NULL, callers, CALLERS) == 0);
    return cpu_now_ns() - began;
}

/* ---- One at a time --------------------------------------------------------------------------- */

static int64_t measure_one(void *arg, uint64_t times)
{
    (void)arg;
    int64_t began = bench_now_ns();
    call_in_turn(times);
    return bench_now_ns() - began;
}

/* Two threads, each with an eventfd that wakes it. */
static struct hand {
    pthread_t thread;
    int events[2], polls[2];
} hand;

static void hand_wait(int side)
{
    struct epoll_event event;
    BENCH_CHECK(epoll_wait(hand.polls[side], &event, 1, -1) == 1);
}

static void hand_wake(int side)
{
    const uint64_t one = 1;
    BENCH_CHECK(write(hand.events[side], &one, sizeof one) == sizeof one);
}

static void *answer_by_hand(void *arg)
{
    for (;;) {
        hand_wait(1);
        hand_wake(0);
    }
    return arg;
}

static void begin_hand(void)
{
    for (int side = 0; side < 2; side++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};
        hand.events[side] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        hand.polls[side] = epoll_create1(EPOLL_CLOEXEC);
        BENCH_CHECK(epoll_ctl(hand.polls[side], EPOLL_CTL_ADD, hand.events[side], &event) == 0);
    }
    BENCH_CHECK(pthread_create(&hand.thread, NULL, answer_by_hand, NULL) == 0);
}

static int64_t measure_hand(uint64_t times)
{
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        hand_wake(1);
        hand_wait(0);
    }
    return bench_now_ns() - began;
}

#define ROUNDS 40
#define TURNS 500

static void measure_asleep(void)
{
    double one[ROUNDS], by_hand[ROUNDS];
    begin_hand();
    for (int i = 0; i < ROUNDS; i++) {
        one[i] = (double)measure_one(NULL, TURNS) / TURNS;
        by_hand[i] = (double)measure_hand(TURNS) / TURNS;
    }
    double median = bench_median(one, ROUNDS), median_by_hand = bench_median(by_hand, ROUNDS);
    bench_print("loops", "asleep", median, "ns", one[0]);
    bench_print("loops", "hand", median_by_hand, "ns", by_hand[0]);
}

/* The least of many short rounds: one in which a thread did not run is not measured. */
static void measure_spinning(void)
{
    enum { rounds = 2000, turns = 5 };
    double one[rounds];
    for (int i = 0; i < rounds; i++)
        one[i] = (double)measure_one(NULL, turns) / turns;
    double median = bench_median(one, rounds);
    bench_print("loops", "spin", median, "ns", one[0]);
}

/* ---- Two loops ------------------------------------------------------------------------------------ */

ASYNC(measures, const char *, variant, asyncio_loops *, loops)
{
    other = asyncio_loops_get(loops, 1);
    if (strcmp(variant, "many") == 0)
        bench_measure("loops", variant, measure_many, NULL, CALLERS);
    else if (strcmp(variant, "asleep") == 0)
        measure_asleep();
    else
        measure_spinning();
    asyncio_loops_stop(loops);
    return 0;
}

ASYNC(lends)
{
    return asyncio_sleep(ASYNCIO_FOREVER);
}

static asyncio_coro *make_main(int index, asyncio_loops *loops, void *arg)
{
    return index == 0 ? measures(arg, loops) : lends();
}

static void go_to_one_processor(void)
{
    cpu_set_t set, one;
    BENCH_CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &set))
            CPU_SET(i, &one);
    BENCH_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
}

int main(int argc, char **argv)
{
    const char *variant = argc > 2 ? argv[2] : "many";
    asyncio_loops_options options = {.count = 2};
    if (strcmp(variant, "asleep") == 0)
        go_to_one_processor();
    if (strcmp(variant, "spin") == 0) {
        options.spin = 0.001;
        options.pin = 1;
    }
    return asyncio_run_loops(make_main, (void *)variant, &options) != 0;
}
