/*
 * Signals of the whole process. One handler tells every loop that watches a signal; if none does, it tells a
 * hook (the runner's, run/interrupt.c).
 *
 * The handler may run in any thread and takes no lock. Watches and hooks are linked and unlinked under a
 * lock, and the thread that unlinks one waits until no handler that may have seen it is at work. The first
 * user of a signal installs the handler. The last one puts the earlier action back, unless the program has
 * installed another meanwhile.
 */
#ifndef ASY_PROCESS_SIGNAL_DISPATCH_H
#define ASY_PROCESS_SIGNAL_DISPATCH_H

#include <stdatomic.h>
#include <stdbool.h>

/* Part of a loop's watch. `notify` is called in the handler. */
struct signal_watch {
    _Atomic(struct signal_watch *) next;
    void (*notify)(struct signal_watch *watch);
};

/* `take` is called in the handler if no loop watches the signal. False: the default action follows. */
struct signal_hook {
    bool (*take)(struct signal_hook *hook, int signo);
};

/* 0; -EINVAL for a number that is no signal, or that no program may catch. */
int asy_signal_watch(int signo, struct signal_watch *watch);
/* When this returns no handler uses the watch. */
void asy_signal_unwatch(int signo, struct signal_watch *watch);
/* The same for a hook; -EBUSY if there is another. */
int asy_signal_hook(int signo, struct signal_hook *hook);
void asy_signal_unhook(int signo, struct signal_hook *hook);

#endif
