/*
 * Pools of stacks: which stack is taken, and when memory goes back. See stack.h for the picture and the
 * promises.
 *
 * A free stack is warm (on its pool's warm or due list) or cold (on its slab's cold list). Warm ones are
 * taken first, the latest given first of all. The rules by which memory goes back:
 *
 *   - a pool keeps max(WARM_MIN, live) warm stacks; the oldest beyond that turn cold;
 *   - a slab with no stack in use is unmapped if the free stacks elsewhere are
 *     as many as that;
 *   - a stack that is due, which it is when it is new and then after every
 *     CHECK_GIVES uses, gives up all but its top KEEP_BYTES. It does so where nobody waits:
 *     in asy_stacks_trim, or when many are due because the loop never sleeps.
 *
 * None of this ever touches the stack that the caller runs on, which may be a free one: a task gives its
 * stack back just before it leaves it.
 */
#include "sys/stack.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "sys/stack_slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <sys/mman.h>

#define WARM_MIN 1024u
#define KEEP_BYTES (32u * 1024u)
#define CHECK_GIVES 64u
#define OVERDUE_GIVES 512u /* a loop that never sleeps looks at another stack that often ... */
#define DUE_MAX 16u        /* ... while more than so many are due */
#define TRIM_MAX 16u       /* stacks that one asy_stacks_trim deals with */
#define SLAB_STACKS_FIRST 16u
#define SLAB_STACKS_MAX 1024u
#define SLAB_BYTES_MAX ((size_t)1 << 30)
#define USABLE_MAX ((size_t)1 << 46)

struct asy_stacks {
    bool is_settled;             /* there is nothing to give back, until something changes */
    struct asy_stack_pool first; /* of the default size */
    struct list others;
    size_t page;
    struct asy_stack_guards guards;
};

/* ---- Pools ---------------------------------------------------------------- */

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

static void pool_init(struct asy_stack_pool *pool, struct asy_stacks *owner, size_t usable)
{
    *pool = (struct asy_stack_pool){.owner = owner, .usable = usable};
    list_init(&pool->warm);
    list_init(&pool->due);
    list_init(&pool->slabs);
    list_init(&pool->partly_cold);
    list_init(&pool->node);
    pool->reap_at = &pool->slabs;
    /* The guard makes the stride odd in pages. */
    pool->guard = round_up(ASY_STACK_GUARD_BYTES, owner->page);
    if ((usable + pool->guard) / owner->page % 2 == 0)
        pool->guard += owner->page;
    pool->stride = usable + pool->guard;
    size_t max = SLAB_BYTES_MAX / pool->stride;
    pool->slab_stacks_max = (uint32_t)(max < 1 ? 1 : max < SLAB_STACKS_MAX ? max : SLAB_STACKS_MAX);
    pool->slab_stacks = pool->slab_stacks_max < SLAB_STACKS_FIRST ? pool->slab_stacks_max : SLAB_STACKS_FIRST;
}

/* The pool for `bytes`, made if it is the first request of its size. */
static NOINLINE struct asy_stack_pool *find_pool(struct asy_stacks *stacks, size_t bytes)
{
    size_t usable = asy_stacks_size(stacks, bytes);
    if (usable == stacks->first.usable)
        return &stacks->first;
    LIST_EACH(it, &stacks->others) {
        struct asy_stack_pool *pool = LIST_ENTRY(it, struct asy_stack_pool, node);
        if (pool->usable == usable)
            return pool;
    }
    struct asy_stack_pool *pool = usable ? asy_sys_alloc(sizeof *pool) : NULL;
    if (!pool)
        return NULL;
    pool_init(pool, stacks, usable);
    list_append(&stacks->others, &pool->node);
    return pool;
}

static inline size_t warm_count(const struct asy_stack_pool *pool)
{
    return pool->warm_count + pool->due_count;
}

static inline size_t warm_max(const struct asy_stack_pool *pool)
{
    return pool->live > WARM_MIN ? pool->live : WARM_MIN;
}

