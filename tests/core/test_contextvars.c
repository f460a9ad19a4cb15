/*
 * Context variables: who sees what of whom; tokens; threads; and no allocation where
 * nothing is set.
 */
#include "base/random.h"
#include "core/contextvars.h"
#include "support/harness.h"
#include "support/ledger.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Values are numbers here. */
#define VALUE(n) ((void *)(intptr_t)(n))

static asyncio_contextvar x = ASYNCIO_CONTEXTVAR_INIT("x", NULL);
static asyncio_contextvar y = ASYNCIO_CONTEXTVAR_INIT("y", VALUE(-7));

static const asyncio_run_options virtual_time = {.clock = ASYNCIO_CLOCK_VIRTUAL};

static intptr_t get_x(void)
{
    return (intptr_t)asyncio_contextvar_get(&x);
}

static intptr_t get_y(void)
{
    return (intptr_t)asyncio_contextvar_get(&y);
}

static void set_x(intptr_t value)
{
    CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(value), NULL), 0);
}

static void set_y(intptr_t value)
{
    CHECK_EQUAL(asyncio_contextvar_set(&y, VALUE(value), NULL), 0);
}

/* ---- One variable, one context --------------------------------------------------- */

static void set_and_reset(void)
{
    asyncio_contextvar_token first, second;
    CHECK_EQUAL(get_x(), 0);
    CHECK_EQUAL(get_y(), -7);
    CHECK_EQUAL(asyncio_contextvar_set(&y, VALUE(1), &first), 0);
    CHECK_EQUAL(get_y(), 1);
    CHECK_EQUAL(get_x(), 0);
    CHECK_EQUAL(asyncio_contextvar_set(&y, NULL, &second), 0);
    CHECK_EQUAL(get_y(), 0); /* set to NULL, that is; not the default */
    CHECK_EQUAL(asyncio_contextvar_reset(&y, second), 0);
    CHECK_EQUAL(get_y(), 1);
    CHECK_EQUAL(asyncio_contextvar_reset(&y, first), 0);
    CHECK_EQUAL(get_y(), -7);
}

ASYNC(set_and_reset_main)
{
    set_and_reset();
    return 0;
}

ASYNC(refusals_main)
{
    asyncio_contextvar_token token = {0};
    CHECK(asyncio_contextvar_get(NULL) == NULL);
    CHECK_EQUAL(asyncio_contextvar_set(NULL, VALUE(1), &token), -EINVAL);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, token), -EINVAL);
    CHECK_EQUAL(asyncio_contextvar_reset(NULL, token), -EINVAL);
    CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(1), &token), 0);
    CHECK_EQUAL(asyncio_contextvar_reset(NULL, token), -EINVAL);
    CHECK_EQUAL(asyncio_contextvar_reset(&y, token), -EINVAL);
    CHECK_EQUAL(get_y(), -7);
    CHECK_EQUAL(get_x(), 1);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, token), 0);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, token), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "'x'");
    asyncio_context_release(NULL);
    return 0;
}

#define MANY 200

static asyncio_contextvar many[MANY];

/* More variables than fit where the first few are kept, and back. */
ASYNC(many_main)
{
    static asyncio_contextvar_token tokens[MANY];
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_contextvar_set(&many[i], VALUE(i), &tokens[i]), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_contextvar_get(&many[i]), i);
    for (int i = 0; i < MANY; i += 2)
        CHECK_EQUAL(asyncio_contextvar_reset(&many[i], tokens[i]), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_contextvar_get(&many[i]), i % 2 ? i : 0);
    for (int i = 1; i < MANY; i += 2)
        CHECK_EQUAL(asyncio_contextvar_reset(&many[i], tokens[i]), 0);
    for (int i = 0; i < MANY; i++)
        CHECK(asyncio_contextvar_get(&many[i]) == NULL);
    return 0;
}

TEST(one_context)
{
    assert_int_equal(run(set_and_reset_main), 0);
    assert_int_equal(run(refusals_main), 0);
    assert_int_equal(run(many_main), 0);
}

/* ---- Tokens ------------------------------------------------------------------------- */

ASYNC(resets_x, asyncio_contextvar_token, token)
{
    return asyncio_contextvar_reset(&x, token);
}

ASYNC(any_order_main)
{
    asyncio_contextvar_token one, two, three, other;
    asyncio_contextvar_set(&x, VALUE(1), &one);
    asyncio_contextvar_set(&x, VALUE(2), &two);
    asyncio_contextvar_set(&y, VALUE(5), &other);
    asyncio_contextvar_set(&x, VALUE(3), &three);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, one), 0);
    CHECK_EQUAL(get_x(), 0);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, three), 0);
    CHECK_EQUAL(get_x(), 2);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, one), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, three), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, two), 0);
    CHECK_EQUAL(get_x(), 1);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, two), ASYNCIO_ESTATE);
    CHECK_EQUAL(get_y(), 5);
    CHECK_EQUAL(asyncio_contextvar_reset(&y, other), 0);
    CHECK_EQUAL(get_y(), -7);
    CHECK_EQUAL(asyncio_contextvar_reset(&y, other), ASYNCIO_ESTATE);
    return 0;
}

/* A token is of the context, not of the coroutine. */
ASYNC(other_context_main)
{
    asyncio_contextvar_token token;
    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options options = {.context = context};
    CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(1), &token), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(resets_x(token))), -EINVAL);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(resets_x(token), &options)), -EINVAL);
    CHECK_EQUAL(get_x(), 1);
    CHECK_EQUAL(asyncio_await(resets_x(token)), 0);
    CHECK_EQUAL(get_x(), 0);
    asyncio_context_release(context);
    return 0;
}

/* Tokens that are used in between, and tokens that never are, many times over: none that is good is
 * refused, and of those used lately none is taken again. */
