/*
 * The C library's resolver, and forks.
 *
 * It holds locks of its own while it begins and while it sorts what it found, and a child that is forked
 * meanwhile finds them held for good: its own look-ups would hang. So whoever calls it says so, and a
 * fork waits until those are out that have just begun. One that has waited for a name server for a
 * while holds no lock, as a rule, and a fork does not wait for it.
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

/* Around what is more than a number's text, on any thread. */
void asy_resolver_enter(struct resolving *resolving);
void asy_resolver_leave(struct resolving *resolving);

/* How long after its begin a call is waited for. Tests change it. */
extern _Atomic int64_t asy_resolver_fork_wait_ns;

#endif
