/*
 * A growing buffer of bytes. See bytes.h.
 */
#include "fd/bytes.h"
#include "asyncio/types.h"
#include "base/assert.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdint.h>
#include <string.h>

#define PAGE_BYTES 4096
/* Less than this has a block that the allocator keeps at hand. */
#define SMALL_BYTES 1024

int asy_bytes_reserve(struct bytes *bytes, size_t n)
{
    size_t count = asy_bytes_count(bytes);
    if (bytes->capacity - bytes->end > n && bytes->data)
        return 0;
    if (bytes->data && bytes->start >= count && bytes->capacity - count > n) {
        /* More than half is consumed: moving is cheap, and makes the room. */
        memcpy(bytes->data, bytes->data + bytes->start, count);
        bytes->start = 0;
        bytes->end = count;
        return 0;
    }
    ASY_ASSERT(bytes->start <= bytes->end && bytes->end <= bytes->capacity);
    if (n >= SIZE_MAX / 2 - count)
        return -ENOMEM;
    /* Twice as much as before, so that a long one is not moved too often; or what is needed: little, or full
     * pages. */
    size_t capacity = bytes->capacity && count ? bytes->capacity * 2
                      : n < SMALL_BYTES        ? SMALL_BYTES
                                               : PAGE_BYTES;
    if (capacity <= count + n)
        capacity = (count + n + PAGE_BYTES) & ~(size_t)(PAGE_BYTES - 1);
    char *data = asy_sys_alloc(capacity);
    if (!data)
        return -ENOMEM;
    if (count)
        memcpy(data, bytes->data + bytes->start, count);
    asy_sys_free(bytes->data);
    *bytes = (struct bytes){.data = data, .end = count, .capacity = capacity};
    return 0;
}

int asy_bytes_append(struct bytes *bytes, const void *data, size_t n)
{
    int err = asy_bytes_reserve(bytes, n);
    if (err)
        return err;
    if (n)
        memcpy(bytes->data + bytes->end, data, n);
    bytes->end += n;
    return 0;
}

void asy_bytes_consume(struct bytes *bytes, size_t n)
{
    bytes->start += n;
    if (bytes->start < bytes->end)
        return;
    ASY_ASSERT(bytes->start == bytes->end);
    bytes->start = bytes->end = 0;
}

void asy_bytes_free(struct bytes *bytes)
{
    asy_sys_free(bytes->data);
    *bytes = (struct bytes){0};
}

void asyncio_buffer_destroy(asyncio_buffer *buffer)
{
    if (!buffer)
        return;
    asy_sys_free(buffer->data);
    *buffer = (asyncio_buffer){0};
}
