/*
 * Transports over TLS: started in the middle of data, on both sides, from tasks; ended, aborted, broken off.
 */
#include "fd/transport_test.h"
#include "tls/certs.h"
#include "tls/tls_test.h"

/* Two transports at the ends of one connection. */
struct two {
    struct side client, server;
    asyncio_tls_context *client_tls, *server_tls;
};

static void two_begin(struct two *two)
{
    int fds[2];
    memset(two, 0, sizeof *two);
    two->client_tls = new_client("ca.pem");
    two->server_tls = new_server("server");
    asyncio_tls_context_set_timeouts(two->client_tls, 10, 0);
    asyncio_tls_context_set_timeouts(two->server_tls, 10, 0);
    net_tcp_pair(fds);
    begin_side(&two->client, fds[0], &side_protocol);
    begin_side(&two->server, fds[1], &side_protocol);
    for (int i = 0; i < 10; i++) /* until both read; a cancel does not matter here */
        asyncio_sleep(0);
}

static void two_end(struct two *two)
{
    struct side *sides[] = {&two->client, &two->server};
    for (int i = 0; i < 2; i++) {
        if (!sides[i]->is_lost)
            asyncio_transport_abort(sides[i]->transport);
        while (!sides[i]->is_lost)
            asyncio_sleep(0);
    }
    asyncio_tls_context_release(two->client_tls);
    asyncio_tls_context_release(two->server_tls);
}

ASYNC(secure, struct side *, side, asyncio_tls_context *, tls, const char *, name)
{
    return asyncio_transport_start_tls(side->transport, tls, name);
}

/* The server begins: it must not read the hello as data. */
static void shake_hands(struct two *two)
{
    intptr_t results[2];
    asyncio_gather_settled(results, secure(&two->server, two->server_tls, NULL),
                           secure(&two->client, two->client_tls, "server.test"));
    CHECK_EQUAL(results[0], 0);
    CHECK_EQUAL(results[1], 0);
}

ASYNC_TEST(both_sides_start_in_the_middle)
{
    struct two two;
    two_begin(&two);
    asyncio_transport_write(two.client.transport, "STARTTLS", 8);
    wait_for_log(&two.server, "STARTTLS");
    asyncio_transport_write(two.server.transport, "go", 2);
    wait_for_log(&two.client, "go");
    shake_hands(&two);
    CHECK_TEXT(two.client.log, "made data:go");
    CHECK_EQUAL(asyncio_transport_write(two.client.transport, "secret", 6), 0);
    CHECK_EQUAL(asyncio_transport_write(two.server.transport, "known", 5), 0);
    wait_for_log(&two.server, "data:secret");
    wait_for_log(&two.client, "data:known");
    CHECK_EQUAL(asyncio_await(secure(&two.client, two.client_tls, "server.test")), ASYNCIO_ESTATE);
    CHECK(!two.client.is_lost && !asyncio_transport_is_closing(two.client.transport));
    asyncio_transport_close(two.client.transport);
    wait_lost(&two.client);
    wait_lost(&two.server);
    CHECK_TEXT(two.client.log, "made data:go data:known lost");
    CHECK_TEXT(two.server.log, "made data:STARTTLS data:secret eof lost");
    two_end(&two);
    return 0;
}

/* What was queued before goes out before the hello, in the clear. */
ASYNC_TEST(a_full_queue_goes_first)
{
    struct two two;
    static char block[1 << 20];
    two_begin(&two);
    two.server.is_quiet = true;
    asyncio_transport_pause_reading(two.server.transport);
    for (int i = 0; i < 5; i++)
        asyncio_transport_write(two.client.transport, block, sizeof block);
    CHECK(asyncio_transport_get_write_buffer_size(two.client.transport) > 0);
    asyncio_task *task = asyncio_create_task(secure(&two.client, two.client_tls, "server.test"));
    asyncio_sleep(0.002);
    CHECK_EQUAL(asyncio_transport_write(two.client.transport, "x", 1), ASYNCIO_ESTATE);
    asyncio_transport_resume_reading(two.server.transport);
    while (two.server.bytes < 5 * sizeof block && !two.server.is_lost)
        asyncio_sleep(0);
    asyncio_cancel(task); /* the hello has reached the other side as data, which is the end of this */
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    wait_lost(&two.client);
    CHECK_EQUAL(two.client.error, -ECANCELED);
    two_end(&two);
    return 0;
}

