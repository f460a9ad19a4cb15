/*
 * The debug descriptor: a tool that knows nothing but the ELF section and
 * core/descriptor.h finds the loops, their tasks, and what these wait in.
 */
#include "asyncio.h"
#include "base/sanitizer.h"
#include "core/descriptor.h"
#include "core/loop.h"
#include "core/wait.h"
#include "support/test.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The section in a file ------------------------------------------------------------- */

static char *contents(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    struct stat stat;
    if (!file)
        return NULL;
    assert_int_equal(fstat(fileno(file), &stat), 0);
    *bytes = (size_t)stat.st_size;
    char *text = malloc(*bytes);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, *bytes, file), *bytes);
    fclose(file);
    return text;
}

/* The section's header; false if there is none. */
static bool find_section(const char *path, Elf64_Shdr *found)
{
    size_t bytes;
    char *file = contents(path, &bytes);
    assert_non_null(file);
    Elf64_Ehdr head;
    memcpy(&head, file, sizeof head);
    assert_memory_equal(head.e_ident, ELFMAG, SELFMAG);
    Elf64_Shdr names, section = {0};
    memcpy(&names, file + head.e_shoff + head.e_shstrndx * sizeof names, sizeof names);
    bool is_there = false;
    for (size_t i = 0; i < head.e_shnum && !is_there; i++) {
        memcpy(&section, file + head.e_shoff + i * sizeof section, sizeof section);
        is_there = strcmp(file + names.sh_offset + section.sh_name, "asyncio_debug") == 0;
    }
    *found = section;
    if (is_there) { /* the head needs no relocation */
        struct asyncio_debug_v1 debug;
        assert_true(section.sh_size >= sizeof debug);
        memcpy(&debug, file + section.sh_offset, sizeof debug);
        assert_string_equal(debug.magic, "asyncio");
        assert_int_equal(debug.version, 1);
        assert_int_equal(debug.size, sizeof debug);
    }
    free(file);
    return is_there;
}

/* The library, where it lies beside the tests; else this program, which has it inside. */
static void library(char *path, size_t bytes)
{
    ssize_t length = readlink("/proc/self/exe", path, bytes - 1);
    assert_true(length > 0);
    path[length] = '\0';
    char beside[PATH_MAX];
    snprintf(beside, sizeof beside, "%.*s/../libasyncio.so", (int)(strrchr(path, '/') - path), path);
    if (access(beside, R_OK) == 0)
        snprintf(path, bytes, "%s", beside);
}

TEST(the_section_is_there)
{
    char path[PATH_MAX];
    Elf64_Shdr section;
    assert_true(find_section("/proc/self/exe", &section));
    library(path, sizeof path);
    assert_true(find_section(path, &section));
    assert_true(section.sh_flags & SHF_ALLOC);
}

TEST(it_survives_strip)
{
    char path[PATH_MAX], stripped[] = "/tmp/asyncio-stripped-XXXXXX", command[2 * PATH_MAX + 64];
    library(path, sizeof path);
    int fd = mkstemp(stripped);
    assert_true(fd >= 0);
    close(fd);
    snprintf(command, sizeof command, "strip --strip-all -o '%s' '%s' 2>/dev/null", stripped, path);
    bool done = system(command) == 0;
    Elf64_Shdr section;
    bool is_there = done && find_section(stripped, &section);
    unlink(stripped);
    if (!done)
        skip(); /* no strip for this processor here */
    assert_true(is_there);
}

/* ---- The process, from outside ------------------------------------------------------------- */

static int memory = -1;
static struct asyncio_debug_v1 debug;

static void peek(uintptr_t address, void *out, size_t bytes)
{
    assert_int_equal(pread(memory, out, bytes, (off_t)address), bytes);
}

static uintptr_t pointer_at(uintptr_t address)
{
    uintptr_t value;
    peek(address, &value, sizeof value);
    return value;
}

