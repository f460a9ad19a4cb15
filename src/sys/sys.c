/*
 * The fault seam, and the wrappers of sys.h.
 */
#include "sys/sys.h"
#include "base/sanitizer.h"
#include "sys/kernel_call.h"
#include "sys/ticks.h"
#include "sys/world.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* on every architecture that we run on */
#endif

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define KERNEL_SIGSET_BYTES 8

/* ---- Memory --------------------------------------------------------------- */

/* The block, with errno as it was before the allocator failed. */
static void *allocation_result(void *p, size_t bytes, int saved_errno)
{
    if (UNLIKELY(!p))
        errno = saved_errno;
    else if (ASY_SEAM())
        asy_sim_block_made(p, bytes);
    return p;
}

void *asy_sys_alloc(size_t bytes)
{
    if (ASY_FAULT("alloc"))
        return NULL;
    int saved = errno;
    return allocation_result(malloc(bytes ? bytes : 1), bytes, saved);
}

void *asy_sys_calloc(size_t count, size_t bytes)
{
    if (ASY_FAULT("calloc"))
        return NULL;
    int saved = errno;
    return allocation_result(count && bytes ? calloc(count, bytes) : calloc(1, 1), count * bytes, saved);
}

void *asy_sys_alloc_aligned(size_t alignment, size_t bytes)
{
    if (ASY_FAULT("alloc_aligned"))
        return NULL;
    int saved = errno;
    void *p = NULL;
    if (posix_memalign(&p, alignment, bytes ? bytes : 1) != 0)
        p = NULL;
    return allocation_result(p, bytes, saved);
}

void *asy_sys_realloc(void *p, size_t bytes)
{
    if (ASY_FAULT("realloc"))
        return NULL;
    int saved = errno;
    volatile uintptr_t old = (uintptr_t)p; /* a number, since the block is gone when it is looked at */
    p = realloc(p, bytes ? bytes : 1);
    if (p && ASY_SEAM())
        asy_sim_block_gone(old);
    return allocation_result(p, bytes, saved);
}

void asy_sys_free(void *p)
{
    if (ASY_SEAM())
        asy_sim_block_gone((uintptr_t)p);
    free(p);
}

int asy_sys_map_file(int fd, size_t bytes, uint64_t offset, void **out)
{
    if (ASY_FAULT("map_file"))
        return -ENOMEM;
    int saved = errno;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    int err = p == MAP_FAILED ? -errno : 0;
    errno = saved;
    if (!err)
        *out = p;
    return err;
}

void *asy_sys_map(size_t bytes)
{
    if (ASY_FAULT("map"))
        return NULL;
    int saved = errno;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p == MAP_FAILED)
        p = NULL;
    else
        (void)madvise(p, bytes, MADV_NOHUGEPAGE); /* fails where the kernel has no huge pages */
    errno = saved;
    return p;
}

void asy_sys_unmap(void *p, size_t bytes)
{
    int saved = errno;
    (void)munmap(p, bytes);
    errno = saved;
}

int asy_sys_madvise(void *p, size_t bytes, int advice)
{
    KERNEL_INT("madvise", -ENOMEM, madvise(p, bytes, advice));
}

int asy_sys_mprotect(void *p, size_t bytes, int protection)
{
    KERNEL_INT("mprotect", -ENOMEM, mprotect(p, bytes, protection));
}

int asy_sys_mincore(void *p, size_t bytes, unsigned char *vec)
{
    KERNEL_INT("mincore", -EAGAIN, mincore(p, bytes, vec));
}

bool asy_sys_is_readable(const void *p)
{
    /* The kernel compares the word and, with no time to wait, returns at once. No other call reads memory
     * without needing a descriptor or a privilege. */
    static const struct timespec no_time;
    int saved = errno;
    long result = syscall(SYS_futex, p, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, &no_time, NULL, 0);
    return kernel_result(result, saved) != -EFAULT;
}

bool asy_sys_peek(void *to, const void *from, size_t bytes)
{
    struct iovec here = {to, bytes}, there = {(void *)(uintptr_t)from, bytes};
    int saved = errno;
    ssize_t n = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    errno = saved;
    return n == (ssize_t)bytes;
}

size_t asy_sys_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- Time, randomness, identity ------------------------------------------- */

HOT int64_t asy_sys_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t asy_sys_wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

bool asy_sys_has_ticks(void)
{
#if defined(__x86_64__)
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1 << 8); /* "invariant TSC" */
#elif defined(__aarch64__)
    return true;
#else
    return false;
#endif
}

uint64_t asy_sys_random(void)
{
    uint64_t value;
    int saved = errno;
    if (ASY_FAULT("random") || getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value)
        value = (uint64_t)asy_sys_now_ns() * UINT64_C(0x9e3779b97f4a7c15) ^ (uintptr_t)&value;
    errno = saved;
    return value;
}

bool asy_sys_is_main_thread(void)
{
    return getpid() == gettid();
}

int asy_sys_gettid(void)
{
    return gettid();
}