ASYNC(many_tokens_main)
{
    asyncio_contextvar_token oldest, latest, left;
    CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(1), &oldest), 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQUAL(asyncio_contextvar_set(&y, VALUE(i), &latest), 0);
        if (i % 3 == 0)
            CHECK_EQUAL(asyncio_contextvar_set(&y, VALUE(i), &left), 0);
        CHECK_EQUAL(asyncio_contextvar_reset(&y, latest), 0);
        CHECK_EQUAL(asyncio_contextvar_reset(&y, latest), ASYNCIO_ESTATE);
    }
    CHECK_EQUAL(asyncio_contextvar_reset(&y, left), 0);
    CHECK_EQUAL(asyncio_contextvar_reset(&y, left), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_contextvar_reset(&y, latest), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, oldest), 0);
    return 0;
}

/* In pairs and nested, any number of used tokens is known. */
ASYNC(nested_tokens_main)
{
    enum { DEPTH = 500 };
    static asyncio_contextvar_token tokens[DEPTH];
    asyncio_contextvar_token first, again;
    CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(1), &first), 0);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, first), 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(i), &again), 0);
        CHECK_EQUAL(asyncio_contextvar_reset(&x, again), 0);
    }
    for (int i = 0; i < DEPTH; i++)
        CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(i), &tokens[i]), 0);
    for (int i = DEPTH; i-- > 0;)
        CHECK_EQUAL(asyncio_contextvar_reset(&x, tokens[i]), 0);
    for (int i = 0; i < DEPTH; i++)
        CHECK_EQUAL(asyncio_contextvar_reset(&x, tokens[i]), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, first), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, again), ASYNCIO_ESTATE);
    CHECK_EQUAL(get_x(), 0);

    /* Gaps that close again: 1, 3, 2, 5, 4, 7, 6 ... */
    for (int i = 0; i < DEPTH; i++)
        CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(i), &tokens[i]), 0);
    for (int i = 1; i + 1 < DEPTH; i += 2) {
        CHECK_EQUAL(asyncio_contextvar_reset(&x, tokens[i + 1]), 0);
        CHECK_EQUAL(asyncio_contextvar_reset(&x, tokens[i]), 0);
    }
    for (int i = 1; i < DEPTH - 1; i++)
        CHECK_EQUAL(asyncio_contextvar_reset(&x, tokens[i]), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, first), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, tokens[0]), 0);
    return 0;
}

TEST(tokens)
{
    assert_int_equal(run(any_order_main), 0);
    assert_int_equal(run(other_context_main), 0);
    assert_int_equal(run(many_tokens_main), 0);
    assert_int_equal(run(nested_tokens_main), 0);
}

/* ---- Tasks ---------------------------------------------------------------------------- */

/* Sees x as `value`, and changes it, both at once and later. */
ASYNC(changes_x, intptr_t, value)
{
    CHECK_EQUAL(get_x(), value);
    set_x(value + 1000);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(get_x(), value + 1000);
    set_x(value + 2000);
    return 0;
}

ASYNC(inherit_main)
{
    /* What was there when each was made, not when it starts. */
    asyncio_task *none = asyncio_create_task(changes_x(0));
    set_x(1);
    asyncio_task *one = asyncio_create_task(changes_x(1));
    asyncio_task *same = asyncio_create_task(changes_x(1));
    set_x(2);
    asyncio_future *two = asyncio_ensure_future(changes_x(2));
    set_x(3);
    CHECK_EQUAL(asyncio_sleep(0.5), 0); /* they have all made a change */
    CHECK_EQUAL(get_x(), 3);
    CHECK_EQUAL(asyncio_gather(NULL, changes_x(3), changes_x(3), none, one, same, two), 0);
    CHECK_EQUAL(get_x(), 3);
    CHECK_EQUAL(asyncio_shield(changes_x(3)), 0);

    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    asyncio_task_group_create_task(&group, changes_x(3));
    set_x(4);
    asyncio_task_group_create_task(&group, changes_x(4));
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    CHECK_EQUAL(get_x(), 4);
    return 0;
}

ASYNC(grandchild)
{
    CHECK_EQUAL(get_x(), 2);
    CHECK_EQUAL(get_y(), 5);
    set_x(3);
    return 0;
}

ASYNC(child)
{
    CHECK_EQUAL(get_x(), 1);
    set_x(2);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(grandchild())), 0);
    CHECK_EQUAL(get_x(), 2);
    return 0;
}

ASYNC(generations_main)
{
    set_x(1);
    set_y(5);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(child())), 0);
    CHECK_EQUAL(get_x(), 1);
    return 0;
}

/* A coroutine in place is the task itself. */
ASYNC(in_place)
{
    CHECK_EQUAL(get_x(), 1);
    set_x(2);
    return asyncio_sleep(1);
}

ASYNC(in_place_main)
{
    set_x(1);
    CHECK_EQUAL(asyncio_await(in_place()), 0);
    CHECK_EQUAL(get_x(), 2);
    set_x(1);
    CHECK_EQUAL(asyncio_wait_for(in_place(), 5), 0);
    CHECK_EQUAL(get_x(), 2);
    return 0;
}

TEST(tasks)
{
    assert_int_equal(run(inherit_main), 0);
    assert_int_equal(run(generations_main), 0);
    assert_int_equal(run(in_place_main), 0);
    run_all_seeds(inherit_main);
    run_all_seeds(generations_main);
}

/* ---- A context given ----------------------------------------------------------------------- */

ASYNC(expects_and_sets, intptr_t, expected, intptr_t, value)
{
    CHECK_EQUAL(get_x(), expected);
    set_x(value);
    return 0;
}

/* Changes what the other sees, in turns. */
ASYNC(in_turns, intptr_t, expected, intptr_t, value)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(get_x(), expected);
        set_x(value);
        CHECK_EQUAL(asyncio_sleep(0), 0);
    }
    return 0;
}

ASYNC(makes_a_child, intptr_t, value)
{
    set_x(value);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(expects_and_sets(value, value + 1))), 0);
    CHECK_EQUAL(get_x(), value);
    return 0;
}

