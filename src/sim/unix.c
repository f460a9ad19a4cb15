/*
 * Simulated Unix sockets: streams, which are connections within a host (pipe.c, stream.c), and datagrams,
 * which go from one queue to the other inside the call. A host has names of its own, of abstract sockets and
 * of paths; a path is no file of the real world, and stays when its socket is closed, until it is unlinked.
 */
#include "asyncio/errors.h"
#include "sim/net.h"
#include "sys/net.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEADS 64
#define QUEUE_MAX 10 /* datagrams, as Linux has it by default */
#define DATAGRAM_MAX 212960

struct sim_name {
    struct list node;
    struct sim_socket *socket; /* NULL: the path of one that is closed */
    bool is_copy;              /* an accepted client's, of its listener's: it leads nowhere */
    uint64_t inode;
    mode_t mode;
    socklen_t length; /* of the bytes of sun_path */
    char text[];
};

struct letter {
    struct list node;
    struct sockaddr_un from;
    socklen_t from_length;
    size_t bytes;
    char text[];
};

static THREAD_LOCAL uint64_t inode_count;

/* ---- Names ------------------------------------------------------------------------------------ */

static struct list *head_of_name(struct sim_life *life, const char *text, size_t length)
{
    unsigned hash = 5381;
    for (size_t i = 0; i < length; i++)
        hash = hash * 33 ^ (unsigned char)text[i];
    if (!life->names) {
        life->names = asy_sim_alloc(HEADS * sizeof *life->names);
        for (unsigned i = 0; i < HEADS; i++)
            list_init(&life->names[i]);
    }
    return &life->names[hash % HEADS];
}

static struct sim_name *find_unix_name(struct sim_life *life, const char *text, size_t length)
{
    LIST_EACH(node, head_of_name(life, text, length)) {
        struct sim_name *name = LIST_ENTRY(node, struct sim_name, node);
        if (name->length == length && memcmp(name->text, text, length) == 0)
            return name;
    }
    return NULL;
}

static void forget_name(struct sim_name *name)
{
    list_remove(&name->node);
    if (name->socket)
        name->socket->name = NULL;
    asy_sim_free(name);
}

void asy_sim_unix_end(struct sim_life *life)
{
    for (unsigned i = 0; life->names && i < HEADS; i++)
        while (!list_is_empty(&life->names[i]))
            forget_name(LIST_ENTRY(life->names[i].next, struct sim_name, node));
    asy_sim_free(life->names);
}

static bool is_abstract(const char *text)
{
    return !*text;
}

/* The bytes that name a socket: of a path those before the NUL. 0: none. Below 0: an error. */
static int read_name(const struct sockaddr *to, socklen_t length, const char **text)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)(const void *)to;
    size_t most = offsetof(struct sockaddr_un, sun_path);
    if (!to || length < sizeof to->sa_family || length > sizeof *name)
        return -EINVAL;
    if (to->sa_family != AF_UNIX)
        return -EINVAL;
    if (length <= most)
        return 0;
    *text = name->sun_path;
    return (int)(is_abstract(*text) ? length - most : strnlen(*text, length - most));
}

/* A file of the real world is in the way, or is no socket, as on Linux. */
static bool is_real_file(const char *text, size_t length)
{
    char path[sizeof(struct sockaddr_un)];
    struct stat status;
    if (is_abstract(text))
        return false;
    memcpy(path, text, length);
    path[length] = '\0';
    return asy_sys_stat(path, &status) == 0;
}

static struct sim_name *make_unix_name(struct sim_socket *socket, const char *text, size_t bytes)
{
    struct sim_name *name = asy_sim_alloc(sizeof *name + bytes);
    memcpy(name->text, text, bytes);
    name->length = (socklen_t)bytes;
    name->socket = socket;
    list_init(&name->node);
    return socket->name = name;
}

