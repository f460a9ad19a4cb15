/*
 * A server's clients: the task that serves each, from the accept until the stream is closed.
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
#include "sys/sys.h"
#include <errno.h>
#include <string.h>

/* The report has the task's message for this error, if there is one. A client that went away is no error. */
static void report_client(const struct client *client, intptr_t err, const char *message)
{
    if (err == -ECANCELED || err == -EPIPE || err == -ECONNRESET)
        return;
    char peer[ASY_ADDRESS_TEXT];
    asy_address_text(&client->peer.any, peer);
    asyncio_exception_context context = {.message = message,
                                         .error = err,
                                         .task = client->task,
                                         .peer = client->peer_path ? client->peer_path : peer};
    if (client->site) {
        context.file = client->site->file;
        context.line = client->site->line;
    }
    asy_report(client->server->loop, &context);
}

/* The client has ended: there is room for another one. */
static void end_client(struct client *client)
{
    asyncio_server *server = client->server;
    ASY_ASSERT(server->client_count > 0);
    asy_sys_free(client->peer_path);
    list_remove(&client->node);
    server->client_count--;
    asy_server_watch(server);
    if (!server->client_count && server->is_closed)
        asy_server_wake_waiters(server);
    asy_server_unref(server);
}

/* From here on the client is the one that the header names. 0 or -ENOMEM. */
static int rename_client(struct client *client, const struct proxy_header *header)
{
    if (!header->peer_length)
        return 0;
    client->peer = asy_peer_of(&header->peer.any);
    if (header->peer.any.sa_family == AF_UNIX) {
        client->peer_path = asy_sys_alloc(ASY_ADDRESS_TEXT);
        if (!client->peer_path)
            return -ENOMEM;
        asy_address_text(&header->peer.any, client->peer_path);
    }
    return asy_stream_name_peer(client->stream, &header->peer.any);
}

/* The PROXY header, if the server's clients come through a proxy. 0, or an error, which is reported. */
static int name_client(struct client *client)
{
    int version = client->server->options.proxy_protocol;
    struct proxy_header header;
    if (!version)
        return 0;
    int err = asy_proxy_receive(client->stream, version, &header);
    if (!err)
        err = rename_client(client, &header);
    if (err)
        report_client(client, err, "the PROXY header of a client failed");
    return err;
}

/* The TLS handshake, if the server has TLS. 0, or an error, which is reported. */
static int secure_client(struct client *client)
{
    if (!client->server->options.tls)
        return 0;
    int err = asyncio_stream_start_tls(client->stream, client->server->options.tls, NULL);
    if (err)
        report_client(client, err, "the TLS handshake with a client failed");
    return err;
}

static intptr_t serve_client(struct client *client)
{
    asyncio_server *server = client->server;
    asyncio_coro *coro = server->handler(client->stream, server->arg);
    if (!coro)
        return asyncio_raise(-ENOMEM, "the handler made no coroutine");
    client->site = ((asyncio_future *)(void *)coro)->site;
    return asyncio_await(coro);
}

/* A task of the handler's may still be closing the stream, and frees it. */
static void part_from_stream(struct client *client)
{
    if (client->stream)
        client->stream->holder = NULL;
}

/* The stream is the server's while it is flushed: asyncio_server_abort_clients ends it. */
static void flush_and_close(struct client *client)
{
    if (!client->stream)
        return;
    size_t lost = 0;
    int err = asy_stream_close(client->stream, &lost);
    if (err == -ETIMEDOUT && lost)
        report_client(client, err, "a client was cut off");
    part_from_stream(client);
}

static void abort_stream(struct client *client)
{
    if (!client->stream)
        return;
    asyncio_stream_abort(client->stream);
    part_from_stream(client);
}

static intptr_t start_client(void *args)
{
    struct client *client = args;
    int unsafe = name_client(client);
    if (!unsafe)
        unsafe = secure_client(client);
    intptr_t result = unsafe ? unsafe : serve_client(client);
    if (result < 0 && !unsafe)
        report_client(client, result, "the handler of a client failed");
    if (result >= 0 || unsafe == ASYNCIO_ETLS) /* the latter: TLS tells the peer what is wrong */
        flush_and_close(client);
    else
        abort_stream(client);
    end_client(client);
    return 0;
}

/* The task never began: the loop closes, or there is no memory for a stack. */
static void drop_client(void *args)
{
    struct client *client = args;
    if (!client->server->loop->is_closed)
        report_client(client, -ENOMEM, "no task could serve a client");
    abort_stream(client);
    end_client(client);
}

static const asyncio_coro_type client_type = {
    .site = {__FILE__, "client_connected", __LINE__},
    .start = start_client,
    .drop = drop_client,
    .args_size = sizeof(struct client),
};

static void forget_client_stream(struct stream_holder *holder, asyncio_stream *stream)
{
    (void)stream;
    LIST_ENTRY(holder, struct client, holder)->stream = NULL;
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

static void begin_client_task(asyncio_server *server, asyncio_coro *coro, struct client *client)
{
    server->refs++;
    server->client_count++;
    list_append(&server->clients, &client->node);
    client->task = asy_task_make(server->loop, coro, &client_type.site);
    client->task->future.flags |= FUTURE_SEEN; /* report_client tells of errors, with the peer's address */
    asy_vars_put(&client->task->context, asy_vars_copy(server->context));
    asy_task_queue(client->task);  /* never eager: the poll is under way, and must not call the program */
    asyncio_release(client->task); /* the loop holds it until it ends */
}

int asy_client_begin(const struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    asyncio_server *server = listener->server;
    ASY_ASSERT(!server->is_closed);
    struct client *client;
    void *place;
    asyncio_coro *coro = asyncio_coro_alloc(&client_type, &place);
    if (!coro) {
        asyncio_close(fd);
        return -ENOMEM;
    }
    client = place;
    memset(client, 0, sizeof *client);
    client->server = server;
    client->peer = asy_peer_of((const struct sockaddr *)peer);
    struct fd_record *record = asy_fd_record(server->loop, fd);
    asyncio_connect_options options = {.limit = server->options.limit,
                                       .write_limit = server->options.write_limit,
                                       .close_timeout = server->options.close_timeout};
    if (record)
        asy_fd_record_reset(server->loop, record, listener->record);
    int err = record ? asy_stream_make(server->loop, fd, &options, &client->stream) : -ENOMEM;
    if (err) {
        asyncio_close(fd);
        asy_task_free(asy_coro_begin(coro)); /* not a client yet, so drop_client must not run */
        return err;
    }
    client->holder = (struct stream_holder){.forget_stream = forget_client_stream, .frees_stream = true};
    client->stream->holder = &client->holder;
    client->stream->peer = client->peer;
    begin_client_task(server, coro, client);
    return 0;
}
