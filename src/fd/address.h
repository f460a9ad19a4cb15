/*
 * Addresses as text, for messages and reports; and the address of a Unix socket's path.
 */
#ifndef ASY_FD_ADDRESS_H
#define ASY_FD_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

/* An Internet address; of any other, and of none, the family alone. */
union asy_peer {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

union asy_peer asy_peer_of(const struct sockaddr *address);
/* Of an Internet address; else 0. */
socklen_t asy_peer_length(const union asy_peer *peer);

/* Room for the longest: a Unix path. */
#define ASY_ADDRESS_TEXT 128

/* "192.0.2.1:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80", "/run/x.sock", "@abstract", "a Unix socket". */
void asy_address_text(const struct sockaddr *address, char text[ASY_ADDRESS_TEXT]);
/* The port, or -EINVAL for an address without one. */
int asy_address_port(const struct sockaddr *address);

/* The address of a path; '@' begins an abstract name. 0, or -EINVAL, -ENAMETOOLONG with a message. */
struct sockaddr_un;
int asy_unix_address(const char *path, struct sockaddr_un *address, socklen_t *length);

#endif
