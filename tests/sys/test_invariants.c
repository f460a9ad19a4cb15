/*
 * The invariants below the loop: each case breaks one on purpose in a child, which ends with a line that
 * names it.
 */
#include "../child.h"
#include "backend/backend.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/random.h"
#include "support/test.h"
#include "sys/stack.h"
#include "sys/thread.h"
#include <stddef.h>
#include <stdint.h>

static struct child child;

static void expect_broken(void (*fn)(void *), const char *function, const char *condition)
{
    child_run(&child, fn, NULL);
    assert_child_signal(&child, SIGABRT);
    assert_child_says(&child, "asyncio: broken invariant in ");
    assert_child_says(&child, function);
    assert_child_says(&child, condition);
}

static struct heap_slot slots[4];
static struct heap_place places[4];
static struct heap heap = {.slots = slots, .places = places, .capacity = 2};

static void insert_twice(void *arg)
{
    struct heap_node node = {.key = 1};
    (void)arg;
    asy_heap_insert(&heap, &node);
    asy_heap_insert(&heap, &node);
}

static void insert_into_full(void *arg)
{
    struct heap_node nodes[3] = {{.key = 1}, {.key = 2}, {.key = 3}};
    (void)arg;
    for (int i = 0; i < 3; i++)
        asy_heap_insert(&heap, &nodes[i]);
}

static void remove_a_copy(void *arg)
{
    struct heap_node node = {.key = 1}, copy;
    (void)arg;
    asy_heap_insert(&heap, &node);
    copy = node;
    asy_heap_remove(&heap, &copy);
}

TEST(a_node_is_in_a_heap_once)
{
    expect_broken(insert_twice, "asy_heap_insert (heap.c:", "!asy_heap_contains(node)");
    expect_broken(insert_into_full, "take_place (heap.c:", "heap->places_used < heap->capacity");
    expect_broken(remove_a_copy, "give_place (heap.c:", "place->node == node");
}

static void draw_below_zero(void *arg)
{
    struct random random;
    (void)arg;
    asy_random_seed(&random, 1);
    asy_random_below(&random, 0);
}

TEST(a_random_number_has_a_bound)
{
    expect_broken(draw_below_zero, "asy_random_below (random.c:", "bound > 0");
}

static struct asy_stack *take_stack(struct asy_stacks **stacks)
{
    struct asy_stack *stack;
    *stacks = asy_stacks_new(0);
    CHILD_CHECK(*stacks != NULL && asy_stack_take(*stacks, 0, &stack) == 0);
    return stack;
}

static void give_twice(void *arg)
{
    struct asy_stacks *stacks;
    struct asy_stack *stack = take_stack(&stacks);
    (void)arg;
    asy_stack_give(stacks, stack);
    asy_stack_give(stacks, stack);
}

static void abandon_twice(void *arg)
{
    struct asy_stacks *stacks;
    struct asy_stack *stack = take_stack(&stacks);
    (void)arg;
    asy_stack_abandon(stacks, stack);
    asy_stack_abandon(stacks, stack);
}

TEST(a_stack_is_given_back_once)
{
    expect_broken(give_twice, "asy_stack_give (stack.c:", "pool->live > 0");
    expect_broken(abandon_twice, "asy_stack_abandon (stack.c:", "pool->live > 0");
}

static void end_key(void *arg)
{
    (void)arg;
}

static void make_many_keys(void *arg)
{
    pthread_key_t key;
    (void)arg;
    for (int i = 0; i < 100; i++)
        asy_sys_thread_key(&key, end_key);
}

TEST(thread_keys_are_counted)
{
    expect_broken(make_many_keys, "asy_sys_thread_key (unload.c:", "place < KEYS_MAX");
}

static void detach_unattached(void *arg)
{
    struct asy_backend *backend;
    (void)arg;
    CHILD_CHECK(asy_backend_epoll.open(&backend) == 0);
    backend->ops->detach(backend, 0);
}

TEST(a_backend_counts_its_descriptors)
{
    expect_broken(detach_unattached, "epoll_detach (epoll.c:", "backend->attached > 0");
}

TEST_MAIN()
