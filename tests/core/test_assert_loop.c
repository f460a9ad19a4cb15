/*
 * Assertions of the loop and its parts: an invariant that a test breaks on purpose ends the process with a
 * line that names it.
 */
#include "asyncio.h"
#include "base/assert.h"
#include "broken.h"
#include "core/coro.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/task.h"
#include "support/test.h"
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

ASYNC(sleeps)
{
    return asyncio_sleep(ASYNCIO_FOREVER);
}

/* ---- Counts ------------------------------------------------------------------------- */

ASYNC(miscounts_tasks)
{
    asyncio_release(asyncio_create_task(sleeps()));
    asyncio_get_running_loop()->task_count--;
    return 0;
}

TEST(the_count_of_tasks_is_their_number)
{
    expect_broken_at(miscounts_tasks(), "take_leftovers (runners.c:", "*count < loop->task_count");
}

ASYNC(loses_objects)
{
    asyncio_get_running_loop()->objects = 0;
    asyncio_future_new();
    return 0;
}

TEST(objects_are_counted_and_marked_together)
{
    expect_broken_at(loses_objects(), "asy_loop_objects_came (loop.c:", "!(before & ");
}

ASYNC(ends_as_leftover)
{
    asyncio_current_task()->flags |= TASK_LEFTOVER;
    return 0;
}

TEST(leftovers_are_counted)
{
    expect_broken_at(ends_as_leftover(), "end_leftover (switch.c:", "loop->leftovers > 0");
}

/* ---- References ----------------------------------------------------------------------- */

ASYNC(drops_a_message_twice)
{
    struct message *message = asy_message_new(-EIO, "text");
    message->refs = 0;
    asy_message_unref(message);
    return 0;
}

TEST(a_message_is_dropped_once)
{
    expect_broken_at(drops_a_message_twice(), "asy_message_unref (messages.c:", "message->refs > 0");
}

ASYNC(lets_go_without_a_hold)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    atomic_store(&loop->refs, 1);
    asy_loop_let_go(loop);
    return 0;
}

TEST(a_hold_is_let_go_once)
{
    expect_broken_at(lets_go_without_a_hold(), "asy_loop_let_go (loop.c:", "refs >= ");
}

/* ---- States --------------------------------------------------------------------------- */

ASYNC(dozes_while_it_runs)
{
    asyncio_get_running_loop()->is_embedded = true;
    asy_loop_doze(asyncio_get_running_loop());
    return 0;
}

TEST(a_running_loop_does_not_doze)
{
    expect_broken_at(dozes_while_it_runs(), "asy_loop_doze (embedding.c:", "!loop->is_running");
}

ASYNC(posts_are_refused_too_early)
{
    asy_posts_close(asyncio_get_running_loop());
    return 0;
}

TEST(an_open_loop_takes_posts)
{
    expect_broken_at(posts_are_refused_too_early(), "asy_posts_close (threadsafe.c:", "loop->is_closed");
}

ASYNC(is_shown_without_being_hidden)
{
    asy_task_show(asyncio_current_task());
    return 0;
}

TEST(only_a_hidden_task_is_shown)
{
    expect_broken_at(is_shown_without_being_hidden(), "asy_task_show (tasks.c:", "->current");
}

/* ---- Membership ------------------------------------------------------------------------- */

static void do_nothing(void *arg)
{
    (void)arg;
}

/* The first handle of a loop is the first of its first chunk. */
ASYNC(frees_a_handle_in_use)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_loop_call_later(loop, 1000, do_nothing, NULL);
    loop->handles.free = (struct handle *)(void *)loop->handles.chunks[0];
    asyncio_loop_call_soon(loop, do_nothing, NULL);
    return 0;
}

TEST(a_free_handle_is_not_in_use)
{
    expect_broken_at(frees_a_handle_in_use(), "take_handle (handles.c:", "handle->state == HANDLE_FREE");
}

ASYNC(posts_nothing)
{
    static struct callback post;
    asy_post(asyncio_get_running_loop(), &post);
    return 0;
}

TEST(a_post_has_a_kind)
{
    expect_broken_at(posts_nothing(), "asy_post_quietly (threadsafe.c:", "post->kind");
}

TEST_MAIN()
