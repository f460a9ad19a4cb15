/*
 * A live process. Its memory is copied by process_vm_readv, where a filter forbids that from /proc/PID/mem.
 * No code runs in it. It may live in other mount and pid namespaces: files are opened through /proc/PID/root
 * and compared by device and inode, and thread ids are those that the process itself has.
 */
#include "sockets.h"
#include "target.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <elf.h>

/* How long a thread may take to stop: one in an uninterruptible call never does. */
#define STOP_NS 1000000000

struct process {
    struct target target;
    int memory; /* /proc/PID/mem, or -1 */
    int pages;  /* /proc/PID/pagemap, or -1 */
    bool uses_memory_file;
    struct table stopped; /* from a thread's id in its own namespace to ours */
    pid_t *seized;
    size_t seized_count, seized_capacity;
    struct sockets *sockets; /* read when the first one is asked for */
};

static struct process *process_of(struct target *target)
{
    return (struct process *)(void *)target;
}

static int64_t read_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A whole file of /proc, with a NUL at the end; NULL and errno. To be freed. */
char *read_proc_file(pid_t pid, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *text = NULL;
    size_t capacity = 0, length = 0;
    ssize_t n;
    do {
        text = must_grow(text, &capacity, length + 65536, 1);
        n = read(fd, text + length, capacity - length - 1);
        length += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    int err = errno;
    close(fd);
    if (n < 0 && !length) {
        free(text);
        errno = err;
        return NULL;
    }
    text[length] = '\0';
    return text;
}

/* ---- Memory ----------------------------------------------------------------- */

static size_t read_process(struct target *target, uint64_t address, void *out, size_t bytes)
{
    struct process *process = process_of(target);
    ssize_t n = -1;
    if (!process->uses_memory_file) {
        struct iovec own = {out, bytes}, theirs = {(void *)(uintptr_t)address, bytes};
        n = process_vm_readv(target->pid, &own, 1, &theirs, 1, 0);
        if (n < 0 && (errno == ENOSYS || errno == EPERM))
            process->uses_memory_file = true;
    }
    if (process->uses_memory_file)
        n = pread(process->memory, out, bytes, (off_t)address);
    return n > 0 ? (size_t)n : 0;
}

static bool is_same_file(int fd, const struct mapping *mapping)
{
    struct stat stat;
    return fstat(fd, &stat) == 0 && stat.st_ino == mapping->inode &&
           /* An overlay shows another device here than in its maps: the number of the file is enough. */
           S_ISREG(stat.st_mode);
}

static int open_process_file(struct target *target, const struct mapping *mapping)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)target->pid, mapping->path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0 && is_same_file(fd, mapping))
        return fd;
    if (fd >= 0)
        close(fd);
    /* Deleted or replaced since: the kernel has it still. */
    snprintf(path, sizeof path, "/proc/%d/map_files/%llx-%llx", (int)target->pid,
             (unsigned long long)mapping->low, (unsigned long long)mapping->high);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)target->pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || is_same_file(fd, mapping))
        return fd;
    close(fd);
    return -1;
}

/* ---- Threads ---------------------------------------------------------------- */

/* The last of "NSpid: 4242 7": the id that the thread itself knows. */
static int own_number(pid_t pid, const char *tid)
{
    char name[64];
    snprintf(name, sizeof name, "task/%.20s/status", tid);
    char *text = read_proc_file(pid, name);
    const char *line = text ? strstr(text, "\nNSpid:") : NULL;
    int number = atoi(tid);
    if (line) {
        const char *end = strchr(line + 1, '\n');
        while (end && end > line && end[-1] >= '0' && end[-1] <= '9')
            end--;
        number = end ? atoi(end) : number;
    }
    free(text);
    return number;
}

/* Our number for a thread that calls itself `tid`; 0: there is none. */
static pid_t find_thread(pid_t pid, int tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    const struct dirent *entry;
    pid_t found = 0;
    while (threads && !found && (entry = readdir(threads)))
        if (entry->d_name[0] != '.' && own_number(pid, entry->d_name) == tid)
            found = atoi(entry->d_name);
    if (threads)
        closedir(threads);
    return found;
}

static bool wait_for_stop(pid_t thread)
{
    int64_t latest = read_clock() + STOP_NS;
    int status;
    do {
        pid_t got = waitpid(thread, &status, __WALL | WNOHANG);
        if (got == thread)
            return WIFSTOPPED(status);
        if (got < 0 && errno != EINTR)
            return false;
        if (got == 0)
            nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    } while (read_clock() < latest);
    return false;
}

