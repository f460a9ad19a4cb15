/*
 * What all the programs of this folder share, ours, the bare ones and the
 * peers in C and C++: the clock, repetition, memory, and how a figure is printed.
 *
 * A program is called as `program question variant...`, measures inside its own
 * process, and prints a line for each figure:
 *
 *     question variant median unit best
 *     question variant - reason            (cannot be measured here)
 *
 * Each figure comes from several repetitions of a loop that is first made long
 * enough for the clock not to matter. BENCH_QUICK in the environment shortens all.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BENCH_REPETITIONS_MAX 5

static inline int64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int bench_is_quick(void)
{
    const char *quick = getenv("BENCH_QUICK");
    return quick && *quick && strcmp(quick, "0") != 0;
}

/* A message and exit status 1: a benchmark that cannot go on has no figure. */
#define BENCH_CHECK(condition)                                                                               \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                    \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* ---- Figures -------------------------------------------------------------- */

static inline void bench_print(const char *question, const char *variant, double median, const char *unit,
                               double best)
{
    printf("%s %s %.2f %s %.2f\n", question, variant, median, unit, best);
    fflush(stdout);
}

static inline void bench_print_none(const char *question, const char *variant, const char *reason)
{
    printf("%s %s - %s\n", question, variant, reason);
    fflush(stdout);
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts, so that samples[0] is the best. */
static inline double bench_median(double *samples, size_t n)
{
    qsort(samples, n, sizeof *samples, bench_compare);
    return n % 2 ? samples[n / 2] : (samples[n / 2 - 1] + samples[n / 2]) / 2;
}

/* Does the thing `times` times and returns how many nanoseconds that took,
 * without what had to be set up around it. */
typedef int64_t (*bench_function)(void *arg, uint64_t times);

/* Prints the nanoseconds per thing, `each` things being done each time. */
static inline void bench_measure(const char *question, const char *variant, bench_function fn, void *arg,
                                 double each)
{
    int64_t enough_ns = bench_is_quick() ? 4000000 : 20000000;
    size_t repetitions = bench_is_quick() ? 3 : BENCH_REPETITIONS_MAX;
    double samples[BENCH_REPETITIONS_MAX];
    uint64_t times = 1;

    while (fn(arg, times) < enough_ns && times < UINT64_MAX / 4)
        times *= 2;
    for (size_t i = 0; i < repetitions; i++)
        samples[i] = (double)fn(arg, times) / ((double)times * each);
    double median = bench_median(samples, repetitions);
    bench_print(question, variant, median, "ns", samples[0]);
}

/*
 * The question `switch`: n tasks yield in a circle. All run the same loop, written once for each
 * library; the first of them reads the clock on the way, and between its two readings each of the
 * others yields as often as it does. `mixed`: ten tasks, of BENCH_KINDS functions in turn, that is, with
 * as many places in the program to return to: processors guess worse where a yield comes back.
 */
#define BENCH_KINDS 4
#define BENCH_MIXED_TASKS 10

typedef struct bench_ring {
    size_t n;
    size_t kinds;
    uint64_t times;
    int64_t took_ns;
} bench_ring;

static inline bench_ring bench_ring_of(const char *variant)
{
    int mixed = strcmp(variant, "mixed") == 0;
    bench_ring ring = {BENCH_MIXED_TASKS, BENCH_KINDS, 0, 0};
    if (!mixed) {
        ring.n = strtoul(variant, NULL, 10);
        ring.kinds = 1;
    }
    BENCH_CHECK(ring.n > 0);
    return ring;
}

/* Marks the code of a function, so that no compiler takes it for the same as another. */
#define BENCH_OWN_CODE(mark) __asm__ volatile("# kind %c0" : : "i"(mark))

/* The loop itself; `yield` is an expression that is true if all is well. */
#define BENCH_RING_LOOP(ring, is_first, yield)                                                               \
    do {                                                                                                     \
        const uint64_t settled_ = 2, last_ = settled_ + (ring)->times;                                       \
        uint64_t look_ = (is_first) ? settled_ : UINT64_MAX;                                                 \
        int64_t began_ = 0;                                                                                  \
        for (uint64_t i_ = 0; i_ < last_ + 2; i_++) {                                                        \
            if (i_ == look_ && look_ != last_) {                                                             \
                look_ = last_;                                                                               \
                began_ = bench_now_ns();                                                                     \
            } else if (i_ == look_) {                                                                        \
                (ring)->took_ns = bench_now_ns() - began_;                                                   \
            }                                                                                                \
            if (!(yield))                                                                                    \
                break;                                                                                       \
        }                                                                                                    \
    } while (0)

/* ---- Memory --------------------------------------------------------------- */

/* The number after `key`, which is in KiB, in bytes; -1 if it is not there. */
static inline int64_t bench_read_kib(const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    char line[256];
    long long kib = -1;

    if (!file)
        return -1;
    while (kib < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0)
            kib = atoll(line + strlen(key));
    }
    fclose(file);
    return kib < 0 ? -1 : (int64_t)kib * 1024;
}

/* All that the process holds, its page tables included. smaps_rollup counts
 * exactly; the counter behind VmRSS lags behind by up to some hundred KiB. */
