/*
 * Streams: made, looked at, closed. Reading and writing are in stream_read.c
 * and stream_write.c.
 */
#include "asyncio/streams.h"
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "core/loop.h"
#include "io/server.h"
#include "io/stream.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LIMIT (64 * 1024)
#define DEFAULT_CLOSE_TIMEOUT_S 30.0

/* ---- Made -------------------------------------------------------------------------- */

int asy_stream_make(asyncio_loop *loop, int fd, const asyncio_connect_options *options, bool pipe,
                    asyncio_stream **out)
{
    static const asyncio_connect_options defaults;
    options = options ? options : &defaults;
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return asy_fd_why_none(fd);
    int err = asy_fd_prepare(record);
    if (err)
        return err;
    asyncio_stream *stream = asy_slab_alloc(sizeof *stream);
    if (!stream)
        return -ENOMEM;
    memset(stream, 0, sizeof *stream);
    int type = 0;
    socklen_t length = sizeof type;
    stream->loop = loop;
    stream->record = record;
    stream->fd = fd;
    stream->users = 1; /* the owner */
    stream->is_socket = asy_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
    stream->keeps_fd = pipe && fd <= STDERR_FILENO;
    stream->limit = options->limit ? options->limit : DEFAULT_LIMIT;
    stream->close_timeout = options->close_timeout > 0 ? options->close_timeout : DEFAULT_CLOSE_TIMEOUT_S;
    list_init(&stream->flusher.node);
    list_init(&stream->drainers);
    *out = stream;
    return 0;
}

static int adopt(int fd, const asyncio_connect_options *options, bool pipe, asyncio_stream **out)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!out || (options && isnan(options->close_timeout)))
        return -EINVAL;
    asyncio_stream *stream;
    int err = asy_stream_make(loop, fd, options, pipe, &stream);
    if (err)
        return err;
    if (options && options->tls &&
        (err = asyncio_stream_start_tls(stream, options->tls, options->server_hostname))) {
        stream->keeps_fd = true; /* it stays the caller's */
        asyncio_stream_abort(stream);
        return err;
    }
    *out = stream;
    return 0;
}

int asyncio_stream_from_fd(int fd, const asyncio_connect_options *options, asyncio_stream **stream)
{
    return adopt(fd, options, false, stream);
}

int asyncio_open_pipe(int fd, const asyncio_connect_options *options, asyncio_stream **stream)
{
    return adopt(fd, options, true, stream);
}

/* ---- Looked at ------------------------------------------------------------------------ */

int asyncio_stream_peername(asyncio_stream *stream, struct sockaddr *name, socklen_t *length)
{
    return stream && name && length ? asy_sys_getpeername(stream->fd, name, length) : -EINVAL;
}

int asyncio_stream_sockname(asyncio_stream *stream, struct sockaddr *name, socklen_t *length)
{
    return stream && name && length ? asy_sys_getsockname(stream->fd, name, length) : -EINVAL;
}

int asyncio_stream_fd(asyncio_stream *stream)
{
    return stream ? stream->fd : -EINVAL;
}

/* ---- Closed ------------------------------------------------------------------------------ */

void asy_stream_use(asyncio_stream *stream)
{
    stream->users++;
}

void asy_stream_leave(asyncio_stream *stream)
{
    if (--stream->users)
        return;
    bytes_free(&stream->in);
    bytes_free(&stream->wire);
    bytes_free(&stream->out);
    asy_slab_free(stream, sizeof *stream);
}

/* A task that waits to read is woken, and finds what has changed. */
static void wake_reader(asyncio_stream *stream)
{
    stream->record->ready |= FD_READ;
    asy_fd_pass_on(stream->record, FD_READ);
}

void asy_stream_fail_reads(asyncio_stream *stream, int err)
{
    if (!stream->read_error)
        stream->read_error = err;
    wake_reader(stream);
}

void asy_stream_end_input(asyncio_stream *stream, int err)
{
    stream->eof = true;
    if (err) {
        stream->read_error = stream->write_error = err;
        bytes_free(&stream->in);
        bytes_free(&stream->out);
        stream->terminated = false;
        asy_stream_wake_drainers(stream);
    }
    wake_reader(stream);
}

void asy_stream_destroy(asyncio_stream *stream, bool reset)
{
    stream->closed = true;
    if (stream->client)
        asy_client_lost_stream(stream->client);
    stream->client = NULL;
    if (stream->place)
        *stream->place = NULL;
    stream->place = NULL;
    list_remove(&stream->flusher.node);
    if (!stream->write_error)
        stream->write_error = -EBADF;
    if (!stream->read_error)
        stream->read_error = -EBADF;
    asy_stream_wake_drainers(stream);
    if (stream->filter)
        stream->filter_ops->free(stream->filter);
    stream->filter = NULL;
    if (reset && stream->is_socket && !stream->keeps_fd) {
        struct linger linger = {.l_onoff = 1};
        asy_sys_setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    if (stream->keeps_fd)
        asyncio_forget(stream->fd);
    else if (stream->fd >= 0)
        asyncio_close(stream->fd);
    asy_stream_leave(stream);
}

/* Everything sent, or why not. */
static int flush_and_wait(asyncio_stream *stream)
{
    bool parting = stream->filter && !stream->shaking && !stream->write_error;
    /* The peer, which has left, may not be there to hear the answer. */
    bool answers = parting && stream->eof && !bytes_count(&stream->out);
    if (parting) {
        stream->filter_ops->shutdown(stream->filter);
        asy_stream_flush(stream);
    }
    if (bytes_count(&stream->out)) {
        if (!stream->loop->current)
            return ASYNCIO_ENOTASK;
        int err = asy_stream_wait_drained(stream, 0, stream->close_timeout);
        if (err && err != stream->write_error)
            return err;
    }
    if (stream->write_error)
        return answers ? 0 : stream->write_error;
    return parting ? asy_stream_await_goodbye(stream) : 0;
}

int asyncio_stream_close(asyncio_stream *stream)
{
    if (!stream)
        return 0;
    asy_loop_check(stream->loop, "asyncio_stream_close");
    if (stream->closing)
        return ASYNCIO_ESTATE;
    stream->closing = true;
    int err = flush_and_wait(stream);
    asy_stream_destroy(stream, bytes_count(&stream->out) > 0);
    return err;
}

void asyncio_stream_abort(asyncio_stream *stream)
{
    if (!stream)
        return;
    asy_loop_check(stream->loop, "asyncio_stream_abort");
    asy_stream_destroy(stream, true);
}

/* ---- Copied ---------------------------------------------------------------------------------- */

#define COPY_BYTES (16 * 1024)

ssize_t asyncio_stream_copy(asyncio_stream *from, asyncio_stream *to)
{
    if (!from || !to)
        return -EINVAL;
    char *block = asy_sys_alloc(COPY_BYTES);
    if (!block)
        return -ENOMEM;
    ssize_t copied = 0, n;
    while ((n = asyncio_stream_read(from, block, COPY_BYTES)) > 0) {
        int err = asyncio_stream_write(to, block, (size_t)n);
        if (err) {
            n = err;
            break;
        }
        copied += n;
    }
    asy_sys_free(block);
    return n < 0 ? n : copied;
}
