/*
 * SIGINT and SIGTERM while a runner runs: the first cancels main, a second one
 * takes its default action at once.
 */
#ifndef ASY_RUN_INTERRUPT_H
#define ASY_RUN_INTERRUPT_H

#include "asyncio/runners.h"
#include <signal.h>
#include <stdatomic.h>

struct interrupt {
    asyncio_loop *loop;
    asyncio_task *main;
    _Atomic int signo;          /* the first signal that came, or 0 */
    bool installed[2];
    struct sigaction old[2];
};

void asy_interrupt_install(struct interrupt *interrupt, asyncio_loop *loop, asyncio_task *main,
                           const asyncio_run_options *options);
void asy_interrupt_remove(struct interrupt *interrupt);

#endif
