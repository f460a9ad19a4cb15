/*
 * The slab allocator: see slab.h for what it promises.
 *
 *   cache   one a thread, never freed: a thread that ends leaves its cache to
 *           a later one. Only its thread touches it, except for `foreign`.
 *   chunk   64 KiB of blocks of one class, so a block's chunk is found by
 *           masking its address. It belongs to its cache as long as a block of
 *           it is out, and is always in one of four states:
 *             current  blocks are taken from it (one a class)
 *             open     it has free blocks, and waits on its class's list
 *             full     it has none; on no list but the cache's of all chunks
 *             spare    all its blocks are free; kept for whatever class is next
 *   region  the mapping that chunks come from. A chunk that goes back gives up
 *           its memory but never its address: a late look at a dead block reads
 *           zero there, or the marks of another block, and does not crash.
 *
 * Blocks that are each an allocation of their own are in slab_single.c: large ones, and all where a checker
 * looks on.
 */
#include "sys/slab.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "base/list.h"
#include "sys/slab_single.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include "sys/world.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#define CHUNK_BYTES (64u * 1024u)
#define CHUNK_FIRST 128u /* where the blocks begin, behind the chunk's own words */
#define CLASS_BYTES 64u
#define CLASSES (ASY_SLAB_MAX / CLASS_BYTES)
#define REGION_CHUNKS 64u /* one bit each */
#define REGION_BYTES ((REGION_CHUNKS + 1) * CHUNK_BYTES)
#define SPARES_MAX 32u /* 2 MiB */
#define NEVER UINT32_MAX

/* A freed block. What its last user left in the first 16 bytes stays. */
struct dead {
    uint64_t marks[2];
    struct dead *next;
};

struct chunk {
    struct cache *home;
    struct dead *free; /* freed blocks, latest first */
    uint32_t bump;     /* offset of the first block that was never used */
    uint32_t block_bytes;
    uint32_t used;      /* blocks that are out */
    uint32_t threshold; /* when a free brings `used` down to this, the state changes */
    struct list node;   /* among all chunks of the cache, or among its spares */
    struct list open;   /* on the list of its class while open, else on none */
    struct region *region;
};

_Static_assert(sizeof(struct chunk) <= CHUNK_FIRST, "a chunk's own words fit in front of its blocks");

struct cache {
    struct chunk *current[CLASSES];
    struct list open[CLASSES];
    struct list chunks; /* all, in whatever state but spare */
    struct list spares;
    uint32_t spare_count;
    struct cache *next;                          /* among the orphans */
    struct cache *older;                         /* among all */
    _Alignas(64) _Atomic(struct dead *) foreign; /* freed by other threads, not yet collected */
};

struct region {
    struct list node;     /* on region_list while it has a free chunk */
    struct region *older; /* among all */
    char *map;
    char *chunks;
    uint64_t free; /* a bit for each chunk */
};

/* In place of a current chunk where there is none: it is always exhausted. */
static struct chunk no_chunk = {.bump = CHUNK_BYTES};

/* The calling thread's cache. `fast_cache` is NULL as long as it has none, and where every block is single:
 * one test sends both the slow way. */
static THREAD_LOCAL struct cache *thread_cache;
static THREAD_LOCAL struct cache *fast_cache;

/* Guards `orphans` and `all_caches`. Taken when a thread begins or ends, never for a block. */
static pthread_mutex_t orphans_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cache *orphans, *all_caches;

/* Guards the regions and their bits. Taken for a chunk, never for a block. */
static pthread_mutex_t regions_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list region_list = {&region_list, &region_list};
static struct region *all_regions;

/* ---- Regions -------------------------------------------------------------- */

static struct region *region_new(void)
{
    struct region *region = asy_sys_alloc(sizeof *region);
    if (!region)
        return NULL;
    char *map = asy_sys_map(REGION_BYTES);
    if (!map) {
        asy_sys_free(region);
        return NULL;
    }
    asy_sim_block_gone((uintptr_t)region); /* kept for later loops: no simulated run leaves it */
    region->chunks = map + (-(uintptr_t)map & (CHUNK_BYTES - 1));
    region->free = UINT64_MAX;
    region->map = map;
    region->older = all_regions;
    all_regions = region;
    list_append(&region_list, &region->node);
    return region;
}

