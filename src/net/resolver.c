/*
 * Who is in the C library's resolver. See resolver.h.
 */
#include "net/resolver.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

_Atomic int64_t asy_resolver_fork_wait_ns = INT64_C(100000000);

static pthread_mutex_t entrance = PTHREAD_MUTEX_INITIALIZER; /* first; a fork keeps it shut */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;     /* of the list */
static struct list under_way = {&under_way, &under_way};     /* the latest last */
static bool fork_waits;                                      /* under the lock */
static _Atomic uint32_t departures;

/* How long a fork still waits: until the latest is out, or has been under way for long enough. */
static int64_t time_to_wait(void)
{
    if (list_is_empty(&under_way))
        return 0;
    const struct resolving *latest = LIST_ENTRY(under_way.prev, struct resolving, node);
    return latest->begun_ns + atomic_load(&asy_resolver_fork_wait_ns) - asy_sys_now_ns();
}

static void before_fork(void)
{
    pthread_mutex_lock(&entrance);
    pthread_mutex_lock(&lock);
    for (int64_t wait_ns; (wait_ns = time_to_wait()) > 0;) {
        uint32_t seen = atomic_load(&departures);
        fork_waits = true;
        pthread_mutex_unlock(&lock);
        asy_sys_futex_wait(&departures, seen, wait_ns);
        pthread_mutex_lock(&lock);
    }
    fork_waits = false;
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&entrance);
}

/* Those who are in there are the parent's. */
static void after_fork_in_child(void)
{
    list_init(&under_way);
    after_fork();
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

void asy_resolver_enter(struct resolving *resolving)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&entrance);
    pthread_mutex_lock(&lock);
    resolving->begun_ns = asy_sys_now_ns();
    list_append(&under_way, &resolving->node);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&entrance);
}

void asy_resolver_leave(struct resolving *resolving)
{
    pthread_mutex_lock(&lock);
    list_remove(&resolving->node);
    bool wakes = fork_waits;
    atomic_fetch_add(&departures, 1);
    pthread_mutex_unlock(&lock);
    if (wakes)
        asy_sys_futex_wake(&departures, 1);
}
