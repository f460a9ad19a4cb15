/*
 * What processes and core files have in common. See target.h.
 */
#include "target.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum exit_status target_open(const char *name, const char *program, struct target **out)
{
    const char *digit = name;
    while (isdigit((unsigned char)*digit))
        digit++;
    return *digit || digit == name ? open_core(name, program, out) : open_process(name, out);
}

void target_close(struct target *target)
{
    if (!target)
        return;
    for (size_t i = 0; i < target->mapping_count; i++)
        free(target->mappings[i].path);
    free(target->mappings);
    free(target->program);
    text_free(&target->remark);
    target->ops->close(target);
}

/* ---- Mappings --------------------------------------------------------------- */

const struct mapping *find_mapping_below(const struct target *target, uint64_t address)
{
    size_t low = 0, high = target->mapping_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address < target->mappings[middle].low)
            high = middle;
        else
            low = middle + 1;
    }
    return low ? &target->mappings[low - 1] : NULL;
}

const struct mapping *find_mapping(const struct target *target, uint64_t address)
{
    const struct mapping *mapping = find_mapping_below(target, address);
    return mapping && address < mapping->high ? mapping : NULL;
}

struct mapping *add_mapping(struct target *target)
{
    GROW(target->mappings, target->mapping_capacity, target->mapping_count);
    struct mapping *mapping = &target->mappings[target->mapping_count++];
    *mapping = (struct mapping){0};
    return mapping;
}

static void parse_mapping(struct target *target, const char *line)
{
    unsigned long long low, high, offset, inode;
    unsigned major, minor;
    char modes[8];
    int path_at = 0;
    if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu %n", &low, &high, modes, &offset, &major, &minor, &inode,
               &path_at) < 7 ||
        low >= high || strlen(modes) < 3)
        return;
    struct mapping *mapping = add_mapping(target);
    *mapping = (struct mapping){
        .low = low,
        .high = high,
        .offset = offset,
        .inode = inode,
        .major = major,
        .minor = minor,
        .is_readable = modes[0] == 'r',
        .is_writable = modes[1] == 'w',
        .is_executable = modes[2] == 'x',
        .path = must_copy(path_at ? line + path_at : ""),
    };
}

void parse_mappings(struct target *target, char *text)
{
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")))
        parse_mapping(target, line);
}
