/*
 * Held loops, looked at and told. See core/stall.h.
 *
 * The looking thread is not the loop's, so it reads nothing of the loop directly: the kernel copies (peek.h).
 * The watchdog believes the copy only if the loop stands where it stood before.
 */
#include "core/stall.h"
#include "asyncio/errors.h"
#include "base/compiler.h"
#include "core/call_graph.h"
#include "core/loop.h"
#include "core/peek.h"
#include "core/report.h"
#include "core/task.h"
#include "sys/thread_look.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* A thread that could run, and had less of the time than one in so many, waits for a processor. */
#define STARVED 16
/* How long a thread gets to say which calls it is in: it may wait for a processor, too. */
#define ANSWER_NS INT64_C(500000000)
#define FRAMES_TOLD 12

/* ---- Who ------------------------------------------------------------------------------------- */

static void find_holder(const struct suspect *suspect, struct stall *stall)
{
    const asyncio_task *place;
    asyncio_task task;
    asyncio_coro_type type;
    asyncio_site made_at;
    if (!PEEK(&place, &suspect->loop->current) || !place || !PEEK(&task, place) ||
        task.future.kind != OBJECT_TASK || task.future.loop != suspect->loop)
        return;
    stall->told.task = stall->task;
    if (task.name)
        asy_peek_text(stall->task, sizeof stall->task, task.name);
    else
        snprintf(stall->task, sizeof stall->task, "Task-%" PRIu64, task.id);
    if (PEEK(&type, task.type)) {
        asy_peek_text(stall->coroutine, sizeof stall->coroutine, type.site.func);
        stall->told.coroutine = stall->coroutine;
    }
    if (task.future.site && PEEK(&made_at, task.future.site)) {
        asy_peek_text(stall->file, sizeof stall->file, made_at.file);
        stall->told.file = stall->file;
        stall->told.line = made_at.line;
    }
}

/* ---- What it does ------------------------------------------------------------------------------ */

static void describe_call(const struct asy_thread_look *look, char *words, size_t bytes)
{
    bool has_fd = false;
    const char *name = asy_sys_call_name(look->call, &has_fd);
    const char *firmly = look->state == 'D' ? "; nothing can interrupt it" : "";
    char file[ASY_STALL_TEXT] = "";
    int fd = (int)look->first;
    if (look->call < 0)
        snprintf(words, bytes, "it waits for memory, or in a way that is unknown");
    else if (!name)
        snprintf(words, bytes, "it is in system call %d%s", look->call, firmly);
    else if (!has_fd)
        snprintf(words, bytes, "it is in %s%s", name, firmly);
    else if (asy_sys_describe_fd(fd, file, sizeof file))
        snprintf(words, bytes, "it is in %s(%d), %s%s", name, fd, file, firmly);
    else
        snprintf(words, bytes, "it is in %s(%d)%s", name, fd, firmly);
}

static void find_calls_of_computing(const struct suspect *suspect, struct stall *stall)
{
    int count = asy_sys_thread_calls(suspect->tid, stall->frames, ASY_STALL_FRAMES, ANSWER_NS);
    stall->told.frame_count = (size_t)count;
}

/* A signal would end a sleep early. So it is sent to none that has slept since an earlier look: that one may
 * be about to sleep again. */
static void describe_computing(const struct suspect *suspect, const struct asy_thread_look *look,
                               struct stall *stall)
{
    bool sleeps = look->sleeps != suspect->sleeps;
    snprintf(stall->words, sizeof stall->words, "it computes%s",
             sleeps && suspect->sleeps != UINT64_MAX ? ", and sleeps in between" : "");
    if (!sleeps && suspect->may_signal)
        find_calls_of_computing(suspect, stall);
}

static void describe_sleep(const struct asy_thread_look *look, struct stall *stall)
{
    stall->told.syscall = look->call;
    describe_call(look, stall->words, sizeof stall->words);
    if (!look->pc)
        return;
    memcpy(stall->frames, &look->pc, sizeof look->pc);
    stall->told.frame_count = 1;
}

/* The loop's own wait for events: a poster has said that it does not sleep, and is about to wake it. Nothing
 * tells whose ring it is in io_uring_enter, which programs rarely call themselves. */
