/*
 * The yardsticks: for each question the least work that any library has to do
 * for it, by hand, with no library. Lines of variants that end in "+fp" are the same
 * with the floating-point control words saved at each switch.
 *
 * switch   a ring of stacks, each of which switches to the next
 * spawn    a first frame laid out on a reused stack, a switch there and back
 * gather   the same for 100 children; `yield`: on 100 stacks, with one more round
 * timer    a clock read, an insertion into a 4-ary heap of 1,000,000, a removal;
 *          `sleep`: and a switch there and back
 * memory   n stacks of 256 KiB with one page touched, and a ring over them
 */
#include "bench.h"

#include <sys/mman.h>

#if defined(__x86_64__)

void bare_switch(void **save, void *to);
void bare_switch_fp(void **save, void *to);
void bare_start(void);

/* 256 KiB, and a page where a guard would be: with an odd number of pages the stacks' hot ones
 * spread over the sets of the TLB. */
#define STACK_BYTES (65 * 4096)
#define CHILDREN 100

struct stack {
    void *sp;
    char *top;
    uint64_t times; /* for the one that counts */
    intptr_t value;
};

static struct stack main_stack;

/* Whose turn it is, of those in an array. In memory, not on the stacks: the processor then need
 * not wait for a switch to be over to know where the next one goes, as in any library with a ready queue. */
static struct stack *turn, *turn_first, *turn_end;

static inline struct stack *turn_next(void)
{
    struct stack *next = turn + 1;
    if (next == turn_end)
        next = turn_first;
    return turn = next;
}

static void turn_set(struct stack *stacks, size_t n)
{
    turn = turn_first = stacks;
    turn_end = stacks + n;
}

static inline __attribute__((always_inline)) void switch_to(struct stack *from, struct stack *to, int fp)
{
    if (fp)
        bare_switch_fp(&from->sp, to->sp);
    else
        bare_switch(&from->sp, to->sp);
}

/* Lays out what the first switch to this stack picks up. */
static inline void stack_make(struct stack *stack, void (*fn)(struct stack *), int fp)
{
    void **sp = (void **)stack->top;
    *--sp = NULL; /* keeps the stack aligned */
    *--sp = NULL;
    *--sp = (void *)bare_start;
    *--sp = NULL;       /* rbp */
    *--sp = NULL;       /* rbx */
    *--sp = (void *)fn; /* r12 */
    *--sp = stack;      /* r13 */
    *--sp = NULL;       /* r14 */
    *--sp = NULL;       /* r15 */
    if (fp) {
        uint32_t mxcsr;
        uint16_t x87;
        __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
        *--sp = (void *)((uintptr_t)mxcsr | (uintptr_t)x87 << 32);
    }
    stack->sp = sp;
}

/* n stacks. Each begins at another offset in its page: if all began at the same one, they would
 * fight for the same few lines of the cache. */
static struct stack *stacks_new(size_t n)
{
    struct stack *stacks = (struct stack *)calloc(n, sizeof *stacks);
    char *memory = (char *)mmap(NULL, n * STACK_BYTES, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!stacks || memory == MAP_FAILED) {
        free(stacks);
        return NULL;
    }
    madvise(memory, n * STACK_BYTES, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < n; i++) {
        stacks[i].top = memory + (i + 1) * STACK_BYTES - i % 16 * 192;
    }
    return stacks;
}

static void stacks_free(struct stack *stacks, size_t n)
{
    munmap(stacks[0].top - STACK_BYTES, n * STACK_BYTES);
    free(stacks);
}

/* ---- switch --------------------------------------------------------------- */

static bench_ring ring;
static struct stack *ring_stacks;

#define KIND(name, mark, fp)                                                                                 \
    static void name(struct stack *self)                                                                     \
    {                                                                                                        \
        BENCH_OWN_CODE(mark);                                                                                \
        BENCH_RING_LOOP(&ring, self == ring_stacks, (switch_to(self, turn_next(), fp), 1));                  \
        switch_to(self, &main_stack, fp);                                                                    \
    }

