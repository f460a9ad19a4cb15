/*
 * A copy of what is read of a target's memory: pages for structs, and stretches for stacks, of which only
 * the part in use is copied. What was read once is not read again, until a second look compares all of it
 * with the target, and takes over what has changed. So a model can be made of a live process, looked over,
 * and made again of the same copy.
 */
#ifndef TOOL_MEMORY_H
#define TOOL_MEMORY_H

#include "target.h"

struct stretch {
    uint64_t low, high;
    unsigned char *bytes;
    bool is_shared; /* what was read of it is looked over, too: see `own` */
};

struct page {
    uint64_t number;
    unsigned char *bytes; /* NULL: it could not be read */
    bool has_changed;     /* at a look since memory_settle */
};

struct memory {
    struct target *target;
    struct page *pages;
    size_t page_count, page_capacity;
    struct table by_number;
    struct stretch *stretches;
    size_t stretch_count, stretch_capacity;
    struct table by_end;  /* of stretches */
    uint32_t *by_address; /* after memory_sort_stretches */
    size_t sorted_count, order_capacity;
    uint32_t latest;            /* the one found last */
    uint64_t own_low, own_high; /* the stack of a suspended task, which reads of its own do not share */
    size_t bytes;               /* that it holds */
};

void memory_init(struct memory *memory, struct target *target);
void memory_free(struct memory *memory);
/* False: some of it cannot be read; what can be is in `out`, the rest zeros. */
bool memory_read(struct memory *memory, uint64_t address, void *out, size_t bytes);
/* 0 if it cannot be read. */
uint64_t memory_word(struct memory *memory, uint64_t address);
uint32_t memory_half(struct memory *memory, uint64_t address);
/* A string, cut at `most` bytes; "" if it cannot be read. To be freed. */
char *memory_string(struct memory *memory, uint64_t address, size_t most);
/* Copies a stretch, in place of an earlier one with the same end. Reads find it there after
 * memory_sort_stretches. */
void memory_copy_stretch(struct memory *memory, uint64_t low, uint64_t high);
void memory_sort_stretches(struct memory *memory);
/* The sorted one that an address lies in, or NULL. */
struct stretch *memory_find_stretch(struct memory *memory, uint64_t address);
/* Looks at all pages and shared stretches once more: the number of those that have changed. */
size_t memory_look_again(struct memory *memory);
/* All that has changed has been made use of. */
void memory_settle(struct memory *memory);
struct page *memory_find_page(const struct memory *memory, uint64_t address);

#endif
