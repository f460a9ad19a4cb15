/*
 * Use after release: how a call finds that its object is gone, and the quarantine of released blocks in debug
 * mode.
 */
#ifndef ASY_CORE_QUARANTINE_H
#define ASY_CORE_QUARANTINE_H

#include "core/loop.h"
#include "sys/slab.h"
#include <stdatomic.h>

/* Keeps a released block from being used again for a while. */
COLD void asy_quarantine_put(asyncio_loop *loop, void *block, size_t bytes);
COLD void asy_quarantine_empty(asyncio_loop *loop);
/*
 * Aborts with a message: an object that the program has a pointer to was used after its release. Tasks,
 * coroutines and futures have their own marks (core/future.h). Any other object begins with `what`, the name
 * of its sort, and its loop: these words survive in a freed block (sys/slab.h), and a release sets `what` to
 * NULL.
 */
COLD _Noreturn void asy_late_use(const char *what, const char *wanted, const char *call);
/* Aborts with a message unless the object is alive: `what` its first word, `wanted` that of a live one. */
static inline void asy_object_check_alive(const char *what, const char *wanted, const char *call)
{
    if (UNLIKELY(what != wanted))
        asy_late_use(what, wanted, call);
}
/* The same, and unless its loop is this thread's. */
static inline void asy_object_check(const char *what, const char *wanted, const asyncio_loop *loop,
                                    const char *call)
{
    asy_object_check_alive(what, wanted, call);
    asy_loop_check(loop, call);
}
/* Frees an object's block, which is marked as dead. */
static inline void asy_object_free(asyncio_loop *loop, void *block, size_t bytes)
{
    if (UNLIKELY(loop && loop->debug && !loop->is_closed))
        asy_quarantine_put(loop, block, bytes);
    else
        asy_slab_free(block, bytes);
}

/*
 * An object of no loop, which any thread may free. Those that were freed last are kept once a loop of this
 * process has been in debug mode.
 */
struct loose_object {
    const char *what; /* NULL: released */
    size_t bytes;     /* of the block, by asy_slab_alloc, which begins here */
};
extern HIDDEN _Atomic bool asy_debug_seen;
void asy_loose_object_free(struct loose_object *object);

#endif
