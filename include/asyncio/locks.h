/*
 * Locks, events, conditions, semaphores and barriers, for the tasks of a loop.
 *
 *     static asyncio_lock lock = ASYNCIO_LOCK_INIT;
 *
 *     int err = asyncio_lock_acquire(&lock);
 *     if (err)
 *         return err;
 *     ...
 *     asyncio_lock_release(&lock);
 *
 * Each is a plain struct, made by its initialiser macro or by its _init. None allocates, and none needs a
 * destructor. It must stay where it is while tasks wait.
 *
 * Waiting is first come, first served. A release hands the lock over at once, and the task keeps what it
 * was given: a request to cancel that comes later stays pending for the task's next wait. A call that need
 * not wait does not wait. After many such calls in a row the task gives way once, before the operation;
 * that is a wait like any other.
 *
 * The first use in a task binds an object to that task's loop. From then on a call from another thread
 * aborts with a message. Another loop may use the object when nobody waits on it and a lock is free,
 * provided that the first loop is closed or belongs to the same thread. So a static object serves one
 * asyncio_run after the other.
 *
 * Calls that return int return -EINVAL for NULL. Calls that suspend also return -ECANCELED when cancelled,
 * ASYNCIO_ENOTASK outside a task, and ASYNCIO_ESTATE while another loop uses the object. All other calls do
 * not wait, and may be made in callbacks and where no loop runs. Predicates of NULL are false, numbers of
 * NULL are 0.
 */
#ifndef ASYNCIO_LOCKS_H
#define ASYNCIO_LOCKS_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* A queue of waiting tasks; all zero is empty. Fields that end in _ are private, here and below.
 * (may_alias: the library has a type of its own for this.) */
typedef struct asyncio_waiters {
    struct asyncio_waiters *next_, *prev_;
} __attribute__((may_alias)) asyncio_waiters;

/* ---- Lock --------------------------------------------------------------------- */

/* A lock: one task at a time. (Lock) */
typedef struct asyncio_lock {
    uint64_t loop_;  /* the number of the loop that it is bound to; 0: none */
    uint64_t owner_; /* the number of the task that holds it; 0: free */
    asyncio_waiters waiters_;
} asyncio_lock;

#define ASYNCIO_LOCK_INIT {0, 0, {NULL, NULL}}

/* Makes a free lock. The lock must not be in use. Does nothing for NULL. */
ASYNCIO_API void asyncio_lock_init(asyncio_lock *lock);

/*
 * Takes the lock. Suspends while a task holds it, the calling one included: a lock is not reentrant. 0.
 * After an error, -ECANCELED included, the caller does not hold the lock. (Lock.acquire, which returns
 * True)
 */
ASYNCIO_API int asyncio_lock_acquire(asyncio_lock *lock);

/* Hands the lock to the task that has waited longest, or frees it. Any task or callback may release it. 0;
 * ASYNCIO_ESTATE if it is free. (Lock.release, RuntimeError) */
ASYNCIO_API int asyncio_lock_release(asyncio_lock *lock);

/* Tells whether a task holds the lock. A task that was handed the lock holds it, though it has not run yet.
 * (Lock.locked) */
ASYNCIO_API bool asyncio_lock_locked(const asyncio_lock *lock);

/* ---- Event -------------------------------------------------------------------- */

/* A flag that tasks wait for. (Event) */
typedef struct asyncio_event {
    uint64_t loop_;
    asyncio_waiters waiters_;
    bool set_;
} asyncio_event;

#define ASYNCIO_EVENT_INIT {0, {NULL, NULL}, false}

/* Makes an event that is not set. The event must not be in use. Does nothing for NULL. */
ASYNCIO_API void asyncio_event_init(asyncio_event *event);

/* Waits until the event is set. Suspends unless it is. 0. (Event.wait, which returns True) */
ASYNCIO_API int asyncio_event_wait(asyncio_event *event);

/* Sets the event. All tasks that wait go on, in the order in which they came, even if the event is cleared
 * right after. 0, also when it is set already. (Event.set) */
