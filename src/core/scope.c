/*
 * Scopes: entering and leaving them, shields, and what the block macros call.
 */
#include "core/scope.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/scopes.h"
#include "base/assert.h"
#include "core/block.h"
#include "core/cancel.h"
#include "core/loop.h"
#include <errno.h>

/* A request that is pending now may be delivered inside the scope, and must not be lost there: it counts as
 * if it had come inside. For a timeout, asyncio_cancel's request counts as one that came before, as in
 * Python. */
static void count_pending(asyncio_scope *entered)
{
    if (entered->kind == SCOPE_GROUP)
        entered->cancelling -= entered->task->is_requested;
    for (asyncio_scope *scope = entered->outer; scope; scope = scope->outer) {
        if (!scope->pending)
            continue;
        scope->requested_at = entered->entered_at;
        entered->cancelling--;
    }
}

int asy_scope_enter(asyncio_scope *scope, enum scope_kind kind)
{
    asyncio_task *task = asy_current_task();
    if (!scope)
        return -EINVAL;
    if (!task)
        return ASYNCIO_ENOTASK;
    *scope = (asyncio_scope){.outer = task->scopes, .task = task, .entered = true};
    scope->kind = (unsigned char)kind;
    scope->cancelling = (int)task->cancels;
    scope->entered_at = task->future.loop->steps;
    if (UNLIKELY(task->must_cancel))
        count_pending(scope);
    task->scopes = scope;
    return 0;
}

int asy_scope_check(const asyncio_scope *scope)
{
    if (!scope)
        return -EINVAL;
    asyncio_task *task = asy_current_task();
    if (!scope->entered || !task || scope->task != task || task->scopes != scope)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "the scope is not the innermost one of the running task");
    return 0;
}

void asy_scope_exit(asyncio_scope *scope)
{
    asyncio_task *task = scope->task;
    ASY_ASSERT_TASK(task->scopes == scope, task);
    bool has_effect = scope->pending || scope->kind == SCOPE_SHIELD;
    scope->entered = false;
    scope->pending = false;
    task->scopes = scope->outer;
    if (has_effect) /* else the scopes around it, however many, are not looked at */
        asy_cancel_update(task);
}

/* ---- Shields -------------------------------------------------------------------- */

int asyncio_shield_scope_enter(asyncio_shield_scope *shield)
{
    int err = asy_scope_enter(shield ? &shield->scope : NULL, SCOPE_SHIELD);
    if (!err)
        asy_cancel_update(shield->scope.task);
    return err;
}

int asyncio_shield_scope_exit(asyncio_shield_scope *shield)
{
    int err = asy_scope_check(shield ? &shield->scope : NULL);
    if (!err)
        asy_scope_exit(&shield->scope);
    return err;
}

/* ---- Blocks ------------------------------------------------------------------------ */

bool asyncio_block_once(asyncio_block *block)
{
    if (block->phase == BLOCK_OPEN) {
        block->phase = BLOCK_INSIDE;
        return true;
    }
    block->phase = BLOCK_ENDED;
    return false;
}

intptr_t asy_block_err(const asyncio_block *block)
{
    switch (block->err_size) {
    case sizeof(int8_t):
        return *(const int8_t *)block->err;
    case sizeof(int16_t):
        return *(const int16_t *)block->err;
    case sizeof(int32_t):
        return *(const int32_t *)block->err;
    default:
        return *(const int64_t *)block->err;
    }
}

void asy_block_set_err(asyncio_block *block, intptr_t err)
{
    switch (block->err_size) {
    case sizeof(int8_t):
        *(int8_t *)block->err = (int8_t)err;
        break;
    case sizeof(int16_t):
        *(int16_t *)block->err = (int16_t)err;
        break;
    case sizeof(int32_t):
        *(int32_t *)block->err = (int32_t)err;
        break;
    default:
        *(int64_t *)block->err = err;
    }
}

void asy_block_report_return(intptr_t err, const char *what)
{
    asyncio_task *task = asy_current_task();
    if (task && task->future.loop->debug)
        asy_report_task(task->future.loop, task, err,
                        "a block was left by return or goto, and its caller does not learn that %s", what);
}

bool asyncio_shield_block_open(asyncio_shield_block *block)
{
    if (block->block.phase == BLOCK_NEW) {
        /* Outside a task the block runs, too: there is nothing to hold back. */
        block->block.phase = BLOCK_OPEN;
        asyncio_shield_scope_enter(&block->shield);
        return true;
    }
    asyncio_shield_block_end(block);
    return false;
}

void asyncio_shield_block_end(asyncio_shield_block *block)
{
    if (block->shield.scope.entered)
        asyncio_shield_scope_exit(&block->shield);
}
