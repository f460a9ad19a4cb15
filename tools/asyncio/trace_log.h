/*
 * A trace file, read and made sense of: records in order of time, tasks with their names, and a walk that
 * tells what ran from when to when. Nothing in the file is trusted.
 */
#ifndef TOOL_TRACE_LOG_H
#define TOOL_TRACE_LOG_H

#include "core/trace_file.h"
#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct traced_task {
    uint64_t id, parent;
    uint32_t coroutine, own_name; /* places of names; 0: not known */
    /* During a walk. */
    enum traced_state { STATE_UNKNOWN, STATE_READY, STATE_RUNNING, STATE_WAITING, STATE_DONE } state;
    uint32_t wait;     /* place of the name of what it waits in */
    int64_t since_ns;  /* it is in that state */
    uint64_t flow;     /* from who made it ready to its step; 0: none */
    bool is_described; /* for the writer */
};

struct trace_log {
    struct trace_head head;
    char *names;
    struct trace_record *records; /* oldest first; times are ns, and never fall */
    size_t count;
    uint64_t lost; /* older records that the ring has no more */
    size_t spoilt; /* records that make no sense */
    struct traced_task *tasks;
    size_t task_count, task_capacity;
    struct table task_of; /* by number */
};

/* READ_WHOLE, or another enum exit_status and a line on stderr. */
int trace_log_open(struct trace_log *log, const char *path);
/* Keeps only the last seconds. */
void trace_log_keep_last(struct trace_log *log, double seconds);
void trace_log_free(struct trace_log *log);

struct traced_task *trace_log_task(struct trace_log *log, uint64_t id); /* NULL: for 0 */
/* Adds the task's name: its own, or its coroutine's and its number. */
void trace_log_say_task(const struct trace_log *log, const struct traced_task *task, struct text *text);

static inline enum trace_kind kind_of(const struct trace_record *record)
{
    return (enum trace_kind)(record->subject >> TRACE_KIND_SHIFT);
}
static inline uint64_t task_of(uint64_t word)
{
    return word & TRACE_TASK_MASK;
}
/* Of work on a thread: records whose times were told when it came back, and are put in order here. */
static inline bool is_of_work(const struct trace_record *record)
{
    return kind_of(record) == TRACE_OFFLOAD || kind_of(record) == TRACE_OFFLOADED;
}
static inline uint32_t name_place(uint64_t word)
{
    return (uint32_t)(word >> TRACE_TASK_BITS) & 0xffff;
}
const char *trace_log_name(const struct trace_log *log, uint32_t place);

/* What the walk tells, in order of time. What the loop's thread does begins and ends in turn; what has no
 * begin in the ring begins with the first record. `state` is called when the task's fields have changed. */
enum activity { DOES_NOTHING, RUNS_TASK, RUNS_CALLBACK, POLLS };
struct trace_walker {
    void *context;
    void (*begin)(void *context, enum activity activity, struct traced_task *task, int64_t ns);
    void (*end)(void *context, enum activity activity, struct traced_task *task, int64_t ns);
    /* It was in state `before` until now. */
    void (*state)(void *context, struct traced_task *task, const struct traced_task *before, int64_t ns);
    void (*other)(void *context, const struct trace_record *record, struct traced_task *task);
};
void trace_log_walk(struct trace_log *log, const struct trace_walker *walker);

/* The forms that it is written in. False: the output failed. */
bool write_trace_perfetto(struct trace_log *log, const char *path);
void write_trace_text(struct trace_log *log);
void write_trace_json(struct trace_log *log);
void write_trace_stats(struct trace_log *log);

#endif
