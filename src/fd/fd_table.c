/*
 * What a loop knows of descriptors.
 */
#include "fd/fd_table.h"
#include "asyncio/messages.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

static struct fd_table *table_of(asyncio_loop *loop)
{
    return (struct fd_table *)loop->io;
}

/* ---- Records ---------------------------------------------------------------------- */

static void on_events(void *context, const struct epoll_event *events, int count);

static void close_table(struct asy_io_hooks *hooks)
{
    struct fd_table *table = (struct fd_table *)hooks;
    struct list *node;
    while ((node = list_take_first(&table->owners))) {
        struct fd_owner *owner = LIST_ENTRY(node, struct fd_owner, node);
        owner->loop_closes(owner);
    }
    for (size_t i = 0; i < table->capacity; i++) {
        struct fd_record *record = table->records[i];
        if (!record)
            continue;
        asy_fd_drop(table->loop, record);
        asy_slab_free(record, sizeof *record);
    }
    asy_sys_free(table->input);
    asy_sys_free(table->records);
    asy_sys_free(table);
}

static struct fd_table *make_table(asyncio_loop *loop)
{
    struct fd_table *table = asy_sys_calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->hooks.close = close_table;
    table->loop = loop;
    list_init(&table->owners);
    loop->io = &table->hooks;
    loop->backend->happened = on_events;
    loop->backend->context = table;
    return table;
}

static bool make_room(struct fd_table *table, size_t fd)
{
    size_t capacity = table->capacity ? table->capacity : 64;
    while (capacity <= fd)
        capacity *= 2;
    struct fd_record **records = asy_sys_realloc(table->records, capacity * sizeof(struct fd_record *));
    if (!records)
        return false;
    memset(records + table->capacity, 0, (capacity - table->capacity) * sizeof(struct fd_record *));
    table->records = records;
    table->capacity = capacity;
    return true;
}

struct fd_record *asy_fd_make_record(asyncio_loop *loop, int fd)
{
    struct fd_table *table = loop->io ? table_of(loop) : make_table(loop);
    if (fd < 0 || !table)
        return NULL;
    /* Not for any number that somebody makes up. */
    if ((size_t)fd >= table->capacity && (asy_sys_fd_kind(fd) < 0 || !make_room(table, (size_t)fd)))
        return NULL;
    struct fd_record *record = asy_slab_alloc(sizeof *record);
    if (!record)
        return NULL;
    memset(record, 0, sizeof *record);
    record->fd = fd;
    record->generation = ++table->generation;
    record->ready = FD_READ | FD_WRITE;
    record->reopened = -1;
    list_init(&record->waiters);
    table->records[fd] = record;
    return record;
}

int asy_fd_record_error(int fd)
{
    int kind = asy_sys_fd_kind(fd);
    return kind < 0 ? kind : -ENOMEM;
}

int asy_fd_prepare_slow(struct fd_record *record)
{
    int kind = asy_sys_fd_kind(record->fd);
    if (kind < 0)
        return kind;
    record->is_socket = kind & ASY_FD_SOCKET;
    record->is_terminal = kind & ASY_FD_TERMINAL;
    record->hangs_up = kind & ASY_FD_HANGS_UP;
    record->short_is_end = kind & ASY_FD_TCP;
    kind &= ASY_FD_KINDS;
    int err = kind == ASY_FD_POLLABLE ? asy_sys_set_nonblocking(record->fd) : 0;
    if (err)
        return err;
    record->kind = (uint8_t)kind;
    record->is_known = true;
    return 0;
}

/* As at the beginning. */
static void reset(struct fd_record *record)
{
    record->ready = FD_READ | FD_WRITE;
    record->stays = 0;
    record->is_known = record->is_socket = record->short_is_end = false;
    record->is_terminal = record->hangs_up = false;
    if (record->reopened >= 0)
        asy_sys_close(record->reopened);
    record->reopened = -1;
    record->kind = ASY_FD_POLLABLE;
}

void asy_fd_record_reset(asyncio_loop *loop, struct fd_record *record, const struct fd_record *like)
{
    asy_fd_drop(loop, record);
    if (!like)
        return;
    record->is_known = true;
    record->is_socket = like->is_socket;
    record->short_is_end = like->short_is_end;
}

/* ---- Registration -------------------------------------------------------------------- */

static uint64_t tag_of(const struct fd_record *record)
{
    return (uint64_t)record->generation << 32 | (uint32_t)record->fd;
}

static int arm(asyncio_loop *loop, struct fd_record *record, uint32_t events)
{
    struct asy_backend *backend = loop->backend;
    bool anew = record->mode != FD_IDLE;
    return backend->ops->attach(backend, record->fd, tag_of(record), events, anew);
}

/* A forked child's copy of a descriptor is the same open file, and so is the epoll descriptor: there
 * it would take away the parent's registration. */
