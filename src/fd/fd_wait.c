/*
 * Waiting for descriptors, and turns to transfer. See fd_wait.h.
 */
#include "fd/fd_wait.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "fd/fd_checks.h"
#include "sys/net.h"
#include <errno.h>

/* ---- Turns ------------------------------------------------------------------------------ */

void asy_fd_wake(struct fd_waiter *waiter, int err)
{
    ASY_ASSERT(!list_is_empty(&waiter->node));
    list_remove(&waiter->node);
    if (!waiter->has_turn) /* else it is awake, and finds out */
        waiter->notify(waiter, err);
}

HOT void asy_fd_wake_task(struct fd_waiter *waiter, int err)
{
    asy_wait_wake(&LIST_ENTRY(waiter, struct fd_wait, waiter)->wait, err);
}

static struct fd_waiter *first_in_turn(const struct fd_record *record, uint32_t direction)
{
    LIST_EACH(node, &record->waiters) {
        struct fd_waiter *waiter = asy_fd_waiter_at(node);
        if (waiter->takes_turns && (waiter->events & direction))
            return waiter;
    }
    return NULL;
}

bool asy_fd_is_anothers_turn(const struct fd_record *record, uint32_t direction, const struct fd_waiter *own)
{
    const struct fd_waiter *first = first_in_turn(record, direction);
    return first && first != own;
}

bool asy_fd_has_queue_slow(const struct fd_record *record, uint32_t direction)
{
    return first_in_turn(record, direction) != NULL;
}

/* A task runs later, and keeps its place until then. Others transfer here and now; then it is the turn of the
 * next one. */
HOT void asy_fd_give_turn(struct fd_record *record, struct fd_waiter *waiter)
{
    if (waiter->has_turn)
        return;
    if (waiter->notify == asy_fd_wake_task) {
        waiter->has_turn = true;
        asy_fd_wake_task(waiter, 0);
        return;
    }
    ASY_ASSERT(waiter->takes_turns);
    uint32_t direction = waiter->events;
    asy_fd_wake(waiter, 0);
    struct fd_waiter *next = record->ready & direction ? first_in_turn(record, direction) : NULL;
    if (next && next != waiter)
        asy_fd_give_turn(record, next);
}

void asy_fd_pass_on_slow(struct fd_record *record, uint32_t direction)
{
    struct fd_waiter *first = record->ready & direction ? first_in_turn(record, direction) : NULL;
    if (first)
        asy_fd_give_turn(record, first);
}

/* ---- Tasks ------------------------------------------------------------------------------ */

static bool cancel_fd_wait(struct wait *wait)
{
    struct fd_wait *fd_wait = LIST_ENTRY(wait, struct fd_wait, wait);
    list_remove(&fd_wait->waiter.node);
    asy_wait_wake(wait, fd_wait->keeps_request ? -EINTR : -ECANCELED);
    return !fd_wait->keeps_request;
}

/* The task will never run again: its turn goes to the next. */
static void pass_on_revoked(struct wait *wait)
{
    struct fd_wait *fd_wait = LIST_ENTRY(wait, struct fd_wait, wait);
    list_remove(&fd_wait->waiter.node);
    asy_fd_pass_on(fd_wait->record, fd_wait->waiter.events);
}

#define FD_WAIT_KIND(words)                                                                                  \
    {                                                                                                        \
        .name = (words), .cancel = cancel_fd_wait, .revoke = pass_on_revoked, .shape = {                     \
            .kind = SHAPE_DESCRIPTOR,                                                                        \
            .at = {offsetof(struct fd_record, fd)}                                                           \
        }                                                                                                    \
    }
static const struct wait_kind fd_read_kind = FD_WAIT_KIND("reading a descriptor");
static const struct wait_kind fd_input_kind = FD_WAIT_KIND("reading a descriptor"); /* of an input_wait */
static const struct wait_kind fd_write_kind = FD_WAIT_KIND("writing a descriptor");
static const struct wait_kind fd_poll_kind = FD_WAIT_KIND("waiting for a descriptor");

/* With many connections, all that belongs to one has left the cache by the time it is its turn again. A task
 * that comes back from such a wait is about to spend some time in the kernel. Meanwhile the stack of the next
 * task, which most often does the same, is fetched: from where it goes on up to what the callers of the wait
 * work with. docs/decisions/0007 has the figures. */
#define STACK_LINES 14

static inline void fetch_next_stack(const asyncio_loop *loop)
{
    const struct ready *next = loop->ready.first;
    if (next)
        fetch_stack(next, STACK_LINES);
}

static inline const struct wait_kind *kind_of_turn(uint32_t direction)
{
    return direction == FD_READ ? &fd_read_kind : &fd_write_kind;
}

/* Waits in `record`, linked in before `place`. Inline, because what lies on a waiting task's stack is fetched
 * again for each request. */
static inline __attribute__((always_inline)) int wait_before(asyncio_loop *loop, struct fd_record *record,
                                                             struct list *place, struct fd_wait *wait,
                                                             const struct wait_kind *kind)
{
    asyncio_task *task = loop->current;
    uint32_t events = wait->waiter.events, generation = record->generation;
    bool takes_turns = wait->waiter.takes_turns;
    list_insert_before(place, &wait->waiter.node);
    int err = takes_turns ? asy_fd_register_for(loop, record, events) : asy_fd_register_once(loop, record);
    if (err || (takes_turns && record->kind == ASY_FD_ALWAYS_READY)) {
        list_remove(&wait->waiter.node);
        return err;
    }
    wait->record = record;
    wait->waiter.notify = asy_fd_wake_task;
    asy_wait_init(&wait->wait, task, kind, record);
    err = (int)asy_wait_park(&wait->wait);
    fetch_next_stack(loop);
    list_remove(&wait->waiter.node);
    if (record->generation != generation)
        return err ? err : -EBADF;
    if (!takes_turns)
        asy_fd_unregister_unused(loop, record);
    return err;
}

