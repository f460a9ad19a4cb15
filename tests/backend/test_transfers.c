/*
 * Receiving and sending by completions, without streams: small queues, an empty pool, and kernels that
 * answer oddly. Whatever happens, each transfer is told once that it is over, and no byte is lost.
 */
#include "backend/transfers.h"
#include "support/mapping.h"
#include "support/net.h"
#include "support/ring_plan.h"
#include "support/test.h"
#include "sys/sys.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LONG_NS INT64_C(10000000000)
/* So many sockets with so much each are more than the pool has pieces for (256 of 4 KiB), and few enough for
 * one look of the kernel, which takes about twenty. */
#define MANY 20
#define MUCH 100000

struct world {
    struct completions completions;
    struct asy_transfers transfers;
};

static void open_world(struct world *world, unsigned entries, unsigned room)
{
    int err = asy_completions_open(&world->completions, RING_DEFERS, entries, room);
    if (err == -EPERM || err == -ENOSYS) {
        print_message("skipped: io_uring is denied (%s)\n", strerror(-err));
        skip();
    }
    assert_int_equal(err, 0);
    asy_transfers_init(&world->transfers, &world->completions);
}

static void close_world(struct world *world)
{
    assert_true(asy_completions_end(&world->completions, LONG_NS));
    asy_completions_close(&world->completions);
    asy_transfers_destroy(&world->transfers);
}

/* One look: what is there now. */
static void look(struct world *world)
{
    int err = asy_completions_enter(&world->completions, 0);
    assert_true(err == 0 || err == -EBUSY);
    asy_completions_reap(&world->completions, UINT32_MAX);
}

/* ---- What is received -------------------------------------------------------------------------- */

struct inbox {
    struct asy_receive receive;
    int peer;
    char bytes[MUCH];
    size_t n;
    int ends;
    ssize_t end;
    ssize_t odd; /* an error of which the owner need not know */
};

static void bytes_came(struct asy_receive *receive, ssize_t result, const char *data, bool is_last)
{
    struct inbox *inbox = LIST_ENTRY(receive, struct inbox, receive);
    if (result > 0) {
        assert_true(inbox->n + (size_t)result <= sizeof inbox->bytes);
        memcpy(inbox->bytes + inbox->n, data, (size_t)result);
        inbox->n += (size_t)result;
    } else if (!is_last) {
        inbox->odd = result;
    }
    if (is_last) {
        assert_int_equal(receive->op.state, OP_IDLE);
        inbox->ends++;
        inbox->end = result;
    }
}

static void open_inbox(struct world *world, struct inbox *inbox)
{
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    memset(inbox, 0, sizeof *inbox);
    asy_receive_init(&inbox->receive, fds[0], bytes_came);
    inbox->peer = fds[1];
    assert_int_equal(asy_receive_begin(&world->transfers, &inbox->receive), 0);
}

static void close_inbox(struct inbox *inbox)
{
    assert_int_equal(inbox->receive.op.state, OP_IDLE);
    close(inbox->receive.fd);
    close(inbox->peer);
}

static struct inbox *open_inboxes(struct world *world, size_t count)
{
    struct inbox *inboxes = calloc(count, sizeof *inboxes);
    for (size_t i = 0; i < count; i++)
        open_inbox(world, &inboxes[i]);
    look(world);
    return inboxes;
}

static void close_inboxes(struct inbox *inboxes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close_inbox(&inboxes[i]);
    free(inboxes);
}

static void send_to(struct inbox *inbox, size_t n)
{
    static char block[MUCH];
    for (size_t i = 0; i < n; i++)
        block[i] = (char)(inbox->peer + (int)i * 7);
    assert_int_equal(send(inbox->peer, block, n, 0), n);
}

static void check_got(const struct inbox *inbox, size_t n)
{
    assert_int_equal(inbox->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(inbox->bytes[i], (char)(inbox->peer + (int)i * 7));
    assert_int_equal(inbox->ends, 0);
    assert_int_equal(inbox->odd, 0);
}

/* How much all have, when there is no more to have. */
static void receive_all(struct world *world, const struct inbox *inboxes, size_t count, size_t n)
{
    size_t got = 0;
    for (int looks = 0; got < count * n && looks < 10000; looks++) {
        look(world);
        got = 0;
        for (size_t i = 0; i < count; i++)
            got += inboxes[i].n;
    }
    for (size_t i = 0; i < count; i++)
        check_got(&inboxes[i], n);
}

static void end_all(struct world *world, struct inbox *inboxes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        asy_receive_cancel(&inboxes[i].receive);
    for (int looks = 0; looks < 1000 && world->completions.under_way; looks++)
        look(world);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(inboxes[i].ends, 1);
        assert_int_equal(inboxes[i].end, -ECANCELED);
    }
}