static struct chunk *region_take(void)
{
    struct chunk *chunk = NULL;
    pthread_mutex_lock(&regions_lock);
    struct region *region =
        list_is_empty(&region_list) ? region_new() : LIST_ENTRY(region_list.next, struct region, node);
    if (region) {
        ASY_ASSERT(region->free != 0);
        unsigned i = (unsigned)__builtin_ctzll(region->free);
        region->free &= region->free - 1;
        if (region->free == 0)
            list_remove(&region->node);
        chunk = (struct chunk *)(void *)(region->chunks + (size_t)i * CHUNK_BYTES);
        chunk->region = region;
    }
    pthread_mutex_unlock(&regions_lock);
    return chunk;
}

static void region_give(struct chunk *chunk)
{
    struct region *region = chunk->region;
    size_t i = (size_t)((char *)chunk - region->chunks) / CHUNK_BYTES;
    (void)asy_sys_madvise(chunk, CHUNK_BYTES, MADV_DONTNEED); /* refused: the memory waits for its next use */
    pthread_mutex_lock(&regions_lock);
    ASY_ASSERT(!(region->free >> i & 1));
    if (region->free == 0)
        list_append(&region_list, &region->node);
    region->free |= UINT64_C(1) << i;
    pthread_mutex_unlock(&regions_lock);
}

/* ---- Chunks --------------------------------------------------------------- */

static inline struct chunk *chunk_of(void *block)
{
    return (struct chunk *)(void *)((char *)block - ((uintptr_t)block & (CHUNK_BYTES - 1)));
}

static struct chunk *chunk_new(struct cache *cache, size_t size_class)
{
    struct chunk *chunk;
    if (!list_is_empty(&cache->spares)) {
        chunk = LIST_ENTRY(list_take_first(&cache->spares), struct chunk, node);
        cache->spare_count--;
    } else if (!(chunk = region_take())) {
        return NULL;
    }
    chunk->home = cache;
    chunk->free = NULL;
    chunk->bump = CHUNK_FIRST;
    chunk->block_bytes = (uint32_t)(size_class + 1) * CLASS_BYTES;
    chunk->used = 0;
    list_init(&chunk->open);
    list_append(&cache->chunks, &chunk->node);
    return chunk;
}

static void chunk_release(struct cache *cache, struct chunk *chunk)
{
    ASY_ASSERT(chunk->used == 0 && chunk->home == cache);
    list_remove(&chunk->open);
    list_remove(&chunk->node);
    if (cache->spare_count == SPARES_MAX) {
        region_give(chunk);
        return;
    }
    list_prepend(&cache->spares, &chunk->node);
    cache->spare_count++;
}

/* A free brought `used` down to the threshold: a full chunk opens, an empty one goes. */
static NOINLINE void chunk_reaches_threshold(struct cache *cache, struct chunk *chunk)
{
    ASY_ASSERT(chunk->used == chunk->threshold && chunk->threshold != NEVER);
    if (chunk->used == 0) {
        chunk_release(cache, chunk);
        return;
    }
    list_append(&cache->open[chunk->block_bytes / CLASS_BYTES - 1], &chunk->open);
    chunk->threshold = 0;
}

/* A block of `bytes`; NULL when the chunk is exhausted. */
static inline void *chunk_take(struct chunk *chunk, uint32_t bytes)
{
    struct dead *block = chunk->free;
    if (LIKELY(block != NULL)) {
        chunk->free = block->next;
    } else if (LIKELY(chunk->bump + bytes <= CHUNK_BYTES)) {
        block = (struct dead *)(void *)((char *)chunk + chunk->bump);
        chunk->bump += bytes;
    } else {
        return NULL;
    }
    chunk->used++;
    return block;
}

static inline void chunk_put(struct cache *cache, struct chunk *chunk, struct dead *block)
{
    block->next = chunk->free;
    chunk->free = block;
    /* The state changes when `used` comes down to the threshold, which is lower from then on. */
    if (UNLIKELY((int32_t)(--chunk->used - chunk->threshold) <= 0))
        chunk_reaches_threshold(cache, chunk);
}

