/*
 * Looking inside: what tasks do, who waits for whom, and what a loop does in numbers.
 *
 * From outside the same is told by the command `asyncio ps` and its like, without a line in the program.
 */
#ifndef ASYNCIO_INSPECT_H
#define ASYNCIO_INSPECT_H

#include <asyncio/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

ASYNCIO_BEGIN_DECLS

/* ---- Call graphs ------------------------------------------------------------------ */

/* One call on a task's stack. */
typedef struct asyncio_call_frame {
    const void *pc;       /* where it goes on */
    const char *function; /* NULL: unknown, as those that the program does not export */
    const char *object;   /* the file of the program or library, or NULL. Valid while that is loaded */
    size_t offset;        /* of pc in the function; without one, in the object */
} asyncio_call_frame;

/* A snapshot of a task and of those that wait for it. It holds no task. */
typedef struct asyncio_call_graph asyncio_call_graph;

/*
 * Captures the calls that a task is in and, by awaits, the tasks that wait for it, each with its calls.
 * Waiting are those in await, gather, wait, wait_for, shield and as_completed, and those in a group whose
 * child the task is. NULL: the running task. Task's thread. Does not wait. Returns NULL without memory, and
 * if no task runs. The first capture may load the unwinder, which takes stack; where the C library has none
 * (musl), there are no frames. (capture_call_graph)
 */
ASYNCIO_API asyncio_call_graph *asyncio_capture_call_graph(asyncio_task *task);
/* The calls, the innermost first, those of the library among them; valid until the release. Returns how
 * many. None: the task has not begun, or has ended. */
ASYNCIO_API size_t asyncio_call_graph_frames(const asyncio_call_graph *graph,
                                             const asyncio_call_frame **frames);
/* The graphs of the tasks that wait for this one, and how many there are. A task that was met before has a
 * graph with a name alone, so that to follow them comes to an end where tasks wait in a circle. They belong
 * to the root. */
ASYNCIO_API size_t asyncio_call_graph_awaited_by(const asyncio_call_graph *graph,
                                                 const asyncio_call_graph *const **callers);
/* The task's name. */
ASYNCIO_API const char *asyncio_call_graph_name(const asyncio_call_graph *graph);
/* Frees a graph, by its root, with all in it. Accepts NULL. Any thread. */
ASYNCIO_API void asyncio_call_graph_release(asyncio_call_graph *graph);

/* Prints a task, its calls, and the tasks that wait for it, as a tree. NULL: the running task. Task's thread.
 * Does not wait. (print_call_graph) */
ASYNCIO_API void asyncio_print_call_graph(asyncio_task *task, FILE *file);
/* Prints a line for each task of the running loop, with what it waits for; where none runs, of all loops of
 * this thread. Does not wait. */
ASYNCIO_API void asyncio_print_tasks(FILE *file);

/*
 * Writes a line for each task of all loops of the process to a descriptor: its name, what it waits for, and
 * the address where it does. For signal handlers, and for a program that is about to end: async-signal-safe,
 * in any thread, at any time, whatever the loops are in the middle of. It reads by process_vm_readv, so that
 * what is gone does not crash it; in a list that changes meanwhile it stops with a word. In debug mode
 * SIGQUIT does this on stderr, unless the program has changed that signal's action; the program goes on.
 */
ASYNCIO_API void asyncio_dump_signalsafe(int fd);

/* ---- The watchdog ----------------------------------------------------------------- */

/*
 * A loop that is held: one task or callback does not give way. Where it computes, a signal asks its thread
 * which calls it is in; where it sits in a system call, there is no signal, as that would end some of these
 * early, and the only frame is the place of the call. All texts are valid until the handler returns.
 */
