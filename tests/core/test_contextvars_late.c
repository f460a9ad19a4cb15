/*
 * Context variables before the loop runs and on other threads; misuse, costs, failures, and a model that
 * they are compared with.
 */
#include "core/context_test.h"

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

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = use_once};
    return tests_run(&fixtures);
}
