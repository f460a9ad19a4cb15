/*
 * The yardstick of `files`: an io_uring loop by hand, on the kernel's own interface. Each of the hands has
 * one call under way, and begins the next one when that is done; all that have begun go in with one entry,
 * which waits for the first that is done. Files are closed by close(2), as in the library.
 */
#include "files.h"
#include "ring.h"

struct hand {
    int fd, next; /* the file that is open, or -1; the number of what is done next */
    bool has_written;
    uint64_t random;
    char block[2 * FILES_BLOCK];
};

struct work {
    struct ring ring;
    file_set *set;
    int step, count; /* hands; and how much there is to do */
    int under_way, large;
    struct hand *hands;
    /* Begins the next call of a hand, after one that ended so. False: it has no more to do. */
    bool (*go_on)(struct work *work, struct hand *hand, int result);
};

/* ---- What is done -------------------------------------------------------------------------- */

static void begin_transfer(struct work *work, struct hand *hand, uint8_t opcode, int fd, size_t n, off_t at)
{
    struct io_uring_sqe *sqe = ring_take(&work->ring, hand, opcode, fd);
    sqe->addr = (uintptr_t)hand->block;
    sqe->len = (uint32_t)n;
    sqe->off = (uint64_t)at;
}

static bool read_block(struct work *work, struct hand *hand, int result)
{
    BENCH_CHECK(result == 0 || result == FILES_BLOCK);
    if (hand->next >= work->count)
        return false;
    hand->next += work->step;
    begin_transfer(work, hand, IORING_OP_READ, work->large, FILES_BLOCK, files_place(&hand->random));
    return true;
}

/* A read that did not fill the buffer was the last one. */
static bool read_file(struct work *work, struct hand *hand, int result)
{
    BENCH_CHECK(result >= 0);
    if (hand->fd < 0 && result > 0) {
        hand->fd = result;
        begin_transfer(work, hand, IORING_OP_READ, hand->fd, sizeof hand->block, 0);
        return true;
    }
    if (hand->fd >= 0)
        close(hand->fd);
    hand->fd = -1;
    if (hand->next >= work->count)
        return false;
    struct io_uring_sqe *sqe = ring_take(&work->ring, hand, IORING_OP_OPENAT, AT_FDCWD);
    sqe->addr = (uintptr_t)work->set->paths[hand->next];
    sqe->open_flags = O_RDONLY | O_CLOEXEC;
    hand->next += work->step;
    return true;
}

static bool append_block(struct work *work, struct hand *hand, int result)
{
    BENCH_CHECK(result >= 0);
    if (hand->has_written) {
        hand->has_written = false;
        ring_take(&work->ring, hand, IORING_OP_FSYNC, hand->fd)->fsync_flags = IORING_FSYNC_DATASYNC;
        return true;
    }
    if (hand->next >= work->count)
        return false;
    hand->next += work->step;
    hand->has_written = true;
    begin_transfer(work, hand, IORING_OP_WRITE, hand->fd, FILES_BLOCK, -1);
    return true;
}

/* ---- The loop ------------------------------------------------------------------------------ */

static void serve_hands(struct work *work)
{
    for (int i = 0; i < work->step; i++)
        work->under_way += work->go_on(work, &work->hands[i], 0);
    while (work->under_way) {
        struct io_uring_cqe cqe;
        ring_enter(&work->ring, 1);
        while (ring_reap(&work->ring, &cqe))
            work->under_way -= !work->go_on(work, (struct hand *)(uintptr_t)cqe.user_data, cqe.res);
    }
}

static void open_append(struct hand *hand, int i, bool is_opened)
{
    char path[32];
    snprintf(path, sizeof path, "append-%d", i);
    if (is_opened) {
        close(hand->fd);
        unlink(path);
        return;
    }
    hand->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    BENCH_CHECK(hand->fd >= 0);
}

static void run_hands(struct work *work)
{
    bool appends = work->go_on == append_block;
    work->hands = calloc((size_t)work->step, sizeof *work->hands);
    BENCH_CHECK(work->hands);
    for (int i = 0; i < work->step; i++) {
        work->hands[i] = (struct hand){.fd = -1, .next = i, .random = (uint64_t)i + 1};
        if (appends)
            open_append(&work->hands[i], i, /* is_opened= */ false);
    }
    serve_hands(work);
    for (int i = 0; i < work->step && appends; i++)
        open_append(&work->hands[i], i, /* is_opened= */ true);
    free(work->hands);
}

int files_by_hand(const char *variant, file_set *set, int at_once)
{
    struct work work = {.set = set, .step = at_once};
    if (strcmp(variant, "reads") == 0)
        work.go_on = read_block, work.count = FILES_READS;
    else if (strncmp(variant, "sync", 4) == 0)
        work.go_on = append_block, work.count = FILES_SYNCS;
    else
        work.go_on = read_file, work.count = FILE_COUNT;
    if (!ring_open(&work.ring))
        return 0;
    work.large = open("large", O_RDONLY | O_CLOEXEC);
    BENCH_CHECK(work.large >= 0);
    run_hands(&work);
    close(work.large);
    ring_close(&work.ring);
    return work.count;
}
