/*
 * Semaphores. A release that finds a waiting task lets that pass at once, and leaves the value as it is:
 * nobody waits while the value is above 0.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "sync/sync.h"
#include <errno.h>
#include <limits.h>

static void pass_semaphore(asyncio_semaphore *semaphore)
{
    struct wait *wait = waiters_any(&semaphore->waiters_) ? waiters_claim(&semaphore->waiters_) : NULL;
    if (wait) {
        ASY_ASSERT(semaphore->value_ == 0);
        asy_wait_wake(wait, 0);
    } else {
        semaphore->value_++;
    }
}

/* The task never runs again: the next one passes in its place. */
static void revoke_pass(struct wait *wait)
{
    if (wait->value == 0)
        pass_semaphore(wait->object);
}

static const struct wait_kind semaphore_kind = {
    .name = "semaphore",
    .revoke = revoke_pass,
    .shape = {.kind = SHAPE_SEMAPHORE, .at = {offsetof(asyncio_semaphore, value_)}},
};

static COLD int raise_below_zero(const char *call)
{
    return (int)asyncio_raise(-EINVAL, "%s: the semaphore was made with a value below 0", call);
}

static COLD int raise_released(int bound, const char *call)
{
    if (bound == INT_MAX)
        return -EOVERFLOW;
    return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: released more often than acquired", call);
}

static inline int acquire_semaphore(asyncio_semaphore *semaphore, const char *call)
{
    if (LIKELY(semaphore->value_ > 0)) {
        semaphore->value_--;
        return 0;
    }
    if (UNLIKELY(semaphore->value_ < 0))
        return raise_below_zero(call);
    return (int)asy_sync_wait(&semaphore->waiters_, &semaphore_kind, semaphore);
}

/* The value cannot rise above the bound. */
static inline int release_semaphore(asyncio_semaphore *semaphore, int bound, const char *call)
{
    sync_touch(&semaphore->loop_, call);
    if (UNLIKELY(semaphore->value_ < 0))
        return raise_below_zero(call);
    if (UNLIKELY(semaphore->value_ >= bound))
        return raise_released(bound, call);
    pass_semaphore(semaphore);
    return 0;
}

static inline bool is_locked(const asyncio_semaphore *semaphore, const char *call)
{
    sync_look(semaphore->loop_, call);
    return semaphore->value_ <= 0;
}

void asyncio_semaphore_init(asyncio_semaphore *semaphore, int value)
{
    if (semaphore)
        *semaphore = (asyncio_semaphore)ASYNCIO_SEMAPHORE_INIT(value);
}

int asyncio_semaphore_acquire(asyncio_semaphore *semaphore)
{
    if (UNLIKELY(!semaphore))
        return -EINVAL;
    int err = SYNC_ENTER(&semaphore->loop_, !waiters_any(&semaphore->waiters_));
    return LIKELY(!err) ? acquire_semaphore(semaphore, __func__) : err;
}

int asyncio_semaphore_release(asyncio_semaphore *semaphore)
{
    return LIKELY(semaphore) ? release_semaphore(semaphore, INT_MAX, __func__) : -EINVAL;
}

bool asyncio_semaphore_locked(const asyncio_semaphore *semaphore)
{
    return semaphore && is_locked(semaphore, __func__);
}

/* ---- The case of a select ------------------------------------------------------------ */

static const char *refuse_semaphore(asyncio_case *one, int *err)
{
    asyncio_semaphore *semaphore = one->object_;
    *err = -EINVAL;
    if (!semaphore)
        return "the semaphore is NULL";
    if (semaphore->value_ < 0)
        return "the semaphore was made with a value below 0";
    return asy_sync_case_bind(&semaphore->loop_, !waiters_any(&semaphore->waiters_), err);
}

static bool try_semaphore_case(asyncio_case *one)
{
    asyncio_semaphore *semaphore = one->object_;
    one->result = 0;
    if (semaphore->value_ <= 0)
        return false;
    semaphore->value_--;
    return true;
}

static int enlist_semaphore_case(asyncio_case *one)
{
    asyncio_semaphore *semaphore = one->object_;
    asy_case_enlist(one, waiters_list(&semaphore->waiters_), &semaphore_kind);
    return 0;
}

const struct case_kind asy_case_semaphore = {.name = "semaphore",
                                             .refuse = refuse_semaphore,
                                             .try_now = try_semaphore_case,
                                             .enlist = enlist_semaphore_case,
                                             .alone = &semaphore_kind};

/* ---- Bounded ones ---------------------------------------------------------------------- */

void asyncio_bounded_semaphore_init(asyncio_bounded_semaphore *semaphore, int value)
{
    if (semaphore)
        *semaphore = (asyncio_bounded_semaphore)ASYNCIO_BOUNDED_SEMAPHORE_INIT(value);
}

int asyncio_bounded_semaphore_acquire(asyncio_bounded_semaphore *semaphore)
{
    if (UNLIKELY(!semaphore))
        return -EINVAL;
    asyncio_semaphore *inner = &semaphore->semaphore_;
    int err = SYNC_ENTER(&inner->loop_, !waiters_any(&inner->waiters_));
    return LIKELY(!err) ? acquire_semaphore(inner, __func__) : err;
}

int asyncio_bounded_semaphore_release(asyncio_bounded_semaphore *semaphore)
{
    return LIKELY(semaphore) ? release_semaphore(&semaphore->semaphore_, semaphore->bound_, __func__)
                             : -EINVAL;
}

bool asyncio_bounded_semaphore_locked(const asyncio_bounded_semaphore *semaphore)
{
    return semaphore && is_locked(&semaphore->semaphore_, __func__);
}
