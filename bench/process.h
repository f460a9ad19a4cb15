/*
 * The question `process`: how long does it take to start `true`, and to be told of its end,
 * one at a time, in a process that has touched so many megabytes? And how much is left of it?
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include "bench.h"

#define PROCESS_PROGRAM "/bin/true"

/* The memory of a program that has much; variant "0", "500". NULL when there is not so much. */
static inline char *process_touch(const char *variant)
{
    size_t bytes = strtoul(variant, NULL, 10) * 1024 * 1024;
    if (!bench_has_room(1, bytes))
        return NULL;
    char *memory = malloc(bytes + 1);
    BENCH_CHECK(memory);
    for (size_t i = 0; i < bytes; i += 4096)
        memory[i] = (char)i;
    return memory;
}

/* Measures, with the memory of a variant. `arg` is the bench's own. */
static inline void process_measure(const char *variant, bench_function fn, void *arg)
{
    char *memory = process_touch(variant);
    if (!memory) {
        bench_print_none("process", variant, "not enough memory");
        return;
    }
    bench_measure("process", variant, fn, arg, 1);
    free(memory);
}

#endif