ASYNC_TEST(much_data_both_ways)
{
    struct two two;
    static char block[300000];
    two_begin(&two);
    shake_hands(&two);
    two.client.is_quiet = two.server.is_quiet = true;
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(asyncio_transport_write(two.client.transport, block, sizeof block), 0);
        CHECK_EQUAL(asyncio_transport_write(two.server.transport, block, sizeof block), 0);
    }
    asyncio_transport_close(two.client.transport); /* all of it arrives, and the goodbye is answered */
    wait_lost(&two.client);
    wait_lost(&two.server);
    CHECK_EQUAL(two.server.bytes, 4 * sizeof block);
    CHECK_EQUAL(two.client.error, 0);
    CHECK_EQUAL(two.server.error, 0);
    two_end(&two);
    return 0;
}

/* ---- Large writes go through TLS in steps ------------------------------------------------------ */

#define MIB ((size_t)1 << 20)
#define LARGE (8 * MIB)

static char *large_data(void)
{
    static char data[LARGE];
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (char)(i * 31 + i / 4099);
    return data;
}

static void compare_at_data(void *self, const void *data, size_t n)
{
    struct side *side = self;
    static char *all;
    if (!all)
        all = large_data();
    for (size_t i = 0; i < n; i++)
        CHECK(((const char *)data)[i] == all[(side->bytes + i) % LARGE]);
    side->bytes += n;
}

static const asyncio_protocol comparing = {
    .data_received = compare_at_data, .eof_received = side_eof, .connection_lost = side_lost};

enum large_end { LARGE_CLOSE, LARGE_EOF, LARGE_ABORT, LARGE_ENDS };

/* Two writes: the second joins behind the first's rest. */
ASYNC_TEST(a_large_write_goes_in_steps)
{
    for (enum large_end end = LARGE_CLOSE; end < LARGE_ENDS; end++) {
        struct two two;
        two_begin(&two);
        shake_hands(&two);
        asyncio_transport_set_protocol(two.server.transport, &comparing, &two.server);
        asyncio_transport_pause_reading(two.server.transport);
        struct iovec parts[] = {{large_data(), MIB}, {large_data() + MIB, LARGE - MIB - 5}};
        CHECK_EQUAL(asyncio_transport_writev(two.client.transport, parts, 2), 0);
        CHECK(two.client.transport->stream->to_come >= LARGE - 5 - MIB); /* encrypted: one step */
        CHECK_EQUAL(asyncio_transport_write(two.client.transport, large_data() + LARGE - 5, 5), 0);
        CHECK_TEXT(two.client.log, "made pause");
        size_t queued = asyncio_transport_get_write_buffer_size(two.client.transport);
        CHECK(queued > LARGE - 2 * MIB && queued <= LARGE + MIB / 8);
        for (int i = 0; i < 20; i++)
            asyncio_sleep(0);
        /* a peer that takes nothing has no more encrypted for it */
        CHECK(asy_bytes_count(&two.client.transport->stream->out) < 2 * MIB + MIB / 8);
        if (end == LARGE_EOF)
            CHECK_EQUAL(asyncio_transport_write_eof(two.client.transport), 0);
        else
            (end == LARGE_CLOSE ? asyncio_transport_close : asyncio_transport_abort)(two.client.transport);
        asyncio_transport_resume_reading(two.server.transport);
        wait_lost(&two.server);
        wait_lost(&two.client);
        CHECK(end == LARGE_ABORT ? two.server.error != 0 : two.server.bytes == LARGE);
        CHECK_EQUAL(two.client.error, 0);
        CHECK_TEXT(two.client.log, end == LARGE_EOF ? "made pause resume eof lost" : "made pause lost");
        two_end(&two);
    }
    return 0;
}

