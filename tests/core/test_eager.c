/*
 * Eager tasks: what runs inside the call that makes one, what its creator sees of it, which tasks are never
 * eager, and what calls that make tasks do when one of them has ended already.
 */
#include "core/loop.h"
#include "core/wait.h"
#include "support/harness.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const asyncio_task_options eager = {.eager_start = 1}, queued = {.eager_start = -1};

/* What happened, one word after the other. */
static char trail[512];

static void note(const char *word)
{
    size_t used = strlen(trail);
    snprintf(trail + used, sizeof trail - used, "%s ", word);
}

static void check_trail(const char *wanted, int line)
{
    harness_check_text(trail, wanted, "trail", __FILE__, line);
    trail[0] = '\0';
}
#define CHECK_TRAIL(wanted) check_trail((wanted), __LINE__)

ASYNC(notes, const char *, word, intptr_t, result)
{
    note(word);
    return result;
}

ASYNC(notes_twice, const char *, before, const char *, after, intptr_t, result)
{
    note(before);
    int err = asyncio_sleep(0);
    note(err ? "cancelled" : after);
    return err ? err : result;
}

ASYNC(ticks, int, n)
{
    for (int i = 0; i < n; i++) {
        note("tick");
        asyncio_sleep(0);
    }
    return 0;
}

/* ---- One task -------------------------------------------------------------------- */

ASYNC_TEST(one_runs_to_its_first_wait_inside_the_call)
{
    note("before");
    asyncio_task *task = asyncio_create_task_with(notes_twice("first", "second", 7), &eager);
    note("after");
    CHECK(!asyncio_done(task));
    CHECK_TRAIL("before first after ");
    CHECK_EQUAL(asyncio_await(task), 7);
    CHECK_TRAIL("second ");
    return 0;
}

ASYNC_TEST(one_that_ends_at_once_never_sees_the_ready_queue)
{
    asyncio_task *tick = asyncio_create_task(ticks(1));
    asyncio_task *task = asyncio_create_task_with(notes("only", 7), &eager);
    CHECK(asyncio_done(task));
    CHECK_EQUAL(asyncio_result(task), 7);
    CHECK_EQUAL(asyncio_all_tasks(NULL, 0), 2);
    CHECK_EQUAL(asyncio_await(task), 7);
    CHECK_TRAIL("only ");
    asyncio_await(tick);
    CHECK_TRAIL("tick ");
    return 0;
}

ASYNC(looks_around, asyncio_task *, creator)
{
    asyncio_task *tasks[3];
    CHECK(asyncio_current_task() != creator);
    CHECK_EQUAL(asyncio_all_tasks(tasks, 3), 2);
    CHECK(tasks[0] == creator && tasks[1] == asyncio_current_task());
    CHECK_TEXT(asyncio_task_name(asyncio_current_task()), "named");
    char *deep = __builtin_alloca(100000); /* more than the loop's stacks have */
    memset(deep, 1, 100000);
    return deep[99999];
}

static intptr_t look_around(void)
{
    asyncio_task *self = asyncio_current_task();
    asyncio_task_options options = {.name = "named", .eager_start = 1, .stack_size = 1 << 20};
    asyncio_task *task = asyncio_create_task_with(looks_around(self), &options);
    CHECK(asyncio_current_task() == self);
    return asyncio_await(task);
}

ASYNC_TEST(it_is_the_current_task_and_among_all)
{
    CHECK_EQUAL(look_around(), 1);
    return 0;
}

static char none[] = "none", red[] = "red", blue[] = "blue", green[] = "green";
static asyncio_contextvar colour = ASYNCIO_CONTEXTVAR_INIT("colour", none);

ASYNC(paints)
{
    CHECK_TEXT(asyncio_contextvar_get(&colour), "red");
    CHECK_EQUAL(asyncio_contextvar_set(&colour, blue, NULL), 0);
    asyncio_sleep(0);
    CHECK_TEXT(asyncio_contextvar_get(&colour), "blue");
    return 0;
}

ASYNC_TEST(it_has_a_context_of_its_own)
{
    CHECK_EQUAL(asyncio_contextvar_set(&colour, red, NULL), 0);
    asyncio_task *task = asyncio_create_task_with(paints(), &eager);
    CHECK_TEXT(asyncio_contextvar_get(&colour), "red");
    CHECK_EQUAL(asyncio_await(task), 0);

    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options options = {.context = context, .eager_start = 1};
    CHECK_EQUAL(asyncio_contextvar_set(&colour, green, NULL), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(paints(), &options)), 0);
    CHECK_TEXT(asyncio_contextvar_get(&colour), "green");
    asyncio_context_release(context);
    return 0;
}

