/*
 * What the tests of queues share: one queue of ints, made in any order, and tasks that put and take.
 */
#ifndef TESTS_SYNC_QUEUE_TEST_H
#define TESTS_SYNC_QUEUE_TEST_H

#include "sync/sync_test.h"

static asyncio_queue queue;

static __attribute__((unused)) int by_tens(const void *a, const void *b)
{
    int x = *(const int *)a / 10, y = *(const int *)b / 10;
    return (x > y) - (x < y);
}

/* The three orders. */
enum order { FIFO, LIFO, PRIORITY };

static __attribute__((unused)) int make(enum order order, size_t maxsize)
{
    switch (order) {
    case FIFO:
        return asyncio_queue_init(&queue, sizeof(int), maxsize);
    case LIFO:
        return asyncio_queue_init_lifo(&queue, sizeof(int), maxsize);
    case PRIORITY:
        return asyncio_queue_init_priority(&queue, sizeof(int), maxsize, by_tens);
    }
    return -EINVAL;
}

static __attribute__((unused)) int put_now(int item)
{
    return asyncio_queue_put_nowait(&queue, &item);
}

/* The item, or an error. */
static __attribute__((unused)) int get_now(void)
{
    int item = -1, err = asyncio_queue_get_nowait(&queue, &item);
    return err ? err : item;
}

ASYNC(puts_item, int, item)
{
    int copy = item, err = asyncio_queue_put(&queue, &copy);
    say("put %d:%s ", item, outcome(err));
    return err ? err : asyncio_sleep(0);
}

/* Gets one, says so, and waits once more. */
ASYNC(takes, const char *, name)
{
    int item = -1, err = asyncio_queue_get(&queue, &item);
    if (err)
        say("%s:%s ", name, outcome(err));
    else
        say("%s:%d ", name, item);
    CHECK(err == 0 || item == -1);
    return err ? err : asyncio_sleep(0);
}

#endif
