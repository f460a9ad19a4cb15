/*
 * What is looked at: a live process, or a core file. Both have mappings, threads with registers, and memory.
 * All of it is foreign: nothing that comes out of here is trusted.
 */
#ifndef TOOL_TARGET_H
#define TOOL_TARGET_H

#include "text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_BYTES 4096 /* the least that a machine has */

/* How the command ends. */
enum exit_status { READ_WHOLE, NO_LOOP, MISUSED, NOT_PERMITTED, NO_DESCRIPTOR, READ_IN_PART };

struct mapping {
    uint64_t low, high, offset, inode;
    unsigned major, minor;
    bool is_readable, is_writable, is_executable;
    char *path; /* "" for memory without a file */
};

/* The general registers of a thread, as ptrace and core files have them. */
struct registers {
    uint64_t words[40];
    size_t bytes;
};

struct target;
struct target_ops {
    /* Copies from memory; the number of bytes from the start that could be read. */
    size_t (*read)(struct target *target, uint64_t address, void *out, size_t bytes);
    /* The file of a mapping, to be closed; -1: it is not to be had. */
    int (*open_file)(struct target *target, const struct mapping *mapping);
    /* Stops threads, whose ids are those that the process itself knows. False: one did not. */
    bool (*stop)(struct target *target, const int *tids, size_t count, const char **why);
    void (*go_on)(struct target *target);
    /* Of a thread that is stopped. */
    bool (*get_registers)(struct target *target, int tid, struct registers *out);
    /* Finds the lowest page that has memory, from `low`, where a page begins, up to `high`. False: none has,
     * or that is not to be had. */
    bool (*find_touched)(struct target *target, uint64_t low, uint64_t high, uint64_t *lowest);
    /* Adds words about a descriptor: what it is, and its addresses. */
    void (*describe_fd)(struct target *target, int fd, bool is_reading, struct text *text);
    void (*close)(struct target *target);
};

struct target {
    const struct target_ops *ops;
    pid_t pid;
    bool is_live;
    char *program; /* the path of the executable, or NULL */
    struct mapping *mappings;
    size_t mapping_count, mapping_capacity;
    int64_t now_ns;     /* CLOCK_MONOTONIC as the process sees it; 0: not known */
    struct text remark; /* what could not be read, and why: then the status is READ_IN_PART */
};

/* Opens a process by its number or a core file by its path. `program`: of a core, or NULL. Prints why not. */
enum exit_status target_open(const char *name, const char *program, struct target **out);
enum exit_status open_process(const char *name, struct target **out);
enum exit_status open_core(const char *path, const char *program, struct target **out);
void target_close(struct target *target);

const struct mapping *find_mapping(const struct target *target, uint64_t address);
/* The last one that begins at or below the address. */
const struct mapping *find_mapping_below(const struct target *target, uint64_t address);
/* Reads text as in /proc/PID/maps. */
void parse_mappings(struct target *target, char *text);
/* Adds one; they are sorted by target_open. */
struct mapping *add_mapping(struct target *target);

#endif
