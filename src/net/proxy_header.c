/*
 * PROXY headers, received: before anything else of the connection, TLS included. See proxy.h.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/timeouts.h"
#include "base/assert.h"
#include "fd/stream.h"
#include "net/proxy.h"
#include <errno.h>

#define HEADER_TIMEOUT_S 10.0

/* 0, or why no more bytes will come. */
static int receive_more(asyncio_stream *stream, bool has_begun)
{
    ssize_t got = asy_stream_fill(stream, 1);
    if (got == 0 && has_begun)
        return (int)asyncio_raise(-EPROTO, "PROXY: the connection ended within the header");
    return got == 0 ? -ECONNRESET : got < 0 ? (int)got : 0;
}

/* Drops the header, whose last bytes may be still to come. */
static int drop_header(asyncio_stream *stream, size_t length)
{
    for (;;) {
        size_t count = asy_bytes_count(&stream->in), n = count < length ? count : length;
        asy_bytes_consume(&stream->in, n);
        length -= n;
        if (!length)
            return 0;
        int err = receive_more(stream, /* has_begun= */ true);
        if (err)
            return err;
    }
}

static int receive_header(asyncio_stream *stream, int version, struct proxy_header *header)
{
    for (;;) {
        const char *words;
        size_t count = asy_bytes_count(&stream->in);
        const unsigned char *data = (const unsigned char *)stream->in.data + stream->in.start;
        int state = asy_proxy_parse(version, data, count, header, &words);
        if (state < 0)
            return (int)asyncio_raise(state, "PROXY: %s", words);
        if (state > 0)
            return drop_header(stream, header->length);
        int err = receive_more(stream, count > 0);
        if (err)
            return err;
    }
}

int asy_proxy_receive(asyncio_stream *stream, int version, struct proxy_header *header)
{
    asyncio_timeout limit;
    ASY_ASSERT(!stream->is_reading && !stream->filter);
    int err = asyncio_timeout_enter(&limit, HEADER_TIMEOUT_S);
    if (err)
        return err;
    stream->is_reading = true;
    err = receive_header(stream, version, header);
    stream->is_reading = false;
    err = (int)asyncio_timeout_exit(&limit, err);
    if (err == -ETIMEDOUT)
        asyncio_raise(err, "PROXY: no header came within %g seconds", HEADER_TIMEOUT_S);
    return err;
}