ASYNC(given_main)
{
    set_x(1);
    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options options = {.context = context};
    set_x(9);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(expects_and_sets(1, 2), &options)), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(expects_and_sets(2, 3), &options)), 0);
    asyncio_task *a = asyncio_create_task_with(in_turns(3, 4), &options);
    asyncio_task *b = asyncio_create_task_with(in_turns(4, 3), &options);
    CHECK_EQUAL(asyncio_gather(NULL, a, b), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(makes_a_child(5), &options)), 0);
    CHECK_EQUAL(get_x(), 9);

    /* The tasks in it keep it. */
    a = asyncio_create_task_with(expects_and_sets(5, 6), &options);
    b = asyncio_create_task_with(expects_and_sets(6, 7), &options);
    asyncio_context_release(context);
    CHECK_EQUAL(asyncio_gather(NULL, a, b), 0);

    /* None: a copy of the creator's. */
    options.context = NULL;
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(expects_and_sets(9, 10), &options)), 0);
    CHECK_EQUAL(get_x(), 9);
    return 0;
}

/* One made where nothing is set; and a copy of a task's that is a given one. */
ASYNC(copies)
{
    set_x(1);
    asyncio_context *copy = asyncio_copy_context();
    asyncio_task_options options = {.context = copy};
    set_x(2);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(expects_and_sets(1, 5), &options)), 0);
    CHECK_EQUAL(get_x(), 2);
    asyncio_context_release(copy);
    return 0;
}

ASYNC(empty_main)
{
    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options options = {.context = context};
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(copies(), &options)), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(expects_and_sets(2, 3), &options)), 0);
    CHECK_EQUAL(get_x(), 0);
    asyncio_context_release(context);
    return 0;
}

TEST(given)
{
    assert_int_equal(run(given_main), 0);
    assert_int_equal(run(empty_main), 0);
}

/* ---- Callbacks ------------------------------------------------------------------------------- */

static int called;

/* Expects x to be what arg is, and changes it. */
static void callback(void *arg)
{
    called++;
    CHECK_EQUAL(get_x(), (intptr_t)arg);
    set_x((intptr_t)arg + 1000);
    CHECK_EQUAL(get_x(), (intptr_t)arg + 1000);
}

static void done_callback(asyncio_future *future, void *arg)
{
    (void)future;
    callback(arg);
}

ASYNC(callbacks_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_future *future = asyncio_future_new();
    called = 0;
    asyncio_loop_call_soon(loop, callback, VALUE(0));
    set_x(1);
    asyncio_loop_call_soon(loop, callback, VALUE(1));
    asyncio_loop_call_later(loop, 2, callback, VALUE(1));
    asyncio_loop_call_at(loop, asyncio_time() + 3, callback, VALUE(1));
    CHECK_EQUAL(asyncio_add_done_callback(future, done_callback, VALUE(1)), 0);
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, callback, VALUE(1)), 0);
    CHECK_EQUAL(asyncio_loop_call_soon_signalsafe(loop, callback, VALUE(0)), 0);
    set_x(2);
    CHECK_EQUAL(asyncio_add_done_callback(future, done_callback, VALUE(2)), 0);
    asyncio_loop_call_soon(loop, callback, VALUE(2));
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(called, 5);
    CHECK_EQUAL(get_x(), 2);
    set_x(3);
    CHECK_EQUAL(asyncio_future_set_result(future, 0), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, done_callback, VALUE(3)), 0);
    CHECK_EQUAL(asyncio_sleep(5), 0);
    CHECK_EQUAL(called, 10);
    CHECK_EQUAL(get_x(), 3);
    asyncio_release(future);
    return 0;
}

static asyncio_task *made;

/* What a callback sets goes with what it starts. */
static void starts_more(void *arg)
{
    asyncio_loop *loop = arg;
    set_x(5);
    asyncio_loop_call_soon(loop, callback, VALUE(5));
    made = asyncio_create_task(changes_x(5));
    set_x(6);
}

static void sees_nothing(void *arg)
{
    (void)arg;
    called++;
    CHECK_EQUAL(get_x(), 0);
}

ASYNC(callbacks_start_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    called = 0;
    asyncio_loop_call_soon(loop, starts_more, loop);
    asyncio_loop_call_soon(loop, sees_nothing, NULL); /* right behind it */
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(get_x(), 0);
    CHECK_EQUAL(asyncio_await(made), 0);
    CHECK_EQUAL(called, 2);
    return 0;
}

static asyncio_contextvar_token callbacks_token;

static void gives_token(void *arg)
{
    (void)arg;
    CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(1), &callbacks_token), 0);
}

static void takes_token(void *arg)
{
    (void)arg;
    CHECK_EQUAL(asyncio_contextvar_reset(&x, callbacks_token), -EINVAL);
    CHECK_EQUAL(asyncio_contextvar_set(&x, VALUE(1), &callbacks_token), 0);
    CHECK_EQUAL(asyncio_contextvar_reset(&x, callbacks_token), 0);
    CHECK_EQUAL(get_x(), 0);
}

ASYNC(callback_tokens_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_loop_call_soon(loop, gives_token, NULL);
    asyncio_loop_call_soon(loop, takes_token, NULL);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    return 0;
}

/* What is set between callbacks is not for them to see, nor the other way round. */
static void sets_between(asyncio_loop *loop, const asyncio_trace_event *event, void *arg)
{
    (void)loop;
    (void)arg;
    CHECK_EQUAL(get_x(), 0);
    if (event->kind == ASYNCIO_TRACE_CALLBACK)
        set_x(7);
}

static void sets_x(void *arg)
{
    sees_nothing(arg);
    set_x(1);
}

