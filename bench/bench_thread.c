/*
 * thread: see thread.h.
 */
#include "thread.h"

#include <asyncio.h>
#include <pthread.h>

static intptr_t nothing(void *arg)
{
    return (intptr_t)arg;
}

static int64_t measure_call(void *arg, uint64_t times)
{
    (void)arg;
    int64_t began = thread_clock();
    for (uint64_t i = 0; i < times; i++)
        BENCH_CHECK(asyncio_to_thread(nothing, NULL) == 0);
    return thread_clock() - began;
}

/* ---- Posts ------------------------------------------------------------------- */

struct posts {
    asyncio_loop *loop;
    asyncio_future *done;
    uint64_t times, left;
};

static void count_down(void *arg)
{
    struct posts *posts = arg;
    if (--posts->left == 0)
        asyncio_future_set_result(posts->done, 0);
}

static void *post(void *arg)
{
    const struct posts *posts = arg;
    for (uint64_t i = 0; i < posts->times; i++)
        BENCH_CHECK(asyncio_loop_call_soon_threadsafe(posts->loop, count_down, arg) == 0);
    return NULL;
}

static int64_t measure_post(void *arg, uint64_t times)
{
    (void)arg;
    struct posts posts = {asyncio_get_running_loop(), asyncio_future_new(), times, times};
    pthread_t thread;
    int64_t began = bench_now_ns();
    BENCH_CHECK(pthread_create(&thread, NULL, post, &posts) == 0);
    BENCH_CHECK(asyncio_await(posts.done) == 0);
    int64_t took_ns = bench_now_ns() - began;
    pthread_join(thread, NULL);
    return took_ns;
}

ASYNC(async_main, const char *, variant)
{
    if (strcmp(variant, "post") == 0)
        bench_measure("thread", "post", measure_post, NULL, 1);
    else
        thread_measure(variant, measure_call, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc > 2 ? argv[2] : "one"));
}
