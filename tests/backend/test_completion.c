/*
 * Operations by a ring: each ends once, whatever is cancelled, refused or late. The ring is one that
 * cooperates, or one that defers, in turn.
 */
#include "backend/completion.h"
#include "support/test.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG_NS INT64_C(10000000000)

static enum asy_ring_manner manner;

/* A read of a pipe, or with fd -1 nothing at all. */
struct probe {
    struct asy_op op;
    int fd, result, times, place;
    bool is_refused;
    char text[8];
    struct completions *again; /* it begins again, so many times */
    int more;
};

static int places;
static char fifo_path[64];

static void prepare_probe(struct asy_op *op, struct io_uring_sqe *sqe)
{
    struct probe *probe = (struct probe *)op;
    sqe->opcode = probe->fd < 0 ? IORING_OP_NOP : IORING_OP_READ;
    sqe->fd = probe->fd;
    sqe->addr = (uintptr_t)probe->text;
    sqe->len = probe->fd < 0 ? 0 : sizeof probe->text;
    sqe->off = probe->fd < 0 ? 0 : UINT64_MAX;
}

static void probe_done(struct asy_op *op, const struct asy_done *what)
{
    struct probe *probe = (struct probe *)op;
    assert_true(what->is_last);
    assert_int_equal(op->state, OP_IDLE);
    probe->times++;
    probe->result = what->result;
    probe->is_refused = what->is_refused;
    probe->place = places++;
    if (probe->more && probe->more--)
        asy_op_begin(probe->again, op);
}

static const struct asy_op_kind probe_kind = {prepare_probe, probe_done};

static void init_probe(struct probe *probe, int fd)
{
    *probe = (struct probe){.fd = fd};
    asy_op_init(&probe->op, &probe_kind);
}

static void open_completions(struct completions *c, unsigned entries, unsigned room)
{
    int err = asy_completions_open(c, manner, entries, room);
    if (err == -EPERM || err == -ENOSYS) {
        print_message("skipped: io_uring is denied (%s)\n", strerror(-err));
        skip();
    }
    assert_int_equal(err, 0);
    places = 0;
}

/* Until nothing is under way. */
static void settle(struct completions *c)
{
    while (c->under_way) {
        int err = asy_completions_enter(c, LONG_NS);
        assert_true(err == 0 || err == -EBUSY);
        assert_true(asy_completions_reap(c, UINT32_MAX) || asy_completions_has_unsent(c) || !c->under_way ||
                    err);
    }
}

static void check_closes(struct completions *c)
{
    assert_int_equal(c->under_way, 0);
    assert_int_equal(c->begun, c->ended);
    asy_completions_close(c);
}

static void open_with_pipe(struct completions *c, int fds[2], unsigned entries, unsigned room)
{
    open_completions(c, entries, room);
    assert_int_equal(pipe(fds), 0);
}

static void check_closes_with_pipe(struct completions *c, const int fds[2])
{
    check_closes(c);
    close(fds[0]);
    close(fds[1]);
}

TEST(an_operation_ends_once)
{
    struct completions c;
    struct probe probe;
    init_probe(&probe, -1);
    open_completions(&c, 8, 16);
    assert_false(asy_completions_needs_poll(&c));
    asy_op_begin(&c, &probe.op);
    assert_true(asy_completions_has_unsent(&c));
    assert_true(asy_completions_needs_poll(&c));
    settle(&c);
    assert_int_equal(probe.times, 1);
    assert_int_equal(probe.result, 0);
    assert_false(probe.is_refused);
    assert_false(asy_completions_needs_poll(&c));
    check_closes(&c);
}

TEST(it_waits_for_what_it_reads)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 8, 16);
    struct probe probe;
    init_probe(&probe, fds[0]);
    asy_op_begin(&c, &probe.op);
    assert_int_equal(asy_completions_enter(&c, 1000000), 0);
    assert_int_equal(asy_completions_reap(&c, 10), 0);
    assert_int_equal(probe.times, 0);
    assert_int_equal(write(fds[1], "word", 4), 4);
    settle(&c);
    assert_int_equal(probe.result, 4);
    assert_memory_equal(probe.text, "word", 4);
    check_closes_with_pipe(&c, fds);
}

