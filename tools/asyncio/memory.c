/*
 * The copy of a target's memory. See memory.h.
 */
#include "memory.h"
#include <stdlib.h>
#include <string.h>

/* Structs of one kind lie side by side: what is near will be asked for next. */
#define WINDOW_PAGES 16
/* Up to so many new stretches are put among the sorted ones, one by one. */
#define INSERTED_MAX 64
/* More than this is not kept: a target that makes us read on and on ends here. */
#define BYTES_MAX ((size_t)2 << 30)

void memory_init(struct memory *memory, struct target *target)
{
    *memory = (struct memory){.target = target};
}

void memory_free(struct memory *memory)
{
    for (size_t i = 0; i < memory->page_count; i++)
        free(memory->pages[i].bytes);
    for (size_t i = 0; i < memory->stretch_count; i++)
        free(memory->stretches[i].bytes);
    free(memory->pages);
    free(memory->stretches);
    free(memory->by_address);
    table_free(&memory->by_number);
    table_free(&memory->by_end);
}

static size_t read_target(struct memory *memory, uint64_t address, void *out, size_t bytes)
{
    return memory->target->ops->read(memory->target, address, out, bytes);
}

/* ---- Pages ------------------------------------------------------------------ */

static struct page *add_page(struct memory *memory, uint64_t number)
{
    GROW(memory->pages, memory->page_capacity, memory->page_count);
    struct page *page = &memory->pages[memory->page_count];
    *page = (struct page){.number = number};
    table_put(&memory->by_number, number, (uint32_t)memory->page_count);
    memory->page_count++;
    return page;
}

static void fill_page(struct memory *memory, struct page *page, const unsigned char *bytes)
{
    page->bytes = must_alloc(PAGE_BYTES);
    memcpy(page->bytes, bytes, PAGE_BYTES);
    memory->bytes += PAGE_BYTES;
}

static uint32_t find_page_index(const struct memory *memory, uint64_t number)
{
    return table_find(&memory->by_number, number);
}

/* Fetches the page, and those around it in its mapping that one read brings. */
static void fetch_window(struct memory *memory, uint64_t number)
{
    unsigned char window[WINDOW_PAGES * PAGE_BYTES];
    uint64_t first = number & ~(uint64_t)(WINDOW_PAGES - 1), end = first + WINDOW_PAGES;
    const struct mapping *mapping = find_mapping(memory->target, number * PAGE_BYTES);
    if (!mapping)
        first = number, end = number + 1;
    else if (first < mapping->low / PAGE_BYTES)
        first = mapping->low / PAGE_BYTES;
    if (mapping && end > mapping->high / PAGE_BYTES)
        end = mapping->high / PAGE_BYTES;
    size_t got =
        read_target(memory, first * PAGE_BYTES, window, (size_t)(end - first) * PAGE_BYTES) / PAGE_BYTES;
    for (size_t i = 0; i < got; i++)
        if (find_page_index(memory, first + i) == UINT32_MAX)
            fill_page(memory, add_page(memory, first + i), window + i * PAGE_BYTES);
    if (find_page_index(memory, number) != UINT32_MAX)
        return;
    /* A guard or a hole lies before it. */
    bool is_there = read_target(memory, number * PAGE_BYTES, window, PAGE_BYTES) == PAGE_BYTES;
    struct page *page = add_page(memory, number);
    if (is_there)
        fill_page(memory, page, window);
}

struct page *memory_find_page(const struct memory *memory, uint64_t address)
{
    uint32_t i = find_page_index(memory, address / PAGE_BYTES);
    return i == UINT32_MAX ? NULL : &memory->pages[i];
}

static const unsigned char *page_bytes(struct memory *memory, uint64_t number)
{
    uint32_t i = find_page_index(memory, number);
    if (i == UINT32_MAX && memory->bytes < BYTES_MAX) {
        fetch_window(memory, number);
        i = find_page_index(memory, number);
    }
    return i == UINT32_MAX ? NULL : memory->pages[i].bytes;
}

