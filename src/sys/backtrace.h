/*
 * Stacks in this process: code addresses, and what they are called. By the C library's own unwinder; where
 * that has none (musl), all stacks are empty.
 */
#ifndef ASY_SYS_BACKTRACE_H
#define ASY_SYS_BACKTRACE_H

#include <stddef.h>

#define ASY_FRAMES_MAX 128

/* The code addresses of the calls that the caller is in, the innermost first. How many there are. The first
 * call may load the unwinder, for which it takes memory. */
int asy_sys_backtrace(void **pcs, int most);
/* The same of a context that was left (sys/context.h). `most` is at most ASY_FRAMES_MAX. */
int asy_sys_backtrace_at(void *context, void **pcs, int most);

struct asy_symbol {
    const char *function; /* NULL: none is known */
    const char *object;   /* the file; NULL: the address is no code's */
    const void *base;     /* where that was loaded */
    size_t offset;        /* in the function, or else in the object */
};
struct asy_symbol asy_sys_find_symbol(const void *pc);

#endif
