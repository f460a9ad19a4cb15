/*
 * The process's signal handler: see signal_dispatch.h.
 */
#include "process/signal_dispatch.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

#define SIGNALS 65

/* One signal. */
static struct signal {
    _Atomic(struct signal_watch *) watches;
    _Atomic(struct signal_hook *) hook;
    _Atomic int at_work; /* handlers that may have seen one of these */
    /* Under the lock. */
    bool is_installed;
    struct sigaction old;
} signals[SIGNALS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- The handler ----------------------------------------------------------------------------- */

enum told { TOLD, REFUSED, NOBODY };

static enum told tell(struct signal *signal, int signo)
{
    struct signal_watch *watch = atomic_load(&signal->watches);
    struct signal_hook *hook = atomic_load(&signal->hook);
    if (!watch)
        return !hook ? NOBODY : hook->take(hook, signo) ? TOLD : REFUSED;
    for (; watch; watch = atomic_load(&watch->next))
        watch->came(watch);
    return TOLD;
}

static void on_signal(int signo);

static bool is_ours(const struct sigaction *action)
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
    enum told told = tell(signal, signo);
    atomic_fetch_sub(&signal->at_work, 1);
    /* The last user may have left at this very moment: then it is as if the signal had come
     * after that. A handler of the program's own may also have called this one, and is not called back. */
    struct sigaction now;
    if (told == NOBODY && asy_sys_sigaction(signo, NULL, &now) == 0 &&
        (is_ours(&now) || (!(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)))
        told = REFUSED;
    if (told == REFUSED)
        take_default_action(signo);
    errno = saved;
}

/* ---- Installed, and put back ----------------------------------------------------------------- */

/* Nobody is told of what runs in the child: its loops are the parent's. */
static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
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
    pthread_mutex_unlock(&lock); /* taken by this very thread, in the parent */
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

/* The signal's state, with the lock held; NULL for a number that is none. */
static struct signal *begin(int signo)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (signo < 1 || signo >= SIGNALS)
        return NULL;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    return &signals[signo];
}

/* Puts our handler there, if it is not there already, or no longer. */
static int install(struct signal *signal, int signo)
{
    struct sigaction action, now;
    int err = asy_sys_sigaction(signo, NULL, &now);
    if (err || is_ours(&now))
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

/* First: a signal that comes from here on follows what was there before. */
static void put_back(struct signal *signal, int signo)
{
    if (signal->is_installed)
        asy_sys_sigaction_back(signo, on_signal, &signal->old);
    signal->is_installed = false;
}

/* The lock stays held meanwhile; no handler takes it. */
static void end(struct signal *signal)
{
    while (atomic_load(&signal->at_work))
        sched_yield();
    pthread_mutex_unlock(&lock);
}

/* ---- Watches and hooks ----------------------------------------------------------------------- */

int asy_signal_watch(int signo, struct signal_watch *watch)
{
    struct signal *signal = begin(signo);
    if (!signal)
        return -EINVAL;
    atomic_store(&watch->next, atomic_load(&signal->watches));
    atomic_store(&signal->watches, watch);
    int err = install(signal, signo);
    if (err)
        atomic_store(&signal->watches, atomic_load(&watch->next));
    end(signal);
    return err;
}

void asy_signal_unwatch(int signo, struct signal_watch *watch)
{
    struct signal *signal = begin(signo);
    _Atomic(struct signal_watch *) *place = &signal->watches;
    if (atomic_load(place) == watch && !atomic_load(&watch->next) && !atomic_load(&signal->hook))
        put_back(signal, signo);
    while (atomic_load(place) && atomic_load(place) != watch)
        place = &atomic_load(place)->next;
    if (atomic_load(place)) /* else it was lost in a fork */
        atomic_store(place, atomic_load(&watch->next));
    end(signal);
}

int asy_signal_hook(int signo, struct signal_hook *hook)
{
    struct signal *signal = begin(signo);
    if (!signal)
        return -EINVAL;
    int err = -EBUSY;
    if (!atomic_load(&signal->hook)) {
        atomic_store(&signal->hook, hook);
        err = install(signal, signo);
        if (err)
            atomic_store(&signal->hook, NULL);
    }
    end(signal);
    return err;
}

void asy_signal_unhook(int signo, struct signal_hook *hook)
{
    struct signal *signal = begin(signo);
    if (atomic_load(&signal->hook) == hook) {
        if (!atomic_load(&signal->watches))
            put_back(signal, signo);
        atomic_store(&signal->hook, NULL);
    }
    end(signal);
}
