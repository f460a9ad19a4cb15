/*
 * Streams over regular files, which cannot be waited for as sockets can. Input comes through the file
 * (file.h), at once or from a thread. A thread writes the output, one block at a time and out of memory of
 * its own.
 */
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/loop.h"
#include "fd/file.h"
#include "fd/stream.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

#define WRITE_BYTES_MAX ((size_t)64 * 1024)

struct file_write {
    struct file_work work;
    asyncio_stream *stream; /* NULL: it has gone. For the loop's thread alone */
    char data[];
};

/* If the file has taken a part only, the write of the rest says why. */
static void file_write_done(struct work *work)
{
    struct file_write *write = (struct file_write *)work;
    asyncio_stream *stream = write->stream;
    intptr_t result = write->work.op.result;
    ASY_ASSERT(!stream || stream->file_write == write);
    asy_file_work_free(work);
    if (!stream)
        return;
    stream->file_write = NULL;
    if (stream->write_error)
        return;
    if (result < 0) {
        asy_stream_fail_writes(stream, (int)result);
        return;
    }
    asy_bytes_consume(&stream->out, (size_t)result);
    asy_stream_flush(stream);
}

int asy_stream_write_file(asyncio_stream *stream)
{
    if (stream->file_write)
        return 0;
    size_t n = asy_bytes_count(&stream->out);
    ASY_ASSERT(n > 0);
    n = n < WRITE_BYTES_MAX ? n : WRITE_BYTES_MAX;
    struct file_write *write = asy_sys_calloc(1, sizeof *write + n);
    if (!write)
        return -ENOMEM;
    memcpy(write->data, stream->out.data + stream->out.start, n);
    write->work.op =
        (struct file_op){.code = FILE_WRITE, .fd = stream->fd, .offset = -1, .buf = write->data, .n = n};
    write->work.work.done = file_write_done;
    int err = asy_file_start(stream->loop, &write->work, stream->file);
    if (err) {
        asy_sys_free(write);
        return err;
    }
    write->stream = stream;
    stream->file_write = write;
    return 0;
}

void asy_stream_leave_file(asyncio_stream *stream)
{
    if (stream->file_write)
        stream->file_write->stream = NULL;
    stream->file_write = NULL;
}
