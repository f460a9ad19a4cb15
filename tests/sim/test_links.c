/*
 * Each field of a link, with exact virtual times: what a connection, a byte, a datagram takes to arrive.
 */
#include "sim/in_world.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t wanted;  /* bytes that the server reads */
static double got_at;  /* when it had them */
static size_t biggest; /* read at once */
static size_t reads;

ASYNC(read_all, asyncio_stream *, stream, void *, arg)
{
    static char block[100000];
    size_t got = 0;
    ssize_t n = 0;
    (void)arg;
    while (got < wanted && (n = asyncio_stream_read(stream, block, sizeof block)) > 0) {
        got += (size_t)n;
        reads++;
        biggest = (size_t)n > biggest ? (size_t)n : biggest;
    }
    CHECK_EQUAL(got, wanted);
    got_at = world_time();
    return n < 0 ? n : 0;
}

/* A host that listens at port 80, until it is cancelled. */
ASYNC(serve)
{
    asyncio_server *server;
    int err = asyncio_start_server(read_all, NULL, NULL, 80, NULL, &server);
    CHECK_EQUAL(err, 0);
    if (err)
        return err;
    err = asyncio_server_serve_forever(server);
    asyncio_server_close(server);
    asyncio_server_wait_closed(server, 0);
    asyncio_server_release(server);
    return err;
}

/* The server, listening. */
static asyncio_task *start_server_host(void)
{
    wanted = biggest = reads = 0;
    asyncio_task *server = asyncio_sim_start("server", serve());
    asyncio_sleep(0);
    return server;
}

static void end_task(asyncio_task *task)
{
    asyncio_cancel(task);
    asyncio_gather_settled(NULL, task);
}

static asyncio_stream *connect_to_server(void)
{
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(asyncio_open_connection("10.0.0.2", 80, NULL, &stream), 0);
    return stream;
}

static asyncio_sim_link changed(void (*change)(asyncio_sim_link *link))
{
    asyncio_sim_link link = PLAIN_LINK;
    change(&link);
    return link;
}

/* Sends n bytes, and waits until they are there. */
static void send_bytes(size_t n)
{
    asyncio_task *server = start_server_host();
    asyncio_stream *stream = connect_to_server();
    CHECK_TIME(2); /* there and back */
    static char block[100000];
    wanted = n;
    CHECK_EQUAL(asyncio_stream_write(stream, block, n), 0);
    while (!got_at)
        asyncio_sleep(0.25);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    end_task(server);
}

static void begin_counting(void)
{
    got_at = 0;
}

#define CHECK_GOT_AT(seconds) CHECK_EQUAL(llround(got_at * 1e6), llround((seconds)*1e6))

WORLD_TEST(latency, PLAIN_LINK)
{
    begin_counting();
    send_bytes(100);
    CHECK_GOT_AT(3);
    CHECK_EQUAL(reads, 1);
    return 0;
}

/* One way takes longer than the other. */
WORLD_TEST(latency_of_one_way, PLAIN_LINK)
{
    asyncio_sim_link slow = PLAIN_LINK;
    begin_counting();
    slow.latency = 5;
    asyncio_task *server = start_server_host();
    CHECK_EQUAL(asyncio_sim_set_link("server", "test", &slow), 0);
    asyncio_stream *stream = connect_to_server();
    CHECK_TIME(6);
    wanted = 1;
    asyncio_stream_write(stream, "x", 1);
    while (!got_at)
        asyncio_sleep(0.25);
    CHECK_GOT_AT(7);
    asyncio_stream_close(stream);
    end_task(server);
    return 0;
}

WORLD_TEST(latency_by_default, (asyncio_sim_link){0})
{
    asyncio_task *server = start_server_host();
    asyncio_stream *stream = connect_to_server();
    CHECK_TIME(0.002);
    asyncio_stream_close(stream);
    end_task(server);
    return 0;
}

WORLD_TEST(latency_of_none, (asyncio_sim_link){.latency = -1})
{
    asyncio_task *server = start_server_host();
    asyncio_stream *stream = connect_to_server();
    CHECK_TIME(0);
    asyncio_stream_close(stream);
    end_task(server);
    return 0;
}

