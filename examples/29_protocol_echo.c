/*
 * Echo by protocols: no task and no stack for a client, only callbacks.
 *
 *     29_protocol_echo [PORT]
 *
 * It is the server of libuv's tutorial, and of asyncio's. Try it: nc localhost PORT. Ctrl-C ends it: clients
 * then have two seconds to take what is queued for them.
 */
#include <asyncio.h>
#include <stdio.h>
#include <stdlib.h>

#define GRACE_S 2.0

/* One client. */
struct echo {
    asyncio_transport *transport;
};

static void echo_made(void *self, asyncio_transport *transport)
{
    ((struct echo *)self)->transport = transport;
}

static void echo_received(void *self, const void *data, size_t n)
{
    asyncio_transport_write(((struct echo *)self)->transport, data, n);
}

/* A client that sends and does not read what comes back is not read from, either. */
static void echo_pause(void *self)
{
    asyncio_transport_pause_reading(((struct echo *)self)->transport);
}

static void echo_resume(void *self)
{
    asyncio_transport_resume_reading(((struct echo *)self)->transport);
}

/* The last call: the transport is gone when it returns. */
static void echo_lost(void *self, intptr_t err)
{
    (void)err;
    free(self);
}

static const asyncio_protocol echo_protocol = {
    .connection_made = echo_made,
    .data_received = echo_received,
    .pause_writing = echo_pause,
    .resume_writing = echo_resume,
    .connection_lost = echo_lost, /* no eof_received: the end of the input closes the transport */
};

static void *make_echo(void *arg, const asyncio_protocol **protocol)
{
    (void)arg;
    *protocol = &echo_protocol;
    return calloc(1, sizeof(struct echo));
}

ASYNC(async_main, int, port)
{
    asyncio_server *server;
    int err = asyncio_create_server(make_echo, NULL, "localhost", port, NULL, &server);
    if (err)
        return err;
    printf("listening on port %d\n", asyncio_server_port(server));
    fflush(stdout);
    err = asyncio_server_wait_closed(server, ASYNCIO_FOREVER); /* until Ctrl-C */
    asyncio_server_close(server);
    asyncio_server_close_clients(server);
    asyncio_server_wait_closed(server, GRACE_S);
    asyncio_server_release(server);
    return err;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc > 1 ? atoi(argv[1]) : 8029));
}
