/*
 * Transports and protocols over sockets: orders, ends, closing, and what a protocol does in the middle of its
 * functions. The model test (tests/parity/transports) compares many of these orders with Python's.
 */
#include "fd/transport_test.h"

/* ---- Made ----------------------------------------------------------------------------------- */

ASYNC_TEST(made_before_data_and_lost_last)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    peer_says(peer, "abc");
    CHECK_TEXT(side.log, ""); /* nothing inside the call */
    wait_for_log(&side, "data");
    CHECK_EQUAL(asyncio_transport_write(side.transport, "xyz", 3), 0);
    close(peer);
    wait_lost(&side);
    CHECK_HAS(side.log, "made data:abc");
    return 0;
}

ASYNC_TEST(what_was_there_before_is_read)
{
    struct side side = {0};
    int fds[2];
    net_tcp_pair(fds);
    peer_says(fds[1], "early");
    shutdown(fds[1], SHUT_WR);
    begin_side(&side, fds[0], &side_protocol);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made data:early eof lost");
    close(fds[1]);
    return 0;
}

static void make_from_callback(void *arg)
{
    int *fds = arg;
    static struct side side;
    memset(&side, 0, sizeof side);
    begin_side(&side, fds[0], &side_protocol);
    asyncio_transport_close(side.transport);
}

ASYNC_TEST(a_callback_makes_one)
{
    int fds[2];
    net_tcp_pair(fds);
    asyncio_loop_call_soon(asyncio_get_running_loop(), make_from_callback, fds);
    asyncio_sleep(0.01);
    char byte;
    CHECK_EQUAL(recv(fds[1], &byte, 1, 0), 0);
    close(fds[1]);
    return 0;
}

ASYNC_TEST(closed_before_made_is_made_and_lost)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    asyncio_transport_close(side.transport);
    CHECK(asyncio_transport_is_closing(side.transport));
    CHECK_EQUAL(asyncio_transport_write(side.transport, "x", 1), ASYNCIO_ESTATE);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made lost");
    close(peer);
    return 0;
}

ASYNC_TEST(written_before_made_is_sent)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    char buf[8] = "";
    CHECK_EQUAL(asyncio_transport_write(side.transport, "hello", 5), 0);
    asyncio_transport_close(side.transport);
    wait_lost(&side);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, MSG_WAITALL), 5);
    CHECK_TEXT(buf, "hello");
    close(peer);
    return 0;
}

ASYNC_TEST(refused)
{
    struct side side = {0};
    asyncio_transport *transport = NULL;
    int fds[2], file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
                null = open("/dev/null", O_RDWR | O_CLOEXEC);
    net_tcp_pair(fds);
    asyncio_connect_options tls = {.tls = (asyncio_tls_context *)(void *)&side};
    CHECK_EQUAL(asyncio_transport_from_fd(-1, &side_protocol, &side, NULL, &transport), -EBADF);
    CHECK_EQUAL(asyncio_transport_from_fd(9999, &side_protocol, &side, NULL, &transport), -EBADF);
    CHECK_EQUAL(asyncio_transport_from_fd(fds[0], NULL, &side, NULL, &transport), -EINVAL);
    CHECK_EQUAL(asyncio_transport_from_fd(fds[0], &side_protocol, &side, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_transport_from_fd(fds[0], &side_protocol, &side, &tls, &transport), -EINVAL);
    CHECK_EQUAL(asyncio_transport_from_fd(file, &side_protocol, &side, NULL, &transport), -EPERM);
    CHECK_EQUAL(asyncio_transport_from_fd(null, &side_protocol, &side, NULL, &transport), -EPERM);
    CHECK(fcntl(file, F_GETFD) >= 0 && fcntl(null, F_GETFD) >= 0 && fcntl(fds[0], F_GETFD) >= 0);
    CHECK_TEXT(side.log, "");
    CHECK_EQUAL(asyncio_transport_write(NULL, "x", 1), -EINVAL);
    asyncio_transport_close(NULL);
    asyncio_transport_abort(NULL);
    asyncio_transport_pause_reading(NULL);
    asyncio_transport_resume_reading(NULL);
    asyncio_transport_set_protocol(NULL, &side_protocol, NULL);
    CHECK(asyncio_transport_is_closing(NULL) && !asyncio_transport_is_reading(NULL));
    close(file);
    close(null);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

TEST(no_loop_no_transport)
{
    asyncio_transport *transport = NULL;
    assert_int_equal(asyncio_transport_from_fd(0, &side_protocol, NULL, NULL, &transport), ASYNCIO_ESTATE);
}

ASYNC_TEST(a_protocol_without_functions)
{
    static const asyncio_protocol nothing;
    asyncio_transport *transport;
    int fds[2];
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_transport_from_fd(fds[0], &nothing, NULL, NULL, &transport), 0);
    peer_says(fds[1], "dropped");
    asyncio_sleep(0.01);
    shutdown(fds[1], SHUT_WR); /* no eof_received: it is closed */
    char byte;
    asyncio_sleep(0.01);
    CHECK_EQUAL(recv(fds[1], &byte, 1, MSG_DONTWAIT), 0);
    close(fds[1]);
    return 0;
}

/* ---- Ends ------------------------------------------------------------------------------------- */

ASYNC_TEST(eof_false_closes_and_flushes)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    asyncio_sleep(0);
    asyncio_transport_write(side.transport, "last", 4);
    shutdown(peer, SHUT_WR);
    wait_lost(&side);
    char buf[8] = "";
    CHECK_EQUAL(recv(peer, buf, 4, MSG_WAITALL), 4);
    CHECK_TEXT(side.log, "made eof lost");
    close(peer);
    return 0;
}

