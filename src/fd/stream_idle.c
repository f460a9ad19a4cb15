/*
 * Streams that no task works with: is there anything to read, and may a connection be used again?
 */
#include "asyncio/streams.h"
#include "fd/stream.h"
#include "fd/transfer.h"
#include <errno.h>
#include <poll.h>

/* Through the filter: a record that has no data in it, such as a session ticket, is no news. */
static bool has_plain_news(asyncio_stream *stream)
{
    ssize_t got = asy_stream_receive_plain(stream, NULL, 0);
    return got != -EAGAIN || (stream->record->ready & FD_READ);
}

/* If poll(2) cannot tell, a read in vain is better than none. */
bool asy_stream_has_news(asyncio_stream *stream)
{
    if (asy_bytes_count(&stream->in) || stream->is_at_end || stream->read_error || stream->write_error)
        return true;
    if (stream->filter)
        return has_plain_news(stream);
    if (!(stream->record->ready & FD_READ))
        return false;
    if (asy_fd_look(stream->fd, POLLIN))
        return true;
    asy_fd_exhausted(stream->record, FD_READ);
    return false;
}
