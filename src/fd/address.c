/*
 * Addresses as text, and the address of a path. See address.h.
 */
#include "fd/address.h"
#include "asyncio/messages.h"
#include "sys/net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

socklen_t asy_peer_length(const union asy_peer *peer)
{
    int family = peer->any.sa_family;
    return family == AF_INET ? sizeof peer->v4 : family == AF_INET6 ? sizeof peer->v6 : 0;
}

union asy_peer asy_peer_of(const struct sockaddr *address)
{
    union asy_peer peer = {.v6 = {.sin6_family = address->sa_family}};
    memcpy(&peer, address, asy_peer_length(&peer));
    return peer;
}

/* "[fe80::1%eth0]:443": the same address may stand for another machine behind another interface. */
static void ipv6_text(const struct sockaddr_in6 *address, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?", zone[IF_NAMESIZE + 1] = "";
    inet_ntop(AF_INET6, &address->sin6_addr, host, sizeof host);
    if (address->sin6_scope_id) {
        zone[0] = '%';
        if (asy_sys_interface_name(address->sin6_scope_id, zone + 1))
            snprintf(zone + 1, IF_NAMESIZE, "%u", address->sin6_scope_id); /* it is gone */
    }
    snprintf(text, ASY_ADDRESS_TEXT, "[%s%s]:%u", host, zone, ntohs(address->sin6_port));
}

static void unix_text(const struct sockaddr_un *address, char *text)
{
    if (address->sun_path[0])
        snprintf(text, ASY_ADDRESS_TEXT, "%.107s", address->sun_path);
    else if (address->sun_path[1])
        snprintf(text, ASY_ADDRESS_TEXT, "@%.106s", address->sun_path + 1);
    else
        snprintf(text, ASY_ADDRESS_TEXT, "a Unix socket");
}

void asy_address_text(const struct sockaddr *address, char text[ASY_ADDRESS_TEXT])
{
    char host[INET6_ADDRSTRLEN] = "?";
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
    switch (address->sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(text, ASY_ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
        break;
    case AF_INET6:
        ipv6_text((const struct sockaddr_in6 *)(const void *)address, text);
        break;
    case AF_UNIX:
        unix_text((const struct sockaddr_un *)(const void *)address, text);
        break;
    default:
        snprintf(text, ASY_ADDRESS_TEXT, "an address of family %d", address->sa_family);
    }
}

int asy_address_port(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)address)->sin_port);
    if (address->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
    return -EINVAL;
}

int asy_unix_address(const char *path, struct sockaddr_un *address, socklen_t *length)
{
    size_t n = path ? strlen(path) : 0;
    if (!n)
        return (int)asyncio_raise(-EINVAL, "a Unix socket needs a path, which is %s",
                                  path ? "empty" : "NULL");
    if (n >= sizeof address->sun_path)
        return (int)asyncio_raise(-ENAMETOOLONG, "the path of a Unix socket has at most %zu bytes: %s",
                                  sizeof address->sun_path - 1, path);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, n);
    bool is_abstract = *path == '@';
    if (is_abstract)
        address->sun_path[0] = '\0';
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !is_abstract);
    return 0;
}
