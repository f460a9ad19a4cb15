/*
 * Finds the debug descriptor: by the section of that name in the files that are mapped, else by its first
 * bytes in the memory of a file whose section headers were cut off.
 */
#include "model.h"
#include <elf.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCAN_MAX ((uint64_t)64 << 20)

/* The section's address in the file; 0: none. */
static uint64_t find_section(Elf *elf)
{
    size_t names;
    Elf_Scn *section = NULL;
    if (elf_getshdrstrndx(elf, &names))
        return 0;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr head;
        const char *name = gelf_getshdr(section, &head) ? elf_strptr(elf, names, head.sh_name) : NULL;
        if (name && strcmp(name, "asyncio_debug") == 0)
            return head.sh_addr;
    }
    return 0;
}

/* Where address 0 of the file lies: known from the part that the mapping shows. */
static bool find_bias(Elf *elf, const struct mapping *mapping, uint64_t *bias)
{
    size_t count;
    GElf_Phdr part;
    if (elf_getphdrnum(elf, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!gelf_getphdr(elf, (int)i, &part) || part.p_type != PT_LOAD)
            continue;
        uint64_t page = part.p_offset & ~(uint64_t)(PAGE_BYTES - 1);
        if (mapping->offset < page || mapping->offset >= part.p_offset + part.p_filesz)
            continue;
        *bias = mapping->low - (part.p_vaddr & ~(uint64_t)(PAGE_BYTES - 1)) - (mapping->offset - page);
        return true;
    }
    return false;
}

static bool is_descriptor(struct memory *memory, uint64_t address)
{
    struct asyncio_debug_v1 debug;
    return memory_read(memory, address, &debug, offsetof(struct asyncio_debug_v1, loop_more)) &&
           memcmp(debug.magic, "asyncio", sizeof debug.magic) == 0 && debug.version > 0 &&
           debug.version < 100 && debug.size >= offsetof(struct asyncio_debug_v1, loop_more) &&
           debug.size < 65536 && memory_word(memory, (uint64_t)(uintptr_t)debug.runtime);
}

static uint64_t find_in_file(struct target *target, struct memory *memory, const struct mapping *mapping)
{
    uint64_t bias, found = 0;
    int fd = target->ops->open_file(target, mapping);
    if (fd < 0)
        return 0;
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    uint64_t address = elf && elf_kind(elf) == ELF_K_ELF ? find_section(elf) : 0;
    if (address && find_bias(elf, mapping, &bias) && is_descriptor(memory, address + bias))
        found = address + bias;
    if (elf)
        elf_end(elf);
    close(fd);
    return found;
}

/* The descriptor stands at a multiple of 8, in a file's memory. */
static uint64_t find_by_bytes(struct target *target, struct memory *memory, const struct mapping *mapping)
{
    static unsigned char room[64 * PAGE_BYTES];
    for (uint64_t at = mapping->low; at < mapping->high && at - mapping->low < SCAN_MAX; at += sizeof room) {
        size_t wanted = mapping->high - at < sizeof room ? (size_t)(mapping->high - at) : sizeof room;
        size_t got = target->ops->read(target, at, room, wanted);
        for (size_t i = 0; i + 8 <= got; i += 8)
            if (memcmp(room + i, "asyncio", 8) == 0 && is_descriptor(memory, at + i))
                return at + i;
    }
    return 0;
}

static bool is_of_a_file(const struct mapping *mapping)
{
    return mapping->path[0] == '/' && strncmp(mapping->path, "/dev/", 5) != 0;
}

/* A program may have the library inside and load a plugin that has it, too: the one with loops counts. */
static bool has_loops(struct memory *memory, uint64_t descriptor)
{
    uint64_t head = memory_word(memory, descriptor + offsetof(struct asyncio_debug_v1, runtime));
    uint64_t first = head ? memory_word(memory, head) : 0;
    return first && first != head;
}

uint64_t find_descriptor(struct target *target, struct memory *memory)
{
    uint64_t found = 0;
    elf_version(EV_CURRENT);
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        if (!is_of_a_file(mapping) || (i && mapping->inode == mapping[-1].inode && mapping->path[0] &&
                                       strcmp(mapping->path, mapping[-1].path) == 0))
            continue;
        uint64_t descriptor = find_in_file(target, memory, mapping);
        if (descriptor && (!found || (!has_loops(memory, found) && has_loops(memory, descriptor))))
            found = descriptor;
    }
    for (size_t i = 0; i < target->mapping_count && !found; i++)
        if (is_of_a_file(&target->mappings[i]) && target->mappings[i].is_readable)
            found = find_by_bytes(target, memory, &target->mappings[i]);
    return found;
}
