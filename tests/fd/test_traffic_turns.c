/*
 * Streams on io_uring that turn from readiness to completions, and back: when they do, and that no byte is
 * lost or overtaken at any turn.
 */
#include "backend/completion.h"
#include "backend/uring.h"
#include "fd/traffic_test.h"

#define CROWD 8
#define ROUNDS 24 /* more than it takes to forget a crowd, and then to turn a stream */

/* A call of so many nanoseconds: what a turn of the ring costs is in transfers.c. */
#define CHEAP "399" /* never */
#define FAIR "430"  /* 3 at once, and at most 2,150 bytes */

static struct asy_transfers *transfers(void)
{
    return asyncio_get_running_loop()->backend->transfers;
}

/* Runs it where a call is taken to cost so much. */
static intptr_t run_where_calls_cost(const char *call_ns, coroutine_function main_of)
{
    setenv("ASYNCIO_URING_CALL_NS", call_ns, 1);
    intptr_t result = run(main_of);
    setenv("ASYNCIO_URING_CALL_NS", DEAR_CALLS, 1);
    return result;
}

/* ---- Terms -------------------------------------------------------------------------------------- */

static struct transfer_terms terms;

/* Returns what a stream may ask for: 1 receives, 2 sends, 4 accepts. */
ASYNC(notes_terms)
{
    terms = transfers()->terms;
    return transfers()->receives + 2 * transfers()->sends + 4 * transfers()->accepts;
}

TEST(terms_follow_from_what_a_call_costs)
{
    CHECK_EQUAL(run_where_calls_cost("0", notes_terms), 0);
    CHECK_EQUAL(run_where_calls_cost(CHEAP, notes_terms), 0);
    CHECK_EQUAL(run_where_calls_cost(FAIR, notes_terms), 1 + 2);
    CHECK(terms.receives_from == 3 && terms.sends_from == 3 && terms.bytes_max == 2150);
    CHECK_EQUAL(run_where_calls_cost("700", notes_terms), 1 + 2 + 4);
    CHECK(terms.receives_from == 1 && terms.sends_from == 3 && terms.bytes_max == 3500);
    CHECK_EQUAL(run_where_calls_cost("2000", notes_terms), 1 + 2 + 4);
    CHECK(terms.receives_from == 0 && terms.sends_from == 3 && terms.bytes_max == 2 * ASY_PIECE_BYTES);
    harness_settle();
}

/* Not a number: it is measured, and a call costs something. */
ASYNC(notes_cost)
{
    return (intptr_t)asy_uring_call_ns();
}

TEST(a_cost_that_is_no_number_is_measured)
{
    CHECK(run_where_calls_cost("12x", notes_cost) > 12);
    CHECK(run_where_calls_cost("", notes_cost) > 0);
    CHECK_EQUAL(run_where_calls_cost("123", notes_cost), 123);
    setenv("ASYNCIO_URING_CALL_NS", CHEAP, 1);
    CHECK_HAS(asyncio_backend_why(), "as epoll does: a system call costs 399 ns");
    setenv("ASYNCIO_URING_CALL_NS", DEAR_CALLS, 1);
    harness_settle();
}

/* ---- When ----------------------------------------------------------------------------------------- */

struct echoes {
    asyncio_stream *streams[CROWD];
    asyncio_task *tasks[CROWD];
    int peers[CROWD];
};

ASYNC(echoes_all, asyncio_stream *, stream)
{
    static char block[16384];
    ssize_t n;
    while ((n = asyncio_stream_read(stream, block, sizeof block)) > 0)
        CHECK_EQUAL(asyncio_stream_write(stream, block, (size_t)n), 0);
    return n;
}

/* Over Unix sockets: what is sent to all of them is there at once. */
static void open_echoes(struct echoes *echoes)
{
    for (int i = 0; i < CROWD; i++) {
        int fds[2];
        net_unix_pair(SOCK_STREAM, fds);
        CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &echoes->streams[i]), 0);
        echoes->peers[i] = fds[1];
        echoes->tasks[i] = asyncio_create_task(echoes_all(echoes->streams[i]));
    }
    settle();
}

