/*
 * Accepting bytes to send, without a wait: what the descriptor takes at once goes out, and the rest joins the
 * queue (stream_flush.c). Writes of tasks (stream_write.c) and of transports (transports.c) end here.
 */
#include "asyncio/errors.h"
#include "fd/stream.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

/* A filter is given so much at a time, and may make so much more of it. */
#define SLICE_BYTES (32 * 1024)
#define FILTER_EXTRA_BYTES 1024
#define TOGETHER_BYTES (16 * 1024)

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

/* In slices: bytes sent between two of them need no memory. */
int asy_stream_push(asyncio_stream *stream, const char *data, size_t n, bool is_torn)
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
    int err = asy_stream_push(stream, whole, total, /* is_torn= */ false);
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
        err = asy_stream_push(stream, parts[i].iov_base, parts[i].iov_len, is_torn);
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

int asy_stream_put(asyncio_stream *stream, const struct iovec *parts, int count, size_t total)
{
    return stream->filter                  ? write_filtered(stream, parts, count, total)
           : asy_bytes_count(&stream->out) ? write_behind(stream, parts, count)
                                           : write_direct(stream, parts, count, total);
}

size_t asy_stream_room_for(const asyncio_stream *stream, size_t total)
{
    return stream->filter ? total + total / 128 + SLICE_BYTES + FILTER_EXTRA_BYTES : total;
}

int asy_stream_say_end(asyncio_stream *stream)
{
    if (stream->filter) {
        stream->filter_ops->shutdown(stream->filter);
        asy_stream_flush(stream);
        return stream->write_error;
    }
    if (!asy_bytes_count(&stream->out)) /* nor on its way: it knows */
        asy_stream_end_output(stream);
    return 0;
}
