/*
 * The chooser: the one place that knows the backends by name.
 */
#include "backend/backend.h"
#include "asyncio/inspect.h"
#include "backend/uring.h"
#include "base/compiler.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void warn_about(const char *name, const char *why)
{
    char line[256];
    int n = snprintf(line, sizeof line, "asyncio: ASYNCIO_BACKEND=%.40s: %s; using epoll\n", name, why);
    if (n > 0)
        asy_sys_write(STDERR_FILENO, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

enum wish { WISH_NONE, WISH_IO_URING, WISH_UNKNOWN };

static enum wish read_wish(const char **name)
{
    *name = secure_getenv("ASYNCIO_BACKEND");
    if (!*name || !**name || !strcmp(*name, "auto") || !strcmp(*name, "epoll"))
        return WISH_NONE;
    return strcmp(*name, "io_uring") ? WISH_UNKNOWN : WISH_IO_URING;
}

/* Does the environment ask for io_uring? */
static bool is_io_uring_asked_for(void)
{
    const char *name;
    enum wish wish = read_wish(&name);
    if (wish == WISH_UNKNOWN)
        warn_about(name, "is not a backend (auto, epoll, io_uring)");
    return wish == WISH_IO_URING;
}

const char *asy_backend_denial(int err)
{
    static const int denials[] = {-EPERM, -EACCES, -ENOSYS, -EINVAL, -ENOTSUP, -EIO};
    for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++)
        if (denials[i] == err)
            return asy_uring_words(err);
    return NULL;
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

/* ---- In words ---------------------------------------------------------------------------------- */

static const char *const features[] = {"receive", "send"};
#define FEATURES (sizeof features / sizeof features[0])

/* What the environment takes away from streams. */
static void tell_masks(char *text, size_t room, size_t n)
{
    const char *link = ", without";
    for (size_t i = 0; i < FEATURES; i++) {
        if (asy_uring_may(features[i]))
            continue;
        n += (size_t)snprintf(text + n, room - n, "%s %s", link, features[i]);
        link = " and";
    }
}

static void tell_streams(char *text, size_t room)
{
    const char *name;
    enum wish wish = read_wish(&name);
    int err = wish == WISH_IO_URING ? asy_uring_check() : 0;
    if (wish == WISH_NONE)
        snprintf(text, room, "epoll serves streams: ASYNCIO_BACKEND does not ask for io_uring");
    else if (wish == WISH_UNKNOWN)
        snprintf(text, room, "epoll serves streams: ASYNCIO_BACKEND is not auto, epoll or io_uring");
    else if (err)
        snprintf(text, room, "epoll serves streams: %s", asy_uring_words(err));
    else if (asy_uring_call_ns() < ASY_URING_PAYS_FROM_NS)
        snprintf(text, room,
                 "io_uring serves streams as epoll does: a system call costs %u ns, which is little",
                 asy_uring_call_ns());
    else
        tell_masks(text, room, (size_t)snprintf(text, room, "io_uring serves streams"));
}

const char *asyncio_backend_why(void)
{
    static THREAD_LOCAL char text[384];
    const char *why = asy_uring_why_no_files();
    int n = why ? snprintf(text, sizeof text, "threads carry out calls on files: %s; ", why)
                : snprintf(text, sizeof text, "io_uring carries out calls on files; ");
    tell_streams(text + n, sizeof text - (size_t)n);
    return text;
}
