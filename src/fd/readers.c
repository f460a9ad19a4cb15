/*
 * Readers and writers: a callback each time a descriptor is ready, for who
 * brings callbacks along (loop.add_reader). Level-triggered on top of the one
 * edge-triggered registration: after each call the descriptor is looked at again.
 */
#include "asyncio/errors.h"
#include "asyncio/events.h"
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
    bool is_queued;
};

struct watchers {
    struct watcher reader, writer;
    asyncio_loop *loop;
    struct fd_record *record; /* NULL: dropped while one was queued */
};

/* If it cannot be told: rather called in vain than never. */
static bool is_ready(const struct fd_record *record, int events)
{
    struct pollfd one = {.fd = record->fd, .events = (short)events};
    return record->kind == ASY_FD_ALWAYS_READY || asy_sys_poll(&one, 1, 0) != 0;
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

static void queue(struct watcher *watcher, int events)
{
    struct watchers *watchers = watcher->of;
    if (!watcher->fn || watcher->is_queued || !watchers->record || !is_ready(watchers->record, events))
        return;
    watcher->is_queued = true;
    callback_push(&watchers->loop->ready, &watcher->callback, &watcher_kind);
    asy_loop_queued(watchers->loop);
}

static void queue_both(struct watchers *watchers)
{
    queue(&watchers->reader, POLLIN | POLLRDHUP);
    queue(&watchers->writer, POLLOUT);
}

static void run_watcher(struct callback *callback)
{
    struct watcher *watcher = (struct watcher *)callback;
    struct watchers *watchers = watcher->of;
    asyncio_callback fn = watcher->fn;
    asy_vars_enter(watchers->loop, asy_vars_ref(watcher->context));
    if (fn)
        fn(watcher->arg); /* still marked as queued: it may take itself back */
    watcher->is_queued = false;
    queue(watcher, watcher == &watchers->reader ? POLLIN | POLLRDHUP : POLLOUT);
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

void asy_readers_event(asyncio_loop *loop, struct fd_record *record)
{
    (void)loop;
    queue_both(record->callbacks);
}

void asy_readers_drop(asyncio_loop *loop, struct fd_record *record)
{
    (void)loop;
    struct watchers *watchers = record->callbacks;
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

static int add(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg, bool reads, const char *call)
{
    if (!loop || !fn)
        return -EINVAL;
    asy_loop_check(loop, call);
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return asy_fd_record_error(fd);
    int kind = record->is_known ? record->kind : asy_sys_fd_kind(fd);
    if (kind < 0)
        return kind;
    kind &= ASY_FD_KINDS;
    if (kind == ASY_FD_ALWAYS_READY)
        return -EPERM;
    struct watchers *watchers = watchers_of(loop, record);
    int err = watchers ? asy_fd_register(loop, record) : -ENOMEM;
    if (!err && record->kind == ASY_FD_ALWAYS_READY)
        err = -EPERM;
    asyncio_context *context = NULL;
    if (!err)
        err = asy_vars_capture(loop, &context);
    if (err) {
        if (watchers)
            free_if_unused(watchers);
        return err;
    }
    struct watcher *watcher = reads ? &watchers->reader : &watchers->writer;
    watcher->fn = fn;
    watcher->arg = arg;
    asy_vars_put(&watcher->context, context);
    queue(watcher, reads ? POLLIN | POLLRDHUP : POLLOUT);
    return 0;
}

static bool take_away(asyncio_loop *loop, int fd, bool reads, const char *call)
{
    if (!loop)
        return false;
    asy_loop_check(loop, call);
    struct fd_record *record = asy_fd_find(loop, fd);
    if (!record || !record->callbacks)
        return false;
    struct watchers *watchers = record->callbacks;
    struct watcher *watcher = reads ? &watchers->reader : &watchers->writer;
    bool was = watcher->fn != NULL;
    watcher->fn = NULL;
    /* Nobody else uses it, then: the program may close it as it likes. */
    if (!watchers->reader.fn && !watchers->writer.fn)
        asy_readers_drop(loop, record);
    asy_fd_settle(loop, record);
    return was;
}

int asyncio_loop_add_reader(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg)
{
    return add(loop, fd, fn, arg, true, __func__);
}

int asyncio_loop_add_writer(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg)
{
    return add(loop, fd, fn, arg, false, __func__);
}

bool asyncio_loop_remove_reader(asyncio_loop *loop, int fd)
{
    return take_away(loop, fd, true, __func__);
}

bool asyncio_loop_remove_writer(asyncio_loop *loop, int fd)
{
    return take_away(loop, fd, false, __func__);
}
