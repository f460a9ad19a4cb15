/*
 * The event loop: the order of an iteration, stop, run_until_complete, states and
 * refusals, handles, references.
 */
#include "asyncio.h"
#include "child.h"
#include "core/loop.h"
#include "support/test.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};

/* ---- What happened, in letters ---------------------------------------------------- */

static char story[256];
static size_t story_length;
static asyncio_loop *loop;

static void tell(char letter)
{
    assert_true(story_length < sizeof story - 1);
    story[story_length++] = letter;
    story[story_length] = '\0';
}

static void forget(void)
{
    story_length = 0;
    story[0] = '\0';
}

/* A callback whose argument is its letter. */
static void say(void *letter)
{
    tell((char)(intptr_t)letter);
}
#define L(letter) ((void *)(intptr_t)(letter))

static void stop(void *letter)
{
    if (letter)
        say(letter);
    asyncio_loop_stop(loop);
}

static void soon(asyncio_callback fn, char letter)
{
    assert_true(asyncio_handle_valid(asyncio_loop_call_soon(loop, fn, L(letter))));
}

static int reports;
static intptr_t last_error;
static char last_message[256];

static void count_report(asyncio_loop *of, const asyncio_exception_context *context, void *arg)
{
    (void)of;
    (void)arg;
    reports++;
    last_error = context->error;
    snprintf(last_message, sizeof last_message, "%s", context->message);
}

static void open_loop(const asyncio_run_options *options)
{
    forget();
    reports = 0;
    loop = asyncio_loop_new(options);
    assert_non_null(loop);
    asyncio_loop_set_exception_handler(loop, count_report, NULL);
}

static void close_loop(void)
{
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    loop = NULL;
}

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* ---- One iteration ----------------------------------------------------------------- */

TEST(ready_then_posts_then_timers)
{
    open_loop(&simulated);
    asyncio_loop_call_at(loop, -1, say, L('t'));
    asyncio_loop_call_later(loop, 0, say, L('u'));
    assert_int_equal(asyncio_loop_call_soon_threadsafe(loop, say, L('p')), 0);
    assert_int_equal(asyncio_loop_call_soon_threadsafe(loop, say, L('q')), 0);
    assert_int_equal(asyncio_loop_call_soon_signalsafe(loop, say, L('s')), 0);
    soon(say, 'a');
    soon(stop, 'b');
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "abpqstu");
    close_loop();
}

static void all_three(void *arg)
{
    (void)arg;
    tell('.');
    asyncio_loop_call_later(loop, 0, say, L('t'));
    asyncio_loop_call_later(loop, 0.002, stop, L('z'));
    asyncio_loop_call_soon_threadsafe(loop, say, L('p'));
    asyncio_loop_call_soon(loop, say, L('a'));
}

TEST(what_a_callback_adds_runs_in_the_next_iteration)
{
    for (int real = 0; real < 2; real++) {
        open_loop(real ? NULL : &simulated);
        soon(all_three, 0);
        soon(say, 'x');
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        assert_string_equal(story, ".xaptz");
        close_loop();
    }
}

static int chain_left;
static void chain(void *arg)
{
    tell('c');
    if (--chain_left)
        asyncio_loop_call_soon(loop, chain, arg);
}

TEST(a_chain_of_callbacks_lets_others_in)
{
    open_loop(&simulated);
    chain_left = 5;
    soon(chain, 0);
    soon(say, 'x');
    asyncio_loop_call_later(loop, 0, say, L('t'));
    asyncio_loop_call_later(loop, 1, stop, L('z'));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "cxtccccz");
    close_loop();
}

/* ---- Stop ---------------------------------------------------------------------------- */

static void stop_then_add(void *arg)
{
    stop(arg);
    asyncio_loop_call_soon(loop, say, L('n'));
    asyncio_loop_call_soon(loop, stop, L('m'));
}

TEST(stop_ends_the_iteration_and_keeps_what_came_in_it)
{
    for (int real = 0; real < 2; real++) {
        open_loop(real ? NULL : &simulated);
        soon(say, 'a');
        soon(stop_then_add, 's');
        soon(say, 'b');
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        assert_string_equal(story, "asb");
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        assert_string_equal(story, "asbnm");
        close_loop();
    }
}

