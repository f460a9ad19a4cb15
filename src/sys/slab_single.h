/*
 * Blocks that are each an allocation of their own, for slab.c: those above ASY_SLAB_MAX, and all of them
 * where a checker is to see every misuse. A registry on the side knows them, so that asy_slab_each finds
 * these too.
 */
#ifndef ASY_SYS_SLAB_SINGLE_H
#define ASY_SYS_SLAB_SINGLE_H

#include "base/sanitizer.h"
#include <stdbool.h>
#include <stddef.h>

/* Whether every block is single. ASY_SLAB_FORCE (for tests) says no under checkers too. */
static inline bool asy_slab_single_only(void)
{
#ifdef ASY_SLAB_FORCE
    return false;
#else
    return ASY_ASAN || ASY_TSAN || RUNNING_ON_VALGRIND;
#endif
}

/* `home` says whose block it is; NULL: out of memory. */
void *asy_slab_single_alloc(size_t bytes, const void *home);
void asy_slab_single_free(void *block);

/* Around a fork, in the thread that forks. */
void asy_slab_single_lock(void);
void asy_slab_single_unlock(void);

/* Calls fn for each block of `home`. It may free that block, and no other. */
void asy_slab_single_each(const void *home, void (*fn)(void *block, void *arg), void *arg);

#endif
