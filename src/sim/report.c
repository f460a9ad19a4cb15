/*
 * A failure in words.
 */
#include "asyncio/errors.h"
#include "sim/run.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct lines {
    char *text;
    size_t bytes, used;
};

__attribute__((format(printf, 2, 3))) static void add_words(struct lines *lines, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(lines->text + lines->used, lines->bytes - lines->used, format, args);
    va_end(args);
    if (n > 0)
        lines->used += (size_t)n;
    if (lines->used >= lines->bytes)
        lines->used = lines->bytes - 1;
}

static void add_needed_draws(struct lines *lines, const struct sim_failure *failure)
{
    if (!failure->is_shrunk)
        add_words(lines, "; made %llu draws", (unsigned long long)failure->draws);
    else if (!failure->needed)
        add_words(lines, "; needs no draws");
    else
        add_words(lines, "; needs the first %llu of %llu draws", (unsigned long long)failure->needed,
                  (unsigned long long)failure->draws);
}

static void add_again(struct lines *lines, const struct sim_job *job, const struct sim_failure *failure)
{
    if (job->has_own_seed)
        add_words(lines, "asyncio: again: options.seed = %llu\n", (unsigned long long)failure->seed);
    else
        add_words(lines, "asyncio: again: ASYNCIO_SIM_SEED=%llu %s\n", (unsigned long long)failure->seed,
                  program_invocation_name);
}

void asy_sim_describe_failure(const struct sim_job *job, const struct sim_failure *failure, char *text,
                              size_t bytes)
{
    struct lines lines = {text, bytes, 0};
    const struct sim_outcome *outcome = &failure->outcome;
    add_words(&lines, "asyncio: simulation failed: %s after %.3f virtual seconds, seed %llu (run %zu of %zu)",
              asyncio_errname(outcome->error), outcome->seconds, (unsigned long long)failure->seed,
              failure->run, failure->runs);
    add_needed_draws(&lines, failure);
    add_words(&lines, "\n");
    if (*failure->what)
        add_words(&lines, "asyncio: %s\n", failure->what);
    if (*outcome->words && outcome->verdict != -EDEADLK)
        add_words(&lines, "asyncio: %s\n", outcome->words);
    if (outcome->lost)
        add_words(&lines, "asyncio: %zu socket%s closed by close(2), not by the library: %s\n", outcome->lost,
                  outcome->lost == 1 ? " was" : "s were", outcome->lost_words);
    if (*outcome->told)
        add_words(&lines, "asyncio: draw %llu: %s\n", (unsigned long long)failure->needed, outcome->told);
    add_words(&lines, "%s%s", outcome->waits, outcome->notes);
    if (*outcome->trace_words)
        add_words(&lines, "asyncio: %s\n", outcome->trace_words);
    add_again(&lines, job, failure);
}

static void add_tail(struct lines *lines, const char *which, const struct sim_log *log, size_t end)
{
    char words[160];
    add_words(lines, "asyncio: the %s run:\n", which);
    for (size_t i = end < SIM_TAIL ? 0 : end - SIM_TAIL; i < end; i++) {
        asy_sim_step_words(log, i, words, sizeof words);
        add_words(lines, "asyncio:   %s\n", words);
    }
}

void asy_sim_describe_difference(const struct sim_job *job, const struct sim_failure *failure,
                                 const struct sim_log *first, const struct sim_log *second, char *text,
                                 size_t bytes)
{
    struct lines lines = {text, bytes, 0};
    size_t at = asy_sim_logs_part_at(first, second);
    add_words(&lines,
              "asyncio: simulation failed: two runs of seed %llu (run %zu of %zu) are not the same at "
              "step %zu\n",
              (unsigned long long)failure->seed, failure->run, failure->runs, at + 1);
    add_tail(&lines, "first", first, at + 1);
    add_tail(&lines, "second", second, at + 1);
    add_again(&lines, job, failure);
}