static void stop_in_a_chain(void *arg)
{
    tell('c');
    if (--chain_left) {
        asyncio_loop_call_soon(loop, stop_in_a_chain, arg);
        return;
    }
    asyncio_loop_stop(loop);
    asyncio_loop_call_soon(loop, say, L('n'));
    asyncio_loop_call_soon(loop, say, L('n'));
}

/* Also where iterations run into each other without a poll in between. */
TEST(stop_keeps_what_came_after_it_in_a_long_run)
{
    for (int length = 1; length < 40; length++) {
        open_loop(NULL);
        chain_left = length;
        soon(stop_in_a_chain, 0);
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        assert_int_equal(story_length, length);
        assert_null(strchr(story, 'n'));
        close_loop();
    }
}

TEST(stop_before_the_run_runs_what_is_ready_once)
{
    open_loop(NULL);
    soon(say, 'a');
    asyncio_loop_call_soon_threadsafe(loop, say, L('p'));
    asyncio_loop_call_at(loop, 0, say, L('t'));
    asyncio_loop_call_later(loop, 3600, say, L('!'));
    asyncio_loop_stop(loop);
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "apt");
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "apt");
    close_loop();
}

TEST(stop_from_a_post_and_a_timer)
{
    open_loop(NULL);
    asyncio_loop_call_soon_threadsafe(loop, stop, L('p'));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    asyncio_loop_call_later(loop, 0.001, stop, L('t'));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "pt");
    asyncio_loop_stop(NULL);
    close_loop();
}

/* ---- Until complete ---------------------------------------------------------------------- */

ASYNC(answers, intptr_t, value)
{
    asyncio_sleep(0);
    return value;
}

ASYNC(fails)
{
    asyncio_sleep(1);
    return asyncio_raise(-EPIPE, "the pipe broke");
}

static asyncio_future *started(asyncio_coro *coro)
{
    return (asyncio_future *)asyncio_loop_create_task(loop, coro);
}

TEST(run_until_complete_gives_the_result)
{
    open_loop(&simulated);
    assert_int_equal(asyncio_loop_run_until_complete(loop, started(answers(42))), 42);
    assert_int_equal(asyncio_loop_run_until_complete(loop, started(fails())), -EPIPE);
    assert_string_equal(asyncio_error_message(), "the pipe broke");
    assert_int_equal(asyncio_loop_run_until_complete(loop, started(answers(-EIO))), -EIO);
    assert_string_equal(asyncio_error_message(), "");
    /* One that is done already, twice. */
    asyncio_future *future = started(answers(7));
    assert_int_equal(asyncio_loop_run_until_complete(loop, asyncio_ref(future)), 7);
    assert_int_equal(asyncio_loop_run_until_complete(loop, future), 7);
    assert_int_equal(asyncio_loop_run_until_complete(loop, NULL), -ENOMEM);
    assert_int_equal(reports, 0);
    close_loop();
}

TEST(run_until_complete_stopped_first)
{
    open_loop(&simulated);
    asyncio_future *future = started(fails());
    soon(stop, 's');
    assert_int_equal(asyncio_loop_run_until_complete(loop, asyncio_ref(future)), ASYNCIO_ESTATE);
    assert_string_equal(asyncio_error_message(), "the loop was stopped before the future was done");
    assert_false(asyncio_done(future));
    /* The callback that stops is gone: a later run is not ended by it. */
    asyncio_loop_call_later(loop, 2, stop, L('z'));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_true(asyncio_done(future));
    assert_string_equal(story, "sz");
    assert_int_equal(asyncio_result(future), -EPIPE);
    asyncio_release(future);
    close_loop();
}

static void complete_and_stop(void *future)
{
    asyncio_future_set_result(future, 3);
    asyncio_loop_stop(loop);
}

ASYNC(makes_a_future, asyncio_future **, out)
{
    *out = asyncio_future_new();
    return 0;
}

/* Both end the same iteration: what the first run queued does not end the next one. */
TEST(run_until_complete_leaves_no_stop_behind)
{
    open_loop(&simulated);
    asyncio_future *future;
    assert_int_equal(asyncio_loop_run_until_complete(loop, started(makes_a_future(&future))), 0);
    asyncio_loop_call_soon(loop, complete_and_stop, future);
    soon(say, 'a');
    assert_int_equal(asyncio_loop_run_until_complete(loop, future), 3);
    soon(say, 'b');
    asyncio_loop_call_later(loop, 1, say, L('c'));
    asyncio_loop_call_later(loop, 2, stop, L('z'));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "abcz");
    close_loop();
}

