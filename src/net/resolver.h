/*
 * The C library's resolver, and forks.
 *
 * The resolver holds locks of its own while a call begins, and while it sorts the addresses that it found. A
 * child that is forked meanwhile finds them locked for good, and its own look-ups hang. So each call of the
 * resolver is recorded here, and a fork waits for the calls that have just begun. A call that has waited for
 * a name server for a while holds no lock, as a rule, and a fork does not wait for it.
 */
#ifndef ASY_NET_RESOLVER_H
#define ASY_NET_RESOLVER_H

#include "base/list.h"
#include <stdint.h>

/* One call that is under way. */
struct resolving {
    struct list node;
    int64_t begun_ns;
};

/* Around each call of the resolver, on any thread. */
void asy_resolver_enter(struct resolving *resolving);
void asy_resolver_leave(struct resolving *resolving);

/* How long after its begin a fork waits for a call. Tests change it. */
extern _Atomic int64_t asy_resolver_fork_wait_ns;

#endif
