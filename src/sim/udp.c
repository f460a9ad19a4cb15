/*
 * Simulated UDP: each datagram is an event of its own, and may be lost, doubled or overtaken. One that does
 * not fit into the receiver's buffer is dropped there. A datagram for a port that nobody has, or over a way
 * that refuses, comes back to a connected sender as an error.
 */
#include "asyncio/errors.h"
#include "sim/draws.h"
#include "sim/history.h"
#include "sim/net.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DATAGRAM_MAX 65507
#define USUAL_BUFFER 212992
#define OVERHEAD 256 /* of each datagram, in the receiver's buffer */

struct datagram {
    struct sim_event event;
    struct sim_held held;
    struct list node; /* among those on the way, or in a socket's queue */
    struct sim_way *way;
    struct sim_host *to_host;
    struct sim_place from, to;
    struct sim_life *sender_life;
    size_t bytes;
    char text[];
};

static THREAD_LOCAL struct list under_way; /* next NULL: none was sent yet */

static void free_datagram(struct datagram *datagram)
{
    list_remove(&datagram->node);
    list_remove(&datagram->held.node);
    asy_sim_event_cancel(&datagram->event);
    asy_sim_free(datagram);
}

void asy_sim_datagrams_end(void)
{
    if (!under_way.next)
        return;
    while (!list_is_empty(&under_way))
        free_datagram(LIST_ENTRY(under_way.next, struct datagram, node));
    under_way.next = NULL;
}

/* ---- Arrival -------------------------------------------------------------------------------- */

/* How well a socket fits: one that is connected to the sender comes before one that takes any. 0: not. */
static int rate_receiver(const struct sim_socket *socket, const struct datagram *datagram)
{
    int fit = asy_sim_place_fits(socket, &datagram->to.ip);
    if (!fit || !socket->has_peer)
        return fit;
    bool is_peer = socket->there.port == datagram->from.port &&
                   memcmp(&socket->there.ip, &datagram->from.ip, sizeof datagram->from.ip) == 0;
    return is_peer ? fit + 2 : 0;
}

static struct sim_socket *find_receiver(const struct datagram *datagram)
{
    struct sim_life *life = datagram->to_host->life;
    struct list *head = life->is_over ? NULL : asy_sim_ports_at(life, SIM_UDP, datagram->to.port);
    struct sim_socket *best = NULL;
    int best_rate = 0;
    if (!head)
        return NULL;
    LIST_EACH(node, head) {
        struct sim_socket *socket = LIST_ENTRY(node, struct sim_socket, bound);
        int rate = rate_receiver(socket, datagram);
        if (rate > best_rate) {
            best = socket;
            best_rate = rate;
        }
    }
    return best;
}

/* The sender, if it is connected and still there, learns of it. */
static void send_back_error(const struct datagram *datagram, int error)
{
    struct list *head = asy_sim_ports_at(datagram->sender_life, SIM_UDP, datagram->from.port);
    if (!head || datagram->sender_life->is_over)
        return;
    LIST_EACH(node, head) {
        struct sim_socket *socket = LIST_ENTRY(node, struct sim_socket, bound);
        if (!socket->has_peer || socket->there.port != datagram->to.port ||
            memcmp(&socket->there.ip, &datagram->to.ip, sizeof datagram->to.ip) != 0)
            continue;
        socket->error = error;
        asy_sim_socket_woke(socket, EPOLLIN | EPOLLOUT | EPOLLERR);
        return;
    }
}

static void land_datagram(struct datagram *datagram)
{
    asyncio_sim_state state = datagram->way ? datagram->way->link.state : ASYNCIO_SIM_UP;
    struct sim_socket *to = state == ASYNCIO_SIM_UP ? find_receiver(datagram) : NULL;
    if (state == ASYNCIO_SIM_HOLD) {
        asy_sim_way_hold(datagram->way, &datagram->held);
        return;
    }
    asy_sim_happened(to ? "datagram" : "datagram for nobody", datagram->to.port, datagram->bytes);
    size_t limit = to && to->receive_buffer ? to->receive_buffer : USUAL_BUFFER;
    if (to && to->queued + datagram->bytes + OVERHEAD <= limit) {
        to->queued += datagram->bytes + OVERHEAD;
        list_remove(&datagram->node);
        list_append(&to->queue, &datagram->node);
        asy_sim_socket_woke(to, EPOLLIN);
        return;
    }
    if (state == ASYNCIO_SIM_REFUSE)
        send_back_error(datagram, EHOSTUNREACH);
    else if (state == ASYNCIO_SIM_UP && !to)
        send_back_error(datagram, ECONNREFUSED);
    free_datagram(datagram);
}

