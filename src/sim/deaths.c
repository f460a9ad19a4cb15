/*
 * Deaths: a run that aborts or faults takes the process with it, and no report follows. The seed is told
 * before that, from a handler of the signal, or by the sanitizer that ends the process. Whatever action the
 * signal had before comes next. Undefined behaviour that UBSan reports tells its seed, too, whether the
 * process goes on or not. A run that calls exit would pass for a test that has passed: it is told, too, and
 * the process fails.
 *
 * The handlers are the process's; they are installed while any thread simulates, and speak for the thread
 * that dies.
 */
#include "base/compiler.h"
#include "base/line.h"
#include "base/sanitizer.h"
#include "base/signal_names.h"
#include "core/overflow.h"
#include "sim/run.h"
#include "sys/short_lock.h"
#include "sys/sys.h"
#include "sys/world.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* There with the sanitizers only. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

/* The run at hand, by value: a handler of the program's may leave by longjmp, and the batch with it. */
static THREAD_LOCAL struct {
    bool is_on, has_own_seed, has_reported;
    pid_t process; /* a child that the program forks may exit */
    uint64_t seed;
    size_t run, runs, at;
} current;

/* On which the handlers run, also where the stack is used up in a sweep in which the loop could set none. */
#define ALTERNATE_BYTES (128u * 1024u)
static THREAD_LOCAL struct {
    char *low; /* NULL: not ours */
    stack_t before;
} alternate;

static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
#define SIGNALS (sizeof signals / sizeof *signals)

/* The lock holds all three together. */
static struct asy_short_lock watch_lock;
static unsigned watchers;
static struct sigaction before[SIGNALS];

/* ---- In the handler: async-signal-safe throughout ------------------------------------------------ */

static void print_line(struct line *line)
{
    line->text[line->used++] = '\n';
    asy_sim_say(line->text, line->used);
    line->used = 0;
}

static void add_pair(struct line *line, const char *words, uint64_t number)
{
    line_add(line, words);
    line_add_number(line, number, 10);
}

static void tell_seed(const char *words, const char *cause)
{
    struct line line = {.used = 0};
    line_add(&line, words);
    line_add(&line, cause);
    add_pair(&line, ", seed ", current.seed);
    add_pair(&line, " (run ", current.run);
    add_pair(&line, " of ", current.runs);
    line_add(&line, ")");
    if (current.at)
        add_pair(&line, ", place ", current.at);
    print_line(&line);
    add_pair(&line,
             current.has_own_seed ? "asyncio: again: options.seed = " : "asyncio: again: ASYNCIO_SIM_SEED=",
             current.seed);
    if (!current.has_own_seed) {
        line_add(&line, " ");
        line_add(&line, program_invocation_name);
    }
    print_line(&line);
}

/* Once: after the signal a sanitizer may come, too. */
static void tell_death(const char *cause)
{
    if (!current.is_on)
        return;
    current.is_on = false;
    tell_seed("asyncio: simulation died of ", cause);
}

static void tell_sanitizer_death(void)
{
    asy_fault_disarm();
    bool is_child = current.process != getpid(); /* in which LeakSanitizer finds what its parent has */
    if (!current.has_reported && !is_child)
        tell_death("what the sanitizer found");
}

/* UBSan calls this before each report. gcc's, beside ASan, runs no callback when the process dies of it.
 * clang's does, and has a function of its own in the place of this one, which is why this is weak. Once a
 * run. */
__attribute__((weak, visibility("default"))) void __ubsan_on_report(void);
void __ubsan_on_report(void)
{
    if (!current.is_on || current.has_reported)
        return;
    current.has_reported = true;
    tell_seed("asyncio: simulation did ", "what the sanitizer reports");
}

static void fail_exit(void)
{
    if (!current.is_on || current.process != getpid())
        return;
    tell_death("a call of exit");
    fflush(NULL);
    _exit(EXIT_FAILURE);
}

static void handle_death(int signo, siginfo_t *info, void *context)
{
    size_t i = 0;
    (void)context;
    asy_fault_disarm(); /* a sweep's failing call is not to be one of these */
    if (signo == SIGSEGV)
        asy_overflow_tell(info);
    tell_death(asy_signal_name(signo));
    while (signals[i] != signo)
        i++;
    asy_sys_sigaction(signo, &before[i], NULL);
    /* On return the faulting instruction runs again, and the earlier action follows. A signal that somebody
     * sent has no such instruction, and is raised again. */
    if (info->si_code <= 0)
        asy_sys_raise(signo);
}

/* ---- Watching -------------------------------------------------------------------------------- */

static void install_death_handlers(void)
{
    static bool is_exit_watched;
    if (!is_exit_watched)
        is_exit_watched = atexit(fail_exit) == 0;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle_death;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (size_t i = 0; i < SIGNALS; i++)
        asy_sys_sigaction(signals[i], &action, &before[i]);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(tell_sanitizer_death);
}

/* But for those that the program has set meanwhile. */
static void uninstall_death_handlers(void)
{
    struct sigaction now;
    for (size_t i = 0; i < SIGNALS; i++)
        if (asy_sys_sigaction(signals[i], NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
            now.sa_sigaction == handle_death)
            asy_sys_sigaction(signals[i], &before[i], NULL);
}

/* Not under Valgrind, which goes on with one that was taken back. */
static void set_alternate_stack(void)
{
    if (alternate.low || RUNNING_ON_VALGRIND || asy_sys_sigaltstack(NULL, &alternate.before))
        return;
    alternate.low = asy_sim_alloc(ALTERNATE_BYTES);
    const stack_t stack = {.ss_sp = alternate.low, .ss_size = ALTERNATE_BYTES};
    if (asy_sys_sigaltstack(&stack, NULL) == 0)
        return;
    asy_sim_free(alternate.low);
    alternate.low = NULL;
}

/* Unless a handler runs on it, which has left this run by longjmp. */
static void put_alternate_stack_back(void)
{
    if (!alternate.low || !asy_sys_sigaltstack_back(alternate.low, &alternate.before))
        return;
    asy_sim_free(alternate.low);
    alternate.low = NULL;
}

void asy_sim_deaths_watch(void)
{
    set_alternate_stack();
    short_lock_take(&watch_lock);
    if (watchers++ == 0)
        install_death_handlers();
    short_lock_leave(&watch_lock);
}

void asy_sim_deaths_unwatch(void)
{
    current.is_on = false;
    put_alternate_stack_back();
    short_lock_take(&watch_lock);
    if (--watchers == 0)
        uninstall_death_handlers();
    short_lock_leave(&watch_lock);
}

void asy_sim_deaths_next(const struct sim_batch *batch, size_t at)
{
    current.is_on = true;
    current.has_reported = false;
    current.process = getpid();
    current.has_own_seed = batch->job.has_own_seed;
    current.seed = batch->seed;
    current.run = batch->seed_index;
    current.runs = batch->seeds;
    current.at = at;
}
