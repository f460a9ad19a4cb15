/* A Unix socket carries more than bytes: here an open file. */
#include <asyncio.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one descriptor, aligned as it must be. */
union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
};

static ssize_t send_descriptor(int socket, int fd)
{
    union control control = {0};
    struct iovec part = {"x", 1}; /* at least one byte must go with it */
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return asyncio_sock_sendmsg(socket, &message, 0);
}

static ssize_t receive_descriptor(int socket, int *fd)
{
    union control control;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t n = asyncio_sock_recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return n ? n : ASYNCIO_EINCOMPLETE;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        return -EPROTO; /* a peer may send what it likes */
    memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return 0;
}

ASYNC(give, int, socket)
{
    int fd = open("note", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dprintf(fd, "written before it was passed on");
    lseek(fd, 0, SEEK_SET);
    ssize_t n = send_descriptor(socket, fd);
    asyncio_close(fd); /* the other side has its own */
    return n;
}

ASYNC(take, int, socket)
{
    char text[64];
    int fd;
    ssize_t n = receive_descriptor(socket, &fd);
    if (n < 0)
        return n;
    n = asyncio_read(fd, text, sizeof text);
    printf("%.*s\n", (int)n, text);
    return asyncio_close(fd);
}

ASYNC(async_main)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -1;
    int err = asyncio_gather(NULL, give(ends[0]), take(ends[1]));
    asyncio_close(ends[0]);
    asyncio_close(ends[1]);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
