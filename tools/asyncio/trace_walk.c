/*
 * Walking through a trace: what the thread does, and the states of tasks. See trace_log.h.
 */
#include "trace_log.h"

struct walk {
    struct trace_log *log;
    const struct trace_walker *walker;
    enum activity activity;
    struct traced_task *running;
    int64_t first_ns;
    uint64_t flows;
};

static void begin_activity(struct walk *walk, enum activity activity, struct traced_task *task, int64_t ns)
{
    walk->activity = activity;
    walk->running = task;
    walk->walker->begin(walk->walker->context, activity, task, ns);
}

static void end_activity(struct walk *walk, int64_t ns)
{
    if (walk->activity != DOES_NOTHING)
        walk->walker->end(walk->walker->context, walk->activity, walk->running, ns);
    walk->activity = DOES_NOTHING;
    walk->running = NULL;
}

static void change_state(struct walk *walk, struct traced_task *task, enum traced_state state, uint32_t wait,
                         int64_t ns)
{
    struct traced_task before = *task;
    task->state = state;
    task->wait = wait;
    task->since_ns = ns;
    walk->walker->state(walk->walker->context, task, &before, ns);
    if (state == STATE_RUNNING || state == STATE_DONE)
        task->flow = 0;
}

static void begin_flow(struct walk *walk, struct traced_task *task)
{
    task->flow = ++walk->flows;
}

/* The task that a record says has left ran until now, even if its begin is not in the ring. */
static void leave(struct walk *walk, const struct trace_record *record, int64_t ns)
{
    struct traced_task *task = trace_log_task(walk->log, task_of(record->other));
    if (task && walk->activity == DOES_NOTHING && kind_of(record) == TRACE_STEP) {
        begin_activity(walk, RUNS_TASK, task, walk->first_ns);
        change_state(walk, task, STATE_RUNNING, 0, walk->first_ns);
    }
    end_activity(walk, ns);
    if (!task || task->state == STATE_DONE)
        return;
    uint32_t wait = name_place(record->other);
    bool is_ready = task->state == STATE_RUNNING && wait == TRACE_NAME_READY;
    change_state(walk, task, is_ready ? STATE_READY : STATE_WAITING, wait, ns);
}

static void walk_step(struct walk *walk, const struct trace_record *record, int64_t ns)
{
    struct traced_task *task = trace_log_task(walk->log, task_of(record->subject));
    leave(walk, record, ns);
    begin_activity(walk, task ? RUNS_TASK : RUNS_CALLBACK, task, ns);
    if (task)
        change_state(walk, task, STATE_RUNNING, 0, ns);
}

static void walk_record(struct walk *walk, const struct trace_record *record)
{
    int64_t ns = (int64_t)record->time;
    struct traced_task *task = trace_log_task(walk->log, task_of(record->subject));
    switch (kind_of(record)) {
    case TRACE_STEP:
        walk_step(walk, record, ns);
        break;
    case TRACE_LEFT:
        leave(walk, record, ns);
        break;
    case TRACE_POLL:
        end_activity(walk, ns);
        begin_activity(walk, POLLS, NULL, ns);
        break;
    case TRACE_POLLED:
        if (walk->activity != POLLS)
            begin_activity(walk, POLLS, NULL, walk->activity == DOES_NOTHING ? walk->first_ns : ns);
        end_activity(walk, ns);
        break;
    case TRACE_WAKE:
    case TRACE_SPAWN:
        if (task && task->state != STATE_READY && task->state != STATE_RUNNING) {
            begin_flow(walk, task);
            change_state(walk, task, STATE_READY, 0, ns);
        }
        break;
    case TRACE_DONE:
        if (task && walk->running == task)
            end_activity(walk, ns);
        if (task)
            change_state(walk, task, STATE_DONE, 0, ns);
        break;
    default:
        break;
    }
    walk->walker->other(walk->walker->context, record, task);
}

void trace_log_walk(struct trace_log *log, const struct trace_walker *walker)
{
    struct walk walk = {.log = log, .walker = walker};
    walk.first_ns = log->count ? (int64_t)log->records[0].time : 0;
    for (size_t i = 0; i < log->count; i++) {
        if (kind_of(&log->records[i]) != TRACE_NOTHING) {
            walk_record(&walk, &log->records[i]);
            walk.first_ns = (int64_t)log->records[i].time; /* a begin is made up once, at the ring's edge */
        }
    }
}