ASYNCIO_API int asyncio_event_set(asyncio_event *event);

/* Clears the event: from now on tasks wait. 0. (Event.clear) */
ASYNCIO_API int asyncio_event_clear(asyncio_event *event);

/* Tells whether the event is set. (Event.is_set) */
ASYNCIO_API bool asyncio_event_is_set(const asyncio_event *event);

/* ---- Condition ---------------------------------------------------------------- */

/*
 * A condition variable: a lock, and tasks that wait for news of what it protects. The lock is the caller's,
 * and several conditions may share it; with NULL the condition has its own. (Condition)
 *
 *     asyncio_condition_acquire(&condition);
 *     while (!ready)
 *         if ((err = asyncio_condition_wait(&condition)) < 0)
 *             break;
 *     asyncio_condition_release(&condition);
 */
typedef struct asyncio_condition {
    uint64_t loop_;
    asyncio_waiters waiters_;
    asyncio_lock *lock_; /* the caller's; NULL: own_ */
    asyncio_lock own_;
} asyncio_condition;

#define ASYNCIO_CONDITION_INIT(lock) {0, {NULL, NULL}, (lock), ASYNCIO_LOCK_INIT}

/* Makes a condition on `lock`, which must outlive it; with NULL on a lock of its own. The condition must
 * not be in use. Does nothing if the condition is NULL. */
ASYNCIO_API void asyncio_condition_init(asyncio_condition *condition, asyncio_lock *lock);

/* Acquire (suspends), release and look at the condition's lock. (Condition.acquire, release, locked) */
ASYNCIO_API int asyncio_condition_acquire(asyncio_condition *condition);
ASYNCIO_API int asyncio_condition_release(asyncio_condition *condition);
ASYNCIO_API bool asyncio_condition_locked(const asyncio_condition *condition);

/*
 * Releases the lock, waits for a notify, and takes the lock again. Suspends. The caller must hold the lock.
 * It holds the lock again when this returns 0 or -ECANCELED, however often it was cancelled meanwhile. A
 * task that is cancelled after it was notified, and before it has the lock, passes the notify on. There are
 * no spurious returns. ASYNCIO_ESTATE if nobody holds the lock. (Condition.wait, which returns True;
 * RuntimeError)
 */
ASYNCIO_API int asyncio_condition_wait(asyncio_condition *condition);

/* Waits, as asyncio_condition_wait, until predicate(arg) is true. The predicate is called with the lock
 * held, for the first time at once. Suspends unless it is true then. 0; -EINVAL without a predicate.
 * (Condition.wait_for) */
ASYNCIO_API int asyncio_condition_wait_for(asyncio_condition *condition, bool (*predicate)(void *arg),
                                           void *arg);

/* Wakes up to n tasks, those that have waited longest. Each goes on when it has the lock, which the caller
 * holds and must release. 0; ASYNCIO_ESTATE if nobody holds the lock. (Condition.notify, notify_all;
 * RuntimeError) */
ASYNCIO_API int asyncio_condition_notify(asyncio_condition *condition, size_t n);
ASYNCIO_API int asyncio_condition_notify_all(asyncio_condition *condition);

/* ---- Semaphores ----------------------------------------------------------------- */

/* A semaphore: so many tasks at a time. (Semaphore) */
typedef struct asyncio_semaphore {
    uint64_t loop_;
    asyncio_waiters waiters_;
    int value_; /* how many may pass; above 0 nobody waits */
} asyncio_semaphore;

/* A semaphore that cannot be released more often than it was acquired. (BoundedSemaphore) */
typedef struct asyncio_bounded_semaphore {
    asyncio_semaphore semaphore_;
    int bound_;
} asyncio_bounded_semaphore;

#define ASYNCIO_SEMAPHORE_INIT(value) {0, {NULL, NULL}, (value)}
#define ASYNCIO_BOUNDED_SEMAPHORE_INIT(value) {ASYNCIO_SEMAPHORE_INIT(value), (value)}

