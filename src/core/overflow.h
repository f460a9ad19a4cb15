/*
 * Stack overflow, reported in words: which task's stack it was, and how large.
 */
#ifndef ASY_CORE_OVERFLOW_H
#define ASY_CORE_OVERFLOW_H

#include "asyncio/types.h"
#include <signal.h>
#include <stdbool.h>

/* This thread is about to run tasks of the loop, or no longer is. */
void asy_overflow_watch(asyncio_loop *loop);
void asy_overflow_unwatch(asyncio_loop *loop);
/* Has this thread an alternate stack on which a handler finds room? */
bool asy_overflow_has_stack(void);
/* In another handler of SIGSEGV: says whose stack it was, if the fault was in the guard of one. */
void asy_overflow_tell(const siginfo_t *info);
/* In a forked child: nothing is watched any more. */
void asy_overflow_forked(void);

#endif
