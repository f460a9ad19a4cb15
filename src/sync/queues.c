/*
 * Queues. While a task waits to get, the queue is empty; while one waits to put, it is full. So a put hands
 * its item to the first getter, and a get moves the first putter's item into the room that it has made. A
 * task that wakes has its part done, and does not look at the queue again.
 */
#include "asyncio/queues.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "sync/items.h"
#include "sync/sync.h"
#include <errno.h>

/* ---- Waits ------------------------------------------------------------------------ */

/* A task that waits to put or get does so with a struct exchange: its wait, and the caller's memory, which is
 * valid as long as it waits. */

/* False: nobody is left in the queue. */
static inline bool hand_to_getter(asyncio_queue *queue, const void *item)
{
    struct wait *wait = waiters_claim(&queue->getters_);
    if (!wait)
        return false;
    ASY_ASSERT_TASK(!queue->items_.count_, wait->task);
    items_copy(&queue->items_, LIST_ENTRY(wait, struct exchange, wait)->item.into, item);
    asy_wait_wake(wait, 0);
    return true;
}

/* A task that never runs again was handed an item. The item goes to the next getter, or back; it is lost if
 * there is no memory for that. */
static void revoke_get(struct wait *wait)
{
    asyncio_queue *queue = wait->object;
    const void *item = LIST_ENTRY(wait, struct exchange, wait)->item.into;
    if (wait->value != 0 || !queue->items_.size_)
        return;
    if (!waiters_any(&queue->getters_) || !hand_to_getter(queue, item))
        asy_items_put_back(&queue->items_, item);
}

#define QUEUE_SHAPE                                                                                          \
    {                                                                                                        \
        .kind = SHAPE_QUEUE, .at = {                                                                         \
            offsetof(asyncio_queue, items_.count_),                                                          \
            offsetof(asyncio_queue, maxsize_),                                                               \
            offsetof(asyncio_queue, unfinished_)                                                             \
        }                                                                                                    \
    }
static const struct wait_kind get_kind = {.name = "queue get", .revoke = revoke_get, .shape = QUEUE_SHAPE};
static const struct wait_kind put_kind = {.name = "queue put", .shape = QUEUE_SHAPE};
static const struct wait_kind join_kind = {.name = "queue join", .shape = QUEUE_SHAPE};

/* ---- Life ------------------------------------------------------------------------- */

static int init_queue(asyncio_queue *queue, size_t item_size, size_t maxsize,
                      int (*compare)(const void *, const void *), bool is_lifo)
{
    if (!queue)
        return -EINVAL;
    *queue = (asyncio_queue){.maxsize_ = maxsize ? maxsize : SIZE_MAX};
    if (!item_size)
        return -EINVAL;
    int err = asy_items_init(&queue->items_, item_size, maxsize, compare, is_lifo);
    if (err)
        *queue = (asyncio_queue){0};
    return err;
}

int asyncio_queue_init(asyncio_queue *queue, size_t item_size, size_t maxsize)
{
    return init_queue(queue, item_size, maxsize, NULL, /* is_lifo= */ false);
}

int asyncio_queue_init_lifo(asyncio_queue *queue, size_t item_size, size_t maxsize)
{
    return init_queue(queue, item_size, maxsize, NULL, /* is_lifo= */ true);
}

int asyncio_queue_init_priority(asyncio_queue *queue, size_t item_size, size_t maxsize,
                                int (*compare)(const void *a, const void *b))
{
    return init_queue(queue, compare ? item_size : 0, maxsize, compare, /* is_lifo= */ false);
}

static void wake_exchanges(asyncio_queue *queue)
{
    waiters_wake_all(&queue->getters_, ASYNCIO_EQUEUE_SHUTDOWN);
    waiters_wake_all(&queue->putters_, ASYNCIO_EQUEUE_SHUTDOWN);
}

void asyncio_queue_destroy(asyncio_queue *queue)
{
    if (!queue)
        return;
    sync_touch(&queue->loop_, __func__);
    wake_exchanges(queue);
    waiters_wake_all(&queue->joiners_, ASYNCIO_EQUEUE_SHUTDOWN);
    asy_items_destroy(&queue->items_);
    *queue = (asyncio_queue){.shutdown_ = true}; /* for a call that is giving way right now */
}

