/*
 * The loops of one asyncio_run_loops: finding one, choosing one, stopping all. See loops.h; run/loops.c runs
 * them.
 */
#include "threads/loops.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "base/random.h"
#include "core/loop.h"
#include "core/task.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <sched.h>

/* ---- Places ----------------------------------------------------------------------------- */

static void stop_main(struct callback *callback)
{
    struct loop_place *place = LIST_ENTRY(callback, struct loop_place, stop);
    atomic_store(&place->is_stopped, false);
    asyncio_cancel(place->loop->main);
}

/* The loop closes; it has no main any more. */
static void drop_stop(struct callback *callback)
{
    struct loop_place *place = LIST_ENTRY(callback, struct loop_place, stop);
    atomic_store(&place->is_stopped, false);
}

static const struct callback_kind stop_kind = {stop_main, drop_stop};

static size_t loops_bytes(int count)
{
    return sizeof(asyncio_loops) + (size_t)count * sizeof(struct loop_place);
}

asyncio_loops *asy_loops_new(int count)
{
    asyncio_loops *loops = asy_sys_alloc_aligned(_Alignof(asyncio_loops), loops_bytes(count));
    if (!loops)
        return NULL;
    loops->count = count;
    atomic_init(&loops->stoppers, 0);
    for (int i = 0; i < count; i++) {
        struct loop_place *place = &loops->places[i];
        *place = (struct loop_place){.loops = loops, .stop.kind = &stop_kind};
    }
    return loops;
}

void asy_loops_put(asyncio_loops *loops, int index, asyncio_loop *loop)
{
    ASY_ASSERT(index >= 0 && index < loops->count && !loops->places[index].loop);
    loops->places[index].loop = asyncio_loop_ref(loop);
    loop->place = &loops->places[index];
    loop->index = index;
}

void asy_loops_free(asyncio_loops *loops)
{
    if (!loops)
        return;
    while (atomic_load(&loops->stoppers))
        sched_yield();
    for (int i = 0; i < loops->count; i++) {
        asyncio_loop *loop = loops->places[i].loop;
        if (loop) /* tasks and futures may keep its struct */
            loop->place = NULL;
        asyncio_loop_release(loop);
    }
    asy_sys_free(loops);
}

/* ---- Finding one ------------------------------------------------------------------------- */

int asyncio_loops_count(const asyncio_loops *loops)
{
    return loops ? loops->count : 0;
}

int asyncio_loops_index(void)
{
    return asy_running_loop ? asy_running_loop->index : -1;
}

asyncio_loop *asyncio_loops_get(asyncio_loops *loops, int index)
{
    return loops && index >= 0 && index < loops->count ? loops->places[index].loop : NULL;
}

static bool is_loop_open(asyncio_loop *loop)
{
    return !atomic_load_explicit(&loop->load.is_ending, memory_order_relaxed);
}

static uint32_t load_of(asyncio_loop *loop)
{
    return atomic_load_explicit(&loop->load.clients, memory_order_relaxed) +
           atomic_load_explicit(&loop->load.calls, memory_order_relaxed);
}

/* As many lines of other threads one choice looks at. */
#define LOOKS_MAX 64

asyncio_loop *asy_loops_least_busy(asyncio_loops *loops, unsigned start)
{
    asyncio_loop *least = NULL;
    uint32_t least_load = 0;
    unsigned count = (unsigned)loops->count;
    for (unsigned i = 0; i < count && i < LOOKS_MAX; i++) {
        asyncio_loop *loop = loops->places[(start + i) % count].loop;
        if (!is_loop_open(loop))
            continue;
        uint32_t load = load_of(loop);
        if (least && load >= least_load)
            continue;
        least = loop;
        least_load = load;
    }
    return least;
}