ASYNC_TEST(its_failure_is_its_result)
{
    asyncio_task *task = asyncio_create_task_with(notes("fails", -EIO), &eager);
    CHECK_EQUAL(asyncio_result(task), -EIO);
    asyncio_release(task);
    expect_reports(1);
    asyncio_release(asyncio_create_task_with(notes("fails", -EIO), &eager)); /* nobody looks */
    CHECK_EQUAL(report_count, 1);
    CHECK_TRAIL("fails fails ");
    return 0;
}

/* ---- Its creator ---------------------------------------------------------------------- */

ASYNC(cancels, asyncio_task *, task)
{
    CHECK(asyncio_cancel(task));
    return 0;
}

ASYNC_TEST(a_request_on_the_creator_waits_for_its_next_wait)
{
    asyncio_task *self = asyncio_current_task();
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(cancels(self), &eager)), 0);
    CHECK_EQUAL(asyncio_task_cancelling(self), 1);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED);
    asyncio_task_uncancel(self);
    return 0;
}

ASYNC(awaits, asyncio_task *, task)
{
    return asyncio_await(asyncio_ref(task));
}

ASYNC(creates_its_waiter, asyncio_task **, waiter)
{
    *waiter = asyncio_create_task_with(awaits(asyncio_current_task()), &eager);
    CHECK(!asyncio_done(*waiter));
    return 5;
}

ASYNC_TEST(waiting_for_the_creator_just_suspends)
{
    asyncio_task *waiter = NULL;
    CHECK_EQUAL(asyncio_await(asyncio_create_task(creates_its_waiter(&waiter))), 5);
    CHECK_EQUAL(asyncio_await(waiter), 5);
    return 0;
}

ASYNC(leaves_a_scope, asyncio_timeout *, of_creator)
{
    CHECK_EQUAL(asyncio_timeout_exit(of_creator, 0), ASYNCIO_ESTATE);
    return 0;
}

ASYNC_TEST(the_scopes_of_the_creator_are_not_its_own)
{
    asyncio_timeout limit;
    CHECK_EQUAL(asyncio_timeout_enter(&limit, 1), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(leaves_a_scope(&limit), &eager)), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&limit, 3), 3);
    return 0;
}

/* ---- Cancelled --------------------------------------------------------------------------- */

ASYNC(cancels_itself)
{
    asyncio_cancel(asyncio_current_task());
    note("still");
    int err = asyncio_sleep(9);
    note(err == -ECANCELED ? "cancelled" : "slept");
    return err;
}

ASYNC_TEST(a_request_before_its_first_wait_ends_that)
{
    asyncio_task *task = asyncio_create_task_with(cancels_itself(), &eager);
    CHECK(!asyncio_done(task));
    CHECK_TRAIL("still ");
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_TRAIL("cancelled ");
    return 0;
}

ASYNC_TEST(a_request_after_its_first_wait_ends_that)
{
    asyncio_task *task = asyncio_create_task_with(notes_twice("first", "second", 7), &eager);
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_TRAIL("first cancelled ");
    task = asyncio_create_task_with(notes("ended", 3), &eager);
    CHECK(!asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(task), 3);
    CHECK_TRAIL("ended ");
    return 0;
}

/* ---- Within each other --------------------------------------------------------------------- */

static int depth_now, depth_max;

/* Makes another one like it, until one is queued. */
ASYNC(nests, int, left)
{
    if (++depth_now > depth_max)
        depth_max = depth_now;
    asyncio_task *inner = left ? asyncio_create_task_with(nests(left - 1), &eager) : NULL;
    depth_now--;
    return inner ? asyncio_await(inner) + 1 : 0;
}

ASYNC_TEST(beyond_64_within_each_other_they_are_queued)
{
    depth_now = depth_max = 0;
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(nests(200), &eager)), 200);
    CHECK_EQUAL(depth_max, 64 + 1); /* 64 within one that was queued */
    return 0;
}

ASYNC(makes_two, const char *, word)
{
    asyncio_task *first = asyncio_create_task_with(notes_twice("a1", "a2", 1), &eager);
    note(word);
    asyncio_task *second = asyncio_create_task_with(notes_twice("b1", "b2", 2), &eager);
    note(word);
    return asyncio_await(first) + asyncio_await(second);
}

