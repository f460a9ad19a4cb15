/*
 * Addresses of sockets, as Python's socket module tells them.
 */
#ifndef FACE_ADDRESS_H
#define FACE_ADDRESS_H

#include "face.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un path;
};

/* Of the families above, and none. NULL and an exception. */
PyObject *face_describe_address(const union address *address, socklen_t size);

#endif