static void close_echoes(struct echoes *echoes)
{
    for (int i = 0; i < CROWD; i++) {
        close(echoes->peers[i]);
        CHECK_EQUAL(asyncio_await(echoes->tasks[i]), 0);
        CHECK_EQUAL(asyncio_stream_close(echoes->streams[i]), 0);
    }
}

ASYNC(waits_for_urgent_data, asyncio_stream *, stream)
{
    return asyncio_wait_fd(stream->fd, POLLPRI, ASYNCIO_FOREVER);
}

/* Asks `count` of them at once, and waits for all answers. */
static void ask_echoes(const struct echoes *echoes, int count, size_t bytes)
{
    static char question[16384], answer[16384];
    memset(question, 'q', bytes);
    for (int i = 0; i < count; i++)
        CHECK_EQUAL(send(echoes->peers[i], question, bytes, 0), bytes);
    for (int i = 0; i < count; i++) {
        size_t got = 0;
        for (int turns = 0; got < bytes && turns < 100000; turns++) {
            ssize_t n = recv(echoes->peers[i], answer + got, bytes - got, MSG_DONTWAIT);
            got += n > 0 ? (size_t)n : 0;
            if (got < bytes)
                asyncio_sleep(0);
        }
        CHECK_EQUAL(got, bytes);
    }
    settle(); /* the readers wait again */
}

static void ask_often(const struct echoes *echoes, int count, size_t bytes)
{
    for (int i = 0; i < ROUNDS; i++)
        ask_echoes(echoes, count, bytes);
}

/* How many receive by completions. */
static int count_receiving(const struct echoes *echoes)
{
    int count = 0;
    for (int i = 0; i < CROWD; i++)
        count += receives(echoes->streams[i]);
    return count;
}

ASYNC(turns_with_the_crowd)
{
    struct echoes echoes;
    open_echoes(&echoes);
    CHECK_EQUAL(count_receiving(&echoes), 0);
    ask_often(&echoes, 2, 100);
    CHECK_EQUAL(count_receiving(&echoes), 0); /* too few at once */
    ask_often(&echoes, CROWD, 100);
    CHECK_EQUAL(count_receiving(&echoes), CROWD);
    ask_often(&echoes, 1, 100);
    CHECK_EQUAL(count_receiving(&echoes), CROWD - 1); /* one that is alone turns back, and no other */
    ask_often(&echoes, CROWD, 100);
    CHECK_EQUAL(count_receiving(&echoes), CROWD);
    close_echoes(&echoes);
    return 0;
}

TEST(many_at_once_turn_and_few_turn_back)
{
    CHECK_EQUAL(run_where_calls_cost(FAIR, turns_with_the_crowd), 0);
    harness_settle();
}

ASYNC(turns_with_the_size)
{
    struct echoes echoes;
    open_echoes(&echoes);
    ask_often(&echoes, CROWD, 2200);
    CHECK_EQUAL(count_receiving(&echoes), 0); /* too large */
    ask_often(&echoes, CROWD, 2100);
    CHECK_EQUAL(count_receiving(&echoes), CROWD);
    for (int i = 0; i < 3 * ROUNDS; i++)
        ask_echoes(&echoes, CROWD, i % 2 ? 100 : 2200);
    CHECK_EQUAL(count_receiving(&echoes), CROWD); /* it takes several in a row */
    ask_often(&echoes, CROWD, 2200);
    CHECK_EQUAL(count_receiving(&echoes), 0);
    /* To and fro with every other request: it stays as it is. */
    for (int i = 0; i < 3 * ROUNDS; i++)
        ask_echoes(&echoes, CROWD, i % 2 ? 100 : 2200);
    CHECK_EQUAL(count_receiving(&echoes), 0);
    close_echoes(&echoes);
    return 0;
}

