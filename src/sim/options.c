/*
 * Options of simulated sockets. Those that the world acts on are fields; the others are remembered, and have
 * no effect. Groups of several receivers are refused.
 */
#include "asyncio/errors.h"
#include "sim/net.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define VALUE_MAX 4096
#define USUAL_BUFFER 212992

static struct sim_option *find_option(struct sim_socket *socket, int level, int name)
{
    struct sim_option *option = socket->options;
    while (option && (option->level != level || option->name != name))
        option = option->next;
    return option;
}

static int remember_option(struct sim_socket *socket, int level, int name, const void *value,
                           socklen_t length)
{
    struct sim_option **place = &socket->options;
    if (length > VALUE_MAX)
        return -EINVAL;
    while (*place && ((*place)->level != level || (*place)->name != name))
        place = &(*place)->next;
    struct sim_option *old = *place, *option = asy_sim_alloc(sizeof *option + length);
    *option =
        (struct sim_option){.next = old ? old->next : NULL, .level = level, .name = name, .length = length};
    if (length)
        memcpy(option->value, value, length);
    *place = option;
    asy_sim_free(old);
    return 0;
}

/* ---- Set --------------------------------------------------------------------------------------- */

static bool joins_group(int level, int name)
{
    return (level == IPPROTO_IP &&
            (name == IP_ADD_MEMBERSHIP || name == IP_ADD_SOURCE_MEMBERSHIP || name == MCAST_JOIN_GROUP)) ||
           (level == IPPROTO_IPV6 && (name == IPV6_ADD_MEMBERSHIP || name == MCAST_JOIN_GROUP));
}

/* Those that it acts on. */
static void heed_option(struct sim_socket *socket, int level, int name, int number)
{
    if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        socket->is_v6only = number != 0;
    if (level != SOL_SOCKET)
        return;
    if (name == SO_REUSEADDR)
        socket->reuses_address = number != 0;
    else if (name == SO_REUSEPORT)
        socket->reuses_port = number != 0;
    else if (name == SO_SNDBUF)
        socket->send_buffer = (size_t)number * 2;
    else if (name == SO_RCVBUF)
        socket->receive_buffer = (size_t)number * 2;
    if (socket->connection) { /* there may be more room now */
        asy_sim_pipe_look_for_room(asy_sim_pipe_out(socket));
        asy_sim_pipe_look_for_room(asy_sim_pipe_in(socket));
    }
}

/* A Unix socket has none of the internet's levels. */
static bool has_level(const struct sim_socket *socket, int level)
{
    return socket->family != AF_UNIX ||
           (level != IPPROTO_TCP && level != IPPROTO_IP && level != IPPROTO_IPV6);
}

int asy_sim_setsockopt(struct sim_socket *socket, int level, int name, const void *value, socklen_t length)
{
    int number = 0;
    struct linger linger;
    if (!has_level(socket, level))
        return -EOPNOTSUPP;
    if (joins_group(level, name))
        return asy_sim_refuse("groups of receivers (multicast)");
    if (level == SOL_SOCKET && name == SO_LINGER) {
        if (length < sizeof linger)
            return -EINVAL;
        memcpy(&linger, value, sizeof linger);
        socket->resets_at_close = linger.l_onoff && !linger.l_linger;
    } else if (length >= sizeof number) {
        memcpy(&number, value, sizeof number);
        heed_option(socket, level, name, number);
    }
    return remember_option(socket, level, name, value, length);
}

void asy_sim_options_inherit(struct sim_socket *socket, const struct sim_socket *listener)
{
    for (const struct sim_option *option = listener->options; option; option = option->next)
        remember_option(socket, option->level, option->name, option->value, option->length);
    socket->is_v6only = listener->is_v6only;
    socket->reuses_address = listener->reuses_address;
    socket->reuses_port = listener->reuses_port;
    socket->resets_at_close = listener->resets_at_close;
    socket->send_buffer = listener->send_buffer;
    socket->receive_buffer = listener->receive_buffer;
}

/* ---- Got ------------------------------------------------------------------------------------------ */

static int copy_value(const void *from, socklen_t bytes, void *value, socklen_t *length)
{
    *length = *length < bytes ? *length : bytes;
    memcpy(value, from, *length);
    return 0;
}

/* Of what the socket is. False: it is none of those. */
static bool is_known_number(struct sim_socket *socket, int name, int *number)
{
    switch (name) {
    case SO_ERROR:
        *number = -asy_sim_socket_take_error(socket);
        return true;
    case SO_TYPE:
        *number = socket->type;
        return true;
    case SO_DOMAIN:
        *number = socket->family;
        return true;
    case SO_PROTOCOL:
        *number = socket->kind == &asy_sim_tcp ? IPPROTO_TCP : socket->kind == &asy_sim_udp ? IPPROTO_UDP : 0;
        return true;
    case SO_ACCEPTCONN:
        *number = socket->state == SIM_LISTENING;
        return true;
    case SO_SNDBUF:
        *number = socket->send_buffer ? (int)socket->send_buffer : USUAL_BUFFER;
        return true;
    case SO_RCVBUF:
        *number = socket->receive_buffer ? (int)socket->receive_buffer : USUAL_BUFFER;
        return true;
    default:
        return false;
    }
}

int asy_sim_getsockopt(struct sim_socket *socket, int level, int name, void *value, socklen_t *length)
{
    int number = 0;
    if (!has_level(socket, level))
        return -EOPNOTSUPP;
    if (level == SOL_SOCKET && is_known_number(socket, name, &number))
        return copy_value(&number, sizeof number, value, length);
    if (level == SOL_SOCKET && name == SO_PEERCRED) {
        struct ucred self = {.pid = getpid(), .uid = getuid(), .gid = getgid()};
        return copy_value(&self, sizeof self, value, length);
    }
    if (level == IPPROTO_TCP && name == TCP_INFO) {
        struct tcp_info info = {.tcpi_unacked = (uint32_t)socket->client_count,
                                .tcpi_sacked = (uint32_t)socket->backlog};
        return copy_value(&info, sizeof info, value, length);
    }
    const struct sim_option *option = find_option(socket, level, name);
    if (option)
        return copy_value(option->value, option->length, value, length);
    if (*length > VALUE_MAX)
        *length = VALUE_MAX;
    memset(value, 0, *length);
    return 0;
}
