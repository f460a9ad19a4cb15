/*
 * The wrappers of sys.h. Each one first passes the fault seam, then calls libc,
 * and turns libc's -1 into the kernel's negative number. errno stays as it
 * was: another task may be about to read its own.
 */
#include "sys/sys.h"
#include "base/compiler.h"
#include "base/sanitizer.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441 /* on every architecture that we run on */
#endif

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define KERNEL_SIGSET_BYTES 8

/* ---- The fault seam ------------------------------------------------------- */

struct asy_fault asy_fault;

COLD bool asy_fault_hit(const char *call)
{
    if (!atomic_load_explicit(&asy_fault.armed, memory_order_acquire)) /* not any more; else all is set */
        return false;
    uint64_t n = atomic_fetch_add(&asy_fault.calls, 1) + 1, at = asy_fault.fail_at;
    if (at == 0 || n < at || (n > at && !asy_fault.sticky))
        return false;
    asy_fault.failed = call;
    return true;
}

void asy_fault_arm(uint64_t fail_at, bool sticky)
{
    asy_fault.sticky = sticky;
    asy_fault.fail_at = fail_at;
    asy_fault.failed = NULL;
    asy_fault.calls = 0;
    asy_fault.armed = true;
}

uint64_t asy_fault_disarm(void)
{
    asy_fault.armed = false;
    return asy_fault.calls;
}

/* What libc returned, as the kernel had put it; `saved` is errno from before. */
static long kernel_result(long result, int saved)
{
    if (LIKELY(result >= 0))
        return result;
    result = -errno;
    errno = saved;
    return result;
}

static int kernel_status(int result, int saved)
{
    return (int)kernel_result(result, saved);
}

/* ---- Memory --------------------------------------------------------------- */

/* The same for what the allocator returned. */
static void *allocated(void *p, int saved)
{
    if (UNLIKELY(!p))
        errno = saved;
    return p;
}

void *asy_sys_alloc(size_t bytes)
{
    if (ASY_FAULT("alloc"))
        return NULL;
    int saved = errno;
    return allocated(malloc(bytes ? bytes : 1), saved);
}

void *asy_sys_calloc(size_t count, size_t bytes)
{
    if (ASY_FAULT("calloc"))
        return NULL;
    int saved = errno;
    return allocated(count && bytes ? calloc(count, bytes) : calloc(1, 1), saved);
}

void *asy_sys_alloc_aligned(size_t alignment, size_t bytes)
{
    if (ASY_FAULT("alloc_aligned"))
        return NULL;
    int saved = errno;
    void *p = NULL;
    if (posix_memalign(&p, alignment, bytes ? bytes : 1) != 0)
        p = NULL;
    return allocated(p, saved);
}

void *asy_sys_realloc(void *p, size_t bytes)
{
    if (ASY_FAULT("realloc"))
        return NULL;
    int saved = errno;
    return allocated(realloc(p, bytes ? bytes : 1), saved);
}

void asy_sys_free(void *p)
{
    free(p);
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
        (void)madvise(p, bytes, MADV_NOHUGEPAGE); /* refused: this kernel has no huge pages */
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
    if (ASY_FAULT("madvise"))
        return -ENOMEM;
    int saved = errno;
    return kernel_status(madvise(p, bytes, advice), saved);
}

int asy_sys_mprotect(void *p, size_t bytes, int protection)
{
    if (ASY_FAULT("mprotect"))
        return -ENOMEM;
    int saved = errno;
    return kernel_status(mprotect(p, bytes, protection), saved);
}

int asy_sys_mincore(void *p, size_t bytes, unsigned char *vec)
{
    if (ASY_FAULT("mincore"))
        return -EAGAIN;
    int saved = errno;
    return kernel_status(mincore(p, bytes, vec), saved);
}

bool asy_sys_is_readable(const void *p)
{
    /* The kernel looks at the word and, with no time to wait, comes back at
     * once. No other call reads memory and needs neither descriptor nor right. */
    static const struct timespec no_time;
    int saved = errno;
    long result = syscall(SYS_futex, p, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, &no_time, NULL, 0);
    return kernel_result(result, saved) != -EFAULT;
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

/* ---- Descriptors ---------------------------------------------------------- */

int asy_sys_above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int err = errno;
    close(fd);
    errno = err;
    return higher;
}

