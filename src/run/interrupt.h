/*
 * SIGINT and SIGTERM while a runner runs: the first cancels main, a second one
 * takes its default action at once.
 */
#ifndef ASY_RUN_INTERRUPT_H
#define ASY_RUN_INTERRUPT_H

#include "asyncio/runners.h"
#include "base/list.h"
#include "process/signal_dispatch.h"
#include <signal.h>
#include <stdatomic.h>

struct interrupt {
    /* Called in the handler for the first signal: requests the cancel. False: it cannot, and the signal
     * counts as not come. */
    bool (*request)(struct interrupt *interrupt);
    _Atomic int signo; /* the first signal that came, or 0 */
    struct signal_hook hook;
    bool hooked[2]; /* SIGINT, SIGTERM */
};

/* `request` is set. */
void asy_interrupt_install(struct interrupt *interrupt, const asyncio_run_options *options);
/* Has this one the signals still, and has it seen one? For a request that comes late. */
bool asy_interrupt_is_seen(struct interrupt *interrupt);
/* Raises -EINTR with the signal's name. */
intptr_t asy_interrupt_raise(struct interrupt *interrupt);
void asy_interrupt_remove(struct interrupt *interrupt);

#endif