TEST(run_until_complete_of_another_loops_future)
{
    open_loop(&simulated);
    asyncio_loop *other = asyncio_loop_new(&simulated);
    asyncio_task *task = asyncio_loop_create_task(other, answers(1));
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)asyncio_ref(task)), -EINVAL);
    assert_false(asyncio_loop_is_running(loop));
    assert_int_equal(asyncio_loop_run_until_complete(other, (asyncio_future *)task), 1);
    asyncio_loop_close(other);
    asyncio_loop_release(other);
    close_loop();
}

TEST(nothing_left_under_a_virtual_clock)
{
    open_loop(&simulated);
    assert_int_equal(asyncio_loop_run_forever(loop), -EDEADLK);
    assert_int_equal(reports, 0);
    asyncio_loop_call_at(loop, INFINITY, say, L('!'));
    assert_int_equal(asyncio_loop_run_forever(loop), -EDEADLK);
    soon(stop, 'a');
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "a");
    close_loop();
}

/* ---- States and refusals --------------------------------------------------------------------- */

static void inside(void *other)
{
    assert_ptr_equal(asyncio_get_running_loop(), loop);
    assert_true(asyncio_loop_is_running(loop));
    assert_false(asyncio_loop_is_running(other));
    assert_null(asyncio_current_task());
    assert_int_equal(asyncio_sleep(1), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_await(answers(1)), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_loop_run_forever(loop), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_loop_run_forever(other), ASYNCIO_ESTATE);
    asyncio_task *task = asyncio_loop_create_task(other, answers(1));
    assert_int_equal(asyncio_loop_run_until_complete(other, (asyncio_future *)task), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_loop_close(loop), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_run(answers(1)), ASYNCIO_ESTATE);
    tell('i');
    asyncio_loop_stop(loop);
}

TEST(a_loop_knows_its_state)
{
    open_loop(&simulated);
    asyncio_loop *other = asyncio_loop_new(&simulated);
    asyncio_loop_set_exception_handler(other, count_report, NULL);
    assert_null(asyncio_get_running_loop());
    assert_false(asyncio_loop_is_running(loop));
    assert_false(asyncio_loop_is_closed(loop));
    asyncio_loop_call_soon(loop, inside, other);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "i");
    assert_null(asyncio_get_running_loop());
    assert_false(asyncio_loop_is_running(loop));
    asyncio_loop_stop(other); /* runs what was refused to: its task, which was made */
    assert_int_equal(asyncio_loop_run_forever(other), 0);
    asyncio_loop_stop(other);
    assert_int_equal(asyncio_loop_run_forever(other), 0);
    asyncio_loop_close(other);
    asyncio_loop_release(other);
    assert_int_equal(reports, 0);
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_true(asyncio_loop_is_closed(loop));
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_int_equal(asyncio_loop_close(NULL), -EINVAL);
    assert_true(asyncio_loop_is_closed(NULL));
    assert_false(asyncio_loop_is_running(NULL));
    asyncio_loop_release(loop);
    asyncio_loop_release(NULL);
    assert_null(asyncio_loop_ref(NULL));
}

TEST(a_closed_loop_refuses)
{
    open_loop(&simulated);
    asyncio_handle handle = asyncio_loop_call_later(loop, 1, say, L('!'));
    soon(say, '!');
    asyncio_loop_call_soon_threadsafe(loop, say, L('!'));
    asyncio_loop_call_soon_signalsafe(loop, say, L('!'));
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_false(asyncio_handle_cancel(loop, handle));
    assert_false(asyncio_handle_valid(asyncio_loop_call_soon(loop, say, L('!'))));
    assert_int_equal(last_error, ASYNCIO_ESTATE);
    assert_string_equal(last_message, "asyncio_loop_call_soon was refused");
    assert_false(asyncio_handle_valid(asyncio_loop_call_later(loop, 1, say, L('!'))));
    assert_false(asyncio_handle_valid(asyncio_loop_call_at(loop, 1, say, L('!'))));
    assert_string_equal(last_message, "asyncio_loop_call_at was refused");
    assert_int_equal(reports, 3);
    assert_int_equal(asyncio_loop_call_soon_threadsafe(loop, say, L('!')), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_loop_call_soon_signalsafe(loop, say, L('!')), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_loop_run_forever(loop), ASYNCIO_ESTATE);
    assert_non_null(strstr(asyncio_error_message(), "closed"));
    asyncio_task *task = asyncio_loop_create_task(loop, answers(1));
    assert_true(asyncio_done(task));
    assert_int_equal(asyncio_result(task), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), ASYNCIO_ESTATE);
    asyncio_loop_stop(loop);
    assert_true(asyncio_loop_time(loop) >= 0);
    assert_string_equal(story, "");
    asyncio_loop_release(loop);
}

