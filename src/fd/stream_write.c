/*
 * Writing to a stream: what the descriptor takes at once, and a queue for the rest (stream_flush.c). Writes
 * wait for room in it, in the order of the calls.
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

/* A filter is given so much at a time, and may make so much more of it. */
#define SLICE_BYTES (32 * 1024)
#define FILTER_EXTRA_BYTES 1024
#define TOGETHER_BYTES (16 * 1024)

/* ---- Waiting for room --------------------------------------------------------------------- */

struct drain_wait {
    struct wait wait;
    struct timer timer;
    size_t level;
};

static const struct wait_kind stream_drain_kind = {.name = "stream drain"};
static const struct wait_kind stream_write_kind = {.name = "stream write"};

static struct wait *stream_wait_at(struct list *node)
{
    return LIST_ENTRY(LIST_ENTRY(node, struct waiter, node), struct wait, waiter);
}

static void note_level(asyncio_stream *stream)
{
    size_t queued = asy_bytes_count(&stream->out);
    if (queued > STREAM_HIGH_WATER)
        stream->is_full = true;
    else if (queued <= STREAM_LOW_WATER)
        stream->is_full = false;
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

void asy_stream_wake_drainers(asyncio_stream *stream)
{
    note_level(stream);
    if (!stream->has_waiters)
        return;
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

/* The parts without their first `done` bytes join the queue. */
static int queue_rest(asyncio_stream *stream, const struct iovec *parts, int count, size_t done)
{
    for (int i = 0; i < count; i++) {
        if (done >= parts[i].iov_len) {
            done -= parts[i].iov_len;
            continue;
        }
        int err =
            asy_bytes_append(&stream->out, (const char *)parts[i].iov_base + done, parts[i].iov_len - done);
        if (err)
            return err;
        done = 0;
    }
    return 0;
}

/* Nothing is queued: as much as possible goes out at once, without a copy. */
static int write_direct(asyncio_stream *stream, const struct iovec *parts, int count, size_t total)
{
    ssize_t sent = asy_stream_transmit(stream, parts, count, FLUSH_LAST);
    if (sent < 0 && sent != -EAGAIN) {
        asy_stream_fail_writes(stream, (int)sent);
        return (int)sent;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == total)
        return 0;
    int err = queue_rest(stream, parts, count, done);
    if (err) {
        asy_bytes_free(&stream->out);
        if (done) /* a torn write cannot be taken back */
            asy_stream_fail_writes(stream, err);
        return err;
    }
    asy_stream_flush(stream);
    return 0;
}

/* In slices: bytes sent between two of them need no memory. `is_torn`: a part of the write has gone out. */
static int push_slices(asyncio_stream *stream, const char *data, size_t n, bool is_torn)
{
    while (n && !stream->write_error) {
        size_t slice = n < SLICE_BYTES ? n : SLICE_BYTES;
        int err = asy_bytes_reserve(&stream->out, slice + FILTER_EXTRA_BYTES);
        if (err && !is_torn)
            return err;
        if (!err)
            err = stream->filter_ops->push(stream->filter, data, slice);
        if (err)
            asy_stream_fail_writes(stream, err);
        else
            asy_stream_flush(stream);
        is_torn = true;
        data += slice;
        n -= slice;
    }
    return stream->write_error;
}

/* Small parts are put together: a filter adds to each piece. */
static int push_together(asyncio_stream *stream, const struct iovec *parts, int count, size_t total)
{
    char *whole = asy_sys_alloc(total);
    if (!whole)
        return -ENOMEM;
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len)
            memcpy(whole + n, parts[i].iov_base, parts[i].iov_len);
        n += parts[i].iov_len;
    }
    int err = push_slices(stream, whole, total, /* is_torn= */ false);
    asy_sys_free(whole);
    return err;
}

static int write_filtered(asyncio_stream *stream, const struct iovec *parts, int count, size_t total)
{
    if (count > 1 && total <= TOGETHER_BYTES)
        return push_together(stream, parts, count, total);
    int err = 0;
    bool is_torn = false;
    for (int i = 0; i < count && !err; i++) {
        err = push_slices(stream, parts[i].iov_base, parts[i].iov_len, is_torn);
        is_torn = is_torn || parts[i].iov_len;
    }
    return err;
}

/* Behind what is queued already: all or nothing. */
static int write_behind(asyncio_stream *stream, const struct iovec *parts, int count)
{
    size_t queued = asy_bytes_count(&stream->out);
    int err = queue_rest(stream, parts, count, 0);
    if (err)
        stream->out.end = stream->out.start + queued;
    return err;
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
        err = stream->filter ? push_slices(stream, data, piece, /* is_torn= */ true)
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

/* The end that was asked for. */
static int end_stream_output(asyncio_stream *stream)
{
    if (stream->filter) {
        stream->filter_ops->shutdown(stream->filter);
        asy_stream_flush(stream);
        return stream->write_error;
    }
    if (!asy_bytes_count(&stream->out))
        asy_stream_end_output(stream);
    return 0;
}

/* What may be queued of so many bytes, with what a filter adds to each 16 KiB. */
static size_t count_room(const asyncio_stream *stream, size_t total)
{
    return stream->filter ? total + total / 128 + SLICE_BYTES + FILTER_EXTRA_BYTES : total;
}

/* A large write, a step's bytes at a time. There is memory for all of it before the first byte is accepted:
 * a queue that grows is never moved. */
static NOINLINE int write_in_steps(asyncio_stream *stream, const struct iovec *parts, size_t total)
{
    size_t at = 0;
    int err = asy_bytes_reserve(&stream->out, count_room(stream, total));
    if (err)
        return err;
    stream->to_come = total;
    do
        err = put_step(stream, &parts, &at);
    while (!err && stream->to_come && !(err = give_way_amid_write(stream)));
    stream->to_come = 0;
    if (!err && stream->ends) /* others have asked for it meanwhile */
        err = end_stream_output(stream);
    return err;
}

static int write_in_turn(asyncio_stream *stream, const struct iovec *parts, int count, size_t total)
{
    int err = total ? wait_to_write(stream) : stream->write_error;
    if (!err)
        err = stream->is_shaking ? ASYNCIO_ESTATE : check_may_write(stream); /* others have run meanwhile */
    if (!err && total)
        err = UNLIKELY(total > ASY_STEP_BYTES) ? write_in_steps(stream, parts, total)
              : stream->filter                 ? write_filtered(stream, parts, count, total)
              : asy_bytes_count(&stream->out)  ? write_behind(stream, parts, count)
                                               : write_direct(stream, parts, count, total);
    note_level(stream);
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
               : end_output_call(stream, asy_stream_wait_drained(stream, STREAM_LOW_WATER, ASYNCIO_FOREVER));
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
    return stream->to_come ? 0 : end_stream_output(stream);
}