/* A request that is pending comes first; others, who may close the descriptor, run while it is delivered. */
static inline int deliver_before_wait(const asyncio_loop *loop, const struct fd_record *record)
{
    uint32_t generation = record->generation;
    int err = asy_cancel_deliver(loop->current);
    return err || record->generation == generation ? err : -EBADF;
}

HOT int asy_fd_wait_turn(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    int err = deliver_before_wait(loop, record);
    if (err)
        return err;
    if (UNLIKELY(!list_is_empty(&record->waiters)))
        asy_fd_check_sharing(loop, record, direction);
    struct fd_wait wait = {.waiter.events = direction, .waiter.takes_turns = true};
    return wait_before(loop, record, &record->waiters, &wait, kind_of_turn(direction));
}

/* As long as it is in the list, its room may be filled. */
struct input_wait {
    struct fd_wait fd_wait;
    struct fd_room *room;
};

int asy_fd_wait_input(asyncio_loop *loop, struct fd_record *record, struct fd_room *room)
{
    int err = deliver_before_wait(loop, record);
    if (err)
        return err;
    if (UNLIKELY(!list_is_empty(&record->waiters)))
        asy_fd_check_sharing(loop, record, FD_READ);
    struct input_wait input = {.fd_wait.waiter = {.events = FD_READ, .takes_turns = true}, .room = room};
    return wait_before(loop, record, &record->waiters, &input.fd_wait, &fd_input_kind);
}

struct fd_room *asy_fd_first_room(const struct fd_record *record)
{
    struct fd_waiter *first = first_in_turn(record, FD_READ);
    if (!first || first->notify != asy_fd_wake_task)
        return NULL;
    struct fd_wait *wait = LIST_ENTRY(first, struct fd_wait, waiter);
    return wait->wait.kind == &fd_input_kind ? LIST_ENTRY(wait, struct input_wait, fd_wait)->room : NULL;
}

int asy_fd_wait_again(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    int err = deliver_before_wait(loop, record);
    if (err)
        return err;
    struct fd_wait wait = {.waiter.events = direction, .waiter.takes_turns = true};
    return wait_before(loop, record, record->waiters.next, &wait, kind_of_turn(direction));
}

int asy_fd_wait_rest(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    if (loop->current->must_cancel)
        return -EINTR;
    struct fd_wait wait = {.waiter.events = direction, .waiter.takes_turns = true, .keeps_request = true};
    return wait_before(loop, record, record->waiters.next, &wait, kind_of_turn(direction));
}

int asy_fd_wait_events(asyncio_loop *loop, struct fd_record *record, uint32_t events)
{
    int err = deliver_before_wait(loop, record);
    if (err)
        return err;
    struct fd_wait wait = {.waiter.events = events};
    return wait_before(loop, record, &record->waiters, &wait, &fd_poll_kind);
}

int asy_fd_wait_next_event(asyncio_loop *loop, struct fd_record *record, uint32_t events)
{
    int err = asy_fd_register(loop, record);
    return err ? err : asy_fd_wait_events(loop, record, events);
}

/* Waits as the first in `record`, with the turn. */
static int wait_with_turn(const asyncio_loop *loop, struct fd_record *record, struct fd_wait *wait)
{
    uint32_t direction = wait->waiter.events, generation = record->generation;
    asy_wait_init(&wait->wait, loop->current, kind_of_turn(direction), record);
    wait->record = record;
    wait->waiter.takes_turns = true;
    wait->waiter.notify = asy_fd_wake_task;
    list_prepend(&record->waiters, &wait->waiter.node);
    asy_fd_give_turn(record, &wait->waiter);
    int err = (int)asy_wait_park(&wait->wait);
    list_remove(&wait->waiter.node);
    return record->generation != generation ? -EBADF : err;
}

int asy_fd_give_way(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    int err = deliver_before_wait(loop, record);
    if (err)
        return err;
    struct fd_wait wait = {.waiter.events = direction};
    return wait_with_turn(loop, record, &wait);
}

int asy_fd_give_way_amid(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    if (loop->current->must_cancel)
        return -EINTR;
    struct fd_wait wait = {.waiter.events = direction, .keeps_request = true};
    return wait_with_turn(loop, record, &wait);
}

void asy_fd_end_wait(asyncio_task *task, struct fd_record *record)
{
    struct wait *wait = task->wait;
    if (wait && wait->object == record && wait->state == WAIT_PENDING)
        asy_fd_wake(&LIST_ENTRY(wait, struct fd_wait, wait)->waiter, 0);
}

/* ---- Waiters that are no tasks ---------------------------------------------------------- */

static int watch_before(asyncio_loop *loop, struct fd_record *record, struct list *place,
                        struct fd_waiter *waiter)
{
    ASY_ASSERT(list_is_empty(&waiter->node));
    waiter->takes_turns = true;
    waiter->has_turn = false;
    list_insert_before(place, &waiter->node);
    int err = asy_fd_register_for(loop, record, waiter->events);
    if (err)
        list_remove(&waiter->node);
    return err;
}

int asy_fd_watch(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter)
{
    return watch_before(loop, record, &record->waiters, waiter);
}

int asy_fd_watch_again(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter)
{
    return watch_before(loop, record, record->waiters.next, waiter);
}

int asy_fd_watch_events(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter)
{
    ASY_ASSERT(!waiter->takes_turns);
    list_append(&record->waiters, &waiter->node);
    int err = asy_fd_register_once(loop, record);
    if (err)
        list_remove(&waiter->node);
    return err;
}
