/*
 * Quarantine: in debug mode the block of a task, a future, a stream and so on is not used again soon after
 * its release, so that its marks stay, and a late use can be reported. When the quarantine is full, the
 * oldest block goes back to the allocator; when the loop closes, all do. Objects that belong to no loop share
 * a small quarantine of the process.
 */
#include "core/quarantine.h"
#include "core/loop.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <string.h>

#define QUARANTINE_BLOCKS 65536
#define LOOSE_OBJECTS 1024

void asy_late_use(const char *what, const char *wanted, const char *call)
{
    const char *article = strchr("aeiou", *wanted) ? "an" : "a";
    if (!what)
        asy_fatal("%s: used after its release; it was %s %s", call, article, wanted);
    asy_fatal("%s: the pointer is not %s %s, or not any more", call, article, wanted);
}

struct quarantine {
    size_t next; /* the oldest, once full */
    struct {
        void *block;
        size_t bytes;
    } blocks[QUARANTINE_BLOCKS];
};

static void free_quarantined(struct quarantine *quarantine, size_t at)
{
    if (quarantine->blocks[at].block)
        asy_slab_free(quarantine->blocks[at].block, quarantine->blocks[at].bytes);
}

void asy_quarantine_put(asyncio_loop *loop, void *block, size_t bytes)
{
    if (!loop->quarantine)
        loop->quarantine = asy_sys_calloc(1, sizeof *loop->quarantine);
    struct quarantine *quarantine = loop->quarantine;
    if (!quarantine) { /* no memory: as without debug mode */
        asy_slab_free(block, bytes);
        return;
    }
    size_t at = quarantine->next++ % QUARANTINE_BLOCKS;
    free_quarantined(quarantine, at);
    quarantine->blocks[at].block = block;
    quarantine->blocks[at].bytes = bytes;
}

void asy_quarantine_empty(asyncio_loop *loop)
{
    struct quarantine *quarantine = loop->quarantine;
    if (!quarantine)
        return;
    for (size_t i = 0; i < QUARANTINE_BLOCKS; i++)
        free_quarantined(quarantine, i);
    asy_sys_free(quarantine);
    loop->quarantine = NULL;
}

/* ---- Objects of no loop -------------------------------------------------------------------- */

_Atomic bool asy_debug_seen;

/* No lock, which a forked child might find held: each place is exchanged, which releases the block to the
 * thread that takes it out and frees it. Relaxed is enough for the flag: debug mode begins at no exact
 * moment. */
static struct loose_object *_Atomic loose_objects[LOOSE_OBJECTS];
static _Atomic size_t next_loose_object;

void asy_loose_object_free(struct loose_object *object)
{
    if (atomic_load_explicit(&asy_debug_seen, memory_order_relaxed)) {
        size_t at = atomic_fetch_add(&next_loose_object, 1) % LOOSE_OBJECTS;
        object = atomic_exchange(&loose_objects[at], object);
    }
    if (object)
        asy_slab_free(object, object->bytes);
}