ASYNC(between_main)
{
    static const asyncio_instrument instrument = {sets_between, NULL};
    asyncio_loop *loop = asyncio_get_running_loop();
    called = 0;
    asyncio_loop_set_instrument(loop, &instrument);
    for (int i = 0; i < 3; i++)
        asyncio_loop_call_soon(loop, sets_x, NULL);
    asyncio_loop_call_later(loop, 1, sets_x, NULL);
    CHECK_EQUAL(asyncio_sleep(2), 0);
    asyncio_loop_set_instrument(loop, NULL);
    CHECK_EQUAL(called, 4);
    return 0;
}

TEST(callbacks)
{
    assert_int_equal(run(callbacks_main), 0);
    assert_int_equal(run(callbacks_start_main), 0);
    assert_int_equal(run(callback_tokens_main), 0);
    assert_int_equal(run(between_main), 0);
    run_all_seeds(callbacks_main);
}

/* Debug mode takes another way through the loop. */
TEST(callbacks_in_debug)
{
    setenv("ASYNCIO_DEBUG", "1", 1);
    assert_int_equal(run(callbacks_main), 0);
    assert_int_equal(run(callbacks_start_main), 0);
    unsetenv("ASYNCIO_DEBUG");
}

/* A reader has the context in which it was added, each time. */
static int pipe_fds[2];

static void reads(void *arg)
{
    char byte;
    callback(arg);
    CHECK_EQUAL(read(pipe_fds[0], &byte, 1), 1);
}

static void writes(void *arg)
{
    callback(arg);
    CHECK(asyncio_loop_remove_writer(asyncio_get_running_loop(), pipe_fds[1]));
}

ASYNC(readers_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    called = 0;
    CHECK_EQUAL(pipe(pipe_fds), 0);
    set_x(1);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, pipe_fds[0], reads, VALUE(1)), 0);
    set_x(2);
    CHECK_EQUAL(asyncio_loop_add_writer(loop, pipe_fds[1], writes, VALUE(2)), 0);
    set_x(3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(write(pipe_fds[1], "x", 1), 1);
        CHECK_EQUAL(asyncio_sleep(0.01), 0);
    }
    CHECK_EQUAL(called, 4);
    CHECK_EQUAL(asyncio_loop_add_reader(loop, pipe_fds[0], reads, VALUE(3)), 0); /* in place of the other */
    CHECK_EQUAL(write(pipe_fds[1], "x", 1), 1);
    CHECK_EQUAL(asyncio_sleep(0.01), 0);
    CHECK_EQUAL(called, 5);
    CHECK(asyncio_loop_remove_reader(loop, pipe_fds[0]));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

TEST(readers)
{
    struct ledger before = ledger_now();
    assert_true(asyncio_run(readers_main()) == 0);
    harness_settle();
    assert_true(ledger_is(&before));
}

/* Every client begins with what was there when the server started: with nothing of
 * another client's, whose end lets the next one in. */
ASYNC(serves, asyncio_stream *, stream)
{
    (void)stream;
    called++;
    CHECK_EQUAL(get_x(), 1);
    set_x(1000 + called);
    return asyncio_sleep(0.01);
}

static asyncio_coro *handler_of_clients(asyncio_stream *stream, void *arg)
{
    (void)arg;
    CHECK_EQUAL(get_x(), 1);
    return serves(stream);
}

ASYNC(server_main)
{
    enum { CLIENTS = 4 };
    int fds[CLIENTS];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    asyncio_server_options options = {.max_connections = 1};
    asyncio_server *server;
    char path[64], byte;
    called = 0;
    snprintf(path, sizeof path, "@asyncio-contextvars-%ld", (long)getpid());
    memcpy(address.sun_path + 1, path + 1, strlen(path) - 1);
    set_x(1);
    CHECK_EQUAL(asyncio_start_unix_server(handler_of_clients, NULL, path, &options, &server), 0);
    set_x(2);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        CHECK_EQUAL(connect(fds[i], (struct sockaddr *)&address, bytes), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQUAL(asyncio_sock_recv(fds[i], &byte, 1, 0), 0);
        CHECK_EQUAL(asyncio_close(fds[i]), 0);
    }
    CHECK_EQUAL(called, CLIENTS);
    asyncio_server_release(server);
    return 0;
}

TEST(server)
{
    struct ledger before = ledger_now();
    assert_true(asyncio_run(server_main()) == 0);
    harness_settle();
    assert_true(ledger_is(&before));
}

static intptr_t handler_saw;

static void handler(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
    handler_saw = get_x();
    set_y(1);
    called++;
}

ASYNC(fails_with_x, intptr_t, value)
{
    set_x(value);
    return -EIO;
}

/* The exception handler runs in the context of the task concerned. */
ASYNC_TEST(handler)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    called = 0;
    asyncio_loop_set_exception_handler(loop, handler, NULL);
    set_x(1);
    asyncio_release(asyncio_create_task(fails_with_x(2)));
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(called, 1);
    CHECK_EQUAL(handler_saw, 2);
    asyncio_loop_call_soon(loop, NULL, NULL); /* refused: nobody's but the caller's */
    CHECK_EQUAL(called, 2);
    CHECK_EQUAL(handler_saw, 1);
    CHECK_EQUAL(get_x(), 1);
    asyncio_loop_set_exception_handler(loop, NULL, NULL);
    return 0;
}

/* ---- Ends that nobody waited for ------------------------------------------------------------- */

static void never(void *arg)
{
    (void)arg;
    CHECK(false); /* called */
}

static void never_done(asyncio_future *future, void *arg)
{
    (void)future;
    never(arg);
}

/* Cancelled callbacks, and callbacks of futures that never are done. */
ASYNC(taken_back_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    set_x(1);
    CHECK(asyncio_handle_cancel(loop, asyncio_loop_call_soon(loop, never, NULL)));
    for (int i = 0; i < 3; i++) { /* the same place each time */
        CHECK(asyncio_handle_cancel(loop, asyncio_loop_call_later(loop, 1, never, NULL)));
        set_x(i);
    }
    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_add_done_callback(future, never_done, NULL), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, never_done, &x), 0);
    CHECK_EQUAL(asyncio_remove_done_callback(future, never_done, NULL), 1);
    asyncio_release(future);
    asyncio_coro_close(changes_x(1));
    return asyncio_sleep(2);
}

