/*
 * Readers and writers: a callback each time a descriptor is ready, for programs that bring callbacks along
 * (loop.add_reader). Each is a level watch, and a callback in the ready queue, since asyncio runs it behind
 * what was ready before the poll, and in the context in which it was added.
 */
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "fd/fd_table.h"
#include "fd/watches.h"
#include "sys/slab.h"
#include <errno.h>

struct reader {
    struct watch watch; /* first */
    struct callback callback;
    asyncio_loop *loop;
    asyncio_callback fn;
    void *arg;
    asyncio_context *context; /* in which it was added */
};

#define READER_EVENTS (POLLIN | POLLRDHUP | WATCH_OURS)
#define WRITER_EVENTS (POLLOUT | WATCH_OURS)

static void free_reader(struct reader *reader)
{
    callback_remove(&reader->loop->ready, &reader->callback);
    asy_vars_drop(reader->context);
    asy_slab_free(reader, sizeof *reader);
}

static void run_reader(struct callback *callback)
{
    const struct reader *reader = LIST_ENTRY(callback, struct reader, callback);
    asyncio_callback fn = reader->fn;
    void *arg = reader->arg;
    if (list_is_empty(&reader->watch.node))
        return; /* the descriptor was closed meanwhile */
    asy_vars_enter(reader->loop, asy_vars_ref(reader->context));
    fn(arg); /* may take itself back */
}

/* The loop closes, and the watch is told so. */
static void drop_reader(struct callback *callback)
{
    (void)callback;
}

static const struct callback_kind reader_kind = {run_reader, drop_reader};

static void hear_of_event(asyncio_watch *watch, uint32_t events)
{
    struct reader *reader = (struct reader *)(void *)watch;
    if (events & POLLNVAL)
        free_reader(reader);
    else if (!reader->callback.link)
        callback_push(&reader->loop->ready, &reader->callback, &reader_kind);
}

static struct reader *find_reader(asyncio_loop *loop, int fd, uint32_t events)
{
    struct fd_record *record = asy_fd_find(loop, fd);
    if (!record)
        return NULL;
    LIST_EACH(node, &record->watches) {
        struct watch *watch = asy_watch_at(node);
        if (watch->fn == hear_of_event && watch->events == events)
            return (struct reader *)watch;
    }
    return NULL;
}

/* 0 or an error; *out is untouched on failure. */
static int make_reader(asyncio_loop *loop, int fd, uint32_t events, struct reader **out)
{
    struct reader *reader = asy_slab_alloc(sizeof *reader);
    if (!reader)
        return -ENOMEM;
    *reader = (struct reader){.watch.fn = hear_of_event, .loop = loop};
    int err = asy_watch_begin(loop, &reader->watch, fd, events);
    if (err)
        asy_slab_free(reader, sizeof *reader);
    else
        *out = reader;
    return err;
}

static int add_reader(asyncio_loop *loop, int fd, uint32_t events, asyncio_callback fn, void *arg)
{
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    asyncio_context *context;
    if (asy_vars_capture(loop, &context))
        return -ENOMEM;
    struct reader *reader = find_reader(loop, fd, events);
    int err = reader ? 0 : make_reader(loop, fd, events, &reader);
    if (err) {
        asy_vars_drop(context);
        return err;
    }
    callback_remove(&loop->ready, &reader->callback); /* an event of the one before; this one is told anew */
    reader->fn = fn;
    reader->arg = arg;
    asy_vars_put(&reader->context, context);
    return 0;
}

static bool remove_reader(asyncio_loop *loop, int fd, uint32_t events)
{
    struct reader *reader = find_reader(loop, fd, events);
    if (!reader)
        return false;
    asy_watch_end(&reader->watch);
    free_reader(reader);
    return true;
}

int asyncio_loop_add_reader(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg)
{
    if (!loop || !fn)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    return add_reader(loop, fd, READER_EVENTS, fn, arg);
}

int asyncio_loop_add_writer(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg)
{
    if (!loop || !fn)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    return add_reader(loop, fd, WRITER_EVENTS, fn, arg);
}

bool asyncio_loop_remove_reader(asyncio_loop *loop, int fd)
{
    if (!loop)
        return false;
    asy_loop_check(loop, __func__);
    return remove_reader(loop, fd, READER_EVENTS);
}

bool asyncio_loop_remove_writer(asyncio_loop *loop, int fd)
{
    if (!loop)
        return false;
    asy_loop_check(loop, __func__);
    return remove_reader(loop, fd, WRITER_EVENTS);
}
