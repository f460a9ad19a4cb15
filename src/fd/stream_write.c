/*
 * Writing to a stream: what the descriptor takes at once, and a queue for the
 * rest, which the stream sends in the background.
 */
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/streams.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "fd/lengths.h"
#include "fd/stream.h"
#include "fd/transfer.h"
#include "sys/net.h"
#include "sys/process.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* How much a filter is given at a time, and what it may make more of that. */
#define SLICE_BYTES (32 * 1024)
#define FILTER_EXTRA_BYTES 1024
/* Of one system call. */
#define PARTS_MAX 1024
#define TOGETHER_BYTES (16 * 1024)

/* ---- To the descriptor --------------------------------------------------------------- */

static bool is_writable(const asyncio_stream *stream)
{
    struct pollfd one = {.fd = stream->fd, .events = POLLOUT};
    return asy_sys_poll(&one, 1, 0) > 0;
}

/* How many of the parts, at least one, are no more than a step's bytes together. */
static int cut_parts(const struct iovec *parts, int count)
{
    size_t total = parts[0].iov_len;
    int n = 1;
    while (n < count && n < PARTS_MAX && parts[n].iov_len <= ASY_STEP_BYTES &&
           (total += parts[n].iov_len) <= ASY_STEP_BYTES)
        n++;
    return n;
}

