/*
 * lockstep: our streams on each backend beside the yardsticks, interleaved in one process. See lockstep.h.
 *
 * A figure is the processor time of the thread for one request, in the steps of the server: the 5th
 * percentile of the rounds of a run, and of several runs the least. Yardsticks are printed as VARIANT+MARK,
 * and our streams on io_uring as VARIANT-io_uring. With BENCH_DEAR_CALLS (dear_calls.h) there is a figure
 * `call`.
 */
#include "dear_calls.h"
#include "lockstep.h"

#include <arpa/inet.h>
#include <asyncio.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Our streams -------------------------------------------------------------------------- */

struct ours {
    asyncio_loop *loop;
    size_t room, open_streams;
};

ASYNC(serve, struct ours *, ours, int, fd)
{
    char block[ours->room];
    asyncio_stream *stream;
    ssize_t n;
    BENCH_CHECK(asyncio_stream_from_fd(fd, NULL, &stream) == 0);
    ours->open_streams++;
    while ((n = asyncio_stream_read(stream, block, ours->room)) > 0)
        BENCH_CHECK(asyncio_stream_write(stream, block, (size_t)n) == 0);
    asyncio_stream_close(stream);
    ours->open_streams--;
    return 0;
}

static void step_loop(void *arg)
{
    struct ours *ours = arg;
    BENCH_CHECK(asyncio_loop_run_once(ours->loop, 0) == 0);
}

static void *open_loop(const struct lockstep *set, const int *fds, asyncio_backend backend)
{
    asyncio_run_options options = {.backend = backend};
    asyncio_loop *loop = asyncio_loop_new(&options);
    if (!loop)
        return NULL;
    struct ours *ours = calloc(1, sizeof *ours);
    BENCH_CHECK(ours);
    ours->loop = loop;
    ours->room = lockstep_room(set);
    for (size_t i = 0; i < set->connections; i++)
        asyncio_release(asyncio_loop_create_task(loop, serve(ours, fds[i])));
    while (ours->open_streams < set->connections)
        step_loop(ours);
    return ours;
}

static void *open_on_epoll(const struct lockstep *set, const int *fds)
{
    return open_loop(set, fds, ASYNCIO_BACKEND_EPOLL);
}

static void *open_on_io_uring(const struct lockstep *set, const int *fds)
{
    return open_loop(set, fds, ASYNCIO_BACKEND_IO_URING);
}

static void close_loop(void *arg)
{
    struct ours *ours = arg;
    while (ours->open_streams)
        step_loop(ours);
    BENCH_CHECK(asyncio_loop_close(ours->loop) == 0);
    asyncio_loop_release(ours->loop);
    free(ours);
}

static const struct lockstep_server ours_on_epoll = {NULL, open_on_epoll, step_loop, close_loop};
static const struct lockstep_server ours_on_io_uring = {"-io_uring", open_on_io_uring, step_loop, close_loop};

static const struct lockstep_server *const kinds[] = {&lockstep_epoll, &lockstep_ring, &lockstep_ring_copy,
                                                      &ours_on_epoll, &ours_on_io_uring};
#define KINDS (sizeof kinds / sizeof kinds[0])
#define RUNS_MAX 5
#define ROUNDS_MAX 1000

/* ---- Clients ------------------------------------------------------------------------------- */

/* A server, and the other ends of its connections. */
struct party {
    const struct lockstep_server *kind;
    void *server;
    int *clients;
    size_t next; /* the client that the next round begins with */
    double best_ns, runs_ns[RUNS_MAX];
};

static const struct lockstep *set;
static char request[LOCKSTEP_BYTES_MAX], reply[LOCKSTEP_BYTES_MAX];

