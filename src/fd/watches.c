/*
 * Watches. See watches.h, and asyncio/embed.h.
 */
#include "fd/watches.h"
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/loop.h"
#include "fd/transfer.h"
#include "sys/net.h"
#include <errno.h>
#include <poll.h>

_Static_assert(sizeof(asyncio_watch) <= 10 * sizeof(void *), "ten words");
_Static_assert(sizeof(struct watch) == sizeof(asyncio_watch) &&
                   offsetof(struct watch, loop) == offsetof(asyncio_watch, loop_) &&
                   offsetof(struct watch, fn) == offsetof(asyncio_watch, fn_),
               "the public struct is a watch");

#define WATCHABLE (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)
#define ALWAYS_TOLD (POLLERR | POLLHUP)

static struct watch *watch_of(asyncio_watch *watch)
{
    return (struct watch *)(void *)watch;
}

static struct watch *watch_at_later(struct callback *callback)
{
    return LIST_ENTRY(callback, struct watch, later);
}

static uint32_t events_of(const struct watch *watch)
{
    return watch->events & WATCHABLE;
}

/* ---- Telling ---------------------------------------------------------------------- */

/* A callback that the poll runs at once, out of no queue. */
struct telling {
    struct callback callback;
    struct watch *watch;
    uint32_t events;
};

static void run_telling(struct callback *callback)
{
    struct telling *telling = (struct telling *)callback;
    telling->watch->fn((asyncio_watch *)telling->watch, telling->events);
}

static const struct callback_kind telling_kind = {run_telling, run_telling};
static const struct callback_kind later_kind;

static void queue_look(struct watch *watch)
{
    if (watch->later.link)
        return;
    callback_push(&watch->loop->ready, &watch->later, &later_kind);
    asy_loop_queued(watch->loop);
}

static void tell_event(asyncio_loop *loop, const struct fd_record *record, struct watch *watch,
                       uint32_t events)
{
    uint32_t told = events & (events_of(watch) | ALWAYS_TOLD);
    if (!told || watch->since == loop->backend->fetches)
        return;
    callback_remove(&loop->ready, &watch->later);
    if (record->mode == FD_EDGE && asy_watch_is_level(watch))
        queue_look(watch);
    struct telling telling = {.callback.kind = &telling_kind, .watch = watch, .events = told};
    struct fd_table *table = (struct fd_table *)loop->io;
    table->is_taking_events = false; /* a transport that fn wakes calls nobody inside fn */
    asy_callback_run(loop, &telling.callback);
    table->is_taking_events = true;
}

/* fn may stop any of them, start others and close the descriptor. Each is put at the end of the list before
 * it is told; a mark, which a close takes away, stands between them and those that are still to be told. */
void asy_watches_event(asyncio_loop *loop, struct fd_record *record, uint32_t events)
{
    struct list *mark = &((struct fd_table *)loop->io)->mark->node;
    ASY_ASSERT(list_is_empty(mark));
    list_append(&record->watches, mark);
    while (!list_is_empty(mark) && record->watches.next != mark) {
        struct list *node = list_take_first(&record->watches);
        list_append(&record->watches, node);
        tell_event(loop, record, asy_watch_at(node), events);
    }
    list_remove(mark);
    if (record->mode == FD_LEVEL) /* is there an event that nobody wants any more? */
        asy_fd_narrow_level(loop, record, events);
}

/* A look at a watch in the run phase: what is there at the start of one beside others; a level one again and
 * again; or that its descriptor was closed. */
static void run_later(struct callback *callback)
{
    struct watch *watch = watch_at_later(callback);
    if (list_is_empty(&watch->node)) {
        watch->loop = NULL;
        watch->fn((asyncio_watch *)watch, POLLNVAL);
        return;
    }
    int ready = asy_fd_look(watch->fd, (int)events_of(watch));
    if (ready <= 0)
        return; /* an event will tell */
    if (asy_watch_is_level(watch))
        queue_look(watch);
    watch->fn((asyncio_watch *)watch, (uint32_t)ready);
}

/* The loop closes, and has taken all watches off their records. */
static void drop_later(struct callback *callback)
{
    struct watch *watch = watch_at_later(callback);
    asyncio_loop *loop = watch->loop;
    ASY_ASSERT(list_is_empty(&watch->node));
    watch->loop = NULL;
    if (watch->events & WATCH_OURS)
        watch->fn((asyncio_watch *)watch, POLLNVAL);
    else if (loop->drain)
        loop->drain(NULL, NULL, (asyncio_watch *)watch, loop->drain_arg);
}

