/*
 * Datagrams: making sockets, and the waiting calls on them. See asyncio/datagrams.h.
 *
 * A call keeps no pointer to the object while it waits, since the program may close it meanwhile.
 */
#include "asyncio/datagrams.h"
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "asyncio/sockets.h"
#include "base/assert.h"
#include "core/message.h"
#include "core/quarantine.h"
#include "fd/address.h"
#include "fd/lengths.h"
#include "fd/transfer.h"
#include "net/endpoint.h"
#include "net/server.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <string.h>
#include <sys/un.h>

static const char what_datagram[] = "datagram socket";

struct asyncio_datagram {
    const char *what; /* what_datagram; NULL: freed */
    asyncio_loop *loop;
    struct fd_record *record;
    int fd; /* -EBADF: the loop has closed, and the descriptor with it */
    struct fd_owner owner;
};

/* First in each public call. */
static void check_datagram(const asyncio_datagram *datagram, const char *call)
{
    asy_object_check(datagram->what, what_datagram, datagram->loop, call);
}

/* 0, or close(2)'s error. */
static int close_socket(asyncio_datagram *datagram)
{
    ASY_ASSERT(datagram->fd >= 0);
    list_remove(&datagram->owner.node);
    datagram->fd = -EBADF;
    return asy_fd_close(datagram->loop, datagram->record);
}

static void datagram_loop_closes(struct fd_owner *owner)
{
    close_socket(LIST_ENTRY(owner, asyncio_datagram, owner));
}

/* ---- Made of a descriptor ----------------------------------------------------------- */

/* The object owns the descriptor on success. The table forgets an earlier descriptor with this number. */
static int adopt_socket(asyncio_loop *loop, int fd, asyncio_datagram **out)
{
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return asy_fd_record_error(fd);
    asy_fd_record_reset(loop, record, NULL);
    int err = asy_fd_prepare(record);
    if (!err && !record->is_socket)
        err = -ENOTSOCK;
    asyncio_datagram *datagram = err ? NULL : asy_slab_alloc(sizeof *datagram);
    if (!datagram) {
        asy_fd_drop(loop, record); /* it stays the caller's, who may close it by other means */
        return err ? err : -ENOMEM;
    }
    *datagram = (asyncio_datagram){.what = what_datagram, .loop = loop, .record = record, .fd = fd};
    datagram->owner.loop_closes = datagram_loop_closes;
    asy_fd_own(loop, &datagram->owner);
    asy_loop_object_made(loop);
    *out = datagram;
    return 0;
}

int asyncio_datagram_from_fd(int fd, asyncio_datagram **datagram)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    return datagram ? adopt_socket(loop, fd, datagram) : -EINVAL;
}

/* ---- Opened -------------------------------------------------------------------------- */

/* The addresses that one call of asyncio_open_datagram has found. */
struct ends {
    const asyncio_datagram_options *options;
    struct addrinfo *locals, *remotes; /* NULL: not asked for */
};

/* "bind to 192.0.2.1:53: address already in use" */
static int raise_address_error(int err, const char *what, const struct sockaddr *address)
{
    char text[ASY_ADDRESS_TEXT], words[ASY_WORDS];
    asy_address_text(address, text);
    return (int)asyncio_raise(err, "%s %s: %s", what, text, asy_words(err, words));
}

static int set_datagram_options(int fd, const asyncio_datagram_options *options)
{
    int on = 1, err = 0;
    if (options->reuse_port > 0)
        err = asy_sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (!err && options->broadcast > 0)
        err = asy_sys_setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    return err;
}

static int bind_and_connect(const struct ends *ends, int fd, int family, const struct addrinfo *remote)
{
    int err = set_datagram_options(fd, ends->options);
    if (!err && ends->locals) {
        const struct sockaddr *local;
        err = asy_bind_to_any(fd, family, ends->locals, &local);
        if (err && local)
            raise_address_error(err, "bind to", local);
        else if (err)
            asyncio_raise(err, "the local and the remote address have no family in common");
    }
    if (!err && remote) {
        err = asy_sys_connect(fd, remote->ai_addr, remote->ai_addrlen);
        if (err)
            raise_address_error(err, "connect to", remote->ai_addr);
    }
    return err;
}

/* Closes a socket that the program never got, and removes the file that bind made. Here an abstract name, or
 * none, is the empty path. */
