/*
 * Shared by the files that make sockets: looking up an address that the program gave, binding to it,
 * accepting a connection.
 */
#ifndef ASY_NET_ENDPOINT_H
#define ASY_NET_ENDPOINT_H

#include "asyncio/streams.h"
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>

/* Room for the text of a numeric host, with its scope. */
#define ASY_HOST_TEXT (INET6_ADDRSTRLEN + 16)

/* The purpose of an address. One without a host means this host to connect to, and any address otherwise. */
enum asy_purpose { ASY_TO_CONNECT, ASY_TO_BIND, ASY_TO_LISTEN };

/* Looks up host and port, for a socket of this family (AF_UNSPEC: any) and type; each address comes once.
 * Suspends, but for numbers. 0, or an error with a message. */
int asy_look_up(const asyncio_address *address, int family, int type, enum asy_purpose purpose,
                struct addrinfo **result);

/* 0, or -EINVAL with a message: no such family of addresses is looked up. */
int asy_check_family(int family);

bool asy_is_same_address(const struct addrinfo *a, const struct addrinfo *b);

/* "example.org:443", "[::1]:443", for messages. */
#define ASY_TARGET_TEXT (256 + 16)
void asy_target_text(const asyncio_address *address, char text[ASY_TARGET_TEXT]);

/* Binds to the first of the addresses that has the family and can be bound to. 0; the last error, and
 * *failed is the address; -EADDRNOTAVAIL if none has the family: then *failed is NULL. */
int asy_bind_to_any(int fd, int family, const struct addrinfo *addresses, const struct sockaddr **failed);

/* accept(2), which does not wait. -EAGAIN: there is no connection, even if no descriptor is left for one. */
int asy_accept(int fd, struct sockaddr *peer, socklen_t *length);

/* "192.0.2.1", "fe80::1%eth0", without the port. */
void asy_host_text(const struct sockaddr *address, socklen_t length, char text[ASY_HOST_TEXT]);

#endif