static const struct callback_kind later_kind = {run_later, drop_later};

void asy_watches_drop(asyncio_loop *loop, struct fd_record *record)
{
    const struct watch *mark = ((struct fd_table *)loop->io)->mark;
    struct list *node;
    while ((node = list_take_first(&record->watches))) {
        struct watch *watch = asy_watch_at(node);
        if (watch == mark) /* they were being told */
            continue;
        ASY_ASSERT(watch->fd == record->fd);
        callback_remove(&loop->ready, &watch->later);
        queue_look(watch);
    }
}

/* ---- Starting and stopping ---------------------------------------------------------- */

/* 0, or why the descriptor cannot be watched: -EPERM for a file that is always ready. */
static int check_watchable(const struct fd_record *record)
{
    int kind = record->is_known ? record->kind : asy_sys_fd_kind(record->fd);
    if (kind < 0)
        return kind;
    return (kind & ASY_FD_KINDS) == ASY_FD_ALWAYS_READY ? -EPERM : 0;
}

/* What an edge-triggered registration has told already, it does not tell again: a look does. */
static int register_watch(asyncio_loop *loop, struct fd_record *record, struct watch *watch)
{
    if (record->mode == FD_EDGE) {
        queue_look(watch);
        return 0;
    }
    int err = asy_watch_is_level(watch) ? asy_fd_register_once(loop, record) : asy_fd_register(loop, record);
    return !err && record->is_known && record->kind == ASY_FD_ALWAYS_READY ? -EPERM : err;
}

int asy_watch_begin(asyncio_loop *loop, struct watch *watch, int fd, uint32_t events)
{
    struct fd_record *record = asy_fd_record(loop, fd);
    int err = record ? check_watchable(record) : asy_fd_record_error(fd);
    if (err)
        return err;
    watch->fd = fd;
    watch->events = (uint16_t)events;
    watch->since = loop->backend->fetches;
    watch->loop = loop;
    watch->later.link = NULL;
    list_append(&record->watches, &watch->node);
    err = register_watch(loop, record, watch);
    if (err) {
        list_remove(&watch->node);
        watch->loop = NULL;
    }
    return err;
}

void asy_watch_end(struct watch *watch)
{
    asyncio_loop *loop = watch->loop;
    ASY_ASSERT(loop);
    callback_remove(&loop->ready, &watch->later);
    watch->loop = NULL;
    if (list_is_empty(&watch->node))
        return;
    list_remove(&watch->node);
    asy_fd_unregister_unused(loop, asy_fd_find(loop, watch->fd));
}

void asyncio_watch_init(asyncio_watch *watch, void (*fn)(asyncio_watch *watch, uint32_t events))
{
    if (!watch)
        return;
    struct watch *it = watch_of(watch);
    *it = (struct watch){.fn = fn};
    list_init(&it->node);
}

static bool are_watch_events(uint32_t events)
{
    return !(events & ~(uint32_t)(WATCHABLE | ALWAYS_TOLD | POLLNVAL));
}

int asyncio_watch_start(asyncio_loop *loop, asyncio_watch *watch, int fd, uint32_t events, int flags)
{
    if (!loop || !watch || !are_watch_events(events) || (flags & ~ASYNCIO_WATCH_EDGE))
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop) || watch->loop_)
        return ASYNCIO_ESTATE;
    uint32_t edge = flags & ASYNCIO_WATCH_EDGE ? WATCH_EDGE : 0;
    return asy_watch_begin(loop, watch_of(watch), fd, (events & WATCHABLE) | edge);
}

int asyncio_watch_modify(asyncio_watch *watch, uint32_t events)
{
    if (!watch || !are_watch_events(events))
        return -EINVAL;
    struct watch *it = watch_of(watch);
    asyncio_loop *loop = it->loop;
    if (!loop || asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    asy_loop_check(loop, __func__);
    if (list_is_empty(&it->node))
        return -EBADF;
    uint16_t before = it->events;
    it->events = (uint16_t)((events & WATCHABLE) | (before & WATCH_EDGE));
    int err = register_watch(loop, asy_fd_find(loop, it->fd), it);
    if (err)
        it->events = before;
    return err;
}

bool asyncio_watch_stop(asyncio_watch *watch)
{
    asyncio_loop *loop = watch ? watch->loop_ : NULL;
    if (!loop)
        return false;
    if (asy_loop_is_parents(loop)) { /* which never runs in this process */
        watch->loop_ = NULL;
        return false;
    }
    asy_loop_check(loop, __func__);
    asy_watch_end(watch_of(watch));
    return true;
}