typedef struct asyncio_stall {
    uint64_t loop;         /* its number, as `asyncio ps` and dumps have it */
    double seconds;        /* for so long, at the least */
    const char *task;      /* the name of the task that holds it; NULL: a callback, or unknown */
    const char *coroutine; /* of that task; or NULL */
    const char *file;      /* where the task was made; or NULL */
    int line;
    char state;                /* of the thread: 'R' it computes, 'S' or 'D' it sleeps; '\0' unknown */
    int syscall;               /* the number of the system call that it is in; -1: none, or unknown */
    const char *words;         /* what it does: "it computes", "it is in read(5), pipe:[4711]" */
    const void *const *frames; /* the calls that it is in, the innermost first */
    size_t frame_count;        /* 0: unknown */
    bool over;                 /* the loop goes on, after so many seconds; the rest is empty */
    uintptr_t reserved[4];
} asyncio_stall;

/*
 * Sets the function that is told of held loops, in place of lines on stderr; NULL: those again.
 *
 * A loop is watched if its run option `watchdog` says so, and in debug mode: a thread looks four times within
 * that limit whether it has gone on. It tells once that the loop is held, 1 to 1.5 limits after that began
 * (up to a second later if the process was idle before), and once that it goes on. It says nothing while a
 * debugger holds the process. Time in which the process was stopped, or had no processor, does not count.
 * A loop that waits for events is not held; nor is one inside wait hooks.
 *
 * fn runs on that thread. It must not use the loop, nor wait for the loop's thread: the end of the last loop
 * that is watched waits for fn. The same fn may be called about several loops, one call at a time. The signal
 * is SIGURG, and it is sent only if the program has no action of its own for it.
 *
 * Any thread. Returns when the old function does not run any more. 0; ASYNCIO_ESTATE inside such a function.
 */
ASYNCIO_API int asyncio_set_stall_handler(void (*fn)(const asyncio_stall *stall, void *arg), void *arg);

/* ---- Metrics ---------------------------------------------------------------------- */

/*
 * What a loop does. Times are in seconds; the last four are about the time since this loop's last call.
 *
 * A lag is how long something that came was not looked at: the time between two polls of the loop. The
 * percentiles are exact to 7 percent. Steps are not timed one by one: that would cost more than a step. The
 * loop looks at the clock after 1 to 64 of them, and after each one while they are long and it has timers or
 * descriptors to look after. So longest_step is exact where steps are long one after the other; a long one
 * amid short ones, or where tasks wait for each other alone, may have those beside it in it. The running
 * step counts as far as it has come. Under a virtual clock all four are in its time, which stands still
 * during a step.
 */
typedef struct asyncio_metrics {
    size_t tasks;       /* that have not ended */
    size_t ready;       /* tasks and callbacks that could run now */
    size_t timers;      /* sleeps, timeouts and delayed calls */
    size_t descriptors; /* that it watches, those of the library's own among them */
    uint64_t steps;     /* of tasks, so far: how often one was resumed */
    uint64_t polls;     /* so far: how often it looked for events and timers */
    double longest_step, lag_p50, lag_p99, lag_max;
    uintptr_t reserved[4];
} asyncio_metrics;

/* Reads the loop's numbers, which are always counted, and begins anew with the last four. Loop's thread,
 * whether the loop runs or not. Does not wait. 0; -EINVAL for NULL; ASYNCIO_ESTATE for a closed loop. */
ASYNCIO_API int asyncio_loop_get_metrics(asyncio_loop *loop, asyncio_metrics *metrics);

/* ---- The backend ------------------------------------------------------------------ */

/*
 * Tells why the library works as it does in this process, in words for people: whether io_uring carries
 * out calls on files, or threads, whether io_uring serves streams, or epoll, and why. Such as: "io_uring
 * carries out calls on files; io_uring serves streams, without send", or "threads carry out calls on files:
 * io_uring is denied (EPERM): kernel.io_uring_disabled or a container's seccomp profile; epoll serves
 * streams: ASYNCIO_BACKEND does not ask for io_uring". The environment chooses by ASYNCIO_FILES=auto,
 * threads or ring, ASYNCIO_BACKEND=auto, epoll or io_uring, and ASYNCIO_URING_WITHOUT. A loop whose options
 * name a backend has that one, which is not told here. The first call may try io_uring out, which takes a
 * fraction of a millisecond. Any thread, also without a loop. Does not suspend. The text is the thread's,
 * and stands until it asks again.
 */
ASYNCIO_API const char *asyncio_backend_why(void);

ASYNCIO_END_DECLS

#endif