static bool is_own_wait(const struct suspect *suspect, const struct asy_thread_look *look)
{
    bool has_fd;
    const char *name = look->call < 0 ? NULL : asy_sys_call_name(look->call, &has_fd);
    if (name && strncmp(name, "epoll_", 6) == 0)
        return (int)look->first == suspect->poll_fd;
    return name && strcmp(name, "io_uring_enter") == 0;
}

static bool is_starved(const struct suspect *suspect)
{
    int64_t now_ns = asy_sys_thread_cpu_ns(suspect->tid);
    return now_ns >= 0 && suspect->cpu_ns >= 0 && now_ns - suspect->cpu_ns < suspect->limit_ns / STARVED;
}

bool asy_stall_look(const struct suspect *suspect, struct stall *stall)
{
    struct asy_thread_look look;
    asy_sys_thread_look(suspect->tid, &look);
    if (look.is_traced || is_own_wait(suspect, &look) || (look.state && strchr("TtXZ", look.state)) ||
        (look.state == 'R' && is_starved(suspect)))
        return false;
    memset(stall, 0, sizeof *stall);
    stall->told = (asyncio_stall){.loop = suspect->id,
                                  .seconds = (double)suspect->held_ns / 1e9,
                                  .state = look.state,
                                  .syscall = -1,
                                  .words = stall->words,
                                  .frames = (const void *const *)stall->frames};
    find_holder(suspect, stall);
    if (look.state == 'R')
        describe_computing(suspect, &look, stall);
    else if (look.state)
        describe_sleep(&look, stall);
    else
        snprintf(stall->words, sizeof stall->words, "what it does is unknown, since /proc cannot be read");
    return true;
}

/* ---- Told -------------------------------------------------------------------------------------- */

static void print_calls_of_stall(const asyncio_stall *stall)
{
    char line[512] = "";
    size_t used = 0, told = 0;
    for (size_t i = 0; i < stall->frame_count && told < FRAMES_TOLD; i++) {
        asyncio_call_frame frame = asy_call_frame_of(stall->frames[i], /* is_exact= */ i == 0);
        char text[ASY_CALL_TEXT];
        if (asy_call_frame_is_ours(&frame))
            continue;
        asy_call_frame_text(&frame, text);
        if (used + strlen(text) + 2 > sizeof line)
            break;
        used += (size_t)snprintf(line + used, sizeof line - used, " %s", text);
        told++;
    }
    if (told)
        asy_report_site(NULL, NULL, 0, " %s", line);
}

static void print_stall(const asyncio_stall *stall)
{
    char who[4 * ASY_STALL_TEXT + 64] = "a callback", where[2 * ASY_STALL_TEXT + 32] = "";
    if (stall->over) {
        asy_report_site(NULL, NULL, 0, "loop %" PRIu64 " goes on, after %.3f s", stall->loop, stall->seconds);
        return;
    }
    if (stall->file)
        snprintf(where, sizeof where, ", made at %s:%d", stall->file, stall->line);
    if (stall->task)
        snprintf(who, sizeof who, "task '%s'%s%s%s", stall->task, stall->coroutine ? " of " : "",
                 stall->coroutine ? stall->coroutine : "", where);
    asy_report_site(NULL, NULL, 0, "loop %" PRIu64 " has been held for %.3f s by %s: %s", stall->loop,
                    stall->seconds, who, stall->words);
    if (stall->state == 'R') /* else the call has been named */
        print_calls_of_stall(stall);
}

/* Guards the handler, and is held while it runs. */
static pthread_mutex_t handler_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*handler)(const asyncio_stall *stall, void *arg);
static void *handler_arg;
static THREAD_LOCAL bool is_in_handler;

void asy_stall_tell(const asyncio_stall *stall)
{
    pthread_mutex_lock(&handler_lock);
    if (handler) {
        is_in_handler = true;
        handler(stall, handler_arg);
        is_in_handler = false;
    } else {
        print_stall(stall);
    }
    pthread_mutex_unlock(&handler_lock);
}

int asyncio_set_stall_handler(void (*fn)(const asyncio_stall *stall, void *arg), void *arg)
{
    if (is_in_handler)
        return ASYNCIO_ESTATE;
    pthread_mutex_lock(&handler_lock);
    handler = fn;
    handler_arg = arg;
    pthread_mutex_unlock(&handler_lock);
    return 0;
}

void asy_stall_forked(void)
{
    handler_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    is_in_handler = false;
    asy_sys_thread_look_forked();
}
