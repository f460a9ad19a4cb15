/*
 * The process's signal handler: see signal_dispatch.h.
 */
#include "process/signal_dispatch.h"
#include "base/assert.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#define SIGNALS 65

/*
 * One signal. The handler counts itself in at_work, then reads `watches` and `hook`. A thread that takes a
 * watch out writes the list, then reads at_work. Either the handler sees the list without the watch, or the
 * thread sees the handler at work: that needs one order of all four accesses, so they are sequentially
 * consistent.
 */
static struct signal {
    _Atomic(struct signal_watch *) watches;
    _Atomic(struct signal_hook *) hook;
    _Atomic int at_work; /* handlers that may have seen one of these */
    /* Under dispatch_lock. */
    bool is_installed;
    struct sigaction old;
} signals[SIGNALS];

/* Protects all changes of `signals`. A thread holds it while it waits for handlers, which do not take it. */
static pthread_mutex_t dispatch_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- The handler ----------------------------------------------------------------------------- */

enum outcome { TOLD, REFUSED, NOBODY };

static enum outcome tell_watches(struct signal *signal, int signo)
{
    struct signal_watch *watch = atomic_load(&signal->watches);
    struct signal_hook *hook = atomic_load(&signal->hook);
    if (!watch)
        return !hook ? NOBODY : hook->take(hook, signo) ? TOLD : REFUSED;
    for (; watch; watch = atomic_load(&watch->next))
        watch->notify(watch);
    return TOLD;
}

static void on_signal(int signo);

static bool is_our_handler(const struct sigaction *action)
{
    return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == on_signal;
}

static void take_default_action(int signo)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    asy_sys_sigaction(signo, &action, NULL);
    asy_sys_raise(signo);
}

static void on_signal(int signo)
{
    int saved = errno;
    struct signal *signal = &signals[signo];
    atomic_fetch_add(&signal->at_work, 1);
    enum outcome outcome = tell_watches(signal, signo);
    atomic_fetch_sub(&signal->at_work, 1);
    /* The last user may have left at this very moment: then it is as if the signal had come after that. Or a
     * handler of the program has called this one: then the default action does not follow. */
    struct sigaction now;
    if (outcome == NOBODY && asy_sys_sigaction(signo, NULL, &now) == 0 &&
        (is_our_handler(&now) || (!(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)))
        outcome = REFUSED;
    if (outcome == REFUSED)
        take_default_action(signo);
    errno = saved;
}

/* ---- Installed, and put back ----------------------------------------------------------------- */

/* The child gets no half-changed list and a lock that it holds itself. Its loops and hooks are the parent's,
 * so its signals have their earlier actions again. */
static void lock_for_fork(void)
{
    pthread_mutex_lock(&dispatch_lock);
}

static void unlock_after_fork(void)
{
    pthread_mutex_unlock(&dispatch_lock);
}

static void reset_in_child(void)
{
    for (int signo = 1; signo < SIGNALS; signo++) {
        struct signal *signal = &signals[signo];
        if (signal->is_installed)
            asy_sys_sigaction_back(signo, on_signal, &signal->old);
        signal->is_installed = false;
        atomic_store(&signal->watches, NULL);
        atomic_store(&signal->hook, NULL);
        atomic_store(&signal->at_work, 0);
    }
    pthread_mutex_unlock(&dispatch_lock); /* this thread took it, in the parent */
}

static void watch_forks_of_dispatch(void)
{
    pthread_atfork(lock_for_fork, unlock_after_fork, reset_in_child);
}

/* Takes the lock and returns the signal's state; NULL, without the lock, for a number that is no signal. */
static struct signal *lock_signal(int signo)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (signo < 1 || signo >= SIGNALS)
        return NULL;
    pthread_once(&once, watch_forks_of_dispatch);
    pthread_mutex_lock(&dispatch_lock);
    return &signals[signo];
}

/* Installs our handler, if it is not installed already or the program has replaced it. */
static int install_handler(struct signal *signal, int signo)
{
    struct sigaction action, now;
    int err = asy_sys_sigaction(signo, NULL, &now);
    if (err || is_our_handler(&now))
        return err;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    err = asy_sys_sigaction(signo, &action, NULL);
    if (err)
        return err;
    signal->old = now;
    signal->is_installed = true;
    return 0;
}

/* Comes before the last user is unlinked: a signal after it takes the earlier action. */
static void put_handler_back(struct signal *signal, int signo)
{
    if (signal->is_installed)
        asy_sys_sigaction_back(signo, on_signal, &signal->old);
    signal->is_installed = false;
}

/* Waits until no handler is at work, and releases the lock. */
static void unlock_signal(struct signal *signal)
{
    while (atomic_load(&signal->at_work))
        sched_yield();
    pthread_mutex_unlock(&dispatch_lock);
}

/* ---- Watches and hooks ----------------------------------------------------------------------- */

int asy_signal_watch(int signo, struct signal_watch *watch)
{
    struct signal *signal = lock_signal(signo);
    if (!signal)
        return -EINVAL;
    ASY_ASSERT(watch->notify);
    atomic_store(&watch->next, atomic_load(&signal->watches));
    atomic_store(&signal->watches, watch);
    int err = install_handler(signal, signo);
    if (err)
        atomic_store(&signal->watches, atomic_load(&watch->next));
    unlock_signal(signal);
    return err;
}

void asy_signal_unwatch(int signo, struct signal_watch *watch)
{
    struct signal *signal = lock_signal(signo);
    ASY_ASSERT(signal);
    _Atomic(struct signal_watch *) *place = &signal->watches;
    if (atomic_load(place) == watch && !atomic_load(&watch->next) && !atomic_load(&signal->hook))
        put_handler_back(signal, signo);
    while (atomic_load(place) && atomic_load(place) != watch)
        place = &atomic_load(place)->next;
    if (atomic_load(place)) /* else it was lost in a fork */
        atomic_store(place, atomic_load(&watch->next));
    unlock_signal(signal);
}

int asy_signal_hook(int signo, struct signal_hook *hook)
{
    struct signal *signal = lock_signal(signo);
    if (!signal)
        return -EINVAL;
    int err = -EBUSY;
    if (!atomic_load(&signal->hook)) {
        atomic_store(&signal->hook, hook);
        err = install_handler(signal, signo);
        if (err)
            atomic_store(&signal->hook, NULL);
    }
    unlock_signal(signal);
    return err;
}

void asy_signal_unhook(int signo, struct signal_hook *hook)
{
    struct signal *signal = lock_signal(signo);
    ASY_ASSERT(signal);
    if (atomic_load(&signal->hook) == hook) {
        if (!atomic_load(&signal->watches))
            put_handler_back(signal, signo);
        atomic_store(&signal->hook, NULL);
    }
    unlock_signal(signal);
}
