/*
 * Tasks: coroutines that run beside each other, on one thread, each until it waits. Also sleep, which waits
 * for time, and gather, which waits for several tasks.
 */
#ifndef ASYNCIO_TASKS_H
#define ASYNCIO_TASKS_H

#include <asyncio/coroutines.h>
#include <asyncio/futures.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* Options of a new task: all zero means the defaults. */
typedef struct asyncio_task_options {
    const char *name;         /* copied; NULL: "Task-<n>" */
    size_t stack_size;        /* bytes; 0: the loop's */
    asyncio_context *context; /* it runs in this very one; NULL: in a copy of the creator's */
    int eager_start;          /* 1: runs to its first wait inside the call; -1: not; 0: the loop's option */
    uintptr_t reserved[4];
} asyncio_task_options;

/*
 * Schedules a coroutine as a task of the running loop and returns the task, with one reference for the
 * caller; the loop keeps its own until the task ends. The task starts when the caller waits, after the
 * tasks that are ready now. Takes over the coroutine on every path. Does not wait. (create_task)
 *
 * NULL: out of memory, or coro was NULL. Without a running loop, or with options that cannot be met, the
 * returned task has ended, and its result says why: ASYNCIO_ESTATE, -EINVAL, -ENOMEM.
 *
 * An eager task (eager_start; for all tasks of a loop asyncio_run_options.eager) does not wait for its
 * turn: it runs inside the call, on a stack and in a context of its own, until it waits or ends. One that
 * ends there is done when the call returns. Meanwhile it is the current task. Its creator is not suspended,
 * so requests to cancel it stay pending, and a task that waits for it just suspends. The call is thus one of
 * code that may do anything: release what nothing else holds, cancel the creator, end its group. Queued all
 * the same are the main task, tasks made while the loop does not run, those of coroutines that other threads
 * submit, those that serve a server's clients, and the 65th of eager starts within each other.
 */
ASYNCIO_API asyncio_task *asyncio_create_task(asyncio_coro *coro);
ASYNCIO_API asyncio_task *asyncio_create_task_with(asyncio_coro *coro, const asyncio_task_options *options);
/* Makes a task, as asyncio_create_task, on a given loop of this thread, in a callback or before the loop
 * runs. On a closed loop the task has ended with ASYNCIO_ESTATE. */
ASYNCIO_API asyncio_task *asyncio_loop_create_task(asyncio_loop *loop, asyncio_coro *coro);
ASYNCIO_API asyncio_task *asyncio_create_task_at(asyncio_coro *coro, const asyncio_site *site);
ASYNCIO_API asyncio_task *asyncio_create_task_with_at(asyncio_coro *coro, const asyncio_task_options *options,
                                                      const asyncio_site *site);
ASYNCIO_API asyncio_task *asyncio_loop_create_task_at(asyncio_loop *loop, asyncio_coro *coro,
                                                      const asyncio_site *site);
#define asyncio_create_task(coro) asyncio_create_task_at((coro), ASYNCIO_HERE)
#define asyncio_create_task_with(coro, ...) asyncio_create_task_with_at((coro), __VA_ARGS__, ASYNCIO_HERE)
#define asyncio_loop_create_task(loop, coro) asyncio_loop_create_task_at((loop), (coro), ASYNCIO_HERE)

/* Returns the task that runs, borrowed; NULL in a callback or a plain thread. (current_task) */
ASYNCIO_API asyncio_task *asyncio_current_task(void);

/* Stores up to `capacity` of the running loop's tasks that have not ended, in the order in which they were
 * made, and returns how many there are. They are borrowed until the next wait. (all_tasks) */
ASYNCIO_API size_t asyncio_all_tasks(asyncio_task **out, size_t capacity);

/* Takes back one request to cancel a task and returns how many remain. At 0 a request that is not delivered
 * yet is dropped. 0 for NULL and for an ended task. (uncancel) */
ASYNCIO_API int asyncio_task_uncancel(asyncio_task *task);
/* Returns how many requests to cancel a task were made and not taken back. If several tasks that await it
 * pass on a request in one step of the loop, these count once. (cancelling) */
ASYNCIO_API int asyncio_task_cancelling(asyncio_task *task);