static void narrow(asyncio_sim_link *link)
{
    link->bandwidth = 1000;
}

WORLD_TEST(bandwidth, changed(narrow))
{
    begin_counting();
    send_bytes(10000);
    CHECK_GOT_AT(2 + 10 + 1);
    return 0;
}

static void choke(asyncio_sim_link *link)
{
    link->bandwidth = 1e-12;
}

/* What takes longer than the world lasts never comes; and all sums of times hold. */
WORLD_TEST(hardly_any_bandwidth, PLAIN_LINK)
{
    asyncio_task *server = start_server_host();
    asyncio_stream *stream = connect_to_server();
    wanted = 1;
    begin_counting();
    asyncio_sim_link link = changed(choke);
    CHECK_EQUAL(asyncio_sim_set_link("test", "server", &link), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(asyncio_stream_write(stream, "hello", 5), 0);
    asyncio_sleep(100000);
    CHECK(got_at == 0);
    asyncio_stream_abort(stream);
    wanted = 0;
    CHECK_EQUAL(asyncio_sim_reset("server", NULL), 1);
    end_task(server);
    return 0;
}

static void in_small_pieces(asyncio_sim_link *link)
{
    link->segment = 100;
    link->bandwidth = 100;
}

/* Ten pieces, of a second each. */
WORLD_TEST(segments, changed(in_small_pieces))
{
    begin_counting();
    send_bytes(1000);
    CHECK_GOT_AT(2 + 10 + 1);
    CHECK_EQUAL(biggest, 100);
    CHECK_EQUAL(reads, 10);
    return 0;
}

static void in_drawn_pieces(asyncio_sim_link *link)
{
    link->segment = 0;
}

/* Of 100,000 bytes, most in pieces of 1 to 1447; all that is left in one piece is as likely as each. */
WORLD_TEST(drawn_segments, changed(in_drawn_pieces))
{
    begin_counting();
    send_bytes(100000);
    CHECK(reads > 40);
    return 0;
}

static void with_small_window(asyncio_sim_link *link)
{
    link->window = 1000;
}

/* Three windows, of which the next one leaves when the credit for the last one has come back. */
WORLD_TEST(windows, changed(with_small_window))
{
    begin_counting();
    send_bytes(3000);
    CHECK_GOT_AT(2 + 1 + 2 + 2);
    CHECK_EQUAL(biggest, 1000);
    return 0;
}

static void with_jitter(asyncio_sim_link *link)
{
    link->jitter = 1;
}

WORLD_TEST(jitter, changed(with_jitter))
{
    asyncio_task *server = start_server_host();
    double least = 10, most = 0;
    for (int i = 0; i < 50; i++) {
        double before = world_time();
        asyncio_stream_close(connect_to_server());
        least = fmin(least, world_time() - before);
        most = fmax(most, world_time() - before);
    }
    CHECK(least > 2 && least < 2.5);
    CHECK(most > 3.5 && most < 4);
    end_task(server);
    return 0;
}

/* ---- Loss, and states of a way ---------------------------------------------------------- */

static void set_state(const char *from, const char *to, asyncio_sim_state state)
{
    asyncio_sim_link link = PLAIN_LINK;
    link.state = state;
    CHECK_EQUAL(asyncio_sim_set_link(from, to, &link), 0);
}

/* Segments come again after 0.2, 0.6, 1.4 ... seconds. */
WORLD_TEST(drop_and_up_again, PLAIN_LINK)
{
    begin_counting();
    asyncio_task *server = start_server_host();
    asyncio_stream *stream = connect_to_server();
    wanted = 1;
    set_state("test", "server", ASYNCIO_SIM_DROP);
    asyncio_stream_write(stream, "x", 1);
    asyncio_sleep(2); /* arrived in vain at 3, 3.2, 3.6 */
    set_state("test", "server", ASYNCIO_SIM_UP);
    while (!got_at)
        asyncio_sleep(0.25);
    CHECK_GOT_AT(3 + 0.2 + 0.4 + 0.8);
    asyncio_stream_close(stream);
    end_task(server);
    return 0;
}

static void lossy(asyncio_sim_link *link)
{
    link->loss = 1;
}

/* All is lost: a connection gives up as on Linux, after 1 + 2 + 4 + ... seconds. */
WORLD_TEST(loss_of_connecting, changed(lossy))
{
    asyncio_stream *stream = NULL;
    asyncio_task *server = start_server_host();
    CHECK_EQUAL(asyncio_open_connection("10.0.0.2", 80, NULL, &stream), -ETIMEDOUT);
    double took = world_time();
    CHECK(took > 63 && took < 66);
    end_task(server);
    return 0;
}

WORLD_TEST(loss_of_data, PLAIN_LINK)
{
    asyncio_task *server = start_server_host();
    asyncio_stream *stream = connect_to_server();
    char byte;
    wanted = 1;
    set_state("test", "server", ASYNCIO_SIM_DROP);
    asyncio_stream_write(stream, "x", 1);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -ETIMEDOUT);
    CHECK_TIME(3 + 0.2 * 1023);
    asyncio_stream_close(stream);
    end_task(server);
    return 0;
}

