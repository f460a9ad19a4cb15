/*
 * One run of a scenario, and what becomes of it: what the files of the runner share.
 *
 *   once.c      one run: a world and a loop, from start to end, and what it leaves
 *   direct.c    directs the loop meanwhile: order, limits, steps
 *   run.c       all runs of asyncio_sim_run and the sweeps: seeds, repeats
 *   deaths.c    the seed of a run that takes the process with it
 *   shrink.c    fewer draws, as long as the failure is the same
 *   report.c    the failure in words
 *   sweep.c     cancels and failing calls in each place
 */
#ifndef ASY_SIM_RUN_H
#define ASY_SIM_RUN_H

#include "asyncio/sim.h"
#include "sim/draws.h"
#include "sim/history.h"
#include "sim/notes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is run. It is the same for each seed, but for what shrinking and sweeps change between runs. */
struct sim_job {
    asyncio_coro *(*scenario)(void *arg);
    void *arg;
    asyncio_sim_options options; /* without zeros that stand for defaults */
    bool has_own_seed;           /* the options had one: the environment is not asked */
    bool is_quiet;               /* reports of the loop are not shown */
    /* Of a sweep (sweep.c); NULL: none. They are called around main and its shutdown, and to judge the
     * result: 0, or the error. */
    const struct sim_sweep_kind *sweep;
};

struct sim_sweep_kind {
    void (*begin)(struct sim_job *job);
    void (*end)(struct sim_job *job);
    intptr_t (*judge)(struct sim_job *job, intptr_t result);
};

#define SIM_WAITS_TEXT 2048

/* What became of a run. */
struct sim_outcome {
    intptr_t error;  /* 0: it passed */
    intptr_t result; /* of main */
    int verdict;     /* why the run ended before main had: -EDEADLK, -ELOOP, -ETIME; or 0 */
    uint64_t draws, hash;
    uint32_t drawn; /* the features of these draws, a bit each */
    double seconds;
    bool is_controlled;         /* no thread of the program's has posted to it */
    char words[256];            /* why it failed, or "" */
    char trace_words[128];      /* why there is no trace */
    char told[192];             /* the draw of plan.tell_at */
    size_t sockets;             /* open when the loop closed */
    char socket_words[128];     /* some of them */
    size_t lost;                /* sockets that the program has closed by close(2) */
    char lost_words[192];       /* some of those */
    char waits[SIM_WAITS_TEXT]; /* lines: what tasks waited in when a limit or a deadlock ended it */
    char notes[SIM_NOTES_TEXT]; /* lines: the latest notes, if the run failed */
};

/* Runs the job once. `log`, which may be NULL, gets the steps; `trace` names the file of a trace, or is
 * NULL. */
void asy_sim_run_once(struct sim_job *job, const struct sim_plan *plan, struct sim_log *log,
                      const char *trace, struct sim_outcome *outcome);

/* ---- direct.c --------------------------------------------------------------------------- */

struct asyncio_loop;
/* From now on directs the loop, which has no task yet; what it has to say of the run goes to `outcome`. */
void asy_sim_direct(struct asyncio_loop *loop, const struct sim_job *job, struct sim_outcome *outcome);
/* The loop is closed. */
void asy_sim_direct_end(void);
/* Main has ended: tasks that are left get a while more, even after a limit. */
void asy_sim_direct_shutdown(void);
/* The virtual time, as draws and history read it. */
int64_t asy_sim_run_now_ns(void);

/* ---- run.c ------------------------------------------------------------------------------ */

/* Runs of one call, and what they come to. */
struct sim_batch {
    struct sim_job job;
    uint64_t seed;     /* of the run at hand */
    uint64_t first;    /* seed */
    size_t seeds;      /* how many */
    size_t seed_index; /* of the one at hand */
    struct sim_log logs[2];
    bool said_uncontrolled;
    asyncio_sim_result result;
};

/* 0, or an error, with which the call is refused. */
int asy_sim_batch_begin(struct sim_batch *batch, asyncio_coro *(*scenario)(void *arg), void *arg,
                        const asyncio_sim_options *options, size_t seeds);
/* Tells why the batch did not begin, in words and in the result, which may be NULL. The error. */
int asy_sim_batch_refuse(struct sim_batch *batch, int err, asyncio_sim_result *result);
/* Does no other thread simulate just now? */
bool asy_sim_is_alone(void);
/* Takes the next seed. False: all have been. */
bool asy_sim_batch_next(struct sim_batch *batch);
/* Runs the job with the seed at hand. `what` says in words, for a sweep, which of its runs this is. 0, or the
 * error: it failed, which was told. */
intptr_t asy_sim_batch_run(struct sim_batch *batch, const char *what, size_t at);
/* Returns the call's result. */
intptr_t asy_sim_batch_end(struct sim_batch *batch, asyncio_sim_result *result);

/* ---- deaths.c --------------------------------------------------------------------------- */

/* From now until the end a run of this thread that dies of a signal or a sanitizer tells its seed. */
void asy_sim_deaths_watch(void);
void asy_sim_deaths_unwatch(void);
/* The batch's next run begins; `at` is a sweep's place, or 0. */
void asy_sim_deaths_next(const struct sim_batch *batch, size_t at);

/* ---- shrink.c, report.c ------------------------------------------------------------------- */

/* A run that failed, and how little it needs for that. */
struct sim_failure {
    const char *what; /* of a sweep: "cancelled at suspension 3", or "" */
    uint64_t seed;
    size_t run, runs; /* its number, of how many */
    bool is_shrunk;
    uint64_t needed, draws;
    struct sim_outcome outcome; /* of the latest run that failed alike */
};

/* Looks for the fewest draws with which the job fails alike, in at most 60 runs, and leaves them in *job and
 * *plan. False: it does not fail when it is run again. */
bool asy_sim_shrink(struct sim_job *job, struct sim_plan *plan, struct sim_failure *failure);

/* Writes the failure into text, as many lines as have room. */
void asy_sim_describe_failure(const struct sim_job *job, const struct sim_failure *failure, char *text,
                              size_t bytes);
/* The same for two runs that were not the same: where they part, and the steps before. */
#define SIM_TAIL 20
void asy_sim_describe_difference(const struct sim_job *job, const struct sim_failure *failure,
                                 const struct sim_log *first, const struct sim_log *second, char *text,
                                 size_t bytes);

#endif