static void disarm(asyncio_loop *loop, struct fd_record *record)
{
    if (!asy_loop_is_parents(loop))
        loop->backend->ops->detach(loop->backend, record->fd);
    record->mode = FD_IDLE;
}

HOT int asy_fd_register(asyncio_loop *loop, struct fd_record *record)
{
    if (record->mode == FD_EDGE || record->kind == ASY_FD_ALWAYS_READY)
        return 0;
    int err = arm(loop, record, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET);
    if (err == -EPERM && record->is_known) {
        record->kind = ASY_FD_ALWAYS_READY; /* such as /dev/zero */
        record->stays = record->ready = FD_READ | FD_WRITE;
        return 0;
    }
    if (!err)
        record->mode = FD_EDGE;
    return err;
}

static uint32_t events_waited_for(const struct fd_record *record);
static struct fd_waiter *entry(struct list *node);
static void wake(struct fd_waiter *waiter, int value);

/* Registers for what is waited for now, unless that is registered for good. */
static int arm_once(asyncio_loop *loop, struct fd_record *record)
{
    uint32_t events = events_waited_for(record);
    if (record->mode == FD_EDGE)
        return 0;
    if (!events && record->mode == FD_ONCE)
        disarm(loop, record);
    if (!events)
        return 0;
    int err = arm(loop, record, events | EPOLLONESHOT);
    if (!err)
        record->mode = FD_ONCE;
    return err;
}

void asy_fd_settle(asyncio_loop *loop, struct fd_record *record)
{
    if (record->mode == FD_IDLE || (record->mode == FD_EDGE && (record->is_known || record->callbacks)))
        return;
    /* Those who still wait have a registration that is there already. */
    if (record->mode == FD_EDGE)
        record->mode = FD_ONCE;
    int err = arm_once(loop, record);
    if (record->mode == FD_IDLE) {
        record->ready = FD_READ | FD_WRITE;
        record->stays = 0;
    }
    while (err && !list_is_empty(&record->waiters))
        wake(entry(record->waiters.next), err);
}

/* ---- Waiting ---------------------------------------------------------------------------- */

struct fd_wait {
    struct wait wait;
    struct fd_waiter waiter;
    struct fd_record *record;
    bool keeps_request; /* to cancel: it ends the wait, and is not delivered */
};

static struct fd_waiter *entry(struct list *node)
{
    return LIST_ENTRY(node, struct fd_waiter, node);
}

static uint32_t events_waited_for(const struct fd_record *record)
{
    uint32_t events = 0;
    LIST_EACH(node, &record->waiters)
        events |= entry(node)->events;
    return events;
}

static void wake(struct fd_waiter *waiter, int value)
{
    list_remove(&waiter->node);
    if (!waiter->has_turn) /* else it is awake, and finds out */
        waiter->ready(waiter, value);
}

static HOT void wake_task(struct fd_waiter *waiter, int value)
{
    asy_wait_wake(&LIST_ENTRY(waiter, struct fd_wait, waiter)->wait, value);
}

static bool cancel_wait(struct wait *wait)
{
    struct fd_wait *fd_wait = LIST_ENTRY(wait, struct fd_wait, wait);
    list_remove(&fd_wait->waiter.node);
    asy_wait_wake(wait, fd_wait->keeps_request ? -EINTR : -ECANCELED);
    return !fd_wait->keeps_request;
}

static struct fd_waiter *first_in_turn(const struct fd_record *record, uint32_t direction)
{
    LIST_EACH(node, &record->waiters)
        if (entry(node)->takes_turns && (entry(node)->events & direction))
            return entry(node);
    return NULL;
}

bool asy_fd_has_queue_slow(const struct fd_record *record, uint32_t direction)
{
    return first_in_turn(record, direction) != NULL;
}

/* A task runs later, and keeps its place until then; others transfer here and now, and then
 * it is the next one's turn. */
static HOT void give_turn(struct fd_record *record, struct fd_waiter *waiter)
{
    if (waiter->has_turn)
        return;
    if (waiter->ready == wake_task) {
        waiter->has_turn = true;
        wake_task(waiter, 0);
        return;
    }
    uint32_t direction = waiter->events;
    wake(waiter, 0);
    struct fd_waiter *next = record->ready & direction ? first_in_turn(record, direction) : NULL;
    if (next && next != waiter)
        give_turn(record, next);
}

void asy_fd_pass_on_slow(struct fd_record *record, uint32_t direction)
{
    struct fd_waiter *first = record->ready & direction ? first_in_turn(record, direction) : NULL;
    if (first)
        give_turn(record, first);
}

/* Its task will never run again: whoever comes next may try in its place. */
static void pass_on_revoked(struct wait *wait)
{
    struct fd_wait *fd_wait = LIST_ENTRY(wait, struct fd_wait, wait);
    list_remove(&fd_wait->waiter.node);
    asy_fd_pass_on(fd_wait->record, fd_wait->waiter.events);
}

