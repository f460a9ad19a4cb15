/*
 * Metrics, read.
 */
#include "core/metrics.h"
#include "asyncio/errors.h"
#include "asyncio/inspect.h"
#include "core/loop.h"
#include <errno.h>
#include <string.h>

/* In a strict iteration a mark stands in the queue, which is nothing that could run. */
static size_t count_ready(const asyncio_loop *loop)
{
    size_t count = loop->ready.count;
    for (const struct ready *entry = loop->is_strict ? loop->ready.first : NULL; entry; entry = entry->next)
        if (entry->kind == READY_END)
            count--;
    return count;
}

static double middle_of_class(uint32_t class)
{
    uint32_t doublings = class < 16 ? 0 : class / 8 - 1;
    uint64_t low = (uint64_t)(class - 8 * doublings) << doublings;
    return (double)low + (double)((UINT64_C(1) << doublings) - 1) / 2;
}

/* The lag that `percent` of a hundred lags do not exceed. */
static double find_lag(const struct metrics *metrics, uint64_t percent)
{
    uint64_t count = 0, met = 0;
    for (uint32_t class = 0; class < ASY_LAG_CLASSES; class ++)
        count += metrics->classes[class];
    uint64_t wanted = (count * percent + 99) / 100;
    for (uint32_t class = 0; wanted && class < ASY_LAG_CLASSES; class ++) {
        met += metrics->classes[class];
        if (met < wanted)
            continue;
        double ns = middle_of_class(class), most_ns = (double)metrics->lag_max_ns;
        return (ns < most_ns ? ns : most_ns) / 1e9;
    }
    return 0;
}

int asyncio_loop_get_metrics(asyncio_loop *loop, asyncio_metrics *metrics)
{
    if (!loop || !metrics)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    struct metrics *counted = &loop->metrics;
    if (loop->is_running)
        asy_metrics_look(counted, asy_loop_now_ns(loop));
    *metrics = (asyncio_metrics){.tasks = loop->task_count,
                                 .ready = count_ready(loop),
                                 .timers = loop->timers.count,
                                 .descriptors = loop->backend->attached,
                                 .steps = loop->steps,
                                 .polls = loop->polls,
                                 .longest_step = (double)counted->longest_ns / 1e9,
                                 .lag_p50 = find_lag(counted, 50),
                                 .lag_p99 = find_lag(counted, 99),
                                 .lag_max = (double)counted->lag_max_ns / 1e9};
    int64_t looked_ns = counted->looked_ns;
    memset(counted, 0, sizeof *counted);
    counted->looked_ns = looked_ns;
    return 0;
}
