/*
 * Stack overflow, told in words.
 */
#ifndef ASY_CORE_OVERFLOW_H
#define ASY_CORE_OVERFLOW_H

#include "asyncio/types.h"

void asy_overflow_watch(asyncio_loop *loop);
void asy_overflow_unwatch(asyncio_loop *loop);
void asy_overflow_forked(void);

#endif
