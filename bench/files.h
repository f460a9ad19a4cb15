/*
 * What the loop by hand of `files` shares with the tasks: how much there is to do.
 */
#ifndef FILES_H
#define FILES_H

#include "file.h"

#define FILES_AT_ONCE 32 /* tasks, or calls under way */
#define FILES_READS 8192
#define FILES_BLOCK 4096
#define FILES_SYNCS 256

/* The yardstick: the same calls, so many at once, by an io_uring loop by hand. The number of calls that it
 * made, or 0: it does not know the variant, or there is no io_uring. */
int files_by_hand(const char *variant, file_set *set, int at_once);

/* Where the i-th read of a task is. */
static inline off_t files_place(uint64_t *random)
{
    return (off_t)(bench_random(random) % (FILE_LARGE_MIB * 256)) * FILES_BLOCK;
}

#endif
