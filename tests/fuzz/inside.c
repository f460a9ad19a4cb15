/*
 * Fuzzed: core files, as the command `asyncio` reads them. The input is a list of changes to a file that it
 * saved of this very program: a place, how wide, and what stands there then. The place may be counted from
 * the start, or from one of the structs that are read. Whatever the file says, the command ends, and breaks
 * nothing.
 */
#include "command.h"
#include "core/descriptor.h"
#include "fuzz/fuzz.h"
#include "look.h"
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>

extern const struct asyncio_debug_v1 asyncio_debug_v1;

static unsigned char *saved;
static size_t saved_bytes;
static size_t marks[64]; /* places of structs in it */
static size_t mark_count;

/* ---- The program that is saved ---------------------------------------------------- */

static asyncio_lock lock = ASYNCIO_LOCK_INIT;
static asyncio_queue queue;
static uint64_t seen[64]; /* addresses of its structs */
static size_t seen_count;

static void note_struct(const void *at)
{
    seen[seen_count++] = (uint64_t)(uintptr_t)at;
}

ASYNC(sleeps)
{
    return asyncio_sleep(1000);
}

ASYNC(locks)
{
    int err = asyncio_lock_acquire(&lock);
    note_struct(&err);
    return err ? err : asyncio_lock_acquire(&lock);
}

ASYNC(takes)
{
    int item;
    note_struct(&item);
    return asyncio_queue_get(&queue, &item);
}

ASYNC(gathers)
{
    char mark;
    note_struct(&mark);
    return asyncio_gather(NULL, sleeps(), takes());
}

ASYNC(groups)
{
    intptr_t err = 0;
    asyncio_task_group group;
    note_struct(&group);
    ASYNCIO_TIMEOUT(err, 100) {
        ASYNCIO_TASK_GROUP(group, err) {
            asyncio_task_group_create_task(&group, sleeps());
            asyncio_task_group_create_task(&group, locks());
        }
    }
    return err;
}

static void begin(asyncio_loop *loop, asyncio_coro *coro, const char *name)
{
    asyncio_task *task = asyncio_loop_create_task(loop, coro);
    asyncio_task_set_name(task, name);
    note_struct(task);
    asyncio_release(task);
}

static void stop(void *arg)
{
    asyncio_loop_stop(arg);
}

static asyncio_loop *make_loop(void)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    MUST(loop && asyncio_queue_init(&queue, sizeof(int), 2) == 0);
    note_struct(loop);
    note_struct(asyncio_debug_v1.runtime);
    note_struct(&asyncio_debug_v1);
    note_struct(&lock);
    note_struct(&queue);
    begin(loop, locks(), "locks");
    begin(loop, gathers(), "gathers");
    begin(loop, groups(), NULL);
    begin(loop, takes(), "takes");
    asyncio_loop_call_later(loop, 0.01, stop, loop);
    MUST(asyncio_loop_run_forever(loop) == 0);
    return loop;
}

/* ---- What was saved ----------------------------------------------------------------- */

static void read_saved(const char *path)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    MUST(fd >= 0 && fstat(fd, &stat) == 0);
    saved_bytes = (size_t)stat.st_size;
    saved = malloc(saved_bytes);
    MUST(saved && read(fd, saved, saved_bytes) == (ssize_t)saved_bytes);
    close(fd);
}

/* The files of the mappings are not to be found, since those of this program are not the input. */
static void hide_files(void)
{
    static const char *const folders[] = {"/usr/", "/lib",   "/work", "/home",
                                          "/root", "/build", "/tmp",  "/src"};
    char own[PATH_MAX] = "";
    MUST(readlink("/proc/self/exe", own, sizeof own - 1) > 0);
    for (size_t f = 0; f <= sizeof folders / sizeof *folders; f++) {
        const char *path = f ? folders[f - 1] : own;
        unsigned char *at = saved, *end = saved + (saved_bytes < 65536 ? saved_bytes : 65536);
        while ((at = memmem(at, (size_t)(end - at), path, strlen(path))))
            *++at = '%';
    }
}

static void find_marks(void)
{
    Elf64_Ehdr head;
    memcpy(&head, saved, sizeof head);
    marks[mark_count++] = sizeof head + sizeof(Elf64_Shdr);
    for (size_t i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr part;
        memcpy(&part, saved + head.e_phoff + i * sizeof part, sizeof part);
        if (part.p_type == PT_NOTE)
            marks[mark_count++] = part.p_offset;
        for (size_t s = 0; s < seen_count && mark_count < sizeof marks / sizeof *marks; s++)
            if (part.p_type == PT_LOAD && seen[s] >= part.p_vaddr && seen[s] < part.p_vaddr + part.p_filesz)
                marks[mark_count++] = part.p_offset + (seen[s] - part.p_vaddr);
    }
}

static void prepare(void)
{
    char path[] = "/tmp/asyncio-fuzz-XXXXXX", pid[16];
    int fd = mkstemp(path);
    MUST(fd >= 0);
    close(fd);
    asyncio_loop *loop = make_loop();
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    char command[] = "save", *words[] = {command, pid, path, NULL};
    int status = run_save(3, words);
    MUST(status == READ_WHOLE || status == READ_IN_PART); /* it cannot stop itself */
    read_saved(path);
    unlink(path);
    hide_files();
    find_marks();
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    asyncio_queue_destroy(&queue);
}

/* ---- The target --------------------------------------------------------------------- */

static void change(struct input *input, unsigned char *file)
{
    while (input->left) {
        unsigned mark = take_byte(input), width = 1u << (take_byte(input) & 3);
        size_t place = (mark & 0x80 ? 0 : marks[mark % mark_count]) + take_number(input);
        const uint8_t *bytes;
        size_t count = take_bytes(input, &bytes, width);
        if (place + count <= saved_bytes)
            memcpy(file + place, bytes, count);
    }
}

static void look_at_file(const char *path, void (*show)(struct look *look))
{
    struct look look = {.options = {.what = path, .stack = INT_MAX, .all_frames = true}};
    enum exit_status status = look_at(&look);
    if (status == READ_WHOLE || status == READ_IN_PART)
        show(&look);
    look_free(&look);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[32];
    if (fd < 0) {
        MUST(freopen("/dev/null", "w", stdout));
        prepare();
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        MUST(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    struct input input = {data, size};
    unsigned how = take_byte(&input);
    unsigned char *file = malloc(saved_bytes);
    MUST(file);
    memcpy(file, saved, saved_bytes);
    change(&input, file);
    MUST(pwrite(fd, file, saved_bytes, 0) == (ssize_t)saved_bytes);
    free(file);
    look_at_file(path, how % 4 == 0   ? show_list
                       : how % 4 == 1 ? show_tree
                       : how % 4 == 2 ? show_json
                                      : show_dot);
    return 0;
}