static uint32_t word_at(uintptr_t address)
{
    uint32_t value;
    peek(address, &value, sizeof value);
    return value;
}

static void assert_text_at(uintptr_t address, const char *wanted)
{
    char text[64] = "";
    assert_true(strlen(wanted) < sizeof text);
    peek(address, text, strlen(wanted) + 1);
    assert_string_equal(text, wanted);
}

/* Where this program lies: the first mapping of its file. */
static uintptr_t load_address(void)
{
    char line[PATH_MAX + 128], path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    assert_true(length > 0);
    path[length] = '\0';
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    uintptr_t low = 0;
    while (!low && fgets(line, sizeof line, maps))
        if (strstr(line, path))
            low = strtoul(line, NULL, 16);
    fclose(maps);
    return low;
}

static void attach(void)
{
    Elf64_Shdr section;
    assert_true(find_section("/proc/self/exe", &section));
    memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    assert_true(memory >= 0);
    peek(load_address() + section.sh_addr, &debug, sizeof debug);
    assert_string_equal(debug.magic, "asyncio");
}

/* ---- What there is to see ----------------------------------------------------------------------- */

static asyncio_loop *loop;
static asyncio_task *sleeper, *waiter;
static asyncio_future *future;

ASYNC(sleeps)
{
    return asyncio_sleep(100);
}

ASYNC(waits_for_sleeper)
{
    return asyncio_await(asyncio_ref(sleeper));
}

ASYNC(waits_for_future)
{
    return asyncio_await(asyncio_ref(future));
}

static uintptr_t site_at(uintptr_t address)
{
    return pointer_at(address);
}

struct seen {
    uintptr_t task, wait, object, sp, low, top;
    bool waits;
};

static struct seen look_at_task(uintptr_t task, const char *function)
{
    struct seen seen = {.task = task};
    uint8_t kind;
    peek(task + debug.future.kind, &kind, 1);
    assert_int_equal(kind, debug.kind_task);
    uintptr_t type = pointer_at(task + debug.task.type);
    assert_text_at(pointer_at(type + debug.type.site + debug.site.func), function);
    uintptr_t site = site_at(task + debug.future.site);
    assert_true(word_at(site + debug.site.line) > 0);
    char file[256];
    peek(pointer_at(site + debug.site.file), file, strlen(__FILE__) + 1);
    assert_string_equal(file, __FILE__);
    assert_true(pointer_at(task + debug.task.id) > 0);
    uintptr_t stack = pointer_at(task + debug.task.stack);
    if (stack) {
        seen.sp = pointer_at(task + debug.task.sp);
        seen.low = pointer_at(stack + debug.stack.low);
        seen.top = pointer_at(stack + debug.stack.top);
    }
    seen.wait = pointer_at(task + debug.task.wait);
    if (seen.wait) {
        assert_int_equal(pointer_at(seen.wait + debug.wait.task), task);
        seen.object = pointer_at(seen.wait + debug.wait.object);
    }
    return seen;
}

static uint32_t shape_of(const struct seen *seen)
{
    return word_at(pointer_at(seen->wait + debug.wait.kind) + debug.shape.kind);
}

/* A register that the switch has left is where the table says: the frame pointer stands in both. */
static void assert_registers_are_told(void)
{
    bool is_there = false;
    assert_true(debug.register_count > 0 && debug.register_count <= 32);
    for (uint32_t i = 0; i < debug.register_count; i++) {
        assert_true(debug.registers[i].offset + 8u <= debug.context.size);
        is_there |= debug.registers[i].offset == debug.context.frame_pointer;
    }
    assert_true(is_there);
}

static void assert_waits_in(const struct seen *seen, const char *what)
{
    assert_true(seen->wait != 0);
    uintptr_t kind = pointer_at(seen->wait + debug.wait.kind);
    assert_text_at(pointer_at(kind + debug.wait.kind_name), what);
    /* It was left on its own stack, where the switch put its registers. */
    assert_true(seen->sp > seen->low && seen->sp + debug.context.size <= seen->top);
    if (!ASY_ASAN) /* which has frames of its own */
        assert_true(seen->wait > seen->sp && seen->wait < seen->top);
    assert_true(pointer_at(seen->sp + debug.context.return_address) != 0);
}