TEST(done_may_begin_it_again)
{
    struct completions c;
    open_completions(&c, 4, 8);
    struct probe probe;
    init_probe(&probe, -1);
    probe.again = &c;
    probe.more = 70000; /* more turns than a generation can count */
    asy_op_begin(&c, &probe.op);
    settle(&c);
    assert_int_equal(probe.times, 70001);
    check_closes(&c);
}

#define MANY 1000

/* A ring with room for 4, and for 8 completions. */
TEST(what_has_no_room_waits_in_order)
{
    static struct probe probes[MANY];
    struct completions c;
    open_completions(&c, 4, 8);
    for (int i = 0; i < MANY; i++) {
        init_probe(&probes[i], -1);
        asy_op_begin(&c, &probes[i].op);
    }
    assert_int_equal(probes[4].op.state, OP_WAITING);
    settle(&c);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(probes[i].times, 1);
        assert_int_equal(probes[i].place, i);
    }
    check_closes(&c);
}

/* The kernel has room for 4, and the one of 6 that will end is the last of them. */
TEST(a_wait_comes_behind_what_has_no_room)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 4, 8);
    struct probe probes[6];
    for (int i = 0; i < 6; i++) {
        init_probe(&probes[i], i < 5 ? fds[0] : -1);
        asy_op_begin(&c, &probes[i].op);
    }
    while (!asy_completions_has_any(&c))
        assert_int_equal(asy_completions_enter(&c, -1), 0);
    asy_completions_reap(&c, 10);
    assert_int_equal(probes[5].times, 1);
    close(fds[1]);
    settle(&c);
    check_closes(&c);
    close(fds[0]);
}

/* The rest is for the next turn: others run in between. */
TEST(no_more_are_told_than_were_asked_for)
{
    struct completions c;
    struct probe probes[5];
    open_completions(&c, 8, 16);
    for (int i = 0; i < 5; i++) {
        init_probe(&probes[i], -1);
        asy_op_begin(&c, &probes[i].op);
    }
    assert_int_equal(asy_completions_enter(&c, 0), 0);
    assert_int_equal(asy_completions_reap(&c, 2), 2);
    assert_int_equal(probes[1].times, 1);
    assert_int_equal(probes[2].times, 0);
    assert_true(asy_completions_needs_poll(&c));
    assert_int_equal(asy_completions_reap(&c, 10), 3);
    settle(&c);
    check_closes(&c);
}

TEST(it_can_be_taken_back_until_it_is_sent)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 2, 4);
    struct probe probes[4];
    for (int i = 0; i < 4; i++) {
        init_probe(&probes[i], fds[0]);
        asy_op_begin(&c, &probes[i].op);
    }
    assert_true(asy_op_take_back(&c, &probes[3].op)); /* without room */
    assert_true(asy_op_take_back(&c, &probes[0].op)); /* in the ring */
    assert_int_equal(probes[0].op.state, OP_IDLE);
    assert_int_equal(c.under_way, 2);
    assert_int_equal(asy_completions_enter(&c, 0), 0);
    assert_false(asy_op_take_back(&c, &probes[1].op));
    assert_false(asy_op_take_back(&c, &probes[2].op));
    close(fds[1]); /* both read the end */
    settle(&c);
    for (int i = 0; i < 4; i++)
        assert_int_equal(probes[i].times, i == 1 || i == 2);
    check_closes(&c);
    close(fds[0]);
}

