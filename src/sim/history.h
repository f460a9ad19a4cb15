/*
 * What happened in a simulated run, step by step: its hash, by which two runs are compared, and a log of the
 * steps, which tells where they part.
 *
 * A step has the time, a word, and two numbers: ids, kinds or lengths, never an address, a descriptor or a
 * process id, which differ between equal runs. State is this thread's; outside a run nothing is recorded.
 */
#ifndef ASY_SIM_HISTORY_H
#define ASY_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_step {
    uint64_t hash; /* of all up to here */
    int64_t at_ns;
    const char *what; /* a literal */
    uint64_t a, b;
};

/* The first steps of a run, as many as there is room for. */
struct sim_log {
    struct sim_step *steps;
    size_t count, room;
};

/* Begins a run's history. `now_ns` reads the run's clock; `log` may be NULL. */
void asy_sim_history_begin(int64_t (*now_ns)(void), struct sim_log *log);
void asy_sim_history_end(void);

/* Something happened: `what` is a literal. */
void asy_sim_happened(const char *what, uint64_t a, uint64_t b);
/* The same for words that are made up, of which the hash alone is kept. */
void asy_sim_said(const char *what, const char *words);
/* Of all steps so far, also after the end. */
uint64_t asy_sim_hash(void);

/* The index of the first step that differs; the smaller count, if none does. */
size_t asy_sim_logs_part_at(const struct sim_log *a, const struct sim_log *b);
/* Writes a step in words, without an end of line. */
void asy_sim_step_words(const struct sim_log *log, size_t index, char *text, size_t bytes);

#endif
