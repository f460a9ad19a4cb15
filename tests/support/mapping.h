/*
 * What the kernel says of this process's memory.
 */
#ifndef TESTS_SUPPORT_MAPPING_H
#define TESTS_SUPPORT_MAPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Does a forked child get the memory at this place? (A child cannot tell: what a checker maps in it may lie
 * where the parent's memory was.) */
static inline bool is_given_to_children(const void *at)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    bool is_here = false, is_given = true;
    while (file && fgets(line, sizeof line, file)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            is_here = (uintptr_t)at >= start && (uintptr_t)at < end;
        else if (is_here && strncmp(line, "VmFlags:", 8) == 0)
            is_given = !strstr(line, " dc");
    }
    if (file)
        fclose(file);
    return is_given;
}

#endif
