/*
 * Tasks told by a signal: SIGQUIT, while a loop is in debug mode.
 */
#ifndef ASY_CORE_DUMP_H
#define ASY_CORE_DUMP_H

#include "asyncio/types.h"
#include <stdbool.h>

/* Says whether the loop wants SIGQUIT to dump. It does while one loop of the process wants it, if the signal
 * had its default action before. */
void asy_dump_bind(asyncio_loop *loop, bool is_wanted);
/* In a forked child no loop wants it any more. */
void asy_dump_forked(void);

#endif
