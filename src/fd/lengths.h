/*
 * Lengths that come from the program. One above SSIZE_MAX is no length of anything in memory: most often
 * it is a negative error code that was passed on by mistake.
 */
#ifndef ASY_FD_LENGTHS_H
#define ASY_FD_LENGTHS_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

static inline bool asy_is_length(size_t n)
{
    return n <= SSIZE_MAX;
}

/* Of all parts together; -EINVAL: that is none, or there are parts at NULL, or fewer than none. */
static inline ssize_t asy_parts_length(const struct iovec *parts, int count)
{
    if (count < 0 || (!parts && count))
        return -EINVAL;
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        if (!asy_is_length(parts[i].iov_len) || !asy_is_length(total += parts[i].iov_len))
            return -EINVAL;
    }
    return (ssize_t)total;
}

#endif
