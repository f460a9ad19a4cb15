/*
 * SOCKS proxy: connects its clients to whatever they ask for (RFC 1928, CONNECT, without passwords).
 *
 *     30_socks_proxy [PORT]
 *
 * By protocols: the bytes go from one transport to the other, and only the connecting, which waits, has a
 * task. Try it: curl --socks5-hostname localhost:PORT http://example.org
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_S 2.0

/* One of the two connections of a session; the other one is its peer. */
struct end {
    struct session *session;
    struct end *peer;
    asyncio_transport *transport; /* NULL: not connected yet, or lost */
};

enum stage { GREETING, REQUEST, CONNECTING, RELAY };

struct session {
    struct end client, target;
    enum stage stage;
    unsigned char request[512]; /* what has come of the greeting, then of the request */
    size_t length;
    char host[256];
    int port;
    int users; /* its connections, and the task that connects */
};

static void leave_session(struct session *session)
{
    if (--session->users == 0)
        free(session);
}

/* ---- Relay: what both connections do once they are there ---------------------------------- */

static void relay_made(void *self, asyncio_transport *transport)
{
    struct end *end = self;
    end->transport = transport;
    end->session->users++;
}

static void relay_received(void *self, const void *data, size_t n)
{
    struct end *end = self;
    if (end->peer->transport)
        asyncio_transport_write(end->peer->transport, data, n);
}

/* Each direction ends by itself; the transports are closed when both have. */
static bool relay_ended(void *self)
{
    struct end *end = self;
    if (!end->peer->transport || asyncio_transport_write_eof(end->peer->transport) != 0)
        return false;
    return true;
}

static void relay_pause(void *self)
{
    asyncio_transport_pause_reading(((struct end *)self)->peer->transport);
}

static void relay_resume(void *self)
{
    asyncio_transport_resume_reading(((struct end *)self)->peer->transport);
}

static void relay_lost(void *self, intptr_t err)
{
    struct end *end = self;
    end->transport = NULL;
    if (err)
        asyncio_transport_abort(end->peer->transport);
    else
        asyncio_transport_close(end->peer->transport);
    leave_session(end->session);
}

static const asyncio_protocol relay = {
    .connection_made = relay_made,
    .data_received = relay_received,
    .eof_received = relay_ended,
    .pause_writing = relay_pause,
    .resume_writing = relay_resume,
    .connection_lost = relay_lost,
};

/* ---- The conversation before it ------------------------------------------------------------ */

static void answer(struct session *session, unsigned char code)
{
    const unsigned char reply[] = {5, code, 0, 1, 0, 0, 0, 0, 0, 0};
    asyncio_transport_write(session->client.transport, reply, sizeof reply);
}

/* RFC 1928: general failure, network and host unreachable, refused. */
static unsigned char code_of(intptr_t err)
{
    return err == -ENETUNREACH ? 3 : err == -EHOSTUNREACH ? 4 : err == -ECONNREFUSED ? 5 : 1;
}

static void begin_relay(struct session *session)
{
    session->stage = RELAY;
    answer(session, 0);
    if (session->length) /* the client did not wait for the answer */
        asyncio_transport_write(session->target.transport, session->request, session->length);
    asyncio_transport_set_protocol(session->client.transport, &relay, &session->client);
    asyncio_transport_resume_reading(session->client.transport);
}

ASYNC(connect_target, struct session *, session)
{
    asyncio_transport *target;
    int err = asyncio_create_connection(&relay, &session->target, session->host, session->port, NULL,
                                        &target);
    bool has_client = session->client.transport != NULL;
    if (!err && has_client) {
        begin_relay(session);
    } else if (!err) {
        asyncio_transport_abort(target);
    } else if (has_client) {
        answer(session, code_of(err));
        asyncio_transport_close(session->client.transport);
    }
    leave_session(session);
    return 0;
}

/* The first n bytes have been dealt with. */
static void consume(struct session *session, size_t n)
{
    session->length -= n;
    memmove(session->request, session->request + n, session->length);
}

