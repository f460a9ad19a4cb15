/*
 * Records of descriptors, and their registration. See fd_table.h.
 */
#include "fd/fd_table.h"
#include "base/assert.h"
#include "fd/accepts.h"
#include "fd/fd_checks.h"
#include "fd/fd_wait.h"
#include "fd/traffic.h"
#include "fd/watches.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

static struct fd_table *table_of(const asyncio_loop *loop)
{
    return (struct fd_table *)loop->io;
}

/* ---- Records ---------------------------------------------------------------------- */

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
    asy_sys_free(table->mark);
    asy_sys_free(table->input);
    asy_sys_free(table->wide_input);
    asy_sys_free(table->records);
    asy_sys_free(table);
}

void asy_fd_owners_end(asyncio_loop *loop)
{
    if (!loop->io)
        return;
    LIST_EACH_SAFE(node, next, &table_of(loop)->owners) {
        struct fd_owner *owner = LIST_ENTRY(node, struct fd_owner, node);
        if (owner->loop_ends)
            owner->loop_ends(owner);
    }
}

static struct fd_table *make_table(asyncio_loop *loop)
{
    struct fd_table *table = asy_sys_calloc(1, sizeof *table);
    struct watch *mark = table ? asy_sys_calloc(1, sizeof *mark) : NULL;
    if (!mark) {
        asy_sys_free(table);
        return NULL;
    }
    list_init(&mark->node);
    table->mark = mark;
    table->hooks.close = close_table;
    table->loop = loop;
    list_init(&table->owners);
    loop->io = &table->hooks;
    loop->backend->happened = asy_fd_take_events;
    loop->backend->context = table;
    return table;
}

/* Room for the records up to fd's. */
static bool make_room_for_fd(struct fd_table *table, size_t fd)
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
    /* The table does not grow for any number that a program makes up. */
    if ((size_t)fd >= table->capacity && (asy_sys_fd_kind(fd) < 0 || !make_room_for_fd(table, (size_t)fd)))
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
    list_init(&record->watches);
    ASY_ASSERT(!table->records[fd]);
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
    if (kind < 0) {
        asy_fd_check_open(record->fd, kind);
        return kind;
    }
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

/* ---- Registration -------------------------------------------------------------------- */

static uint64_t tag_of(const struct fd_record *record)
{
    return (uint64_t)record->generation << 32 | (uint32_t)record->fd;
}

static int attach_record(asyncio_loop *loop, struct fd_record *record, uint32_t events)
{
    struct asy_backend *backend = loop->backend;
    bool is_change = record->mode != FD_IDLE;
    return backend->ops->attach(backend, record->fd, tag_of(record), events, is_change);
}

/* A forked child's copy of a descriptor is the same open file, and its epoll descriptor is the parent's: to
 * detach there would take away the parent's registration. */
static void detach_record(asyncio_loop *loop, struct fd_record *record)
{
    ASY_ASSERT(record->mode != FD_IDLE);
    if (!asy_loop_is_parents(loop))
        loop->backend->ops->detach(loop->backend, record->fd);
    record->mode = FD_IDLE;
}

HOT int asy_fd_register(asyncio_loop *loop, struct fd_record *record)
{
    if (record->mode == FD_EDGE || record->kind == ASY_FD_ALWAYS_READY)
        return 0;
    int err = attach_record(loop, record, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET);
    if (err == -EPERM && record->is_known) {
        record->kind = ASY_FD_ALWAYS_READY; /* such as /dev/zero */
        record->stays = record->ready = FD_READ | FD_WRITE;
        return 0;
    }
    if (!err)
        record->mode = FD_EDGE;
    return err;
}

static uint32_t events_waited_for(const struct fd_record *record)
{
    uint32_t events = 0;
    LIST_EACH(node, &record->waiters)
        events |= asy_fd_waiter_at(node)->events;
    return events;
}

/* Their events, added to *events. False: there is no such watch. */
static bool are_watched_by_level(const struct fd_record *record, uint32_t *events)
{
    bool any = false;
    LIST_EACH(node, &record->watches) {
        const struct watch *watch = asy_watch_at(node);
        if (!asy_watch_is_level(watch))
            continue;
        any = true;
        *events |= watch->events & (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP);
    }
    return any;
}

/* Registers for what is wanted now, in place of whatever there was. */
static int register_wanted(asyncio_loop *loop, struct fd_record *record)
{
    uint32_t events = events_waited_for(record);
    bool is_level = are_watched_by_level(record, &events);
    if (!events && !is_level) {
        if (record->mode != FD_IDLE)
            detach_record(loop, record);
        return record->traffic ? asy_fd_register_ends(loop, record) : 0;
    }
    int err = attach_record(loop, record, is_level ? events : events | EPOLLONESHOT);
    if (!err)
        record->mode = is_level ? FD_LEVEL : FD_ONCE;
    return err;
}

