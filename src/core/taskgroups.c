/*
 * Task groups: a scope that owns tasks.
 *
 * Each child notifies the group of its end. For a child that failed, and for the last one, a callback does
 * the rest one iteration later, as in asyncio. The first failure aborts the group: the siblings are
 * cancelled, and so is the parent, once, if it is still in the body.
 */
#include "asyncio/taskgroups.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/block.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/scope.h"
#include "sys/slab.h"
#include <errno.h>

struct group_child {
    struct waiter waiter;     /* on the task, the first there */
    struct callback callback; /* queued once the task has ended, if the group has something to do */
    struct list node;         /* among the group's children */
    asyncio_task_group *group;
    asyncio_task *task;        /* a reference */
    struct child_start *start; /* the call that waits until it is ready, or NULL */
    bool is_told;              /* its failure is that call's result, and not the group's */
};

static struct list *children_of(asyncio_task_group *group)
{
    return (struct list *)(void *)group->children;
}

_Static_assert(sizeof(struct list) == sizeof(((asyncio_task_group *)0)->children), "room for a list");

int asyncio_task_group_enter(asyncio_task_group *group)
{
    if (!group)
        return -EINVAL;
    *group = (asyncio_task_group){.pending = 0};
    list_init(children_of(group));
    return asy_scope_enter(&group->scope, SCOPE_GROUP);
}

/* ---- Failures ------------------------------------------------------------------- */

static struct message *matching_message(intptr_t err, struct message *message)
{
    return asy_message_ref(message && message->code == err ? message : NULL);
}

/* Takes the message over. */
static void note_failure(asyncio_task_group *group, intptr_t err, struct message *message)
{
    if (group->error_count == 0)
        group->message = message;
    else
        asy_message_unref(message);
    if (group->error_count < ASYNCIO_TASK_GROUP_ERRORS)
        group->errors[group->error_count] = err;
    group->error_count++;
}

static void abort_children(asyncio_task_group *group)
{
    group->aborting = true;
    LIST_EACH(node, children_of(group))
        asyncio_cancel(LIST_ENTRY(node, struct group_child, node)->task);
}

/* Cancels the children, and the parent, unless that waits for them already. */
static void abort_all(asyncio_task_group *group)
{
    if (group->aborting)
        return;
    abort_children(group);
    if (!group->exiting)
        asy_scope_request(&group->scope);
}

/* ---- Places -------------------------------------------------------------------------- */

static bool has_place(const asyncio_task_group *group)
{
    return !group->limit || group->running < group->limit;
}

static void wake_creator(asyncio_task_group *group)
{
    struct wait *wait = group->place_wait;
    if (UNLIKELY(wait != NULL) && wait->state == WAIT_PENDING && has_place(group))
        asy_wait_wake(wait, 0);
}

/* The request ends the wait, and stays for the next one. */
static bool leave_place_wait(struct wait *wait)
{
    asy_wait_wake(wait, 0);
    return false;
}

#define GROUP_SHAPE                                                                                          \
    {                                                                                                        \
        .kind = SHAPE_GROUP, .at = {                                                                         \
            offsetof(asyncio_task_group, pending),                                                           \
            offsetof(asyncio_task_group, children),                                                          \
            offsetof(struct group_child, task) - offsetof(struct group_child, node)                          \
        }                                                                                                    \
    }
static const struct wait_kind place_kind = {
    .name = "task group, for a place", .cancel = leave_place_wait, .shape = GROUP_SHAPE};

/* The task that entered the group waits until fewer children run than the limit allows. 0; -ECANCELED, and
 * the request is still pending; ASYNCIO_ESTATE: the group was aborted. */
static int wait_for_place(asyncio_task_group *group)
{
    asyncio_task *task = group->scope.task;
    while (UNLIKELY(!has_place(group)) && asy_current_task() == task && !group->aborting) {
        if (task->must_cancel)
            return -ECANCELED;
        struct wait wait;
        asy_wait_init(&wait, task, &place_kind, group);
        group->place_wait = &wait;
        asy_wait_park(&wait);
        group->place_wait = NULL;
    }
    return group->aborting ? ASYNCIO_ESTATE : 0;
}

int asyncio_task_group_set_limit(asyncio_task_group *group, int n)
{
    if (!group || n < 0)
        return (int)asyncio_raise(-EINVAL, "%s: the %s", __func__,
                                  group ? "limit is below 0" : "group is NULL");
    if (!group->scope.entered)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the group is not entered", __func__);
    asy_loop_check(group->scope.task->future.loop, __func__);
    group->limit = (size_t)n;
    wake_creator(group);
    return 0;
}