ASYNC_TEST(one_makes_two)
{
    asyncio_task *task = asyncio_create_task_with(makes_two("of"), &eager);
    note("main");
    CHECK_EQUAL(asyncio_await(task), 3);
    CHECK_TRAIL("a1 of b1 of main a2 b2 ");
    return 0;
}

/* ---- Not eager ------------------------------------------------------------------------------ */

ASYNC(makes_as_the_loop_has_it)
{
    asyncio_task *task = asyncio_create_task(notes("by option", 0));
    CHECK(asyncio_done(task));
    CHECK_EQUAL(asyncio_await(task), 0);
    task = asyncio_create_task_with(notes("queued", 0), &queued);
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(asyncio_await(task), 0);
    note("main");
    CHECK_TRAIL("by option queued main ");
    return 0;
}

static void *submit(void *loop)
{
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(notes("submitted", 6), loop);
    CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), 6);
    asyncio_thread_future_release(future);
    return NULL;
}

static intptr_t join_thread(void *thread)
{
    return pthread_join(*(pthread_t *)thread, NULL);
}

ASYNC(is_submitted_to)
{
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, submit, asyncio_get_running_loop()), 0);
    CHECK_EQUAL(asyncio_to_thread(join_thread, &thread), 0);
    return 0;
}

TEST(the_option_of_the_run_makes_all_tasks_eager_but_some)
{
    asyncio_run_options options = {.eager = 1};
    CHECK_EQUAL(asyncio_run_with(makes_as_the_loop_has_it(), &options), 0);
    CHECK_EQUAL(asyncio_run_with(is_submitted_to(), &options), 0);
    CHECK_TRAIL("submitted ");
    CHECK_EQUAL(asyncio_shutdown_threads(ASYNCIO_FOREVER), 0); /* else the next tests find their traces */
    asyncio_loop *loop = asyncio_loop_new(&options);
    asyncio_task *task = asyncio_loop_create_task(loop, notes("before it runs", 4));
    CHECK(!asyncio_done(task));
    CHECK_TRAIL("");
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 4);
    CHECK_TRAIL("before it runs ");
    asyncio_loop_release(loop);
    harness_settle();
}

/* ---- Callbacks, the end of a run, the budget -------------------------------------------------- */

static asyncio_task *from_callback;

static void make_in_callback(void *arg)
{
    (void)arg;
    from_callback = asyncio_create_task_with(notes_twice("in", "later", 8), &eager);
    CHECK(!asyncio_current_task());
    note("callback");
}

ASYNC_TEST(callbacks_make_them_too)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), make_in_callback, NULL);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_await(from_callback), 8);
    CHECK_TRAIL("in callback later ");
    return 0;
}

static void note_before(void *arg)
{
    (void)arg;
    note("before");
}

static void note_after(void *arg)
{
    (void)arg;
    note("after");
}

ASYNC(stops_the_loop)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_loop_call_soon(loop, note_before, NULL);
    asyncio_loop_stop(loop);
    asyncio_loop_call_soon(loop, note_after, NULL);
    return 0;
}

static void stop_eagerly(void *arg)
{
    (void)arg;
    asyncio_release(asyncio_create_task_with(stops_the_loop(), &eager));
}

static void stop_in_the_next_callback(void *arg)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), stop_eagerly, arg);
}

/* As a callback that stops the loop: what is queued after that does not run, even where an iteration goes on
 * with what was queued during it. */
TEST(one_that_stops_the_loop)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_loop_call_soon(loop, stop_in_the_next_callback, NULL);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    bool is_debug = asyncio_loop_get_debug(loop); /* then an iteration is what was ready when it began */
    CHECK_TRAIL(is_debug ? "" : "before ");
    CHECK_EQUAL(asyncio_loop_run_once(loop, 0), 0);
    CHECK_TRAIL(is_debug ? "before after " : "after ");
    asyncio_loop_release(loop);
    harness_settle();
}

static asyncio_semaphore permits = ASYNCIO_SEMAPHORE_INIT(1);
static bool others_ran;

ASYNC(takes_and_gives)
{
    int err = asyncio_semaphore_acquire(&permits);
    if (!err)
        asyncio_semaphore_release(&permits);
    return err;
}

ASYNC(runs_meanwhile)
{
    others_ran = true;
    return 0;
}

