/*
 * A small HTTP/1.1 server: one page, kept-alive and pipelined connections, limits and
 * timeouts. The parsing is done by http_parser (Debian: libhttp-parser-dev).
 *
 * A client is parked between its requests: it has no task then, and nothing of it needs to be
 * kept, since the parser begins anew. A request that has come in part keeps its task and its
 * parser, since its time limit is its own.
 *
 *     13_http_server [PORT [SECONDS]]
 *
 * SECONDS: for a request. Try it: curl -v localhost:PORT
 */
#include <asyncio.h>
#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IDLE_S 30.0 /* without a request */
#define LINGER_S 2.0
#define GRACE_S 2.0
#define CLIENTS_MAX 10000
#define TARGET_BYTES 256
#define HEAD_BYTES_MAX 8192
#define FIELDS_MAX 64
#define FIELD_BYTES 32 /* of those that are looked at */
#define BODY_BYTES_MAX 65536
#define READ_BYTES 2048
#define OUT_BYTES 2048

/* For a whole request, from its first byte to its answer: a client may not send it drop by drop. */
static double request_s = 20;

static const char page[] = "Hello, world!\n";

/* A field of the head, or its value. The length counts the bytes that found no room, too. */
struct text {
    char bytes[FIELD_BYTES];
    size_t length;
};

/* A client, for as long as it has a task. Its answers go out together, when all the bytes that were read are
 * parsed. */
struct connection {
    http_parser parser;
    double until;      /* by then the request must have come */
    bool has_answered; /* a request, since it has a task */
    bool is_midway;
    const char *refusal; /* of the request, in place of "400 Bad Request" */
    char target[TARGET_BYTES];
    size_t target_length, head_length, body_length;
    struct text field, value;
    bool has_value; /* of the field */
    unsigned fields, hosts, codings;
    bool is_last;
    char *out;
    size_t out_length;
    asyncio_stream *stream;
};

/* ---- Answers ------------------------------------------------------------------------------ */

static int flush(struct connection *connection)
{
    int err = asyncio_stream_write(connection->stream, connection->out, connection->out_length);
    connection->out_length = 0;
    return err;
}

