/*
 * Writing to a stream, as a task does: writes wait for room in the queue, in the order of the calls, and a
 * large one goes in steps. stream_put.c accepts the bytes.
 */
#include "asyncio/errors.h"
#include "asyncio/streams.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "fd/lengths.h"
#include "fd/stream.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Waiting for room --------------------------------------------------------------------- */

struct drain_wait {
    struct wait wait;
    struct timer timer;
    size_t level;
};

static const struct wait_kind stream_drain_kind = {
    .name = "stream drain",
    .shape = {.kind = SHAPE_DESCRIPTOR,
              .deadline = SHAPE_DEADLINE(struct drain_wait),
              .at = {offsetof(asyncio_stream, fd)}},
};
static const struct wait_kind stream_write_kind = {
    .name = "stream write",
    .shape = {.kind = SHAPE_DESCRIPTOR, .at = {offsetof(asyncio_stream, fd)}},
};

static struct wait *stream_wait_at(struct list *node)
{
    return LIST_ENTRY(LIST_ENTRY(node, struct waiter, node), struct wait, waiter);
}

/* The first writer in the queue, if there is room for its bytes and no other write is under way. */
static void wake_first_writer(asyncio_stream *stream)
{
    if (list_is_empty(&stream->writers) || stream->to_come || (stream->is_full && !stream->write_error))
        return;
    struct wait *first = stream_wait_at(stream->writers.next);
    if (first->state == WAIT_PENDING)
        asy_wait_wake(first, 0);
}

void asy_stream_output_moved(asyncio_stream *stream)
{
    asy_stream_note_level(stream);
    if (!stream->has_waiters)
        return;
    if (stream->face) {
        stream->face->output_moved(stream->face);
        return;
    }
    size_t queued = asy_stream_unsent(stream);
    LIST_EACH_SAFE(node, next, &stream->drainers) {
        struct drain_wait *drain = LIST_ENTRY(stream_wait_at(node), struct drain_wait, wait);
        if (queued > drain->level && !stream->write_error)
            continue;
        list_remove(node);
        asy_wait_wake(&drain->wait, 0);
    }
    wake_first_writer(stream);
    stream->has_waiters = !list_is_empty(&stream->drainers) || !list_is_empty(&stream->writers);
}

/* Waits for the turn to write, which comes in the order of the calls. 0 or an error. */
static int wait_to_write(asyncio_stream *stream)
{
    asyncio_task *task = stream->loop->current;
    bool has_writers = stream->has_waiters && !list_is_empty(&stream->writers);
    if (stream->write_error || (!stream->is_full && !has_writers))
        return stream->write_error;
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct wait wait;
    asy_wait_init(&wait, task, &stream_write_kind, stream);
    list_append(&stream->writers, &wait.waiter.node);
    stream->has_waiters = true;
    err = (int)asy_wait_park(&wait);
    list_remove(&wait.waiter.node);
    return err ? err : stream->write_error;
}

/* Others run between two steps of a write, which stays the first among the writers. A request to cancel stays
 * pending meanwhile: a part of the bytes has been accepted. 0 or an error. */
static int give_way_amid_write(asyncio_stream *stream)
{
    struct wait wait;
    asy_wait_init(&wait, stream->loop->current, &stream_write_kind, stream);
    list_prepend(&stream->writers, &wait.waiter.node);
    stream->has_waiters = true;
    asy_wait_wake(&wait, 0);
    asy_wait_park(&wait);
    list_remove(&wait.waiter.node);
    return stream->write_error;
}

int asy_stream_take_turn(asyncio_stream *stream, struct wait *turn)
{
    int err = wait_to_write(stream);
    if (err)
        return err;
    asy_wait_init(turn, stream->loop->current, &stream_write_kind, stream);
    turn->state = WAIT_GRANTED; /* the first writer, whom nobody wakes */
    list_prepend(&stream->writers, &turn->waiter.node);
    stream->has_waiters = true;
    return 0;
}

void asy_stream_give_turn(asyncio_stream *stream, struct wait *turn)
{
    list_remove(&turn->waiter.node);
    wake_first_writer(stream);
}

