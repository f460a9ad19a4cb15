/*
 * A filter, such as TLS, between a stream and its descriptor. It neither waits nor enters the kernel: it
 * takes from `wire` the bytes that came, and adds to `out` the bytes to send.
 */
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "asyncio/timeouts.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/message.h"
#include "fd/address.h"
#include "fd/stream.h"
#include "fd/tls_hook.h"
#include "sys/files.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- Called by a filter ----------------------------------------------------------------- */

size_t asyncio_filter_take_(asyncio_stream *stream, void *buf, size_t n, bool *ended)
{
    size_t count = asy_bytes_count(&stream->wire);
    *ended = !count && stream->is_wire_at_end;
    n = n < count ? n : count;
    if (n)
        memcpy(buf, stream->wire.data + stream->wire.start, n);
    asy_bytes_consume(&stream->wire, n);
    return n;
}

int asyncio_filter_give_(asyncio_stream *stream, const void *data, size_t n)
{
    return stream->write_error || stream->ended ? 0 : asy_bytes_append(&stream->out, data, n);
}

_Static_assert(ASYNCIO_FILTER_PEER_ == ASY_ADDRESS_TEXT, "room for an address");

void asyncio_filter_peer_(asyncio_stream *stream, char text[ASYNCIO_FILTER_PEER_])
{
    const struct sockaddr *peer = asy_stream_known_peer(stream);
    text[0] = '\0';
    if (peer)
        asy_address_text(peer, text);
}

size_t asyncio_filter_queued_(asyncio_stream *stream)
{
    return asy_bytes_count(&stream->out);
}

void *asyncio_filter_of_(asyncio_stream *stream, const struct asy_stream_filter_ops *ops, const char *call)
{
    asy_stream_check(stream, call);
    return stream->filter_ops == ops && !stream->is_shaking ? stream->filter : NULL;
}

int asyncio_filter_open_log_(const char *path)
{
    return asy_sys_open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, S_IRUSR | S_IWUSR);
}

void asyncio_filter_close_log_(int fd)
{
    asyncio_close(fd);
}

void asyncio_filter_log_(int fd, const char *line, size_t n)
{
    (void)asy_sys_write(fd, line, n);
}

void *asyncio_filter_alloc_(size_t bytes)
{
    return asy_sys_calloc(1, bytes);
}

void asyncio_filter_free_(void *memory)
{
    asy_sys_free(memory);
}

/* ---- Hello ------------------------------------------------------------------------------- */

/* The bytes that were read ahead belong to the filter. */
static void hand_over_input(asyncio_stream *stream)
{
    ASY_ASSERT(!stream->wire.data);
    if (stream->is_terminated)
        stream->in.data[stream->in.start] = stream->covered;
    stream->is_terminated = false;
    stream->wire = stream->in;
    stream->in = (struct bytes){0};
    stream->is_wire_at_end = stream->is_at_end;
    stream->is_at_end = false;
}

/* Not the filter has failed, but the connection. A stream that was closed meanwhile has no filter. */
static int tell_filter(asyncio_stream *stream, int err, const char *words)
{
    char text[ASY_WORDS];
    if (!stream->filter)
        return err;
    return stream->filter_ops->give_up(stream->filter, err, words ? words : asy_words(err, text));
}

static int shake_hands(asyncio_stream *stream)
{
    for (;;) {
        int err = stream->filter_ops->handshake(stream->filter);
        asy_stream_flush(stream);
        if (err != -EAGAIN)
            return err;
        err = stream->write_error ? stream->write_error : asy_stream_feed(stream);
        if (err)
            return tell_filter(stream, err, NULL);
        if (stream->is_at_end) /* the peer has not done that: a server tells its clients to come to an end */
            return tell_filter(stream, -ECONNRESET, "the connection is to end");
    }
}

int asyncio_filter_set_(asyncio_stream *stream, const struct asy_stream_filter_ops *ops, void *filter)
{
    ASY_ASSERT(!stream->filter && !stream->is_reading);
    stream->filter_ops = ops;
    stream->filter = filter;
    stream->is_reading = stream->is_shaking = true;
    asy_stream_use(stream);
    hand_over_input(stream);
    int err = stream->read_error ? tell_filter(stream, stream->read_error, NULL) : shake_hands(stream);
    stream->is_reading = false;
    if (!err)
        stream->is_shaking = false;
    else if (!stream->is_closed) { /* in the middle of a handshake it is of no more use */
        int lasting = err == -ECANCELED || err == -ENOMEM ? -ECONNABORTED : err;
        asy_stream_fail_writes(stream, lasting);
        asy_stream_fail_reads(stream, lasting);
    }
    asy_stream_leave(stream);
    return err;
}

static const struct asy_tls_hooks *the_hooks;

void asyncio_tls_hook_(const struct asy_tls_hooks *hooks)
{
    /* Release: a thread that sees the pointer sees the table that it points to. */
    __atomic_store_n(&the_hooks, hooks, __ATOMIC_RELEASE);
}

const struct asy_tls_hooks *asy_tls_hooks(void)
{
    /* Acquire: the other side of the release above. */
    return __atomic_load_n(&the_hooks, __ATOMIC_ACQUIRE);
}

int asyncio_stream_start_tls(asyncio_stream *stream, asyncio_tls_context *tls, const char *server_hostname)
{
    const struct asy_tls_hooks *hooks = asy_tls_hooks();
    if (!stream || !tls || !hooks)
        return -EINVAL;
    asy_stream_check(stream, __func__);
    if (!stream->loop->current)
        return ASYNCIO_ENOTASK;
    if (stream->is_closed) /* by another task, and a call that waits keeps it */
        return -EBADF;
    if (stream->filter || stream->is_reading || stream->is_closing || stream->ends || stream->to_come)
        return (int)asyncio_raise(ASYNCIO_ESTATE,
                                  "TLS cannot start: the stream has it, is read, written or ends");
    return hooks->start(stream, tls, server_hostname);
}

/* ---- Goodbye ------------------------------------------------------------------------------ */

/* Reads and drops until the peer's goodbye, the end, or an error: none of them matters any more. */
static int drop_input(asyncio_stream *stream)
{
    char dropped[512];
    for (;;) {
        ssize_t got = stream->filter_ops->pull(stream->filter, dropped, sizeof dropped);
        if (got > 0)
            continue;
        if (got != -EAGAIN)
            return 0;
        int err = asy_budget_yield(stream->loop);
        if (!err)
            err = asy_stream_feed_goodbye(stream);
        if (err)
            return err;
    }
}

void asy_stream_shut_output(asyncio_stream *stream)
{
    if (stream->is_socket && !stream->ended)
        asy_sys_shutdown(stream->fd, SHUT_WR);
    stream->ended = true;
}

int asy_stream_await_goodbye(asyncio_stream *stream)
{
    double timeout = stream->filter_ops->shutdown_timeout(stream->filter);
    if (timeout < 0 || stream->read_error || stream->is_at_end || !stream->loop->current)
        return 0;
    asyncio_timeout limit;
    int err = asyncio_timeout_enter(&limit, timeout);
    if (err)
        return err;
    asy_stream_shut_output(stream);
    asy_stream_fail_reads(stream, -EBADF);
    err = drop_input(stream);
    return (int)asyncio_timeout_exit(&limit, err == -ECANCELED ? err : 0);
}
