/*
 * Calls on sockets in any order, by several hosts, while ways change, connections are reset and hosts crash:
 * no call fails in a way that it has not, no socket or block is left, and the run ends.
 *
 * Which bytes arrive is test_model.c's.
 */
#include "base/random.h"
#include "sim/in_world.h"
#include "sys/net.h"
#include "sys/sys.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define HOSTS 3
#define FDS 12
#define STEPS 120
#define PORTS 2

struct player {
    struct random random;
    int fds[FDS]; /* -1: none */
};

static struct random chaos;
static struct player players[HOSTS * 4]; /* each life of a host is another one */
static size_t player_count;

static unsigned below(struct random *random, unsigned bound)
{
    return (unsigned)asy_random_below(random, bound);
}

/* What a call on a descriptor that is there never answers. */
static void check_result(long result, const char *call)
{
    bool is_odd = result < -4095 || result == -EBADF || result == -EFAULT || result == -ENOTSOCK ||
                  result == -ENOSYS || result == -ENOMEM;
    if (is_odd)
        harness_failed(__FILE__, __LINE__, "%s gives %ld", call, result);
}

/* An address of any host, or a path, by chance. */
static socklen_t choose_address(struct random *random, int family, struct sockaddr_storage *out)
{
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    struct sockaddr_un *un = (struct sockaddr_un *)out;
    unsigned host = below(random, HOSTS + 3) * below(random, 2); /* half of them: any */
    uint16_t port = htons((uint16_t)(below(random, 8) ? 100 + below(random, PORTS) : 0));
    memset(out, 0, sizeof *out);
    out->ss_family = (sa_family_t)family;
    if (family == AF_UNIX)
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                           (size_t)snprintf(un->sun_path, sizeof un->sun_path, "/tmp/asyncio-chaos-%u",
                                            below(random, PORTS)));
    if (family == AF_INET) {
        in->sin_port = port;
        in->sin_addr.s_addr = htonl(host ? host == 1 ? INADDR_LOOPBACK : 0x0a000000 + host - 1 : 0);
        return sizeof *in;
    }
    in6->sin6_port = port;
    if (host)
        in6->sin6_addr.s6_addr[0] = host == 1 ? 0 : 0xfd;
    in6->sin6_addr.s6_addr[15] = (uint8_t)(host > 1 ? host - 1 : host);
    return sizeof *in6;
}

static int family_of(int fd)
{
    int family = 0;
    socklen_t length = sizeof family;
    CHECK_EQUAL(asy_sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length), 0);
    return family;
}

/* Most sockets begin as they do in programs: they listen, or connect. */
static void open_one(struct player *player, int *fd)
{
    static const int families[] = {AF_INET, AF_INET, AF_INET6, AF_UNIX};
    struct random *random = &player->random;
    struct sockaddr_storage address;
    int family = families[below(random, 4)], type = below(random, 3) ? SOCK_STREAM : SOCK_DGRAM, err = 0;
    *fd = asy_sys_socket(family, type, 0);
    if (*fd < 0) {
        CHECK_EQUAL(*fd, -ENETDOWN);
        return;
    }
    socklen_t length = choose_address(random, family, &address);
    switch (below(random, 4)) {
    case 0:
        err = asy_sys_bind(*fd, (struct sockaddr *)&address, length);
        if (!err && type == SOCK_STREAM)
            err = asy_sys_listen(*fd, (int)below(random, 4));
        break;
    case 1:
    case 2:
        err = asy_sys_connect(*fd, (struct sockaddr *)&address, length);
    }
    check_result(err, "open");
}

static void set_some_option(struct random *random, int fd)
{
    static const int names[] = {SO_REUSEADDR, SO_REUSEPORT, SO_SNDBUF, SO_RCVBUF};
    struct linger linger = {.l_onoff = (int)below(random, 2)};
    int value = (int)below(random, 2000);
    unsigned which = below(random, 5);
    if (which < 4)
        check_result(asy_sys_setsockopt(fd, SOL_SOCKET, names[which], &value, sizeof value), "setsockopt");
    else
        check_result(asy_sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), "setsockopt");
}

static void exchange(struct random *random, int fd, bool sends)
{
    static char block[70000];
    struct sockaddr_storage address;
    struct iovec part = {block, below(random, 3) ? below(random, 3000) : below(random, sizeof block)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (below(random, 4) == 0) {
        message.msg_name = &address;
        message.msg_namelen = sends ? choose_address(random, family_of(fd), &address) : sizeof address;
    }
    if (sends)
        check_result(asy_sys_sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT), "send");
    else
        check_result(asy_sys_recvmsg(fd, &message, MSG_DONTWAIT | (below(random, 8) ? 0 : MSG_PEEK)), "recv");
}

static void accept_one(struct player *player, int listener)
{
    int fd = asy_sys_accept(listener, NULL, NULL);
    int *place = &player->fds[below(&player->random, FDS)];
    check_result(fd, "accept");
    if (fd < 0)
        return;
    if (*place >= 0)
        asyncio_close(*place);
    *place = fd;
}

