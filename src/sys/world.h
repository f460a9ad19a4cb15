/*
 * The seam of a simulated world (src/sim): what each wrapper that takes a descriptor, a path or a name asks
 * before it enters the kernel.
 *
 * A world belongs to the thread that made it; in all other threads, and in programs without one, `asy_sim`
 * is NULL. Bit ASY_SEAM_WORLD of the byte that fault injection tests (sys.h) is set while any thread has a
 * world, so that production code tests one byte for both.
 */
#ifndef ASY_SYS_WORLD_H
#define ASY_SYS_WORLD_H

#include "base/compiler.h"
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

struct asy_sim_ops {
    /* Is the descriptor one of the world's? All functions below that take one are asked for those alone. */
    bool (*has)(int fd);
    /* The kernel has given this number to somebody else: a socket of the world that had it was closed by
     * close(2). Asked for all numbers that the library gets from the kernel. */
    void (*number_taken)(int fd);
    /* As the wrappers of sys.h and net.h, with their results. */
    int (*fd_kind)(int fd);
    int (*socket)(int family, int type, int protocol);
    int (*accept)(int fd, struct sockaddr *peer, socklen_t *length);
    int (*connect)(int fd, const struct sockaddr *to, socklen_t length);
    int (*bind)(int fd, const struct sockaddr *to, socklen_t length);
    int (*listen)(int fd, int backlog);
    int (*shutdown)(int fd, int how);
    int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *length);
    int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t length);
    int (*getsockname)(int fd, struct sockaddr *name, socklen_t *length);
    int (*getpeername)(int fd, struct sockaddr *name, socklen_t *length);
    int (*untaken)(int fd);
    ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
    ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
    int (*close)(int fd);
    /* The events of poll(2) that hold of these, POLLERR and POLLHUP always among them. */
    short (*look)(int fd, short events);
    /* Paths of Unix sockets: 1 for one that the world does not have, which is the kernel's. */
    int (*stat)(const char *path, struct stat *status);
    int (*unlink)(const char *path);
    int (*chmod)(const char *path, mode_t mode);
    /* As getaddrinfo and getnameinfo, with their results; and how long an answer takes. */
    int (*getaddrinfo)(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);
    int (*getnameinfo)(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_length,
                       char *service, socklen_t service_length, int flags);
    double (*lookup_delay)(const char *host);
    /* Memory of the library: a block was made (told again, perhaps, with a smaller size), is about to go. */
    void (*block_made)(uintptr_t block, size_t bytes);
    void (*block_gone)(uintptr_t block);
    /* For the virtual clock (backend/sim.c): as its attach and detach, ... */
    int (*attach)(int fd, uint64_t tag, uint32_t events, bool is_attached);
    void (*detach)(int fd);
    /* ... the time at which something happens next: at most the present if it has; INT64_MAX: never. */
    int64_t (*next_ns)(void);
    /* ... whether all that it would tell now are level-triggered events that were told before. */
    bool (*only_tells_again)(void);
    /* ... the clock reads this now: all that is due happens. */
    void (*advance)(int64_t now_ns);
    /* ... the events of descriptors that have come since; how many. */
    int (*take_events)(struct epoll_event *events, int max);
};

/* This thread's world. */
extern THREAD_LOCAL const struct asy_sim_ops *asy_sim;

/* Gives this thread a world, and takes it back. */
void asy_sim_enter(const struct asy_sim_ops *ops);
void asy_sim_leave(void);

/* Is the descriptor one of this thread's world? Reached only while the seam is in use. */
bool asy_sim_has(int fd);

/* Tells this thread's world, if it has one, of a descriptor that the kernel has made for the library. Reached
 * only while the seam is in use. */
void asy_sim_number_made(int fd);

/* Tell this thread's world, if it has one, of the library's memory: what a run leaves is a failure. Reached
 * only while the seam is in use, or for blocks that are seldom made. A block that is kept for later loops is
 * as good as gone. */
void asy_sim_block_made(const void *block, size_t bytes);
void asy_sim_block_gone(uintptr_t block);

/* ---- The same shapes for the wrappers' other calls, made of recvmsg and sendmsg ----------------------- */

ssize_t asy_sim_receive(int fd, const struct iovec *parts, size_t count, int flags, struct sockaddr *from,
                        socklen_t *length);
ssize_t asy_sim_send(int fd, const struct iovec *parts, size_t count, int flags, const struct sockaddr *to,
                     socklen_t length);
int asy_sim_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
int asy_sim_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t asy_sim_sendfile(int out, int in, off_t *offset, size_t count);

/* ---- What a world is made of ------------------------------------------------------------------------- */

/* Zeroed memory. Passes no fault seam, since the world stands in for the kernel; without memory it aborts. */
void *asy_sim_alloc(size_t bytes);
void *asy_sim_realloc(void *p, size_t bytes);
void asy_sim_free(void *p);
/* A descriptor of the root folder that no call but close and dup takes (O_PATH): all of a world's are its
 * duplicates, so that code that goes round the library gets -EBADF. */
int asy_sim_open_origin(void);
/* A duplicate, above the standard ones, or -EMFILE. */
int asy_sim_dup(int origin);
/* Is the number still one's? */
bool asy_sim_is_dup(int fd);
void asy_sim_close_real(int fd);
/* Writes to stderr. Passes no fault seam, so that a run is not changed by what is said of it. */
void asy_sim_say(const char *text, size_t bytes);

#endif