static void look(void)
{
    uintptr_t head = (uintptr_t)debug.runtime, found = 0;
    size_t loops = 0;
    for (uintptr_t node = pointer_at(head); node != head; node = pointer_at(node), loops++)
        if (node - debug.loop.node == (uintptr_t)loop)
            found = node - debug.loop.node;
    assert_int_equal(loops, 2);
    assert_int_equal(found, (uintptr_t)loop);
    assert_int_equal(word_at(found + debug.loop.thread), gettid());
    assert_int_equal(pointer_at(found + debug.loop.current), (uintptr_t)asyncio_current_task());
    assert_true(pointer_at(found + debug.loop.turn) > 0);
    assert_int_equal(pointer_at(found + debug.loop.timer_count), 1);
    assert_int_equal(pointer_at(found + debug.loop.task_count), 4);
    assert_int_equal(pointer_at(found + debug.loop_more.id), loop->id);
    assert_int_equal(word_at(found + debug.loop_more.clock), debug.loop_more.clock_virtual);
    assert_registers_are_told();
    static const char *const functions[] = {"looks", "sleeps", "waits_for_sleeper", "waits_for_future"};
    struct seen seen[4];
    size_t count = 0;
    uintptr_t tasks = found + debug.loop.tasks;
    for (uintptr_t node = pointer_at(tasks); node != tasks; node = pointer_at(node), count++)
        seen[count] = look_at_task(node - debug.task.node, functions[count]);
    assert_int_equal(count, 4);
    assert_int_equal(seen[0].task, (uintptr_t)asyncio_current_task());
    assert_int_equal(seen[0].wait, 0);
    assert_int_equal(seen[1].task, (uintptr_t)sleeper);
    assert_waits_in(&seen[1], "sleep");
    uintptr_t kind_of_sleep = pointer_at(seen[1].wait + debug.wait.kind);
    uintptr_t deadline = pointer_at(seen[1].wait + word_at(kind_of_sleep + debug.shape.deadline));
    assert_int_equal(deadline, pointer_at(pointer_at(found + debug.loop_more.timer_slots)));
    assert_true(deadline >= UINT64_C(100000000000));
    assert_int_equal(shape_of(&seen[2]), SHAPE_FUTURE);
    assert_int_equal(pointer_at(seen[2].task + debug.future_loop), found);
    assert_int_equal(pointer_at(seen[2].task + debug.task_scopes), 0);
    assert_waits_in(&seen[2], "await");
    assert_int_equal(seen[2].object, (uintptr_t)sleeper);
    assert_text_at(pointer_at(seen[2].task + debug.task.name), "the waiter");
    /* And the way back: who waits for the sleeper. */
    uintptr_t waiters = (uintptr_t)sleeper + debug.future.waiters;
    assert_int_equal(pointer_at(waiters), seen[2].wait + debug.wait.node);
    assert_waits_in(&seen[3], "await");
    assert_int_equal(seen[3].object, (uintptr_t)future);
    uint8_t kind, done;
    peek((uintptr_t)future + debug.future.kind, &kind, 1);
    peek((uintptr_t)future + debug.future.done, &done, 1);
    assert_int_equal(kind, debug.kind_future);
    assert_int_equal(done, 0);
}

ASYNC(looks)
{
    future = asyncio_future_new();
    sleeper = asyncio_create_task(sleeps());
    waiter = asyncio_create_task(waits_for_sleeper());
    asyncio_task_set_name(waiter, "the waiter");
    asyncio_task *third = asyncio_create_task(waits_for_future());
    asyncio_sleep(0);
    look();
    asyncio_future_set_result(future, 6);
    asyncio_release(future);
    asyncio_cancel(waiter);
    asyncio_await(waiter);
    asyncio_release(sleeper);
    return asyncio_await(third);
}

