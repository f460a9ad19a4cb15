/*
 * Unwinds stacks offline, from the copy of the target's memory, by libdw.
 *
 * What an unwind gives depends on the words of the stack that it read. So these are kept with it: code
 * addresses as they are, addresses within the stack relative to it, all others as "something else". A stack
 * that has the same words in the same places has the same frames, and is not unwound. Of 100,000 tasks that
 * wait in a dozen places a dozen are unwound.
 */
#include "unwind.h"
#include "frames.h"
#include "maps_file.h"
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A word that an unwind has read, or the frame pointer that it began with. */
struct clue {
    uint32_t offset; /* from the stack pointer */
    enum clue_kind { CODE, OWN_STACK, SOMETHING } kind;
    uint64_t value; /* CODE: the word; OWN_STACK: relative to the stack pointer */
};

struct recipe {
    uint64_t pc; /* what it began with */
    struct clue frame_pointer;
    struct clue *clues;
    size_t clue_count, clue_capacity;
    const struct stack *stack;
    uint32_t next; /* one that begins with the same pc; NOBODY: there is none */
};
#define RECIPES_A_PC 256

struct unwinder {
    struct model *model;
    Dwfl *dwfl;
    struct frames *frames;
    struct recipe *recipes;
    size_t recipe_count, recipe_capacity;
    struct table by_pc; /* the latest recipe that begins there */
    struct stack **stacks;
    uint32_t *next_alike; /* of each stack: the one before with the same hash */
    size_t stack_count, stack_capacity, alike_capacity;
    struct table by_hash; /* the latest stack */
    bool is_attached;

    /* The one that is being unwound. */
    struct registers_now {
        uint64_t pc, sp, frame_pointer, end;
        const struct task *task;           /* suspended; or NULL: */
        const struct registers *registers; /* of a thread */
    } now;
    struct recipe *learning;
    uint64_t pcs[FRAMES_MAX];
    size_t pc_count;
};

/* ---- Clues ------------------------------------------------------------------ */

static bool is_code(const struct unwinder *unwinder, uint64_t word)
{
    const struct mapping *mapping = find_mapping(unwinder->model->target, word);
    return mapping && (mapping->is_executable || (!unwinder->model->target->is_live && mapping->path[0]));
}

static struct clue make_clue(const struct unwinder *unwinder, uint64_t offset, uint64_t word)
{
    const struct registers_now *now = &unwinder->now;
    if (word >= now->sp && word < now->end)
        return (struct clue){(uint32_t)offset, OWN_STACK, word - now->sp};
    if (is_code(unwinder, word))
        return (struct clue){(uint32_t)offset, CODE, word};
    return (struct clue){(uint32_t)offset, SOMETHING, 0};
}

static bool is_same_clue(const struct clue *a, const struct clue *b)
{
    return a->kind == b->kind && a->value == b->value;
}

static bool fits(struct unwinder *unwinder, const struct recipe *recipe)
{
    struct clue frame_pointer = make_clue(unwinder, 0, unwinder->now.frame_pointer);
    if (!is_same_clue(&frame_pointer, &recipe->frame_pointer))
        return false;
    for (size_t i = 0; i < recipe->clue_count; i++) {
        uint64_t word, offset = recipe->clues[i].offset;
        if (!memory_read(unwinder->model->memory, unwinder->now.sp + offset, &word, sizeof word))
            return false;
        struct clue clue = make_clue(unwinder, offset, word);
        if (!is_same_clue(&clue, &recipe->clues[i]))
            return false;
    }
    return true;
}

static const struct stack *remember(struct unwinder *unwinder, size_t *tried)
{
    *tried = 0;
    for (uint32_t i = table_find(&unwinder->by_pc, unwinder->now.pc); i != NOBODY;
         i = unwinder->recipes[i].next) {
        if (fits(unwinder, &unwinder->recipes[i]))
            return unwinder->recipes[i].stack;
        if (++*tried == RECIPES_A_PC)
            break;
    }
    return NULL;
}

/* ---- libdw's questions ------------------------------------------------------- */

