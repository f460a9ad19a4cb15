/*
 * Happy eyeballs, version 2 (RFC 8305): of several addresses of one name, the
 * first that answers.
 *
 * This is the order of attempts alone. What an address is looked up with, and
 * what connects to it, is handed in, so that tests decide how long each takes. The
 * attempts run as tasks of a group: when this returns all have ended, and of what they
 * opened nothing is left but the result.
 */
#ifndef ASY_NET_HAPPY_EYEBALLS_H
#define ASY_NET_HAPPY_EYEBALLS_H

#include <netdb.h>
#include <stddef.h>

struct happy_eyeballs {
    /* The addresses, best first (RFC 6724); suspends. 0 or an error. */
    int (*resolve)(void *arg, struct addrinfo **addresses);
    void (*release)(void *arg, struct addrinfo *addresses);
    /* A descriptor, or an error; suspends. Runs in a task of its own if there are several addresses. */
    int (*connect)(void *arg, const struct addrinfo *address);
    /* Closes one that connect has opened; must not wait. */
    void (*close)(void *arg, int fd);
    void *arg;
    double delay_s; /* from one attempt to the next; below 0: only when it has failed */
};

/* The descriptor of the first connection that was established; else the error of the attempt that
 * failed last, the resolver's, or -ECANCELED. Suspends. *tried is how many attempts were begun. */
int asy_happy_eyeballs(const struct happy_eyeballs *with, size_t *tried);

/* Addresses in the order of attempts: one of each family in turn, in the order in which the families
 * first appear, each in its own order. Stores at most `room`; returns how many there are. */
size_t asy_interleave(const struct addrinfo *addresses, const struct addrinfo **order, size_t room);

#endif
