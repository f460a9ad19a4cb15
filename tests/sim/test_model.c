/*
 * Bytes in are bytes out: two ends of a connection that send, read, shut down and close at random, over links
 * that lose, delay and cut, beside what each end knows of the other.
 *
 * Each end sends the numbers 0, 1, 2 ... modulo 251, so a reader knows each byte. An end that was told of the
 * other's end has all of the other's bytes; one that saw an error has the first of them.
 */
#include "base/random.h"
#include "sim/in_world.h"
#include "sys/net.h"
#include "sys/sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>

#define MODULUS 251
#define BLOCK 5000

struct end {
    int fd;
    struct random random;
    uint64_t sent, received;
    bool has_shut, saw_end, saw_error, closed_early;
};

static struct end ends[2];
static bool is_rough; /* the link breaks connections by itself */

static void send_some(struct end *end, size_t n)
{
    unsigned char block[BLOCK];
    for (size_t i = 0; i < n; i++)
        block[i] = (unsigned char)((end->sent + i) % MODULUS);
    ssize_t done = asyncio_sock_send(end->fd, block, n, 0);
    CHECK(done <= (ssize_t)n);
    if (done > 0)
        end->sent += (uint64_t)done;
    else if (n > 0)
        end->saw_error = true;
}

static void read_some(struct end *end, size_t n)
{
    unsigned char block[BLOCK];
    ssize_t got = asyncio_sock_recv(end->fd, block, n, 0);
    for (ssize_t i = 0; i < got; i++)
        if (block[i] != (end->received + (uint64_t)i) % MODULUS) {
            harness_failed(__FILE__, __LINE__, "byte %llu is wrong", (unsigned long long)end->received);
            break;
        }
    if (got > 0)
        end->received += (uint64_t)got;
    else if (got == 0)
        end->saw_end = true;
    else
        end->saw_error = true;
}

/* One half of a connection's end, which sends. */
ASYNC(send_at_random, struct end *, end)
{
    unsigned steps = (unsigned)asy_random_below(&end->random, 30);
    while (steps-- && !end->saw_error && !end->closed_early) {
        if (asy_random_below(&end->random, 4) == 0)
            asyncio_sleep((double)asy_random_below(&end->random, 1000) / 1000);
        if (!end->closed_early)
            send_some(end, 1 + (size_t)asy_random_below(&end->random, BLOCK));
    }
    if (!end->saw_error && !end->closed_early) {
        end->has_shut = true;
        asy_sys_shutdown(end->fd, SHUT_WR);
    }
    return 0;
}

/* The other half, which reads until the end, or closes early. */
ASYNC(read_at_random, struct end *, end)
{
    unsigned patience = (unsigned)asy_random_below(&end->random, 100);
    while (!end->saw_end && !end->saw_error) {
        if (patience-- == 0 && asy_random_below(&end->random, 2)) {
            end->closed_early = true;
            asyncio_close(end->fd); /* the half that sends gets -EBADF */
            break;
        }
        if (asy_random_below(&end->random, 8) == 0)
            asyncio_sleep((double)asy_random_below(&end->random, 3000) / 1000);
        read_some(end, 1 + (size_t)asy_random_below(&end->random, BLOCK));
    }
    return 0;
}

ASYNC(use_end, struct end *, end)
{
    asyncio_gather_settled(NULL, asyncio_create_task(send_at_random(end)),
                           asyncio_create_task(read_at_random(end)));
    if (!end->closed_early)
        asyncio_close(end->fd);
    return 0;
}

ASYNC(connect_and_use)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    inet_pton(AF_INET, "10.0.0.2", &address.sin_addr);
    ends[0].fd = asy_sys_socket(AF_INET, SOCK_STREAM, 0);
    int err = asyncio_sock_connect(ends[0].fd, (struct sockaddr *)&address, sizeof address);
    CHECK_EQUAL(err, 0);
    return err ? err : asyncio_await(use_end(&ends[0]));
}

ASYNC(accept_and_use)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    int listener = asy_sys_socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQUAL(asy_sys_bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asy_sys_listen(listener, 1), 0);
    ends[1].fd = asyncio_sock_accept(listener, NULL, NULL);
    CHECK(ends[1].fd > 0);
    asyncio_close(listener);
    return asyncio_await(use_end(&ends[1]));
}

ASYNC(use_both)
{
    asyncio_task *server = asyncio_sim_start("server", accept_and_use());
    asyncio_sleep(0);
    return asyncio_gather(NULL, server, asyncio_sim_start("client", connect_and_use()));
}

static void check_direction(const struct end *from, const struct end *to)
{
    CHECK(to->received <= from->sent);
    if (to->saw_end && from->has_shut)
        CHECK_EQUAL(to->received, from->sent);
    if (!is_rough && !from->closed_early && !to->closed_early) {
        CHECK_EQUAL(to->received, from->sent);
        CHECK(to->saw_end);
        CHECK(!from->saw_error);
    }
}

static void play(uint64_t seed, asyncio_sim_link link)
{
    memset(ends, 0, sizeof ends);
    asy_random_seed(&ends[0].random, seed);
    asy_random_seed(&ends[1].random, ~seed);
    CHECK_EQUAL(run_in_world_seeded(use_both, link, seed), 0);
    check_direction(&ends[0], &ends[1]);
    check_direction(&ends[1], &ends[0]);
    harness_settle();
}

static void play_smoothly(uint64_t seed)
{
    is_rough = false;
    play(seed, (asyncio_sim_link){.jitter = 0.05});
}

static void play_with_losses(uint64_t seed)
{
    is_rough = false;
    play(seed, (asyncio_sim_link){.jitter = 0.05, .loss = 0.1, .window = 1 + seed % 3000, .bandwidth = 1e5});
}

TEST(bytes_over_a_smooth_link)
{
    for_each_seed(play_smoothly);
}

TEST(bytes_over_a_bad_link)
{
    for_each_seed(play_with_losses);
}

TEST_MAIN()