/* Maps another slab; a smaller one where the address space is short. */
static bool add_slab(struct asy_stack_pool *pool)
{
    for (;;) {
        uint32_t count = pool->slab_stacks;
        struct asy_stack_slab *slab = asy_stack_slab_new(pool, count);
        if (slab) {
            list_append(&pool->slabs, &slab->node);
            list_append(&pool->partly_cold, &slab->cold_node);
            pool->slab_count++;
            pool->cold_count += count;
            pool->owner->is_settled = false;
            pool->slab_stacks = count <= pool->slab_stacks_max / 2 ? count * 2 : pool->slab_stacks_max;
            return true;
        }
        if (count == 1)
            return false;
        pool->slab_stacks = count / 2;
    }
}

/* ---- Warm and cold -------------------------------------------------------- */

/* Whether the caller runs on this stack. */
static inline bool runs_here(const struct asy_stack *stack)
{
    return (uintptr_t)__builtin_frame_address(0) - (uintptr_t)stack->low <
           (uintptr_t)stack->top - (uintptr_t)stack->low;
}

static inline struct asy_stack *stack_at(struct list *node)
{
    return LIST_ENTRY(node, struct asy_stack, node);
}

/* The latest, or the oldest, stack of a list that nobody runs on; NULL: none. */
static inline struct asy_stack *latest_free(struct list *list)
{
    struct list *node = list->next;
    if (UNLIKELY(node != list && runs_here(stack_at(node))))
        node = node->next;
    return node != list ? stack_at(node) : NULL;
}

static struct asy_stack *oldest_free(struct list *list)
{
    struct list *node = list->prev;
    if (node != list && runs_here(stack_at(node)))
        node = node->prev;
    return node != list ? stack_at(node) : NULL;
}

/* list_prepend and list_remove for the hot paths. These know the head, which spares them a chain of loads
 * from what was just stored; and the order of the stores keeps compilers from joining two of them into a
 * wide one, from which the next load would be slow. */
static inline void push_stack(struct list *head, struct list *node)
{
    struct list *next = head->next;
    node->next = next;
    head->next = node;
    next->prev = node;
    node->prev = head;
}

static inline void unlink_stack(struct list *head, struct list *node)
{
    if (UNLIKELY(head->next != node)) {
        list_remove(node); /* behind the one that the caller runs on */
        return;
    }
    struct list *next = node->next;
    next->prev = head;
    head->next = next;
}

static void make_cold(struct asy_stack_pool *pool, struct asy_stack *stack)
{
    struct asy_stack_slab *slab = stack->slab;
    ASY_ASSERT(!(stack->flags & (ASY_STACK_COLD | ASY_STACK_ABANDONED)) && warm_count(pool) > 0);
    list_remove(&stack->node);
    if (stack->flags & ASY_STACK_DUE)
        pool->due_count--;
    else
        pool->warm_count--;
    if (list_is_empty(&slab->cold))
        list_prepend(&pool->partly_cold, &slab->cold_node);
    list_prepend(&slab->cold, &stack->node);
    stack->flags = (stack->flags & ~(uint32_t)ASY_STACK_DUE) | ASY_STACK_COLD;
    pool->cold_count++;
}

/* A cold stack, made ready: 0, or a negative errno. */
static NOINLINE int take_cold(struct asy_stack_pool *pool, struct asy_stack **out)
{
    if (list_is_empty(&pool->partly_cold) && !add_slab(pool))
        return -ENOMEM;
    struct asy_stack_slab *slab = LIST_ENTRY(pool->partly_cold.next, struct asy_stack_slab, cold_node);
    struct asy_stack *stack = stack_at(slab->cold.next);
    ASY_ASSERT(stack->flags & ASY_STACK_COLD && pool->cold_count > 0);
    if (!(stack->flags & ASY_STACK_MAPPED)) {
        int err = asy_stack_make_ready(stack, &pool->owner->guards);
        if (err)
            return err;
    }
    list_remove(&stack->node);
    if (list_is_empty(&slab->cold))
        list_remove(&slab->cold_node);
    pool->cold_count--;
    stack->flags &= ~(uint32_t)ASY_STACK_COLD;
    stack->gives = 0;
    if (pool->usable > KEEP_BYTES)
        stack->flags |= ASY_STACK_DUE;
    *out = stack;
    return 0;
}

