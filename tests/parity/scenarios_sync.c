/*
 * Locks, events, conditions, semaphores, barriers and queues; last, where C differs on purpose.
 */
#include "parity.h"

#include <errno.h>

/* The outcome of a call that gives no number. */
static const char *word(int outcome)
{
    switch (outcome) {
    case 0:
        return "ok";
    case ASYNCIO_EBROKEN:
        return "broken";
    case ASYNCIO_EQUEUE_EMPTY:
        return "empty";
    case ASYNCIO_EQUEUE_FULL:
        return "full";
    }
    return text(outcome);
}

static void settle(void)
{
    for (int i = 0; i < 10; i++)
        asyncio_sleep(0);
}

/* Starts a task. */
static asyncio_task *start(asyncio_coro *coro)
{
    return asyncio_create_task(coro);
}

static void end(asyncio_task *task)
{
    asyncio_join(task, NULL);
}

/* ---- Lock ---- */

static intptr_t keep(const char *name, int outcome, int turns)
{
    say("%s: %s", name, word(outcome));
    if (outcome)
        return 0;
    for (int i = 0; i < turns; i++) {
        int err = asyncio_sleep(0);
        if (err)
            say("%s has it: %s", name, text(err));
    }
    say("%s releases", name);
    return 1;
}

ASYNC(takes_lock, asyncio_lock *, lock, const char *, name, int, turns)
{
    if (keep(name, asyncio_lock_acquire(lock), turns)) {
        asyncio_lock_release(lock);
        say("%s slept: %s", name, text(asyncio_sleep(0)));
    }
    return 0;
}

SCENARIO(a_lock_goes_from_task_to_task)
{
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    asyncio_lock_acquire(&lock);
    asyncio_task *a = start(takes_lock(&lock, "a", 1)), *b = start(takes_lock(&lock, "b", 3)),
                 *c = start(takes_lock(&lock, "c", 1));
    settle();
    asyncio_task *tick = start(ticker(12));
    asyncio_lock_release(&lock);
    say("released");
    end(a);
    end(b);
    end(c);
    end(tick);
    say("locked %d", asyncio_lock_locked(&lock));
    return 0;
}

SCENARIO(whoever_released_a_lock_comes_last)
{
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    asyncio_lock_acquire(&lock);
    asyncio_task *a = start(takes_lock(&lock, "a", 1)), *b = start(takes_lock(&lock, "b", 1));
    settle();
    asyncio_lock_release(&lock);
    asyncio_lock_acquire(&lock);
    say("main has it");
    asyncio_lock_release(&lock);
    end(a);
    end(b);
    return 0;
}

SCENARIO(a_waiter_of_a_lock_is_cancelled)
{
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    asyncio_lock_acquire(&lock);
    asyncio_task *a = start(takes_lock(&lock, "a", 1)), *b = start(takes_lock(&lock, "b", 1)),
                 *c = start(takes_lock(&lock, "c", 1));
    settle();
    asyncio_cancel(b);
    asyncio_cancel(a);
    asyncio_lock_release(&lock);
    end(a);
    end(b);
    end(c);
    say("locked %d", asyncio_lock_locked(&lock));
    return 0;
}

SCENARIO(a_free_lock_is_not_released)
{
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    say("%s", word(asyncio_lock_release(&lock)));
    say("%s", word(asyncio_lock_acquire(&lock)));
    asyncio_lock_release(&lock);
    say("%s", word(asyncio_lock_release(&lock)));
    return 0;
}

/* ---- Event ---- */

ASYNC(waits, asyncio_event *, event, const char *, name)
{
    say("%s: %s", name, word(asyncio_event_wait(event)));
    return 0;
}