ASYNC_TEST(eof_true_keeps_the_writing_half)
{
    struct side side = {.keeps_open = true};
    int peer = begin_pair(&side);
    shutdown(peer, SHUT_WR);
    wait_for_log(&side, "eof");
    asyncio_sleep(0.005);
    CHECK_TEXT(side.log, "made eof");
    CHECK(!asyncio_transport_is_closing(side.transport));
    CHECK_EQUAL(asyncio_transport_write(side.transport, "answer", 6), 0);
    CHECK_EQUAL(asyncio_transport_write_eof(side.transport), 0);
    CHECK_EQUAL(asyncio_transport_write_eof(side.transport), ASYNCIO_ESTATE);
    char buf[8] = "";
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 6);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 0);
    asyncio_sleep(0.005);
    CHECK_TEXT(side.log, "made eof"); /* as in Python, until the program closes it */
    asyncio_transport_close(side.transport);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made eof lost");
    close(peer);
    return 0;
}

ASYNC_TEST(write_eof_leaves_reading_alone)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_transport_write_eof(side.transport), 0);
    CHECK_EQUAL(asyncio_transport_write(side.transport, "x", 1), ASYNCIO_ESTATE);
    char byte;
    CHECK_EQUAL(recv(peer, &byte, 1, 0), 0);
    peer_says(peer, "still");
    wait_for_log(&side, "data:still");
    close(peer);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made data:still eof lost");
    return 0;
}

ASYNC_TEST(a_reset_is_passed_on)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    asyncio_sleep(0);
    net_reset_at_close(peer);
    close(peer);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made lost:ECONNRESET");
    return 0;
}

ASYNC_TEST(abort_drops_the_queue)
{
    struct side side = {.is_quiet = true};
    static char block[1 << 20];
    int peer = begin_pair(&side);
    asyncio_sleep(0);
    while (!asyncio_transport_get_write_buffer_size(side.transport))
        CHECK_EQUAL(asyncio_transport_write(side.transport, block, sizeof block), 0);
    asyncio_transport_abort(side.transport);
    CHECK(asyncio_transport_is_closing(side.transport));
    CHECK_EQUAL(asyncio_transport_get_write_buffer_size(side.transport), 0);
    asyncio_transport_abort(side.transport);
    asyncio_transport_close(side.transport);
    CHECK_TEXT(side.log, "made pause");
    wait_lost(&side);
    CHECK_TEXT(side.log, "made pause lost");
    char buf[65536];
    ssize_t n;
    while ((n = recv(peer, buf, sizeof buf, 0)) > 0)
        ;
    CHECK(n < 0 && errno == ECONNRESET);
    close(peer);
    return 0;
}

