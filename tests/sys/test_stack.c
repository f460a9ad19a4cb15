/* Stacks: guarded, apart, reused hot, trimmed; and when memory, address space or mappings run out. */
#include "base/sanitizer.h"
#include "child.h"
#include "support/test.h"
#include "sys/context.h"
#include "sys/stack.h"
#include "sys/sys.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define KIB 1024u
#define KEPT_PAGES (32 * KIB / asy_sys_page_size())

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static struct asy_stacks *new_stacks(void)
{
    struct asy_stacks *stacks = asy_stacks_new(0);
    assert_non_null(stacks);
    return stacks;
}

static struct asy_stack *take(struct asy_stacks *stacks, size_t bytes)
{
    struct asy_stack *stack = NULL;
    assert_int_equal(asy_stack_take(stacks, bytes, &stack), 0);
    assert_non_null(stack);
    return stack;
}

static struct asy_stacks_stat stat_of(const struct asy_stacks *stacks)
{
    struct asy_stacks_stat stat;
    asy_stacks_stat(stacks, &stat);
    return stat;
}

/* Pages from `low` to `top` that are in memory. */
static size_t resident_pages(const struct asy_stack *stack)
{
    static unsigned char vec[4096];
    size_t page = asy_sys_page_size(), bytes = (size_t)(stack->top - stack->low), n = 0;
    assert_true(bytes / page < sizeof vec);
    assert_int_equal(asy_sys_mincore(stack->low, bytes, vec), 0);
    for (size_t i = 0; i < (bytes + page - 1) / page; i++)
        n += vec[i] & 1;
    return n;
}

/* Writes the whole stack, or its top only. */
static void use(struct asy_stack *stack, size_t bytes)
{
    size_t all = (size_t)(stack->top - stack->low);
    bytes = bytes < all ? bytes : all;
    memset(stack->top - bytes, 0x5a, bytes);
}

/* ---- Shape ---------------------------------------------------------------- */

TEST(sizes_are_rounded)
{
    struct asy_stacks *stacks = new_stacks();
    assert_int_equal(asy_stacks_size(stacks, 0), 256 * KIB);
    static const size_t sizes[] = {1, 16 * KIB, 16 * KIB + 1, 100 * KIB, 256 * KIB, 1024 * KIB, 8192 * KIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = asy_stacks_size(stacks, sizes[i]);
        assert_true(size >= sizes[i] && size % ASY_STACK_MIN_BYTES == 0);
        struct asy_stack *stack = take(stacks, sizes[i]), *next = take(stacks, sizes[i]);
        size_t usable = (size_t)(stack->top - stack->low);
        assert_true(usable <= size && usable > size - KIB);
        assert_int_equal((uintptr_t)stack->top % 16, 0);
        size_t stride = (size_t)labs(next->low - stack->low);
        assert_int_equal(stride / asy_sys_page_size() % 2, 1);
        assert_true(stride >= size + ASY_STACK_GUARD_BYTES);
        assert_true(stride <= size + ASY_STACK_GUARD_BYTES + asy_sys_page_size());
        use(stack, SIZE_MAX);
        asy_stack_give(stacks, stack);
        asy_stack_give(stacks, next);
    }
    assert_int_equal(stat_of(stacks).slabs, 6); /* one a size: 16, 32, 112 and 256 KiB, 1 and 8 MiB */
    assert_int_equal(asy_stacks_size(stacks, SIZE_MAX), 0);
    struct asy_stack *none = NULL;
    assert_int_equal(asy_stack_take(stacks, SIZE_MAX, &none), -ENOMEM);
    assert_null(none);
    asy_stacks_destroy(stacks);

    stacks = asy_stacks_new(50 * KIB);
    assert_int_equal(asy_stacks_size(stacks, 0), 64 * KIB);
    assert_ptr_equal(take(stacks, 0)->slab, take(stacks, 60 * KIB)->slab);
    asy_stacks_destroy(stacks);
    assert_null(asy_stacks_new(SIZE_MAX));
}