static void datagram_due(struct sim_event *event)
{
    land_datagram(LIST_ENTRY(event, struct datagram, event));
}

static void datagram_released(struct sim_held *held)
{
    land_datagram(LIST_ENTRY(held, struct datagram, held));
}

/* ---- Sending ----------------------------------------------------------------------------------- */

static struct datagram *make_datagram(const struct sim_socket *from, const struct sim_place *to,
                                      struct sim_host *host, size_t bytes)
{
    struct datagram *datagram = asy_sim_alloc(sizeof *datagram + bytes);
    datagram->event.happen = datagram_due;
    datagram->held.release = datagram_released;
    list_init(&datagram->held.node);
    list_init(&datagram->node);
    datagram->way = asy_sim_way(from->life->host, host);
    datagram->to_host = host;
    datagram->sender_life = from->life;
    datagram->from = from->here;
    datagram->to = *to;
    datagram->bytes = bytes;
    if (!under_way.next)
        list_init(&under_way);
    list_append(&under_way, &datagram->node);
    return datagram;
}

static bool draw_fate(enum sim_feature feature, double probability, const struct datagram *datagram)
{
    if (!datagram->way || !(probability > 0))
        return false;
    bool happens = asy_sim_draw_chance(feature, probability);
    asy_sim_tell("datagram of %zu bytes %s %s, %s -> %s", datagram->bytes, happens ? "is" : "is not",
                 feature == SIM_LOSS        ? "lost"
                 : feature == SIM_DUPLICATE ? "doubled"
                                            : "overtaken",
                 datagram->way->from->name, datagram->way->to->name);
    return happens;
}

/* An overtaken one takes its latency twice. */
static void send_datagram(struct datagram *datagram)
{
    struct sim_way *way = datagram->way;
    if (!way) {
        land_datagram(datagram);
        return;
    }
    int64_t at_ns = asy_sim_way_arrival(way, datagram->bytes);
    if (draw_fate(SIM_REORDER, way->link.reorder, datagram))
        at_ns += way->latency_ns;
    if (draw_fate(SIM_LOSS, way->link.loss, datagram))
        free_datagram(datagram);
    else
        asy_sim_event_at(&datagram->event, at_ns);
}

/* To send to all takes an option, as on Linux; here it leads to nobody. */
static int find_udp_peer(struct sim_socket *socket, const struct sockaddr *to, socklen_t length,
                         struct sim_place *place, struct sim_host **host)
{
    int err = asy_sim_peer_find(socket, to, length, place, host), may = 0;
    socklen_t room = sizeof may;
    if (err != -EHOSTUNREACH || !IN6_IS_ADDR_V4MAPPED(&place->ip) || place->ip.s6_addr32[3] != UINT32_MAX)
        return err;
    asy_sim_getsockopt(socket, SOL_SOCKET, SO_BROADCAST, &may, &room);
    return may ? asy_sim_refuse("broadcasts") : -EACCES;
}

static int choose_receiver(struct sim_socket *socket, const struct msghdr *message, struct sim_place *place,
                           struct sim_host **host)
{
    if (message->msg_name)
        return find_udp_peer(socket, message->msg_name, message->msg_namelen, place, host);
    if (!socket->has_peer)
        return -EDESTADDRREQ;
    *place = socket->there;
    *host = asy_sim_host_at(socket->life, &place->ip);
    return 0;
}

static ssize_t send_udp(struct sim_socket *socket, const struct msghdr *message, int flags)
{
    struct sim_place place;
    struct sim_host *host = NULL;
    (void)flags;
    size_t bytes = asy_sim_parts_bytes(message);
    int err = socket->is_bound ? 0 : asy_sim_ports_autobind(socket, SIM_UDP, NULL);
    if (!err)
        err = asy_sim_socket_take_error(socket);
    if (!err)
        err = bytes > DATAGRAM_MAX ? -EMSGSIZE : choose_receiver(socket, message, &place, &host);
    if (!err && !place.port)
        err = -EINVAL;
    if (!err && socket->sent_end)
        err = -EPIPE;
    if (err)
        return err;
    struct datagram *datagram = make_datagram(socket, &place, host, bytes);
    datagram->from.ip = asy_sim_source_for(socket, &place.ip);
    asy_sim_parts_gather(message, datagram->text);
    socket->sent += bytes;
    if (datagram->way && draw_fate(SIM_DUPLICATE, datagram->way->link.duplicate, datagram)) {
        struct datagram *twin = make_datagram(socket, &place, host, bytes);
        twin->from = datagram->from;
        memcpy(twin->text, datagram->text, bytes);
        send_datagram(twin);
    }
    send_datagram(datagram);
    return (ssize_t)bytes;
}

