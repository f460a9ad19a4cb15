/*
 * SIGINT and SIGTERM while a runner runs.
 */
#include "run/interrupt.h"
#include "asyncio/events.h"
#include "asyncio/futures.h"
#include "sys/sys.h"
#include <string.h>

static const int signals[2] = {SIGINT, SIGTERM};

/* Whose signals they are: one runner's at a time. */
static _Atomic(struct interrupt *) active;

static void cancel_main(void *arg)
{
    struct interrupt *interrupt = atomic_load(&active);
    if (interrupt == arg) /* else that run is over */
        asyncio_cancel(interrupt->main);
}

static void on_signal(int signo)
{
    struct interrupt *interrupt = atomic_load(&active);
    int none = 0;
    if (interrupt && atomic_compare_exchange_strong(&interrupt->signo, &none, signo)) {
        if (asyncio_loop_call_soon_signalsafe(interrupt->loop, cancel_main, interrupt) == 0)
            return;
        atomic_store(&interrupt->signo, 0); /* no place: as if it had not come; the next one may find one */
        return;
    }
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    asy_sys_sigaction(signo, &action, NULL);
    raise(signo);
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

void asy_interrupt_install(struct interrupt *interrupt, asyncio_loop *loop, asyncio_task *main,
                           const asyncio_run_options *options)
{
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
    for (int i = 0; i < 2; i++)
        if (interrupt->installed[i])
            asy_sys_sigaction(signals[i], &interrupt->old[i], NULL);
    struct interrupt *mine = interrupt;
    atomic_compare_exchange_strong(&active, &mine, NULL);
}
