/*
 * Waits, loops, cycles and frames in words.
 */
#include "look.h"
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- States ------------------------------------------------------------------ */

/* The names of waits that have a shorter word, and what stands before the object. */
static const struct {
    const char *name, *word, *verb;
} words[] = {
    {"reading a descriptor", "read", ""},
    {"writing a descriptor", "write", ""},
    {"waiting for a descriptor", "poll", ""},
    {"stream drain", "drain", ""},
    {"stream write", "write", "turn to write to "},
    {"queue get", "queue", "get from "},
    {"queue put", "queue", "put into "},
    {"queue join", "queue", "join "},
    {"channel send", "channel", "send to "},
    {"channel receive", "channel", "receive from "},
    {"task group, for a place", "group", "a place; "},
    {"task group, for a child to start", "group", "a child to start; "},
    {"task group", "group", ""},
    {"to_thread", "thread", ""},
    {"a thread", "thread", ""},
    {"a file", "file", ""},
    {"closing a file", "file", "close "},
    {"condition, for the lock", "condition", "was notified; lock "},
    {"barrier, until it has drained", "barrier", "until it has drained: "},
    {"gather, ending the rest", "gather", "ends the rest: "},
};

const char *state_of(const struct task *task)
{
    static const char *const states[] = {"starts", "ready", "running", "creates", "", "?"};
    if (task->state != TASK_WAITS)
        return states[task->state];
    if (!task->kind || !task->kind->name[0])
        return "?";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(task->kind->name, words[i].name) == 0)
            return words[i].word;
    return task->kind->name;
}

static const char *verb_of(const struct task *task)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(task->kind->name, words[i].name) == 0)
            return words[i].verb;
    return "";
}

const char *coroutine_of(const struct task *task)
{
    return task->coroutine && task->coroutine->function[0] ? task->coroutine->function : "?";
}

double waits_for_seconds(const struct look *look, const struct task *task)
{
    if (task->state != TASK_WAITS)
        return -1;
    double seconds = seconds_since(&look->model, &look->model.loops[task->loop], task->since_ns);
    return seconds < 0 ? 0 : seconds;
}

/* ---- Objects ------------------------------------------------------------------ */

/* By its symbol; by the task on whose stack it lies; else by its address. */
static void name_object(struct look *look, uint64_t object, struct text *text)
{
    if (symbol_of_data(look->unwinder, object, text))
        return;
    const struct stretch *stretch = memory_find_stretch(&look->memory, object);
    uint32_t i = stretch ? table_find(&look->by_stack, stretch->high) : NOBODY;
    text_add(text, "0x%llx", (unsigned long long)object);
    if (i == NOBODY)
        return;
    text_add(text, " on the stack of ");
    name_task(&look->model.tasks[i], text);
}

static void say_owner(struct look *look, uint64_t owner, struct text *text)
{
    uint32_t i = owner ? table_find(&look->model.by_id, owner) : NOBODY;
    if (!owner) {
        text_add(text, ", free");
    } else if (i == NOBODY) {
        text_add(text, ", held by Task-%llu, which has ended", (unsigned long long)owner);
    } else {
        text_add(text, ", held by ");
        name_task(&look->model.tasks[i], text);
        if (look->model.tasks[i].name)
            text_add(text, " (%llu)", (unsigned long long)owner);
    }
}

static void say_future(struct look *look, uint64_t future, struct text *text)
{
    const struct task *task = find_task(&look->model, future);
    if (task) {
        name_task(task, text);
        return;
    }
    const struct site *site =
        model_site(&look->model, memory_word(&look->memory, future + look->model.debug.future.site));
    text_add(text, "a future");
    if (site && site->file[0]) {
        text_add(text, " made at ");
        text_add_clean(text, site->file);
        text_add(text, ":%u", site->line);
    }
}

/* How many of a gather's are not done: of at most so many. */
#define MEMBERS_COUNTED 1000000

static void say_members(struct look *look, const struct task *task, struct text *text)
{
    const uint32_t *at = task->kind->shape.at;
    uint64_t array = memory_word(&look->memory, task->object + at[0]);
    uint64_t count = memory_word(&look->memory, task->object + at[1]), left = 0;
    for (uint64_t i = 0; array && i < count && i < MEMBERS_COUNTED; i++) {
        uint64_t future = 0;
        uint8_t is_done = 1;
        if (!memory_read(&look->memory, array + i * at[2] + at[3], &future, 8))
            break;
        if (future && memory_read(&look->memory, future + look->model.debug.future.done, &is_done, 1))
            left += !is_done;
    }
    text_add(text, "%llu of %llu left", (unsigned long long)left, (unsigned long long)count);
}

