/*
 * Spinning: a loop with nothing to do looks for posts for a while before it goes to sleep, since to be woken
 * takes far longer than to be seen. Descriptors and timers do not wait for that.
 */
#include "backend/backend.h"
#include "base/compiler.h"
#include "core/loop.h"
#include "sys/sys.h"
#include <errno.h>

/* A look at the clock comes after so many looks at the posts, and a look at descriptors after so long. */
#define SPIN_LOOKS 32
#define SPIN_POLL_NS 5000

int asy_loop_spin(asyncio_loop *loop)
{
    int64_t now_ns = asy_sys_now_ns(), polled_ns = now_ns, end_ns = now_ns + loop->spin_ns;
    if (loop->hops)
        asy_metrics_lag(&loop->metrics, loop->now_ns, now_ns);
    loop->hops = 0; /* to look for posts is no lag */
    while (now_ns < end_ns && now_ns < asy_timers_next(&loop->timers)) {
        for (int i = 0; i < SPIN_LOOKS; i++) {
            /* Relaxed: asy_posts_collect looks in order. */
            if (atomic_load_explicit(&loop->posts.has_any, memory_order_relaxed))
                return 0;
            cpu_pause();
        }
        now_ns = asy_sys_now_ns();
        if (now_ns - polled_ns < SPIN_POLL_NS || !loop->backend->ops->needs_poll(loop->backend))
            continue;
        int err = loop->backend->ops->wait(loop->backend, 0);
        asy_loop_deliver(loop);
        /* A function that the poll calls may have stopped the loop, or set a timer. */
        if ((err && err != -EINTR) || loop->ready.first || loop->is_stopping)
            return err;
        polled_ns = now_ns;
    }
    return 0;
}
