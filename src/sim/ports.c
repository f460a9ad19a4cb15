/*
 * Addresses and ports of a simulated host. What is bound to a port stands in a list, found by the port's
 * number; sockets that a listener has accepted stand in another, since they are found by their connection,
 * but keep others from the port.
 */
#include "asyncio/errors.h"
#include "sim/net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIRST_OWN_PORT 32768
#define LAST_OWN_PORT 60999
#define PAGE 256

/* ---- Addresses --------------------------------------------------------------------------- */

int asy_sim_place_read(const struct sim_socket *socket, const struct sockaddr *to, socklen_t length,
                       struct sim_place *place)
{
    if (!to || length < sizeof to->sa_family)
        return -EINVAL;
    if (socket->family == AF_INET) {
        struct sockaddr_in in;
        if (length < sizeof in)
            return -EINVAL;
        memcpy(&in, to, sizeof in);
        if (in.sin_family != AF_INET)
            return -EAFNOSUPPORT;
        *place = (struct sim_place){.ip.s6_addr = {[10] = 0xff, [11] = 0xff}, .port = ntohs(in.sin_port)};
        memcpy(&place->ip.s6_addr[12], &in.sin_addr, sizeof in.sin_addr);
        return 0;
    }
    struct sockaddr_in6 in6;
    if (to->sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    if (length < offsetof(struct sockaddr_in6, sin6_scope_id))
        return -EINVAL;
    memset(&in6, 0, sizeof in6);
    memcpy(&in6, to, length < sizeof in6 ? length : sizeof in6);
    *place = (struct sim_place){.ip = in6.sin6_addr, .port = ntohs(in6.sin6_port)};
    return 0;
}

static bool is_any(const struct in6_addr *ip)
{
    static const struct in6_addr any_4 = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    return IN6_IS_ADDR_UNSPECIFIED(ip) || memcmp(ip, &any_4, sizeof any_4) == 0;
}

static void copy_out(const void *from, size_t bytes, struct sockaddr *name, socklen_t *length)
{
    memcpy(name, from, bytes < *length ? bytes : *length);
    *length = (socklen_t)bytes;
}

void asy_sim_place_write(const struct sim_socket *socket, const struct sim_place *place,
                         struct sockaddr *name, socklen_t *length)
{
    if (socket->family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(place->port)};
        memcpy(&in.sin_addr, &place->ip.s6_addr[12], sizeof in.sin_addr);
        copy_out(&in, sizeof in, name, length);
    } else {
        struct sockaddr_in6 in6 = {
            .sin6_family = AF_INET6, .sin6_port = htons(place->port), .sin6_addr = place->ip};
        copy_out(&in6, sizeof in6, name, length);
    }
}

const char *asy_sim_place_text(const struct sim_place *place, char text[PLACE_TEXT])
{
    char ip[INET6_ADDRSTRLEN];
    bool is_4 = IN6_IS_ADDR_V4MAPPED(&place->ip);
    inet_ntop(is_4 ? AF_INET : AF_INET6, is_4 ? (const void *)&place->ip.s6_addr[12] : &place->ip, ip,
              sizeof ip);
    snprintf(text, PLACE_TEXT, is_4 ? "%s:%u" : "[%s]:%u", ip, place->port);
    return text;
}

int asy_sim_place_fits(const struct sim_socket *socket, const struct in6_addr *ip)
{
    const struct in6_addr *own = &socket->here.ip;
    if (memcmp(own, ip, sizeof *ip) == 0)
        return 2;
    if (!is_any(own))
        return 0;
    bool is_4 = IN6_IS_ADDR_V4MAPPED(ip);
    return socket->family == AF_INET ? is_4 : !is_4 || !socket->is_v6only;
}

/* ---- Ports ------------------------------------------------------------------------------------- */

static struct list *find_sockets(struct list *const *pages, uint16_t port)
{
    struct list *page = pages[port / PAGE], *head = page ? &page[port % PAGE] : NULL;
    return head && !list_is_empty(head) ? head : NULL;
}

struct list *asy_sim_ports_at(struct sim_life *life, enum sim_protocol protocol, uint16_t port)
{
    return find_sockets(life->ports[protocol].pages, port);
}

static void add_to_port(struct sim_socket *socket, struct list **pages)
{
    struct list **page = &pages[socket->here.port / PAGE];
    if (!*page) {
        *page = asy_sim_alloc(PAGE * sizeof **page);
        for (unsigned i = 0; i < PAGE; i++)
            list_init(&(*page)[i]);
    }
    list_append(&(*page)[socket->here.port % PAGE], &socket->bound);
    socket->is_bound = true;
}

