/*
 * Addresses of the program: looked up, and bound to. See endpoint.h.
 */
#include "net/endpoint.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/names.h"
#include "sys/net.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

void asy_target_text(const asyncio_address *address, char text[ASY_TARGET_TEXT])
{
    bool has_colon = address->host && strchr(address->host, ':');
    snprintf(text, ASY_TARGET_TEXT, has_colon ? "[%.255s]:%d" : "%.255s:%d",
             address->host ? address->host : "localhost", address->port);
}

static int refuse_port(const asyncio_address *address, enum asy_purpose purpose)
{
    static const char *const verbs[] = {
        [ASY_TO_CONNECT] = "connect to", [ASY_TO_BIND] = "bind to", [ASY_TO_LISTEN] = "listen on"};
    bool is_any = purpose != ASY_TO_CONNECT && (!address->host || !*address->host);
    const asyncio_address shown = {is_any ? "*" : address->host, address->port};
    char target[ASY_TARGET_TEXT];
    asy_target_text(&shown, target);
    return (int)asyncio_raise(-EINVAL, "%s %s: a port is a number from 0 to 65535", verbs[purpose], target);
}

int asy_check_family(int family)
{
    if (family == AF_UNSPEC || family == AF_INET || family == AF_INET6)
        return 0;
    return (int)asyncio_raise(-EINVAL, "the option family is AF_INET, AF_INET6 or 0, not %d", family);
}

bool asy_is_same_address(const struct addrinfo *a, const struct addrinfo *b)
{
    return a->ai_family == b->ai_family && a->ai_addrlen == b->ai_addrlen &&
           memcmp(a->ai_addr, b->ai_addr, a->ai_addrlen) == 0;
}

/* A hosts file may name an address twice, and so may a name server. */
static void drop_duplicates(struct addrinfo *addresses)
{
    for (struct addrinfo *first = addresses; first; first = first->ai_next) {
        struct addrinfo **place = &first->ai_next;
        while (*place) {
            struct addrinfo *other = *place;
            if (!asy_is_same_address(first, other)) {
                place = &other->ai_next;
                continue;
            }
            *place = other->ai_next;
            other->ai_next = NULL; /* POSIX lets any part of a list be freed by itself */
            freeaddrinfo(other);
        }
    }
}

int asy_look_up(const asyncio_address *address, int family, int type, enum asy_purpose purpose,
                struct addrinfo **result)
{
    if (address->port < 0 || address->port > UINT16_MAX)
        return refuse_port(address, purpose);
    char service[8];
    snprintf(service, sizeof service, "%d", address->port);
    bool is_local = purpose != ASY_TO_CONNECT;
    const char *host = address->host;
    if (is_local && host && !*host)
        host = NULL;
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV | (is_local ? AI_PASSIVE : 0), .ai_family = family, .ai_socktype = type};
    int err = asyncio_getaddrinfo(host, service, &hints, result);
    if (!err)
        drop_duplicates(*result);
    return err;
}

int asy_bind_to_any(int fd, int family, const struct addrinfo *addresses, const struct sockaddr **failed)
{
    int err = -EADDRNOTAVAIL;
    *failed = NULL;
    for (const struct addrinfo *at = addresses; at && err; at = at->ai_next) {
        if (at->ai_family != family)
            continue;
        err = asy_sys_bind(fd, at->ai_addr, at->ai_addrlen);
        *failed = at->ai_addr;
    }
    return err;
}

void asy_host_text(const struct sockaddr *address, socklen_t length, char text[ASY_HOST_TEXT])
{
    if (getnameinfo(address, length, text, ASY_HOST_TEXT, NULL, 0, NI_NUMERICHOST))
        snprintf(text, ASY_HOST_TEXT, "?");
}
