/*
 * A plugin that contains the library: unload_host.c loads it, and unloads it.
 */
#include <asyncio.h>
#include <stdatomic.h>
#include <unistd.h>

__attribute__((visibility("default"))) int plugin_run(void);
__attribute__((visibility("default"))) int plugin_leave(int fd, _Atomic int *returned);
__attribute__((visibility("default"))) int plugin_watch(void);
__attribute__((visibility("default"))) int plugin_shutdown(double timeout);

static intptr_t answer(void *arg)
{
    return (intptr_t)arg;
}

/* Threads of all sorts, which then have nothing to do; and what this thread keeps until its end. */
ASYNC(use_threads)
{
    static asyncio_contextvar variable = ASYNCIO_CONTEXTVAR_INIT("variable", 0);
    struct addrinfo *addresses = NULL;
    struct stat status;
    asyncio_contextvar_set(&variable, &status, NULL);
    if (asyncio_getaddrinfo("localhost", "80", NULL, &addresses) == 0)
        freeaddrinfo(addresses);
    asyncio_stat("/proc/self/stat", &status);
    asyncio_executor *executor = asyncio_executor_new(2);
    asyncio_await(asyncio_run_in_executor(executor, answer, NULL, NULL));
    asyncio_executor_release(executor);
    return asyncio_to_thread(answer, (void *)7);
}

int plugin_run(void)
{
    return (int)asyncio_run(use_threads());
}

/* ---- A function that does not return yet ------------------------------------------------------- */

struct left {
    int fd;
    _Atomic int *returned;
};

static intptr_t wait_for_byte(void *arg)
{
    struct left *left = arg;
    char byte;
    ssize_t n = read(left->fd, &byte, 1);
    atomic_store(left->returned, 1);
    return n;
}

ASYNC(leave_one, struct left *, left)
{
    asyncio_release(asyncio_run_in_executor(NULL, wait_for_byte, left, NULL));
    return 0;
}

static void ignore(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

int plugin_leave(int fd, _Atomic int *returned)
{
    static struct left left;
    asyncio_runner runner;
    asyncio_run_options options = {.shutdown_grace = 0.01};
    left = (struct left){fd, returned};
    asyncio_runner_init(&runner, &options);
    asyncio_loop_set_exception_handler(asyncio_runner_get_loop(&runner), ignore, NULL);
    int result = (int)asyncio_runner_run(&runner, leave_one(&left));
    asyncio_runner_close(&runner);
    return result;
}

/* A loop that is watched, and never closed: so the watchdog stays. */
int plugin_watch(void)
{
    static asyncio_runner runner;
    asyncio_run_options options = {.watchdog = 0.02};
    asyncio_runner_init(&runner, &options);
    return (int)asyncio_runner_run(&runner, use_threads());
}

int plugin_shutdown(double timeout)
{
    return asyncio_shutdown_threads(timeout);
}
