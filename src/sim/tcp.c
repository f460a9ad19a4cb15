/*
 * Simulated TCP: how connections begin, and how they end. What happens to an open one is in stream.c, what
 * happens on the way in pipe.c.
 *
 *   client        FRESH -> CONNECTING -> OPEN -> BROKEN, or FAILED, and FRESH again when that was told
 *   listener      FRESH -> LISTENING
 *   its clients   OPEN from the SYN on; on `clients_coming` until the ACK, on `clients` until accepted
 *
 * A connection outlives its ends: what was sent before a close still arrives. A packet for an end that is not
 * there, or no more, is answered by a reset.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "sim/net.h"
#include <errno.h>
#include <stdio.h>

#define EVERYTHING (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP)

/* ---- Ends that go --------------------------------------------------------------------------- */

/* The socket no longer has a connection; the connection may have another end. */
static void leave_connection(struct sim_socket *socket)
{
    struct sim_connection *connection = socket->connection;
    if (!connection)
        return;
    connection->ends[socket->side] = NULL;
    socket->connection = NULL;
    asy_sim_pipe_probe(&connection->pipes[!socket->side]);
    asy_sim_connection_settle(connection);
}

void asy_sim_stream_unlist(struct sim_socket *socket)
{
    if (!socket->listener)
        return;
    list_remove(&socket->waiting);
    socket->listener->client_count--;
    socket->listener = NULL;
}

/* A client that nobody has accepted. */
static void drop_client(struct sim_socket *socket)
{
    asy_sim_stream_unlist(socket);
    leave_connection(socket);
    asy_sim_socket_free(socket);
}

static void fail_socket(struct sim_socket *socket, int error)
{
    if (socket->state == SIM_BROKEN)
        return;
    if (socket->is_coming) {
        drop_client(socket);
        return;
    }
    bool was_open = socket->state == SIM_OPEN;
    socket->error = error;
    asy_sim_ports_leave(socket);
    if (was_open) {
        asy_sim_pipe_cut(asy_sim_pipe_out(socket));
        socket->state = SIM_BROKEN;
    } else {
        socket->state = SIM_FAILED;
        leave_connection(socket);
    }
    asy_sim_socket_woke(socket, EVERYTHING);
}

void asy_sim_tcp_reset(struct sim_socket *socket)
{
    bool is_waiting = socket->state == SIM_CONNECTING, was_ended = socket->got_end && !socket->sent_end;
    fail_socket(socket, is_waiting ? ECONNREFUSED : was_ended ? EPIPE : ECONNRESET);
}

void asy_sim_tcp_break(struct sim_connection *connection)
{
    struct sim_socket *ends[2] = {connection->ends[0], connection->ends[1]};
    asy_sim_pipe_cut(&connection->pipes[0]);
    asy_sim_pipe_cut(&connection->pipes[1]);
    for (unsigned side = 0; side < 2; side++)
        if (ends[side])
            fail_socket(ends[side], ECONNRESET);
}

/* ---- Listeners ----------------------------------------------------------------------------------- */

/* The listener for an address: the one that names it, before one for any. Among equals they take turns. */
static struct sim_socket *find_listener(struct sim_life *life, const struct sim_place *place, uint64_t turn)
{
    struct list *head = asy_sim_ports_at(life, SIM_TCP, place->port);
    struct sim_socket *found[16];
    int best = 0;
    size_t count = 0;
    if (!head)
        return NULL;
    LIST_EACH(node, head) {
        struct sim_socket *socket = LIST_ENTRY(node, struct sim_socket, bound);
        int fit = socket->state == SIM_LISTENING ? asy_sim_place_fits(socket, &place->ip) : 0;
        if (fit > best)
            count = 0;
        if (!fit || fit < best)
            continue;
        best = fit;
        if (count < sizeof found / sizeof *found)
            found[count++] = socket;
    }
    return count ? found[turn % count] : NULL;
}

static struct sim_socket *make_embryo(struct sim_socket *listener, struct sim_connection *connection)
{
    struct sim_socket *client =
        asy_sim_socket_new(listener->kind, listener->life, listener->family, listener->type);
    client->state = SIM_OPEN;
    client->connection = connection;
    client->side = 1;
    client->here = connection->places[1];
    client->there = connection->places[0];
    client->has_peer = true;
    asy_sim_options_inherit(client, listener);
    asy_sim_ports_join(client);
    client->listener = listener;
    connection->ends[1] = client;
    listener->client_count++;
    return client;
}

