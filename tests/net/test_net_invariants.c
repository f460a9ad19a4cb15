/*
 * Invariants of servers and datagram sockets: a test breaks each kind on purpose.
 */
#include "asyncio.h"
#include "net/resolver.h"
#include "net/server.h"
#include <stddef.h>
#include <stdint.h>

#include "broken.h"
#include "support/test.h"

ASYNC(sleeps, asyncio_stream *, stream)
{
    (void)stream;
    return asyncio_sleep(60);
}

static asyncio_coro *sleeping_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return sleeps(stream);
}

static asyncio_server *start_server(void)
{
    asyncio_server *server = NULL;
    CHILD_CHECK(asyncio_start_server(sleeping_handler, NULL, "127.0.0.1", 0, NULL, &server) == 0);
    return server;
}

/* ---- References -------------------------------------------------------------------------- */

ASYNC(drops_too_many)
{
    asyncio_server *server = start_server();
    server->refs = 0;
    asy_server_unref(server);
    return 0;
}

TEST(the_users_of_a_server_are_counted)
{
    expect_broken(drops_too_many(), "asy_server_unref", "server->refs > 0");
}

/* ---- Counters ---------------------------------------------------------------------------- */

ASYNC(ends_more_clients_than_began)
{
    asyncio_server *server = start_server();
    asyncio_stream *stream;
    CHILD_CHECK(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &stream) == 0);
    while (!server->client_count)
        asyncio_sleep(0);
    server->client_count = 0;
    asyncio_server_release(server);
    return asyncio_sleep(60);
}

TEST(a_server_counts_its_clients)
{
    expect_broken(ends_more_clients_than_began(), "asy_server_lose_client", "server->client_count > 0");
}

ASYNC(listens_to_more_than_there_is_room_for)
{
    asyncio_server *server = start_server();
    asy_server_add(server, server->listeners[0].fd);
    return 0;
}

TEST(a_server_has_room_for_its_listeners)
{
    expect_broken(listens_to_more_than_there_is_room_for(), "asy_server_add",
                  "server->listener_count < server->listener_room");
}

/* ---- States ------------------------------------------------------------------------------ */

ASYNC(begins_when_it_is_closed)
{
    asyncio_server *server = start_server();
    asyncio_server_close(server);
    asy_server_begin(server);
    return 0;
}

TEST(a_closed_server_does_not_begin)
{
    expect_broken(begins_when_it_is_closed(), "asy_server_begin", "!server->is_closed");
}

/* ---- Membership -------------------------------------------------------------------------- */

ASYNC(leaves_the_resolver_twice)
{
    struct resolving resolving;
    asy_resolver_enter(&resolving);
    asy_resolver_leave(&resolving);
    asy_resolver_leave(&resolving);
    return 0;
}

TEST(a_call_leaves_the_resolver_once)
{
    expect_broken(leaves_the_resolver_twice(), "asy_resolver_leave", "!list_is_empty(&resolving->node)");
}

TEST_MAIN()
