/*
 * The intrusive list: order at both ends, removal from anywhere, splicing, and a
 * model test against an array.
 */
#include "base/list.h"
#include "base/random.h"
#include "support/test.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ITEMS_MAX 32

struct item {
    int value;
    struct list node;
};

static void items_init(struct item *items)
{
    for (int i = 0; i < ITEMS_MAX; i++) {
        items[i].value = i;
        list_init(&items[i].node);
    }
}

/* The list holds exactly these values, read in both directions. */
static void check_values(struct list *head, const int *values, size_t count)
{
    size_t i = 0;
    LIST_EACH(it, head) {
        assert_true(i < count);
        assert_int_equal(LIST_ENTRY(it, struct item, node)->value, values[i++]);
    }
    assert_int_equal(i, count);
    for (struct list *it = head->prev; it != head; it = it->prev)
        assert_int_equal(LIST_ENTRY(it, struct item, node)->value, values[--i]);
    assert_int_equal(i, 0);
    assert_int_equal(list_is_empty(head), count == 0);
}

#define CHECK(head, ...)                                                                                     \
    check_values(head, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

TEST(ends)
{
    struct item items[ITEMS_MAX];
    struct list head;
    items_init(items);
    list_init(&head);
    check_values(&head, NULL, 0);
    list_append(&head, &items[1].node);
    list_append(&head, &items[2].node);
    list_prepend(&head, &items[0].node);
    CHECK(&head, 0, 1, 2);
    list_insert_before(&items[1].node, &items[3].node);
    CHECK(&head, 0, 3, 1, 2);
}

TEST(remove)
{
    struct item items[ITEMS_MAX];
    struct list head;
    items_init(items);
    list_init(&head);
    for (int i = 0; i < 4; i++)
        list_append(&head, &items[i].node);
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    CHECK(&head, 0, 2, 3);
    assert_true(list_is_empty(&items[1].node));
    list_remove(&items[0].node);
    list_remove(&items[3].node);
    CHECK(&head, 2);
    list_remove(&items[2].node);
    check_values(&head, NULL, 0);
    list_append(&head, &items[1].node);
    CHECK(&head, 1);
}

TEST(take_first)
{
    struct item items[ITEMS_MAX];
    struct list head;
    items_init(items);
    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_append(&head, &items[i].node);
    for (int i = 0; i < 3; i++) {
        struct list *first = list_take_first(&head);
        assert_ptr_equal(first, &items[i].node);
        assert_true(list_is_empty(first));
    }
    assert_null(list_take_first(&head));
}

TEST(splice)
{
    struct item items[ITEMS_MAX];
    struct list a, b;
    items_init(items);
    list_init(&a);
    list_init(&b);
    list_splice(&a, &b);
    check_values(&a, NULL, 0);
    list_append(&b, &items[0].node);
    list_append(&b, &items[1].node);
    list_splice(&a, &b);
    CHECK(&a, 0, 1);
    check_values(&b, NULL, 0);
    list_append(&b, &items[2].node);
    list_append(&b, &items[3].node);
    list_splice(&a, &b);
    CHECK(&a, 0, 1, 2, 3);
    list_splice(&a, &b);
    CHECK(&a, 0, 1, 2, 3);
    list_append(&b, &items[4].node);
    CHECK(&b, 4);
}

static void array_insert(int *values, size_t *count, size_t at, int value)
{
    memmove(&values[at + 1], &values[at], (*count - at) * sizeof values[0]);
    values[at] = value;
    ++*count;
}

static void array_remove(int *values, size_t *count, size_t at)
{
    --*count;
    memmove(&values[at], &values[at + 1], (*count - at) * sizeof values[0]);
}

TEST(model)
{
    struct item items[ITEMS_MAX];
    int values[ITEMS_MAX];
    size_t count = 0;
    struct list head;
    struct random r;
    items_init(items);
    list_init(&head);
    asy_random_seed(&r, 1);
    for (int i = 0; i < 20000; i++) {
        int value = (int)asy_random_below(&r, ITEMS_MAX);
        struct list *node = &items[value].node;
        size_t at = 0;
        while (at < count && values[at] != value)
            at++;
        if (at < count) {
            list_remove(node);
            array_remove(values, &count, at);
        } else if ((at = asy_random_below(&r, count + 1)) == count) {
            list_append(&head, node);
            array_insert(values, &count, at, value);
        } else {
            list_insert_before(&items[values[at]].node, node);
            array_insert(values, &count, at, value);
        }
        check_values(&head, values, count);
    }
}

TEST_MAIN()