TEST(tops_have_colours)
{
    struct asy_stacks *stacks = new_stacks();
    uint32_t seen = 0;
    for (int i = 0; i < 16; i++) {
        struct asy_stack *stack = take(stacks, 0);
        uintptr_t colour = -(uintptr_t)stack->top % asy_sys_page_size();
        assert_true(colour < KIB && colour % 64 == 0);
        seen |= 1u << (colour / 64);
    }
    assert_int_equal(seen, 0xffff);
    asy_stacks_destroy(stacks);
}

TEST(the_latest_is_taken_first)
{
    struct asy_stacks *stacks = new_stacks();
    struct asy_stack *given[10];
    for (int i = 0; i < 10; i++)
        given[i] = take(stacks, 0);
    for (int i = 0; i < 10; i++)
        asy_stack_give(stacks, given[i]);
    assert_int_equal(stat_of(stacks).warm, 10);
    for (int i = 10; i-- > 0;)
        assert_ptr_equal(take(stacks, 0), given[i]);
    struct asy_stacks_stat stat = stat_of(stacks);
    assert_true(stat.live == 10 && stat.warm == 0 && stat.cold == 6 && stat.slabs == 1);
    asy_stacks_destroy(stacks);
}

/* Takes, gives and trims at random; nobody ever meets another's stack. */
TEST(random_use_keeps_stacks_apart)
{
    enum { COUNT = 2000 };
    static struct asy_stack *live[COUNT];
    static const size_t sizes[] = {0, 0, 0, 0, 16 * KIB, 48 * KIB};
    uint64_t seed = 3;
    struct asy_stacks *stacks = new_stacks();
    size_t count = 0;
    for (int step = 0; step < (is_slow() ? 10000 : 200000); step++) {
        size_t i = next_random(&seed) % COUNT;
        bool fills = step / (is_slow() ? 1500 : 15000) % 2 == 0;
        if (live[i] && next_random(&seed) % 4 >= (fills ? 3 : 1)) {
            assert_ptr_equal(live[i]->owner, &live[i]);
            for (int k = 1; k <= 8; k++)
                assert_int_equal((unsigned char)live[i]->top[-64 * k], i % 251);
            assert_int_equal((unsigned char)*live[i]->low, live[i]->top[-64 * 9] ? i % 251 : 0);
            asy_stack_give(stacks, live[i]);
            live[i] = NULL;
            count--;
        } else if (!live[i]) {
            live[i] = take(stacks, sizes[next_random(&seed) % 6]);
            assert_null(live[i]->owner);
            live[i]->owner = &live[i];
            bool is_deep = next_random(&seed) % 8 == 0;
            memset(live[i]->top - KIB, (int)(i % 251), KIB);
            live[i]->top[-64 * 9] = is_deep;
            *live[i]->low = is_deep ? (char)(i % 251) : 0;
            count++;
        }
        if (step % 100 == 0)
            asy_stacks_trim(stacks);
        assert_int_equal(stat_of(stacks).live, count);
    }
    asy_stacks_destroy(stacks);
    memset(live, 0, sizeof live);
}

/* ---- Guards --------------------------------------------------------------- */

static struct asy_stacks *guarded;
static struct asy_stack *expected;

static void on_fault(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    CHECK(asy_stacks_find_guard(guarded, info->si_addr) == expected);
    _exit(42);
}

static void touch(void *address)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    *(volatile char *)address = 1;
}

