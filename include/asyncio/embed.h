/*
 * For embedders: calls, timers and posts in the caller's own storage, for a program that brings another
 * language, or callbacks of its own, to the loop. Nothing here allocates. What the library's own callbacks
 * and handles stand on, this is.
 *
 *     struct job {
 *         asyncio_call call;
 *         int number;
 *     };
 *
 *     static void run_job(asyncio_call *call)
 *     {
 *         struct job *job = (struct job *)call;
 *         ...
 *         free(job);
 *     }
 *
 *     asyncio_call_init(&job->call, run_job);
 *     asyncio_loop_call(loop, &job->call);
 *
 * Each is a complete type whose fields are private: a part of a larger struct, made by its _init, which may
 * be repeated while it is idle. It must stay where it is while it is queued or started.
 *
 * fn runs on the loop's own stack, where it cannot wait: a waiting call gives ASYNCIO_ENOTASK. It runs in an
 * empty context (contextvars.h). A variable that it sets lasts until it returns; a task that it makes begins
 * with a copy of that context.
 *
 * A call or a timer is idle again before its fn is entered, and the library touches it no more unless fn
 * starts it anew. So fn may free it. It may also free any other that it has cancelled or stopped: after
 * _cancel or _stop, whatever they return, that one is not queued, its fn will not come, and the storage is
 * the caller's.
 *
 * When a loop closes, all that it has become idle; asyncio_loop_set_drain tells their owner. After that
 * _cancel and _stop return false, and touch no loop.
 *
 * All calls are for the loop's thread, and any other thread's aborts with a message, but for
 * asyncio_loop_post and asyncio_loop_adopt. None suspends.
 */
#ifndef ASYNCIO_EMBED_H
#define ASYNCIO_EMBED_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* ---- Calls -------------------------------------------------------------------- */

/* A call that a loop is to make. Fields that end in _ are private, here and below. (may_alias: the library
 * has types of its own for them.) */
typedef struct asyncio_call asyncio_call;
struct asyncio_call {
    uintptr_t queue_[4];
    void (*fn_)(asyncio_call *call);
    asyncio_loop *loop_; /* NULL: idle */
} __attribute__((may_alias));

/* Makes an idle call of fn. The call must not be queued. Does nothing for NULL. */
ASYNCIO_API void asyncio_call_init(asyncio_call *call, void (*fn)(asyncio_call *call));

/* Has the loop make a call in its next iteration, behind all that is ready. False, and nothing happens, if
 * the call is queued or posted already, to whatever loop; if the loop is closed; and for NULL. (call_soon)
 * */
ASYNCIO_API bool asyncio_loop_call(asyncio_loop *loop, asyncio_call *call);

/*
 * Has the loop make a call, from any thread, which must have a reference to the loop. 0; 1 if the call is
 * queued or posted already, and nothing happens: of threads that post the same idle call at once, one gets
 * 0; ASYNCIO_ESTATE when the loop is closed; -EINVAL for NULL. Each post that returned 0 is run, cancelled
 * or drained. What the poster wrote before it posted, fn sees. (call_soon_threadsafe)
 */
ASYNCIO_API int asyncio_loop_post(asyncio_loop *loop, asyncio_call *call);

/* Takes a call back that is queued or posted. True if it was: fn will not come. No thread may be about to
 * post it. */
ASYNCIO_API bool asyncio_call_cancel(asyncio_call *call);

/* ---- Timers ------------------------------------------------------------------- */

/* A timer of a loop. */
typedef struct asyncio_timer asyncio_timer;
struct asyncio_timer {
    uintptr_t place_[4];
    void (*fn_)(asyncio_timer *timer);
    asyncio_loop *loop_; /* NULL: idle */
} __attribute__((may_alias));

/* Reads the loop's monotonic clock, which deadlines are told in, in nanoseconds. A loop that has not run is
 * asked as well; NULL reads the system's clock. (time) */
ASYNCIO_API int64_t asyncio_loop_time_ns(asyncio_loop *loop);

/* Makes an idle timer. The timer must not run. Does nothing for NULL. */
ASYNCIO_API void asyncio_timer_init(asyncio_timer *timer, void (*fn)(asyncio_timer *timer));

/*
 * Starts a timer, or moves one that runs: its fn is called once, when the loop's clock reads deadline_ns or
 * more. A deadline that has passed fires in the next turn; equal ones fire in the order in which they were
 * started or moved; INT64_MAX never fires, but runs until it is stopped or moved. 0; -ENOMEM when there is no
 * memory for one timer more (moving one needs none); -EINVAL if it runs on another loop, and for NULL;
 * ASYNCIO_ESTATE when the loop is closed. After an error a timer that ran keeps its deadline. (call_at)
 */
ASYNCIO_API int asyncio_timer_start(asyncio_loop *loop, asyncio_timer *timer, int64_t deadline_ns);

/* Stops a timer. True if it ran, or was due, and fn had not begun. */
ASYNCIO_API bool asyncio_timer_stop(asyncio_timer *timer);

/* ---- Watches ------------------------------------------------------------------ */

/* A watch of a descriptor. */
typedef struct asyncio_watch asyncio_watch;
struct asyncio_watch {
    uintptr_t place_[6];
    void (*fn_)(asyncio_watch *watch, uint32_t events);
    asyncio_loop *loop_; /* NULL: idle */
    uint64_t since_;
    int fd_;
    uint16_t events_;
} __attribute__((may_alias));

