/*
 * What those who make sockets share: an address that a program has given, looked
 * up, and bound to.
 */
#ifndef ASY_IO_ENDPOINT_H
#define ASY_IO_ENDPOINT_H

#include "asyncio/streams.h"
#include <netdb.h>
#include <netinet/in.h>

/* Room for the text of a numeric host, with its scope. */
#define ASY_HOST_TEXT (INET6_ADDRSTRLEN + 16)

/* Looks up host and port, for a socket of this family (AF_UNSPEC: any) and type. `is_local`: to bind to,
 * so that no host is any. Suspends, but for numbers. 0, or an error with a message. */
int asy_look_up(const asyncio_address *address, int family, int type, bool is_local,
                struct addrinfo **result);

/* Binds to the first of the addresses that has the family and can be bound to. 0; the last error, and
 * *failed is the address; -EADDRNOTAVAIL if none has the family: then *failed is NULL. */
int asy_bind_to_any(int fd, int family, const struct addrinfo *addresses, const struct sockaddr **failed);

/* "192.0.2.1", "fe80::1%eth0", without the port. */
void asy_host_text(const struct sockaddr *address, socklen_t length, char text[ASY_HOST_TEXT]);

/* asyncio_strerror's words for the middle of a sentence: "connection refused". */
#define ASY_WORDS 96
const char *asy_words(intptr_t err, char words[ASY_WORDS]);

#endif