/* ---- Children that say when they are ready ----------------------------------------------
 *
 *   undecided   the child runs, and has said nothing; the caller waits, or is about to
 *   decided     it has said it, or has ended: there is a result
 *   cancelled   wait.is_requested: a request was passed on to the child, and only its end decides
 */

struct child_start {
    struct wait wait;
    asyncio_task *child;
    struct message *message; /* of the result */
    intptr_t result;
    bool is_decided, is_waiting;
};

static void decide_start(struct child_start *start, intptr_t result)
{
    ASY_ASSERT(!start->is_decided);
    start->result = result;
    start->is_decided = true;
    if (start->is_waiting)
        asy_wait_wake(&start->wait, 0);
}

/* The child has ended, and asyncio_started has decided nothing. */
static void end_start(struct group_child *child, const asyncio_future *future)
{
    struct child_start *start = child->start;
    child->start = NULL;
    child->is_told = !start->wait.is_requested;
    if (child->is_told)
        start->message = matching_message(future->result, future->message);
    decide_start(start, future->result < 0 ? future->result : ASYNCIO_ESTATE);
}

static bool cancel_start(struct wait *wait)
{
    wait->is_requested = true;
    asy_cancel_pass(&LIST_ENTRY(wait, struct child_start, wait)->child->future);
    return true;
}

static const struct wait_kind start_kind = {
    .name = "task group, for a child to start", .cancel = cancel_start, .shape = GROUP_SHAPE};

static void wait_for_start(struct child_start *start, asyncio_task *task)
{
    start->is_waiting = true;
    if (task->must_cancel)
        asy_cancel_forward(task, &start->wait);
    asy_wait_park(&start->wait);
    start->is_waiting = false;
}

/* What asyncio_task_group_start returns. */
static intptr_t start_outcome(struct child_start *start, asyncio_task *task)
{
    if (start->wait.is_requested)
        return -ECANCELED;
    if (start->result == ASYNCIO_ESTATE && !start->message)
        return asyncio_raise(ASYNCIO_ESTATE, "the child ended before it called asyncio_started");
    if (start->result < 0)
        asy_message_set(&task->future.message, asy_message_ref(start->message));
    return start->result;
}

/* ---- Children ---------------------------------------------------------------------- */

static void remove_child(struct group_child *child)
{
    asyncio_task_group *group = child->group;
    ASY_ASSERT(group->pending > 0);
    list_remove(&child->node);
    child->task->future.flags |= FUTURE_SEEN;
    asy_future_unref(&child->task->future);
    asy_slab_free(child, sizeof *child);
    struct wait *exit_wait = group->exit_wait;
    if (--group->pending == 0 && exit_wait && exit_wait->state == WAIT_PENDING)
        asy_wait_wake(exit_wait, 0);
}

static void run_child_end(struct callback *callback)
{
    struct group_child *child = LIST_ENTRY(callback, struct group_child, callback);
    asyncio_task_group *group = child->group;
    asyncio_future *future = &child->task->future;
    if (asy_is_failure(future->result) && !child->is_told) {
        note_failure(group, future->result, matching_message(future->result, future->message));
        abort_all(group);
    }
    remove_child(child);
}

/* The loop closes first: the group's task is abandoned, and its stack, where the group lies, with it. */
static void drop_child_end(struct callback *callback)
{
    struct group_child *child = LIST_ENTRY(callback, struct group_child, callback);
    asy_future_unref(&child->task->future);
    asy_slab_free(child, sizeof *child);
}

static const struct callback_kind child_end_kind = {run_child_end, drop_child_end};

/* The creator comes after the callback: of a child that failed it learns that the group is aborting. */
static void notify_group(struct waiter *waiter, asyncio_future *future)
{
    struct group_child *child = LIST_ENTRY(waiter, struct group_child, waiter);
    asyncio_task_group *group = child->group;
    ASY_ASSERT(group->running > 0);
    group->running--;
    if (child->start)
        end_start(child, future);
    if ((asy_is_failure(future->result) && !child->is_told) || group->pending == 1)
        callback_push(&future->loop->ready, &child->callback, &child_end_kind);
    else
        remove_child(child);
    wake_creator(group);
}

/* A task that has failed with `err`. The caller borrows it; it is freed when the loop polls next. */
static asyncio_task *borrow_refused(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site,
                                    intptr_t err)
{
    asyncio_task *task = asy_task_refused(loop, coro, site, err);
    asy_task_lend(loop, task);
    return task;
}