static int bind_unix(struct sim_socket *socket, const struct sockaddr *to, socklen_t length)
{
    const char *text = NULL;
    char made[8];
    int bytes = read_name(to, length, &text);
    if (bytes < 0 || socket->name)
        return bytes < 0 ? bytes : -EINVAL;
    if (bytes == 0) { /* the kernel chooses an abstract name of five digits */
        made[0] = '\0';
        snprintf(made + 1, sizeof made - 1, "%05x", (unsigned)(++inode_count & 0xfffff));
        text = made;
        bytes = 6;
    }
    if (find_unix_name(socket->life, text, (size_t)bytes) || is_real_file(text, (size_t)bytes))
        return -EADDRINUSE;
    struct sim_name *name = make_unix_name(socket, text, (size_t)bytes);
    name->inode = ++inode_count;
    name->mode = 0755;
    list_append(head_of_name(socket->life, text, (size_t)bytes), &name->node);
    return 0;
}

/* Its name as an address, in which `length` was the room. */
static void write_name(const struct sim_name *name, struct sockaddr *to, socklen_t *length)
{
    struct sockaddr_un full;
    memset(&full, 0, sizeof full);
    full.sun_family = AF_UNIX;
    size_t bytes = sizeof full.sun_family;
    if (name) {
        memcpy(full.sun_path, name->text, name->length);
        bytes = offsetof(struct sockaddr_un, sun_path) + name->length + !is_abstract(name->text);
    }
    memcpy(to, &full, bytes < *length ? bytes : *length);
    *length = (socklen_t)bytes;
}

static int name_of_unix(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    write_name(socket->name, name, length);
    return 0;
}

static void unbind_unix(struct sim_socket *socket)
{
    struct sim_name *name = socket->name;
    if (!name)
        return;
    if (is_abstract(name->text) || name->is_copy)
        forget_name(name);
    else
        name->socket = NULL;
    socket->name = NULL;
}

/* The socket that an address names, of this kind. */
static int find_named(struct sim_socket *socket, const struct sockaddr *to, socklen_t length,
                      struct sim_socket **out)
{
    const char *text = NULL;
    int bytes = read_name(to, length, &text);
    if (bytes <= 0)
        return bytes ? bytes : -EINVAL;
    const struct sim_name *name = find_unix_name(socket->life, text, (size_t)bytes);
    if (!name && !is_abstract(text) && !is_real_file(text, (size_t)bytes))
        return -ENOENT;
    if (!name || !name->socket)
        return -ECONNREFUSED;
    if (name->socket->kind != socket->kind)
        return -EPROTOTYPE;
    *out = name->socket;
    return 0;
}

/* ---- Paths ----------------------------------------------------------------------------------------- */

static struct sim_name *find_path(const char *path)
{
    return *path ? find_unix_name(asy_sim_life_here(), path, strlen(path)) : NULL;
}

int asy_sim_path_stat(const char *path, struct stat *status)
{
    const struct sim_name *name = find_path(path);
    if (!name)
        return 1;
    *status = (struct stat){.st_mode = S_IFSOCK | name->mode, .st_ino = name->inode, .st_nlink = 1};
    return 0;
}

int asy_sim_path_unlink(const char *path)
{
    struct sim_name *name = find_path(path);
    if (!name)
        return 1;
    forget_name(name);
    return 0;
}

int asy_sim_path_chmod(const char *path, mode_t mode)
{
    struct sim_name *name = find_path(path);
    if (!name)
        return 1;
    name->mode = mode;
    return 0;
}

/* ---- Streams ----------------------------------------------------------------------------------------- */

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
    int err = find_named(socket, to, length, &listener);
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
    make_unix_name(client, listener->name->text, listener->name->length)->is_copy = true;
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
    unbind_unix(socket);
    while (!list_is_empty(&socket->clients)) {
        struct sim_socket *client = LIST_ENTRY(socket->clients.next, struct sim_socket, waiting);
        asy_sim_stream_unlist(client);
        unbind_unix(client);
        close_end(client, /* was_accepted= */ false);
        asy_sim_socket_free(client);
    }
    close_end(socket, /* was_accepted= */ true);
}

/* Both ends are of one host. */
static void vanish_unix_stream(struct sim_socket *socket)
{
    if (socket->name)
        forget_name(socket->name);
    close_unix_stream(socket);
    if (socket->state != SIM_LISTENING)
        socket->state = SIM_BROKEN;
}

static int peer_of_unix_stream(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    if (!socket->connection)
        return -ENOTCONN;
    const struct sim_socket *peer = socket->connection->ends[!socket->side];
    write_name(peer ? peer->name : NULL, name, length);
    return 0;
}

