/*
 * Stack overflow, reported in words: which task's stack it was, and how large.
 */
#ifndef ASY_CORE_OVERFLOW_H
#define ASY_CORE_OVERFLOW_H

#include "asyncio/types.h"

/* This thread is about to run tasks of the loop, or no longer is. */
void asy_overflow_watch(asyncio_loop *loop);
void asy_overflow_unwatch(asyncio_loop *loop);
/* In a forked child: nothing is watched any more. */
void asy_overflow_forked(void);

#endif