static void say_queue(struct look *look, const struct task *task, struct text *text)
{
    const uint32_t *at = task->kind->shape.at;
    uint64_t count = memory_word(&look->memory, task->object + at[0]);
    uint64_t limit = memory_word(&look->memory, task->object + at[1]);
    name_object(look, task->object, text);
    if (strcmp(task->kind->name, "queue join") == 0)
        text_add(text, ", %llu to be dealt with",
                 (unsigned long long)memory_word(&look->memory, task->object + at[2]));
    else if (limit == UINT64_MAX)
        text_add(text, ", %llu in it", (unsigned long long)count);
    else
        text_add(text, ", %llu of %llu", (unsigned long long)count, (unsigned long long)limit);
}

static void say_descriptor(struct look *look, const struct task *task, struct text *text)
{
    int fd = (int)memory_half(&look->memory, task->object + task->kind->shape.at[0]);
    text_add(text, "fd %d", fd);
    look->target->ops->describe_fd(look->target, fd, strcmp(state_of(task), "read") == 0, text);
}

static void say_work(struct look *look, const struct task *task, struct text *text)
{
    const uint32_t *at = task->kind->shape.at;
    int tid = (int)memory_half(&look->memory, task->object + at[0]);
    const char *function =
        at[1] ? function_at(look->unwinder, memory_word(&look->memory, task->object + at[1])) : NULL;
    uint64_t path = at[3] ? memory_word(&look->memory, task->object + at[3]) : 0;
    int fd = at[2] ? (int)memory_half(&look->memory, task->object + at[2]) : 0;
    if (function) {
        text_add_clean(text, function);
        text_add(text, " ");
    }
    if (path) {
        char *name = memory_string(&look->memory, path, 256);
        text_add_clean(text, name);
        text_add(text, ", ");
        free(name);
    } else if (at[2] && fd >= 0) {
        text_add(text, "fd %d", fd);
        look->target->ops->describe_fd(look->target, fd, true, text);
        text_add(text, ", ");
    }
    if (tid)
        text_add(text, "on thread %d", tid);
    else
        text_add(text, "queued, no thread has begun it");
}

static void say_process(struct look *look, const struct task *task, struct text *text)
{
    const uint32_t *at = task->kind->shape.at;
    text_add(text, "pid %d", (int)memory_half(&look->memory, task->object + at[0]));
    if (!at[1])
        return;
    char *name = memory_string(&look->memory, task->object + at[1], 47);
    text_add(text, ", ");
    text_add_clean(text, name);
    free(name);
}

static void say_signal(struct look *look, const struct task *task, struct text *text)
{
    int number = (int)memory_half(&look->memory, task->object + task->kind->shape.at[0]);
    const char *name = number > 0 && number < NSIG ? sigabbrev_np(number) : NULL;
    if (name)
        text_add(text, "SIG%s", name);
    else
        text_add(text, "%d", number);
}

static void say_lock(struct look *look, const struct task *task, struct text *text)
{
    uint64_t owner, lock = lock_of_wait(&look->model, task, &owner);
    name_object(look, lock, text);
    say_owner(look, owner, text);
}

static void say_clients(uint64_t count, struct text *text)
{
    text_add(text, count == 1 ? "%llu client" : "%llu clients", (unsigned long long)count);
}

static void explain_wait(struct look *look, const struct task *task, struct text *text);

#define KINDS_OF_CASES_MAX 64

/* What a case stands for, as if the task waited for that alone. NULL: it is not known. */
static const struct kind *kind_of_case(struct look *look, const struct task *task, uint64_t one)
{
    struct model *model = &look->model;
    uint32_t which =
        HAS(model, cases) ? memory_half(&look->memory, one + model->debug.cases.which) : UINT32_MAX;
    if (which >= KINDS_OF_CASES_MAX)
        return NULL;
    uint64_t kinds = memory_word(&look->memory, task->object + model->debug.cases.kinds);
    uint64_t kind = kinds ? memory_word(&look->memory, kinds + which * sizeof kind) : 0;
    return kind ? model_kind(model, memory_word(&look->memory, kind + model->debug.cases.alone)) : NULL;
}

