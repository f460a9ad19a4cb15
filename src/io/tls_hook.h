/*
 * How the TLS library, which is loaded only by who wants it, gets at streams.
 */
#ifndef ASY_IO_TLS_HOOK_H
#define ASY_IO_TLS_HOOK_H

#include "asyncio/streams.h"

typedef int (*asy_tls_start_fn)(asyncio_stream *stream, asyncio_tls_context *tls,
                                const char *server_hostname);

/* NULL until libasyncio_tls has made a context. */
ASYNCIO_API extern asy_tls_start_fn asyncio_tls_start_;

#endif
