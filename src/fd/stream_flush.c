/*
 * Sending: what the descriptor takes at once, and the queue of a stream, which is sent in the background.
 */
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "base/assert.h"
#include "core/loop.h"
#include "fd/stream.h"
#include "fd/traffic.h"
#include "fd/transfer.h"
#include "sys/net.h"
#include "sys/process.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>

/* Of one system call. */
#define PARTS_MAX 1024
/* More than this does not wait for what was deferred. */
#define SENDING_BYTES (8 * 1024)

/* ---- To the descriptor --------------------------------------------------------------- */

static bool is_stream_writable(const asyncio_stream *stream)
{
    struct pollfd one = {.fd = stream->fd, .events = POLLOUT};
    return asy_sys_poll(&one, 1, 0) > 0;
}

/* The number of parts, at least one, that are no more than a step's bytes together. */
static int cut_parts(const struct iovec *parts, int count)
{
    size_t total = parts[0].iov_len;
    int n = 1;
    while (n < count && n < PARTS_MAX && parts[n].iov_len <= ASY_STEP_BYTES &&
           (total += parts[n].iov_len) <= ASY_STEP_BYTES)
        n++;
    return n;
}

/* A sender that has given way amid its bytes keeps its turn, and the direction stays ready. */
static bool would_come_between(const asyncio_stream *stream, enum flush_place place)
{
    return place == FLUSH_LAST && UNLIKELY(!list_is_empty(&stream->record->waiters)) &&
           asy_fd_is_anothers_turn(stream->record, FD_WRITE, &stream->flusher);
}

/* Do the bytes better go out with those of others, or are some on their way? */
static NOINLINE bool is_deferred(const asyncio_stream *stream, const struct iovec *parts, int count)
{
    size_t total = 0;
    if (stream->sending)
        return true;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    return asy_traffic_defers(stream->loop, stream->record, total);
}