/* ---- Put and get ---------------------------------------------------------------------- */

static inline bool is_made(const asyncio_queue *queue)
{
    return queue && queue->items_.size_;
}

static inline bool is_queue_at_rest(const asyncio_queue *queue)
{
    return !waiters_any(&queue->getters_) && !waiters_any(&queue->putters_) && !waiters_any(&queue->joiners_);
}

static inline int wait_exchange(asyncio_queue *queue, asyncio_waiters *waiters, const struct wait_kind *kind,
                                struct exchange *exchange)
{
    asyncio_task *task = asy_running_loop->current;
    int err = asy_cancel_deliver(task);
    if (UNLIKELY(err))
        return err;
    asy_wait_init(&exchange->wait, task, kind, queue);
    waiters_append(waiters, &exchange->wait);
    return (int)asy_wait_park(&exchange->wait);
}

static NOINLINE int wait_to_put(asyncio_queue *queue, const void *item)
{
    struct exchange putter = {.item.from = item};
    return wait_exchange(queue, &queue->putters_, &put_kind, &putter);
}

static NOINLINE int wait_to_get(asyncio_queue *queue, void *item)
{
    struct exchange getter = {.item.into = item};
    return wait_exchange(queue, &queue->getters_, &get_kind, &getter);
}

/* ASYNCIO_EQUEUE_FULL: the call would have to wait. */
static inline int try_put(asyncio_queue *queue, const void *item)
{
    if (UNLIKELY(queue->shutdown_))
        return ASYNCIO_EQUEUE_SHUTDOWN;
    if (!waiters_any(&queue->getters_) || !hand_to_getter(queue, item)) {
        if (queue->items_.count_ >= queue->maxsize_)
            return ASYNCIO_EQUEUE_FULL;
        int err = items_put(&queue->items_, item);
        if (UNLIKELY(err))
            return err;
    }
    queue->unfinished_++;
    return 0;
}

/* Lets the first putter put. There is room for its item, unless items came back from tasks that never ran
 * again. */
static void admit_putter(asyncio_queue *queue)
{
    if (queue->items_.count_ >= queue->maxsize_)
        return;
    struct wait *wait = waiters_claim(&queue->putters_);
    if (!wait)
        return;
    int err = items_put(&queue->items_, LIST_ENTRY(wait, struct exchange, wait)->item.from);
    ASY_ASSERT_TASK(!err, wait->task); /* the get has just made room */
    queue->unfinished_++;
    asy_wait_wake(wait, 0);
}

/* ASYNCIO_EQUEUE_EMPTY: the call would have to wait. */
static inline int try_get(asyncio_queue *queue, void *item)
{
    if (!queue->items_.count_)
        return UNLIKELY(queue->shutdown_) ? ASYNCIO_EQUEUE_SHUTDOWN : ASYNCIO_EQUEUE_EMPTY;
    items_take(&queue->items_, item);
    if (waiters_any(&queue->putters_))
        admit_putter(queue);
    return 0;
}

int asyncio_queue_put(asyncio_queue *queue, const void *item)
{
    if (UNLIKELY(!is_made(queue) || !item))
        return -EINVAL;
    int err = SYNC_ENTER(&queue->loop_, is_queue_at_rest(queue));
    if (UNLIKELY(err))
        return err;
    err = try_put(queue, item);
    if (LIKELY(err != ASYNCIO_EQUEUE_FULL))
        return err;
    return wait_to_put(queue, item);
}

int asyncio_queue_get(asyncio_queue *queue, void *item)
{
    if (UNLIKELY(!is_made(queue) || !item))
        return -EINVAL;
    int err = SYNC_ENTER(&queue->loop_, is_queue_at_rest(queue));
    if (UNLIKELY(err))
        return err;
    err = try_get(queue, item);
    if (LIKELY(err != ASYNCIO_EQUEUE_EMPTY))
        return err;
    return wait_to_get(queue, item);
}

int asyncio_queue_put_nowait(asyncio_queue *queue, const void *item)
{
    if (UNLIKELY(!is_made(queue) || !item))
        return -EINVAL;
    sync_touch(&queue->loop_, __func__);
    return try_put(queue, item);
}

