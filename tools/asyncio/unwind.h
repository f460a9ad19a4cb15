/*
 * Stacks: frames with functions and lines, by the DWARF of the files that are mapped.
 */
#ifndef TOOL_UNWIND_H
#define TOOL_UNWIND_H

#include "model.h"

#define FRAMES_MAX 256

struct frame {
    uint64_t pc;          /* in the call, not behind it */
    const char *function; /* NULL: not known */
    const char *object;   /* then: the last part of its file's path, or NULL */
    uint64_t offset;      /* and where the call returns to, from where that is loaded: for `symbolise` */
    const char *file;     /* its last part, or NULL */
    int line;
    bool is_library, is_inlined;
};

struct stack {
    struct frame *frames; /* the innermost first */
    size_t count;
    size_t where; /* the innermost frame that is the program's; `count`: there is none */
    uint32_t id;  /* equal stacks are one */
    uint64_t own; /* the same for all whose frames of the program are equal */
};

struct unwinder;
struct unwinder *unwinder_open(struct model *model);
void unwinder_free(struct unwinder *unwinder);
/* Unwinds all tasks and threads of which there are registers. */
void unwind_all(struct unwinder *unwinder);
/* The symbol at an address of the program's data, "db" or "table+0x10"; false: there is none. */
bool symbol_of_data(struct unwinder *unwinder, uint64_t address, struct text *text);
/* The function at an address, or NULL. */
const char *function_at(struct unwinder *unwinder, uint64_t address);

#endif
