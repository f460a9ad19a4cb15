/*
 * The figures of a trace, for each coroutine: steps, how long they took, how long tasks were ready before
 * they ran, and what they waited in.
 */
#include "trace_log.h"
#include <stdio.h>
#include <stdlib.h>

struct wait_sum {
    uint32_t wait; /* place of its name */
    uint64_t count;
    int64_t ns;
};

struct coroutine_sum {
    uint32_t name;
    uint64_t tasks, done, steps, slow;
    int64_t run_ns, longest_ns;
    int64_t *lags;
    size_t lag_count, lag_capacity;
    struct wait_sum *waits;
    size_t wait_count, wait_capacity;
};

struct sums {
    struct trace_log *log;
    struct coroutine_sum *all;
    size_t count, capacity;
    struct table of; /* by the place of the name */
    int64_t poll_ns, callback_ns, began_ns;
    uint64_t polls, callbacks, slow_callbacks;
    /* Work on other threads. */
    struct table thread_of;
    int64_t *begun_ns; /* of each thread; -1: it does nothing */
    size_t threads, thread_capacity;
    uint64_t works;
    int64_t work_ns, longest_work_ns;
};

static struct coroutine_sum *sum_of(struct sums *sums, const struct traced_task *task)
{
    uint32_t known = table_find(&sums->of, task->coroutine + UINT64_C(1));
    if (known != UINT32_MAX)
        return &sums->all[known];
    GROW(sums->all, sums->capacity, sums->count);
    sums->all[sums->count] = (struct coroutine_sum){.name = task->coroutine};
    table_put(&sums->of, task->coroutine + UINT64_C(1), (uint32_t)sums->count);
    return &sums->all[sums->count++];
}

static void add_wait(struct coroutine_sum *sum, uint32_t wait, int64_t ns)
{
    size_t i = 0;
    while (i < sum->wait_count && sum->waits[i].wait != wait)
        i++;
    if (i == 64)
        return; /* no program has as many kinds of waits */
    if (i == sum->wait_count) {
        GROW(sum->waits, sum->wait_capacity, sum->wait_count);
        sum->waits[sum->wait_count++] = (struct wait_sum){.wait = wait};
    }
    sum->waits[i].count++;
    sum->waits[i].ns += ns;
}

/* ---- What the walk tells ------------------------------------------------------------------- */

static void begin_sum(void *context, enum activity activity, struct traced_task *task, int64_t ns)
{
    struct sums *sums = context;
    (void)activity;
    (void)task;
    sums->began_ns = ns;
}

static void end_sum(void *context, enum activity activity, struct traced_task *task, int64_t ns)
{
    struct sums *sums = context;
    int64_t took_ns = ns - sums->began_ns;
    (void)task;
    if (activity == POLLS) {
        sums->polls++;
        sums->poll_ns += took_ns;
    } else if (activity == RUNS_CALLBACK) {
        sums->callbacks++;
        sums->callback_ns += took_ns;
    }
}

static void sum_state(void *context, struct traced_task *task, const struct traced_task *before, int64_t ns)
{
    struct coroutine_sum *sum = sum_of(context, task);
    int64_t took_ns = ns - before->since_ns;
    if (before->state == STATE_UNKNOWN)
        sum->tasks++;
    if (task->state == STATE_DONE)
        sum->done++;
    if (before->state == STATE_RUNNING) {
        sum->steps++;
        sum->run_ns += took_ns;
        sum->longest_ns = took_ns > sum->longest_ns ? took_ns : sum->longest_ns;
    } else if (before->state == STATE_READY) {
        GROW(sum->lags, sum->lag_capacity, sum->lag_count);
        sum->lags[sum->lag_count++] = took_ns;
    } else if (before->state == STATE_WAITING) {
        add_wait(sum, before->wait, took_ns);
    }
}

/* Work of one thread begins and ends in turn. */
static void sum_work(struct sums *sums, const struct trace_record *record)
{
    uint32_t thread = (uint32_t)record->other, known = table_find(&sums->thread_of, thread);
    if (known == UINT32_MAX) {
        GROW(sums->begun_ns, sums->thread_capacity, sums->threads);
        sums->begun_ns[sums->threads] = -1;
        known = (uint32_t)sums->threads++;
        table_put(&sums->thread_of, thread, known);
    }
    int64_t *begun_ns = &sums->begun_ns[known], took_ns = (int64_t)record->time - *begun_ns;
    if (kind_of(record) == TRACE_OFFLOADED && *begun_ns >= 0) {
        sums->works++;
        sums->work_ns += took_ns;
        sums->longest_work_ns = took_ns > sums->longest_work_ns ? took_ns : sums->longest_work_ns;
    }
    *begun_ns = kind_of(record) == TRACE_OFFLOAD ? (int64_t)record->time : -1;
}

