/*
 * What a loop knows of descriptors.
 */
#include "io/fd_table.h"
#include "asyncio/messages.h"
#include "core/loop.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

struct fd_table {
    struct asy_io_hooks hooks;
    asyncio_loop *loop;
    struct fd_record **records;
    size_t capacity;
    uint32_t generation;
};

static struct fd_table *table_of(asyncio_loop *loop)
{
    return (struct fd_table *)loop->io;
}

/* ---- Records ---------------------------------------------------------------------- */

static void on_event(void *context, uint64_t tag, uint32_t events);

static void close_table(struct asy_io_hooks *hooks)
{
    struct fd_table *table = (struct fd_table *)hooks;
    for (size_t i = 0; i < table->capacity; i++) {
        struct fd_record *record = table->records[i];
        if (!record)
            continue;
        asy_fd_drop(table->loop, record);
        asy_slab_free(record, sizeof *record);
    }
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
    loop->io = &table->hooks;
    loop->backend->event = on_event;
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

static NOINLINE struct fd_record *make_record(asyncio_loop *loop, int fd)
{
    struct fd_table *table = loop->io ? table_of(loop) : make_table(loop);
    if (fd < 0 || !table)
        return NULL;
    if ((size_t)fd >= table->capacity && !make_room(table, (size_t)fd))
        return NULL;
    struct fd_record *record = asy_slab_alloc(sizeof *record);
    if (!record)
        return NULL;
    memset(record, 0, sizeof *record);
    record->fd = fd;
    record->generation = ++table->generation;
    record->ready = FD_READ | FD_WRITE;
    list_init(&record->waiters);
    table->records[fd] = record;
    return record;
}

struct fd_record *asy_fd_find(asyncio_loop *loop, int fd)
{
    const struct fd_table *table = table_of(loop);
    return table && fd >= 0 && (size_t)fd < table->capacity ? table->records[fd] : NULL;
}

struct fd_record *asy_fd_record(asyncio_loop *loop, int fd)
{
    struct fd_record *record = asy_fd_find(loop, fd);
    return LIKELY(record != NULL) ? record : make_record(loop, fd);
}

int asy_fd_prepare(struct fd_record *record)
{
    if (LIKELY(record->known))
        return 0;
    int kind = asy_sys_fd_kind(record->fd);
    if (kind < 0)
        return kind;
    int err = kind == ASY_FD_POLLABLE ? asy_sys_set_nonblocking(record->fd) : 0;
    if (err)
        return err;
    record->kind = (uint8_t)kind;
    record->known = true;
    return 0;
}

void asy_fd_fresh(asyncio_loop *loop, struct fd_record *record, bool prepared)
{
    asy_fd_drop(loop, record);
    record->known = prepared;
    record->kind = ASY_FD_POLLABLE;
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

int asy_fd_register(asyncio_loop *loop, struct fd_record *record)
{
    if (record->mode == FD_EDGE || record->kind == ASY_FD_READY)
        return 0;
    int err = arm(loop, record, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET);
    if (err == -EPERM) {
        record->kind = ASY_FD_READY; /* such as /dev/null */
        return 0;
    }
    if (!err)
        record->mode = FD_EDGE;
    return err;
}

static uint32_t events_waited_for(const struct fd_record *record);

/* Registers for what is waited for now. */
static int arm_once(asyncio_loop *loop, struct fd_record *record)
{
    uint32_t events = events_waited_for(record);
    if (record->mode == FD_EDGE || record->kind == ASY_FD_READY)
        return 0;
    if (!events && record->mode == FD_ONCE) {
        loop->backend->ops->detach(loop->backend, record->fd);
        record->mode = FD_IDLE;
        return 0;
    }
    if (!events)
        return 0;
    int err = arm(loop, record, events | EPOLLONESHOT);
    if (err == -EPERM) {
        record->kind = ASY_FD_READY;
        return 0;
    }
    if (!err)
        record->mode = FD_ONCE;
    return err;
}

/* ---- Waiting ---------------------------------------------------------------------------- */

struct fd_wait {
    struct wait wait;
    struct fd_waiter waiter;
    struct fd_record *record;
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
    waiter->ready(waiter, value);
}

static void wake_task(struct fd_waiter *waiter, int value)
{
    asy_wait_wake(&LIST_ENTRY(waiter, struct fd_wait, waiter)->wait, value);
}

static bool cancel_wait(struct wait *wait)
{
    list_remove(&LIST_ENTRY(wait, struct fd_wait, wait)->waiter.node);
    asy_wait_wake(wait, -ECANCELED);
    return true;
}

void asy_fd_pass_on_slow(struct fd_record *record, uint32_t direction)
{
    LIST_EACH(node, &record->waiters) {
        if (entry(node)->events & direction) {
            wake(entry(node), 0);
            return;
        }
    }
}

/* Its task will never run again: whoever comes next may try in its place. */
static void pass_on_revoked(struct wait *wait)
{
    struct fd_wait *fd_wait = LIST_ENTRY(wait, struct fd_wait, wait);
    asy_fd_pass_on(fd_wait->record, fd_wait->waiter.events);
}

static const struct wait_kind read_kind = {.name = "reading a descriptor", .cancel = cancel_wait, .revoke = pass_on_revoked};
static const struct wait_kind write_kind = {.name = "writing a descriptor", .cancel = cancel_wait, .revoke = pass_on_revoked};
static const struct wait_kind poll_kind = {.name = "waiting for a descriptor", .cancel = cancel_wait, .revoke = pass_on_revoked};

static const struct wait_kind *kind_of(uint32_t events)
{
    return events == FD_READ ? &read_kind : events == FD_WRITE ? &write_kind : &poll_kind;
}

int asy_fd_wait(asyncio_loop *loop, struct fd_record *record, uint32_t events, bool edge)
{
    asyncio_task *task = loop->current;
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct fd_wait wait = {.record = record, .waiter.events = events, .waiter.ready = wake_task};
    asy_wait_init(&wait.wait, task, kind_of(events), record);
    list_append(&record->waiters, &wait.waiter.node);
    err = edge ? asy_fd_register(loop, record) : arm_once(loop, record);
    if (err || record->kind == ASY_FD_READY) {
        list_remove(&wait.waiter.node);
        return err;
    }
    uint32_t generation = record->generation;
    err = (int)asy_wait_park(&wait.wait);
    if (record->generation == generation && record->mode == FD_ONCE)
        arm_once(loop, record);
    return err;
}

void asy_fd_wait_over(asyncio_task *task, struct fd_record *record)
{
    struct wait *wait = task->wait;
    if (wait && wait->object == record && wait->state == WAIT_PENDING)
        wake(&LIST_ENTRY(wait, struct fd_wait, wait)->waiter, 0);
}

int asy_fd_watch(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter)
{
    list_append(&record->waiters, &waiter->node);
    int err = asy_fd_register(loop, record);
    if (err)
        list_remove(&waiter->node);
    return err;
}

/* ---- Events ------------------------------------------------------------------------------- */

/* What an event says about the directions of transfer. An error or a hang-up lets
 * both be tried: the call then says what it is. */
static void note_ready(struct fd_record *record, uint32_t events)
{
    record->ready |= events & (FD_READ | FD_WRITE);
    if (events & EPOLLRDHUP)
        record->ready |= FD_READ;
    if (events & (EPOLLERR | EPOLLHUP)) {
        record->hung_up = true;
        record->ready |= FD_READ | FD_WRITE;
    }
}

/* The first who waits to read, the first who waits to write, and all who only
 * want to know. */
static void wake_ready(struct fd_record *record, uint32_t events)
{
    uint32_t free = record->ready;
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        events |= EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP;
    LIST_EACH_SAFE(node, next, &record->waiters) {
        struct fd_waiter *waiter = entry(node);
        bool transfers = waiter->events == FD_READ || waiter->events == FD_WRITE;
        if (!transfers || record->mode == FD_ONCE) {
            if (waiter->events & events)
                wake(waiter, 0);
        } else if (waiter->events & free) {
            free &= ~waiter->events;
            wake(waiter, 0);
        }
    }
}

static void on_event(void *context, uint64_t tag, uint32_t events)
{
    struct fd_table *table = context;
    struct fd_record *record = asy_fd_find(table->loop, (int)(uint32_t)tag);
    if (!record || record->generation != (uint32_t)(tag >> 32))
        return;
    note_ready(record, events);
    wake_ready(record, events);
    if (record->callbacks)
        asy_readers_event(table->loop, record);
}

void asy_fd_drop(asyncio_loop *loop, struct fd_record *record)
{
    struct list *node;
    while (!list_is_empty(&record->waiters)) {
        node = record->waiters.next;
        wake(entry(node), -EBADF);
    }
    if (record->callbacks)
        asy_readers_drop(loop, record);
    if (record->mode != FD_IDLE)
        loop->backend->ops->detach(loop->backend, record->fd);
    record->mode = FD_IDLE;
    record->generation = ++table_of(loop)->generation;
    record->ready = FD_READ | FD_WRITE;
    record->known = record->hung_up = false;
    record->kind = ASY_FD_POLLABLE;
}
