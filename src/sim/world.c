/*
 * A thread's simulated world: its sockets, their events, and the calls of the seam, each of which finds the
 * socket and hands it to its kind. See world.h and sys/world.h.
 */
#include "sim/world.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "sim/blocks.h"
#include "sim/net.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static THREAD_LOCAL struct {
    bool is_on;
    struct list pending;
    struct list told; /* level-triggered ones, to be looked at again */
} world;

/* ---- Sockets --------------------------------------------------------------------------- */

struct sim_socket *asy_sim_socket_new(const struct sim_kind *kind, struct sim_life *life, int family,
                                      int type)
{
    struct sim_socket *socket = asy_sim_alloc(sizeof *socket);
    socket->kind = kind;
    socket->life = life;
    socket->family = family;
    socket->type = type;
    socket->fd = -1;
    struct list *lists[] = {&socket->of_life, &socket->pending,        &socket->bound,
                            &socket->waiting, &socket->clients_coming, &socket->clients,
                            &socket->queue,   &socket->pointed_at,     &socket->pointing};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        list_init(lists[i]);
    return socket;
}

void asy_sim_socket_free(struct sim_socket *socket)
{
    list_remove(&socket->of_life);
    list_remove(&socket->pending);
    list_remove(&socket->bound);
    for (struct sim_option *option; (option = socket->options);) {
        socket->options = option->next;
        asy_sim_free(option);
    }
    asy_sim_free(socket);
}

/* The socket that a call is for. NULL: its host has crashed. */
static struct sim_socket *live_socket(int fd)
{
    struct sim_socket *socket = asy_sim_socket_at(fd);
    ASY_ASSERT(socket != NULL);
    return socket->is_gone ? NULL : socket;
}

int asy_sim_socket_take_error(struct sim_socket *socket)
{
    int error = socket->error;
    socket->error = 0;
    return -error;
}