/* The queue empties while steps are to come, again and again. */
ASYNC_TEST(a_large_write_to_a_fast_reader)
{
    struct two two;
    two_begin(&two);
    shake_hands(&two);
    asyncio_transport_set_protocol(two.server.transport, &comparing, &two.server);
    CHECK_EQUAL(asyncio_transport_write(two.client.transport, large_data(), LARGE), 0);
    while (two.server.bytes < LARGE && !two.server.is_lost)
        asyncio_sleep(0);
    CHECK_EQUAL(two.server.bytes, LARGE);
    wait_for_log(&two.client, "resume");
    CHECK_EQUAL(asyncio_transport_get_write_buffer_size(two.client.transport), 0);
    CHECK_EQUAL(asyncio_transport_write(two.client.transport, large_data(), 7), 0);
    while (two.server.bytes < LARGE + 7 && !two.server.is_lost)
        asyncio_sleep(0);
    CHECK_TEXT(two.client.log, "made pause resume");
    two_end(&two);
    return 0;
}

static void pause_at_data(struct side *side, const char *event)
{
    if (strcmp(event, "data") == 0)
        asyncio_transport_pause_reading(side->transport);
}

/* Bytes that TLS has decrypted, or has in its records, wait with the pause. */
ASYNC_TEST(paused_inside_data)
{
    struct two two;
    static char block[200000];
    two_begin(&two);
    shake_hands(&two);
    two.server.is_quiet = true;
    two.server.act = pause_at_data;
    asyncio_transport_write(two.client.transport, block, sizeof block);
    for (int i = 0; i < 2000 && two.server.bytes < sizeof block; i++) {
        size_t before = two.server.bytes;
        asyncio_sleep(0.0005);
        CHECK(two.server.bytes - before <= 65536);
        asyncio_transport_resume_reading(two.server.transport);
    }
    CHECK_EQUAL(two.server.bytes, sizeof block);
    two_end(&two);
    return 0;
}

ASYNC_TEST(half_closed)
{
    struct two two;
    two_begin(&two);
    shake_hands(&two);
    two.server.keeps_open = true;
    CHECK_EQUAL(asyncio_transport_write_eof(two.client.transport), 0);
    CHECK_EQUAL(asyncio_transport_write(two.client.transport, "x", 1), ASYNCIO_ESTATE);
    wait_for_log(&two.server, "eof");
    CHECK_EQUAL(asyncio_transport_write(two.server.transport, "answer", 6), 0);
    wait_for_log(&two.client, "data:answer");
    asyncio_transport_close(two.server.transport);
    wait_lost(&two.server);
    wait_lost(&two.client);
    CHECK_TEXT(two.client.log, "made data:answer eof lost");
    two_end(&two);
    return 0;
}

/* ---- What goes wrong --------------------------------------------------------------------------- */

ASYNC_TEST(a_handshake_that_fails_has_words)
{
    struct two two;
    intptr_t results[2];
    two_begin(&two);
    asyncio_gather_settled(results, secure(&two.server, two.server_tls, NULL),
                           secure(&two.client, two.client_tls, "other.test"));
    CHECK(results[0] < 0);
    CHECK_EQUAL(results[1], ASYNCIO_ETLS);
    wait_lost(&two.client);
    wait_lost(&two.server);
    CHECK_TEXT(two.client.log, "made lost:ASYNCIO_ETLS");
    CHECK_HAS(two.client.words, "other.test");
    two_end(&two);
    return 0;
}

/* The words of one loss are not those of the next. */
ASYNC_TEST(words_are_of_their_own_connection)
{
    struct two two;
    struct side plain = {0};
    two_begin(&two);
    asyncio_task *task = asyncio_create_task(secure(&two.client, two.client_tls, "server.test"));
    asyncio_sleep(0.001);
    asyncio_transport_abort(two.server.transport);
    CHECK_EQUAL(asyncio_await(task), -ECONNRESET);
    wait_lost(&two.client);
    CHECK_HAS(two.client.words, "handshake");
    int peer = begin_pair(&plain);
    asyncio_sleep(0);
    net_reset_at_close(peer);
    close(peer);
    wait_lost(&plain);
    CHECK_EQUAL(plain.error, -ECONNRESET);
    CHECK_TEXT(plain.words, "");
    two_end(&two);
    return 0;
}

ASYNC_TEST(the_peer_speaks_no_tls)
{
    struct two two;
    two_begin(&two);
    asyncio_task *task = asyncio_create_task(secure(&two.client, two.client_tls, "server.test"));
    asyncio_sleep(0);
    asyncio_transport_write(two.server.transport, "HTTP/1.0 400 What?\r\n\r\n", 22);
    CHECK_EQUAL(asyncio_await(task), ASYNCIO_ETLS);
    CHECK_HAS(asyncio_error_message(), "TLS");
    wait_lost(&two.client);
    CHECK_TEXT(two.client.log, "made lost:ASYNCIO_ETLS");
    two_end(&two);
    return 0;
}

