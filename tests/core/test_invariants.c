/*
 * The invariants of scopes, requests to cancel, groups and contexts: each is broken on purpose, and ends the
 * process with a line that says which.
 */
#include "asyncio.h"
#include "core/cancel.h"
#include "core/contextvars.h"
#include "core/scope.h"
#include <stddef.h>
#include <stdint.h>

#include "broken.h"
#include "support/test.h"

ASYNC(leaves_a_scope_twice)
{
    asyncio_timeout timeout;
    asyncio_timeout_enter(&timeout, ASYNCIO_FOREVER);
    asy_scope_exit(&timeout.scope);
    asy_scope_exit(&timeout.scope);
    return 0;
}

TEST(a_scope_is_left_once)
{
    expect_broken(leaves_a_scope_twice(), "asy_scope_exit", "task->scopes == scope; task 'Task-");
}

ASYNC(expires_twice)
{
    asyncio_timeout timeout;
    asyncio_timeout_enter(&timeout, ASYNCIO_FOREVER);
    asy_scope_request(&timeout.scope);
    asy_scope_request(&timeout.scope);
    return 0;
}

TEST(a_scope_makes_one_request)
{
    expect_broken(expires_twice(), "asy_scope_request", "!scope->requested; task 'Task-");
}

ASYNC(delivers_nothing)
{
    return asy_cancel_take(asyncio_current_task());
}

TEST(a_request_that_is_delivered_was_made)
{
    expect_broken(delivers_nothing(), "take_requests", "task->must_cancel");
}

ASYNC(cancels_a_task_as_a_future)
{
    asy_future_cancel(&asyncio_current_task()->future, NULL);
    return 0;
}

TEST(a_task_is_not_cancelled_as_a_future)
{
    expect_broken(cancels_a_task_as_a_future(), "asy_future_cancel", "future->kind == OBJECT_FUTURE");
}

ASYNC(nothing)
{
    return 0;
}

ASYNC(loses_a_child)
{
    asyncio_task_group group;
    asyncio_task_group_enter(&group);
    asyncio_task_group_create_task(&group, nothing());
    group.pending = 0;
    return asyncio_task_group_exit(&group, 0);
}

TEST(a_group_ends_without_children)
{
    expect_broken(loses_a_child(), "asyncio_task_group_exit", "list_is_empty(children_of(group))");
}

ASYNC(refers_to_a_freed_context)
{
    asyncio_context *context = asyncio_copy_context();
    *(uint32_t *)(void *)context = 0; /* its references */
    asy_vars_ref(context);
    return 0;
}

TEST(a_freed_context_gets_no_reference)
{
    expect_broken(refers_to_a_freed_context(), "asy_vars_ref", "!context || context->refs > 0");
}

TEST_MAIN()