static void check_guards(struct asy_stacks *stacks)
{
    struct asy_stack *taken[20];
    guarded = stacks;
    for (int i = 0; i < 20; i++)
        taken[i] = take(stacks, i % 3 == 2 ? 32 * KIB : 0);
    for (int i = 0; i < 20; i++) {
        expected = taken[i];
        char *low = expected->low;
        assert_int_equal(run_in_child(touch, low), 0);
        assert_int_equal(run_in_child(touch, low - 1), 42);
        assert_int_equal(run_in_child(touch, low - ASY_STACK_GUARD_BYTES), 42);
        assert_null(asy_stacks_find_guard(stacks, low));
        assert_null(asy_stacks_find_guard(stacks, low - ASY_STACK_GUARD_BYTES - asy_sys_page_size() - 1));
        assert_null(asy_stacks_find_guard(stacks, expected->top - 1));
    }
    assert_null(asy_stacks_find_guard(stacks, NULL));
    assert_null(asy_stacks_find_guard(stacks, &stacks));
    /* Memory that goes back leaves the guards in place. */
    for (int i = 0; i < 20; i++) {
        use(taken[i], SIZE_MAX);
        asy_stack_give(stacks, taken[i]);
    }
    for (int i = 0; i < 10; i++)
        asy_stacks_trim(stacks);
    expected = taken[0];
    assert_int_equal(run_in_child(touch, expected->low - 1), 42);
    /* There is no guard where no stack was taken. */
    struct asy_stack *last = taken[0];
    for (int i = 0; i < 20; i++) {
        if (taken[i]->slab == taken[0]->slab && taken[i] > last)
            last = taken[i];
    }
    assert_null(asy_stacks_find_guard(stacks, last[1].low - 1));
}

TEST(guards_fault_and_are_found)
{
    struct asy_stacks *stacks = new_stacks();
    check_guards(stacks);
    asy_stacks_destroy(stacks);
}

TEST(guards_by_mprotect_do_too)
{
    struct asy_stacks *stacks = new_stacks();
    asy_stacks_use_mprotect(stacks);
    assert_false(stat_of(stacks).guard_install);
    check_guards(stacks);
    asy_stacks_destroy(stacks);
}

/* ---- Memory goes back ----------------------------------------------------- */

TEST(a_deep_stack_is_trimmed)
{
    enum { COUNT = 40 };
    struct asy_stacks *stacks = new_stacks();
    struct asy_stack *taken[COUNT];
    for (int i = 0; i < COUNT; i++)
        taken[i] = take(stacks, 0);
    for (int i = 0; i < COUNT; i++) {
        use(taken[i], 200 * KIB);
        assert_true(resident_pages(taken[i]) >= 200 * KIB / asy_sys_page_size());
        asy_stack_give(stacks, taken[i]);
    }
    size_t deep = COUNT;
    for (int i = 0; i < 3; i++) {
        size_t before = deep;
        asy_stacks_trim(stacks);
        deep = 0;
        for (int k = 0; k < COUNT; k++)
            deep += resident_pages(taken[k]) > KEPT_PAGES;
        assert_true(before - deep <= 16); /* bounded work */
    }
    assert_int_equal(deep, 0);
    assert_int_equal(stat_of(stacks).warm, COUNT);

    /* Looked at, they are left alone for a while. */
    struct asy_stack *again = take(stacks, 0);
    use(again, 200 * KIB);
    asy_stack_give(stacks, again);
    asy_stacks_trim(stacks);
    assert_true(resident_pages(again) > KEPT_PAGES);
    for (int i = 0; i < 64; i++)
        asy_stack_give(stacks, take(stacks, 0));
    asy_stacks_trim(stacks);
    assert_true(resident_pages(again) <= KEPT_PAGES);
    asy_stacks_destroy(stacks);
}

/* A loop that always has something to do never trims. */
TEST(deep_stacks_are_trimmed_without_sleep)
{
    enum { COUNT = 64 };
    struct asy_stacks *stacks = new_stacks();
    struct asy_stack *taken[COUNT];
    for (int round = 0; round < 1024; round++) {
        for (int i = 0; i < COUNT; i++)
            taken[i] = take(stacks, 0);
        for (int i = 0; i < COUNT; i++) {
            if (round == 0)
                use(taken[i], 200 * KIB);
            asy_stack_give(stacks, taken[i]);
        }
    }
    size_t deep = 0;
    for (int i = 0; i < COUNT; i++)
        deep += resident_pages(taken[i]) > KEPT_PAGES;
    assert_true(deep <= 20);
    asy_stacks_destroy(stacks);
}

