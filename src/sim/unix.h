/*
 * What the files of simulated Unix sockets share: unix_names.c, unix.c (streams), unix_datagrams.c.
 */
#ifndef ASY_SIM_UNIX_H
#define ASY_SIM_UNIX_H

#include "sim/net.h"

/* For all kinds: bind, name_of, describe of struct sim_kind. */
int asy_sim_unix_bind(struct sim_socket *socket, const struct sockaddr *to, socklen_t length);
int asy_sim_unix_name_of(struct sim_socket *socket, struct sockaddr *name, socklen_t *length);
void asy_sim_unix_describe(const struct sim_socket *socket, char *text, size_t bytes);

/* The socket that an address names, of this one's kind. 0, or the error of a connect. */
int asy_sim_unix_find(struct sim_socket *socket, const struct sockaddr *to, socklen_t length,
                      struct sim_socket **out);
/* A name as an address, in which `length` was the room. NULL: the address of one that has none. */
void asy_sim_unix_write_name(const struct sim_name *name, struct sockaddr *to, socklen_t *length);
/* An accepted client has its listener's name, too, but is not found by it. */
void asy_sim_unix_copy_name(struct sim_socket *client, const struct sim_socket *listener);
/* The socket is closed: a path stays, until it is unlinked. */
void asy_sim_unix_unbind(struct sim_socket *socket);
/* The name goes, and the path with it. */
void asy_sim_unix_forget_name(struct sim_name *name);

/* Makes another datagram socket the peer of one. NULL: none. */
void asy_sim_unix_point_at(struct sim_socket *socket, struct sim_socket *other);

#endif