static inline int64_t bench_memory_bytes(void)
{
    int64_t resident = bench_read_kib("/proc/self/smaps_rollup", "Rss:");
    if (resident < 0)
        resident = bench_read_kib("/proc/self/status", "VmRSS:");
    return resident + bench_read_kib("/proc/self/status", "VmPTE:");
}

/* Whether the machine has room for n things of so many bytes, and some to spare. */
static inline int bench_has_room(uint64_t n, uint64_t bytes)
{
    int64_t available = bench_read_kib("/proc/meminfo", "MemAvailable:");
    return available < 0 || (double)available * 0.8 > (double)n * (double)bytes;
}

static inline int64_t bench_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/*
 * The question `memory`, the same for all: n tasks in ten groups. A task waits for its
 * group's first event and then for its second, which ends it. When all wait, the groups take
 * turns: one is woken, ended, and started again, while the other nine go on waiting. So a
 * task that wakes has waited for all the others' turns, and whoever keeps the memory of
 * ended tasks while others are there finds it touched.
 */
#define BENCH_GROUPS 10

typedef struct bench_crowd {
    /* Each returns once it is true of all of the group's tasks. */
    void (*start)(void *group, size_t n); /* made, ran, wait for the first event */
    void (*wake)(void *group, size_t n);  /* saw the first event, wait for the second */
    void (*end)(void *group, size_t n);   /* saw the second, ended, were awaited */
    const char *refused;                  /* set by one that cannot: why; nothing is shown then */
} bench_crowd;

static inline void bench_memory_print(const char *what, size_t n, double median, const char *unit,
                                      double best)
{
    char variant[64];
    snprintf(variant, sizeof variant, "%s-%zu", what, n);
    bench_print("memory", variant, median, unit, best);
}

static inline void bench_memory_none(size_t n, const char *reason)
{
    static const char *const figures[] = {"bytes", "start", "again", "wake"};
    char variant[64];

    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        snprintf(variant, sizeof variant, "%s-%zu", figures[i], n);
        bench_print_none("memory", variant, reason);
    }
}

/* groups[i] are the groups, each of group_bytes; n is a multiple of their number. */
static inline void bench_memory(size_t n, bench_crowd *crowd, void *groups, size_t group_bytes)
{
    enum { SAMPLES_MAX = 100 * BENCH_GROUPS };
    static double again[SAMPLES_MAX], wake[SAMPLES_MAX];
    size_t size = n / BENCH_GROUPS, samples = 0, samples_max = n >= 10000 ? 3 * BENCH_GROUPS : SAMPLES_MAX;
    double all = (double)n, each = (double)size;

    if (n >= 1000000)
        samples_max = BENCH_GROUPS;
    /* The first look at /proc costs memory, too. */
    bench_memory_bytes();
    int64_t bytes = -bench_memory_bytes(), faults = -bench_faults(), took = -bench_now_ns();
    for (size_t i = 0; i < BENCH_GROUPS && !crowd->refused; i++)
        crowd->start((char *)groups + i * group_bytes, size);
    if (crowd->refused) {
        bench_memory_none(n, crowd->refused);
        return;
    }
    took += bench_now_ns();
    faults += bench_faults();
    bytes += bench_memory_bytes();
    bench_memory_print("bytes", n, (double)bytes / all, "B", (double)bytes / all);
    bench_memory_print("start", n, (double)took / all, "ns", (double)took / all);
    bench_memory_print("faults", n, (double)faults / all, "each", (double)faults / all);

    /* Slow ones need fewer rounds to be told apart. */
    int64_t limit_ns = bench_now_ns() + (bench_is_quick() ? 50000000 : 500000000);
    faults = 0;
    while (samples < samples_max && (samples < BENCH_GROUPS || bench_now_ns() < limit_ns)) {
        void *group = (char *)groups + samples % BENCH_GROUPS * group_bytes;
        int64_t began = bench_now_ns();
        crowd->wake(group, size);
        wake[samples] = (double)(bench_now_ns() - began) / each;
        crowd->end(group, size);
        faults -= bench_faults();
        began = bench_now_ns();
        crowd->start(group, size);
        again[samples++] = (double)(bench_now_ns() - began) / each;
        faults += bench_faults();
    }
    double median = bench_median(again, samples);
    bench_memory_print("again", n, median, "ns", again[0]);
    median = bench_median(wake, samples);
    bench_memory_print("wake", n, median, "ns", wake[0]);
    double refaults = (double)faults / (each * (double)samples);
    bench_memory_print("refaults", n, refaults, "each", refaults);
    for (size_t i = 0; i < BENCH_GROUPS; i++) {
        crowd->wake((char *)groups + i * group_bytes, size);
        crowd->end((char *)groups + i * group_bytes, size);
    }
}

/* ---- Numbers without a pattern, the same in each run: timers' deadlines ---- */

static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* How many timers there are while one is made and cancelled, and how many
 * times that is done between two turns of the loop: a program's timers are
 * made by many tasks, and some libraries put work off until the next turn. */
#define BENCH_TIMERS 1000000
#define BENCH_TIMERS_TURN 100

/* A delay between 1000 and 2000 seconds, in milliseconds: none fires here. */
static inline uint64_t bench_delay_ms(uint64_t *state)
{
    return 1000000 + bench_random(state) % 1000000;
}

#endif