static void drain_timed_out(struct timer *timer)
{
    struct drain_wait *drain = LIST_ENTRY(timer, struct drain_wait, timer);
    if (drain->wait.state != WAIT_PENDING)
        return;
    list_remove(&drain->wait.waiter.node);
    asy_wait_wake(&drain->wait, -ETIMEDOUT);
}

int asy_stream_wait_drained(asyncio_stream *stream, size_t level, double timeout)
{
    asyncio_loop *loop = stream->loop;
    asyncio_task *task = loop->current;
    if (stream->write_error || asy_stream_unsent(stream) <= level)
        return stream->write_error;
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct drain_wait drain = {.level = level, .timer.fire = drain_timed_out};
    asy_wait_init(&drain.wait, task, &stream_drain_kind, stream);
    err = asy_timer_start(loop, &drain.timer, asy_deadline_after(asy_loop_now_ns(loop), timeout));
    if (err)
        return err;
    list_append(&stream->drainers, &drain.wait.waiter.node);
    stream->has_waiters = true;
    asy_stream_use(stream);
    err = (int)asy_wait_park(&drain.wait);
    asy_timer_stop(loop, &drain.timer);
    if (!err)
        err = stream->write_error;
    asy_stream_leave(stream);
    return err;
}

/* ---- From the program ----------------------------------------------------------------------- */

static int check_may_write(const asyncio_stream *stream)
{
    return stream->is_closed ? -EBADF : stream->ends || stream->is_closing ? ASYNCIO_ESTATE : 0;
}

static int check_output_call(const asyncio_stream *stream, const char *call)
{
    if (!stream)
        return -EINVAL;
    asy_stream_check(stream, call);
    return stream->loop->current ? 0 : ASYNCIO_ENOTASK;
}

/* 0: the call is in progress, until `end_output_call`. */
static int begin_output_call(asyncio_stream *stream)
{
    asy_stream_use(stream);
    int err = asy_budget_spend(stream->loop);
    if (err)
        asy_stream_leave(stream);
    return err;
}

static int end_output_call(asyncio_stream *stream, int result)
{
    asy_stream_leave(stream);
    return result;
}

static int begin_write(asyncio_stream *stream, bool is_valid, const char *call)
{
    int err = check_output_call(stream, call);
    if (!err)
        err = is_valid ? check_may_write(stream) : -EINVAL;
    return err ? err : begin_output_call(stream);
}

/* The next step's bytes of a write. *part: the part that they begin in, *at: where in it. */
static int put_step(asyncio_stream *stream, const struct iovec **part, size_t *at)
{
    size_t n = stream->to_come < ASY_STEP_BYTES ? stream->to_come : ASY_STEP_BYTES;
    int err = 0;
    while (n && !err) {
        size_t left = (*part)->iov_len - *at, piece = left < n ? left : n;
        const char *data = (const char *)(*part)->iov_base + *at;
        stream->to_come -= piece;
        err = stream->filter ? asy_stream_push(stream, data, piece, /* is_torn= */ true)
                             : asy_bytes_append(&stream->out, data, piece);
        n -= piece;
        *at = piece < left ? *at + piece : 0;
        *part += piece == left;
    }
    if (err)
        asy_stream_fail_writes(stream, err);
    else if (!stream->filter)
        asy_stream_flush(stream);
    return stream->write_error;
}

/* A large write, a step's bytes at a time. There is memory for all of it before the first byte is accepted:
 * a queue that grows is never moved. */
static NOINLINE int write_in_steps(asyncio_stream *stream, const struct iovec *parts, size_t total)
{
    size_t at = 0;
    int err = asy_bytes_reserve(&stream->out, asy_stream_room_for(stream, total));
    if (err)
        return err;
    stream->to_come = total;
    do
        err = put_step(stream, &parts, &at);
    while (!err && stream->to_come && !(err = give_way_amid_write(stream)));
    stream->to_come = 0;
    if (!err && stream->ends) /* others have asked for it meanwhile */
        err = asy_stream_say_end(stream);
    return err;
}

