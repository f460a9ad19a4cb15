/*
 * Sending a file on a stream. The kernel does it where it can; with TLS, or from a file that it cannot send,
 * blocks are read and written. Meanwhile the call is the first among the stream's writers, so that nobody's
 * bytes come in between.
 */
#include "asyncio/errors.h"
#include "asyncio/streams.h"
#include "core/loop.h"
#include "fd/file.h"
#include "fd/lengths.h"
#include "fd/stream.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>

#define BLOCK_BYTES ((size_t)64 * 1024)

static int check_still_open(const asyncio_stream *stream)
{
    if (stream->is_closed)
        return -EBADF;
    if (stream->write_error)
        return stream->write_error;
    return stream->is_closing || stream->ends || stream->is_shaking ? ASYNCIO_ESTATE : 0;
}

/* Waits until so much is queued at most. 0 or an error. */
static int wait_to_send_file(asyncio_stream *stream, size_t level)
{
    int err = asy_budget_go_on(stream->loop);
    if (!err)
        err = asy_stream_wait_drained(stream, level, ASYNCIO_FOREVER);
    return err ? err : check_still_open(stream);
}

/* The kernel sends a part. -EINVAL: it cannot, from this file. */
static ssize_t send_part(asyncio_stream *stream, int fd, off_t *offset, size_t n)
{
    for (;;) {
        int err = wait_to_send_file(stream, 0);
        if (err)
            return err;
        if (stream->record->ready & FD_WRITE) {
            ssize_t sent = asy_sys_sendfile(stream->fd, fd, offset, n);
            if (sent > 0)
                asy_budget_charge(stream->loop, (size_t)sent);
            if (sent != -EAGAIN)
                return sent;
            asy_fd_exhausted(stream->record, FD_WRITE);
        }
        err = asy_fd_wait_turn(stream->loop, stream->record, FD_WRITE);
        if (err)
            return err;
    }
}

/* Reads a block, and writes it. */
static ssize_t copy_part(asyncio_stream *stream, asyncio_file *file, off_t *offset, size_t n)
{
    n = n < BLOCK_BYTES ? n : BLOCK_BYTES;
    int err = wait_to_send_file(stream, stream->low_water);
    if (err)
        return err;
    char *block = asy_sys_alloc(n);
    if (!block)
        return -ENOMEM;
    ssize_t got = asyncio_file_pread(file, block, n, *offset);
    if (got > 0 && (err = check_still_open(stream)) == 0) {
        struct iovec part = {block, (size_t)got};
        err = asy_stream_put(stream, &part, 1, (size_t)got);
        asy_stream_note_level(stream);
    }
    asy_sys_free(block);
    if (err)
        return err;
    *offset += got > 0 ? got : 0;
    return got;
}

static bool can_send(const asyncio_stream *stream)
{
    return stream->is_socket && !stream->filter && stream->record->kind == ASY_FD_POLLABLE;
}

static ssize_t send_file_parts(asyncio_stream *stream, int fd, off_t *offset, size_t n)
{
    asyncio_file *file = NULL;
    size_t done = 0;
    ssize_t part = 0;
    while (done < n) {
        size_t left = n - done < ASY_STEP_BYTES ? n - done : ASY_STEP_BYTES;
        part = !file && can_send(stream) ? send_part(stream, fd, offset, left) : -EINVAL;
        if (part == -EINVAL || part == -ENOSYS) {
            file = file ? file : asy_file_adopt(stream->loop, fd);
            part = file ? copy_part(stream, file, offset, left) : -ENOMEM;
        }
        if (part <= 0)
            break;
        done += (size_t)part;
    }
    if (file) {
        file->keeps_fd = true; /* it is the caller's */
        asy_file_drop(file);
    }
    return part < 0 ? part : (ssize_t)done;
}

ssize_t asyncio_stream_sendfile(asyncio_stream *stream, int fd, off_t *offset, size_t n)
{
    if (!stream)
        return -EINVAL;
    asy_stream_check(stream, __func__);
    if (!stream->loop->current)
        return ASYNCIO_ENOTASK;
    if (!asy_is_length(n) || !offset || *offset < 0)
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    asy_stream_use(stream);
    struct wait turn;
    ssize_t result = asy_budget_spend(stream->loop);
    if (!result)
        result = check_still_open(stream);
    if (!result)
        result = asy_stream_take_turn(stream, &turn);
    if (!result) {
        result = send_file_parts(stream, fd, offset, n);
        asy_stream_give_turn(stream, &turn);
    }
    asy_stream_leave(stream);
    return result;
}
