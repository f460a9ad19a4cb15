/*
 * The loop that a lock or queue belongs to, and the plain wait on one.
 */
#include "sync/sync.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"

/* Is the loop still there, neither closed nor a parent process's? Aborts if it is another thread's. */
static bool is_open(uint64_t bound, const char *call)
{
    return bound && asy_loop_is_open(bound, call);
}

void asy_sync_check(uint64_t bound, const char *call)
{
    is_open(bound, call);
}

void asy_sync_touch(uint64_t *bound, const char *call)
{
    if (is_open(*bound, call))
        return; /* another loop of this thread, or one that does not run now */
    asyncio_loop *loop = asy_running_loop;
    *bound = loop && loop->current ? loop->id : 0;
}

int asy_sync_bind(uint64_t *bound, bool is_at_rest, const char *call)
{
    bool is_still_open = is_open(*bound, call);
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (*bound && *bound != loop->id && !is_at_rest)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: it is in use on another event loop%s", call,
                                  is_still_open ? "" : ", which was closed meanwhile");
    *bound = loop->id;
    return 0;
}

int asy_sync_enter(uint64_t *bound, bool is_at_rest, const char *call)
{
    int err = asy_sync_bind(bound, is_at_rest, call);
    return err ? err : asy_budget_spend(asy_running_loop);
}

const char *asy_sync_case_bind(uint64_t *bound, bool is_at_rest, int *err)
{
    *err = sync_is_here(*bound) ? 0 : asy_sync_bind(bound, is_at_rest, "asyncio_select");
    return *err ? "it is in use on another event loop" : NULL;
}

intptr_t asy_sync_wait(asyncio_waiters *waiters, const struct wait_kind *kind, void *object)
{
    return asy_wait_in(waiters_list(waiters), kind, object);
}
