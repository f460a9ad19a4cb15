/*
 * The chooser: the one place that knows the backends by name.
 */
#include "backend/backend.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void warn_about(const char *name, const char *why)
{
    char line[128];
    int n = snprintf(line, sizeof line, "asyncio: ASYNCIO_BACKEND=%.40s %s; using epoll\n", name, why);
    if (n > 0)
        asy_sys_write(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* The environment only asks: where it cannot be met, epoll serves. */
static void heed_environment(void)
{
    const char *name = secure_getenv("ASYNCIO_BACKEND");
    if (!name || !*name || !strcmp(name, "auto") || !strcmp(name, "epoll"))
        return;
    warn_about(name,
               strcmp(name, "io_uring") ? "is not a backend (auto, epoll, io_uring)" : "is not available");
}

int asy_backend_open(asyncio_backend wanted, asyncio_clock clock, struct asy_backend **out)
{
    if (clock == ASYNCIO_CLOCK_VIRTUAL)
        return asy_backend_sim.open(out);
    if (wanted == ASYNCIO_BACKEND_IO_URING)
        return -ENOSYS;
    if (wanted == ASYNCIO_BACKEND_AUTO)
        heed_environment();
    return asy_backend_epoll.open(out);
}
