/*
 * Tasks, told in a signal handler. The program may be in the middle of anything, in this thread and others:
 * lists are half linked, and blocks are freed. So nothing is read directly: the kernel copies, and refuses
 * where there is no memory; each copy is looked at before it is believed; and every walk has an end.
 */
#include "core/dump.h"
#include "asyncio/inspect.h"
#include "base/line.h"
#include "core/descriptor.h"
#include "core/loop.h"
#include "core/peek.h"
#include "core/task.h"
#include "sys/context.h"
#include "sys/sys.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LOOPS_MAX 1000
#define TEXT_BYTES 192

/* ---- Words --------------------------------------------------------------------------- */

static void add_text(struct line *line, const char *text)
{
    char copy[TEXT_BYTES];
    asy_peek_text(copy, sizeof copy, text);
    line_add(line, copy);
}

static void send_line(int fd, struct line *line)
{
    line->text[line->used++] = '\n';
    asy_sys_write(fd, line->text, line->used);
}

static void add_wait(struct line *line, const asyncio_task *place, const asyncio_task *task)
{
    struct wait wait;
    struct wait_kind kind;
    void *pc;
    if (!PEEK(&wait, task->wait) || wait.task != place || !PEEK(&kind, wait.kind)) {
        line_add(line, "changes");
        return;
    }
    line_add(line, "waits in ");
    add_text(line, kind.name);
    if (task->fiber.sp && PEEK(&pc, (void **)(void *)((char *)task->fiber.sp + ASY_CONTEXT_RETURN_ADDRESS))) {
        line_add(line, ", at 0x");
        line_add_number(line, (uintptr_t)pc, 16);
    }
}

/* `place`: where the task lies of which `task` is a copy. */
static void dump_task(int fd, const asyncio_task *place, const asyncio_task *task,
                      const asyncio_task *current)
{
    struct line line = {.used = 0};
    asyncio_coro_type type;
    asyncio_site made_at;
    line_add(&line, "asyncio:   ");
    if (task->name) {
        add_text(&line, task->name);
    } else {
        line_add(&line, "Task-");
        line_add_number(&line, task->id, 10);
    }
    if (PEEK(&type, task->type)) {
        line_add(&line, " of ");
        add_text(&line, type.site.func);
    }
    line_add(&line, ": ");
    if (place == current)
        line_add(&line, "runs");
    else if (task->wait)
        add_wait(&line, place, task);
    else
        line_add(&line, task->fiber.sp ? "is ready" : "has not begun");
    if (task->future.site && PEEK(&made_at, task->future.site)) {
        line_add(&line, ", made at ");
        add_text(&line, made_at.file);
        line_add(&line, ":");
        line_add_number(&line, (uint64_t)made_at.line, 10);
    }
    send_line(fd, &line);
}

/* ---- Loops ------------------------------------------------------------------------------ */

static void dump_tasks(int fd, asyncio_loop *loop, size_t count)
{
    const asyncio_task *current;
    struct list *node;
    size_t most = count + 16; /* some may be made meanwhile */
    if (!PEEK(&current, &loop->current) || !PEEK(&node, &loop->tasks.next))
        return;
    for (; node && node != &loop->tasks && most; most--) {
        const asyncio_task *place = LIST_ENTRY(node, asyncio_task, all);
        asyncio_task task;
        if (!PEEK(&task, place) || task.future.kind != OBJECT_TASK || task.future.loop != loop)
            break;
        dump_task(fd, place, &task, current);
        node = task.all.next;
    }
    if (node != &loop->tasks) {
        struct line line = {.used = 0};
        line_add(&line, "asyncio:   (the list changes)");
        send_line(fd, &line);
    }
}

/* False: it is no loop. */
static bool dump_loop(int fd, asyncio_loop *loop)
{
    struct line line = {.used = 0};
    uint64_t id;
    size_t count;
    int tid;
    if (!PEEK(&id, &loop->id) || !PEEK(&count, &loop->task_count) || !PEEK(&tid, &loop->tid))
        return false;
    line_add(&line, "asyncio: loop ");
    line_add_number(&line, id, 10);
    line_add(&line, ", thread ");
    line_add_number(&line, (uint64_t)tid, 10);
    line_add(&line, ": ");
    line_add_number(&line, count, 10);
    line_add(&line, count == 1 ? " task" : " tasks");
    send_line(fd, &line);
    dump_tasks(fd, loop, count);
    return true;
}

void asyncio_dump_signalsafe(int fd)
{
    struct list *node;
    if (!PEEK(&node, &asy_runtime.loops.next)) {
        struct line line = {.used = 0};
        line_add(&line, "asyncio: this process may not read its own memory (process_vm_readv)");
        send_line(fd, &line);
        return;
    }
    for (int i = 0; node && node != &asy_runtime.loops && i < LOOPS_MAX; i++)
        if (!dump_loop(fd, LIST_ENTRY(node, asyncio_loop, node)) || !PEEK(&node, &node->next))
            return;
}

/* ---- SIGQUIT ------------------------------------------------------------------------------ */

/* Guards the two below: the handler is the process's. */
static pthread_mutex_t bind_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned binders;
static bool is_bound;

static void dump_on_quit(int signo)
{
    (void)signo;
    asyncio_dump_signalsafe(STDERR_FILENO);
}

static void bind_quit(void)
{
    struct sigaction action;
    if (asy_sys_sigaction(SIGQUIT, NULL, &action) || (action.sa_flags & SA_SIGINFO) ||
        action.sa_handler != SIG_DFL)
        return;
    memset(&action, 0, sizeof action);
    action.sa_handler = dump_on_quit;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    is_bound = asy_sys_sigaction(SIGQUIT, &action, NULL) == 0;
}

static void unbind_quit(void)
{
    struct sigaction by_default;
    memset(&by_default, 0, sizeof by_default);
    by_default.sa_handler = SIG_DFL;
    if (is_bound)
        asy_sys_sigaction_back(SIGQUIT, dump_on_quit, &by_default);
    is_bound = false;
}

void asy_dump_bind(asyncio_loop *loop, bool is_wanted)
{
    if (loop->is_quit_bound == is_wanted)
        return;
    loop->is_quit_bound = is_wanted;
    pthread_mutex_lock(&bind_lock);
    if (is_wanted && binders++ == 0)
        bind_quit();
    if (!is_wanted && --binders == 0)
        unbind_quit();
    pthread_mutex_unlock(&bind_lock);
}

void asy_dump_forked(void)
{
    bind_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    binders = 0;
    unbind_quit();
}