static bool give_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *arg)
{
    struct unwinder *unwinder = arg;
    uint64_t word;
    (void)dwfl;
    if (!memory_read(unwinder->model->memory, address, &word, sizeof word))
        return false;
    *result = word;
    struct recipe *learning = unwinder->learning;
    if (learning && address >= unwinder->now.sp && address < unwinder->now.end) {
        GROW(learning->clues, learning->clue_capacity, learning->clue_count);
        learning->clues[learning->clue_count++] = make_clue(unwinder, address - unwinder->now.sp, word);
    }
    return true;
}

static pid_t give_next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
    (void)dwfl, (void)arg, (void)thread_arg;
    return 0;
}

static bool give_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
    (void)dwfl, (void)tid;
    *thread_arg = arg;
    return true;
}

#if defined(__x86_64__)
enum { PC_NUMBER = 16, SP_NUMBER = 7, FRAME_POINTER_NUMBER = 6, OWN_MACHINE = EM_X86_64 };
static const uint8_t kernels_place[] = {10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16};
#elif defined(__aarch64__)
enum { PC_NUMBER = -1, SP_NUMBER = 31, FRAME_POINTER_NUMBER = 29, OWN_MACHINE = EM_AARCH64 };
static const uint8_t kernels_place[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
#else
enum { PC_NUMBER = -1, SP_NUMBER = 2, FRAME_POINTER_NUMBER = 8, OWN_MACHINE = EM_RISCV };
static const uint8_t kernels_place[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
#endif
#define KERNELS_PC                                                                                           \
    (PC_NUMBER >= 0              ? kernels_place[PC_NUMBER % (int)sizeof kernels_place]                      \
     : OWN_MACHINE == EM_AARCH64 ? 32                                                                        \
                                 : 0)

static void give_register(Dwfl_Thread *thread, int number, uint64_t value)
{
    Dwarf_Word word = value;
    dwfl_thread_state_registers(thread, number, 1, &word);
}

static bool give_registers(Dwfl_Thread *thread, void *arg)
{
    struct unwinder *unwinder = arg;
    const struct registers_now *now = &unwinder->now;
    const struct asyncio_debug_v1 *debug = &unwinder->model->debug;
    for (size_t i = 0; now->registers && i < sizeof kernels_place; i++)
        give_register(thread, (int)i, now->registers->words[kernels_place[i]]);
    for (uint32_t i = 0; now->task && HAS(unwinder->model, register_count) && i < debug->register_count; i++)
        give_register(thread, debug->registers[i].dwarf,
                      memory_word(unwinder->model->memory, now->task->sp + debug->registers[i].offset));
    if (now->task) {
        give_register(thread, FRAME_POINTER_NUMBER, now->frame_pointer);
        give_register(thread, SP_NUMBER, now->sp);
    }
    if (PC_NUMBER >= 0)
        give_register(thread, PC_NUMBER, now->pc);
    dwfl_thread_state_register_pc(thread, now->pc);
    return true;
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
    .next_thread = give_next_thread,
    .get_thread = give_thread,
    .memory_read = give_memory,
    .set_initial_registers = give_registers,
};

static int take_frame(Dwfl_Frame *frame, void *arg)
{
    struct unwinder *unwinder = arg;
    Dwarf_Addr pc;
    bool is_exact;
    if (!dwfl_frame_pc(frame, &pc, &is_exact) || !pc)
        return DWARF_CB_ABORT;
    /* Where a suspended task goes on lies behind its call. */
    bool is_innermost = unwinder->pc_count == 0;
    if (is_innermost ? unwinder->now.registers == NULL : !is_exact)
        pc--;
    unwinder->pcs[unwinder->pc_count++] = pc;
    return unwinder->pc_count == FRAMES_MAX ? DWARF_CB_ABORT : DWARF_CB_OK;
}

/* ---- Stacks ----------------------------------------------------------------- */

static uint64_t hash_addresses(const uint64_t *pcs, size_t count)
{
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ pcs[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static const struct stack *keep_stack(struct unwinder *unwinder, const struct stack *made, uint64_t hash)
{
    struct stack *stack = must_alloc(sizeof *stack);
    *stack = *made;
    stack->id = (uint32_t)unwinder->stack_count;
    stack->own = 0;
    for (size_t i = 0; i < made->count; i++)
        if (!made->frames[i].is_library)
            stack->own = (stack->own ^ made->frames[i].pc) * UINT64_C(0x100000001b3);
    GROW(unwinder->stacks, unwinder->stack_capacity, unwinder->stack_count);
    GROW(unwinder->next_alike, unwinder->alike_capacity, unwinder->stack_count);
    unwinder->next_alike[unwinder->stack_count] = table_find(&unwinder->by_hash, hash);
    table_put(&unwinder->by_hash, hash, (uint32_t)unwinder->stack_count);
    return unwinder->stacks[unwinder->stack_count++] = stack;
}

/* A stack of these addresses, which may be there already. */
static const struct stack *intern_stack(struct unwinder *unwinder)
{
    struct stack made = {0};
    uint64_t hash = hash_addresses(unwinder->pcs, unwinder->pc_count);
    frames_make(unwinder->frames, unwinder->pcs, unwinder->pc_count, unwinder->now.task != NULL, &made);
    for (uint32_t i = table_find(&unwinder->by_hash, hash); i != NOBODY; i = unwinder->next_alike[i]) {
        const struct stack *known = unwinder->stacks[i];
        if (known->count != made.count ||
            memcmp(known->frames, made.frames, made.count * sizeof *made.frames))
            continue;
        free(made.frames);
        return known;
    }
    return keep_stack(unwinder, &made, hash);
}

static void keep_recipe(struct unwinder *unwinder, const struct recipe *learnt)
{
    uint32_t latest = table_find(&unwinder->by_pc, learnt->pc);
    GROW(unwinder->recipes, unwinder->recipe_capacity, unwinder->recipe_count);
    struct recipe *recipe = &unwinder->recipes[unwinder->recipe_count];
    *recipe = *learnt;
    recipe->next = latest;
    table_put(&unwinder->by_pc, learnt->pc, (uint32_t)unwinder->recipe_count);
    unwinder->recipe_count++;
}

static const struct stack *unwind_now(struct unwinder *unwinder)
{
    size_t tried = 0;
    const struct stack *stack = unwinder->now.task ? remember(unwinder, &tried) : NULL;
    if (stack)
        return stack;
    struct recipe learning = {.pc = unwinder->now.pc};
    learning.frame_pointer = make_clue(unwinder, 0, unwinder->now.frame_pointer);
    unwinder->pc_count = 0;
    unwinder->learning = &learning;
    if (unwinder->is_attached)
        dwfl_getthread_frames(unwinder->dwfl, unwinder->model->target->pid, take_frame, unwinder);
    unwinder->learning = NULL;
    if (!unwinder->pc_count)
        unwinder->pcs[unwinder->pc_count++] = unwinder->now.pc - 1;
    learning.stack = intern_stack(unwinder);
    if (unwinder->now.task && tried < RECIPES_A_PC)
        keep_recipe(unwinder, &learning);
    else
        free(learning.clues);
    return learning.stack;
}

static void own_stack_now(struct unwinder *unwinder, uint64_t low, uint64_t high)
{
    unwinder->model->memory->own_low = low;
    unwinder->model->memory->own_high = high;
}

static const struct stack *unwind_task(struct unwinder *unwinder, const struct task *task)
{
    struct model *model = unwinder->model;
    if (!task->stack_low || task->state == TASK_STARTS)
        return NULL;
    own_stack_now(unwinder, task->stack_low, task->stack_high);
    unwinder->now = (struct registers_now){
        .pc = memory_word(model->memory, task->sp + model->debug.context.return_address),
        .sp = task->sp + model->debug.context.size,
        .frame_pointer = memory_word(model->memory, task->sp + model->debug.context.frame_pointer),
        .end = task->stack_high,
        .task = task};
    return unwinder->now.pc ? unwind_now(unwinder) : NULL;
}

static const struct stack *unwind_thread(struct unwinder *unwinder, const struct loop *loop)
{
    uint64_t sp = stack_pointer_of(unwinder->model, &loop->registers);
    unwinder->now = (struct registers_now){
        .pc = loop->registers.words[KERNELS_PC], .sp = sp, .end = sp, .registers = &loop->registers};
    return unwind_now(unwinder);
}

void unwind_all(struct unwinder *unwinder)
{
    struct model *model = unwinder->model;
    for (size_t i = 0; i < model->task_count; i++)
        model->tasks[i].stack = unwind_task(unwinder, &model->tasks[i]);
    own_stack_now(unwinder, 0, 0);
    for (size_t i = 0; i < model->loop_count; i++) {
        struct loop *loop = &model->loops[i];
        struct task *current = find_task(model, loop->current);
        if (!loop->has_registers)
            continue;
        loop->stack = unwind_thread(unwinder, loop);
        if (current)
            current->stack = loop->stack;
    }
}

/* ---- Opening ---------------------------------------------------------------- */

static struct model *finding; /* libdw's callback has an argument for each module, but no way to set it */

/* The kernel's own code in each process stands in no file. */
static Elf *read_vdso(const struct mapping *mapping)
{
    static char room[16 * PAGE_BYTES];
    size_t bytes = (size_t)(mapping->high - mapping->low);
    if (bytes > sizeof room ||
        finding->target->ops->read(finding->target, mapping->low, room, bytes) != bytes)
        return NULL;
    return elf_memory(room, bytes);
}

static int find_elf(Dwfl_Module *module, void **arg, const char *name, Dwarf_Addr base, char **file_name,
                    Elf **elf)
{
    (void)module, (void)arg;
    const struct mapping *mapping = find_mapping(finding->target, base);
    if (mapping && strcmp(mapping->path, "[vdso]") == 0)
        *elf = read_vdso(mapping);
    if (!mapping || *elf || strcmp(mapping->path, name) != 0 || name[0] != '/')
        return -1;
    *file_name = must_copy(name); /* where separate debug information is looked for */
    return finding->target->ops->open_file(finding->target, mapping);
}

static char *debug_path;
static const Dwfl_Callbacks dwfl_callbacks = {
    .find_elf = find_elf, .find_debuginfo = dwfl_standard_find_debuginfo, .debuginfo_path = &debug_path};

struct unwinder *unwinder_open(struct model *model)
{
    struct unwinder *unwinder = must_alloc(sizeof *unwinder);
    unwinder->model = model;
    finding = model;
    unwinder->dwfl = dwfl_begin(&dwfl_callbacks);
    dwfl_report_begin(unwinder->dwfl);
    FILE *maps = open_maps_file(model->target);
    if (maps) {
        dwfl_linux_proc_maps_report(unwinder->dwfl, maps);
        fclose(maps);
    }
    dwfl_report_end(unwinder->dwfl, NULL, NULL);
    unwinder->frames = frames_open(model, unwinder->dwfl);
    bool is_own_machine = !HAS(model, machine) || model->debug.machine == OWN_MACHINE;
    pid_t pid = model->target->pid > 0 ? model->target->pid : 1;
    unwinder->is_attached =
        is_own_machine && dwfl_attach_state(unwinder->dwfl, NULL, pid, &thread_callbacks, unwinder);
    model->target->pid = pid;
    return unwinder;
}

void unwinder_free(struct unwinder *unwinder)
{
    if (!unwinder)
        return;
    for (size_t i = 0; i < unwinder->recipe_count; i++)
        free(unwinder->recipes[i].clues);
    for (size_t i = 0; i < unwinder->stack_count; i++) {
        free(unwinder->stacks[i]->frames);
        free(unwinder->stacks[i]);
    }
    free(unwinder->recipes);
    free(unwinder->stacks);
    free(unwinder->next_alike);
    table_free(&unwinder->by_hash);
    table_free(&unwinder->by_pc);
    frames_free(unwinder->frames);
    dwfl_end(unwinder->dwfl);
    free(unwinder);
}

bool symbol_of_data(struct unwinder *unwinder, uint64_t address, struct text *text)
{
    return frames_symbol(unwinder->frames, address, text);
}

const char *function_at(struct unwinder *unwinder, uint64_t address)
{
    return frames_function(unwinder->frames, address);
}
