/*
 * `asyncio save`: writes what ps reads of a process as a core file, a small one. So one reader does for
 * both, and every number that it meets is checked in one place.
 */
#include "command.h"
#include "look.h"
#include "note.h"
#include "sockets.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

struct part {
    uint64_t address;
    size_t bytes;
    const unsigned char *from;
};

struct saving {
    struct look look;
    struct part *parts;
    size_t part_count, part_capacity;
    struct text notes; /* the bytes of the note segment */
    struct text words; /* of our own note */
};

/* ---- Notes ------------------------------------------------------------------- */

static void add_bytes(struct text *text, const void *bytes, size_t count)
{
    GROW(text->at, text->capacity, text->length + count);
    memcpy(text->at + text->length, bytes, count);
    text->length += count;
}

static void add_note(struct text *notes, const char *name, uint32_t type, const void *bytes, size_t count)
{
    static const char zeros[4];
    size_t name_bytes = strlen(name) + 1;
    Elf64_Nhdr head = {.n_namesz = (uint32_t)name_bytes, .n_descsz = (uint32_t)count, .n_type = type};
    add_bytes(notes, &head, sizeof head);
    add_bytes(notes, name, name_bytes);
    add_bytes(notes, zeros, -name_bytes % 4);
    add_bytes(notes, bytes, count);
    add_bytes(notes, zeros, -count % 4);
}

static void note_threads(struct saving *saving)
{
    const struct model *model = &saving->look.model;
    for (size_t i = 0; i < model->loop_count; i++) {
        const struct loop *loop = &model->loops[i];
        struct elf_prstatus status = {.pr_pid = loop->tid};
        size_t bytes =
            sizeof status.pr_reg < loop->registers.bytes ? sizeof status.pr_reg : loop->registers.bytes;
        if (loop->has_registers)
            memcpy(&status.pr_reg, loop->registers.words, bytes);
        add_note(&saving->notes, "CORE", NT_PRSTATUS, &status, sizeof status);
    }
}

static void note_mappings(struct saving *saving)
{
    const struct target *target = saving->look.target;
    struct text places = {0}, paths = {0};
    uint64_t count = 0;
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        if (mapping->path[0] != '/')
            continue;
        uint64_t three[3] = {mapping->low, mapping->high, mapping->offset / PAGE_BYTES};
        add_bytes(&places, three, sizeof three);
        add_bytes(&paths, mapping->path, strlen(mapping->path) + 1);
        count++;
    }
    uint64_t head[2] = {count, PAGE_BYTES};
    struct text whole = {0};
    add_bytes(&whole, head, sizeof head);
    add_bytes(&whole, text_of(&places), places.length);
    add_bytes(&whole, text_of(&paths), paths.length);
    add_note(&saving->notes, "CORE", NT_FILE, whole.at, whole.length);
    text_free(&places);
    text_free(&paths);
    text_free(&whole);
}

