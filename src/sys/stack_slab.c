/*
 * Slabs of stacks: one mapping, carved into strides of guard and usable part.
 * A guard is made when its stack is first taken, so that a mapping of a
 * thousand stacks costs one system call until they are used.
 */
#include "sys/stack_slab.h"
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
    size_t bytes = count * pool->stride;
    char *base = asy_sys_map(bytes);
    if (!base)
        return NULL;
    struct asy_stack_slab *slab = asy_sys_alloc_aligned(_Alignof(struct asy_stack_slab),
                                                        sizeof *slab + count * sizeof slab->stacks[0]);
    if (!slab) {
        asy_sys_unmap(base, bytes);
        return NULL;
    }
    slab->pool = pool;
    slab->count = count;
    slab->busy = 0;
    slab->base = base;
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
    if (guards->install) {
        int error = asy_sys_madvise(guard, bytes, MADV_GUARD_INSTALL);
        /* Emulators accept advice that they do not know; so look once. */
        if (error == 0 && (guards->is_proven || !asy_sys_is_readable(guard))) {
            guards->is_proven = true;
            return 0;
        }
        /* EINVAL: an older kernel, or one that has no such guards in locked memory. */
        if (error != 0 && error != -EINVAL && error != -ENOSYS)
            return error;
        guards->install = false;
    }
    return asy_sys_mprotect(guard, bytes, PROT_NONE);
}

int asy_stack_make_ready(struct asy_stack *stack, struct asy_stack_guards *guards)
{
    int error = make_guard(stack, guards);
    if (error < 0)
        return error;
    if (!tell_made(stack))
        return -ENOMEM;
    stack->flags |= ASY_STACK_READY;
    return 0;
}

/* ---- The end -------------------------------------------------------------- */

void asy_stack_slab_free(struct asy_stack_slab *slab)
{
    size_t stride = slab->pool->stride;
    uint32_t from = 0;
    for (uint32_t i = 0; i <= slab->count; i++) {
        struct asy_stack *stack = &slab->stacks[i];
        bool is_end = i == slab->count || (stack->flags & ASY_STACK_ABANDONED);
        if (is_end) {
            if (i > from)
                asy_sys_unmap(slab->base + from * stride, (i - from) * stride);
            from = i + 1;
        } else if (stack->flags & ASY_STACK_READY) {
            tell_unmapped(stack);
        }
    }
    asy_sys_free(slab);
}