/* ---- Receiving --------------------------------------------------------------------------------- */

static ssize_t receive_udp(struct sim_socket *socket, struct msghdr *message, int flags)
{
    int err = flags & MSG_ERRQUEUE ? -EAGAIN : asy_sim_socket_take_error(socket);
    if (!err && list_is_empty(&socket->queue))
        err = -EAGAIN; /* as on Linux, after a shutdown, too */
    if (err)
        return err;
    struct datagram *datagram = LIST_ENTRY(socket->queue.next, struct datagram, node);
    size_t bytes = datagram->bytes, copied = asy_sim_parts_scatter(message, datagram->text, bytes);
    if (message->msg_name)
        asy_sim_place_write(socket, &datagram->from, message->msg_name, &message->msg_namelen);
    message->msg_controllen = 0;
    message->msg_flags = copied < bytes ? MSG_TRUNC : 0;
    if (!(flags & MSG_PEEK)) {
        socket->queued -= bytes + OVERHEAD;
        socket->received += bytes;
        free_datagram(datagram);
    }
    return (ssize_t)(flags & MSG_TRUNC ? bytes : copied);
}

/* ---- The rest ------------------------------------------------------------------------------------ */

static int bind_udp(struct sim_socket *socket, const struct sockaddr *to, socklen_t length)
{
    return asy_sim_ports_bind(socket, SIM_UDP, to, length);
}

static int connect_udp(struct sim_socket *socket, const struct sockaddr *to, socklen_t length)
{
    struct sim_place place;
    struct sim_host *host;
    if (to && length >= sizeof to->sa_family && to->sa_family == AF_UNSPEC) {
        socket->has_peer = false;
        return 0;
    }
    int err = find_udp_peer(socket, to, length, &place, &host);
    if (!err)
        err = asy_sim_ports_autobind(socket, SIM_UDP, &place.ip);
    if (err)
        return err;
    socket->there = place;
    socket->has_peer = true;
    return 0;
}

static uint32_t events_of_udp(const struct sim_socket *socket)
{
    uint32_t events = EPOLLOUT | (list_is_empty(&socket->queue) ? 0 : EPOLLIN);
    if (socket->error)
        events |= EPOLLERR;
    if (socket->shut_read)
        events |= EPOLLIN | EPOLLRDHUP;
    return socket->shut_read && socket->sent_end ? events | EPOLLHUP : events;
}

static int shutdown_udp(struct sim_socket *socket, int how)
{
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    socket->shut_read |= how != SHUT_WR;
    socket->sent_end |= how != SHUT_RD;
    asy_sim_socket_woke(socket, events_of_udp(socket));
    return socket->has_peer ? 0 : -ENOTCONN; /* as on Linux, it is shut down all the same */
}

static int name_of_udp(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    asy_sim_place_write(socket, &socket->here, name, length);
    return 0;
}

static int peer_of_udp(struct sim_socket *socket, struct sockaddr *name, socklen_t *length)
{
    if (!socket->has_peer)
        return -ENOTCONN;
    asy_sim_place_write(socket, &socket->there, name, length);
    return 0;
}

static size_t untaken_of_udp(const struct sim_socket *socket)
{
    (void)socket;
    return 0;
}

static void describe_udp(const struct sim_socket *socket, char *text, size_t bytes)
{
    char here[PLACE_TEXT], there[PLACE_TEXT] = "";
    if (socket->has_peer)
        asy_sim_place_text(&socket->there, there);
    snprintf(text, bytes, "udp %s%s%s (sent %llu, received %llu)", asy_sim_place_text(&socket->here, here),
             *there ? " -> " : "", there, (unsigned long long)socket->sent,
             (unsigned long long)socket->received);
}

static void close_udp(struct sim_socket *socket)
{
    list_remove(&socket->bound);
    while (!list_is_empty(&socket->queue))
        free_datagram(LIST_ENTRY(socket->queue.next, struct datagram, node));
    socket->queued = 0;
}

const struct sim_kind asy_sim_udp = {
    .name = "udp",
    .bind = bind_udp,
    .connect = connect_udp,
    .shutdown = shutdown_udp,
    .receive = receive_udp,
    .send = send_udp,
    .name_of = name_of_udp,
    .peer_of = peer_of_udp,
    .events = events_of_udp,
    .untaken = untaken_of_udp,
    .describe = describe_udp,
    .close = close_udp,
    .vanish = close_udp,
};
