/*
 * Directs the loop of a run: the order of ready tasks, limits of time and steps, what happens, and what tasks
 * wait in when a limit or a deadlock ends it.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "core/debug.h"
#include "core/director.h"
#include "core/task.h"
#include "sim/pct.h"
#include "sim/run.h"
#include "sim/world.h"
#include "sys/world.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WORK_DELAY_MAX_NS 10000000
/* What a shutdown may take, as a part of the limits. */
#define SHUTDOWN_STEPS_PART 10
#define WAITS_TOLD_MAX 8

static THREAD_LOCAL struct {
    const struct sim_job *job;
    struct sim_outcome *outcome;
    asyncio_loop *loop;
    int64_t now_ns, limit_ns;
    uint64_t steps, step_limit; /* without a change of time */
    uint64_t latest;            /* task that made one */
    uint64_t *ids;              /* of the tasks that are arranged */
    size_t id_room;
} directed;

int64_t asy_sim_run_now_ns(void)
{
    return directed.loop ? asy_loop_now_ns(directed.loop) : 0;
}

/* ---- Order -------------------------------------------------------------------------------- */

static asyncio_task *task_of(struct ready *entry)
{
    return LIST_ENTRY(entry, asyncio_task, ready);
}

static void swap_tasks(struct ready **tasks, size_t i, size_t j)
{
    struct ready *swapped = tasks[i];
    tasks[i] = tasks[j];
    tasks[j] = swapped;
}

/* Draws of 0 leave them as they are. */
static size_t arrange_by_chance(struct ready **tasks, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        size_t ahead = (size_t)asy_sim_draw(SIM_ORDER, count - i);
        asy_sim_tell("Task-%llu runs before %zu others", (unsigned long long)task_of(tasks[i + ahead])->id,
                     count - i - 1);
        swap_tasks(tasks, i, i + ahead);
    }
    return count;
}

/* One runs; the others keep their order. */
static size_t arrange_by_priority(struct ready **tasks, size_t count)
{
    if (count > directed.id_room) {
        directed.id_room = count * 2;
        directed.ids = asy_sim_realloc(directed.ids, directed.id_room * sizeof *directed.ids);
    }
    for (size_t i = 0; i < count; i++)
        directed.ids[i] = task_of(tasks[i])->id;
    size_t chosen = asy_sim_pct_choose(directed.ids, count);
    struct ready *first = tasks[chosen];
    memmove(tasks + 1, tasks, chosen * sizeof *tasks);
    tasks[0] = first;
    return 1;
}

static size_t arrange_tasks(asyncio_loop *loop, struct ready **tasks, size_t count)
{
    (void)loop;
    switch (directed.job->options.order) {
    case ASYNCIO_SIM_RANDOM:
        return arrange_by_chance(tasks, count);
    case ASYNCIO_SIM_PCT:
        return arrange_by_priority(tasks, count);
    case ASYNCIO_SIM_FIFO:
        break;
    }
    return count;
}

static uint64_t choose_number(asyncio_loop *loop, uint64_t bound)
{
    (void)loop;
    uint64_t number = directed.job->options.order == ASYNCIO_SIM_FIFO ? 0 : asy_sim_draw(SIM_ORDER, bound);
    asy_sim_tell("a select begins with case %llu of %llu", (unsigned long long)number,
                 (unsigned long long)bound);
    return number;
}

static int64_t delay_work(asyncio_loop *loop)
{
    (void)loop;
    int64_t delay_ns = (int64_t)asy_sim_draw(SIM_WORK, WORK_DELAY_MAX_NS + 1);
    asy_sim_tell("work for a thread takes %.6f s", (double)delay_ns / 1e9);
    return delay_ns;
}

/* ---- Waits ------------------------------------------------------------------------------------ */

/* "waits in reading a descriptor" becomes "waits in reading fd 9, tcp 10.0.0.1:40001 -> 10.0.0.2:80". */
static void name_descriptor(const asyncio_task *task, char *text, size_t bytes)
{
    const struct wait *wait = task->wait;
    if (!wait || wait->kind->shape.kind != SHAPE_DESCRIPTOR)
        return;
    int fd = *(const int *)(const void *)((const char *)wait->object + wait->kind->shape.at[0]);
    char what[160], *article = strstr(text, " a descriptor");
    asy_sim_world_describe_fd(fd, what, sizeof what);
    size_t used = article ? (size_t)(article - text) : strlen(text);
    snprintf(text + used, bytes - used, "%s fd %d%s%s", article ? "" : ",", fd, *what ? ", " : "", what);
}

