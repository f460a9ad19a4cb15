/* The slab allocator: blocks keep apart and whole, on one thread and between several; memory goes back. */
#include "base/sanitizer.h"
#include "child.h"
#include "support/test.h"
#include "sys/slab.h"
#include "sys/slab_single.h"
#include "sys/sys.h"
#include <stdatomic.h>
#include <string.h>

/* What a block begins with in these tests; the rest repeats the low byte of `fill`. */
struct mark {
    uint64_t is_live;
    uint64_t size_and_fill;
};

#define LIVE UINT64_C(0x6c6976656c697665)
#define DEAD UINT64_C(0x6465616464656164)

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

/* NULL: out of memory. At least 16 bytes. */
static void *make_block(size_t bytes, unsigned char fill)
{
    struct mark *mark = asy_slab_alloc(bytes);
    if (!mark)
        return NULL;
    assert_int_equal((uintptr_t)mark % 64, 0);
    memset(mark, fill, bytes);
    mark->size_and_fill = bytes << 8 | fill;
    mark->is_live = LIVE;
    return mark;
}

static void free_block(void *block)
{
    struct mark *mark = block;
    size_t bytes = mark->size_and_fill >> 8;
    unsigned char fill = (unsigned char)mark->size_and_fill;
    assert_true(mark->is_live == LIVE);
    for (size_t i = sizeof *mark; i < bytes; i++)
        assert_int_equal(((unsigned char *)block)[i], fill);
    mark->is_live = DEAD;
    asy_slab_free(block, bytes);
}

struct memory {
    size_t size;     /* of the address space */
    size_t resident; /* exact to half a MiB or so: the kernel counts on each CPU, and adds up seldom */
};

static struct memory memory(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    unsigned long size, resident;
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    fclose(file);
    size_t page = asy_sys_page_size();
    return (struct memory){.size = size * page, .resident = resident * page};
}

/* ---- Failure -------------------------------------------------------------- */

/* Every class, a large block, and more of one class than a chunk holds. */
static bool try_all_classes(void)
{
    enum { COUNT = 1200 };
    static void *blocks[COUNT];
    size_t made = 0;
    bool ok = true;
    while (ok && made < COUNT) {
        size_t bytes = made < 17 ? made * 64 + 16 : made == 17 ? 5000 : 64;
        blocks[made] = make_block(bytes, (unsigned char)made);
        if (blocks[made])
            made++;
        else
            ok = false;
    }
    while (made)
        free_block(blocks[--made]);
    return ok;
}

/* Runs first, so that the thread's cache is among what fails. */
TEST(each_failure_in_turn_is_survived)
{
    unsigned failures = 0;
    for (uint64_t n = 1;; n = n < 100 ? n + 1 : n + 37) {
        asy_fault_arm(n, false);
        bool ok = try_all_classes();
        asy_fault_disarm();
        if (!asy_fault.failed) {
            assert_true(ok);
            break;
        }
        assert_false(ok);
        failures++;
    }
    assert_true(failures > 20);
    assert_true(try_all_classes());
}

/* ---- One thread ----------------------------------------------------------- */

TEST(random_use_keeps_blocks_whole)
{
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    uint64_t seed = 1;
    for (int step = 0; step < (is_slow() ? 30000 : 300000); step++) {
        size_t i = next_random(&seed) % COUNT;
        /* In phases the table fills and empties, so that chunks come and go. */
        bool fills = step / 10000 % 2 == 0;
        if (blocks[i] && next_random(&seed) % 4 >= (fills ? 3 : 1)) {
            free_block(blocks[i]);
            blocks[i] = NULL;
        } else if (!blocks[i]) {
            size_t bytes = 16 + next_random(&seed) % (next_random(&seed) % 8 ? 300 : 2000);
            blocks[i] = make_block(bytes, (unsigned char)next_random(&seed));
            assert_non_null(blocks[i]);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        if (blocks[i])
            free_block(blocks[i]);
        blocks[i] = NULL;
    }
}

TEST(sizes_at_the_edges)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1023, 1024, 1025, 100000};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    char *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = asy_slab_alloc(sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], i, sizes[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(blocks[i][k], i);
        asy_slab_free(blocks[i], sizes[i]);
    }
}

TEST(a_dead_block_keeps_its_first_16_bytes)
{
    if (asy_slab_single_only())
        skip();
    struct mark *block = make_block(128, 7), *other = make_block(128, 8);
    free_block(block);
    free_block(other);
    assert_true(block->is_live == DEAD);
    assert_true(block->size_and_fill == (128 << 8 | 7));
    assert_true(other->is_live == DEAD);
    assert_ptr_equal(asy_slab_alloc(100), other);
    assert_ptr_equal(asy_slab_alloc(100), block);
    asy_slab_free(other, 100);
    asy_slab_free(block, 100);
}

