/*
 * Metrics: how late the loop looks at what has come, and how long its steps take. They live on the looks at
 * the clock that the loop takes anyway: one a poll, and one after some steps (events.c).
 */
#ifndef ASY_CORE_METRICS_H
#define ASY_CORE_METRICS_H

#include "base/compiler.h"
#include <stdint.h>

/* Lags are counted in classes: below 8 ns exactly, from there on 8 classes for each doubling. */
#define ASY_LAG_CLASSES 496

struct metrics {
    int64_t looked_ns;  /* the clock at the last look */
    int64_t longest_ns; /* between two looks, but for waits */
    int64_t lag_max_ns;
    uint32_t classes[ASY_LAG_CLASSES]; /* how many lags were counted in each */
};

/* The loop has looked at the clock between two steps. */
static inline void asy_metrics_look(struct metrics *metrics, int64_t now_ns)
{
    int64_t took_ns = now_ns - metrics->looked_ns;
    metrics->looked_ns = now_ns;
    if (UNLIKELY(took_ns > metrics->longest_ns))
        metrics->longest_ns = took_ns;
}

static inline uint32_t asy_lag_class(uint64_t ns)
{
    uint32_t doublings = 60 - (uint32_t)__builtin_clzll(ns | 8); /* ns >> doublings is below 16 */
    return 8 * doublings + (uint32_t)(ns >> doublings);
}

/* Steps were run since the clock read polled_ns, and now a poll comes. */
static inline void asy_metrics_lag(struct metrics *metrics, int64_t polled_ns, int64_t now_ns)
{
    int64_t lag_ns = now_ns - polled_ns;
    asy_metrics_look(metrics, now_ns);
    metrics->classes[asy_lag_class((uint64_t)lag_ns)]++;
    if (UNLIKELY(lag_ns > metrics->lag_max_ns))
        metrics->lag_max_ns = lag_ns;
}

#endif
