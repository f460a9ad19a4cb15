/*
 * The one place where the library enters the kernel and the allocator.
 *
 * Every function here is a thin wrapper with the kernel's own parameters that returns a value >= 0 or a
 * negative errno (never sets errno), or NULL when out of memory. Each passes the fault seam first, so that
 * a test can make the Nth call fail. Nothing here knows of loops or tasks.
 */
#ifndef ASY_SYS_SYS_H
#define ASY_SYS_SYS_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

/* ---- The seam --------------------------------------------------------------
 * One byte that each wrapper tests, 0 in production: bits of those that want to be asked first. Relaxed: see
 * asy_fault_hit and world.h. */
enum { ASY_SEAM_FAULTS = 1, ASY_SEAM_WORLD = 2 };
extern _Atomic uint8_t asy_seam;
#define ASY_SEAM() __builtin_expect(atomic_load_explicit(&asy_seam, memory_order_relaxed), 0)
void asy_seam_set(uint8_t bit);
void asy_seam_clear(uint8_t bit);

/* ---- The fault seam -------------------------------------------------------
 * A test arms it: the `fail_at`th call from then on (1 is the next) fails with
 * its usual error, one time only, or every one from there on if `sticky`. All is atomic, since
 * other threads of a program under test make calls meanwhile. */
struct asy_fault {
    _Atomic bool sticky;
    _Atomic uint64_t calls;     /* calls seen since it was armed */
    _Atomic uint64_t fail_at;   /* 0: only count */
    const char *_Atomic failed; /* name of the wrapper that failed last, or NULL */
    _Atomic unsigned way;       /* 0: with its usual error; else in another way that it can fail */
    _Atomic int error;          /* what it returned; of allocations: none */
};
extern struct asy_fault asy_fault;

/* True when this call is to fail. Out of line, and only reached when the seam is in use. The look at the seam
 * is relaxed: a call that misses the arming by another thread is not counted, as if it had come before. */
bool asy_fault_hit(const char *call);
#define ASY_FAULT(call) (ASY_SEAM() && asy_fault_hit(call))

bool asy_fault_is_armed(void);
void asy_fault_arm(uint64_t fail_at, bool sticky);
/* The same for one call alone, in one of the ways in which it can fail: below asy_fault_ways of its name. */
void asy_fault_arm_way(uint64_t fail_at, unsigned way);
unsigned asy_fault_ways(const char *call);
/* What a wrapper that was hit returns. */
int asy_fault_error(const char *call, int usual);
/* The same for one with a descriptor: a connection that breaks is broken from then on. */
int asy_fault_at(int fd, const char *call, int usual);
/* Disarms and returns the number of calls seen. */
uint64_t asy_fault_disarm(void);

/* ---- Memory --------------------------------------------------------------- */
void *asy_sys_alloc(size_t bytes);                /* uninitialised; NULL: out of memory */
void *asy_sys_calloc(size_t count, size_t bytes); /* zeroed */
void *asy_sys_alloc_aligned(size_t alignment, size_t bytes);
void *asy_sys_realloc(void *p, size_t bytes); /* NULL: failed, p unchanged */
void asy_sys_free(void *p);                   /* accepts NULL */

/* Address space for stacks: private, anonymous, readable and writable, not reserved in swap, never
 * transparent huge pages. NULL when refused. */
void *asy_sys_map(size_t bytes);
/* Shared memory that is the file, from `offset` on. 0 or a negative error. */
int asy_sys_map_file(int fd, size_t bytes, uint64_t offset, void **out);
void asy_sys_unmap(void *p, size_t bytes);
int asy_sys_madvise(void *p, size_t bytes, int advice);
int asy_sys_mprotect(void *p, size_t bytes, int protection);
int asy_sys_mincore(void *p, size_t bytes, unsigned char *vec);
/* False: reading the four bytes at `p` (aligned to four) would fault. Does not read them itself. */
bool asy_sys_is_readable(const void *p);
/* Copies memory of this process that may be gone. False: some of it is. Async-signal-safe. */
bool asy_sys_peek(void *to, const void *from, size_t bytes);
size_t asy_sys_page_size(void);

/* ---- Time, randomness, identity -------------------------------------------- */
int64_t asy_sys_now_ns(void);  /* CLOCK_MONOTONIC */
int64_t asy_sys_wall_ns(void); /* CLOCK_REALTIME */
uint64_t asy_sys_random(void); /* getrandom, or the clock if refused */
bool asy_sys_is_main_thread(void);
int asy_sys_gettid(void);
/* How often the calling thread has slept so far, but for pages of a file that it waited for. Never fails. */
int64_t asy_sys_own_sleeps(void);

/* ---- Descriptors ------------------------------------------------------------
 * Where 0, 1 or 2 is closed, the next descriptor made gets its number, and what is printed; ours never do. */
/* For the wrappers, with errno: the same open file under a number above 2, close-on-exec. -1 stays -1. */
int asy_sys_above_standard(int fd);
int asy_sys_epoll_create(void); /* close-on-exec */
int asy_sys_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
/* timeout_ns < 0: no limit. Falls back to milliseconds, rounded up, where the kernel lacks epoll_pwait2. */
int asy_sys_epoll_wait(int epfd, struct epoll_event *events, int max, int64_t timeout_ns);
int asy_sys_eventfd(void);           /* non-blocking, close-on-exec */
void asy_sys_eventfd_signal(int fd); /* cannot fail: no fault, either */
bool asy_sys_eventfd_clear(int fd);  /* the same; true: it had been signalled */
ssize_t asy_sys_read(int fd, void *buf, size_t n);
ssize_t asy_sys_write(int fd, const void *buf, size_t n);
int asy_sys_close(int fd); /* never fails for the seam's sake */

/* ---- Signals ----------------------------------------------------------------- */
int asy_sys_sigaction(int signo, const struct sigaction *act, struct sigaction *old);
/* Puts `old` back, if the signal's handler is still this one. Never fails for the seam's sake. */
void asy_sys_sigaction_back(int signo, void (*handler)(int), const struct sigaction *old);
int asy_sys_sigaltstack(const stack_t *stack, stack_t *old);
/* Puts `old` back if `ours` is in force. False: it may still be used, since a handler runs on it. */
bool asy_sys_sigaltstack_back(const void *ours, const stack_t *old);
void asy_sys_raise(int signo); /* in this thread; never fails */

#endif