/* False: there is no room for it now. */
static bool take_syn(struct sim_connection *connection)
{
    struct sim_life *life = connection->hosts[1]->life;
    struct sim_socket *listener =
        life->is_over ? NULL : find_listener(life, &connection->places[1], connection->number);
    if (!listener) {
        asy_sim_pipe_signal(&connection->pipes[1], CHUNK_RESET);
        return true;
    }
    if (listener->client_count > listener->backlog)
        return false;
    struct sim_socket *client = make_embryo(listener, connection);
    client->is_coming = true;
    list_append(&listener->clients_coming, &client->waiting);
    asy_sim_pipe_signal(&connection->pipes[1], CHUNK_SYN_ACK);
    return true;
}

static void take_ack(struct sim_socket *client)
{
    struct sim_socket *listener = client->listener;
    client->is_coming = false;
    list_remove(&client->waiting);
    list_append(&listener->clients, &client->waiting);
    asy_sim_socket_woke(listener, EPOLLIN);
}

static void drop_clients(struct sim_socket *listener, bool in_silence)
{
    list_splice(&listener->clients, &listener->clients_coming);
    while (!list_is_empty(&listener->clients)) {
        struct sim_socket *client = LIST_ENTRY(listener->clients.next, struct sim_socket, waiting);
        struct sim_connection *connection = client->connection;
        bool can_tell = !in_silence && connection && connection->ends[0] && client->state == SIM_OPEN;
        if (can_tell)
            asy_sim_pipe_signal(asy_sim_pipe_out(client), CHUNK_RESET);
        drop_client(client);
    }
}

void asy_sim_tcp_stop_listening(struct sim_socket *listener)
{
    drop_clients(listener, /* in_silence= */ false);
    listener->state = SIM_FRESH;
    asy_sim_socket_woke(listener, EVERYTHING);
}

/* ---- Arrivals ---------------------------------------------------------------------------------------- */

static void take_syn_ack(struct sim_pipe *pipe, struct sim_socket *to)
{
    struct sim_pipe *back = &pipe->connection->pipes[!pipe->from];
    if (!to || to->state != SIM_CONNECTING) {
        asy_sim_pipe_signal(back, CHUNK_RESET);
        return;
    }
    to->state = SIM_OPEN;
    asy_sim_socket_woke(to, EPOLLOUT);
    asy_sim_pipe_signal(back, CHUNK_ACK);
}

static void take_credit(struct sim_socket *to, size_t bytes)
{
    struct sim_pipe *out = asy_sim_pipe_out(to);
    ASY_ASSERT(out->used >= bytes);
    out->used -= bytes;
    asy_sim_pipe_look_for_room(out);
}

/* For an end that is there. */
static void take_chunk(struct sim_pipe *pipe, const struct sim_chunk *chunk, struct sim_socket *to)
{
    switch ((enum sim_chunk_kind)chunk->kind) {
    case CHUNK_ACK:
        if (to->is_coming)
            take_ack(to);
        break;
    case CHUNK_DATA:
        asy_sim_socket_woke(to, EPOLLIN);
        break;
    case CHUNK_END:
        to->got_end = true;
        asy_sim_socket_woke(to, EPOLLIN | EPOLLRDHUP | (to->sent_end ? EPOLLHUP : 0));
        break;
    case CHUNK_RESET:
        asy_sim_tcp_reset(to);
        break;
    case CHUNK_CREDIT:
        take_credit(to, chunk->bytes);
        break;
    case CHUNK_SYN:
    case CHUNK_SYN_ACK:
        take_syn_ack(pipe, to);
        break;
    }
}