#define RING(suffix, fp)                                                                                     \
    KIND(pass_0##suffix, 0, fp)                                                                              \
    KIND(pass_1##suffix, 1, fp)                                                                              \
    KIND(pass_2##suffix, 2, fp)                                                                              \
    KIND(pass_3##suffix, 3, fp)                                                                              \
    static int64_t measure_ring##suffix(void *arg, uint64_t times)                                           \
    {                                                                                                        \
        static void (*const kinds[BENCH_KINDS])(struct stack *) = {pass_0##suffix, pass_1##suffix,           \
                                                                   pass_2##suffix, pass_3##suffix};          \
        struct stack *stacks = (struct stack *)arg;                                                          \
        for (size_t i = 0; i < ring.n; i++)                                                                  \
            stack_make(&stacks[i], kinds[i % ring.kinds], fp);                                               \
        ring.times = times;                                                                                  \
        turn_set(stacks, ring.n);                                                                            \
        /* The first to come to its end leaves the ring, which is then left as it is. */                     \
        switch_to(&main_stack, &stacks[0], fp);                                                              \
        return ring.took_ns;                                                                                 \
    }

RING(_, 0)
RING(_fp, 1)

static void question_switch(const char *variant)
{
    char variant_fp[32];
    snprintf(variant_fp, sizeof variant_fp, "%s+fp", variant);
    ring = bench_ring_of(variant);
    BENCH_CHECK(ring_stacks = stacks_new(ring.n));
    bench_measure("switch", variant, measure_ring_, ring_stacks, (double)ring.n);
    bench_measure("switch", variant_fp, measure_ring_fp, ring_stacks, (double)ring.n);
    stacks_free(ring_stacks, ring.n);
}

/* ---- spawn, gather -------------------------------------------------------- */

#define SPAWN(suffix, fp)                                                                                    \
    static void child_return##suffix(struct stack *self)                                                     \
    {                                                                                                        \
        self->value++;                                                                                       \
        switch_to(self, &main_stack, fp);                                                                    \
    }                                                                                                        \
    static int64_t spawn##suffix(void *arg, uint64_t times)                                                  \
    {                                                                                                        \
        struct stack *stack = (struct stack *)arg;                                                           \
        int64_t began = bench_now_ns();                                                                      \
        for (uint64_t i = 0; i < times; i++) {                                                               \
            stack_make(stack, child_return##suffix, fp);                                                     \
            stack->value = (intptr_t)i;                                                                      \
            switch_to(&main_stack, stack, fp);                                                               \
        }                                                                                                    \
        return bench_now_ns() - began;                                                                       \
    }                                                                                                        \
    static int64_t gather##suffix(void *arg, uint64_t times)                                                 \
    {                                                                                                        \
        struct stack *stack = (struct stack *)arg;                                                           \
        volatile intptr_t results[CHILDREN];                                                                 \
        int64_t began = bench_now_ns();                                                                      \
        for (uint64_t i = 0; i < times; i++) {                                                               \
            for (size_t j = 0; j < CHILDREN; j++) {                                                          \
                stack_make(stack, child_return##suffix, fp);                                                 \
                stack->value = (intptr_t)j;                                                                  \
                switch_to(&main_stack, stack, fp);                                                           \
                results[j] = stack->value;                                                                   \
            }                                                                                                \
        }                                                                                                    \
        (void)results[0];                                                                                    \
        return bench_now_ns() - began;                                                                       \
    }                                                                                                        \
    static void child_yield##suffix(struct stack *self)                                                      \
    {                                                                                                        \
        switch_to(self, self->times ? &main_stack : turn_next(), fp);                                        \
        self->value++;                                                                                       \
        switch_to(self, self->times ? &main_stack : turn_next(), fp);                                        \
    }                                                                                                        \
    static int64_t gather_yield##suffix(void *arg, uint64_t times)                                           \
    {                                                                                                        \
        struct stack *stacks = (struct stack *)arg;                                                          \
        volatile intptr_t results[CHILDREN];                                                                 \
        int64_t began = bench_now_ns();                                                                      \
        for (uint64_t i = 0; i < times; i++) {                                                               \
            for (size_t j = 0; j < CHILDREN; j++) {                                                          \
                stack_make(&stacks[j], child_yield##suffix, fp);                                             \
                stacks[j].times = j == CHILDREN - 1;                                                         \
                stacks[j].value = (intptr_t)j;                                                               \
            }                                                                                                \
            for (int pass = 0; pass < 2; pass++) {                                                           \
                turn_set(stacks, CHILDREN);                                                                  \
                switch_to(&main_stack, &stacks[0], fp);                                                      \
            }                                                                                                \
            for (size_t j = 0; j < CHILDREN; j++)                                                            \
                results[j] = stacks[j].value;                                                                \
        }                                                                                                    \
        (void)results[0];                                                                                    \
        return bench_now_ns() - began;                                                                       \
    }

SPAWN(_, 0)
SPAWN(_fp, 1)

static void question_spawn(const char *variant)
{
    struct stack *stacks = stacks_new(1);
    BENCH_CHECK(stacks);
    bench_measure("spawn", variant, spawn_, stacks, 1);
    bench_measure("spawn", "one+fp", spawn_fp, stacks, 1);
    stacks_free(stacks, 1);
}

static void question_gather(const char *variant)
{
    struct stack *stacks = stacks_new(CHILDREN);
    BENCH_CHECK(stacks);
    if (strcmp(variant, "yield") == 0) {
        bench_measure("gather", variant, gather_yield_, stacks, CHILDREN);
        bench_measure("gather", "yield+fp", gather_yield_fp, stacks, CHILDREN);
    } else {
        bench_measure("gather", variant, gather_, stacks, CHILDREN);
        bench_measure("gather", "ready+fp", gather_fp, stacks, CHILDREN);
    }
    stacks_free(stacks, CHILDREN);
}

/* ---- timer ---------------------------------------------------------------- */

/* The deadline stands beside the pointer, so that a comparison touches no timer. */
struct timer {
    size_t index;
};
struct slot {
    int64_t when;
    struct timer *timer;
};

static struct slot *heap;
static size_t heap_count;
static struct timer *timers;
static uint64_t random_state = 1;

static void heap_place(size_t i, struct slot slot)
{
    heap[i] = slot;
    slot.timer->index = i;
}

static void heap_up(size_t i, struct slot slot)
{
    while (i) {
        size_t parent = (i - 1) / 4;
        if (heap[parent].when <= slot.when)
            break;
        heap_place(i, heap[parent]);
        i = parent;
    }
    heap_place(i, slot);
}

static void heap_down(size_t i, struct slot slot)
{
    for (;;) {
        size_t first = i * 4 + 1, last = first + 4 < heap_count ? first + 4 : heap_count, least = first;
        if (first >= heap_count)
            break;
        for (size_t child = first + 1; child < last; child++)
            least = heap[child].when < heap[least].when ? child : least;
        if (heap[least].when >= slot.when)
            break;
        heap_place(i, heap[least]);
        i = least;
    }
    heap_place(i, slot);
}

static void timer_add(struct timer *timer)
{
    struct slot slot = {bench_now_ns() + (int64_t)bench_delay_ms(&random_state) * 1000000, timer};
    heap_up(heap_count++, slot);
}

static void timer_remove(struct timer *timer)
{
    size_t i = timer->index;
    struct slot last = heap[--heap_count];
    if (i == heap_count)
        return;
    if (i && heap[(i - 1) / 4].when > last.when)
        heap_up(i, last);
    else
        heap_down(i, last);
}

static int64_t timer_pair(void *arg, uint64_t times)
{
    struct timer timer;
    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        timer_add(&timer);
        timer_remove(&timer);
    }
    return bench_now_ns() - began;
}

static int64_t timer_replace(void *arg, uint64_t times)
{
    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        struct timer *timer = &timers[bench_random(&random_state) % BENCH_TIMERS];
        timer_remove(timer);
        timer_add(timer);
    }
    return bench_now_ns() - began;
}

static void sleeper(struct stack *self)
{
    struct timer timer;
    for (;;) {
        timer_add(&timer);
        switch_to(self, &main_stack, 0);
        timer_remove(&timer);
    }
}

static int64_t timer_sleep(void *arg, uint64_t times)
{
    struct stack *stack = (struct stack *)arg;
    stack_make(stack, sleeper, 0);
    switch_to(&main_stack, stack, 0);
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        switch_to(&main_stack, stack, 0);
    int64_t took = bench_now_ns() - began;
    heap_count--; /* the sleeper's, wherever it is: the heap is not used any more */
    return took;
}

static void question_timer(const char *variant)
{
    if (!heap) {
        BENCH_CHECK(heap = (struct slot *)calloc(BENCH_TIMERS + 64, sizeof *heap));
        BENCH_CHECK(timers = (struct timer *)calloc(BENCH_TIMERS, sizeof *timers));
    }
    heap_count = 0;
    for (size_t i = 0; i < BENCH_TIMERS; i++)
        timer_add(&timers[i]);
    if (strcmp(variant, "pair") == 0)
        bench_measure("timer", variant, timer_pair, NULL, 1);
    else if (strcmp(variant, "replace") == 0)
        bench_measure("timer", variant, timer_replace, NULL, 1);
    else if (strcmp(variant, "sleep") == 0) {
        struct stack *stack = stacks_new(1);
        BENCH_CHECK(stack);
        bench_measure("timer", variant, timer_sleep, stack, 1);
        stacks_free(stack, 1);
    }
}

/* ---- memory --------------------------------------------------------------- */

/* Each pass over a group's stacks: the first starts them, the second wakes them. */
static void idle(struct stack *self)
{
    for (;;)
        switch_to(self, self->times ? &main_stack : turn_next(), 0);
}

static void group_wake(void *group, size_t n)
{
    struct stack *stacks = *(struct stack **)group;
    turn_set(stacks, n);
    switch_to(&main_stack, &stacks[0], 0);
}

static void group_start(void *group, size_t n)
{
    struct stack *stacks = *(struct stack **)group;
    for (size_t i = 0; i < n; i++) {
        stacks[i].times = i == n - 1;
        stack_make(&stacks[i], idle, 0);
    }
    group_wake(group, n);
}

static void group_end(void *group, size_t n)
{
    (void)group, (void)n;
}

static void question_memory(const char *variant)
{
    size_t n = strtoul(variant, NULL, 10);
    bench_crowd crowd = {group_start, group_wake, group_end, NULL};
    struct stack *stacks, *groups[BENCH_GROUPS];

    if (!bench_has_room(n, 5 * 1024)) {
        bench_memory_none(n, "not enough memory in this machine");
        return;
    }
    stacks = stacks_new(n);
    if (!stacks) {
        bench_memory_none(n, "the address space was refused");
        return;
    }
    for (size_t i = 0; i < BENCH_GROUPS; i++)
        groups[i] = stacks + n / BENCH_GROUPS * i;
    bench_memory(n, &crowd, groups, sizeof *groups);
    stacks_free(stacks, n);
}

static void ask(const char *question, const char *variant)
{
    if (strcmp(question, "switch") == 0)
        question_switch(variant);
    else if (strcmp(question, "spawn") == 0)
        question_spawn(variant);
    else if (strcmp(question, "gather") == 0)
        question_gather(variant);
    else if (strcmp(question, "timer") == 0)
        question_timer(variant);
    else if (strcmp(question, "memory") == 0)
        question_memory(variant);
}

#else

static void ask(const char *question, const char *variant)
{
    bench_print_none(question, variant, "the yardstick is written for x86-64 only");
}

#endif

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        ask(argv[1], argv[i]);
    return 0;
}
