/*
 * Accepting by completions. See accepts.h.
 */
#include "fd/accepts.h"
#include "base/assert.h"
#include "core/loop.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <sys/socket.h>

static bool is_accepting(const struct fd_accepts *accepts)
{
    return accepts->accept.op.state != OP_IDLE;
}

static void free_accepts(struct fd_accepts *accepts)
{
    ASY_ASSERT(!accepts->record && !is_accepting(accepts));
    if (accepts->closing_fd >= 0)
        asy_sys_close(accepts->closing_fd);
    asy_slab_free(accepts, sizeof *accepts);
}

void asy_reset_connection(int fd)
{
    struct linger linger = {.l_onoff = 1};
    asy_sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    asy_sys_close(fd);
}

/* ---- What comes ----------------------------------------------------------------------------- */

static void begin_accept(struct fd_accepts *accepts)
{
    struct asy_backend *backend = accepts->loop->backend;
    backend->attached++;
    asy_accept_begin(backend->transfers, &accepts->accept);
}

/* The listener is gone. */
static void lose_connection(struct fd_accepts *accepts, int result, bool is_last)
{
    if (result >= 0)
        asy_reset_connection(result);
    if (is_last && !accepts->is_leaving)
        free_accepts(accepts);
}

/* Is it just over, as somebody wanted, or does it go on? */
static bool is_mere_end(struct fd_accepts *accepts, int result)
{
    bool was_cancelled = accepts->is_cancelled;
    accepts->is_cancelled = false;
    if (result < 0 && !(was_cancelled && result == -ECANCELED))
        return !accepts->is_wanted;
    if (accepts->is_wanted)
        begin_accept(accepts);
    return result < 0;
}

/* `came` may end it, and have all of this freed. */
static void take_accepted(struct asy_accept *accept, int result, bool is_last)
{
    struct fd_accepts *accepts = LIST_ENTRY(accept, struct fd_accepts, accept);
    if (is_last)
        accepts->loop->backend->attached--;
    if (!accepts->record)
        lose_connection(accepts, result, is_last);
    else if (!is_last || !is_mere_end(accepts, result))
        accepts->came(accepts->context, result);
}

/* ---- Begun and ended ------------------------------------------------------------------------ */

static struct fd_accepts *need_accepts(asyncio_loop *loop, struct fd_record *record)
{
    struct fd_accepts *accepts = record->accepts;
    if (accepts)
        return accepts;
    accepts = asy_slab_alloc(sizeof *accepts);
    if (!accepts)
        return NULL;
    *accepts = (struct fd_accepts){.loop = loop, .record = record, .closing_fd = -1};
    asy_accept_init(&accepts->accept, record->fd, take_accepted);
    record->accepts = accepts;
    return accepts;
}

int asy_accepts_begin(asyncio_loop *loop, struct fd_record *record, void (*came)(void *context, int result),
                      void *context)
{
    struct fd_accepts *accepts = need_accepts(loop, record);
    if (!accepts)
        return -ENOMEM;
    accepts->came = came;
    accepts->context = context;
    accepts->is_wanted = true;
    if (!is_accepting(accepts))
        begin_accept(accepts);
    return 0;
}

static void cancel_accept(struct fd_accepts *accepts)
{
    accepts->is_wanted = false;
    accepts->is_cancelled = true;
    asy_accept_end(accepts->loop->backend->transfers, &accepts->accept);
}

/* What it tells of may end it once more, or drop the listener. */
void asy_accepts_end(struct fd_record *record)
{
    struct fd_accepts *accepts = record->accepts;
    if (accepts && is_accepting(accepts) && !asy_loop_is_parents(accepts->loop))
        cancel_accept(accepts);
}

/* ---- Dropped -------------------------------------------------------------------------------- */

/* In a forked child the operation is the parent's. */
static void forget_accept(struct fd_accepts *accepts)
{
    asy_op_init(&accepts->accept.op, accepts->accept.op.kind);
}

struct fd_accepts *asy_accepts_leave_slow(struct fd_record *record)
{
    struct fd_accepts *accepts = record->accepts;
    record->accepts = NULL;
    accepts->record = NULL;
    accepts->is_leaving = true;
    if (asy_loop_is_parents(accepts->loop))
        forget_accept(accepts);
    else if (is_accepting(accepts))
        cancel_accept(accepts);
    accepts->is_leaving = false;
    if (is_accepting(accepts))
        return accepts;
    free_accepts(accepts);
    return NULL;
}

int asy_accepts_close(struct fd_accepts *accepts, int fd)
{
    ASY_ASSERT(!accepts->record && accepts->closing_fd < 0);
    asy_sys_shutdown(fd, SHUT_RDWR);
    accepts->closing_fd = fd;
    return 0;
}