TEST(a_small_stack_is_kept_whole)
{
    struct asy_stacks *stacks = new_stacks();
    for (size_t bytes = 16 * KIB; bytes <= 32 * KIB; bytes *= 2) {
        struct asy_stack *stack = take(stacks, bytes), *other = take(stacks, 0);
        use(stack, SIZE_MAX);
        use(other, 8 * KIB);
        size_t pages = resident_pages(stack) + resident_pages(other);
        asy_stack_give(stacks, stack);
        for (int i = 0; i < 200; i++) {
            asy_stack_give(stacks, take(stacks, bytes));
            asy_stacks_trim(stacks);
        }
        assert_int_equal(resident_pages(stack) + resident_pages(other), pages);
        asy_stack_give(stacks, other);
    }
    asy_stacks_destroy(stacks);
}

static void shuffle(struct asy_stack **stacks, size_t count)
{
    uint64_t seed = 4;
    for (size_t i = count - 1; i > 0; i--) {
        size_t k = next_random(&seed) % (i + 1);
        struct asy_stack *moved = stacks[i];
        stacks[i] = stacks[k];
        stacks[k] = moved;
    }
}

/* Lines of the form "VmPTE:  123 kB" in /proc/self/status. */
static size_t status_kib(const char *name)
{
    char line[256];
    size_t value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoul(line + strlen(name) + 1, NULL, 10);
    }
    fclose(file);
    return value;
}

static void spike(size_t count, bool in_order)
{
    struct asy_stack **taken = asy_sys_alloc(count * sizeof(struct asy_stack *));
    assert_non_null(taken);
    memset(taken, 0, count * sizeof(struct asy_stack *));
    size_t rss = status_kib("VmRSS"), pte = status_kib("VmPTE");
    struct asy_stacks *stacks = new_stacks();
    for (size_t i = 0; i < count; i++)
        use(taken[i] = take(stacks, 0), 1000);
    if (!is_slow() && count > 10000) { /* the kernel's counts are exact to half a MiB or so */
        /* The budget of an idle task's stack: a page, its page tables, its descriptor. */
        size_t each = (status_kib("VmRSS") - rss + status_kib("VmPTE") - pte) * KIB / count;
        assert_true(each > asy_sys_page_size() && each < asy_sys_page_size() + 800);
    }
    if (!in_order)
        shuffle(taken, count);
    for (size_t i = 0; i < count; i++) {
        asy_stack_give(stacks, taken[i]);
        struct asy_stacks_stat stat = stat_of(stacks);
        assert_true(stat.warm <= (stat.live > 1024 ? stat.live : 1024));
    }
    struct asy_stacks_stat stat = stat_of(stacks);
    if (in_order) /* no need to sleep for that */
        assert_true(stat.warm + stat.cold < 3 * 1024);
    for (int i = 0; i < 100; i++)
        asy_stacks_trim(stacks);
    stat = stat_of(stacks);
    assert_true(stat.live == 0 && stat.warm <= 1024);
    assert_true(stat.warm + stat.cold >= 1024 && stat.warm + stat.cold < 2 * 1024 + 16);
    if (!is_slow()) {
        assert_true(status_kib("VmRSS") < rss + 7 * KIB);
        assert_true(status_kib("VmPTE") < pte + 2 * KIB);
    }
    assert_non_null(take(stacks, 0));
    asy_stacks_destroy(stacks);
    asy_sys_free(taken);
}

TEST(a_spike_leaves_no_memory)
{
    spike(ASY_TSAN || is_emulated() ? 5000 : 20000, true);
}

TEST(a_spike_in_disorder_leaves_none_either)
{
    spike(ASY_TSAN || is_emulated() ? 5000 : 20000, false);
}

