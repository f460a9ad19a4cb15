/*
 * A subject is cancelled at one of its suspensions. See sweep.h.
 */
#include "asyncio/events.h"
#include "asyncio/instrument.h"
#include "asyncio/tasks.h"
#include "asyncio/timeouts.h"
#include "asyncio/waiting.h"
#include "sim/sweep.h"

/* The end of a step, on the loop's own stack: as if a callback came next. */
static void cancel_at_point(asyncio_loop *loop, const asyncio_trace_event *event, void *arg)
{
    struct sim_cancel *cancel = arg;
    if (event->kind != ASYNCIO_TRACE_STEP_END || event->task != cancel->task || ++cancel->seen != cancel->at)
        return;
    cancel->in = event->what;
    if (cancel->by_timeout && !cancel->timeout)
        return; /* it has left the timeout */
    cancel->has_fired = true;
    if (cancel->by_timeout)
        asyncio_timeout_reschedule(cancel->timeout, asyncio_loop_time(loop));
    else
        asyncio_cancel(cancel->task);
}

ASYNC(run_within_timeout, struct sim_cancel *, cancel)
{
    asyncio_timeout timeout;
    int err = asyncio_timeout_enter(&timeout, ASYNCIO_FOREVER);
    if (err)
        return err;
    cancel->timeout = &timeout;
    intptr_t result = asyncio_await(cancel->subject(cancel->arg));
    cancel->timeout = NULL;
    return asyncio_timeout_exit(&timeout, result);
}

ASYNC(cancel_subject, struct sim_cancel *, cancel)
{
    const asyncio_instrument instrument = {cancel_at_point, cancel};
    asyncio_loop *loop = asyncio_get_running_loop();
    cancel->seen = 0;
    cancel->has_fired = false;
    cancel->in = "";
    cancel->timeout = NULL;
    cancel->task =
        asyncio_create_task(cancel->by_timeout ? run_within_timeout(cancel) : cancel->subject(cancel->arg));
    asyncio_loop_set_instrument(loop, &instrument);
    int err = asyncio_join(cancel->task, &cancel->result);
    asyncio_loop_set_instrument(loop, NULL);
    return err ? err : cancel->result;
}

asyncio_coro *asy_sim_cancel_main(struct sim_cancel *cancel)
{
    return cancel_subject(cancel);
}
