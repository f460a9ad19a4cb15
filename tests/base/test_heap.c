/*
 * The 4-ary heap: order, stability of equal keys and removal from anywhere, against
 * a sorted array.
 */
#include "base/heap.h"
#include "base/random.h"
#include "support/test.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 1000
#define OPERATIONS 100000

/* A heap, and what it ought to hold: `sorted` has the order in which they leave. */
struct model {
    struct heap heap;
    struct heap_slot slots[NODES_MAX];
    struct heap_place places[NODES_MAX];
    struct heap_node nodes[NODES_MAX];
    struct heap_node *sorted[NODES_MAX];
    size_t count;
};

static struct model *model_new(void)
{
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->heap.slots = m->slots;
    m->heap.places = m->places;
    m->heap.capacity = NODES_MAX;
    return m;
}

static void model_insert(struct model *m, struct heap_node *node, int64_t key)
{
    size_t at = m->count++;
    for (; at > 0 && m->sorted[at - 1]->key > key; at--)
        m->sorted[at] = m->sorted[at - 1];
    m->sorted[at] = node;

    node->key = key;
    asy_heap_insert(&m->heap, node);
    assert_true(asy_heap_contains(node));
}

static void model_remove(struct model *m, size_t at)
{
    struct heap_node *node = m->sorted[at];
    m->count--;
    memmove(&m->sorted[at], &m->sorted[at + 1], (m->count - at) * sizeof m->sorted[0]);

    asy_heap_remove(&m->heap, node);
    assert_false(asy_heap_contains(node));
}

static void check_first(const struct model *m)
{
    assert_int_equal(m->heap.count, m->count);
    assert_ptr_equal(asy_heap_first(&m->heap), m->count ? m->sorted[0] : NULL);
}

/* Every node knows its place, which knows its slot; no child comes before its parent. */
static void check_all(const struct model *m)
{
    for (size_t i = 0; i < m->heap.count; i++) {
        const struct heap_slot *slot = &m->slots[i], *parent = &m->slots[i ? (i - 1) / 4 : 0];
        const struct heap_place *place = &m->places[slot->place];
        assert_int_equal(place->slot, i);
        assert_int_equal(place->node->place, slot->place + 1);
        assert_int_equal(place->node->key, slot->key);
        assert_true(parent->key <= slot->key);
        if (i && parent->key == slot->key)
            assert_true(m->places[parent->place].sequence < place->sequence);
    }
}

/* Inserts and removes with about even odds, in phases that let it grow and shrink;
 * at the end it is drained in order. */
static void run_model(uint64_t seed, uint64_t keys)
{
    struct model *m = model_new();
    struct random r;
    asy_random_seed(&r, seed);
    for (int i = 0; i < OPERATIONS; i++) {
        struct heap_node *node = &m->nodes[asy_random_below(&r, NODES_MAX)];
        uint64_t growth = i / 5000 % 2 ? 30 : 70;
        if (!asy_heap_contains(node) && asy_random_below(&r, 100) < growth)
            model_insert(m, node, (int64_t)(asy_random_below(&r, keys) - keys / 2));
        else if (m->count && asy_random_below(&r, 4) == 0)
            model_remove(m, 0);
        else if (m->count)
            model_remove(m, asy_random_below(&r, m->count));
        check_first(m);
        if (i % 100 == 0)
            check_all(m);
    }
    while (m->count) {
        model_remove(m, 0);
        check_first(m);
    }
    free(m);
}

TEST(few_keys)
{
    run_model(1, 4);
    run_model(2, 100);
}

TEST(many_keys)
{
    run_model(3, UINT64_MAX);
}

TEST(equal_keys_leave_as_they_came)
{
    struct model *m = model_new();
    for (size_t i = 0; i < NODES_MAX; i++)
        model_insert(m, &m->nodes[i], 7);
    for (size_t i = 0; i < NODES_MAX; i++) {
        assert_ptr_equal(asy_heap_first(&m->heap), &m->nodes[i]);
        model_remove(m, 0);
    }
    free(m);
}

TEST(return_goes_behind_its_equals)
{
    struct model *m = model_new();
    for (size_t i = 0; i < 3; i++)
        model_insert(m, &m->nodes[i], 7);
    asy_heap_remove(&m->heap, &m->nodes[0]);
    asy_heap_insert(&m->heap, &m->nodes[0]);
    for (size_t i = 0; i < 3; i++) {
        struct heap_node *first = asy_heap_first(&m->heap);
        assert_ptr_equal(first, &m->nodes[(i + 1) % 3]);
        asy_heap_remove(&m->heap, first);
    }
    free(m);
}

TEST(extreme_keys)
{
    static const int64_t keys[] = {0, INT64_MAX, INT64_MIN, -1, 1, INT64_MAX, INT64_MIN};
    struct model *m = model_new();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        model_insert(m, &m->nodes[i], keys[i]);
    while (m->count) {
        check_first(m);
        model_remove(m, 0);
    }
    free(m);
}

TEST(removal_of_an_absent_node_does_nothing)
{
    struct model *m = model_new();
    asy_heap_remove(&m->heap, &m->nodes[1]);
    assert_null(asy_heap_first(&m->heap));
    model_insert(m, &m->nodes[0], 1);
    asy_heap_remove(&m->heap, &m->nodes[1]);
    check_first(m);
    model_remove(m, 0);
    asy_heap_remove(&m->heap, &m->nodes[0]);
    check_first(m);
    free(m);
}

TEST_MAIN()