WORLD_TEST(hold, PLAIN_LINK)
{
    begin_counting();
    asyncio_task *server = start_server_host();
    asyncio_stream *stream = connect_to_server();
    wanted = 3;
    set_state("test", "server", ASYNCIO_SIM_HOLD);
    asyncio_stream_write(stream, "x", 1);
    asyncio_sleep(100);
    asyncio_stream_write(stream, "yz", 2);
    asyncio_sleep(100);
    CHECK(got_at == 0);
    set_state("test", "server", ASYNCIO_SIM_UP);
    while (!got_at)
        asyncio_sleep(0.25);
    CHECK_GOT_AT(202);
    asyncio_stream_close(stream);
    end_task(server);
    return 0;
}

WORLD_TEST(refuse, PLAIN_LINK)
{
    char byte;
    asyncio_stream *stream = NULL, *late = NULL;
    asyncio_task *server = start_server_host();
    stream = connect_to_server();
    wanted = 1;
    asyncio_sleep(1); /* its last word of the handshake arrives */
    set_state("test", "server", ASYNCIO_SIM_REFUSE);
    CHECK_EQUAL(asyncio_open_connection("10.0.0.2", 80, NULL, &late), -ECONNREFUSED);
    CHECK_TIME(4);
    asyncio_stream_write(stream, "x", 1);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -ECONNRESET);
    CHECK_TIME(5);
    asyncio_stream_close(stream);
    wanted = 0;
    CHECK_EQUAL(asyncio_sim_reset("server", NULL), 1); /* the other end, which has heard of nothing */
    end_task(server);
    return 0;
}

/* The answer to a connection that begins is refused: both ends hear of it. */
WORLD_TEST(refuse_the_answer, PLAIN_LINK)
{
    asyncio_stream *stream = NULL;
    asyncio_task *server = start_server_host();
    set_state("server", "test", ASYNCIO_SIM_REFUSE);
    CHECK_EQUAL(asyncio_open_connection("10.0.0.2", 80, NULL, &stream), -ECONNREFUSED);
    CHECK_TIME(2);
    end_task(server);
    return 0;
}

/* ---- What is set, and for whom ------------------------------------------------------------ */

static double connect_time(const char *address)
{
    asyncio_stream *stream = NULL;
    double before = world_time();
    CHECK_EQUAL(asyncio_open_connection(address, 80, NULL, &stream), 0);
    double took = world_time() - before;
    asyncio_stream_close(stream);
    return took;
}

