/*
 * Servers of protocols: each connection gets a transport, in place of a task. The factory makes the program's
 * object for it, right before connection_made.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/report.h"
#include "fd/transport.h"
#include "net/server_spread.h"
#include "sys/slab.h"
#include <errno.h>

struct connection {
    struct list node;       /* among the server's connections */
    asyncio_server *server; /* NULL: the loop has closed */
    asyncio_transport *transport;
    struct transport_owner owner;
};

static void report_no_protocol(const struct connection *connection)
{
    char peer[ASY_ADDRESS_TEXT] = "";
    const struct sockaddr *address = asy_stream_known_peer(connection->transport->stream);
    if (address)
        asy_address_text(address, peer);
    asyncio_exception_context context = {
        .message = "the factory made no protocol for a client", .error = -ENOMEM, .peer = peer};
    asy_report(connection->server->loop, &context);
}

/* The factory may close or release the server. */
static bool choose_protocol(struct transport_owner *owner)
{
    struct connection *connection = LIST_ENTRY(owner, struct connection, owner);
    asyncio_server *server = connection->server;
    const asyncio_protocol *protocol = NULL;
    void *self = server->factory(server->arg, &protocol);
    if (!self || !protocol) {
        report_no_protocol(connection);
        return false;
    }
    connection->transport->protocol = protocol;
    connection->transport->self = self;
    return true;
}

static void end_connection(struct transport_owner *owner)
{
    struct connection *connection = LIST_ENTRY(owner, struct connection, owner);
    asyncio_server *server = connection->server;
    list_remove(&connection->node);
    asy_slab_free(connection, sizeof *connection);
    if (server)
        asy_server_lose_client(server);
}

int asy_connection_begin(asyncio_server *server, asyncio_stream *stream)
{
    static const asyncio_protocol none_yet;
    struct connection *connection = asy_slab_alloc(sizeof *connection);
    asyncio_transport *transport;
    int err = connection
                  ? asy_transport_make(stream, &none_yet, NULL, asy_vars_copy(server->context), &transport)
                  : -ENOMEM;
    if (err) {
        if (connection)
            asy_slab_free(connection, sizeof *connection);
        asyncio_stream_abort(stream);
        return err;
    }
    *connection = (struct connection){.server = server, .transport = transport};
    connection->owner = (struct transport_owner){choose_protocol, end_connection};
    transport->owner = &connection->owner;
    list_append(&server->connections, &connection->node);
    server->client_count++;
    server->refs++;
    asy_transport_do_next(transport);
    return 0;
}

/* ---- All of them ------------------------------------------------------------------------- */

void asy_server_close_connections(asyncio_server *server)
{
    LIST_EACH(node, &server->connections)
        asyncio_transport_close(LIST_ENTRY(node, struct connection, node)->transport);
}

void asy_server_abort_connections(asyncio_server *server)
{
    LIST_EACH(node, &server->connections)
        asy_transport_abort(LIST_ENTRY(node, struct connection, node)->transport, -ECONNABORTED);
}

void asy_server_end_last_connection(asyncio_server *server, int err)
{
    ASY_ASSERT(!list_is_empty(&server->connections));
    asyncio_transport *transport = LIST_ENTRY(server->connections.prev, struct connection, node)->transport;
    if (err)
        asy_transport_abort(transport, err);
    else
        asyncio_transport_close(transport);
}

void asy_server_orphan_connections(asyncio_server *server)
{
    struct list *node;
    while ((node = list_take_first(&server->connections)))
        LIST_ENTRY(node, struct connection, node)->server = NULL;
}

/* ---- Started ------------------------------------------------------------------------------ */

/* The handler of a server of protocols, which is never called. */
static asyncio_coro *handle_nothing(asyncio_stream *stream, void *arg)
{
    (void)stream;
    (void)arg;
    return NULL;
}

/* It accepts nobody before the caller's next wait. */
static int set_factory(int err, asyncio_server *const *server, asyncio_protocol_factory factory)
{
    if (err)
        return err;
    (*server)->factory = factory;
    if ((*server)->spread)
        (*server)->spread->factory = factory;
    return 0;
}

/* Other loops would accept on their own, and at once. */
static int check_spread(const asyncio_server_options *options)
{
    if (options && options->loops && options->spread == SPREAD_BY_KERNEL)
        return (int)asyncio_raise(-EINVAL, "the kernel does not spread the clients of a server of protocols");
    return 0;
}

int asyncio_create_server(asyncio_protocol_factory factory, void *arg, const char *host, int port,
                          const asyncio_server_options *options, asyncio_server **server)
{
    int err = factory ? check_spread(options) : -EINVAL;
    if (!err)
        err = asyncio_start_server(handle_nothing, arg, host, port, options, server);
    return set_factory(err, server, factory);
}

int asyncio_create_unix_server(asyncio_protocol_factory factory, void *arg, const char *path,
                               const asyncio_server_options *options, asyncio_server **server)
{
    int err = factory ? check_spread(options) : -EINVAL;
    if (!err)
        err = asyncio_start_unix_server(handle_nothing, arg, path, options, server);
    return set_factory(err, server, factory);
}
