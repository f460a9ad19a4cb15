/*
 * Traces: what a loop did last, in a file that outlives the process. It costs a few nanoseconds a step, so a
 * program in production can have one. `asyncio trace FILE` turns it into text, figures, or a picture for
 * Perfetto (https://ui.perfetto.dev). Python has no such thing.
 *
 *     ASYNCIO_TRACE=/tmp/server.trace ./server
 *     asyncio trace /tmp/server.trace -o server.pftrace
 *
 * The environment's ASYNCIO_TRACE=FILE[:RECORDS] begins a trace with each loop that is made: the first one's
 * is FILE, the others' are FILE.2, FILE.3 and so on, by the loops' numbers. If the file cannot be made, a
 * line on stderr says why, and the program goes on without.
 *
 * The file is a ring in shared memory: nothing is flushed, and nothing is lost when the process crashes or is
 * killed. What the last `records` say is there: each step of a task and what it waited in then, who woke it,
 * tasks made and ended, requests to cancel, callbacks, polls and marks. Names and numbers are written, no
 * data of the program. Nobody may shorten the file while the loop runs.
 */
#ifndef ASYNCIO_TRACE_H
#define ASYNCIO_TRACE_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* Begins a trace of the loop in a new file that only its owner may read. `file` NULL: asyncio-PID.trace in
 * $XDG_RUNTIME_DIR, or else in /dev/shm; asyncio-PID.2.trace and so on if that one is there. Best is a file
 * in memory (tmpfs). `records` is how many the ring has: a power of two, at most 2^22, each of 32 bytes; 0:
 * 16384. A trace that runs already ends, unless an error is returned. The trace ends with the loop.
 *
 * Under a virtual clock the times are the virtual ones, and nothing in the file differs between two runs with
 * the same seed.
 *
 * Loop's thread. Does not wait. 0; -EINVAL: no loop, or no such number of records; -EEXIST: there is a file
 * or link of that name; ASYNCIO_ESTATE: the loop is closed, or the parent process's; -ENOSPC and others of
 * open(2) and write(2). */
ASYNCIO_API int asyncio_loop_trace(asyncio_loop *loop, const char *file, size_t records);

/* Ends the loop's trace; the file stays. Nothing happens if there is none. Accepts NULL. Loop's thread. Does
 * not wait. */
ASYNCIO_API void asyncio_loop_trace_stop(asyncio_loop *loop);

/* Puts a mark into the trace of the loop that runs in this thread, in the running task's slice. The text is
 * static: it stays, and is the same whenever the same pointer is given. Without a trace, or with NULL,
 * nothing happens. Any thread. Does not wait. */
ASYNCIO_API void asyncio_trace_mark(const char *text);

ASYNCIO_END_DECLS

#endif
