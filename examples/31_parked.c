/*
 * 100,000 HTTP clients that are mostly silent, parked: no task and no stack for any of them.
 *
 *     31_parked [CLIENTS [SECONDS]]
 *
 * It plays both sides, and shows what a parked client costs the server. A process has so many
 * descriptors (ulimit -Hn), and an address so many ports for one server; so there are several
 * servers, each with its own process of clients. Each client asks once, and again after
 * SECONDS. The data of its stream say how often it has asked.
 *
 * 13_http_server is the one that reads HTTP as strictly as strangers require.
 */
#include <asyncio.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESS_CLIENTS_MAX 14000 /* half of Linux's ports for one server: it takes long to find the others */
#define SPARE_DESCRIPTORS 64
#define PAIRS_MAX 512

/* A server, and the process of its clients. */
struct pair {
    int listener, clients;
    struct sockaddr_in address;
    int parent, child; /* ends of a socket: a byte each way at the end of a step */
    pid_t server_pid, clients_pid;
};

/* ---- A server ------------------------------------------------------------------------------ */

/* One request. Data that is a number needs no drop function. */
ASYNC(answer, asyncio_stream *, stream)
{
    char *head, body[64];
    ssize_t n = asyncio_stream_readuntil(stream, "\r\n\r\n", 4, &head);
    if (n < 0)
        return n == ASYNCIO_EINCOMPLETE ? 0 : n; /* the end */
    intptr_t times = (intptr_t)asyncio_stream_data(stream) + 1;
    asyncio_stream_set_data(stream, (void *)times, NULL);
    int length = snprintf(body, sizeof body, "request %jd\n", (intmax_t)times);
    int err = asyncio_stream_printf(stream, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", length, body);
    return err ? err : ASYNCIO_PARK;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer(stream);
}

/* Until it is told to end, by SIGTERM. */
ASYNC(serve, struct pair *, pair)
{
    asyncio_server *server;
    int err = asyncio_start_server_on(pair->listener, handler, NULL, NULL, &server);
    if (err)
        return err;
    err = asyncio_server_wait_closed(server, ASYNCIO_FOREVER);
    asyncio_server_release(server);
    return err;
}

/* ---- Clients ------------------------------------------------------------------------------- */

static int ask(asyncio_stream *stream, int times)
{
    char *line, wanted[64];
    ssize_t n = asyncio_stream_printf(stream, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (int lines = 0; n >= 0 && lines < 4; lines++) { /* two of the head, one between, one of the body */
        n = asyncio_stream_readline(stream, &line);
        if (n == 0)
            n = ASYNCIO_EINCOMPLETE;
    }
    if (n < 0)
        return (int)n;
    snprintf(wanted, sizeof wanted, "request %d\n", times);
    return strcmp(line, wanted) == 0 ? 0 : (int)asyncio_raise(-EBADMSG, "%s in place of %s", line, wanted);
}

static int open_and_ask(struct pair *pair, asyncio_stream **streams, int first, int last)
{
    for (int i = first; i < last; i++) {
        int err = asyncio_open_connection("127.0.0.1", ntohs(pair->address.sin_port), NULL, &streams[i]);
        if (!err)
            err = ask(streams[i], 1);
        if (err)
            return err;
    }
    return 0;
}

/* The parent measures between the steps. */
static int end_step(struct pair *pair)
{
    char byte = 0;
    bool is_well = write(pair->child, &byte, 1) == 1 && read(pair->child, &byte, 1) == 1;
    return is_well ? 0 : -EPIPE;
}

ASYNC(be_clients, struct pair *, pair)
{
    asyncio_stream **streams = calloc((size_t)pair->clients, sizeof(asyncio_stream *));
    if (!streams)
        return -ENOMEM;
    int few = pair->clients / 10, err = open_and_ask(pair, streams, 0, few);
    if (!err)
        err = end_step(pair);
    if (!err)
        err = open_and_ask(pair, streams, few, pair->clients);
    if (!err)
        err = end_step(pair);
    for (int i = 0; !err && i < pair->clients; i++)
        err = ask(streams[i], 2);
    if (!err)
        err = end_step(pair);
    for (int i = 0; i < pair->clients; i++)
        asyncio_stream_close(streams[i]);
    free(streams);
    return err;
}

/* ---- The parent ---------------------------------------------------------------------------- */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* In a child: the parent's end of a step is the end of the parent, too. */
static void close_ends(const struct pair *pairs, int count)
{
    for (int i = 0; i < count; i++)
        close(pairs[i].parent);
}

/* The sockets are made before the processes that need them. */
static void start_pair(struct pair *pairs, int number)
{
    struct pair *pair = &pairs[number];
    int ends[2];
    socklen_t length = sizeof pair->address;
    pair->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pair->listener < 0 || bind(pair->listener, (struct sockaddr *)&pair->address, length) ||
        listen(pair->listener, 1024) ||
        getsockname(pair->listener, (struct sockaddr *)&pair->address, &length) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        die("sockets");
    pair->parent = ends[0];
    pair->child = ends[1];
    pair->server_pid = fork();
    if (pair->server_pid == 0) {
        close_ends(pairs, number + 1);
        close(pair->child);
        exit(asyncio_main(serve(pair)));
    }
    pair->clients_pid = fork();
    if (pair->clients_pid == 0) {
        close_ends(pairs, number + 1);
        exit(asyncio_main(be_clients(pair)));
    }
    if (pair->server_pid < 0 || pair->clients_pid < 0)
        die("fork");
    close(pair->listener);
    close(pair->child);
}

/* The memory that the servers hold of their own, in bytes. */
static long long memory_of(const struct pair *pairs, int count)
{
    char path[64], line[256];
    long long sum = 0, kib;
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pairs[i].server_pid);
        FILE *file = fopen(path, "re");
        if (!file)
            die(path);
        while (fgets(line, sizeof line, file))
            if (sscanf(line, "Anonymous: %lld", &kib) == 1)
                sum += kib * 1024;
        fclose(file);
    }
    return sum;
}