/* A slab is not unmapped to be mapped again soon, when only a few others are free. */
TEST(enough_free_stacks_are_kept)
{
    enum { COUNT = 1100 };
    static struct asy_stack *taken[COUNT];
    struct asy_stacks *stacks = new_stacks();
    for (int i = 0; i < COUNT; i++)
        taken[i] = take(stacks, 0);
    size_t held = 0;
    for (int i = 0; i < COUNT; i++) {
        /* One of each slab but the largest stays in use. */
        if (i < 1000 && (i == 0 || taken[i]->slab != taken[i - 1]->slab))
            held++;
        else
            asy_stack_give(stacks, taken[i]);
    }
    size_t slabs = stat_of(stacks).slabs;
    assert_int_equal(slabs, held + 1);
    for (int i = 0; i < 20; i++)
        asy_stacks_trim(stacks);
    assert_int_equal(stat_of(stacks).slabs, slabs);
    asy_stacks_destroy(stacks);
}

/* ---- The stack that runs -------------------------------------------------- */

static void *outside;
static struct {
    struct asy_stacks *stacks;
    struct asy_stack *own, *taken, **others;
    size_t other_count;
#if ASY_TSAN
    void *fibre;
#endif
} running;

/* Runs on running.own. Everything that the pools may do while it stands there. */
static void give_own_stack(void *unused)
{
    (void)unused;
    volatile char frame[4096];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (char)i;
    asy_stack_give(running.stacks, running.own);
    running.taken = take(running.stacks, 0);
    for (size_t i = 0; i < running.other_count; i++)
        asy_stack_give(running.stacks, running.others[i]);
    for (int i = 0; i < 200; i++)
        asy_stacks_trim(running.stacks);
    for (size_t i = 0; i < sizeof frame; i++)
        assert_int_equal(frame[i], (char)i);
        /* Left for good, without a return: that would belong to this fibre. */
#if ASY_TSAN
    __tsan_switch_to_fiber(running.fibre, 0);
#endif
    asy_context_leave(outside);
}

static void run_on_own_stack(void)
{
    struct asy_fp_control control;
    asy_fp_control_save(&control);
#if ASY_TSAN
    running.fibre = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(running.own->checker, 0);
#endif
    asy_context_start(&outside, running.own->top, give_own_stack, NULL, &control);
}

TEST(the_stack_that_runs_is_left_alone)
{
    enum { COUNT = 4000 };
    static struct asy_stack *taken[COUNT];
    /* The one that runs is among the first, the last, or alone in its pool. */
    for (int which = 0; which < 3; which++) {
        struct asy_stacks *stacks = new_stacks();
        size_t count = which == 2 ? 1 : COUNT;
        for (size_t i = 0; i < count; i++)
            taken[i] = take(stacks, 0);
        if (which == 1) {
            struct asy_stack *last = taken[count - 1];
            taken[count - 1] = taken[0];
            taken[0] = last;
        }
        running.stacks = stacks;
        running.own = taken[0];
        running.others = taken + 1;
        running.other_count = count - 1;
        run_on_own_stack();
        assert_ptr_not_equal(running.taken, running.own);
        assert_int_equal(stat_of(stacks).live, 1);
        assert_true(stat_of(stacks).warm <= 1025);
        asy_stacks_destroy(stacks);
    }
}

/* ---- Running out ---------------------------------------------------------- */

/* Takes until it fails, gives all back, and does it again: nothing is lost. */
static size_t exhaust(struct asy_stacks *stacks, struct asy_stack **taken, size_t max)
{
    size_t counts[2];
    for (int round = 0; round < 2; round++) {
        size_t n = 0;
        int err = 0;
        while (n < max && !(err = asy_stack_take(stacks, 0, &taken[n])))
            taken[n++]->top[-1] = 1;
        CHECK(err == -ENOMEM);
        CHECK(asy_stack_take(stacks, 0, &taken[n]) == -ENOMEM);
        counts[round] = n;
        struct asy_stacks_stat stat;
        asy_stacks_stat(stacks, &stat);
        CHECK(stat.live == n);
        for (size_t i = 0; i < n; i++)
            asy_stack_give(stacks, taken[i]);
        asy_stacks_trim(stacks);
    }
    CHECK(counts[1] >= counts[0] - counts[0] / 16);
    return counts[0];
}