/* One system call, if it is worth trying: the number of bytes, -EAGAIN, or an error. */
static ssize_t transmit(asyncio_stream *stream, const struct iovec *parts, int count)
{
    struct fd_record *record = stream->record;
    if (stream->file || !(record->ready & FD_WRITE))
        return -EAGAIN;
    ssize_t sent;
    struct iovec first = parts[0];
    if (first.iov_len > ASY_STEP_BYTES)
        first.iov_len = ASY_STEP_BYTES;
    count = cut_parts(parts, count);
    if (count == 1)
        parts = &first;
    if (record->kind == ASY_FD_SHARED) {
        sent = is_writable(stream) ? asy_write_shared(record, parts[0].iov_base, parts[0].iov_len) : -EAGAIN;
    } else if (!stream->is_socket) {
        sent = asy_sys_writev_quietly(stream->fd, parts, count);
    } else if (count == 1) {
        sent = asy_sys_send(stream->fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
    } else {
        struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
        sent = asy_sys_sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    }
    if (sent > 0)
        asy_budget_charge(stream->loop, (size_t)sent);
    if (sent == -EAGAIN)
        asy_fd_exhausted(record, FD_WRITE);
    return sent;
}

/* ---- Who waits for room ---------------------------------------------------------------- */

struct drain_wait {
    struct wait wait;
    struct timer timer;
    size_t level;
};

static const struct wait_kind drain_kind = {.name = "stream drain"};
static const struct wait_kind write_kind = {.name = "stream write"};

static struct wait *wait_at(struct list *node)
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

/* The first writer in the queue, if there is room for what he has. */
static void wake_writer(asyncio_stream *stream)
{
    if (list_is_empty(&stream->writers) || (stream->is_full && !stream->write_error))
        return;
    struct wait *first = wait_at(stream->writers.next);
    if (first->state == WAIT_PENDING)
        asy_wait_wake(first, 0);
}

void asy_stream_wake_drainers(asyncio_stream *stream)
{
    size_t queued = asy_bytes_count(&stream->out);
    note_level(stream);
    if (!stream->has_waiters)
        return;
    LIST_EACH_SAFE(node, next, &stream->drainers) {
        struct drain_wait *drain = LIST_ENTRY(wait_at(node), struct drain_wait, wait);
        if (queued > drain->level && !stream->write_error)
            continue;
        list_remove(node);
        asy_wait_wake(&drain->wait, 0);
    }
    wake_writer(stream);
    stream->has_waiters = !list_is_empty(&stream->drainers) || !list_is_empty(&stream->writers);
}

/* Waits for the turn to write, which comes in the order of the calls. 0 or an error. */
static int wait_turn(asyncio_stream *stream)
{
    asyncio_task *task = stream->loop->current;
    bool has_writers = stream->has_waiters && !list_is_empty(&stream->writers);
    if (stream->write_error || (!stream->is_full && !has_writers))
        return stream->write_error;
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct wait wait;
    asy_wait_init(&wait, task, &write_kind, stream);
    list_append(&stream->writers, &wait.waiter.node);
    stream->has_waiters = true;
    err = (int)asy_wait_park(&wait);
    list_remove(&wait.waiter.node);
    return err ? err : stream->write_error;
}

static void drain_over(struct timer *timer)
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
    if (stream->write_error || asy_bytes_count(&stream->out) <= level)
        return stream->write_error;
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct drain_wait drain = {.level = level, .timer.fire = drain_over};
    asy_wait_init(&drain.wait, task, &drain_kind, stream);
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

/* ---- The queue ---------------------------------------------------------------------------- */

void asy_stream_fail_writes(asyncio_stream *stream, int err)
{
    if (!stream->write_error)
        stream->write_error = err;
    list_remove(&stream->flusher.node);
    asy_bytes_free(&stream->out);
    asy_stream_wake_drainers(stream);
}

/* A pipe's reader sees the end only when it is closed. What can be read, too, stays open. */
static void end_pipe(asyncio_stream *stream)
{
    if (stream->keeps_fd || asy_sys_access_mode(stream->fd) != O_WRONLY)
        return;
    int fd = stream->fd;
    list_remove(&stream->flusher.node);
    stream->fd = -EBADF;
    stream->read_error = -EBADF;
    asyncio_close(fd);
}

/* Everything is sent: the peer may see the end. A filter has a word for it, and may have to say more. */
static void end_output(asyncio_stream *stream)
{
    if (!stream->ends || stream->ended || stream->write_error || stream->filter)
        return;
    stream->ended = true;
    if (stream->is_socket)
        asy_sys_shutdown(stream->fd, SHUT_WR);
    else if (!stream->file)
        end_pipe(stream);
}

/* What was accepted is lost. If the peer is gone, the input says so by itself; else a reader would wait for
 * the answer to what was never sent. */
static void lose_output(asyncio_stream *stream, int err)
{
    asy_stream_fail_writes(stream, err);
    if (err != -EPIPE && err != -ECONNRESET)
        asy_stream_fail_reads(stream, err);
}

static void flusher_ready(struct fd_waiter *flusher, int err);

/* Goes on later, in the background. */
static int wait_to_flush(asyncio_stream *stream, bool again)
{
    if (stream->file)
        return asy_stream_write_file(stream);
    if (!list_is_empty(&stream->flusher.node))
        return 0;
    stream->flusher.events = FD_WRITE;
    stream->flusher.notify = flusher_ready;
    return again ? asy_fd_watch_again(stream->loop, stream->record, &stream->flusher)
                 : asy_fd_watch(stream->loop, stream->record, &stream->flusher);
}

static void flush(asyncio_stream *stream, bool again);

static void end_next_flush(struct callback *callback)
{
    asy_stream_leave(LIST_ENTRY(callback, asyncio_stream, next_flush));
}

static void run_next_flush(struct callback *callback)
{
    asyncio_stream *stream = LIST_ENTRY(callback, asyncio_stream, next_flush);
    bool lost_place = list_is_empty(&stream->flusher.node);
    stream->has_next_flush = false;
    list_remove(&stream->flusher.node);
    stream->flusher.has_turn = false;
    if (!stream->is_closed && lost_place && asy_bytes_count(&stream->out)) {
        asy_stream_fail_writes(stream, -EBADF); /* somebody has closed the descriptor under it */
    } else if (!stream->is_closed) {
        flush(stream, true);
        if (!stream->is_closed)
            asy_fd_pass_on(stream->record, FD_WRITE);
    }
    end_next_flush(callback);
}

static const struct callback_kind next_flush_kind = {run_next_flush, end_next_flush};

/* A peer that reads as fast as this is sent would keep all others from running. Its place is kept. */
static void flush_next_turn(asyncio_stream *stream)
{
    if (stream->has_next_flush)
        return;
    stream->has_next_flush = true;
    stream->flusher = (struct fd_waiter){
        .events = FD_WRITE, .takes_turns = true, .has_turn = true, .notify = flusher_ready};
    list_prepend(&stream->record->waiters, &stream->flusher.node);
    asy_stream_use(stream);
    callback_push(&stream->loop->ready, &stream->next_flush, &next_flush_kind);
    asy_loop_queued(stream->loop);
}

/* `again`: its turn has come. It keeps its place until all is sent: nobody else's bytes come in between. */
static void flush(asyncio_stream *stream, bool again)
{
    size_t sent_now = 0;
    while (asy_bytes_count(&stream->out) && !stream->write_error) {
        if (sent_now >= ASY_STEP_BYTES) {
            flush_next_turn(stream);
            break;
        }
        struct iovec part = {stream->out.data + stream->out.start, asy_bytes_count(&stream->out)};
        ssize_t sent = transmit(stream, &part, 1);
        if (sent >= 0) {
            asy_bytes_consume(&stream->out, (size_t)sent);
            sent_now += (size_t)sent;
            continue;
        }
        if (sent != -EAGAIN) {
            lose_output(stream, (int)sent);
            return;
        }
        int err = wait_to_flush(stream, again);
        if (err)
            lose_output(stream, err);
        break;
    }
    if (!asy_bytes_count(&stream->out)) {
        asy_bytes_free(&stream->out);
        end_output(stream);
    }
    asy_stream_wake_drainers(stream);
}

void asy_stream_flush(asyncio_stream *stream)
{
    flush(stream, false);
}

static void flusher_ready(struct fd_waiter *flusher, int err)
{
    asyncio_stream *stream = LIST_ENTRY(flusher, asyncio_stream, flusher);
    if (err)
        asy_stream_fail_writes(stream, err);
    else
        flush(stream, true);
}

/* ---- From the program ----------------------------------------------------------------------- */

static int may_write(const asyncio_stream *stream)
{
    return stream->is_closed ? -EBADF : stream->ends || stream->is_closing ? ASYNCIO_ESTATE : 0;
}

/* `writes`: else it only waits. */
static int begin(asyncio_stream *stream, bool valid, bool writes, const char *call)
{
    if (!stream)
        return -EINVAL;
    asy_stream_check(stream, call);
    if (!stream->loop->current)
        return ASYNCIO_ENOTASK;
    int err = !valid ? -EINVAL : writes ? may_write(stream) : 0;
    if (err)
        return err;
    asy_stream_use(stream);
    err = asy_budget_spend(stream->loop);
    if (err)
        asy_stream_leave(stream);
    return err;
}

static int end(asyncio_stream *stream, int result)
{
    asy_stream_leave(stream);
    return result;
}

/* What is left of the parts after the first `done` bytes joins the queue. */
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
    ssize_t sent = transmit(stream, parts, count);
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

/* By and by, so that what is sent meanwhile needs no memory. `torn`: part of the write has gone out. */
static int push(asyncio_stream *stream, const char *data, size_t n, bool torn)
{
    while (n && !stream->write_error) {
        size_t slice = n < SLICE_BYTES ? n : SLICE_BYTES;
        int err = asy_bytes_reserve(&stream->out, slice + FILTER_EXTRA_BYTES);
        if (err && !torn)
            return err;
        if (!err)
            err = stream->filter_ops->push(stream->filter, data, slice);
        if (err)
            asy_stream_fail_writes(stream, err);
        else
            asy_stream_flush(stream);
        torn = true;
        data += slice;
        n -= slice;
    }
    return stream->write_error;
}

/* Little parts are put together: a filter adds to each piece. */
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
    int err = push(stream, whole, total, false);
    asy_sys_free(whole);
    return err;
}

