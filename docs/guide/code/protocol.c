/* A protocol: counts the words of each line, for two connections of this very process. */
#include <asyncio.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- The server's side: one object for a connection ---- */

struct counter {
    asyncio_transport *transport;
    int words, in_word;
};

static void counter_made(void *self, asyncio_transport *transport)
{
    ((struct counter *)self)->transport = transport;
}

/* Bytes come as they come: a word may be cut in two. */
static void counter_received(void *self, const void *data, size_t n)
{
    struct counter *counter = self;
    for (size_t i = 0; i < n; i++) {
        int in_word = !isspace(((const unsigned char *)data)[i]);
        counter->words += in_word && !counter->in_word;
        counter->in_word = in_word;
    }
}

static bool counter_ended(void *self)
{
    struct counter *counter = self;
    char answer[32];
    int n = snprintf(answer, sizeof answer, "%d words", counter->words);
    asyncio_transport_write(counter->transport, answer, (size_t)n);
    return false; /* close it, once the answer is sent */
}

static void counter_lost(void *self, intptr_t err)
{
    (void)err;
    free(self);
}

static const asyncio_protocol counter_protocol = {
    .connection_made = counter_made,
    .data_received = counter_received,
    .eof_received = counter_ended,
    .connection_lost = counter_lost,
};

static void *make_counter(void *arg, const asyncio_protocol **protocol)
{
    (void)arg;
    *protocol = &counter_protocol;
    return calloc(1, sizeof(struct counter));
}

/* ---- The client's side: here an event tells the task that waits ---- */

struct client {
    asyncio_event lost;
};

static void client_received(void *self, const void *data, size_t n)
{
    (void)self;
    printf("answer: %.*s\n", (int)n, (const char *)data);
}

static void client_lost(void *self, intptr_t err)
{
    printf("lost: %s\n", err ? asyncio_error_message() : "at the end");
    asyncio_event_set(&((struct client *)self)->lost);
}

static const asyncio_protocol client_protocol = {
    .data_received = client_received,
    .connection_lost = client_lost,
};

ASYNC(async_main)
{
    asyncio_server *server;
    int err = asyncio_create_server(make_counter, NULL, "127.0.0.1", 0, NULL, &server);
    if (err)
        return err;
    struct client client = {.lost = ASYNCIO_EVENT_INIT};
    asyncio_transport *transport;
    err = asyncio_create_connection(&client_protocol, &client, "127.0.0.1", asyncio_server_port(server), NULL,
                                    &transport);
    if (!err) {
        asyncio_transport_write(transport, "a man a plan ", 13);
        asyncio_transport_write(transport, "a canal", 7);
        asyncio_transport_write_eof(transport);
        asyncio_event_wait(&client.lost); /* from here on `transport` is gone */
    }
    asyncio_server_close(server);
    asyncio_server_wait_closed(server, 1);
    asyncio_server_release(server);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
