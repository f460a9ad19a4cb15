/*
 * The order PCT. See pct.h.
 */
#include "sim/pct.h"
#include "sim/draws.h"
#include "sys/world.h"

#define DEPTH_MAX 64
/* A change comes within 2^15 steps; short runs and long ones get their share. */
#define CHANGE_BITS 15
#define IN_A_ROW_MAX 100

static THREAD_LOCAL struct {
    int64_t *priorities; /* by the task's id; those that fell are negative */
    size_t known, room;  /* ids below `known` have one */
    int64_t lowest;
    uint64_t steps;
    uint64_t changes[DEPTH_MAX]; /* the steps at which the task that is chosen falls */
    unsigned change_count;
    uint64_t latest, in_a_row;
} pct;

void asy_sim_pct_begin(unsigned depth)
{
    pct.known = 0;
    pct.lowest = 0;
    pct.steps = pct.latest = pct.in_a_row = 0;
    pct.change_count = 0;
    for (unsigned i = 1; i < depth && i < DEPTH_MAX; i++) {
        uint64_t bits = asy_sim_draw(SIM_ORDER, CHANGE_BITS);
        if (!bits)
            continue; /* the plain way: there is none */
        uint64_t first = UINT64_C(1) << bits, at = first + asy_sim_draw(SIM_ORDER, first);
        asy_sim_tell("the task that is chosen at step %llu falls", (unsigned long long)at);
        pct.changes[pct.change_count++] = at;
    }
}

void asy_sim_pct_end(void)
{
    asy_sim_free(pct.priorities);
    pct.priorities = NULL;
    pct.room = 0;
}

static void learn_priorities(uint64_t id)
{
    if (id >= pct.room) {
        pct.room = (size_t)(id + 1) * 2;
        pct.priorities = asy_sim_realloc(pct.priorities, pct.room * sizeof *pct.priorities);
    }
    for (; pct.known <= id; pct.known++) {
        pct.priorities[pct.known] = (int64_t)asy_sim_draw(SIM_ORDER, 1000000);
        asy_sim_tell("priority of Task-%zu", pct.known);
    }
}

static void fall(uint64_t id)
{
    pct.priorities[id] = --pct.lowest;
    pct.in_a_row = 0;
}

static size_t find_highest(const uint64_t ids[], size_t count)
{
    size_t highest = 0;
    for (size_t i = 1; i < count; i++)
        if (pct.priorities[ids[i]] > pct.priorities[ids[highest]])
            highest = i;
    return highest;
}

size_t asy_sim_pct_choose(const uint64_t ids[], size_t count)
{
    pct.steps++;
    for (size_t i = 0; i < count; i++)
        learn_priorities(ids[i]);
    size_t chosen = find_highest(ids, count);
    uint64_t id = ids[chosen];
    pct.in_a_row = id == pct.latest ? pct.in_a_row + 1 : 1;
    pct.latest = id;
    bool falls = pct.in_a_row > IN_A_ROW_MAX;
    for (unsigned i = 0; i < pct.change_count; i++)
        falls |= pct.changes[i] == pct.steps;
    if (!falls)
        return chosen;
    fall(id);
    return find_highest(ids, count);
}
