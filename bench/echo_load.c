/*
 * The load on an echo server: CONNECTIONS connections, each with one request of BYTES bytes
 * under way at any time, from one process on another processor than the server's.
 *
 *     echo_load PORT PID CONNECTIONSxBYTES
 *
 * Prints the processor time that the process PID took for each request, over all its threads, as the
 * scheduler counts it. Before and after, everything is quiet for a moment: the count of a
 * thread that runs lags behind.
 */
#include "echo.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>

struct client {
    int fd;
    size_t received, sent;
};

static struct client *clients;
static size_t count, bytes;
static int epfd;
static uint64_t answered;
static char block[ECHO_BYTES_MAX];

/* Any processor but the one that the server, whose child this is, was bound to. */
static void leave_processor(void)
{
    cpu_set_t set, rest;
    CPU_ZERO(&rest);
    if (sched_getaffinity(0, sizeof set, &set))
        return;
    for (int i = 0; i < CPU_SETSIZE && i < sysconf(_SC_NPROCESSORS_CONF); i++)
        if (!CPU_ISSET(i, &set))
            CPU_SET(i, &rest);
    if (CPU_COUNT(&rest))
        sched_setaffinity(0, sizeof rest, &rest);
}

static int64_t cpu_ns(const char *pid)
{
    char path[300];
    int64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *folder = opendir(path);
    BENCH_CHECK(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder));) {
        long long ns;
        snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (file && fscanf(file, "%lld", &ns) == 1)
            sum += ns;
        if (file)
            fclose(file);
    }
    closedir(folder);
    return sum;
}

static void push(struct client *client)
{
    while (client->sent < bytes) {
        ssize_t n = send(client->fd, block, bytes - client->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        BENCH_CHECK(n > 0);
        client->sent += (size_t)n;
    }
}

static void ask(struct client *client)
{
    client->sent = client->received = 0;
    push(client);
}

static void start_client(struct client *client, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger reset = {.l_onoff = 1, .l_linger = 0}; /* leaves no TIME_WAIT behind */
    address.sin_port = htons((uint16_t)port);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(client->fd >= 0);
    BENCH_CHECK(connect(client->fd, (struct sockaddr *)&address, sizeof address) == 0);
    echo_no_delay(client->fd);
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
    BENCH_CHECK(epoll_ctl(epfd, EPOLL_CTL_ADD, client->fd, &event) == 0);
}

/* What has come for one. True when that was the whole answer. */
static int pull(struct client *client)
{
    while (client->received < bytes) {
        ssize_t n = recv(client->fd, block, bytes - client->received, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return 0;
        BENCH_CHECK(n > 0);
        client->received += (size_t)n;
    }
    return 1;
}

/* Everybody asks, and asks again until the time is over; then the last answers come. */
static void run_until(int64_t end_ns)
{
    struct epoll_event events[256];
    size_t busy = count;
    for (size_t i = 0; i < count; i++)
        ask(&clients[i]);
    while (busy) {
        /* It never sleeps: the server would pay for waking it up. */
        int n = epoll_wait(epfd, events, 256, 0);
        int64_t now_ns = bench_now_ns();
        int over = now_ns >= end_ns;
        BENCH_CHECK(n >= 0 && now_ns < end_ns + 20000000000);
        for (int i = 0; i < n; i++) {
            struct client *client = events[i].data.ptr;
            if (client->sent < bytes)
                push(client);
            if (client->received == bytes || !pull(client))
                continue;
            answered++;
            if (over)
                busy--;
            else
                ask(client);
        }
    }
}

int main(int argc, char **argv)
{
    const char *question = getenv("BENCH_QUESTION"); /* several are asked in this way */
    question = question ? question : "echo";
    BENCH_CHECK(argc == 4 && sscanf(argv[3], "%zux%zu", &count, &bytes) == 2 && bytes <= ECHO_BYTES_MAX);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < count + 50) {
        bench_print_none(question, argv[3], "RLIMIT_NOFILE is too low");
        return 0;
    }
    leave_processor();
    epfd = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(count, sizeof *clients);
    BENCH_CHECK(epfd >= 0 && clients);
    for (size_t i = 0; i < count; i++)
        start_client(&clients[i], atoi(argv[1]));
    run_until(bench_now_ns() + 20000000);
    usleep(3000);
    int64_t took_ns = -cpu_ns(argv[2]);
    answered = 0;
    run_until(bench_now_ns() + (bench_is_quick() ? 100000000 : 400000000));
    usleep(3000);
    took_ns += cpu_ns(argv[2]);
    double each = (double)took_ns / (double)answered;
    bench_print(question, argv[3], each, "ns", each);
    return 0;
}