static void discard_socket(int fd)
{
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    memset(&name, 0, sizeof name);
    if (asy_sys_getsockname(fd, (struct sockaddr *)&name, &length) == 0 && name.sun_family == AF_UNIX)
        asy_sys_unlink(name.sun_path);
    asyncio_close(fd);
}

/* A descriptor, or an error with its message. */
static int open_socket(const struct ends *ends, int family, const struct addrinfo *remote)
{
    char words[ASY_WORDS];
    int fd = asy_sys_socket(family, SOCK_DGRAM, 0);
    if (fd < 0)
        return (int)asyncio_raise(fd, "open a datagram socket: %s", asy_words(fd, words));
    int err = bind_and_connect(ends, fd, family, remote);
    if (!err)
        return fd;
    discard_socket(fd);
    return err;
}

/* Tries the remote addresses until one works; without any, the families of the local ones. */
static int open_first(const struct ends *ends)
{
    int fd = -EINVAL;
    if (!ends->remotes && !ends->locals)
        return open_socket(ends, ends->options->family, NULL);
    for (const struct addrinfo *at = ends->remotes ? ends->remotes : ends->locals; at; at = at->ai_next) {
        fd = open_socket(ends, at->ai_family, ends->remotes ? at : NULL);
        if (fd >= 0 || fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
            break;
    }
    return fd;
}

static int open_by_name(const asyncio_address *local, const asyncio_address *remote,
                        const asyncio_datagram_options *options)
{
    struct ends ends = {.options = options};
    int err = local ? asy_look_up(local, options->family, SOCK_DGRAM, ASY_TO_BIND, &ends.locals) : 0;
    if (!err && remote)
        err = asy_look_up(remote, options->family, SOCK_DGRAM, ASY_TO_CONNECT, &ends.remotes);
    int fd = err ? err : open_first(&ends);
    if (ends.locals)
        freeaddrinfo(ends.locals);
    if (ends.remotes)
        freeaddrinfo(ends.remotes);
    return fd;
}

/* The same for paths, which are their own addresses. */
static int open_by_path(const asyncio_address *local, const asyncio_address *remote,
                        const asyncio_datagram_options *options)
{
    struct sockaddr_un names[2];
    struct addrinfo found[2] = {{.ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)&names[0]},
                                {.ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)&names[1]}};
    int err = local ? asy_unix_address(local->host, &names[0], &found[0].ai_addrlen) : 0;
    if (!err && remote)
        err = asy_unix_address(remote->host, &names[1], &found[1].ai_addrlen);
    if (err)
        return err;
    const struct ends ends = {
        .options = options, .locals = local ? &found[0] : NULL, .remotes = remote ? &found[1] : NULL};
    return open_first(&ends);
}

int asyncio_open_datagram(const asyncio_address *local, const asyncio_address *remote,
                          const asyncio_datagram_options *options, asyncio_datagram **datagram)
{
    static const asyncio_datagram_options defaults;
    asyncio_loop *loop = asy_running_loop;
    options = options ? options : &defaults;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!datagram || (!local && !remote && !options->family))
        return -EINVAL;
    int fd = options->family == AF_UNIX ? open_by_path(local, remote, options)
                                        : open_by_name(local, remote, options);
    if (fd < 0)
        return fd;
    int err = adopt_socket(loop, fd, datagram);
    if (err)
        discard_socket(fd);
    return err;
}

/* ---- One by one ------------------------------------------------------------------------ */

/* Checks the arguments. Returns the descriptor, or an error. */
static int begin_datagram_call(asyncio_datagram *datagram, const void *buf, size_t n, const char *call)
{
    if (!datagram || (!buf && n) || !asy_is_length(n))
        return -EINVAL;
    check_datagram(datagram, call);
    return datagram->fd;
}

static ssize_t receive_one(int fd, void *buf, size_t n, struct sockaddr *from, socklen_t *length)
{
    ssize_t got = asyncio_sock_recvfrom(fd, buf, n, MSG_TRUNC, from, length);
    if (got > 0 && (size_t)got > n)
        return asyncio_raise(-EMSGSIZE, "a datagram of %zd bytes does not fit into %zu", got, n);
    return got;
}

ssize_t asyncio_datagram_recvfrom(asyncio_datagram *datagram, void *buf, size_t n, struct sockaddr *from,
                                  socklen_t *length)
{
    int fd = begin_datagram_call(datagram, buf, n, __func__);
    return fd < 0 ? fd : receive_one(fd, buf, n, from, length);
}

