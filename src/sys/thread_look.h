/*
 * What a thread of this process does, seen from another one: from /proc, without touching it; and the calls
 * that it is in, by a signal, which a thread that computes does not notice.
 */
#ifndef ASY_SYS_THREAD_LOOK_H
#define ASY_SYS_THREAD_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct asy_thread_look {
    char state;      /* 'R' runs, or could; 'S' sleeps, 'D' sleeps hard, and so on; 0: unknown */
    int call;        /* the number of the system call that it is in; -1: none, or unknown */
    uint64_t first;  /* that call's first argument */
    const void *pc;  /* NULL: unknown, as while it runs */
    uint64_t sleeps; /* how often it has slept so far */
    bool is_traced;  /* a debugger, or strace, holds it */
};

/* Where there is no /proc, or it may not be read, all is unknown. */
void asy_sys_thread_look(int tid, struct asy_thread_look *look);
/* The processor time that a thread has had; -1: unknown. */
int64_t asy_sys_thread_cpu_ns(int tid);
/* What a descriptor is, as "pipe:[4711]" or a path. False: unknown. */
bool asy_sys_describe_fd(int fd, char *text, size_t bytes);

/* The name of a system call, and whether its first argument is a descriptor. NULL: not one that we know. */
const char *asy_sys_call_name(int call, bool *has_fd);

/*
 * The addresses of the calls that another thread is in, the innermost first, exact; of the others each is
 * where it returns to. The thread gets a signal, SIGURG, whose default action is to ignore it, and is given
 * `timeout_ns` to answer. It must have an alternate stack. 0: it did not answer, the program has an action of
 * its own for that signal, or the C library has no unwinder. One caller at a time.
 */
int asy_sys_thread_calls(int tid, void **pcs, int most, int64_t timeout_ns);
/* In a forked child nobody asks, and the question that was under way is none. */
void asy_sys_thread_look_forked(void);

#endif
