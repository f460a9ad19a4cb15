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

/* ---- Their parts ----------------------------------------------------------------------------- */

/* A call that is to fail in a test does so here. */
#define PASS_FAULTS(name, fault)                                                                             \
    do {                                                                                                     \
        if (ASY_FAULT(name))                                                                                 \
            return asy_fault_error(name, fault);                                                             \
    } while (0)
/* The same for a call with a descriptor, which may be one of a simulated world (world.h). */
#define PASS_WORLD(fd, name, fault, simulated)                                                               \
    do {                                                                                                     \
        if (ASY_SEAM()) {                                                                                    \
            if (asy_fault_hit(name))                                                                         \
                return asy_fault_at(fd, name, fault);                                                        \
            if (asy_sim_has(fd))                                                                             \
                return simulated;                                                                            \
        }                                                                                                    \
    } while (0)
/* Makes the call. */
#define MAKE_CALL(type, call)                                                                                \
    do {                                                                                                     \
        int saved = errno;                                                                                   \
        return (type)kernel_result((call), saved);                                                           \
    } while (0)
/* Makes a call that a signal may interrupt before it has done anything: then it is made again. */
#define MAKE_CALL_AGAIN(call)                                                                                \
    do {                                                                                                     \
        int saved = errno;                                                                                   \
        ssize_t result;                                                                                      \
        do                                                                                                   \
            result = (call);                                                                                 \
        while (UNLIKELY(result < 0) && errno == EINTR);                                                      \
        return kernel_result(result, saved);                                                                 \
    } while (0)

/* ---- The bodies ------------------------------------------------------------------------------ */

#define KERNEL(name, fault, call)                                                                            \
    do {                                                                                                     \
        PASS_FAULTS(name, fault);                                                                            \
        MAKE_CALL(long, call);                                                                               \
    } while (0)
/* For calls that return an int. */
#define KERNEL_INT(name, fault, call)                                                                        \
    do {                                                                                                     \
        PASS_FAULTS(name, fault);                                                                            \
        MAKE_CALL(int, call);                                                                                \
    } while (0)
#define KERNEL_AGAIN(name, fault, call)                                                                      \
    do {                                                                                                     \
        PASS_FAULTS(name, fault);                                                                            \
        MAKE_CALL_AGAIN(call);                                                                               \
    } while (0)
/* With a descriptor: SOCKET is for calls that return an int. */
#define SOCKET(fd, name, fault, simulated, call)                                                             \
    do {                                                                                                     \
        PASS_WORLD(fd, name, fault, simulated);                                                              \
        MAKE_CALL(int, call);                                                                                \
    } while (0)
#define SOCKET_AGAIN(fd, name, fault, simulated, call)                                                       \
    do {                                                                                                     \
        PASS_WORLD(fd, name, fault, simulated);                                                              \
        MAKE_CALL_AGAIN(call);                                                                               \
    } while (0)

#endif