static void say_case(struct look *look, const struct task *task, uint64_t one, struct text *text)
{
    uint64_t object = memory_word(&look->memory, one + task->kind->shape.at[3]);
    struct task alone = *task;
    alone.kind = kind_of_case(look, task, one);
    alone.object = object ? object : one;
    if (alone.kind && alone.kind->shape.kind != SHAPE_CASES) {
        if (!*verb_of(&alone)) {
            text_add_clean(text, state_of(&alone));
            text_add(text, " ");
        }
        explain_wait(look, &alone, text);
    } else if (find_task(&look->model, object)) {
        name_task(find_task(&look->model, object), text);
    } else if (object) {
        name_object(look, object, text);
    } else {
        text_add(text, "a descriptor");
    }
}

#define CASES_SAID 8

static void say_cases(struct look *look, const struct task *task, struct text *text)
{
    const uint32_t *at = task->kind->shape.at;
    uint64_t array = memory_word(&look->memory, task->object + at[0]);
    uint64_t count = memory_word(&look->memory, task->object + at[1]);
    text_add(text, "one of %llu: ", (unsigned long long)count);
    for (uint64_t i = 0; i < count && i < CASES_SAID; i++) {
        text_add(text, i ? " | " : "");
        say_case(look, task, array + i * at[2], text);
    }
    text_add(text, count > CASES_SAID ? " | ..." : "");
}

static void explain_wait(struct look *look, const struct task *task, struct text *text)
{
    const struct wait_shape *shape = &task->kind->shape;
    struct memory *memory = &look->memory;
    text_add(text, "%s", verb_of(task));
    switch (shape->kind) {
    case SHAPE_FUTURE:
        say_future(look, task->object, text);
        break;
    case SHAPE_FUTURES:
        say_members(look, task, text);
        break;
    case SHAPE_GROUP:
        text_add(text, "%llu left", (unsigned long long)memory_word(memory, task->object + shape->at[0]));
        break;
    case SHAPE_SERVER:
        say_clients(memory_word(memory, task->object + shape->at[0]), text);
        break;
    case SHAPE_OBJECT:
    case SHAPE_SEMAPHORE:
        name_object(look, task->object, text);
        break;
    case SHAPE_LOCK:
    case SHAPE_LOCK_OF:
        say_lock(look, task, text);
        break;
    case SHAPE_QUEUE:
        say_queue(look, task, text);
        break;
    case SHAPE_BARRIER:
        name_object(look, task->object, text);
        text_add(text, ", %d of %d here", (int)memory_half(memory, task->object + shape->at[1]),
                 (int)memory_half(memory, task->object + shape->at[0]));
        break;
    case SHAPE_DESCRIPTOR:
        say_descriptor(look, task, text);
        break;
    case SHAPE_WORK:
        say_work(look, task, text);
        break;
    case SHAPE_PROCESS:
        say_process(look, task, text);
        break;
    case SHAPE_CASES:
        say_cases(look, task, text);
        break;
    case SHAPE_SIGNAL:
        say_signal(look, task, text);
        break;
    default:
        break;
    }
}

/* ---- Time --------------------------------------------------------------------- */

static void say_deadline(const struct look *look, const struct task *task, int64_t deadline_ns,
                         const char *before, const char *after, struct text *text)
{
    double left = -seconds_since(&look->model, &look->model.loops[task->loop], deadline_ns);
    if (deadline_ns == INT64_MAX)
        return;
    text_add(text, text->length ? "; " : "");
    if (left >= 0)
        text_add(text, "%s%.3f s%s", before, left, after);
    else
        text_add(text, "%sdue since %.3f s", before, -left);
}

void explain_task(struct look *look, const struct task *task, struct text *text)
{
    struct text own = {0};
    if (task->state == TASK_WAITS && task->kind) {
        explain_wait(look, task, &own);
        say_deadline(look, task, task->deadline_ns, "", " left", &own);
    }
    say_deadline(look, task, task->timeout_ns, "timeout in ", "", &own);
    if (task->is_cancelled)
        text_add(&own, "%sa request to cancel waits for the next wait", own.length ? "; " : "");
    text_add(text, "%s", text_of(&own));
    text_free(&own);
}

/* ---- Places ------------------------------------------------------------------- */

static void cut_suffix(struct text *name, const char *suffix)
{
    size_t length = strlen(text_of(name)), end = strlen(suffix);
    if (length > end && strcmp(name->at + length - end, suffix) == 0)
        name->at[length - end] = '\0';
}

