/*
 * Looking at other threads. See sys/thread_look.h.
 */
#include "sys/thread_look.h"
#include "base/compiler.h"
#include "sys/backtrace.h"
#include "sys/files.h"
#include "sys/kernel_call.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* ---- By /proc ------------------------------------------------------------------------------ */

#define FILE_BYTES 4096

/* False: it is not there, is empty, or may not be read. A file of /proc comes in one piece. */
static bool read_proc(const char *path, char text[FILE_BYTES])
{
    int fd = asy_sys_open(path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    ssize_t n = asy_sys_read(fd, text, FILE_BYTES - 1);
    asy_sys_close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The number behind a word at the beginning of a line; 0: there is none. */
static uint64_t number_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    return at ? strtoull(at + strlen(word), NULL, 10) : 0;
}

static void look_at_state(const char *text, struct asy_thread_look *look)
{
    const char *at = strstr(text, "\nState:");
    if (!at)
        return;
    at += strlen("\nState:");
    at += strspn(at, " \t");
    look->state = *at;
    look->sleeps = number_behind(text, "\nvoluntary_ctxt_switches:");
    look->is_traced = number_behind(text, "\nTracerPid:") != 0;
}

/* "running"; or the call's number, its six arguments in hexadecimal, the stack pointer, and where it goes
 * on; or -1 and the last two. */
static void look_at_call(const char *text, struct asy_thread_look *look)
{
    char *end;
    long call = strtol(text, &end, 10);
    if (end == text)
        return;
    look->call = (int)call;
    look->first = call >= 0 ? strtoull(end, &end, 16) : 0;
    const char *last = strrchr(end, ' ');
    if (last)
        look->pc = (const void *)(uintptr_t)strtoull(last, NULL, 16);
}

void asy_sys_thread_look(int tid, struct asy_thread_look *look)
{
    char path[64], text[FILE_BYTES];
    *look = (struct asy_thread_look){.call = -1};
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    if (read_proc(path, text))
        look_at_state(text, look);
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    if (read_proc(path, text))
        look_at_call(text, look);
}

int64_t asy_sys_thread_cpu_ns(int tid)
{
    /* What pthread_getcpuclockid makes of a thread, but that this one may have ended: then it is refused. */
    clockid_t clock = (clockid_t)(~(unsigned)tid << 3 | 6);
    struct timespec used;
    int saved = errno;
    int err = clock_gettime(clock, &used);
    errno = saved;
    return err ? -1 : used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

bool asy_sys_describe_fd(int fd, char *text, size_t bytes)
{
    char path[64];
    int saved = errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = ASY_FAULT("readlink") ? -1 : readlink(path, text, bytes - 1);
    errno = saved;
    if (n > 0)
        text[n] = '\0';
    return n > 0;
}

/* ---- By a signal ------------------------------------------------------------------------------- */

/* Go, too, interrupts its threads by this one: debuggers pass it on in silence, programs that want it for
 * its purpose are rare, and one that comes late is ignored. */
#define SIGNAL SIGURG

enum { NOBODY_ASKS, ASKED, ANSWERING, ANSWERED };

/*
 * The question, and its answer:
 *
 *     NOBODY_ASKS   asker -> ASKED   handler -> ANSWERING   handler -> ANSWERED   asker -> NOBODY_ASKS
 *
 * An asker that gives up takes ASKED back to NOBODY_ASKS; one that gives up later leaves the rest to the
 * handler, and asks no more before that has answered. All orders are sequentially consistent: the fields
 * are the asker's in the outer states, and the handler's in ANSWERING.
 */
static struct {
    _Atomic uint32_t state; /* a futex */
    _Atomic int tid;
    int count;
    void *pcs[ASY_FRAMES_MAX];
} question;

/* Where a signal has interrupted its thread. */
static const void *interrupted_pc(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (const void *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (const void *)(uintptr_t)context->uc_mcontext.pc;
#else
    return (const void *)(uintptr_t)context->uc_mcontext.__gregs[REG_PC];
#endif
}

/* In the thread that is asked. Its unwinder was loaded before. */
static void answer_question(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info;
    int saved = errno;
    uint32_t asked = ASKED;
    if (atomic_load(&question.tid) == asy_sys_gettid() &&
        atomic_compare_exchange_strong(&question.state, &asked, ANSWERING)) {
        const void *pc = interrupted_pc(context);
        int count = asy_sys_backtrace(question.pcs, ASY_FRAMES_MAX), first = 0;
        while (first < count && question.pcs[first] != pc)
            first++;
        question.count = count - first;
        if (question.count)
            memmove(question.pcs, question.pcs + first, (size_t)question.count * sizeof *question.pcs);
        atomic_store(&question.state, ANSWERED);
        asy_sys_futex_wake(&question.state, 1);
    }
    errno = saved;
}

/* The signal is ours for a moment. False: the program has an action of its own. */
static bool install_answer(struct sigaction *old)
{
    struct sigaction action;
    if (asy_sys_sigaction(SIGNAL, NULL, old) || old->sa_flags & SA_SIGINFO || old->sa_handler != SIG_DFL)
        return false;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer_question;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    return asy_sys_sigaction(SIGNAL, &action, NULL) == 0;
}

static void uninstall_answer(const struct sigaction *old)
{
    struct sigaction now;
    if (asy_sys_sigaction(SIGNAL, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO &&
        now.sa_sigaction == answer_question)
        asy_sys_sigaction(SIGNAL, old, NULL);
}

static int send_question(int tid)
{
    KERNEL_INT("tgkill", -EPERM, (int)syscall(SYS_tgkill, getpid(), tid, SIGNAL));
}

/* True: it is there. */
static bool await_answer(int64_t timeout_ns)
{
    int64_t until_ns = asy_sys_now_ns() + timeout_ns;
    for (;;) {
        uint32_t state = atomic_load(&question.state);
        int64_t left_ns = until_ns - asy_sys_now_ns();
        if (state == ANSWERED)
            return true;
        if (left_ns <= 0)
            return !atomic_compare_exchange_strong(&question.state, &(uint32_t){ASKED}, NOBODY_ASKS) &&
                   atomic_load(&question.state) == ANSWERED;
        asy_sys_futex_wait(&question.state, state, left_ns);
    }
}

int asy_sys_thread_calls(int tid, void **pcs, int most, int64_t timeout_ns)
{
    struct sigaction old;
    void *here[4];
    int count = 0;
    if (atomic_load(&question.state) == ANSWERING || asy_sys_backtrace(here, 4) == 0 || !install_answer(&old))
        return 0;
    atomic_store(&question.tid, tid);
    atomic_store(&question.state, ASKED);
    if (send_question(tid) == 0 && await_answer(timeout_ns)) {
        count = question.count < most ? question.count : most;
        if (count)
            memcpy(pcs, question.pcs, (size_t)count * sizeof *pcs);
    }
    atomic_compare_exchange_strong(&question.state, &(uint32_t){ASKED}, NOBODY_ASKS);
    atomic_compare_exchange_strong(&question.state, &(uint32_t){ANSWERED}, NOBODY_ASKS);
    uninstall_answer(&old);
    return count;
}

void asy_sys_thread_look_forked(void)
{
    atomic_store(&question.state, NOBODY_ASKS);
}
