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
    asyncio_loop *loop;
    asyncio_task *main;
    _Atomic int signo; /* the first signal that came, or 0 */
    struct signal_hook hook;
    bool hooked[2]; /* SIGINT, SIGTERM */
};

void asy_interrupt_install(struct interrupt *interrupt, asyncio_loop *loop, asyncio_task *main,
                           const asyncio_run_options *options);
void asy_interrupt_remove(struct interrupt *interrupt);

#endif
