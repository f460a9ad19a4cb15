/*
 * Servers: limits of clients and descriptors, storms of clients, and bad peers.
 */
#include "net/server_test.h"

/* ---- Limits ------------------------------------------------------------------------------ */

ASYNC_TEST(max_connections)
{
    asyncio_server_options options = {.max_connections = 2, .limit = 3};
    asyncio_server *server = serve(echo_handler, NULL, &options);
    int clients[5];
    for (int i = 0; i < 5; i++)
        clients[i] = client_of(server);
    for (unsigned left = 0; left < 3; left++) {
        wait_for_count(&begun, 2 + left);
        double cpu = cpu_time();
        asyncio_sleep(0.1);
        CHECK(is_slow_build() || cpu_time() - cpu < 0.05);
        CHECK_EQUAL(begun, 2 + left);
        close(clients[left]);
    }
    wait_for_count(&begun, 5);
    /* The other option, on this occasion. */
    peer_sends(clients[4], "too long\n");
    expect_reports(1);
    CHECK_EQUAL(seen_by(clients[4]), -ECONNRESET);
    CHECK_EQUAL(reports[0].error, ASYNCIO_ELIMIT);
    close(clients[3]);
    close(clients[4]);
    finish(server);
    return 0;
}

/* Of what lasts: once, where the machine is as fast as it should be. */
static void check_told_once_a_second(double began)
{
    CHECK(report_count >= 1);
    CHECK((double)report_count <= 1 + (asyncio_time() - began));
}

/* No descriptors are left: it says so, waits for a second without spinning, and goes on. */
ASYNC(main_no_descriptors)
{
    static struct net_shortage shortage;
    net_prepare_shortage(&shortage);
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    int client = net_tcp();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)asyncio_server_port(server))};
    asyncio_sleep(0);
    net_begin_shortage(&shortage);
    CHECK_EQUAL(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    double cpu = cpu_time(), began = asyncio_time();
    asyncio_sleep(0.2);
    CHECK(is_slow_build() || cpu_time() - cpu < 0.1);
    CHECK_EQUAL(begun, 0);
    check_told_once_a_second(began);
    CHECK_EQUAL(reports[0].error, -EMFILE);
    CHECK_HAS(reports[0].message, "127.0.0.1:");
    CHECK_HAS(reports[0].message, "paused");
    net_end_shortage(&shortage);
    wait_for_count(&begun, 1);
    peer_sends(client, "hello\n");
    CHECK_EQUAL(seen_by(client), 6);
    close(client);
    finish(server);
    expect_reports(report_count);
    return 0;
}

TEST(no_descriptors)
{
    if (RUNNING_ON_VALGRIND) /* which has limits of its own */
        skip();
    CHECK_EQUAL(run(main_no_descriptors), 0);
    harness_settle();
}

/* Somebody shuts the listening socket down: told, once a second, and no spinning. */
ASYNC_TEST(listener_broken)
{
    int fd;
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    asyncio_server_fds(server, &fd, 1);
    shutdown(fd, SHUT_RDWR);
    double cpu = cpu_time(), began = asyncio_time();
    asyncio_sleep(0.1);
    CHECK(is_slow_build() || cpu_time() - cpu < 0.05);
    check_told_once_a_second(began);
    CHECK_EQUAL(reports[0].error, -EINVAL);
    finish(server);
    expect_reports(report_count);
    return 0;
}

/* Who is told of the pause may close and release the server. */
static asyncio_server *told_of;

static void release_when_told(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
    ended++;
    asyncio_server_release(told_of);
    told_of = NULL;
}

ASYNC_TEST(released_when_told)
{
    int fd;
    asyncio_server *server = told_of = serve(echo_handler, NULL, NULL);
    asyncio_server_fds(server, &fd, 1);
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), release_when_told, NULL);
    shutdown(fd, SHUT_RDWR);
    wait_for_count(&ended, 1);
    settle();
    return 0;
}

