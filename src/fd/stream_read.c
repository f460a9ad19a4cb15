/*
 * Reading from a stream, and copying from one to another.
 */
#include "asyncio/errors.h"
#include "asyncio/streams.h"
#include "base/assert.h"
#include "core/loop.h"
#include "fd/file.h"
#include "fd/lengths.h"
#include "fd/stream.h"
#include "fd/traffic.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

/* Blocks of memory are powers of two, and a byte is kept for a NUL. */
#define FILL_BYTES (16 * 1024 - 1)
/* Less is asked for behind bytes that are there already, so that the buffer may have room for it. */
#define MORE_BYTES (4 * 1024)
/* Asked for at a time for a filter. */
#define FEED_BYTES (32 * 1024 - 1)
/* A read of so much goes to the caller's memory; of a filter, and of the descriptor. */
#define FILTER_DIRECT_BYTES 4096
#define DIRECT_BYTES 1024

/* ---- From the descriptor ------------------------------------------------------------ */

static bool is_stream_readable(const asyncio_stream *stream)
{
    struct pollfd one = {.fd = stream->fd, .events = POLLIN};
    return asy_sys_poll(&one, 1, 0) > 0;
}

/* One system call: the number of bytes, 0 at the end, -EAGAIN, or an error. */
static ssize_t receive_once(asyncio_stream *stream, void *buf, size_t n)
{
    n = n < ASY_STEP_BYTES ? n : ASY_STEP_BYTES; /* a peer may send as fast as one call reads */
    struct fd_record *record = stream->record;
    if (stream->file) /* waits by itself */
        return asy_file_read_some(stream->file, buf, n);
    if (record->kind == ASY_FD_SHARED && !is_stream_readable(stream)) /* to be asked first: it may block */
        return -EAGAIN;
    ssize_t got = stream->is_socket ? asy_sys_recv(stream->fd, buf, n, 0) : asy_sys_read(stream->fd, buf, n);
    if (got == -EAGAIN)
        asy_fd_exhausted(record, FD_READ);
    else if (got > 0 && (size_t)got < n)
        asy_fd_short(record, FD_READ);
    return got == -EIO && record->hangs_up ? 0 : got;
}

/* A stream that waits has no buffer. One that is read gets the loop's spare buffer, which the last one that
 * was read gave back: it is still in the cache. Under a memory checker each buffer is freed. */
static int take_buffer(asyncio_stream *stream, struct bytes *into, size_t n)
{
    struct fd_table *table = (struct fd_table *)stream->loop->io;
    if (into->data || n != FILL_BYTES || !table->input)
        return asy_bytes_reserve(into, n);
    *into = (struct bytes){.data = table->input, .capacity = FILL_BYTES + 1};
    table->input = NULL;
    return 0;
}

static void give_buffer(asyncio_stream *stream, struct bytes *into)
{
    struct fd_table *table = (struct fd_table *)stream->loop->io;
    if (ASY_ASAN || RUNNING_ON_VALGRIND || into->capacity != FILL_BYTES + 1 || table->input) {
        asy_bytes_free(into);
        return;
    }
    table->input = into->data;
    *into = (struct bytes){0};
}

static inline __attribute__((always_inline)) ssize_t receive_plain(asyncio_stream *stream, struct bytes *into,
                                                                   void *buf, size_t n)
{
    if (!into)
        return receive_once(stream, buf, n);
    int err = take_buffer(stream, into, n);
    if (err)
        return err;
    ssize_t got = receive_once(stream, into->data + into->end, into->capacity - into->end - 1);
    if (got > 0)
        into->end += (size_t)got;
    return got;
}

/* The same of a stream whose traffic may go by completions. */
static NOINLINE ssize_t receive_traffic(asyncio_stream *stream, struct bytes *into, void *buf, size_t n)
{
    struct fd_record *record = stream->record;
    n = n < ASY_STEP_BYTES ? n : ASY_STEP_BYTES;
    if (asy_traffic_has_input(record))
        return into ? asy_traffic_move(record, into, n) : asy_traffic_read(record, buf, n);
    ssize_t got = receive_plain(stream, into, buf, n);
    asy_traffic_note_read(stream->loop, record, got);
    return got;
}

/* Inline, for the sake of reads by tasks. */
static inline __attribute__((always_inline)) ssize_t receive_into(asyncio_stream *stream, struct bytes *into,
                                                                  void *buf, size_t n)
{
    if (!(stream->record->ready & FD_READ))
        return -EAGAIN;
    return UNLIKELY(stream->record->by_ring) ? receive_traffic(stream, into, buf, n)
                                             : receive_plain(stream, into, buf, n);
}

ssize_t asy_stream_receive(asyncio_stream *stream, struct bytes *into, void *buf, size_t n)
{
    return receive_into(stream, into, buf, n);
}