/* Returns a task's name, borrowed until the task is renamed or ends. Never NULL. (get_name) */
ASYNCIO_API const char *asyncio_task_name(asyncio_task *task);
/* Sets a task's name, which is copied. 0, -ENOMEM, -EINVAL for NULL. (set_name) */
ASYNCIO_API int asyncio_task_set_name(asyncio_task *task, const char *name);

/*
 * Waits for at least so many seconds of the loop's clock. 0 or less yields once, without a timer;
 * ASYNCIO_FOREVER waits until cancelled. Always suspends. 0, -ECANCELED, -EINVAL for NaN, -ENOMEM,
 * ASYNCIO_ENOTASK. (sleep)
 */
ASYNCIO_API int asyncio_sleep(double seconds);
/* Waits, as asyncio_sleep, until asyncio_time() reads `when`. */
ASYNCIO_API int asyncio_sleep_until(double when);

/* The policy of a ticker for ticks that its caller is late for. */
typedef enum asyncio_tick {
    ASYNCIO_TICK_BURST, /* each comes, without a pause, until it has caught up: their number is right */
    ASYNCIO_TICK_DELAY, /* the next comes a whole period after the late one: the time between them is right */
    ASYNCIO_TICK_SKIP   /* those that were missed are left out, and the next comes when it would have */
} asyncio_tick;

/* A ticker, in the caller's storage. All fields are private. */
typedef struct asyncio_ticker {
    int64_t base_ns_, number_;
    double period_ns_;
    asyncio_tick policy_;
} asyncio_ticker;

/* Initialises a ticker, whose first tick comes one period (in seconds of the loop's clock) later. It needs
 * no destructor. Does not wait. 0; -EINVAL for NULL, for a period of NaN, 0 or less or ASYNCIO_FOREVER, and
 * for a policy that does not exist. */
ASYNCIO_API int asyncio_ticker_init(asyncio_ticker *ticker, double period, asyncio_tick policy);
/*
 * Waits for a ticker's next tick. Always suspends: one that is due already comes after giving way once. Ticks
 * do not drift, however long the caller's work between them takes: unless it was late and the policy is
 * ASYNCIO_TICK_DELAY, the n-th tick is due n periods after asyncio_ticker_init.
 *
 * Returns how many ticks were left out after this one: 0 unless the policy is ASYNCIO_TICK_SKIP. -ECANCELED,
 * and the tick is still to come; -EINVAL for NULL; -ENOMEM; ASYNCIO_ENOTASK.
 */
ASYNCIO_API int64_t asyncio_ticker_next(asyncio_ticker *ticker);

/* Reads the running loop's clock, in seconds; in a thread without a loop the system's monotonic clock. Does
 * not wait. */
ASYNCIO_API double asyncio_time(void);

/*
 * asyncio_gather(results, awaitable, ...): runs 1 to 16 awaitables beside each other and waits until all
 * have ended. Coroutines become tasks, in argument order. Suspends. (gather)
 *
 * `results` gets each outcome in its place, whatever the call returns; it may be NULL. After the first
 * error the others are cancelled, and the call returns that error when all have ended; else 0. A request to
 * cancel the caller goes to all of them; the call returns -ECANCELED once all have ended. Takes over the
 * reference of each argument. NULL is a child that failed with -ENOMEM.
 *
 * The same coroutine twice, the calling task, or another loop's future is refused with -EINVAL; without
 * memory the call is refused with -ENOMEM. A refused call starts nothing and leaves nothing running: it
 * closes the coroutines, whose result is that error, and cancels the tasks and futures and waits for them.
 * Outside a task the call is refused with ASYNCIO_ENOTASK, and nobody waits.
 *
 * asyncio_gather_settled is the same with return_exceptions=True: it waits for all, leaves each error in
 * its place, and returns 0.
 *
 * The _array calls take n tasks or n futures; n == 0 returns 0.
 */
ASYNCIO_API int asyncio_gather_at(intptr_t results[], asyncio_awaitable *const *awaitables, size_t n,
                                  bool settled, const asyncio_site *site);

ASYNCIO_END_DECLS