asyncio_loop *asy_loops_next_open(asyncio_loops *loops, unsigned start)
{
    unsigned count = (unsigned)loops->count;
    for (unsigned i = 0; i < count; i++) {
        asyncio_loop *loop = loops->places[(start + i) % count].loop;
        if (is_loop_open(loop))
            return loop;
    }
    return NULL;
}

/* Each thread draws for itself. */
static unsigned draw_below(unsigned bound)
{
    static THREAD_LOCAL struct random random;
    static THREAD_LOCAL bool is_seeded;
    if (!is_seeded)
        asy_random_seed(&random, asy_sys_random());
    is_seeded = true;
    return (unsigned)asy_random_below(&random, bound);
}

asyncio_loop *asyncio_loops_idlest(asyncio_loops *loops)
{
    if (!loops)
        return NULL;
    unsigned count = (unsigned)loops->count;
    unsigned first = draw_below(count), second = count > 1 ? draw_below(count - 1) : first;
    second += count > 1 && second >= first;
    asyncio_loop *one = asy_loops_next_open(loops, first), *other = asy_loops_next_open(loops, second);
    if (!one || !other) /* the last of all has ended, perhaps between the two looks */
        return loops->places[first].loop;
    return load_of(other) < load_of(one) ? other : one;
}

/* ---- Stopping all -------------------------------------------------------------------------- */

/* Also in signal handlers: takes no lock and no memory. */
static void stop_place(struct loop_place *place)
{
    if (!atomic_exchange(&place->is_stopped, true) && asy_post(place->loop, &place->stop))
        drop_stop(&place->stop);
}

int asyncio_loops_stop(asyncio_loops *loops)
{
    if (!loops)
        return -EINVAL;
    atomic_fetch_add(&loops->stoppers, 1);
    for (int i = 0; i < loops->count; i++)
        stop_place(&loops->places[i]);
    atomic_fetch_sub(&loops->stoppers, 1);
    return 0;
}

/* ---- On all of them ------------------------------------------------------------------------- */

/* What runs on each loop. */
struct share {
    asyncio_loop_main make;
    asyncio_loops *loops;
    void *arg;
    int index;
};

static intptr_t run_share(void *args)
{
    const struct share *share = args;
    asyncio_coro *coro = share->make(share->index, share->loops, share->arg);
    if (!coro)
        return asyncio_raise(-ENOMEM, "asyncio_gather_on_all: make gave no coroutine for loop %d",
                             share->index);
    return asyncio_await_coro(coro);
}

static const asyncio_coro_type share_type = {
    .site = {__FILE__, "asyncio_gather_on_all", __LINE__},
    .start = run_share,
    .args_size = sizeof(struct share),
};

static asyncio_awaitable *submit_share(asyncio_loop *loop, struct share share, const asyncio_site *site)
{
    void *place;
    asyncio_coro *coro = asyncio_coro_alloc(&share_type, &place);
    if (!coro)
        return NULL;
    *(struct share *)place = share;
    return asyncio_as_awaitable_future(asyncio_submit_to_at(loop, coro, site));
}

int asyncio_gather_on_all_at(asyncio_loops *loops, asyncio_loop_main make, void *arg, intptr_t *results,
                             const asyncio_site *site)
{
    if (!loops || !make)
        return -EINVAL;
    if (!asy_current_task())
        return ASYNCIO_ENOTASK;
    size_t count = (size_t)loops->count;
    asyncio_awaitable **calls = asy_sys_alloc(count * sizeof(asyncio_awaitable *));
    if (!calls)
        return -ENOMEM;
    for (int i = 0; i < loops->count; i++)
        calls[i] = submit_share(loops->places[i].loop, (struct share){make, loops, arg, i}, site);
    int err = asyncio_gather_at(results, calls, count, /* settled */ false, site);
    asy_sys_free(calls);
    return err;
}

int(asyncio_gather_on_all)(asyncio_loops *loops, asyncio_loop_main make, void *arg, intptr_t *results)
{
    return asyncio_gather_on_all_at(loops, make, arg, results, NULL);
}
