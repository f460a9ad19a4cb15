/*
 * Signals, for the whole process: one handler, which tells every loop that
 * watches a signal, or, where none does, a hook (the runner's, run/interrupt.c).
 *
 * The handler may run in any thread, and takes no lock. Watches and hooks are
 * linked in and taken out under one; who takes one out waits until no handler
 * is at work that may have seen it. The first user of a signal installs the handler, the last one puts back
 * what was there before, unless the program has put something else there meanwhile.
 */
#ifndef ASY_PROCESS_SIGNAL_DISPATCH_H
#define ASY_PROCESS_SIGNAL_DISPATCH_H

#include <stdatomic.h>
#include <stdbool.h>

/* In the watch of a loop, and of nobody else: called in the handler. */
struct signal_watch {
    _Atomic(struct signal_watch *) next;
    void (*came)(struct signal_watch *watch);
};

/* Called in the handler where no loop watches. False: the default action is to follow. */
struct signal_hook {
    bool (*take)(struct signal_hook *hook, int signo);
};

/* 0; -EINVAL for a number that is no signal, or that nobody may catch. */
int asy_signal_watch(int signo, struct signal_watch *watch);
/* From here on no handler has it. */
void asy_signal_unwatch(int signo, struct signal_watch *watch);
/* The same; -EBUSY if another hook is there. */
int asy_signal_hook(int signo, struct signal_hook *hook);
void asy_signal_unhook(int signo, struct signal_hook *hook);

#endif
