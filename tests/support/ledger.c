/*
 * The wrapped calls of the seam: see ledger.h.
 */
#include "support/ledger.h"
#include "core/quarantine.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <stdatomic.h>
#include <stdio.h>

/* The linker's names for the wrapped calls and for the ones behind them. */
#define DECLARE(type, name, ...)                                                                             \
    type __real_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

DECLARE(void *, asy_slab_alloc, size_t bytes);
DECLARE(void, asy_slab_free, void *block, size_t bytes);
DECLARE(void, asy_loose_object_free, struct loose_object *object);
DECLARE(void *, asy_sys_alloc, size_t bytes);
DECLARE(void *, asy_sys_calloc, size_t count, size_t bytes);
DECLARE(void *, asy_sys_alloc_aligned, size_t alignment, size_t bytes);
DECLARE(void *, asy_sys_realloc, void *p, size_t bytes);
DECLARE(void, asy_sys_free, void *p);
DECLARE(void *, asy_sys_map, size_t bytes);
DECLARE(int, asy_sys_map_file, int fd, size_t bytes, uint64_t offset, void **out);
DECLARE(void, asy_sys_unmap, void *p, size_t bytes);
DECLARE(int, asy_sys_epoll_create, void);
DECLARE(int, asy_sys_eventfd, void);
DECLARE(int, asy_sys_close, int fd);

static struct ledger held;
static _Thread_local bool in_slab;

/* By number: the library's own descriptors, among those of the program that it closes. */
#define NUMBERS_MAX 65536
static _Atomic bool is_ours[NUMBERS_MAX];

static void count(long *counter, long change)
{
    if (!in_slab)
        __atomic_add_fetch(counter, change, __ATOMIC_RELAXED);
}

static void *counted(void *p)
{
    count(&held.allocations, p != NULL);
    return p;
}

void *__wrap_asy_slab_alloc(size_t bytes)
{
    in_slab = true;
    void *block = __real_asy_slab_alloc(bytes);
    in_slab = false;
    count(&held.blocks, block != NULL);
    return block;
}

void __wrap_asy_slab_free(void *block, size_t bytes)
{
    count(&held.blocks, -1);
    in_slab = true;
    __real_asy_slab_free(block, bytes);
    in_slab = false;
}

/* Whether or not it is kept for a while. */
void __wrap_asy_loose_object_free(struct loose_object *object)
{
    count(&held.blocks, -1);
    in_slab = true;
    __real_asy_loose_object_free(object);
    in_slab = false;
}

void *__wrap_asy_sys_alloc(size_t bytes)
{
    return counted(__real_asy_sys_alloc(bytes));
}

void *__wrap_asy_sys_calloc(size_t number, size_t bytes)
{
    return counted(__real_asy_sys_calloc(number, bytes));
}

void *__wrap_asy_sys_alloc_aligned(size_t alignment, size_t bytes)
{
    return counted(__real_asy_sys_alloc_aligned(alignment, bytes));
}

void *__wrap_asy_sys_realloc(void *p, size_t bytes)
{
    void *moved = __real_asy_sys_realloc(p, bytes);
    count(&held.allocations, !p && moved);
    return moved;
}

void __wrap_asy_sys_free(void *p)
{
    count(&held.allocations, -(p != NULL));
    __real_asy_sys_free(p);
}

void *__wrap_asy_sys_map(size_t bytes)
{
    void *p = __real_asy_sys_map(bytes);
    count(&held.mapped, p ? (long)bytes : 0);
    return p;
}

int __wrap_asy_sys_map_file(int fd, size_t bytes, uint64_t offset, void **out)
{
    int err = __real_asy_sys_map_file(fd, bytes, offset, out);
    count(&held.mapped, err ? 0 : (long)bytes);
    return err;
}

void __wrap_asy_sys_unmap(void *p, size_t bytes)
{
    count(&held.mapped, -(long)bytes);
    __real_asy_sys_unmap(p, bytes);
}

static int opened(int fd)
{
    count(&held.descriptors, fd >= 0);
    if (fd >= 0 && fd < NUMBERS_MAX)
        is_ours[fd] = true;
    return fd;
}

int __wrap_asy_sys_epoll_create(void)
{
    return opened(__real_asy_sys_epoll_create());
}

int __wrap_asy_sys_eventfd(void)
{
    return opened(__real_asy_sys_eventfd());
}

int __wrap_asy_sys_close(int fd)
{
    bool ours = fd >= 0 && fd < NUMBERS_MAX && atomic_exchange(&is_ours[fd], false);
    count(&held.descriptors, -ours);
    return __real_asy_sys_close(fd);
}

struct ledger ledger_now(void)
{
    return (struct ledger){
        .blocks = __atomic_load_n(&held.blocks, __ATOMIC_RELAXED),
        .allocations = __atomic_load_n(&held.allocations, __ATOMIC_RELAXED),
        .mapped = __atomic_load_n(&held.mapped, __ATOMIC_RELAXED),
        .descriptors = __atomic_load_n(&held.descriptors, __ATOMIC_RELAXED),
    };
}

bool ledger_is(const struct ledger *then)
{
    struct ledger now = ledger_now();
    bool same = now.blocks == then->blocks && now.allocations == then->allocations &&
                now.mapped == then->mapped && now.descriptors == then->descriptors;
    if (!same)
        fprintf(stderr,
                "more is held than before: %+ld blocks, %+ld allocations, %+ld bytes mapped, "
                "%+ld descriptors\n",
                now.blocks - then->blocks, now.allocations - then->allocations, now.mapped - then->mapped,
                now.descriptors - then->descriptors);
    return same;
}
