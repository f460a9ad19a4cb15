/*
 * libuv's side of `echo`. It reads into one buffer, as the yardstick does, and sends at once what fits;
 * only the rest is copied and queued, and nothing more is read until it is gone.
 */
#include "../../echo.h"

#include <uv.h>

struct connection {
    uv_tcp_t tcp;
    uv_write_t write;
    char *rest;
};

static char block[ECHO_BYTES_MAX];
static size_t room, open_connections;

static void closed(uv_handle_t *handle)
{
    uv_loop_t *loop = handle->loop;
    free(handle->data);
    if (--open_connections == 0)
        uv_stop(loop);
}

static void end(struct connection *connection)
{
    if (!uv_is_closing((uv_handle_t *)&connection->tcp))
        uv_close((uv_handle_t *)&connection->tcp, closed);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle, (void)suggested;
    *buf = uv_buf_init(block, (unsigned)room);
}

static void got(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void written(uv_write_t *write, int status)
{
    struct connection *connection = write->handle->data;
    free(connection->rest);
    connection->rest = NULL;
    if (status < 0 || uv_read_start((uv_stream_t *)&connection->tcp, give_room, got) < 0)
        end(connection);
}

static void got(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *connection = stream->data;
    if (n <= 0) {
        if (n < 0)
            end(connection);
        return;
    }
    uv_buf_t all = uv_buf_init(buf->base, (unsigned)n);
    int sent = uv_try_write(stream, &all, 1);
    if (sent == n)
        return;
    if (sent < 0 && sent != UV_EAGAIN) {
        end(connection);
        return;
    }
    size_t done = sent > 0 ? (size_t)sent : 0, left = (size_t)n - done;
    connection->rest = malloc(left);
    memcpy(connection->rest, buf->base + done, left);
    uv_buf_t rest = uv_buf_init(connection->rest, (unsigned)left);
    uv_read_stop(stream);
    if (uv_write(&connection->write, stream, &rest, 1, written) < 0)
        end(connection);
}

static void accept_one(uv_stream_t *listener, int status)
{
    struct connection *connection = calloc(1, sizeof *connection);
    BENCH_CHECK(status == 0 && connection);
    uv_tcp_init(listener->loop, &connection->tcp);
    connection->tcp.data = connection;
    BENCH_CHECK(uv_accept(listener, (uv_stream_t *)&connection->tcp) == 0);
    uv_tcp_nodelay(&connection->tcp, 1);
    open_connections++;
    uv_read_start((uv_stream_t *)&connection->tcp, give_room, got);
}

static void serve_variant(uv_loop_t *loop, const char *variant)
{
    uv_tcp_t listener;
    int port, fd = echo_listen(&port);
    room = echo_room(variant);
    uv_tcp_init(loop, &listener);
    BENCH_CHECK(uv_tcp_open(&listener, fd) == 0);
    BENCH_CHECK(uv_listen((uv_stream_t *)&listener, 4096, accept_one) == 0);
    pid_t load = echo_start_load(port, variant);
    uv_run(loop, UV_RUN_DEFAULT); /* until the last of them is gone */
    echo_end_load(load);
    uv_close((uv_handle_t *)&listener, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    uv_loop_t loop;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    BENCH_CHECK(uv_loop_init(&loop) == 0);
    for (int i = 2; i < argc; i++)
        serve_variant(&loop, argv[i]);
    return uv_loop_close(&loop) != 0;
}