/* ---- Memory goes back ----------------------------------------------------- */

/* Turns the oldest warm stack cold. False: there is none, or it cannot be. */
static bool cool_oldest(struct asy_stack_pool *pool)
{
    struct asy_stack *stack = oldest_free(&pool->due);
    if (!stack)
        stack = oldest_free(&pool->warm);
    if (!stack || asy_sys_madvise(stack->low, pool->usable, MADV_DONTNEED) < 0)
        return false;
    make_cold(pool, stack);
    return true;
}

/* Takes the depth of the stack that has been due for longest. It is not asked whether there is any: giving
 * back nothing is cheaper than mincore. */
static bool check_depth(struct asy_stack_pool *pool)
{
    struct asy_stack *stack = oldest_free(&pool->due);
    if (!stack)
        return false;
    ASY_ASSERT(stack->flags & ASY_STACK_DUE && pool->due_count > 0);
    (void)asy_sys_madvise(stack->low, pool->usable - KEEP_BYTES, MADV_DONTNEED);
    stack->flags &= ~(uint32_t)ASY_STACK_DUE;
    stack->gives = 0;
    pool->due_count--;
    pool->warm_count++;
    list_remove(&stack->node);
    list_prepend(&pool->warm, &stack->node);
    return true;
}

static void unmap_idle(struct asy_stack_pool *pool, struct asy_stack_slab *slab)
{
    for (uint32_t i = 0; i < slab->count; i++) {
        if (!(slab->stacks[i].flags & ASY_STACK_COLD))
            make_cold(pool, &slab->stacks[i]);
    }
    ASY_ASSERT(slab->busy == 0 && pool->cold_count >= slab->count);
    pool->cold_count -= slab->count;
    pool->slab_count--;
    list_remove(&slab->cold_node);
    list_remove(&slab->node);
    asy_stack_slab_free(slab);
}

/* Looks at the next `slabs` slabs, and unmaps one that the pool can do without. */
static void reap_slabs(struct asy_stack_pool *pool, unsigned slabs)
{
    while (slabs-- && warm_count(pool) + pool->cold_count > warm_max(pool)) {
        struct list *at = pool->reap_at->next;
        pool->reap_at = at;
        if (at == &pool->slabs)
            continue;
        struct asy_stack_slab *slab = LIST_ENTRY(at, struct asy_stack_slab, node);
        size_t here = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)slab->base;
        size_t rest = warm_count(pool) + pool->cold_count - slab->count;
        if (slab->busy == 0 && rest >= warm_max(pool) && here >= slab->bytes) {
            pool->reap_at = at->prev;
            unmap_idle(pool, slab);
            return;
        }
    }
}

/* There are more warm stacks than wanted: two go for each one that comes, since that one lowered the limit
 * too. */
static NOINLINE void shed_warm(struct asy_stack_pool *pool)
{
    reap_slabs(pool, 8);
    for (int i = 0; i < 2 && warm_count(pool) > warm_max(pool); i++) {
        if (!cool_oldest(pool))
            return;
    }
}

static NOINLINE void make_due(struct asy_stack_pool *pool, struct asy_stack *stack)
{
    if (pool->usable <= KEEP_BYTES)
        return;
    stack->flags |= ASY_STACK_DUE;
    if (pool->due_count > DUE_MAX && stack->gives % OVERDUE_GIVES == 0)
        check_depth(pool);
}

static void trim_pool(struct asy_stack_pool *pool, unsigned *budget)
{
    reap_slabs(pool, 4);
    while (*budget && warm_count(pool) > warm_max(pool) && cool_oldest(pool))
        --*budget;
    while (*budget && pool->due_count && check_depth(pool))
        --*budget;
    if (pool->due_count || warm_count(pool) + pool->cold_count > warm_max(pool))
        pool->owner->is_settled = false;
}

static NOINLINE void trim_pools(struct asy_stacks *stacks)
{
    unsigned budget = TRIM_MAX;
    stacks->is_settled = true;
    trim_pool(&stacks->first, &budget);
    LIST_EACH(it, &stacks->others)
        trim_pool(LIST_ENTRY(it, struct asy_stack_pool, node), &budget);
}