#define WAIT_KIND(words)                                                                                     \
    {                                                                                                        \
        .name = (words), .cancel = cancel_wait, .revoke = pass_on_revoked                                    \
    }
static const struct wait_kind read_kind = WAIT_KIND("reading a descriptor");
static const struct wait_kind write_kind = WAIT_KIND("writing a descriptor");
static const struct wait_kind poll_kind = WAIT_KIND("waiting for a descriptor");

/* With many connections, all that belongs to one has left the cache by the time it is its turn again. A
 * task that comes back from such a wait is about to spend some time in the kernel: meanwhile the stack of
 * the next one, which most often does the same, is fetched, from where it goes on up to what the callers
 * of the wait work with. docs/decisions/0007 has the figures. */
#define STACK_LINES 14

static inline void fetch_next_stack(const asyncio_loop *loop)
{
    const struct ready *next = loop->ready.first;
    if (next)
        fetch_stack(next, STACK_LINES);
}

/* Waits in `record`, linked in before `place`. Inline: what lies on a waiting task's stack
 * is fetched again for each request. */
static inline __attribute__((always_inline)) int wait_before(asyncio_loop *loop, struct fd_record *record,
                                                             struct list *place, struct fd_wait *wait)
{
    asyncio_task *task = loop->current;
    uint32_t events = wait->waiter.events, generation = record->generation;
    bool turn = wait->waiter.takes_turns;
    list_insert_before(place, &wait->waiter.node);
    int err = turn ? asy_fd_register(loop, record) : arm_once(loop, record);
    if (err || (turn && record->kind == ASY_FD_ALWAYS_READY)) {
        list_remove(&wait->waiter.node);
        return err;
    }
    wait->record = record;
    wait->waiter.ready = wake_task;
    const struct wait_kind *kind = !turn ? &poll_kind : events == FD_READ ? &read_kind : &write_kind;
    asy_wait_init(&wait->wait, task, kind, record);
    err = (int)asy_wait_park(&wait->wait);
    fetch_next_stack(loop);
    list_remove(&wait->waiter.node);
    if (record->generation != generation)
        return err ? err : -EBADF;
    if (!turn)
        asy_fd_settle(loop, record);
    return err;
}

HOT int asy_fd_wait(asyncio_loop *loop, struct fd_record *record, uint32_t events, bool edge)
{
    uint32_t generation = record->generation;
    int err = asy_cancel_deliver(loop->current);
    if (err || record->generation != generation)
        return err ? err : -EBADF;
    struct fd_wait wait = {.waiter.events = events, .waiter.takes_turns = edge};
    return wait_before(loop, record, &record->waiters, &wait);
}

int asy_fd_wait_again(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    int err = asy_cancel_deliver(loop->current);
    if (err)
        return err;
    struct fd_wait wait = {.waiter.events = direction, .waiter.takes_turns = true};
    return wait_before(loop, record, record->waiters.next, &wait);
}

int asy_fd_wait_rest(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    if (loop->current->must_cancel)
        return -EINTR;
    struct fd_wait wait = {.waiter.events = direction, .waiter.takes_turns = true, .keeps_request = true};
    return wait_before(loop, record, record->waiters.next, &wait);
}

int asy_fd_wait_event(asyncio_loop *loop, struct fd_record *record, uint32_t events)
{
    int err = asy_fd_register(loop, record);
    return err ? err : asy_fd_wait(loop, record, events, false);
}

/* Waits, as the first in `record`, for the turn that it has. */
static int wait_with_turn(const asyncio_loop *loop, struct fd_record *record, struct fd_wait *wait)
{
    uint32_t direction = wait->waiter.events, generation = record->generation;
    asy_wait_init(&wait->wait, loop->current, direction == FD_READ ? &read_kind : &write_kind, record);
    wait->record = record;
    wait->waiter.takes_turns = true;
    wait->waiter.ready = wake_task;
    list_prepend(&record->waiters, &wait->waiter.node);
    give_turn(record, &wait->waiter);
    int err = (int)asy_wait_park(&wait->wait);
    list_remove(&wait->waiter.node);
    return record->generation != generation ? -EBADF : err;
}

int asy_fd_give_way(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    uint32_t generation = record->generation;
    int err = asy_cancel_deliver(loop->current);
    if (err || record->generation != generation)
        return err ? err : -EBADF;
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
        wake(&LIST_ENTRY(wait, struct fd_wait, wait)->waiter, 0);
}