/* The number of bytes that came into the caller's memory meanwhile; 0: it is to try; or an error. */
static NOINLINE ssize_t wait_for_traffic(asyncio_stream *stream, void *buf, size_t n)
{
    struct fd_room room = {.into = buf, .bytes = n < ASY_STEP_BYTES ? n : ASY_STEP_BYTES};
    int err = asy_fd_wait_input(stream->loop, stream->record, &room);
    if (err)
        return err;
    return stream->is_closed || stream->read_error || stream->is_at_end
               ? 0
               : asy_traffic_take(stream->record, &room);
}

/* The same, waiting. A stream that waits with nothing buffered needs no buffer. `is_parting`: the stream
 * closes, and reads on although its readers have failed. */
static ssize_t receive_waiting(asyncio_stream *stream, struct bytes *into, void *buf, size_t n,
                               bool is_parting)
{
    for (;;) {
        if (stream->is_closed)
            return -EBADF;
        if (!is_parting && (stream->read_error || stream->is_at_end)) { /* while it waited */
            asy_fd_pass_on(stream->record, FD_READ);
            return stream->read_error;
        }
        ssize_t got = receive_into(stream, into, buf, n);
        if (got != -EAGAIN)
            return stream->is_closed ? -EBADF : got;
        if (into && into->data && !asy_bytes_count(into))
            give_buffer(stream, into);
        asy_fd_exhausted(stream->record, FD_READ);
        got = UNLIKELY(stream->record->by_ring) && buf
                  ? wait_for_traffic(stream, buf, n)
                  : asy_fd_wait_turn(stream->loop, stream->record, FD_READ);
        if (got)
            return got;
    }
}

static bool is_lasting(ssize_t err)
{
    return err < 0 && err != -ECANCELED && err != -ENOMEM && err != ASYNCIO_ENOTASK;
}

/* Bytes that the filter has to send meanwhile are sent; whether they can be is no matter of the reader's. */
static ssize_t pull_plain(asyncio_stream *stream, void *buf, size_t n)
{
    ssize_t got = stream->filter_ops->pull(stream->filter, buf, n);
    if (asy_bytes_count(&stream->out))
        asy_stream_flush(stream);
    return got;
}

/* A peer that sends no data without end does not hold the loop. */
#define ROUNDS_MAX 8

ssize_t asy_stream_receive_plain(asyncio_stream *stream, void *buf, size_t n)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        ssize_t got = pull_plain(stream, buf, n);
        if (got != -EAGAIN)
            return got;
        got = asy_stream_receive(stream, &stream->wire, NULL, FEED_BYTES);
        if (got == -EAGAIN && !asy_bytes_count(&stream->wire))
            asy_bytes_free(&stream->wire);
        if (got != -EAGAIN && is_lasting(got) && !stream->read_error)
            stream->read_error = (int)got; /* the kernel tells it once */
        if (got < 0)
            return got;
        stream->is_wire_at_end = got == 0;
    }
    return -EAGAIN;
}

static int feed_filter(asyncio_stream *stream, bool is_parting)
{
    ssize_t got = receive_waiting(stream, &stream->wire, NULL, FEED_BYTES, is_parting);
    if (got < 0)
        return (int)got;
    if (got == 0)
        stream->is_wire_at_end = true;
    return stream->filter ? 0 : -EBADF;
}

int asy_stream_feed(asyncio_stream *stream)
{
    return feed_filter(stream, /* is_parting= */ false);
}

int asy_stream_feed_goodbye(asyncio_stream *stream)
{
    return feed_filter(stream, /* is_parting= */ true);
}

/* Gets plain bytes, at least one, into buf; or into the stream's buffer, if buf is NULL. */
static ssize_t receive_filtered(asyncio_stream *stream, void *buf, size_t n)
{
    struct bytes *in = &stream->in;
    for (bool is_again = false;; is_again = true) {
        int err = buf ? 0 : asy_bytes_reserve(in, n);
        if (err)
            return err;
        char *to = buf ? buf : in->data + in->end;
        ssize_t got = pull_plain(stream, to, buf ? n : in->capacity - in->end - 1);
        if (got > 0 && !buf)
            in->end += (size_t)got;
        if (got != -EAGAIN)
            return got;
        if (!asy_bytes_count(in))
            asy_bytes_free(in);
        /* A peer that sends no data without end does not keep others from running. */
        err = is_again ? asy_budget_yield(stream->loop) : 0;
        if (!err)
            err = asy_stream_feed(stream);
        if (err || stream->is_at_end)
            return err;
    }
}

/* Is it an error of the connection, and not only of what was sent into it? A write may have been told of it,
 * and the kernel tells it once. */
