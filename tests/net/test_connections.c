/*
 * Connections with a protocol: connected, refused, cancelled at each point, lost as soon as made.
 */
#include "fd/transport_test.h"
#include "net/server_test.h"

static asyncio_transport *connect_side(struct side *side, int port)
{
    asyncio_transport *transport = NULL;
    side->lost = (asyncio_event)ASYNCIO_EVENT_INIT;
    int err = asyncio_create_connection(&side_protocol, side, "127.0.0.1", port, NULL, &transport);
    CHECK_EQUAL(err, 0);
    CHECK(!transport || transport == side->transport);
    return transport;
}

ASYNC_TEST(connected_and_made_before_it_returns)
{
    struct side side = {0};
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    asyncio_transport *transport = connect_side(&side, asyncio_server_port(server));
    CHECK_TEXT(side.log, "made");
    CHECK_EQUAL(asyncio_transport_write(transport, "hello\n", 6), 0);
    wait_for_log(&side, "data:hello");
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    CHECK_EQUAL(asyncio_transport_peername(transport, (struct sockaddr *)&name, &length), 0);
    CHECK_EQUAL(ntohs(name.sin_port), asyncio_server_port(server));
    length = sizeof name;
    CHECK_EQUAL(asyncio_transport_sockname(transport, (struct sockaddr *)&name, &length), 0);
    CHECK_EQUAL(ntohs(name.sin_port), port_of(asyncio_transport_fd(transport)));
    asyncio_transport_close(transport);
    wait_lost(&side);
    CHECK_EQUAL(side.error, 0);
    finish(server);
    return 0;
}

ASYNC_TEST(connected_to_a_unix_socket)
{
    struct side side = {.lost = ASYNCIO_EVENT_INIT};
    asyncio_transport *transport;
    asyncio_server *server = serve_unix(echo_handler, NULL);
    CHECK_EQUAL(asyncio_create_unix_connection(&side_protocol, &side, unix_name(), NULL, &transport), 0);
    CHECK_EQUAL(asyncio_transport_write(transport, "x\n", 2), 0);
    CHECK_EQUAL(asyncio_transport_write_eof(transport), 0);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made data:x\n eof lost");
    finish(server);
    return 0;
}

ASYNC_TEST(refused_without_a_word_to_the_protocol)
{
    struct side side = {0};
    struct sockaddr_in address;
    asyncio_transport *transport = (asyncio_transport *)(void *)&side;
    int listener = net_listen(&address, 1);
    close(listener);
    int err = asyncio_create_connection(&side_protocol, &side, "127.0.0.1", ntohs(address.sin_port), NULL,
                                        &transport);
    CHECK_EQUAL(err, -ECONNREFUSED);
    CHECK_HAS(asyncio_error_message(), "connect to 127.0.0.1");
    CHECK(!transport);
    CHECK_TEXT(side.log, "");
    CHECK_EQUAL(asyncio_create_connection(NULL, &side, "127.0.0.1", 1, NULL, &transport), -EINVAL);
    CHECK_EQUAL(asyncio_create_connection(&side_protocol, &side, "127.0.0.1", 1, NULL, NULL), -EINVAL);
    CHECK(asyncio_create_unix_connection(&side_protocol, &side, "/nowhere/at/all", NULL, &transport) < 0);
    CHECK_TEXT(side.log, "");
    return 0;
}

static void abort_at_made(struct side *side, const char *event)
{
    if (strcmp(event, "made") == 0)
        asyncio_transport_abort(side->transport);
}

/* The task is cancelled by the very function that it waits for: it has the connection. */
static void cancel_at_made(struct side *side, const char *event)
{
    if (strcmp(event, "made") == 0)
        asyncio_cancel((asyncio_task *)side->more);
}

ASYNC(connects, struct side *, side, int, port)
{
    asyncio_transport *transport = NULL;
    side->lost = (asyncio_event)ASYNCIO_EVENT_INIT;
    int err = asyncio_create_connection(&side_protocol, side, "127.0.0.1", port, NULL, &transport);
    CHECK((err == 0) == (transport != NULL));
    return err;
}

ASYNC_TEST(a_cancel_after_made_is_for_the_next_wait)
{
    struct side side = {.act = cancel_at_made};
    struct sockaddr_in address;
    int listener = net_listen(&address, 1);
    asyncio_task *task = asyncio_create_task(connects(&side, ntohs(address.sin_port)));
    side.more = task;
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_TEXT(side.log, "made");
    asyncio_transport_abort(side.transport);
    wait_lost(&side);
    close(listener);
    return 0;
}

/* One that is aborted in connection_made is lost before the call returns, or right after it. */
ASYNC_TEST(aborted_as_soon_as_made)
{
    struct side side = {.act = abort_at_made};
    struct sockaddr_in address;
    int listener = net_listen(&address, 1);
    intptr_t err = asyncio_await(connects(&side, ntohs(address.sin_port)));
    CHECK(err == 0 || err == -ECONNABORTED);
    while (!side.is_lost)
        asyncio_sleep(0);
    CHECK_TEXT(side.log, "made lost");
    close(listener);
    return 0;
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

static struct side swept;
static int sweep_port, sweep_listener;

ASYNC(connect_and_talk)
{
    memset(&swept, 0, sizeof swept);
    intptr_t err = asyncio_await(connects(&swept, sweep_port));
    if (err)
        return err;
    asyncio_transport_write(swept.transport, "x", 1);
    asyncio_transport_abort(swept.transport);
    while (!swept.is_lost)
        if (asyncio_sleep(0) == -ECANCELED)
            err = -ECANCELED;
    return err;
}

/* No function was called, or the first and the last one. */
static void check_swept(intptr_t result, unsigned suspension)
{
    (void)suspension;
    CHECK(result == 0 || result == -ECANCELED);
    CHECK(!*swept.log || strcmp(swept.log, "made lost") == 0);
}

TEST(a_cancel_at_each_wait)
{
    struct sockaddr_in address;
    sweep_listener = net_listen(&address, 100);
    sweep_port = ntohs(address.sin_port);
    sweep_cancels(connect_and_talk, check_swept);
    close(sweep_listener);
}

ASYNC(connect_whatever_fails)
{
    asyncio_await(connect_and_talk());
    CHECK(!*swept.log || swept.is_lost);
    return 0;
}

TEST(each_call_fails)
{
    struct sockaddr_in address;
    sweep_listener = net_listen(&address, 1000);
    sweep_port = ntohs(address.sin_port);
    sweep_failures(connect_whatever_fails);
    close(sweep_listener);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
