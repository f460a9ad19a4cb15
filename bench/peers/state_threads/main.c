/*
 * The questions of bench/, asked of State Threads (libst). Called and printed
 * as bench.h says.
 *
 * It has no yield: st_sleep(0) is what its users write. Its timers are sleeping threads.
 */
#include "../../bench.h"

#include <st.h>

#define CHILDREN 100

/* ---- switch --------------------------------------------------------------- */

static bench_ring ring;
static st_thread_t *ring_threads;

/* The argument is not NULL for the first. */
#define KIND(name, mark)                                                                                     \
    static void *name(void *arg)                                                                             \
    {                                                                                                        \
        BENCH_OWN_CODE(mark);                                                                                \
        BENCH_RING_LOOP(&ring, arg != NULL, st_sleep(0) == 0);                                               \
        return NULL;                                                                                         \
    }

KIND(pass_0, 0)
KIND(pass_1, 1)
KIND(pass_2, 2)
KIND(pass_3, 3)

static int64_t measure_ring(void *arg, uint64_t times)
{
    static void *(*const kinds[BENCH_KINDS])(void *) = {pass_0, pass_1, pass_2, pass_3};
    ring.times = times;
    for (size_t i = 0; i < ring.n; i++)
        BENCH_CHECK(ring_threads[i] = st_thread_create(kinds[i % ring.kinds], i ? NULL : arg, 1, 0));
    for (size_t i = 0; i < ring.n; i++)
        st_thread_join(ring_threads[i], NULL);
    return ring.took_ns;
}

static void question_switch(const char *variant)
{
    ring = bench_ring_of(variant);
    BENCH_CHECK(ring_threads = calloc(ring.n, sizeof *ring_threads));
    bench_measure("switch", variant, measure_ring, &ring, (double)ring.n);
    free(ring_threads);
}

/* ---- spawn, gather -------------------------------------------------------- */

static void *child_return(void *arg)
{
    return (char *)arg + 1;
}

static void *child_yield(void *arg)
{
    st_sleep(0);
    return (char *)arg + 1;
}

static int64_t measure_spawn(void *arg, uint64_t times)
{
    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        void *result;
        st_thread_t thread = st_thread_create(child_return, (void *)(uintptr_t)i, 1, 0);
        BENCH_CHECK(thread && st_thread_join(thread, &result) == 0 && (uintptr_t)result == i + 1);
    }
    return bench_now_ns() - began;
}

static int64_t measure_gather(void *arg, uint64_t times)
{
    void *(*child)(void *) = *(void *(**)(void *))arg;
    st_thread_t threads[CHILDREN];
    void *results[CHILDREN];

    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        for (size_t j = 0; j < CHILDREN; j++)
            BENCH_CHECK(threads[j] = st_thread_create(child, (void *)(uintptr_t)j, 1, 0));
        for (size_t j = 0; j < CHILDREN; j++)
            st_thread_join(threads[j], &results[j]);
        BENCH_CHECK((uintptr_t)results[CHILDREN - 1] == CHILDREN);
    }
    return bench_now_ns() - began;
}

static void question_gather(const char *variant)
{
    void *(*child)(void *) = strcmp(variant, "yield") == 0 ? child_yield : child_return;
    bench_measure("gather", variant, measure_gather, &child, CHILDREN);
}

/* ---- memory --------------------------------------------------------------- */

struct group {
    st_cond_t first, second;
    size_t parked, woken;
    st_thread_t *threads;
};

static void *idle(void *arg)
{
    struct group *group = arg;
    group->parked++;
    st_cond_wait(group->first);
    group->woken++;
    st_cond_wait(group->second);
    return NULL;
}

static void group_start(void *arg, size_t n)
{
    struct group *group = arg;
    group->parked = group->woken = 0;
    for (size_t i = 0; i < n; i++)
        BENCH_CHECK(group->threads[i] = st_thread_create(idle, group, 1, 0));
    while (group->parked < n)
        st_sleep(0);
}

static void group_wake(void *arg, size_t n)
{
    struct group *group = arg;
    st_cond_broadcast(group->first);
    while (group->woken < n)
        st_sleep(0);
}

static void group_end(void *arg, size_t n)
{
    struct group *group = arg;
    st_cond_broadcast(group->second);
    for (size_t i = 0; i < n; i++)
        st_thread_join(group->threads[i], NULL);
}

static void question_memory(const char *variant)
{
    size_t n = strtoul(variant, NULL, 10);
    bench_crowd crowd = {group_start, group_wake, group_end, NULL};
    struct group groups[BENCH_GROUPS];
    st_thread_t *threads;

    if (!bench_has_room(n, 9 * 1024)) {
        bench_memory_none(n, "not enough memory in this machine");
        return;
    }
    /* Touched, so that it does not count as the threads'. */
    BENCH_CHECK(threads = malloc(n * sizeof *threads));
    memset(threads, 1, n * sizeof *threads);
    for (size_t i = 0; i < BENCH_GROUPS; i++)
        groups[i] = (struct group){st_cond_new(), st_cond_new(), 0, 0, threads + n / BENCH_GROUPS * i};
    bench_memory(n, &crowd, groups, sizeof *groups);
    free(threads);
}

int main(int argc, char **argv)
{
    BENCH_CHECK(argc >= 2);
    st_set_eventsys(ST_EVENTSYS_ALT);
    BENCH_CHECK(st_init() == 0);
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[1], "switch") == 0)
            question_switch(argv[i]);
        else if (strcmp(argv[1], "spawn") == 0)
            bench_measure("spawn", argv[i], measure_spawn, NULL, 1);
        else if (strcmp(argv[1], "gather") == 0)
            question_gather(argv[i]);
        else if (strcmp(argv[1], "timer") == 0)
            bench_print_none("timer", argv[i], "has no timers but sleeping threads");
        else if (strcmp(argv[1], "memory") == 0)
            question_memory(argv[i]);
    }
    return 0;
}
