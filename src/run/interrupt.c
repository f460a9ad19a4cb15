/*
 * SIGINT and SIGTERM while a runner runs.
 *
 * The handler may run in any thread. So a runner that leaves waits until no handler is at
 * work, and a forked child, which has no runner, gets its old dispositions back.
 */
#include "run/interrupt.h"
#include "asyncio/events.h"
#include "asyncio/futures.h"
#include "sys/sys.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>

static const int signals[2] = {SIGINT, SIGTERM};

/* Whose signals they are: one runner's at a time. */
static _Atomic(struct interrupt *) active;
/* Handlers at work. */
static _Atomic int at_work;

/* A run that is over may have left one of these in the queue, and the next one's struct
 * lie in the same place; but that has seen no signal yet. */
static void cancel_main(void *arg)
{
    struct interrupt *interrupt = atomic_load(&active);
    if (interrupt == arg && atomic_load(&interrupt->signo))
        asyncio_cancel(interrupt->main);
}

/* Is it the first signal? */
static bool take(struct interrupt *interrupt, int signo)
{
    int none = 0;
    if (!interrupt || !atomic_compare_exchange_strong(&interrupt->signo, &none, signo))
        return false;
    /* No place: as if it had not come; the next one may find one. */
    if (asyncio_loop_call_soon_signalsafe(interrupt->loop, cancel_main, interrupt))
        atomic_store(&interrupt->signo, 0);
    return true;
}

static void on_signal(int signo)
{
    atomic_fetch_add(&at_work, 1);
    bool taken = take(atomic_load(&active), signo);
    atomic_fetch_sub(&at_work, 1);
    if (taken)
        return;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    asy_sys_sigaction(signo, &action, NULL);
    asy_sys_raise(signo);
}

/* By default in the main thread only, and only over the default action. */
static bool wanted(int option, int signo, bool by_default)
{
    struct sigaction now;
    if (option)
        return option > 0;
    return by_default && asy_sys_is_main_thread() && asy_sys_sigaction(signo, NULL, &now) == 0 &&
           !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
}

static void install(struct interrupt *interrupt, int i)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    interrupt->installed[i] = asy_sys_sigaction(signals[i], &action, &interrupt->old[i]) == 0;
}

/* Unless the program has put something else there meanwhile. */
static void restore(struct interrupt *interrupt)
{
    struct sigaction now;
    for (int i = 0; i < 2; i++) {
        if (interrupt->installed[i] && asy_sys_sigaction(signals[i], NULL, &now) == 0 &&
            !(now.sa_flags & SA_SIGINFO) && now.sa_handler == on_signal)
            asy_sys_sigaction(signals[i], &interrupt->old[i], NULL);
        interrupt->installed[i] = false;
    }
}

static void forked_child(void)
{
    struct interrupt *interrupt = atomic_load(&active);
    if (interrupt)
        restore(interrupt);
    atomic_store(&active, NULL);
    atomic_store(&at_work, 0);
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forked_child);
}

void asy_interrupt_install(struct interrupt *interrupt, asyncio_loop *loop, asyncio_task *main,
                           const asyncio_run_options *options)
{
    static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
    pthread_once(&fork_once, watch_forks);
    memset(interrupt, 0, sizeof *interrupt);
    interrupt->loop = loop;
    interrupt->main = main;
    bool sigint = wanted(options->handle_sigint, SIGINT, true);
    bool sigterm = wanted(options->handle_sigterm, SIGTERM, false);
    struct interrupt *none = NULL;
    if ((!sigint && !sigterm) || !atomic_compare_exchange_strong(&active, &none, interrupt))
        return;
    if (sigint)
        install(interrupt, 0);
    if (sigterm)
        install(interrupt, 1);
}

void asy_interrupt_remove(struct interrupt *interrupt)
{
    struct interrupt *mine = interrupt;
    restore(interrupt);
    if (!atomic_compare_exchange_strong(&active, &mine, NULL))
        return;
    while (atomic_load(&at_work))
        sched_yield();
}
