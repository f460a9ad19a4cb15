/*
 * Calls, timers and wait hooks of embedders, from within the library.
 */
#ifndef ASY_CORE_EMBED_H
#define ASY_CORE_EMBED_H

#include "asyncio/embed.h"

/* Waits for a deadline that is not 0, and calls the program's hooks around it if it may block. 0 or the
 * backend's error; *verdict: the answer of `after`. */
int asy_wait_between_hooks(asyncio_loop *loop, int64_t deadline_ns, int *verdict);
/* The loop closes: timers that run join the callbacks, which are about to be dropped. */
void asy_embed_close(asyncio_loop *loop);

#endif