SCENARIO(an_event_lets_all_go)
{
    asyncio_event event = ASYNCIO_EVENT_INIT;
    asyncio_task *a = start(waits(&event, "a")), *b = start(waits(&event, "b"));
    asyncio_task *c = start(waits(&event, "c"));
    settle();
    asyncio_task *tick = start(ticker(3));
    asyncio_cancel(b);
    asyncio_event_set(&event);
    asyncio_event_clear(&event);
    say("set %d", asyncio_event_is_set(&event));
    asyncio_task *late = start(waits(&event, "late"));
    end(a);
    end(b);
    end(c);
    end(tick);
    asyncio_event_set(&event);
    end(late);
    say("%s", word(asyncio_event_wait(&event)));
    return 0;
}

/* ---- Condition ---- */

ASYNC(waits_for_news, asyncio_condition *, condition, const char *, name)
{
    asyncio_condition_acquire(condition);
    int outcome = asyncio_condition_wait(condition);
    say("%s: %s, locked %d", name, word(outcome), asyncio_condition_locked(condition));
    return asyncio_condition_release(condition);
}

SCENARIO(a_condition_wakes_so_many)
{
    asyncio_condition condition = ASYNCIO_CONDITION_INIT(NULL);
    static const char *const names[] = {"a", "b", "c", "d"};
    asyncio_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = start(waits_for_news(&condition, names[i]));
    settle();
    say("locked %d", asyncio_condition_locked(&condition));
    say("%s", word(asyncio_condition_notify(&condition, 1)));
    for (int i = 0; i < 3; i++) {
        int n = (int[]){1, 2, 5}[i];
        asyncio_condition_acquire(&condition);
        asyncio_condition_notify(&condition, (size_t)n);
        say("notified %d", n);
        asyncio_condition_release(&condition);
        settle();
    }
    for (int i = 0; i < 4; i++)
        end(tasks[i]);
    return 0;
}

SCENARIO(a_condition_takes_the_lock_again_when_cancelled)
{
    asyncio_condition condition = ASYNCIO_CONDITION_INIT(NULL);
    asyncio_task *a = start(waits_for_news(&condition, "a"));
    settle();
    asyncio_condition_acquire(&condition);
    asyncio_cancel(a);
    settle();
    asyncio_cancel(a);
    say("cancelled twice");
    settle();
    asyncio_condition_release(&condition);
    asyncio_join(asyncio_ref(a), NULL);
    say("locked %d, cancelling %d", asyncio_condition_locked(&condition), asyncio_task_cancelling(a));
    end(a);
    return 0;
}

SCENARIO(a_notify_of_a_cancelled_task_reaches_another)
{
    asyncio_condition condition = ASYNCIO_CONDITION_INIT(NULL);
    asyncio_task *a = start(waits_for_news(&condition, "a")), *b = start(waits_for_news(&condition, "b"));
    settle();
    asyncio_condition_acquire(&condition);
    asyncio_condition_notify(&condition, 1);
    asyncio_cancel(a);
    settle();
    asyncio_condition_release(&condition);
    end(a);
    end(b);
    return 0;
}

SCENARIO(a_condition_needs_its_lock)
{
    asyncio_condition condition = ASYNCIO_CONDITION_INIT(NULL);
    say("%s", word(asyncio_condition_wait(&condition)));
    say("%s", word(asyncio_condition_notify_all(&condition)));
    return 0;
}

/* ---- Semaphore ---- */

ASYNC(takes, asyncio_semaphore *, semaphore, const char *, name, int, turns)
{
    if (keep(name, asyncio_semaphore_acquire(semaphore), turns)) {
        asyncio_semaphore_release(semaphore);
        say("%s slept: %s", name, text(asyncio_sleep(0)));
    }
    return 0;
}

SCENARIO(a_semaphore_lets_the_first_pass)
{
    asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(0);
    static const char *const names[] = {"a", "b", "c", "d"};
    asyncio_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = start(takes(&semaphore, names[i], 1));
    settle();
    asyncio_cancel(tasks[0]);
    asyncio_cancel(tasks[1]);
    asyncio_semaphore_release(&semaphore);
    for (int i = 0; i < 4; i++)
        end(tasks[i]);
    say("locked %d", asyncio_semaphore_locked(&semaphore));
    return 0;
}

