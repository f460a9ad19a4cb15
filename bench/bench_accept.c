/*
 * The question `accept`: what does a connection cost the server that brings a byte and is closed by the
 * server, in processor time, when exactly so many come at once (the variant)? As in `lockstep`, server and
 * clients share one thread, and only the server's steps are measured. The yardsticks are loops by hand:
 * `VARIANT+bare` on epoll, `VARIANT+m` on a ring, which accepts, receives and closes by it. Ours on io_uring
 * is `VARIANT-io_uring`.
 */
#include "bench.h"
#include "ring.h"

#include <arpa/inet.h>
#include <asyncio.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BATCH_MAX 64
#define RUNS_MAX 5
#define ROUNDS_MAX 500

/* A server of a listener, which it owns. `served`: connections that it has read and closed. */
struct server_kind {
    const char *mark;
    bool (*open)(int listener);
    void (*step)(void);
    void (*close)(void);
};

static size_t served;

static void serve_now(int fd)
{
    char byte;
    BENCH_CHECK(recv(fd, &byte, 1, 0) == 1);
    close(fd);
    served++;
}

/* ---- epoll by hand ------------------------------------------------------------------------- */

static int bare_listener, epfd;

static bool open_bare(int listener)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    bare_listener = listener;
    epfd = epoll_create1(EPOLL_CLOEXEC);
    BENCH_CHECK(epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &event) == 0);
    return true;
}

static void step_bare(void)
{
    struct epoll_event event;
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    int fd;
    if (epoll_wait(epfd, &event, 1, 0) < 1)
        return;
    while ((fd = accept4(bare_listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK)) >=
           0)
        serve_now(fd);
    BENCH_CHECK(errno == EAGAIN);
}

static void close_bare(void)
{
    close(epfd);
    close(bare_listener);
}

/* ---- A ring by hand ------------------------------------------------------------------------ */

/* The tag of a call is the number of its descriptor, times four, with what it does. */
enum { TAG_ACCEPT, TAG_RECEIVE, TAG_CLOSE };

static struct ring ring;
static int ring_listener;
static char ring_byte;

static struct io_uring_sqe *begin_call(int fd, int tag, uint8_t opcode)
{
    return ring_take(&ring, (void *)((uintptr_t)fd * 4 + (uintptr_t)tag), opcode, fd);
}

static void begin_accept(void)
{
    struct io_uring_sqe *sqe = begin_call(ring_listener, TAG_ACCEPT, IORING_OP_ACCEPT);
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
    sqe->accept_flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
}

static bool open_by_ring(int listener)
{
    ring = (struct ring){0};
    ring_listener = listener;
    if (!ring_open(&ring))
        return false;
    begin_accept();
    return true;
}

static void end_call(const struct io_uring_cqe *cqe)
{
    int fd = (int)(cqe->user_data / 4);
    BENCH_CHECK(cqe->res >= 0);
    switch (cqe->user_data & 3) {
    case TAG_ACCEPT: {
        struct io_uring_sqe *sqe = begin_call(cqe->res, TAG_RECEIVE, IORING_OP_RECV);
        sqe->addr = (uintptr_t)&ring_byte;
        sqe->len = 1;
        if (!(cqe->flags & IORING_CQE_F_MORE))
            begin_accept();
        break;
    }
    case TAG_RECEIVE:
        begin_call(fd, TAG_CLOSE, IORING_OP_CLOSE);
        break;
    default:
        served++;
        break;
    }
}

static void step_by_ring(void)
{
    struct io_uring_cqe cqe;
    ring_enter(&ring, 0);
    while (ring_reap(&ring, &cqe))
        end_call(&cqe);
}

static void close_by_ring(void)
{
    ring_close(&ring);
    close(ring_listener);
}

/* ---- Ours ---------------------------------------------------------------------------------- */

static struct ours {
    asyncio_loop *loop;
    asyncio_server *server;
    bool is_ready;
} on_epoll, on_io_uring;

