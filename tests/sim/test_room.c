/*
 * A sender that waits for room hears of all that makes some, and of all that ends its wait.
 */
#include "sim/sockets.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define WINDOW 1000
#define PAIR_S 3 /* that make_pair takes */
#define SMALL_LINK ((asyncio_sim_link){.latency = 1, .segment = SIZE_MAX, .window = WINDOW})

static char block[WINDOW * 3];

ASYNC(send_block, int, fd)
{
    ssize_t n = asyncio_sock_sendall(fd, block, sizeof block, 0);
    return n < 0 ? n : 0;
}

/* A pair, and a task that waits for room at its first end. */
static asyncio_task *fill(int fds[2])
{
    make_pair(fds);
    asyncio_task *sender = asyncio_create_task(send_block(fds[0]));
    asyncio_sleep(5);
    CHECK(!asyncio_done(sender));
    return sender;
}

static ssize_t receive_bytes(int fd, size_t n)
{
    static char bytes[sizeof block];
    return asyncio_sock_recv(fd, bytes, n, 0);
}

static void set_way(const char *from, const char *to, asyncio_sim_link link)
{
    CHECK_EQUAL(asyncio_sim_set_link(from, to, &link), 0);
}

/* ---- Room --------------------------------------------------------------------------------- */

/* Nobody reads; the window that has become larger is room enough. */
WORLD_TEST(a_larger_window, SMALL_LINK)
{
    int fds[2];
    asyncio_task *sender = fill(fds);
    asyncio_sim_link link = SMALL_LINK;
    link.window = sizeof block;
    set_way("test", "server", link);
    CHECK_EQUAL(asyncio_await(sender), 0);
    CHECK_TIME(PAIR_S + 5);
    close_pair(fds);
    return 0;
}

/* The credit that comes is not enough for the window of now; the one after it is. */
WORLD_TEST(a_smaller_window, SMALL_LINK)
{
    int fds[2];
    asyncio_task *sender = fill(fds);
    asyncio_sim_link link = SMALL_LINK;
    link.window = 300;
    set_way("test", "server", link);
    CHECK_EQUAL(receive_bytes(fds[1], 600), 600);
    asyncio_sleep(2);
    CHECK_EQUAL(receive_bytes(fds[1], sizeof block), 400);
    while (!asyncio_done(sender))
        CHECK(receive_bytes(fds[1], sizeof block) > 0);
    CHECK_EQUAL(asyncio_await(sender), 0);
    close_pair(fds);
    return 0;
}

