/*
 * Simulated Unix sockets: streams, which are connections within a host (pipe.c, stream.c). unix_names.c has
 * their names.
 */
#include "sim/unix.h"
#include <errno.h>

static int listen_unix(struct sim_socket *socket, int backlog)
{
    if (!socket->name || (socket->state != SIM_FRESH && socket->state != SIM_LISTENING))
        return -EINVAL;
    socket->backlog = backlog < 0 || backlog > SOMAXCONN ? SOMAXCONN : (size_t)backlog;
    socket->state = SIM_LISTENING;
    return 0;
}

static void join_ends(struct sim_socket *socket, struct sim_socket *client)
{
    struct sim_connection *connection = asy_sim_connection_new(socket->life->host, socket->life->host);
    struct sim_socket *ends[2] = {socket, client};
    for (unsigned side = 0; side < 2; side++) {
        connection->ends[side] = ends[side];
        ends[side]->connection = connection;
        ends[side]->side = side;
        ends[side]->state = SIM_OPEN;
    }
}

static int connect_unix(struct sim_socket *socket, const struct sockaddr *to, socklen_t length)
{
    struct sim_socket *listener = NULL;
    int err = asy_sim_unix_find(socket, to, length, &listener);
    if (!err && listener->state != SIM_LISTENING)
        err = -ECONNREFUSED;
    if (!err && listener->client_count > listener->backlog)
        err = -EAGAIN;
    if (!err && socket->state != SIM_FRESH) /* as on Linux, the peer is looked at first */
        err = socket->state == SIM_LISTENING ? -EINVAL : -EISCONN;
    if (err)
        return err;
    struct sim_socket *client =
        asy_sim_socket_new(socket->kind, listener->life, listener->family, listener->type);
    asy_sim_unix_copy_name(client, listener);
    client->listener = listener;
    listener->client_count++;
    list_append(&listener->clients, &client->waiting);
    join_ends(socket, client);
    asy_sim_socket_woke(socket, EPOLLOUT);
    asy_sim_socket_woke(listener, EPOLLIN);
    return 0;
}

/* The peer hears of it at once, and can neither send nor receive any more but what is there. */
static void close_end(struct sim_socket *socket, bool was_accepted)
{
    struct sim_connection *connection = socket->connection;
    if (!connection)
        return;
    struct sim_socket *peer = connection->ends[!socket->side];
    bool has_unread = !was_accepted || asy_sim_pipe_in(socket)->unread > 0;
    connection->ends[socket->side] = NULL;
    socket->connection = NULL;
    if (peer) {
        peer->got_end = peer->sent_end = true;
        if (has_unread)
            peer->error = ECONNRESET;
        asy_sim_socket_woke(peer, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | (has_unread ? EPOLLERR : 0));
    }
    asy_sim_connection_settle(connection);
}

static void close_unix_stream(struct sim_socket *socket)
{
    asy_sim_unix_unbind(socket);
    while (!list_is_empty(&socket->clients)) {
        struct sim_socket *client = LIST_ENTRY(socket->clients.next, struct sim_socket, waiting);
        asy_sim_stream_unlist(client);
        asy_sim_unix_unbind(client);
        close_end(client, /* was_accepted= */ false);
        asy_sim_socket_free(client);
    }
    close_end(socket, /* was_accepted= */ true);
}

/* Both ends are of one host. */
static void vanish_unix_stream(struct sim_socket *socket)
{
    if (socket->name)
        asy_sim_unix_forget_name(socket->name);
    close_unix_stream(socket);
    if (socket->state != SIM_LISTENING)
        socket->state = SIM_BROKEN;
}

static int peer_of_unix_stream(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    if (!socket->connection)
        return -ENOTCONN;
    const struct sim_socket *peer = socket->connection->ends[!socket->side];
    asy_sim_unix_write_name(peer ? peer->name : NULL, name, length);
    return 0;
}

void asy_sim_unix_join(struct sim_socket *one, struct sim_socket *other)
{
    if (one->kind == &asy_sim_unix_stream) {
        join_ends(one, other);
    } else {
        asy_sim_unix_point_at(one, other);
        asy_sim_unix_point_at(other, one);
    }
}

const struct sim_kind asy_sim_unix_stream = {
    .name = "unix",
    .bind = asy_sim_unix_bind,
    .connect = connect_unix,
    .listen = listen_unix,
    .first = asy_sim_stream_first,
    .shutdown = asy_sim_stream_shutdown,
    .receive = asy_sim_stream_receive,
    .send = asy_sim_stream_send,
    .name_of = asy_sim_unix_name_of,
    .peer_of = peer_of_unix_stream,
    .events = asy_sim_stream_events,
    .untaken = asy_sim_stream_untaken,
    .describe = asy_sim_unix_describe,
    .close = close_unix_stream,
    .vanish = vanish_unix_stream,
};