/* Asked for at each stage; twice, and when it is over. */
TEST(a_cancelled_operation_ends_once)
{
    for (int stage = 0; stage < 3; stage++) {
        struct completions c;
        int fds[2];
        open_with_pipe(&c, fds, 8, 16);
        struct probe probe;
        init_probe(&probe, fds[0]);
        asy_op_cancel(&c, &probe.op);
        asy_op_begin(&c, &probe.op);
        if (stage >= 1)
            assert_int_equal(asy_completions_enter(&c, 0), 0);
        if (stage == 2)
            assert_int_equal(write(fds[1], "late", 4), 4);
        asy_op_cancel(&c, &probe.op);
        asy_op_cancel(&c, &probe.op);
        assert_int_equal(probe.op.state, OP_CANCELLING);
        settle(&c);
        assert_int_equal(probe.times, 1);
        assert_true(probe.result == -ECANCELED || (stage == 2 && probe.result == 4));
        if (stage == 2 && probe.result == -ECANCELED) /* then nothing was taken */
            assert_int_equal(read(fds[0], probe.text, sizeof probe.text), 4);
        asy_op_cancel(&c, &probe.op);
        assert_false(asy_completions_has_unsent(&c));
        check_closes_with_pipe(&c, fds);
    }
}

TEST(one_without_room_is_cancelled_by_itself)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 2, 4);
    struct probe probes[4];
    for (int i = 0; i < 4; i++) {
        init_probe(&probes[i], fds[0]);
        asy_op_begin(&c, &probes[i].op);
    }
    asy_op_cancel(&c, &probes[3].op);
    assert_int_equal(probes[3].times, 0); /* not inside the request */
    assert_true(asy_completions_has_any(&c));
    asy_completions_reap(&c, 10);
    assert_int_equal(probes[3].times, 1);
    assert_int_equal(probes[3].result, -ECANCELED);
    assert_true(probes[3].is_refused);
    for (int i = 0; i < 3; i++)
        asy_op_cancel(&c, &probes[i].op); /* the requests have no room, either */
    settle(&c);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(probes[i].times, 1);
        assert_int_equal(probes[i].result, -ECANCELED);
    }
    check_closes_with_pipe(&c, fds);
}

/* It is told without the kernel: a wait would be for nothing. */
TEST(nothing_is_waited_for_while_a_refusal_is_to_be_told)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 2, 4);
    struct probe probes[3];
    for (int i = 0; i < 3; i++) {
        init_probe(&probes[i], fds[0]);
        asy_op_begin(&c, &probes[i].op);
    }
    asy_op_cancel(&c, &probes[2].op);
    assert_int_equal(asy_completions_enter(&c, -1), 0);
    assert_int_equal(asy_completions_reap(&c, 10), 0);
    assert_int_equal(probes[2].times, 1);
    close(fds[1]);
    settle(&c);
    check_closes(&c);
    close(fds[0]);
}

/* The request finds no room, and then the operation turns out to be over: the request is dropped, and what
 * begins in the same place has its own. */
TEST(a_request_without_room_ends_with_its_operation)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 2, 4);
    struct probe probe, others[2];
    init_probe(&probe, fds[0]);
    asy_op_begin(&c, &probe.op);
    assert_int_equal(asy_completions_enter(&c, 0), 0);
    assert_int_equal(write(fds[1], "word", 4), 4);
    while (!asy_ring_has_any(&c.ring))
        assert_int_equal(asy_completions_enter(&c, LONG_NS), 0);
    for (int i = 0; i < 2; i++) {
        init_probe(&others[i], -1);
        asy_op_begin(&c, &others[i].op);
    }
    asy_op_cancel(&c, &probe.op);
    assert_false(list_is_empty(&c.waiting));
    asy_completions_reap(&c, 1);
    assert_int_equal(probe.times, 1);
    assert_int_equal(probe.result, 4);
    assert_true(list_is_empty(&c.waiting));
    memset(&probe.op.node, 0xee, sizeof probe.op.node); /* as when its memory is another's */
    settle(&c);
    check_closes_with_pipe(&c, fds);
}

/* The data has come, and is not reaped yet, when a cancel is asked for; then the operation begins again in
 * the same place. The request was for the first time only. */
