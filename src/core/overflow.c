/*
 * Stack overflow, told in words. A fault in the guard of a task's stack is
 * caught on an alternate stack, named on stderr, and then takes its default
 * action. Any other fault takes it at once. Installed only where the default
 * action was in force, and taken back when the last loop that asked for it stops;
 * a loop inside another one, whose turns are many and short, asks from its first turn until it closes.
 */
#include "core/overflow.h"
#include "base/compiler.h"
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

/* Handlers of the program run there as well. Beyond what the kernel itself puts there: that depends on the
 * processor, whose vector registers alone may take 11 KiB. */
#define ALTERNATE_BYTES (64u * 1024u)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned watchers;
static bool installed;

/* ---- In the handler: async-signal-safe throughout ------------------------------- */

struct line {
    char text[512];
    size_t used;
};

static void put(struct line *line, const char *text)
{
    while (*text && line->used < sizeof line->text - 1)
        line->text[line->used++] = *text++;
}

static void put_number(struct line *line, uint64_t number)
{
    char digits[21];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    put(line, digits + at);
}

static void tell(const struct asy_stack *stack)
{
    const asyncio_task *task = stack->owner;
    struct line line = {.used = 0};
    put(&line, "asyncio: stack overflow");
    if (task) {
        const asyncio_site *site = task->future.site;
        put(&line, " in task '");
        if (task->name) {
            put(&line, task->name);
        } else {
            put(&line, "Task-");
            put_number(&line, task->id);
        }
        put(&line, "' of ");
        put(&line, task->type->site.func);
        if (site) {
            put(&line, ", made at ");
            put(&line, site->file);
            put(&line, ":");
            put_number(&line, (uint64_t)site->line);
        }
    }
    put(&line, ": its stack of ");
    put_number(&line, (uint64_t)(stack->top - stack->low + 1023) / 1024);
    put(&line, " KiB is used up; give it more by stack_size");
    line.text[line.used++] = '\n';
    asy_sys_write(STDERR_FILENO, line.text, line.used);
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
    (void)context;
    asyncio_loop *loop = asy_running_loop;
    const struct asy_stack *stack = loop ? asy_stacks_find_guard(loop->stacks, info->si_addr) : NULL;
    if (stack)
        tell(stack);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    asy_sys_sigaction(signo, &action, NULL);
    /* On return the faulting instruction runs again, and the default action
     * follows. A signal that somebody sent has no such instruction. */
    if (info->si_code <= 0)
        asy_sys_raise(signo);
}

/* ---- Watching ----------------------------------------------------------------------- */

static void install(void)
{
    struct sigaction action, old;
    if (asy_sys_sigaction(SIGSEGV, NULL, &old) || (old.sa_flags & SA_SIGINFO) || old.sa_handler != SIG_DFL)
        return;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    installed = asy_sys_sigaction(SIGSEGV, &action, NULL) == 0;
}

static void uninstall(void)
{
    struct sigaction now;
    if (installed && asy_sys_sigaction(SIGSEGV, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == on_fault) {
        memset(&now, 0, sizeof now);
        now.sa_handler = SIG_DFL;
        asy_sys_sigaction(SIGSEGV, &now, NULL);
    }
    installed = false;
}

/* This thread's alternate stack, if it is ours. One of the program's own that is as large is kept; a smaller
 * one comes back when ours goes. */
static THREAD_LOCAL struct {
    char *low; /* NULL: not lent. The guard lies right below */
    size_t bytes, guard;
    stack_t before;
    uint64_t seen_for; /* the loop whose turn looked last: its next one need not ask again; or 0 */
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

/* Turns may be given in one thread, and then in others. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end;
static bool has_thread_end;

static void thread_ends(void *stack)
{
    (void)stack;
    take_alternate_stack();
}

static void watch_threads(void)
{
    has_thread_end = asy_sys_thread_key(&thread_end, thread_ends);
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
    if ((is_own && lent.before.ss_size >= ALTERNATE_BYTES) || !map_alternate_stack())
        return;
    stack_t stack = {.ss_sp = lent.low, .ss_size = lent.bytes};
    if (asy_sys_sigaltstack(&stack, NULL)) {
        unmap_alternate_stack();
        return;
    }
    pthread_once(&once, watch_threads);
    if (has_thread_end)
        (void)pthread_setspecific(thread_end, lent.low); /* refused: it stays behind */
}

/* In a forked child no loop runs any more, and another thread of the parent may
 * have held the lock. */
void asy_overflow_forked(void)
{
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    watchers = 0;
    uninstall();
}

void asy_overflow_watch(asyncio_loop *loop)
{
    if (loop->options.overflow_report < 0 || (loop->is_watched && lent.seen_for == loop->id))
        return;
    lend_alternate_stack();
    lent.seen_for = loop->id;
    if (loop->is_watched)
        return;
    loop->is_watched = true;
    pthread_mutex_lock(&lock);
    if (watchers++ == 0)
        install();
    pthread_mutex_unlock(&lock);
}

void asy_overflow_unwatch(asyncio_loop *loop)
{
    if (!loop->is_watched)
        return;
    loop->is_watched = false;
    pthread_mutex_lock(&lock);
    if (--watchers == 0)
        uninstall();
    pthread_mutex_unlock(&lock);
    take_alternate_stack();
}
