/*
 * A loop inside another one: the other loop polls this one's descriptor, and runs one iteration of it
 * at a time.
 *
 * Between two iterations the loop dozes. It counts as asleep, so that a post makes its descriptor readable;
 * and whatever this thread queues does so, too (asy_loop_queued).
 */
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "backend/completion.h"
#include "base/assert.h"
#include "core/loop.h"
#include <errno.h>
#include <math.h>

/* Would the next iteration begin without a wait? What has begun on files is handed over by it. */
static bool has_work(asyncio_loop *loop)
{
    const struct completions *files = loop->backend->files_ring;
    return loop->ready.first || loop->is_stopping || loop->backend->fetched || asy_posts_pending(loop) ||
           (files && asy_completions_needs_poll(files));
}

void asy_loop_doze(asyncio_loop *loop)
{
    ASY_ASSERT(loop->is_embedded && !loop->is_running && !loop->is_closed);
    asy_loop_set_dozing(loop, true);
    /* First this, then the look for work, in one order for all threads: of a post that comes at the same
     * time, either the poster sees that the loop sleeps, and wakes it, or the loop sees the post. */
    atomic_store(&loop->posts.is_sleeping, true);
    if (has_work(loop))
        asy_loop_rouse(loop);
}

void asy_loop_rouse(asyncio_loop *loop)
{
    ASY_ASSERT(loop->is_dozing);
    asy_loop_set_dozing(loop, false);
    if (!asy_loop_is_parents(loop))
        loop->backend->ops->wake(loop->backend);
}

int asyncio_loop_run_once(asyncio_loop *loop, double timeout)
{
    if (isnan(timeout))
        return -EINVAL;
    int err = asy_loop_begin_run(loop, __func__);
    if (err)
        return err;
    int64_t latest_ns = timeout > 0 ? asy_deadline_after(asy_loop_now_ns(loop), timeout) : 0;
    err = asy_loop_iterate(loop, latest_ns);
    loop->is_stopping = false;
    asy_loop_end_run(loop);
    return err;
}

int asyncio_loop_fd(asyncio_loop *loop)
{
    if (!loop)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    int fd = loop->backend->ops->fd(loop->backend);
    if (fd >= 0 && !loop->is_embedded) {
        loop->is_embedded = true;
        if (!loop->is_running)
            asy_loop_doze(loop);
    }
    return fd;
}

double asyncio_loop_timeout(asyncio_loop *loop)
{
    if (!loop)
        return ASYNCIO_FOREVER;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return ASYNCIO_FOREVER;
    if (has_work(loop))
        return 0;
    int64_t next_ns = asy_timers_next(&loop->timers);
    if (next_ns == ASY_NO_DEADLINE)
        return ASYNCIO_FOREVER;
    int64_t left_ns = next_ns - asy_loop_now_ns(loop);
    return left_ns > 0 ? (double)left_ns / 1e9 : 0;
}
