/*
 * Small blocks, made and freed by the million: coroutines, tasks, futures.
 *
 * Each thread has a cache of chunks, each chunk (64 KiB, aligned to its size) holds blocks of one class
 * (multiples of 64 bytes, up to ASY_SLAB_MAX). A block may be freed on any thread: on its own thread it
 * goes back to its chunk at once; another thread pushes it, lock-free, onto its home cache, which collects
 * it when it next runs dry. The memory of a chunk whose blocks are all free goes back to the kernel (a few
 * are kept); its address space stays. The cache of a thread that ends is adopted by a later one. A larger
 * block is an allocation of its own.
 *
 * Under the address and thread sanitizers and Valgrind each block is an allocation of its own, so that
 * these tools see every misuse.
 *
 * Every allocation passes the fault seam ("slab_alloc"), a hit gives NULL.
 */
#ifndef ASY_SYS_SLAB_H
#define ASY_SYS_SLAB_H

#include <stddef.h>

#define ASY_SLAB_MAX 1024

/* Aligned to 64 bytes, not initialised. NULL: out of memory. */
void *asy_slab_alloc(size_t bytes);

/* `bytes` as given to asy_slab_alloc. The first 16 bytes of a freed block (up to ASY_SLAB_MAX) keep their
 * contents until the memory is used again or goes back, and then read as zero: so a late user can see from
 * them that the block is dead (outside sanitizers). */
void asy_slab_free(void *block, size_t bytes);

/* Calls fn for every block that lives in this thread's cache, and may call it for dead ones too: fn tells
 * by its own marks in the first 16 bytes. A block never used is not visited. fn may free the block that it
 * is given, and no other. Slow: for reports at close. */
void asy_slab_each(void (*fn)(void *block, void *arg), void *arg);

/* Gives back all memory, of all threads, when the library is unloaded. Nothing here may be called after
 * it. */
void asy_slab_unload(void);

#endif
