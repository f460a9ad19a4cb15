/*
 * Reading from a stream.
 */
#include "asyncio/errors.h"
#include "asyncio/streams.h"
#include "core/loop.h"
#include "io/stream.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

#define FILL_BYTES (16 * 1024)
/* From the descriptor, for a filter. */
#define FEED_BYTES (32 * 1024 - 1)
/* A filter is not asked for less at a time. */
#define DIRECT_BYTES 4096

/* ---- From the descriptor ------------------------------------------------------------ */

static bool is_readable(const asyncio_stream *stream)
{
    struct pollfd one = {.fd = stream->fd, .events = POLLIN};
    return asy_sys_poll(&one, 1, 0) > 0;
}

/* One system call, if it is worth trying: the number of bytes, 0, or -EAGAIN or an error. */
static ssize_t receive(asyncio_stream *stream, void *buf, size_t n)
{
    struct fd_record *record = stream->record;
    if (!(record->ready & FD_READ))
        return -EAGAIN;
    if (record->kind == ASY_FD_SHARED && !is_readable(stream)) /* to be asked first: it may block */
        return -EAGAIN;
    ssize_t got = stream->is_socket ? asy_sys_recv(stream->fd, buf, n, 0) : asy_sys_read(stream->fd, buf, n);
    if (got == -EAGAIN)
        asy_fd_exhausted(record, FD_READ);
    else if (got > 0 && (size_t)got < n)
        asy_fd_short(record, FD_READ);
    return got == -EIO && !stream->is_socket ? 0 : got; /* a terminal whose other side is gone */
}

/* The same, waiting. A stream that waits with nothing buffered needs no buffer. `goodbye`: it
 * closes, and reads on although its readers have failed. */
static ssize_t receive_waiting(asyncio_stream *stream, struct bytes *into, void *buf, size_t n, bool goodbye)
{
    for (;;) {
        if (!goodbye && (stream->read_error || stream->eof)) { /* while it waited */
            asy_fd_pass_on(stream->record, FD_READ);
            return stream->read_error;
        }
        int err = into ? bytes_reserve(into, n) : 0;
        if (err)
            return err;
        ssize_t got =
            receive(stream, into ? into->data + into->end : buf, into ? into->capacity - into->end - 1 : n);
        if (got != -EAGAIN) {
            if (into && got > 0)
                into->end += (size_t)got;
            return got;
        }
        if (into && !bytes_count(into))
            bytes_free(into);
        asy_fd_exhausted(stream->record, FD_READ);
        err = asy_fd_wait(stream->loop, stream->record, FD_READ, true);
        if (err)
            return err;
        if (stream->closed)
            return -EBADF;
    }
}

static bool is_lasting(ssize_t err)
{
    return err < 0 && err != -ECANCELED && err != -ENOMEM && err != ASYNCIO_ENOTASK;
}

/* Its answers, if it has any, are sent; whether they can be is not the reader's business. */
static ssize_t pull(asyncio_stream *stream, void *buf, size_t n)
{
    ssize_t got = stream->filter_ops->pull(stream->filter, buf, n);
    if (bytes_count(&stream->out))
        asy_stream_flush(stream);
    return got;
}

int asy_stream_feed(asyncio_stream *stream, bool goodbye)
{
    ssize_t got = receive_waiting(stream, &stream->wire, NULL, FEED_BYTES, goodbye);
    if (got < 0)
        return (int)got;
    if (got == 0)
        stream->wire_ended = true;
    return stream->filter ? 0 : -EBADF;
}

/* Plain bytes into buf, at least one; or into the stream's buffer, if that is NULL. */
static ssize_t receive_filtered(asyncio_stream *stream, void *buf, size_t n)
{
    struct bytes *in = &stream->in;
    for (;;) {
        int err = buf ? 0 : bytes_reserve(in, n);
        if (err)
            return err;
        ssize_t got = buf ? pull(stream, buf, n) : pull(stream, in->data + in->end, in->capacity - in->end - 1);
        if (got > 0 && !buf)
            in->end += (size_t)got;
        if (got != -EAGAIN)
            return got;
        if (!bytes_count(in))
            bytes_free(in);
        err = asy_stream_feed(stream, false);
        if (err || stream->eof)
            return err;
    }
}

ssize_t asy_stream_fill(asyncio_stream *stream, size_t wanted)
{
    if (stream->read_error)
        return stream->read_error;
    if (stream->eof)
        return 0;
    size_t room = wanted < FILL_BYTES ? FILL_BYTES : wanted;
    ssize_t got = stream->filter ? receive_filtered(stream, NULL, room)
                                 : receive_waiting(stream, &stream->in, NULL, room, false);
    if (got == 0)
        stream->eof = true;
    else if (is_lasting(got) && !stream->read_error)
        stream->read_error = (int)got;
    return got;
}

/* ---- To the program --------------------------------------------------------------------- */

/* The line handed out before is over: what its NUL covered comes back. */
static void uncover(asyncio_stream *stream)
{
    if (stream->terminated)
        stream->in.data[stream->in.start] = stream->covered;
    stream->terminated = false;
}

