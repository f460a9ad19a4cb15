/*
 * Cancelling a task.
 *
 * A request goes to where the task waits: the wait ends with -ECANCELED. If the task awaits another task,
 * the request is passed on instead, down the chain, and is used up when that one ends, whatever it returns.
 * A task that does not wait keeps the request for its next wait. A wait that was granted already keeps its
 * grant, and the request stays pending, unless the granted result is -ECANCELED itself: then the request
 * counts as delivered with it.
 */
#include "core/cancel.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/scope.h"
#include "core/trace.h"
#include <errno.h>

/* A chain of awaits is followed in a loop. A gather passes a request on to many, which is recursion, and
 * stacks are finite: tasks that lie deeper than this are put into a queue (TASK_IN_CANCEL), and have their
 * turn when the stack is empty again.
 *
 * Several ways may lead to one waiting task. It passes a request on once, since its wait keeps the number of
 * the last request that came by. Requests share a number as long as no task runs and none is taken back or
 * delivered: what the first one reached cannot have changed, so the next one ends where it meets its trace.
 * Thus all tasks of a chain can be cancelled one by one, and the chain is walked once. */
#define DEPTH_MAX 64

/* The request that is being passed down. There is one at a time: nothing here waits or calls the program,
 * and nobody whom a completed future notifies cancels anything. */
static THREAD_LOCAL struct {
    struct message *message;
    uint64_t number; /* never 0 */
    unsigned depth;
    asyncio_task *first_deferred, *last_deferred;
} pass;

/* Takes the message over. A request with a message has a number of its own, so that every task it reaches
 * shows the message, and so do later ones theirs. */
static void begin_pass(asyncio_loop *loop, struct message *message)
{
    ASY_ASSERT(!pass.first_deferred);
    if (loop->passed_at != loop->steps || loop->passed_by != loop->current || message)
        loop->passes++;
    loop->passed_at = loop->steps;
    loop->passed_by = loop->current;
    pass.message = message;
    pass.number = loop->passes + 1;
    pass.depth = 0;
}

/* ---- Pending requests ----------------------------------------------------------- */

/* Does a shield stand between the task and the source of a request? NULL: the source is asyncio_cancel. */
static bool is_held_back(const asyncio_task *task, const asyncio_scope *source)
{
    for (const asyncio_scope *scope = task->scopes; scope && scope != source; scope = scope->outer)
        if (scope->kind == SCOPE_SHIELD)
            return true;
    return false;
}

/* For a walk from the innermost scope outwards that ends at a shield: `scope`, or NULL if it is one. */
static asyncio_scope *unshielded(asyncio_scope *scope)
{
    return scope && scope->kind != SCOPE_SHIELD ? scope : NULL;
}

/* Is asyncio_cancel's request pending, with no shield that holds it back? */
static bool is_requested(const asyncio_task *task)
{
    return task->is_requested && !is_held_back(task, NULL);
}

void asy_cancel_update(asyncio_task *task)
{
    bool is_pending = is_requested(task);
    for (asyncio_scope *scope = unshielded(task->scopes); scope; scope = unshielded(scope->outer))
        is_pending |= scope->pending;
    task->must_cancel = is_pending;
}

static void keep_request(asyncio_task *task, asyncio_scope *source)
{
    ASY_ASSERT_TASK(!source || source->task == task, task);
    if (source) {
        source->pending = true;
    } else {
        task->is_requested = true;
        asy_message_set(&task->cancel_message, asy_message_ref(pass.message));
    }
    asy_cancel_update(task);
}

/* Takes all requests that no shield holds back: they are delivered together. Returns the message of
 * asyncio_cancel's, and the reference to it. */
static struct message *take_requests(asyncio_task *task)
{
    struct message *message = NULL;
    ASY_ASSERT_TASK(task->must_cancel, task);
    task->future.loop->passes++;
    for (asyncio_scope *scope = unshielded(task->scopes); scope; scope = unshielded(scope->outer))
        scope->pending = false;
    if (is_requested(task)) {
        task->is_requested = false;
        message = task->cancel_message;
        task->cancel_message = NULL;
    }
    task->must_cancel = false;
    return message;
}

int asy_cancel_take(asyncio_task *task)
{
    asy_message_set(&task->future.message, take_requests(task));
    return -ECANCELED;
}

static const struct wait_kind cancelled_kind = {.name = "being cancelled"};

int asy_cancel_deliver_now(asyncio_task *task)
{
    asy_cancel_take(task);
    struct wait wait;
    asy_wait_init(&wait, task, &cancelled_kind, NULL);
    asy_wait_wake(&wait, -ECANCELED);
    return (int)asy_wait_park(&wait);
}

