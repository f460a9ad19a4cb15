/*
 * The question `lockstep`: what does a request cost the server in processor time when exactly so many of
 * them are there at once? Server and clients share one thread. A round sends `batch` requests, then lets the
 * server take steps until each is answered; only the steps are measured. Nobody sleeps, and no other
 * processor takes part: what is left is the work of the server and of its system calls.
 *
 * A variant is BYTESxCONNECTIONSxBATCH.
 */
#ifndef LOCKSTEP_H
#define LOCKSTEP_H

#include "bench.h"

#include <stdbool.h>

#define LOCKSTEP_BYTES_MAX 65536

struct lockstep {
    size_t bytes, connections, batch;
};

/* A server that echoes, on descriptors of connected sockets, which it owns. */
struct lockstep_server {
    const char *mark; /* behind the variant, in what is printed */
    /* NULL: it cannot serve here. */
    void *(*open)(const struct lockstep *set, const int *fds);
    /* Looks once for what has come, without a wait, and serves it. */
    void (*step)(void *server);
    /* All clients are gone. */
    void (*close)(void *server);
};

extern const struct lockstep_server lockstep_epoll; /* edge-triggered, by hand */
extern const struct lockstep_server lockstep_ring;  /* multishot receives, answers from the same buffer */
extern const struct lockstep_server
    lockstep_ring_copy; /* the same, answers from a copy: what streams must do */

/* How much a server reads at once: a request, and room to see that it is all. */
static inline size_t lockstep_room(const struct lockstep *set)
{
    return set->bytes < LOCKSTEP_BYTES_MAX / 2 ? 2 * set->bytes : LOCKSTEP_BYTES_MAX;
}

#endif
