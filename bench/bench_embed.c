/*
 * embed: what do the parts of asyncio/embed.h cost?
 *
 * call      a call that queues itself again: one hop
 * timer     a timer is started and stopped at once, while 1,000 others run
 * post      a call is posted by the loop's own thread, collected and run
 * watch     an event of a level watch, whose function reads the byte and writes the next one
 * watch-bare    the same by epoll alone: three system calls
 */
#include "bench.h"

#include <asyncio.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OTHER_TIMERS 1000
#define POSTS_TURN 100

static asyncio_loop *loop;

/* ---- Calls ------------------------------------------------------------------------ */

static uint64_t left;

static void hop(asyncio_call *call)
{
    if (--left > 0)
        asyncio_loop_call(loop, call);
    else
        asyncio_loop_stop(loop);
}

static int64_t measure_call(void *arg, uint64_t times)
{
    asyncio_call *call = arg;
    left = times;
    int64_t began = bench_now_ns();
    BENCH_CHECK(asyncio_loop_call(loop, call));
    BENCH_CHECK(asyncio_loop_run_forever(loop) == 0);
    return bench_now_ns() - began;
}

/* ---- Timers ----------------------------------------------------------------------- */

static void never(asyncio_timer *timer)
{
    (void)timer;
    fputs("a timer fired\n", stderr);
    exit(1);
}

static int64_t measure_timer(void *arg, uint64_t times)
{
    uint64_t random_state = 1;
    int64_t base = *(int64_t *)arg;
    asyncio_timer timer;
    asyncio_timer_init(&timer, never);
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        int64_t deadline_ns = base + (int64_t)bench_delay_ms(&random_state) * 1000000;
        BENCH_CHECK(asyncio_timer_start(loop, &timer, deadline_ns) == 0);
        BENCH_CHECK(asyncio_timer_stop(&timer));
    }
    return bench_now_ns() - began;
}

static void measure_timers(void)
{
    static asyncio_timer others[OTHER_TIMERS];
    uint64_t random_state = 2;
    int64_t now_ns = asyncio_loop_time_ns(loop);
    for (int i = 0; i < OTHER_TIMERS; i++) {
        asyncio_timer_init(&others[i], never);
        int64_t deadline_ns = now_ns + (int64_t)bench_delay_ms(&random_state) * 1000000;
        BENCH_CHECK(asyncio_timer_start(loop, &others[i], deadline_ns) == 0);
    }
    bench_measure("embed", "timer", measure_timer, &now_ns, 1);
    for (int i = 0; i < OTHER_TIMERS; i++)
        BENCH_CHECK(asyncio_timer_stop(&others[i]));
}

/* ---- Posts ------------------------------------------------------------------------ */

static uint64_t posts_run;

static void count_post(asyncio_call *call)
{
    (void)call;
    posts_run++;
}

static int64_t measure_post(void *arg, uint64_t times)
{
    asyncio_call *calls = arg;
    uint64_t before = posts_run;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        for (int j = 0; j < POSTS_TURN; j++)
            BENCH_CHECK(asyncio_loop_post(loop, &calls[j]) == 0);
        BENCH_CHECK(asyncio_loop_run_once(loop, 0) == 0);
    }
    int64_t took_ns = bench_now_ns() - began;
    BENCH_CHECK(posts_run == before + times * POSTS_TURN);
    return took_ns;
}

/* ---- Watches ---------------------------------------------------------------------- */

static int ends[2];

/* False: it was the last one. */
static bool pass_byte(void)
{
    char byte;
    BENCH_CHECK(read(ends[0], &byte, 1) == 1);
    if (--left == 0)
        return false;
    BENCH_CHECK(write(ends[1], &byte, 1) == 1);
    return true;
}

static void told(asyncio_watch *watch, uint32_t events)
{
    (void)watch;
    BENCH_CHECK(events == POLLIN);
    if (!pass_byte())
        asyncio_loop_stop(loop);
}

static int64_t measure_watch(void *arg, uint64_t times)
{
    (void)arg;
    left = times;
    int64_t began = bench_now_ns();
    BENCH_CHECK(write(ends[1], "", 1) == 1);
    BENCH_CHECK(asyncio_loop_run_forever(loop) == 0);
    return bench_now_ns() - began;
}

static int64_t measure_bare(void *arg, uint64_t times)
{
    int epfd = *(int *)arg;
    struct epoll_event events[64];
    left = times;
    int64_t began = bench_now_ns();
    BENCH_CHECK(write(ends[1], "", 1) == 1);
    do
        BENCH_CHECK(epoll_wait(epfd, events, 64, -1) == 1);
    while (pass_byte());
    return bench_now_ns() - began;
}

static void measure_watches(const char *variant)
{
    asyncio_watch watch;
    struct epoll_event event = {.events = EPOLLIN};
    BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    if (strcmp(variant, "watch") == 0) {
        asyncio_watch_init(&watch, told);
        BENCH_CHECK(asyncio_watch_start(loop, &watch, ends[0], POLLIN, ASYNCIO_WATCH_LEVEL) == 0);
        bench_measure("embed", variant, measure_watch, NULL, 1);
        BENCH_CHECK(asyncio_watch_stop(&watch));
    } else {
        int epfd = epoll_create1(EPOLL_CLOEXEC);
        BENCH_CHECK(epfd >= 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, ends[0], &event) == 0);
        bench_measure("embed", variant, measure_bare, &epfd, 1);
        close(epfd);
    }
    close(ends[0]);
    close(ends[1]);
}

static void measure(const char *variant)
{
    if (strcmp(variant, "call") == 0) {
        asyncio_call call;
        asyncio_call_init(&call, hop);
        bench_measure("embed", variant, measure_call, &call, 1);
    } else if (strcmp(variant, "timer") == 0) {
        measure_timers();
    } else if (strcmp(variant, "post") == 0) {
        asyncio_call calls[POSTS_TURN];
        for (int i = 0; i < POSTS_TURN; i++)
            asyncio_call_init(&calls[i], count_post);
        bench_measure("embed", variant, measure_post, calls, POSTS_TURN);
    } else {
        measure_watches(variant);
    }
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"call", "timer", "post", "watch", "watch-bare", NULL};
    const char *const *variants = argc > 2 ? (const char *const *)argv + 2 : all;
    BENCH_CHECK(loop = asyncio_loop_new(NULL));
    for (size_t i = 0; variants[i]; i++)
        measure(variants[i]);
    BENCH_CHECK(asyncio_loop_close(loop) == 0);
    asyncio_loop_release(loop);
    return 0;
}
