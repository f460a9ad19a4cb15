/*
 * From code addresses to frames. See frames.h.
 *
 * A frame is the library's if it lies in the library's own file; if its name is asyncio_ or asy_; if it lies
 * in a source folder of which such a function came; or if it is further in than the outermost of the first
 * public functions, which the program called.
 */
#include "frames.h"
#include "lines.h"
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

/* What stands at one address: a function and those inlined into it, the innermost first. */
struct place {
    struct frame *frames;
    size_t count;
    const char *unit; /* the compilation unit's name, or NULL */
};

struct frames {
    struct model *model;
    Dwfl *dwfl;
    Dwfl_Module *library; /* NULL: the library is in the program */
    struct table by_pc;
    struct place *places;
    size_t place_count, place_capacity;
    char **folders; /* of the library's sources, up to "/src/" */
    size_t folder_count, folder_capacity;
};

static const char *last_part_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- One address ------------------------------------------------------------- */

static const char *file_of_call(Dwarf_Die *unit, Dwarf_Die *call)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_formudata(dwarf_attr(call, DW_AT_call_file, &attribute), &number) ||
        dwarf_getsrcfiles(unit, &files, &count) || number >= count)
        return NULL;
    const char *path = dwarf_filesrc(files, number, NULL, NULL);
    return path ? last_part_of(path) : NULL;
}

static int line_of_call(Dwarf_Die *call)
{
    Dwarf_Attribute attribute;
    Dwarf_Word line;
    return dwarf_formudata(dwarf_attr(call, DW_AT_call_line, &attribute), &line) ? 0 : (int)line;
}

static void add_frame(struct place *place, const struct frame *frame)
{
    size_t capacity = place->count;
    place->frames = must_grow(place->frames, &capacity, place->count, sizeof *place->frames);
    memset(&place->frames[place->count], 0, sizeof *place->frames); /* padding is compared, too */
    place->frames[place->count].pc = frame->pc;
    place->frames[place->count].function = frame->function;
    place->frames[place->count].object = frame->object;
    place->frames[place->count].offset = frame->offset;
    place->frames[place->count].file = frame->file;
    place->frames[place->count].line = frame->line;
    place->frames[place->count].is_inlined = frame->is_inlined;
    place->count++;
}

/* The functions that were inlined here, from the inside out; the frame becomes the one around them. */
static void add_inlined(struct place *place, Dwarf_Die *unit, Dwarf_Addr at, struct frame *frame)
{
    Dwarf_Die *inner = NULL, *scopes = NULL;
    /* The first call finds what lies innermost, the second what lies around that in the code. */
    int count = dwarf_getscopes(unit, at, &inner) > 0 ? dwarf_getscopes_die(&inner[0], &scopes) : 0;
    free(inner);
    for (int i = 0; i < count; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag == DW_TAG_subprogram)
            break;
        if (tag != DW_TAG_inlined_subroutine)
            continue;
        struct frame inlined = *frame;
        inlined.function = dwarf_diename(&scopes[i]);
        inlined.is_inlined = true;
        add_frame(place, &inlined);
        frame->file = file_of_call(unit, &scopes[i]);
        frame->line = line_of_call(&scopes[i]);
    }
    free(scopes);
}

static void name_object(Dwfl_Module *module, struct frame *frame)
{
    Dwarf_Addr start;
    const char *path = dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL);
    frame->object = path && path[0] ? last_part_of(path) : NULL;
    frame->offset = frame->pc + 1 - start;
}

static void look_up(struct frames *frames, uint64_t pc, struct place *place)
{
    struct frame frame = {.pc = pc};
    Dwfl_Module *module = dwfl_addrmodule(frames->dwfl, pc);
    GElf_Off offset;
    GElf_Sym symbol;
    if (module) {
        frame.function = dwfl_module_addrinfo(module, pc, &offset, &symbol, NULL, NULL, NULL);
        if (!frame.function)
            name_object(module, &frame);
        frame.file = find_line(module, pc, &frame.line);
        Dwarf_Addr bias;
        Dwarf_Die *unit = find_unit(module, pc, &bias);
        if (unit) {
            place->unit = dwarf_diename(unit);
            add_inlined(place, unit, pc - bias, &frame);
        }
    }
    add_frame(place, &frame);
}

static const struct place *find_place(struct frames *frames, uint64_t pc)
{
    uint32_t i = table_find(&frames->by_pc, pc);
    if (i != UINT32_MAX)
        return &frames->places[i];
    struct place place = {0};
    look_up(frames, pc, &place);
    GROW(frames->places, frames->place_capacity, frames->place_count);
    table_put(&frames->by_pc, pc, (uint32_t)frames->place_count);
    frames->places[frames->place_count] = place;
    return &frames->places[frames->place_count++];
}

/* ---- The library's ------------------------------------------------------------ */

static bool is_named_ours(const char *name)
{
    return name && (strncmp(name, "asyncio_", 8) == 0 || strncmp(name, "asy_", 4) == 0);
}

/* The length of a coroutine's name if this is what the macro ASYNC makes beside its body; else 0. */
static size_t glue_length(const char *name)
{
    const char *end = name ? strstr(name, "_coroutine_start_") : NULL;
    return end ? (size_t)(end - name) : 0;
}

/* What ASYNC makes has called the body, which is the frame within. Without that frame the compiler has put
 * the body into it, and nothing tells that apart: then it stands for the body. */
static bool is_glue(const struct stack *stack, size_t i)
{
    size_t length = glue_length(stack->frames[i].function);
    const char *within = i ? stack->frames[i - 1].function : NULL;
    return length && within && strncmp(within, stack->frames[i].function, length) == 0 &&
           strncmp(within + length, "_coroutine", 10) == 0;
}

