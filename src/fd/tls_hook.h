/*
 * The ways between streams and the TLS library, which only programs that use TLS load.
 */
#ifndef ASY_FD_TLS_HOOK_H
#define ASY_FD_TLS_HOOK_H

#include "asyncio/streams.h"

struct asy_stream_filter_ops;

struct asy_tls_hooks {
    /* Puts a filter into the stream, and shakes hands. Suspends. */
    int (*start)(asyncio_stream *stream, asyncio_tls_context *tls, const char *server_hostname);
    bool (*is_server)(const asyncio_tls_context *tls);
    void (*ref)(asyncio_tls_context *tls);
    void (*unref)(asyncio_tls_context *tls);
};

/* Set by libasyncio_tls when it makes its first context. */
ASYNCIO_API void asyncio_tls_hook_(const struct asy_tls_hooks *hooks);
/* NULL: no context was made yet. */
const struct asy_tls_hooks *asy_tls_hooks(void);

/* ---- For a filter ----------------------------------------------------------------------- */

/* Puts the filter in: it gets the bytes that were buffered, and shakes hands. Suspends. The filter belongs to
 * the stream, on failure, too. */
ASYNCIO_API int asyncio_filter_set_(asyncio_stream *stream, const struct asy_stream_filter_ops *ops,
                                    void *filter);
/* The stream's filter, if it has these operations and its handshake is done; else NULL. */
ASYNCIO_API void *asyncio_filter_of_(asyncio_stream *stream, const struct asy_stream_filter_ops *ops,
                                     const char *call);
/* Takes up to n bytes that came from the descriptor. 0: none are there; *ended: and none will come. */
ASYNCIO_API size_t asyncio_filter_take_(asyncio_stream *stream, void *buf, size_t n, bool *ended);
/* Gives bytes to send. A stream that cannot send any more drops them. 0 or -ENOMEM. */
ASYNCIO_API int asyncio_filter_give_(asyncio_stream *stream, const void *data, size_t n);
/* The peer's Internet address, "192.0.2.1:80"; "" where it has none. */
#define ASYNCIO_FILTER_PEER_ 128
ASYNCIO_API void asyncio_filter_peer_(asyncio_stream *stream, char text[ASYNCIO_FILTER_PEER_]);
/* The number of such bytes that wait for the peer to read. */
ASYNCIO_API size_t asyncio_filter_queued_(asyncio_stream *stream);
/* A file to add lines to, which only its owner may read; made if it is not there. A descriptor or a negative
 * errno. */
ASYNCIO_API int asyncio_filter_open_log_(const char *path);
ASYNCIO_API void asyncio_filter_close_log_(int fd);
/* One system call, so that the lines of several threads and processes do not mix. An error is lost. */
ASYNCIO_API void asyncio_filter_log_(int fd, const char *line, size_t n);
/* Memory, through the seam: zeroed; NULL when there is none. */
ASYNCIO_API void *asyncio_filter_alloc_(size_t bytes);
ASYNCIO_API void asyncio_filter_free_(void *memory);

#endif
