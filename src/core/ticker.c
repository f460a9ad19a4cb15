/*
 * Tickers: a task's own clock, which ticks every so many seconds.
 *
 * The ticks of a ticker are numbered from its base. Each deadline is worked out from the base and the number,
 * so that no rounding adds up: after a million ticks it is as exact as at the first.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/task.h"
#include "core/timer.h"
#include "core/wait.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>

int asyncio_ticker_init(asyncio_ticker *ticker, double period, asyncio_tick policy)
{
    if (!ticker || !(period > 0) || isinf(period))
        return (int)asyncio_raise(-EINVAL, "%s: the %s", __func__,
                                  ticker ? "period is not a number of seconds above 0" : "ticker is NULL");
    if ((unsigned)policy > ASYNCIO_TICK_SKIP)
        return (int)asyncio_raise(-EINVAL, "%s: there is no such policy", __func__);
    asyncio_loop *loop = asy_running_loop;
    *ticker = (asyncio_ticker){.base_ns_ = loop ? asy_loop_now_ns(loop) : asy_sys_now_ns()};
    ticker->period_ns_ = fmax(period * 1e9, 1);
    ticker->policy_ = policy;
    return 0;
}

/* When is the tick of this number? */
static int64_t tick_deadline_ns(const asyncio_ticker *ticker, int64_t number)
{
    double after_ns = ceil((double)number * ticker->period_ns_);
    if (after_ns >= (double)(ASY_NO_DEADLINE - ticker->base_ns_))
        return ASY_NO_DEADLINE;
    return ticker->base_ns_ + (int64_t)after_ns;
}

/* The number of the last tick that is due; `number` is. */
static int64_t last_due_tick(const asyncio_ticker *ticker, int64_t number, int64_t now_ns)
{
    int64_t last = (int64_t)((double)(now_ns - ticker->base_ns_) / ticker->period_ns_);
    last = last < number ? number : last;
    while (last > number && tick_deadline_ns(ticker, last) > now_ns) /* the division was rounded */
        last--;
    while (tick_deadline_ns(ticker, last + 1) <= now_ns)
        last++;
    return last;
}

/* The tick has come. Returns how many are left out after it. */
static int64_t advance_ticker(asyncio_ticker *ticker, bool was_late, int64_t now_ns)
{
    int64_t number = ++ticker->number_;
    int64_t last = ticker->policy_ == ASYNCIO_TICK_BURST ? number : last_due_tick(ticker, number, now_ns);
    if (ticker->policy_ == ASYNCIO_TICK_DELAY) {
        if (was_late || last > number) {
            ticker->base_ns_ = now_ns;
            ticker->number_ = 0;
        }
        return 0;
    }
    ticker->number_ = last;
    return last - number;
}

int64_t asyncio_ticker_next(asyncio_ticker *ticker)
{
    asyncio_loop *loop = asy_running_loop;
    if (!ticker)
        return -EINVAL;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    int64_t deadline_ns = tick_deadline_ns(ticker, ticker->number_ + 1);
    bool is_late = asy_loop_now_ns(loop) > deadline_ns;
    int err = asy_sleep_until_ns(loop, deadline_ns);
    return err ? err : advance_ticker(ticker, is_late, asy_loop_now_ns(loop));
}