static void fill_address_space(void *arg)
{
    (void)arg;
    static struct asy_stack *taken[1000];
    struct asy_stacks *stacks = asy_stacks_new(0);
    CHECK(stacks != NULL);
    size_t bytes = status_kib("VmSize") * KIB + (11u << 19);
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    size_t n = exhaust(stacks, taken, 1000);
    /* 5.5 MiB hold one slab of sixteen, or smaller ones down to a single stack. */
    CHECK(n >= 16 && n <= 17);
    asy_stacks_destroy(stacks);
}

TEST(address_space_runs_out)
{
    if (is_slow())
        skip(); /* checkers need address space of their own */
    assert_int_equal(run_in_child(fill_address_space, NULL), 0);
}

static void fill_mappings(void *arg)
{
    (void)arg;
    static struct asy_stack *taken[200000];
    struct asy_stacks *stacks = asy_stacks_new(0);
    CHECK(stacks != NULL);
    asy_stacks_use_mprotect(stacks);
    size_t n = exhaust(stacks, taken, 200000);
    CHECK(n > 1000);
    asy_stacks_destroy(stacks);
}

TEST(mappings_run_out)
{
    unsigned long max = ULONG_MAX;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    if (file) {
        if (fscanf(file, "%lu", &max) != 1)
            max = ULONG_MAX;
        fclose(file);
    }
    if (is_slow() || max > 300000)
        skip();
    assert_int_equal(run_in_child(fill_mappings, NULL), 0);
}

TEST(a_refused_guard_is_survived)
{
    for (int by_mprotect = 0; by_mprotect < 2; by_mprotect++) {
        struct asy_stacks *stacks = new_stacks();
        if (by_mprotect)
            asy_stacks_use_mprotect(stacks);
        struct asy_stack *first = take(stacks, 0);
        bool is_mprotect = !stat_of(stacks).guard_install;
        struct asy_stack *none = NULL;
        asy_fault_arm(1, false);
        assert_int_equal(asy_stack_take(stacks, 0, &none), -ENOMEM);
        asy_fault_disarm();
        assert_null(none);
        assert_string_equal(asy_fault.failed, is_mprotect ? "mprotect" : "madvise");
        struct asy_stacks_stat stat = stat_of(stacks);
        assert_true(stat.live == 1 && stat.cold == 15 && stat.slabs == 1);
        assert_int_equal(stat.guard_install, !is_mprotect);
        asy_stack_give(stacks, take(stacks, 0));
        asy_stack_give(stacks, first);
        asy_stacks_destroy(stacks);
    }
}

TEST(a_refused_slab_is_made_smaller)
{
    struct asy_stacks *stacks = new_stacks();
    struct asy_stack *none = NULL;
    asy_fault_arm(1, false);
    take(stacks, 0);
    asy_fault_disarm();
    assert_string_equal(asy_fault.failed, "map");
    assert_int_equal(stat_of(stacks).cold, 7);
    for (int i = 0; i < 7; i++)
        take(stacks, 0);
    asy_fault_arm(1, true);
    assert_int_equal(asy_stack_take(stacks, 0, &none), -ENOMEM);
    assert_int_equal(asy_fault_disarm(), 5); /* 16, 8, 4, 2, 1 */
    assert_null(none);
    take(stacks, 0);
    assert_int_equal(stat_of(stacks).cold, 0); /* grown by one */
    for (int i = 0; i < 3; i++)
        take(stacks, 0);
    assert_int_equal(stat_of(stacks).cold, 3); /* by two, by four */
    asy_stacks_destroy(stacks);
}