bool asy_sim_tcp_arrived(struct sim_pipe *pipe, const struct sim_chunk *chunk)
{
    struct sim_connection *connection = pipe->connection;
    struct sim_socket *to = connection->ends[!pipe->from];
    if (to && chunk->kind == CHUNK_DATA && asy_sim_is_deaf(to))
        asy_sim_tcp_reset(to);
    if (to && to->state == SIM_BROKEN)
        to = NULL;
    if (chunk->kind == CHUNK_SYN)
        return take_syn(connection);
    bool is_answered = chunk->kind == CHUNK_SYN_ACK || chunk->kind == CHUNK_ACK || chunk->kind == CHUNK_DATA;
    if (to)
        take_chunk(pipe, chunk, to);
    else if (is_answered && connection->ends[pipe->from])
        asy_sim_pipe_signal(&connection->pipes[!pipe->from], CHUNK_RESET);
    return true;
}

void asy_sim_tcp_given_up(struct sim_pipe *pipe, const struct sim_chunk *chunk)
{
    struct sim_connection *connection = pipe->connection;
    struct sim_socket *from = connection->ends[pipe->from], *to = connection->ends[!pipe->from];
    bool is_waited_for = chunk->kind == CHUNK_SYN_ACK || chunk->kind == CHUNK_CREDIT;
    asy_sim_pipe_cut(pipe);
    if (from)
        fail_socket(from, ETIMEDOUT);
    if (to && (is_waited_for || to->is_coming || to->wants_room))
        fail_socket(to, ETIMEDOUT);
}

void asy_sim_tcp_refused(struct sim_pipe *pipe, const struct sim_chunk *chunk)
{
    struct sim_connection *connection = pipe->connection;
    struct sim_socket *from = connection->ends[pipe->from], *to = connection->ends[!pipe->from];
    bool is_waited_for = chunk->kind == CHUNK_SYN_ACK || chunk->kind == CHUNK_CREDIT;
    asy_sim_pipe_cut(pipe);
    if (from)
        asy_sim_tcp_reset(from);
    if (to && (is_waited_for || to->wants_room))
        asy_sim_tcp_reset(to);
}

/* ---- Calls ------------------------------------------------------------------------------------------ */

static int bind_tcp(struct sim_socket *socket, const struct sockaddr *to, socklen_t length)
{
    bool is_closed = socket->state == SIM_FRESH || socket->state == SIM_FAILED || socket->state == SIM_BROKEN;
    return is_closed ? asy_sim_ports_bind(socket, SIM_TCP, to, length) : -EINVAL;
}

static int listen_tcp(struct sim_socket *socket, int backlog)
{
    if (socket->state != SIM_FRESH && socket->state != SIM_LISTENING)
        return -EINVAL;
    int err = socket->is_bound ? 0 : asy_sim_ports_autobind(socket, SIM_TCP, NULL);
    if (err)
        return err;
    socket->backlog = backlog < 0 || backlog > SOMAXCONN ? SOMAXCONN : (size_t)backlog;
    socket->state = SIM_LISTENING;
    return 0;
}

/* As on Linux: the call after one that waited tells what has become of that, even if the error was taken.
 * After a failure the socket is as it was. */
static int tell_connected(struct sim_socket *socket)
{
    socket->must_tell = false;
    if (socket->state == SIM_OPEN)
        return 0;
    int err = asy_sim_socket_take_error(socket);
    leave_connection(socket);
    socket->state = SIM_FRESH;
    socket->got_end = socket->sent_end = socket->shut_read = socket->wants_room = false;
    return err ? err : -ECONNABORTED;
}

static int check_state_to_connect(const struct sim_socket *socket)
{
    switch (socket->state) {
    case SIM_FRESH:
        return 0;
    case SIM_CONNECTING:
        return -EALREADY;
    case SIM_LISTENING:
    case SIM_FAILED:
    case SIM_OPEN:
    case SIM_BROKEN:
        break;
    }
    return -EISCONN;
}

/* Whom the address leads to; any address is this host. */
static int find_peer(const struct sim_socket *socket, struct sim_place *place, struct sim_host **out)
{
    bool is_4 = IN6_IS_ADDR_V4MAPPED(&place->ip);
    bool is_any = is_4 ? !place->ip.s6_addr32[3] : IN6_IS_ADDR_UNSPECIFIED(&place->ip);
    if (is_any)
        place->ip = asy_sim_loopback(is_4 ? AF_INET : AF_INET6);
    if (socket->family == AF_INET6 && is_4 && socket->is_v6only)
        return -ENETUNREACH;
    *out = asy_sim_host_at(socket->life, &place->ip);
    return *out ? 0 : -EHOSTUNREACH;
}