static void call_something(struct player *player, int *fd)
{
    struct random *random = &player->random;
    struct sockaddr_storage address;
    socklen_t length = choose_address(random, family_of(*fd), &address);
    switch (below(random, 14)) {
    case 0:
        check_result(asy_sys_bind(*fd, (struct sockaddr *)&address, length), "bind");
        break;
    case 1:
        check_result(asy_sys_listen(*fd, (int)below(random, 4)), "listen");
        break;
    case 2:
    case 3:
        check_result(asy_sys_connect(*fd, (struct sockaddr *)&address, length), "connect");
        break;
    case 4:
    case 5:
        accept_one(player, *fd);
        break;
    case 6:
        check_result(asy_sys_shutdown(*fd, (int)below(random, 3)), "shutdown");
        break;
    case 7:
        asyncio_close(*fd);
        *fd = -1;
        break;
    case 8:
        set_some_option(random, *fd);
        break;
    case 9:
        if (asyncio_wait_readable(*fd, (double)below(random, 100) / 100) == 0)
            accept_one(player, *fd);
        break;
    default:
        exchange(random, *fd, below(random, 2));
    }
}

ASYNC(play_host, struct player *, player)
{
    for (int i = 0; i < FDS; i++)
        player->fds[i] = -1;
    for (int step = 0; step < STEPS; step++) {
        int *fd = &player->fds[below(&player->random, FDS)];
        if (*fd < 0)
            open_one(player, fd);
        else
            call_something(player, fd);
        if (below(&player->random, 3) == 0 && asyncio_sleep((double)below(&player->random, 300) / 1000))
            break;
    }
    for (int i = 0; i < FDS; i++)
        if (player->fds[i] >= 0)
            asyncio_close(player->fds[i]);
    return 0;
}

static asyncio_task *start_player(unsigned host, uint64_t seed)
{
    static const char *const names[] = {"a", "b", "c"};
    struct player *player = &players[player_count++];
    asy_random_seed(&player->random, seed);
    return asyncio_sim_start(names[host], play_host(player));
}

static void change_a_way(void)
{
    static const char *const names[] = {"a", "b", "c", NULL};
    const char *from = names[below(&chaos, 4)], *to = names[below(&chaos, 4)];
    asyncio_sim_link link = {
        .latency = (double)below(&chaos, 100) / 1000,
        .jitter = below(&chaos, 3) ? 0 : 0.1,
        .loss = below(&chaos, 3) ? 0 : 0.2,
        .duplicate = below(&chaos, 3) ? 0 : 0.3,
        .reorder = below(&chaos, 3) ? 0 : 0.3,
        .bandwidth = below(&chaos, 3) ? 0 : 1e4,
        .window = below(&chaos, 3) ? 0 : 1 + below(&chaos, 5000),
        .segment = below(&chaos, 3) ? 0 : 1 + below(&chaos, 5000),
        .state = below(&chaos, 2) ? ASYNCIO_SIM_UP : (asyncio_sim_state)below(&chaos, 4),
    };
    if (!from || from != to)
        CHECK_EQUAL(asyncio_sim_set_link(from, to, below(&chaos, 3) ? &link : NULL), 0);
}

ASYNC(play_all)
{
    static const char *const names[] = {"a", "b", "c"};
    asyncio_task *tasks[HOSTS * 4];
    uint64_t seed = asy_random_next(&chaos);
    player_count = 0;
    for (unsigned i = 0; i < HOSTS * 2; i++)
        tasks[i] = start_player(i % HOSTS, seed + i);
    for (int i = 0; i < 60; i++) {
        asyncio_sleep((double)below(&chaos, 200) / 1000);
        unsigned host = below(&chaos, HOSTS);
        if (below(&chaos, 20) == 0 && player_count < HOSTS * 4) {
            CHECK_EQUAL(asyncio_sim_crash(names[host]), 0);
            size_t next = player_count; /* which start_player counts up */
            tasks[next] = start_player(host, seed + next);
        } else if (below(&chaos, 6) == 0) {
            CHECK(asyncio_sim_reset(names[host], names[below(&chaos, HOSTS)]) >= 0);
        } else {
            change_a_way();
        }
    }
    return asyncio_gather_settled_array(NULL, tasks, player_count);
}

static void play_by_seed(uint64_t seed)
{
    asy_random_seed(&chaos, seed);
    CHECK_EQUAL(run_in_world_seeded(play_all, (asyncio_sim_link){0}, seed), 0);
    uint64_t hash = asy_sim_hash();
    asy_random_seed(&chaos, seed);
    CHECK_EQUAL(run_in_world_seeded(play_all, (asyncio_sim_link){0}, seed), 0);
    CHECK(asy_sim_hash() == hash);
}

TEST(any_calls_in_any_order)
{
    for_each_seed(play_by_seed);
}

TEST_MAIN()
