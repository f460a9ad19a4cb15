/*
 * Simulated Unix sockets: datagrams, which go from one queue to the other inside the call.
 */
#include "sim/unix.h"
#include <errno.h>
#include <string.h>

#define QUEUE_MAX 10 /* datagrams, as Linux has it by default */
#define DATAGRAM_MAX 212960

struct letter {
    struct list node;
    struct sockaddr_un from;
    socklen_t from_length;
    size_t bytes;
    char text[];
};

void asy_sim_unix_point_at(struct sim_socket *socket, struct sim_socket *other)
{
    list_remove(&socket->pointing);
    socket->other = other;
    socket->has_peer = other != NULL;
    if (other)
        list_append(&other->pointed_at, &socket->pointing);
}

/* A socket that is connected takes from its peer alone. */
static int check_takes_from(const struct sim_socket *socket, const struct sim_socket *to)
{
    return to->has_peer && to->other != socket ? -EPERM : 0;
}

static int connect_unix_datagram(struct sim_socket *socket, const struct sockaddr *to, socklen_t length)
{
    struct sim_socket *other = NULL;
    bool is_end = to && length >= sizeof to->sa_family && to->sa_family == AF_UNSPEC;
    int err = is_end ? 0 : asy_sim_unix_find(socket, to, length, &other);
    if (!err && other)
        err = check_takes_from(socket, other);
    if (!err)
        asy_sim_unix_point_at(socket, other);
    return err;
}

static int choose_reader(struct sim_socket *socket, const struct msghdr *message, struct sim_socket **out)
{
    if (message->msg_name)
        return asy_sim_unix_find(socket, message->msg_name, message->msg_namelen, out);
    bool had_peer = socket->has_peer;
    socket->has_peer = socket->other != NULL; /* one that is gone is told once */
    if (!socket->other)
        return had_peer ? -ECONNREFUSED : -ENOTCONN;
    *out = socket->other;
    return 0;
}

static ssize_t send_unix_datagram(struct sim_socket *socket, const struct msghdr *message, int flags)
{
    struct sim_socket *to = NULL;
    size_t bytes = asy_sim_parts_bytes(message);
    (void)flags;
    if (message->msg_controllen)
        return asy_sim_refuse("to pass descriptors over sockets");
    int err = bytes > DATAGRAM_MAX ? -EMSGSIZE : socket->sent_end ? -EPIPE : 0;
    if (!err)
        err = choose_reader(socket, message, &to);
    if (!err)
        err = check_takes_from(socket, to);
    if (!err && to->shut_read)
        err = -EPIPE;
    if (err)
        return err;
    if (to->queued > QUEUE_MAX) {
        list_remove(&socket->waiting);
        list_append(&to->clients, &socket->waiting);
        return -EAGAIN;
    }
    struct letter *letter = asy_sim_alloc(sizeof *letter + bytes);
    letter->from_length = sizeof letter->from;
    asy_sim_unix_write_name(socket->name, (struct sockaddr *)&letter->from, &letter->from_length);
    letter->bytes = bytes;
    asy_sim_parts_gather(message, letter->text);
    list_append(&to->queue, &letter->node);
    to->queued++;
    asy_sim_socket_woke(to, EPOLLIN);
    return (ssize_t)bytes;
}

static void wake_writers(struct sim_socket *socket)
{
    for (struct list *node; (node = list_take_first(&socket->clients));)
        asy_sim_socket_woke(LIST_ENTRY(node, struct sim_socket, waiting), EPOLLOUT);
}

static void take_letter(struct sim_socket *socket, struct letter *letter)
{
    list_remove(&letter->node);
    asy_sim_free(letter);
    socket->queued--;
    wake_writers(socket);
}

static ssize_t receive_unix_datagram(struct sim_socket *socket, struct msghdr *message, int flags)
{
    if (flags & MSG_ERRQUEUE || list_is_empty(&socket->queue))
        return -EAGAIN; /* as on Linux, after a shutdown, too */
    struct letter *letter = LIST_ENTRY(socket->queue.next, struct letter, node);
    size_t bytes = letter->bytes, done = asy_sim_parts_scatter(message, letter->text, bytes);
    if (message->msg_name) {
        socklen_t room = message->msg_namelen;
        memcpy(message->msg_name, &letter->from, letter->from_length < room ? letter->from_length : room);
        message->msg_namelen = letter->from_length > sizeof(sa_family_t) ? letter->from_length : 0;
    }
    message->msg_controllen = 0;
    message->msg_flags = done < bytes ? MSG_TRUNC : 0;
    if (!(flags & MSG_PEEK))
        take_letter(socket, letter);
    return (ssize_t)(flags & MSG_TRUNC ? bytes : done);
}

static uint32_t events_of_unix_datagram(const struct sim_socket *socket)
{
    bool is_full = socket->other && socket->other->queued > QUEUE_MAX;
    uint32_t events = is_full ? 0 : EPOLLOUT;
    if (!list_is_empty(&socket->queue))
        events |= EPOLLIN;
    if (socket->shut_read)
        events |= EPOLLIN | EPOLLRDHUP;
    return socket->shut_read && socket->sent_end ? events | EPOLLHUP : events;
}

static int shutdown_unix_datagram(struct sim_socket *socket, int how)
{
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    socket->shut_read |= how != SHUT_WR;
    socket->sent_end |= how != SHUT_RD;
    asy_sim_socket_woke(socket, events_of_unix_datagram(socket));
    return 0;
}

static int peer_of_unix_datagram(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    if (!socket->has_peer)
        return -ENOTCONN;
    asy_sim_unix_write_name(socket->other ? socket->other->name : NULL, name, length);
    return 0;
}

static size_t untaken_of_unix_datagram(const struct sim_socket *socket)
{
    (void)socket;
    return 0;
}

static void close_unix_datagram(struct sim_socket *socket)
{
    asy_sim_unix_unbind(socket);
    asy_sim_unix_point_at(socket, NULL);
    list_remove(&socket->waiting);
    for (struct list *node; (node = list_take_first(&socket->pointed_at));) {
        struct sim_socket *writer = LIST_ENTRY(node, struct sim_socket, pointing);
        writer->other = NULL; /* it still counts as connected, and is refused */
        asy_sim_socket_woke(writer, EPOLLOUT);
    }
    while (!list_is_empty(&socket->queue))
        take_letter(socket, LIST_ENTRY(socket->queue.next, struct letter, node));
    wake_writers(socket);
}

static void vanish_unix_datagram(struct sim_socket *socket)
{
    if (socket->name)
        asy_sim_unix_forget_name(socket->name);
    close_unix_datagram(socket);
}

const struct sim_kind asy_sim_unix_datagram = {
    .name = "unix datagram",
    .bind = asy_sim_unix_bind,
    .connect = connect_unix_datagram,
    .shutdown = shutdown_unix_datagram,
    .receive = receive_unix_datagram,
    .send = send_unix_datagram,
    .name_of = asy_sim_unix_name_of,
    .peer_of = peer_of_unix_datagram,
    .events = events_of_unix_datagram,
    .untaken = untaken_of_unix_datagram,
    .describe = asy_sim_unix_describe,
    .close = close_unix_datagram,
    .vanish = vanish_unix_datagram,
};
