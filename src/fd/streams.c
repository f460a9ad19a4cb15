/*
 * Streams: made, looked at, closed. See stream.h.
 */
#include "asyncio/streams.h"
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/quarantine.h"
#include "fd/file.h"
#include "fd/socket_options.h"
#include "fd/stream.h"
#include "fd/traffic.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LIMIT (64 * 1024)
#define DEFAULT_CLOSE_TIMEOUT_S 30.0

const char asy_what_stream[] = "stream";

static void stream_loop_closes(struct fd_owner *owner);

/* ---- Made -------------------------------------------------------------------------- */

int asy_stream_make(asyncio_loop *loop, int fd, const asyncio_connect_options *options, asyncio_stream **out)
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
    stream->limit = options->limit ? options->limit : DEFAULT_LIMIT;
    double timeout = options->close_timeout;
    stream->high_water = options->write_limit ? options->write_limit : STREAM_HIGH_WATER;
    stream->low_water = stream->high_water / 4;
    stream->close_timeout = timeout == 0 ? DEFAULT_CLOSE_TIMEOUT_S : timeout < 0 ? 0 : timeout;
    list_init(&stream->flusher.node);
    list_init(&stream->drainers);
    list_init(&stream->writers);
    if (record->kind == ASY_FD_ALWAYS_READY && !(stream->file = asy_file_adopt(loop, fd))) {
        asy_slab_free(stream, sizeof *stream);
        return -ENOMEM;
    }
    asy_traffic_allow(loop, record);
    stream->owner.loop_closes = stream_loop_closes;
    asy_fd_own(loop, &stream->owner);
    asy_loop_object_made(loop);
    *out = stream;
    return 0;
}

/* 0, or why nothing can be made of a descriptor here. */
static int check_adoption(const asyncio_connect_options *options, asyncio_stream *const *out)
{
    if (!asy_running_loop || !asy_running_loop->current)
        return ASYNCIO_ENOTASK;
    if (!out)
        return -EINVAL;
    return options ? asy_check_seconds(options->close_timeout, options->keepalive, options->user_timeout) : 0;
}

void asy_stream_keep_fd(asyncio_stream *stream)
{
    stream->keeps_fd = true;
    asy_traffic_forbid_input(stream->record);
    if (stream->file)
        stream->file->keeps_fd = true;
}

/* Completes a stream that was just made. If that fails, the descriptor stays the caller's. */
static int set_up_stream(asyncio_stream *stream, const asyncio_connect_options *options)
{
    asy_stream_learn_peer(stream);
    if (!options || !options->tls)
        return 0;
    int err = asyncio_stream_start_tls(stream, options->tls, options->server_hostname);
    if (err) {
        asy_stream_keep_fd(stream);
        asyncio_stream_abort(stream);
    }
    return err;
}

/* Those of a socket, if it is one of TCP. */
static int set_adopted_options(struct fd_record *record, const asyncio_connect_options *options)
{
    const char *step;
    int err = asy_fd_prepare(record);
    bool is_tcp = record->short_is_end;
    if (err || !options || !is_tcp)
        return err;
    return asy_set_tcp_options(record->fd, options->keepalive, options->user_timeout, &step);
}

int asy_stream_adopt(asyncio_loop *loop, int fd, const asyncio_connect_options *options, asyncio_stream **out)
{
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return asy_fd_record_error(fd);
    asy_fd_record_reset(loop, record, NULL);
    int err = set_adopted_options(record, options);
    if (!err)
        err = asy_stream_make(loop, fd, options, out);
    if (err)
        asy_fd_drop(loop, record); /* it stays the caller's, who may close it by other means */
    return err;
}

static int adopt_fd(int fd, const asyncio_connect_options *options, asyncio_stream **out)
{
    asyncio_stream *stream;
    int err = check_adoption(options, out);
    if (!err)
        err = asy_stream_adopt(asy_running_loop, fd, options, &stream);
    if (!err)
        err = set_up_stream(stream, options);
    if (!err)
        *out = stream;
    return err;
}

