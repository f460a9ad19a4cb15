/*
 * A server's clients: the task that serves each, from the accept until the stream is closed or parked
 * (server_parked.c).
 */
#include "asyncio/coroutines.h"
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/coro.h"
#include "core/loop.h"
#include "fd/address.h"
#include "fd/stream.h"
#include "fd/tls_hook.h"
#include "net/proxy.h"
#include "net/server.h"
#include "net/server_spread.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

/* The arguments of a client's task. */
struct service {
    struct client *client;
    const asyncio_site *site; /* of the handler's coroutine; NULL: none yet */
    union asy_peer peer;      /* of a stream that has gone; no family: unknown */
    char *path;               /* the same as text, where a proxy has named a path; or NULL */
    bool is_preparing;        /* the PROXY header, or the TLS handshake */
};

static struct service *service_of(const struct client *client)
{
    return client->task ? task_args(client->task) : NULL;
}

/* ---- Reports ------------------------------------------------------------------------- */

static void describe_stream(asyncio_stream *stream, char text[ASY_ADDRESS_TEXT])
{
    const struct sockaddr *peer = asy_stream_known_peer(stream);
    text[0] = '\0';
    if (peer || stream->peer.any.sa_family) /* of another address than an Internet one: its family */
        asy_address_text(peer ? peer : &stream->peer.any, text);
}

/* Reports name the client although its handler has closed the stream. There is seldom one, so that the text
 * is made then. */
static void remember_peer(struct service *service, asyncio_stream *stream)
{
    char text[ASY_ADDRESS_TEXT];
    asy_stream_known_peer(stream);
    service->peer = stream->peer;
    if (!stream->peer_path)
        return;
    describe_stream(stream, text);
    if ((service->path = asy_sys_alloc(sizeof text)))
        memcpy(service->path, text, sizeof text);
}

/* The report has the task's message for this error, if there is one. */
void asy_client_report(const struct client *client, intptr_t err, const char *message)
{
    if (err == -ECANCELED || err == -EPIPE || err == -ECONNRESET)
        return;
    char peer[ASY_ADDRESS_TEXT] = "";
    const struct service *service = service_of(client);
    if (client->stream)
        describe_stream(client->stream, peer);
    else if (service && service->peer.any.sa_family)
        asy_address_text(&service->peer.any, peer);
    asyncio_exception_context context = {.message = message,
                                         .error = err,
                                         .task = client->task,
                                         .peer = service && service->path ? service->path : peer};
    if (service && service->site) {
        context.file = service->site->file;
        context.line = service->site->line;
    }
    asy_report(client->server->loop, &context);
}

/* ---- Ends ---------------------------------------------------------------------------- */

void asy_server_lose_client(asyncio_server *server)
{
    ASY_ASSERT(server->client_count > 0);
    server->client_count--;
    asy_server_client_went(server);
    asy_server_unref(server);
}

void asy_client_end(struct client *client)
{
    asyncio_server *server = client->server;
    ASY_ASSERT(!client->stream);
    list_remove(&client->node);
    if (client->task)
        asy_sys_free(service_of(client)->path);
    asy_slab_free(client, sizeof *client);
    asy_server_lose_client(server);
}

/* A task of the handler's may still be closing the stream, and frees it. */
static void part_from_stream(struct client *client)
{
    if (client->stream)
        client->stream->holder = NULL;
    client->stream = NULL;
}

/* The stream is the server's while it is flushed: asyncio_server_abort_clients ends it. */
static void flush_and_close(struct client *client)
{
    if (!client->stream)
        return;
    size_t lost = 0;
    int err = asy_stream_close(client->stream, &lost);
    if (err == -ETIMEDOUT && lost)
        asy_client_report(client, err, "a client was cut off");
    part_from_stream(client);
}

void asy_client_abort(struct client *client)
{
    asyncio_stream *stream = client->stream;
    part_from_stream(client);
    list_remove(&client->node); /* the program's drop function may end all that are there */
    asyncio_stream_abort(stream);
    asy_client_end(client);
}

void asy_client_orphan(struct client *client)
{
    list_remove(&client->node);
    list_remove(&client->input.node);
    client->server = NULL;
    if (!client->stream)
        asy_slab_free(client, sizeof *client);
}

static void forget_client_stream(struct stream_holder *holder, asyncio_stream *stream)
{
    struct client *client = LIST_ENTRY(holder, struct client, holder);
    ASY_ASSERT(client->stream == stream);
    if (client->server && client->task)
        remember_peer(service_of(client), stream);
    client->stream = NULL;
    if (!client->server)
        asy_slab_free(client, sizeof *client);
    else if (!client->task)
        asy_client_leave_park(client);
}

