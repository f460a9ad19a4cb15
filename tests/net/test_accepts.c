/*
 * Servers on io_uring: the kernel accepts by completions. Whatever ends that, and whenever, each connection
 * is served or reset, no descriptor is left, and the port is free at once.
 */
#include "asyncio/inspect.h"
#include "backend/backend.h"
#include "fd/accepts.h"
#include "net/server_test.h"
#include "support/deny.h"
#include "support/on_uring.h"
#include "sys/sys.h"
#include <netinet/tcp.h>
#include <sys/wait.h>

static bool is_accepting(const asyncio_server *server)
{
    const struct fd_accepts *accepts = server->listeners[0].record->accepts;
    return accepts && accepts->accept.op.state != OP_IDLE;
}

/* Its accept is under way, and the kernel has it. */
static asyncio_server *accepting_server(const asyncio_server_options *options)
{
    asyncio_server *server = serve(echo_handler, NULL, options);
    settle();
    CHECK(is_accepting(server));
    return server;
}

/* The kernel accepts what has come, and the loop is not told yet: as when another stream is closed. */
static void let_connections_in(void)
{
    CHECK_EQUAL(asy_transfers_hand_over(asyncio_get_running_loop()->backend->transfers), 0);
}

static void check_echo(int fd)
{
    char text[8] = "";
    peer_sends(fd, "hello\n");
    for (int i = 0; i < 5000 && recv(fd, text, 6, MSG_DONTWAIT | MSG_PEEK) < 6; i++)
        asyncio_sleep(0.001);
    CHECK_EQUAL(recv(fd, text, 6, MSG_DONTWAIT), 6);
    CHECK_TEXT(text, "hello\n");
}

static void check_refuses(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = net_tcp();
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == -1 && errno == ECONNREFUSED);
    close(fd);
}

static bool sees_reset(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    return n == 0 || (n == -1 && errno == ECONNRESET);
}

/* ---- Accepted ------------------------------------------------------------------------------- */

/* One accept for all of them, and no registration for readiness. */
ASYNC_TEST(one_accept_serves_many)
{
    int clients[50];
    asyncio_server *server = accepting_server(NULL);
    const struct fd_accepts *accepts = server->listeners[0].record->accepts;
    uint16_t generation = accepts->accept.op.generation;
    for (int i = 0; i < 50; i++)
        clients[i] = client_of(server);
    for (int i = 0; i < 50; i++)
        check_echo(clients[i]);
    CHECK_EQUAL(begun, 50);
    CHECK_EQUAL(accepts->accept.op.generation, generation);
    CHECK_EQUAL(server->listeners[0].record->mode, FD_IDLE);
    for (int i = 0; i < 50; i++)
        close(clients[i]);
    finish(server);
    return 0;
}

/* Close-on-exec and non-blocking, and without a delay. */
ASYNC(tells_flags, asyncio_stream *, stream)
{
    int fd = asyncio_stream_fd(stream), on = 0;
    socklen_t length = sizeof on;
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK_EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
    CHECK(on);
    begun++;
    return 0;
}

static asyncio_coro *flags_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return tells_flags(stream);
}

ASYNC_TEST(accepted_descriptors_are_ours_alone)
{
    asyncio_server *server = serve(flags_handler, NULL, NULL);
    int client = client_of(server);
    wait_for_count(&begun, 1);
    CHECK(is_accepting(server));
    close(client);
    finish(server);
    return 0;
}

/* A limit is exact: nothing is accepted that would have to wait. */
ASYNC_TEST(a_limited_server_makes_calls)
{
    asyncio_server_options options = {.max_connections = 1};
    asyncio_server *server = serve(echo_handler, NULL, &options);
    int first = client_of(server), second = client_of(server);
    check_echo(first);
    settle();
    CHECK(!is_accepting(server));
    CHECK_EQUAL(server->client_count, 1);
    CHECK_EQUAL(net_drain(second), 0);
    close(first);
    wait_for_count(&begun, 2);
    check_echo(second);
    close(second);
    finish(server);
    return 0;
}

/* ---- Ended ---------------------------------------------------------------------------------- */

/* The kernel has accepted them, and the loop has had no turn. One that stood in the listener's queue is reset
 * with it, as ever. */
ASYNC_TEST(what_came_before_the_close_is_served)
{
    int clients[30];
    asyncio_server *server = accepting_server(NULL);
    int port = asyncio_server_port(server);
    for (int i = 0; i < 30; i++)
        clients[i] = client_at(port);
    let_connections_in();
    int late = client_at(port);
    asyncio_server_close(server);
    CHECK(sees_reset(late));
    close(late);
    check_refuses(port);
    CHECK_EQUAL(server->client_count, 30);
    for (int i = 0; i < 30; i++)
        check_echo(clients[i]);
    for (int i = 0; i < 30; i++)
        close(clients[i]);
    finish(server);
    return 0;
}

