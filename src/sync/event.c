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
