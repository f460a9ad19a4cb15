/*
 * A core file: the kernel's, a debugger's, or what `asyncio save` wrote, which is one, too. It is mapped, and
 * every number in it is checked before it is used. What a core leaves out, since it stands in a file that was
 * mapped, is read from that file.
 */
#include "note.h"
#include "target.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct load {
    uint64_t low, high, offset; /* of what is in the file */
};

struct core_thread {
    int tid;
    struct registers registers;
};

struct core {
    struct target target;
    const unsigned char *file;
    size_t bytes;
    struct load *loads; /* by address */
    size_t load_count, load_capacity;
    struct core_thread *threads;
    size_t thread_count, thread_capacity;
    char *notes; /* what `asyncio save` noted, or NULL */
    int *fds;    /* of mappings, by number: -1 not tried, -2 not there */
    bool is_cut;
};

static struct core *core_of(struct target *target)
{
    return (struct core *)(void *)target;
}

/* ---- Memory ----------------------------------------------------------------- */

static const struct load *find_load(const struct core *core, uint64_t address)
{
    size_t low = 0, high = core->load_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address < core->loads[middle].low)
            high = middle;
        else if (address >= core->loads[middle].high)
            low = middle + 1;
        else
            return &core->loads[middle];
    }
    return NULL;
}

static size_t read_mapped_file(struct target *target, uint64_t address, void *out, size_t bytes)
{
    struct core *core = core_of(target);
    const struct mapping *mapping = find_mapping(target, address);
    if (!mapping || !mapping->path[0])
        return 0;
    int *fd = &core->fds[mapping - target->mappings];
    if (*fd == -1) {
        *fd = target->ops->open_file(target, mapping);
        if (*fd < 0)
            *fd = -2;
    }
    if (*fd < 0)
        return 0;
    if (bytes > mapping->high - address)
        bytes = (size_t)(mapping->high - address);
    ssize_t n = pread(*fd, out, bytes, (off_t)(mapping->offset + (address - mapping->low)));
    if (n <= 0)
        return 0;
    /* The last page of a file ends in zeros. */
    size_t end = ((size_t)n + 4095) & ~(size_t)4095;
    end = end < bytes ? end : bytes;
    memset((char *)out + n, 0, end - (size_t)n);
    return end;
}

static size_t read_core(struct target *target, uint64_t address, void *out, size_t bytes)
{
    const struct core *core = core_of(target);
    size_t done = 0;
    while (done < bytes) {
        const struct load *load = find_load(core, address + done);
        size_t part = bytes - done;
        if (load) {
            part = part < load->high - address - done ? part : (size_t)(load->high - address - done);
            memcpy((char *)out + done, core->file + load->offset + (address + done - load->low), part);
        } else if (!(part = read_mapped_file(target, address + done, (char *)out + done,
                                             part < 4096 ? part : 4096))) {
            break;
        }
        done += part;
    }
    return done;
}

