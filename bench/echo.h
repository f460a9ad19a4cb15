/*
 * The question `echo`, the same for all servers: what does one request cost the server in
 * processor time? A variant is CONNECTIONSxBYTES. For each, the server listens, starts
 * bench/echo_load, which asks from another processor and prints the figure, and serves until that one ends.
 */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include "bench.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* No request is larger. */
#define ECHO_BYTES_MAX 65536

/* How much a server of this variant reads at once: a request, and room to see that it is all. */
static inline size_t echo_room(const char *variant)
{
    size_t connections, bytes;
    BENCH_CHECK(sscanf(variant, "%zux%zu", &connections, &bytes) == 2);
    return bytes < ECHO_BYTES_MAX / 2 ? 2 * bytes : ECHO_BYTES_MAX;
}

static inline int echo_listen(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    BENCH_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0);
    BENCH_CHECK(listen(fd, 4096) == 0 && getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline void echo_no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Starts the load for a variant: BENCH_ECHO_LOAD PORT PID VARIANT. */
static inline pid_t echo_start_load(int port, const char *variant)
{
    char port_text[16], pid_text[16];
    const char *program = getenv("BENCH_ECHO_LOAD");
    BENCH_CHECK(program != NULL);
    snprintf(port_text, sizeof port_text, "%d", port);
    snprintf(pid_text, sizeof pid_text, "%d", (int)getpid());
    pid_t child = fork();
    BENCH_CHECK(child >= 0);
    if (child == 0) {
        execl(program, program, port_text, pid_text, variant, (char *)NULL);
        _exit(127);
    }
    return child;
}

static inline void echo_end_load(pid_t child)
{
    int status;
    BENCH_CHECK(waitpid(child, &status, 0) == child && status == 0);
}

#endif
