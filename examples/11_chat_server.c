/*
 * Chat: each client gets what the others say.
 *
 *     11_chat_server [PORT]
 *
 * Try it: nc localhost PORT, several times; the first line is your name.
 *
 * Each client has a queue, and a task that sends what is in it, so that no client waits for
 * the slowest. A client whose queue is full does not read, and is dropped.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 100
#define NAME_MAX_BYTES 32
#define NAME_S 60.0
#define CLIENTS_MAX 1000
#define GRACE_S 2.0

/* A line for several clients. The last one frees it. */
struct message {
    unsigned refs;
    size_t length;
    char text[];
};

struct client {
    struct client *next;
    asyncio_stream *stream;
    char name[NAME_MAX_BYTES + 1];
    asyncio_queue queue; /* of struct message * */
    asyncio_task_group group;
};

struct room {
    struct client *first;
};

/* ---- Messages ------------------------------------------------------------------------------ */

static void unref(struct message *message)
{
    if (--message->refs == 0)
        free(message);
}

static struct message *format(const char *format, va_list args)
{
    char *text;
    int length = vasprintf(&text, format, args);
    if (length < 0)
        return NULL;
    struct message *message = malloc(sizeof *message + (size_t)length + 1);
    if (message) {
        *message = (struct message){.refs = 1, .length = (size_t)length};
        memcpy(message->text, text, (size_t)length + 1);
    }
    free(text);
    return message;
}

/* To all but one of them. */
__attribute__((format(printf, 3, 4))) static void tell(struct room *room, const struct client *but,
                                                       const char *words, ...)
{
    va_list args;
    va_start(args, words);
    struct message *message = format(words, args);
    va_end(args);
    if (!message)
        return;
    for (struct client *client = room->first; client; client = client->next) {
        if (client == but)
            continue;
        if (asyncio_queue_put_nowait(&client->queue, &message) == 0)
            message->refs++;
        else
            asyncio_task_group_cancel(&client->group);
    }
    unref(message);
}

/* ---- A client ------------------------------------------------------------------------------ */

static void enter(struct room *room, struct client *client)
{
    client->next = room->first;
    room->first = client;
    tell(room, NULL, "* %s has come\n", client->name);
}

static void leave(struct room *room, const struct client *client)
{
    struct client **link = &room->first;
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    tell(room, client, "* %s has left\n", client->name);
}

/* Sends what the others say, until the queue is shut down and empty. */
ASYNC(sends, struct client *, client)
{
    struct message *message;
    int err;
    while ((err = asyncio_queue_get(&client->queue, &message)) == 0) {
        err = asyncio_stream_write(client->stream, message->text, message->length);
        unref(message);
        if (err)
            return err;
    }
    return err == ASYNCIO_EQUEUE_SHUTDOWN ? 0 : err;
}

/* Makes a string of the line, without control characters: they could move a cursor, or fake another line. */
static void make_harmless(char *line)
{
    line[strcspn(line, "\r\n")] = '\0';
    for (; *line; line++)
        if ((unsigned char)*line < ' ' || *line == 127)
            *line = '?';
}

/* Tells the others what this client says, until it ends. */
static int listen_to(struct room *room, struct client *client)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(client->stream, &line)) > 0) {
        make_harmless(line);
        tell(room, client, "%s: %s\n", client->name, line);
    }
    return (int)n;
}

static int ask_name(struct client *client)
{
    char *line;
    ssize_t n;
    ASYNCIO_TIMEOUT(n, NAME_S) {
        n = asyncio_stream_printf(client->stream, "Your name, please:\n");
        if (n == 0)
            n = asyncio_stream_readline(client->stream, &line);
    }
    if (n <= 0)
        return n && n != -ETIMEDOUT ? (int)n : ASYNCIO_EINCOMPLETE;
    make_harmless(line);
    snprintf(client->name, sizeof client->name, "%s", *line ? line : "somebody");
    return 0;
}

ASYNC(chats, asyncio_stream *, stream, struct room *, room)
{
    struct client client = {.stream = stream};
    int err = ask_name(&client);
    if (err)
        return err == ASYNCIO_EINCOMPLETE ? 0 : err; /* it left before it had a name */
    err = asyncio_queue_init(&client.queue, sizeof(struct message *), QUEUE_MAX);
    if (err)
        return err;
    ASYNCIO_TASK_GROUP(client.group, err) {
        asyncio_task_group_create_task(&client.group, sends(&client));
        enter(room, &client);
        err = listen_to(room, &client);
        leave(room, &client);
        asyncio_queue_shutdown(&client.queue, false);
    }
    struct message *message;
    while (asyncio_queue_get_nowait(&client.queue, &message) == 0)
        unref(message);
    asyncio_queue_destroy(&client.queue);
    return err;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    return chats(stream, arg);
}

/* ---- The server ------------------------------------------------------------------------------ */

ASYNC(async_main, int, port)
{
    struct room room = {NULL};
    asyncio_server_options options = {.max_connections = CLIENTS_MAX};
    asyncio_server *server;
    int err = asyncio_start_server(handler, &room, "localhost", port, &options, &server);
    if (err)
        return err;
    printf("listening on port %d\n", asyncio_server_port(server));
    fflush(stdout);
    err = asyncio_server_wait_closed(server, ASYNCIO_FOREVER); /* until Ctrl-C */
    tell(&room, NULL, "* good night\n");
    asyncio_server_close(server);
    asyncio_server_close_clients(server);
    asyncio_server_wait_closed(server, GRACE_S); /* the room is empty before it goes */
    asyncio_server_release(server);
    return err;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc > 1 ? atoi(argv[1]) : 8008));
}
