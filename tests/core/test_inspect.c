/*
 * Call graphs and lists of tasks, from inside.
 */
#include "asyncio.h"
#include "base/compiler.h"
#include "support/harness.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Helpers ------------------------------------------------------------------------ */

/* What print wrote, until the next call. */
static const char *printed(asyncio_task *task, bool all)
{
    static char text[8192];
    memset(text, 0, sizeof text);
    FILE *file = fmemopen(text, sizeof text - 1, "w");
    if (all)
        asyncio_print_tasks(file);
    else
        asyncio_print_call_graph(task, file);
    fclose(file);
    return text;
}

/* Is there a call of the function, exported or not? Compared by where the function lies. */
static bool has_call(const asyncio_call_graph *graph, const void *function, size_t bytes)
{
    const asyncio_call_frame *frames;
    size_t count = asyncio_call_graph_frames(graph, &frames);
    for (size_t i = 0; i < count; i++)
        if ((uintptr_t)frames[i].pc - (uintptr_t)function <= bytes)
            return true;
    return false;
}

static const asyncio_call_graph *caller_of(const asyncio_call_graph *graph, size_t i)
{
    const asyncio_call_graph *const *callers;
    return i < asyncio_call_graph_awaited_by(graph, &callers) ? callers[i] : NULL;
}

static size_t count_callers(const asyncio_call_graph *graph)
{
    return asyncio_call_graph_awaited_by(graph, NULL);
}

/* ---- Calls --------------------------------------------------------------------------- */

static NOINLINE int sleeps_deep_inside(double seconds)
{
    int err = asyncio_sleep(seconds);
    __asm__ volatile("" : : : "memory"); /* no jump */
    return err;
}

ASYNC(sleeper)
{
    int err = sleeps_deep_inside(1);
    __asm__ volatile("" : : : "memory");
    return err;
}

static bool has_unwinder(void)
{
    asyncio_call_graph *graph = asyncio_capture_call_graph(NULL);
    size_t count = asyncio_call_graph_frames(graph, NULL);
    asyncio_call_graph_release(graph);
    return count > 0;
}

ASYNC_TEST(the_calls_of_a_waiting_task)
{
    asyncio_task *task = asyncio_create_task(sleeper());
    asyncio_task_set_name(task, "Napper");
    asyncio_call_graph *graph = asyncio_capture_call_graph(task);
    CHECK_EQUAL(asyncio_call_graph_frames(graph, NULL), 0); /* it has not begun */
    asyncio_call_graph_release(graph);
    asyncio_sleep(0);
    graph = asyncio_capture_call_graph(task);
    if (has_unwinder())
        CHECK(has_call(graph, (const void *)&sleeps_deep_inside, 128));
    CHECK_TEXT(asyncio_call_graph_name(graph), "Napper");
    asyncio_await(task);
    CHECK_TEXT(asyncio_call_graph_name(graph), "Napper"); /* it holds no task */
    asyncio_call_graph_release(graph);
    return 0;
}

static NOINLINE asyncio_call_graph *captures_itself(void)
{
    asyncio_call_graph *graph = asyncio_capture_call_graph(NULL);
    __asm__ volatile("" : : : "memory");
    return graph;
}

ASYNC_TEST(the_calls_of_the_running_task)
{
    asyncio_call_graph *graph = captures_itself();
    const asyncio_call_frame *frames;
    size_t count = asyncio_call_graph_frames(graph, &frames);
    if (count) /* the first one is the caller */
        CHECK((uintptr_t)frames[0].pc - (uintptr_t)(const void *)&captures_itself < 128);
    CHECK_EQUAL(count_callers(graph), 0);
    asyncio_call_graph_release(graph);
    return 0;
}

static asyncio_call_graph *seen_in_drop;
static asyncio_task *dropper;

static NOINLINE void captures_in_drop(void *arg)
{
    (void)arg;
    seen_in_drop = asyncio_capture_call_graph(dropper);
    CHECK(asyncio_capture_call_graph(NULL) == NULL); /* no task runs here */
    CHECK_HAS(printed(NULL, true), "drops: runs");
}

static intptr_t never_runs(void *arg)
{
    return (intptr_t)arg;
}

ASYNC(drops)
{
    dropper = asyncio_current_task();
    asyncio_coro_close(asyncio_coro_new(never_runs, NULL, captures_in_drop));
    return 0;
}