ssize_t asy_stream_transmit(asyncio_stream *stream, const struct iovec *parts, int count,
                            enum flush_place place)
{
    struct fd_record *record = stream->record;
    if (stream->file || !(record->ready & FD_WRITE) || would_come_between(stream, place) ||
        (UNLIKELY(record->by_ring & FD_WRITE) && is_deferred(stream, parts, count)))
        return -EAGAIN;
    ssize_t sent;
    struct iovec first = parts[0];
    if (first.iov_len > ASY_STEP_BYTES)
        first.iov_len = ASY_STEP_BYTES;
    count = cut_parts(parts, count);
    if (count == 1)
        parts = &first;
    if (record->kind == ASY_FD_SHARED) {
        sent = is_stream_writable(stream) ? asy_write_shared(record, parts[0].iov_base, parts[0].iov_len)
                                          : -EAGAIN;
    } else if (!stream->is_socket) {
        sent = asy_fd_written(record, asy_sys_writev_quietly(stream->fd, parts, count));
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

/* ---- The end ------------------------------------------------------------------------------ */

void asy_stream_fail_writes(asyncio_stream *stream, int err)
{
    if (!stream->write_error)
        stream->write_error = err;
    list_remove(&stream->flusher.node);
    asy_bytes_free(&stream->out);
    asy_stream_stop_sending(stream);
    asy_stream_output_moved(stream);
}

/* A pipe's reader sees the end only when the pipe is closed. One that can be read, too, stays open. */
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

/* A filter has a word for the end, and may have to say more. */
void asy_stream_end_output(asyncio_stream *stream)
{
    if (!stream->ends || stream->ended || stream->write_error || stream->filter || stream->sending)
        return;
    stream->ended = true;
    if (stream->is_socket)
        asy_sys_shutdown(stream->fd, SHUT_WR);
    else if (!stream->file)
        end_pipe(stream);
}

/* Bytes that were accepted are lost. If the peer is gone, the input says so by itself; else a reader would
 * wait for the answer to what was never sent. */
static void lose_output(asyncio_stream *stream, int err)
{
    asy_stream_fail_writes(stream, err);
    if (err != -EPIPE && err != -ECONNRESET)
        asy_stream_fail_reads(stream, err);
}

/* ---- The queue ---------------------------------------------------------------------------- */

static void flusher_notified(struct fd_waiter *flusher, int err);
static void flush_output(asyncio_stream *stream, enum flush_place place);

/* ---- By completions ---- */

/* The peer takes no more, for good. */
static bool is_lost_send(ssize_t result)
{
    return result < 0 && result != -EAGAIN && result != -EINTR && result != -ENOMEM && result != -EBUSY &&
           result != -ENOBUFS && result != -ECANCELED;
}

/* What was not sent comes before what is queued. 0 or -ENOMEM. */
static int take_back_unsent(asyncio_stream *stream, struct bytes *rest)
{
    size_t queued = asy_bytes_count(&stream->out);
    int err = asy_bytes_append(rest, stream->out.data + stream->out.start, queued);
    if (err)
        return err;
    asy_bytes_free(&stream->out);
    stream->out = *rest;
    *rest = (struct bytes){0};
    return 0;
}

static void send_ended(void *context, ssize_t result)
{
    asyncio_stream *stream = context;
    struct fd_traffic *traffic = stream->record->traffic;
    ASY_ASSERT(stream->sending && !stream->is_closed);
    stream->sending = 0;
    list_remove(&stream->flusher.node);
    stream->flusher.has_turn = false;
    if (!traffic) { /* the descriptor was closed under it */
        asy_stream_fail_writes(stream, -EBADF);
        return;
    }
    int err = is_lost_send(result) ? (int)result : 0;
    if (!err && asy_bytes_count(&traffic->sending))
        err = take_back_unsent(stream, &traffic->sending);
    if (err)
        lose_output(stream, err);
    else
        flush_output(stream, FLUSH_FIRST);
    asy_fd_pass_on(stream->record, FD_WRITE);
}

/* Much has been queued behind a small send: all of it goes out at once, if the kernel has not seen any. */
static bool recall_send(asyncio_stream *stream)
{
    struct bytes rest;
    if (stream->sending + asy_bytes_count(&stream->out) <= SENDING_BYTES ||
        !asy_traffic_take_back(stream->record, &rest))
        return false;
    stream->sending = 0;
    list_remove(&stream->flusher.node);
    stream->flusher.has_turn = false;
    int err = take_back_unsent(stream, &rest);
    if (err) {
        asy_bytes_free(&rest);
        lose_output(stream, err);
    }
    return true;
}

/* All that is queued, as the first in turn. False: it is to be sent otherwise. */
static bool begin_send(asyncio_stream *stream, enum flush_place place)
{
    struct iovec all = {NULL, asy_bytes_count(&stream->out)};
    if (stream->sending)
        return true;
    if (!(stream->record->ready & FD_WRITE) || would_come_between(stream, place) ||
        !is_deferred(stream, &all, 1) || !list_is_empty(&stream->flusher.node))
        return false;
    if (asy_traffic_send(stream->loop, stream->record, &stream->out, send_ended, stream))
        return false;
    stream->sending = all.iov_len;
    stream->flusher = (struct fd_waiter){
        .events = FD_WRITE, .takes_turns = true, .has_turn = true, .notify = flusher_notified};
    list_prepend(&stream->record->waiters, &stream->flusher.node);
    return true;
}

void asy_stream_stop_sending(asyncio_stream *stream)
{
    if (LIKELY(!stream->sending))
        return;
    stream->sending = 0;
    asy_traffic_stop_sending(stream->record);
}

/* Goes on later, in the background. */
static int wait_to_flush(asyncio_stream *stream, enum flush_place place)
{
    if (stream->file)
        return asy_stream_write_file(stream);
    if (UNLIKELY(stream->record->by_ring & FD_WRITE) && begin_send(stream, place))
        return 0;
    if (!list_is_empty(&stream->flusher.node))
        return 0;
    stream->flusher.events = FD_WRITE;
    stream->flusher.notify = flusher_notified;
    return place == FLUSH_FIRST ? asy_fd_watch_again(stream->loop, stream->record, &stream->flusher)
                                : asy_fd_watch(stream->loop, stream->record, &stream->flusher);
}

static void end_next_flush(struct callback *callback)
{
    asy_stream_leave(LIST_ENTRY(callback, asyncio_stream, next_flush));
}

static void run_next_flush(struct callback *callback)
{
    asyncio_stream *stream = LIST_ENTRY(callback, asyncio_stream, next_flush);
    bool lost_place = list_is_empty(&stream->flusher.node);
    ASY_ASSERT(stream->has_next_flush);
    stream->has_next_flush = false;
    list_remove(&stream->flusher.node);
    stream->flusher.has_turn = false;
    if (!stream->is_closed && lost_place && asy_stream_unsent(stream)) {
        asy_stream_fail_writes(stream, -EBADF); /* the descriptor was closed under it */
    } else if (!stream->is_closed) {
        flush_output(stream, FLUSH_FIRST);
        if (!stream->is_closed)
            asy_fd_pass_on(stream->record, FD_WRITE);
    }
    end_next_flush(callback);
}

static const struct callback_kind next_flush_kind = {run_next_flush, end_next_flush};

/* A peer that reads as fast as this sends would keep all others from running. The flusher is first in the
 * list meanwhile, also if it stood further back: its bytes are on their way. */
static void flush_later(asyncio_stream *stream)
{
    if (stream->has_next_flush)
        return;
    stream->has_next_flush = true;
    list_remove(&stream->flusher.node);
    stream->flusher = (struct fd_waiter){
        .events = FD_WRITE, .takes_turns = true, .has_turn = true, .notify = flusher_notified};
    list_prepend(&stream->record->waiters, &stream->flusher.node);
    asy_stream_use(stream);
    callback_push(&stream->loop->ready, &stream->next_flush, &next_flush_kind);
    asy_loop_queued(stream->loop);
}

/* All is sent. The bytes of a write that has given way find the memory and the place kept for them. */
static void end_flush(asyncio_stream *stream)
{
    if (!stream->to_come) {
        asy_bytes_free(&stream->out);
        asy_stream_end_output(stream);
    } else if (!stream->file && !stream->write_error) {
        flush_later(stream);
    }
}

static void flush_output(asyncio_stream *stream, enum flush_place place)
{
    size_t sent_now = 0;
    if (UNLIKELY(stream->sending) && recall_send(stream))
        place = FLUSH_FIRST;
    while (asy_bytes_count(&stream->out) && !stream->write_error) {
        if (sent_now >= ASY_STEP_BYTES) {
            flush_later(stream);
            break;
        }
        struct iovec part = {stream->out.data + stream->out.start, asy_bytes_count(&stream->out)};
        ssize_t sent = asy_stream_transmit(stream, &part, 1, place);
        if (sent >= 0) {
            asy_bytes_consume(&stream->out, (size_t)sent);
            sent_now += (size_t)sent;
            continue;
        }
        if (sent != -EAGAIN) {
            lose_output(stream, (int)sent);
            return;
        }
        int err = wait_to_flush(stream, place);
        if (err)
            lose_output(stream, err);
        break;
    }
    if (!asy_bytes_count(&stream->out) && LIKELY(!stream->sending))
        end_flush(stream);
    asy_stream_output_moved(stream);
}

void asy_stream_flush(asyncio_stream *stream)
{
    flush_output(stream, FLUSH_LAST);
}

static void flusher_notified(struct fd_waiter *flusher, int err)
{
    asyncio_stream *stream = LIST_ENTRY(flusher, asyncio_stream, flusher);
    if (err)
        asy_stream_fail_writes(stream, err);
    else
        flush_output(stream, FLUSH_FIRST);
}