/* Completions for others are in the ring before and behind those of the listener. */
ASYNC_TEST(what_came_is_served_in_the_middle_of_others)
{
    int clients[3], peers[60];
    asyncio_stream *streams[60];
    asyncio_task *readers[60];
    char bytes[60];
    asyncio_server *server = accepting_server(NULL);
    int port = asyncio_server_port(server);
    for (int i = 0; i < 60; i++) {
        streams[i] = stream_to(&peers[i], NULL);
        readers[i] = asyncio_create_task(read_exactly(streams[i], &bytes[i], 1));
    }
    settle();
    for (int i = 0; i < 60; i++) {
        peer_sends(peers[i], "x");
        if (i % 20 == 10)
            clients[i / 20] = client_at(port);
        if (i % 20 == 10)
            let_connections_in();
    }
    asyncio_server_close(server);
    CHECK_EQUAL(server->client_count, 3);
    for (int i = 0; i < 60; i++) {
        CHECK_EQUAL(asyncio_await(readers[i]), 1);
        asyncio_stream_abort(streams[i]);
        close(peers[i]);
    }
    for (int i = 0; i < 3; i++) {
        check_echo(clients[i]);
        close(clients[i]);
    }
    finish(server);
    return 0;
}

/* A loop that waits for nothing but tasks sees that nothing else can wake it. */
ASYNC_TEST(a_closed_server_leaves_nothing_to_wait_for)
{
    const struct asy_backend *backend = asyncio_get_running_loop()->backend;
    size_t attached = backend->attached;
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    CHECK(backend->attached > attached);
    finish(server); /* the kernel has not seen it */
    CHECK_EQUAL(backend->attached, attached);
    server = accepting_server(NULL);
    finish(server);
    CHECK_EQUAL(backend->attached, attached);
    return 0;
}

/* The port is not held by an accept that the kernel has not ended. */
ASYNC_TEST(the_port_is_free_at_once)
{
    for (int released = 0; released < 2; released++) {
        asyncio_server *server = accepting_server(NULL);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        address.sin_port = htons((uint16_t)asyncio_server_port(server));
        if (released)
            asyncio_server_release(server);
        else
            asyncio_server_close(server);
        int fd = net_tcp();
        CHECK_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        CHECK_EQUAL(listen(fd, 1), 0);
        close(fd);
        if (!released)
            finish(server);
    }
    return 0;
}

/* Another process may have the same listener: what comes after the close is its. */
ASYNC_TEST(a_shared_listener_keeps_what_comes_later)
{
    struct sockaddr_in address;
    int fd = net_listen(&address, 10), copy = dup(fd);
    asyncio_server *server;
    forget_counts();
    CHECK_EQUAL(asyncio_start_server_on(fd, echo_handler, NULL, NULL, &server), 0);
    settle();
    CHECK(is_accepting(server));
    asyncio_server_close(server);
    int client = client_at(ntohs(address.sin_port));
    settle();
    CHECK_EQUAL(begun, 0);
    int accepted = accept(copy, NULL, NULL);
    CHECK(accepted >= 0);
    close(accepted);
    close(client);
    close(copy);
    finish(server);
    return 0;
}

/* The program closes the listener as a descriptor. */
ASYNC_TEST(a_closed_number_accepts_no_more)
{
    int fd, before = count_descriptors();
    asyncio_server *server = accepting_server(NULL);
    int port = asyncio_server_port(server), client = client_at(port);
    let_connections_in();
    CHECK_EQUAL(asyncio_server_fds(server, &fd, 1), 1);
    CHECK_EQUAL(asyncio_close(fd), 0);
    check_refuses(port);
    CHECK(sees_reset(client));
    close(client);
    settle();
    CHECK_EQUAL(begun, 0);
    finish(server);
    CHECK_EQUAL(count_descriptors(), before);
    return 0;
}

/* ---- Paused --------------------------------------------------------------------------------- */