static bool is_of_both_directions(int err)
{
    return err == -ECONNRESET || err == -ETIMEDOUT || err == -EHOSTUNREACH || err == -ENETUNREACH ||
           err == -ENETDOWN;
}

/* Gets some bytes, at least one, into buf; or into the stream's buffer, if buf is NULL. */
static ssize_t get_more(asyncio_stream *stream, void *buf, size_t n)
{
    if (stream->read_error)
        return stream->read_error;
    if (stream->is_at_end)
        return 0;
    ssize_t got = stream->filter
                      ? receive_filtered(stream, buf, n)
                      : receive_waiting(stream, buf ? NULL : &stream->in, buf, n, /* is_parting= */ false);
    if (got == 0 && !stream->is_at_end && is_of_both_directions(stream->write_error))
        got = stream->write_error;
    if (got > 0)
        asy_budget_charge(stream->loop, (size_t)got);
    if (got == 0)
        stream->is_at_end = true;
    else if (is_lasting(got) && !stream->read_error)
        stream->read_error = (int)got;
    return got;
}

ssize_t asy_stream_fill(asyncio_stream *stream, size_t wanted)
{
    size_t room = asy_bytes_count(&stream->in) ? MORE_BYTES : FILL_BYTES;
    return get_more(stream, NULL, wanted < room ? room : wanted);
}

/* ---- To the program --------------------------------------------------------------------- */

/* The line handed out before is over: the byte that its NUL covered comes back. */
static void uncover(asyncio_stream *stream)
{
    if (stream->is_terminated)
        stream->in.data[stream->in.start] = stream->covered;
    stream->is_terminated = false;
}

void asy_stream_rest(asyncio_stream *stream)
{
    ASY_ASSERT(!stream->is_reading);
    uncover(stream);
    if (stream->in.data && !asy_bytes_count(&stream->in))
        give_buffer(stream, &stream->in);
    if (stream->wire.data && !asy_bytes_count(&stream->wire))
        asy_bytes_free(&stream->wire);
}

static int check_may_read(const asyncio_stream *stream)
{
    return stream->is_closed ? -EBADF : stream->is_reading || stream->is_closing ? ASYNCIO_ESTATE : 0;
}

static int begin_read(asyncio_stream *stream, bool is_valid, const char *call)
{
    if (!stream)
        return -EINVAL;
    asy_stream_check(stream, call);
    if (!stream->loop->current)
        return ASYNCIO_ENOTASK;
    int err = is_valid ? check_may_read(stream) : -EINVAL;
    if (err)
        return err;
    asy_stream_use(stream);
    err = asy_budget_spend(stream->loop);
    if (!err)
        err = check_may_read(stream); /* others have run meanwhile */
    if (err) {
        asy_stream_leave(stream);
        return err;
    }
    uncover(stream);
    stream->is_reading = true;
    return 0;
}

static ssize_t end_read(asyncio_stream *stream, ssize_t result)
{
    ASY_ASSERT(stream->is_reading);
    stream->is_reading = false;
    asy_stream_leave(stream);
    return result;
}

static ssize_t take_input(asyncio_stream *stream, void *buf, size_t n)
{
    size_t count = asy_bytes_count(&stream->in);
    n = n < count ? n : count;
    if (n)
        memcpy(buf, stream->in.data + stream->in.start, n);
    asy_bytes_consume(&stream->in, n);
    return (ssize_t)n;
}

ssize_t asyncio_stream_read(asyncio_stream *stream, void *buf, size_t n)
{
    int err = begin_read(stream, asy_is_length(n) && (buf || !n), __func__);
    if (err)
        return err;
    if (n == 0)
        return end_read(stream, 0);
    if (!asy_bytes_count(&stream->in)) {
        bool is_direct = n >= (stream->filter ? FILTER_DIRECT_BYTES : DIRECT_BYTES) ||
                         (asy_traffic_fills_readers(stream->record) && !stream->filter);
        if (is_direct && stream->in.data)
            asy_bytes_free(&stream->in);
        ssize_t got = is_direct ? get_more(stream, buf, n) : asy_stream_fill(stream, 1);
        if (is_direct || got <= 0)
            return end_read(stream, got);
    }
    return end_read(stream, take_input(stream, buf, n));
}

ssize_t asyncio_stream_readexactly(asyncio_stream *stream, void *buf, size_t n)
{
    int err = begin_read(stream, asy_is_length(n) && (buf || !n), __func__);
    if (err)
        return err;
    while (asy_bytes_count(&stream->in) < n) {
        err = asy_budget_go_on(stream->loop);
        ssize_t got = err ? err : asy_stream_fill(stream, n - asy_bytes_count(&stream->in));
        if (got <= 0)
            return end_read(stream, got ? got : ASYNCIO_EINCOMPLETE);
    }
    return end_read(stream, take_input(stream, buf, n));
}