ASYNC_TEST(close_sends_all_of_it)
{
    struct side side = {0};
    static char block[3 << 20];
    int peer = begin_pair(&side);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_transport_write(side.transport, block, sizeof block), 0);
    asyncio_transport_close(side.transport);
    CHECK(!side.is_lost);
    size_t sum = 0;
    ssize_t n;
    while ((n = recv(peer, block, sizeof block, MSG_DONTWAIT)) != 0) {
        sum += n > 0 ? (size_t)n : 0;
        CHECK(n > 0 || errno == EAGAIN);
        asyncio_sleep(0.0002);
    }
    CHECK_EQUAL(sum, sizeof block);
    wait_lost(&side);
    CHECK_HAS(side.log, "lost");
    CHECK_EQUAL(side.error, 0);
    close(peer);
    return 0;
}

ASYNC_TEST(a_peer_that_takes_nothing_is_cut_off)
{
    static char block[8 << 20];
    struct side side = {.lost = ASYNCIO_EVENT_INIT};
    asyncio_connect_options options = {.close_timeout = 0.04};
    int fds[2];
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_transport_from_fd(fds[0], &side_protocol, &side, &options, &side.transport), 0);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_transport_write(side.transport, block, sizeof block), 0);
    asyncio_transport_close(side.transport);
    wait_lost(&side);
    CHECK_EQUAL(side.error, -ETIMEDOUT);
    CHECK_HAS(side.words, "the peer took nothing for 0.04 seconds");
    close(fds[1]);
    return 0;
}

/* ---- Writing ------------------------------------------------------------------------------------ */

#define HIGH_WATER ((size_t)64 * 1024) /* a transport's at first */

ASYNC_TEST(pause_and_resume_alternate)
{
    struct side side = {0};
    static char block[100000];
    int peer = begin_pair(&side);
    net_make_narrow(asyncio_transport_fd(side.transport));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_transport_set_write_buffer_limits(side.transport, 10, 20), -EINVAL);
    for (int round = 0; round < 3; round++) {
        /* The peer's window grows, and may take several megabytes. */
        int left = 1000;
        while (left-- && asyncio_transport_get_write_buffer_size(side.transport) <= HIGH_WATER)
            CHECK_EQUAL(asyncio_transport_write(side.transport, block, sizeof block), 0);
        CHECK(asyncio_transport_get_write_buffer_size(side.transport) > HIGH_WATER);
        while (asyncio_transport_get_write_buffer_size(side.transport)) {
            net_drain(peer);
            asyncio_sleep(0.0002);
        }
        for (int i = 0; i < 5; i++) /* resume_writing comes in a later iteration */
            asyncio_sleep(0);
    }
    CHECK_TEXT(side.log, "made pause resume pause resume pause resume");
    close(peer);
    wait_lost(&side);
    return 0;
}

ASYNC_TEST(limits_pause_and_resume_at_once)
{
    struct side side = {0};
    static char block[1 << 20];
    int peer = begin_pair(&side);
    net_make_narrow(asyncio_transport_fd(side.transport));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_transport_set_write_buffer_limits(side.transport, SIZE_MAX, SIZE_MAX), 0);
    for (int i = 0; i < 8; i++)
        asyncio_transport_write(side.transport, block, sizeof block);
    CHECK_TEXT(side.log, "made");
    CHECK_EQUAL(asyncio_transport_set_write_buffer_limits(side.transport, 0, 0), 0);
    CHECK_TEXT(side.log, "made pause");
    CHECK_EQUAL(asyncio_transport_set_write_buffer_limits(side.transport, SIZE_MAX, SIZE_MAX), 0);
    CHECK_TEXT(side.log, "made pause resume");
    asyncio_transport_abort(side.transport);
    wait_lost(&side);
    close(peer);
    return 0;
}

static void end_at_pause(struct side *side, const char *event)
{
    if (strcmp(event, "pause") == 0)
        (side->more ? asyncio_transport_close : asyncio_transport_abort)(side->transport);
}

/* Neither does resume_writing come after that, although there is room by then. */
ASYNC_TEST(limits_whose_pause_ends_it)
{
    static char block[8 << 20];
    for (int closes = 0; closes < 2; closes++) {
        struct side side = {.act = end_at_pause, .more = closes ? block : NULL};
        int peer = begin_pair(&side);
        net_make_narrow(asyncio_transport_fd(side.transport));
        asyncio_sleep(0);
        asyncio_transport_set_write_buffer_limits(side.transport, SIZE_MAX, SIZE_MAX);
        asyncio_transport_write(side.transport, block, sizeof block);
        CHECK_EQUAL(asyncio_transport_set_write_buffer_limits(side.transport, 100, 100), 0);
        CHECK_TEXT(side.log, "made pause");
        CHECK_EQUAL(asyncio_transport_set_write_buffer_limits(side.transport, SIZE_MAX, SIZE_MAX), 0);
        CHECK_TEXT(side.log, "made pause");
        asyncio_transport_abort(side.transport);
        wait_lost(&side);
        CHECK_TEXT(side.log, "made pause lost");
        close(peer);
    }
    return 0;
}

