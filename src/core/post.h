/*
 * Posts: callbacks that other threads hand to the loop, in memory of their own,
 * so that handing over cannot fail for want of it.
 */
#ifndef ASY_CORE_POST_H
#define ASY_CORE_POST_H

#include "asyncio/types.h"
#include "core/ready.h"

struct post {
    struct callback callback; /* its kind is set by the poster; runs, or is dropped, on the loop's thread */
    struct post *next;
};

/* Hands it over. Any thread that has a reference to the loop. 0; ASYNCIO_ESTATE when the loop is closed,
 * or the parent process's: then it is still the poster's. */
int asy_post(asyncio_loop *loop, struct post *post);

#endif
