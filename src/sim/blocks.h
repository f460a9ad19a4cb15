/*
 * The library's memory in a simulated run: which blocks were made in it and are there still. Blocks that are
 * older than the world do not count. State is this thread's.
 */
#ifndef ASY_SIM_BLOCKS_H
#define ASY_SIM_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

/* A block that is there already keeps its place, with the new size. */
void asy_sim_block_add(uintptr_t block, size_t bytes);
/* Nothing happens for a block that is not there. */
void asy_sim_block_remove(uintptr_t block);
/* How many are there, and their bytes in all. */
size_t asy_sim_blocks_left(size_t *bytes);
/* The world ends: forgets them. */
void asy_sim_blocks_end(void);

#endif