void asy_cancel_withdraw(asyncio_task *task, asyncio_scope *scope)
{
    if (scope && !scope->pending)
        return;
    task->future.loop->passes++;
    if (scope) {
        scope->pending = false;
    } else {
        task->is_requested = false;
        asy_message_set(&task->cancel_message, NULL);
    }
    asy_cancel_update(task);
}

static bool requested_during(const asyncio_scope *scope, const asyncio_scope *left)
{
    return scope->requested && scope->requested_at >= left->entered_at;
}

bool asy_cancel_from_outside(const asyncio_task *task, const asyncio_scope *left)
{
    int others = left->cancelling;
    for (asyncio_scope *scope = unshielded(task->scopes); scope; scope = unshielded(scope->outer))
        others += requested_during(scope, left);
    return (int)task->cancels > others && !is_held_back(task, NULL);
}

bool asy_cancel_from_around(const asyncio_task *task, const asyncio_scope *left)
{
    for (asyncio_scope *scope = unshielded(task->scopes); scope; scope = unshielded(scope->outer))
        if (requested_during(scope, left))
            return true;
    return false;
}

void asy_cancel_again(asyncio_task *task, const asyncio_scope *left)
{
    if (asy_cancel_from_outside(task, left))
        task->is_requested = true;
    for (asyncio_scope *scope = unshielded(task->scopes); scope; scope = unshielded(scope->outer))
        scope->pending |= requested_during(scope, left);
    asy_cancel_update(task);
}

/* ---- On its way down --------------------------------------------------------------- */

/* The task that `task` awaits, or NULL. */
static asyncio_task *awaited_by(const asyncio_task *task)
{
    const struct wait *wait = task->wait;
    if (!wait || wait->kind != &asy_wait_await || wait->state != WAIT_PENDING)
        return NULL;
    asyncio_future *awaited = wait->object;
    return awaited->kind == OBJECT_TASK ? (asyncio_task *)awaited : NULL;
}

/* Has the task passed this request on already? */
static bool was_here(const asyncio_task *task)
{
    const struct wait *wait = task->wait;
    return wait && wait->state == WAIT_PENDING && wait->pass == pass.number;
}

/* Does the task's chain of awaits lead back to itself, or into a circle of tasks? The walk ends where the
 * request was before, since that part was looked at then. It finds a circle by a mark that it meets again,
 * and moves the mark on ever more rarely. */
static bool leads_into_circle(const asyncio_task *task)
{
    const asyncio_task *mark = task;
    size_t steps = 0, steps_max = 1;
    while (!was_here(task) && (task = awaited_by(task))) {
        if (task == mark)
            return true;
        if (++steps == steps_max) {
            mark = task;
            steps = 0;
            steps_max *= 2;
        }
    }
    return false;
}

bool asy_cancel_is_circle(const asyncio_task *task)
{
    pass.number = UINT64_MAX; /* no request is under way, so none was anywhere before */
    return leads_into_circle(task);
}

static void note_delivery(struct wait *wait)
{
    wait->is_requested = true;
    asy_message_set(&wait->task->future.message, asy_message_ref(pass.message));
}

/* Tasks that await each other in a circle would wait for ever: ends one of the awaits. A gather is not
 * ended, as it cannot end before its children. */
static void cut_circle(asyncio_task *task)
{
    if (task->wait->kind != &asy_wait_await)
        return;
    note_delivery(task->wait);
    asy_wait_cancelled(task->wait);
}

/* The request comes to `task` for the second time. Does the chain from there lead to a gather that is
 * passing the request on right now, and thus to the task that the request came from? A chain that does not
 * lead there now never will, and is marked, so that it is walked once. */
static bool leads_back(asyncio_task *task)
{
    asyncio_task *at = task, *next;
    while (was_here(at) && !at->wait->leads_on && (next = awaited_by(at)))
        at = next;
    if (was_here(at) && at->wait->is_passing)
        return true;
    for (at = task; was_here(at) && !at->wait->leads_on; at = next) {
        at->wait->leads_on = true;
        if (!(next = awaited_by(at)))
            break;
    }
    return false;
}

/* Ends a wait, or passes the request on: to *next, or as the wait's kind does. False: the request stays
 * pending. */