HOT int asy_fd_register_for(asyncio_loop *loop, struct fd_record *record, uint32_t direction)
{
    if (LIKELY(record->mode == FD_EDGE))
        return 0;
    if (UNLIKELY(record->by_ring & FD_READ) && direction == FD_READ) {
        int err = asy_traffic_await_input(loop, record);
        if (err <= 0)
            return err;
    }
    return asy_fd_register(loop, record);
}

int asy_fd_register_once(asyncio_loop *loop, struct fd_record *record)
{
    return record->mode == FD_EDGE ? 0 : register_wanted(loop, record);
}

void asy_fd_narrow_level(asyncio_loop *loop, struct fd_record *record, uint32_t events)
{
    uint32_t wanted = events_waited_for(record) | EPOLLERR | EPOLLHUP;
    are_watched_by_level(record, &wanted);
    if (events & ~wanted)
        asy_fd_unregister_unused(loop, record);
}

static int attach_for_ends(asyncio_loop *loop, struct fd_record *record)
{
    int err = attach_record(loop, record, EPOLLRDHUP | EPOLLET);
    if (!err)
        record->mode = FD_ENDS;
    return err;
}

int asy_fd_register_ends(asyncio_loop *loop, struct fd_record *record)
{
    return record->mode == FD_IDLE ? attach_for_ends(loop, record) : 0;
}

/* The next writer tries first, and registers if it has to wait. */
void asy_fd_narrow_to_ends(asyncio_loop *loop, struct fd_record *record)
{
    if (record->mode != FD_EDGE || !list_is_empty(&record->watches) ||
        (events_waited_for(record) & ~(uint32_t)FD_READ))
        return;
    if (attach_for_ends(loop, record) == 0)
        record->ready |= FD_WRITE;
}

bool asy_fd_unregister_idle(asyncio_loop *loop, struct fd_record *record)
{
    if (record->mode != FD_EDGE)
        return true;
    if (!list_is_empty(&record->waiters) || !list_is_empty(&record->watches))
        return false;
    detach_record(loop, record);
    record->ready |= FD_WRITE;
    return true;
}

static void wake_all(struct fd_record *record, int err)
{
    while (!list_is_empty(&record->waiters))
        asy_fd_wake(asy_fd_waiter_at(record->waiters.next), err);
}

static bool has_edge_watch(const struct fd_record *record)
{
    LIST_EACH(node, &record->watches)
        if (asy_watch_at(node)->events & WATCH_EDGE)
            return true;
    return false;
}

void asy_fd_unregister_unused(asyncio_loop *loop, struct fd_record *record)
{
    if (record->mode == FD_IDLE || record->mode == FD_ENDS ||
        (record->mode == FD_EDGE && (record->is_known || has_edge_watch(record))))
        return;
    int err = register_wanted(loop, record);
    if (record->mode != FD_EDGE) {
        record->ready = FD_READ | FD_WRITE;
        record->stays = 0;
    }
    if (err)
        wake_all(record, err);
}

/* ---- Dropped ------------------------------------------------------------------------- */

/* As at the beginning. */
static void reset_record(struct fd_record *record)
{
    ASY_ASSERT(record->mode == FD_IDLE && list_is_empty(&record->waiters));
    ASY_ASSERT(list_is_empty(&record->watches));
    record->ready = FD_READ | FD_WRITE;
    record->stays = 0;
    record->is_known = record->is_socket = record->short_is_end = false;
    record->is_terminal = record->hangs_up = record->is_sharing_told = record->is_plain = false;
    if (record->reopened >= 0)
        asy_sys_close(record->reopened);
    record->reopened = -1;
    record->kind = ASY_FD_POLLABLE;
}

/* Returns traffic that is still under way, or NULL. */
static struct fd_traffic *drop_record(asyncio_loop *loop, struct fd_record *record)
{
    record->generation = ++table_of(loop)->generation;
    wake_all(record, -EBADF);
    if (!list_is_empty(&record->watches))
        asy_watches_drop(loop, record);
    struct fd_traffic *traffic = asy_traffic_leave(record);
    asy_accepts_leave(record);
    if (record->mode != FD_IDLE)
        detach_record(loop, record);
    reset_record(record);
    return traffic;
}

void asy_fd_drop(asyncio_loop *loop, struct fd_record *record)
{
    ASY_ASSERT(asy_fd_find(loop, record->fd) == record);
    struct fd_traffic *traffic = drop_record(loop, record);
    if (UNLIKELY(traffic != NULL))
        asy_traffic_let_go(traffic);
}

int asy_fd_close(asyncio_loop *loop, struct fd_record *record)
{
    ASY_ASSERT(asy_fd_find(loop, record->fd) == record);
    struct fd_accepts *accepts = asy_accepts_leave(record);
    struct fd_traffic *traffic = drop_record(loop, record);
    if (UNLIKELY(accepts != NULL))
        return asy_accepts_close(accepts, record->fd);
    return UNLIKELY(traffic != NULL) ? asy_traffic_close(traffic, record->fd) : asy_sys_close(record->fd);
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