ASYNC_TEST(parts_and_nothing)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    char buf[8] = "", ab[] = "ab", c[] = "c";
    struct iovec parts[] = {{ab, 2}, {NULL, 0}, {c, 1}};
    CHECK_EQUAL(asyncio_transport_writev(side.transport, parts, 3), 0);
    CHECK_EQUAL(asyncio_transport_writev(side.transport, NULL, 0), 0);
    CHECK_EQUAL(asyncio_transport_write(side.transport, NULL, 0), 0);
    CHECK_EQUAL(asyncio_transport_write(side.transport, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_transport_write(side.transport, "x", SIZE_MAX), -EINVAL);
    CHECK_EQUAL(asyncio_transport_writev(side.transport, parts, -1), -EINVAL);
    CHECK_EQUAL(recv(peer, buf, 3, MSG_WAITALL), 3);
    CHECK_TEXT(buf, "abc");
    asyncio_transport_abort(side.transport);
    wait_lost(&side);
    close(peer);
    return 0;
}

ASYNC_TEST(a_write_to_a_peer_that_left_is_told_by_lost)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    asyncio_sleep(0);
    asyncio_transport_pause_reading(side.transport);
    net_reset_at_close(peer);
    close(peer);
    int err = 0;
    for (int i = 0; i < 1000 && !err && !side.is_lost; i++) {
        err = asyncio_transport_write(side.transport, "x", 1);
        asyncio_sleep(0);
    }
    CHECK(err == 0 || err == ASYNCIO_ESTATE);
    wait_lost(&side);
    CHECK(side.error == -EPIPE || side.error == -ECONNRESET);
    return 0;
}

/* ---- Reading ------------------------------------------------------------------------------------- */

ASYNC_TEST(paused_reading_reads_nothing)
{
    struct side side = {0};
    int peer = begin_pair(&side);
    asyncio_sleep(0);
    asyncio_transport_pause_reading(side.transport);
    asyncio_transport_pause_reading(side.transport);
    CHECK(!asyncio_transport_is_reading(side.transport));
    peer_says(peer, "abc");
    shutdown(peer, SHUT_WR);
    asyncio_sleep(0.01);
    CHECK_TEXT(side.log, "made");
    asyncio_transport_resume_reading(side.transport);
    CHECK_TEXT(side.log, "made"); /* not inside the call */
    CHECK(asyncio_transport_is_reading(side.transport));
    wait_lost(&side);
    CHECK_TEXT(side.log, "made data:abc eof lost");
    close(peer);
    return 0;
}

ASYNC_TEST(a_fast_peer_does_not_hold_the_loop)
{
    struct side side = {.is_quiet = true};
    static char block[8 << 20];
    int fds[2], size = 32 << 20;
    net_unix_pair(SOCK_STREAM, fds);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    size_t sent = 0;
    ssize_t n;
    while (sent < sizeof block && (n = send(fds[1], block, 65536, MSG_DONTWAIT)) > 0)
        sent += (size_t)n;
    begin_side(&side, fds[0], &side_protocol);
    size_t most = 0, before = 0;
    while (side.bytes < sent) {
        asyncio_sleep(0);
        most = side.bytes - before > most ? side.bytes - before : most;
        before = side.bytes;
    }
    CHECK(most <= 2 * ASY_STEP_BYTES);
    close(fds[1]);
    wait_lost(&side);
    return 0;
}

ASYNC_TEST(buffered_protocol)
{
    struct side side = {.lends = 4};
    int fds[2];
    net_tcp_pair(fds);
    peer_says(fds[1], "abcdefg");
    shutdown(fds[1], SHUT_WR);
    begin_side(&side, fds[0], &buffered_protocol);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made updated:abcd updated:efg eof lost");
    close(fds[1]);
    return 0;
}

