/*
 * The options of sockets that connections and servers have alike.
 */
#ifndef ASY_FD_SOCKET_OPTIONS_H
#define ASY_FD_SOCKET_OPTIONS_H

#include "asyncio/servers.h"

/* Options that are seconds: a NaN among them is -EINVAL with a message, else 0. */
int asy_check_seconds(double close_timeout, double keepalive, double user_timeout);

/* Sets both for a TCP socket, as asyncio/streams.h tells. Connections inherit them of the socket that
 * listens. 0 or a negative errno; *step is then the name of the option. */
int asy_set_tcp_options(int fd, double keepalive, double user_timeout, const char **step);
/* Calls the program's function, if there is one. 0 or its error, if that is below 0; *step as above. */
int asy_set_up_socket(int fd, int (*setup)(int fd, void *arg), void *arg, const char **step);

#endif
