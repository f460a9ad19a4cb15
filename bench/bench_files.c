/*
 * The question `files`: the same calls on files by threads and by a ring of io_uring, in turn, in one
 * process.
 * Processor time of all threads, those of the kernel among them, of one call:
 *
 *   reads        reads of 4 KiB, anywhere in a file of which nothing is in memory, by 32 tasks
 *   cold         files of 1 to 8 KiB opened, read and closed, none of them in memory, by 32 tasks
 *   warm, warm1  the same with all of them in memory, by 32 tasks and by one
 *   sync, sync1  4 KiB appended, and fdatasync, by 32 tasks and by one
 *
 * Each variant is printed with the ring, as `VARIANT-threads` with threads, and as `VARIANT+m` by a loop by
 * hand (files_ring.c). TMPDIR must lie on a disk for the cold ones to say anything.
 */
#include "files.h"

#include <asyncio.h>
#include <sys/resource.h>

typedef struct files_case {
    const char *variant;
    asyncio_coro *(*make)(file_set *set, int first, int step);
    void (*prepare)(file_set *set);
    int tasks, calls;
} files_case;

static int64_t cpu_of_all_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* ---- What is measured ------------------------------------------------------------------------ */

static asyncio_file *large;

ASYNC(read_blocks, int, first, int, step)
{
    char block[FILES_BLOCK];
    uint64_t random = (uint64_t)first + 1;
    for (int i = first; i < FILES_READS; i += step) {
        off_t at = files_place(&random);
        BENCH_CHECK(asyncio_file_pread(large, block, FILES_BLOCK, at) == FILES_BLOCK);
    }
    return 0;
}

ASYNC(read_files, file_set *, set, int, first, int, step)
{
    char buffer[8192];
    for (int i = first; i < FILE_COUNT; i += step) {
        asyncio_file *file;
        ssize_t n;
        BENCH_CHECK(asyncio_file_open(set->paths[i], O_RDONLY, 0, &file) == 0);
        while ((n = asyncio_file_read(file, buffer, sizeof buffer)) > 0)
            continue;
        BENCH_CHECK(n == 0 && asyncio_file_close(file) == 0);
    }
    return 0;
}

ASYNC(append_blocks, int, first, int, step)
{
    static const char block[FILES_BLOCK];
    char path[32];
    asyncio_file *file;
    snprintf(path, sizeof path, "append-%d", first);
    BENCH_CHECK(asyncio_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &file) == 0);
    for (int i = first; i < FILES_SYNCS; i += step) {
        BENCH_CHECK(asyncio_file_write(file, block, FILES_BLOCK) == FILES_BLOCK);
        BENCH_CHECK(asyncio_file_fdatasync(file) == 0);
    }
    BENCH_CHECK(asyncio_file_close(file) == 0 && asyncio_unlink(path) == 0);
    return 0;
}

static asyncio_coro *make_blocks(file_set *set, int first, int step)
{
    (void)set;
    return read_blocks(first, step);
}

static asyncio_coro *make_files(file_set *set, int first, int step)
{
    return read_files(set, first, step);
}

static asyncio_coro *make_appends(file_set *set, int first, int step)
{
    (void)set;
    return append_blocks(first, step);
}

/* ---- Around it ------------------------------------------------------------------------------- */

static void forget_small(file_set *set)
{
    for (int i = 0; i < FILE_COUNT; i++) {
        int fd = open(set->paths[i], O_RDONLY | O_CLOEXEC);
        BENCH_CHECK(fd >= 0 && fdatasync(fd) == 0);
        BENCH_CHECK(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
        close(fd);
    }
}

static void forget_large(file_set *set)
{
    (void)set;
    file_forget_large();
}

static void forget_nothing(file_set *set)
{
    (void)set;
}

static const files_case cases[] = {
    {"reads", make_blocks, forget_large, FILES_AT_ONCE, FILES_READS},
    {"cold", make_files, forget_small, FILES_AT_ONCE, FILE_COUNT},
    {"warm", make_files, forget_nothing, FILES_AT_ONCE, FILE_COUNT},
    {"warm1", make_files, forget_nothing, 1, FILE_COUNT},
    {"sync", make_appends, forget_nothing, FILES_AT_ONCE, FILES_SYNCS},
    {"sync1", make_appends, forget_nothing, 1, FILES_SYNCS},
};

ASYNC(run_case, const files_case *, one, file_set *, set, int64_t *, cpu)
{
    asyncio_task *tasks[FILES_AT_ONCE];
    BENCH_CHECK(asyncio_file_open("large", O_RDONLY, 0, &large) == 0);
    int64_t began = cpu_of_all_ns();
    for (int i = 0; i < one->tasks; i++)
        tasks[i] = asyncio_create_task(one->make(set, i, one->tasks));
    for (int i = 0; i < one->tasks; i++)
        BENCH_CHECK(asyncio_await(tasks[i]) == 0);
    *cpu = cpu_of_all_ns() - began;
    BENCH_CHECK(asyncio_file_close(large) == 0);
    return 0;
}

static double measure_way(const files_case *one, file_set *set, const char *way)
{
    int64_t cpu = 0;
    one->prepare(set);
    setenv("ASYNCIO_FILES", way, 1);
    BENCH_CHECK(asyncio_run(run_case(one, set, &cpu)) == 0);
    return (double)cpu / one->calls;
}

static double measure_hand(const files_case *one, file_set *set)
{
    one->prepare(set);
    int64_t began = cpu_of_all_ns();
    int calls = files_by_hand(one->variant, set, one->tasks);
    return calls ? (double)(cpu_of_all_ns() - began) / calls : 0;
}

static void print_way(const char *variant, const char *way, double *samples, size_t n)
{
    char name[32];
    double first = samples[0], median = bench_median(samples, n);
    snprintf(name, sizeof name, "%s%s", variant, way);
    if (median > 0)
        bench_print("files", name, median, "ns", first);
    else
        bench_print_none("files", name, "io_uring cannot be used here");
}

static void measure_case(const files_case *one, file_set *set)
{
    size_t rounds = bench_is_quick() ? 3 : BENCH_REPETITIONS_MAX;
    double ring[BENCH_REPETITIONS_MAX], threads[BENCH_REPETITIONS_MAX], hand[BENCH_REPETITIONS_MAX];
    for (size_t i = 0; i < rounds; i++) {
        threads[i] = measure_way(one, set, "threads");
        ring[i] = measure_way(one, set, "ring");
        hand[i] = measure_hand(one, set);
    }
    print_way(one->variant, "", ring, rounds);
    print_way(one->variant, "-threads", threads, rounds);
    print_way(one->variant, "+m", hand, rounds);
}

static int is_wanted(const char *variant, int count, char **variants)
{
    for (int i = 0; i < count; i++)
        if (strcmp(variants[i], variant) == 0)
            return 1;
    return count == 0;
}

int main(int argc, char **argv)
{
    file_set *set = file_make_small();
    file_make_large();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (is_wanted(cases[i].variant, argc > 2 ? argc - 2 : 0, argv + 2))
            measure_case(&cases[i], set);
    file_remove(set);
    return 0;
}
