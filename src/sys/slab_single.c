/*
 * Single blocks and their registry: a hash table of entries that stand apart from the blocks, so that
 * nothing but a checker's own red zone borders on a block. An entry holds its block's address turned inside
 * out: the registry must not keep a leaked block from a leak checker's eyes.
 */
#include "sys/slab_single.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "sys/sys.h"
#include "sys/world.h"
#include <pthread.h>
#include <stdint.h>

#define ALIGNMENT 64u
#define BUCKETS 1024u

struct single {
    struct single *next; /* in the bucket */
    const void *home;
    uintptr_t hidden; /* ~ the block's address */
};

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct single *buckets[BUCKETS];

/* This thread holds the lock, in asy_slab_single_each: fn may come back here, and may fork. */
static THREAD_LOCAL bool is_walking;

void asy_slab_single_lock(void)
{
    if (!is_walking)
        pthread_mutex_lock(&registry_lock);
}

void asy_slab_single_unlock(void)
{
    if (!is_walking)
        pthread_mutex_unlock(&registry_lock);
}

static struct single **bucket_of(const void *block)
{
    return &buckets[((uintptr_t)block / ALIGNMENT * UINT64_C(0x9e3779b97f4a7c15) >> 32) % BUCKETS];
}

void *asy_slab_single_alloc(size_t bytes, const void *home)
{
    struct single *single = asy_sys_alloc(sizeof *single);
    void *block = single ? asy_sys_alloc_aligned(ALIGNMENT, bytes) : NULL;
    if (!block) {
        asy_sys_free(single);
        return NULL;
    }
    asy_sim_block_gone((uintptr_t)single); /* a simulated run counts the block alone */
    single->home = home;
    single->hidden = ~(uintptr_t)block;
    struct single **bucket = bucket_of(block);
    asy_slab_single_lock();
    single->next = *bucket;
    *bucket = single;
    asy_slab_single_unlock();
    return block;
}

void asy_slab_single_free(void *block)
{
    struct single *single = NULL;
    asy_slab_single_lock();
    for (struct single **at = bucket_of(block); *at; at = &(*at)->next) {
        if ((*at)->hidden == ~(uintptr_t)block) {
            single = *at;
            *at = single->next;
            break;
        }
    }
    asy_slab_single_unlock();
    asy_sys_free(single);
    asy_sys_free(block); /* unknown, thus freed before: the allocator or the checker tells */
}

void asy_slab_single_each(const void *home, void (*fn)(void *block, void *arg), void *arg)
{
    asy_slab_single_lock();
    bool is_nested = is_walking; /* fn called the program, which closed a loop: its walk is this one's */
    is_walking = true;
    for (size_t i = 0; i < BUCKETS && !is_nested; i++) {
        for (struct single *single = buckets[i], *next; single; single = next) {
            next = single->next;
            if (single->home == home)
                fn((void *)~single->hidden, arg);
        }
    }
    is_walking = is_nested;
    asy_slab_single_unlock();
}
