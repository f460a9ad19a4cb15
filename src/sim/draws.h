/*
 * The draws of a simulated run: every decision that chance makes, numbered, so that a run can be made again
 * with less chance in it.
 *
 * Each feature has a generator of its own, from the run's seed: that one is off changes no other one's
 * numbers. 0 is the plain way, always: the first of the tasks, no delay, nothing lost. A feature that is off
 * draws 0, and after `limit` draws all do. So the caller puts the plain case at 0: a piece of n bytes is
 * n - draw(n), never 1 + draw(n).
 *
 * State is this thread's. Outside a run all draws are 0, and nothing is noted.
 */
#ifndef ASY_SIM_DRAWS_H
#define ASY_SIM_DRAWS_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_feature {
    SIM_ORDER,     /* which ready task runs next */
    SIM_JITTER,    /* how late a packet is */
    SIM_LOSS,      /* whether it is lost */
    SIM_PIECES,    /* how many bytes arrive at once */
    SIM_DUPLICATE, /* whether a datagram comes twice */
    SIM_REORDER,   /* whether it comes late */
    SIM_RESET,     /* whether a connection breaks */
    SIM_WORK,      /* how long work on threads takes */
    SIM_CHANCE,    /* asyncio_sim_chance */
    SIM_FEATURES
};

/* What the draws of a run are to be. */
struct sim_plan {
    uint64_t seed;
    uint64_t limit;   /* draws after this many are 0 */
    uint32_t off;     /* features that are off, a bit each */
    uint64_t tell_at; /* the draw to describe in words, of those that follow; 0: none */
};

/* Begins a run's draws. `now_ns` reads the run's clock. */
void asy_sim_draws_begin(const struct sim_plan *plan, int64_t (*now_ns)(void));
/* Ends them; what was counted can still be read. */
void asy_sim_draws_end(void);
/* Is a run under way in this thread? */
bool asy_sim_is_on(void);
/* How many there were, those after the limit among them. One of a feature that is off is none, nor is one
 * with a single answer. */
uint64_t asy_sim_draws_count(void);
/* Which features they were of, a bit each. */
uint32_t asy_sim_draws_features(void);

/* Uniform in 0 .. bound - 1. */
uint64_t asy_sim_draw(enum sim_feature feature, uint64_t bound);
/* True with this probability. */
bool asy_sim_draw_chance(enum sim_feature feature, double probability);
/* The same for asyncio_sim_random: never 0 by the plan, and not counted. */
uint64_t asy_sim_draw_user(void);

/* Says in words what the latest draw has decided, printf's way. Formats nothing unless that draw is to be
 * told, so it may stand on any path: asy_sim_tell("segment of %zu of %zu bytes", piece, all). */
#define asy_sim_tell(...) (UNLIKELY(asy_sim_is_told()) ? asy_sim_tell_words(__VA_ARGS__) : (void)0)
bool asy_sim_is_told(void);
void asy_sim_tell_words(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The words of the draw that the plan says; "" if it has not come. */
const char *asy_sim_told(void);

#endif
