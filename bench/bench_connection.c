/*
 * connection: what memory does an idle connection take in the server's process? A variant is
 * their number, with a stream and a handler that waits; or parked-NUMBER, parked after a
 * request, which prints kernel-NUMBER, too: what the kernel keeps for both ends. Processes of
 * their own make the connections. Where there are more than a process can have descriptors,
 * or one server can have ports, there are several servers.
 */
#include "echo.h"

#include <asyncio.h>
#include <sys/resource.h>

/* From half of the ports on, the kernel looks long for one that is free. */
#define CONNECTIONS_MAX 14000

static size_t answered; /* or waiting */

ASYNC(serve, asyncio_stream *, stream)
{
    char *line;
    answered++;
    return asyncio_stream_readline(stream, &line);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

ASYNC(serve_and_park, asyncio_stream *, stream)
{
    char buf[64];
    ssize_t n = asyncio_stream_read(stream, buf, sizeof buf);
    if (n <= 0)
        return n;
    int err = asyncio_stream_write(stream, buf, (size_t)n);
    answered++;
    return err ? err : ASYNCIO_PARK;
}

static asyncio_coro *parking_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve_and_park(stream);
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    BENCH_CHECK(file && fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Connects, has an answer where there is one, and stays until the pipe is closed. */
static void be_client(int port, size_t count, int is_parked, int pipe_end)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    char byte = 'x';
    for (size_t i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        BENCH_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
        BENCH_CHECK(!is_parked || (write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1));
    }
    _exit(read(pipe_end, &byte, 1) != 0);
}

static pid_t start_clients(int port, size_t count, int is_parked, int *hold)
{
    int fds[2];
    BENCH_CHECK(pipe(fds) == 0);
    pid_t child = fork();
    BENCH_CHECK(child >= 0);
    if (child == 0) {
        close(fds[1]);
        be_client(port, count, is_parked, fds[0]);
    }
    close(fds[0]);
    *hold = fds[1];
    return child;
}

/* One server and its clients. */
struct share {
    size_t count;
    int is_parked;
    int report, hold; /* the figure goes into one; the end of the other ends all */
};

ASYNC(measure_share, struct share *, share)
{
    int port, listener = echo_listen(&port), hold, status;
    char byte;
    asyncio_server_options options = {.backlog = 4096};
    asyncio_server *server;
    BENCH_CHECK(asyncio_start_server_on(listener, share->is_parked ? parking_handler : handler, NULL,
                                        &options, &server) == 0);
    size_t before = resident_bytes();
    pid_t child = start_clients(port, share->count, share->is_parked, &hold);
    for (int i = 0; answered < share->count && i < 12000; i++)
        asyncio_sleep(0.01);
    BENCH_CHECK(answered == share->count);
    double each = (double)(resident_bytes() - before) / (double)share->count;
    BENCH_CHECK(write(share->report, &each, sizeof each) == sizeof each && read(share->hold, &byte, 1) == 0);
    close(hold);
    BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
    asyncio_server_close(server);
    asyncio_server_wait_closed(server, 5);
    asyncio_server_release(server);
    return 0;
}

/* Measures in as many processes as it takes. Returns what a process holds for each, and stores what
 * the kernel does. */
static double measure(size_t count, int is_parked, size_t most, double *kernel)
{
    int report[2], hold[2], status;
    double sum = 0, each;
    size_t processes = (count + most - 1) / most;
    BENCH_CHECK(pipe(report) == 0 && pipe(hold) == 0);
    int64_t slab = bench_read_kib("/proc/meminfo", "Slab:");
    fflush(stdout);
    for (size_t i = 0; i < processes; i++) {
        pid_t pid = fork();
        BENCH_CHECK(pid >= 0);
        if (pid == 0) {
            struct share share = {count / processes + (i < count % processes), is_parked, report[1], hold[0]};
            close(hold[1]);
            _exit(asyncio_run(measure_share(&share)) != 0);
        }
    }
    close(report[1]);
    for (size_t i = 0; i < processes; i++) {
        BENCH_CHECK(read(report[0], &each, sizeof each) == sizeof each);
        sum += each;
    }
    *kernel = (double)(bench_read_kib("/proc/meminfo", "Slab:") - slab) / (double)count;
    close(hold[1]);
    for (size_t i = 0; i < processes; i++)
        BENCH_CHECK(wait(&status) > 0 && status == 0);
    close(report[0]);
    close(hold[0]);
    return sum / (double)processes;
}

/* Returns how many connections a process can have. */
static size_t most_of_a_process(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    BENCH_CHECK(limit.rlim_cur > 200);
    return limit.rlim_cur - 100 < CONNECTIONS_MAX ? limit.rlim_cur - 100 : CONNECTIONS_MAX;
}

/* Prints the figures of one variant. */
static void show(const char *variant, size_t most)
{
    const char *dash = strchr(variant, '-');
    size_t count = (size_t)atol(dash ? dash + 1 : variant);
    char of_kernel[64];
    double kernel;
    snprintf(of_kernel, sizeof of_kernel, "kernel-%zu", count);
    if (!bench_has_room(count, 20 * 1024)) {
        bench_print_none("connection", variant, "not enough memory in this machine");
        return;
    }
    double each = measure(count, dash != NULL, most, &kernel);
    bench_print("connection", variant, each, "B", each);
    if (dash)
        bench_print("connection", of_kernel, kernel, "B", kernel);
}

int main(int argc, char **argv)
{
    size_t most = most_of_a_process();
    for (int i = 2; i < argc; i++)
        show(argv[i], most);
    return 0;
}