/* Flags of asyncio_watch_start: told in each turn in which an event holds, which is the default; or when it
 * begins to hold, or there is more of it. */
#define ASYNCIO_WATCH_LEVEL 0
#define ASYNCIO_WATCH_EDGE 1

/* Makes an idle watch. The watch must not be started. Does nothing for NULL. */
ASYNCIO_API void asyncio_watch_init(asyncio_watch *watch, void (*fn)(asyncio_watch *watch, uint32_t events));

/*
 * Starts a watch: its fn is called with the events of a descriptor that it asks for, POLLIN, POLLOUT,
 * POLLPRI and POLLRDHUP of poll(2), and always with POLLERR and POLLHUP. They are told when the loop polls,
 * and cost no system call of their own. An edge watch is also told what is there at its start and after
 * asyncio_watch_modify. Any number of watches may be on one descriptor, beside streams, readers and waiting
 * tasks; level watches beside streams, transfers or edge watches of the same descriptor cost a poll(2) each
 * time they are told.
 *
 * The flags of the descriptor are left alone. An event that the kernel reported before the watch was started
 * is not told. When the descriptor is closed by asyncio_close or forgotten by asyncio_forget (or begins
 * afresh, as in asyncio_sock_connect), the watch is stopped, and fn is called once more, in a later turn,
 * with POLLNVAL; the watch is idle then. Stop a watch before anything else closes its descriptor.
 *
 * The watch stays started while fn runs, which may modify, stop and free it. 0; -EBADF, -ENOMEM; -EPERM for
 * a regular file, which is always ready; -EINVAL for other events or flags, and for NULL; ASYNCIO_ESTATE
 * when the watch is started already, or the loop is closed; -ENOSYS under a virtual clock. (add_reader,
 * add_writer)
 */
ASYNCIO_API int asyncio_watch_start(asyncio_loop *loop, asyncio_watch *watch, int fd, uint32_t events,
                                    int flags);

/* Changes the events that a watch asks for. 0, or the errors of asyncio_watch_start, after which it goes on
 * as before; ASYNCIO_ESTATE if it is not started, -EBADF if its descriptor was closed. */
ASYNCIO_API int asyncio_watch_modify(asyncio_watch *watch, uint32_t events);

/* Stops a watch. True if it was started: fn will not come, not for a closed descriptor either. */
ASYNCIO_API bool asyncio_watch_stop(asyncio_watch *watch);

/* ---- Waits -------------------------------------------------------------------- */

/*
 * Sets functions that the loop calls around each wait that may block, and around no other: to let go of an
 * interpreter's lock, and to look for its signals afterwards. before(arg) is called when other threads'
 * posts already wake the loop, after(arg) as soon as the wait is over, before anything that came is told.
 * Either may be NULL; NULL, NULL takes them away. They are not called under a virtual clock, nor for a wait
 * of 0. `before` must not call this loop; `after` may, as a callback does: what it queues or starts is in
 * time for the turn that the wait was in.
 *
 * If `after` returns less than 0, the turn ends, and asyncio_loop_run_forever,
 * asyncio_loop_run_until_complete and asyncio_loop_run_once return that number. Events that the wait brought
 * are kept for the next turn. asyncio_run and asyncio_runner_run cancel main, as for SIGINT, and return the
 * number if main ended for that; if it comes a second time they return at once.
 *
 * 0; -EINVAL for a loop that is NULL; ASYNCIO_ESTATE when it is closed.
 */
ASYNCIO_API int asyncio_loop_set_wait_hooks(asyncio_loop *loop, void (*before)(void *arg),
                                            int (*after)(void *arg), void *arg);

/* ---- Threads ------------------------------------------------------------------ */

/*
 * Makes a loop that does not run the calling thread's, as running it would: for a program whose threads take
 * turns, as those of an interpreter with one lock, that makes a loop here, runs it there, and closes it
 * elsewhere. No other thread may use the loop in this moment, but by the calls that any thread may make.
 * 0; ASYNCIO_ESTATE when it runs, in a thread other than this one, or is closed; -EINVAL for NULL.
 */
ASYNCIO_API int asyncio_loop_adopt(asyncio_loop *loop);

/* ---- The end ------------------------------------------------------------------ */

/* What a closing loop gives back: one of the pointers is not NULL. */
typedef void (*asyncio_drain)(asyncio_call *call, asyncio_timer *timer, asyncio_watch *watch, void *arg);

/*
 * Sets the function that gets back, when the loop closes, what is still the loop's: fn is called inside
 * asyncio_loop_close, or the last asyncio_loop_release, in its thread, once for each call that was queued or
 * posted, each timer and each watch that was started. Its argument is idle already, and may be freed there.
 * fn may also cancel, stop and free others, which are then not told; all else on this loop gives
 * ASYNCIO_ESTATE or false. fn NULL: they become idle in silence, as they do without this call. 0; -EINVAL
 * for a loop that is NULL; ASYNCIO_ESTATE when it is closed.
 */
ASYNCIO_API int asyncio_loop_set_drain(asyncio_loop *loop, asyncio_drain fn, void *arg);

ASYNCIO_END_DECLS

#endif