static int watch_before(asyncio_loop *loop, struct fd_record *record, struct list *place,
                        struct fd_waiter *waiter)
{
    waiter->takes_turns = true;
    waiter->has_turn = false;
    list_insert_before(place, &waiter->node);
    int err = asy_fd_register(loop, record);
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

/* ---- Events ------------------------------------------------------------------------------- */

/* What an event, which tells all that holds, says about the directions of transfer.
 * An error or a hang-up lets both be tried: the call then says what it is. */
static void note_ready(struct fd_record *record, uint32_t events)
{
    record->stays = events & EPOLLHUP ? FD_READ | FD_WRITE : events & EPOLLRDHUP ? FD_READ : 0;
    record->ready |= (events & (FD_READ | FD_WRITE)) | record->stays;
    if (events & EPOLLERR)
        record->ready |= FD_READ | FD_WRITE;
    if (events & EPOLLPRI)
        record->short_is_end = false; /* reading stops short at urgent data, too */
}

/* All who want to know, and the first in turn in each direction. */
static void wake_waiters(struct fd_record *record, uint32_t events)
{
    struct list *first = record->waiters.next;
    bool alone = first->next == &record->waiters;
    if (alone && entry(first)->takes_turns) {
        if (entry(first)->events & record->ready)
            give_turn(record, entry(first));
        return;
    }
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        events |= EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLERR;
    LIST_EACH_SAFE(node, next, &record->waiters)
        if (!entry(node)->takes_turns && (entry(node)->events & events))
            wake(entry(node), 0);
    asy_fd_pass_on(record, FD_READ);
    asy_fd_pass_on(record, FD_WRITE);
}

static inline struct fd_record *record_of(asyncio_loop *loop, uint64_t tag)
{
    return asy_fd_find(loop, (int)(uint32_t)tag);
}

static void on_event(asyncio_loop *loop, uint64_t tag, uint32_t events)
{
    struct fd_record *record = record_of(loop, tag);
    if (!record || record->generation != (uint32_t)(tag >> 32))
        return;
    /* Who registers for good later is told again. */
    if (record->mode == FD_EDGE)
        note_ready(record, events);
    if (!list_is_empty(&record->waiters))
        wake_waiters(record, events);
    if (record->callbacks)
        asy_readers_event(loop, record);
}

/* For the same reason, what an event that follows will touch is fetched while this one is dealt with: one
 * load leads to the next, each of which is given the time of a few events. */
#define RECORD_AHEAD 12
#define WAITER_AHEAD 8
#define TASK_AHEAD 4

static inline const struct fd_waiter *first_waiter(asyncio_loop *loop, const struct epoll_event *event)
{
    const struct fd_record *record = record_of(loop, event->data.u64);
    return record && !list_is_empty(&record->waiters) ? entry(record->waiters.next) : NULL;
}

/* With the wait that it is part of. */
static inline void fetch_waiter(asyncio_loop *loop, const struct epoll_event *event)
{
    const struct fd_waiter *waiter = first_waiter(loop, event);
    if (waiter)
        fetch_lines((const char *)waiter - CACHE_LINE, 2);
}

static inline void fetch_task(asyncio_loop *loop, const struct epoll_event *event)
{
    const struct fd_waiter *waiter = first_waiter(loop, event);
    if (waiter && waiter->ready == wake_task)
        fetch_lines(LIST_ENTRY(waiter, struct fd_wait, waiter)->wait.task, 2);
}

/* `i`: of the event that is next; negative before the first. */
static inline void fetch_ahead(asyncio_loop *loop, const struct epoll_event *events, int i, int count)
{
    if (i + RECORD_AHEAD < count)
        fetch_lines(record_of(loop, events[i + RECORD_AHEAD].data.u64), 1);
    if (i + WAITER_AHEAD >= 0 && i + WAITER_AHEAD < count)
        fetch_waiter(loop, &events[i + WAITER_AHEAD]);
    if (i + TASK_AHEAD >= 0 && i + TASK_AHEAD < count)
        fetch_task(loop, &events[i + TASK_AHEAD]);
}

static HOT void on_events(void *context, const struct epoll_event *events, int count)
{
    asyncio_loop *loop = ((const struct fd_table *)context)->loop;
    for (int i = count > TASK_AHEAD ? -RECORD_AHEAD : 0; i < count; i++) {
        fetch_ahead(loop, events, i, count);
        if (i >= 0)
            on_event(loop, events[i].data.u64, events[i].events);
    }
}

void asy_fd_drop(asyncio_loop *loop, struct fd_record *record)
{
    record->generation = ++table_of(loop)->generation;
    while (!list_is_empty(&record->waiters))
        wake(entry(record->waiters.next), -EBADF);
    if (record->callbacks)
        asy_readers_drop(loop, record);
    if (record->mode != FD_IDLE)
        disarm(loop, record);
    reset(record);
}

int asy_fd_close(asyncio_loop *loop, struct fd_record *record)
{
    asy_fd_drop(loop, record);
    return asy_sys_close(record->fd);
}
