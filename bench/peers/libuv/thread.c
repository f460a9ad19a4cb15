/*
 * libuv's side of `thread`.
 */
#include "../../thread.h"

#include <uv.h>

static void nothing(uv_work_t *work)
{
    (void)work;
}

static void ended(uv_work_t *work, int status)
{
    BENCH_CHECK(status == 0);
    uint64_t *left = work->data;
    if (--*left)
        BENCH_CHECK(uv_queue_work(work->loop, work, nothing, ended) == 0);
}

static int64_t measure_call(void *arg, uint64_t times)
{
    uint64_t left = times;
    uv_work_t work = {.data = &left};
    int64_t began = thread_clock();
    BENCH_CHECK(uv_queue_work(arg, &work, nothing, ended) == 0);
    BENCH_CHECK(uv_run(arg, UV_RUN_DEFAULT) == 0);
    return thread_clock() - began;
}

int main(int argc, char **argv)
{
    const char *variant = argc > 2 ? argv[2] : "one";
    if (strcmp(variant, "post") == 0)
        bench_print_none("thread", "post", "its async handles fold several into one");
    else
        thread_measure(variant, measure_call, uv_default_loop());
    return 0;
}