/* The part of a unit's name up to "src/". */
static size_t folder_length(const char *unit)
{
    const char *last = NULL;
    for (const char *at = unit; (at = strstr(at, "src/")); at++)
        if (at == unit || at[-1] == '/')
            last = at + 4;
    return last ? (size_t)(last - unit) : 0;
}

static bool is_folder_known(const struct frames *frames, const char *unit)
{
    for (size_t i = 0; unit && i < frames->folder_count; i++)
        if (strncmp(unit, frames->folders[i], strlen(frames->folders[i])) == 0)
            return true;
    return false;
}

static void learn_folder(struct frames *frames, const char *unit)
{
    size_t length = unit ? folder_length(unit) : 0;
    if (!length || is_folder_known(frames, unit) || frames->folder_count == 16)
        return;
    GROW(frames->folders, frames->folder_capacity, frames->folder_count);
    char *folder = must_copy(unit);
    folder[length] = '\0';
    frames->folders[frames->folder_count++] = folder;
}

static void learn_place(struct frames *frames, const struct place *place)
{
    for (size_t i = 0; i < place->count; i++)
        if (is_named_ours(place->frames[i].function) && !place->frames[i].is_inlined)
            learn_folder(frames, place->unit);
}

static bool is_librarys(struct frames *frames, const struct place *place, const struct frame *frame)
{
    if (frames->library && dwfl_addrmodule(frames->dwfl, frame->pc) == frames->library)
        return true;
    return is_named_ours(frame->function) || is_folder_known(frames, place->unit);
}

/* In the C library the program has no line. */
static bool is_systems(struct frames *frames, const struct frame *frame)
{
    static const char *const names[] = {"libc.so", "libc-", "libm.so", "libpthread", "ld-", "[vdso"};
    Dwfl_Module *module = dwfl_addrmodule(frames->dwfl, frame->pc);
    const char *path = module ? dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;
    for (size_t i = 0; path && i < sizeof names / sizeof *names; i++)
        if (strncmp(last_part_of(path), names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* All that is further in than the public function that the program has called. */
static void mark_inner(struct stack *stack)
{
    for (size_t i = 0; i < stack->count; i++) {
        const char *name = stack->frames[i].function;
        if (!name || strncmp(name, "asyncio_", 8) != 0)
            continue;
        for (size_t j = 0; j < i; j++)
            stack->frames[j].is_library = true;
        return;
    }
}

void frames_make(struct frames *frames, const uint64_t *pcs, size_t count, bool is_parked, struct stack *out)
{
    size_t capacity = 0;
    for (size_t i = 0; i < count; i++)
        learn_place(frames, find_place(frames, pcs[i]));
    for (size_t i = 0; i < count; i++) {
        const struct place *place = find_place(frames, pcs[i]);
        for (size_t j = 0; j < place->count; j++) {
            GROW(out->frames, capacity, out->count);
            memcpy(&out->frames[out->count], &place->frames[j], sizeof *out->frames);
            out->frames[out->count].is_library =
                is_librarys(frames, place, &place->frames[j]) || is_glue(out, out->count);
            out->count++;
        }
    }
    if (is_parked)
        mark_inner(out);
    while (out->where < out->count &&
           (out->frames[out->where].is_library || is_systems(frames, &out->frames[out->where])))
        out->where++;
}

/* ---- Symbols ------------------------------------------------------------------ */

/* Data that begins as zeros may lie behind what is mapped of the file. */
static Dwfl_Module *module_of_data(struct frames *frames, uint64_t address)
{
    Dwfl_Module *module = dwfl_addrmodule(frames->dwfl, address);
    const struct mapping *mapping = find_mapping_below(frames->model->target, address);
    while (!module && mapping && !mapping->path[0] && mapping > frames->model->target->mappings)
        mapping--;
    return module || !mapping ? module : dwfl_addrmodule(frames->dwfl, mapping->low);
}

bool frames_symbol(struct frames *frames, uint64_t address, struct text *text)
{
    Dwfl_Module *module = module_of_data(frames, address);
    GElf_Off offset;
    GElf_Sym symbol;
    const char *name =
        module ? dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL) : NULL;
    if (!name || offset >= symbol.st_size || GELF_ST_TYPE(symbol.st_info) == STT_SECTION)
        return false;
    text_add_clean(text, name);
    if (offset)
        text_add(text, "+0x%llx", (unsigned long long)offset);
    return true;
}

const char *frames_function(struct frames *frames, uint64_t address)
{
    Dwfl_Module *module = dwfl_addrmodule(frames->dwfl, address);
    return module ? dwfl_module_addrname(module, address) : NULL;
}

/* ---- Opening ------------------------------------------------------------------ */

struct frames *frames_open(struct model *model, Dwfl *dwfl)
{
    struct frames *frames = must_alloc(sizeof *frames);
    frames->model = model;
    frames->dwfl = dwfl;
    const struct mapping *mapping = find_mapping(model->target, model->descriptor_at);
    if (mapping && strstr(last_part_of(mapping->path), "libasyncio."))
        frames->library = dwfl_addrmodule(dwfl, model->descriptor_at);
    return frames;
}

void frames_free(struct frames *frames)
{
    for (size_t i = 0; i < frames->place_count; i++)
        free(frames->places[i].frames);
    for (size_t i = 0; i < frames->folder_count; i++)
        free(frames->folders[i]);
    free(frames->places);
    free(frames->folders);
    table_free(&frames->by_pc);
    free(frames);
}
