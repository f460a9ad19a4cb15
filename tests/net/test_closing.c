/*
 * Streams that are closed while the peer takes its time: the close timeout counts from its last progress.
 */
#include "fd/stream_test.h"
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define TIMEOUT_S 0.1
#define MUCH (400 * 1024)

static char much[MUCH];

/* Takes a little, again and again, with time in between: far less than the timeout, although the kernel asks
 * the writer for more only now and then. Its sleeps and the writer's timer are of one loop, and a machine
 * that stands still holds up both. Until so much was taken; how much. */
ASYNC(take_slowly, int, fd, size_t, wanted)
{
    static char block[4096];
    size_t taken = 0;
    CHECK_EQUAL(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while (taken < wanted) {
        ssize_t n = read(fd, block, sizeof block);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        taken += n > 0 ? (size_t)n : 0;
        int err = asyncio_sleep(0.01);
        if (err)
            return err;
    }
    return (intptr_t)taken;
}

/* A connection of it has little room, which is told in small steps: on the loopback interface a segment is as
 * large as the room for it. */
static int connect_narrow(const struct sockaddr_in *address)
{
    int fd = net_tcp(), segment = 1400;
    net_make_narrow(fd);
    CHECK_EQUAL(setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment), 0);
    CHECK_EQUAL(connect(fd, (const struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

/* The kernel takes much of what is for this peer, and then wants no more for longer than the timeout. */
static asyncio_stream *stream_to_slow(int *peer)
{
    int bytes = 100 * 1024;
    struct sockaddr_in address;
    asyncio_connect_options options = {.close_timeout = TIMEOUT_S};
    asyncio_stream *stream;
    int listener = net_listen(&address, 1);
    *peer = connect_narrow(&address);
    int fd = accept(listener, NULL, NULL);
    close(listener);
    CHECK_EQUAL(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
    CHECK_EQUAL(asyncio_stream_from_fd(fd, &options, &stream), 0);
    return stream;
}

/* ---- Streams --------------------------------------------------------------------------------- */

ASYNC_TEST(slow_peer_gets_all)
{
    int peer;
    asyncio_stream *stream = stream_to_slow(&peer);
    CHECK_EQUAL(asyncio_stream_write(stream, much, sizeof much), 0);
    asyncio_task *taker = asyncio_create_task(take_slowly(peer, sizeof much));
    double start = asyncio_time();
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK(asyncio_time() - start > 2 * TIMEOUT_S);
    CHECK_EQUAL(asyncio_await(taker), sizeof much);
    close(peer);
    return 0;
}

/* A pipe asks for more when a whole page is free. */
ASYNC_TEST(slow_reader_of_a_pipe_gets_all)
{
    int fds[2];
    asyncio_stream *stream;
    asyncio_connect_options options = {.close_timeout = TIMEOUT_S};
    net_pipe(fds);
    CHECK_EQUAL(asyncio_open_pipe(fds[1], &options, &stream), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, much, 150000), 0);
    asyncio_task *taker = asyncio_create_task(take_slowly(fds[0], 150000));
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(asyncio_await(taker), 150000);
    close(fds[0]);
    return 0;
}

/* The timeout begins when the peer stops, not before. */
ASYNC_TEST(peer_that_stops_is_cut_off)
{
    int peer;
    asyncio_stream *stream = stream_to_slow(&peer);
    CHECK_EQUAL(asyncio_stream_write(stream, much, sizeof much), 0);
    asyncio_task *closer = asyncio_create_task(closes(stream));
    CHECK(asyncio_await(take_slowly(peer, 80000)) >= 80000);
    CHECK(!asyncio_done(closer));
    CHECK_EQUAL(asyncio_await(closer), -ETIMEDOUT);
    CHECK_HAS(asyncio_error_message(), "the peer took nothing for 0.1 seconds; ");
    CHECK_HAS(asyncio_error_message(), " bytes were dropped");
    close(peer);
    return 0;
}

/* ---- Servers ------------------------------------------------------------------------------------ */

ASYNC(answer, asyncio_stream *, stream)
{
    net_make_narrow(asyncio_stream_fd(stream));
    return asyncio_stream_write(stream, much, sizeof much);
}

static asyncio_coro *answers(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer(stream);
}

/* A client of a server with this option. */
static int connect_to(asyncio_server **server, double close_timeout)
{
    const asyncio_server_options options = {.close_timeout = close_timeout};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQUAL(asyncio_start_server(answers, NULL, "127.0.0.1", 0, &options, server), 0);
    address.sin_port = htons((uint16_t)asyncio_server_port(*server));
    return connect_narrow(&address);
}

static void end_server(asyncio_server *server)
{
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, ASYNCIO_FOREVER), 0);
    asyncio_server_release(server);
}

ASYNC_TEST(server_lets_a_slow_client_take_all)
{
    asyncio_server *server;
    int fd = connect_to(&server, TIMEOUT_S);
    CHECK_EQUAL(asyncio_await(take_slowly(fd, sizeof much)), sizeof much);
    end_server(server);
    close(fd);
    return 0;
}

ASYNC(main_server_reports_who_is_cut_off)
{
    static const double timeouts[] = {TIMEOUT_S, -1};
    for (int i = 0; i < 2; i++) {
        asyncio_server *server;
        int fd = connect_to(&server, timeouts[i]);
        while (report_count == (size_t)i)
            asyncio_sleep(0.01);
        end_server(server);
        close(fd);
        CHECK_TEXT(reports[i].message, "a client was cut off");
        CHECK_EQUAL(reports[i].error, -ETIMEDOUT);
        CHECK_HAS(reports[i].peer, "127.0.0.1:");
    }
    return 0;
}

TEST(server_reports_who_is_cut_off)
{
    expect_reports(2);
    CHECK_EQUAL(run(main_server_reports_who_is_cut_off), 0);
    harness_settle();
}

ASYNC_TEST(no_number)
{
    asyncio_server *server;
    const asyncio_server_options options = {.close_timeout = NAN};
    CHECK_EQUAL(asyncio_start_server(answers, NULL, "127.0.0.1", 0, &options, &server), -EINVAL);
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