/* As it stands in the source: without what the compiler appends to its copies, and what ASYNC does. */
static void say_function(const struct frame *frame, struct text *text)
{
    struct text name = {0};
    text_add_clean(&name, frame->function);
    char *dot = strchr(name.at ? name.at + 1 : "", '.');
    if (dot)
        *dot = '\0';
    cut_suffix(&name, "_coroutine");
    if (!frame->is_library)
        cut_suffix(&name, "_coroutine_start_"); /* it has the body in it */
    text_add(text, "%s", text_of(&name));
    text_free(&name);
}

void say_frame(const struct frame *frame, struct text *text)
{
    if (frame->function) {
        say_function(frame, text);
    } else if (frame->object) {
        text_add_clean(text, frame->object);
        text_add(text, "+0x%llx", (unsigned long long)frame->offset);
    } else {
        text_add(text, "0x%llx", (unsigned long long)frame->pc);
    }
    if (!frame->file)
        return;
    text_add(text, " ");
    text_add_clean(text, frame->file);
    text_add(text, ":%d", frame->line);
}

static void say_site(const struct site *site, struct text *text)
{
    if (!site || !site->file[0])
        return;
    text_add_clean(text, site->file);
    text_add(text, ":%u", site->line);
}

void say_where(const struct task *task, struct text *text)
{
    const struct stack *stack = task->stack;
    if (!stack || stack->where >= stack->count) {
        /* It has not begun, or its last call was in the last place, which leaves no frame. */
        say_site(task->coroutine, text);
        return;
    }
    const struct frame *frame = &stack->frames[stack->where];
    if (frame->file) {
        text_add_clean(text, frame->file);
        text_add(text, ":%d", frame->line);
    } else {
        say_frame(frame, text);
    }
}

void each_frame(const struct look *look, const struct stack *stack,
                void (*fn)(const struct frame *frame, void *arg), void *arg)
{
    int left = look->options.stack;
    for (size_t i = 0; stack && i < stack->count && left > 0; i++) {
        if (stack->frames[i].is_library && !look->options.all_frames)
            continue;
        fn(&stack->frames[i], arg);
        left--;
    }
}

/* ---- Loops and cycles ----------------------------------------------------------- */

void say_loop(struct look *look, const struct loop *loop, struct text *text)
{
    const struct task *current = find_task(&look->model, loop->current);
    text_add(text, "loop %llu, thread %d: %u tasks, %llu ready, %llu timers", (unsigned long long)loop->id,
             loop->tid, loop->tasks, (unsigned long long)loop->ready_count,
             (unsigned long long)loop->timer_count);
    if (loop->is_virtual)
        text_add(text, ", virtual clock");
    if (current) {
        text_add(text, ", runs ");
        name_task(current, text);
    } else if (loop->is_sleeping) {
        double seconds = seconds_since(&look->model, loop, loop->now_ns);
        bool is_known = !loop->is_virtual && look->target->now_ns;
        text_add(text, is_known ? ", waits since %.3f s" : ", waits", seconds < 0 ? 0 : seconds);
    } else if (loop->stack) {
        text_add(text, ", runs a callback or polls");
    }
}

static const struct edge *edge_between(const struct model *model, uint32_t from, uint32_t to)
{
    const struct task *task = &model->tasks[from];
    for (uint32_t i = 0; i < task->edge_count; i++)
        if (model->edges[task->first_edge + i].to == to)
            return &model->edges[task->first_edge + i];
    return NULL;
}

void say_cycle(struct look *look, const struct cycle *cycle, struct text *text)
{
    struct model *model = &look->model;
    text_add(text, "cycle: ");
    for (size_t i = 0; i < cycle->length; i++) {
        uint32_t from = cycle->tasks[i], to = cycle->tasks[(i + 1) % cycle->length];
        const struct edge *edge = edge_between(model, from, to);
        text_add(text, i ? "; " : "");
        name_task(&model->tasks[from], text);
        if (edge && edge->kind == NEEDS_LOCK) {
            text_add(text, " waits for lock ");
            uint64_t owner;
            name_object(look, lock_of_wait(model, &model->tasks[from], &owner), text);
            text_add(text, ", held by ");
        } else {
            text_add(text, " awaits ");
        }
        name_task(&model->tasks[to], text);
    }
}