/* A stream stays registered, and plain, for somebody else's wait, and turns when that is over. */
ASYNC(turns_behind_a_wait)
{
    struct echoes echoes;
    open_echoes(&echoes);
    asyncio_task *other = asyncio_create_task(waits_for_urgent_data(echoes.streams[0]));
    ask_often(&echoes, CROWD, 100);
    CHECK_EQUAL(count_receiving(&echoes), CROWD - 1);
    asyncio_cancel(other);
    CHECK_EQUAL(asyncio_await(other), -ECANCELED);
    ask_often(&echoes, CROWD, 100);
    CHECK_EQUAL(count_receiving(&echoes), CROWD);
    close_echoes(&echoes);
    return 0;
}

TEST(a_wait_puts_a_turn_off)
{
    CHECK_EQUAL(run_where_calls_cost(FAIR, turns_behind_a_wait), 0);
    harness_settle();
}

ASYNC(never_turns)
{
    struct echoes echoes;
    open_echoes(&echoes);
    ask_often(&echoes, CROWD, 1);
    CHECK_EQUAL(count_receiving(&echoes), 0);
    CHECK_EQUAL(transfers()->completions->begun, 0);
    close_echoes(&echoes);
    return 0;
}

TEST(where_calls_are_cheap_none_turns)
{
    CHECK_EQUAL(run_where_calls_cost(CHEAP, never_turns), 0);
    harness_settle();
}

TEST(small_ones_turn_and_large_ones_turn_back)
{
    CHECK_EQUAL(run_where_calls_cost(FAIR, turns_with_the_size), 0);
    harness_settle();
}

/* ---- A writer that had to wait --------------------------------------------------------------------- */

#define MUCH 4000000

ASYNC(writes_much, asyncio_stream *, stream)
{
    char *much = calloc(1, MUCH);
    int err = asyncio_stream_write(stream, much, MUCH);
    err = err ? err : asyncio_stream_drain(stream);
    free(much);
    return err;
}

static void drain_peer(int peer, size_t n)
{
    static char buf[65536];
    while (n) {
        ssize_t got = recv(peer, buf, sizeof buf < n ? sizeof buf : n, MSG_DONTWAIT);
        if (got > 0)
            n -= (size_t)got;
        else
            asyncio_sleep(0);
    }
}

/* While it waits, and when it is done, the stream is told of what comes by the receive alone. */
ASYNC_TEST(a_writer_that_has_waited_leaves_the_receive_alone)
{
    int peer;
    int few = 65536; /* and no more by and by, as TCP likes to */
    char byte = 0;
    asyncio_stream *stream = receiving_stream(&peer);
    CHECK_EQUAL(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &few, sizeof few), 0);
    CHECK_EQUAL(setsockopt(stream->record->fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof few), 0);
    for (int again = 0; again < 2; again++) {
        asyncio_task *writer = asyncio_create_task(writes_much(stream));
        settle();
        CHECK_EQUAL(stream->record->mode, FD_EDGE);
        drain_peer(peer, MUCH);
        CHECK_EQUAL(asyncio_await(writer), 0);
        for (int i = 0; i < 20; i++) {
            CHECK_EQUAL(write(peer, "x", 1), 1);
            CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), 1);
        }
        CHECK(receives(stream));
        CHECK_EQUAL(stream->record->mode, FD_ENDS);
    }
    close(peer);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), 0);
    asyncio_stream_abort(stream);
    return 0;
}

/* Nothing is asked of the ring: the loop waits by the epoll set alone. */
ASYNC(leaves_the_ring_alone)
{
    struct echoes echoes;
    const struct completions *ring = transfers()->completions;
    open_echoes(&echoes);
    ask_often(&echoes, 2, 100);
    CHECK_EQUAL(ring->begun, 0);
    /* Nor any more, once all have turned back. */
    ask_often(&echoes, CROWD, 100);
    CHECK(ring->begun > 0);
    ask_often(&echoes, CROWD, 5000);
    uint64_t begun = ring->begun;
    ask_often(&echoes, CROWD, 5000);
    CHECK(ring->begun <= begun + 1); /* the last look */
    close_echoes(&echoes);
    return 0;
}