/* The loop closes over all kinds of things. */
TEST(closing)
{
    assert_int_equal(run(taken_back_main), 0);

    struct ledger before = ledger_now();
    asyncio_contextvar_token token;
    assert_int_equal(asyncio_contextvar_set(&x, VALUE(1), &token), 0);
    asyncio_loop *loop = asyncio_loop_new(&virtual_time);
    record_reports(loop);
    assert_true(asyncio_handle_valid(asyncio_loop_call_soon(loop, never, NULL)));
    assert_true(asyncio_handle_valid(asyncio_loop_call_later(loop, 5, never, NULL)));
    assert_int_equal(asyncio_loop_call_soon_threadsafe(loop, never, NULL), 0);
    assert_int_equal(asyncio_loop_call_soon_signalsafe(loop, never, NULL), 0);
    asyncio_task *task = asyncio_loop_create_task(loop, changes_x(1));
    assert_int_equal(asyncio_add_done_callback(task, never_done, NULL), 0);
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_true(asyncio_done(task));
    asyncio_release(task);
    assert_int_equal(report_count, 1);
    assert_int_equal(asyncio_loop_call_soon_threadsafe(loop, never, NULL), ASYNCIO_ESTATE);
    task = asyncio_loop_create_task(loop, changes_x(1));
    assert_int_equal(asyncio_result(task), ASYNCIO_ESTATE);
    asyncio_release(task);
    asyncio_loop_release(loop);
    assert_int_equal(asyncio_contextvar_reset(&x, token), 0);
    assert_true(ledger_is(&before));
    harness_settle();
}

/* ---- Before the loop runs; threads ------------------------------------------------------------ */

TEST(before_it_runs)
{
    asyncio_contextvar_token token;
    called = 0;
    asyncio_loop *loop = asyncio_loop_new(&virtual_time);
    asyncio_task *before = asyncio_loop_create_task(loop, changes_x(0));
    assert_int_equal(asyncio_contextvar_set(&x, VALUE(1), &token), 0);
    asyncio_task *task = asyncio_loop_create_task(loop, expects_and_sets(1, 5));
    assert_int_equal(asyncio_add_done_callback(task, done_callback, VALUE(1)), 0);
    asyncio_loop_call_soon(loop, callback, VALUE(1));
    assert_int_equal(asyncio_contextvar_set(&x, VALUE(2), NULL), 0);
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)before), 0);
    assert_int_equal(called, 2);
    assert_int_equal(get_x(), 2);
    asyncio_release(task);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    assert_int_equal(asyncio_contextvar_reset(&x, token), 0);
    assert_int_equal(get_x(), 0);
    harness_settle();
}

ASYNC(sees_and_sets, intptr_t, expected, intptr_t, value)
{
    CHECK_EQUAL(get_x(), expected);
    set_x(value);
    return 0;
}

ASYNC(sees_nothing_set)
{
    CHECK_EQUAL(get_x(), 0);
    return 0;
}

TEST(runner)
{
    struct ledger before = ledger_now();
    asyncio_runner runner;
    asyncio_contextvar_token token;
    assert_int_equal(asyncio_contextvar_set(&x, VALUE(1), &token), 0);
    assert_int_equal(asyncio_runner_init(&runner, NULL), 0);
    assert_int_equal(asyncio_runner_run(&runner, sees_and_sets(1, 2)), 0);
    assert_int_equal(get_x(), 1);
    assert_int_equal(asyncio_contextvar_set(&x, VALUE(3), NULL), 0);
    assert_int_equal(asyncio_runner_run(&runner, sees_and_sets(2, 4)), 0);
    assert_int_equal(asyncio_runner_run(&runner, sees_and_sets(4, 5)), 0);
    assert_int_equal(asyncio_runner_close(&runner), 0);
    assert_int_equal(get_x(), 3);
    /* The one of the first run is for all, also where nothing was set in it. */
    assert_int_equal(asyncio_contextvar_reset(&x, token), 0);
    assert_int_equal(asyncio_runner_init(&runner, NULL), 0);
    assert_int_equal(asyncio_runner_run(&runner, sees_nothing_set()), 0);
    assert_int_equal(asyncio_contextvar_set(&x, VALUE(1), &token), 0);
    assert_int_equal(asyncio_runner_run(&runner, sees_nothing_set()), 0);
    assert_int_equal(asyncio_runner_run(&runner, set_and_reset_main()), 0);
    assert_int_equal(asyncio_runner_close(&runner), 0);
    assert_int_equal(asyncio_contextvar_reset(&x, token), 0);
    harness_settle();
    assert_true(ledger_is(&before));
}

static void *in_thread(void *arg)
{
    (void)arg;
    set_and_reset();
    set_x(1);
    asyncio_run_options options = {.handle_sigint = -1};
    CHECK_EQUAL(asyncio_run_with(sees_and_sets(1, 2), &options), 0);
    CHECK_EQUAL(get_x(), 1);
    set_y(2);
    return VALUE(get_x());
}

static void *sees_no_others(void *arg)
{
    (void)arg;
    CHECK_EQUAL(get_x(), 0);
    CHECK_EQUAL(get_y(), -7);
    return NULL;
}

static void *run_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    return result;
}

TEST(threads)
{
    run_thread(in_thread, NULL);
    struct ledger before = ledger_now();
    for (int i = 0; i < 10; i++)
        assert_int_equal(run_thread(in_thread, NULL), 1);
    assert_true(ledger_is(&before)); /* its context ended with each */
    assert_int_equal(get_x(), 0);

    asyncio_contextvar_token token;
    assert_int_equal(asyncio_contextvar_set(&x, VALUE(1), &token), 0);
    run_thread(sees_no_others, NULL);
    assert_int_equal(get_x(), 1);
    assert_int_equal(asyncio_contextvar_reset(&x, token), 0);
    harness_settle();
}

