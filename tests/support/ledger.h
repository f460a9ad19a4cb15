/*
 * What the library holds: memory, blocks, mappings and descriptors, counted at
 * its seam. The linker sends the library's calls of src/sys through here
 * (--wrap, in tests/meson.build), so that the library itself knows nothing of it.
 *
 * The slab allocator's own memory (its caches and regions are kept for good)
 * is not counted; the blocks that it gives out are.
 */
#ifndef TESTS_SUPPORT_LEDGER_H
#define TESTS_SUPPORT_LEDGER_H

#include <stdbool.h>
#include <stddef.h>

struct ledger {
    long blocks;      /* of asy_slab_alloc: tasks, futures, coroutines, callbacks */
    long allocations; /* of asy_sys_alloc and its kind */
    long mapped;      /* bytes of asy_sys_map */
    long descriptors; /* epoll and event descriptors */
};

/* What is held now, by all threads. */
struct ledger ledger_now(void);

/* Is the same held now as then? Says what differs on stderr. */
bool ledger_is(const struct ledger *then);

#endif