/* Makes a semaphore that lets `value` tasks pass. The semaphore must not be in use. Does nothing for NULL.
 * A value below 0 makes a semaphore whose acquire and release return -EINVAL. (Semaphore(value),
 * ValueError) */
ASYNCIO_API void asyncio_semaphore_init(asyncio_semaphore *semaphore, int value);
ASYNCIO_API void asyncio_bounded_semaphore_init(asyncio_bounded_semaphore *semaphore, int value);

/* Takes one from the semaphore's value. Suspends while the value is 0. 0. After an error, -ECANCELED
 * included, nothing was taken. (acquire, which returns True) */
ASYNCIO_API int asyncio_semaphore_acquire(asyncio_semaphore *semaphore);
ASYNCIO_API int asyncio_bounded_semaphore_acquire(asyncio_bounded_semaphore *semaphore);

/* Lets the task that has waited longest pass, or adds one to the value. 0; -EOVERFLOW at INT_MAX;
 * ASYNCIO_ESTATE if nothing was taken from a bounded semaphore. (release, ValueError) */
ASYNCIO_API int asyncio_semaphore_release(asyncio_semaphore *semaphore);
ASYNCIO_API int asyncio_bounded_semaphore_release(asyncio_bounded_semaphore *semaphore);

/* Tells whether acquire would have to wait for the semaphore. (locked) */
ASYNCIO_API bool asyncio_semaphore_locked(const asyncio_semaphore *semaphore);
ASYNCIO_API bool asyncio_bounded_semaphore_locked(const asyncio_bounded_semaphore *semaphore);

/* ---- Barrier ---------------------------------------------------------------------- */

/*
 * A point where tasks meet: all go on when a number of parties have come. A barrier can be used again and
 * again. It fills; then it drains, until each task that met there has gone on. Tasks that come meanwhile
 * wait for that. (Barrier)
 */
typedef struct asyncio_barrier {
    uint64_t loop_;
    asyncio_waiters inside_;  /* tasks that wait for the others; then, those that have yet to leave */
    asyncio_waiters blocked_; /* tasks that came while it drained or was reset */
    int parties_, count_;     /* count: of those inside */
    int state_;
} asyncio_barrier;

#define ASYNCIO_BARRIER_INIT(parties) {0, {NULL, NULL}, {NULL, NULL}, (parties), 0, 0}

/* Makes a barrier for so many parties. The barrier must not be in use. Does nothing for NULL. Fewer parties
 * than 1 make a barrier whose wait returns -EINVAL. It must stay until all waits have returned.
 * (Barrier(parties), ValueError) */
ASYNCIO_API void asyncio_barrier_init(asyncio_barrier *barrier, int parties);

/*
 * Waits until all parties are here. Suspends, except in the task that comes last. Returns to each task a
 * number of its own from 0 to parties - 1, in the order in which they came. A task that is cancelled before
 * all are here leaves as if it had not come. ASYNCIO_EBROKEN if the barrier is broken, or was reset or
 * aborted meanwhile. (Barrier.wait)
 */
ASYNCIO_API int asyncio_barrier_wait(asyncio_barrier *barrier);

/* Empties the barrier, and mends a broken one. All tasks in it get ASYNCIO_EBROKEN, also those that have
 * yet to go on. 0. (Barrier.reset) */
ASYNCIO_API int asyncio_barrier_reset(asyncio_barrier *barrier);

/* Breaks the barrier. All tasks that wait, and all that come until it is reset, get ASYNCIO_EBROKEN. 0.
 * (Barrier.abort) */
ASYNCIO_API int asyncio_barrier_abort(asyncio_barrier *barrier);

/* Returns how many tasks have to come. (parties) */
ASYNCIO_API int asyncio_barrier_parties(const asyncio_barrier *barrier);
/* Returns how many tasks have come; 0 unless the barrier is filling. (n_waiting) */
ASYNCIO_API int asyncio_barrier_n_waiting(const asyncio_barrier *barrier);
/* Tells whether the barrier is broken, by an abort. (broken) */
ASYNCIO_API bool asyncio_barrier_broken(const asyncio_barrier *barrier);

ASYNCIO_END_DECLS

#endif
