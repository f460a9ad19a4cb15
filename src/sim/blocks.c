/*
 * The library's memory in a simulated run. See blocks.h.
 *
 * An open hash table by address, at most half full. A block that goes leaves no mark: those behind it that
 * belong further ahead move up.
 */
#include "sim/blocks.h"
#include "base/compiler.h"
#include "sys/world.h"
#include <string.h>

#define ROOM_MIN 1024

struct block {
    uintptr_t at; /* 0: the place is free */
    size_t bytes;
};

static THREAD_LOCAL struct {
    struct block *all;
    size_t room, count; /* a power of two */
} blocks;

static size_t home_of(uintptr_t at)
{
    return (size_t)((uint64_t)at * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (blocks.room - 1);
}

/* Its place, or the free one where it would be. */
static struct block *find_block(uintptr_t at)
{
    size_t i = home_of(at);
    while (blocks.all[i].at && blocks.all[i].at != at)
        i = (i + 1) & (blocks.room - 1);
    return &blocks.all[i];
}

static void grow_blocks(void)
{
    struct block *old = blocks.all;
    size_t old_room = blocks.room;
    blocks.room = old_room ? old_room * 2 : ROOM_MIN;
    blocks.all = asy_sim_alloc(blocks.room * sizeof *blocks.all);
    for (size_t i = 0; i < old_room; i++)
        if (old[i].at)
            *find_block(old[i].at) = old[i];
    asy_sim_free(old);
}

void asy_sim_block_add(uintptr_t block, size_t bytes)
{
    if (blocks.count * 2 >= blocks.room)
        grow_blocks();
    struct block *place = find_block(block);
    blocks.count += !place->at;
    *place = (struct block){block, bytes};
}

void asy_sim_block_remove(uintptr_t block)
{
    size_t mask = blocks.room - 1;
    struct block *found = blocks.room ? find_block(block) : NULL;
    if (!found || !found->at)
        return;
    size_t gap = (size_t)(found - blocks.all);
    for (size_t i = (gap + 1) & mask; blocks.all[i].at; i = (i + 1) & mask) {
        if (((i - home_of(blocks.all[i].at)) & mask) >= ((i - gap) & mask)) {
            blocks.all[gap] = blocks.all[i];
            gap = i;
        }
    }
    blocks.all[gap].at = 0;
    blocks.count--;
}

size_t asy_sim_blocks_left(size_t *bytes)
{
    *bytes = 0;
    for (size_t i = 0; i < blocks.room; i++)
        *bytes += blocks.all[i].at ? blocks.all[i].bytes : 0;
    return blocks.count;
}

void asy_sim_blocks_end(void)
{
    asy_sim_free(blocks.all);
    memset(&blocks, 0, sizeof blocks);
}
