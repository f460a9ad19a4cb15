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

void text_add_clean(struct text *text, const char *words)
{
    for (; *words; words++) {
        unsigned char byte = (unsigned char)*words;
        GROW(text->at, text->capacity, text->length + 1);
        text->at[text->length++] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
        text->at[text->length] = '\0';
    }
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