int asyncio_queue_get_nowait(asyncio_queue *queue, void *item)
{
    if (UNLIKELY(!is_made(queue) || !item))
        return -EINVAL;
    sync_touch(&queue->loop_, __func__);
    return try_get(queue, item);
}

/* ---- Cases of selects -------------------------------------------------------------------- */

static const char *refuse_queue(asyncio_case *one, int *err)
{
    asyncio_queue *queue = one->object_;
    *err = -EINVAL;
    if (!queue)
        return "the queue is NULL";
    if (!queue->items_.size_)
        return "the queue was destroyed, or never made";
    if (!one->item_)
        return "the item is NULL";
    return asy_sync_case_bind(&queue->loop_, is_queue_at_rest(queue), err);
}

static bool try_get_case(asyncio_case *one)
{
    one->result = asyncio_queue_get_nowait(one->object_, one->item_);
    return one->result != ASYNCIO_EQUEUE_EMPTY;
}

static bool try_put_case(asyncio_case *one)
{
    one->result = asyncio_queue_put_nowait(one->object_, one->item_);
    return one->result != ASYNCIO_EQUEUE_FULL;
}

static int enlist_get_case(asyncio_case *one)
{
    asyncio_queue *queue = one->object_;
    asy_case_enlist(one, waiters_list(&queue->getters_), &get_kind);
    return 0;
}

static int enlist_put_case(asyncio_case *one)
{
    asyncio_queue *queue = one->object_;
    asy_case_enlist(one, waiters_list(&queue->putters_), &put_kind);
    return 0;
}

const struct case_kind asy_case_get = {.name = "get",
                                       .refuse = refuse_queue,
                                       .try_now = try_get_case,
                                       .enlist = enlist_get_case,
                                       .alone = &get_kind};
const struct case_kind asy_case_put = {.name = "put",
                                       .refuse = refuse_queue,
                                       .try_now = try_put_case,
                                       .enlist = enlist_put_case,
                                       .alone = &put_kind};

/* ---- Tasks done ------------------------------------------------------------------------- */

int asyncio_queue_task_done(asyncio_queue *queue)
{
    if (UNLIKELY(!is_made(queue)))
        return -EINVAL;
    sync_touch(&queue->loop_, __func__);
    if (UNLIKELY(!queue->unfinished_))
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: called more often than items were put", __func__);
    if (--queue->unfinished_ == 0)
        waiters_wake_all(&queue->joiners_, 0);
    return 0;
}

int asyncio_queue_join(asyncio_queue *queue)
{
    if (UNLIKELY(!is_made(queue)))
        return -EINVAL;
    int err = SYNC_ENTER(&queue->loop_, is_queue_at_rest(queue));
    if (UNLIKELY(err))
        return err;
    if (!queue->unfinished_)
        return 0;
    return (int)asy_sync_wait(&queue->joiners_, &join_kind, queue);
}

/* Drops all items; each counts as done. */
static void drop_items(asyncio_queue *queue)
{
    size_t count = queue->items_.count_;
    queue->items_.count_ = 0;
    queue->unfinished_ -= count < queue->unfinished_ ? count : queue->unfinished_;
    if (!queue->unfinished_)
        waiters_wake_all(&queue->joiners_, 0);
}

int asyncio_queue_shutdown(asyncio_queue *queue, bool immediate)
{
    if (UNLIKELY(!is_made(queue)))
        return -EINVAL;
    sync_touch(&queue->loop_, __func__);
    queue->shutdown_ = true;
    if (immediate)
        drop_items(queue);
    wake_exchanges(queue);
    return 0;
}

/* ---- Looking ------------------------------------------------------------------------------ */

static inline const asyncio_queue_items *look_at_items(const asyncio_queue *queue, const char *call)
{
    static const asyncio_queue_items none;
    if (UNLIKELY(!queue))
        return &none;
    sync_look(queue->loop_, call);
    return &queue->items_;
}

size_t asyncio_queue_size(const asyncio_queue *queue)
{
    return look_at_items(queue, __func__)->count_;
}

bool asyncio_queue_empty(const asyncio_queue *queue)
{
    return look_at_items(queue, __func__)->count_ == 0;
}

bool asyncio_queue_full(const asyncio_queue *queue)
{
    size_t count = look_at_items(queue, __func__)->count_;
    return queue && queue->maxsize_ && count >= queue->maxsize_;
}