HOT void asy_stacks_trim(struct asy_stacks *stacks)
{
    if (!stacks->is_settled)
        trim_pools(stacks);
}

/* ---- Take and give -------------------------------------------------------- */

int asy_stack_take(struct asy_stacks *stacks, size_t bytes, struct asy_stack **out)
{
    struct asy_stack_pool *pool = LIKELY(bytes == 0) ? &stacks->first : find_pool(stacks, bytes);
    if (UNLIKELY(!pool))
        return -ENOMEM;
    struct asy_stack *stack = latest_free(&pool->warm);
    if (LIKELY(stack != NULL)) {
        unlink_stack(&pool->warm, &stack->node);
        pool->warm_count--;
    } else if ((stack = latest_free(&pool->due))) {
        unlink_stack(&pool->due, &stack->node);
        pool->due_count--;
    } else {
        int err = take_cold(pool, &stack);
        if (err)
            return err;
    }
    pool->live++;
    stack->slab->busy++;
    stack->owner = NULL;
    asy_stack_tell_taken(stack);
    *out = stack;
    return 0;
}

void asy_stack_give(struct asy_stacks *stacks, struct asy_stack *stack)
{
    stacks->is_settled = false;
    struct asy_stack_pool *pool = stack->slab->pool;
    ASY_ASSERT(pool->live > 0 && stack->slab->busy > 0);
    pool->live--;
    stack->slab->busy--;
    if (UNLIKELY(++stack->gives % CHECK_GIVES == 0))
        make_due(pool, stack);
    if (stack->flags & ASY_STACK_DUE) {
        pool->due_count++;
        push_stack(&pool->due, &stack->node);
    } else {
        pool->warm_count++;
        push_stack(&pool->warm, &stack->node);
    }
    if (UNLIKELY(warm_count(pool) > warm_max(pool)))
        shed_warm(pool);
}

void asy_stack_abandon(struct asy_stacks *stacks, struct asy_stack *stack)
{
    stacks->is_settled = false;
    struct asy_stack_pool *pool = stack->slab->pool;
    ASY_ASSERT(!(stack->flags & ASY_STACK_ABANDONED) && pool->live > 0);
    stack->flags |= ASY_STACK_ABANDONED;
    pool->live--;
    pool->abandoned++;
    asy_stack_tell_abandoned(stack);
}

/* ---- The whole ------------------------------------------------------------ */

struct asy_stacks *asy_stacks_new(size_t default_bytes)
{
    struct asy_stacks *stacks = asy_sys_alloc(sizeof *stacks);
    if (!stacks)
        return NULL;
    stacks->is_settled = true;
    stacks->page = asy_sys_page_size();
    stacks->guards = (struct asy_stack_guards){.must_install = true};
    list_init(&stacks->others);
    stacks->first.usable = ASY_STACK_DEFAULT_BYTES; /* what asy_stacks_size goes by */
    size_t usable = asy_stacks_size(stacks, default_bytes);
    if (!usable) {
        asy_sys_free(stacks);
        return NULL;
    }
    pool_init(&stacks->first, stacks, usable);
    return stacks;
}

static void pool_destroy(struct asy_stack_pool *pool)
{
    for (struct list *node; (node = list_take_first(&pool->slabs));)
        asy_stack_slab_free(LIST_ENTRY(node, struct asy_stack_slab, node));
}

void asy_stacks_destroy(struct asy_stacks *stacks)
{
    pool_destroy(&stacks->first);
    for (struct list *node; (node = list_take_first(&stacks->others));) {
        struct asy_stack_pool *pool = LIST_ENTRY(node, struct asy_stack_pool, node);
        pool_destroy(pool);
        asy_sys_free(pool);
    }
    asy_sys_free(stacks);
}

size_t asy_stacks_size(const struct asy_stacks *stacks, size_t bytes)
{
    if (bytes == 0)
        return stacks->first.usable;
    if (bytes > USABLE_MAX)
        return 0;
    return round_up(round_up(bytes, ASY_STACK_MIN_BYTES), stacks->page);
}

void asy_stacks_use_mprotect(struct asy_stacks *stacks)
{
    stacks->guards.must_install = false;
}

