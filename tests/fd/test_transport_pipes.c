/*
 * Transports over pipes and terminals, and under faults: each call of the seam fails in turn, the peer resets
 * at each point.
 */
#include "fd/transport_test.h"
#include <sys/wait.h>

/* ---- Pipes ------------------------------------------------------------------------------------ */

ASYNC_TEST(a_pipe_is_read_to_its_end)
{
    struct side side = {.keeps_open = true};
    int fds[2];
    net_pipe(fds);
    begin_side(&side, fds[0], &side_protocol);
    CHECK_EQUAL(asyncio_transport_write(side.transport, "x", 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(write(fds[1], "abc", 3), 3);
    wait_for_log(&side, "data:abc");
    close(fds[1]);
    wait_lost(&side); /* there is no other half to keep open */
    CHECK_TEXT(side.log, "made data:abc eof lost");
    return 0;
}

ASYNC_TEST(a_pipe_is_written_and_closed)
{
    struct side side = {0};
    char buf[8] = "";
    int fds[2];
    net_pipe(fds);
    begin_side(&side, fds[1], &side_protocol);
    CHECK(!asyncio_transport_is_reading(side.transport));
    CHECK_EQUAL(asyncio_transport_write(side.transport, "abc", 3), 0);
    CHECK_EQUAL(asyncio_transport_write_eof(side.transport), 0);
    wait_lost(&side); /* its only half has ended */
    CHECK_TEXT(side.log, "made lost");
    CHECK_EQUAL(read(fds[0], buf, sizeof buf), 3);
    CHECK_EQUAL(read(fds[0], buf, sizeof buf), 0);
    close(fds[0]);
    return 0;
}

ASYNC_TEST(the_reader_of_a_pipe_goes_away)
{
    struct side side = {0};
    int fds[2];
    net_pipe(fds);
    begin_side(&side, fds[1], &side_protocol);
    asyncio_sleep(0.005);
    asyncio_transport_pause_reading(side.transport); /* means nothing here */
    close(fds[0]);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made lost");
    return 0;
}

ASYNC_TEST(the_reader_of_a_full_pipe_goes_away)
{
    static char block[1 << 20];
    struct side side = {0};
    int fds[2];
    net_pipe(fds);
    begin_side(&side, fds[1], &side_protocol);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_transport_write(side.transport, block, sizeof block), 0);
    CHECK(asyncio_transport_get_write_buffer_size(side.transport) > 0);
    asyncio_sleep(0.002);
    close(fds[0]);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made pause lost:EPIPE");
    return 0;
}

/* A pseudo-terminal: the end is a hang-up. */
ASYNC_TEST(a_terminal)
{
    struct side side = {0};
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    begin_side(&side, slave, &side_protocol);
    asyncio_sleep(0.002);
    CHECK(net_is_blocking(slave)); /* it may be another program's, too */
    CHECK_EQUAL(write(master, "line\n", 5), 5);
    wait_for_log(&side, "data:line");
    CHECK_EQUAL(asyncio_transport_write(side.transport, "out", 3), 0);
    char buf[32];
    ssize_t n = 0;
    for (int i = 0; i < 1000 && !(n > 0 && memchr(buf, 'u', (size_t)n)); i++) {
        n = read(master, buf, sizeof buf); /* the echo comes first */
        asyncio_sleep(0);
    }
    close(master);
    wait_lost(&side);
    CHECK_HAS(side.log, "eof lost");
    return 0;
}

/* ---- The standard descriptors ------------------------------------------------------------------- */

static struct side standard;

ASYNC(write_to_stdout)
{
    begin_side(&standard, STDOUT_FILENO, &side_protocol);
    asyncio_transport_write(standard.transport, "hello", 5);
    asyncio_transport_close(standard.transport);
    wait_lost(&standard);
    CHECK(fcntl(STDOUT_FILENO, F_GETFD) >= 0);
    return 0;
}

TEST(standard_output_stays_open_and_blocking)
{
    int fds[2];
    char buf[8] = "";
    net_pipe(fds);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(fds[1], STDOUT_FILENO);
        bool is_well = asyncio_run(write_to_stdout()) == 0 && net_is_blocking(STDOUT_FILENO);
        _exit(!is_well || harness_failures());
    }
    close(fds[1]);
    int status = -1;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(read(fds[0], buf, sizeof buf), 5);
    assert_string_equal(buf, "hello");
    close(fds[0]);
}

/* ---- Faults -------------------------------------------------------------------------------------- */

/* No checks but of what holds on any day: whoever was made is lost, and last. */
ASYNC(talk_a_little)
{
    static char block[300000];
    struct side sides[2] = {{.is_quiet = true}, {.is_quiet = true, .keeps_open = true}};
    int fds[2], count = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
        return 0;
    for (int i = 0; i < 2; i++) {
        sides[i].lost = (asyncio_event)ASYNCIO_EVENT_INIT;
        if (asyncio_transport_from_fd(fds[i], &side_protocol, &sides[i], NULL, &sides[i].transport)) {
            sides[i].transport = NULL;
            close(fds[i]);
            continue;
        }
        count++;
        asyncio_transport_write(sides[i].transport, block, i ? 10 : sizeof block);
    }
    for (int i = 0; i < 400; i++)
        asyncio_sleep(0);
    for (int i = 0; i < 2; i++)
        if (sides[i].transport && !sides[i].is_lost)
            asyncio_transport_write_eof(sides[i].transport);
    for (int i = 0; i < 200; i++)
        asyncio_sleep(0);
    for (int i = 0; i < 2; i++)
        if (sides[i].transport && !sides[i].is_lost)
            asyncio_transport_abort(sides[i].transport);
    while (count && (!sides[0].transport || !sides[0].is_lost) + (!sides[1].transport || !sides[1].is_lost) >
                        2 - count)
        asyncio_sleep(0);
    return 0;
}

TEST(each_call_fails)
{
    sweep_failures(talk_a_little);
}

/* The peer resets after so many bytes of a talk, whatever is on its way. */
ASYNC_TEST(the_peer_resets_at_each_point)
{
    static char block[200000];
    for (int step = 0; step < 8; step++) {
        struct side side = {.is_quiet = true};
        int peer = begin_pair(&side);
        net_make_narrow(peer);
        for (int i = 0; i < step; i++) {
            if (i % 3 == 0)
                asyncio_transport_write(side.transport, block, i % 2 ? sizeof block : 10);
            if (i % 3 == 1)
                send(peer, block, 1000, MSG_DONTWAIT | MSG_NOSIGNAL);
            asyncio_sleep(i % 2 ? 0 : 0.0005);
        }
        net_reset_at_close(peer);
        close(peer);
        wait_lost(&side);
        CHECK(side.error == -ECONNRESET || side.error == -EPIPE);
        CHECK(strncmp(side.log, "made", 4) == 0);
    }
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
