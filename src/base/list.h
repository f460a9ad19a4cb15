/*
 * Intrusive doubly linked list. A list head and a list node are the same struct; an empty head, and a node
 * that is on no list, point to themselves. Everything is O(1). The list owns nothing.
 */
#ifndef ASY_BASE_LIST_H
#define ASY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

/* Puts `node` before `at`; with a head as `at` that is the end of the list. */
static inline void list_insert_before(struct list *at, struct list *node)
{
    node->next = at;
    node->prev = at->prev;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_append(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

static inline void list_prepend(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}

/* Takes `node` off its list. Safe to repeat: it is on no list afterwards. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, taken off; NULL when the list is empty. */
static inline struct list *list_take_first(struct list *head)
{
    if (list_is_empty(head))
        return NULL;
    struct list *first = head->next;
    list_remove(first);
    return first;
}

/* Moves all of `from` to the end of `to`, in order. */
static inline void list_splice(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* `it` may be taken off its list, and freed, meanwhile. */
#define LIST_EACH_SAFE(it, after, head)                                                                      \
    for (struct list *it = (head)->next, *after = it->next; it != (head); it = after, after = it->next)
#define LIST_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

#endif
