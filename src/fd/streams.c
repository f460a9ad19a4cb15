/*
 * Streams: made, looked at, closed. Reading and writing are in stream_read.c
 * and stream_write.c.
 */
#include "asyncio/streams.h"
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/quarantine.h"
#include "fd/file.h"
#include "fd/stream.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LIMIT (64 * 1024)
#define DEFAULT_CLOSE_TIMEOUT_S 30.0

const char asy_what_stream[] = "stream";

static void loop_closes(struct fd_owner *owner);

/* ---- Made -------------------------------------------------------------------------- */

int asy_stream_make(asyncio_loop *loop, int fd, const asyncio_connect_options *options, bool pipe,
                    asyncio_stream **out)
{
    static const asyncio_connect_options defaults;
    options = options ? options : &defaults;
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return asy_fd_record_error(fd);
    int err = asy_fd_prepare(record);
    if (err)
        return err;
    asyncio_stream *stream = asy_slab_alloc(sizeof *stream);
    if (!stream)
        return -ENOMEM;
    memset(stream, 0, sizeof *stream);
    stream->what = asy_what_stream;
    stream->loop = loop;
    stream->record = record;
    stream->fd = fd;
    stream->users = 1; /* the owner */
    stream->is_socket = record->is_socket;
    stream->keeps_fd = pipe && fd <= STDERR_FILENO;
    stream->limit = options->limit ? options->limit : DEFAULT_LIMIT;
    double timeout = options->close_timeout;
    stream->close_timeout = timeout == 0 ? DEFAULT_CLOSE_TIMEOUT_S : timeout < 0 ? 0 : timeout;
    list_init(&stream->flusher.node);
    list_init(&stream->drainers);
    list_init(&stream->writers);
    if (record->kind == ASY_FD_ALWAYS_READY && !(stream->file = asy_file_adopt(loop, fd, stream->keeps_fd))) {
        asy_slab_free(stream, sizeof *stream);
        return -ENOMEM;
    }
    stream->owner.loop_closes = loop_closes;
    asy_fd_own(loop, &stream->owner);
    asy_loop_object_made(loop);
    *out = stream;
    return 0;
}

/* `known`: what the table says of the descriptor is of this very file, and holds. */
static int adopt(int fd, const asyncio_connect_options *options, bool pipe, bool known, asyncio_stream **out)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!out || (options && isnan(options->close_timeout)))
        return -EINVAL;
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return asy_fd_record_error(fd);
    if (!known)
        asy_fd_record_reset(loop, record, NULL); /* what had the number before may have been another file */
    asyncio_stream *stream;
    int err = asy_stream_make(loop, fd, options, pipe, &stream);
    if (err) {
        if (!known)
            asy_fd_drop(loop, record); /* it stays the caller's, who may close it by other means */
        return err;
    }
    asy_stream_learn_peer(stream);
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
    return adopt(fd, options, false, false, stream);
}

int asyncio_stream_from_file(asyncio_file *file, const asyncio_connect_options *options,
                             asyncio_stream **stream)
{
    if (!file || !stream)
        return -EINVAL;
    asy_file_check(file, __func__);
    if (file->calls || atomic_load(&file->refs) > 1)
        return ASYNCIO_ESTATE;
    int fd = asyncio_file_fd(file);
    /* A FIFO that nobody has written to yet is not at its end: the file knows, and the stream is to. */
    int err = fd < 0 ? fd : adopt(fd, options, false, file->kind == FILE_POLLED, stream);
    if (err)
        return err;
    file->keeps_fd = true; /* the stream has it now */
    asy_file_drop(file);
    return 0;
}

int asyncio_open_pipe(int fd, const asyncio_connect_options *options, asyncio_stream **stream)
{
    return adopt(fd, options, true, false, stream);
}

/* ---- Looked at ------------------------------------------------------------------------ */

void asy_stream_learn_peer(asyncio_stream *stream)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    if (stream->is_socket && asy_sys_getpeername(stream->fd, (struct sockaddr *)&name, &length) == 0)
        stream->peer = asy_peer_of((const struct sockaddr *)&name);
}