static int open_core_file(struct target *target, const struct mapping *mapping)
{
    const char *path = mapping->path;
    if (target->program && target->mapping_count && strcmp(path, target->mappings[0].path) == 0)
        path = target->program;
    int fd = path[0] == '/' || path == target->program ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    struct stat stat;
    if (fd >= 0 && (fstat(fd, &stat) || !S_ISREG(stat.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- Threads and descriptors ------------------------------------------------ */

static bool stop_core(struct target *target, const int *tids, size_t count, const char **why)
{
    (void)target, (void)tids, (void)count, (void)why;
    return true;
}

static void go_on_core(struct target *target)
{
    (void)target;
}

static bool get_core_registers(struct target *target, int tid, struct registers *out)
{
    const struct core *core = core_of(target);
    for (size_t i = 0; i < core->thread_count; i++) {
        /* In a core of another namespace the ids are ours, not its own: the only thread is the one. */
        if (core->threads[i].tid != tid && core->thread_count > 1)
            continue;
        *out = core->threads[i].registers;
        return true;
    }
    return false;
}

static void describe_core_fd(struct target *target, int fd, bool is_reading, struct text *text)
{
    const struct core *core = core_of(target);
    char key[32];
    snprintf(key, sizeof key, "\nfd %d %c", fd, is_reading ? 'r' : 'w');
    const char *line = core->notes ? strstr(core->notes, key) : NULL;
    if (!line)
        return;
    line += strlen(key);
    char *words = strndup(line, strcspn(line, "\n"));
    if (words)
        text_add_clean(text, words);
    free(words);
}

/* ---- Notes ------------------------------------------------------------------ */

static void note_thread(struct core *core, const unsigned char *at, size_t bytes)
{
    /* struct elf_prstatus: the thread's id at 32, general registers at 112 on all three architectures. */
    if (bytes < 112 + 8 + 8)
        return;
    GROW(core->threads, core->thread_capacity, core->thread_count);
    struct core_thread *thread = &core->threads[core->thread_count++];
    memset(thread, 0, sizeof *thread);
    memcpy(&thread->tid, at + 32, sizeof thread->tid);
    size_t room = bytes - 112 - 8;
    thread->registers.bytes = room < sizeof thread->registers.words ? room : sizeof thread->registers.words;
    memcpy(thread->registers.words, at + 112, thread->registers.bytes);
    if (!core->target.pid)
        core->target.pid = thread->tid;
}

/* NT_FILE: count, page size, {low, high, page offset} each, then the paths. */
static void note_files(struct core *core, const unsigned char *at, size_t bytes)
{
    uint64_t head[2], three[3];
    if (bytes < sizeof head)
        return;
    memcpy(head, at, sizeof head);
    if (head[0] > (bytes - sizeof head) / sizeof three)
        return;
    const char *path = (const char *)at + sizeof head + head[0] * sizeof three;
    const char *end = (const char *)at + bytes;
    for (uint64_t i = 0; i < head[0]; i++) {
        size_t length = strnlen(path, (size_t)(end - path));
        if (path + length == end)
            return;
        memcpy(three, at + sizeof head + i * sizeof three, sizeof three);
        if (three[0] < three[1]) {
            struct mapping *mapping = add_mapping(&core->target);
            *mapping = (struct mapping){.low = three[0],
                                        .high = three[1],
                                        .offset = three[2] * head[1],
                                        .is_readable = true,
                                        .path = must_copy(path)};
        }
        path += length + 1;
    }
}

static void read_note(struct core *core, const char *name, uint32_t type, const unsigned char *at,
                      size_t bytes)
{
    if (strcmp(name, "CORE") == 0 && type == NT_PRSTATUS)
        note_thread(core, at, bytes);
    else if (strcmp(name, "CORE") == 0 && type == NT_FILE)
        note_files(core, at, bytes);
    else if (strcmp(name, NOTE_NAME) == 0 && type == NOTE_TYPE && !core->notes)
        core->notes = strndup((const char *)at, bytes);
}

static void read_notes(struct core *core, uint64_t offset, uint64_t bytes)
{
    if (offset > core->bytes)
        return;
    if (bytes > core->bytes - offset)
        bytes = core->bytes - offset;
    const unsigned char *at = core->file + offset;
    while (bytes >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr head;
        memcpy(&head, at, sizeof head);
        uint64_t name_room = ((uint64_t)head.n_namesz + 3) & ~UINT64_C(3);
        uint64_t room = sizeof head + name_room + (((uint64_t)head.n_descsz + 3) & ~UINT64_C(3));
        if (sizeof head + name_room + head.n_descsz > bytes)
            return;
        char name[16] = "";
        memcpy(name, at + sizeof head, head.n_namesz < sizeof name - 1 ? head.n_namesz : sizeof name - 1);
        read_note(core, name, head.n_type, at + sizeof head + name_room, head.n_descsz);
        room = room < bytes ? room : bytes;
        at += room;
        bytes -= room;
    }
}

/* ---- Opening ---------------------------------------------------------------- */

static void note_load(struct core *core, const Elf64_Phdr *head)
{
    uint64_t bytes = head->p_filesz;
    if (head->p_offset > core->bytes)
        bytes = 0;
    else if (bytes > core->bytes - head->p_offset)
        bytes = core->bytes - head->p_offset;
    core->is_cut |= bytes < head->p_filesz;
    if (!bytes || head->p_vaddr + bytes < head->p_vaddr)
        return;
    GROW(core->loads, core->load_capacity, core->load_count);
    core->loads[core->load_count++] = (struct load){head->p_vaddr, head->p_vaddr + bytes, head->p_offset};
}

static int compare_loads(const void *a, const void *b)
{
    const struct load *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

static int compare_mappings(const void *a, const void *b)
{
    const struct mapping *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

static bool parse_core(struct core *core)
{
    Elf64_Ehdr head;
    if (core->bytes < sizeof head)
        return false;
    memcpy(&head, core->file, sizeof head);
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_ident[EI_CLASS] != ELFCLASS64 ||
        head.e_type != ET_CORE || head.e_phentsize != sizeof(Elf64_Phdr) || head.e_phoff > core->bytes)
        return false;
    size_t count = head.e_phnum;
    if (count == PN_XNUM && head.e_shoff <= core->bytes - sizeof(Elf64_Shdr)) {
        Elf64_Shdr section;
        memcpy(&section, core->file + head.e_shoff, sizeof section);
        count = section.sh_info;
    }
    if (count > (core->bytes - head.e_phoff) / sizeof(Elf64_Phdr))
        return false;
    for (size_t i = 0; i < count; i++) {
        Elf64_Phdr part;
        memcpy(&part, core->file + head.e_phoff + i * sizeof part, sizeof part);
        if (part.p_type == PT_LOAD)
            note_load(core, &part);
        else if (part.p_type == PT_NOTE)
            read_notes(core, part.p_offset, part.p_filesz);
    }
    if (core->load_count)
        qsort(core->loads, core->load_count, sizeof *core->loads, compare_loads);
    return true;
}

/* Executable parts are told by the file's own headers later; a core has no word on them. */
static void settle_mappings(struct core *core)
{
    struct target *target = &core->target;
    if (target->mapping_count)
        qsort(target->mappings, target->mapping_count, sizeof *target->mappings, compare_mappings);
    core->fds = must_alloc((target->mapping_count + 1) * sizeof *core->fds);
    for (size_t i = 0; i < target->mapping_count; i++) {
        struct mapping *mapping = &target->mappings[i];
        bool goes_on = i && strcmp(mapping[-1].path, mapping->path) == 0;
        core->fds[i] = -1;
        mapping->inode = i ? mapping[-1].inode + !goes_on : 1; /* a number for each file */
    }
}

static void close_core(struct target *target)
{
    struct core *core = core_of(target);
    for (size_t i = 0; core->fds && i < target->mapping_count; i++)
        if (core->fds[i] >= 0)
            close(core->fds[i]);
    if (core->file)
        munmap((void *)(uintptr_t)core->file, core->bytes);
    free(core->loads);
    free(core->threads);
    free(core->notes);
    free(core->fds);
    free(core);
}

/* ---- Stacks ------------------------------------------------------------------ */

static bool is_page_touched(struct target *target, uint64_t address)
{
    static const unsigned char zeros[PAGE_BYTES];
    unsigned char page[PAGE_BYTES];
    size_t bytes = read_core(target, address, page, sizeof page);
    return bytes && memcmp(page, zeros, bytes) != 0;
}

/* A core does not tell untouched pages from zeros. */
static bool find_core_touched(struct target *target, uint64_t low, uint64_t high, uint64_t *lowest)
{
    while (low < high && !is_page_touched(target, low))
        low += PAGE_BYTES;
    *lowest = low;
    return low < high;
}

static const struct target_ops core_ops = {
    .read = read_core,
    .open_file = open_core_file,
    .stop = stop_core,
    .go_on = go_on_core,
    .get_registers = get_core_registers,
    .find_touched = find_core_touched,
    .describe_fd = describe_core_fd,
    .close = close_core,
};

static int map_file(struct core *core, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* of a FIFO nobody may be at the other end */
    if (fd < 0)
        return -errno;
    struct stat stat;
    int err = fstat(fd, &stat) ? -errno : S_ISREG(stat.st_mode) && stat.st_size > 0 ? 0 : -ENOEXEC;
    if (!err) {
        void *file = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file == MAP_FAILED) {
            err = -errno;
        } else {
            core->file = file;
            core->bytes = (size_t)stat.st_size;
        }
    }
    close(fd);
    return err;
}

enum exit_status open_core(const char *path, const char *program, struct target **out)
{
    if (program && access(program, R_OK)) {
        fprintf(stderr, "asyncio: %s: %s\n", program, strerror(errno));
        return MISUSED;
    }
    struct core *core = must_alloc(sizeof *core);
    struct target *target = &core->target;
    target->ops = &core_ops;
    int err = map_file(core, path);
    bool is_core = !err && parse_core(core);
    if (!is_core) {
        if (err && err != -ENOEXEC)
            fprintf(stderr, "asyncio: %s: %s\n", path, strerror(-err));
        else
            fprintf(stderr, "asyncio: %s is neither a process nor a core file\n", path);
        close_core(target);
        return err == -EACCES || err == -EPERM ? NOT_PERMITTED : NO_LOOP;
    }
    if (program)
        target->program = must_copy(program);
    settle_mappings(core);
    const char *now = core->notes ? strstr(core->notes, "\nnow ") : NULL;
    if (now)
        target->now_ns = strtoll(now + 5, NULL, 10);
    const char *pid = core->notes ? strstr(core->notes, "\npid ") : NULL;
    if (pid)
        target->pid = atoi(pid + 5);
    if (core->is_cut)
        text_add(&target->remark, "the core file is cut off; ");
    *out = target;
    return READ_WHOLE;
}