static const char *why_not_seized(void)
{
    return errno == EPERM ? "not permitted to stop it (is a debugger there already?)" : strerror(errno);
}

static void leave_process(struct target *target)
{
    struct process *process = process_of(target);
    for (size_t i = 0; i < process->seized_count; i++)
        ptrace(PTRACE_DETACH, process->seized[i], NULL, NULL);
    process->seized_count = 0;
    table_free(&process->stopped);
}

static bool stop_process(struct target *target, const int *tids, size_t count, const char **why)
{
    struct process *process = process_of(target);
    for (size_t i = 0; i < count; i++) {
        pid_t thread = find_thread(target->pid, tids[i]);
        if (!thread || table_find(&process->stopped, (uint64_t)tids[i]) != UINT32_MAX)
            continue; /* a loop that no thread runs, or one inside another */
        if (ptrace(PTRACE_SEIZE, thread, NULL, NULL)) {
            *why = why_not_seized();
            leave_process(target);
            return false;
        }
        GROW(process->seized, process->seized_capacity, process->seized_count);
        process->seized[process->seized_count++] = thread;
        table_put(&process->stopped, (uint64_t)tids[i], (uint32_t)thread);
    }
    for (size_t i = 0; i < process->seized_count; i++)
        ptrace(PTRACE_INTERRUPT, process->seized[i], NULL, NULL);
    for (size_t i = 0; i < process->seized_count; i++) {
        if (wait_for_stop(process->seized[i]))
            continue;
        *why = "a thread does not stop (in a call that cannot be interrupted?)";
        leave_process(target);
        return false;
    }
    return true;
}

static bool get_process_registers(struct target *target, int tid, struct registers *out)
{
    uint32_t thread = table_find(&process_of(target)->stopped, (uint64_t)tid);
    struct iovec into = {out->words, sizeof out->words};
    if (thread == UINT32_MAX ||
        ptrace(PTRACE_GETREGSET, (pid_t)thread, (void *)(uintptr_t)NT_PRSTATUS, &into))
        return false;
    out->bytes = into.iov_len;
    return true;
}

/* ---- Stacks ------------------------------------------------------------------ */

/* As <linux/fs.h> has it since Linux 6.7. */
struct page_scan {
    uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
    uint64_t inverted, all_of, any_of, told;
};
struct page_region {
    uint64_t low, high, categories;
};
#define PAGE_SCAN _IOWR('f', 16, struct page_scan)
#define IS_PRESENT (UINT64_C(1) << 3)
#define IS_SWAPPED (UINT64_C(1) << 4)
#define IS_ZERO (UINT64_C(1) << 5) /* only ever read: by this command, too, which reads in large blocks */

/* As find_process_touched; -1: the kernel is older. */
static int scan_touched(const struct process *process, uint64_t low, uint64_t high, uint64_t *lowest)
{
    struct page_region region = {0};
    struct page_scan scan = {.size = sizeof scan,
                             .start = low,
                             .end = high,
                             .regions = (uintptr_t)&region,
                             .region_count = 1,
                             .max_pages = 1,
                             .inverted = IS_ZERO,
                             .all_of = IS_ZERO,
                             .any_of = IS_PRESENT | IS_SWAPPED,
                             .told = IS_PRESENT | IS_SWAPPED};
    int count = ioctl(process->pages, PAGE_SCAN, &scan);
    if (count > 0)
        *lowest = region.low;
    return count;
}

/* In an entry of /proc/PID/pagemap: the page is present, or swapped. */
#define HAS_MEMORY (UINT64_C(1) << 63 | UINT64_C(1) << 62)
#define ENTRIES 512 /* read at a time */

static bool find_process_touched(struct target *target, uint64_t low, uint64_t high, uint64_t *lowest)
{
    const struct process *process = process_of(target);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entries[ENTRIES];
    low -= low % page;
    high += -high % page;
    int count = scan_touched(process, low, high, lowest);
    for (uint64_t at = low / page; count < 0 && at < high / page;) {
        size_t bytes = (high / page - at < ENTRIES ? high / page - at : ENTRIES) * sizeof *entries;
        if (pread(process->pages, entries, bytes, (off_t)(at * sizeof *entries)) != (ssize_t)bytes)
            return false;
        for (size_t i = 0; i < bytes / sizeof *entries && count < 0; i++, at++)
            count = entries[i] & HAS_MEMORY ? 1 : count;
        *lowest = (at - 1) * page;
    }
    return count > 0;
}