/* With room for 8 completions the kernel ends a receive with bytes, for which it has no room. */
TEST(full_queues_lose_nothing)
{
    struct world world;
    const size_t count = 64;
    open_world(&world, 4, 8);
    struct inbox *inboxes = open_inboxes(&world, count);
    uint64_t begun = world.completions.begun;
    for (size_t i = 0; i < count; i++)
        send_to(&inboxes[i], 10);
    asy_completions_enter(&world.completions, 0);
    asy_completions_reap(&world.completions, UINT32_MAX);
    assert_false(asy_ring_has_any(&world.completions.ring));
    assert_false(asy_transfers_are_told(&world.transfers)); /* the kernel keeps more */
    receive_all(&world, inboxes, count, 10);
    assert_true(world.completions.begun > begun); /* some had ended */
    end_all(&world, inboxes, count);
    close_inboxes(inboxes, count);
    close_world(&world);
}

/* Nobody hears of it; each that ended begins once a look; and in the end all have all. */
TEST(an_empty_pool_is_nobodys_error)
{
    struct world world;
    open_world(&world, 64, 1024);
    struct inbox *inboxes = open_inboxes(&world, MANY);
    uint64_t begun = world.completions.begun;
    for (size_t i = 0; i < MANY; i++)
        send_to(&inboxes[i], MUCH);
    receive_all(&world, inboxes, MANY, MUCH);
    assert_true(world.completions.begun > begun);
    assert_true(world.completions.begun - begun < (uint64_t)MANY * 10);
    end_all(&world, inboxes, MANY);
    close_inboxes(inboxes, MANY);
    close_world(&world);
}

/* Its end for want of a piece is on its way when a receive is cancelled: that is the last of it. */
TEST(an_empty_pool_begins_nothing_that_is_unwanted)
{
    struct world world;
    open_world(&world, 64, 1024);
    struct inbox *inboxes = open_inboxes(&world, MANY);
    for (size_t i = 0; i < MANY; i++)
        send_to(&inboxes[i], MUCH);
    assert_int_equal(asy_completions_enter(&world.completions, 0), 0);
    for (size_t i = 0; i < MANY; i++)
        asy_receive_cancel(&inboxes[i].receive);
    asy_completions_reap(&world.completions, UINT32_MAX);
    size_t ended = 0;
    for (size_t i = 0; i < MANY; i++)
        if (inboxes[i].ends) {
            assert_int_equal(inboxes[i].end, -ENOBUFS);
            assert_int_equal(inboxes[i].receive.op.state, OP_IDLE);
            ended++;
        }
    assert_true(ended > 0);
    for (int looks = 0; looks < 1000 && world.completions.under_way; looks++)
        look(&world);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(inboxes[i].ends, 1);
    close_inboxes(inboxes, MANY);
    close_world(&world);
}

/* A kernel that knows no receives that repeat: each piece is the last. */
TEST(a_receive_repeats_by_itself)
{
    struct world world;
    ring_plan.has_no_repeats = true;
    open_world(&world, 64, 128);
    struct inbox *inboxes = open_inboxes(&world, 10);
    for (size_t i = 0; i < 10; i++)
        send_to(&inboxes[i], 8192);
    receive_all(&world, inboxes, 10, 8192);
    assert_true(world.completions.begun >= 10 + 10 * 2);
    close(inboxes[3].peer);
    inboxes[3].peer = dup(inboxes[4].peer);
    for (int looks = 0; looks < 1000 && !inboxes[3].ends; looks++)
        look(&world);
    assert_int_equal(inboxes[3].ends, 1);
    assert_int_equal(inboxes[3].end, 0);
    end_all(&world, inboxes, 3);
    end_all(&world, inboxes + 4, 6);
    ring_plan.has_no_repeats = false;
    close_inboxes(inboxes, 10);
    close_world(&world);
}