TEST(plain_streams_leave_the_ring_alone)
{
    CHECK_EQUAL(run_where_calls_cost(FAIR, leaves_the_ring_alone), 0);
    harness_settle();
}

/* ---- Into the reader's memory ------------------------------------------------------------------------ */

/* Returns how much it has read. */
ASYNC(reads_into, asyncio_stream *, stream, char *, buf, size_t, n)
{
    return asyncio_stream_read(stream, buf, n);
}

/* Bytes have come, and the reader that they wake may not have run yet. */
static void let_events_come(const asyncio_stream *stream)
{
    for (int turns = 0; !traffic_of(stream)->got && turns < 100000; turns++)
        asyncio_sleep(0);
}

ASYNC_TEST(what_comes_goes_to_the_reader_that_waits)
{
    int peer;
    char buf[8] = "";
    asyncio_stream *stream = receiving_stream(&peer);
    asyncio_task *reader = asyncio_create_task(reads_into(stream, buf, 4));
    settle();
    peer_sends(peer, "ab");
    CHECK_EQUAL(asyncio_await(reader), 2);
    CHECK_TEXT(buf, "ab");
    CHECK(!traffic_of(stream)->came.data && !stream->in.data);
    /* What does not fit comes next. */
    reader = asyncio_create_task(reads_into(stream, buf, 4));
    settle();
    peer_sends(peer, "cdefgh");
    CHECK_EQUAL(asyncio_await(reader), 4);
    CHECK(!memcmp(buf, "cdef", 4));
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 4), 2);
    CHECK(!memcmp(buf, "gh", 2));
    CHECK(!traffic_of(stream)->came.data);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* A request that comes when the bytes have been handed out is the next wait's. */
ASYNC_TEST(a_reader_cancelled_with_bytes_keeps_them)
{
    int peer;
    char buf[8] = "";
    asyncio_stream *stream = receiving_stream(&peer);
    asyncio_task *reader = asyncio_create_task(reads_into(stream, buf, sizeof buf));
    settle();
    traffic_of(stream)->got = 0;
    peer_sends(peer, "kept");
    let_events_come(stream);
    if (!asyncio_done(reader))
        asyncio_cancel(reader);
    CHECK_EQUAL(asyncio_await(reader), 4);
    CHECK_TEXT(buf, "kept");
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* One that is cancelled before takes none with it. */
ASYNC_TEST(a_reader_cancelled_before_leaves_all)
{
    int peer;
    char gone[8] = "", buf[8] = "";
    asyncio_stream *stream = receiving_stream(&peer);
    asyncio_task *reader = asyncio_create_task(reads_into(stream, gone, sizeof gone));
    settle();
    asyncio_cancel(reader);
    peer_sends(peer, "left");
    CHECK_EQUAL(asyncio_await(reader), -ECANCELED);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 4), 4);
    CHECK_TEXT(buf, "left");
    CHECK_TEXT(gone, "");
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* The loop closes when the reader has its bytes, and never runs. */
ASYNC(leaves_a_filled_reader, asyncio_stream **, stream, int *, peer)
{
    static char buf[8];
    *stream = receiving_stream(peer);
    asyncio_task *reader = asyncio_create_task(reads_into(*stream, buf, sizeof buf));
    asyncio_release(reader);
    settle();
    traffic_of(*stream)->got = 0;
    peer_sends(*peer, "lost");
    let_events_come(*stream);
    return 0;
}

TEST(a_loop_closes_over_a_filled_reader)
{
    int peer;
    asyncio_stream *stream;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_loop_adopt(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, leaves_a_filled_reader(&stream, &peer));
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    asyncio_stream_abort(stream);
    close(peer);
    harness_settle();
}

