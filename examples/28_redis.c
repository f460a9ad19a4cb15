/*
 * Redis over our own streams: hiredis writes the commands and parses the answers, and opens
 * no socket. After a lost connection the program reconnects, with growing pauses between the
 * attempts.
 *
 *     28_redis HOST PORT SECONDS                 commands from stdin, one a line
 *     28_redis HOST PORT SECONDS CHANNEL ...     what is published there, until Ctrl-C
 *
 * Each command is a task of its own, and all share one connection: they are sent without waiting for the
 * answers to those before. SECONDS is how long one waits for its answer, a connection included.
 */
#include <asyncio.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define READ_BYTES 16384
#define CONNECT_S 5.0
#define PAUSE_MIN_S 0.1
#define PAUSE_MAX_S 10.0
#define COMMANDS_MAX 1000 /* under way */
#define WORDS_MAX 100

/* ---- A connection ------------------------------------------------------------------------------ */

struct connection {
    asyncio_stream *stream;
    redisReader *reader;
    bool was_useful; /* the server has given an answer, and not just an error */
};

/* Without this nobody would notice that a server has lost its power or its network: it sends nothing. */
static void find_dead_peers(int fd)
{
    const int on = 1, idle_s = 15, interval_s = 5, probes = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* A program that needs AUTH or SELECT sends it here. */
static int open_connection(struct connection *connection, const asyncio_address *server)
{
    int err;
    *connection = (struct connection){.reader = redisReaderCreate()};
    if (!connection->reader)
        return (int)asyncio_raise(-ENOMEM, "no memory for a connection");
    ASYNCIO_TIMEOUT(err, CONNECT_S)
    {
        err = asyncio_open_connection(server->host, server->port, NULL, &connection->stream);
    }
    if (err == -ETIMEDOUT)
        asyncio_raise(err, "no connection within %g s", CONNECT_S);
    if (err)
        redisReaderFree(connection->reader);
    else
        find_dead_peers(asyncio_stream_fd(connection->stream));
    return err;
}

static void close_connection(struct connection *connection)
{
    asyncio_stream_abort(connection->stream);
    redisReaderFree(connection->reader);
}

static int lost(ssize_t err)
{
    if (err == -ECANCELED)
        return (int)err;
    if (err == 0)
        return (int)asyncio_raise(-ECONNRESET, "the server has closed the connection");
    return (int)asyncio_raise(err, "the connection is lost: %s", asyncio_strerror(err));
}

/* Waits for the next answer; the caller frees it. */
static int receive_reply(struct connection *connection, redisReply **reply)
{
    char block[READ_BYTES];
    void *found;
    for (;;) {
        if (redisReaderGetReply(connection->reader, &found) != REDIS_OK)
            return (int)asyncio_raise(-EBADMSG, "%s", connection->reader->errstr);
        if (found)
            break;
        ssize_t n = asyncio_stream_read(connection->stream, block, sizeof block);
        if (n <= 0)
            return lost(n);
        if (redisReaderFeed(connection->reader, block, (size_t)n) != REDIS_OK)
            return (int)asyncio_raise(-ENOMEM, "%s", connection->reader->errstr);
    }
    *reply = found;
    if ((*reply)->type != REDIS_REPLY_ERROR)
        connection->was_useful = true;
    return 0;
}

/* ---- Again and again --------------------------------------------------------------------------- */

/* Between half of it and all of it, so that a thousand clients do not come back in the same moment. */
static double spread(double pause)
{
    unsigned number = 0;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0)
        return pause;
    return pause * (0.5 + number % 1024 / 2048.0);
}

/* Calls `use` with a connection. It returns when the connection is lost, and is called again with a new one,
 * until the task is cancelled. The pauses also grow while a server takes connections and answers nothing. */
static int keep_connected(const asyncio_address *server, int (*use)(struct connection *, void *), void *arg)
{
    double pause = PAUSE_MIN_S;
    for (;;) {
        struct connection connection;
        int err = open_connection(&connection, server);
        if (!err) {
            err = use(&connection, arg);
            close_connection(&connection);
            if (connection.was_useful)
                pause = PAUSE_MIN_S;
        }
        if (err == -ECANCELED)
            return err;
        double seconds = spread(pause);
        fprintf(stderr, "%s; again in %.2f s\n", asyncio_error_message(), seconds);
        err = asyncio_sleep(seconds);
        if (err)
            return err;
        pause = pause * 2 < PAUSE_MAX_S ? pause * 2 : PAUSE_MAX_S;
    }
}

/* ---- Requests of many tasks -------------------------------------------------------------------- */

/* A request that was sent. Answers come in the order of the requests. So a request keeps its place until its
 * answer is there, even if its task has given up meanwhile; giving up cancels the future. */
struct request {
    struct request *next;
    asyncio_future *answer; /* a redisReply */
};