ssize_t asyncio_datagram_recv(asyncio_datagram *datagram, void *buf, size_t n)
{
    int fd = begin_datagram_call(datagram, buf, n, __func__);
    return fd < 0 ? fd : receive_one(fd, buf, n, NULL, NULL);
}

ssize_t asyncio_datagram_send(asyncio_datagram *datagram, const void *buf, size_t n)
{
    int fd = begin_datagram_call(datagram, buf, n, __func__);
    return fd < 0 ? fd : asyncio_sock_send(fd, buf, n, 0);
}

ssize_t asyncio_datagram_sendto(asyncio_datagram *datagram, const void *buf, size_t n,
                                const struct sockaddr *to, socklen_t length)
{
    int fd = begin_datagram_call(datagram, buf, n, __func__);
    return fd < 0 ? fd : asyncio_sock_sendto(fd, buf, n, 0, to, length);
}

/* ---- Batches ------------------------------------------------------------------------------ */

/* The same for a batch. The result is an int, so more than INT_MAX is an error. */
static int begin_batch_call(asyncio_datagram *datagram, const struct mmsghdr *messages, unsigned count,
                            const char *call)
{
    return count > INT_MAX ? -EINVAL : begin_datagram_call(datagram, messages, count, call);
}

static ssize_t recvmmsg_waiting(int fd, struct mmsghdr *messages, unsigned count)
{
    TRANSFER(FD_READ, asy_sys_recvmmsg(fd, messages, count, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
}

int asyncio_datagram_recvmmsg(asyncio_datagram *datagram, struct mmsghdr *messages, unsigned count)
{
    int fd = begin_batch_call(datagram, messages, count, __func__);
    return fd < 0 ? fd : (int)recvmmsg_waiting(fd, messages, count);
}

static ssize_t sendmmsg_waiting(int fd, struct mmsghdr *messages, unsigned count)
{
    TRANSFER(FD_WRITE, asy_sys_sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* To Unix sockets. The kernel does not tell when a full receiver has room, so the first datagram waits as a
 * single one does, and the others do not wait. */
static int sendmmsg_unix(int fd, struct mmsghdr *messages, unsigned count)
{
    ssize_t sent = asyncio_sock_sendmsg(fd, &messages->msg_hdr, 0);
    if (sent < 0)
        return (int)sent;
    messages->msg_len = (unsigned)sent;
    int more = count > 1 ? asy_sys_sendmmsg(fd, messages + 1, count - 1, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    return more > 0 ? 1 + more : 1;
}

int asyncio_datagram_sendmmsg(asyncio_datagram *datagram, struct mmsghdr *messages, unsigned count)
{
    int fd = begin_batch_call(datagram, messages, count, __func__);
    if (fd < 0)
        return fd;
    const struct sockaddr *to = count ? messages->msg_hdr.msg_name : NULL;
    if (to && to->sa_family == AF_UNIX)
        return sendmmsg_unix(fd, messages, count);
    return (int)sendmmsg_waiting(fd, messages, count);
}

/* ---- Looked at, closed -------------------------------------------------------------------- */

int asyncio_datagram_sockname(asyncio_datagram *datagram, struct sockaddr *name, socklen_t *length)
{
    if (!datagram || !name || !length)
        return -EINVAL;
    check_datagram(datagram, __func__);
    return asy_sys_getsockname(datagram->fd, name, length);
}

int asyncio_datagram_peername(asyncio_datagram *datagram, struct sockaddr *name, socklen_t *length)
{
    if (!datagram || !name || !length)
        return -EINVAL;
    check_datagram(datagram, __func__);
    return asy_sys_getpeername(datagram->fd, name, length);
}

int asyncio_datagram_fd(asyncio_datagram *datagram)
{
    if (!datagram)
        return -EINVAL;
    check_datagram(datagram, __func__);
    return datagram->fd;
}

int asyncio_datagram_close(asyncio_datagram *datagram)
{
    if (!datagram)
        return 0;
    check_datagram(datagram, __func__);
    int err = datagram->fd < 0 ? 0 : close_socket(datagram);
    asyncio_loop *loop = datagram->loop;
    datagram->what = NULL;
    asy_object_free(loop, datagram, sizeof *datagram);
    asy_loop_object_freed(loop);
    return err;
}