ASYNC_TEST(the_peer_goes_away_in_the_handshake)
{
    struct two two;
    two_begin(&two);
    asyncio_task *task = asyncio_create_task(secure(&two.client, two.client_tls, "server.test"));
    asyncio_sleep(0.001);
    asyncio_transport_abort(two.server.transport);
    CHECK_EQUAL(asyncio_await(task), -ECONNRESET);
    wait_lost(&two.client);
    CHECK_TEXT(two.client.log, "made lost:ECONNRESET");
    two_end(&two);
    return 0;
}

ASYNC_TEST(closed_and_aborted_in_the_handshake)
{
    for (int i = 0; i < 2; i++) {
        struct two two;
        two_begin(&two);
        asyncio_task *task = asyncio_create_task(secure(&two.client, two.client_tls, "server.test"));
        asyncio_sleep(0.001);
        (i ? asyncio_transport_close : asyncio_transport_abort)(two.client.transport);
        CHECK(asyncio_transport_is_closing(two.client.transport));
        CHECK_TEXT(two.client.log, "made");
        CHECK(asyncio_await(task) < 0);
        wait_lost(&two.client);
        CHECK_TEXT(two.client.log, "made lost");
        two_end(&two);
    }
    return 0;
}

/* A record that was tampered with: the error has words in connection_lost. */
ASYNC_TEST(a_broken_record)
{
    struct two two;
    two_begin(&two);
    shake_hands(&two);
    int fd = asyncio_transport_fd(two.server.transport);
    char rubbish[64];
    memset(rubbish, 0x17, sizeof rubbish);
    CHECK_EQUAL(send(fd, rubbish, sizeof rubbish, 0), sizeof rubbish);
    wait_lost(&two.client);
    CHECK_EQUAL(two.client.error, ASYNCIO_ETLS);
    CHECK_HAS(two.client.words, "TLS:");
    two_end(&two);
    return 0;
}

/* A peer that never answers the goodbye. */
ASYNC_TEST(no_goodbye)
{
    struct two two;
    two_begin(&two);
    asyncio_tls_context_set_timeouts(two.client_tls, 10, 0.03);
    shake_hands(&two);
    asyncio_transport_pause_reading(two.server.transport);
    asyncio_transport_close(two.client.transport);
    wait_lost(&two.client);
    CHECK_EQUAL(two.client.error, -ETIMEDOUT);
    CHECK_HAS(two.client.words, "goodbye");
    two_end(&two);
    return 0;
}

/* ---- Sweeps ------------------------------------------------------------------------------------ */

static struct two swept;

ASYNC(secure_and_talk)
{
    two_begin(&swept);
    asyncio_task *other = asyncio_create_task(secure(&swept.server, swept.server_tls, NULL));
    for (int i = 0; i < 3; i++)
        asyncio_sleep(0);
    intptr_t err = asyncio_await(secure(&swept.client, swept.client_tls, "server.test"));
    if (err)
        asyncio_cancel(other);
    asyncio_await(other);
    if (!err)
        asyncio_transport_write(swept.client.transport, "x", 1);
    two_end(&swept);
    return err;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    (void)suspension;
    CHECK(result <= 0);
    CHECK(swept.client.is_lost && swept.server.is_lost);
}

TEST(a_cancel_at_each_wait)
{
    sweep_cancels(secure_and_talk, check_swept);
}

ASYNC(leave_amid_handshake)
{
    two_begin(&swept);
    asyncio_release(asyncio_create_task(secure(&swept.client, swept.client_tls, "server.test")));
    asyncio_sleep(0.001);
    return 0;
}

TEST(the_end_of_asyncio_run_amid_a_handshake)
{
    CHECK_EQUAL(asyncio_run(leave_amid_handshake()), 0);
    CHECK(swept.client.is_lost && swept.server.is_lost);
    asyncio_tls_context_release(swept.client_tls);
    asyncio_tls_context_release(swept.server_tls);
    harness_settle();
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