static int answer(struct connection *connection, const char *status, const char *body, bool is_last)
{
    const size_t most = 512;
    int err = connection->out_length + most > OUT_BYTES ? flush(connection) : 0;
    if (err)
        return err;
    bool is_head = connection->parser.method == HTTP_HEAD;
    int n = snprintf(connection->out + connection->out_length, most,
                     "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                     strlen(body), is_last ? "Connection: close\r\n" : "", is_head ? "" : body);
    if (n < 0 || (size_t)n >= most)
        return -EMSGSIZE;
    connection->out_length += (size_t)n;
    connection->is_last = connection->is_last || is_last;
    return 0;
}

/* ---- What the parser finds ------------------------------------------------------------------ */

/* The parser then stops, and the client is told. */
static int refuse(struct connection *connection, const char *status)
{
    connection->refusal = status;
    return -1;
}

static int on_begin(http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->target_length = connection->head_length = connection->body_length = 0;
    connection->field.length = connection->value.length = 0;
    connection->has_value = false;
    connection->fields = connection->hosts = connection->codings = 0;
    connection->is_midway = true;
    connection->until = asyncio_time() + request_s;
    return 0;
}

static int count_head(struct connection *connection, size_t n)
{
    connection->head_length += n;
    return connection->head_length > HEAD_BYTES_MAX
               ? refuse(connection, "431 Request Header Fields Too Large")
               : 0;
}

static int on_target(http_parser *parser, const char *part, size_t n)
{
    struct connection *connection = parser->data;
    if (connection->target_length + n >= TARGET_BYTES)
        return refuse(connection, "414 URI Too Long");
    memcpy(connection->target + connection->target_length, part, n);
    connection->target_length += n;
    connection->target[connection->target_length] = '\0';
    return 0;
}

static void append(struct text *text, const char *part, size_t n)
{
    if (text->length + n <= FIELD_BYTES)
        memcpy(text->bytes + text->length, part, n);
    text->length += n;
}

static bool is_text(const struct text *text, const char *word)
{
    return text->length == strlen(word) && strncasecmp(text->bytes, word, text->length) == 0;
}

/* A field and its value are complete. If two programs read the same bytes as different requests, an attacker
 * can smuggle one past the first. So the server refuses a field that it does not understand. */
static int end_field(struct connection *connection)
{
    bool is_coding = is_text(&connection->field, "transfer-encoding");
    connection->hosts += is_text(&connection->field, "host");
    connection->codings += is_coding;
    if (is_coding && !is_text(&connection->value, "chunked"))
        return refuse(connection, "501 Not Implemented");
    connection->field.length = connection->value.length = 0;
    connection->has_value = false;
    return ++connection->fields > FIELDS_MAX ? refuse(connection, "431 Request Header Fields Too Large") : 0;
}

/* These two come in any number of pieces. The parser lets a space in a field's name pass. */
static int on_field(http_parser *parser, const char *part, size_t n)
{
    struct connection *connection = parser->data;
    if (memchr(part, ' ', n) || (connection->has_value && end_field(connection)))
        return -1;
    append(&connection->field, part, n);
    return count_head(connection, n);
}

static int on_value(http_parser *parser, const char *part, size_t n)
{
    struct connection *connection = parser->data;
    connection->has_value = true; /* which may be empty */
    append(&connection->value, part, n);
    return count_head(connection, n);
}

/* The parser itself refuses both CONTENT-LENGTH and TRANSFER-ENCODING, or two lengths. */
static int on_head(http_parser *parser)
{
    struct connection *connection = parser->data;
    bool is_old = parser->http_major == 1 && parser->http_minor == 0;
    if (connection->has_value && end_field(connection))
        return -1;
    if (!is_old && (parser->http_major != 1 || parser->http_minor != 1))
        return refuse(connection, "505 HTTP Version Not Supported");
    if (connection->hosts > 1 || (!is_old && !connection->hosts))
        return -1;
    return connection->codings > 1 || (is_old && connection->codings) ? -1 : 0;
}

static int on_body(http_parser *parser, const char *part, size_t n)
{
    struct connection *connection = parser->data;
    (void)part;
    connection->body_length += n;
    return connection->body_length > BODY_BYTES_MAX ? refuse(connection, "413 Content Too Large") : 0;
}

static int on_complete(http_parser *parser)
{
    struct connection *connection = parser->data;
    bool is_last = !http_should_keep_alive(parser);
    connection->is_midway = false;
    connection->has_answered = true;
    if (is_last)
        http_parser_pause(parser, 1);
    if (parser->method != HTTP_GET && parser->method != HTTP_HEAD)
        return answer(connection, "405 Method Not Allowed", "not here\n", is_last);
    if (strcmp(connection->target, "/") != 0)
        return answer(connection, "404 Not Found", "no such page\n", is_last);
    return answer(connection, "200 OK", page, is_last);
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_url = on_target,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* ---- A client -------------------------------------------------------------------------------- */

/* 0: go on. */
static int handle(struct connection *connection, const char *data, size_t n)
{
    http_parser *parser = &connection->parser;
    size_t parsed = http_parser_execute(parser, &settings, data, n);
    if (!connection->is_last && (HTTP_PARSER_ERRNO(parser) != HPE_OK || parsed != n || parser->upgrade))
        answer(connection, connection->refusal ? connection->refusal : "400 Bad Request", "what was that?\n",
               true);
    return connection->out_length ? flush(connection) : 0;
}

/* Closing while the client still sends resets the connection, and may lose the answer. So the server first
 * drops what comes, for a while. */
static void linger(asyncio_stream *stream)
{
    char buf[READ_BYTES];
    ssize_t n = asyncio_stream_write_eof(stream);
    ASYNCIO_TIMEOUT(n, LINGER_S) {
        do
            n = asyncio_stream_read(stream, buf, sizeof buf);
        while (n > 0);
    }
}

static int tell_of_timeout(struct connection *connection)
{
    int err;
    ASYNCIO_TIMEOUT(err, LINGER_S) {
        err = answer(connection, "408 Request Timeout", "too slow\n", true);
        if (!err)
            err = flush(connection);
    }
    return err;
}

/* Reads requests and answers them within the time limit. Returns 0 or an error. */
static int go_on(struct connection *connection)
{
    char buf[READ_BYTES];
    double left = connection->until - asyncio_time();
    ssize_t n;
    ASYNCIO_TIMEOUT(n, left > 0 ? left : 0) {
        n = asyncio_stream_read(connection->stream, buf, sizeof buf);
        if (n > 0)
            n = handle(connection, buf, (size_t)n);
        else
            connection->is_last = true;
    }
    if (n != -ETIMEDOUT)
        return (int)n;
    connection->is_last = true;
    return connection->is_midway ? tell_of_timeout(connection) : 0;
}

/* Called anew for each request that finds the client parked. */
ASYNC(serve, asyncio_stream *, stream)
{
    char out[OUT_BYTES];
    struct connection connection = {.stream = stream, .out = out, .until = asyncio_time() + IDLE_S};
    http_parser_init(&connection.parser, HTTP_REQUEST);
    connection.parser.data = &connection;
    while (!connection.is_last) {
        int err = go_on(&connection);
        if (err)
            return err;
        if (connection.has_answered && !connection.is_midway && !connection.is_last)
            return ASYNCIO_PARK;
    }
    linger(stream);
    return 0;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

ASYNC(async_main, int, port)
{
    asyncio_server_options options = {
        .backlog = 1024, .max_connections = CLIENTS_MAX, .park_timeout = IDLE_S};
    asyncio_server *server;
    int err = asyncio_start_server(handler, NULL, "localhost", port, &options, &server);
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
    request_s = argc > 2 ? atof(argv[2]) : request_s;
    return asyncio_main(async_main(argc > 1 ? atoi(argv[1]) : 8080));
}