WORLD_TEST(rules_for_any_host, PLAIN_LINK)
{
    asyncio_sim_link slow = PLAIN_LINK;
    wanted = 0;
    asyncio_task *a = asyncio_sim_start("a", serve());
    asyncio_sleep(0);
    slow.latency = 10;
    CHECK_EQUAL(asyncio_sim_set_link("test", NULL, &slow), 0); /* for ways that are there, and new ones */
    asyncio_task *b = asyncio_sim_start("b", serve());
    asyncio_sleep(0);
    CHECK(connect_time("10.0.0.2") == 11);
    CHECK(connect_time("10.0.0.3") == 11);
    slow.latency = 20;
    CHECK_EQUAL(asyncio_sim_set_link(NULL, "test", &slow), 0);
    CHECK(connect_time("10.0.0.3") == 30);
    CHECK_EQUAL(asyncio_sim_set_link("test", "b", NULL), 0); /* as it was */
    CHECK(connect_time("10.0.0.3") == 21);
    CHECK_EQUAL(asyncio_sim_set_link(NULL, NULL, NULL), 0);
    CHECK(connect_time("10.0.0.2") == 2);
    end_task(a);
    end_task(b);
    return 0;
}

ASYNC(take_nothing)
{
    return 0;
}

/* Many hosts, and each way is what was set for it. */
WORLD_TEST(each_way_its_own, PLAIN_LINK)
{
    asyncio_sim_link link = PLAIN_LINK;
    char name[16];
    wanted = 0;
    asyncio_task *server = asyncio_sim_start("server", serve());
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "h%d", i);
        CHECK_EQUAL(asyncio_await(asyncio_sim_start(name, take_nothing())), 0);
        link.latency = 100 + i;
        CHECK_EQUAL(asyncio_sim_set_link("test", name, &link), 0);
        link.latency = 200 + i;
        CHECK_EQUAL(asyncio_sim_set_link(name, "test", &link), 0);
    }
    link.latency = 5;
    CHECK_EQUAL(asyncio_sim_set_link("test", "server", &link), 0);
    for (int i = 0; i < 40; i++) {
        char address[16];
        asyncio_stream *stream = NULL;
        double before = world_time();
        snprintf(address, sizeof address, "10.0.0.%d", 3 + i);
        CHECK_EQUAL(asyncio_open_connection(address, 80, NULL, &stream), -ECONNREFUSED);
        CHECK(world_time() - before == 300 + 2 * i);
    }
    CHECK(connect_time("10.0.0.2") == 6);
    end_task(server);
    return 0;
}

/* Of what was set for any host the latest counts, for ways that are made later, too. */
WORLD_TEST(the_latest_rule, PLAIN_LINK)
{
    asyncio_sim_link link = PLAIN_LINK;
    wanted = 0;
    link.latency = 10;
    CHECK_EQUAL(asyncio_sim_set_link("test", NULL, &link), 0);
    link.latency = 20;
    CHECK_EQUAL(asyncio_sim_set_link(NULL, "a", &link), 0);
    link.latency = 30;
    CHECK_EQUAL(asyncio_sim_set_link(NULL, "b", &link), 0);
    link.latency = 40;
    CHECK_EQUAL(asyncio_sim_set_link("test", NULL, &link), 0);
    asyncio_task *tasks[] = {asyncio_sim_start("a", serve()), asyncio_sim_start("b", serve()),
                             asyncio_sim_start("c", serve())};
    asyncio_sleep(0);
    CHECK(connect_time("10.0.0.2") == 41);
    link.latency = 50;
    CHECK_EQUAL(asyncio_sim_set_link(NULL, "b", &link), 0);
    CHECK(connect_time("10.0.0.3") == 51);
    CHECK(connect_time("10.0.0.2") == 41);
    CHECK_EQUAL(asyncio_sim_set_link(NULL, NULL, NULL), 0);
    CHECK(connect_time("10.0.0.4") == 2);
    for (int i = 0; i < 3; i++)
        end_task(tasks[i]);
    return 0;
}

WORLD_TEST(bad_values, PLAIN_LINK)
{
    static const asyncio_sim_link bad[] = {
        {.latency = NAN}, {.jitter = -1},    {.loss = 1.1},           {.loss = NAN}, {.duplicate = -0.1},
        {.reorder = 2},   {.bandwidth = -1}, {.bandwidth = INFINITY}, {.state = 17}, {.latency = INFINITY},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQUAL(asyncio_sim_set_link("a", "b", &bad[i]), -EINVAL);
    CHECK_EQUAL(asyncio_sim_set_link("a", "a", NULL), -EINVAL);
    return 0;
}

TEST_MAIN()
