/*
 * `asyncio symbolise`: lines with "object+0xoffset [build id]" come in, lines with "function file:line" go
 * out. The object is opened where the line says; the program by its argument. What cannot be resolved stays
 * as it is.
 */
#include "command.h"
#include "lines.h"
#include "target.h"
#include "text.h"
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS_MAX 1024

struct object {
    char *path;
    Dwfl *dwfl;
    Dwfl_Module *module; /* NULL: it cannot be read */
};

struct symboliser {
    const char *program;
    struct object objects[OBJECTS_MAX];
    size_t count;
};

static char *debug_path;
static const Dwfl_Callbacks offline_callbacks = {.find_elf = dwfl_build_id_find_elf,
                                                 .find_debuginfo = dwfl_standard_find_debuginfo,
                                                 .section_address = dwfl_offline_section_address,
                                                 .debuginfo_path = &debug_path};

static const char *last_part_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static struct object *find_object(struct symboliser *symboliser, const char *path)
{
    const char *program = symboliser->program;
    if (program && (!path[0] || strcmp(last_part_of(path), last_part_of(program)) == 0))
        path = program;
    for (size_t i = 0; i < symboliser->count; i++)
        if (strcmp(symboliser->objects[i].path, path) == 0)
            return &symboliser->objects[i];
    if (symboliser->count == OBJECTS_MAX)
        return NULL;
    struct object *object = &symboliser->objects[symboliser->count++];
    object->path = must_copy(path);
    object->dwfl = dwfl_begin(&offline_callbacks);
    object->module = dwfl_report_offline(object->dwfl, path, path, -1);
    dwfl_report_end(object->dwfl, NULL, NULL);
    return object;
}

/* Does "[...]", if it follows, name another build than this one? */
static bool is_other_build(const struct object *object, const char *after)
{
    const unsigned char *bits;
    GElf_Addr address;
    char digits[129] = "";
    int length = dwfl_module_build_id(object->module, &bits, &address);
    if (after[0] != ' ' || after[1] != '[' || length <= 0 || length > 64)
        return false;
    for (int i = 0; i < length; i++)
        snprintf(digits + 2 * i, 3, "%02x", bits[i]);
    size_t given = strspn(after + 2, "0123456789abcdef");
    return given >= 8 && after[2 + given] == ']' && strncmp(digits, after + 2, given) != 0;
}

/* Offsets are of return addresses, but for one that is the very start of a function. */
static bool resolve(const struct object *object, uint64_t offset, struct text *out)
{
    GElf_Addr bias;
    GElf_Off within;
    GElf_Sym symbol;
    Dwarf_Addr start; /* which a program that is no PIE says itself, and is no bias */
    if (!dwfl_module_getelf(object->module, &bias))
        return false;
    dwfl_module_info(object->module, NULL, &start, NULL, NULL, NULL, NULL, NULL);
    uint64_t address = offset + start;
    const char *name = dwfl_module_addrinfo(object->module, address, &within, &symbol, NULL, NULL, NULL);
    if (!name || within) {
        address--;
        name = dwfl_module_addrinfo(object->module, address, &within, &symbol, NULL, NULL, NULL);
    }
    if (!name)
        return false;
    text_add_clean(out, name);
    int number = 0;
    const char *file = find_line(object->module, address, &number);
    if (file) {
        text_add(out, " ");
        text_add_clean(out, file);
        text_add(out, ":%d", number);
    }
    return true;
}

/* Where a place like "object+0x12" begins in the line, and its parts; NULL: there is none. */
static char *find_place(char *line, char **object, uint64_t *offset, char **after)
{
    for (char *plus = strstr(line, "+0x"); plus; plus = strstr(plus + 1, "+0x")) {
        char *start = plus, *end;
        while (start > line && start[-1] != ' ' && start[-1] != '\t' && start[-1] != '(')
            start--;
        *offset = strtoull(plus + 3, &end, 16);
        if (end == plus + 3 || start == plus)
            continue;
        *object = strndup(start, (size_t)(plus - start));
        *after = end;
        return *object ? start : NULL;
    }
    return NULL;
}

/* Writes what a place in a line is, or the place as it stands. */
static void symbolise_place(struct symboliser *symboliser, const char *path, uint64_t offset,
                            const char *place, const char *after, const char **other_build)
{
    struct object *object = find_object(symboliser, path);
    bool is_other = object && object->module && is_other_build(object, after);
    struct text words = {0};
    if (is_other)
        *other_build = object->path;
    if (object && object->module && !is_other && resolve(object, offset, &words))
        fputs(text_of(&words), stdout);
    else
        fwrite(place, 1, (size_t)(after - place), stdout);
    text_free(&words);
}

static void symbolise_line(struct symboliser *symboliser, char *line, size_t length)
{
    char *rest = line, *path, *after, *place;
    const char *other_build = NULL;
    uint64_t offset;
    while ((place = find_place(rest, &path, &offset, &after))) {
        fwrite(rest, 1, (size_t)(place - rest), stdout);
        symbolise_place(symboliser, path, offset, place, after, &other_build);
        free(path);
        rest = after;
    }
    size_t left = (size_t)(line + length - rest), end = left && line[length - 1] == '\n' ? 1 : 0;
    fwrite(rest, 1, left - end, stdout);
    if (other_build)
        printf(" (%s here is another build)", other_build);
    fputs(end ? "\n" : "", stdout);
}

int run_symbolise(int argc, char **argv)
{
    static struct symboliser symboliser;
    if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
        return show_usage(argc, argv, "symbolise [PROGRAM] <LINES");
    symboliser.program = argc == 2 ? argv[1] : NULL;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, stdin)) > 0)
        symbolise_line(&symboliser, line, (size_t)length);
    free(line);
    for (size_t i = 0; i < symboliser.count; i++) {
        dwfl_end(symboliser.objects[i].dwfl);
        free(symboliser.objects[i].path);
    }
    return READ_WHOLE;
}