SCENARIO(a_semaphore_counts)
{
    asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(2);
    asyncio_bounded_semaphore bounded = ASYNCIO_BOUNDED_SEMAPHORE_INIT(1);
    asyncio_task *a = start(takes(&semaphore, "a", 2)), *b = start(takes(&semaphore, "b", 4)),
                 *c = start(takes(&semaphore, "c", 1));
    settle();
    end(a);
    end(b);
    end(c);
    asyncio_semaphore_release(&semaphore);
    for (int i = 0; i < 3; i++)
        asyncio_semaphore_acquire(&semaphore);
    say("locked %d", asyncio_semaphore_locked(&semaphore));
    say("%s", word(asyncio_bounded_semaphore_release(&bounded)));
    asyncio_bounded_semaphore_acquire(&bounded);
    say("locked %d", asyncio_bounded_semaphore_locked(&bounded));
    say("%s", word(asyncio_bounded_semaphore_release(&bounded)));
    return 0;
}

/* ---- Barrier ---- */

static void meet(asyncio_barrier *barrier, const char *name)
{
    int outcome = asyncio_barrier_wait(barrier);
    say("%s: %s", name, outcome < 0 ? word(outcome) : text(outcome));
}

ASYNC(meets, asyncio_barrier *, barrier, const char *, name, int, times)
{
    for (int i = 0; i < times; i++)
        meet(barrier, name);
    return 0;
}

SCENARIO(a_barrier_is_reset_and_aborted)
{
    asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(3);
    asyncio_task *a = start(meets(&barrier, "a", 1)), *b = start(meets(&barrier, "b", 1));
    settle();
    say("waiting %d, broken %d, parties %d", asyncio_barrier_n_waiting(&barrier),
        asyncio_barrier_broken(&barrier), asyncio_barrier_parties(&barrier));
    asyncio_barrier_reset(&barrier);
    end(a);
    end(b);
    say("waiting %d, broken %d", asyncio_barrier_n_waiting(&barrier), asyncio_barrier_broken(&barrier));
    asyncio_task *c = start(meets(&barrier, "c", 1));
    settle();
    asyncio_barrier_abort(&barrier);
    end(c);
    meet(&barrier, "late");
    say("broken %d", asyncio_barrier_broken(&barrier));
    asyncio_barrier_reset(&barrier);
    say("broken %d", asyncio_barrier_broken(&barrier));
    asyncio_task *d = start(meets(&barrier, "d", 1)), *e = start(meets(&barrier, "e", 1)),
                 *f = start(meets(&barrier, "f", 1));
    end(d);
    end(e);
    end(f);
    return 0;
}

SCENARIO(a_filler_of_a_barrier_is_cancelled)
{
    asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(2);
    asyncio_task *a = start(meets(&barrier, "a", 1));
    settle();
    asyncio_cancel(a);
    end(a);
    say("waiting %d", asyncio_barrier_n_waiting(&barrier));
    asyncio_task *b = start(meets(&barrier, "b", 1)), *c = start(meets(&barrier, "c", 1));
    end(b);
    end(c);
    return 0;
}

/* ---- Queue ---- */

ASYNC(puts_item, asyncio_queue *, queue, int, item)
{
    say("put %d: %s", item, word(asyncio_queue_put(queue, &item)));
    return 0;
}

ASYNC(takes_item, asyncio_queue *, queue, const char *, name)
{
    int item, err = asyncio_queue_get(queue, &item);
    say("%s: %s", name, text(err ? err : item));
    return 0;
}

static int put_now(asyncio_queue *queue, int item)
{
    return asyncio_queue_put_nowait(queue, &item);
}

/* The item, or an error. */
static int get_now(asyncio_queue *queue)
{
    int item, err = asyncio_queue_get_nowait(queue, &item);
    return err ? err : item;
}

