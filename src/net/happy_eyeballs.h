/*
 * Happy eyeballs, version 2 (RFC 8305): connects to the first address of a name that answers.
 *
 * This decides the order of attempts alone. The caller hands in the functions that look a name up and
 * connect, so that tests decide how long each takes. The attempts run as tasks of a group: when this returns
 * all have ended, and all that they opened is closed but the result.
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
    double delay_s; /* from one attempt to the next; below 0: the next begins when the last has failed */
};

/* The descriptor of the first connection that was established; else the error of the attempt that failed
 * last, the resolver's, or -ECANCELED. Suspends. *tried: the number of attempts that were begun. */
int asy_happy_eyeballs(const struct happy_eyeballs *with, size_t *tried);

/* Addresses in the order of attempts: one of each family in turn, in the order in which the families first
 * appear, each in its own order. Stores at most `room`; returns how many there are. */
size_t asy_interleave(const struct addrinfo *addresses, const struct addrinfo **order, size_t room);

#endif