struct client {
    struct connection *connection; /* NULL: there is none at the moment */
    asyncio_event is_connected;
    asyncio_lock sending; /* keeps requests in the order in which the tasks came */
    struct request *first, **end;
};

static struct request *make_request(void)
{
    struct request *request = calloc(1, sizeof *request);
    if (request)
        request->answer = asyncio_future_new();
    if (request && !request->answer) {
        free(request);
        return NULL;
    }
    return request;
}

static void free_request(struct request *request)
{
    asyncio_release(request->answer);
    free(request);
}

static void append_request(struct client *client, struct request *request)
{
    *client->end = request;
    client->end = &request->next;
}

/* The oldest request; NULL if there is none. */
static struct request *take_request(struct client *client)
{
    struct request *request = client->first;
    if (request)
        client->first = request->next;
    if (!client->first)
        client->end = &client->first;
    return request;
}

/* Waits for a connection if there is none. A write that has accepted the command waits no more, so that the
 * request is in the queue before its answer can be there. */
static int send_request(struct client *client, struct request *request, const char *command, size_t length)
{
    int err = 0;
    while (!err && !client->connection)
        err = asyncio_event_wait(&client->is_connected);
    if (!err)
        err = asyncio_stream_write(client->connection->stream, command, length);
    if (!err)
        append_request(client, request);
    return err ? lost(err) : 0;
}

/* Sends a command, with others of other tasks before and behind it, and waits for the answer, which the
 * caller frees. A command whose connection was lost is not sent again: the server may have carried it out. */
static int ask(struct client *client, const char *command, size_t length, redisReply **reply)
{
    struct request *request = make_request();
    if (!request)
        return (int)asyncio_raise(-ENOMEM, "no memory for a request");
    int err = asyncio_lock_acquire(&client->sending);
    if (!err) {
        err = send_request(client, request, command, length);
        asyncio_lock_release(&client->sending);
    }
    if (err) {
        free_request(request);
        return err;
    }
    intptr_t result = asyncio_await(asyncio_ref(request->answer));
    if (result == -ECANCELED)
        return (int)result;
    if (result < 0)
        return (int)asyncio_raise(result, "the connection was lost before the answer came");
    *reply = (redisReply *)result;
    return 0;
}

/* For keep_connected: gives each answer to its request. */
static int answer_requests(struct connection *connection, void *arg)
{
    struct client *client = arg;
    struct request *request;
    redisReply *reply;
    client->connection = connection;
    asyncio_event_set(&client->is_connected);
    int err = 0;
    while (!err && (err = receive_reply(connection, &reply)) == 0) {
        request = take_request(client);
        if (!request)
            err = (int)asyncio_raise(-EBADMSG, "an answer that nobody has asked for");
        if (!request || asyncio_future_set_result(request->answer, (intptr_t)reply))
            freeReplyObject(reply);
        if (request)
            free_request(request);
    }
    client->connection = NULL;
    asyncio_event_clear(&client->is_connected);
    while ((request = take_request(client))) {
        asyncio_future_set_error(request->answer, err);
        free_request(request);
    }
    return err;
}

/* ---- What is shown ----------------------------------------------------------------------------- */

/* A value may hold anything, but not move the cursor. */
static void print_text(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            printf("\\x%02x", (unsigned char)text[i]);
        else
            putchar(text[i]);
}

static void print_reply(const redisReply *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        printf("%lld", reply->integer);
        break;
    case REDIS_REPLY_NIL:
        fputs("(nil)", stdout);
        break;
    case REDIS_REPLY_ARRAY:
        putchar('[');
        for (size_t i = 0; i < reply->elements; i++) {
            if (i)
                fputs(", ", stdout);
            print_reply(reply->element[i]);
        }
        putchar(']');
        break;
    default: /* a string, a status, or an error */
        print_text(reply->str, reply->len);
        break;
    }
}

/* ---- Commands ---------------------------------------------------------------------------------- */

struct session {
    asyncio_address server;
    double seconds;
    struct client client;
    asyncio_semaphore places;
    int failures;
};

static void print_answer(struct session *session, int number, int err, const redisReply *reply)
{
    printf("%d: ", number);
    if (err == -ETIMEDOUT)
        printf("no answer within %g s", session->seconds);
    else if (err)
        fputs(asyncio_error_message(), stdout);
    else
        print_reply(reply);
    putchar('\n');
    session->failures += err || reply->type == REDIS_REPLY_ERROR;
}

/* Takes `command` over. */
ASYNC(run_command, struct session *, session, int, number, char *, command, size_t, length)
{
    redisReply *reply = NULL;
    int err;
    ASYNCIO_TIMEOUT(err, session->seconds)
    {
        err = ask(&session->client, command, length, &reply);
    }
    redisFreeCommand(command);
    asyncio_semaphore_release(&session->places);
    if (err == -ECANCELED)
        return err;
    print_answer(session, number, err, reply);
    freeReplyObject(reply);
    return 0;
}