/* False if a process of clients has failed, which has said why. */
static bool wait_for_step(const struct pair *pairs, int count)
{
    char byte;
    bool is_well = true;
    for (int i = 0; i < count; i++)
        is_well = read(pairs[i].parent, &byte, 1) == 1 && is_well;
    return is_well;
}

static void begin_step(const struct pair *pairs, int count)
{
    char byte = 0;
    for (int i = 0; i < count; i++)
        if (write(pairs[i].parent, &byte, 1) != 1)
            die("a process of clients");
}

static bool measure(const struct pair *pairs, int count, int clients, double seconds)
{
    if (!wait_for_step(pairs, count))
        return false;
    int few = 0;
    for (int i = 0; i < count; i++)
        few += pairs[i].clients / 10;
    long long before = memory_of(pairs, count);
    begin_step(pairs, count);
    if (!wait_for_step(pairs, count))
        return false;
    long long grown = memory_of(pairs, count) - before;
    printf("%d clients of %d servers are parked: %lld bytes each\n", clients, count, grown / (clients - few));
    fflush(stdout);
    struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
    begin_step(pairs, count);
    if (!wait_for_step(pairs, count))
        return false;
    printf("all have asked again\n");
    begin_step(pairs, count);
    return true;
}

/* Returns how many clients one process may have. */
static int most_of_a_process(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    rlim_t most = limit.rlim_cur > SPARE_DESCRIPTORS ? limit.rlim_cur - SPARE_DESCRIPTORS : 1;
    return most < PROCESS_CLIENTS_MAX ? (int)most : PROCESS_CLIENTS_MAX;
}

int main(int argc, char **argv)
{
    static struct pair pairs[PAIRS_MAX];
    int clients = argc > 1 ? atoi(argv[1]) : 100000, most = most_of_a_process(), count = 0, status;
    if (clients < 1 || clients > (long)most * PAIRS_MAX) {
        fprintf(stderr, "usage: %s [CLIENTS [SECONDS]]\n", argv[0]);
        return 2;
    }
    for (int left = clients; left > 0; left -= pairs[count++].clients) {
        pairs[count].clients = left < most ? left : most;
        start_pair(pairs, count);
    }
    bool is_well = measure(pairs, count, clients, argc > 2 ? atof(argv[2]) : 0);
    close_ends(pairs, count);
    for (int i = 0; i < count; i++) {
        waitpid(pairs[i].clients_pid, &status, 0);
        is_well = is_well && status == 0;
        kill(pairs[i].server_pid, SIGTERM);
        waitpid(pairs[i].server_pid, &status, 0);
    }
    return is_well ? 0 : 1;
}