/* ---- Caches --------------------------------------------------------------- */

/* Takes in the blocks that other threads have freed. Acquire: their writes to a block come before ours. */
static void collect_foreign(struct cache *cache)
{
    struct dead *block = atomic_exchange_explicit(&cache->foreign, NULL, memory_order_acquire);
    while (block) {
        struct dead *next = block->next;
        chunk_put(cache, chunk_of(block), block);
        block = next;
    }
}

/* A block, when the current chunk of the class is exhausted. */
static NOINLINE void *take_from_next_chunk(struct cache *cache, size_t size_class)
{
    collect_foreign(cache);
    struct chunk *chunk = cache->current[size_class];
    uint32_t bytes = (uint32_t)(size_class + 1) * CLASS_BYTES;
    void *block;
    while (!(block = chunk_take(chunk, bytes))) {
        if (chunk != &no_chunk)
            chunk->threshold = chunk->used - 1; /* full */
        struct list *open = list_take_first(&cache->open[size_class]);
        chunk = open ? LIST_ENTRY(open, struct chunk, open) : chunk_new(cache, size_class);
        cache->current[size_class] = chunk ? chunk : &no_chunk;
        if (!chunk)
            return NULL;
        chunk->threshold = NEVER;
    }
    return block;
}

static struct cache *make_cache(void)
{
    struct cache *cache = asy_sys_alloc_aligned(_Alignof(struct cache), sizeof *cache);
    if (!cache)
        return NULL;
    asy_sim_block_gone((uintptr_t)cache); /* the thread's, not the run's */
    for (size_t size_class = 0; size_class < CLASSES; size_class++) {
        cache->current[size_class] = &no_chunk;
        list_init(&cache->open[size_class]);
    }
    list_init(&cache->chunks);
    list_init(&cache->spares);
    cache->spare_count = 0;
    cache->next = NULL;
    atomic_init(&cache->foreign, NULL);
    pthread_mutex_lock(&orphans_lock);
    cache->older = all_caches;
    all_caches = cache;
    pthread_mutex_unlock(&orphans_lock);
    return cache;
}

/* The thread ends: chunks that are wholly free go back, the rest waits for the cache's next thread. */
static void orphan_cache(void *arg)
{
    struct cache *cache = arg;
    ASY_ASSERT(!thread_cache || thread_cache == cache);
    thread_cache = fast_cache = NULL;
    collect_foreign(cache);
    for (size_t size_class = 0; size_class < CLASSES; size_class++) {
        struct chunk *chunk = cache->current[size_class];
        if (chunk != &no_chunk && chunk->used == 0) {
            chunk_release(cache, chunk);
            cache->current[size_class] = &no_chunk;
        }
    }
    while (!list_is_empty(&cache->spares))
        region_give(LIST_ENTRY(list_take_first(&cache->spares), struct chunk, node));
    cache->spare_count = 0;

    pthread_mutex_lock(&orphans_lock);
    cache->next = orphans;
    orphans = cache;
    pthread_mutex_unlock(&orphans_lock);
}

static pthread_key_t thread_end;
static bool has_thread_end;

/* A fork in another thread must not leave the child with a lock that nobody releases, or with half a list. */
static void lock_slabs(void)
{
    pthread_mutex_lock(&orphans_lock);
    pthread_mutex_lock(&regions_lock);
    asy_slab_single_lock();
}

static void unlock_slabs(void)
{
    asy_slab_single_unlock();
    pthread_mutex_unlock(&regions_lock);
    pthread_mutex_unlock(&orphans_lock);
}

static void watch_thread_ends(void)
{
    has_thread_end = asy_sys_thread_key(&thread_end, orphan_cache);
    pthread_atfork(lock_slabs, unlock_slabs, unlock_slabs);
}

