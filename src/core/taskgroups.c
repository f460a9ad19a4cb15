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
    struct waiter waiter;     /* on the task */
    struct callback callback; /* queued once the task has ended, if the group has something to do */
    struct list node;         /* among the group's children */
    asyncio_task_group *group;
    asyncio_task *task; /* a reference */
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
    if (asy_is_failure(future->result)) {
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

static void notify_group(struct waiter *waiter, asyncio_future *future)
{
    struct group_child *child = LIST_ENTRY(waiter, struct group_child, waiter);
    if (asy_is_failure(future->result) || child->group->pending == 1)
        callback_push(&future->loop->ready, &child->callback, &child_end_kind);
    else
        remove_child(child);
}

/* A task that has failed with `err`. The caller borrows it; it is freed when the loop polls next. */
static asyncio_task *borrow_refused(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site,
                                    intptr_t err)
{
    asyncio_task *task = asy_task_refused(loop, coro, site, err);
    asy_task_lend(loop, task);
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
    bool is_over = !group->scope.entered || (group->exiting && !group->pending);
    if (is_over || group->aborting)
        return borrow_refused(loop, coro, site, ASYNCIO_ESTATE);
    struct group_child *child = asy_slab_alloc(sizeof *child);
    if (!child)
        return borrow_refused(loop, coro, site, -ENOMEM);
    asyncio_task *task = asy_task_make(loop, coro, site);
    child->group = group;
    child->task = task;
    asy_future_watch(&task->future, &child->waiter, notify_group);
    list_append(children_of(group), &child->node);
    group->pending++;
    asy_task_begin_lent(task);
    return task;
}

asyncio_task *(asyncio_task_group_create_task)(asyncio_task_group *group, asyncio_coro *coro)
{
    return asyncio_task_group_create_task_at(group, coro, NULL);
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
    .shape = {.kind = SHAPE_GROUP,
              .at = {offsetof(asyncio_task_group, pending), offsetof(asyncio_task_group, children),
                     offsetof(struct group_child, task) - offsetof(struct group_child, node)}},
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
