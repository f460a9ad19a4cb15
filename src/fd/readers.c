/*
 * Readers and writers: a callback each time a descriptor is ready, for programs that bring callbacks along
 * (loop.add_reader). They are level-triggered on top of the one edge-triggered registration: after each call
 * the descriptor is looked at again.
 */
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "fd/fd_table.h"
#include "sys/net.h"
#include "sys/slab.h"
#include <errno.h>

struct watcher {
    struct callback callback;
    struct watchers *of;
    asyncio_callback fn; /* NULL: none */
    void *arg;
    asyncio_context *context; /* in which it was added */
    bool is_queued;           /* in the loop's ready queue, or called now */
};

struct watchers {
    struct watcher reader, writer;
    asyncio_loop *loop;
    struct fd_record *record; /* NULL: dropped while one was queued */
};

/* If poll(2) cannot tell, a call in vain is better than none. */
static bool is_ready(const struct fd_record *record, uint32_t direction)
{
    int events = direction == FD_READ ? POLLIN | POLLRDHUP : POLLOUT;
    struct pollfd one = {.fd = record->fd, .events = (short)events};
    return record->kind == ASY_FD_ALWAYS_READY || asy_sys_poll(&one, 1, 0) != 0;
}

static struct watcher *watcher_of(struct watchers *watchers, uint32_t direction)
{
    return direction == FD_READ ? &watchers->reader : &watchers->writer;
}

static void free_if_unused(struct watchers *watchers)
{
    if (watchers->reader.fn || watchers->writer.fn || watchers->reader.is_queued ||
        watchers->writer.is_queued)
        return;
    if (watchers->record)
        watchers->record->callbacks = NULL;
    asy_vars_drop(watchers->reader.context);
    asy_vars_drop(watchers->writer.context);
    asy_slab_free(watchers, sizeof *watchers);
}

static const struct callback_kind watcher_kind;

static void queue_if_ready(struct watchers *watchers, uint32_t direction)
{
    struct watcher *watcher = watcher_of(watchers, direction);
    if (!watcher->fn || watcher->is_queued || !watchers->record || !is_ready(watchers->record, direction))
        return;
    watcher->is_queued = true;
    callback_push(&watchers->loop->ready, &watcher->callback, &watcher_kind);
    asy_loop_queued(watchers->loop);
}

static void run_watcher(struct callback *callback)
{
    struct watcher *watcher = (struct watcher *)callback;
    struct watchers *watchers = watcher->of;
    asyncio_callback fn = watcher->fn;
    ASY_ASSERT(watcher->is_queued);
    asy_vars_enter(watchers->loop, asy_vars_ref(watcher->context));
    if (fn)
        fn(watcher->arg); /* still marked as queued: it may take itself back */
    watcher->is_queued = false;
    queue_if_ready(watchers, watcher == &watchers->reader ? FD_READ : FD_WRITE);
    free_if_unused(watchers);
}

static void drop_watcher(struct callback *callback)
{
    struct watcher *watcher = (struct watcher *)callback;
    watcher->is_queued = false;
    watcher->fn = NULL;
    free_if_unused(watcher->of);
}

static const struct callback_kind watcher_kind = {run_watcher, drop_watcher};

void asy_readers_event(struct fd_record *record)
{
    struct watchers *watchers = record->callbacks;
    queue_if_ready(watchers, FD_READ);
    queue_if_ready(watchers, FD_WRITE);
}

void asy_readers_drop(struct fd_record *record)
{
    struct watchers *watchers = record->callbacks;
    ASY_ASSERT(watchers->record == record);
    record->callbacks = NULL;
    watchers->record = NULL;
    watchers->reader.fn = watchers->writer.fn = NULL;
    free_if_unused(watchers);
}

static struct watchers *watchers_of(asyncio_loop *loop, struct fd_record *record)
{
    if (record->callbacks)
        return record->callbacks;
    struct watchers *watchers = asy_slab_alloc(sizeof *watchers);
    if (!watchers)
        return NULL;
    *watchers = (struct watchers){.loop = loop, .record = record};
    watchers->reader.of = watchers->writer.of = watchers;
    record->callbacks = watchers;
    return watchers;
}

/* 0, or why the descriptor cannot be watched: -EPERM for a file that is always ready. */
static int check_watchable(const struct fd_record *record)
{
    int kind = record->is_known ? record->kind : asy_sys_fd_kind(record->fd);
    if (kind < 0)
        return kind;
    return (kind & ASY_FD_KINDS) == ASY_FD_ALWAYS_READY ? -EPERM : 0;
}

/* Everything that can fail: the registration, and the context in which the callback will run. */
static int prepare_watching(const struct watchers *watchers, asyncio_context **context)
{
    struct fd_record *record = watchers->record;
    int err = asy_fd_register(watchers->loop, record);
    if (!err && record->kind == ASY_FD_ALWAYS_READY)
        err = -EPERM;
    return err ? err : asy_vars_capture(watchers->loop, context);
}

static int add_watcher(asyncio_loop *loop, int fd, uint32_t direction, asyncio_callback fn, void *arg)
{
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    struct fd_record *record = asy_fd_record(loop, fd);
    int err = record ? check_watchable(record) : asy_fd_record_error(fd);
    if (err)
        return err;
    struct watchers *watchers = watchers_of(loop, record);
    if (!watchers)
        return -ENOMEM;
    asyncio_context *context = NULL;
    err = prepare_watching(watchers, &context);
    if (err) {
        free_if_unused(watchers);
        return err;
    }
    struct watcher *watcher = watcher_of(watchers, direction);
    watcher->fn = fn;
    watcher->arg = arg;
    asy_vars_put(&watcher->context, context);
    queue_if_ready(watchers, direction);
    return 0;
}

static bool remove_watcher(asyncio_loop *loop, int fd, uint32_t direction)
{
    struct fd_record *record = asy_fd_find(loop, fd);
    if (!record || !record->callbacks)
        return false;
    struct watchers *watchers = record->callbacks;
    struct watcher *watcher = watcher_of(watchers, direction);
    bool was_there = watcher->fn != NULL;
    watcher->fn = NULL;
    /* With the last one gone, the program may close the descriptor as it likes. */
    if (!watchers->reader.fn && !watchers->writer.fn)
        asy_readers_drop(record);
    asy_fd_unregister_unused(loop, record);
    return was_there;
}

int asyncio_loop_add_reader(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg)
{
    if (!loop || !fn)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    return add_watcher(loop, fd, FD_READ, fn, arg);
}

int asyncio_loop_add_writer(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg)
{
    if (!loop || !fn)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    return add_watcher(loop, fd, FD_WRITE, fn, arg);
}

bool asyncio_loop_remove_reader(asyncio_loop *loop, int fd)
{
    if (!loop)
        return false;
    asy_loop_check(loop, __func__);
    return remove_watcher(loop, fd, FD_READ);
}

bool asyncio_loop_remove_writer(asyncio_loop *loop, int fd)
{
    if (!loop)
        return false;
    asy_loop_check(loop, __func__);
    return remove_watcher(loop, fd, FD_WRITE);
}