SCENARIO(putters_come_in_as_room_is_made)
{
    asyncio_queue queue;
    asyncio_queue_init(&queue, sizeof(int), 1);
    asyncio_task *a = start(puts_item(&queue, 1)), *b = start(puts_item(&queue, 2)),
                 *c = start(puts_item(&queue, 3));
    settle();
    say("full %d, %s", asyncio_queue_full(&queue), word(put_now(&queue, 9)));
    asyncio_cancel(b);
    settle();
    for (int i = 0; i < 2; i++) {
        say("%s", text(get_now(&queue)));
        settle();
    }
    say("empty %d, %s", asyncio_queue_empty(&queue), word(get_now(&queue)));
    end(a);
    end(b);
    end(c);
    asyncio_queue_destroy(&queue);
    return 0;
}

SCENARIO(a_cancelled_getter_takes_nothing)
{
    asyncio_queue queue;
    asyncio_queue_init(&queue, sizeof(int), 0);
    asyncio_task *a = start(takes_item(&queue, "a")), *b = start(takes_item(&queue, "b"));
    settle();
    asyncio_cancel(a);
    put_now(&queue, 1);
    put_now(&queue, 2);
    end(a);
    end(b);
    say("%s", text(get_now(&queue)));
    asyncio_queue_destroy(&queue);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

SCENARIO(queues_have_their_orders)
{
    asyncio_queue queues[3];
    asyncio_queue_init(&queues[0], sizeof(int), 0);
    asyncio_queue_init_lifo(&queues[1], sizeof(int), 0);
    asyncio_queue_init_priority(&queues[2], sizeof(int), 0, by_value);
    for (int i = 0; i < 3; i++) {
        put_now(&queues[i], 3);
        put_now(&queues[i], 1);
        put_now(&queues[i], 2);
        size_t size = asyncio_queue_size(&queues[i]);
        int first = get_now(&queues[i]), second = get_now(&queues[i]), third = get_now(&queues[i]);
        say("size %zu: %d, %d, %d", size, first, second, third);
        asyncio_queue_destroy(&queues[i]);
    }
    return 0;
}

ASYNC(joins, asyncio_queue *, queue)
{
    say("joined: %s", word(asyncio_queue_join(queue)));
    return 0;
}

SCENARIO(a_join_waits_until_all_is_dealt_with)
{
    asyncio_queue queue;
    asyncio_queue_init(&queue, sizeof(int), 0);
    asyncio_await(joins(&queue));
    say("%s", word(asyncio_queue_task_done(&queue)));
    put_now(&queue, 1);
    put_now(&queue, 2);
    asyncio_task *task = start(joins(&queue));
    settle();
    for (int i = 0; i < 2; i++) {
        get_now(&queue);
        say("done: %s", word(asyncio_queue_task_done(&queue)));
        settle();
    }
    end(task);
    asyncio_queue_destroy(&queue);
    return 0;
}

/* ---- Differences ---- */

SCENARIO(a_lock_that_was_handed_over_is_locked)
{
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    asyncio_lock_acquire(&lock);
    asyncio_task *a = start(takes_lock(&lock, "a", 1));
    settle();
    asyncio_lock_release(&lock);
    say("locked %d", asyncio_lock_locked(&lock));
    end(a);
    return 0;
}

SCENARIO(a_waiter_that_was_given_the_lock_keeps_it)
{
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    asyncio_lock_acquire(&lock);
    asyncio_task *a = start(takes_lock(&lock, "a", 1)), *b = start(takes_lock(&lock, "b", 1));
    settle();
    asyncio_lock_release(&lock);
    asyncio_cancel(a);
    end(a);
    end(b);
    return 0;
}

SCENARIO(a_waiter_that_was_let_through_a_semaphore_has_passed)
{
    asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(0);
    asyncio_task *a = start(takes(&semaphore, "a", 1)), *b = start(takes(&semaphore, "b", 1));
    settle();
    asyncio_semaphore_release(&semaphore);
    asyncio_cancel(a);
    end(a);
    end(b);
    return 0;
}

SCENARIO(a_waiter_of_a_condition_that_has_the_lock_was_notified)
{
    asyncio_condition condition = ASYNCIO_CONDITION_INIT(NULL);
    asyncio_task *a = start(waits_for_news(&condition, "a")), *b = start(waits_for_news(&condition, "b"));
    settle();
    asyncio_condition_acquire(&condition);
    asyncio_condition_notify(&condition, 1);
    asyncio_condition_release(&condition);
    asyncio_cancel(a);
    settle();
    say("second notify");
    asyncio_condition_acquire(&condition);
    asyncio_condition_notify(&condition, 1);
    asyncio_condition_release(&condition);
    end(a);
    end(b);
    return 0;
}

SCENARIO(a_getter_that_was_handed_an_item_keeps_it)
{
    asyncio_queue queue;
    asyncio_queue_init(&queue, sizeof(int), 0);
    asyncio_task *a = start(takes_item(&queue, "a")), *b = start(takes_item(&queue, "b"));
    settle();
    put_now(&queue, 1);
    asyncio_cancel(a);
    put_now(&queue, 2);
    end(a);
    end(b);
    asyncio_queue_destroy(&queue);
    return 0;
}

SCENARIO(an_item_for_a_waiting_task_is_not_in_the_queue)
{
    asyncio_queue queue;
    asyncio_queue_init(&queue, sizeof(int), 0);
    asyncio_task *a = start(takes_item(&queue, "a"));
    settle();
    put_now(&queue, 1);
    say("size %zu", asyncio_queue_size(&queue));
    end(a);
    asyncio_queue_destroy(&queue);
    return 0;
}

SCENARIO(a_putter_that_was_let_in_has_put)
{
    asyncio_queue queue;
    asyncio_queue_init(&queue, sizeof(int), 1);
    put_now(&queue, 1);
    asyncio_task *b = start(puts_item(&queue, 2));
    settle();
    get_now(&queue);
    asyncio_cancel(b);
    say("%s", word(get_now(&queue)));
    end(b);
    say("full %d", asyncio_queue_full(&queue));
    asyncio_queue_destroy(&queue);
    return 0;
}

SCENARIO(a_getter_of_a_priority_queue_gets_the_first_item_put)
{
    asyncio_queue queue;
    asyncio_queue_init_priority(&queue, sizeof(int), 0, by_value);
    asyncio_task *a = start(takes_item(&queue, "a"));
    settle();
    put_now(&queue, 5);
    put_now(&queue, 1);
    end(a);
    say("%s", text(get_now(&queue)));
    asyncio_queue_destroy(&queue);
    return 0;
}

static int by_tens(const void *a, const void *b)
{
    return *(const int *)a / 10 - *(const int *)b / 10;
}

SCENARIO(equal_priorities_leave_as_they_came)
{
    static const int items[] = {25, 11, 12, 13, 14};
    int out[5];
    asyncio_queue queue;
    asyncio_queue_init_priority(&queue, sizeof(int), 0, by_tens);
    for (int i = 0; i < 5; i++)
        put_now(&queue, items[i]);
    for (int i = 0; i < 5; i++)
        out[i] = get_now(&queue);
    say("%d, %d, %d, %d, %d", out[0], out[1], out[2], out[3], out[4]);
    asyncio_queue_destroy(&queue);
    return 0;
}

SCENARIO(who_was_kept_out_of_a_barrier_comes_next)
{
    asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(3);
    asyncio_task *a = start(meets(&barrier, "a", 3)), *b = start(meets(&barrier, "b", 3)),
                 *c = start(meets(&barrier, "c", 3));
    settle();
    end(a);
    end(b);
    end(c);
    return 0;
}

SCENARIO(numbers_at_a_barrier_are_unique_though_one_left)
{
    asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(3);
    asyncio_task *a = start(meets(&barrier, "a", 1)), *b = start(meets(&barrier, "b", 1));
    settle();
    asyncio_cancel(a);
    settle();
    asyncio_task *c = start(meets(&barrier, "c", 1));
    settle();
    int outcome = asyncio_barrier_wait(&barrier);
    end(a);
    end(b);
    end(c);
    say("d: %s", text(outcome));
    return 0;
}