/* At the limit of descriptors the kernel gives up at once, although nobody wants to connect. */
ASYNC_TEST(an_idle_server_without_descriptors_sleeps)
{
    static struct net_shortage shortage;
    net_prepare_shortage(&shortage);
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    asyncio_loop *loop = asyncio_get_running_loop();
    int client = net_tcp(), port = asyncio_server_port(server);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    net_begin_shortage(&shortage);
    asyncio_sleep(0.01);
    CHECK(!is_accepting(server));
    uint64_t polls = loop->polls;
    asyncio_sleep(0.1);
    CHECK(loop->polls <= polls + 20); /* the ends of former rings interrupt a wait, now and then */
    CHECK_EQUAL(report_count, 0);
    net_end_shortage(&shortage);
    CHECK_EQUAL(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    check_echo(client);
    CHECK(is_accepting(server)); /* again */
    CHECK_EQUAL(server->listeners[0].record->mode, FD_IDLE);
    close(client);
    finish(server);
    return 0;
}

static void connect_to_listener(int fd, const asyncio_server *server, size_t which)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    CHECK_EQUAL(getsockname(server->listeners[which].fd, (struct sockaddr *)&address, &length), 0);
    CHECK_EQUAL(connect(fd, (struct sockaddr *)&address, length), 0);
}

/* One has a connection when no descriptor is left: neither accepts meanwhile, and there is one report. */
ASYNC_TEST(a_pause_is_for_all_listeners)
{
    static struct net_shortage shortage;
    static const asyncio_address places[] = {{"127.0.0.1", 0}, {"127.0.0.2", 0}};
    asyncio_server_options options = {.addresses = places, .address_count = 2};
    asyncio_server *server = NULL;
    int clients[2];
    net_prepare_shortage(&shortage);
    forget_counts();
    CHECK_EQUAL(asyncio_start_server(echo_handler, NULL, NULL, 0, &options, &server), 0);
    record_reports(asyncio_get_running_loop());
    settle();
    for (int i = 0; i < 2; i++)
        clients[i] = net_tcp();
    net_begin_shortage(&shortage);
    connect_to_listener(clients[0], server, 0);
    for (int i = 0; i < 1000 && !report_count; i++)
        asyncio_sleep(0.001);
    asyncio_sleep(0.01);
    CHECK_EQUAL(report_count, 1);
    CHECK_EQUAL(reports[0].error, -EMFILE);
    CHECK_EQUAL(begun, 0);
    for (int i = 0; i < 2; i++)
        CHECK(server->listeners[i].record->accepts->accept.op.state == OP_IDLE);
    connect_to_listener(clients[1], server, 1);
    net_end_shortage(&shortage);
    wait_for_count(&begun, 2);
    for (int i = 0; i < 2; i++) {
        check_echo(clients[i]);
        close(clients[i]);
    }
    expect_reports(report_count);
    finish(server);
    return 0;
}

/* The kernel does not listen when the accept is to end. It ends later, and may be wanted again by then. */
static void end_in_vain(const asyncio_server *server)
{
    asy_fault_arm(1, false);
    asy_accepts_end(server->listeners[0].record);
    CHECK(asy_fault_disarm() >= 1);
    CHECK(is_accepting(server));
}

ASYNC_TEST(an_end_that_comes_late)
{
    asyncio_server *server = accepting_server(NULL);
    end_in_vain(server);
    settle();
    CHECK(!is_accepting(server));
    asy_server_watch(server);
    CHECK(is_accepting(server));
    settle();
    end_in_vain(server);
    asy_server_watch(server);
    settle();
    CHECK(is_accepting(server));
    int client = client_of(server);
    check_echo(client);
    close(client);
    end_in_vain(server);
    finish(server);
    return 0;
}

/* The program closes the server when it is told of the pause, while other connections are told of. */
static void close_on_report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    asyncio_server_close(*(asyncio_server **)arg);
}

ASYNC_TEST(a_report_may_close_the_server)
{
    static struct net_shortage shortage;
    static asyncio_server *server;
    int clients[5];
    net_prepare_shortage(&shortage);
    server = accepting_server(NULL);
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), close_on_report, &server);
    for (int i = 0; i < 5; i++)
        clients[i] = client_of(server);
    net_begin_shortage(&shortage);
    for (int i = 0; i < 1000 && !server->is_closed; i++)
        asyncio_sleep(0.001);
    CHECK(server->is_closed);
    net_end_shortage(&shortage);
    for (int i = 0; i < 5; i++) {
        CHECK(sees_reset(clients[i]));
        close(clients[i]);
    }
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), NULL, NULL);
    finish(server);
    return 0;
}

/* ---- Processes, threads, loops -------------------------------------------------------------- */