int asyncio_stream_peername(asyncio_stream *stream, struct sockaddr *name, socklen_t *length)
{
    if (!stream || !name || !length)
        return -EINVAL;
    asy_stream_check(stream, __func__);
    socklen_t known = asy_peer_length(&stream->peer);
    if (!known)
        return asy_sys_getpeername(stream->fd, name, length);
    memcpy(name, &stream->peer, known < *length ? known : *length);
    *length = known;
    return 0;
}

int asyncio_stream_sockname(asyncio_stream *stream, struct sockaddr *name, socklen_t *length)
{
    if (!stream || !name || !length)
        return -EINVAL;
    asy_stream_check(stream, __func__);
    return asy_sys_getsockname(stream->fd, name, length);
}

int asyncio_stream_fd(asyncio_stream *stream)
{
    if (!stream)
        return -EINVAL;
    asy_stream_check(stream, __func__);
    return stream->fd;
}

/* ---- Closed ------------------------------------------------------------------------------ */

void asy_stream_leave(asyncio_stream *stream)
{
    ASY_ASSERT(stream->users > 0);
    if (--stream->users)
        return;
    asyncio_loop *loop = stream->loop;
    asy_bytes_free(&stream->in);
    asy_bytes_free(&stream->wire);
    asy_bytes_free(&stream->out);
    stream->what = NULL;
    asy_object_free(loop, stream, sizeof *stream);
    asy_loop_object_freed(loop);
}

/* A task that waits to read is woken, and finds what has changed. */
static void wake_reader(asyncio_stream *stream)
{
    if (stream->fd < 0)
        return;
    stream->record->ready |= FD_READ;
    asy_fd_pass_on(stream->record, FD_READ);
}

void asy_stream_fail_reads(asyncio_stream *stream, int err)
{
    if (!stream->read_error)
        stream->read_error = err;
    wake_reader(stream);
}

/* A line that was handed out stays where it is: others end the stream while it is used. */
static void forget_input(asyncio_stream *stream)
{
    stream->in.end = stream->in.start;
    stream->is_terminated = false;
}

void asy_stream_end_input(asyncio_stream *stream, int err)
{
    stream->is_at_end = true;
    if (err) {
        forget_input(stream);
        stream->read_error = err;
        asy_stream_fail_writes(stream, err);
    }
    wake_reader(stream);
}

/* Nothing goes in or out any more; those who wait find that out. */
static void detach(asyncio_stream *stream)
{
    stream->is_closed = true;
    list_remove(&stream->owner.node);
    list_remove(&stream->flusher.node);
    asy_stream_leave_file(stream);
    if (!stream->write_error)
        stream->write_error = -EBADF;
    if (!stream->read_error)
        stream->read_error = -EBADF;
    if (stream->filter)
        stream->filter_ops->free(stream->filter);
    stream->filter = NULL;
}

static void leave_holder(asyncio_stream *stream)
{
    if (stream->holder)
        stream->holder->forget_stream(stream->holder, stream);
    stream->holder = NULL;
}

static void close_descriptor(asyncio_stream *stream)
{
    if (stream->fd < 0)
        return;
    if (stream->file || stream->keeps_fd)
        asy_fd_drop(stream->loop, stream->record);
    else
        asy_fd_close(stream->loop, stream->record);
    if (stream->file) {
        stream->file->keeps_fd |= stream->keeps_fd;
        asy_file_drop(stream->file);
    }
    stream->file = NULL;
    stream->fd = -EBADF;
}

