/*
 * The header of the PROXY protocol, by which a proxy names the client that it connects for (HAProxy's
 * specification, versions 1 and 2). This parses bytes; proxy_header.c receives them.
 */
#ifndef ASY_NET_PROXY_H
#define ASY_NET_PROXY_H

#include "asyncio/streams.h"
#include <netinet/in.h>
#include <sys/un.h>

/* The longest header of version 1, and the fixed part of one of version 2. */
#define PROXY_V1_MAX 107
#define PROXY_V2_FIXED 16

struct proxy_header {
    size_t length;         /* of the whole header, which may be more than was parsed */
    socklen_t peer_length; /* 0: the header names nobody, and the peer is the proxy itself */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un path;
    } peer;
};

/* Parses the first n bytes of a connection, of which not all may be there yet. 1: the header is known,
 * though its last bytes may be still to come; 0: more bytes are needed; -EPROTO: it is none, and *words
 * say why. */
int asy_proxy_parse(int version, const unsigned char *data, size_t n, struct proxy_header *header,
                    const char **words);

/* Receives the header, and takes it out of the stream. Suspends, for ten seconds at most. 0; -ECONNRESET
 * if the connection ended before its first byte; -EPROTO, -ETIMEDOUT and others with a message. */
int asy_proxy_receive(asyncio_stream *stream, int version, struct proxy_header *header);

#endif