static bool end_wait(struct wait *wait, asyncio_task **next)
{
    *next = NULL;
    wait->pass = pass.number;
    wait->leads_on = false;
    if (wait->kind != &asy_wait_await) {
        wait->is_passing = true;
        bool has_ended = wait->kind->cancel ? wait->kind->cancel(wait) : asy_wait_cancelled(wait);
        wait->is_passing = false;
        if (has_ended)
            note_delivery(wait);
        else
            wait->pass = 0;
        return has_ended;
    }
    asyncio_future *awaited = wait->object;
    if (awaited->kind == OBJECT_TASK) {
        wait->is_requested = true;
        *next = (asyncio_task *)awaited;
        return true;
    }
    if (awaited->flags & FUTURE_PROXY)
        wait->is_requested = true;
    else
        note_delivery(wait);
    asy_future_cancel(awaited, asy_message_ref(pass.message));
    return true;
}

/* Hands the request to one task; returns the task that it is passed on to. */
static asyncio_task *request_task(asyncio_task *task, asyncio_scope *source)
{
    task->cancels++;
    if (UNLIKELY(task->future.loop->is_traced))
        asy_trace_cancelled(task->future.loop, task);
    struct wait *wait = task->wait;
    if (!wait || is_held_back(task, source) || (wait->state == WAIT_GRANTED && wait->value != -ECANCELED)) {
        keep_request(task, source);
        return NULL;
    }
    if (wait->state == WAIT_GRANTED) {
        wait->is_requested = true;
        return NULL;
    }
    asyncio_task *next;
    if (!end_wait(wait, &next))
        keep_request(task, source);
    return next;
}

/* Hands the request from task to task along a chain of awaits. `from` awaits the first one, or is NULL. */
static void request_chain(asyncio_task *from, asyncio_task *task, asyncio_scope *source)
{
    if (task && !is_held_back(task, source) && leads_into_circle(task)) {
        task->cancels++;
        cut_circle(task);
        return;
    }
    while (task && (!was_here(task) || is_held_back(task, source))) {
        from = task;
        task = request_task(task, source);
        source = NULL;
    }
    if (!task)
        return;
    if (leads_back(task))
        cut_circle(from ? from : task);
    else
        task->cancels++; /* another way to the same task, which the request has passed */
}

static void defer_request(asyncio_task *task)
{
    if (task->flags & TASK_IN_CANCEL)
        return;
    task->flags |= TASK_IN_CANCEL;
    task->next_in_cancel = NULL;
    if (pass.first_deferred)
        pass.last_deferred->next_in_cancel = task;
    else
        pass.first_deferred = task;
    pass.last_deferred = task;
}

void asy_cancel_pass(asyncio_future *future)
{
    if (future->is_done)
        return;
    if (future->kind != OBJECT_TASK) {
        asy_future_cancel(future, asy_message_ref(pass.message));
        return;
    }
    asyncio_task *task = (asyncio_task *)future;
    if (pass.depth >= DEPTH_MAX && task->wait) {
        defer_request(task);
        return;
    }
    pass.depth++;
    request_chain(NULL, task, NULL);
    pass.depth--;
}

/* Hands the request to the tasks that lay too deep, with an empty stack. */
static void end_pass(asyncio_loop *loop)
{
    asyncio_task *task;
    ASY_ASSERT(pass.depth == 0);
    while ((task = pass.first_deferred)) {
        pass.first_deferred = task->next_in_cancel;
        task->flags &= (uint8_t)~TASK_IN_CANCEL;
        task->waits_on = 0; /* its time stood in the same place */
        request_chain(NULL, task, NULL);
    }
    if (pass.message)
        loop->passes++;
    asy_message_unref(pass.message);
}

/* Takes the message over. */
static void pass_down(asyncio_task *task, asyncio_scope *source, struct message *message)
{
    begin_pass(task->future.loop, message);
    request_chain(NULL, task, source);
    end_pass(task->future.loop);
}

bool asy_task_cancel(asyncio_task *task, const char *message)
{
    if (task->future.is_done || asy_loop_unusable(task->future.loop)) /* it has ended, or never runs again */
        return false;
    pass_down(task, NULL, asy_message_new(-ECANCELED, message));
    return true;
}

void asy_scope_request(asyncio_scope *scope)
{
    ASY_ASSERT_TASK(!scope->requested, scope->task);
    scope->requested = true;
    scope->requested_at = scope->task->future.loop->steps;
    pass_down(scope->task, scope, NULL);
}

/* Counts nothing: the request was counted when it was made. */
void asy_cancel_forward(asyncio_task *task, struct wait *wait)
{
    begin_pass(task->future.loop, take_requests(task));
    task->wait = wait;
    asyncio_task *next;
    if (leads_into_circle(task))
        cut_circle(task);
    else if (end_wait(wait, &next))
        request_chain(task, next, NULL);
    end_pass(task->future.loop);
}