int asy_sim_peer_find(struct sim_socket *socket, const struct sockaddr *to, socklen_t length,
                      struct sim_place *place, struct sim_host **host)
{
    int err = asy_sim_place_read(socket, to, length, place);
    return err ? err : find_peer(socket, place, host);
}

static int connect_tcp(struct sim_socket *socket, const struct sockaddr *to, socklen_t length)
{
    struct sim_place place;
    struct sim_host *host = NULL;
    if (socket->must_tell && socket->state != SIM_CONNECTING)
        return tell_connected(socket);
    int err = check_state_to_connect(socket);
    if (!err)
        err = asy_sim_peer_find(socket, to, length, &place, &host);
    if (!err && !place.port)
        err = -ECONNREFUSED;
    if (!err)
        err = asy_sim_ports_autobind(socket, SIM_TCP, &place.ip);
    if (err)
        return err;
    struct sim_connection *connection = asy_sim_connection_new(socket->life->host, host);
    connection->places[0] = socket->here;
    connection->places[1] = place;
    connection->ends[0] = socket;
    socket->connection = connection;
    socket->side = 0;
    socket->there = place;
    socket->has_peer = true;
    socket->state = SIM_CONNECTING;
    socket->must_tell = true;
    asy_sim_pipe_signal(&connection->pipes[0], CHUNK_SYN);
    return -EINPROGRESS;
}

/* The other end hears of it, if it is there. */
static void close_open(struct sim_socket *socket)
{
    struct sim_connection *connection = socket->connection;
    struct sim_pipe *out = asy_sim_pipe_out(socket);
    bool must_reset = socket->resets_at_close || asy_sim_pipe_in(socket)->unread;
    bool must_tell = connection->ends[!socket->side] && (must_reset || !socket->sent_end);
    if (!must_tell) {
        leave_connection(socket);
        return;
    }
    connection->ends[socket->side] = NULL;
    socket->connection = NULL;
    asy_sim_pipe_signal(out, must_reset ? CHUNK_RESET : CHUNK_END);
}

static void close_tcp(struct sim_socket *socket)
{
    list_remove(&socket->bound);
    if (socket->state == SIM_LISTENING)
        drop_clients(socket, /* in_silence= */ false);
    else if (socket->state == SIM_OPEN)
        close_open(socket);
    else
        leave_connection(socket);
}

static void vanish_tcp(struct sim_socket *socket)
{
    list_remove(&socket->bound);
    if (socket->state == SIM_LISTENING)
        drop_clients(socket, /* in_silence= */ true);
    else
        socket->state = SIM_BROKEN;
    leave_connection(socket);
}

static int name_of_tcp(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    asy_sim_place_write(socket, &socket->here, name, length);
    return 0;
}

static int peer_of_tcp(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    if (socket->state != SIM_OPEN)
        return -ENOTCONN;
    asy_sim_place_write(socket, &socket->there, name, length);
    return 0;
}

static void describe_tcp(const struct sim_socket *socket, char *text, size_t bytes)
{
    char here[PLACE_TEXT], there[PLACE_TEXT];
    asy_sim_place_text(&socket->here, here);
    if (socket->connection)
        snprintf(text, bytes, "tcp %s -> %s (sent %llu, received %llu)", here,
                 asy_sim_place_text(&socket->there, there),
                 (unsigned long long)asy_sim_pipe_out(socket)->sent,
                 (unsigned long long)asy_sim_pipe_in(socket)->received);
    else
        snprintf(text, bytes, "tcp %s%s%s", here, socket->state == SIM_LISTENING ? ", listening" : "",
                 socket->is_gone ? ", its host has crashed" : "");
}

const struct sim_kind asy_sim_tcp = {
    .name = "tcp",
    .bind = bind_tcp,
    .connect = connect_tcp,
    .listen = listen_tcp,
    .first = asy_sim_stream_first,
    .shutdown = asy_sim_stream_shutdown,
    .receive = asy_sim_stream_receive,
    .send = asy_sim_stream_send,
    .name_of = name_of_tcp,
    .peer_of = peer_of_tcp,
    .events = asy_sim_stream_events,
    .untaken = asy_sim_stream_untaken,
    .describe = describe_tcp,
    .close = close_tcp,
    .vanish = vanish_tcp,
};
