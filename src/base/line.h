/*
 * Lines put together in a signal handler: without the C library, and cut where they become too long.
 */
#ifndef ASY_BASE_LINE_H
#define ASY_BASE_LINE_H

#include <stddef.h>
#include <stdint.h>

struct line {
    size_t used;
    char text[512];
};

static inline void line_add_byte(struct line *line, char byte)
{
    if (line->used < sizeof line->text - 1) /* the last place is the newline's */
        line->text[line->used++] = byte;
}

static inline void line_add(struct line *line, const char *text)
{
    while (*text)
        line_add_byte(line, *text++);
}

static inline void line_add_number(struct line *line, uint64_t number, unsigned base)
{
    char digits[21];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    while (at < sizeof digits)
        line_add_byte(line, digits[at++]);
}

#endif
