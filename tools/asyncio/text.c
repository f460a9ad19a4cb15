/*
 * Text and tables. See text.h.
 */
#include "text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void end_without_memory(void)
{
    fputs("asyncio: out of memory\n", stderr);
    exit(5);
}

void *must_alloc(size_t bytes)
{
    void *block = calloc(1, bytes ? bytes : 1);
    if (!block)
        end_without_memory();
    return block;
}

char *must_copy(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        end_without_memory();
    return copy;
}

void *must_grow(void *array, size_t *capacity, size_t count, size_t element_bytes)
{
    if (count < *capacity)
        return array;
    size_t wanted = count < 8 ? 16 : count * 2;
    array = wanted > SIZE_MAX / element_bytes ? NULL : realloc(array, wanted * element_bytes);
    if (!array)
        end_without_memory();
    *capacity = wanted;
    return array;
}

/* ---- Text ------------------------------------------------------------------- */

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    GROW(text->at, text->capacity, text->length + (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(text->at + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

/* The length of a whole UTF-8 sequence; 0: these bytes are none. */
static size_t sequence_length(const unsigned char *at)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : 0;
    if (at[0] >= 0xf0 && at[0] < 0xf5)
        length = 4;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool is_overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool is_outside = (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf4 && at[1] >= 0x90);
    return is_overlong || is_outside ? 0 : length;
}

/* Terminals obey the controls of Latin-1, U+0080 to U+009F, too. */
static bool is_control(const unsigned char *at)
{
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

static void add_byte(struct text *text, char byte)
{
    GROW(text->at, text->capacity, text->length + 1);
    text->at[text->length++] = byte;
    text->at[text->length] = '\0';
}

void text_add_clean(struct text *text, const char *words)
{
    for (const unsigned char *at = (const unsigned char *)words; *at;) {
        size_t length = sequence_length(at);
        if (!length || is_control(at))
            add_byte(text, '?');
        for (size_t i = 0; i < length && !is_control(at); i++)
            add_byte(text, (char)at[i]);
        at += length ? length : 1;
    }
}

size_t text_columns(const struct text *text)
{
    size_t columns = 0;
    for (size_t i = 0; i < text->length; i++)
        columns += (text->at[i] & 0xc0) != 0x80;
    return columns;
}

void text_clear(struct text *text)
{
    text->length = 0;
    if (text->at)
        text->at[0] = '\0';
}

void text_free(struct text *text)
{
    free(text->at);
    *text = (struct text){0};
}

/* ---- Tables ----------------------------------------------------------------- */

static size_t place_of(const struct table *table, uint64_t key)
{
    uint64_t mixed = key * UINT64_C(0x9e3779b97f4a7c15);
    size_t place = (size_t)(mixed >> 20) & (table->capacity - 1);
    while (table->values[place] && table->keys[place] != key)
        place = (place + 1) & (table->capacity - 1);
    return place;
}

uint32_t table_find(const struct table *table, uint64_t key)
{
    return table->count ? table->values[place_of(table, key)] - 1 : UINT32_MAX;
}

static void enlarge_table(struct table *table)
{
    struct table larger = {.capacity = table->capacity ? table->capacity * 2 : 64};
    larger.keys = must_alloc(larger.capacity * sizeof *larger.keys);
    larger.values = must_alloc(larger.capacity * sizeof *larger.values);
    for (size_t i = 0; i < table->capacity; i++) {
        if (!table->values[i])
            continue;
        size_t place = place_of(&larger, table->keys[i]);
        larger.keys[place] = table->keys[i];
        larger.values[place] = table->values[i];
    }
    larger.count = table->count;
    table_free(table);
    *table = larger;
}

void table_put(struct table *table, uint64_t key, uint32_t value)
{
    if (table->count * 2 >= table->capacity)
        enlarge_table(table);
    size_t place = place_of(table, key);
    table->count += !table->values[place];
    table->keys[place] = key;
    table->values[place] = value + 1;
}

void table_free(struct table *table)
{
    free(table->keys);
    free(table->values);
    *table = (struct table){0};
}
