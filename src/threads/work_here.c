/*
 * Work for threads in a simulation: the loop's own thread runs it, at a time that the director draws, so that
 * equal runs are equal.
 *
 * A piece of work first has a timer, then it is a callback in the ready queue. Until that runs it can be
 * taken back. No lock is needed, and `pool` is not looked at.
 */
#include "core/director.h"
#include "core/loop.h"
#include "threads/offload.h"

static void leave_loop(struct work *work)
{
    list_remove(&work->abroad.node);
    asy_loop_let_go(work->loop);
}

static void run_work_here(struct callback *callback)
{
    struct work *work = (struct work *)callback;
    work->has_begun = true;
    work->run(work);
    leave_loop(work);
    asy_work_resume(work);
}

/* The loop closes, and the work may belong to nobody any more. */
static void drop_work_here(struct callback *callback)
{
    struct work *work = (struct work *)callback;
    work->free(work);
}

static const struct callback_kind here_kind = {run_work_here, drop_work_here};

static void queue_work_here(struct timer *timer)
{
    struct work *work = LIST_ENTRY(timer, struct work, here);
    callback_push(&work->loop->ready, &work->post, &here_kind);
}

bool asy_work_here_take_back(struct work *work)
{
    if (work->has_begun)
        return false;
    asy_timer_stop(work->loop, &work->here);
    callback_remove(&work->loop->ready, &work->post);
    leave_loop(work);
    return true;
}

/* Work that a task waited for is taken back. Work that goes on by itself is done, as a pool would do it. */
static void end_work_here(struct abroad *abroad)
{
    struct work *work = LIST_ENTRY(abroad, struct work, abroad);
    bool is_wanted = !work->wait || work->goes_on;
    work->wait = NULL;
    if (work->lost)
        work->lost(work);
    asy_work_here_take_back(work);
    if (is_wanted)
        work->run(work);
    work->free(work);
}

int asy_work_here_start(asyncio_loop *loop, struct work *work)
{
    int64_t delay_ns = loop->director->delay_work(loop);
    work->here.fire = queue_work_here;
    work->post.link = NULL;
    work->abroad.loop_closes = end_work_here;
    int err = asy_timer_start(loop, &work->here, asy_loop_now_ns(loop) + delay_ns);
    if (err)
        return err;
    asy_loop_hold(loop);
    list_append(&loop->abroad.entries, &work->abroad.node);
    return 0;
}
