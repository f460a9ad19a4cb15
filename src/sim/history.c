/*
 * What happened in a simulated run. See history.h.
 */
#include "sim/history.h"
#include "base/compiler.h"
#include <stdio.h>
#include <string.h>

static THREAD_LOCAL struct {
    bool is_on;
    uint64_t hash;
    int64_t (*now_ns)(void);
    struct sim_log *log;
} history;

/* The last step of splitmix64: each bit of x counts for each bit of the result. */
static inline uint64_t mix(uint64_t hash, uint64_t x)
{
    uint64_t z = hash + x + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t mix_words(uint64_t hash, const char *words)
{
    for (; *words; words++)
        hash = (hash ^ (unsigned char)*words) * UINT64_C(0x100000001b3); /* FNV-1a */
    return mix(hash, 0);
}

void asy_sim_history_begin(int64_t (*now_ns)(void), struct sim_log *log)
{
    history.is_on = true;
    history.hash = 0;
    history.now_ns = now_ns;
    history.log = log;
    if (log)
        log->count = 0;
}

void asy_sim_history_end(void)
{
    history.is_on = false;
    history.log = NULL;
}

void asy_sim_happened(const char *what, uint64_t a, uint64_t b)
{
    if (!history.is_on)
        return;
    int64_t at_ns = history.now_ns();
    uint64_t hash = mix_words(history.hash, what);
    hash = mix(mix(mix(hash, (uint64_t)at_ns), a), b);
    history.hash = hash;
    struct sim_log *log = history.log;
    if (log && log->count < log->room)
        log->steps[log->count++] = (struct sim_step){hash, at_ns, what, a, b};
}

void asy_sim_said(const char *what, const char *words)
{
    asy_sim_happened(what, mix_words(0, words), strlen(words));
}

uint64_t asy_sim_hash(void)
{
    return history.hash;
}

size_t asy_sim_logs_part_at(const struct sim_log *a, const struct sim_log *b)
{
    size_t most = a->count < b->count ? a->count : b->count, i = 0;
    while (i < most && a->steps[i].hash == b->steps[i].hash)
        i++;
    return i;
}

void asy_sim_step_words(const struct sim_log *log, size_t index, char *text, size_t bytes)
{
    if (index >= log->count) {
        snprintf(text, bytes, "%zu: the end", index + 1);
        return;
    }
    const struct sim_step *step = &log->steps[index];
    snprintf(text, bytes, "%zu: %s %llu, %llu, at %.9f s", index + 1, step->what, (unsigned long long)step->a,
             (unsigned long long)step->b, (double)step->at_ns / 1e9);
}
