/*
 * Addresses that a program has given, looked up, and bound to. See endpoint.h.
 */
#include "io/endpoint.h"
#include "asyncio/errors.h"
#include "asyncio/names.h"
#include "sys/net.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>

int asy_look_up(const asyncio_address *address, int family, int type, bool is_local, struct addrinfo **result)
{
    if (address->port < 0 || address->port > UINT16_MAX)
        return -EINVAL;
    char service[8];
    snprintf(service, sizeof service, "%d", address->port);
    const char *host = address->host;
    if (is_local && host && !*host)
        host = NULL;
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV | (is_local ? AI_PASSIVE : 0),
                             .ai_family = family,
                             .ai_socktype = type};
    return asyncio_getaddrinfo(host, service, &hints, result);
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

const char *asy_words(intptr_t err, char words[ASY_WORDS])
{
    snprintf(words, ASY_WORDS, "%s", asyncio_strerror(err));
    if (islower((unsigned char)words[1])) /* no name, as in "RPC failed" */
        words[0] = (char)tolower((unsigned char)words[0]);
    return words;
}
