/*
 * Keepalive and the time that a peer may take. See socket_options.h.
 */
#include "fd/socket_options.h"
#include "asyncio/messages.h"
#include "sys/net.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* A peer that is asked so often, and does not answer, is gone. */
#define QUESTIONS 5
#define KEEPALIVE_MAX_S 32767 /* the kernel takes no more */

int asy_check_seconds(double close_timeout, double keepalive, double user_timeout)
{
    const char *wrong = isnan(close_timeout)  ? "close_timeout"
                        : isnan(keepalive)    ? "keepalive"
                        : isnan(user_timeout) ? "user_timeout"
                                              : NULL;
    return wrong ? (int)asyncio_raise(-EINVAL, "the option %s is not a number", wrong) : 0;
}

static int set_number(int fd, int level, int name, int value)
{
    return asy_sys_setsockopt(fd, level, name, &value, sizeof value);
}

static int set_keepalive(int fd, double seconds)
{
    int idle = (int)ceil(fmin(seconds, KEEPALIVE_MAX_S));
    int interval = (idle + QUESTIONS - 1) / QUESTIONS;
    int err = set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
    if (!err)
        err = set_number(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
    if (!err)
        err = set_number(fd, IPPROTO_TCP, TCP_KEEPCNT, QUESTIONS);
    return err ? err : set_number(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int asy_set_tcp_options(int fd, double keepalive, double user_timeout, const char **step)
{
    int err = 0;
    if (keepalive > 0 && !isinf(keepalive)) {
        *step = "keepalive";
        err = set_keepalive(fd, keepalive);
    }
    if (!err && user_timeout > 0) {
        *step = "user_timeout";
        double ms = ceil(fmin(user_timeout * 1000, INT_MAX));
        err = set_number(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)ms);
    }
    return err;
}

int asy_set_up_socket(int fd, int (*setup)(int fd, void *arg), void *arg, const char **step)
{
    *step = "setup";
    int err = setup ? setup(fd, arg) : 0;
    return err < 0 ? err : 0;
}