/* The record is of this very file, and holds: a FIFO that nobody has written to yet is not at its end. */
static int adopt_known_fd(int fd, const asyncio_connect_options *options, asyncio_stream **out)
{
    asyncio_stream *stream;
    int err = check_adoption(options, out);
    if (!err)
        err = asy_stream_make(asy_running_loop, fd, options, &stream);
    if (!err)
        err = set_up_stream(stream, options);
    if (!err)
        *out = stream;
    return err;
}

int asyncio_stream_from_fd(int fd, const asyncio_connect_options *options, asyncio_stream **stream)
{
    return adopt_fd(fd, options, stream);
}

int asyncio_stream_from_file(asyncio_file *file, const asyncio_connect_options *options,
                             asyncio_stream **stream)
{
    if (!file || !stream)
        return -EINVAL;
    asy_file_check(file, __func__);
    if (file->calls || atomic_load(&file->refs) > 1)
        return ASYNCIO_ESTATE;
    int err, fd = asyncio_file_fd(file);
    if (fd < 0)
        return fd;
    err = file->kind == FILE_POLLED ? adopt_known_fd(fd, options, stream) : adopt_fd(fd, options, stream);
    if (err)
        return err;
    file->keeps_fd = true; /* the stream has it now */
    asy_file_drop(file);
    return 0;
}

int asyncio_open_pipe(int fd, const asyncio_connect_options *options, asyncio_stream **stream)
{
    int err = adopt_fd(fd, options, stream);
    if (!err && fd <= STDERR_FILENO)
        asy_stream_keep_fd(*stream);
    return err;
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
    asy_sys_free(stream->peer_path);
    asy_sys_free(stream->peer_text);
    asy_stream_drop_data(stream);
    asy_object_free(loop, stream, sizeof *stream);
    asy_loop_object_freed(loop);
}

/* Wakes a task that waits to read; it finds out what has changed. */
static void wake_stream_reader(asyncio_stream *stream)
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
    wake_stream_reader(stream);
}

/* A line that was handed out stays where it is: its reader may still use it. */
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
    wake_stream_reader(stream);
}