static int begin(asyncio_stream *stream, bool valid, const char *call)
{
    if (!stream)
        return -EINVAL;
    asy_loop_check(stream->loop, call);
    if (!stream->loop->current)
        return ASYNCIO_ENOTASK;
    if (!valid)
        return -EINVAL;
    if (stream->reading || stream->closing)
        return ASYNCIO_ESTATE;
    int err = asy_budget_spend(stream->loop);
    if (err)
        return err;
    uncover(stream);
    stream->reading = true;
    asy_stream_use(stream);
    return 0;
}

static ssize_t end(asyncio_stream *stream, ssize_t result)
{
    stream->reading = false;
    asy_stream_leave(stream);
    return result;
}

static ssize_t take(asyncio_stream *stream, void *buf, size_t n)
{
    size_t count = bytes_count(&stream->in);
    n = n < count ? n : count;
    if (n)
        memcpy(buf, stream->in.data + stream->in.start, n);
    bytes_consume(&stream->in, n);
    return (ssize_t)n;
}

/* Straight into the program's memory, when nothing is buffered. */
static ssize_t read_direct(asyncio_stream *stream, void *buf, size_t n)
{
    if (stream->read_error)
        return stream->read_error;
    if (stream->eof)
        return 0;
    bytes_free(&stream->in);
    ssize_t got =
        stream->filter ? receive_filtered(stream, buf, n) : receive_waiting(stream, NULL, buf, n, false);
    if (got == 0)
        stream->eof = true;
    else if (is_lasting(got) && !stream->read_error)
        stream->read_error = (int)got;
    return got;
}

ssize_t asyncio_stream_read(asyncio_stream *stream, void *buf, size_t n)
{
    int err = begin(stream, buf || !n, "asyncio_stream_read");
    if (err)
        return err;
    if (n == 0)
        return end(stream, 0);
    if (!bytes_count(&stream->in)) {
        if (!stream->filter || n >= DIRECT_BYTES)
            return end(stream, read_direct(stream, buf, n));
        ssize_t got = asy_stream_fill(stream, 1);
        if (got <= 0)
            return end(stream, got);
    }
    return end(stream, take(stream, buf, n));
}

ssize_t asyncio_stream_readexactly(asyncio_stream *stream, void *buf, size_t n)
{
    int err = begin(stream, buf || !n, "asyncio_stream_readexactly");
    if (err)
        return err;
    while (bytes_count(&stream->in) < n) {
        ssize_t got = asy_stream_fill(stream, n - bytes_count(&stream->in));
        if (got <= 0)
            return end(stream, got ? got : ASYNCIO_EINCOMPLETE);
    }
    return end(stream, take(stream, buf, n));
}

/* Hands out the first n bytes, with a NUL behind them. */
static ssize_t hand_out(asyncio_stream *stream, size_t n, char **data)
{
    *data = stream->in.data + stream->in.start;
    stream->in.start += n;
    stream->covered = stream->in.data[stream->in.start];
    stream->in.data[stream->in.start] = '\0';
    stream->terminated = true;
    return (ssize_t)n;
}

/* Bytes up to and with the separator, of those that are there; 0: not found. `scanned`
 * need not be looked at again. */
static size_t find(const asyncio_stream *stream, const void *separator, size_t length, size_t *scanned)
{
    const char *from = stream->in.data + stream->in.start;
    size_t count = bytes_count(&stream->in);
    if (count < length)
        return 0;
    const char *found = length == 1 ? memchr(from + *scanned, *(const char *)separator, count - *scanned)
                                    : memmem(from + *scanned, count - *scanned, separator, length);
    *scanned = count - length + 1;
    return found ? (size_t)(found - from) + length : 0;
}

/* 0: the end came first. */
static ssize_t read_until(asyncio_stream *stream, const void *separator, size_t length, char **data)
{
    size_t scanned = 0;
    for (;;) {
        size_t n = find(stream, separator, length, &scanned);
        if (n > stream->limit || (!n && bytes_count(&stream->in) > stream->limit))
            return ASYNCIO_ELIMIT;
        if (n)
            return hand_out(stream, n, data);
        ssize_t got = asy_stream_fill(stream, 1);
        if (got <= 0)
            return got;
    }
}

ssize_t asyncio_stream_readuntil(asyncio_stream *stream, const void *separator, size_t length, char **data)
{
    int err = begin(stream, separator && length && data, "asyncio_stream_readuntil");
    if (err)
        return err;
    ssize_t n = read_until(stream, separator, length, data);
    return end(stream, n ? n : ASYNCIO_EINCOMPLETE);
}

ssize_t asyncio_stream_readline(asyncio_stream *stream, char **line)
{
    int err = begin(stream, line != NULL, "asyncio_stream_readline");
    if (err)
        return err;
    ssize_t n = read_until(stream, "\n", 1, line);
    if (n == 0 && bytes_count(&stream->in))
        n = hand_out(stream, bytes_count(&stream->in), line);
    return end(stream, n);
}

size_t asyncio_stream_buffered(asyncio_stream *stream)
{
    return stream ? bytes_count(&stream->in) : 0;
}

bool asyncio_stream_at_eof(asyncio_stream *stream)
{
    return !stream || (stream->eof && !bytes_count(&stream->in));
}
