/*
 * Connections with a protocol: a stream is opened as always, and gets a transport before anybody has used it.
 */
#include "asyncio/errors.h"
#include "core/contextvars.h"
#include "fd/transport.h"
#include <errno.h>

static void discard_connection(void *transport)
{
    asy_transport_discard(transport);
}

/* Takes the stream over. */
static int begin_connection(asyncio_stream *stream, const asyncio_protocol *protocol, void *self,
                            asyncio_transport **out)
{
    asyncio_transport *transport;
    int err = asy_transport_make(stream, protocol, self, asy_vars_inherit(stream->loop), &transport);
    if (err) {
        asyncio_stream_abort(stream);
        return err;
    }
    struct connecting connecting = {.transport = transport, .discard = discard_connection};
    list_init(&connecting.waiters);
    transport->connecting = &connecting;
    asy_transport_do_next(transport);
    err = asy_connecting_wait(&connecting);
    if (err)
        return err;
    transport->connecting = NULL;
    *out = transport;
    return 0;
}

int asyncio_create_connection(const asyncio_protocol *protocol, void *self, const char *host, int port,
                              const asyncio_connect_options *options, asyncio_transport **transport)
{
    asyncio_stream *stream;
    if (!protocol || !transport)
        return -EINVAL;
    *transport = NULL;
    int err = asyncio_open_connection(host, port, options, &stream);
    return err ? err : begin_connection(stream, protocol, self, transport);
}

int asyncio_create_unix_connection(const asyncio_protocol *protocol, void *self, const char *path,
                                   const asyncio_connect_options *options, asyncio_transport **transport)
{
    asyncio_stream *stream;
    if (!protocol || !transport)
        return -EINVAL;
    *transport = NULL;
    int err = asyncio_open_unix_connection(path, options, &stream);
    return err ? err : begin_connection(stream, protocol, self, transport);
}