int asy_sim_refuse(const char *what)
{
    char line[160];
    int n = snprintf(line, sizeof line, "asyncio: not simulated: %s\n", what);
    asy_sys_write(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    return (int)asyncio_raise(-ENOSYS, "not simulated: %s", what);
}

/* ---- Events ------------------------------------------------------------------------------- */

#define ALWAYS (EPOLLERR | EPOLLHUP)

static uint32_t events_in_world(const struct sim_socket *socket)
{
    if (socket->is_gone)
        return socket->state == SIM_LISTENING ? 0 : EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP;
    return socket->kind->events(socket);
}

void asy_sim_socket_woke(struct sim_socket *socket, uint32_t events)
{
    bool is_wanted = socket->is_attached && socket->wanted && (events & (socket->wanted | ALWAYS));
    if (!is_wanted || (!list_is_empty(&socket->pending) && !socket->is_told))
        return;
    list_remove(&socket->pending);
    list_append(&world.pending, &socket->pending);
    socket->is_told = false;
}

static int attach_to_world(int fd, uint64_t tag, uint32_t events, bool is_attached)
{
    struct sim_socket *socket = asy_sim_socket_at(fd);
    (void)is_attached; /* the number may have been closed, and reused, behind our back */
    if (!socket)
        return asy_sys_fd_kind(fd) == ASY_FD_ALWAYS_READY
                   ? -EPERM
                   : asy_sim_refuse("to wait for a descriptor that is not a socket of the simulation");
    socket->is_attached = true;
    socket->tag = tag;
    socket->wanted = events;
    asy_sim_socket_woke(socket, events_in_world(socket));
    return 0;
}

static void detach_from_world(int fd)
{
    struct sim_socket *socket = asy_sim_socket_at(fd);
    if (!socket)
        return;
    socket->is_attached = socket->is_told = false;
    list_remove(&socket->pending);
}

static int64_t next_in_world(void)
{
    bool is_idle = list_is_empty(&world.pending) && list_is_empty(&world.told);
    return is_idle ? asy_sim_events_next() : asy_sim_now();
}

static bool only_tells_again(void)
{
    return list_is_empty(&world.pending) && !list_is_empty(&world.told);
}

static int take_events_of_world(struct epoll_event *events, int max)
{
    int count = 0;
    list_splice(&world.pending, &world.told);
    while (count < max && !list_is_empty(&world.pending)) {
        struct sim_socket *socket = LIST_ENTRY(world.pending.next, struct sim_socket, pending);
        uint32_t found = events_in_world(socket) & (socket->wanted | ALWAYS);
        list_remove(&socket->pending);
        socket->is_told = found && !(socket->wanted & (EPOLLONESHOT | EPOLLET));
        if (!found)
            continue;
        events[count++] = (struct epoll_event){.events = found, .data.u64 = socket->tag};
        if (socket->wanted & EPOLLONESHOT)
            socket->wanted = 0;
        else if (socket->is_told)
            list_append(&world.told, &socket->pending);
    }
    return count;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static bool has_socket(int fd)
{
    return asy_sim_socket_at(fd) != NULL;
}

static int kind_of_socket(int fd)
{
    const struct sim_socket *socket = asy_sim_socket_at(fd);
    if (!asy_sim_is_dup(fd)) {
        asy_sim_number_taken(fd);
        return asy_sys_fd_kind(fd);
    }
    return ASY_FD_POLLABLE | ASY_FD_SOCKET | (socket->kind == &asy_sim_tcp ? ASY_FD_TCP : 0);
}

static const struct sim_kind *choose_kind(int family, int type)
{
    bool is_stream = type == SOCK_STREAM;
    if (!is_stream && type != SOCK_DGRAM)
        return NULL;
    if (family == AF_UNIX)
        return is_stream ? &asy_sim_unix_stream : &asy_sim_unix_datagram;
    if (family != AF_INET && family != AF_INET6)
        return NULL;
    return is_stream ? &asy_sim_tcp : &asy_sim_udp;
}

static int open_in_world(int family, int type, int protocol)
{
    struct sim_life *life = asy_sim_life_here();
    type &= ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    const struct sim_kind *kind = choose_kind(family, type);
    (void)protocol;
    if (!kind)
        return asy_sim_refuse("a socket that is not TCP, UDP, or a Unix stream or datagram socket");
    if (life->is_over)
        return -ENETDOWN;
    struct sim_socket *socket = asy_sim_socket_new(kind, life, family, type);
    int fd = asy_sim_socket_install(socket);
    if (fd < 0)
        asy_sim_socket_free(socket);
    return fd;
}

/* accept(2) says who it was even if a reset came first, after which getpeername(2) no longer does. */
static void write_client_name(struct sim_socket *client, struct sockaddr *peer, socklen_t *length)
{
    if (client->kind == &asy_sim_tcp)
        asy_sim_place_write(client, &client->there, peer, length);
    else if (client->kind->peer_of(client, peer, length) != 0)
        *length = 0;
}

static int accept_in_world(int fd, struct sockaddr *peer, socklen_t *length)
{
    struct sim_socket *socket = live_socket(fd), *client = NULL;
    if (!socket)
        return -EAGAIN;        /* in silence */
    if (!asy_sim_is_dup(fd)) { /* the client is not to get the number of its listener */
        asy_sim_number_taken(fd);
        return -EBADF;
    }
    int err = socket->kind->first ? socket->kind->first(socket, &client) : -EOPNOTSUPP;
    if (err)
        return err;
    int number = asy_sim_socket_install(client);
    if (number < 0)
        return number;
    asy_sim_stream_unlist(client);
    if (peer && length)
        write_client_name(client, peer, length);
    return number;
}

static int connect_in_world(int fd, const struct sockaddr *to, socklen_t length)
{
    struct sim_socket *socket = live_socket(fd);
    return socket ? socket->kind->connect(socket, to, length) : -ENETDOWN;
}

static int bind_in_world(int fd, const struct sockaddr *to, socklen_t length)
{
    struct sim_socket *socket = live_socket(fd);
    return socket ? socket->kind->bind(socket, to, length) : -ENETDOWN;
}

static int listen_in_world(int fd, int backlog)
{
    struct sim_socket *socket = live_socket(fd);
    if (!socket)
        return -ENETDOWN;
    return socket->kind->listen ? socket->kind->listen(socket, backlog) : -EOPNOTSUPP;
}

static int shutdown_in_world(int fd, int how)
{
    struct sim_socket *socket = live_socket(fd);
    return socket ? socket->kind->shutdown(socket, how) : -ENOTCONN;
}

static int getsockopt_in_world(int fd, int level, int name, void *value, socklen_t *length)
{
    return asy_sim_getsockopt(asy_sim_socket_at(fd), level, name, value, length);
}

static int setsockopt_in_world(int fd, int level, int name, const void *value, socklen_t length)
{
    return asy_sim_setsockopt(asy_sim_socket_at(fd), level, name, value, length);
}

static int getsockname_in_world(int fd, struct sockaddr *name, socklen_t *length)
{
    struct sim_socket *socket = asy_sim_socket_at(fd);
    return socket->kind->name_of(socket, name, length);
}

static int getpeername_in_world(int fd, struct sockaddr *name, socklen_t *length)
{
    struct sim_socket *socket = live_socket(fd);
    return socket ? socket->kind->peer_of(socket, name, length) : -ENOTCONN;
}

static int untaken_in_world(int fd)
{
    const struct sim_socket *socket = live_socket(fd);
    return socket ? (int)socket->kind->untaken(socket) : 0;
}

static int check_parts(const struct msghdr *message)
{
    size_t left = SSIZE_MAX;
    if (message->msg_iovlen > IOV_MAX)
        return -EMSGSIZE;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        if (message->msg_iov[i].iov_len > left)
            return -EINVAL;
        left -= message->msg_iov[i].iov_len;
    }
    return 0;
}

static ssize_t recvmsg_in_world(int fd, struct msghdr *message, int flags)
{
    struct sim_socket *socket = live_socket(fd);
    int err = socket ? check_parts(message) : -ENETDOWN;
    return err ? err : socket->kind->receive(socket, message, flags);
}

static ssize_t sendmsg_in_world(int fd, const struct msghdr *message, int flags)
{
    struct sim_socket *socket = live_socket(fd);
    int err = socket ? check_parts(message) : -ENETDOWN;
    return err ? err : socket->kind->send(socket, message, flags);
}

static short look_in_world(int fd, short events)
{
    return (short)(events_in_world(asy_sim_socket_at(fd)) & ((unsigned short)events | ALWAYS));
}

static const struct asy_sim_ops calls_of_world = {
    .has = has_socket,
    .number_taken = asy_sim_number_taken,
    .fd_kind = kind_of_socket,
    .socket = open_in_world,
    .accept = accept_in_world,
    .connect = connect_in_world,
    .bind = bind_in_world,
    .listen = listen_in_world,
    .shutdown = shutdown_in_world,
    .getsockopt = getsockopt_in_world,
    .setsockopt = setsockopt_in_world,
    .getsockname = getsockname_in_world,
    .getpeername = getpeername_in_world,
    .untaken = untaken_in_world,
    .recvmsg = recvmsg_in_world,
    .sendmsg = sendmsg_in_world,
    .close = asy_sim_number_close,
    .look = look_in_world,
    .stat = asy_sim_path_stat,
    .unlink = asy_sim_path_unlink,
    .chmod = asy_sim_path_chmod,
    .getaddrinfo = asy_sim_getaddrinfo,
    .getnameinfo = asy_sim_getnameinfo,
    .lookup_delay = asy_sim_lookup_delay,
    .block_made = asy_sim_block_add,
    .block_gone = asy_sim_block_remove,
    .attach = attach_to_world,
    .detach = detach_from_world,
    .next_ns = next_in_world,
    .only_tells_again = only_tells_again,
    .advance = asy_sim_events_run,
    .take_events = take_events_of_world,
};

/* ---- Beginning and end --------------------------------------------------------------------------- */

int asy_sim_world_begin(const asyncio_sim_options *options)
{
    if (world.is_on)
        return asy_sim_refuse("a second world in one thread");
    int err = asy_sim_link_check(&options->link);
    int origin = err ? err : asy_sim_open_origin();
    if (origin < 0)
        return origin;
    memset(&world, 0, sizeof world);
    world.is_on = true;
    list_init(&world.pending);
    list_init(&world.told);
    asy_sim_numbers_begin(origin);
    asy_sim_enter(&calls_of_world);
    asy_sim_links_begin(&options->link);
    asy_sim_hosts_begin();
    asy_sim_connections_begin();
    return 0;
}

size_t asy_sim_world_end(char *text, size_t bytes)
{
    ASY_ASSERT(world.is_on);
    size_t left = asy_sim_world_open(text, bytes);
    asy_sim_numbers_close_all();
    asy_sim_leave();
    asy_sim_blocks_end();
    asy_sim_datagrams_end();
    asy_sim_names_end();
    asy_sim_links_end();
    asy_sim_hosts_end();
    asy_sim_events_end();
    asy_sim_numbers_end();
    memset(&world, 0, sizeof world);
    return left;
}

int asy_sim_world_pair(int type, int fds[2])
{
    int ends[2] = {open_in_world(AF_UNIX, type, 0), -1};
    ends[1] = ends[0] < 0 ? ends[0] : open_in_world(AF_UNIX, type, 0);
    if (ends[1] < 0) {
        if (ends[0] >= 0)
            asy_sim_number_close(ends[0]);
        return ends[1];
    }
    asy_sim_unix_join(asy_sim_socket_at(ends[0]), asy_sim_socket_at(ends[1]));
    fds[0] = ends[0];
    fds[1] = ends[1];
    return 0;
}

int64_t asy_sim_world_now_ns(void)
{
    return asy_sim_now();
}
