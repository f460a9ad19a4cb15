/*
 * Worlds as a whole: the same seed gives the same history; two of them in two threads; many sockets; a client
 * that tries again while its server crashes; beside a world, the real one.
 */
#include "sim/in_world.h"
#include "sim/server.h"
#include "support/net.h"
#include "sys/net.h"
#include "sys/sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

/* ---- A server that answers, and its clients ---------------------------------------------- */

ASYNC(answer, asyncio_stream *, stream)
{
    char block[256];
    ssize_t n;
    while ((n = asyncio_stream_read(stream, block, sizeof block)) > 0)
        asyncio_stream_write(stream, block, (size_t)n);
    return n;
}

static asyncio_coro *make_answer(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer(stream);
}

/* Asks `count` times; 0, or the error that came between. */
ASYNC(ask, int, count)
{
    asyncio_stream *stream = NULL;
    char question[64] = "what", answer_text[64];
    ssize_t n = asyncio_open_connection("server", 80, NULL, &stream);
    if (n)
        return n;
    for (int i = 0; i < count && n >= 0; i++) {
        n = asyncio_stream_write(stream, question, sizeof question);
        if (n == 0)
            n = asyncio_stream_readexactly(stream, answer_text, sizeof answer_text);
    }
    asyncio_stream_close(stream);
    return n < 0 ? n : 0;
}

static void end_task(asyncio_task *task)
{
    asyncio_cancel(task);
    asyncio_gather_settled(NULL, task);
}

ASYNC(ask_and_answer)
{
    asyncio_task *server = asyncio_sim_start("server", serve_on_80(make_answer));
    asyncio_sleep(0);
    asyncio_task *a = asyncio_sim_start("a", ask(20)), *b = asyncio_sim_start("b", ask(20));
    intptr_t err = asyncio_gather(NULL, a, b);
    end_task(server);
    return err;
}

static uint64_t hash_of(uint64_t seed)
{
    CHECK_EQUAL(run_in_world_seeded(ask_and_answer, (asyncio_sim_link){.jitter = 0.01, .loss = 0.01}, seed),
                0);
    return asy_sim_hash();
}

TEST(same_seed_same_history)
{
    uint64_t others = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t hash = hash_of(seed);
        CHECK(hash == hash_of(seed));
        CHECK(hash != others);
        others = hash;
    }
    harness_settle();
}

/* ---- Threads -------------------------------------------------------------------------------- */

static uint64_t expected[2];

static void *replay(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < 5; i++) {
        struct sim_plan plan = {.seed = seed, .limit = UINT64_MAX};
        asyncio_sim_options options = {.link = {.jitter = 0.01, .loss = 0.01}};
        asyncio_run_options run_options = {.clock = ASYNCIO_CLOCK_VIRTUAL, .seed = seed, .handle_sigint = -1};
        char text[64];
        CHECK_EQUAL(asy_sim_world_begin(&options), 0);
        asy_sim_draws_begin(&plan, asy_sim_world_now_ns);
        asy_sim_history_begin(asy_sim_world_now_ns, NULL);
        CHECK_EQUAL(asyncio_run_with(ask_and_answer(), &run_options), 0);
        asy_sim_history_end();
        asy_sim_draws_end();
        CHECK_EQUAL(asy_sim_world_end(text, sizeof text), 0);
        CHECK(asy_sim_hash() == expected[seed - 1]);
    }
    return NULL;
}

TEST(two_threads_two_worlds)
{
    pthread_t threads[2];
    for (uint64_t seed = 1; seed <= 2; seed++)
        expected[seed - 1] = hash_of(seed);
    for (uintptr_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, replay, (void *)(i + 1)), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    harness_settle();
}

ASYNC(use_real_sockets)
{
    int fds[2];
    char byte;
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_sock_send(fds[0], "x", 1, 0), 1);
    CHECK_EQUAL(asyncio_sock_recv(fds[1], &byte, 1, 0), 1);
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
    return 0;
}

static void *run_real(void *arg)
{
    (void)arg;
    CHECK_EQUAL(asyncio_run(use_real_sockets()), 0);
    return NULL;
}

/* Another thread's loop stays in the real world. */
WORLD_TEST(beside_a_real_loop, PLAIN_LINK)
{
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, run_real, NULL), 0);
    pthread_join(thread, NULL);
    return 0;
}

/* ---- Many sockets ----------------------------------------------------------------------------- */

#define CONNECTIONS 5000 /* of two sockets each */

static int fds[CONNECTIONS * 2];

