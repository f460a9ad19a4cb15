/*
 * Calls and timers of embedders, from within the library.
 */
#ifndef ASY_CORE_EMBED_H
#define ASY_CORE_EMBED_H

#include "asyncio/embed.h"

/* The loop closes: timers that run join the callbacks, which are about to be dropped. */
void asy_embed_close(asyncio_loop *loop);

#endif
