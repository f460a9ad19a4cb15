/*
 * What stack.c and stack_slab.c share: pools of stacks of one size, and the slabs that they are carved
 * from.
 */
#ifndef ASY_SYS_STACK_SLAB_H
#define ASY_SYS_STACK_SLAB_H

#include "base/sanitizer.h"
#include "sys/stack.h"

enum {
    ASY_STACK_MAPPED = 1, /* has been taken before: guarded, and known to the checkers */
    ASY_STACK_COLD = 2,   /* free, and no memory of it is committed; on its slab's cold list */
    ASY_STACK_DUE = 4,    /* its depth is to be looked at; while free on the due list */
    ASY_STACK_ABANDONED = 8,
};

/* The stacks of one size. */
struct asy_stack_pool {
    struct list warm; /* free and touched, latest first */
    struct list due;  /* the same, but their depth is to be looked at */
    size_t live, warm_count, due_count, cold_count;
    struct list slabs;
    struct list partly_cold; /* the slabs that have cold stacks */
    struct list *reap_at;    /* how far the look-out for idle slabs has come */
    struct asy_stacks *owner;
    struct list node; /* among the owner's pools */
    size_t usable, guard, stride;
    uint32_t slab_stacks; /* size of the next slab */
    uint32_t slab_stacks_max;
    size_t slab_count, abandoned;
};

struct asy_stack_slab {
    struct list node;      /* on its pool's slabs */
    struct list cold_node; /* on its pool's partly_cold, if it has cold stacks */
    struct list cold;
    struct asy_stack_pool *pool;
    uint32_t count;
    uint32_t busy; /* live or abandoned */
    char *base;    /* the first stride */
    size_t bytes;  /* all strides */
    _Alignas(64) struct asy_stack stacks[];
};

/* How guards are made; learnt on the way. */
struct asy_stack_guards {
    bool must_install; /* MADV_GUARD_INSTALL is to be tried first */
    bool is_proven;    /* it was seen to do what it says */
};

/* A slab whose `count` stacks are all cold. NULL: the mapping was refused. */
struct asy_stack_slab *asy_stack_slab_new(struct asy_stack_pool *pool, uint32_t count);

/* Unmaps the slab and its descriptors, save for the memory of abandoned stacks. */
void asy_stack_slab_free(struct asy_stack_slab *slab);

/* Before a stack is taken for the first time: guards it and tells the checkers. 0 or a negative errno, with
 * the stack as it was. */
int asy_stack_make_ready(struct asy_stack *stack, struct asy_stack_guards *guards);

/* From now on nothing frees what the stack refers to; the leak checker is told. */
void asy_stack_tell_abandoned(const struct asy_stack *stack);

/* Whenever a stack is taken: it starts with a clean slate for the checkers too. */
static inline void asy_stack_tell_taken(const struct asy_stack *stack)
{
#if ASY_ASAN
    ASAN_UNPOISON_MEMORY_REGION(stack->low, stack->slab->pool->usable);
#elif ASY_VALGRIND
    if (__builtin_expect(stack->checker != NULL, 0))
        (void)VALGRIND_MAKE_MEM_UNDEFINED(stack->low, stack->slab->pool->usable);
#else
    (void)stack;
#endif
}

#endif
