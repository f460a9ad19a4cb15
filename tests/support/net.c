/*
 * See net.h.
 */
#include "support/net.h"
#include "asyncio.h"
#include "core/loop.h"
#include "support/world.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define MUST(condition) ((condition) ? (void)0 : die(#condition, __LINE__))

static _Noreturn void die(const char *what, int line)
{
    fprintf(stderr, "%s:%d: %s does not hold: %s\n", __FILE__, line, what, strerror(errno));
    abort();
}

static void bind_to_loopback(int fd, struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    MUST(bind(fd, (struct sockaddr *)address, length) == 0);
    MUST(getsockname(fd, (struct sockaddr *)address, &length) == 0);
}

int net_tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    return fd;
}

int net_listen(struct sockaddr_in *address, int backlog)
{
    int fd = net_tcp();
    bind_to_loopback(fd, address);
    MUST(listen(fd, backlog) == 0);
    return fd;
}

int net_udp(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    bind_to_loopback(fd, address);
    return fd;
}

/* With segments as they are on Ethernet. Those of the loopback interface are larger than the buffers of a
 * narrow socket: there TCP waits 200 ms and more before it sends a part of one. */
void net_tcp_pair(int fds[2])
{
    static const int segment = 1448;
    struct sockaddr_in address;
    int listener = net_listen(&address, 1);
    MUST(setsockopt(listener, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment) == 0);
    fds[0] = net_tcp();
    MUST(connect(fds[0], (struct sockaddr *)&address, sizeof address) == 0);
    fds[1] = accept(listener, NULL, NULL);
    MUST(fds[1] >= 0);
    close(listener);
}

void net_unix_pair(int type, int fds[2])
{
    MUST(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
}

void net_pipe(int fds[2])
{
    MUST(pipe2(fds, O_CLOEXEC) == 0);
}

socklen_t net_unix_address(struct sockaddr *address)
{
    static unsigned number;
    struct sockaddr_un *name = (struct sockaddr_un *)address;
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "asyncio-test-%d-%u", getpid(), number++);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

void net_make_narrow(int fd)
{
    int bytes = 8192;
    MUST(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
}

void net_reset_at_close(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
}

bool net_is_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    MUST(flags >= 0);
    return !(flags & O_NONBLOCK);
}

size_t net_fill(int fd)
{
    unsigned char block[4096];
    size_t sent = 0;
    for (;;) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (unsigned char)(sent + i);
        ssize_t n = send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n <= 0)
            return sent;
        sent += (size_t)n;
    }
}

size_t net_drain(int fd)
{
    char block[65536];
    size_t got = 0;
    for (ssize_t n; (n = recv(fd, block, sizeof block, MSG_DONTWAIT)) > 0;)
        got += (size_t)n;
    return got;
}

void net_poll(asyncio_loop *loop)
{
    loop->backend->ops->wait(loop->backend, 0);
    if (loop->backend->fetched)
        loop->backend->ops->deliver(loop->backend);
}

int net_registrations(int fd)
{
    if (test_world_attached)
        return (int)test_world_attached(fd);
    const asyncio_loop *loop = asyncio_get_running_loop();
    int epfd = loop->backend->epfd, count = 0, number;
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epfd);
    FILE *file = fopen(path, "re");
    MUST(file);
    while (fgets(line, sizeof line, file))
        count += sscanf(line, "tfd: %d", &number) == 1 && (fd < 0 || number == fd);
    fclose(file);
    return fd < 0 ? count - 1 : count; /* not the one that wakes it */
}

void net_prepare_shortage(struct net_shortage *shortage)
{
    MUST(getrlimit(RLIMIT_NOFILE, &shortage->before) == 0);
    struct rlimit few = shortage->before;
    few.rlim_cur = few.rlim_cur < NET_FEW ? few.rlim_cur : NET_FEW;
    MUST(setrlimit(RLIMIT_NOFILE, &few) == 0);
    shortage->count = 0;
}

void net_begin_shortage(struct net_shortage *shortage)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (; fd >= 0 && shortage->count < NET_FEW; fd = fcntl(fd, F_DUPFD_CLOEXEC, 0))
        shortage->taken[shortage->count++] = fd;
    MUST(fd < 0 && errno == EMFILE && shortage->count);
}

void net_end_shortage(struct net_shortage *shortage)
{
    while (shortage->count)
        close(shortage->taken[--shortage->count]);
    MUST(setrlimit(RLIMIT_NOFILE, &shortage->before) == 0);
}