static void *posts_plain(void *loop)
{
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, callback, VALUE(0)), 0);
    return NULL;
}

static void *posts_with_x(void *loop)
{
    for (intptr_t i = 1; i <= 50; i++) {
        set_x(i);
        CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, callback, VALUE(i)), 0);
    }
    return NULL;
}

/* Posts have the posting thread's context: nothing of the loop's, and nothing that both count. */
ASYNC(posts_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    pthread_t plain, with_x;
    called = 0;
    set_x(77);
    CHECK_EQUAL(pthread_create(&plain, NULL, posts_plain, loop), 0);
    CHECK_EQUAL(pthread_create(&with_x, NULL, posts_with_x, loop), 0);
    while (called < 51)
        CHECK_EQUAL(asyncio_sleep(0.001), 0);
    pthread_join(plain, NULL);
    pthread_join(with_x, NULL);
    CHECK_EQUAL(get_x(), 77);
    return 0;
}

TEST(posts)
{
    asyncio_run(posts_main()); /* what threads keep for good is there from then on */
    struct ledger before = ledger_now();
    assert_int_equal(asyncio_run(posts_main()), 0);
    harness_settle();
    assert_true(ledger_is(&before));
}

/* What a pool of threads does for a task. */
static void *works(void *context)
{
    CHECK_EQUAL(get_x(), 0);
    asy_vars_enter_thread(context);
    CHECK_EQUAL(get_x(), 5);
    CHECK_EQUAL(get_y(), -7);
    set_x(6);
    asy_vars_enter_thread(NULL);
    CHECK_EQUAL(get_x(), 0);
    return NULL;
}

ASYNC(exports_main)
{
    asyncio_context *context;
    CHECK_EQUAL(asy_vars_export(&context), 0);
    CHECK(context == NULL);
    set_x(5);
    CHECK_EQUAL(asy_vars_export(&context), 0);
    run_thread(works, context);
    CHECK_EQUAL(get_x(), 5);
    asy_fault_arm(1, false);
    CHECK_EQUAL(asy_vars_export(&context), -ENOMEM);
    asy_fault_disarm();
    return 0;
}

/* asyncio_to_thread: the function sees what its caller does, and changes nothing there. */
static intptr_t in_a_worker(void *arg)
{
    CHECK_EQUAL(get_x(), (intptr_t)arg);
    CHECK_EQUAL(get_y(), -7);
    set_y(1);
    return 0;
}

ASYNC(to_thread_main)
{
    CHECK_EQUAL(asyncio_to_thread(in_a_worker, VALUE(0)), 0);
    set_x(5);
    CHECK_EQUAL(asyncio_to_thread(in_a_worker, VALUE(5)), 0);
    CHECK_EQUAL(get_y(), -7);
    /* The thread keeps nothing of it; and, as in Python, an executor copies nothing. */
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(NULL, in_a_worker, VALUE(0), NULL)), 0);
    return 0;
}

static void *submits(void *loop)
{
    set_x(8);
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(expects_and_sets(8, 9), loop);
    set_x(10);
    CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(get_x(), 10);
    asyncio_thread_future_release(future);
    asyncio_loop_call_soon_threadsafe(loop, callback, VALUE(10));
    return NULL;
}

ASYNC(submissions_main)
{
    pthread_t thread;
    called = 0;
    set_x(5);
    CHECK_EQUAL(pthread_create(&thread, NULL, submits, asyncio_get_running_loop()), 0);
    while (!called)
        CHECK_EQUAL(asyncio_sleep(0.001), 0);
    pthread_join(thread, NULL);
    CHECK_EQUAL(get_x(), 5);
    return 0;
}

TEST(work_of_a_thread)
{
    assert_int_equal(run(exports_main), 0);
    struct ledger before = ledger_now();
    assert_int_equal(asyncio_run(to_thread_main()), 0);
    assert_int_equal(asyncio_run(submissions_main()), 0);
    harness_settle();
    /* A worker may be the last to let go of the loop. */
    for (int i = 0; i < 5000 && ledger_now().allocations > before.allocations; i++)
        usleep(1000);
    assert_true(ledger_is(&before));
}

static void *runs_the_loop(void *arg)
{
    asyncio_loop *loop = arg;
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    asyncio_loop_close(loop);
    return NULL;
}

static void stops(void *loop)
{
    asyncio_loop_stop(loop);
}

/* Made in one thread, run in another, while the first goes on with the same values. */
TEST(loop_of_another_thread)
{
    asyncio_contextvar_token token;
    assert_int_equal(asyncio_contextvar_set(&x, VALUE(1), &token), 0);
    called = 0;
    asyncio_loop *loop = asyncio_loop_new(&virtual_time);
    for (int i = 0; i < 100; i++) {
        asyncio_release(asyncio_loop_create_task(loop, changes_x(1)));
        asyncio_loop_call_soon(loop, callback, VALUE(1));
    }
    asyncio_loop_call_later(loop, 1.1, stops, loop);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, runs_the_loop, loop), 0);
    for (int i = 0; i < 1000; i++) {
        asyncio_context *context = asyncio_copy_context();
        assert_int_equal(get_x(), i ? i : 1);
        assert_int_equal(asyncio_contextvar_set(&x, VALUE(i + 1), NULL), 0);
        asyncio_context_release(context);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(called, 100);
    asyncio_loop_release(loop);
    assert_int_equal(asyncio_contextvar_reset(&x, token), 0);
    harness_settle();
}

/* ---- Misuse ----------------------------------------------------------------------------------- */

static void *release_there(void *context)
{
    asyncio_context_release(context);
    return NULL;
}

static void release_in_another_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, release_there, asyncio_copy_context());
    pthread_join(thread, NULL);
}

static void release_twice(void)
{
    asyncio_context *context = asyncio_copy_context();
    asyncio_context_release(context);
    asyncio_context_release(context);
}