int64_t asy_sys_own_sleeps(void)
{
    struct rusage usage;
    int saved = errno;
    int err = getrusage(RUSAGE_THREAD, &usage);
    errno = saved;
    return err ? 0 : (int64_t)usage.ru_nvcsw - usage.ru_majflt;
}

/* ---- Descriptors ---------------------------------------------------------- */

static int move_above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int err = errno;
    close(fd);
    errno = err;
    return higher;
}

int asy_sys_above_standard(int fd)
{
    fd = move_above_standard(fd);
    if (ASY_SEAM())
        asy_sim_number_made(fd);
    return fd;
}

int asy_sys_epoll_create(void)
{
    KERNEL_INT("epoll_create", -EMFILE, asy_sys_above_standard(epoll_create1(EPOLL_CLOEXEC)));
}

int asy_sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    KERNEL_INT("epoll_ctl", -ENOMEM, epoll_ctl(epfd, op, fd, event));
}

static int timeout_ms(int64_t timeout_ns)
{
    if (timeout_ns <= 0)
        return timeout_ns < 0 ? -1 : 0;
    int64_t ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

HOT int asy_sys_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns)
{
    static bool lacks_pwait2;

    if (ASY_FAULT("epoll_wait") && !asy_fault.sticky) /* no kernel is interrupted for ever */
        return -EINTR;
    int saved = errno;
    /* The plain call serves whole milliseconds, above all 0. Valgrind would complain of a call that it does
     * not know. */
    if (timeout_ns > 0 && timeout_ns % NS_PER_MS != 0 && !RUNNING_ON_VALGRIND &&
        !__atomic_load_n(&lacks_pwait2, __ATOMIC_RELAXED)) {
        struct timespec timeout = {.tv_sec = timeout_ns / NS_PER_S, .tv_nsec = timeout_ns % NS_PER_S};
        long result = kernel_result(
            syscall(SYS_epoll_pwait2, epfd, events, max, &timeout, NULL, KERNEL_SIGSET_BYTES), saved);
        /* System call filters that are older than the call answer EPERM. */
        if (result != -ENOSYS && result != -EPERM)
            return (int)result;
        /* Relaxed: nothing is published with the flag. A thread that does not see it yet tries once more. */
        __atomic_store_n(&lacks_pwait2, true, __ATOMIC_RELAXED);
    }
    return (int)kernel_result(epoll_wait(epfd, events, max, timeout_ms(timeout_ns)), saved);
}

int asy_sys_eventfd(void)
{
    KERNEL_INT("eventfd", -EMFILE, asy_sys_above_standard(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)));
}

ssize_t asy_sys_read(int fd, void *buf, size_t n)
{
    SOCKET_AGAIN(fd, "read", -EIO, asy_sim_receive(fd, &(struct iovec){buf, n}, 1, 0, NULL, NULL),
                 read(fd, buf, n));
}

void asy_sys_eventfd_signal(int fd)
{
    const uint64_t one = 1;
    int saved = errno;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

bool asy_sys_eventfd_clear(int fd)
{
    uint64_t count;
    int saved = errno;
    bool was_signalled = read(fd, &count, sizeof count) == sizeof count;
    errno = saved;
    return was_signalled;
}

ssize_t asy_sys_write(int fd, const void *buf, size_t n)
{
    SOCKET_AGAIN(fd, "write", -EIO,
                 asy_sim_send(fd, &(struct iovec){(void *)(uintptr_t)buf, n}, 1, 0, NULL, 0),
                 write(fd, buf, n));
}

int asy_sys_close(int fd)
{
    if (ASY_SEAM() && asy_sim_has(fd))
        return asy_sim->close(fd);
    int saved = errno;
    int result = (int)kernel_result(close(fd), saved);
    return result == -EINTR ? 0 : result; /* Linux has closed it nevertheless */
}

/* ---- Signals -------------------------------------------------------------- */

int asy_sys_sigaction(int signo, const struct sigaction *act, struct sigaction *old)
{
    KERNEL_INT("sigaction", -EINVAL, sigaction(signo, act, old));
}

void asy_sys_sigaction_back(int signo, void (*handler)(int), const struct sigaction *old)
{
    struct sigaction now;
    int saved = errno;
    if (sigaction(signo, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == handler)
        (void)sigaction(signo, old, NULL);
    errno = saved;
}

/* A call that only asks passes no fault seam: it cannot fail. */
int asy_sys_sigaltstack(const stack_t *stack, stack_t *old)
{
    if (stack && ASY_FAULT("sigaltstack"))
        return -ENOMEM;
    int saved = errno;
    return (int)kernel_result(sigaltstack(stack, old), saved);
}

bool asy_sys_sigaltstack_back(const void *ours, const stack_t *old)
{
    stack_t now;
    int saved = errno;
    bool is_ours = sigaltstack(NULL, &now) == 0 && now.ss_sp == ours;
    bool is_in_use = is_ours && sigaltstack(old, NULL) != 0;
    errno = saved;
    return !is_in_use;
}

void asy_sys_raise(int signo)
{
    int saved = errno;
    (void)raise(signo);
    errno = saved;
}
