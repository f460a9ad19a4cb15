/*
 * What the tests of parked connections share: a handler that answers one line at each call and counts, and
 * something that each connection keeps.
 */
#ifndef TESTS_NET_PARKED_TEST_H
#define TESTS_NET_PARKED_TEST_H

#include "net/server_test.h"

static unsigned calls, drops;

static void count_drop(void *data)
{
    CHECK(data == &drops);
    CHECK_EQUAL(asyncio_sleep(0), ASYNCIO_ENOTASK);
    drops++;
}

/* Answers one line, and parks; at the end it leaves. The connection keeps what the first call gave it. */
ASYNC(answer_one, asyncio_stream *, stream)
{
    char *line;
    calls++;
    if (!asyncio_stream_data(stream))
        asyncio_stream_set_data(stream, &drops, count_drop);
    ssize_t n = asyncio_stream_readline(stream, &line);
    if (n <= 0) {
        ended++;
        return n;
    }
    int err = asyncio_stream_write(stream, line, (size_t)n);
    return err ? err : ASYNCIO_PARK;
}

static inline asyncio_coro *answering(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer_one(stream);
}

static inline void forget_calls(void)
{
    calls = drops = 0;
}

static inline asyncio_server *serve_parked(const asyncio_server_options *options)
{
    forget_calls();
    return serve(answering, NULL, options);
}

static inline size_t parked_count(const asyncio_server *server)
{
    size_t count = 0;
    LIST_EACH(node, &server->parked)
        count++;
    return count;
}

static inline void wait_for_parked(const asyncio_server *server, size_t count)
{
    for (int i = 0; parked_count(server) != count && i < 40000; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(parked_count(server), count);
}

static inline asyncio_stream *first_parked_stream(const asyncio_server *server)
{
    CHECK(!list_is_empty(&server->parked));
    return LIST_ENTRY(server->parked.next, struct client, node)->stream;
}

/* A client that has had an answer, and is parked. */
static inline int parked_client(asyncio_server *server)
{
    size_t before = parked_count(server);
    int client = client_of(server);
    peer_sends(client, "hello\n");
    CHECK_EQUAL(seen_by(client), 6);
    wait_for_parked(server, before + 1);
    return client;
}

#endif
