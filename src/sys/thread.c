/*
 * Threads, entered through the seam.
 */
#include "sys/thread.h"
#include "base/assert.h"
#include "base/sanitizer.h"
#include "sys/kernel_call.h"
#include "sys/sys.h"
#include "sys/unload.h"
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- All that were started ----------------------------------------------------------------- */

enum { CALLED = 1, TO_END = 2 }; /* in asy_thread.called */

static struct {
    pthread_mutex_t lock;
    struct list running;      /* those that have begun */
    _Atomic unsigned count;   /* those that were started, and have not ended */
    _Atomic unsigned enders;  /* calls that wait for the end of all */
    _Atomic uint32_t endings; /* a futex for them */
    bool has_last, is_left;   /* is_left: nobody joins any more */
    pthread_t last;           /* to end: joined by the next to end, as is the one before by this */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .running = {&all.running, &all.running}};

static _Thread_local struct asy_thread *self_here;

struct asy_thread *asy_sys_thread_self(void)
{
    return self_here;
}

static void lock_threads(void)
{
    pthread_mutex_lock(&all.lock);
}

static void unlock_threads(void)
{
    pthread_mutex_unlock(&all.lock);
}

/* The threads stay in the parent. */
static void forget_threads(void)
{
    list_init(&all.running);
    atomic_store(&all.count, 0);
    atomic_store(&all.enders, 0);
    all.has_last = false;
    pthread_mutex_unlock(&all.lock);
}

static void watch_ends(void)
{
    pthread_atfork(lock_threads, unlock_threads, forget_threads);
    asy_sys_unload_begin();
}

/* ---- Begun and ended ------------------------------------------------------------------------ */

struct start {
    void (*fn)(void *);
    void *arg;
    const char *name;
};

static void register_thread(struct asy_thread *self)
{
    pthread_mutex_lock(&all.lock);
    list_append(&all.running, &self->node);
    if (all.is_left)
        pthread_detach(self->id);
    pthread_mutex_unlock(&all.lock);
}

/* Each thread that ends joins the one before it. So a join of the last one means that all are gone. */
static void unregister_thread(struct asy_thread *self)
{
    pthread_mutex_lock(&all.lock);
    bool has_before = all.has_last;
    pthread_t before = all.last;
    list_remove(&self->node);
    all.has_last = !all.is_left;
    all.last = self->id;
    unsigned count = atomic_fetch_sub(&all.count, 1);
    ASY_ASSERT(count > 0);
    atomic_fetch_add(&all.endings, 1);
    pthread_mutex_unlock(&all.lock);
    asy_sys_futex_wake(&all.endings, INT_MAX);
    if (has_before)
        pthread_join(before, NULL);
}

static void *run_thread(void *arg)
{
    struct start start = *(struct start *)arg;
    struct asy_thread self = {.id = pthread_self(), .called = 0};
    asy_sys_free(arg);
    pthread_setname_np(self.id, start.name);
    self_here = &self;
    register_thread(&self);
    start.fn(start.arg);
    unregister_thread(&self);
    return NULL;
}

/* A thread's stack at least; musl's own is 128 KiB, and a user's function may run on it. */
#define STACK_BYTES ((size_t)1024 * 1024)

static int create_thread(void *(*fn)(void *), void *arg, pthread_t *id)
{
    pthread_attr_t attributes;
    size_t bytes;
    int err = pthread_attr_init(&attributes);
    if (err)
        return err;
    if (pthread_attr_getstacksize(&attributes, &bytes) == 0 && bytes < STACK_BYTES)
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
    err = pthread_create(id, &attributes, fn, arg);
    pthread_attr_destroy(&attributes);
    return err;
}

/* A program's handlers run on its own threads; only those of a fault run where it happens. The new thread
 * inherits this mask. */
static int create_masked(void *(*fn)(void *), void *arg, pthread_t *id)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int err = create_thread(fn, arg, id);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

int asy_sys_thread_start(void (*fn)(void *), void *arg, const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (ASY_FAULT("thread_start"))
        return -EAGAIN;
    pthread_once(&once, watch_ends);
    struct start *start = asy_sys_alloc(sizeof *start);
    if (!start)
        return -EAGAIN;
    *start = (struct start){fn, arg, name};
    atomic_fetch_add(&all.count, 1);
    pthread_t id;
    int err = create_masked(run_thread, start, &id);
    if (err) {
        atomic_fetch_sub(&all.count, 1);
        asy_sys_free(start);
    }
    return -err;
}

int asy_sys_thread_begin(void *(*fn)(void *), void *arg, pthread_t *id)
{
    if (ASY_FAULT("thread_begin"))
        return -EAGAIN;
    return -create_masked(fn, arg, id);
}

