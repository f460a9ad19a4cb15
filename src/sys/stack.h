/*
 * Stacks: carved from slabs (one mapping for many), committed as touched, guarded, reused hot, trimmed when
 * one was used deeply.
 *
 *   slab:  | guard | usable ............ top | guard | usable ............ top | ...
 *
 * A stack's stride (guard and usable part) is an odd number of pages, so that the hot pages of many stacks
 * fall into different sets of the TLB, and `top` is offset by a colour (a multiple of 64 bytes below 1 KiB)
 * so that they fall into different sets of the data cache.
 *
 * A pool belongs to one loop and its thread. Nothing on the take and give paths allocates or enters the
 * kernel when a warm stack is there.
 */
#ifndef ASY_SYS_STACK_H
#define ASY_SYS_STACK_H

#include "base/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASY_STACK_DEFAULT_BYTES (256u * 1024u)
#define ASY_STACK_MIN_BYTES (16u * 1024u)
/* What compilers take a guard to be at least, when they let frames below that size go without a probe. */
#define ASY_STACK_GUARD_BYTES (64u * 1024u)

struct asy_stack_slab;

struct asy_stack {
    struct list node; /* on its pool's warm or cold list while free */
    struct asy_stack_slab *slab;
    char *low;      /* lowest usable address; the guard lies right below */
    char *top;      /* where the first frame goes: 16-byte aligned, coloured */
    void *owner;    /* the task that runs on it; for the overflow report */
    uint32_t gives; /* how often it came back since its depth was last looked at */
    uint32_t flags; /* the pool's own (stack_slab.h) */
    void *checker;  /* thread sanitizer's fibre, or Valgrind's stack id */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct asy_stack) == 64, "a descriptor is one cache line");

struct asy_stacks; /* a loop's pools, one a size */

/* Makes the pools; `default_bytes` 0 is ASY_STACK_DEFAULT_BYTES. NULL: out of memory. */
struct asy_stacks *asy_stacks_new(size_t default_bytes);

/* Gives everything back to the kernel, except slabs with abandoned stacks. */
void asy_stacks_destroy(struct asy_stacks *stacks);

/* The usable size that a request for `bytes` gets (0: the default): a multiple of ASY_STACK_MIN_BYTES, of
 * which the colour takes up to 960 bytes. 0: no stack is that large. */
size_t asy_stacks_size(const struct asy_stacks *stacks, size_t bytes);

/* Takes a stack of asy_stacks_size(bytes) usable bytes, never the one that the caller runs on. 0 and
 * *stack; or a negative errno where there is no memory, no address space or no mapping left, and nothing
 * has changed. */
int asy_stack_take(struct asy_stacks *stacks, size_t bytes, struct asy_stack **stack);

/* Puts a stack back. May be called while still running on it: as long as the caller runs on it, no call
 * here hands it out, gives back its memory or unmaps it. */
void asy_stack_give(struct asy_stacks *stacks, struct asy_stack *stack);

/* The stack of a task that never ends. It is not reused, unwound or unmapped, not even by
 * asy_stacks_destroy: its frames may still be referred to. The descriptor lives as long as the pools. */
void asy_stack_abandon(struct asy_stacks *stacks, struct asy_stack *stack);

/* Which stack's guard an address lies in; NULL if none. Async-signal-safe. */
struct asy_stack *asy_stacks_find_guard(struct asy_stacks *stacks, const void *address);

/* Which stack an address lies in; NULL if none. */
struct asy_stack *asy_stacks_find(struct asy_stacks *stacks, const void *address);
/* How many bytes of the caller's own stack were touched, in whole pages, since it was last asked here; gives
 * the memory below the caller back for that. */
size_t asy_stack_take_depth(const struct asy_stacks *stacks, struct asy_stack *stack);

/* Gives back memory of free stacks that was not needed lately. Called when the loop is about to sleep;
 * bounded work, a few nanoseconds when there is none. */
void asy_stacks_trim(struct asy_stacks *stacks);

/* From now on guards are made by mprotect, as on kernels before 6.13. For tests. */
void asy_stacks_use_mprotect(struct asy_stacks *stacks);

/* For tests and reports. `warm` and `cold` are free stacks, with and without memory. */
struct asy_stacks_stat {
    size_t live, warm, cold, slabs, abandoned;
    bool guard_install; /* guards by MADV_GUARD_INSTALL, as far as is known; else mprotect */
};
void asy_stacks_stat(const struct asy_stacks *stacks, struct asy_stacks_stat *stat);

#endif