int asy_sys_epoll_create(void)
{
    if (ASY_FAULT("epoll_create"))
        return -EMFILE;
    int saved = errno;
    return kernel_status(asy_sys_above_standard(epoll_create1(EPOLL_CLOEXEC)), saved);
}

int asy_sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (ASY_FAULT("epoll_ctl"))
        return -ENOMEM;
    int saved = errno;
    return kernel_status(epoll_ctl(epfd, op, fd, event), saved);
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

    if (ASY_FAULT("epoll_wait") && !asy_fault.sticky) /* no kernel says so for ever */
        return -EINTR;
    int saved = errno;
    /* Whole milliseconds, and above all 0, are the plain call's. Valgrind would
     * complain of a call that it does not know. */
    if (timeout_ns > 0 && timeout_ns % NS_PER_MS != 0 && !RUNNING_ON_VALGRIND &&
        !__atomic_load_n(&lacks_pwait2, __ATOMIC_RELAXED)) {
        struct timespec timeout = {.tv_sec = timeout_ns / NS_PER_S, .tv_nsec = timeout_ns % NS_PER_S};
        long result = kernel_result(
            syscall(SYS_epoll_pwait2, epfd, events, max, &timeout, NULL, KERNEL_SIGSET_BYTES), saved);
        /* EPERM is the answer of system call filters that are older than the call. */
        if (result != -ENOSYS && result != -EPERM)
            return (int)result;
        __atomic_store_n(&lacks_pwait2, true, __ATOMIC_RELAXED);
    }
    return kernel_status(epoll_wait(epfd, events, max, timeout_ms(timeout_ns)), saved);
}

int asy_sys_eventfd(void)
{
    if (ASY_FAULT("eventfd"))
        return -EMFILE;
    int saved = errno;
    return kernel_status(asy_sys_above_standard(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), saved);
}

ssize_t asy_sys_read(int fd, void *buf, size_t n)
{
    if (ASY_FAULT("read"))
        return -EIO;
    int saved = errno;
    ssize_t result;
    do {
        result = kernel_result(read(fd, buf, n), saved);
    } while (result == -EINTR);
    return result;
}

void asy_sys_eventfd_signal(int fd)
{
    const uint64_t one = 1;
    int saved = errno;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

ssize_t asy_sys_write(int fd, const void *buf, size_t n)
{
    if (ASY_FAULT("write"))
        return -EIO;
    int saved = errno;
    ssize_t result;
    do {
        result = kernel_result(write(fd, buf, n), saved);
    } while (result == -EINTR);
    return result;
}

int asy_sys_close(int fd)
{
    int saved = errno;
    int result = kernel_status(close(fd), saved);
    return result == -EINTR ? 0 : result; /* Linux has closed it all the same */
}

/* ---- Signals -------------------------------------------------------------- */

int asy_sys_sigaction(int signo, const struct sigaction *act, struct sigaction *old)
{
    if (ASY_FAULT("sigaction"))
        return -EINVAL;
    int saved = errno;
    return kernel_status(sigaction(signo, act, old), saved);
}

void asy_sys_sigaction_back(int signo, void (*handler)(int), const struct sigaction *old)
{
    struct sigaction now;
    int saved = errno;
    if (sigaction(signo, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == handler)
        (void)sigaction(signo, old, NULL);
    errno = saved;
}

/* To ask cannot fail. */
int asy_sys_sigaltstack(const stack_t *stack, stack_t *old)
{
    if (stack && ASY_FAULT("sigaltstack"))
        return -ENOMEM;
    int saved = errno;
    return kernel_status(sigaltstack(stack, old), saved);
}

bool asy_sys_sigaltstack_back(const void *ours, const stack_t *old)
{
    stack_t now;
    int saved = errno;
    bool is_ours = sigaltstack(NULL, &now) == 0 && now.ss_sp == ours;
    bool is_used = is_ours && sigaltstack(old, NULL) != 0;
    errno = saved;
    return !is_used;
}

void asy_sys_raise(int signo)
{
    int saved = errno;
    (void)raise(signo);
    errno = saved;
}