static int write_in_turn(asyncio_stream *stream, const struct iovec *parts, int count, size_t total)
{
    int err = total ? wait_to_write(stream) : stream->write_error;
    if (!err)
        err = stream->is_shaking ? ASYNCIO_ESTATE : check_may_write(stream); /* others have run meanwhile */
    if (!err && total)
        err = UNLIKELY(total > ASY_STEP_BYTES) ? write_in_steps(stream, parts, total)
                                               : asy_stream_put(stream, parts, count, total);
    asy_stream_note_level(stream);
    if (stream->has_waiters)
        wake_first_writer(stream);
    return err;
}

int asyncio_stream_writev(asyncio_stream *stream, const struct iovec *parts, int count)
{
    ssize_t total = asy_parts_length(parts, count);
    int err = begin_write(stream, total >= 0, __func__);
    return err ? err : end_output_call(stream, write_in_turn(stream, parts, count, (size_t)total));
}

int asyncio_stream_write(asyncio_stream *stream, const void *buf, size_t n)
{
    struct iovec part = {(void *)buf, n};
    int err = begin_write(stream, asy_is_length(n) && (buf || !n), __func__);
    return err ? err : end_output_call(stream, write_in_turn(stream, &part, 1, n));
}

/* 0, or why no byte can be accepted now. */
static int check_may_write_now(const asyncio_stream *stream)
{
    int err = check_may_write(stream);
    if (err || stream->write_error)
        return err ? err : stream->write_error;
    if (stream->is_shaking || asy_loop_is_parents(stream->loop))
        return ASYNCIO_ESTATE;
    bool has_writers = stream->has_waiters && !list_is_empty(&stream->writers);
    return stream->is_full || stream->to_come || has_writers ? -EAGAIN : 0;
}

/* There is memory for all of it before the first byte is sent. */
int asyncio_stream_write_nowait(asyncio_stream *stream, const void *buf, size_t n)
{
    struct iovec part = {(void *)buf, n};
    if (!stream || !asy_is_length(n) || (!buf && n))
        return -EINVAL;
    asy_stream_check(stream, __func__);
    int err = check_may_write_now(stream);
    if (err || !n)
        return err == -EAGAIN && !n ? 0 : err;
    err = asy_bytes_reserve(&stream->out, asy_stream_room_for(stream, n));
    if (err)
        return err;
    err = asy_stream_put(stream, &part, 1, n);
    if (!asy_bytes_count(&stream->out))
        asy_bytes_free(&stream->out);
    asy_stream_note_level(stream);
    return err;
}

size_t asyncio_stream_queued(asyncio_stream *stream)
{
    if (!stream)
        return 0;
    asy_stream_check(stream, __func__);
    return asy_stream_unsent(stream);
}

int asyncio_stream_printf(asyncio_stream *stream, const char *format, ...)
{
    char small[512];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    char *text = small;
    int err = length < 0 ? -EINVAL : 0;
    if (!err && (size_t)length >= sizeof small) {
        text = asy_sys_alloc((size_t)length + 1);
        if (text)
            vsnprintf(text, (size_t)length + 1, format, again);
        else
            err = -ENOMEM;
    }
    va_end(again);
    if (!err)
        err = asyncio_stream_write(stream, text, (size_t)length);
    if (text != small)
        asy_sys_free(text);
    return err;
}

int asyncio_stream_drain(asyncio_stream *stream)
{
    int err = check_output_call(stream, __func__);
    if (!err)
        err = begin_output_call(stream);
    return err ? err
               : end_output_call(stream, asy_stream_wait_drained(stream, stream->low_water, ASYNCIO_FOREVER));
}

int asyncio_stream_write_eof(asyncio_stream *stream)
{
    if (!stream)
        return -EINVAL;
    asy_stream_check(stream, __func__);
    if (stream->write_error)
        return stream->write_error;
    if (stream->ends)
        return 0;
    if (stream->is_shaking || asy_loop_is_parents(stream->loop))
        return ASYNCIO_ESTATE;
    stream->ends = true;
    return stream->to_come ? 0 : asy_stream_say_end(stream);
}