static void sum_other(void *context, const struct trace_record *record, struct traced_task *task)
{
    struct sums *sums = context;
    if (is_of_work(record))
        sum_work(sums, record);
    if (kind_of(record) != TRACE_SLOW)
        return;
    if (task)
        sum_of(sums, task)->slow++;
    else
        sums->slow_callbacks++;
}

/* ---- Printed ------------------------------------------------------------------------------- */

static int compare_lags(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int compare_sums(const void *a, const void *b)
{
    int64_t left = ((const struct coroutine_sum *)a)->run_ns,
            right = ((const struct coroutine_sum *)b)->run_ns;
    return (left < right) - (left > right);
}

static double lag_at(const struct coroutine_sum *sum, double part)
{
    size_t last = sum->lag_count ? sum->lag_count - 1 : 0;
    return sum->lag_count ? (double)sum->lags[(size_t)(part * (double)last + 0.5)] / 1e6 : 0;
}

static void print_sum(const struct trace_log *log, const struct coroutine_sum *sum)
{
    struct text name = {0};
    if (sum->lag_count)
        qsort(sum->lags, sum->lag_count, sizeof *sum->lags, compare_lags);
    text_add_clean(&name, trace_log_name(log, sum->name));
    printf("%-24s %8llu %8llu %10llu %11.3f %11.3f %9.3f %9.3f %9.3f\n", text_of(&name),
           (unsigned long long)sum->tasks, (unsigned long long)sum->done, (unsigned long long)sum->steps,
           (double)sum->run_ns / 1e6, (double)sum->longest_ns / 1e6, lag_at(sum, 0.5), lag_at(sum, 0.99),
           lag_at(sum, 1));
    if (sum->slow)
        printf("    %-20s %8llu\n", "slow steps", (unsigned long long)sum->slow);
    for (size_t i = 0; i < sum->wait_count; i++) {
        text_clear(&name);
        text_add_clean(&name, trace_log_name(log, sum->waits[i].wait));
        printf("    %-20s %8llu waits %14.3f ms\n", text_of(&name), (unsigned long long)sum->waits[i].count,
               (double)sum->waits[i].ns / 1e6);
    }
    text_free(&name);
}

static void print_totals(const struct sums *sums)
{
    printf("%llu polls %.3f ms, %llu callbacks %.3f ms", (unsigned long long)sums->polls,
           (double)sums->poll_ns / 1e6, (unsigned long long)sums->callbacks, (double)sums->callback_ns / 1e6);
    if (sums->slow_callbacks)
        printf(", %llu of them slow", (unsigned long long)sums->slow_callbacks);
    if (sums->works)
        printf("\n%llu pieces of work on %zu threads %.3f ms, the longest %.3f ms",
               (unsigned long long)sums->works, sums->threads, (double)sums->work_ns / 1e6,
               (double)sums->longest_work_ns / 1e6);
    printf("\n\n");
}

void write_trace_stats(struct trace_log *log)
{
    struct sums sums = {.log = log};
    trace_log_walk(
        log,
        &(struct trace_walker){
            .context = &sums, .begin = begin_sum, .end = end_sum, .state = sum_state, .other = sum_other});
    int64_t whole_ns = log->count ? (int64_t)(log->records[log->count - 1].time - log->records[0].time) : 0;
    printf("%zu records of %.6f s, %llu older ones are gone\n", log->count, (double)whole_ns / 1e9,
           (unsigned long long)log->lost);
    print_totals(&sums);
    printf("%-24s %8s %8s %10s %11s %11s %9s %9s %9s\n", "coroutine (times in ms)", "tasks", "done", "steps",
           "run", "longest", "ready p50", "p99", "max");
    if (sums.count)
        qsort(sums.all, sums.count, sizeof *sums.all, compare_sums);
    for (size_t i = 0; i < sums.count; i++) {
        print_sum(log, &sums.all[i]);
        free(sums.all[i].lags);
        free(sums.all[i].waits);
    }
    free(sums.all);
    free(sums.begun_ns);
    table_free(&sums.of);
    table_free(&sums.thread_of);
}
