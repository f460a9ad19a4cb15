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
    char line[192];
    int n = snprintf(line, sizeof line, "asyncio: ASYNCIO_BACKEND=%.40s: %s; using epoll\n", name, why);
    if (n > 0)
        asy_sys_write(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* Does the environment ask for io_uring? */
static bool is_io_uring_asked_for(void)
{
    const char *name = secure_getenv("ASYNCIO_BACKEND");
    if (!name || !*name || !strcmp(name, "auto") || !strcmp(name, "epoll"))
        return false;
    if (!strcmp(name, "io_uring"))
        return true;
    warn_about(name, "is not a backend (auto, epoll, io_uring)");
    return false;
}

const char *asy_backend_denial(int err)
{
    switch (err) {
    case -EPERM:
        return "io_uring is denied (EPERM): kernel.io_uring_disabled or a container's seccomp profile";
    case -EACCES:
        return "io_uring is denied (EACCES): a security module";
    case -ENOSYS:
        return "there is no io_uring (ENOSYS): a kernel before 6.1, or a container's seccomp profile";
    case -EINVAL:
        return "io_uring is not all there (EINVAL)";
    default:
        return NULL;
    }
}

/* The environment only asks: where it cannot be met, epoll serves. */
static int open_as_asked(struct asy_backend **out)
{
    if (!is_io_uring_asked_for())
        return asy_backend_epoll.open(out);
    int err = asy_backend_io_uring.open(out);
    if (!err)
        return 0;
    const char *why = asy_backend_denial(err);
    warn_about("io_uring", why ? why : "memory or descriptors are short");
    return asy_backend_epoll.open(out);
}

int asy_backend_open(asyncio_backend wanted, asyncio_clock clock, struct asy_backend **out)
{
    if (clock == ASYNCIO_CLOCK_VIRTUAL)
        return asy_backend_sim.open(out);
    if (wanted == ASYNCIO_BACKEND_IO_URING)
        return asy_backend_io_uring.open(out);
    return wanted == ASYNCIO_BACKEND_AUTO ? open_as_asked(out) : asy_backend_epoll.open(out);
}
