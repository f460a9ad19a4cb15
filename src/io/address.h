/*
 * Addresses as text, for messages and reports.
 */
#ifndef ASY_IO_ADDRESS_H
#define ASY_IO_ADDRESS_H

#include <sys/socket.h>

/* Room for the longest: a Unix path. */
#define ASY_ADDRESS_TEXT 128

/* "192.0.2.1:80", "[2001:db8::1]:80", "/run/x.sock", "@abstract", "a Unix socket". */
void asy_address_text(const struct sockaddr *address, char text[ASY_ADDRESS_TEXT]);
/* The port, or -EINVAL for an address without one. */
int asy_address_port(const struct sockaddr *address);

#endif