/* The calling thread's cache: an orphan, or a new one. NULL: out of memory. */
static struct cache *adopt_cache(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    ASY_ASSERT(!thread_cache);
    pthread_once(&once, watch_thread_ends);
    pthread_mutex_lock(&orphans_lock);
    struct cache *cache = orphans;
    if (cache)
        orphans = cache->next;
    pthread_mutex_unlock(&orphans_lock);
    if (!cache && !(cache = make_cache()))
        return NULL;
    /* Where there is no key left, the cache stays with its thread for good. */
    if (has_thread_end)
        (void)pthread_setspecific(thread_end, cache);
    thread_cache = cache;
    if (!asy_slab_single_only())
        fast_cache = cache;
    return cache;
}

void asy_slab_unload(void)
{
    for (struct region *region = all_regions, *older; region; region = older) {
        older = region->older;
        asy_sys_unmap(region->map, REGION_BYTES);
        asy_sys_free(region);
    }
    for (struct cache *cache = all_caches, *older; cache; cache = older) {
        older = cache->older;
        asy_sys_free(cache);
    }
}

/* ---- The interface -------------------------------------------------------- */

static inline size_t class_of(size_t bytes)
{
    return (bytes - (bytes != 0)) / CLASS_BYTES;
}

static COLD void *allocate_slowly(size_t bytes)
{
    struct cache *cache = thread_cache ? thread_cache : adopt_cache();
    if (!cache)
        return NULL;
    if (bytes > ASY_SLAB_MAX || asy_slab_single_only())
        return asy_slab_single_alloc(bytes, cache);
    return take_from_next_chunk(cache, class_of(bytes));
}

static inline void *allocate_block(size_t bytes)
{
    struct cache *cache = fast_cache;
    if (UNLIKELY(cache == NULL || bytes > ASY_SLAB_MAX))
        return allocate_slowly(bytes);
    size_t size_class = class_of(bytes);
    void *block = chunk_take(cache->current[size_class], (uint32_t)(size_class + 1) * CLASS_BYTES);
    return LIKELY(block != NULL) ? block : take_from_next_chunk(cache, size_class);
}

static COLD void *allocate_at_seam(size_t bytes)
{
    void *block = asy_fault_hit("slab_alloc") ? NULL : allocate_block(bytes);
    if (block)
        asy_sim_block_made(block, bytes);
    return block;
}

void *asy_slab_alloc(size_t bytes)
{
    return ASY_SEAM() ? allocate_at_seam(bytes) : allocate_block(bytes);
}

/* The block's cache belongs to another thread, or to none. Release: this thread's writes to the block, its
 * link included, come before the owner takes it. */
static NOINLINE void push_foreign(struct cache *home, struct dead *block)
{
    struct dead *head = atomic_load_explicit(&home->foreign, memory_order_relaxed);
    do {
        block->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&home->foreign, &head, block, memory_order_release,
                                                    memory_order_relaxed));
}

void asy_slab_free(void *block, size_t bytes)
{
    struct cache *cache = fast_cache;
    if (ASY_SEAM())
        asy_sim_block_gone((uintptr_t)block);
    if (UNLIKELY(cache == NULL || bytes > ASY_SLAB_MAX)) {
        if (bytes > ASY_SLAB_MAX || asy_slab_single_only()) {
            asy_slab_single_free(block);
            return;
        }
    }
    struct chunk *chunk = chunk_of(block);
    if (LIKELY(chunk->home == cache))
        chunk_put(cache, chunk, block);
    else
        push_foreign(chunk->home, block);
}

void asy_slab_each(void (*fn)(void *block, void *arg), void *arg)
{
    struct cache *cache = thread_cache;
    if (!cache)
        return;
    for (struct list *it = cache->chunks.next, *next; it != &cache->chunks; it = next) {
        struct chunk *chunk = LIST_ENTRY(it, struct chunk, node);
        /* Counted as one more block, the chunk stays where it is while fn frees. */
        chunk->used++;
        for (uint32_t at = CHUNK_FIRST; at < chunk->bump; at += chunk->block_bytes)
            fn((char *)chunk + at, arg);
        next = it->next;
        if ((int32_t)(--chunk->used - chunk->threshold) <= 0)
            chunk_reaches_threshold(cache, chunk);
    }
    asy_slab_single_each(cache, fn, arg);
}