/* Hands out the first n bytes, with a NUL behind them. */
static ssize_t hand_out(asyncio_stream *stream, size_t n, char **data)
{
    *data = stream->in.data + stream->in.start;
    stream->in.start += n;
    stream->covered = stream->in.data[stream->in.start];
    stream->in.data[stream->in.start] = '\0';
    stream->is_terminated = true;
    return (ssize_t)n;
}

/* The number of bytes up to and with the separator, of those that are there; 0: not found. The first *scanned
 * need not be looked at again. */
static size_t find_separator(const asyncio_stream *stream, const void *separator, size_t length,
                             size_t *scanned)
{
    size_t count = asy_bytes_count(&stream->in);
    if (count < length)
        return 0;
    const char *from = stream->in.data + stream->in.start;
    const char *found = length == 1 ? memchr(from + *scanned, *(const char *)separator, count - *scanned)
                                    : memmem(from + *scanned, count - *scanned, separator, length);
    *scanned = count - length + 1;
    return found ? (size_t)(found - from) + length : 0;
}

/* 0: the end came first. The limit is for what stands before the separator. */
static ssize_t read_until(asyncio_stream *stream, const void *separator, size_t length, char **data)
{
    size_t scanned = 0;
    for (;;) {
        size_t n = find_separator(stream, separator, length, &scanned);
        size_t before = n ? n - length : scanned;
        if (before > stream->limit)
            return ASYNCIO_ELIMIT;
        if (n)
            return hand_out(stream, n, data);
        int err = asy_budget_go_on(stream->loop);
        ssize_t got = err ? err : asy_stream_fill(stream, 1);
        if (got <= 0)
            return got;
    }
}

ssize_t asyncio_stream_readuntil(asyncio_stream *stream, const void *separator, size_t length, char **data)
{
    int err = begin_read(stream, separator && length && asy_is_length(length) && data, __func__);
    if (err)
        return err;
    ssize_t n = read_until(stream, separator, length, data);
    return end_read(stream, n ? n : ASYNCIO_EINCOMPLETE);
}

ssize_t asyncio_stream_readline(asyncio_stream *stream, char **line)
{
    int err = begin_read(stream, line != NULL, __func__);
    if (err)
        return err;
    ssize_t n = read_until(stream, "\n", 1, line);
    if (n == 0 && asy_bytes_count(&stream->in))
        n = hand_out(stream, asy_bytes_count(&stream->in), line);
    return end_read(stream, n);
}

size_t asyncio_stream_buffered(asyncio_stream *stream)
{
    if (!stream)
        return 0;
    asy_stream_check(stream, __func__);
    return asy_bytes_count(&stream->in);
}

bool asyncio_stream_at_eof(asyncio_stream *stream)
{
    if (!stream)
        return true;
    asy_stream_check(stream, __func__);
    return stream->is_at_end && !asy_bytes_count(&stream->in);
}

/* ---- From one to the other ------------------------------------------------------------------ */

#define COPY_BYTES (64 * 1024 - 1)

/* A copy that waits has no memory of its own, and its bytes are not moved on the way. */
static ssize_t copy_input(asyncio_stream *from, asyncio_stream *to, size_t most)
{
    struct bytes *in = &from->in;
    size_t copied = 0, wanted = FILL_BYTES;
    while (copied < most) {
        ssize_t got = asy_bytes_count(in) ? 1 : asy_stream_fill(from, wanted);
        if (got < 0)
            return got;
        if (got == 0)
            break;
        size_t there = asy_bytes_count(in), n = there < most - copied ? there : most - copied;
        int err = asyncio_stream_write(to, in->data + in->start, n);
        if (err)
            return err;
        wanted = there > FILL_BYTES / 2 ? COPY_BYTES : FILL_BYTES;
        if (asy_bytes_count(in) == there) /* else it was dropped meanwhile */
            asy_bytes_consume(in, n);
        copied += n;
    }
    return (ssize_t)copied;
}

static ssize_t copy_stream(asyncio_stream *from, asyncio_stream *to, size_t most, const char *call)
{
    int err = begin_read(from, to && asy_is_length(most), call);
    if (err)
        return err;
    asy_stream_check(to, call);
    asy_stream_use(to);
    ssize_t copied = copy_input(from, to, most);
    asy_stream_leave(to);
    return end_read(from, copied);
}

ssize_t asyncio_stream_copy(asyncio_stream *from, asyncio_stream *to)
{
    return copy_stream(from, to, SSIZE_MAX, __func__);
}

ssize_t asyncio_stream_copy_n(asyncio_stream *from, asyncio_stream *to, size_t n)
{
    return copy_stream(from, to, n, __func__);
}
