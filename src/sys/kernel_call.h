/*
 * The bodies of wrappers (sys.h). Each is a whole function: it passes the fault seam, makes the call, and
 * turns libc's -1 into the kernel's negative number. errno stays as it was: another task may be about to
 * read its own.
 */
#ifndef ASY_SYS_KERNEL_CALL_H
#define ASY_SYS_KERNEL_CALL_H

#include "base/compiler.h"
#include "sys/sys.h"
#include <errno.h>

/* Turns what libc returned into the kernel's result, and puts back errno as it was before the call. */
static inline long kernel_result(long result, int saved_errno)
{
    if (LIKELY(result >= 0))
        return result;
    result = -errno;
    errno = saved_errno;
    return result;
}

#define KERNEL(name, fault, call)                                                                            \
    do {                                                                                                     \
        if (ASY_FAULT(name))                                                                                 \
            return asy_fault_error(name, fault);                                                             \
        int saved = errno;                                                                                   \
        return kernel_result((call), saved);                                                                 \
    } while (0)

/* The same for calls that return an int. */
#define KERNEL_INT(name, fault, call)                                                                        \
    do {                                                                                                     \
        if (ASY_FAULT(name))                                                                                 \
            return asy_fault_error(name, fault);                                                             \
        int saved = errno;                                                                                   \
        return (int)kernel_result((call), saved);                                                            \
    } while (0)

/* The same for calls that a signal may interrupt before they have done anything: they are made again. */
#define KERNEL_AGAIN(name, fault, call)                                                                      \
    do {                                                                                                     \
        if (ASY_FAULT(name))                                                                                 \
            return asy_fault_error(name, fault);                                                             \
        int saved = errno;                                                                                   \
        ssize_t result;                                                                                      \
        do                                                                                                   \
            result = (call);                                                                                 \
        while (UNLIKELY(result < 0) && errno == EINTR);                                                      \
        return kernel_result(result, saved);                                                                 \
    } while (0)

/*
 * The same for calls with a descriptor, which may be one of a simulated world (world.h). SOCKET is for calls
 * that return an int, SOCKET_AGAIN for those that are made again.
 */
#define SOCKET(fd, name, fault, simulated, call)                                                             \
    do {                                                                                                     \
        if (ASY_SEAM()) {                                                                                    \
            if (asy_fault_hit(name))                                                                         \
                return asy_fault_at(fd, name, fault);                                                        \
            if (asy_sim_has(fd))                                                                             \
                return simulated;                                                                            \
        }                                                                                                    \
        int saved = errno;                                                                                   \
        return (int)kernel_result((call), saved);                                                            \
    } while (0)

#define SOCKET_AGAIN(fd, name, fault, simulated, call)                                                       \
    do {                                                                                                     \
        if (ASY_SEAM()) {                                                                                    \
            if (asy_fault_hit(name))                                                                         \
                return asy_fault_at(fd, name, fault);                                                        \
            if (asy_sim_has(fd))                                                                             \
                return simulated;                                                                            \
        }                                                                                                    \
        int saved = errno;                                                                                   \
        ssize_t result;                                                                                      \
        do                                                                                                   \
            result = (call);                                                                                 \
        while (UNLIKELY(result < 0) && errno == EINTR);                                                      \
        return kernel_result(result, saved);                                                                 \
    } while (0)

#endif