/* Cancelled, and begun again: it is wanted again, and goes on behind its last piece. */
TEST(a_receive_that_begins_again_is_wanted)
{
    struct world world;
    open_world(&world, 64, 128);
    struct inbox *inbox = open_inboxes(&world, 1);
    end_all(&world, inbox, 1);
    inbox->ends = 0;
    ring_plan.has_no_repeats = true;
    assert_int_equal(asy_receive_begin(&world.transfers, &inbox->receive), 0);
    send_to(inbox, 8192);
    receive_all(&world, inbox, 1, 8192);
    ring_plan.has_no_repeats = false;
    end_all(&world, inbox, 1);
    close_inboxes(inbox, 1);
    close_world(&world);
}

/* Its last piece, bytes with it, is on its way when a receive is cancelled: both come, and nothing begins. */
TEST(a_last_piece_of_one_that_is_unwanted)
{
    struct world world;
    ring_plan.has_no_repeats = true;
    open_world(&world, 64, 128);
    struct inbox *inbox = open_inboxes(&world, 1);
    send_to(inbox, 10);
    assert_int_equal(asy_completions_enter(&world.completions, LONG_NS), 0);
    asy_receive_cancel(&inbox->receive);
    asy_completions_reap(&world.completions, UINT32_MAX);
    ring_plan.has_no_repeats = false;
    assert_int_equal(inbox->ends, 1);
    assert_int_equal(inbox->n, 10);
    assert_int_equal(world.completions.under_way, 0);
    close_inboxes(inbox, 1);
    close_world(&world);
}

/* Answers that say nothing of the connection: the receive goes on, and its owner never hears of them. */
TEST(an_answer_that_says_nothing_is_not_told)
{
    static const int answers[] = {-EAGAIN, -EINTR, -ENOBUFS};
    if (!can_plan_answers())
        skip();
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct world world;
        open_world(&world, 64, 128);
        plan_answers(IORING_OP_RECV, 0, 3, answers[i]);
        struct inbox *inboxes = open_inboxes(&world, 2);
        send_to(&inboxes[0], 100);
        send_to(&inboxes[1], 100);
        receive_all(&world, inboxes, 2, 100);
        assert_int_equal(ring_plan.answered, 3);
        end_all(&world, inboxes, 2);
        close_inboxes(inboxes, 2);
        close_world(&world);
    }
}

/* Cancelled with bytes in the queue of completions: they come before the last word, in order. */
TEST(a_cancelled_receive_keeps_what_came)
{
    struct world world;
    open_world(&world, 64, 128);
    struct inbox *inbox = open_inboxes(&world, 1);
    send_to(inbox, 5000);
    assert_int_equal(asy_completions_enter(&world.completions, LONG_NS), 0);
    assert_false(asy_transfers_are_told(&world.transfers));
    asy_receive_cancel(&inbox->receive);
    for (int looks = 0; looks < 1000 && world.completions.under_way; looks++)
        look(&world);
    assert_true(asy_transfers_are_told(&world.transfers));
    assert_int_equal(inbox->ends, 1);
    inbox->ends = 0;
    check_got(inbox, 5000);
    close_inboxes(inbox, 1);
    close_world(&world);
}

/* The kernel puts off what is due until the ring is entered, and says so: no completion is there yet. */
TEST(what_the_kernel_puts_off_is_known)
{
    struct world world;
    open_world(&world, 64, 128);
    struct inbox *inbox = open_inboxes(&world, 1);
    assert_false(asy_completions_needs_poll(&world.completions));
    send_to(inbox, 100);
    for (int i = 0; i < 30000 && !asy_ring_is_due(&world.completions.ring); i++)
        usleep(1000);
    assert_false(asy_completions_has_any(&world.completions));
    assert_false(asy_completions_has_unsent(&world.completions));
    assert_true(asy_completions_needs_poll(&world.completions));
    look(&world);
    check_got(inbox, 100);
    assert_false(asy_completions_needs_poll(&world.completions));
    end_all(&world, inbox, 1);
    close_inboxes(inbox, 1);
    close_world(&world);
}

/* A child has none of the memory that the kernel writes to: it is the parent's. */
TEST(a_child_has_no_pieces)
{
    struct world world;
    open_world(&world, 64, 128);
    struct inbox *inbox = open_inboxes(&world, 1);
    assert_true(is_given_to_children(inbox));
    assert_false(is_given_to_children(world.transfers.slots));
    assert_false(is_given_to_children(world.transfers.pool));
    end_all(&world, inbox, 1);
    close_inboxes(inbox, 1);
    close_world(&world);
}