TEST(memory_goes_back)
{
    enum { BYTES = 128 };
    size_t count = repeats(0, 200000, 1000000);
    if (is_slow())
        skip();
    void **blocks = asy_sys_alloc(count * sizeof *blocks);
    assert_non_null(blocks);
    memset(blocks, 0, count * sizeof *blocks);
    size_t before = memory().resident, size = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++)
            assert_non_null(blocks[i] = make_block(BYTES, 1));
        size_t full = memory().resident;
        assert_true(full > before + count * BYTES - (1 << 20));
        assert_true(full < before + count * BYTES * 102 / 100 + (4 << 20));
        /* Every other block first: no chunk is empty until near the end. */
        for (size_t i = 0; i < count; i += 2)
            free_block(blocks[i]);
        for (size_t i = 1; i < count; i += 2)
            free_block(blocks[i]);
        assert_true(memory().resident < before + (6 << 20));
        assert_true(round == 0 || memory().size < size + (8 << 20)); /* the address space is used again */
        size = memory().size;
    }
    asy_sys_free(blocks);
}

/* A late user of a chunk that has gone back meets zeros, not a fault. */
TEST(a_late_look_reads_zero)
{
    enum { COUNT = 100000 };
    if (is_slow())
        skip();
    struct mark **blocks = asy_sys_alloc(COUNT * sizeof *blocks);
    for (int i = 0; i < COUNT; i++)
        assert_non_null(blocks[i] = make_block(512, 1));
    for (int i = 0; i < COUNT; i++)
        free_block(blocks[i]);
    size_t zeros = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_true(blocks[i]->is_live == 0 || blocks[i]->is_live == DEAD);
        zeros += blocks[i]->is_live == 0;
    }
    assert_true(zeros > COUNT * 9 / 10);
    asy_sys_free(blocks);
}

/* ---- asy_slab_each -------------------------------------------------------- */

struct census {
    size_t live;
    uint64_t sum; /* of the live blocks' addresses */
    bool frees;
};

static void count_block(void *block, void *arg)
{
    struct census *census = arg;
    struct mark *mark = block;
    if (mark->is_live != LIVE)
        return;
    census->live++;
    census->sum += (uintptr_t)block;
    if (census->frees)
        free_block(block);
}