static int write_filtered(asyncio_stream *stream, const struct iovec *parts, int count, size_t total)
{
    if (count > 1 && total <= TOGETHER_BYTES)
        return push_together(stream, parts, count, total);
    int err = 0;
    bool torn = false;
    for (int i = 0; i < count && !err; i++) {
        err = push(stream, parts[i].iov_base, parts[i].iov_len, torn);
        torn = torn || parts[i].iov_len;
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

static int write_parts(asyncio_stream *stream, const struct iovec *parts, int count, size_t total)
{
    int err = total ? wait_turn(stream) : stream->write_error;
    if (!err)
        err = stream->is_shaking ? ASYNCIO_ESTATE : may_write(stream); /* others have run meanwhile */
    if (!err && total)
        err = stream->filter                  ? write_filtered(stream, parts, count, total)
              : asy_bytes_count(&stream->out) ? write_behind(stream, parts, count)
                                              : write_direct(stream, parts, count, total);
    note_level(stream);
    if (stream->has_waiters)
        wake_writer(stream);
    return err;
}

int asyncio_stream_writev(asyncio_stream *stream, const struct iovec *parts, int count)
{
    ssize_t total = asy_parts_length(parts, count);
    int err = begin(stream, total >= 0, true, __func__);
    return err ? err : end(stream, write_parts(stream, parts, count, (size_t)total));
}

int asyncio_stream_write(asyncio_stream *stream, const void *buf, size_t n)
{
    struct iovec part = {(void *)buf, n};
    int err = begin(stream, asy_is_length(n) && (buf || !n), true, __func__);
    return err ? err : end(stream, write_parts(stream, &part, 1, n));
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
    int err = begin(stream, true, false, __func__);
    return err ? err : end(stream, asy_stream_wait_drained(stream, STREAM_LOW_WATER, ASYNCIO_FOREVER));
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
    if (stream->filter) {
        stream->filter_ops->shutdown(stream->filter);
        asy_stream_flush(stream);
        return stream->write_error;
    }
    if (!asy_bytes_count(&stream->out))
        end_output(stream);
    return 0;
}