ASYNC(serve, asyncio_stream *, stream)
{
    char byte;
    BENCH_CHECK(asyncio_stream_read(stream, &byte, 1) == 1);
    int err = asyncio_stream_close(stream);
    served++;
    return err;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

ASYNC(start, struct ours *, ours, int, listener)
{
    asyncio_server_options options = {.backlog = 2 * BATCH_MAX};
    BENCH_CHECK(asyncio_start_server_on(listener, handler, NULL, &options, &ours->server) == 0);
    ours->is_ready = true;
    return 0;
}

static void step_ours(struct ours *ours)
{
    BENCH_CHECK(asyncio_loop_run_once(ours->loop, 0) == 0);
}

static bool open_ours(struct ours *ours, int listener, asyncio_backend backend)
{
    asyncio_run_options options = {.backend = backend};
    ours->loop = asyncio_loop_new(&options);
    if (!ours->loop)
        return false;
    asyncio_release(asyncio_loop_create_task(ours->loop, start(ours, listener)));
    for (int i = 0; i < 10 || !ours->is_ready; i++)
        step_ours(ours);
    return true;
}

static void close_ours(struct ours *ours)
{
    asyncio_server_release(ours->server);
    BENCH_CHECK(asyncio_loop_close(ours->loop) == 0);
    asyncio_loop_release(ours->loop);
    *ours = (struct ours){0};
}

static bool open_on_epoll(int listener)
{
    return open_ours(&on_epoll, listener, ASYNCIO_BACKEND_EPOLL);
}

static bool open_on_io_uring(int listener)
{
    return open_ours(&on_io_uring, listener, ASYNCIO_BACKEND_IO_URING);
}

static void step_on_epoll(void)
{
    step_ours(&on_epoll);
}

static void step_on_io_uring(void)
{
    step_ours(&on_io_uring);
}

static void close_on_epoll(void)
{
    close_ours(&on_epoll);
}

static void close_on_io_uring(void)
{
    close_ours(&on_io_uring);
}

static const struct server_kind kinds[] = {
    {"+bare", open_bare, step_bare, close_bare},
    {"+m", open_by_ring, step_by_ring, close_by_ring},
    {"", open_on_epoll, step_on_epoll, close_on_epoll},
    {"-io_uring", open_on_io_uring, step_on_io_uring, close_on_io_uring},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

/* ---- Clients ------------------------------------------------------------------------------- */

struct party {
    const struct server_kind *kind;
    struct sockaddr_in address;
    double best_ns;
};

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool open_party(struct party *party, const struct server_kind *kind)
{
    socklen_t length = sizeof party->address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *party = (struct party){.kind = kind, .best_ns = 1e18};
    party->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    BENCH_CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&party->address, length) == 0);
    BENCH_CHECK(listen(listener, 2 * BATCH_MAX) == 0);
    BENCH_CHECK(getsockname(listener, (struct sockaddr *)&party->address, &length) == 0);
    if (kind->open(listener))
        return true;
    close(listener);
    return false;
}

static int come(const struct party *party)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BENCH_CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&party->address, sizeof party->address) == 0);
    BENCH_CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
    return fd;
}

/* The server has closed it: a reset leaves nothing of it behind. */
static void leave(int fd)
{
    struct linger linger = {.l_onoff = 1};
    char byte;
    BENCH_CHECK(recv(fd, &byte, 1, 0) == 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

static double take_round(const struct party *party, size_t batch)
{
    int clients[BATCH_MAX];
    int64_t total_ns = 0;
    for (size_t i = 0; i < batch; i++)
        clients[i] = come(party);
    served = 0;
    while (served < batch) {
        int64_t began_ns = cpu_ns();
        party->kind->step();
        total_ns += cpu_ns() - began_ns;
    }
    for (size_t i = 0; i < batch; i++)
        leave(clients[i]);
    return (double)total_ns / (double)batch;
}

static void take_run(struct party *party, size_t batch, size_t rounds)
{
    static double samples[ROUNDS_MAX];
    for (size_t i = 0; i < 5; i++)
        take_round(party, batch);
    for (size_t i = 0; i < rounds; i++)
        samples[i] = take_round(party, batch);
    qsort(samples, rounds, sizeof *samples, bench_compare);
    if (samples[rounds / 20] < party->best_ns)
        party->best_ns = samples[rounds / 20];
}

static void measure_variant(const char *variant)
{
    struct party parties[KINDS];
    size_t count = 0, batch = strtoul(variant, NULL, 10), runs = bench_is_quick() ? 2 : RUNS_MAX;
    char name[64];
    BENCH_CHECK(batch && batch <= BATCH_MAX);
    for (size_t i = 0; i < KINDS; i++) {
        snprintf(name, sizeof name, "%s%s", variant, kinds[i].mark);
        if (open_party(&parties[count], &kinds[i]))
            count++;
        else
            bench_print_none("accept", name, "io_uring cannot be used here");
    }
    for (size_t run = 0; run < runs; run++)
        for (size_t i = 0; i < count; i++)
            take_run(&parties[i], batch, (bench_is_quick() ? 100u : ROUNDS_MAX) / (batch > 4 ? 4 : 1));
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s%s", variant, parties[i].kind->mark);
        bench_print("accept", name, parties[i].best_ns, "ns", parties[i].best_ns);
        parties[i].kind->close();
    }
}

int main(int argc, char **argv)
{
    BENCH_CHECK(argc > 2);
    for (int i = 2; i < argc; i++)
        measure_variant(argv[i]);
    return 0;
}