int asyncio_stream_detach(asyncio_stream *stream)
{
    if (!stream)
        return -EINVAL;
    asy_stream_check(stream, __func__);
    struct stream_holder *holder = stream->holder;
    if (!holder || holder->forget_stream != forget_client_stream)
        return ASYNCIO_ESTATE;
    forget_client_stream(holder, stream);
    stream->holder = NULL;
    return 0;
}

/* ---- Tasks --------------------------------------------------------------------------- */

static intptr_t call_handler(struct service *service)
{
    asyncio_server *server = service->client->server;
    asyncio_coro *coro = server->handler(service->client->stream, server->arg);
    if (!coro)
        return asyncio_raise(-ENOMEM, "the handler made no coroutine");
    service->site = asy_coro_site(coro);
    return asyncio_await(coro);
}

/* The handler has ended, and the client with it, unless it is parked. */
static void end_service(const struct service *service, intptr_t result)
{
    struct client *client = service->client;
    if (result == ASYNCIO_PARK && client->stream) {
        if (!asy_client_park(client))
            asy_client_abort(client);
        return;
    }
    if (result < 0) {
        asy_client_report(client, result, "the handler of a client failed");
        asy_client_abort(client);
        return;
    }
    flush_and_close(client);
    asy_client_end(client);
}

/* Others may have closed a stream that was parked, between its event and this. */
static intptr_t start_service(void *args)
{
    struct service *service = args;
    if (service->client->stream)
        end_service(service, call_handler(service));
    else
        asy_client_end(service->client);
    return 0;
}

/* The PROXY header, if the server's clients come through a proxy: from then on the client is the one that it
 * names. 0 or an error. */
static int name_client(const struct client *client)
{
    int version = client->server->options.proxy_protocol;
    struct proxy_header header;
    if (!version)
        return 0;
    int err = asy_proxy_receive(client->stream, version, &header);
    if (!err && header.peer_length)
        err = asy_stream_name_peer(client->stream, &header.peer.any);
    if (err)
        asy_client_report(client, err, "the PROXY header of a client failed");
    return err;
}

/* The TLS handshake, if the server has TLS. */
static int secure_client(const struct client *client)
{
    if (!client->server->options.tls)
        return 0;
    int err = asyncio_stream_start_tls(client->stream, client->server->options.tls, NULL);
    if (err)
        asy_client_report(client, err, "the TLS handshake with a client failed");
    return err;
}

/* The client is ready, and goes on without a task. */
static void give_protocol(struct client *client)
{
    asyncio_stream *stream = client->stream;
    part_from_stream(client);
    int err = stream ? asy_connection_begin(client->server, stream) : 0;
    if (err)
        asy_client_report(client, err, "no transport could serve a client");
    asy_client_end(client);
}

/* The first task of a client. */
static intptr_t start_client(void *args)
{
    struct service *service = args;
    struct client *client = service->client;
    service->is_preparing = true;
    int err = name_client(client);
    if (!err)
        err = secure_client(client);
    service->is_preparing = false;
    if (!err && !client->server->factory)
        return start_service(args);
    if (!err) {
        give_protocol(client);
        return 0;
    }
    if (err == ASYNCIO_ETLS) /* TLS tells the peer what is wrong */
        flush_and_close(client);
    asy_client_abort(client);
    return 0;
}

static intptr_t start_parting(void *args)
{
    struct client *client = ((struct service *)args)->client;
    flush_and_close(client);
    asy_client_end(client);
    return 0;
}

/* The task never began: the loop closes, or there is no memory for a stack. */
static void drop_service(void *args)
{
    struct client *client = ((struct service *)args)->client;
    if (!client->server->loop->is_closed)
        asy_client_report(client, -ENOMEM, "no task could serve a client");
    asy_client_abort(client);
}

#define SERVICE(name, function)                                                                              \
    {                                                                                                        \
        .site = {__FILE__, (name), __LINE__}, .start = (function), .drop = drop_service,                     \
        .args_size = sizeof(struct service)                                                                  \
    }
static const asyncio_coro_type first_type = SERVICE("client_connected", start_client);
static const asyncio_coro_type service_type = SERVICE("client_connected", start_service);
static const asyncio_coro_type parting_type = SERVICE("client_parting", start_parting);

static asyncio_coro *make_service(struct client *client, const asyncio_coro_type *type)
{
    void *place;
    asyncio_coro *coro = asyncio_coro_alloc(type, &place);
    if (coro)
        *(struct service *)place = (struct service){.client = client};
    return coro;
}

