/*
 * The sockets of a process's network, by inode: what they are, and their addresses.
 */
#ifndef TOOL_SOCKETS_H
#define TOOL_SOCKETS_H

#include "text.h"
#include <sys/types.h>

struct sockets;
struct sockets *sockets_read(pid_t pid);
/* Adds ", tcp 10.0.0.2:443 <- 10.0.0.9:51234"; the arrow shows the way that the bytes go. */
void sockets_describe(const struct sockets *sockets, uint64_t inode, bool is_reading, struct text *text);
void sockets_free(struct sockets *sockets);

/* A whole file of /proc/PID; NULL and errno. To be freed. (process.c) */
char *read_proc_file(pid_t pid, const char *name);

#endif
