/*
 * A small HTTP/1.1 server: one page, kept-alive and pipelined connections, limits and
 * timeouts. The parsing is done by http_parser (Debian: libhttp-parser-dev).
 *
 *     13_http_server [PORT]
 *
 * Try it: curl -v localhost:PORT
 */
#include <asyncio.h>
#include <errno.h>
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_S 30.0
#define LINGER_S 2.0
#define GRACE_S 2.0
#define TARGET_BYTES 256
#define BODY_BYTES_MAX 65536
#define READ_BYTES 2048

static const char page[] = "Hello, world!\n";

/* One client. Its answers are gathered, and go out when all that was read is parsed. */
struct connection {
    http_parser parser;
    char target[TARGET_BYTES];
    size_t target_length, body_length;
    bool is_last;
    char out[READ_BYTES];
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
    int err = connection->out_length + most > sizeof connection->out ? flush(connection) : 0;
    if (err)
        return err;
    bool is_head = connection->parser.method == HTTP_HEAD;
    int n = snprintf(connection->out + connection->out_length, most,
                     "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                     strlen(body), is_last ? "Connection: close\r\n" : "", is_head ? "" : body);
    connection->out_length += (size_t)n;
    connection->is_last = connection->is_last || is_last;
    return 0;
}

/* ---- What the parser finds ------------------------------------------------------------------ */

static int on_begin(http_parser *parser)
{
    struct connection *connection = parser->data;
    connection->target_length = connection->body_length = 0;
    return 0;
}

static int on_target(http_parser *parser, const char *part, size_t n)
{
    struct connection *connection = parser->data;
    if (connection->target_length + n >= TARGET_BYTES)
        return -1;
    memcpy(connection->target + connection->target_length, part, n);
    connection->target_length += n;
    connection->target[connection->target_length] = '\0';
    return 0;
}

static int on_body(http_parser *parser, const char *part, size_t n)
{
    struct connection *connection = parser->data;
    (void)part;
    connection->body_length += n;
    return connection->body_length > BODY_BYTES_MAX ? -1 : 0;
}

static int on_complete(http_parser *parser)
{
    struct connection *connection = parser->data;
    bool is_last = !http_should_keep_alive(parser);
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
        answer(connection, "400 Bad Request", "what was that?\n", true);
    return connection->out_length ? flush(connection) : 0;
}

/* Closing on a client that still sends resets the connection, and may take the answer with it:
 * what comes is dropped for a while. */
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

ASYNC(serve, asyncio_stream *, stream)
{
    struct connection connection;
    connection.stream = stream;
    connection.is_last = false;
    connection.out_length = 0;
    http_parser_init(&connection.parser, HTTP_REQUEST);
    connection.parser.data = &connection;
    while (!connection.is_last) {
        char buf[READ_BYTES];
        ssize_t n = 0;
        ASYNCIO_TIMEOUT(n, IDLE_S) {
            n = asyncio_stream_read(stream, buf, sizeof buf);
        }
        if (n <= 0)
            return n == -ETIMEDOUT ? 0 : n;
        int err = handle(&connection, buf, (size_t)n);
        if (err)
            return err;
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
    asyncio_server_options options = {.backlog = 1024};
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
    return asyncio_main(async_main(argc > 1 ? atoi(argv[1]) : 8080));
}
