/*
 * The calls that are in the C library's resolver. See resolver.h.
 */
#include "net/resolver.h"
#include "base/assert.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Tests write it while forks read it. Nothing is ordered by it. */
_Atomic int64_t asy_resolver_fork_wait_ns = INT64_C(100000000);

/* A call takes the entrance before the list's lock, and holds both only while it joins the list. A fork
 * holds the entrance until it is over, so that no call begins, and waits without the list's lock, so that
 * calls can leave. */
static pthread_mutex_t entrance = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list under_way = {&under_way, &under_way}; /* the latest last */
static bool does_fork_wait;                              /* under list_lock */

/* A futex. It changes, and is read before the sleep, under list_lock, so a wake-up between the two is not
 * lost. */
static _Atomic uint32_t departures;

/* How long a fork still waits: until the latest call has left, or has been under way for long enough. */
static int64_t measure_fork_wait(void)
{
    if (list_is_empty(&under_way))
        return 0;
    const struct resolving *latest = LIST_ENTRY(under_way.prev, struct resolving, node);
    return latest->begun_ns + atomic_load(&asy_resolver_fork_wait_ns) - asy_sys_now_ns();
}

static void wait_for_resolvers(void)
{
    pthread_mutex_lock(&entrance);
    pthread_mutex_lock(&list_lock);
    for (int64_t wait_ns; (wait_ns = measure_fork_wait()) > 0;) {
        uint32_t seen = atomic_load(&departures);
        does_fork_wait = true;
        pthread_mutex_unlock(&list_lock);
        asy_sys_futex_wait(&departures, seen, wait_ns);
        pthread_mutex_lock(&list_lock);
    }
    does_fork_wait = false;
}

static void let_resolvers_in(void)
{
    pthread_mutex_unlock(&list_lock);
    pthread_mutex_unlock(&entrance);
}

/* The calls under way are the parent's. */
static void forget_resolvers(void)
{
    list_init(&under_way);
    let_resolvers_in();
}

static void watch_resolver_forks(void)
{
    pthread_atfork(wait_for_resolvers, let_resolvers_in, forget_resolvers);
}

void asy_resolver_enter(struct resolving *resolving)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_resolver_forks);
    pthread_mutex_lock(&entrance);
    pthread_mutex_lock(&list_lock);
    resolving->begun_ns = asy_sys_now_ns();
    list_append(&under_way, &resolving->node);
    pthread_mutex_unlock(&list_lock);
    pthread_mutex_unlock(&entrance);
}

void asy_resolver_leave(struct resolving *resolving)
{
    pthread_mutex_lock(&list_lock);
    ASY_ASSERT(!list_is_empty(&resolving->node));
    list_remove(&resolving->node);
    bool must_wake = does_fork_wait;
    atomic_fetch_add(&departures, 1);
    pthread_mutex_unlock(&list_lock);
    if (must_wake)
        asy_sys_futex_wake(&departures, 1);
}
