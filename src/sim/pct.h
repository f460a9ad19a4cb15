/*
 * The order PCT, of Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler with
 * probabilistic guarantees of finding bugs": each task has a random priority, and of those that are ready
 * the highest runs; at depth - 1 random steps the task that runs falls below all others. A bug that takes d
 * orderings is found with a probability that does not shrink with the number of tasks that could have run.
 *
 * A task that is chosen very often in a row falls, too: it yields to others in a loop, and would keep them
 * waiting for ever. State is this thread's.
 */
#ifndef ASY_SIM_PCT_H
#define ASY_SIM_PCT_H

#include <stddef.h>
#include <stdint.h>

void asy_sim_pct_begin(unsigned depth);
void asy_sim_pct_end(void);
/* Which of these tasks, told by their ids, runs. Equal priorities, of plain draws, run in order. */
size_t asy_sim_pct_choose(const uint64_t ids[], size_t count);

#endif