/* All of these: 1: go on; 0: more has to come; -1: this is no client of ours. */

static int take_greeting(struct session *session)
{
    const unsigned char *data = session->request;
    if (session->length < 2 || session->length < 2u + data[1])
        return session->length && data[0] != 5 ? -1 : 0;
    bool may_be_anybody = data[0] == 5 && memchr(data + 2, 0, data[1]);
    const unsigned char reply[] = {5, may_be_anybody ? 0 : 0xff};
    asyncio_transport_write(session->client.transport, reply, sizeof reply);
    consume(session, 2u + data[1]);
    session->stage = REQUEST;
    return may_be_anybody ? 1 : -1;
}

/* The length of the address behind the first four bytes; 0: not all of it is here; -1: of no kind we know. */
static int read_address(struct session *session)
{
    const unsigned char *at = session->request + 4;
    size_t length = session->length - 4;
    switch (session->request[3]) {
    case 1:
        snprintf(session->host, sizeof session->host, "%d.%d.%d.%d", at[0], at[1], at[2], at[3]);
        return length < 4 ? 0 : 4;
    case 3:
        if (length < 1 || length < 1u + at[0])
            return 0;
        snprintf(session->host, sizeof session->host, "%.*s", at[0], (const char *)at + 1);
        return 1 + at[0];
    case 4:
        for (int i = 0, n = 0; i < 16; i += 2)
            n += snprintf(session->host + n, sizeof session->host - (size_t)n, i ? ":%x" : "%x",
                          at[i] << 8 | at[i + 1]);
        return length < 16 ? 0 : 16;
    default:
        return -1;
    }
}

static int take_request(struct session *session)
{
    if (session->length < 5)
        return 0;
    int address = session->request[0] == 5 ? read_address(session) : -1;
    if (address < 0 || session->request[1] != 1) {
        answer(session, address < 0 ? 8 : 7);
        return -1;
    }
    size_t length = 4 + (size_t)address + 2;
    if (!address || session->length < length)
        return 0;
    session->port = session->request[length - 2] << 8 | session->request[length - 1];
    consume(session, length);
    session->stage = CONNECTING;
    session->users++;
    asyncio_transport_pause_reading(session->client.transport);
    asyncio_release(asyncio_create_task(connect_target(session)));
    return 1;
}

static void client_received(void *self, const void *data, size_t n)
{
    struct session *session = ((struct end *)self)->session;
    int outcome = n <= sizeof session->request - session->length ? 1 : -1;
    if (outcome > 0)
        memcpy(session->request + session->length, data, n);
    session->length += n;
    if (outcome > 0 && session->stage == GREETING)
        outcome = take_greeting(session);
    if (outcome > 0 && session->stage == REQUEST)
        outcome = take_request(session);
    if (outcome < 0)
        asyncio_transport_close(session->client.transport);
}

static void client_lost(void *self, intptr_t err)
{
    (void)err;
    struct end *end = self;
    end->transport = NULL; /* the task that connects will see it */
    leave_session(end->session);
}

static const asyncio_protocol conversation = {
    .connection_made = relay_made,
    .data_received = client_received,
    .connection_lost = client_lost,
};

static void *make_session(void *arg, const asyncio_protocol **protocol)
{
    (void)arg;
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->client = (struct end){.session = session, .peer = &session->target};
    session->target = (struct end){.session = session, .peer = &session->client};
    *protocol = &conversation;
    return &session->client;
}

ASYNC(async_main, int, port)
{
    asyncio_server *server;
    int err = asyncio_create_server(make_session, NULL, "localhost", port, NULL, &server);
    if (err)
        return err;
    printf("listening on port %d\n", asyncio_server_port(server));
    fflush(stdout);
    err = asyncio_server_wait_closed(server, ASYNCIO_FOREVER); /* until Ctrl-C */
    asyncio_server_close(server);
    asyncio_server_wait_closed(server, GRACE_S);
    asyncio_server_release(server);
    return err;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc > 1 ? atoi(argv[1]) : 1080));
}