#define asyncio_gather_array(results, futures, n)                                                 \
    asyncio_gather_at((results), ASYNCIO_AS_AWAITABLES_(futures), (n), false, ASYNCIO_HERE)
#define asyncio_gather_settled_array(results, futures, n)                                         \
    asyncio_gather_at((results), ASYNCIO_AS_AWAITABLES_(futures), (n), true, ASYNCIO_HERE)

#define ASYNCIO_AS_AWAITABLES_(futures)                                                           \
    ASYNCIO_FROM_VOID_(asyncio_awaitable *const *, ASYNCIO_FROM_VOID_(void *, ASYNCIO_AS_FUTURES(futures)))

#ifndef __cplusplus
#define asyncio_gather(results, ...)                                                              \
    asyncio_gather_at((results), (asyncio_awaitable *[]){ASYNCIO_EACH_(__VA_ARGS__)},             \
                      ASYNCIO_COUNT_(__VA_ARGS__), false, ASYNCIO_HERE)
#define asyncio_gather_settled(results, ...)                                                      \
    asyncio_gather_at((results), (asyncio_awaitable *[]){ASYNCIO_EACH_(__VA_ARGS__)},             \
                      ASYNCIO_COUNT_(__VA_ARGS__), true, ASYNCIO_HERE)

/* 17 stands for all that is too many. */
#define ASYNCIO_COUNT_(...)                                                                       \
    ASYNCIO_PICK_(~, __VA_ARGS__, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, 17, \
                  16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, ~)
#define ASYNCIO_EACH_(...)                                                                        \
    ASYNCIO_EXPAND_(ASYNCIO_JOIN_(ASYNCIO_EACH_, ASYNCIO_COUNT_(__VA_ARGS__))(__VA_ARGS__))
#define ASYNCIO_EACH_1(x) ASYNCIO_AS_AWAITABLE(x)
#define ASYNCIO_EACH_2(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_1(__VA_ARGS__)
#define ASYNCIO_EACH_3(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_2(__VA_ARGS__)
#define ASYNCIO_EACH_4(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_3(__VA_ARGS__)
#define ASYNCIO_EACH_5(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_4(__VA_ARGS__)
#define ASYNCIO_EACH_6(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_5(__VA_ARGS__)
#define ASYNCIO_EACH_7(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_6(__VA_ARGS__)
#define ASYNCIO_EACH_8(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_7(__VA_ARGS__)
#define ASYNCIO_EACH_9(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_8(__VA_ARGS__)
#define ASYNCIO_EACH_10(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_9(__VA_ARGS__)
#define ASYNCIO_EACH_11(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_10(__VA_ARGS__)
#define ASYNCIO_EACH_12(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_11(__VA_ARGS__)
#define ASYNCIO_EACH_13(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_12(__VA_ARGS__)
#define ASYNCIO_EACH_14(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_13(__VA_ARGS__)
#define ASYNCIO_EACH_15(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_14(__VA_ARGS__)
#define ASYNCIO_EACH_16(x, ...) ASYNCIO_AS_AWAITABLE(x), ASYNCIO_EACH_15(__VA_ARGS__)
#define ASYNCIO_EACH_17(...)                                                                      \
    (asyncio_awaitable *)sizeof(struct {                                                          \
        ASYNCIO_STATIC_ASSERT_(0, "gather takes 1 to 16 awaitables; gather_array takes any number"); \
        int asyncio_none_;                                                                        \
    })
#else
template <typename... Awaitables>
static inline int asyncio_gather_all_(const asyncio_site *site, bool settled, intptr_t *results,
                                      Awaitables... x)
{
    static_assert(sizeof...(x) >= 1 && sizeof...(x) <= 16,
                  "gather takes 1 to 16 awaitables; gather_array takes any number");
    asyncio_awaitable *awaitables[] = {ASYNCIO_AS_AWAITABLE(x)...};
    return asyncio_gather_at(results, awaitables, sizeof...(x), settled, site);
}
#define asyncio_gather(...) asyncio_gather_all_(ASYNCIO_HERE, false, __VA_ARGS__)
#define asyncio_gather_settled(...) asyncio_gather_all_(ASYNCIO_HERE, true, __VA_ARGS__)
#endif

#endif