/* Many at once: all are served. */
#define STORM 400
ASYNC_TEST(storm)
{
    static int clients[STORM];
    asyncio_server_options options = {.backlog = STORM};
    asyncio_server *server = serve(echo_handler, NULL, &options);
    for (int i = 0; i < STORM; i++)
        clients[i] = client_of(server);
    for (int i = 0; i < STORM; i++)
        peer_sends(clients[i], "hello\n");
    for (int i = 0; i < STORM; i++)
        CHECK_EQUAL(seen_by(clients[i]), 6);
    CHECK_EQUAL(begun, STORM);
    for (int i = 0; i < STORM; i += 2)
        peer_resets(clients[i]);
    for (int i = 1; i < STORM; i += 2)
        close(clients[i]);
    wait_for_count(&ended, STORM);
    finish(server);
    return 0;
}

/* Many come at once: the loop does other things in between. */
#define AT_ONCE 200

ASYNC_TEST(storm_in_turns)
{
    int clients[AT_ONCE];
    struct sockaddr_in address;
    asyncio_server *server = NULL;
    int fd = net_listen(&address, AT_ONCE);
    size_t before = 0, most = 0;
    for (int i = 0; i < AT_ONCE; i++)
        clients[i] = client_at(ntohs(address.sin_port));
    forget_counts();
    asyncio_server_options options = {.backlog = AT_ONCE};
    CHECK_EQUAL(asyncio_start_server_on(fd, echo_handler, NULL, &options, &server), 0);
    for (int turns = 0; before < AT_ONCE && turns < 100000; turns++) {
        asyncio_sleep(0);
        size_t came = server->client_count - before;
        most = came > most ? came : most;
        before = server->client_count;
    }
    CHECK_EQUAL(before, AT_ONCE);
    if (!asy_server_has_completions(server))    /* which come all at once */
        CHECK(most <= 2 * ASY_ACCEPTS_AT_ONCE); /* for an event, and for the retry that was queued */
    for (int i = 0; i < AT_ONCE; i++)
        close(clients[i]);
    wait_for_count(&ended, AT_ONCE);
    finish(server);
    return 0;
}

/* A thousand connections that say nothing: what each of them costs. */
#define IDLE 1000

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file && fscanf(file, "%*u %lu", &pages) == 1);
    if (file)
        fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

ASYNC_TEST(idle)
{
    static int clients[IDLE];
    struct rlimit limit, enough;
    getrlimit(RLIMIT_NOFILE, &limit);
    enough = limit;
    enough.rlim_cur = enough.rlim_max < 2 * IDLE + 100 ? enough.rlim_max : 2 * IDLE + 100;
    setrlimit(RLIMIT_NOFILE, &enough);
    unsigned count = enough.rlim_cur < 2 * IDLE + 100 ? 100 : IDLE;
    asyncio_server_options options = {.backlog = 1024};
    asyncio_server *server = serve(echo_handler, NULL, &options);
    size_t before = resident_bytes();
    for (unsigned i = 0; i < count; i++)
        clients[i] = client_of(server);
    wait_for_count(&begun, count);
    size_t each = (resident_bytes() - before) / count;
    CHECK(is_slow_build() || count < IDLE || each <= 6 * 1024);
    for (unsigned i = 0; i < count; i++)
        close(clients[i]);
    wait_for_count(&ended, count);
    finish(server);
    setrlimit(RLIMIT_NOFILE, &limit);
    return 0;
}

/* ---- Bad peers --------------------------------------------------------------------------- */

ASYNC_TEST(bad_peers)
{
    static char letters[4096];
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    int dribbler = client_of(server), resetter = client_of(server), half = client_of(server),
        endless = client_of(server), good = client_of(server);
    memset(letters, 'x', sizeof letters);
    peer_sends(resetter, "in the midd");
    peer_sends(half, "half\nrest");
    shutdown(half, SHUT_WR);
    for (int i = 0; i < 300; i++) {
        peer_sends(dribbler, i == 299 ? "\n" : "d");
        send(endless, letters, sizeof letters, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (i == 100)
            peer_resets(resetter);
        if (i % 50 == 0) {
            peer_sends(good, "hello\n");
            CHECK_EQUAL(seen_by(good), 6);
        }
        asyncio_sleep(0);
    }
    expect_reports(1); /* the endless line */
    CHECK_EQUAL(seen_by(half), 9);
    CHECK_EQUAL(seen_by(half), 0);
    CHECK(seen_by(dribbler) > 0);
    CHECK(seen_by(endless) <= 0);
    CHECK_EQUAL(reports[0].error, ASYNCIO_ELIMIT);
    close(dribbler);
    close(half);
    close(endless);
    close(good);
    wait_for_count(&ended, 5);
    finish(server);
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