static void describe_unix(const struct sim_socket *socket, char *text, size_t bytes)
{
    const struct sim_name *name = socket->name;
    bool is_stream = socket->kind == &asy_sim_unix_stream;
    int shown = name ? (int)name->length - is_abstract(name->text) : 0;
    int used = snprintf(text, bytes, "unix%s%s%s%.*s", is_stream ? "" : " datagram", name ? " " : "",
                        name && is_abstract(name->text) ? "@" : "", shown,
                        name ? name->text + is_abstract(name->text) : "");
    if (socket->connection && (size_t)used < bytes)
        snprintf(text + used, bytes - (size_t)used, " (sent %llu, received %llu)",
                 (unsigned long long)asy_sim_pipe_out(socket)->sent,
                 (unsigned long long)asy_sim_pipe_in(socket)->received);
}

const struct sim_kind asy_sim_unix_stream = {
    .name = "unix",
    .bind = bind_unix,
    .connect = connect_unix,
    .listen = listen_unix,
    .first = asy_sim_stream_first,
    .shutdown = asy_sim_stream_shutdown,
    .receive = asy_sim_stream_receive,
    .send = asy_sim_stream_send,
    .name_of = name_of_unix,
    .peer_of = peer_of_unix_stream,
    .events = asy_sim_stream_events,
    .untaken = asy_sim_stream_untaken,
    .describe = describe_unix,
    .close = close_unix_stream,
    .vanish = vanish_unix_stream,
};

/* ---- Datagrams ----------------------------------------------------------------------------------------- */

static void point_at(struct sim_socket *socket, struct sim_socket *other)
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
    int err = is_end ? 0 : find_named(socket, to, length, &other);
    if (!err && other)
        err = check_takes_from(socket, other);
    if (!err)
        point_at(socket, other);
    return err;
}

static int choose_reader(struct sim_socket *socket, const struct msghdr *message, struct sim_socket **out)
{
    if (message->msg_name)
        return find_named(socket, message->msg_name, message->msg_namelen, out);
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
    size_t bytes = 0;
    (void)flags;
    for (size_t i = 0; i < message->msg_iovlen; i++)
        bytes += message->msg_iov[i].iov_len;
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
    write_name(socket->name, (struct sockaddr *)&letter->from, &letter->from_length);
    letter->bytes = bytes;
    size_t done = 0;
    for (size_t i = 0; i < message->msg_iovlen; done += message->msg_iov[i++].iov_len)
        if (message->msg_iov[i].iov_len)
            memcpy(letter->text + done, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
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
    size_t done = 0, bytes = letter->bytes;
    for (size_t i = 0; i < message->msg_iovlen && done < bytes; i++) {
        size_t part = message->msg_iov[i].iov_len < bytes - done ? message->msg_iov[i].iov_len : bytes - done;
        if (part)
            memcpy(message->msg_iov[i].iov_base, letter->text + done, part);
        done += part;
    }
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
    write_name(socket->other ? socket->other->name : NULL, name, length);
    return 0;
}

void asy_sim_unix_join(struct sim_socket *one, struct sim_socket *other)
{
    if (one->kind == &asy_sim_unix_stream) {
        join_ends(one, other);
    } else {
        point_at(one, other);
        point_at(other, one);
    }
}

static size_t untaken_of_unix_datagram(const struct sim_socket *socket)
{
    (void)socket;
    return 0;
}

static void close_unix_datagram(struct sim_socket *socket)
{
    unbind_unix(socket);
    point_at(socket, NULL);
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
        forget_name(socket->name);
    close_unix_datagram(socket);
}

const struct sim_kind asy_sim_unix_datagram = {
    .name = "unix datagram",
    .bind = bind_unix,
    .connect = connect_unix_datagram,
    .shutdown = shutdown_unix_datagram,
    .receive = receive_unix_datagram,
    .send = send_unix_datagram,
    .name_of = name_of_unix,
    .peer_of = peer_of_unix_datagram,
    .events = events_of_unix_datagram,
    .untaken = untaken_of_unix_datagram,
    .describe = describe_unix,
    .close = close_unix_datagram,
    .vanish = vanish_unix_datagram,
};