ASYNC_TEST(a_task_that_a_drop_function_hides)
{
    asyncio_await(asyncio_create_task(drops()));
    CHECK(seen_in_drop != NULL);
    if (has_unwinder())
        CHECK(has_call(seen_in_drop, (const void *)&captures_in_drop, 256));
    asyncio_call_graph_release(seen_in_drop);
    return 0;
}

static asyncio_task *creator;
static bool creator_is_found;

ASYNC(eager_child)
{
    asyncio_call_graph *graph = asyncio_capture_call_graph(creator);
    creator_is_found = asyncio_call_graph_frames(graph, NULL) > 0;
    asyncio_call_graph_release(graph);
    CHECK_HAS(printed(NULL, true), "starts an eager task");
    return 0;
}

ASYNC(outer_child)
{
    asyncio_task_options options = {.eager_start = 1};
    asyncio_release(asyncio_create_task_with(eager_child(), &options));
    return 0;
}

ASYNC_TEST(a_task_that_starts_an_eager_one)
{
    asyncio_task_options options = {.eager_start = 1};
    asyncio_sleep(0); /* where it was left last is not where it is */
    creator = asyncio_current_task();
    asyncio_release(asyncio_create_task_with(eager_child(), &options));
    CHECK_EQUAL(creator_is_found, has_unwinder());
    creator_is_found = false;
    asyncio_release(asyncio_create_task_with(outer_child(), &options)); /* one inside another */
    CHECK_EQUAL(creator_is_found, has_unwinder());
    return 0;
}

/* ---- Who waits ------------------------------------------------------------------------ */

ASYNC(awaits, asyncio_task *, task)
{
    return asyncio_await(asyncio_ref(task));
}

ASYNC(gathers, asyncio_task *, task)
{
    intptr_t results[2];
    asyncio_gather(results, asyncio_ref(task), asyncio_ref(task));
    return 0;
}

ASYNC(shields, asyncio_task *, task)
{
    return asyncio_shield(asyncio_ref(task));
}

ASYNC(waits, asyncio_task *, task)
{
    asyncio_future *set[1] = {(asyncio_future *)(void *)task};
    return asyncio_wait(set, 1, ASYNCIO_FOREVER, ASYNCIO_ALL_COMPLETED) < 0;
}

ASYNC(limits, asyncio_task *, task)
{
    return asyncio_wait_for(asyncio_ref(task), 100);
}

ASYNC_TEST(every_way_to_wait_is_seen)
{
    asyncio_task *task = asyncio_create_task(sleeper());
    asyncio_coro *coros[] = {awaits(task), gathers(task), shields(task), waits(task), limits(task)};
    asyncio_task *tasks[5];
    for (int i = 0; i < 5; i++)
        tasks[i] = asyncio_create_task(coros[i]);
    asyncio_sleep(0);
    asyncio_call_graph *graph = asyncio_capture_call_graph(task);
    CHECK_EQUAL(count_callers(graph), 5);
    for (size_t i = 0; i < 5; i++)
        CHECK_TEXT(asyncio_call_graph_name(caller_of(graph, i)), asyncio_task_name(tasks[i]));
    asyncio_call_graph_release(graph);
    for (int i = 0; i < 5; i++)
        asyncio_await(tasks[i]);
    asyncio_release(task);
    return 0;
}

ASYNC(has_a_group)
{
    int err = 0;
    asyncio_task_group group;
    ASYNCIO_TASK_GROUP(group, err) {
        asyncio_task *child = asyncio_task_group_create_task(&group, sleeper());
        asyncio_sleep(0); /* inside the block: the group is not waited for yet */
        asyncio_call_graph *graph = asyncio_capture_call_graph(child);
        CHECK_EQUAL(count_callers(graph), 1);
        CHECK_TEXT(asyncio_call_graph_name(caller_of(graph, 0)), asyncio_task_name(asyncio_current_task()));
        asyncio_call_graph_release(graph);
    }
    return err;
}

ASYNC_TEST(a_group_is_waited_for_by_who_entered_it)
{
    return asyncio_await(has_a_group());
}

static asyncio_task *ring[2];

ASYNC(in_a_ring, int, i)
{
    return asyncio_await(asyncio_ref(ring[!i]));
}