/* ---- What is sent -------------------------------------------------------------------------------- */

struct letter {
    struct asy_send send;
    int times;
    ssize_t result;
};

static void letter_sent(struct asy_send *send, ssize_t result)
{
    struct letter *letter = LIST_ENTRY(send, struct letter, send);
    letter->times++;
    letter->result = result;
}

static void begin_letter(struct world *world, struct letter *letter, int fd, const char *data, size_t n)
{
    memset(letter, 0, sizeof *letter);
    asy_send_init(&letter->send, fd, letter_sent);
    asy_send_begin(&world->transfers, &letter->send, data, n);
}

/* More than the ring has room for, into one socket: the order in which they began is that of the bytes. */
TEST(sends_without_room_keep_their_order)
{
    struct world world;
    static struct letter letters[50];
    static char data[50], got[60];
    const int count = sizeof data;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    open_world(&world, 4, 8);
    for (int i = 0; i < count; i++) {
        data[i] = (char)i;
        begin_letter(&world, &letters[i], fds[0], &data[i], 1);
    }
    for (int looks = 0; looks < 1000 && world.completions.under_way; looks++)
        look(&world);
    for (int i = 0; i < count; i++) {
        assert_int_equal(letters[i].times, 1);
        assert_int_equal(letters[i].result, 1);
    }
    assert_int_equal(recv(fds[1], got, sizeof got, 0), count);
    assert_memory_equal(got, data, count);
    close(fds[0]);
    close(fds[1]);
    close_world(&world);
}

/* The socket has room for a part. It is told once, when all is sent. */
TEST(a_send_is_told_when_all_is_sent)
{
    struct world world;
    static char data[1000000];
    static struct letter letter;
    size_t got = 0;
    int fds[2];
    net_tcp_pair(fds);
    net_make_narrow(fds[0]);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 3);
    open_world(&world, 4, 8);
    begin_letter(&world, &letter, fds[0], data, sizeof data);
    while (got < sizeof data) {
        static char block[3000];
        look(&world);
        assert_true(letter.times == 0 || letter.result == sizeof data);
        ssize_t n = recv(fds[1], block, sizeof block, MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(block[i], data[got + (size_t)i]);
        got += n > 0 ? (size_t)n : 0;
    }
    while (world.completions.under_way)
        look(&world);
    assert_int_equal(letter.times, 1);
    assert_int_equal(letter.result, sizeof data);
    close(fds[0]);
    close(fds[1]);
    close_world(&world);
}

/* It has gone out in part: that is what it says. */
TEST(a_cancelled_send_says_how_much_went_out)
{
    struct world world;
    static char data[4000000];
    static struct letter letter;
    int fds[2], in_flight = 0;
    net_unix_pair(SOCK_STREAM, fds);
    net_make_narrow(fds[0]);
    open_world(&world, 4, 8);
    begin_letter(&world, &letter, fds[0], data, sizeof data);
    look(&world);
    assert_int_equal(letter.times, 0);
    asy_send_cancel(&world.transfers, &letter.send);
    while (world.completions.under_way)
        look(&world);
    assert_int_equal(letter.times, 1);
    assert_true(letter.result > 0 && letter.result < (ssize_t)sizeof data);
    assert_int_equal(ioctl(fds[1], FIONREAD, &in_flight), 0);
    assert_int_equal(in_flight, letter.result);
    close(fds[0]);
    close(fds[1]);
    close_world(&world);
}

static volatile sig_atomic_t pipe_signals;

static void count_signal(int signal)
{
    (void)signal;
    pipe_signals++;
}

/* An error, and no signal, which would end most programs. */
TEST(a_send_to_nobody_is_an_error)
{
    struct world world;
    static struct letter letter;
    struct sigaction counts = {.sa_handler = count_signal}, before;
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    close(fds[1]);
    assert_int_equal(sigaction(SIGPIPE, &counts, &before), 0);
    open_world(&world, 4, 8);
    begin_letter(&world, &letter, fds[0], "gone", 4);
    while (world.completions.under_way)
        look(&world);
    assert_int_equal(letter.result, -EPIPE);
    assert_int_equal(pipe_signals, 0);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
    close(fds[0]);
    close_world(&world);
}

TEST_MAIN()
