/*
 * What the tests of streams and servers share.
 */
#ifndef TESTS_IO_STREAM_TEST_H
#define TESTS_IO_STREAM_TEST_H

#include "asyncio.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

static inline void settle(void)
{
    for (int i = 0; i < 5; i++)
        asyncio_sleep(0.0002);
}

/* A stream over one end of a pair; *peer is the other, blocking. */
static inline asyncio_stream *stream_to(int *peer, const asyncio_connect_options *options)
{
    int fds[2];
    asyncio_stream *stream = NULL;
    net_tcp_pair(fds);
    *peer = fds[1];
    int err = asyncio_stream_from_fd(fds[0], options, &stream);
    CHECK_EQUAL(err, 0);
    if (err)
        close(fds[0]);
    return stream;
}

static inline asyncio_stream *stream_with_limit(int *peer, size_t limit)
{
    asyncio_connect_options options = {.limit = limit};
    return stream_to(peer, &options);
}

static inline void peer_sends(int peer, const char *text)
{
    CHECK_EQUAL(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline void peer_resets(int peer)
{
    net_reset_at_close(peer);
    close(peer);
}

static inline double cpu_time(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- As tasks ------------------------------------------------------------------------------- */

ASYNC(read_some, asyncio_stream *, stream, char *, buf, size_t, n)
{
    return asyncio_stream_read(stream, buf, n);
}

ASYNC(read_exactly, asyncio_stream *, stream, char *, buf, size_t, n)
{
    return asyncio_stream_readexactly(stream, buf, n);
}

ASYNC(read_line, asyncio_stream *, stream, char **, line)
{
    return asyncio_stream_readline(stream, line);
}

ASYNC(write_all, asyncio_stream *, stream, const char *, data, size_t, n)
{
    return asyncio_stream_write(stream, data, n);
}

ASYNC(drains, asyncio_stream *, stream)
{
    return asyncio_stream_drain(stream);
}

ASYNC(closes, asyncio_stream *, stream)
{
    return asyncio_stream_close(stream);
}

ASYNC(copies, asyncio_stream *, from, asyncio_stream *, to)
{
    return asyncio_stream_copy(from, to);
}

/* Reads to the end and drops it; how many bytes, or the error. */
ASYNC(swallow, asyncio_stream *, stream)
{
    static char block[65536];
    ssize_t n, sum = 0;
    while ((n = asyncio_stream_read(stream, block, sizeof block)) > 0)
        sum += n;
    return n < 0 ? n : sum;
}

#endif