void asy_sim_ports_join(struct sim_socket *client)
{
    add_to_port(client, client->life->ports[SIM_TCP].accepted);
}

/* Would both get what is sent to one address? */
static bool do_overlap(const struct sim_socket *a, const struct sim_socket *b)
{
    return (is_any(&a->here.ip) && asy_sim_place_fits(a, &b->here.ip)) ||
           (is_any(&b->here.ip) && asy_sim_place_fits(b, &a->here.ip)) ||
           memcmp(&a->here.ip, &b->here.ip, sizeof a->here.ip) == 0;
}

static bool may_share(const struct sim_socket *a, const struct sim_socket *b)
{
    return (a->reuses_port && b->reuses_port) ||
           (a->reuses_address && b->reuses_address && a->state != SIM_LISTENING && b->state != SIM_LISTENING);
}

static bool is_any_in_the_way(const struct sim_socket *socket, struct list *head)
{
    if (!head)
        return false;
    LIST_EACH(node, head) {
        const struct sim_socket *other = LIST_ENTRY(node, struct sim_socket, bound);
        if (other != socket && do_overlap(socket, other) && !may_share(socket, other))
            return true;
    }
    return false;
}

static bool is_port_taken(const struct sim_socket *socket, enum sim_protocol protocol)
{
    const struct sim_ports *ports = &socket->life->ports[protocol];
    return is_any_in_the_way(socket, find_sockets(ports->pages, socket->here.port)) ||
           is_any_in_the_way(socket, find_sockets(ports->accepted, socket->here.port));
}

/* The next one in order, at which nothing is bound at all. */
static int choose_port(struct sim_socket *socket, enum sim_protocol protocol)
{
    struct sim_ports *ports = &socket->life->ports[protocol];
    for (unsigned tries = 0; tries <= LAST_OWN_PORT - FIRST_OWN_PORT; tries++) {
        uint16_t port = ports->next < FIRST_OWN_PORT ? FIRST_OWN_PORT : ports->next;
        ports->next = port == LAST_OWN_PORT ? FIRST_OWN_PORT : (uint16_t)(port + 1);
        if (find_sockets(ports->pages, port) || find_sockets(ports->accepted, port))
            continue;
        socket->here.port = port;
        return 0;
    }
    return -EADDRNOTAVAIL;
}

int asy_sim_ports_bind(struct sim_socket *socket, enum sim_protocol protocol, const struct sockaddr *to,
                       socklen_t length)
{
    struct sim_place place;
    int err = asy_sim_place_read(socket, to, length, &place);
    if (!err && socket->is_bound)
        err = -EINVAL;
    if (!err && !is_any(&place.ip) && !asy_sim_is_own(socket->life, &place.ip))
        err = -EADDRNOTAVAIL;
    if (err)
        return err;
    socket->here = place;
    err = place.port ? (is_port_taken(socket, protocol) ? -EADDRINUSE : 0) : choose_port(socket, protocol);
    if (err) {
        socket->here = (struct sim_place){0};
        return err;
    }
    socket->chose_port = place.port != 0;
    add_to_port(socket, socket->life->ports[protocol].pages);
    return 0;
}

void asy_sim_ports_leave(struct sim_socket *socket)
{
    if (socket->chose_port)
        return;
    list_remove(&socket->bound);
    socket->is_bound = false;
}

struct in6_addr asy_sim_source_for(const struct sim_socket *socket, const struct in6_addr *to)
{
    int family = IN6_IS_ADDR_V4MAPPED(to) ? AF_INET : AF_INET6;
    if (!is_any(&socket->here.ip))
        return socket->here.ip;
    return asy_sim_is_loopback(to) ? asy_sim_loopback(family)
                                   : asy_sim_address_of(socket->life->host, family);
}

int asy_sim_ports_autobind(struct sim_socket *socket, enum sim_protocol protocol, const struct in6_addr *to)
{
    if (!socket->is_bound) {
        socket->here = (struct sim_place){0};
        if (socket->family == AF_INET)
            socket->here.ip.s6_addr[10] = socket->here.ip.s6_addr[11] = 0xff;
        int err = choose_port(socket, protocol);
        if (err)
            return err;
        add_to_port(socket, socket->life->ports[protocol].pages);
    }
    if (to)
        socket->here.ip = asy_sim_source_for(socket, to);
    return 0;
}

void asy_sim_ports_end(struct sim_life *life)
{
    for (unsigned protocol = 0; protocol < SIM_PROTOCOLS; protocol++)
        for (unsigned i = 0; i < PAGE; i++) {
            asy_sim_free(life->ports[protocol].pages[i]);
            asy_sim_free(life->ports[protocol].accepted[i]);
        }
}
