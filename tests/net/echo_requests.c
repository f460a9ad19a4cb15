/*
 * Answers N requests of a client, a child process that asks one after the other,
 * with the sock_ calls: for tests/net/check-calls, which counts the system calls.
 *
 *     echo_requests N
 */
#include "asyncio.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int ask(const struct sockaddr_in *address, long requests)
{
    char block[64] = "request";
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)address, sizeof *address))
        return 1;
    for (long i = 0; i < requests; i++)
        if (send(fd, block, sizeof block, 0) != sizeof block ||
            recv(fd, block, sizeof block, MSG_WAITALL) <= 0)
            return 1;
    return 0;
}

ASYNC(async_main, int, listener)
{
    char block[4096];
    ssize_t n;
    int fd = asyncio_sock_accept(listener, NULL, NULL);
    if (fd < 0)
        return fd;
    while ((n = asyncio_sock_recv(fd, block, sizeof block, 0)) > 0) {
        n = asyncio_sock_sendall(fd, block, (size_t)n, 0);
        if (n < 0)
            break;
    }
    asyncio_close(fd);
    return n;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
    if (argc != 2 || bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&address, &length))
        return 2;
    pid_t child = fork();
    if (child == 0)
        _exit(ask(&address, atol(argv[1])));
    int failed = asyncio_main(async_main(listener));
    return waitpid(child, &status, 0) == child && status == 0 ? failed : 1;
}