/* Room for a request and its answer, in the kernel. */
static void widen(int fd)
{
    int bytes = 4 * LOCKSTEP_BYTES_MAX, on = 1;
    if (set->bytes > 4096) {
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void connect_pairs(int *clients, int *servers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0);
    widen(listener);
    BENCH_CHECK(listen(listener, 16) == 0 &&
                getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    for (size_t i = 0; i < set->connections; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        BENCH_CHECK(clients[i] >= 0);
        widen(clients[i]);
        BENCH_CHECK(connect(clients[i], (struct sockaddr *)&address, length) == 0);
        servers[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        BENCH_CHECK(servers[i] >= 0);
        widen(servers[i]);
    }
    close(listener);
}

static bool open_party(struct party *party, const struct lockstep_server *kind)
{
    int *servers = calloc(set->connections, sizeof *servers);
    party->kind = kind;
    party->clients = calloc(set->connections, sizeof *party->clients);
    party->best_ns = 1e18;
    party->next = 0;
    BENCH_CHECK(servers && party->clients);
    connect_pairs(party->clients, servers);
    party->server = kind->open(set, servers);
    if (!party->server) {
        for (size_t i = 0; i < set->connections; i++) {
            close(servers[i]);
            close(party->clients[i]);
        }
        free(party->clients);
    }
    free(servers);
    return party->server != NULL;
}

static void close_party(struct party *party)
{
    for (size_t i = 0; i < set->connections; i++)
        close(party->clients[i]);
    party->kind->close(party->server);
    free(party->clients);
}

/* ---- Rounds --------------------------------------------------------------------------------- */

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What two looks at the clock cost by themselves: the least. */
static int64_t empty_ns(void)
{
    int64_t least_ns = INT64_MAX;
    for (int i = 0; i < 1000; i++) {
        int64_t began_ns = cpu_ns(), took_ns = cpu_ns() - began_ns;
        if (took_ns < least_ns)
            least_ns = took_ns;
    }
    return least_ns;
}

static int client_of(const struct party *party, size_t i)
{
    return party->clients[(party->next + i) % set->connections];
}

/* Takes what has come of the answers. Returns the number of bytes. */
static size_t collect_replies(const struct party *party)
{
    size_t total = 0;
    for (size_t i = 0; i < set->batch; i++) {
        ssize_t got;
        while ((got = recv(client_of(party, i), reply, set->bytes, MSG_DONTWAIT)) > 0) {
            BENCH_CHECK(memcmp(reply, request, 1) == 0);
            total += (size_t)got;
        }
        BENCH_CHECK(got < 0 && errno == EAGAIN);
    }
    return total;
}

/* Sends the rest of requests that did not fit at first. */
static void send_rest(const struct party *party, size_t *sent)
{
    for (size_t i = 0; i < set->batch; i++) {
        if (sent[i] == set->bytes)
            continue;
        ssize_t n = send(client_of(party, i), request + sent[i], set->bytes - sent[i], MSG_DONTWAIT);
        BENCH_CHECK(n >= 0 || errno == EAGAIN);
        sent[i] += n > 0 ? (size_t)n : 0;
    }
}

/* The time of the server for one request. */
static double take_round(struct party *party, int64_t clock_ns, size_t *sent)
{
    size_t left = set->batch * set->bytes;
    int64_t total_ns = 0;
    memset(sent, 0, set->batch * sizeof *sent);
    while (left) {
        send_rest(party, sent);
        int64_t began_ns = cpu_ns();
        party->kind->step(party->server);
        total_ns += cpu_ns() - began_ns - clock_ns;
        left -= collect_replies(party);
    }
    party->next = (party->next + set->batch) % set->connections;
    return (double)total_ns / (double)set->batch;
}

static void take_run(struct party *party, size_t run, size_t rounds)
{
    static double samples[ROUNDS_MAX];
    size_t *sent = calloc(set->batch, sizeof *sent);
    int64_t clock_ns = empty_ns();
    BENCH_CHECK(sent && rounds <= ROUNDS_MAX);
    for (size_t served = 0; served < set->connections; served += set->batch) /* touches all that is theirs */
        take_round(party, clock_ns, sent);
    for (size_t i = 0; i < rounds; i++)
        samples[i] = take_round(party, clock_ns, sent);
    qsort(samples, rounds, sizeof *samples, bench_compare);
    party->runs_ns[run] = samples[rounds / 20];
    if (party->runs_ns[run] < party->best_ns)
        party->best_ns = party->runs_ns[run];
    free(sent);
}

static void name_figure(const char *variant, const char *mark, char name[64])
{
    snprintf(name, 64, "%s%s%s", variant, mark && *mark != '-' ? "+" : "", mark ? mark : "");
}

static void measure_variant(const char *variant)
{
    struct lockstep own;
    struct party parties[KINDS];
    size_t count = 0, runs = bench_is_quick() ? 2 : RUNS_MAX;
    char name[64];
    BENCH_CHECK(sscanf(variant, "%zux%zux%zu", &own.bytes, &own.connections, &own.batch) == 3);
    BENCH_CHECK(own.bytes && own.bytes <= LOCKSTEP_BYTES_MAX && own.batch && own.batch <= own.connections);
    set = &own;
    size_t rounds = (bench_is_quick() ? 200u : 1000u) / (own.bytes > 4096 ? 5 : 1);
    if (own.batch >= 16)
        rounds /= 2;
    for (size_t i = 0; i < KINDS; i++) {
        if (open_party(&parties[count], kinds[i])) {
            count++;
            continue;
        }
        name_figure(variant, kinds[i]->mark, name);
        bench_print_none("lockstep", name, "io_uring cannot be used here");
    }
    for (size_t run = 0; run < runs; run++)
        for (size_t i = 0; i < count; i++)
            take_run(&parties[i], run, rounds);
    for (size_t i = 0; i < count; i++) {
        name_figure(variant, parties[i].kind->mark, name);
        double best_ns = parties[i].best_ns;
        bench_print("lockstep", name, best_ns, "ns", best_ns);
        close_party(&parties[i]);
    }
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    memset(request, 'x', sizeof request);
    BENCH_CHECK(argc > 2);
    if (bench_make_calls_dear()) {
        double call_ns = bench_call_ns();
        bench_print("lockstep", "call", call_ns, "ns", call_ns);
    }
    for (int i = 2; i < argc; i++)
        measure_variant(argv[i]);
    return 0;
}
