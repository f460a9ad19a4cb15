/*
 * The seam of a simulated world. See world.h.
 */
#include "sys/world.h"
#include "sys/kernel_call.h"
#include "sys/short_lock.h"
#include "sys/sys.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

THREAD_LOCAL const struct asy_sim_ops *asy_sim;

/* How many threads have a world; the lock holds it and the bit together. */
static unsigned worlds;
static struct asy_short_lock worlds_lock;

void asy_sim_enter(const struct asy_sim_ops *ops)
{
    asy_sim = ops;
    short_lock_take(&worlds_lock);
    if (worlds++ == 0)
        asy_seam_set(ASY_SEAM_WORLD);
    short_lock_leave(&worlds_lock);
}

void asy_sim_leave(void)
{
    asy_sim = NULL;
    short_lock_take(&worlds_lock);
    if (--worlds == 0)
        asy_seam_clear(ASY_SEAM_WORLD);
    short_lock_leave(&worlds_lock);
}

COLD bool asy_sim_has(int fd)
{
    return asy_sim && asy_sim->has(fd);
}

COLD void asy_sim_number_made(int fd)
{
    if (asy_sim)
        asy_sim->number_taken(fd);
}

COLD void asy_sim_block_made(const void *block, size_t bytes)
{
    if (asy_sim)
        asy_sim->block_made((uintptr_t)block, bytes);
}

COLD void asy_sim_block_gone(uintptr_t block)
{
    if (asy_sim && block)
        asy_sim->block_gone(block);
}

/* ---- Shapes of calls -------------------------------------------------------- */

COLD ssize_t asy_sim_receive(int fd, const struct iovec *parts, size_t count, int flags,
                             struct sockaddr *from, socklen_t *length)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
    if (from && length) {
        message.msg_name = from;
        message.msg_namelen = *length;
    }
    ssize_t n = asy_sim->recvmsg(fd, &message, flags);
    if (n >= 0 && from && length)
        *length = message.msg_namelen;
    return n;
}

COLD ssize_t asy_sim_send(int fd, const struct iovec *parts, size_t count, int flags,
                          const struct sockaddr *to, socklen_t length)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = count};
    if (to) {
        message.msg_name = (void *)(uintptr_t)to;
        message.msg_namelen = length;
    }
    return asy_sim->sendmsg(fd, &message, flags);
}

COLD int asy_sim_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned done = 0;
    ssize_t n = 0;
    while (done < count && (n = asy_sim->recvmsg(fd, &messages[done].msg_hdr, flags)) >= 0)
        messages[done++].msg_len = (unsigned)n;
    return done ? (int)done : (int)n;
}

COLD int asy_sim_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned done = 0;
    ssize_t n = 0;
    while (done < count && (n = asy_sim->sendmsg(fd, &messages[done].msg_hdr, flags)) >= 0)
        messages[done++].msg_len = (unsigned)n;
    return done ? (int)done : (int)n;
}

#define PIECE_BYTES 16384

COLD ssize_t asy_sim_sendfile(int out, int in, off_t *offset, size_t count)
{
    char *piece = asy_sim_alloc(PIECE_BYTES);
    int saved = errno;
    off_t at = offset ? *offset : lseek(in, 0, SEEK_CUR);
    ssize_t n = pread(in, piece, count < PIECE_BYTES ? count : PIECE_BYTES, at);
    n = kernel_result(n, saved);
    if (n > 0) {
        struct iovec part = {piece, (size_t)n};
        n = asy_sim_send(out, &part, 1, 0, NULL, 0);
    }
    if (n > 0 && offset)
        *offset = at + n;
    else if (n > 0)
        lseek(in, at + n, SEEK_SET);
    asy_sim_free(piece);
    return n;
}

/* ---- Memory and descriptors ---------------------------------------------------- */

void asy_sim_say(const char *text, size_t bytes)
{
    int saved = errno;
    ssize_t written = write(STDERR_FILENO, text, bytes);
    (void)written;
    errno = saved;
}

static COLD _Noreturn void fail_without_memory(void)
{
    static const char words[] = "asyncio: no memory for the simulated world\n";
    asy_sim_say(words, sizeof words - 1);
    abort();
}

void *asy_sim_alloc(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p)
        fail_without_memory();
    return p;
}

void *asy_sim_realloc(void *p, size_t bytes)
{
    p = realloc(p, bytes ? bytes : 1);
    if (!p)
        fail_without_memory();
    return p;
}

void asy_sim_free(void *p)
{
    free(p);
}

int asy_sim_open_origin(void)
{
    int saved = errno;
    return (int)kernel_result(asy_sys_above_standard(open("/", O_PATH | O_CLOEXEC)), saved);
}

int asy_sim_dup(int origin)
{
    int saved = errno;
    return (int)kernel_result(fcntl(origin, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), saved);
}

bool asy_sim_is_dup(int fd)
{
    int saved = errno;
    long flags = syscall(SYS_fcntl, fd, F_GETFL); /* a program may have an fcntl of its own */
    errno = saved;
    return flags >= 0 && (flags & O_PATH);
}

void asy_sim_close_real(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
}