static void start_client_task(struct client *client, asyncio_coro *coro)
{
    asyncio_server *server = client->server;
    list_remove(&client->node);
    list_append(&server->clients, &client->node);
    client->task = asy_task_make(server->loop, coro, asy_coro_site(coro));
    client->task->future.flags |= FUTURE_SEEN; /* asy_client_report tells of it, with the peer's address */
    asy_vars_put(&client->task->context, asy_vars_copy(server->context));
    asy_task_queue(client->task);  /* never eager: the poll is under way, and must not call the program */
    asyncio_release(client->task); /* the loop holds it until it ends */
}

static void start_or_abort(struct client *client, const asyncio_coro_type *type)
{
    asyncio_coro *coro = make_service(client, type);
    if (coro) {
        start_client_task(client, coro);
        return;
    }
    asy_client_report(client, -ENOMEM, "no task could serve a client");
    asy_client_abort(client);
}

void asy_client_serve(struct client *client)
{
    start_or_abort(client, &service_type);
}

void asy_client_part(struct client *client)
{
    start_or_abort(client, &parting_type);
}

/* ---- Accepted ------------------------------------------------------------------------- */

static int make_client_stream(asyncio_server *server, const struct fd_record *listener, int fd,
                              const struct sockaddr_storage *peer, asyncio_stream **stream)
{
    struct fd_record *record = asy_fd_record(server->loop, fd);
    if (!record)
        return -ENOMEM;
    asyncio_connect_options options = {.limit = server->options.limit,
                                       .write_limit = server->options.write_limit,
                                       .close_timeout = server->options.close_timeout};
    asy_fd_record_reset(server->loop, record, listener);
    int err = asy_stream_make(server->loop, fd, &options, stream);
    if (!err)
        (*stream)->peer = asy_peer_of((const struct sockaddr *)peer);
    return err;
}

/* With a task, which serves it or prepares it. */
static int begin_with_task(asyncio_server *server, const struct fd_record *listener, int fd,
                           const struct sockaddr_storage *peer)
{
    struct client *client = asy_slab_alloc(sizeof *client);
    asyncio_coro *coro = client ? make_service(client, &first_type) : NULL;
    int err = coro ? 0 : -ENOMEM;
    if (coro) {
        *client = (struct client){.server = server};
        err = make_client_stream(server, listener, fd, peer, &client->stream);
    }
    if (err) {
        asyncio_close(fd);
        if (coro) /* not a client yet, so drop_service must not run */
            asy_task_free(asy_coro_begin(coro));
        if (client)
            asy_slab_free(client, sizeof *client);
        return err;
    }
    list_init(&client->node);
    list_init(&client->input.node);
    client->holder = (struct stream_holder){.forget_stream = forget_client_stream, .frees_stream = true};
    client->stream->holder = &client->holder;
    server->refs++;
    server->client_count++;
    start_client_task(client, coro);
    return 0;
}

int asy_client_begin(asyncio_server *server, const struct fd_record *listener, int fd,
                     const struct sockaddr_storage *peer)
{
    asyncio_stream *stream;
    ASY_ASSERT(!server->is_closed || server->branch); /* one may be on its way when a branch is closed */
    if (asy_server_has_tasks(server))
        return begin_with_task(server, listener, fd, peer);
    int err = make_client_stream(server, listener, fd, peer, &stream);
    if (!err)
        return asy_connection_begin(server, stream);
    asyncio_close(fd);
    return err;
}

/* ---- All of them ----------------------------------------------------------------------- */

/* One that no handler has yet goes at once, and without a report: it has done nothing wrong. */
static void end_client_input(struct client *client, int err)
{
    if (client->stream)
        asy_stream_end_input(client->stream, service_of(client)->is_preparing ? -ECANCELED : err);
}

void asy_server_end_clients(asyncio_server *server, int err)
{
    LIST_EACH(node, &server->clients)
        end_client_input(LIST_ENTRY(node, struct client, node), err);
    if (err) {
        asy_server_abort_parked(server);
        asy_server_abort_connections(server);
    } else {
        asy_server_close_parked(server);
        asy_server_close_connections(server);
    }
}

/* On all loops. The drop functions of parked clients are called meanwhile, and may release the server. */
static void end_clients_everywhere(asyncio_server *server, int err, enum spread_order order)
{
    server->refs++;
    asy_server_end_clients(server, err);
    asy_spread_order(server, order);
    asy_server_unref(server);
}

void asyncio_server_close_clients(asyncio_server *server)
{
    if (!server)
        return;
    asy_server_check(server, __func__);
    end_clients_everywhere(server, 0, ORDER_END);
}

void asyncio_server_abort_clients(asyncio_server *server)
{
    if (!server)
        return;
    asy_server_check(server, __func__);
    end_clients_everywhere(server, -ECONNABORTED, ORDER_ABORT);
}
