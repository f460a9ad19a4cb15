/*
 * Calling out: from the poll straight into the program's functions, without a callback in between; and the
 * task that waits for the first of them, connection_made.
 */
#include "asyncio/errors.h"
#include "base/assert.h"
#include "base/sanitizer.h"
#include "core/cancel.h"
#include "core/contextvars.h"
#include "core/switch.h"
#include "fd/transport.h"
#include "sys/sys.h"
#include <errno.h>

/* ---- From the poll ---------------------------------------------------------------------- */

HOT bool asy_callout_begin(asyncio_loop *loop, asyncio_context *context)
{
    struct fd_table *table = (struct fd_table *)loop->io;
    if (UNLIKELY(!table->is_taking_events || loop->is_stepping))
        return false;
    table->is_taking_events = false;
    if (UNLIKELY(context != NULL))
        asy_vars_enter(loop, asy_vars_ref(context));
    return true;
}

HOT void asy_callout_end(asyncio_loop *loop)
{
    asy_vars_leave(loop);
    ((struct fd_table *)loop->io)->is_taking_events = true;
    if (UNLIKELY(asy_loop_is_parents(loop)))
        asy_returned_in_child(NULL);
}

HOT char *asy_input_buffer_take(const asyncio_loop *loop)
{
    struct fd_table *table = (struct fd_table *)loop->io;
    if (UNLIKELY(!table->wide_input))
        table->wide_input = asy_sys_alloc(INPUT_BYTES);
    return table->wide_input;
}

/* A memory checker finds a protocol that uses the bytes later. */
HOT void asy_input_buffer_leave(const asyncio_loop *loop)
{
    struct fd_table *table = (struct fd_table *)loop->io;
    if (!ASY_ASAN && !RUNNING_ON_VALGRIND)
        return;
    asy_sys_free(table->wide_input);
    table->wide_input = NULL;
}

/* ---- The task that connects --------------------------------------------------------------- */

/* Before connection_made: no function of the protocol is ever called. In it or after it the request stays. */
static bool cancel_connecting(struct wait *wait)
{
    const struct connecting *connecting = wait->object;
    if (connecting->is_made)
        return false;
    connecting->discard(connecting->transport);
    return asy_wait_cancelled(wait);
}

static const struct wait_kind connecting_kind = {.name = "connection_made", .cancel = cancel_connecting};

int asy_connecting_wait(struct connecting *connecting)
{
    asyncio_task *task = asy_running_loop->current;
    int err = asy_cancel_deliver(task);
    if (err) {
        connecting->discard(connecting->transport);
        return err;
    }
    struct wait wait;
    asy_wait_init(&wait, task, &connecting_kind, connecting);
    list_append(&connecting->waiters, &wait.waiter.node);
    err = (int)asy_wait_park(&wait);
    if (!err && connecting->is_lost)
        err = connecting->err ? (int)connecting->err : -ECONNABORTED;
    return err;
}

void asy_connecting_begin(struct connecting *connecting)
{
    if (connecting)
        connecting->is_made = true;
}

void asy_connecting_made(struct connecting *connecting)
{
    if (!connecting)
        return;
    ASY_ASSERT(connecting->is_made);
    struct list *node = list_take_first(&connecting->waiters);
    ASY_ASSERT(node != NULL);
    asy_wait_wake(LIST_ENTRY(LIST_ENTRY(node, struct waiter, node), struct wait, waiter), 0);
}

void asy_connecting_lost(struct connecting *connecting, intptr_t err)
{
    if (!connecting)
        return;
    connecting->is_lost = true;
    connecting->err = err;
}
