/*
 * The bodies of wrappers (sys.h): past the fault seam, then the call, whose -1 becomes
 * the kernel's negative number while errno stays. Each is a whole function.
 */
#ifndef ASY_SYS_KERNEL_CALL_H
#define ASY_SYS_KERNEL_CALL_H

#include "base/compiler.h"
#include "sys/sys.h"
#include <errno.h>

/* Calls `call` with errno kept; its negative errno, or its value. */
#define KERNEL(name, error, call)                                                                            \
    do {                                                                                                     \
        if (ASY_FAULT(name))                                                                                 \
            return (error);                                                                                  \
        int saved = errno;                                                                                   \
        ssize_t result = (call);                                                                             \
        if (LIKELY(result >= 0))                                                                             \
            return result;                                                                                   \
        result = -errno;                                                                                     \
        errno = saved;                                                                                       \
        return result;                                                                                       \
    } while (0)

/* The same for calls that a signal may interrupt before they did anything. */
#define KERNEL_AGAIN(name, error, call)                                                                      \
    do {                                                                                                     \
        if (ASY_FAULT(name))                                                                                 \
            return (error);                                                                                  \
        int saved = errno;                                                                                   \
        ssize_t result;                                                                                      \
        do                                                                                                   \
            result = (call);                                                                                 \
        while (UNLIKELY(result < 0) && errno == EINTR);                                                      \
        if (LIKELY(result >= 0))                                                                             \
            return result;                                                                                   \
        result = -errno;                                                                                     \
        errno = saved;                                                                                       \
        return result;                                                                                       \
    } while (0)

#define KERNEL_INT(name, error, call)                                                                        \
    do {                                                                                                     \
        if (ASY_FAULT(name))                                                                                 \
            return (error);                                                                                  \
        int saved = errno;                                                                                   \
        int result = (call);                                                                                 \
        if (LIKELY(result >= 0))                                                                             \
            return result;                                                                                   \
        result = -errno;                                                                                     \
        errno = saved;                                                                                       \
        return result;                                                                                       \
    } while (0)

#endif