TEST(memory_that_cannot_go_back_stays)
{
    enum { COUNT = 3000 };
    static struct asy_stack *taken[COUNT];
    struct asy_stacks *stacks = new_stacks();
    for (int i = 0; i < COUNT; i++)
        use(taken[i] = take(stacks, 0), KIB);
    asy_fault_arm(1, true);
    for (int i = 0; i < COUNT; i++) {
        if (i % 15) /* every slab stays in use */
            asy_stack_give(stacks, taken[i]);
    }
    asy_stacks_trim(stacks);
    assert_true(asy_fault_disarm() > 0);
    assert_int_equal(stat_of(stacks).warm, COUNT / 15 * 14);
    for (int i = 0; i < 150; i++)
        asy_stacks_trim(stacks);
    assert_int_equal(stat_of(stacks).warm, 1024);
    asy_stacks_destroy(stacks);
}

/* The whole life of pools; false if a step failed. */
static bool try_life(void)
{
    struct asy_stacks *stacks = asy_stacks_new(0);
    if (!stacks)
        return false;
    struct asy_stack *taken[30];
    int n = 0, err = 0;
    while (n < 30 && !(err = asy_stack_take(stacks, n % 4 == 3 ? 64 * KIB : 0, &taken[n])))
        use(taken[n++], 40 * KIB);
    bool ok = n == 30;
    assert_int_equal(err, ok ? 0 : -ENOMEM);
    assert_int_equal(stat_of(stacks).live, n);
    while (n)
        asy_stack_give(stacks, taken[--n]);
    asy_stacks_trim(stacks);
    asy_stacks_destroy(stacks);
    return ok;
}

TEST(each_failure_in_turn_is_survived)
{
    assert_true(try_life());
    size_t size = status_kib("VmSize");
    unsigned failures = 0;
    for (uint64_t n = 1;; n++) {
        asy_fault_arm(n, false);
        bool ok = try_life();
        asy_fault_disarm();
        if (!asy_fault.failed) {
            assert_true(ok);
            break;
        }
        failures += !ok;
    }
    assert_true(failures >= 30);
    if (!is_slow())
        assert_int_equal(status_kib("VmSize"), size);
}

/* ---- Abandoned ------------------------------------------------------------ */

TEST(an_abandoned_stack_outlives_its_pools)
{
    struct asy_stacks *stacks = new_stacks();
    struct asy_stack *taken[16];
    for (int i = 0; i < 16; i++)
        use(taken[i] = take(stacks, 0), SIZE_MAX);
    struct asy_stack *last = taken[15], *middle = taken[7];
    char *middle_low = middle->low, *middle_top = middle->top, *last_low = last->low;
    /* Only an abandoned frame knows of this one: for leak checkers it is in use. */
    *(void **)(void *)middle_low = asy_sys_alloc(100);
    asy_stack_abandon(stacks, middle);
    asy_stack_abandon(stacks, last);
    for (int i = 0; i < 15; i++) {
        if (i != 7)
            asy_stack_give(stacks, taken[i]);
    }
    struct asy_stacks_stat stat = stat_of(stacks);
    assert_true(stat.live == 0 && stat.abandoned == 2 && stat.warm == 14);
    for (int i = 0; i < 14; i++)
        assert_true(take(stacks, 0)->flags == taken[0]->flags);
    char *neighbour_low = taken[8]->low;
    asy_stacks_destroy(stacks);
    assert_int_equal(middle_top[-1], 0x5a);
    assert_int_equal(middle_low[sizeof(void *)], 0x5a);
    assert_int_equal(last_low[0], 0x5a);
    if (!RUNNING_ON_VALGRIND) {
        assert_false(asy_sys_is_readable(middle_low - 4));
        assert_false(asy_sys_is_readable(neighbour_low));
    }
}

TEST_MAIN()
