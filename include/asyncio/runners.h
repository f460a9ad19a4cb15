/*
 * Running: from a coroutine to a program.
 */
#ifndef ASYNCIO_RUNNERS_H
#define ASYNCIO_RUNNERS_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

typedef enum asyncio_backend {
    ASYNCIO_BACKEND_AUTO,
    ASYNCIO_BACKEND_EPOLL,
    ASYNCIO_BACKEND_IO_URING
} asyncio_backend;
typedef enum asyncio_clock { ASYNCIO_CLOCK_REAL, ASYNCIO_CLOCK_VIRTUAL } asyncio_clock;

/* Options of a run and of a loop: all zero means the defaults; switches are 0 default, 1 on, -1 off. */
typedef struct asyncio_run_options {
    int debug;               /* default: the environment's ASYNCIO_DEBUG */
    asyncio_backend backend; /* default: the environment's ASYNCIO_BACKEND, else auto: epoll */
    size_t stack_size;       /* of each task, in bytes; 0: 256 KiB, committed as touched */
    int eager;               /* tasks run to their first wait inside create_task (tasks.h); default off */
    int handle_sigint;       /* default: on, in the main thread, over the default action */
    int handle_sigterm;      /* default: off */
    double shutdown_grace;   /* seconds that leftover tasks get to end; 0: 10; < 0: none */
    asyncio_clock clock;     /* virtual: time jumps to the next timer when nothing is ready */
    uint64_t seed;           /* of the order in which ready tasks run; 0: FIFO, or ASYNCIO_SEED */
    int overflow_report;     /* name the task whose stack overflowed; default: on, over the default action */
    double watchdog;         /* seconds for which a loop may be held, see inspect.h; 0: none, in debug mode
                              * 0.5; < 0: none there, either */
    uintptr_t reserved[4];
} asyncio_run_options;

/*
 * Runs `main` as the first task of a new loop until it ends. Then cancels the tasks that are left, waits
 * for them (at most shutdown_grace), closes the loop, and returns main's result. Takes over the coroutine
 * on every path. (run)
 *
 * The first SIGINT (and SIGTERM, where handled) cancels main; if main ends because of it, the result is
 * -EINTR. A second signal restores the default action and is raised again. Errors: main's own;
 * ASYNCIO_ESTATE if a loop runs in this thread; -ENOMEM, -EMFILE, -ENOSYS when no loop could be made;
 * -EDEADLK when a virtual clock has nothing to wait for.
 */
ASYNCIO_API intptr_t asyncio_run(asyncio_coro *main);
ASYNCIO_API intptr_t asyncio_run_with(asyncio_coro *main, const asyncio_run_options *options);

/* Runs a coroutine as a whole program, as in `return asyncio_main(...)`. Handles SIGINT and SIGTERM, prints
 * an error with its message on stderr, and returns the exit status: 0 for a result >= 0, else 1; 130 when
 * SIGINT ended it, and 143 when SIGTERM did. */
ASYNCIO_API int asyncio_main(asyncio_coro *main);

/* A runner, for several runs on one loop, in the caller's storage. All fields are private. (Runner) */
typedef struct asyncio_runner {
    asyncio_loop *asyncio_loop_;
    asyncio_run_options asyncio_options_;
    asyncio_context *asyncio_context_;
    uintptr_t asyncio_begun_;
    uintptr_t asyncio_reserved_[6];
} asyncio_runner;

/* Makes a runner and its loop. 0, or a negative error as asyncio_run. `options` may be NULL. */
ASYNCIO_API int asyncio_runner_init(asyncio_runner *runner, const asyncio_run_options *options);
/* Runs one main task to its end. Tasks that it leaves go on in the next run, where the context variables
 * that it has set are still set. */
ASYNCIO_API intptr_t asyncio_runner_run(asyncio_runner *runner, asyncio_coro *main);
/* Returns the runner's loop, borrowed; NULL once it is closed. */
ASYNCIO_API asyncio_loop *asyncio_runner_get_loop(asyncio_runner *runner);
/* Closes a runner and its loop: cancels the tasks that are left, waits for them (at most shutdown_grace),
 * and closes the loop. 0, also when it is closed already; ASYNCIO_ESTATE inside a run. */
ASYNCIO_API int asyncio_runner_close(asyncio_runner *runner);

ASYNCIO_END_DECLS

#endif
