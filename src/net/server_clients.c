/*
 * A server's clients: the task that serves each, from the moment it was accepted until its stream
 * is closed.
 */
#include "asyncio/coroutines.h"
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "core/contextvars.h"
#include "core/coro.h"
#include "core/loop.h"
#include "fd/address.h"
#include "fd/stream.h"
#include "fd/tls_hook.h"
#include "net/server.h"
#include <errno.h>
#include <string.h>

/* The message that the task has for this error, if any, is told with it. */
static void report_client(const struct client *client, intptr_t err, const char *message)
{
    if (err == -ECANCELED || err == -EPIPE || err == -ECONNRESET)
        return;
    char peer[ASY_ADDRESS_TEXT];
    asy_address_text(&client->peer.any, peer);
    asyncio_exception_context context = {
        .message = message, .error = err, .task = client->task, .peer = peer};
    if (client->site) {
        context.file = client->site->file;
        context.line = client->site->line;
    }
    asy_report(client->server->loop, &context);
}

/* The client has ended: there is room for another one. */
static void client_over(struct client *client)
{
    asyncio_server *server = client->server;
    list_remove(&client->node);
    server->client_count--;
    asy_server_watch(server);
    if (!server->client_count && server->is_closed)
        asy_server_wake_waiters(server);
    asy_server_unref(server);
}

/* 0, or an error, which is reported. */
static int secure(struct client *client)
{
    if (!client->server->options.tls)
        return 0;
    int err = asyncio_stream_start_tls(client->stream, client->server->options.tls, NULL);
    if (err)
        report_client(client, err, "the TLS handshake with a client failed");
    return err;
}

static intptr_t serve(struct client *client)
{
    asyncio_server *server = client->server;
    asyncio_coro *coro = server->handler(client->stream, server->arg);
    if (!coro)
        return asyncio_raise(-ENOMEM, "the handler made no coroutine");
    client->site = ((asyncio_future *)(void *)coro)->site;
    return asyncio_await(coro);
}

/* It is the server's until here: others may end it while it is flushed. */
static void close_stream(struct client *client, bool flush)
{
    asyncio_stream *stream = client->stream;
    if (!stream)
        return;
    size_t lost = 0;
    int err = 0;
    if (flush)
        err = asy_stream_close(stream, &lost);
    else
        asyncio_stream_abort(stream);
    if (err == -ETIMEDOUT && lost)
        report_client(client, err, "a client was cut off");
    if (client->stream) /* somebody else is closing it, and will free it */
        client->stream->holder = NULL;
}

static intptr_t start_client(void *args)
{
    struct client *client = args;
    int unsafe = secure(client);
    intptr_t result = unsafe ? unsafe : serve(client);
    if (result < 0 && !unsafe)
        report_client(client, result, "the handler of a client failed");
    /* What is wrong with a handshake the peer is told. */
    close_stream(client, result >= 0 || unsafe == ASYNCIO_ETLS);
    client_over(client);
    return 0;
}

/* It never began: the loop closes, or there is no memory for a stack. */
static void drop_client(void *args)
{
    struct client *client = args;
    if (!client->server->loop->is_closed)
        report_client(client, -ENOMEM, "no task could serve a client");
    close_stream(client, false);
    client_over(client);
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

static void begin_task(asyncio_server *server, asyncio_coro *coro, struct client *client)
{
    server->refs++;
    server->client_count++;
    list_append(&server->clients, &client->node);
    client->task = asy_task_start(server->loop, coro, &client_type.site);
    client->task->future.flags |= FUTURE_SEEN; /* what is wrong is told here, with the peer's address */
    asy_vars_put(&client->task->context, asy_vars_copy(server->context));
    asyncio_release(client->task); /* the loop has it until it ends */
}

int asy_client_begin(const struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
    asyncio_server *server = listener->server;
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
                                       .close_timeout = server->options.close_timeout};
    if (record)
        asy_fd_record_reset(server->loop, record, listener->record);
    int err = record ? asy_stream_make(server->loop, fd, &options, false, &client->stream) : -ENOMEM;
    if (err) {
        asyncio_close(fd);
        asy_task_free(asy_coro_begin(coro)); /* not a client yet: there is nothing to drop */
        return err;
    }
    client->holder = (struct stream_holder){.forget_stream = forget_client_stream, .frees_stream = true};
    client->stream->holder = &client->holder;
    client->stream->peer = client->peer;
    begin_task(server, coro, client);
    return 0;
}
