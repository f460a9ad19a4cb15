/*
 * A look at a target: what was asked for, and what was found. Its users print it.
 */
#ifndef TOOL_LOOK_H
#define TOOL_LOOK_H

#include "links.h"
#include "unwind.h"

struct options {
    int stack; /* user frames a task; 0: none; INT_MAX: all */
    bool all_frames, no_stop, json, dot, stacks;
    int group;                  /* 0: from 51 tasks on; 1, -1: always, never */
    const char *loop;           /* its number, or NULL */
    const char *name;           /* a pattern, or NULL */
    const char *wait;           /* a word, or NULL */
    double older;               /* seconds */
    const char *what, *program; /* the arguments */
};

struct look {
    struct options options;
    struct target *target;
    struct memory memory;
    struct model model;
    struct unwinder *unwinder;
    struct cycles cycles;
    struct table by_stack; /* from the end of a stack to its task */
};

/* Reads the target. READ_WHOLE or READ_IN_PART: there is something to show. */
enum exit_status look_at(struct look *look);
void look_free(struct look *look);
/* Is the task among those that were asked for? */
bool is_asked_for(const struct look *look, const struct task *task);
/* Do equal tasks make one entry? */
bool groups_tasks(const struct look *look);
/* The same for tasks that make one entry. */
uint64_t likeness_of(const struct task *task);

/* ---- depths.c --------------------------------------------------------------- */
/* Finds out how deep each stack was used. */
void measure_depths(struct look *look);
/* "12 of 256 KiB". Adds nothing if it is not known. */
void say_depth(const struct task *task, uint64_t touched_bytes, struct text *text);
/* Prints a line for each coroutine of a loop: its deepest stack. */
void print_depths(const struct look *look, const struct loop *loop);

/* ---- words.c ---------------------------------------------------------------- */
/* "sleep", "read", "lock", "running" ... */
const char *state_of(const struct task *task);
/* What the task waits for, and until when. Adds nothing if there is nothing to tell. */
void explain_task(struct look *look, const struct task *task, struct text *text);
/* "worker", the name of its function. */
const char *coroutine_of(const struct task *task);
/* Where the program's own code is in it, "target.c:18". */
void say_where(const struct task *task, struct text *text);
/* "cycle: ..." */
void say_cycle(struct look *look, const struct cycle *cycle, struct text *text);
/* "loop 0, thread 4242: 15 tasks, ..." */
void say_loop(struct look *look, const struct loop *loop, struct text *text);
/* One frame, without a newline. */
void say_frame(const struct frame *frame, struct text *text);
/* Since when it waits, in seconds; below 0: it does not. */
double waits_for_seconds(const struct look *look, const struct task *task);
/* The frames that --stack and --all-frames show: calls fn for each. */
void each_frame(const struct look *look, const struct stack *stack,
                void (*fn)(const struct frame *frame, void *arg), void *arg);

/* ---- The ways to show it ----------------------------------------------------- */
void show_list(struct look *look);
void show_tree(struct look *look);
void show_json(struct look *look);
void show_dot(struct look *look);

#endif