/* ---- Stretches -------------------------------------------------------------- */

void memory_copy_stretch(struct memory *memory, uint64_t low, uint64_t high)
{
    if (low >= high || memory->bytes >= BYTES_MAX)
        return;
    uint32_t i = table_find(&memory->by_end, high);
    if (i == UINT32_MAX) {
        GROW(memory->stretches, memory->stretch_capacity, memory->stretch_count);
        i = (uint32_t)memory->stretch_count++;
        memory->stretches[i] = (struct stretch){0};
        table_put(&memory->by_end, high, i);
    }
    struct stretch *stretch = &memory->stretches[i];
    memory->bytes += (size_t)(high - low);
    memory->bytes -= (size_t)(stretch->high - stretch->low);
    free(stretch->bytes);
    *stretch = (struct stretch){.low = low, .high = high, .is_shared = stretch->is_shared};
    stretch->bytes = must_alloc((size_t)(high - low));
    size_t got = read_target(memory, low, stretch->bytes, (size_t)(high - low));
    if (got < high - low) { /* gone meanwhile */
        stretch->high = low + got;
        memory->bytes -= (size_t)(high - low) - got;
    }
}

static struct memory *sorted; /* qsort has no argument for it */

static int compare_stretches(const void *a, const void *b)
{
    const struct stretch *x = &sorted->stretches[*(const uint32_t *)a];
    const struct stretch *y = &sorted->stretches[*(const uint32_t *)b];
    return (x->low > y->low) - (x->low < y->low);
}

static void sort_all(struct memory *memory)
{
    for (size_t i = 0; i < memory->stretch_count; i++)
        memory->by_address[i] = (uint32_t)i;
    sorted = memory;
    if (memory->stretch_count)
        qsort(memory->by_address, memory->stretch_count, sizeof *memory->by_address, compare_stretches);
    memory->sorted_count = memory->stretch_count;
}

static void insert_stretch(struct memory *memory, uint32_t stretch)
{
    size_t low = 0, high = memory->sorted_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory->stretches[memory->by_address[middle]].low < memory->stretches[stretch].low)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&memory->by_address[low + 1], &memory->by_address[low],
            (memory->sorted_count - low) * sizeof *memory->by_address);
    memory->by_address[low] = stretch;
    memory->sorted_count++;
}

/* Stacks stay in order, however deep they are. The target may be stopped: a few new ones are put between. */
void memory_sort_stretches(struct memory *memory)
{
    while (memory->order_capacity < memory->stretch_count)
        memory->by_address = must_grow(memory->by_address, &memory->order_capacity, memory->stretch_count,
                                       sizeof *memory->by_address);
    if (memory->stretch_count - memory->sorted_count > INSERTED_MAX)
        sort_all(memory);
    while (memory->sorted_count < memory->stretch_count)
        insert_stretch(memory, (uint32_t)memory->sorted_count);
}

struct stretch *memory_find_stretch(struct memory *memory, uint64_t address)
{
    size_t low = 0, high = memory->sorted_count;
    if (memory->latest < high && address >= memory->stretches[memory->latest].low &&
        address < memory->stretches[memory->latest].high)
        return &memory->stretches[memory->latest];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct stretch *stretch = &memory->stretches[memory->by_address[middle]];
        if (address < stretch->low)
            high = middle;
        else if (address >= stretch->high)
            low = middle + 1;
        else {
            memory->latest = memory->by_address[middle];
            return stretch;
        }
    }
    return NULL;
}

/* ---- Reading ---------------------------------------------------------------- */

