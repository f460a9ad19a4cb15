/*
 * Scopes: stretches of code that requests to cancel are tied to. A timeout (timeouts.h), a task group
 * (taskgroups.h) and a shield are each a struct on the caller's stack. The same task enters and leaves
 * them, the innermost first. A coroutine that returns inside a scope aborts the program.
 */
#ifndef ASYNCIO_SCOPES_H
#define ASYNCIO_SCOPES_H

#include <asyncio/coroutines.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* The common part of a scope. All fields are private. */
typedef struct asyncio_scope {
    struct asyncio_scope *outer;
    asyncio_task *task;
    int cancelling;        /* the task's count of requests on entry */
    unsigned char kind;    /* timeout, group or shield */
    bool entered;
    bool requested;        /* it has requested a cancel of its task */
    bool pending;          /* and that has not been delivered yet */
    uint64_t entered_at;   /* in turns of the loop */
    uint64_t requested_at;
} asyncio_scope;

/*
 * A scope that shields what runs inside, such as cleanup that must wait. It holds back requests from
 * outside; they are delivered at the first wait after it. Timeouts and groups that are entered inside it
 * still cancel. Python has no such scope.
 *
 *     ASYNCIO_SHIELD_SCOPE {
 *         say_goodbye(stream);
 *     }
 *
 * The block may be left in any way: by its end, by break, continue, return or goto.
 */
typedef struct asyncio_shield_scope {
    asyncio_scope scope;
} asyncio_shield_scope;

/* Enters a shield scope. Does not wait. 0; -EINVAL for NULL; ASYNCIO_ENOTASK. */
ASYNCIO_API int asyncio_shield_scope_enter(asyncio_shield_scope *shield);
/* Leaves a shield scope. Does not wait. 0; -EINVAL for NULL; ASYNCIO_ESTATE if it is not the innermost
 * scope of the running task. */
ASYNCIO_API int asyncio_shield_scope_exit(asyncio_shield_scope *shield);

/* ---- How blocks are done ----------------------------------------------------
 * Two loops: the outer one's condition opens the scope and, when asked again,
 * closes it; the inner one's is true once. A block that is left by return or
 * goto is closed by its cleanup attribute. */

typedef struct asyncio_block {
    void *err;        /* the caller's variable */
    size_t err_size;
    double seconds;
    int phase;
} asyncio_block;

ASYNCIO_API bool asyncio_block_once(asyncio_block *block);

typedef struct asyncio_shield_block {
    asyncio_block block;
    asyncio_shield_scope shield;
} asyncio_shield_block;

static inline asyncio_shield_block asyncio_shield_block_make(void)
{
    asyncio_shield_block made;
    __builtin_memset(&made, 0, sizeof made);
    return made;
}
ASYNCIO_API bool asyncio_shield_block_open(asyncio_shield_block *block);
ASYNCIO_API void asyncio_shield_block_end(asyncio_shield_block *block);

ASYNCIO_END_DECLS

#define ASYNCIO_BLOCK_NAME_ ASYNCIO_JOIN_(asyncio_block_, __LINE__)
#define ASYNCIO_CLEANUP_(fn) __attribute__((cleanup(fn)))

#define ASYNCIO_SHIELD_SCOPE                                                                      \
    for (asyncio_shield_block ASYNCIO_BLOCK_NAME_ ASYNCIO_CLEANUP_(asyncio_shield_block_end) =    \
             asyncio_shield_block_make();                                                         \
         asyncio_shield_block_open(&ASYNCIO_BLOCK_NAME_);)                                        \
        for (; asyncio_block_once(&ASYNCIO_BLOCK_NAME_.block);)

#endif
