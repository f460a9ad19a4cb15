/*
 * Reports: errors that nobody can receive go to the loop's exception handler,
 * by default a line on stderr. Misuse that no error can answer aborts with a
 * line that says what and where.
 */
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/task.h"
#include "sys/sys.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

/* Appends to a line, which is cut where it becomes too long. Returns the new length. */
static size_t append_words(char *line, size_t used, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static size_t append_words(char *line, size_t used, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + used, LINE_MAX_BYTES - used, format, args);
    va_end(args);
    if (n < 0)
        return used;
    size_t end = used + (size_t)n;
    return end < LINE_MAX_BYTES - 1 ? end : LINE_MAX_BYTES - 2;
}

static void write_line(char *line, size_t used)
{
    line[used++] = '\n';
    asy_sys_write(STDERR_FILENO, line, used);
}

/* asyncio: MESSAGE: WORDS (NAME); task 'Task-3' of fetch, made at main.c:40, peer ..., on loop 2 */
static void print_report(const asyncio_loop *loop, const asyncio_exception_context *context)
{
    char line[LINE_MAX_BYTES];
    size_t used =
        append_words(line, 0, "asyncio: %s", context->message ? context->message : "unhandled error");
    if (context->error < 0) {
        const struct message *message = context->task ? context->task->future.message : NULL;
        const char *words =
            message && message->code == context->error ? message->text : asyncio_strerror(context->error);
        used = append_words(line, used, ": %s (%s)", words, asyncio_errname(context->error));
    }
    if (context->task) {
        const asyncio_site *body = &context->task->type->site;
        used = append_words(line, used, "; task '%s' of %s", asyncio_task_name(context->task), body->func);
    }
    if (context->file)
        used = append_words(line, used, ", made at %s:%d", context->file, context->line);
    if (context->peer && !strstr(line, context->peer)) /* the words of a stream may name it */
        used = append_words(line, used, ", peer %s", context->peer);
    if (loop && loop->index >= 0)
        used = append_words(line, used, ", on loop %d", loop->index);
    write_line(line, used);
}

void asy_report(asyncio_loop *loop, const asyncio_exception_context *context)
{
    /* A failure inside the handler goes to stderr: the handler does not handle its own. */
    if (!loop || !loop->exception_handler || loop->is_reporting) {
        print_report(loop, context);
        return;
    }
    /* The handler is a callback: it must not wait, even if a task's step led here. It runs in the context of
     * the task concerned, or else of the task whose step it is. */
    asyncio_task *hidden = asy_task_hide(), *whose = context->task ? context->task : hidden;
    asyncio_context *before = loop->context;
    loop->context = asy_vars_ref(whose ? whose->context : before);
    loop->is_reporting = true;
    loop->exception_handler(loop, context, loop->exception_arg);
    loop->is_reporting = false;
    asy_task_show(hidden);
    asy_vars_put(&loop->context, before);
}

static void report_words(asyncio_loop *loop, asyncio_task *task, const asyncio_site *site, intptr_t err,
                         const char *format, va_list args)
{
    char message[512];
    vsnprintf(message, sizeof message, format, args);
    asyncio_exception_context context = {.message = message, .error = err, .task = task};
    if (site) {
        context.file = site->file;
        context.line = site->line;
    }
    asy_report(loop, &context);
}

void asy_report_task(asyncio_loop *loop, asyncio_task *task, intptr_t err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_words(loop, task, task->future.site, err, format, args);
    va_end(args);
}

void asy_report_site(asyncio_loop *loop, const asyncio_site *site, intptr_t err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_words(loop, NULL, site, err, format, args);
    va_end(args);
}

void asy_fatal(const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    size_t used = append_words(line, 0, "asyncio: ");
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    if (n > 0)
        used += (size_t)n < sizeof line - used - 1 ? (size_t)n : sizeof line - used - 2;
    write_line(line, used);
    abort();
}

/* asyncio: broken invariant in asy_future_complete (futures.c:62): !future->is_done; task 'Task-3' of fetch,
 * which waits in queue. Does not ask for the task's name: making one takes memory. */
void asy_assert_failed(const struct asy_assertion *assertion, const asyncio_task *task)
{
    char line[LINE_MAX_BYTES];
    const char *folder = strrchr(assertion->file, '/');
    size_t used = append_words(line, 0, "asyncio: broken invariant in %s (%s:%d): %s", assertion->function,
                               folder ? folder + 1 : assertion->file, assertion->line, assertion->condition);
    if (!task && asy_running_loop)
        task = asy_running_loop->current;
    if (task && task->name)
        used = append_words(line, used, "; task '%s' of %s", task->name, task->type->site.func);
    else if (task)
        used = append_words(line, used, "; task 'Task-%llu' of %s", (unsigned long long)task->id,
                            task->type->site.func);
    if (task && task->wait)
        used = append_words(line, used, ", which waits in %s", task->wait->kind->name);
    write_line(line, used);
    abort();
}

void asy_wrong_thread(const char *call)
{
    asy_fatal("%s was called from a thread that does not run the loop; only calls whose name ends in "
              "_threadsafe or _signalsafe may be",
              call);
}

void asyncio_loop_set_exception_handler(asyncio_loop *loop, asyncio_exception_handler fn, void *arg)
{
    if (!loop)
        return;
    asy_loop_check(loop, __func__);
    loop->exception_handler = fn;
    loop->exception_arg = arg;
}

void asyncio_loop_call_exception_handler(asyncio_loop *loop, const asyncio_exception_context *context)
{
    if (!loop || !context)
        return;
    asy_loop_check(loop, __func__);
    asy_report(loop, context);
}