/* A limit of the sockets' own that is lifted. */
WORLD_TEST(larger_buffers, PLAIN_LINK)
{
    int fds[2], small = 250, large = 10000;
    make_pair(fds);
    CHECK_EQUAL(asy_sys_setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    CHECK_EQUAL(asy_sys_setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    asyncio_task *sender = asyncio_create_task(send_block(fds[0]));
    asyncio_sleep(5);
    CHECK_EQUAL(receive_bytes(fds[1], sizeof block), 4 * small);
    asyncio_sleep(5);
    CHECK_EQUAL(receive_bytes(fds[1], 400), 400); /* not enough for a credit */
    CHECK_EQUAL(asy_sys_setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &large, sizeof large), 0);
    CHECK_EQUAL(asyncio_await(sender), 0);
    close_pair(fds);
    return 0;
}

/* ---- Ends ---------------------------------------------------------------------------------- */

/* Linux asks a window that stays closed whether it is still there: so does this. */
WORLD_TEST(the_peer_crashes, SMALL_LINK)
{
    int fds[2];
    asyncio_task *sender = fill(fds);
    CHECK_EQUAL(asyncio_sim_crash("server"), 0);
    CHECK_EQUAL(asyncio_await(sender), -ECONNRESET);
    CHECK_TIME(PAIR_S + 5 + 2);
    close_pair(fds);
    return 0;
}

/* All that was sent has arrived when the peer crashes; the next send fills the window, and nothing leaves. */
WORLD_TEST(the_peer_has_crashed, SMALL_LINK)
{
    int fds[2];
    make_pair(fds);
    CHECK_EQUAL(asyncio_sock_sendall(fds[0], block, WINDOW, 0), WINDOW);
    asyncio_sleep(5);
    CHECK_EQUAL(asyncio_sim_crash("server"), 0);
    asyncio_sleep(5);
    CHECK_EQUAL(asyncio_sock_send(fds[0], block, 1, 0), -ECONNRESET);
    CHECK_TIME(PAIR_S + 5 + 5 + 2);
    close_pair(fds);
    return 0;
}

/* A reset that is lost is the answer to the next question, too. */
WORLD_TEST(the_reset_is_lost, SMALL_LINK)
{
    int fds[2];
    asyncio_task *sender = fill(fds);
    asyncio_sim_link cut = SMALL_LINK;
    cut.state = ASYNCIO_SIM_DROP;
    set_way("server", "test", cut);
    asyncio_close(fds[1]); /* with bytes unread */
    asyncio_sleep(2);
    CHECK(!asyncio_done(sender));
    CHECK_EQUAL(asyncio_sim_set_link("server", "test", NULL), 0);
    CHECK_EQUAL(asyncio_await(sender), -ECONNRESET);
    CHECK_TIME(PAIR_S + 5 + 1 + 0.2 + 0.4 + 0.8);
    asyncio_close(fds[0]);
    return 0;
}

WORLD_TEST(each_reset_is_lost, SMALL_LINK)
{
    int fds[2];
    asyncio_task *sender = fill(fds);
    asyncio_sim_link cut = SMALL_LINK;
    cut.state = ASYNCIO_SIM_DROP;
    set_way("server", "test", cut);
    asyncio_close(fds[1]);
    CHECK_EQUAL(asyncio_await(sender), -ETIMEDOUT);
    CHECK_TIME(PAIR_S + 5 + 1 + 0.2 * 1023);
    asyncio_close(fds[0]);
    return 0;
}

/* A reset that is lost is lost for one that does not send: it hears of nothing. */
WORLD_TEST(a_reader_hears_of_no_lost_reset, SMALL_LINK)
{
    int fds[2];
    struct linger linger = {.l_onoff = 1};
    asyncio_sim_link cut = SMALL_LINK;
    make_pair(fds);
    cut.state = ASYNCIO_SIM_DROP;
    set_way("server", "test", cut);
    CHECK_EQUAL(asy_sys_setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    asyncio_close(fds[1]);
    asyncio_sleep(2);
    CHECK_EQUAL(asyncio_sim_set_link("server", "test", NULL), 0);
    asyncio_sleep(1000);
    CHECK_EQUAL(asy_sys_socket_error(fds[0]), 0);
    asyncio_close(fds[0]);
    return 0;
}

WORLD_TEST(the_reset_is_refused, SMALL_LINK)
{
    int fds[2];
    asyncio_task *sender = fill(fds);
    asyncio_sim_link refused = SMALL_LINK;
    refused.state = ASYNCIO_SIM_REFUSE;
    set_way("server", "test", refused);
    asyncio_close(fds[1]);
    CHECK_EQUAL(asyncio_await(sender), -ECONNRESET);
    asyncio_close(fds[0]);
    return 0;
}

/* A credit that a way refuses ends the connection: the room would never come back. */
WORLD_TEST(the_credit_is_refused, SMALL_LINK)
{
    int fds[2];
    asyncio_task *sender = fill(fds);
    asyncio_sim_link refused = SMALL_LINK;
    refused.state = ASYNCIO_SIM_REFUSE;
    set_way("server", "test", refused);
    CHECK_EQUAL(receive_bytes(fds[1], WINDOW), WINDOW);
    CHECK_EQUAL(asyncio_await(sender), -ECONNRESET);
    CHECK_EQUAL(receive_bytes(fds[1], 1), -ECONNRESET);
    close_pair(fds);
    return 0;
}

/* Chance loses no credits: it is as if the next one made up for it. */
WORLD_TEST(no_credit_is_lost_by_chance, SMALL_LINK)
{
    int fds[2];
    asyncio_task *sender = fill(fds);
    asyncio_sim_link lossy = SMALL_LINK;
    lossy.loss = 1;
    set_way("server", "test", lossy);
    CHECK_EQUAL(receive_bytes(fds[1], WINDOW), WINDOW);
    CHECK_EQUAL(receive_bytes(fds[1], WINDOW), WINDOW);
    CHECK_EQUAL(asyncio_await(sender), 0);
    CHECK_TIME(PAIR_S + 5 + 2 + 1);
    close_pair(fds);
    return 0;
}

/* Credits that never come end it, too, even if nobody waits for them. */
WORLD_TEST(each_credit_is_lost, SMALL_LINK)
{
    int fds[2];
    asyncio_sim_link cut = SMALL_LINK;
    make_pair(fds);
    cut.state = ASYNCIO_SIM_DROP;
    set_way("server", "test", cut);
    CHECK_EQUAL(asyncio_sock_sendall(fds[0], block, WINDOW, 0), WINDOW);
    CHECK_EQUAL(receive_bytes(fds[1], WINDOW), WINDOW);
    asyncio_sleep(250);
    CHECK_EQUAL(asy_sys_socket_error(fds[0]), -ETIMEDOUT);
    CHECK_EQUAL(asy_sys_socket_error(fds[1]), -ETIMEDOUT);
    close_pair(fds);
    return 0;
}

/* An end that gave up takes nothing more, and answers with a reset, as one that is closed. */
WORLD_TEST(an_end_that_gave_up, PLAIN_LINK)
{
    int fds[2];
    asyncio_sim_link cut = PLAIN_LINK;
    make_pair(fds);
    cut.state = ASYNCIO_SIM_DROP;
    set_way("server", "test", cut);
    CHECK_EQUAL(send_text(fds[1], "x"), 0);
    CHECK_EQUAL(receive(fds[1]), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_sim_set_link("server", "test", NULL), 0);
    CHECK_EQUAL(send_text(fds[0], "too late"), 0);
    CHECK_EQUAL(receive(fds[0]), -ECONNRESET);
    CHECK_EQUAL(receive(fds[1]), 0);
    close_pair(fds);
    return 0;
}

TEST_MAIN()