TEST(a_late_request_ends_what_began_before_it_alone)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 8, 16);
    struct probe probe;
    init_probe(&probe, fds[0]);
    probe.again = &c;
    probe.more = 1;
    asy_op_begin(&c, &probe.op);
    assert_int_equal(asy_completions_enter(&c, 0), 0);
    assert_int_equal(write(fds[1], "one", 3), 3);
    while (!asy_ring_has_any(&c.ring))
        assert_int_equal(asy_completions_enter(&c, LONG_NS), 0);
    struct io_uring_sqe *late = asy_ring_next(&c.ring); /* behind the new one, where it would hit */
    uint64_t name = (uint64_t)probe.op.generation << 48 | (uintptr_t)&probe.op;
    asy_completions_reap(&c, 10);
    assert_int_equal(probe.times, 1);
    late->opcode = IORING_OP_NOP;
    struct io_uring_sqe *request = asy_ring_next(&c.ring);
    *request = (struct io_uring_sqe){.opcode = IORING_OP_ASYNC_CANCEL, .fd = -1, .addr = name};
    assert_int_equal(asy_completions_enter(&c, 1000000), 0);
    asy_completions_reap(&c, 10);
    assert_int_equal(probe.times, 1);
    assert_int_equal(write(fds[1], "two", 3), 3);
    settle(&c);
    assert_int_equal(probe.times, 2);
    assert_int_equal(probe.result, 3);
    check_closes_with_pipe(&c, fds);
}

/* A completion under the name that an operation had when it began before: it is nobody's. */
TEST(a_late_word_about_an_earlier_time_is_dropped)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 8, 16);
    struct probe probe;
    init_probe(&probe, fds[0]);
    asy_op_begin(&c, &probe.op);
    uint64_t earlier = asy_ring_queued_at(&c.ring, 0)->user_data;
    assert_true(asy_op_take_back(&c, &probe.op));
    asy_op_begin(&c, &probe.op);
    assert_int_equal(asy_completions_enter(&c, 0), 0);
    struct io_uring_sqe *late = asy_ring_next(&c.ring);
    late->opcode = IORING_OP_NOP;
    late->user_data = earlier;
    assert_int_equal(asy_completions_enter(&c, LONG_NS), 0);
    asy_completions_reap(&c, 10);
    assert_int_equal(probe.times, 0);
    assert_int_equal(write(fds[1], "word", 4), 4);
    settle(&c);
    assert_int_equal(probe.times, 1);
    assert_int_equal(probe.result, 4);
    check_closes_with_pipe(&c, fds);
}

/* A thread of the kernel's has it, which sleeps in it: the request is answered -EALREADY, and the operation
 * ends when it is interrupted. */
static void prepare_fifo(struct asy_op *op, struct io_uring_sqe *sqe)
{
    (void)op;
    sqe->opcode = IORING_OP_OPENAT;
    sqe->fd = AT_FDCWD;
    sqe->addr = (uintptr_t)fifo_path;
    sqe->open_flags = O_RDONLY | O_CREAT | O_CLOEXEC; /* what may create is never tried at once */
    sqe->len = 0600;
}

static const struct asy_op_kind fifo_kind = {prepare_fifo, probe_done};

TEST(a_cancelled_operation_of_a_kernel_thread_ends_once)
{
    struct completions c;
    struct probe probe;
    open_completions(&c, 8, 16);
    snprintf(fifo_path, sizeof fifo_path, "/tmp/asyncio-fifo-%d", (int)getpid());
    assert_int_equal(mkfifo(fifo_path, 0600), 0);
    init_probe(&probe, -1);
    probe.op.kind = &fifo_kind;
    asy_op_begin(&c, &probe.op);
    assert_int_equal(asy_completions_enter(&c, 20000000), 0);
    assert_int_equal(asy_completions_reap(&c, 10), 0);
    asy_op_cancel(&c, &probe.op);
    asy_op_cancel(&c, &probe.op);
    settle(&c);
    assert_int_equal(probe.times, 1);
    assert_true(probe.result == -ECANCELED || probe.result == -EINTR);
    unlink(fifo_path);
    check_closes(&c);
}

