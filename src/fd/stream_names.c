/*
 * Streams: the names of both ends, and the descriptor.
 */
#include "asyncio/streams.h"
#include "base/assert.h"
#include "fd/address.h"
#include "fd/stream.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>
#include <sys/un.h>

void asy_stream_learn_peer(asyncio_stream *stream)
{
    struct sockaddr_storage name;
    if (stream->is_socket && stream->fd >= 0 && asy_sys_peername(stream->fd, &name) == 0)
        stream->peer = asy_peer_of((const struct sockaddr *)&name);
}

int asy_stream_name_peer(asyncio_stream *stream, const struct sockaddr *peer)
{
    stream->peer = asy_peer_of(peer);
    if (peer->sa_family != AF_UNIX)
        return 0;
    ASY_ASSERT(!stream->peer_path);
    stream->peer_path = asy_sys_alloc(sizeof *stream->peer_path);
    if (!stream->peer_path)
        return -ENOMEM;
    memcpy(stream->peer_path, peer, sizeof *stream->peer_path);
    return 0;
}

/* The kernel knows the peer of a connection as long as the descriptor is open. */
const struct sockaddr *asy_stream_known_peer(asyncio_stream *stream)
{
    if (stream->peer_path)
        return (const struct sockaddr *)stream->peer_path;
    if (!stream->peer.any.sa_family)
        asy_stream_learn_peer(stream);
    return asy_peer_length(&stream->peer) ? &stream->peer.any : NULL;
}

int asyncio_stream_peername(asyncio_stream *stream, struct sockaddr *name, socklen_t *length)
{
    if (!stream || !name || !length)
        return -EINVAL;
    asy_stream_check(stream, __func__);
    const struct sockaddr *peer = asy_stream_known_peer(stream);
    if (!peer)
        return asy_sys_getpeername(stream->fd, name, length);
    socklen_t known = stream->peer_path ? sizeof *stream->peer_path : asy_peer_length(&stream->peer);
    memcpy(name, peer, known < *length ? known : *length);
    *length = known;
    return 0;
}

static void describe_stream_peer(asyncio_stream *stream, char text[ASY_ADDRESS_TEXT])
{
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    text[0] = '\0';
    if (stream->is_socket && asyncio_stream_peername(stream, (struct sockaddr *)&name, &length) == 0)
        asy_address_text((const struct sockaddr *)&name, text);
}

const char *asyncio_stream_peer(asyncio_stream *stream)
{
    char text[ASY_ADDRESS_TEXT];
    if (!stream)
        return "";
    asy_stream_check(stream, __func__);
    if (!stream->peer_text) {
        describe_stream_peer(stream, text);
        size_t bytes = strlen(text) + 1;
        if (bytes > 1 && (stream->peer_text = asy_sys_alloc(bytes)))
            memcpy(stream->peer_text, text, bytes);
    }
    return stream->peer_text ? stream->peer_text : "";
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
