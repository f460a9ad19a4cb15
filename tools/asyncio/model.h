/*
 * The loops and tasks of a target, made from the debug descriptor (core/descriptor.h) and a copy of its
 * memory.
 */
#ifndef TOOL_MODEL_H
#define TOOL_MODEL_H

#include "core/descriptor.h"
#include "core/shapes.h"
#include "memory.h"

struct site {
    char *file, *function; /* file: its last part */
    uint32_t line;
};

struct kind {
    char *name;
    struct wait_shape shape;
};

/* TASK_CREATES: it makes a task that starts eagerly, and goes on when that waits or has ended. */
enum task_state { TASK_STARTS, TASK_READY, TASK_RUNS, TASK_CREATES, TASK_WAITS, TASK_UNKNOWN };

#define NOBODY UINT32_MAX
#define CREATORS_MAX 64 /* the library nests no more */

struct task {
    uint64_t at, id, steps, sp, stack_low, stack_high, wait, object, next;
    uint64_t room_low, room_high;        /* its stack, also while it runs; both 0: it has none */
    uint64_t touched_low, touched_bytes; /* of that, what was ever used; 0: not known (depths.c) */
    int64_t since_ns;
    int64_t deadline_ns, timeout_ns; /* of its wait; of its innermost timeout. INT64_MAX: none */
    uint64_t scopes;
    char *name;                          /* NULL: made from the id */
    const struct site *site, *coroutine; /* where it was made; its function. Or NULL */
    const struct kind *kind;             /* of its wait, or NULL */
    const struct stack *stack;           /* once unwound, or NULL */
    uint32_t loop;
    uint32_t first_page, last_page; /* that its struct lies on; NOBODY: not known */
    uint32_t first_edge, edge_count;
    uint32_t owner; /* a task that awaits it, or whose group it is in; or NOBODY */
    uint8_t state;  /* enum task_state */
    bool is_unsteady, is_new;
    bool is_cancelled; /* a request waits for the next wait */
};

struct loop {
    uint64_t at, id, current, steps, polls, callbacks, ready_count, timer_count, task_count;
    int64_t now_ns, timer_ns; /* the clock at its last poll; the first deadline, or INT64_MAX */
    int tid;
    bool is_sleeping, is_virtual;
    uint32_t first_task, tasks; /* in model.tasks */
    struct creator {
        uint64_t at, sp;
    } creators[CREATORS_MAX]; /* tasks that make one eagerly, the innermost first */
    uint32_t creator_count;
    bool has_registers; /* of its thread */
    struct registers registers;
    const struct stack *stack; /* of its thread, if no task runs and it does not sleep */
};

/* One task waits for another, or for what only that can give. */
struct edge {
    uint32_t to;
    enum edge_kind { AWAITS, OWNS, NEEDS_LOCK } kind;
};

struct model {
    struct target *target;
    struct memory *memory;
    uint64_t descriptor_at;
    struct asyncio_debug_v1 debug;
    uint32_t debug_bytes; /* of `debug`, that the target has */

    struct loop *loops;
    size_t loop_count, loop_capacity;
    struct task *tasks;
    size_t task_count, task_capacity;
    struct task *room; /* model_make_room's, or NULL */
    size_t room_capacity;
    struct table by_address, by_id;
    struct edge *edges;
    size_t edge_count, edge_capacity;
    struct text remark; /* what is wrong with it */

    /* Kept from one making to the next. */
    struct table kinds, sites;
    struct kind **kind_list;
    struct site **site_list;
    size_t kind_list_count, kind_list_capacity, site_list_count, site_list_capacity;
    char **names;
    size_t name_count, name_capacity;
};

/* Finds the descriptor. READ_WHOLE, or why not, with a line on stderr. */
enum exit_status model_open(struct model *model, struct target *target, struct memory *memory);
/* Makes loops and tasks, and copies what they wait for. What was made before, and has not changed since, is
 * taken over. */
void model_collect(struct model *model);
/* Room for the next time, touched already: a target that is stopped does not wait for that, either. */
void model_make_room(struct model *model);
/* Makes the table of tasks, which a target that is stopped need not wait for. */
void model_index(struct model *model);
/* Finds out who waits for whom. (links.c) */
void model_link(struct model *model);
void model_free(struct model *model);

/* Tasks that have changed since are marked as unsteady. */
void model_mark_unsteady(struct model *model);

/* Does the target's descriptor have this field? */
#define HAS(model, field)                                                                                    \
    ((model)->debug_bytes >= offsetof(struct asyncio_debug_v1, field) + sizeof((model)->debug.field))

/* A kind of wait; NULL for 0. */
const struct kind *model_kind(struct model *model, uint64_t address);
/* A place in the program's source; NULL for 0. */
const struct site *model_site(struct model *model, uint64_t address);
struct task *find_task(const struct model *model, uint64_t address);
void name_task(const struct task *task, struct text *text);
/* Seconds that the loop's clock has gone on since; below 0: not known. */
double seconds_since(const struct model *model, const struct loop *loop, int64_t then_ns);
/* Copies the stacks of threads that are in a step, a callback or a poll that does not wait. The target is
 * stopped, or is a core file. */
void model_take_registers(struct model *model);
uint64_t stack_pointer_of(const struct model *model, const struct registers *registers);

/* ---- find.c ----------------------------------------------------------------- */
/* The address of the descriptor; 0: there is none. */
uint64_t find_descriptor(struct target *target, struct memory *memory);

#endif
