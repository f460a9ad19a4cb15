/*
 * Assertions: an invariant that a test breaks on purpose ends the process with a line that names it,
 * the task concerned, and what that waits in.
 */
#include "asyncio.h"
#include "base/assert.h"
#include "broken.h"
#include "core/future.h"
#include "core/loop.h"
#include "core/switch.h"
#include "core/task.h"
#include "core/wait.h"
#include "support/test.h"
#include <stddef.h>
#include <stdint.h>

ASYNC(completes_twice)
{
    asyncio_future *future = asyncio_future_new();
    asy_future_complete(future, 1);
    asy_future_complete(future, 2);
    return 0;
}

TEST(a_future_completes_once)
{
    expect_broken_at(completes_twice(), "asy_future_complete (futures.c:", "!future->is_done; task 'Task-");
    assert_child_says(&broken_child, " of completes_twice");
}

ASYNC(drops_too_many)
{
    asyncio_future *future = asyncio_future_new();
    future->refs = 0;
    asy_future_unref(future);
    return 0;
}

/* A mistake of the program, in the program's words. */
TEST(a_reference_is_dropped_once)
{
    asyncio_coro *main = drops_too_many();
    child_run(&broken_child, broken_run, main);
    asyncio_coro_close(main);
    assert_child_signal(&broken_child, SIGABRT);
    assert_child_says(&broken_child,
                      "asyncio: a task or future was released more often than it was referenced; it was");
    assert_child_says(&broken_child, " made in drops_too_many");
}

static const struct wait_kind planted_kind = {.name = "a planted wait"};

ASYNC(wakes_twice)
{
    struct wait wait;
    asy_wait_init(&wait, asyncio_current_task(), &planted_kind, NULL);
    wait.state = WAIT_GRANTED;
    asyncio_current_task()->wait = &wait;
    asy_wait_wake(&wait, 0);
    return 0;
}

TEST(a_wait_is_granted_once)
{
    expect_broken_at(wakes_twice(), "asy_case_wake (select.c:", "wait->state == WAIT_CASE");
    assert_child_says(&broken_child, ", which waits in a planted wait\n");
}

ASYNC(waits_in_two)
{
    asyncio_task *task = asyncio_current_task();
    struct wait first, second;
    asy_wait_init(&first, task, &planted_kind, NULL);
    asy_wait_init(&second, task, &planted_kind, NULL);
    asyncio_task_set_name(task, "the waiter");
    task->wait = &first;
    asy_wait_park(&second);
    return 0;
}

TEST(a_task_waits_in_one_place)
{
    expect_broken_at(waits_in_two(), "asy_wait_park (wait.c:", "task 'the waiter' of waits_in_two");
}

ASYNC(resumes_inside_a_task)
{
    asy_task_resume(asyncio_get_running_loop(), asyncio_current_task());
    return 0;
}

TEST(the_loop_resumes_from_its_own_stack)
{
    expect_broken_at(resumes_inside_a_task(), "asy_task_resume (switch.c:", "!loop->current");
}

ASYNC(nothing)
{
    return 0;
}

ASYNC(ends_more_than_began)
{
    asyncio_task_group group;
    asyncio_task_group_enter(&group);
    asyncio_task_group_create_task(&group, nothing());
    group.pending = 0;
    asyncio_sleep(0);
    return asyncio_task_group_exit(&group, 0);
}

TEST(a_group_counts_its_children)
{
    expect_broken_at(ends_more_than_began(), "remove_child (taskgroups.c:", "group->pending > 0");
}

static void outside_a_loop(void *arg)
{
    (void)arg;
    ASY_ASSERT(broken_child.status == 1);
}

TEST(outside_a_loop_no_task_is_named)
{
    child_run(&broken_child, outside_a_loop, NULL);
    assert_child_signal(&broken_child, SIGABRT);
    assert_child_says(&broken_child, "asyncio: broken invariant in outside_a_loop (test_assert.c:");
    assert_child_says(&broken_child, "): broken_child.status == 1\n");
}

TEST_MAIN()