void asy_stream_destroy(asyncio_stream *stream, bool reset)
{
    detach(stream);
    leave_holder(stream);
    asy_stream_wake_drainers(stream);
    /* A forked child closes its copy, and that is all. */
    if (reset && stream->is_socket && !stream->keeps_fd && !asy_loop_is_parents(stream->loop)) {
        struct linger linger = {.l_onoff = 1};
        asy_sys_setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close_descriptor(stream);
    asy_stream_leave(stream);
}

/* Who is in a call will never run again. What no handler has taken over, nobody else closes. */
static void loop_closes(struct fd_owner *owner)
{
    asyncio_stream *stream = LIST_ENTRY(owner, asyncio_stream, owner);
    bool is_ours = stream->holder && stream->holder->frees_stream;
    detach(stream);
    list_init(&stream->drainers);
    list_init(&stream->writers);
    close_descriptor(stream);
    stream->users = 1;
    if (!is_ours)
        return;
    leave_holder(stream);
    asy_stream_leave(stream);
}

/* The loop has closed, and the descriptor with it: nothing is left but the memory. */
static bool is_orphan(const asyncio_stream *stream)
{
    return stream->is_closed && stream->loop->is_closed;
}

/* What has been accepted and the peer has not taken, here and in the kernel. */
static size_t count_untaken(const asyncio_stream *stream)
{
    int sent = asy_sys_untaken(stream->fd);
    return asy_bytes_count(&stream->out) + (sent > 0 ? (size_t)sent : 0);
}

/* How many looks in a row must find nothing new: the timeout is exact to a quarter. */
#define LOOKS 4

/* Until all is sent, or nothing was for long enough. The kernel asks for more bytes only when much of what it
 * has is gone, so its own are looked at, too: a slow peer is not one that stands still. */
static int wait_flushed(asyncio_stream *stream)
{
    size_t left = count_untaken(stream);
    if (stream->close_timeout <= 0)
        return (int)asyncio_raise(-ETIMEDOUT, "the peer did not take %zu bytes at once; they were dropped",
                                  left);
    for (int idle = 0; idle < LOOKS;) {
        int err = asy_stream_wait_drained(stream, 0, stream->close_timeout / LOOKS);
        if (err != -ETIMEDOUT || stream->write_error)
            return err;
        size_t now = count_untaken(stream);
        idle = now < left ? 0 : idle + 1;
        left = now;
    }
    return (int)asyncio_raise(-ETIMEDOUT, "the peer took nothing for %g seconds; %zu bytes were dropped",
                              stream->close_timeout, left);
}

/* Everything sent, or why not. */
static int flush_and_wait(asyncio_stream *stream)
{
    bool parting = stream->filter && !stream->is_shaking && !stream->write_error;
    /* The peer, which has left, may not be there to hear the answer. */
    bool answers = parting && stream->is_at_end && !asy_bytes_count(&stream->out);
    if (parting) {
        stream->filter_ops->shutdown(stream->filter);
        asy_stream_flush(stream);
    }
    if (asy_bytes_count(&stream->out)) {
        if (!stream->loop->current)
            return ASYNCIO_ENOTASK;
        int err = wait_flushed(stream);
        if (err && err != stream->write_error)
            return err;
    }
    if (stream->write_error)
        return answers ? 0 : stream->write_error;
    return parting ? asy_stream_await_goodbye(stream) : 0;
}

/* Out of a stream that is about to be destroyed: its closing may be waited for. */
static asyncio_file *take_file(asyncio_stream *stream)
{
    asyncio_file *file = stream->file;
    stream->file = NULL;
    stream->keeps_fd |= file != NULL;
    return file;
}

int asy_stream_close(asyncio_stream *stream, size_t *lost)
{
    *lost = 0;
    if (is_orphan(stream)) {
        int err = asy_bytes_count(&stream->out) ? -ECONNABORTED : 0;
        leave_holder(stream);
        asy_stream_leave(stream);
        return err;
    }
    if (stream->is_closing)
        return ASYNCIO_ESTATE;
    if (asy_loop_is_parents(stream->loop)) {
        asy_stream_destroy(stream, false);
        return ASYNCIO_ESTATE;
    }
    stream->is_closing = true;
    asy_stream_use(stream); /* others may abort it meanwhile */
    int err = flush_and_wait(stream);
    asyncio_file *file = NULL;
    if (!stream->is_closed) {
        file = take_file(stream);
        *lost = asy_bytes_count(&stream->out);
        asy_stream_destroy(stream, *lost > 0);
    } else if (err == -EBADF) {
        err = -ECONNABORTED;
    }
    asy_stream_leave(stream);
    int closing = asyncio_file_close(file);
    return err ? err : closing;
}

int asyncio_stream_close(asyncio_stream *stream)
{
    if (!stream)
        return 0;
    asy_stream_check(stream, __func__);
    size_t lost;
    return asy_stream_close(stream, &lost);
}

void asyncio_stream_abort(asyncio_stream *stream)
{
    if (!stream)
        return;
    asy_stream_check(stream, __func__);
    leave_holder(stream);
    if (is_orphan(stream))
        asy_stream_leave(stream);
    else
        asy_stream_destroy(stream, true);
}
