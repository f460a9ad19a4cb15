/*
 * Late use of an object is told. In debug mode the block of a task, a future, a stream and so on goes into
 * quarantine: it is not used again soon after its release, so that its marks stay. The oldest goes back to
 * the allocator when the quarantine is full, all of them when the loop closes.
 */
#include "core/quarantine.h"
#include "core/loop.h"
#include "sys/slab.h"
#include "sys/sys.h"

#define QUARANTINE_BLOCKS 65536

void asy_late_use(const char *what, const char *wanted, const char *call)
{
    if (!what)
        asy_fatal("%s: used after its release; it was a %s", call, wanted);
    asy_fatal("%s: the pointer is not a %s, or not any more", call, wanted);
}

struct quarantine {
    size_t next; /* the oldest, once full */
    struct {
        void *block;
        size_t bytes;
    } blocks[QUARANTINE_BLOCKS];
};

static void free_place(struct quarantine *quarantine, size_t at)
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
    free_place(quarantine, at);
    quarantine->blocks[at].block = block;
    quarantine->blocks[at].bytes = bytes;
}

void asy_quarantine_empty(asyncio_loop *loop)
{
    struct quarantine *quarantine = loop->quarantine;
    if (!quarantine)
        return;
    for (size_t i = 0; i < QUARANTINE_BLOCKS; i++)
        free_place(quarantine, i);
    asy_sys_free(quarantine);
    loop->quarantine = NULL;
}
