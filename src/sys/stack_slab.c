/*
 * Slabs of stacks: one mapping, with the slab's own words and the descriptors of its stacks at the front,
 * and behind them the stacks, in strides of guard and usable part. A guard is made when its stack is first
 * taken, so that a thousand stacks cost one system call until they are used.
 */
#include "sys/stack_slab.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#if ASY_ASAN
#include <sanitizer/lsan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

#define COLOURS 16u
#define COLOUR_BYTES 64u

static void stack_init(struct asy_stack_slab *slab, uint32_t i)
{
    const struct asy_stack_pool *pool = slab->pool;
    struct asy_stack *stack = &slab->stacks[i];
    memset(stack, 0, sizeof *stack);
    stack->slab = slab;
    stack->low = slab->base + i * pool->stride + pool->guard;
    stack->top = stack->low + pool->usable - i % COLOURS * COLOUR_BYTES;
    stack->flags = ASY_STACK_COLD;
    list_append(&slab->cold, &stack->node);
}

struct asy_stack_slab *asy_stack_slab_new(struct asy_stack_pool *pool, uint32_t count)
{
    struct asy_stack_slab *slab;
    size_t page = asy_sys_page_size();
    size_t head = (sizeof *slab + count * sizeof slab->stacks[0] + page - 1) / page * page;
    size_t bytes = count * pool->stride;
    slab = asy_sys_map(head + bytes);
    if (!slab)
        return NULL;
    slab->pool = pool;
    slab->count = count;
    slab->busy = 0;
    slab->base = (char *)slab + head;
    slab->bytes = bytes;
    list_init(&slab->node);
    list_init(&slab->cold_node);
    list_init(&slab->cold);
    for (uint32_t i = 0; i < count; i++)
        stack_init(slab, i);
    return slab;
}

/* ---- Checkers ------------------------------------------------------------- */

#if ASY_TSAN

/* The thread sanitizer ends the program at some 8,100 threads and fibres. */
#define FIBRES_MAX 7900u
static uint32_t fibres;

static bool tell_made(struct asy_stack *stack)
{
    if (__atomic_fetch_add(&fibres, 1, __ATOMIC_RELAXED) >= FIBRES_MAX) {
        __atomic_fetch_sub(&fibres, 1, __ATOMIC_RELAXED);
        return false;
    }
    stack->checker = __tsan_create_fiber(0);
    return true;
}

static void tell_unmapped(struct asy_stack *stack)
{
    __tsan_destroy_fiber(stack->checker);
    __atomic_fetch_sub(&fibres, 1, __ATOMIC_RELAXED);
}

#else

static bool tell_made(struct asy_stack *stack)
{
#if ASY_VALGRIND
    /* Valgrind's stack ids begin at 0, which is "none" here. */
    if (RUNNING_ON_VALGRIND)
        stack->checker = (void *)((uintptr_t)VALGRIND_STACK_REGISTER(stack->low, stack->top) + 1);
#endif
    (void)stack;
    return true;
}

static void tell_unmapped(struct asy_stack *stack)
{
#if ASY_ASAN
    /* Poison would outlive the mapping, and meet the next one at this address. */
    ASAN_UNPOISON_MEMORY_REGION(stack->low, stack->slab->pool->usable);
#endif
#if ASY_VALGRIND
    if (stack->checker)
        VALGRIND_STACK_DEREGISTER((uintptr_t)stack->checker - 1);
#endif
    (void)stack;
}

#endif

void asy_stack_tell_abandoned(const struct asy_stack *stack)
{
#if ASY_ASAN
    __lsan_register_root_region(stack->low, stack->slab->pool->usable);
#endif
    (void)stack;
}

/* ---- Guards --------------------------------------------------------------- */

static int make_guard(struct asy_stack *stack, struct asy_stack_guards *guards)
{
    size_t bytes = stack->slab->pool->guard;
    char *guard = stack->low - bytes;
    if (guards->must_install) {
        int err = asy_sys_madvise(guard, bytes, MADV_GUARD_INSTALL);
        /* Emulators accept advice that they do not know; so look once. */
        if (err == 0 && (guards->is_proven || !asy_sys_is_readable(guard))) {
            guards->is_proven = true;
            return 0;
        }
        /* EINVAL: an older kernel, or one that has no such guards in locked memory. */
        if (err != 0 && err != -EINVAL && err != -ENOSYS)
            return err;
        guards->must_install = false;
    }
    return asy_sys_mprotect(guard, bytes, PROT_NONE);
}

int asy_stack_make_ready(struct asy_stack *stack, struct asy_stack_guards *guards)
{
    ASY_ASSERT(!(stack->flags & ASY_STACK_MAPPED));
    int err = make_guard(stack, guards);
    if (err < 0)
        return err;
    if (!tell_made(stack))
        return -ENOMEM;
    stack->flags |= ASY_STACK_MAPPED;
    return 0;
}

/* ---- The end -------------------------------------------------------------- */

void asy_stack_slab_free(struct asy_stack_slab *slab)
{
    size_t stride = slab->pool->stride;
    char *end = slab->base + slab->bytes;
    /* From the last stack down, since the descriptors lie in front of the first. */
    for (uint32_t i = slab->count; i-- > 0;) {
        struct asy_stack *stack = &slab->stacks[i];
        if (stack->flags & ASY_STACK_ABANDONED) {
            char *above = slab->base + (i + 1) * stride;
            if (end > above)
                asy_sys_unmap(above, (size_t)(end - above));
            end = above - stride;
        } else if (stack->flags & ASY_STACK_MAPPED) {
            tell_unmapped(stack);
        }
    }
    asy_sys_unmap(slab, (size_t)(end - (char *)slab));
}
