/*
 * Reading what may be gone, or changes meanwhile: the kernel copies, and refuses where there is no memory.
 * Async-signal-safe.
 */
#ifndef ASY_CORE_PEEK_H
#define ASY_CORE_PEEK_H

#include "sys/sys.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Copies what `from` points to. False: it is gone. */
#define PEEK(to, from) asy_sys_peek((to), (from), sizeof *(to))

#define ASY_PEEK_PART ((size_t)64)

/* Copies a text, as far as it is there and `bytes` have room. Many bytes are copied at a time, but none
 * beyond the end of a page, where memory may end. Control characters do not reach a terminal. */
static inline void asy_peek_text(char *to, size_t bytes, const char *text)
{
    char part[ASY_PEEK_PART];
    size_t used = 0;
    while (text) {
        size_t count = ASY_PEEK_PART - (uintptr_t)text % ASY_PEEK_PART; /* a page is a multiple of a part */
        if (!asy_sys_peek(part, text, count))
            break;
        for (size_t i = 0; i < count && part[i] && used < bytes - 1; i++)
            to[used++] = (unsigned char)part[i] < ' ' ? '?' : part[i];
        if (memchr(part, '\0', count) || used == bytes - 1)
            break;
        text += count;
    }
    to[used] = '\0';
}

#endif