static void note_auxiliary(struct saving *saving)
{
    char path[64];
    unsigned char bytes[4096];
    snprintf(path, sizeof path, "/proc/%d/auxv", (int)saving->look.target->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (n > 0)
        add_note(&saving->notes, "CORE", NT_AUXV, bytes, (size_t)n);
    if (fd >= 0)
        close(fd);
}

/* ---- Words ------------------------------------------------------------------- */

static const struct target_ops *kept_ops;
static struct saving *current_saving;

/* Stands before the target's own: keeps what it says. */
static void describe_and_note(struct target *target, int fd, bool is_reading, struct text *text)
{
    struct text words = {0};
    kept_ops->describe_fd(target, fd, is_reading, &words);
    if (words.length) {
        text_add(&current_saving->words, "\nfd %d %c%s", fd, is_reading ? 'r' : 'w', words.at);
        text_add(text, "%s", words.at);
    }
    text_free(&words);
}

/* A word of its lowest page tells how deep a stack was. */
static void keep_depths(struct look *look)
{
    for (size_t i = 0; i < look->model.task_count; i++)
        if (look->model.tasks[i].touched_bytes)
            memory_word(&look->memory, look->model.tasks[i].touched_low);
}

/* All that ps could say is said, so that all that this needs has been read. */
static void note_words(struct saving *saving)
{
    struct look *look = &saving->look;
    struct target_ops ops = *look->target->ops;
    struct text words = {0};
    keep_depths(look);
    kept_ops = look->target->ops;
    current_saving = saving;
    ops.describe_fd = describe_and_note;
    look->target->ops = &ops;
    for (size_t i = 0; i < look->model.task_count; i++) {
        explain_task(look, &look->model.tasks[i], &words);
        text_clear(&words);
    }
    for (size_t i = 0; i < look->cycles.count; i++)
        say_cycle(look, &look->cycles.all[i], &words);
    look->target->ops = kept_ops;
    text_free(&words);
    text_add(&saving->words, "\nnow %lld\npid %d\n", (long long)look->target->now_ns, (int)look->target->pid);
    add_note(&saving->notes, NOTE_NAME, NOTE_TYPE, saving->words.at, saving->words.length);
}

/* ---- Memory ------------------------------------------------------------------ */

static void add_part(struct saving *saving, uint64_t address, size_t bytes, const unsigned char *from)
{
    struct part *last = saving->part_count ? &saving->parts[saving->part_count - 1] : NULL;
    if (last && last->address + last->bytes == address && last->from + last->bytes == from) {
        last->bytes += bytes;
        return;
    }
    GROW(saving->parts, saving->part_capacity, saving->part_count);
    saving->parts[saving->part_count++] = (struct part){address, bytes, from};
}

/* What lies in a page that was read, too, goes there. */
static void add_stretch(struct saving *saving, const struct stretch *stretch)
{
    for (uint64_t at = stretch->low; at < stretch->high;) {
        uint64_t end = (at / PAGE_BYTES + 1) * PAGE_BYTES;
        end = end < stretch->high ? end : stretch->high;
        struct page *page = memory_find_page(&saving->look.memory, at);
        const unsigned char *from = stretch->bytes + (at - stretch->low);
        if (page && page->bytes)
            memcpy(page->bytes + at % PAGE_BYTES, from, (size_t)(end - at));
        else
            add_part(saving, at, (size_t)(end - at), from);
        at = end;
    }
}

static void collect_parts(struct saving *saving)
{
    const struct memory *memory = &saving->look.memory;
    for (size_t i = 0; i < memory->stretch_count; i++)
        add_stretch(saving, &memory->stretches[i]);
    for (size_t i = 0; i < memory->page_count; i++)
        if (memory->pages[i].bytes)
            add_part(saving, memory->pages[i].number * PAGE_BYTES, PAGE_BYTES, memory->pages[i].bytes);
}

/* ---- The file ----------------------------------------------------------------- */

static bool write_heads(struct saving *saving, FILE *file)
{
    size_t count = saving->part_count + 1;
    Elf64_Ehdr head = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = (uint16_t)saving->look.model.debug.machine,
        .e_version = EV_CURRENT,
        .e_phoff = sizeof head + sizeof(Elf64_Shdr),
        .e_shoff = sizeof head,
        .e_ehsize = sizeof head,
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = count < PN_XNUM ? (uint16_t)count : PN_XNUM,
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = 1,
    };
    /* The place for a number of segments that does not fit into the head. */
    Elf64_Shdr section = {.sh_info = (uint32_t)count};
    uint64_t offset = head.e_phoff + count * sizeof(Elf64_Phdr);
    Elf64_Phdr notes = {
        .p_type = PT_NOTE, .p_offset = offset, .p_filesz = saving->notes.length, .p_align = 4};
    bool is_written = fwrite(&head, sizeof head, 1, file) && fwrite(&section, sizeof section, 1, file) &&
                      fwrite(&notes, sizeof notes, 1, file);
    offset += notes.p_filesz;
    for (size_t i = 0; i < saving->part_count && is_written; i++) {
        const struct part *part = &saving->parts[i];
        Elf64_Phdr load = {.p_type = PT_LOAD,
                           .p_flags = PF_R | PF_W,
                           .p_offset = offset,
                           .p_vaddr = part->address,
                           .p_filesz = part->bytes,
                           .p_memsz = part->bytes,
                           .p_align = 1};
        is_written = fwrite(&load, sizeof load, 1, file) == 1;
        offset += part->bytes;
    }
    return is_written;
}

static bool write_saving(struct saving *saving, FILE *file)
{
    bool is_written =
        write_heads(saving, file) && fwrite(saving->notes.at, saving->notes.length, 1, file) == 1;
    for (size_t i = 0; i < saving->part_count && is_written; i++)
        is_written = fwrite(saving->parts[i].from, saving->parts[i].bytes, 1, file) == 1;
    return fflush(file) == 0 && is_written;
}

/* Memory of a program may hold secrets: the file is its owner's alone. */
static enum exit_status save_to(struct saving *saving, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat stat;
    if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
        (void)fchmod(fd, 0600); /* one that was there before may be open to all */
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    bool is_written = file && write_saving(saving, file);
    int err = errno;
    if (file)
        fclose(file);
    if (is_written)
        return READ_WHOLE;
    fprintf(stderr, "asyncio: %s: %s\n", path, strerror(err));
    return MISUSED;
}

int run_save(int argc, char **argv)
{
    if (argc != 3 || argv[1][0] == '-')
        return show_usage(argc, argv, "save PID FILE");
    struct saving saving = {.look.options = {.what = argv[1], .stack = INT_MAX, .stacks = true}};
    enum exit_status status = look_at(&saving.look);
    if (status == READ_WHOLE || status == READ_IN_PART) {
        note_threads(&saving);
        note_mappings(&saving);
        if (saving.look.target->is_live)
            note_auxiliary(&saving);
        note_words(&saving);
        collect_parts(&saving);
        enum exit_status saved = save_to(&saving, argv[2]);
        status = saved ? saved : status;
    }
    free(saving.parts);
    text_free(&saving.notes);
    text_free(&saving.words);
    look_free(&saving.look);
    return (int)status;
}