/* Nothing goes in or out any more; calls that wait find that out. */
static void detach_stream(asyncio_stream *stream)
{
    stream->is_closed = true;
    list_remove(&stream->owner.node);
    list_remove(&stream->flusher.node);
    asy_stream_stop_sending(stream);
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

static void close_stream_fd(asyncio_stream *stream)
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

void asy_stream_destroy(asyncio_stream *stream)
{
    detach_stream(stream);
    leave_holder(stream);
    asy_stream_output_moved(stream);
    close_stream_fd(stream);
    asy_stream_leave(stream);
}

void asy_stream_reset(asyncio_stream *stream)
{
    if (stream->is_socket && !stream->keeps_fd && !asy_loop_is_parents(stream->loop)) {
        struct linger linger = {.l_onoff = 1};
        asy_sys_setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    asy_stream_destroy(stream);
}

/* A task that is in a call of the stream will never run again. A stream that no handler has taken over is
 * freed here, since nobody else closes it. */
static void stream_loop_closes(struct fd_owner *owner)
{
    asyncio_stream *stream = LIST_ENTRY(owner, asyncio_stream, owner);
    bool is_ours = stream->holder && stream->holder->frees_stream;
    if (is_ours)
        leave_holder(stream);
    detach_stream(stream);
    list_init(&stream->drainers);
    list_init(&stream->writers);
    close_stream_fd(stream);
    stream->users = 1u + stream->has_next_flush; /* a callback, which the loop drops after this */
    if (is_ours)
        asy_stream_leave(stream);
}

/* The loop has closed, and the descriptor with it: nothing is left but the memory. */
static bool is_orphan(const asyncio_stream *stream)
{
    return stream->is_closed && stream->loop->is_closed;
}

/* Bytes that the stream accepted and the peer has not taken, here and in the kernel. */
static size_t count_untaken(const asyncio_stream *stream)
{
    int sent = asy_sys_untaken(stream->fd);
    return asy_stream_unsent(stream) + (sent > 0 ? (size_t)sent : 0);
}

void asy_stream_begin_looks(const asyncio_stream *stream, struct flush_look *look)
{
    *look = (struct flush_look){.left = count_untaken(stream)};
}

/* The timeout is exact to a quarter. */
bool asy_stream_has_stalled(const asyncio_stream *stream, struct flush_look *look)
{
    size_t now = count_untaken(stream);
    look->idle = now < look->left ? 0 : look->idle + 1;
    look->left = now;
    return look->idle >= FLUSH_LOOKS;
}

/* Waits until all is sent, or nothing was for long enough. */
static int wait_flushed(asyncio_stream *stream)
{
    struct flush_look look;
    asy_stream_begin_looks(stream, &look);
    if (stream->close_timeout <= 0)
        return (int)asyncio_raise(-ETIMEDOUT, "the peer did not take %zu bytes at once; they were dropped",
                                  look.left);
    do {
        int err = asy_stream_wait_drained(stream, 0, stream->close_timeout / FLUSH_LOOKS);
        if (err != -ETIMEDOUT || stream->write_error)
            return err;
    } while (!asy_stream_has_stalled(stream, &look));
    return (int)asyncio_raise(-ETIMEDOUT, "the peer took nothing for %g seconds; %zu bytes were dropped",
                              stream->close_timeout, look.left);
}

/* 0 once all bytes are sent, or are lost: then there is a write_error. Else why they are not sent. */
static int wait_sent(asyncio_stream *stream)
{
    if (!asy_stream_unsent(stream))
        return 0;
    if (!stream->loop->current)
        return ASYNCIO_ENOTASK;
    int err = wait_flushed(stream);
    return err == stream->write_error ? 0 : err;
}

/* 0 once everything is sent, or why it is not. The goodbye comes after a write that is under way. */
static int flush_and_wait(asyncio_stream *stream)
{
    int err = stream->to_come ? wait_sent(stream) : 0;
    if (err)
        return err;
    bool is_parting = stream->filter && !stream->is_shaking && !stream->write_error;
    /* The peer has said goodbye; it may not be there to hear the answer. */
    bool is_answer = is_parting && stream->is_at_end && !asy_stream_unsent(stream);
    if (is_parting) {
        stream->filter_ops->shutdown(stream->filter);
        asy_stream_flush(stream);
    }
    err = wait_sent(stream);
    if (err)
        return err;
    if (stream->write_error)
        return is_answer ? 0 : stream->write_error;
    return is_parting ? asy_stream_await_goodbye(stream) : 0;
}

/* Takes the file out of a stream that is about to be destroyed: the caller can wait for its closing. */
static asyncio_file *take_file(asyncio_stream *stream)
{
    asyncio_file *file = stream->file;
    ASY_ASSERT(!stream->is_closed);
    stream->file = NULL;
    stream->keeps_fd |= file != NULL;
    return file;
}

int asy_stream_close(asyncio_stream *stream, size_t *lost)
{
    *lost = 0;
    if (is_orphan(stream)) {
        int err = asy_stream_unsent(stream) ? -ECONNABORTED : 0;
        leave_holder(stream);
        asy_stream_leave(stream);
        return err;
    }
    if (stream->is_closing)
        return ASYNCIO_ESTATE;
    if (asy_loop_is_parents(stream->loop)) {
        asy_stream_destroy(stream);
        return ASYNCIO_ESTATE;
    }
    stream->is_closing = true;
    asy_stream_use(stream); /* others may abort it meanwhile */
    int err = flush_and_wait(stream);
    asyncio_file *file = NULL;
    if (!stream->is_closed) {
        file = take_file(stream);
        *lost = asy_stream_unsent(stream);
        if (*lost)
            asy_stream_reset(stream);
        else
            asy_stream_destroy(stream);
    } else if (err == -EBADF) {
        err = -ECONNABORTED;
    }
    int closing = asyncio_file_close(file);
    asy_stream_leave(stream);
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
        asy_stream_reset(stream);
}