ASYNC(accept_many, int *, listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    *listener = asy_sys_socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQUAL(asy_sys_bind(*listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asy_sys_listen(*listener, CONNECTIONS), 0);
    return 0;
}

WORLD_TEST(ten_thousand_sockets, ((asyncio_sim_link){.segment = SIZE_MAX}))
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct rlimit limit, more;
    int listener = -1;
    getrlimit(RLIMIT_NOFILE, &limit);
    more = limit;
    more.rlim_cur = more.rlim_max;
    setrlimit(RLIMIT_NOFILE, &more);
    bool has_room = more.rlim_cur >= CONNECTIONS * 2 + 100;
    inet_pton(AF_INET, "10.0.0.2", &address.sin_addr);
    asyncio_await(asyncio_sim_start("server", accept_many(&listener)));
    int count = has_room ? CONNECTIONS : 100;
    for (int i = 0; i < count; i++) {
        fds[i] = asy_sys_socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQUAL(asyncio_sock_connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
        fds[count + i] = asyncio_sock_accept(listener, NULL, NULL);
        CHECK(fds[count + i] > 2);
    }
    for (int i = 0; i < count; i++)
        CHECK_EQUAL(asyncio_sock_send(fds[i], "x", 1, 0), 1);
    for (int i = 0; i < count; i++) {
        char byte;
        CHECK_EQUAL(asyncio_sock_recv(fds[count + i], &byte, 1, 0), 1);
    }
    for (int i = 0; i < count * 2; i++)
        asyncio_close(fds[i]);
    asyncio_close(listener);
    setrlimit(RLIMIT_NOFILE, &limit);
    return 0;
}

/* ---- Reports name the line that started a task ---------------------------------------------------- */

ASYNC(fail_unseen)
{
    return -EIO;
}

static void check_report(size_t at, const char *file, int line)
{
    CHECK_EQUAL(reports[at].error, -EIO);
    CHECK_HAS(reports[at].file, file);
    CHECK_EQUAL(reports[at].line, line);
}

WORLD_TEST(the_line_of_a_start, PLAIN_LINK)
{
    static const asyncio_site elsewhere = {"elsewhere.c", "somebody", 42};
    expect_reports(2);
    int line = __LINE__ + 1;
    asyncio_release(asyncio_sim_start("server", fail_unseen()));
    asyncio_sleep(1);
    check_report(0, "test_worlds.c", line);
    asyncio_release(asyncio_sim_start_at("server", fail_unseen(), &elsewhere));
    asyncio_sleep(1);
    check_report(1, "elsewhere.c", 42);
    return 0;
}

/* ---- Crash and retry ----------------------------------------------------------------------------- */

/* Asks until it has been answered: how often it had to. */
ASYNC(ask_until_answered)
{
    for (int tries = 1; tries < 100; tries++) {
        intptr_t err = asyncio_wait_for(ask(5), 30);
        if (err == 0)
            return tries;
        CHECK(err == -ECONNREFUSED || err == -ECONNRESET || err == -ETIMEDOUT || err == ASYNCIO_EINCOMPLETE ||
              err == -EPIPE);
        asyncio_sleep(1);
    }
    return -ETIMEDOUT;
}

WORLD_TEST(crash_with_a_retrying_client, PLAIN_LINK)
{
    asyncio_task *server = asyncio_sim_start("server", serve_on_80(make_answer));
    asyncio_sleep(0);
    asyncio_task *client = asyncio_sim_start("client", ask_until_answered());
    asyncio_sleep(5);
    CHECK_EQUAL(asyncio_sim_crash("server"), 0);
    CHECK_EQUAL(asyncio_await(server), -ECANCELED);
    asyncio_sleep(5);
    server = asyncio_sim_start("server", serve_on_80(make_answer)); /* it comes back */
    CHECK(asyncio_await(client) > 1);
    end_task(server);
    return 0;
}

/* A partition in one direction: the client's words arrive, the answers do not. */
WORLD_TEST(partition, PLAIN_LINK)
{
    asyncio_sim_link cut = PLAIN_LINK;
    asyncio_task *server = asyncio_sim_start("server", serve_on_80(make_answer));
    asyncio_sleep(0);
    asyncio_task *client = asyncio_sim_start("client", ask_until_answered());
    asyncio_sleep(3);
    cut.state = ASYNCIO_SIM_DROP;
    CHECK_EQUAL(asyncio_sim_set_link("server", "client", &cut), 0);
    asyncio_sleep(60);
    CHECK(!asyncio_done(client));
    CHECK_EQUAL(asyncio_sim_set_link("server", "client", NULL), 0);
    CHECK(asyncio_await(client) > 1);
    asyncio_sleep(300); /* what was half open has ended */
    end_task(server);
    return 0;
}

TEST(a_second_world)
{
    asyncio_sim_options options = {0};
    char text[64];
    CHECK_EQUAL(asy_sim_world_begin(&options), 0);
    CHECK_EQUAL(asy_sim_world_begin(&options), -ENOSYS);
    CHECK(asy_sys_socket(AF_INET, SOCK_STREAM, 0) > 2);
    CHECK_EQUAL(asy_sim_world_end(text, sizeof text), 1);
    CHECK_HAS(text, "tcp");
    options.link.loss = 2;
    CHECK_EQUAL(asy_sim_world_begin(&options), -EINVAL);
    harness_settle();
}

TEST_MAIN()
