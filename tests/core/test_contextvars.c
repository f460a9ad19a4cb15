/*
 * Context variables: what tasks, callbacks and contexts see of one another; tokens.
 */
#include "core/context_test.h"

/* ---- One variable, one context --------------------------------------------------- */

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
    setenv("ASYNCIO_DEBUG", "slow=1000", 1);
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

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = use_once};
    return tests_run(&fixtures);
}
