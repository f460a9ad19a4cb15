/*
 * Signals: to wait for, or as callbacks of the loop.
 *
 *     int err = asyncio_wait_signal(SIGHUP);
 *     if (err == 0)
 *         reload();
 *
 * One signal handler serves the whole process. It only marks the signal and wakes the loops that watch it;
 * so tasks and callbacks that run for a signal may do anything. Several loops, in any threads, may watch
 * the same signal, and each is told. As with signals themselves, several of one kind that come before the
 * loop looks count as one. The first watch of a signal replaces the action that was set; the end of the
 * last one puts it back. A watch of SIGINT or SIGTERM takes precedence over asyncio_run's own use of them.
 * Child processes inherit none of this.
 */
#ifndef ASYNCIO_SIGNALS_H
#define ASYNCIO_SIGNALS_H

#include <asyncio/events.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/*
 * Waits until a signal comes. Suspends. All tasks that wait for the signal are told. The first wait for a
 * signal watches it until the loop closes: a signal that comes between two waits is kept and ends the next
 * wait at once. A wait that is cancelled before it begins watches nothing. A request to cancel ends the
 * wait with -ECANCELED; a signal that came first wins. 0; -EINVAL for a number that is no signal or cannot
 * be caught (SIGKILL, SIGSTOP, and SIGSEGV, SIGBUS, SIGFPE and SIGILL, which cannot wait for a loop),
 * -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK. Python has no such call.
 */
ASYNCIO_API int asyncio_wait_signal(int signo);

/*
 * Has fn(arg) called by the loop, in a copy of the caller's context, each time the signal comes, until it
 * is removed or the loop closes. A loop has one callback for a signal: a second one replaces the first.
 * Belongs to the loop's thread, which need not be the main one; also before the loop runs. Does not wait.
 * 0; -EINVAL as above, -ENOMEM, ASYNCIO_ESTATE when the loop is closed. (loop.add_signal_handler)
 */
ASYNCIO_API int asyncio_loop_add_signal_handler(asyncio_loop *loop, int signo, asyncio_callback fn,
                                                void *arg);
/* Removes the callback for a signal, which is not called any more. True if there was one. Loop's thread;
 * does not wait. (loop.remove_signal_handler) */
ASYNCIO_API bool asyncio_loop_remove_signal_handler(asyncio_loop *loop, int signo);

ASYNCIO_END_DECLS

#endif