TEST(times_that_are_not)
{
    open_loop(&simulated);
    assert_false(asyncio_handle_valid(asyncio_loop_call_later(loop, NAN, say, L('!'))));
    assert_int_equal(last_error, -EINVAL);
    assert_false(asyncio_handle_valid(asyncio_loop_call_at(loop, -NAN, say, L('!'))));
    assert_false(asyncio_handle_valid(asyncio_loop_call_soon(loop, NULL, NULL)));
    assert_false(asyncio_handle_valid(asyncio_loop_call_later(loop, 1, NULL, NULL)));
    assert_int_equal(reports, 4);
    assert_int_equal(asyncio_loop_call_soon_threadsafe(loop, NULL, NULL), -EINVAL);
    assert_int_equal(asyncio_loop_call_soon_signalsafe(loop, NULL, NULL), -EINVAL);
    assert_int_equal(asyncio_loop_call_soon_threadsafe(NULL, say, NULL), -EINVAL);
    assert_int_equal(asyncio_loop_call_soon_signalsafe(NULL, say, NULL), -EINVAL);
    /* The ends of the range: at once, or never. */
    asyncio_loop_call_later(loop, INFINITY, say, L('!'));
    asyncio_loop_call_at(loop, 1e300, say, L('!'));
    asyncio_loop_call_later(loop, -INFINITY, say, L('a'));
    asyncio_loop_call_later(loop, -1, say, L('b'));
    asyncio_loop_call_at(loop, -INFINITY, say, L('c'));
    asyncio_loop_call_later(loop, 1e9, stop, L('z'));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "cabz");
    assert_int_equal(reports, 4);
    close_loop();
}

static void a_handler_for_no_loop(void *arg)
{
    (void)arg;
    CHILD_CHECK(!asyncio_handle_valid(asyncio_loop_call_soon(NULL, say, NULL)));
    CHILD_CHECK(!asyncio_handle_cancel(NULL, (asyncio_handle){0}));
}

TEST(without_a_handler_a_line_is_printed)
{
    struct child child;
    child_run(&child, a_handler_for_no_loop, NULL);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text,
                        "asyncio: asyncio_loop_call_soon was refused: Invalid argument (EINVAL)\n");
}

/* ---- Handles ------------------------------------------------------------------------------ */

static asyncio_handle own;
static void cancel_own(void *arg)
{
    (void)arg;
    assert_false(asyncio_handle_cancel(loop, own));
    tell('o');
}

static void cancel_handle(void *handle)
{
    assert_true(asyncio_handle_cancel(loop, *(asyncio_handle *)handle));
}

TEST(a_handle_is_cancelled_once)
{
    assert_int_equal(sizeof(asyncio_handle), 16);
    open_loop(&simulated);
    asyncio_handle queued = asyncio_loop_call_soon(loop, say, L('!'));
    asyncio_handle timed = asyncio_loop_call_later(loop, 1, say, L('!'));
    assert_true(asyncio_handle_cancel(loop, queued));
    assert_false(asyncio_handle_cancel(loop, queued));
    assert_true(asyncio_handle_cancel(loop, timed));
    assert_false(asyncio_handle_cancel(loop, timed));
    assert_false(asyncio_handle_cancel(loop, (asyncio_handle){0}));
    assert_false(asyncio_handle_valid((asyncio_handle){0}));
    /* One that is cancelled by a callback before it in the same iteration; one that is due. */
    asyncio_handle later = {0}, due = {0};
    asyncio_loop_call_soon(loop, cancel_handle, &later);
    later = asyncio_loop_call_soon(loop, say, L('!'));
    asyncio_loop_call_later(loop, 2, cancel_handle, &due);
    due = asyncio_loop_call_later(loop, 2, say, L('!'));
    own = asyncio_loop_call_soon(loop, cancel_own, NULL);
    asyncio_handle ran = asyncio_loop_call_soon(loop, say, L('a'));
    asyncio_loop_call_later(loop, 3, stop, L('z'));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "oaz");
    assert_false(asyncio_handle_cancel(loop, ran));
    close_loop();
}

