/*
 * connection: what memory does a connection take in the server's process, with a stream and
 * a handler that waits? A variant is their number. Another process makes the
 * connections; what the kernel keeps for them is not counted.
 */
#include "echo.h"

#include <asyncio.h>
#include <sys/resource.h>

static size_t waiting;

ASYNC(serve, asyncio_stream *, stream)
{
    char *line;
    waiting++;
    ssize_t n = asyncio_stream_readline(stream, &line);
    waiting--;
    return n;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    BENCH_CHECK(file && fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Connects, and stays until the pipe is closed. */
static void be_client(int port, size_t count, int pipe_end)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    char byte;
    for (size_t i = 0; i < count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        BENCH_CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    }
    _exit(read(pipe_end, &byte, 1) != 0);
}

ASYNC(measure, const char *, variant)
{
    int port, fds[2], listener = echo_listen(&port), status;
    size_t count = (size_t)atol(variant);
    asyncio_server_options options = {.backlog = 4096};
    asyncio_server *server;
    BENCH_CHECK(asyncio_start_server_on(listener, handler, NULL, &options, &server) == 0 && pipe(fds) == 0);
    pid_t child = fork();
    BENCH_CHECK(child >= 0);
    if (child == 0) {
        close(fds[1]);
        be_client(port, count, fds[0]);
    }
    close(fds[0]);
    size_t before = resident_bytes();
    for (int i = 0; waiting < count && i < 2000; i++)
        asyncio_sleep(0.01);
    BENCH_CHECK(waiting == count);
    double each = (double)(resident_bytes() - before) / (double)count;
    close(fds[1]);
    BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
    asyncio_server_close(server);
    asyncio_server_wait_closed(server, 5);
    asyncio_server_release(server);
    bench_print("connection", variant, each, "B", each);
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 2; i < argc; i++) {
        if (limit.rlim_cur < (size_t)atol(argv[i]) + 50)
            bench_print_none("connection", argv[i], "RLIMIT_NOFILE is too low");
        else
            BENCH_CHECK(asyncio_run(measure(argv[i])) == 0);
    }
    return 0;
}