void asy_sys_thread_join(pthread_t id)
{
    pthread_join(id, NULL);
}

void asy_sys_thread_name(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}

/* ---- With nothing to do, and all to end --------------------------------------------------------- */

void asy_sys_thread_rests(struct asy_thread *self)
{
    /* Sequentially consistent, as is asy_sys_threads_end: that adds to `enders` and then marks all threads.
     * So either its mark comes after our store, or we see its number here. */
    atomic_store(&self->called, 0);
    if (atomic_load(&all.enders)) /* a later caller finds us among those that run */
        atomic_fetch_or(&self->called, TO_END);
}

void asy_sys_thread_sleep(struct asy_thread *self, int64_t timeout_ns)
{
    bool is_in_time = true;
    while (is_in_time && !atomic_load_explicit(&self->called, memory_order_acquire))
        is_in_time = asy_sys_futex_wait(&self->called, 0, timeout_ns);
}

bool asy_sys_thread_was_called(struct asy_thread *self)
{
    return atomic_load_explicit(&self->called, memory_order_relaxed) & CALLED;
}

bool asy_sys_thread_is_to_end(const struct asy_thread *self)
{
    return atomic_load_explicit(&self->called, memory_order_relaxed) & TO_END;
}

const _Atomic uint32_t *asy_sys_thread_call(struct asy_thread *thread)
{
    atomic_fetch_or(&thread->called, CALLED);
    return &thread->called;
}

/* Locked. */
static void call_all_to_end(void)
{
    LIST_EACH(node, &all.running) {
        struct asy_thread *thread = LIST_ENTRY(node, struct asy_thread, node);
        atomic_fetch_or(&thread->called, TO_END);
        asy_sys_futex_wake(&thread->called, 1);
    }
}

/* Locked before and after. How many threads other than this one are left. */
static unsigned wait_for_ends(int64_t timeout_ns)
{
    const unsigned own = self_here ? 1 : 0;
    int64_t begin_ns = asy_sys_now_ns();
    for (;;) {
        uint32_t endings = atomic_load(&all.endings);
        unsigned count = atomic_load(&all.count);
        int64_t left_ns = timeout_ns < 0 ? -1 : timeout_ns - (asy_sys_now_ns() - begin_ns);
        if (count <= own || (timeout_ns >= 0 && left_ns <= 0))
            return count <= own ? 0 : count - own;
        pthread_mutex_unlock(&all.lock);
        asy_sys_futex_wait(&all.endings, endings, left_ns);
        pthread_mutex_lock(&all.lock);
    }
}

unsigned asy_sys_threads_end(int64_t timeout_ns)
{
    atomic_fetch_add(&all.enders, 1);
    pthread_mutex_lock(&all.lock);
    call_all_to_end();
    unsigned left = wait_for_ends(timeout_ns);
    bool has_last = all.has_last;
    pthread_t last = all.last;
    all.has_last = false;
    pthread_mutex_unlock(&all.lock);
    atomic_fetch_sub(&all.enders, 1);
    if (has_last) /* only libc's own work is left for it */
        pthread_join(last, NULL);
    return left;
}

void asy_sys_threads_leave(void)
{
    pthread_mutex_lock(&all.lock);
    all.is_left = true;
    LIST_EACH(node, &all.running)
        pthread_detach(LIST_ENTRY(node, struct asy_thread, node)->id);
    if (all.has_last)
        pthread_detach(all.last);
    all.has_last = false;
    pthread_mutex_unlock(&all.lock);
}

/* ---- Sleeping ---------------------------------------------------------------------------------- */

bool asy_sys_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                               .tv_nsec = (long)(timeout_ns % 1000000000)};
    int saved = errno;
    long result = syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value,
                          timeout_ns < 0 ? NULL : &timeout, NULL, 0);
    bool is_in_time = result == 0 || errno != ETIMEDOUT;
    errno = saved;
    return is_in_time;
}

void asy_sys_futex_wake(const _Atomic uint32_t *word, int count)
{
    int saved = errno;
    VALGRIND_DISABLE_ERROR_REPORTING; /* the word may be gone */
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
    VALGRIND_ENABLE_ERROR_REPORTING;
    errno = saved;
}

void asy_sys_yield(void)
{
    sched_yield();
}

unsigned asy_sys_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

int asy_sys_affinity(cpu_set_t *set)
{
    KERNEL_INT("sched_getaffinity", -EPERM, sched_getaffinity(0, sizeof *set, set));
}

int asy_sys_set_affinity(const cpu_set_t *set)
{
    KERNEL_INT("sched_setaffinity", -EINVAL, sched_setaffinity(0, sizeof *set, set));
}