ASYNC_TEST(a_circle_ends)
{
    for (int i = 0; i < 2; i++)
        ring[i] = asyncio_create_task(in_a_ring(i));
    asyncio_task_set_name(ring[0], "here");
    asyncio_task_set_name(ring[1], "there");
    asyncio_sleep(0);
    asyncio_call_graph *graph = asyncio_capture_call_graph(ring[0]);
    const asyncio_call_graph *second = caller_of(graph, 0), *again = caller_of(second, 0);
    CHECK_TEXT(asyncio_call_graph_name(second), "there");
    CHECK_TEXT(asyncio_call_graph_name(again), "here");
    CHECK_EQUAL(count_callers(again), 0);
    asyncio_call_graph_release(graph);
    const char *text = printed(ring[0], false);
    CHECK_HAS(text, "here of in_a_ring: awaits task 'there', made at ");
    CHECK_HAS(text, " awaited by there of in_a_ring: awaits task 'here'");
    CHECK_HAS(text, "; see above\n");
    asyncio_cancel(ring[0]);
    asyncio_await(ring[0]);
    asyncio_release(ring[1]);
    return 0;
}

/* A chain that is longer than a stack could follow by calls of a function to itself. */
ASYNC_TEST(a_long_chain)
{
    enum { LENGTH = 2000 };
    asyncio_task *first = asyncio_create_task(sleeper()), *last = first;
    for (int i = 0; i < LENGTH; i++) {
        asyncio_task *next = asyncio_create_task(awaits(last));
        if (i)
            asyncio_release(last);
        last = next;
    }
    asyncio_sleep(0);
    asyncio_call_graph *graph = asyncio_capture_call_graph(first);
    int length = 0;
    for (const asyncio_call_graph *at = graph; (at = caller_of(at, 0)) != NULL;)
        length++;
    CHECK_EQUAL(length, LENGTH);
    asyncio_call_graph_release(graph);
    FILE *file = tmpfile();
    asyncio_print_call_graph(first, file);
    CHECK(ftell(file) > 64);
    fclose(file);
    asyncio_await(last);
    asyncio_release(first);
    return 0;
}

/* ---- Printed ---------------------------------------------------------------------------- */

ASYNC_TEST(all_tasks)
{
    asyncio_task *task = asyncio_create_task(sleeper());
    asyncio_task_set_name(task, "Napper");
    const char *text = printed(NULL, true);
    CHECK_HAS(text, ": 2 tasks, 0 timers\n");
    CHECK_HAS(text, "of main_of_all_tasks: runs");
    CHECK_HAS(text, "  Napper of sleeper: has not begun, made at ");
    asyncio_sleep(0);
    CHECK_HAS(printed(NULL, true), "  Napper of sleeper: waits in sleep, made at ");
    asyncio_await(task);
    return 0;
}

TEST(loops_that_do_not_run)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_task *task = asyncio_loop_create_task(loop, sleeper());
    CHECK_HAS(printed(NULL, true), "of sleeper: has not begun");
    asyncio_call_graph *graph = asyncio_capture_call_graph(task);
    assert_non_null(graph);
    asyncio_call_graph_release(graph);
    assert_null(asyncio_capture_call_graph(NULL));
    CHECK_TEXT(printed(NULL, false), "");
    asyncio_cancel(task);
    asyncio_loop_run_until_complete(loop, (asyncio_future *)(void *)task);
    asyncio_loop_release(loop);
    harness_settle();
}

TEST(nothing_of_nothing)
{
    const asyncio_call_frame *frames;
    const asyncio_call_graph *const *callers;
    assert_int_equal(asyncio_call_graph_frames(NULL, &frames), 0);
    assert_int_equal(asyncio_call_graph_awaited_by(NULL, &callers), 0);
    assert_string_equal(asyncio_call_graph_name(NULL), "");
    asyncio_call_graph_release(NULL);
    asyncio_print_tasks(NULL);
    asyncio_print_call_graph(NULL, NULL);
}

ASYNC(captures_a_pair)
{
    asyncio_task *task = asyncio_create_task(sleeper());
    asyncio_task *other = asyncio_create_task(awaits(task));
    asyncio_sleep(0);
    asyncio_call_graph_release(asyncio_capture_call_graph(task));
    intptr_t err = asyncio_await(other);
    asyncio_release(task);
    return err;
}

TEST(without_memory)
{
    sweep_failures(captures_a_pair);
}

TEST_MAIN()
