/*
 * A target's mappings in the form of /proc/PID/maps. See maps_file.h.
 */
#include "maps_file.h"
#include <string.h>

FILE *open_maps_file(const struct target *target)
{
    FILE *file = tmpfile();
    if (!file)
        return NULL;
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        bool is_vdso = strcmp(mapping->path, "[vdso]") == 0;
        if ((mapping->path[0] != '/' && !is_vdso) || strchr(mapping->path, '\n'))
            continue;
        fprintf(file, "%llx-%llx %s %llx %x:%x %llu %s\n", (unsigned long long)mapping->low,
                (unsigned long long)mapping->high, mapping->is_executable ? "r-xp" : "r--p",
                (unsigned long long)mapping->offset, mapping->major, mapping->minor,
                (unsigned long long)mapping->inode, mapping->path);
    }
    rewind(file);
    return file;
}
