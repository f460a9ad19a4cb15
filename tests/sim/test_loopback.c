/*
 * The same calls in any order, made in the kernel and in a world, on sockets of one host: each answers alike,
 * and after each all sockets look alike to poll.
 *
 * TCP is not among them: the kernel's ports wait after a close (TIME_WAIT), and those of a world do not.
 */
#include "base/random.h"
#include "sim/in_world.h"
#include "sys/net.h"
#include "sys/sys.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS 6
#define STEPS 40
#define NAMES 3

enum kind { UDP, UNIX_STREAM, UNIX_DATAGRAM };

/* What was called, and what it answered. */
struct transcript {
    char lines[STEPS][128];
    int count;
};

static struct transcript in_kernel, in_sim, *transcript;
static struct random choice;
static enum kind kind;
static uint64_t seed_at_hand;
static int fds[FDS];
static bool has_peer[FDS];

static unsigned below(unsigned bound)
{
    return (unsigned)asy_random_below(&choice, bound);
}

/* One of few, which belong to this process and seed. */
static socklen_t choose_name(struct sockaddr_storage *out)
{
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    struct sockaddr_un *un = (struct sockaddr_un *)out;
    unsigned which = below(NAMES);
    memset(out, 0, sizeof *out);
    if (kind == UDP) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)(20000 + which));
        in->sin_addr.s_addr =
            htonl(0x7f000000u | ((unsigned)getpid() & 0x3fff) << 10 | (unsigned)(seed_at_hand & 0x3ff));
        return sizeof *in;
    }
    un->sun_family = AF_UNIX; /* an abstract one */
    int n = snprintf(un->sun_path + 1, sizeof un->sun_path - 1, "asyncio-%d-%llu-%u", (int)getpid(),
                     (unsigned long long)seed_at_hand, which);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* ---- Calls ------------------------------------------------------------------------------- */

static long open_socket(int i)
{
    fds[i] =
        asy_sys_socket(kind == UDP ? AF_INET : AF_UNIX, kind == UNIX_STREAM ? SOCK_STREAM : SOCK_DGRAM, 0);
    has_peer[i] = false;
    return fds[i] < 0 ? fds[i] : asy_sys_set_nonblocking(fds[i]);
}

/* A stream that is not connected can be shut down in the kernel, for the connection that it will have. */
static long shut_down(int i)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    int how = (int)below(3);
    bool is_odd = kind == UNIX_STREAM && asy_sys_getpeername(fds[i], (struct sockaddr *)&name, &length);
    return is_odd ? 0 : asy_sys_shutdown(fds[i], how);
}

/* To connect a datagram socket to another peer drops what it has, which a world does not. */
static long connect_socket(int i)
{
    struct sockaddr_storage name;
    socklen_t length = choose_name(&name);
    if (has_peer[i] && kind == UNIX_DATAGRAM)
        return 0;
    has_peer[i] = true;
    return asy_sys_connect(fds[i], (struct sockaddr *)&name, length);
}

static long accept_socket(int i)
{
    int place = (int)below(FDS), fd = asy_sys_accept(fds[i], NULL, NULL);
    if (fd < 0)
        return fd;
    if (fds[place] >= 0)
        asy_sys_close(fds[place]);
    fds[place] = fd;
    return asy_sys_set_nonblocking(fd);
}

static long name_peer(int i)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    int err = asy_sys_getpeername(fds[i], (struct sockaddr *)&name, &length);
    return err; /* which name a peer had that is gone is not compared */
}

static long transfer(int i, bool sends)
{
    char block[200] = "";
    size_t n = below(sizeof block);
    int flags = MSG_DONTWAIT | (sends ? MSG_NOSIGNAL : below(4) ? 0 : MSG_PEEK);
    return sends ? asy_sys_send(fds[i], block, n, flags) : asy_sys_recv(fds[i], block, n, flags);
}

static long call_something(int i, const char **call)
{
    static const char *const calls[] = {"bind",     "listen",  "connect", "connect", "accept", "accept",
                                        "shutdown", "close",   "error",   "peer",    "send",   "send",
                                        "send",     "receive", "receive", "receive"};
    struct sockaddr_storage name;
    socklen_t length = choose_name(&name);
    unsigned which = below(sizeof calls / sizeof *calls);
    *call = calls[which];
    switch (which) {
    case 0:
        return asy_sys_bind(fds[i], (struct sockaddr *)&name, length);
    case 1:
        return asy_sys_listen(fds[i], (int)below(4));
    case 2:
    case 3:
        return connect_socket(i);
    case 4:
    case 5:
        return accept_socket(i);
    case 6:
        return shut_down(i);
    case 7:
        asy_sys_close(fds[i]);
        return fds[i] = -1;
    case 8:
        return asy_sys_socket_error(fds[i]);
    case 9:
        return name_peer(i);
    default:
        return transfer(i, which < 13);
    }
}

/* ---- Transcripts --------------------------------------------------------------------------- */

static void write_line(int i, const char *call, long result)
{
    char *line = transcript->lines[transcript->count++];
    size_t bytes = sizeof transcript->lines[0];
    int used = snprintf(line, bytes, "%d %s: %ld; poll", i, call, result);
    for (int j = 0; j < FDS; j++) {
        struct pollfd look = {fds[j], POLLIN | POLLOUT | POLLRDHUP, 0};
        if (fds[j] >= 0)
            asy_sys_poll(&look, 1, 0);
        used += snprintf(line + used, bytes - (size_t)used, " %x", (unsigned)look.revents);
    }
}

static void play(struct transcript *out)
{
    transcript = out;
    transcript->count = 0;
    asy_random_seed(&choice, seed_at_hand);
    memset(fds, -1, sizeof fds);
    for (int step = 0; step < STEPS; step++) {
        int i = (int)below(FDS);
        const char *call = "open";
        long result = fds[i] < 0 ? open_socket(i) : call_something(i, &call);
        write_line(i, call, result);
    }
    for (int i = 0; i < FDS; i++)
        if (fds[i] >= 0)
            asy_sys_close(fds[i]);
}

ASYNC(play_in_sim)
{
    play(&in_sim);
    return 0;
}

/* The kernel delivers UDP when it comes to that, nearly always inside the call: so it is asked again. */
static bool differ(uint64_t seed, int *at)
{
    for (int tries = 0; tries < 5; tries++) {
        seed_at_hand = seed;
        play(&in_kernel);
        CHECK_EQUAL(run_in_world_seeded(play_in_sim, PLAIN_LINK, seed), 0);
        for (*at = 0; *at < STEPS && strcmp(in_kernel.lines[*at], in_sim.lines[*at]) == 0;)
            ++*at;
        if (*at == STEPS)
            return false;
    }
    return true;
}

static void compare(uint64_t seed)
{
    int at;
    if (!differ(seed, &at))
        return;
    for (int i = 0; i < at; i++)
        fprintf(stderr, "  %s\n", in_kernel.lines[i]);
    harness_failed(__FILE__, __LINE__, "the kernel says \"%s\", a world \"%s\"", in_kernel.lines[at],
                   in_sim.lines[at]);
}

TEST(udp)
{
    kind = UDP;
    for_each_seed(compare);
}

TEST(unix_streams)
{
    kind = UNIX_STREAM;
    for_each_seed(compare);
}

TEST(unix_datagrams)
{
    kind = UNIX_DATAGRAM;
    for_each_seed(compare);
}

TEST_MAIN()