/* ---- Descriptors ------------------------------------------------------------ */

static void describe_process_fd(struct target *target, int fd, bool is_reading, struct text *text)
{
    struct process *process = process_of(target);
    char path[64], file[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)target->pid, fd);
    ssize_t length = readlink(path, file, sizeof file - 1);
    if (length <= 0)
        return;
    file[length] = '\0';
    unsigned long long inode;
    if (sscanf(file, "socket:[%llu]", &inode) != 1) {
        text_add(text, ", ");
        text_add_clean(text, file);
        return;
    }
    if (!process->sockets)
        process->sockets = sockets_read(target->pid);
    sockets_describe(process->sockets, inode, is_reading, text);
}

/* ---- Opening ---------------------------------------------------------------- */

static void close_process(struct target *target)
{
    struct process *process = process_of(target);
    leave_process(target);
    if (process->memory >= 0)
        close(process->memory);
    if (process->pages >= 0)
        close(process->pages);
    free(process->seized);
    sockets_free(process->sockets);
    free(process);
}

static const struct target_ops process_ops = {
    .read = read_process,
    .open_file = open_process_file,
    .stop = stop_process,
    .go_on = leave_process,
    .get_registers = get_process_registers,
    .find_touched = find_process_touched,
    .describe_fd = describe_process_fd,
    .close = close_process,
};

/* The clock of its time namespace runs ahead of ours by so much. */
static int64_t clock_offset(pid_t pid)
{
    char *text = read_proc_file(pid, "timens_offsets");
    long long seconds = 0, ns = 0;
    const char *line = text ? strstr(text, "monotonic") : NULL;
    if (!line || sscanf(line, "monotonic %lld %lld", &seconds, &ns) != 2)
        seconds = ns = 0;
    free(text);
    /* Our own namespace may have one, too. */
    long long own_seconds = 0, own_ns = 0;
    text = read_proc_file(getpid(), "timens_offsets");
    line = text ? strstr(text, "monotonic") : NULL;
    if (!line || sscanf(line, "monotonic %lld %lld", &own_seconds, &own_ns) != 2)
        own_seconds = own_ns = 0;
    free(text);
    return (int64_t)(seconds - own_seconds) * 1000000000 + (int64_t)(ns - own_ns);
}

static void explain_refusal(const char *name, int err)
{
    if (err == ENOENT || err == ESRCH) {
        fprintf(stderr, "asyncio: there is no process %s\n", name);
        return;
    }
    fprintf(
        stderr,
        "asyncio: process %s: %s. Its memory can be read by root (sudo asyncio ps %s); by its own user "
        "where\n"
        "asyncio: /proc/sys/kernel/yama/ptrace_scope is 0; or by anybody from a core file (kill -ABRT %s).\n",
        name, strerror(err), name, name);
}

enum exit_status open_process(const char *name, struct target **out)
{
    struct process *process = must_alloc(sizeof *process);
    struct target *target = &process->target;
    char path[64];
    target->ops = &process_ops;
    target->is_live = true;
    errno = 0;
    unsigned long pid = strtoul(name, NULL, 10);
    target->pid = errno || pid > INT_MAX ? INT_MAX : (pid_t)pid;
    char *maps = read_proc_file(target->pid, "maps");
    int err = maps ? 0 : errno;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)target->pid);
    process->memory = open(path, O_RDONLY | O_CLOEXEC);
    int memory_err = errno;
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)target->pid);
    process->pages = open(path, O_RDONLY | O_CLOEXEC);
    if (!err && process->memory < 0)
        err = memory_err;
    if (err || !maps[0]) {
        if (!err)
            fprintf(stderr, "asyncio: process %s has no memory: it has ended, or is the kernel's\n", name);
        else
            explain_refusal(name, err);
        free(maps);
        close_process(target);
        return err == ENOENT || err == ESRCH || !err ? NO_LOOP : NOT_PERMITTED;
    }
    parse_mappings(target, maps);
    free(maps);
    char program[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)target->pid);
    ssize_t length = readlink(path, program, sizeof program - 1);
    if (length > 0) {
        program[length] = '\0';
        target->program = must_copy(program);
    }
    target->now_ns = read_clock() + clock_offset(target->pid);
    *out = target;
    return READ_WHOLE;
}