/* Makes a command of a line's words; redisFreeCommand frees it. Returns its length, or 0 for an empty line.
 * A value with spaces in it needs redisFormatCommand and "%b". */
static long long format_line(char *line, char **command)
{
    const char *words[WORDS_MAX];
    char *rest = line, *word;
    int count = 0;
    while ((word = strtok_r(rest, " \t\r\n", &rest))) {
        if (count == WORDS_MAX)
            return asyncio_raise(-E2BIG, "a line of more than %d words", WORDS_MAX);
        words[count++] = word;
    }
    if (!count)
        return 0;
    long long length = redisFormatCommandArgv(command, count, words, NULL);
    return length < 0 ? asyncio_raise(-ENOMEM, "no memory for a command") : length;
}

/* Starts a task for each line, until the end of the input. */
static int start_commands(struct session *session, asyncio_stream *in, asyncio_task_group *group)
{
    int number = 0;
    char *line, *command;
    for (;;) {
        ssize_t n = asyncio_stream_readline(in, &line);
        long long length = n > 0 ? format_line(line, &command) : n;
        if (n <= 0 || length < 0)
            return (int)length;
        if (length == 0)
            continue;
        int err = asyncio_semaphore_acquire(&session->places);
        if (err) {
            redisFreeCommand(command);
            return err;
        }
        asyncio_task_group_create_task(group, run_command(session, ++number, command, (size_t)length));
    }
}

static int run_commands(struct session *session, asyncio_stream *in)
{
    asyncio_task_group group;
    int err;
    ASYNCIO_TASK_GROUP(group, err)
    {
        err = start_commands(session, in, &group);
    }
    return err;
}

ASYNC(keep_client, struct session *, session)
{
    return keep_connected(&session->server, answer_requests, &session->client);
}

ASYNC(ask_all, struct session *, session)
{
    asyncio_task_group group;
    asyncio_stream *in;
    int err = asyncio_open_pipe(STDIN_FILENO, NULL, &in);
    if (err)
        return asyncio_raise(err, "stdin is needed: %s", asyncio_strerror(err));
    ASYNCIO_TASK_GROUP(group, err)
    {
        asyncio_task_group_create_task(&group, keep_client(session));
        err = run_commands(session, in);
        asyncio_task_group_cancel(&group);
    }
    asyncio_stream_close(in);
    if (!err && session->failures)
        err = (int)asyncio_raise(-EIO, "%d failed", session->failures);
    return err;
}

/* ---- Channels ---------------------------------------------------------------------------------- */

static int subscribe(asyncio_stream *stream, const char *channel)
{
    char *command;
    long long length = redisFormatCommand(&command, "SUBSCRIBE %s", channel);
    if (length < 0)
        return (int)asyncio_raise(-ENOMEM, "no memory for a command");
    int err = asyncio_stream_write(stream, command, (size_t)length);
    redisFreeCommand(command);
    return err ? lost(err) : 0;
}

/* An array of three: the kind of event, the channel, and the message. */
static int print_message(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return (int)asyncio_raise(-EACCES, "%s", reply->str);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return (int)asyncio_raise(-EBADMSG, "not a message");
    print_reply(reply->element[1]);
    fputs(": ", stdout);
    if (reply->element[2]->type == REDIS_REPLY_INTEGER)
        fputs("subscribed", stdout);
    else
        print_reply(reply->element[2]);
    putchar('\n');
    return 0;
}

/* For keep_connected. Redis keeps no messages: those that are published between two connections are lost. */
static int print_messages(struct connection *connection, void *arg)
{
    char **channels = arg;
    int err = 0;
    while (!err && *channels)
        err = subscribe(connection->stream, *channels++);
    redisReply *reply;
    while (!err && (err = receive_reply(connection, &reply)) == 0) {
        err = print_message(reply);
        freeReplyObject(reply);
    }
    return err;
}

ASYNC(listen_to, struct session *, session, char **, channels)
{
    return keep_connected(&session->server, print_messages, channels);
}

int main(int argc, char *argv[])
{
    struct session session = {
        .client = {.is_connected = ASYNCIO_EVENT_INIT,
                   .sending = ASYNCIO_LOCK_INIT,
                   .end = &session.client.first},
        .places = ASYNCIO_SEMAPHORE_INIT(COMMANDS_MAX),
    };
    if (argc >= 4) {
        session.server = (asyncio_address){argv[1], atoi(argv[2])};
        session.seconds = atof(argv[3]);
    }
    if (!(session.seconds > 0) || session.server.port < 1 || session.server.port > 65535) {
        fprintf(stderr, "usage: %s HOST PORT SECONDS [CHANNEL ...]\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    return asyncio_main(argc > 4 ? listen_to(&session, argv + 4) : ask_all(&session));
}