/* ---- Order -------------------------------------------------------------------------------------------- */

#define TOTAL 400000
#define FLOWS 4

static uint32_t draws;

static uint32_t draw(uint32_t below)
{
    draws = draws * 1664525u + 1013904223u;
    return (draws >> 8) % below;
}

static char byte_at(size_t i)
{
    return (char)(i * 31 + i / 251);
}

/* Small pieces for a while, then large ones. */
static size_t draw_piece(size_t sent)
{
    return 1 + draw(sent / 40000 % 2 ? 30000 : 200);
}

ASYNC(sends_all, int, peer)
{
    static char block[30001];
    size_t sent = 0;
    while (sent < TOTAL) {
        size_t n = draw_piece(sent);
        n = n < TOTAL - sent ? n : TOTAL - sent;
        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(sent + i);
        ssize_t part = send(peer, block, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += part > 0 ? (size_t)part : 0;
        int err = draw(3) ? asyncio_sleep(0) : asyncio_sleep(0.00001);
        if (err)
            return err;
    }
    shutdown(peer, SHUT_WR);
    return 0;
}

static size_t turns_seen;

/* In every way, and cancelled now and then. Returns the place of the first wrong byte, or TOTAL. */
ASYNC(checks_all, asyncio_stream *, stream)
{
    char *buf = malloc(40000);
    size_t got = 0, wrong = SIZE_MAX;
    bool was_plain = stream->record->is_plain;
    for (;;) {
        size_t n = 1 + draw(draw(4) ? 600 : 39999);
        bool is_timed = draw(8) == 0;
        ssize_t count = is_timed ? asyncio_wait_for(read_some(stream, buf, n), draw(20) * 1e-6)
                                 : asyncio_stream_read(stream, buf, n);
        if (count == -ETIMEDOUT)
            continue;
        if (count <= 0)
            break;
        for (ssize_t i = 0; i < count; i++)
            if (buf[i] != byte_at(got + (size_t)i) && wrong == SIZE_MAX)
                wrong = got + (size_t)i;
        got += (size_t)count;
        turns_seen += was_plain != stream->record->is_plain;
        was_plain = stream->record->is_plain;
    }
    free(buf);
    CHECK_EQUAL(wrong, SIZE_MAX);
    return (intptr_t)got;
}

ASYNC(flows)
{
    asyncio_stream *streams[FLOWS];
    asyncio_task *readers[FLOWS], *senders[FLOWS];
    int peers[FLOWS];
    for (int i = 0; i < FLOWS; i++) {
        streams[i] = stream_to(&peers[i], NULL);
        readers[i] = asyncio_create_task(checks_all(streams[i]));
        senders[i] = asyncio_create_task(sends_all(peers[i]));
    }
    for (int i = 0; i < FLOWS; i++) {
        CHECK_EQUAL(asyncio_await(senders[i]), 0);
        CHECK_EQUAL(asyncio_await(readers[i]), TOTAL);
        CHECK_EQUAL(asyncio_stream_close(streams[i]), 0);
        close(peers[i]);
    }
    return 0;
}

static void run_flows(uint64_t seed)
{
    draws = (uint32_t)seed * 2654435761u + 1;
    CHECK_EQUAL(run(flows), 0);
}

TEST(bytes_keep_their_order_at_each_turn)
{
    static const char *const costs[] = {"1300", "700", FAIR};
    turns_seen = 0;
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
        setenv("ASYNCIO_URING_CALL_NS", costs[i], 1);
        for (uint64_t seed = 0; seed < 4; seed++)
            run_flows(seed);
    }
    setenv("ASYNCIO_URING_CALL_NS", DEAR_CALLS, 1);
    CHECK(turns_seen > 20);
    print_message("%zu turns\n", turns_seen);
    harness_settle();
}

int main(void)
{
    return tests_run_on_uring();
}