static bool takes_children(const asyncio_task_group *group)
{
    return group->scope.entered && !group->aborting && !(group->exiting && !group->pending);
}

/* Makes a child and starts it. `start` may be NULL. NULL: no memory. */
static asyncio_task *begin_child(asyncio_task_group *group, asyncio_coro *coro, struct child_start *start,
                                 const asyncio_site *site)
{
    struct group_child *child = asy_slab_alloc(sizeof *child);
    if (!child)
        return NULL;
    asyncio_task *task = asy_task_make(asy_running_loop, coro, site);
    *child = (struct group_child){.group = group, .task = task, .start = start};
    if (start)
        start->child = task;
    asy_future_watch(&task->future, &child->waiter, notify_group);
    list_append(children_of(group), &child->node);
    group->pending++;
    group->running++;
    asy_task_begin_lent(task);
    return task;
}

asyncio_task *asyncio_task_group_create_task_at(asyncio_task_group *group, asyncio_coro *coro,
                                                const asyncio_site *site)
{
    asyncio_loop *loop = asy_running_loop;
    if (group && group->scope.entered)
        asy_loop_check(group->scope.task->future.loop, "asyncio_task_group_create_task");
    if (!coro)
        return NULL;
    if (!group || !loop) {
        asyncio_coro_close(coro);
        return NULL;
    }
    int err = takes_children(group) ? wait_for_place(group) : ASYNCIO_ESTATE;
    if (err)
        return borrow_refused(loop, coro, site, err);
    asyncio_task *task = begin_child(group, coro, NULL, site);
    return task ? task : borrow_refused(loop, coro, site, -ENOMEM);
}

asyncio_task *(asyncio_task_group_create_task)(asyncio_task_group *group, asyncio_coro *coro)
{
    return asyncio_task_group_create_task_at(group, coro, NULL);
}

intptr_t asyncio_task_group_start_at(asyncio_task_group *group, asyncio_coro *coro, const asyncio_site *site)
{
    asyncio_task *task = asy_current_task();
    if (group && group->scope.entered)
        asy_loop_check(group->scope.task->future.loop, "asyncio_task_group_start");
    if (!coro)
        return asy_null_awaited();
    int err = !group ? -EINVAL : !task ? ASYNCIO_ENOTASK : takes_children(group) ? 0 : ASYNCIO_ESTATE;
    if (!err && (err = wait_for_place(group)) && task->must_cancel)
        err = asy_cancel_take(task);
    struct child_start start = {.is_decided = false};
    asy_wait_init(&start.wait, task, &start_kind, group);
    if (!err && !begin_child(group, coro, &start, site))
        err = -ENOMEM;
    if (err) {
        asyncio_coro_close(coro);
        return err;
    }
    if (!start.is_decided)
        wait_for_start(&start, task);
    intptr_t result = start_outcome(&start, task);
    asy_message_unref(start.message);
    return result;
}

intptr_t(asyncio_task_group_start)(asyncio_task_group *group, asyncio_coro *coro)
{
    return asyncio_task_group_start_at(group, coro, NULL);
}

/* The child's waiter is the first on its task, since the group came before others could know of it. */
static struct group_child *starting_child(const asyncio_task *task)
{
    if (!task || list_is_empty(&task->future.waiters))
        return NULL;
    struct waiter *first = LIST_ENTRY(task->future.waiters.next, struct waiter, node);
    if (first->notify != notify_group)
        return NULL;
    struct group_child *child = LIST_ENTRY(first, struct group_child, waiter);
    return child->start ? child : NULL;
}

int asyncio_started(intptr_t value)
{
    if (value < 0)
        return (int)asyncio_raise(-EINVAL, "%s: the value is below 0", __func__);
    struct group_child *child = starting_child(asy_current_task());
    if (!child)
        return (int)asyncio_raise(ASYNCIO_ESTATE,
                                  "%s: asyncio_task_group_start did not make this task, or was told before",
                                  __func__);
    struct child_start *start = child->start;
    if (start->wait.is_requested) /* its end decides */
        return 0;
    child->start = NULL;
    decide_start(start, value);
    return 0;
}

void asyncio_task_group_cancel(asyncio_task_group *group)
{
    if (!group || !group->scope.entered)
        return;
    asy_loop_check(group->scope.task->future.loop, __func__);
    abort_all(group);
}

/* ---- Leaving ------------------------------------------------------------------------- */

const struct wait_kind asy_wait_group = {
    .name = "task group",
    .shape = GROUP_SHAPE,
};

