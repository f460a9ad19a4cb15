/*
 * What the tests of files share: a folder that is removed with all that is in it, and calls of
 * the C library that this program makes its own, so that a read may find nothing in memory, or take
 * its time. Included by one file of a program.
 */
#ifndef TESTS_IO_FILE_TEST_H
#define TESTS_IO_FILE_TEST_H

#include "asyncio.h"
#include "support/harness.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#define THREADS_MAX 8 /* as file_op.c has it */

/* A test that is a coroutine, run with all that reads at once can say. */
#define FILE_TEST(name)                                                                                      \
    static asyncio_coro *main_of_##name(void);                                                               \
    TEST_WITH(test_##name, case_##name, #name, false)                                                        \
    {                                                                                                        \
        for (memory = MEMORY_REAL; memory <= MEMORY_HALF; memory++)                                          \
            CHECK_EQUAL(run(main_of_##name), 0);                                                             \
        memory = MEMORY_REAL;                                                                                \
        harness_settle();                                                                                    \
    }                                                                                                        \
    ASYNC(main_of_##name)

/* ---- The page cache --------------------------------------------------------------------- */

enum memory {
    MEMORY_REAL,    /* as it is */
    MEMORY_NOTHING, /* nothing is there: EAGAIN */
    MEMORY_UNKNOWN, /* the file system does not know: EOPNOTSUPP */
    MEMORY_HALF,    /* a page at a time, each second time nothing */
};
static enum memory memory;
static unsigned tries; /* reads at once, so far; the loop's thread */

/* The linker sends the library's reads at once through here. */
ssize_t __real_asy_sys_read_cached(int fd, void *buf, size_t n, off_t offset);
ssize_t __wrap_asy_sys_read_cached(int fd, void *buf, size_t n, off_t offset);
ssize_t __wrap_asy_sys_read_cached(int fd, void *buf, size_t n, off_t offset)
{
    tries++;
    if (memory == MEMORY_NOTHING || (memory == MEMORY_HALF && tries % 2))
        return -EAGAIN;
    if (memory == MEMORY_UNKNOWN)
        return -EOPNOTSUPP;
    if (memory == MEMORY_HALF && n > 4096)
        n = 4096 - (offset < 0 ? 0 : (size_t)offset % 4096);
    return __real_asy_sys_read_cached(fd, buf, n, offset);
}

/* ---- Slow reads, and opens ---------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;      /* reads on threads wait */
    unsigned waiting; /* so many */
    unsigned passed;  /* so many, in all */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void set_gate(bool closed)
{
    pthread_mutex_lock(&gate.lock);
    gate.closed = closed;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static inline unsigned waiting_at_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    unsigned waiting = gate.waiting;
    pthread_mutex_unlock(&gate.lock);
    return waiting;
}

static inline void wait_at_gate(unsigned count)
{
    while (waiting_at_gate() != count)
        asyncio_sleep(0.0005);
}

static inline void pass_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.waiting++;
    while (gate.closed)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.waiting--;
    gate.passed++;
    pthread_mutex_unlock(&gate.lock);
}

ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
    pass_gate();
    return syscall(SYS_pread64, fd, buf, n, offset);
}

/* What waits at the gate is done by threads, and by no ring, in loops that are made between these two. */
static const char *files_before;
static inline void begin_by_threads(void)
{
    files_before = getenv("ASYNCIO_FILES");
    files_before = files_before ? strdup(files_before) : NULL;
    setenv("ASYNCIO_FILES", "threads", 1);
}

static inline void end_by_threads(void)
{
    if (files_before)
        setenv("ASYNCIO_FILES", files_before, 1);
    else
        unsetenv("ASYNCIO_FILES");
    free((void *)files_before);
}

static inline intptr_t run_by_threads(coroutine_function main)
{
    begin_by_threads();
    intptr_t result = run(main);
    end_by_threads();
    return result;
}

/* A test that is a coroutine, of threads. */
#define THREADS_TEST(name)                                                                                   \
    static asyncio_coro *main_of_##name(void);                                                               \
    TEST_WITH(test_##name, case_##name, #name, false)                                                        \
    {                                                                                                        \
        CHECK_EQUAL(run_by_threads(main_of_##name), 0);                                                      \
        memory = MEMORY_REAL;                                                                                \
        harness_settle();                                                                                    \
    }                                                                                                        \
    ASYNC(main_of_##name)

/* Of files named so. */
#define GATED "gated"

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? va_arg(more, mode_t) : 0;
    va_end(more);
    if (strcmp(path, GATED) == 0)
        pass_gate();
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* A new folder, which becomes the working directory. */
static inline int enter_folder(void **state)
{
    static char folder[64];
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/asyncio-files-XXXXXX", tmp && strlen(tmp) < 30 ? tmp : "/tmp");
    *state = folder;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static inline int leave_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static inline void put_file(const char *path, const void *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, data, n) != (ssize_t)n)
        abort();
    close(fd);
}

static inline void check_file(const char *path, const void *data, size_t n)
{
    char *found = malloc(n + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQUAL(read(fd, found, n + 1), n);
    CHECK(memcmp(found, data, n) == 0);
    close(fd);
    free(found);
}

static inline asyncio_file *open_file(const char *path, int flags)
{
    asyncio_file *file = NULL;
    CHECK_EQUAL(asyncio_file_open(path, flags, 0644, &file), 0);
    return file;
}

ASYNC(read_into, asyncio_file *, file, char *, buf, size_t, n)
{
    return asyncio_file_read(file, buf, n);
}

#endif