static size_t append_wait(asyncio_task *task, char *text, size_t bytes)
{
    char name[ASY_DEBUG_NAME], words[ASY_DEBUG_WORDS + 192];
    const char *host = asy_sim_world_host_of(task);
    asy_debug_describe(task, words, ASY_DEBUG_WORDS);
    name_descriptor(task, words, sizeof words);
    int n = snprintf(text, bytes, "asyncio: %s%s%s %s\n", asy_debug_name(task, name), *host ? " of " : "",
                     host, words);
    return n > 0 && (size_t)n < bytes ? (size_t)n : 0;
}

/* The first verdict stays, with the waits of then: a shutdown may come to another. */
static void set_verdict(asyncio_loop *loop, int verdict)
{
    struct sim_outcome *outcome = directed.outcome;
    size_t used = 0, told = 0;
    if (outcome->verdict)
        return;
    outcome->verdict = verdict;
    LIST_EACH(node, &loop->tasks) {
        if (told++ == WAITS_TOLD_MAX)
            break;
        used += append_wait(LIST_ENTRY(node, asyncio_task, all), outcome->waits + used,
                            sizeof outcome->waits - used);
    }
    if (loop->task_count > WAITS_TOLD_MAX)
        snprintf(outcome->waits + used, sizeof outcome->waits - used, "asyncio: and %zu tasks more\n",
                 loop->task_count - WAITS_TOLD_MAX);
}

/* ---- Steps and limits ----------------------------------------------------------------------- */

/* Of results only errors are told: a value may be a pointer, which differs from run to run. */
static void note_step(asyncio_loop *loop, asyncio_task *task, const char *wait)
{
    (void)loop;
    directed.steps++;
    directed.latest = task ? task->id : directed.latest;
    if (!task) {
        asy_sim_happened("callback", 0, 0);
    } else if (wait) {
        asy_sim_happened(wait, task->id, 0);
    } else {
        intptr_t result = task->future.result;
        asy_sim_happened("end", task->id, result < 0 && result >= -4095 ? (uint64_t)-result : 0);
    }
}

static int end_run(int verdict, const char *words)
{
    set_verdict(directed.loop, verdict);
    return (int)asyncio_raise(verdict, "%s", words);
}

static int check_limits(asyncio_loop *loop)
{
    char words[128];
    if (loop->now_ns != directed.now_ns) {
        directed.now_ns = loop->now_ns;
        directed.steps = 0;
    }
    if (directed.steps >= directed.step_limit) {
        snprintf(words, sizeof words, "a busy loop: %llu steps, the last of Task-%llu, and time stands still",
                 (unsigned long long)directed.steps, (unsigned long long)directed.latest);
        return end_run(-ELOOP, words);
    }
    if (loop->now_ns > directed.limit_ns) {
        snprintf(words, sizeof words, "the time limit of %g virtual seconds is over",
                 (double)directed.limit_ns / 1e9);
        return end_run(-ETIME, words);
    }
    return 0;
}

void asy_sim_direct_shutdown(void)
{
    directed.steps = 0;
    directed.step_limit = directed.step_limit / SHUTDOWN_STEPS_PART + 1;
    directed.limit_ns = ASY_NO_DEADLINE;
}

static void end_deadlock(asyncio_loop *loop)
{
    set_verdict(loop, -EDEADLK);
}

/* The loop closes them when it closes; the program should have. */
static void count_sockets(asyncio_loop *loop)
{
    struct sim_outcome *outcome = directed.outcome;
    (void)loop;
    outcome->sockets = asy_sim_world_open(outcome->socket_words, sizeof outcome->socket_words);
}

/* ---- Begin and end ------------------------------------------------------------------------------ */

static const struct director director = {
    .arrange = arrange_tasks,
    .choose = choose_number,
    .stepped = note_step,
    .polled = check_limits,
    .deadlocked = end_deadlock,
    .closes = count_sockets,
    .delay_work = delay_work,
};

void asy_sim_direct(asyncio_loop *loop, const struct sim_job *job, struct sim_outcome *outcome)
{
    directed.job = job;
    directed.outcome = outcome;
    directed.loop = loop;
    directed.now_ns = 0;
    directed.steps = 0;
    directed.step_limit = job->options.step_limit;
    directed.limit_ns = asy_ns_from_seconds(job->options.time_limit);
    if (job->options.order == ASYNCIO_SIM_PCT)
        asy_sim_pct_begin(job->options.depth);
    asy_loop_direct(loop, &director);
}

void asy_sim_direct_end(void)
{
    directed.loop = NULL;
    asy_sim_pct_end();
    asy_sim_free(directed.ids);
    directed.ids = NULL;
    directed.id_room = 0;
}
