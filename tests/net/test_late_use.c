/*
 * Objects that are used after their release: the program ends, and is told which call it was.
 */
#include "fd/stream_test.h"
#include "support/late_use.h"
#include <sys/socket.h>

/* ---- Streams ------------------------------------------------------------------------------------ */

static asyncio_stream *closed_stream(int more)
{
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_stream_close(stream);
    while (more--)
        stream_to(&peer, NULL);
    return stream;
}

static void read_late(int more)
{
    char byte;
    asyncio_stream_read(closed_stream(more), &byte, 1);
}

static void write_late(int more)
{
    asyncio_stream_write(closed_stream(more), "x", 1);
}

static void look_at_peer_late(int more)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    asyncio_stream_peername(closed_stream(more), (struct sockaddr *)&name, &length);
}

static void close_twice(int more)
{
    asyncio_stream_close(closed_stream(more));
}

static void abort_late(int more)
{
    asyncio_stream_abort(closed_stream(more));
}

static void look_at_data_late(int more)
{
    asyncio_stream_data(closed_stream(more));
}

static void set_data_late(int more)
{
    asyncio_stream_set_data(closed_stream(more), NULL, NULL);
}

static void take_text_for_a_stream(int more)
{
    (void)more;
    asyncio_stream_fd((asyncio_stream *)(void *)"this is no stream, far from it; it is text.");
}

TEST(streams)
{
    check_late(read_late, "asyncio_stream_read: used after its release; it was a stream");
    check_late(write_late, "asyncio_stream_write: used after its release; it was a stream");
    check_late(look_at_peer_late, "asyncio_stream_peername: used after its release");
    check_late(close_twice, "asyncio_stream_close: used after its release");
    check_late(look_at_data_late, "asyncio_stream_data: used after its release");
    check_late(set_data_late, "asyncio_stream_set_data: used after its release");
    check_late(abort_late, "asyncio_stream_abort: used after its release");
    subject = take_text_for_a_stream;
    check_dies(in_debug_mode, "asyncio_stream_fd: the pointer is not a stream, or not any more");
}

/* ---- Servers ------------------------------------------------------------------------------------- */

static asyncio_coro *swallows(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return swallow(stream);
}

static asyncio_server *open_server(void)
{
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_server(swallows, NULL, "127.0.0.1", 0, NULL, &server), 0);
    return server;
}

static asyncio_server *released_server(int more)
{
    asyncio_server *server = open_server();
    asyncio_server_release(server);
    while (more--)
        open_server();
    return server;
}

static void look_at_port_late(int more)
{
    asyncio_server_port(released_server(more));
}

static void release_server_twice(int more)
{
    asyncio_server_release(released_server(more));
}

/* A client keeps what is inside, but the owner has left. */
static void wait_for_released_server(int more)
{
    (void)more;
    asyncio_server *server = open_server();
    asyncio_stream *client = NULL;
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &client), 0);
    settle();
    asyncio_server_release(server);
    asyncio_server_wait_closed(server, ASYNCIO_FOREVER);
}

TEST(servers)
{
    check_late(look_at_port_late, "asyncio_server_port: used after its release; it was a server");
    check_late(release_server_twice, "asyncio_server_release: used after its release");
    subject = wait_for_released_server;
    check_dies(in_debug_mode, "asyncio_server_wait_closed: used after its release");
    check_dies(in_release_mode, "asyncio_server_wait_closed: used after its release");
}

/* ---- Datagrams ------------------------------------------------------------------------------------ */

static asyncio_datagram *open_datagram(void)
{
    asyncio_datagram *datagram = NULL;
    const asyncio_datagram_options options = {.family = AF_INET};
    CHECK_EQUAL(asyncio_open_datagram(NULL, NULL, &options, &datagram), 0);
    return datagram;
}

static asyncio_datagram *closed_datagram(int more)
{
    asyncio_datagram *datagram = open_datagram();
    CHECK_EQUAL(asyncio_datagram_close(datagram), 0);
    while (more--)
        open_datagram();
    return datagram;
}

static void receive_late(int more)
{
    char byte;
    asyncio_datagram_recv(closed_datagram(more), &byte, 1);
}

static void close_datagram_twice(int more)
{
    asyncio_datagram_close(closed_datagram(more));
}

TEST(datagrams)
{
    check_late(receive_late, "asyncio_datagram_recv: used after its release; it was a datagram socket");
    check_late(close_datagram_twice, "asyncio_datagram_close: used after its release");
}

TEST_MAIN()