TEST(a_stale_handle_does_not_touch_the_next_one)
{
    open_loop(&simulated);
    asyncio_handle stale = asyncio_loop_call_later(loop, 1, say, L('!'));
    assert_true(asyncio_handle_cancel(loop, stale));
    /* The block is used again. */
    asyncio_handle fresh = asyncio_loop_call_later(loop, 1, stop, L('a'));
    assert_ptr_equal(stale.asyncio_slot_, fresh.asyncio_slot_);
    assert_false(asyncio_handle_cancel(loop, stale));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "a");
    /* Nor does a handle of one loop another loop. */
    asyncio_loop *other = asyncio_loop_new(&simulated);
    asyncio_handle foreign = asyncio_loop_call_later(other, 1, say, L('!'));
    asyncio_loop_call_later(loop, 1, stop, L('b'));
    assert_false(asyncio_handle_cancel(loop, foreign));
    assert_true(asyncio_handle_cancel(other, foreign));
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "ab");
    /* Which may be gone. */
    foreign = asyncio_loop_call_later(other, 1, say, L('!'));
    asyncio_loop_release(other);
    assert_false(asyncio_handle_cancel(loop, foreign));
    assert_false(asyncio_handle_cancel(loop, (asyncio_handle){(void *)1, 0}));
    assert_false(asyncio_handle_cancel(loop, (asyncio_handle){(void *)UINTPTR_MAX, fresh.asyncio_id_}));
    close_loop();
}

#define HANDLES 5000

static unsigned char ran[HANDLES];
static size_t last_ran, out_of_order;
static void note(void *index)
{
    size_t i = (size_t)index;
    ran[i]++;
    out_of_order += i < last_ran;
    last_ran = i;
}

TEST(thousands_of_handles)
{
    static asyncio_handle handles[HANDLES];
    open_loop(&simulated);
    for (int round = 0; round < 3; round++) {
        memset(ran, 0, sizeof ran);
        last_ran = out_of_order = 0;
        for (size_t i = 0; i < HANDLES; i++)
            handles[i] = round == 1 ? asyncio_loop_call_later(loop, 1 + (double)i, note, (void *)i)
                                    : asyncio_loop_call_soon(loop, note, (void *)i);
        for (size_t i = 0; i < HANDLES; i += 3)
            assert_true(asyncio_handle_cancel(loop, handles[i]));
        if (round == 1)
            asyncio_loop_call_later(loop, HANDLES + 10, stop, NULL);
        else
            soon(stop, 0);
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        for (size_t i = 0; i < HANDLES; i++) {
            assert_int_equal(ran[i], i % 3 != 0);
            assert_false(asyncio_handle_cancel(loop, handles[i]));
        }
        assert_int_equal(out_of_order, 0);
    }
    close_loop();
}

/* ---- References ------------------------------------------------------------------------------- */

TEST(the_last_release_closes)
{
    int before = descriptors();
    open_loop(NULL);
    asyncio_task *task = asyncio_loop_create_task(loop, answers(1));
    soon(say, '!');
    assert_ptr_equal(asyncio_loop_ref(loop), loop);
    asyncio_loop_release(loop);
    assert_false(asyncio_loop_is_closed(loop));
    asyncio_loop_release(loop);
    assert_int_equal(reports, 1);
    assert_string_equal(last_message, "task was destroyed but it is pending; it never ran");
    assert_int_equal(descriptors(), before);
    /* The task outlives it. */
    assert_true(asyncio_done(task));
    assert_int_equal(asyncio_result(task), -ECANCELED);
    asyncio_release(task);
}

static void release_own(void *arg)
{
    (void)arg;
    asyncio_loop_release(loop);
    asyncio_loop_stop(loop);
    tell('r');
}

