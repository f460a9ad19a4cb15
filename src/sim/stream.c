/*
 * Simulated streams, of TCP and Unix alike: the calls on a connection that is there, and the events that they
 * bring. Results and their order are Linux's: what has arrived is read before an error is told, an error is
 * told once.
 */
#include "base/assert.h"
#include "sim/net.h"
#include <errno.h>

int asy_sim_stream_first(struct sim_socket *socket, struct sim_socket **out)
{
    if (socket->state != SIM_LISTENING)
        return -EINVAL;
    if (list_is_empty(&socket->clients))
        return -EAGAIN;
    *out = LIST_ENTRY(socket->clients.next, struct sim_socket, waiting);
    return 0;
}

static void clear_message(struct msghdr *message)
{
    message->msg_namelen = 0;
    message->msg_controllen = 0;
    message->msg_flags = 0;
}

static ssize_t receive_nothing(struct sim_socket *socket)
{
    if (socket->state == SIM_CONNECTING)
        return -EAGAIN;
    if (socket->got_end && socket->family != AF_UNIX)
        return 0;
    int err = asy_sim_socket_take_error(socket);
    if (err || socket->got_end)
        return err;
    if (socket->state == SIM_FRESH || socket->state == SIM_LISTENING)
        return socket->family == AF_UNIX ? -EINVAL : -ENOTCONN;
    return socket->shut_read || socket->state != SIM_OPEN ? 0 : -EAGAIN;
}

ssize_t asy_sim_stream_receive(struct sim_socket *socket, struct msghdr *message, int flags)
{
    if (flags & MSG_OOB)
        return -EINVAL;
    if (flags & MSG_ERRQUEUE)
        return -EAGAIN;
    clear_message(message);
    size_t unread = socket->connection ? asy_sim_pipe_in(socket)->unread : 0;
    if (!unread)
        return receive_nothing(socket);
    return (ssize_t)asy_sim_pipe_read(asy_sim_pipe_in(socket), message->msg_iov, message->msg_iovlen,
                                      flags & MSG_PEEK);
}

/* 0: it may send. */
static int check_can_send(struct sim_socket *socket)
{
    if (socket->family == AF_UNIX && socket->sent_end)
        return -EPIPE;
    int err = asy_sim_socket_take_error(socket);
    if (err)
        return err;
    if (socket->state == SIM_CONNECTING)
        return -EAGAIN;
    if (socket->state == SIM_OPEN)
        return socket->sent_end ? -EPIPE : 0;
    return socket->family == AF_UNIX && socket->state != SIM_BROKEN ? -ENOTCONN : -EPIPE;
}

ssize_t asy_sim_stream_send(struct sim_socket *socket, const struct msghdr *message, int flags)
{
    if (flags & MSG_OOB)
        return asy_sim_refuse("urgent data");
    if (message->msg_controllen)
        return asy_sim_refuse("to pass descriptors over sockets");
    int err = check_can_send(socket);
    if (err)
        return err;
    size_t wanted = asy_sim_parts_bytes(message);
    if (!wanted)
        return 0;
    size_t n = asy_sim_pipe_write(asy_sim_pipe_out(socket), message->msg_iov, message->msg_iovlen);
    if (n < wanted)
        asy_sim_pipe_want_room(asy_sim_pipe_out(socket));
    return n ? (ssize_t)n : -EAGAIN;
}

int asy_sim_stream_shutdown(struct sim_socket *socket, int how)
{
    bool ends_reading = how == SHUT_RD || how == SHUT_RDWR, ends_writing = how == SHUT_WR || how == SHUT_RDWR;
    if (!ends_reading && !ends_writing)
        return -EINVAL;
    if (socket->state == SIM_LISTENING && ends_reading && socket->kind == &asy_sim_tcp) {
        asy_sim_tcp_stop_listening(socket);
        return 0;
    }
    if (socket->state != SIM_OPEN)
        return -ENOTCONN;
    struct sim_socket *peer = socket->connection->ends[!socket->side];
    socket->must_tell = false; /* as on Linux: the program knows that it is connected */
    if (ends_reading)
        socket->shut_read = true;
    if (ends_reading && socket->family == AF_UNIX && peer)
        peer->sent_end = true;
    bool must_tell = ends_writing && !socket->sent_end;
    if (ends_writing)
        socket->sent_end = true;
    asy_sim_socket_woke(socket, asy_sim_stream_events(socket));
    if (must_tell)
        asy_sim_pipe_signal(asy_sim_pipe_out(socket), CHUNK_END);
    return 0;
}

static uint32_t events_when_open(const struct sim_socket *socket)
{
    const struct sim_pipe *out = asy_sim_pipe_out(socket), *in = asy_sim_pipe_in(socket);
    bool is_read_over = socket->got_end || socket->shut_read;
    uint32_t events = in->unread ? EPOLLIN : 0;
    if (is_read_over)
        events |= EPOLLIN | EPOLLRDHUP;
    if (socket->sent_end || out->used < asy_sim_pipe_window(out))
        events |= EPOLLOUT;
    return is_read_over && socket->sent_end ? events | EPOLLHUP : events;
}

uint32_t asy_sim_stream_events(const struct sim_socket *socket)
{
    uint32_t error = socket->error ? EPOLLERR : 0;
    switch (socket->state) {
    case SIM_FRESH:
        return EPOLLOUT | EPOLLHUP | error;
    case SIM_LISTENING:
        return list_is_empty(&socket->clients) ? 0 : EPOLLIN;
    case SIM_CONNECTING:
        return error;
    case SIM_OPEN:
        return events_when_open(socket) | error;
    case SIM_FAILED:
    case SIM_BROKEN:
        break;
    }
    return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | error;
}

size_t asy_sim_stream_untaken(const struct sim_socket *socket)
{
    if (!socket->connection)
        return 0;
    const struct sim_pipe *out = asy_sim_pipe_out(socket);
    return socket->family == AF_UNIX ? out->flying + out->unread : out->flying;
}
