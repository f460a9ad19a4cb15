/*
 * Signals, as something to wait for or as a callback of the loop.
 *
 *     int err = asyncio_wait_signal(SIGHUP);
 *     if (err == 0)
 *         reload();
 *
 * One handler serves the whole process. It only marks the signal and wakes the loops that watch it,
 * so what runs for it may do anything. Several loops, in any threads, may watch the same signal:
 * each is told. As with signals themselves, several of one kind that come before the loop looks
 * count as one. The first watch of a signal takes the place of whatever action was set; when the
 * last one is gone, that action is put back. A watch of SIGINT or SIGTERM goes before asyncio_run's
 * own use of them. Programs started by asyncio_create_subprocess_exec do not inherit any of it.
 */
#ifndef ASYNCIO_SIGNALS_H
#define ASYNCIO_SIGNALS_H

#include <asyncio/events.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/*
 * Waits until a signal comes. Suspends. The first wait for a signal installs the handler, which stays until
 * the loop closes, whether or not somebody waits: the action from before does not come back meanwhile, and
 * one that comes between two waits is kept, and ends the next wait at once. A wait that is cancelled before
 * it begins installs nothing. All tasks that wait for it are told. A request to cancel ends the wait with
 * -ECANCELED; a signal that came first wins. 0; -EINVAL for a number that is no signal or cannot be caught
 * (SIGKILL, SIGSTOP, and SIGSEGV, SIGBUS, SIGFPE and SIGILL, which cannot wait for a loop), -ECANCELED,
 * -ENOMEM, ASYNCIO_ENOTASK. (Not in Python.)
 */
ASYNCIO_API int asyncio_wait_signal(int signo);

/*
 * Has fn(arg) called by the loop, in a copy of the caller's context, each time the signal comes,
 * until it is removed or the loop closes. One for a signal and loop: a second one replaces the
 * first. Loop's thread, any thread's loop; also before the loop runs. Does not wait. 0; -EINVAL as
 * above, -ENOMEM, ASYNCIO_ESTATE when the loop is closed. (loop.add_signal_handler)
 */
ASYNCIO_API int asyncio_loop_add_signal_handler(asyncio_loop *loop, int signo, asyncio_callback fn,
                                                void *arg);
/* Removes the callback for a signal. True if there was one; it is not called any more. Loop's thread; does
 * not wait. (loop.remove_signal_handler) */
ASYNCIO_API bool asyncio_loop_remove_signal_handler(asyncio_loop *loop, int signo);

ASYNCIO_END_DECLS

#endif
