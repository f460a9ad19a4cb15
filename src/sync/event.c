/*
 * The event.
 */
#include "sync/sync.h"
#include <errno.h>

static const struct wait_kind event_kind = {.name = "event", .shape.kind = SHAPE_OBJECT};

void asyncio_event_init(asyncio_event *event)
{
    if (event)
        *event = (asyncio_event)ASYNCIO_EVENT_INIT;
}

int asyncio_event_wait(asyncio_event *event)
{
    if (UNLIKELY(!event))
        return -EINVAL;
    int err = SYNC_ENTER(&event->loop_, !waiters_any(&event->waiters_));
    if (UNLIKELY(err))
        return err;
    if (event->set_)
        return 0;
    return (int)asy_sync_wait(&event->waiters_, &event_kind, event);
}

/* ---- The case of a select ------------------------------------------------------------ */

static const char *refuse_event(asyncio_case *one, int *err)
{
    asyncio_event *event = one->object_;
    *err = -EINVAL;
    return event ? asy_sync_case_bind(&event->loop_, !waiters_any(&event->waiters_), err)
                 : "the event is NULL";
}

static bool try_event_case(asyncio_case *one)
{
    one->result = 0;
    return ((asyncio_event *)one->object_)->set_;
}

static int enlist_event_case(asyncio_case *one)
{
    asyncio_event *event = one->object_;
    asy_case_enlist(one, waiters_list(&event->waiters_), &event_kind);
    return 0;
}

const struct case_kind asy_case_event = {.name = "event",
                                         .refuse = refuse_event,
                                         .try_now = try_event_case,
                                         .enlist = enlist_event_case,
                                         .alone = &event_kind};

/* ---- Setting it ------------------------------------------------------------------------ */

int asyncio_event_set(asyncio_event *event)
{
    if (UNLIKELY(!event))
        return -EINVAL;
    sync_touch(&event->loop_, __func__);
    event->set_ = true;
    waiters_wake_all(&event->waiters_, 0);
    return 0;
}

int asyncio_event_clear(asyncio_event *event)
{
    if (UNLIKELY(!event))
        return -EINVAL;
    sync_touch(&event->loop_, __func__);
    event->set_ = false;
    return 0;
}

bool asyncio_event_is_set(const asyncio_event *event)
{
    if (UNLIKELY(!event))
        return false;
    sync_look(event->loop_, __func__);
    return event->set_;
}
