/*
 * A growing buffer of bytes, consumed from the front: [start, end) of `data` is there. All zero is an
 * empty one without memory.
 */
#ifndef ASY_FD_BYTES_H
#define ASY_FD_BYTES_H

#include <stddef.h>

struct bytes {
    char *data;
    size_t start, end, capacity;
};

static inline size_t asy_bytes_count(const struct bytes *bytes)
{
    return bytes->end - bytes->start;
}

/* Room for n more bytes at the end, and one for a NUL. 0 or -ENOMEM. */
int asy_bytes_reserve(struct bytes *bytes, size_t n);
int asy_bytes_append(struct bytes *bytes, const void *data, size_t n);
/* Takes n off the front; an empty one starts over. */
void asy_bytes_consume(struct bytes *bytes, size_t n);
void asy_bytes_free(struct bytes *bytes);

#endif
