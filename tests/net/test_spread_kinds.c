/*
 * What servers over several loops may serve: protocols, clients that park, clients that come through a proxy.
 * And a bad day: each allocation, of whatever loop, fails once.
 */
#include "net/server_spread.h"
#include "net/spread_test.h"
#include "sys/sys.h"

/* ---- Protocols ------------------------------------------------------------------------------- */

static _Atomic int made, lost;

struct speaking {
    asyncio_transport *transport;
    int loop;
};

/* Says which loop serves. */
static void speaking_made(void *self, asyncio_transport *transport)
{
    struct speaking *speaking = self;
    char name = (char)('0' + asyncio_loops_index());
    speaking->transport = transport;
    speaking->loop = asyncio_loops_index();
    atomic_fetch_add(&made, 1);
    asyncio_transport_write(transport, &name, 1);
}

static void speaking_data(void *self, const void *data, size_t n)
{
    struct speaking *speaking = self;
    CHECK_EQUAL(asyncio_loops_index(), speaking->loop);
    asyncio_transport_write(speaking->transport, data, n);
}

static void speaking_lost(void *self, intptr_t err)
{
    struct speaking *speaking = self;
    (void)err;
    CHECK_EQUAL(asyncio_loops_index(), speaking->loop);
    atomic_fetch_add(&lost, 1);
    free(speaking);
}

static const asyncio_protocol speaking_protocol = {
    .connection_made = speaking_made, .data_received = speaking_data, .connection_lost = speaking_lost};

static void *make_speaking(void *arg, const asyncio_protocol **protocol)
{
    CHECK(arg == served);
    atomic_fetch_add(&served[asyncio_loops_index()], 1);
    *protocol = &speaking_protocol;
    return calloc(1, sizeof(struct speaking));
}

static asyncio_server *begin_protocols(asyncio_server_options options)
{
    asyncio_server *server = NULL;
    made = lost = 0;
    options.loops = loops;
    CHECK_EQUAL(asyncio_create_server(make_speaking, served, "127.0.0.1", 0, &options, &server), 0);
    return server;
}

SCENE_OF(3, protocols_on_all_loops)
{
    for (int spread = 0; spread < 2; spread++) {
        asyncio_server *server = begin_protocols((asyncio_server_options){.spread = spread});
        char byte = 'x';
        connect_clients(server, 9);
        for (int i = 0; i < 9; i++) {
            CHECK_EQUAL(asyncio_stream_write(clients[i], &byte, 1), 0);
            CHECK_EQUAL(asyncio_stream_readexactly(clients[i], &byte, 1), 1);
        }
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(served[i], 3 * (spread + 1));
        finish_all(server);
        CHECK_EQUAL(made, 9);
        CHECK_EQUAL(lost, 9);
        drop_clients(9);
    }
    return 0;
}

/* Loop 1 is busy while clients are on their way there, between two orders that become one post. */
static void check_late_protocols(void (*end_clients)(asyncio_server *))
{
    asyncio_server *server = begin_protocols((asyncio_server_options){.spread = 1});
    asyncio_future *held = hold_loop(1);
    end_clients(server);
    int fds[4];
    for (int i = 0; i < 4; i++)
        fds[i] = client_of(server);
    while (made < 2 || asy_spread_client_count(server) < 4)
        asyncio_sleep(0.001);
    end_clients(server);
    atomic_store(&is_held, false);
    CHECK_EQUAL(asyncio_await(held), 0);
    while (asy_spread_client_count(server)) /* those that were ended before they were made had no protocol */
        asyncio_sleep(0.001);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    CHECK_EQUAL(made, lost);
    finish_all(server);
}

SCENE_OF(2, orders_that_overtake_protocols)
{
    check_late_protocols(asyncio_server_close_clients);
    check_late_protocols(asyncio_server_abort_clients);
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
