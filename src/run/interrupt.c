/*
 * SIGINT and SIGTERM while a runner runs.
 *
 * The process's signal handler (process/signal_dispatch.c) asks here only where no
 * loop watches the signal, in whatever thread it has come.
 */
#include "run/interrupt.h"
#include "asyncio/messages.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>

static const int signals[2] = {SIGINT, SIGTERM};

/* The runner that has the signals, one at a time. Sequentially consistent, as all here: the handler may
 * run in any thread, and signals are rare. */
static _Atomic(struct interrupt *) active;

bool asy_interrupt_is_seen(struct interrupt *interrupt)
{
    return atomic_load(&active) == interrupt && atomic_load(&interrupt->signo);
}

intptr_t asy_interrupt_raise(struct interrupt *interrupt)
{
    return asyncio_raise(-EINTR, "interrupted by %s",
                         atomic_load(&interrupt->signo) == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* In the handler: is it the first signal? */
static bool take_signal(struct signal_hook *hook, int signo)
{
    struct interrupt *interrupt = LIST_ENTRY(hook, struct interrupt, hook);
    int none = 0;
    if (!atomic_compare_exchange_strong(&interrupt->signo, &none, signo))
        return false;
    if (!interrupt->request(interrupt))
        atomic_store(&interrupt->signo, 0);
    return true;
}

/* Does this run handle the signal? By default in the main thread only, and only over the default action. */
static bool is_signal_wanted(int option, int signo, bool by_default)
{
    struct sigaction now;
    if (option)
        return option > 0;
    return by_default && asy_sys_is_main_thread() && asy_sys_sigaction(signo, NULL, &now) == 0 &&
           !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
}

static void forget_interrupt(void)
{
    atomic_store(&active, NULL);
}

static void watch_interrupt_forks(void)
{
    pthread_atfork(NULL, NULL, forget_interrupt);
}

void asy_interrupt_install(struct interrupt *interrupt, const asyncio_run_options *options)
{
    static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
    pthread_once(&fork_once, watch_interrupt_forks);
    interrupt->hook.take = take_signal;
    bool want[2] = {is_signal_wanted(options->handle_sigint, SIGINT, true),
                    is_signal_wanted(options->handle_sigterm, SIGTERM, false)};
    struct interrupt *none = NULL;
    if ((!want[0] && !want[1]) || !atomic_compare_exchange_strong(&active, &none, interrupt))
        return;
    for (int i = 0; i < 2; i++)
        interrupt->hooked[i] = want[i] && asy_signal_hook(signals[i], &interrupt->hook) == 0;
}

void asy_interrupt_remove(struct interrupt *interrupt)
{
    for (int i = 0; i < 2; i++)
        if (interrupt->hooked[i])
            asy_signal_unhook(signals[i], &interrupt->hook);
    struct interrupt *mine = interrupt;
    atomic_compare_exchange_strong(&active, &mine, NULL);
}
