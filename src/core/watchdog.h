/*
 * The watchdog: one thread for the process, which sees loops that stand still, from the first run of a loop
 * that has a limit until the last such loop closes.
 */
#ifndef ASY_CORE_WATCHDOG_H
#define ASY_CORE_WATCHDOG_H

#include "asyncio/types.h"
#include "base/compiler.h"
#include "base/list.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What each loop has for it. */
struct watched {
    int64_t limit_ns; /* how long it may stand still; 0: it is not watched. Loop's thread */
    bool is_listed;   /* Loop's thread */
    /* The loop's thread writes them when a run begins and ends. Relaxed: the watchdog that reads an old value
     * looks again before it tells anybody. */
    _Atomic bool is_running, may_signal;
    _Atomic int tid, poll_fd;
    /* Under the watchdog's lock. */
    struct list node;
    uint64_t seen;    /* the loop's progress, */
    int64_t since_ns; /* where it has stood since then; */
    int64_t cpu_ns;   /* the time that its thread had had by then, */
    uint64_t sleeps;  /* and how often that had slept by the look after that one; UINT64_MAX: unknown */
    bool is_due;      /* it stands long enough for a look */
    bool is_told;
};

/* The loop's options or its debug mode have changed: says whether, and how strictly, it is watched. */
void asy_watchdog_update(asyncio_loop *loop);
/* A loop with a limit has waited, and goes on. */
void asy_watchdog_woken(asyncio_loop *loop);
/* A run of a loop with a limit begins, or ends, in this thread. */
COLD void asy_watchdog_enter(asyncio_loop *loop);
COLD void asy_watchdog_leave(asyncio_loop *loop);
/* The loop closes. If it was the last one, returns when the watchdog has ended. */
void asy_watchdog_forget(asyncio_loop *loop);
/* In a forked child there is none. */
void asy_watchdog_forked(void);

#endif