TEST(each_finds_the_live_blocks)
{
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    uint64_t seed = 2;
    struct census expected = {0}, seen = {0};
    asy_slab_each(count_block, &seen);
    assert_int_equal(seen.live, 0);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = make_block(16 + next_random(&seed) % 1500, (unsigned char)i);
        assert_non_null(blocks[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        if (next_random(&seed) % 3 == 0) {
            free_block(blocks[i]);
            continue;
        }
        expected.live++;
        expected.sum += (uintptr_t)blocks[i];
    }
    asy_slab_each(count_block, &seen);
    assert_int_equal(seen.live, expected.live);
    assert_true(seen.sum == expected.sum);

    struct census freeing = {.frees = true}, after = {0};
    asy_slab_each(count_block, &freeing);
    assert_int_equal(freeing.live, expected.live);
    asy_slab_each(count_block, &after);
    assert_int_equal(after.live, 0);
    assert_true(try_all_classes());
}

/* ---- Several threads ------------------------------------------------------ */

#define THREADS 4
#define MAILBOX 512

/* Each thread makes blocks, posts them to random threads, and frees its post. */
struct mailbox {
    pthread_mutex_t lock;
    size_t count;
    void *blocks[MAILBOX];
};
static struct mailbox mailboxes[THREADS];
static atomic_int posting;

static size_t empty_mailbox(struct mailbox *mailbox)
{
    void *post[MAILBOX];
    pthread_mutex_lock(&mailbox->lock);
    size_t count = mailbox->count;
    memcpy(post, mailbox->blocks, count * sizeof post[0]);
    mailbox->count = 0;
    pthread_mutex_unlock(&mailbox->lock);
    for (size_t i = 0; i < count; i++)
        free_block(post[i]);
    return count;
}

static void *exchange(void *arg)
{
    struct mailbox *own = arg;
    uint64_t seed = (uint64_t)(own - mailboxes) + 10;
    for (size_t i = 0, end = repeats(20000, 60000, 200000); i < end; i++) {
        size_t bytes = next_random(&seed) % 50 ? 16 + next_random(&seed) % 200 : 1500;
        void *block = make_block(bytes, (unsigned char)i);
        assert_non_null(block);
        struct mailbox *to = &mailboxes[next_random(&seed) % THREADS];
        pthread_mutex_lock(&to->lock);
        bool is_full = to->count == MAILBOX;
        if (!is_full)
            to->blocks[to->count++] = block;
        pthread_mutex_unlock(&to->lock);
        if (is_full)
            free_block(block);
        if (i % 64 == 0)
            empty_mailbox(own);
    }
    atomic_fetch_sub(&posting, 1);
    while (atomic_load(&posting) > 0)
        empty_mailbox(own);
    empty_mailbox(own);
    return NULL;
}

TEST(blocks_are_freed_on_other_threads)
{
    pthread_t threads[THREADS];
    atomic_store(&posting, THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_mutex_init(&mailboxes[i].lock, NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, exchange, &mailboxes[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_mutex_destroy(&mailboxes[i].lock);
}

static void in_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

#define LEFT 1000
struct estate {
    void *blocks[LEFT];
    struct census seen;
};

static void *leave_blocks(void *arg)
{
    struct estate *estate = arg;
    for (int i = 0; i < LEFT; i++)
        assert_non_null(estate->blocks[i] = make_block(i % 100 ? 192 : 1600, (unsigned char)i));
    return NULL;
}

static void *take_census(void *arg)
{
    struct estate *estate = arg;
    asy_slab_free(asy_slab_alloc(64), 64); /* a thread has a cache once it has used one */
    asy_slab_each(count_block, &estate->seen);
    return NULL;
}

static void *free_half(void *arg)
{
    struct estate *estate = arg;
    for (int i = 0; i < LEFT / 2; i++)
        free_block(estate->blocks[i]);
    return NULL;
}

TEST(a_cache_finds_an_heir)
{
    static struct estate estate;
    struct census mine = {0};
    in_thread(leave_blocks, &estate);
    asy_slab_each(count_block, &mine);
    assert_int_equal(mine.live, 0);
    in_thread(take_census, &estate);
    assert_int_equal(estate.seen.live, LEFT);

    /* Freed while nobody has the cache, by a thread without one and by one that has one. */
    for (int i = LEFT / 2; i < LEFT; i++)
        free_block(estate.blocks[i]);
    in_thread(free_half, &estate);
    estate.seen = (struct census){0};
    in_thread(take_census, &estate);
    assert_int_equal(estate.seen.live, 0);
}

static void *use_and_end(void *arg)
{
    (void)arg;
    static void *blocks[20000];
    for (int i = 0; i < 20000; i++)
        assert_non_null(blocks[i] = make_block(256, 1));
    for (int i = 0; i < 20000; i++)
        free_block(blocks[i]);
    return NULL;
}

TEST(threads_that_end_leave_no_memory)
{
    if (is_slow())
        skip();
    in_thread(use_and_end, NULL);
    size_t before = memory().resident;
    for (int i = 0; i < 20; i++)
        in_thread(use_and_end, NULL);
    assert_true(memory().resident < before + (3 << 20));
}

/* One thread makes, the other frees: what comes back is used again. */
TEST(foreign_frees_are_collected)
{
    enum { ROUNDS = 200 };
    static struct estate estate;
    if (is_slow())
        skip();
    size_t before = memory().resident;
    for (int i = 0; i < ROUNDS; i++) {
        leave_blocks(&estate);
        in_thread(free_half, &estate);
        for (int k = LEFT / 2; k < LEFT; k++)
            free_block(estate.blocks[k]);
    }
    assert_true(memory().resident < before + (4 << 20));
}

/* ---- Forks -------------------------------------------------------------------------- */

static atomic_bool is_walking;

/* Called with the registry's lock held. */
static void dawdle(void *block, void *arg)
{
    (void)block;
    (void)arg;
    struct timespec pause = {.tv_nsec = 50000000};
    atomic_store(&is_walking, true);
    nanosleep(&pause, NULL);
}

static void *walk(void *arg)
{
    (void)arg;
    void *block = asy_slab_alloc(ASY_SLAB_MAX + 1);
    asy_slab_each(dawdle, NULL);
    asy_slab_free(block, ASY_SLAB_MAX + 1);
    return NULL;
}

static void use_blocks_in_child(void *arg)
{
    (void)arg;
    for (size_t bytes = 64; bytes < 4096; bytes += 64)
        asy_slab_free(asy_slab_alloc(bytes), bytes);
}

TEST(a_fork_waits_for_the_locks)
{
    if (RUNNING_ON_VALGRIND) /* which calls the child's copy of the other thread's memory lost */
        skip();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, walk, NULL), 0);
    while (!atomic_load(&is_walking))
        sched_yield();
    assert_int_equal(run_in_child(use_blocks_in_child, NULL), 0);
    pthread_join(thread, NULL);
}

TEST_MAIN()