ASYNC_TEST(the_budget_of_the_creator_counts_for_all)
{
    others_ran = false;
    asyncio_release(asyncio_create_task_with(runs_meanwhile(), &queued));
    int made = 0;
    while (!others_ran && made++ < 10000)
        CHECK_EQUAL(asyncio_await(asyncio_create_task_with(takes_and_gives(), &eager)), 0);
    CHECK(made <= ASY_BUDGET + 1);
    return 0;
}

ASYNC(uses_up_budget)
{
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    asyncio_get_running_loop()->budget = 1;
    int err = asyncio_lock_acquire(&lock);
    note("went on");
    asyncio_lock_release(&lock);
    return err;
}

/* The child gave way, and its creator does so in its next call. */
ASYNC_TEST(a_budget_that_the_child_used_up)
{
    asyncio_task *task = asyncio_create_task_with(uses_up_budget(), &eager);
    CHECK_TRAIL("");
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(takes_and_gives(), &queued)), 0);
    CHECK_TRAIL("went on ");
    CHECK_EQUAL(asyncio_await(task), 0);
    asyncio_release(asyncio_create_task_with(uses_up_budget(), &eager));
    CHECK_EQUAL(asyncio_get_running_loop()->budget, 1);
    asyncio_sleep(0);
    CHECK_TRAIL("went on ");
    return 0;
}

static void make_one_with_little_budget(void *arg)
{
    asyncio_task **task = arg;
    asyncio_get_running_loop()->budget = 1; /* the last task's */
    *task = asyncio_create_task_with(takes_and_gives(), &eager);
}

ASYNC_TEST(one_of_a_callback_has_a_whole_budget)
{
    asyncio_task *task = NULL;
    asyncio_loop_call_soon(asyncio_get_running_loop(), make_one_with_little_budget, &task);
    asyncio_sleep(0);
    CHECK(task && asyncio_done(task));
    return (int)asyncio_await(task);
}

/* An eager start is a step, and the iteration of its creator goes on afterwards. */
ASYNC_TEST(steps_and_the_rest_of_the_iteration)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    size_t ready_then = loop->ready_then;
    loop->ready_then = 7;
    uint64_t steps = loop->steps;
    asyncio_task *task = asyncio_create_task_with(ticks(0), &eager);
    CHECK_EQUAL(loop->steps - steps, 1);
    CHECK_EQUAL(loop->ready_then, 7);
    loop->ready_then = ready_then;
    return (int)asyncio_await(task);
}

/* ---- In groups ----------------------------------------------------------------------------------- */

static void use_eager_tasks(void)
{
    asyncio_get_running_loop()->options.eager = 1;
}

ASYNC_TEST(a_child_of_a_group_that_has_ended_is_valid_until_the_next_wait)
{
    use_eager_tasks();
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    asyncio_task *children[5];
    for (intptr_t i = 0; i < 5; i++)
        children[i] = asyncio_task_group_create_task(&group, notes("child", i));
    for (intptr_t i = 0; i < 5; i++)
        CHECK_EQUAL(asyncio_result(children[i]), i);
    asyncio_task *kept = asyncio_ref(children[4]);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    CHECK_EQUAL(asyncio_await(kept), 4);
    CHECK_TRAIL("child child child child child ");
    return 0;
}

ASYNC_TEST(a_child_that_fails_at_once_cancels_the_others_later)
{
    use_eager_tasks();
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    asyncio_task_group_create_task(&group, notes("fails", -EIO));
    asyncio_task *second = asyncio_task_group_create_task(&group, notes_twice("second", "went on", 0));
    CHECK(!asyncio_done(second)); /* the failure is looked at in the next iteration */
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&group, err), -EIO);
    CHECK_EQUAL(asyncio_time() < 9, 1);
    CHECK_TRAIL("fails second cancelled ");
    return 0;
}

ASYNC(cancels_group, asyncio_task_group *, group)
{
    asyncio_task_group_cancel(group);
    int err = asyncio_sleep(9);
    note(err == -ECANCELED ? "cancelled" : "slept");
    return err;
}

ASYNC_TEST(a_child_that_cancels_its_group_before_its_first_wait)
{
    use_eager_tasks();
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    asyncio_task *child = asyncio_task_group_create_task(&group, cancels_group(&group));
    CHECK(!asyncio_done(child));
    asyncio_task *late = asyncio_task_group_create_task(&group, notes("late", 0));
    CHECK_EQUAL(asyncio_result(late), ASYNCIO_ESTATE);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(asyncio_task_group_exit(&group, err), 0);
    CHECK_EQUAL(asyncio_task_cancelling(asyncio_current_task()), 0);
    CHECK_TRAIL("cancelled ");
    return 0;
}