TEST(all_is_found_from_outside)
{
    static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    attach();
    asyncio_loop *other = asyncio_loop_new(&simulated);
    loop = asyncio_loop_new(&simulated);
    asyncio_task *task = asyncio_loop_create_task(loop, looks());
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 6);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    asyncio_loop_close(other);
    asyncio_loop_release(other);
    assert_int_equal(pointer_at((uintptr_t)debug.runtime), (uintptr_t)debug.runtime);
    close(memory);
}

/* What a tool has been compiled with stays where it is. */
TEST(the_layout_of_version_1_stays)
{
    assert_int_equal(offsetof(struct asyncio_debug_v1, version), 8);
    assert_int_equal(offsetof(struct asyncio_debug_v1, runtime), 16);
    assert_int_equal(offsetof(struct asyncio_debug_v1, loop), 24);
    assert_int_equal(offsetof(struct asyncio_debug_v1, future), 64);
    assert_int_equal(offsetof(struct asyncio_debug_v1, task), 92);
    assert_int_equal(offsetof(struct asyncio_debug_v1, type), 136);
    assert_int_equal(offsetof(struct asyncio_debug_v1, site), 152);
    assert_int_equal(offsetof(struct asyncio_debug_v1, wait), 168);
    assert_int_equal(offsetof(struct asyncio_debug_v1, stack), 200);
    assert_int_equal(offsetof(struct asyncio_debug_v1, context), 212);
    assert_int_equal(offsetof(struct asyncio_debug_v1, kind_future), 224);
    assert_int_equal(offsetof(struct asyncio_debug_v1, loop_more), 232);
    assert_int_equal(offsetof(struct asyncio_debug_v1, future_loop), 264);
    assert_int_equal(offsetof(struct asyncio_debug_v1, task_scopes), 268);
    assert_int_equal(offsetof(struct asyncio_debug_v1, scope), 272);
    assert_int_equal(offsetof(struct asyncio_debug_v1, shape), 300);
    assert_int_equal(offsetof(struct asyncio_debug_v1, group), 312);
    assert_int_equal(offsetof(struct asyncio_debug_v1, registers), 320);
    assert_int_equal(offsetof(struct asyncio_debug_v1, register_count), 448);
    assert_int_equal(offsetof(struct asyncio_debug_v1, loop_index), 480);
    assert_int_equal(offsetof(struct asyncio_debug_v1, eager), 484);
    assert_int_equal(sizeof(struct asyncio_debug_v1), 520);
    assert_int_equal(SHAPE_SIGNAL, 14);
    assert_int_equal(SHAPE_CASES, 15);
}

/* ---- What stands still ------------------------------------------------------------------------- */

static void count_call(void *arg)
{
    ++*(int *)arg;
}

ASYNC(looks_at_progress, int *, calls)
{
    asyncio_loop *own = asyncio_get_running_loop();
    uint64_t before = asy_loop_progress(own);
    assert_int_equal(asy_loop_progress(own), before);
    uint64_t callbacks = own->callbacks, polls = own->polls, steps = own->steps;
    asyncio_loop_call_soon(own, count_call, calls);
    asyncio_loop_call_later(own, 0.001, count_call, calls);
    asyncio_sleep(0.01);
    assert_int_equal(*calls, 2);
    assert_true(own->callbacks >= callbacks + 3); /* and the sleeper's own timer */
    assert_true(own->polls > polls);
    assert_int_equal(own->steps, steps + 1);
    assert_true(asy_loop_progress(own) >= before + 5);
    return 0;
}

TEST(steps_callbacks_and_polls_are_progress)
{
    static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    int calls = 0;
    assert_int_equal(asyncio_run_with(looks_at_progress(&calls), &simulated), 0);
}

TEST_MAIN()
