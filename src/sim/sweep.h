/*
 * Sweeps: a run is made again with a cancel at each suspension, or with each call failing. What the public
 * sweeps and our own tests (tests/support/harness.c), which run in other ways, share.
 */
#ifndef ASY_SIM_SWEEP_H
#define ASY_SIM_SWEEP_H

#include "asyncio/coroutines.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Cancels --------------------------------------------------------------------------------- */

/* Where a subject is cancelled, and what came of it. */
struct sim_cancel {
    asyncio_coro *(*subject)(void *arg);
    void *arg;
    unsigned at;     /* the suspension, from 1; 0: none, only counts */
    bool by_timeout; /* a timeout around the subject is over, in place of a request */
    bool has_fired;  /* after the run; false: it ended before that suspension */
    const char *in;  /* the name of that wait */
    intptr_t result; /* the subject's */
    /* Private. */
    asyncio_task *task;
    struct asyncio_timeout *timeout;
    unsigned seen;
};

/* Makes a coroutine that runs the subject as a task of its own, cancels it, and returns its result. It uses
 * the loop's instrument for that. */
asyncio_coro *asy_sim_cancel_main(struct sim_cancel *cancel);

/* ---- Failing calls ----------------------------------------------------------------------------- */

/* Which call fails, and whether one did. */
struct sim_fault {
    uint64_t at;      /* the number of the call, from 1 */
    unsigned way;     /* in which of its ways */
    bool sticky;      /* all later ones fail, too */
    bool is_hit;      /* after the run; false: there were not so many calls */
    const char *call; /* its name */
    int error;        /* what it returned; 0: it was an allocation */
};

/* Around what counts: from here on calls are counted, and one fails. */
void asy_sim_fault_begin(const struct sim_fault *fault);
void asy_sim_fault_end(struct sim_fault *fault);

/* Calls run(arg, fault) for each call and each of its ways, until a run is not hit, and then for each with
 * all later ones. `run` begins and ends the fault; false: the sweep ends. Returns whether it came to the
 * end. */
bool asy_sim_each_fault(bool (*run)(void *arg, struct sim_fault *fault), void *arg);

#endif