/* Called while a task is out of stack, maybe inside this file: the lists are only followed forwards, where
 * each step is whole at any moment. */
static struct asy_stack *find_guard(struct asy_stack_pool *pool, uintptr_t address)
{
    LIST_EACH(it, &pool->slabs) {
        struct asy_stack_slab *slab = LIST_ENTRY(it, struct asy_stack_slab, node);
        size_t offset = address - (uintptr_t)slab->base;
        if (offset >= slab->bytes)
            continue;
        struct asy_stack *stack = &slab->stacks[offset / pool->stride];
        return offset % pool->stride < pool->guard && (stack->flags & ASY_STACK_MAPPED) ? stack : NULL;
    }
    return NULL;
}

struct asy_stack *asy_stacks_find_guard(struct asy_stacks *stacks, const void *address)
{
    struct asy_stack *stack = find_guard(&stacks->first, (uintptr_t)address);
    LIST_EACH(it, &stacks->others) {
        if (!stack)
            stack = find_guard(LIST_ENTRY(it, struct asy_stack_pool, node), (uintptr_t)address);
    }
    return stack;
}

static struct asy_stack *find_in_pool(struct asy_stack_pool *pool, uintptr_t address)
{
    LIST_EACH(it, &pool->slabs) {
        struct asy_stack_slab *slab = LIST_ENTRY(it, struct asy_stack_slab, node);
        size_t offset = address - (uintptr_t)slab->base;
        if (offset < slab->bytes)
            return &slab->stacks[offset / pool->stride];
    }
    return NULL;
}

struct asy_stack *asy_stacks_find(struct asy_stacks *stacks, const void *address)
{
    struct asy_stack *stack = find_in_pool(&stacks->first, (uintptr_t)address);
    LIST_EACH(it, &stacks->others) {
        if (!stack)
            stack = find_in_pool(LIST_ENTRY(it, struct asy_stack_pool, node), (uintptr_t)address);
    }
    return stack;
}

#define LOOK_PAGES 256 /* that the kernel is asked about at a time */
#define BARE_LOOKS 16  /* in so many times that there was none, nothing lies further down */

/* The lowest page that has memory, from `end` down to `low`. */
static char *find_lowest_touched(char *low, char *end, size_t page)
{
    char *lowest = end;
    unsigned char has_memory[LOOK_PAGES];
    for (int bare = 0; end > low && bare < BARE_LOOKS; bare++) {
        size_t pages = (size_t)(end - low) / page;
        pages = pages < LOOK_PAGES ? pages : LOOK_PAGES;
        end -= pages * page;
        if (asy_sys_mincore(end, pages * page, has_memory) != 0)
            break;
        for (size_t i = 0; i < pages; i++) {
            if (!(has_memory[i] & 1))
                continue;
            lowest = end + i * page;
            bare = 0;
            break;
        }
    }
    return lowest;
}

size_t asy_stack_take_depth(const struct asy_stacks *stacks, struct asy_stack *stack)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(stacks->page - 1);
    char *used = stack->low + (here - (uintptr_t)stack->low);
    char *lowest = find_lowest_touched(stack->low, used, stacks->page);
    /* One page is left to the calls from here. */
    if (used - stack->low > (ptrdiff_t)stacks->page)
        (void)asy_sys_madvise(stack->low, (size_t)(used - stack->low) - stacks->page, MADV_DONTNEED);
    return (size_t)(stack->top - lowest);
}

static void add_stat(const struct asy_stack_pool *pool, struct asy_stacks_stat *stat)
{
    stat->live += pool->live;
    stat->warm += warm_count(pool);
    stat->cold += pool->cold_count;
    stat->slabs += pool->slab_count;
    stat->abandoned += pool->abandoned;
}

void asy_stacks_stat(const struct asy_stacks *stacks, struct asy_stacks_stat *stat)
{
    *stat = (struct asy_stacks_stat){.guard_install = stacks->guards.must_install};
    add_stat(&stacks->first, stat);
    LIST_EACH(it, &stacks->others)
        add_stat(LIST_ENTRY(it, const struct asy_stack_pool, node), stat);
}