ASYNC(uses_after_release)
{
    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options options = {.context = context};
    asyncio_context_release(context);
    return asyncio_await(asyncio_create_task_with(set_and_reset_main(), &options));
}

static void use_after_release(void)
{
    asyncio_run(uses_after_release());
}

TEST(misuse)
{
    check_dies(release_in_another_thread, "asyncio_context_release: the context belongs to another thread");
    check_dies_of_late_use(release_twice, "asyncio_context_release: the context was released before");
    check_dies_of_late_use(use_after_release, "asyncio_create_task_with: the context was released before");
}

/* ---- Costs, and what happens when there is no memory --------------------------------------------- */

/* How many calls of the seam there are until it is done. */
static uint64_t cost_of(asyncio_task *(*make)(void))
{
    asy_fault_arm(0, false);
    asyncio_task *task = make();
    uint64_t calls = asy_fault_disarm();
    CHECK_EQUAL(asyncio_await(task), 0);
    return calls;
}

ASYNC(returns_0)
{
    return 0;
}

ASYNC(returns_0_if_set)
{
    return get_x() != 5;
}

static asyncio_task *make_plain(void)
{
    return asyncio_create_task(returns_0());
}

static asyncio_task *make_set(void)
{
    return asyncio_create_task(returns_0_if_set());
}

ASYNC_TEST(cost)
{
    uint64_t plain = cost_of(make_plain);
    set_x(5);
    set_y(6);
    CHECK_EQUAL(cost_of(make_set), plain);
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_contextvar_set(&many[i], VALUE(i), NULL), 0);
    CHECK_EQUAL(cost_of(make_set), plain);
    return 0;
}

/* fn() with its 1st, 2nd ... call of the seam failing, until it succeeds: then 0. */
static void starve(int (*fn)(void), void (*check_unchanged)(void))
{
    int err, n = 0;
    do {
        asy_fault_arm((uint64_t)++n, false);
        err = fn();
        asy_fault_disarm();
        CHECK(err == 0 || err == -ENOMEM);
        if (err)
            check_unchanged();
    } while (err == -ENOMEM);
    CHECK(n > 1);
}

static asyncio_contextvar_token starved_token;

static int starved_set(void)
{
    return asyncio_contextvar_set(&x, VALUE(1), &starved_token);
}

static int starved_set_again(void)
{
    return asyncio_contextvar_set(&x, VALUE(3), NULL);
}

static int starved_reset(void)
{
    return asyncio_contextvar_reset(&x, starved_token);
}

static asyncio_context *starved_context;

static int starved_copy(void)
{
    starved_context = asyncio_copy_context();
    return starved_context ? 0 : -ENOMEM;
}

static void check_nothing_set(void)
{
    CHECK_EQUAL(get_x(), 0);
    CHECK(starved_token.var_ == NULL);
}

static void check_still_1(void)
{
    CHECK_EQUAL(get_x(), 1);
    CHECK_EQUAL(get_y(), 2);
}

static void check_still_3(void)
{
    CHECK_EQUAL(get_x(), 3);
    CHECK_EQUAL(get_y(), 2);
}

static void no_check(void)
{
}

ASYNC(no_memory_main)
{
    starved_token = (asyncio_contextvar_token){0};
    starve(starved_set, check_nothing_set);
    CHECK_EQUAL(get_x(), 1);
    set_y(2);
    starve(starved_copy, check_still_1); /* from here on the values are shared */
    starve(starved_set_again, check_still_1);
    check_still_3();
    asyncio_context_release(starved_context);
    starve(starved_copy, check_still_3);
    starve(starved_reset, check_still_3);
    CHECK_EQUAL(get_x(), 0);
    CHECK_EQUAL(get_y(), 2);
    CHECK_EQUAL(starved_reset(), ASYNCIO_ESTATE);
    asyncio_context_release(starved_context);
    return 0;
}

/* The same in a callback. */
static void no_memory_callback(void *arg)
{
    (void)arg;
    starved_token = (asyncio_contextvar_token){0};
    starve(starved_set, check_nothing_set);
    starve(starved_copy, no_check);
    starve(starved_set_again, no_check);
    CHECK_EQUAL(get_x(), 3);
    asyncio_context_release(starved_context);
}

ASYNC(no_memory_callback_main)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), no_memory_callback, NULL);
    return asyncio_sleep(0);
}

static void *no_memory_thread(void *arg)
{
    no_memory_callback(arg);
    return NULL;
}

TEST(no_memory)
{
    assert_int_equal(run(no_memory_main), 0);
    assert_int_equal(run(no_memory_callback_main), 0);
    run_thread(no_memory_thread, NULL);
    struct ledger before = ledger_now();
    run_thread(no_memory_thread, NULL);
    assert_true(ledger_is(&before));
    harness_settle();
}

/* ---- Everything, each call failing in turn ------------------------------------------------------- */

static void sets_in_callback(void *arg)
{
    asyncio_contextvar_set(&x, arg, NULL);
}

static void sets_when_done(asyncio_future *future, void *arg)
{
    (void)future;
    sets_in_callback(arg);
}

ASYNC(sets_and_resets, intptr_t, value)
{
    asyncio_contextvar_token token;
    intptr_t old = get_x();
    if (asyncio_contextvar_set(&x, VALUE(value), &token)) {
        CHECK_EQUAL(get_x(), old);
        return asyncio_sleep(0);
    }
    CHECK_EQUAL(get_x(), value);
    asyncio_release(asyncio_create_task(returns_0()));
    int err = asyncio_sleep(1);
    CHECK_EQUAL(get_x(), value);
    bool back = asyncio_contextvar_reset(&x, token) == 0;
    CHECK_EQUAL(get_x(), back ? old : value);
    return err;
}

