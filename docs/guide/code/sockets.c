/* The system calls that you know, without blocking other tasks. */
#include <asyncio.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

/* Listens on a free port, and stores its address. */
static int listen_somewhere(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)address, length) || listen(fd, 10))
        return -1;
    getsockname(fd, (struct sockaddr *)address, &length);
    return fd;
}

ASYNC(serve_one, int, listener)
{
    char block[64];
    int fd = asyncio_sock_accept(listener, NULL, NULL);
    if (fd < 0)
        return fd;
    ssize_t n;
    while ((n = asyncio_sock_recv(fd, block, sizeof block, 0)) > 0)
        n = asyncio_sock_sendall(fd, block, n, 0);
    asyncio_close(fd);
    return n;
}

ASYNC(ask, struct sockaddr_in *, address)
{
    char block[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ssize_t n = asyncio_sock_connect(fd, (struct sockaddr *)address, sizeof *address);
    if (n == 0)
        n = asyncio_sock_sendall(fd, "hello", 5, 0);
    if (n >= 0)
        n = asyncio_sock_recv(fd, block, sizeof block, 0);
    if (n >= 0)
        printf("%.*s\n", (int)n, block);
    asyncio_close(fd);
    return n;
}

ASYNC(async_main)
{
    struct sockaddr_in address;
    int listener = listen_somewhere(&address);
    int err = asyncio_gather(NULL, serve_one(listener), ask(&address));
    asyncio_close(listener);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
