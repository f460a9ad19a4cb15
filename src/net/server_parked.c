/*
 * Parked clients: connections that wait for their next input without a task. The server stands in their
 * descriptors' queues, and starts the handler anew when there is something to read.
 *
 * They are in the order in which they were parked, so that one timer, for the first, serves them all.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/task.h"
#include "fd/stream.h"
#include "net/server.h"
#include <errno.h>

static struct client *first_parked(const asyncio_server *server)
{
    return LIST_ENTRY(server->parked.next, struct client, node);
}

/* ---- Ended ------------------------------------------------------------------------------ */

static void unwatch_parked(struct client *client)
{
    ASY_ASSERT(!client->task);
    list_remove(&client->input.node);
}

void asy_client_leave_park(struct client *client)
{
    unwatch_parked(client);
    asy_client_end(client);
}

/* What is queued is sent by a task. A goodbye of TLS is not waited for: an idle peer has nothing under way
 * that the close could cut off. */
static void close_parked_client(struct client *client)
{
    size_t lost;
    unwatch_parked(client);
    if (asy_stream_unsent(client->stream)) {
        asy_client_part(client);
        return;
    }
    asyncio_task *hidden = asy_task_hide(); /* which makes the close one that does not wait */
    asy_stream_close(client->stream, &lost);
    asy_task_show(hidden);
}

static void abort_parked_client(struct client *client)
{
    unwatch_parked(client);
    asy_client_abort(client);
}

/* Ends those that are parked now. The program's drop functions are called meanwhile, and may end others. */
static void end_all_parked(asyncio_server *server, void (*end)(struct client *client))
{
    struct list leaving;
    list_init(&leaving);
    list_splice(&leaving, &server->parked);
    server->refs++;
    while (!list_is_empty(&leaving)) {
        struct client *client = LIST_ENTRY(leaving.next, struct client, node);
        list_remove(&client->node);
        list_append(&server->parked, &client->node);
        end(client);
    }
    asy_server_unref(server);
}

/* A stream that another task closes is left to that task. */
static void close_unless_closing(struct client *client)
{
    if (!client->stream->is_closing)
        close_parked_client(client);
}

void asy_server_close_parked(asyncio_server *server)
{
    end_all_parked(server, close_unless_closing);
}

void asy_server_abort_parked(asyncio_server *server)
{
    end_all_parked(server, abort_parked_client);
}

/* ---- Idle for too long ------------------------------------------------------------------ */

/* Without memory for a timer, the next client that parks starts it. */
static void time_first_parked(asyncio_server *server)
{
    if (!list_is_empty(&server->parked) && !asy_heap_contains(&server->park_timer.node))
        asy_timer_start(server->loop, &server->park_timer, first_parked(server)->parked_until_ns);
}

static void stand_last(struct client *client)
{
    asyncio_server *server = client->server;
    double timeout = server->options.park_timeout;
    list_remove(&client->node);
    list_append(&server->parked, &client->node);
    if (timeout <= 0)
        return;
    client->parked_until_ns = asy_deadline_after(asy_loop_now_ns(server->loop), timeout);
    time_first_parked(server);
}

void asy_server_park_timed_out(struct timer *timer)
{
    asyncio_server *server = LIST_ENTRY(timer, asyncio_server, park_timer);
    int64_t now_ns = asy_loop_now_ns(server->loop);
    server->refs++; /* a drop function may release the server */
    while (!list_is_empty(&server->parked) && first_parked(server)->parked_until_ns <= now_ns) {
        struct client *client = first_parked(server);
        if (client->stream->is_closing)
            stand_last(client);
        else
            close_parked_client(client);
    }
    time_first_parked(server);
    asy_server_unref(server);
}

/* ---- Parked ----------------------------------------------------------------------------- */

static void parked_input_came(struct fd_waiter *input, int gone);

/* Waits for the first event, or for the next one. */
static void watch_parked(struct client *client)
{
    asyncio_stream *stream = client->stream;
    client->input.events = FD_READ;
    client->input.notify = parked_input_came;
    int err = asy_fd_watch(stream->loop, stream->record, &client->input);
    if (!err)
        return;
    asy_client_report(client, err, "a client could not be parked");
    abort_parked_client(client);
}

/* An event tells enough of a plain connection. TLS may find nothing for the handler in what came; another
 * task that reads it is the program's mistake, of which the handler is told. A task that closes the stream
 * ends the client as well. */
static void parked_input_came(struct fd_waiter *input, int gone)
{
    struct client *client = LIST_ENTRY(input, struct client, input);
    asyncio_stream *stream = client->stream;
    ASY_ASSERT(!client->task && stream);
    if (gone || client->server->loop->is_shutting_down)
        abort_parked_client(client);
    else if (stream->is_closing)
        return;
    else if (!stream->filter || stream->is_reading || asy_stream_has_news(stream))
        asy_client_serve(client);
    else
        watch_parked(client);
}

bool asy_client_park(struct client *client)
{
    asyncio_server *server = client->server;
    asyncio_stream *stream = client->stream;
    if (server->parks_none || server->loop->is_shutting_down)
        return false;
    if (stream->is_reading) {
        asy_client_report(client, ASYNCIO_ESTATE, "a client was parked while a task reads its stream");
        return false;
    }
    asy_stream_rest(stream);
    if (asy_stream_has_news(stream)) {
        asy_client_serve(client);
        return true;
    }
    client->task = NULL;
    stand_last(client);
    watch_parked(client);
    return true;
}