TEST(a_loop_released_while_it_runs_ends_its_run_first)
{
    int before = descriptors();
    open_loop(NULL);
    soon(release_own, 0);
    soon(say, 'a');
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_string_equal(story, "ra");
    assert_int_equal(descriptors(), before);
}

/* In a child: what it leaves behind on purpose would count as a leak. */
static void abandon_one(void *arg)
{
    (void)arg;
    int before = descriptors();
    open_loop(NULL);
    asyncio_release(asyncio_loop_create_task(loop, fails()));
    soon(stop, 0);
    CHILD_CHECK(asyncio_loop_run_forever(loop) == 0);
    CHILD_CHECK(asyncio_loop_close(loop) == 0);
    CHILD_CHECK(reports == 1);
    CHILD_CHECK(strcmp(last_message, "task was destroyed but it is pending; it waits in sleep") == 0);
    asyncio_loop_release(loop);
    CHILD_CHECK(descriptors() == before);
}

TEST(an_abandoned_task_keeps_no_descriptor)
{
    struct child child;
    child_run(&child, abandon_one, NULL);
    assert_child_exit(&child, 0);
}

static int drops;
static void drop_adds(void *arg)
{
    (void)arg;
    drops++;
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_task *task = asyncio_loop_create_task(loop, answers(1));
    assert_int_equal(asyncio_result(task), ASYNCIO_ESTATE);
    asyncio_release(task);
    assert_int_equal(asyncio_sleep(1), ASYNCIO_ENOTASK);
}

static intptr_t never(void *arg)
{
    (void)arg;
    fail();
    return 0;
}

TEST(what_close_drops_can_add_nothing)
{
    open_loop(NULL);
    drops = 0;
    for (int i = 0; i < 3; i++)
        asyncio_release(asyncio_loop_create_task(loop, asyncio_coro_new(never, NULL, drop_adds)));
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_int_equal(drops, 3);
    assert_int_equal(reports, 3);
    asyncio_loop_release(loop);
}

/* Pending tasks are reported while the loop closes. */
static void release_in_report(asyncio_loop *of, const asyncio_exception_context *context, void *arg)
{
    (void)context;
    int *told = arg;
    if ((*told)++ == 0)
        asyncio_loop_release(of);
}

ASYNC(never_begins)
{
    return 0;
}

TEST(the_last_release_in_the_midst_of_close)
{
    int told = 0;
    loop = asyncio_loop_new(&simulated);
    asyncio_loop_set_exception_handler(loop, release_in_report, &told);
    asyncio_release(asyncio_loop_create_task(loop, never_begins()));
    asyncio_release(asyncio_loop_create_task(loop, never_begins()));
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_int_equal(told, 2);
}

ASYNC(counts_tasks)
{
    return (intptr_t)asyncio_all_tasks(NULL, 5);
}

ASYNC(sleeps_long)
{
    return asyncio_sleep(1000);
}

TEST(an_abandoned_task_cannot_be_cancelled)
{
    open_loop(&simulated);
    asyncio_task *task = asyncio_loop_create_task(loop, sleeps_long());
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    asyncio_loop_ref(loop);
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_false(asyncio_cancel(task));
    assert_false(asyncio_done(task));
    assert_int_equal(asyncio_task_cancelling(task), 0);
    asyncio_release(task);
    asyncio_loop_release(loop);
    close_loop();
}

TEST(no_loop_and_nothing_to_say)
{
    loop = asyncio_loop_new(&simulated);
    static const asyncio_instrument silent;
    asyncio_loop_set_instrument(loop, &silent);
    asyncio_loop_call_exception_handler(loop, NULL);
    asyncio_task *task = asyncio_loop_create_task(loop, counts_tasks());
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 1);
    close_loop();
    asyncio_exception_context context = {.message = "to nobody"};
    asyncio_loop_set_debug(NULL, true);
    assert_false(asyncio_loop_get_debug(NULL));
    asyncio_loop_set_slow_callback_duration(NULL, 1);
    asyncio_loop_set_exception_handler(NULL, NULL, NULL);
    asyncio_loop_call_exception_handler(NULL, &context);
    asyncio_loop_set_instrument(NULL, &silent);
}

TEST_MAIN()