/* The child's copy of the listener is the same socket, and the accept is the parent's. */
ASYNC_TEST(a_child_leaves_the_parents_accept_alone)
{
    int status;
    asyncio_server *server = accepting_server(NULL);
    pid_t child = fork();
    if (child == 0) {
        asyncio_server_close(server);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    int client = client_of(server);
    check_echo(client);
    close(client);
    finish(server);
    return 0;
}

ASYNC(leaves_server, asyncio_server **, server, int *, client)
{
    *server = accepting_server(NULL);
    *client = client_of(*server);
    let_connections_in();
    return 0;
}

/* Connections have come, and the loop closes without another turn: nobody serves them. */
TEST(a_loop_closes_over_connections)
{
    int client = -1, before = count_descriptors();
    asyncio_server *server = NULL;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_loop_adopt(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, leaves_server(&server, &client));
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    CHECK(sees_reset(client));
    close(client);
    asyncio_server_release(server);
    CHECK_EQUAL(count_descriptors(), before);
    harness_settle();
}

/* The run ends while they come. */
ASYNC(ends_with_a_server, asyncio_server **, server, int *, client)
{
    *server = accepting_server(NULL);
    asyncio_task *forever = asyncio_create_task(serve_forever(*server));
    asyncio_sleep(0);
    asyncio_release(forever);
    *client = client_of(*server);
    let_connections_in();
    return 0;
}

TEST(a_run_ends_over_connections)
{
    int client = -1, before = count_descriptors();
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_run(ends_with_a_server(&server, &client)), 0);
    CHECK_EQUAL(begun, 0);
    CHECK(sees_reset(client));
    close(client);
    asyncio_server_release(server);
    CHECK_EQUAL(count_descriptors(), before);
    harness_settle();
}

/* A filter comes while an accept is under way: the loop fails, and its tasks end in order. */
ASYNC(loses_the_ring)
{
    asyncio_server *server = accepting_server(NULL);
    int port = asyncio_server_port(server);
    CHECK(deny_call(DENY_RING_ENTER, EPERM));
    CHECK_EQUAL(asyncio_sleep(0.01), -ECANCELED);
    asyncio_server_close(server);
    check_refuses(port); /* although the accept holds the listener */
    asyncio_server_release(server);
    fputs("cleaned up; ", stderr);
    return -ECANCELED;
}

static void runs_over_a_lost_ring(void)
{
    intptr_t result = asyncio_run(loses_the_ring());
    fprintf(stderr, "%s; %u failures\n", asyncio_strerror((int)result), harness_failures());
}

TEST(a_ring_is_lost)
{
    check_prints(runs_over_a_lost_ring,
                 "asyncio: io_uring is lost: the kernel denies it now; the loop ends\n"
                 "cleaned up; asyncio: io_uring: 2 operations do not end; memory is lost\n"
                 "Input/output error; 0 failures\n");
    harness_settle();
}

/* ---- Masks and sweeps ----------------------------------------------------------------------- */

ASYNC(serves_one)
{
    asyncio_server *server = serve(echo_handler, NULL, NULL);
    int client = client_of(server);
    check_echo(client);
    intptr_t by_completions = is_accepting(server);
    close(client);
    finish(server);
    return by_completions;
}

TEST(the_environment_masks_it)
{
    CHECK_EQUAL(run(serves_one), 1);
    setenv("ASYNCIO_URING_WITHOUT", "accept", 1);
    CHECK_EQUAL(run(serves_one), 0);
    unsetenv("ASYNCIO_URING_WITHOUT");
    harness_settle();
}

/* Two clients, one of whom comes just before the close. Any call may fail: then there may be no server, or a
 * client may see the end without an answer. */
ASYNC(a_life)
{
    asyncio_server *server;
    int clients[2], err = asyncio_start_server(echo_handler, NULL, "127.0.0.1", 0, NULL, &server);
    if (err)
        return err;
    int port = asyncio_server_port(server);
    if (port < 0) {
        asyncio_server_release(server);
        return port;
    }
    for (int i = 0; i < 2; i++) {
        clients[i] = client_at(port);
        (void)send(clients[i], "hello\n", 6, MSG_NOSIGNAL);
        if (i == 0)
            err = asyncio_sleep(0.001);
    }
    struct asy_transfers *transfers = asyncio_get_running_loop()->backend->transfers;
    if (transfers) /* else it was the ring that failed */
        (void)asy_transfers_hand_over(transfers);
    asyncio_server_close(server);
    int waited = asyncio_server_wait_closed(server, 0.001);
    asyncio_server_release(server);
    close(clients[0]);
    close(clients[1]);
    return err ? err : waited;
}

static void check_result(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == -ECANCELED || result == 0 : result == 0);
}

TEST(cancelled_at_each_suspension)
{
    sweep_cancels(a_life, check_result);
}

TEST(each_call_fails)
{
    sweep_failures(a_life);
}

int main(void)
{
    return tests_run_on_uring();
}