ASYNC(everything_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    intptr_t value = asyncio_contextvar_set(&x, VALUE(1), NULL) ? 0 : 1;
    (void)asyncio_contextvar_set(&y, VALUE(1), NULL);
    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options options = {.context = context, .name = "in a context"};
    asyncio_future *future = asyncio_future_new();
    asyncio_loop_call_soon(loop, sets_in_callback, VALUE(2));
    asyncio_loop_call_later(loop, 0.5, sets_in_callback, VALUE(2));
    asyncio_loop_call_soon_threadsafe(loop, sets_in_callback, VALUE(2));
    if (future) {
        asyncio_add_done_callback(future, sets_when_done, VALUE(2));
        asyncio_future_set_result(future, 0);
    }
    asyncio_gather(NULL, sets_and_resets(3), asyncio_create_task_with(sets_and_resets(4), &options),
                   asyncio_create_task_with(returns_0(), &options));
    asyncio_context_release(context);
    asyncio_release(future);
    CHECK_EQUAL(get_x(), value);
    return 0;
}

TEST(failures)
{
    sweep_failures(everything_main);
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    (void)suspension;
    CHECK(result == 0 || result == -ECANCELED);
}

ASYNC(cancelled_main)
{
    intptr_t before = get_x();
    set_x(1);
    intptr_t err = asyncio_await(sets_and_resets(2));
    CHECK_EQUAL(get_x(), 1);
    CHECK_EQUAL(before, 0);
    return err;
}

TEST(cancels)
{
    sweep_cancels(cancelled_main, check_cancelled);
}

/* ---- Against a model --------------------------------------------------------------------------------
 * Tasks set, reset, copy and look, at random, and each context has a plain array beside it. */

#define VARS 9
#define TOKENS 12
#define MODELS 200
#define SPANS 5 /* of used tokens that the library remembers at least */

struct model_token {
    asyncio_contextvar_token token;
    int var;
    bool was_set, used;
    intptr_t old;
};

struct model {
    bool set[VARS];
    intptr_t values[VARS];
    struct model_token tokens[TOKENS];
    int token_count;
    bool forgot; /* there were more spans than it need remember */
};

static asyncio_contextvar vars[VARS];
static struct model models[MODELS];
static int model_count;
static struct random dice;

static int roll(int sides)
{
    return (int)asy_random_below(&dice, (uint64_t)sides);
}

static struct model *model_copy(const struct model *of)
{
    struct model *copy = &models[model_count++];
    memset(copy, 0, sizeof *copy);
    memcpy(copy->set, of->set, sizeof of->set);
    memcpy(copy->values, of->values, sizeof of->values);
    return copy;
}

static void model_check(const struct model *model)
{
    for (int i = 0; i < VARS; i++)
        CHECK_EQUAL(asyncio_contextvar_get(&vars[i]), model->set[i] ? model->values[i] : 0);
}

static void model_set(struct model *model)
{
    int i = roll(VARS);
    intptr_t value = roll(1000);
    bool wants = model->token_count < TOKENS && roll(2);
    struct model_token *token = &model->tokens[model->token_count];
    CHECK_EQUAL(asyncio_contextvar_set(&vars[i], VALUE(value), wants ? &token->token : NULL), 0);
    if (wants) {
        token->var = i;
        token->used = false;
        token->was_set = model->set[i];
        token->old = model->values[i];
        model->token_count++;
    }
    model->set[i] = true;
    model->values[i] = value;
}

static int model_spans(const struct model *model)
{
    int spans = 0;
    for (int i = 0; i < model->token_count; i++)
        spans += model->tokens[i].used && (i == 0 || !model->tokens[i - 1].used);
    return spans;
}

static void model_reset(struct model *model)
{
    if (!model->token_count)
        return;
    struct model_token *token = &model->tokens[roll(model->token_count)];
    if (token->used && model->forgot)
        return;
    int err = asyncio_contextvar_reset(&vars[token->var], token->token);
    CHECK_EQUAL(err, token->used ? ASYNCIO_ESTATE : 0);
    if (token->used)
        return;
    token->used = true;
    model->set[token->var] = token->was_set;
    model->values[token->var] = token->old;
    model->forgot |= model_spans(model) > SPANS;
}

ASYNC_DECLARE(actor, struct model *, model, int, depth);

static intptr_t model_spawn(struct model *model, int depth)
{
    if (depth == 0 || model_count > MODELS - 4)
        return 0;
    if (roll(2)) {
        asyncio_task *a = asyncio_create_task(actor(model_copy(model), depth - 1));
        return asyncio_gather(NULL, a, actor(model_copy(model), depth - 1));
    }
    /* Two in one context, whose changes each sees when it has its turn. */
    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options options = {.context = context};
    struct model *copy = model_copy(model);
    asyncio_task *a = asyncio_create_task_with(actor(copy, depth - 1), &options);
    asyncio_task *b = asyncio_create_task_with(actor(copy, depth - 1), &options);
    asyncio_context_release(context);
    return asyncio_gather(NULL, a, b);
}

ASYNC_DEFINE(actor, struct model *, model, int, depth)
{
    intptr_t err = 0;
    for (int i = 0; i < 20 && !err; i++) {
        switch (roll(6)) {
        case 0:
        case 1:
        case 2:
            model_set(model);
            break;
        case 3:
        case 4:
            model_reset(model);
            break;
        default:
            err = roll(3) ? asyncio_sleep(0) : model_spawn(model, depth);
        }
        model_check(model);
    }
    return err;
}

ASYNC(model_main)
{
    model_count = 1;
    memset(&models[0], 0, sizeof models[0]);
    return asyncio_await(asyncio_create_task(actor(&models[0], 4)));
}

static void run_model(uint64_t seed)
{
    asy_random_seed(&dice, seed);
    CHECK_EQUAL(run_seeded(model_main, seed), 0);
}

TEST(model)
{
    for_each_seed(run_model);
}

/* The main thread keeps the context that it has from its first use of one. */
static int use_once(void **state)
{
    (void)state;
    set_and_reset();
    return 0;
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = use_once};
    return tests_run(&fixtures);
}
