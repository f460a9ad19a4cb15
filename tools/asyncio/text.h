/*
 * Text and tables for the command: a string that grows, and a table from 64-bit numbers to 32-bit ones. A
 * command that has no memory ends with a line on stderr, so nothing here fails.
 */
#ifndef TOOL_TEXT_H
#define TOOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Memory ----------------------------------------------------------------- */
void *must_alloc(size_t bytes);
char *must_copy(const char *text);
/* Room for at least `count` + 1 elements. */
void *must_grow(void *array, size_t *capacity, size_t count, size_t element_bytes);
#define GROW(array, capacity, count) ((array) = must_grow((array), &(capacity), (count), sizeof *(array)))

/* ---- Text ------------------------------------------------------------------- */
struct text {
    char *at; /* NULL while it is empty */
    size_t length, capacity;
};
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* From outside: what a terminal would obey, and what is not UTF-8, becomes '?'. */
void text_add_clean(struct text *text, const char *words);
/* How many characters it has. */
size_t text_columns(const struct text *text);
void text_clear(struct text *text);
void text_free(struct text *text);
static inline const char *text_of(const struct text *text)
{
    return text->at ? text->at : "";
}

/* ---- Tables ----------------------------------------------------------------- */
struct table {
    uint64_t *keys;
    uint32_t *values; /* + 1; 0: the place is free */
    size_t count, capacity;
};
/* UINT32_MAX: there is none. */
uint32_t table_find(const struct table *table, uint64_t key);
void table_put(struct table *table, uint64_t key, uint32_t value);
void table_free(struct table *table);

#endif
