/*
 * Task groups (asyncio.TaskGroup) are scopes that own tasks. The exit of a group waits until all of them
 * have ended. When one fails, the others and the body are cancelled.
 *
 *     asyncio_task_group group;
 *     int err;
 *     ASYNCIO_TASK_GROUP(group, err) {
 *         asyncio_task_group_create_task(&group, fetch("a"));
 *         asyncio_task_group_create_task(&group, fetch("b"));
 *     }
 *     return err;
 */
#ifndef ASYNCIO_TASKGROUPS_H
#define ASYNCIO_TASKGROUPS_H

#include <asyncio/scopes.h>
#include <asyncio/tasks.h>

ASYNCIO_BEGIN_DECLS

#define ASYNCIO_TASK_GROUP_ERRORS 8

/* A task group, in the caller's storage, without an initialiser. All fields are private. */
typedef struct asyncio_task_group {
    asyncio_scope scope;
    void *children[2];
    size_t pending, running, limit;
    void *exit_wait, *place_wait;
    void *message;          /* of the first failure */
    size_t error_count;
    intptr_t errors[ASYNCIO_TASK_GROUP_ERRORS];
    bool aborting, exiting;
} asyncio_task_group;

/* Enters a task group. Does not wait. 0; -EINVAL for NULL; ASYNCIO_ENOTASK. (__aenter__) */
ASYNCIO_API int asyncio_task_group_enter(asyncio_task_group *group);

/*
 * Makes a task that the group owns. The pointer is borrowed: it is valid while the task runs, and until the
 * caller's next wait; asyncio_ref keeps it. Takes over the coroutine on every path. A child may call it,
 * too, and so may others while the group is being left, as long as a child runs. Does not wait.
 * (create_task) NULL: coro or group was NULL, or no loop runs in this thread. If the group is not entered,
 * was left or is aborting, the task has ended with ASYNCIO_ESTATE; without memory, with -ENOMEM.
 *
 * In a group with a limit the task that entered the group waits here for a place: see _set_limit.
 */
ASYNCIO_API asyncio_task *asyncio_task_group_create_task(asyncio_task_group *group, asyncio_coro *coro);
ASYNCIO_API asyncio_task *asyncio_task_group_create_task_at(asyncio_task_group *group, asyncio_coro *coro,
                                                            const asyncio_site *site);
#define asyncio_task_group_create_task(group, coro)                                               \
    asyncio_task_group_create_task_at((group), (coro), ASYNCIO_HERE)

/*
 * Limits a task group to n children that run at a time; 0, at first, is no limit. With that many,
 * asyncio_task_group_create_task and _start suspend the task that entered the group until one has ended.
 * Children that make others never wait for a place, and go beyond n. Does not wait. 0; -EINVAL for NULL or
 * n < 0; ASYNCIO_ESTATE if the group is not entered.
 *
 * A request to cancel ends the wait for a place and is not used up: the coroutine is closed, the task that
 * create_task returns has ended with -ECANCELED, and the next wait delivers the request. If the group was
 * aborted meanwhile, the task has ended with ASYNCIO_ESTATE. (Python: a semaphore around the body of each.)
 */
ASYNCIO_API int asyncio_task_group_set_limit(asyncio_task_group *group, int n);

/*
 * Makes a child of a task group and waits until it is ready for others: until it calls asyncio_started.
 * Returns the value that it gives there. From then on it is a child as any other. Takes over the coroutine
 * on every path. Suspends. (anyio's and trio's start)
 *
 * If the child ends first, its error is returned and is no failure of the group; ASYNCIO_ESTATE if it ended
 * with a value. A cancel is passed on to the child, and the call returns -ECANCELED once that has ended, and
 * a failure of it then counts; a value that it gave before wins. ASYNCIO_ESTATE if the group is not entered,
 * was left or is aborting; -EINVAL for a NULL group; -ENOMEM; ASYNCIO_ENOTASK.
 */
ASYNCIO_API intptr_t asyncio_task_group_start(asyncio_task_group *group, asyncio_coro *coro);
ASYNCIO_API intptr_t asyncio_task_group_start_at(asyncio_task_group *group, asyncio_coro *coro,
                                                 const asyncio_site *site);
#define asyncio_task_group_start(group, coro) asyncio_task_group_start_at((group), (coro), ASYNCIO_HERE)

/* Tells asyncio_task_group_start that the running task is ready, with a value >= 0 for its result. Does not
 * wait. 0; -EINVAL below 0; ASYNCIO_ESTATE unless that call made the running task, which has not called this
 * before. */
ASYNCIO_API int asyncio_started(intptr_t value);

/* Ends a task group early: cancels the children and the body. The exit returns no -ECANCELED because of
 * that. A second call does nothing. Does not wait. (cancel) */
ASYNCIO_API void asyncio_task_group_cancel(asyncio_task_group *group);

/*
 * Leaves a task group: waits until every child has ended. Suspends. `err` is the body's outcome; a number
 * below 0 counts as a failure and cancels the children. A request to cancel the caller also cancels the
 * children. (__aexit__)
 *
 * Returns the error of a single failure, ASYNCIO_EGROUP for several (see _error), else -ECANCELED if the
 * caller was cancelled, else err. Cancelled children are no failures. A request from outside that failures
 * win over is delivered at the next wait. ASYNCIO_ESTATE if it is not the innermost scope of the running
 * task; -EINVAL for NULL.
 */
ASYNCIO_API intptr_t asyncio_task_group_exit(asyncio_task_group *group, intptr_t err);

/* Return how many failures there were, and the first eight of them: the children's in the order in which
 * they came, then the body's; 0 beyond. Also after the exit. (exceptions) */
ASYNCIO_API size_t asyncio_task_group_error_count(const asyncio_task_group *group);
ASYNCIO_API intptr_t asyncio_task_group_error(const asyncio_task_group *group, size_t i);

/* ---- How ASYNCIO_TASK_GROUP is done: see scopes.h ------------------------------ */

typedef struct asyncio_task_group_block {
    asyncio_block block;
    asyncio_task_group *group;
} asyncio_task_group_block;

static inline asyncio_task_group_block asyncio_task_group_block_make(asyncio_task_group *group, void *err,
                                                                     size_t err_size)
{
    asyncio_task_group_block made;
    __builtin_memset(&made, 0, sizeof made);
    made.block.err = err;
    made.block.err_size = err_size;
    made.group = group;
    return made;
}
ASYNCIO_API bool asyncio_task_group_block_open(asyncio_task_group_block *block);
ASYNCIO_API void asyncio_task_group_block_end(asyncio_task_group_block *block);

ASYNCIO_END_DECLS

/*
 * ASYNCIO_TASK_GROUP(group, err) { ... }: a task group as a block.
 *
 * `err` is a signed variable of the caller's: 0 on entry, the group's outcome after the block. The end of
 * the block and `continue` wait for all children; `break`, `return` and `goto` cancel them, then wait; a
 * request to cancel the caller that comes during a `return` is delivered at the next wait. A body that
 * leaves `err` below 0 counts as a failure. If the group cannot be entered, the block is skipped and `err`
 * says why.
 */
#define ASYNCIO_TASK_GROUP(group, err)                                                            \
    for (asyncio_task_group_block ASYNCIO_BLOCK_NAME_ ASYNCIO_CLEANUP_(asyncio_task_group_block_end) =  \
             asyncio_task_group_block_make(&(group), &(err), sizeof(err));                        \
         asyncio_task_group_block_open(&ASYNCIO_BLOCK_NAME_);)                                    \
        for (; asyncio_block_once(&ASYNCIO_BLOCK_NAME_.block);)

#endif