ASYNC_TEST(a_buffer_of_nothing_aborts)
{
    struct side side = {.lends = 0};
    int fds[2];
    net_tcp_pair(fds);
    begin_side(&side, fds[0], &buffered_protocol);
    peer_says(fds[1], "x");
    wait_lost(&side);
    CHECK_TEXT(side.log, "made lost:ENOBUFS");
    CHECK_HAS(side.words, "get_buffer");
    close(fds[1]);
    return 0;
}

/* ---- In the middle of things ------------------------------------------------------------------------ */

static void close_at_data(struct side *side, const char *event)
{
    if (strcmp(event, "data") == 0) {
        asyncio_transport_write(side->transport, "bye", 3);
        asyncio_transport_close(side->transport);
    }
}

static void abort_at_data(struct side *side, const char *event)
{
    if (strcmp(event, "data") == 0)
        asyncio_transport_abort(side->transport);
}

static void pause_at_data(struct side *side, const char *event)
{
    if (strcmp(event, "data") == 0)
        asyncio_transport_pause_reading(side->transport);
}

static const asyncio_protocol other_protocol;

static void switch_at_data(struct side *side, const char *event)
{
    if (strcmp(event, "data") == 0)
        asyncio_transport_set_protocol(side->transport, &other_protocol, side->more);
}

static const asyncio_protocol other_protocol = {
    .data_received = side_data, .eof_received = side_eof, .connection_lost = side_lost};

/* More than one read takes is there each time. */
static int begin_with_much(struct side *side, const asyncio_protocol *protocol)
{
    static char block[300000];
    int fds[2];
    net_unix_pair(SOCK_STREAM, fds);
    for (size_t sent = 0, n; sent < 180000; sent += n) {
        ssize_t some = send(fds[1], block, 60000, MSG_DONTWAIT);
        n = some > 0 ? (size_t)some : sizeof block;
    }
    side->is_quiet = true;
    begin_side(side, fds[0], protocol);
    return fds[1];
}

ASYNC_TEST(close_inside_data)
{
    struct side side = {.act = close_at_data};
    int peer = begin_with_much(&side, &side_protocol);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made lost");
    CHECK(side.bytes <= 65536);
    close(peer);
    return 0;
}

ASYNC_TEST(abort_inside_data)
{
    struct side side = {.act = abort_at_data};
    int peer = begin_with_much(&side, &side_protocol);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made lost");
    close(peer);
    return 0;
}

ASYNC_TEST(pause_inside_data_with_more_there)
{
    struct side side = {.act = pause_at_data};
    int peer = begin_with_much(&side, &side_protocol);
    asyncio_sleep(0.01);
    size_t first = side.bytes;
    CHECK(first > 0 && first <= 65536);
    asyncio_sleep(0.01);
    CHECK_EQUAL(side.bytes, first);
    close(peer);
    for (int i = 0; i < 1000 && !side.is_lost; i++) {
        asyncio_transport_resume_reading(side.transport);
        asyncio_sleep(0.0002);
    }
    CHECK(side.bytes >= 120000);
    CHECK_TEXT(side.log, "made eof lost");
    return 0;
}

ASYNC_TEST(set_protocol_inside_data)
{
    struct side other = {.is_quiet = true, .lost = ASYNCIO_EVENT_INIT};
    struct side side = {.act = switch_at_data, .more = &other};
    int peer = begin_with_much(&side, &side_protocol);
    close(peer);
    wait_lost(&other);
    CHECK_TEXT(side.log, "made");
    CHECK_TEXT(other.log, "eof lost");
    CHECK(side.bytes <= 65536 && side.bytes + other.bytes >= 120000);
    return 0;
}

static void abort_at_pause(struct side *side, const char *event)
{
    if (strcmp(event, "pause") == 0)
        asyncio_transport_abort(side->transport);
}

ASYNC_TEST(abort_inside_pause_writing)
{
    struct side side = {.act = abort_at_pause};
    static char block[1 << 20];
    int peer = begin_pair(&side), err = 0;
    asyncio_sleep(0);
    while (!err)
        err = asyncio_transport_write(side.transport, block, sizeof block);
    CHECK_EQUAL(err, ASYNCIO_ESTATE);
    CHECK_TEXT(side.log, "made pause");
    wait_lost(&side);
    CHECK_TEXT(side.log, "made pause lost");
    close(peer);
    return 0;
}