TEST(a_kernel_that_is_short_of_memory_is_asked_again)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 8, 16);
    struct probe reader, probe;
    init_probe(&reader, fds[0]);
    init_probe(&probe, -1);
    asy_op_begin(&c, &reader.op);
    assert_int_equal(asy_completions_enter(&c, 0), 0);
    asy_op_begin(&c, &probe.op);
    asy_fault_arm(1, false);
    assert_int_equal(asy_completions_enter(&c, LONG_NS), -EAGAIN);
    asy_fault_disarm();
    assert_true(asy_completions_has_unsent(&c));
    close(fds[1]);
    settle(&c);
    assert_int_equal(probe.times, 1);
    assert_int_equal(probe.result, 0);
    check_closes(&c);
    close(fds[0]);
}

/* A signal says nothing of the ring: nothing is refused for it, although the kernel has nothing yet. */
TEST(an_interrupted_call_refuses_nothing)
{
    struct completions c;
    struct probe probe;
    open_completions(&c, 8, 16);
    init_probe(&probe, -1);
    asy_op_begin(&c, &probe.op);
    asy_fault_arm_way(1, 3);
    assert_int_equal(asy_completions_enter(&c, LONG_NS), -EINTR);
    asy_fault_disarm();
    assert_int_equal(asy_completions_reap(&c, 10), 0);
    assert_int_equal(probe.times, 0);
    settle(&c);
    assert_int_equal(probe.result, 0);
    assert_false(probe.is_refused);
    check_closes(&c);
}

/* A ring with room for 4, of which the kernel has taken some when a call fails, in each way in which one can.
 * What it has not taken goes in with the next call, behind nothing that was begun later. */
static void check_failed_enter(uint64_t nth, unsigned way)
{
    static struct probe probes[20];
    const int count = sizeof probes / sizeof probes[0];
    struct completions c;
    struct probe reader;
    int fds[2], failures = 0, begun = 0;
    open_with_pipe(&c, fds, 4, 8);
    init_probe(&reader, fds[0]); /* what makes room in the end */
    asy_op_begin(&c, &reader.op);
    assert_int_equal(asy_completions_enter(&c, 0), 0);
    for (int i = 0; i < count; i++)
        init_probe(&probes[i], -1);
    for (; begun < 15; begun++)
        asy_op_begin(&c, &probes[begun].op);
    asy_fault_arm_way(nth, way);
    while (c.under_way > 1) {
        failures += asy_completions_enter(&c, 0) != 0;
        for (; failures && begun < count; begun++)
            asy_op_begin(&c, &probes[begun].op);
        asy_completions_reap(&c, UINT32_MAX);
    }
    asy_fault_disarm();
    assert_true(failures >= 1);
    assert_false(c.is_broken);
    for (int i = 0; i < count; i++) {
        assert_int_equal(probes[i].times, 1);
        assert_int_equal(probes[i].place, i);
        assert_false(probes[i].is_refused);
    }
    assert_int_equal(reader.times, 0);
    close(fds[1]);
    settle(&c);
    check_closes(&c);
    close(fds[0]);
}

TEST(a_failed_call_keeps_the_order)
{
    assert_int_equal(asy_fault_ways("ring_enter"), 4);
    for (uint64_t nth = 1; nth <= 4; nth++)
        for (unsigned way = 0; way < 4; way++)
            check_failed_enter(nth, way);
}

