/*
 * The question `file`. Variant `small`: 10,000 files of 1 to 8 KiB, all in memory, each opened, read to its
 * end, and closed; and `small-cpu`: the processor time of that. `large`, `large-cpu`: one file, of which
 * nothing is in memory, read from beginning to end in pieces of 128 KiB, per MiB.
 */
#ifndef BENCH_FILE_H
#define BENCH_FILE_H

#include "bench.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_COUNT 10000
#define FILE_BUFFER (64 * 1024)
#define FILE_PIECE (128 * 1024)
#define FILE_LARGE_MIB 256

typedef struct file_set {
    char folder[PATH_MAX];
    char paths[FILE_COUNT][64];
    int64_t bytes;
} file_set;

static inline int64_t file_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void file_write(const char *path, size_t n)
{
    static const char block[8192];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    BENCH_CHECK(fd >= 0);
    for (size_t most; n; n -= most) {
        most = n < sizeof block ? n : sizeof block;
        BENCH_CHECK(write(fd, block, most) == (ssize_t)most);
    }
    close(fd);
}

/* In a folder of their own, which becomes the working directory. */
static inline file_set *file_make_small(void)
{
    static file_set set;
    uint64_t random = 1;
    const char *tmp = getenv("TMPDIR");
    snprintf(set.folder, sizeof set.folder, "%s/bench-file-XXXXXX", tmp ? tmp : "/tmp");
    BENCH_CHECK(mkdtemp(set.folder) && chdir(set.folder) == 0);
    for (int i = 0; i < FILE_COUNT; i++) {
        size_t n = 1024 + bench_random(&random) % (7 * 1024);
        snprintf(set.paths[i], sizeof set.paths[i], "%s%05d", "file-", i);
        file_write(set.paths[i], n);
        set.bytes += (int64_t)n;
    }
    return &set;
}

static inline void file_remove(file_set *set)
{
    for (int i = 0; i < FILE_COUNT; i++)
        unlink(set->paths[i]);
    unlink("large");
    BENCH_CHECK(chdir("/") == 0 && rmdir(set->folder) == 0);
}

static inline void file_make_large(void)
{
    file_write("large", (size_t)FILE_LARGE_MIB * 1024 * 1024);
}

/* Nothing of it is in memory any more. */
static inline void file_forget_large(void)
{
    int fd = open("large", O_RDONLY | O_CLOEXEC);
    BENCH_CHECK(fd >= 0 && fsync(fd) == 0);
    BENCH_CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
    close(fd);
}

/* Runs it once and returns the bytes that it has read. */
typedef int64_t (*file_function)(void *arg, file_set *set);

static inline void file_print(const char *variant, double *wall, double *cpu, size_t n)
{
    char with_cpu[32];
    double median = bench_median(wall, n);
    bench_print("file", variant, median, "ns", wall[0]);
    snprintf(with_cpu, sizeof with_cpu, "%s-cpu", variant);
    median = bench_median(cpu, n);
    bench_print("file", with_cpu, median, "ns", cpu[0]);
}

/* fn, several times; `each`: the number of things that it does. */
static inline void file_measure(const char *variant, file_function fn, void *arg, file_set *set,
                                int64_t expected, double each)
{
    size_t n = bench_is_quick() ? 3 : BENCH_REPETITIONS_MAX;
    int is_large = strcmp(variant, "large") == 0;
    double wall[BENCH_REPETITIONS_MAX], cpu[BENCH_REPETITIONS_MAX];
    if (!is_large)
        BENCH_CHECK(fn(arg, set) == expected);
    for (size_t i = 0; i < n; i++) {
        if (is_large)
            file_forget_large();
        int64_t began = bench_now_ns(), cpu_began = file_cpu_ns();
        BENCH_CHECK(fn(arg, set) == expected);
        cpu[i] = (double)(file_cpu_ns() - cpu_began) / each;
        wall[i] = (double)(bench_now_ns() - began) / each;
    }
    file_print(variant, wall, cpu, n);
}

static inline void file_bench(char **variants, int count, file_function small, file_function large, void *arg)
{
    file_set *set = file_make_small();
    for (int i = 0; i < count; i++) {
        if (strcmp(variants[i], "small") == 0)
            file_measure("small", small, arg, set, set->bytes, FILE_COUNT);
        if (strcmp(variants[i], "large") == 0) {
            file_make_large();
            file_measure("large", large, arg, set, (int64_t)FILE_LARGE_MIB * 1024 * 1024, FILE_LARGE_MIB);
        }
    }
    file_remove(set);
}

#endif