static void write_at_lost(struct side *side, const char *event)
{
    if (strcmp(event, "lost") != 0)
        return;
    CHECK_EQUAL(asyncio_transport_write(side->transport, "x", 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_transport_write_eof(side->transport), ASYNCIO_ESTATE);
    CHECK(asyncio_transport_is_closing(side->transport));
    asyncio_transport_abort(side->transport);
    asyncio_transport_close(side->transport);
    asyncio_transport_resume_reading(side->transport);
    CHECK(asyncio_transport_fd(side->transport) >= 0);
}

ASYNC_TEST(calls_inside_lost)
{
    struct side side = {.act = write_at_lost};
    int peer = begin_pair(&side);
    peer_says(peer, "x");
    close(peer);
    wait_lost(&side);
    return 0;
}

struct freed {
    asyncio_event *gone;
};

static void free_itself(void *self, intptr_t err)
{
    struct freed *freed = self;
    (void)err;
    asyncio_event_set(freed->gone);
    memset(freed, 0xdd, sizeof *freed);
    free(freed);
}

ASYNC_TEST(self_is_freed_in_lost)
{
    static const asyncio_protocol protocol = {.connection_lost = free_itself};
    asyncio_event gone = ASYNCIO_EVENT_INIT;
    struct freed *self = malloc(sizeof *self);
    asyncio_transport *transport;
    int fds[2];
    net_tcp_pair(fds);
    self->gone = &gone;
    CHECK_EQUAL(asyncio_transport_from_fd(fds[0], &protocol, self, NULL, &transport), 0);
    close(fds[1]);
    CHECK_EQUAL(asyncio_event_wait(&gone), 0);
    return 0;
}

static void wait_at_data(struct side *side, const char *event)
{
    if (strcmp(event, "data") != 0)
        return;
    CHECK_EQUAL(asyncio_sleep(0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_transport_start_tls(side->transport, NULL, NULL), ASYNCIO_ENOTASK);
}

ASYNC_TEST(no_waiting_in_a_protocol)
{
    struct side side = {.act = wait_at_data};
    int peer = begin_pair(&side);
    peer_says(peer, "x");
    close(peer);
    wait_lost(&side);
    return 0;
}

/* A descriptor that others close is not closed again: its number may be another file's by then. */
ASYNC_TEST(a_descriptor_closed_under_it)
{
    struct side side = {0};
    int peer = begin_pair(&side), fd = asyncio_transport_fd(side.transport);
    asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_close(fd);
    int again = dup2(peer, fd);
    CHECK_EQUAL(again, fd);
    wait_lost(&side);
    CHECK_EQUAL(side.error, -EBADF);
    CHECK(fcntl(again, F_GETFD) >= 0);
    close(again);
    close(peer);
    return 0;
}

/* ---- The end of the loop -------------------------------------------------------------------------- */

static struct side left[3];

ASYNC(leave_open)
{
    memset(left, 0, sizeof left);
    for (int i = 0; i < 3; i++) {
        int peer = begin_pair(&left[i]);
        if (i < 2)
            asyncio_sleep(0);
        if (i == 1)
            asyncio_transport_abort(left[i].transport);
        close(peer);
    }
    return 0;
}

/* One is open, one is lost, one was just made. */
TEST(the_end_of_asyncio_run_aborts)
{
    use_descriptors();
    CHECK_EQUAL(asyncio_run(leave_open()), 0);
    CHECK_HAS(left[0].log, "made");
    CHECK_HAS(left[0].log, "lost");
    CHECK_TEXT(left[1].log, "made lost");
    CHECK_HAS(left[2].log, "made");
    CHECK(left[0].is_lost && left[1].is_lost && left[2].is_lost);
    harness_settle();
}

TEST(a_closing_loop_makes_and_loses)
{
    struct side side = {0};
    asyncio_loop *loop = asyncio_loop_new(NULL);
    int fds[2];
    net_tcp_pair(fds);
    /* made in the last iteration: connection_made has not come yet */
    asyncio_loop_call_soon(loop, make_from_callback, fds);
    asyncio_loop_stop(loop);
    asyncio_loop_run_forever(loop);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    char byte;
    assert_true(recv(fds[1], &byte, 1, 0) <= 0);
    close(fds[1]);
    (void)side;
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