bool memory_read(struct memory *memory, uint64_t address, void *out, size_t bytes)
{
    struct stretch *stretch = memory_find_stretch(memory, address);
    if (stretch && bytes <= stretch->high - address) {
        stretch->is_shared |= address < memory->own_low || address >= memory->own_high;
        memcpy(out, stretch->bytes + (address - stretch->low), bytes);
        return true;
    }
    bool is_whole = true;
    for (unsigned char *to = out; bytes;) {
        size_t within = (size_t)(address % PAGE_BYTES);
        size_t part = bytes < PAGE_BYTES - within ? bytes : PAGE_BYTES - within;
        const unsigned char *page = page_bytes(memory, address / PAGE_BYTES);
        if (page)
            memcpy(to, page + within, part);
        else
            memset(to, 0, part);
        is_whole &= page != NULL;
        to += part;
        address += part;
        bytes -= part;
    }
    return is_whole;
}

uint64_t memory_word(struct memory *memory, uint64_t address)
{
    uint64_t word;
    return memory_read(memory, address, &word, sizeof word) ? word : 0;
}

uint32_t memory_half(struct memory *memory, uint64_t address)
{
    uint32_t half;
    return memory_read(memory, address, &half, sizeof half) ? half : 0;
}

char *memory_string(struct memory *memory, uint64_t address, size_t most)
{
    char part[64];
    struct text text = {0};
    for (bool ends = address == 0; !ends && text.length < most;) {
        size_t bytes = sizeof part - (size_t)(address % sizeof part); /* in one page */
        if (!memory_read(memory, address, part, bytes))
            break;
        size_t length = strnlen(part, bytes);
        ends = length < bytes;
        if (length > most - text.length)
            length = most - text.length;
        text_add(&text, "%.*s", (int)length, part);
        address += bytes;
    }
    return text.at ? text.at : must_copy("");
}

/* ---- The second look -------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Takes over a page as it is now. */
static bool renew_page(struct page *page, const unsigned char *now)
{
    if (memcmp(page->bytes, now, PAGE_BYTES) == 0)
        return false;
    memcpy(page->bytes, now, PAGE_BYTES);
    page->has_changed = true;
    return true;
}

static size_t renew_run(struct memory *memory, const uint64_t *numbers, size_t count, unsigned char *room)
{
    size_t changed = 0;
    size_t got = read_target(memory, numbers[0] * PAGE_BYTES, room, count * PAGE_BYTES) / PAGE_BYTES;
    for (size_t i = 0; i < got; i++)
        changed += renew_page(memory_find_page(memory, numbers[i] * PAGE_BYTES), room + i * PAGE_BYTES);
    return changed;
}

static size_t renew_pages(struct memory *memory)
{
    static unsigned char room[256 * PAGE_BYTES];
    size_t count = 0, changed = 0;
    uint64_t *numbers = must_alloc(memory->page_count * sizeof *numbers);
    for (size_t i = 0; i < memory->page_count; i++) {
        if (memory->pages[i].bytes)
            numbers[count++] = memory->pages[i].number;
    }
    qsort(numbers, count, sizeof *numbers, compare_numbers);
    for (size_t i = 0; i < count;) {
        size_t run = 1;
        while (i + run < count && run < sizeof room / PAGE_BYTES && numbers[i + run] == numbers[i] + run)
            run++;
        changed += renew_run(memory, numbers + i, run, room);
        i += run;
    }
    free(numbers);
    return changed;
}

static bool renew_stretch(struct memory *memory, struct stretch *stretch)
{
    size_t bytes = (size_t)(stretch->high - stretch->low);
    unsigned char *now = must_alloc(bytes);
    bool has_changed =
        read_target(memory, stretch->low, now, bytes) == bytes && memcmp(now, stretch->bytes, bytes);
    if (has_changed)
        memcpy(stretch->bytes, now, bytes);
    free(now);
    return has_changed;
}

void memory_settle(struct memory *memory)
{
    for (size_t i = 0; i < memory->page_count; i++)
        memory->pages[i].has_changed = false;
}

size_t memory_look_again(struct memory *memory)
{
    size_t changed = renew_pages(memory);
    for (size_t i = 0; i < memory->stretch_count; i++)
        if (memory->stretches[i].is_shared)
            changed += renew_stretch(memory, &memory->stretches[i]);
    return changed;
}
