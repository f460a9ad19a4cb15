/*
 * Stack overflow, reported in words. A fault in the guard of a task's stack is caught on an alternate stack,
 * named on stderr, and then takes its default action; any other fault takes it at once. The handler is
 * installed only over the default action, and removed when the last loop that asked for it stops. A loop
 * inside another one, whose runs are many and short, asks from its first run until it closes.
 */
#include "core/overflow.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "base/line.h"
#include "base/sanitizer.h"
#include "core/loop.h"
#include "core/task.h"
#include "sys/stack.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

/* The size of the alternate stack, on which the program's handlers run as well. The kernel's own frame
 * comes on top: it depends on the processor, whose vector registers alone may take 11 KiB. */
#define ALTERNATE_BYTES (64u * 1024u)

/* Guards the two below: loops of several threads begin and end at the same time, and the handler is the
 * process's. */
static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned watchers;
static bool is_installed;

/* ---- In the handler: async-signal-safe throughout ------------------------------- */

static void print_overflow(const struct asy_stack *stack)
{
    const asyncio_task *task = stack->owner;
    struct line line = {.used = 0};
    line_add(&line, "asyncio: stack overflow");
    if (task) {
        const asyncio_site *site = task->future.site;
        line_add(&line, " in task '");
        if (task->name) {
            line_add(&line, task->name);
        } else {
            line_add(&line, "Task-");
            line_add_number(&line, task->id, 10);
        }
        line_add(&line, "' of ");
        line_add(&line, task->type->site.func);
        if (site) {
            line_add(&line, ", made at ");
            line_add(&line, site->file);
            line_add(&line, ":");
            line_add_number(&line, (uint64_t)site->line, 10);
        }
    }
    line_add(&line, ": its stack of ");
    line_add_number(&line, (uint64_t)(stack->top - stack->low + 1023) / 1024, 10);
    line_add(&line, " KiB is used up; give it more by stack_size");
    line.text[line.used++] = '\n';
    asy_sys_write(STDERR_FILENO, line.text, line.used);
}

void asy_overflow_tell(const siginfo_t *info)
{
    asyncio_loop *loop = asy_running_loop;
    const struct asy_stack *stack = loop ? asy_stacks_find_guard(loop->stacks, info->si_addr) : NULL;
    if (stack)
        print_overflow(stack);
}

static void handle_fault(int signo, siginfo_t *info, void *context)
{
    (void)context;
    asy_fault_disarm(); /* a call that is to fail in a test is not to be one of these */
    asy_overflow_tell(info);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    asy_sys_sigaction(signo, &action, NULL);
    /* On return the faulting instruction runs again, and the default action follows. A signal that somebody
     * sent has no such instruction, and is raised again. */
    if (info->si_code <= 0)
        asy_sys_raise(signo);
}

/* ---- Watching ----------------------------------------------------------------------- */

static void install_fault_handler(void)
{
    struct sigaction action, old;
    if (asy_sys_sigaction(SIGSEGV, NULL, &old) || (old.sa_flags & SA_SIGINFO) || old.sa_handler != SIG_DFL)
        return;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    is_installed = asy_sys_sigaction(SIGSEGV, &action, NULL) == 0;
}

static void uninstall_fault_handler(void)
{
    struct sigaction now;
    if (is_installed && asy_sys_sigaction(SIGSEGV, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == handle_fault) {
        memset(&now, 0, sizeof now);
        now.sa_handler = SIG_DFL;
        asy_sys_sigaction(SIGSEGV, &now, NULL);
    }
    is_installed = false;
}

/* This thread's alternate stack, if it is ours. If the program has set one that is as large, it stays; a
 * smaller one comes back when ours goes. */
static THREAD_LOCAL struct {
    char *low; /* NULL: not lent. The guard lies right below */
    size_t bytes, guard;
    stack_t before;
    uint64_t seen_for; /* the loop that was watched here last, whose next run need not ask again; or 0 */
    bool is_own_large; /* the program has set one that is as large */
} lent;

static void unmap_alternate_stack(void)
{
    asy_sys_unmap(lent.low - lent.guard, lent.guard + lent.bytes);
    lent.low = NULL;
}

static void take_alternate_stack(void)
{
    lent.seen_for = 0;
    if (lent.low && asy_sys_sigaltstack_back(lent.low, &lent.before))
        unmap_alternate_stack();
}

/* A loop may run in one thread, and then in others: each gives its stack back at its end. */
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end;
static bool has_thread_end;

static void return_stack_of_thread(void *stack)
{
    (void)stack;
    take_alternate_stack();
}

static void watch_threads(void)
{
    has_thread_end = asy_sys_thread_key(&thread_end, return_stack_of_thread);
}

static bool map_alternate_stack(void)
{
    size_t page = asy_sys_page_size();
    size_t bytes = (ALTERNATE_BYTES + getauxval(AT_MINSIGSTKSZ) + page - 1) / page * page;
    size_t guard = ASY_STACK_GUARD_BYTES > page ? ASY_STACK_GUARD_BYTES : page;
    char *mapped = asy_sys_map(guard + bytes);
    if (!mapped)
        return false;
    lent.low = mapped + guard;
    lent.bytes = bytes;
    lent.guard = guard;
    if (asy_sys_mprotect(mapped, guard, PROT_NONE) == 0)
        return true;
    unmap_alternate_stack();
    return false;
}

/* Valgrind delivers signals on an alternate stack that was disabled, too: none there. */
static void lend_alternate_stack(void)
{
    if (lent.low || RUNNING_ON_VALGRIND || asy_sys_sigaltstack(NULL, &lent.before))
        return;
    bool is_own = !(lent.before.ss_flags & SS_DISABLE);
    lent.is_own_large = is_own && lent.before.ss_size >= ALTERNATE_BYTES;
    if (lent.is_own_large || !map_alternate_stack())
        return;
    stack_t stack = {.ss_sp = lent.low, .ss_size = lent.bytes};
    if (asy_sys_sigaltstack(&stack, NULL)) {
        unmap_alternate_stack();
        return;
    }
    pthread_once(&thread_end_once, watch_threads);
    if (has_thread_end)
        (void)pthread_setspecific(thread_end, lent.low); /* refused: it stays behind */
}

/* In a forked child no loop runs any more, and another thread of the parent may
 * have held the lock. */
void asy_overflow_forked(void)
{
    watch_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    watchers = 0;
    uninstall_fault_handler();
}

bool asy_overflow_has_stack(void)
{
    return lent.low || lent.is_own_large;
}

/* The watchdog's signal wants the alternate stack, too, but no handler for faults. */
void asy_overflow_watch(asyncio_loop *loop)
{
    bool is_reported = loop->options.overflow_report >= 0;
    if ((!is_reported && !loop->watched.limit_ns) || (loop->is_watched && lent.seen_for == loop->id))
        return;
    lend_alternate_stack();
    lent.seen_for = loop->id;
    if (loop->is_watched)
        return;
    loop->is_watched = true;
    if (!is_reported)
        return;
    pthread_mutex_lock(&watch_lock);
    if (watchers++ == 0)
        install_fault_handler();
    pthread_mutex_unlock(&watch_lock);
}

void asy_overflow_unwatch(asyncio_loop *loop)
{
    if (!loop->is_watched)
        return;
    loop->is_watched = false;
    if (loop->options.overflow_report >= 0) {
        pthread_mutex_lock(&watch_lock);
        ASY_ASSERT(watchers > 0);
        if (--watchers == 0)
            uninstall_fault_handler();
        pthread_mutex_unlock(&watch_lock);
    }
    take_alternate_stack();
}