/* 0 when all children have ended, -ECANCELED when a request came first. */
static int wait_for_group(asyncio_task_group *group, asyncio_task *task)
{
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct wait wait;
    ASY_ASSERT_TASK(!group->exit_wait, task);
    asy_wait_init(&wait, task, &asy_wait_group, group);
    group->exit_wait = &wait;
    err = (int)asy_wait_park(&wait);
    group->exit_wait = NULL;
    return err;
}

/* The outcome of a group with failures. A request from outside is delivered by the next wait. */
static intptr_t raise_failures(asyncio_task_group *group, asyncio_task *task)
{
    asy_cancel_again(task, &group->scope);
    const struct message *first = group->message;
    if (group->error_count > 1)
        return asyncio_raise(ASYNCIO_EGROUP, "%zu failures in a task group; the first: %s",
                             group->error_count, first ? first->text : asyncio_strerror(group->errors[0]));
    asy_message_set(&task->future.message, asy_message_ref(group->message));
    return group->errors[0];
}

/* The outcome that the group's exit returns. The children have ended; the body returned `err`.
 * `was_cancelled`: a request ended the body, or came while the group waited for its children. */
static intptr_t group_outcome(asyncio_task_group *group, asyncio_task *task, intptr_t err, bool was_cancelled)
{
    bool is_own = group->scope.requested;
    if (is_own) {
        asyncio_task_uncancel(task);
        is_own =
            !asy_cancel_from_around(task, &group->scope) && !asy_cancel_from_outside(task, &group->scope);
    }
    if (group->error_count)
        return raise_failures(group, task);
    if (was_cancelled && !is_own)
        return -ECANCELED;
    return err == -ECANCELED ? 0 : err;
}

intptr_t asyncio_task_group_exit(asyncio_task_group *group, intptr_t err)
{
    int misuse = asy_scope_check(group ? &group->scope : NULL);
    if (misuse)
        return misuse;
    asyncio_task *task = group->scope.task;
    struct message *message = asy_is_failure(err) ? matching_message(err, task->future.message) : NULL;
    bool was_cancelled = err == -ECANCELED;
    group->exiting = true;
    asy_cancel_withdraw(task, &group->scope);
    if (err < 0 && !group->aborting)
        abort_children(group);
    while (group->pending) {
        if (wait_for_group(group, task) == -ECANCELED) { /* from outside: the group's own was withdrawn */
            was_cancelled = true;
            if (!group->aborting)
                abort_children(group);
        }
    }
    ASY_ASSERT_TASK(list_is_empty(children_of(group)), task);
    asy_scope_exit(&group->scope);
    if (asy_is_failure(err))
        note_failure(group, err, message);
    err = group_outcome(group, task, err, was_cancelled);
    asy_message_unref(group->message);
    group->message = NULL;
    return err;
}

size_t asyncio_task_group_error_count(const asyncio_task_group *group)
{
    return group ? group->error_count : 0;
}

intptr_t asyncio_task_group_error(const asyncio_task_group *group, size_t i)
{
    bool is_known = group && i < group->error_count && i < ASYNCIO_TASK_GROUP_ERRORS;
    return is_known ? group->errors[i] : 0;
}

/* ---- The block -------------------------------------------------------------------------- */

/* The body is over, so only the children are cancelled. */
static void break_off_group(asyncio_task_group *group)
{
    if (!group->aborting)
        abort_children(group);
}

bool asyncio_task_group_block_open(asyncio_task_group_block *block)
{
    if (block->block.phase == BLOCK_NEW) {
        int err = asyncio_task_group_enter(block->group);
        asy_block_set_err(&block->block, err);
        block->block.phase = err ? BLOCK_CLOSED : BLOCK_OPEN;
        return !err;
    }
    bool was_broken_off = block->block.phase == BLOCK_INSIDE;
    block->block.phase = BLOCK_CLOSED;
    if (was_broken_off)
        break_off_group(block->group);
    asy_block_set_err(&block->block, asyncio_task_group_exit(block->group, asy_block_err(&block->block)));
    return false;
}

void asyncio_task_group_block_end(asyncio_task_group_block *block)
{
    if (block->block.phase == BLOCK_NEW || block->block.phase == BLOCK_CLOSED)
        return;
    asyncio_task_group *group = block->group;
    break_off_group(group);
    intptr_t err = asyncio_task_group_exit(group, 0);
    if (err == -ECANCELED) /* nobody saw it: it is delivered again */
        asy_cancel_again(group->scope.task, &group->scope);
    else if (err < 0)
        asy_block_report_return(err, "its task group failed");
}
