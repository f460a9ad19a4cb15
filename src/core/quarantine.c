/*
 * Quarantine: in debug mode the block of a task, a coroutine or a future is not
 * used again soon after its release, so that whoever uses it late is told so,
 * with the place where it was made. The oldest goes back to the allocator when
 * the quarantine is full, all of them when the loop closes.
 */
#include "core/loop.h"
#include "sys/slab.h"
#include "sys/sys.h"

#define QUARANTINE_BLOCKS 65536

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