ASYNC(spawns_siblings, asyncio_task_group *, group, int, left)
{
    note("child");
    if (left)
        asyncio_task_group_create_task(group, spawns_siblings(group, left - 1));
    return 0;
}

ASYNC_TEST(children_that_make_siblings)
{
    use_eager_tasks();
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    asyncio_task_group_create_task(&group, spawns_siblings(&group, 3));
    CHECK_TRAIL("child child child child ");
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

/* ---- In gather and shield ----------------------------------------------------------------------- */

ASYNC_TEST(a_gather_of_children_that_never_wait_does_not_wait)
{
    use_eager_tasks();
    asyncio_task *tick = asyncio_create_task_with(ticks(1), &queued);
    intptr_t results[3];
    CHECK_EQUAL(asyncio_gather(results, notes("a", 1), notes("b", 2), notes("c", 3)), 0);
    CHECK_TRAIL("a b c ");
    CHECK_EQUAL(results[0] + results[1] * 10 + results[2] * 100, 321);
    asyncio_await(tick);
    CHECK_TRAIL("tick ");
    return 0;
}

ASYNC(ends_others, asyncio_future *, first, asyncio_task *, second)
{
    CHECK_EQUAL(asyncio_future_set_result(first, 9), 0);
    CHECK(asyncio_cancel(second));
    return 1;
}

ASYNC_TEST(a_child_that_ends_the_other_arguments)
{
    use_eager_tasks();
    asyncio_future *future = asyncio_future_new();
    asyncio_task *sleeper = asyncio_create_task(notes_twice("sleeps", "slept", 2));
    intptr_t results[4];
    CHECK_EQUAL(asyncio_gather_settled(results, asyncio_ref(future), sleeper, ends_others(future, sleeper),
                                       asyncio_ref(future)),
                0);
    CHECK_EQUAL(results[0], 9);
    CHECK_EQUAL(results[1], -ECANCELED);
    CHECK_EQUAL(results[2], 1);
    CHECK_EQUAL(results[3], 9);
    asyncio_release(future);
    CHECK_TRAIL("sleeps cancelled ");
    return 0;
}

ASYNC_TEST(the_first_argument_that_failed_at_once_wins)
{
    use_eager_tasks();
    intptr_t results[3];
    CHECK_EQUAL(asyncio_gather(results, notes_twice("a1", "a2", 1), notes("b", -EIO), notes("c", -EPERM)),
                -EIO);
    CHECK_EQUAL(results[0], -ECANCELED);
    CHECK_EQUAL(results[1], -EIO);
    CHECK_EQUAL(results[2], -EPERM);
    CHECK_TRAIL("a1 b c cancelled ");
    return 0;
}

ASYNC_TEST(a_shield_around_one)
{
    use_eager_tasks();
    CHECK_EQUAL(asyncio_shield(notes("at once", 5)), 5);
    CHECK_EQUAL(asyncio_shield(notes_twice("first", "second", 6)), 6);
    CHECK_TRAIL("at once first second ");
    return 0;
}

/* ---- Failures ---------------------------------------------------------------------------------- */

ASYNC(makes_all_kinds)
{
    use_eager_tasks();
    intptr_t results[2];
    asyncio_task_group group;
    asyncio_task_options named = {.name = "named", .stack_size = 1 << 20};
    asyncio_release(asyncio_create_task_with(notes_twice("a", "b", 0), &named));
    asyncio_gather_settled(results, notes_twice("c", "d", 1), notes("e", 2));
    if (asyncio_task_group_enter(&group) == 0) {
        asyncio_task_group_create_task(&group, notes("f", 0));
        asyncio_task_group_create_task(&group, notes_twice("g", "h", 0));
        asyncio_task_group_exit(&group, 0);
    }
    asyncio_shield(notes_twice("i", "j", 0));
    asyncio_sleep(1);
    trail[0] = '\0';
    return 0;
}

TEST(each_failure_in_turn)
{
    sweep_failures(makes_all_kinds);
}

ASYNC(waits_for_eager_ones)
{
    use_eager_tasks();
    intptr_t results[2];
    int err = asyncio_gather(results, notes_twice("a", "b", 0), notes_twice("c", "d", 0));
    if (!err)
        err = (int)asyncio_await(asyncio_create_task(notes_twice("e", "f", 0)));
    trail[0] = '\0';
    return err;
}

TEST(each_cancel_in_turn)
{
    sweep_cancels(waits_for_eager_ones, NULL);
}

TEST_MAIN()
