/*
 * Who waits for whom, and the cycles among them.
 */
#ifndef TOOL_LINKS_H
#define TOOL_LINKS_H

#include "model.h"

#define CYCLES_MAX 100

/* Reads what model_link will read of tasks that are new, so that it is in the copy. */
void touch_links(struct model *model);

/* Each task waits for the next one, and the last for the first. */
struct cycle {
    uint32_t *tasks;
    size_t length;
};
struct cycles {
    struct cycle *all;
    size_t count, capacity;
};
void find_cycles(struct model *model, struct cycles *cycles);
void free_cycles(struct cycles *cycles);

/* The lock that a task waits for, and its owner's id. */
uint64_t lock_of_wait(struct model *model, const struct task *task, uint64_t *owner);

#endif