/* Nothing that it has would ever make room. */
TEST(it_refuses_what_would_wait_for_ever)
{
    struct completions c;
    open_completions(&c, 2, 4);
    struct probe probes[4];
    for (int i = 0; i < 4; i++) {
        init_probe(&probes[i], -1);
        asy_op_begin(&c, &probes[i].op);
    }
    asy_op_cancel(&c, &probes[0].op);
    asy_fault_arm(1, false);
    assert_int_equal(asy_completions_enter(&c, LONG_NS), 0);
    asy_fault_disarm();
    assert_int_equal(probes[0].times, 0);
    asy_completions_reap(&c, 10);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(probes[i].times, 1);
        assert_true(probes[i].is_refused);
        assert_int_equal(probes[i].result, -EAGAIN);
    }
    asy_op_begin(&c, &probes[1].op);
    settle(&c);
    assert_int_equal(probes[1].result, 0);
    check_closes(&c);
}

/* The descriptor is gone, as when a filter begins to deny the call. */
TEST(a_ring_that_breaks_refuses_everything)
{
    struct completions c;
    open_completions(&c, 8, 16);
    int kept = dup(c.ring.fd), fd = c.ring.fd;
    struct probe probe;
    init_probe(&probe, -1);
    asy_op_begin(&c, &probe.op);
    close(fd);
    assert_int_equal(asy_completions_enter(&c, LONG_NS), 0);
    assert_true(c.is_broken);
    asy_completions_reap(&c, 10);
    assert_true(probe.is_refused);
    asy_op_begin(&c, &probe.op);
    assert_int_equal(probe.times, 1);
    probe.again = &c;
    probe.more = 1;
    asy_completions_reap(&c, 10);
    assert_int_equal(probe.times,
                     2); /* what begins meanwhile is told the next time: else it might never end */
    assert_true(probe.is_refused);
    asy_completions_reap(&c, 10);
    assert_int_equal(probe.times, 3);
    assert_int_equal(dup2(kept, fd), fd);
    close(kept);
    check_closes(&c);
}

TEST(the_end_cancels_everything)
{
    struct completions c;
    int fds[2];
    open_with_pipe(&c, fds, 2, 4);
    struct probe probes[6];
    for (int i = 0; i < 6; i++) {
        init_probe(&probes[i], fds[0]);
        probes[i].again = &c;
        probes[i].more = 1; /* refused: nothing begins any more */
        asy_op_begin(&c, &probes[i].op);
        if (i == 1)
            assert_int_equal(asy_completions_enter(&c, 0), 0);
    }
    assert_true(asy_completions_end(&c, LONG_NS));
    for (int i = 0; i < 6; i++) {
        assert_int_equal(probes[i].times, 2);
        assert_int_equal(probes[i].result, -ECANCELED);
    }
    assert_true(asy_completions_end(&c, 0));
    check_closes_with_pipe(&c, fds);
}

static void *end_elsewhere(void *arg)
{
    struct completions *c = arg;
    assert_false(asy_completions_is_here(c));
    struct probe probe;
    init_probe(&probe, -1);
    asy_op_begin(c, &probe.op);
    asy_completions_enter(c, LONG_NS);
    asy_completions_reap(c, 10);
    assert_true(probe.is_refused);
    assert_int_equal(probe.times, 1);
    return NULL;
}

/* The kernel takes entries from the ring's own thread alone. */
TEST(another_thread_is_refused)
{
    struct completions c;
    int fds[2];
    pthread_t thread;
    open_with_pipe(&c, fds, 8, 16);
    struct probe sent, unsent;
    init_probe(&sent, fds[0]);
    init_probe(&unsent, fds[0]);
    asy_op_begin(&c, &sent.op);
    assert_int_equal(asy_completions_enter(&c, 0), 0);
    asy_op_begin(&c, &unsent.op);
    assert_int_equal(pthread_create(&thread, NULL, end_elsewhere, &c), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(unsent.times, 1);
    assert_true(unsent.is_refused);
    assert_int_equal(sent.times, 0);
    assert_true(asy_completions_end(&c, LONG_NS));
    assert_int_equal(sent.result, -ECANCELED);
    check_closes_with_pipe(&c, fds);
}

int main(void)
{
    manner = RING_COOPERATES;
    int failed = tests_run(NULL);
    manner = RING_DEFERS;
    return failed | tests_run(NULL);
}
