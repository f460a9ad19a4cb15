/*
 * Coroutines: parameters and their conversions, awaiting in place, disposal,
 * reports of those never awaited, and other threads.
 */
#include "support/elsewhere.h"
#include "support/harness.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

/* ---- 0 to 8 parameters ------------------------------------------------------------ */

ASYNC(p0)
{
    return 100;
}
ASYNC(p1, int, a)
{
    return a;
}
ASYNC(p2, int, a, int, b)
{
    return a * 10 + b;
}
ASYNC(p3, int, a, int, b, int, c)
{
    return (a * 10 + b) * 10 + c;
}
ASYNC(p4, int, a, int, b, int, c, int, d)
{
    return ((a * 10 + b) * 10 + c) * 10 + d;
}
ASYNC(p5, int, a, int, b, int, c, int, d, int, e)
{
    return asyncio_await(p4(a, b, c, d)) * 10 + e;
}
ASYNC(p6, int, a, int, b, int, c, int, d, int, e, int, f)
{
    return asyncio_await(p5(a, b, c, d, e)) * 10 + f;
}
ASYNC(p7, int, a, int, b, int, c, int, d, int, e, int, f, int, g)
{
    return asyncio_await(p6(a, b, c, d, e, f)) * 10 + g;
}
ASYNC(p8, int, a, int, b, int, c, int, d, int, e, int, f, int, g, int, h)
{
    return asyncio_await(p7(a, b, c, d, e, f, g)) * 10 + h;
}

ASYNC_TEST(parameters)
{
    CHECK_EQUAL(asyncio_await(p0()), 100);
    CHECK_EQUAL(asyncio_await(p1(1)), 1);
    CHECK_EQUAL(asyncio_await(p2(1, 2)), 12);
    CHECK_EQUAL(asyncio_await(p3(1, 2, 3)), 123);
    CHECK_EQUAL(asyncio_await(p4(1, 2, 3, 4)), 1234);
    CHECK_EQUAL(asyncio_await(p5(1, 2, 3, 4, 5)), 12345);
    CHECK_EQUAL(asyncio_await(p6(1, 2, 3, 4, 5, 6)), 123456);
    CHECK_EQUAL(asyncio_await(p7(1, 2, 3, 4, 5, 6, 7)), 1234567);
    CHECK_EQUAL(asyncio_await(p8(1, 2, 3, 4, 5, 6, 7, 8)), 12345678);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(p8(8, 7, 6, 5, 4, 3, 2, 1))), 87654321);
    return 0;
}

/* ---- Conversions, as a prototype's ------------------------------------------------- */

struct pair {
    int a;
    double b;
    char text[24];
};

typedef int (*operation)(int, int);
typedef char word[8];

static int add(int a, int b)
{
    return a + b;
}

static int evaluated;

static int evaluate(int i)
{
    evaluated++;
    return i;
}

ASYNC(takes_int, int, i)
{
    return i;
}
ASYNC(takes_double, double, d)
{
    return (intptr_t)(d * 2);
}
ASYNC(takes_char, char, c)
{
    return c;
}
ASYNC(takes_bool, bool, b)
{
    return b;
}
ASYNC(takes_float, float, f)
{
    return (intptr_t)(f * 4);
}
ASYNC(takes_u8, uint8_t, u)
{
    return u;
}
ASYNC(takes_i64, int64_t, i)
{
    return i;
}
ASYNC(takes_const, const int, i, const char *const, text)
{
    return i + (int)strlen(text);
}
ASYNC(takes_pair, struct pair, pair, int, more)
{
    return pair.a + (int)pair.b + (int)strlen(pair.text) + more;
}
ASYNC(takes_function, operation, f, int, a, int, b)
{
    return f(a, b);
}
ASYNC(takes_typeof, __typeof__(int (*)(int, int)), f, __typeof__(int (*)[2]), array)
{
    return f((*array)[0], (*array)[1]);
}
ASYNC(takes_pointer, const void *, p)
{
    return (intptr_t)p;
}
ASYNC(takes_aligned, long double, x, char, c)
{
    return (intptr_t)x + c + ((uintptr_t)&x % 16 == 0 ? 0 : 1000);
}

ASYNC_TEST(conversions)
{
    double nearly_three = 2.9;
    long five = 5;
    CHECK_EQUAL(asyncio_await(takes_int((int)nearly_three)), 2);
    CHECK_EQUAL(asyncio_await(takes_double(3)), 6); /* int to double */
    CHECK_EQUAL(asyncio_await(takes_double('\3')), 6);
    CHECK_EQUAL(asyncio_await(takes_double((double)five)), 10);
    CHECK_EQUAL(asyncio_await(takes_char('x')), 'x');
    CHECK_EQUAL(asyncio_await(takes_bool(4)), 1); /* to bool, not cut to it */
    CHECK_EQUAL(asyncio_await(takes_bool("")), 1);
    CHECK_EQUAL(asyncio_await(takes_bool(0.25)), 1);
    CHECK_EQUAL(asyncio_await(takes_float(1)), 4);
    CHECK_EQUAL(asyncio_await(takes_float(0.25f)), 1);
    CHECK_EQUAL(asyncio_await(takes_u8(255)), 255);
    CHECK_EQUAL(asyncio_await(takes_i64(-1)), -1); /* the sign comes along */
    CHECK_EQUAL(asyncio_await(takes_i64(INT64_MIN)), INT64_MIN);
    char text[] = "four";
    CHECK_EQUAL(asyncio_await(takes_const(1, text)), 5);
    struct pair pair = {1, 2.5, "three"};
    asyncio_coro *coro = takes_pair(pair, 1);
    pair.a = 1000; /* it was stored by value */
    CHECK_EQUAL(asyncio_await(coro), 9);
    CHECK_EQUAL(asyncio_await(takes_function(add, 1, 2)), 3);
    int two[2] = {3, 4};
    CHECK_EQUAL(asyncio_await(takes_typeof(add, &two)), 7);
    CHECK_EQUAL(asyncio_await(takes_pointer(&pair)), (intptr_t)&pair);
    CHECK_EQUAL(asyncio_await(takes_aligned(7, 1)), 8);

    /* Arguments are evaluated once, when it is made. */
    evaluated = 0;
    coro = takes_int(evaluate(3));
    CHECK_EQUAL(evaluated, 1);
    CHECK_EQUAL(asyncio_await(coro), 3);
    CHECK_EQUAL(evaluated, 1);
    return 0;
}

/* ---- Elsewhere, and within themselves ---------------------------------------------- */

ASYNC_DECLARE(fibonacci, int, n);
ASYNC_DEFINE(fibonacci, int, n)
{
    if (n < 2)
        return n;
    intptr_t a = asyncio_await(fibonacci(n - 1));
    return a + asyncio_await(fibonacci(n - 2));
}

ASYNC_DECLARE(is_odd, int, n);
ASYNC(is_even, int, n)
{
    return n == 0 ? 1 : asyncio_await(is_odd(n - 1));
}
ASYNC_DEFINE(is_odd, int, n)
{
    return n == 0 ? 0 : asyncio_await(asyncio_create_task(is_even(n - 1)));
}

ASYNC_TEST(elsewhere)
{
    CHECK_EQUAL(asyncio_await(elsewhere_nothing()), 0);
    CHECK_EQUAL(asyncio_await(elsewhere_sum(2, 3)), 5);
    asyncio_coro *(*function)(int, int) = elsewhere_sum; /* a plain function */
    CHECK_EQUAL(asyncio_await(asyncio_create_task(function(4, 5))), 9);
    CHECK_EQUAL(asyncio_await(fibonacci(12)), 144);
    CHECK_EQUAL(asyncio_await(is_even(40)), 1);
    CHECK_EQUAL(asyncio_await(is_odd(40)), 0);
    return 0;
}

/* ---- Awaited in place ---------------------------------------------------------------- */

static int plain_function_that_waits(void)
{
    return asyncio_sleep(1);
}

ASYNC(in_place, asyncio_task *, caller)
{
    CHECK(asyncio_current_task() == caller);
    CHECK_EQUAL(plain_function_that_waits(), 0);
    return asyncio_raise(-EIO, "in place");
}

ASYNC_TEST(in_place)
{
    intptr_t result = 0;
    CHECK_EQUAL(asyncio_await(in_place(asyncio_current_task())), -EIO);
    CHECK_TEXT(asyncio_error_message(), "in place");
    CHECK_EQUAL(asyncio_join(in_place(asyncio_current_task()), &result), 0);
    CHECK_EQUAL(result, -EIO);
    CHECK_EQUAL(asyncio_join(p0(), NULL), 0);
    CHECK_EQUAL(asyncio_await((asyncio_coro *)NULL), -ENOMEM);
    CHECK_EQUAL(asyncio_join((asyncio_coro *)NULL, &result), 0);
    CHECK_EQUAL(result, -ENOMEM);

    /* No hop. */
    asyncio_task *task = asyncio_create_task(p0());
    CHECK_EQUAL(asyncio_await(p1(1)), 1);
    CHECK(!asyncio_done(task));
    asyncio_await(task);

    /* By the casts that other languages make. */
    CHECK_EQUAL(asyncio_await((asyncio_future *)(void *)p1(5)), 5);
    CHECK_EQUAL(asyncio_join((asyncio_future *)(void *)p1(6), &result), 0);
    CHECK_EQUAL(result, 6);
    CHECK_EQUAL((asyncio_await_coro)(p1(7)), 7);
    return 0;
}

/* ---- Dropped exactly once --------------------------------------------------------------- */

static int dropped, called;

static intptr_t call(void *arg)
{
    CHECK(arg == &dropped);
    CHECK_EQUAL(dropped, 0); /* right after the body has returned */
    called++;
    int err = asyncio_sleep(1);
    CHECK_EQUAL(dropped, 0);
    return err ? err : 5;
}

static void drop(void *arg)
{
    CHECK(arg == &dropped);
    CHECK(asyncio_current_task() == NULL);
    CHECK_EQUAL(asyncio_sleep(0), ASYNCIO_ENOTASK);
    dropped++;
}

static asyncio_coro *fresh(void)
{
    dropped = called = 0;
    return asyncio_coro_new(call, &dropped, drop);
}

#define CHECK_DROPPED(calls) (CHECK_EQUAL(dropped, 1), CHECK_EQUAL(called, (calls)))

ASYNC(drop_main)
{
    CHECK_EQUAL(asyncio_await(fresh()), 5);
    CHECK_DROPPED(1);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(fresh())), 5);
    CHECK_DROPPED(1);
    intptr_t results[2];
    CHECK_EQUAL(asyncio_gather(results, fresh()), 0);
    CHECK_DROPPED(1);
    asyncio_coro_close(fresh());
    CHECK_DROPPED(0);
    asyncio_release(fresh());
    CHECK_DROPPED(0);
    asyncio_release((asyncio_future *)(void *)fresh());
    CHECK_DROPPED(0);
    asyncio_coro *coro = fresh();
    CHECK_EQUAL(asyncio_gather(results, coro, coro), -EINVAL);
    CHECK_DROPPED(0);
    asyncio_task *task = asyncio_create_task(fresh());
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_DROPPED(1);
    asyncio_coro_close(NULL);
    dropped = 0;
    CHECK(asyncio_coro_new(NULL, &dropped, drop) == NULL);
    CHECK_EQUAL(dropped, 1);
    CHECK(asyncio_coro_new(NULL, NULL, NULL) == NULL);
    dropped = 0;
    CHECK_EQUAL(asyncio_await(asyncio_coro_new(call, &dropped, NULL)), 5);
    CHECK_EQUAL(dropped, 0);
    return 0;
}

TEST(drop)
{
    dropped = 0;
    assert_int_equal(run(drop_main), 0);
    assert_int_equal(asyncio_await(fresh()), ASYNCIO_ENOTASK);
    CHECK_DROPPED(0);
    assert_int_equal(asyncio_join(fresh(), NULL), ASYNCIO_ENOTASK);
    CHECK_DROPPED(0);
    asyncio_release(asyncio_create_task(fresh()));
    CHECK_DROPPED(0);
    assert_int_equal(asyncio_run(asyncio_coro_new(NULL, NULL, NULL)), -ENOMEM);
    harness_settle();
}

/* A main that cannot be run is dropped, too. */
ASYNC_TEST(nested_run)
{
    CHECK_EQUAL(asyncio_run(fresh()), ASYNCIO_ESTATE);
    CHECK_DROPPED(0);
    CHECK_EQUAL(asyncio_loop_run_forever(asyncio_get_running_loop()), ASYNCIO_ESTATE);
    return 0;
}

/* ---- Never awaited ----------------------------------------------------------------------- */

static asyncio_coro *left_over[3];
static int line_made;

ASYNC(forgets)
{
    left_over[0] = p1(1);
    left_over[1] = p0();
    line_made = __LINE__ + 1;
    left_over[2] = asyncio_coro_new(call, &dropped, drop);
    asyncio_coro_close(p0()); /* disposed of, awaited, made a task: no report */
    CHECK_EQUAL(asyncio_await(p0()), 100);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(p0())), 100);
    return 0;
}

static const struct report *report_of(const char *words)
{
    for (size_t i = 0; i < report_count && i < REPORTS_MAX; i++)
        if (strstr(reports[i].message, words))
            return &reports[i];
    return NULL;
}

TEST(never_awaited)
{
    asyncio_runner runner;
    assert_int_equal(asyncio_runner_init(&runner, NULL), 0);
    record_reports(asyncio_runner_get_loop(&runner));
    assert_int_equal(asyncio_runner_run(&runner, forgets()), 0);
    assert_int_equal(report_count, 0);
    asyncio_runner_close(&runner);
    assert_int_equal(report_count, 3);
    const struct report *report = report_of("coroutine 'p1' was never awaited");
    assert_true(report != NULL);
    if (!report)
        return;
    assert_non_null(strstr(report->file, "test_coroutines.c"));
    assert_true(report->line > 0);
    assert_non_null(report_of("coroutine 'p0' was never awaited"));
    report = report_of("coroutine 'a function' was never awaited");
    assert_non_null(report);
    assert_int_equal(report->line, line_made);
    /* They are the program's still. */
    for (int i = 0; i < 3; i++)
        asyncio_coro_close(left_over[i]);
    harness_settle();
}

/* ---- Used twice ------------------------------------------------------------------------------ */

static void close_twice(void)
{
    asyncio_coro *coro = p0();
    asyncio_coro_close(coro);
    asyncio_coro_close(coro);
}

ASYNC(awaits_twice)
{
    asyncio_coro *coro = p1(1);
    asyncio_await(coro);
    return asyncio_await(coro);
}

static void await_twice(void)
{
    asyncio_run(awaits_twice());
}

TEST(used_twice)
{
    check_dies_of_late_use(close_twice, "a coroutine was used again");
    check_dies_of_late_use(close_twice, "test_coroutines.c:");
    check_dies_of_late_use(await_twice, "a coroutine was used again");
}

/* ---- Other threads -------------------------------------------------------------------------- */

static void *run_here(void *coro)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    return (void *)asyncio_run_with(coro, &options);
}

static void *close_here(void *coro)
{
    asyncio_coro_close(coro);
    return NULL;
}

static void *make_here(void *arg)
{
    (void)arg;
    return p1(77);
}

static intptr_t in_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    void *result = NULL;
    CHECK_EQUAL(pthread_create(&thread, NULL, fn, arg), 0);
    pthread_join(thread, &result);
    return (intptr_t)result;
}

ASYNC(hands_over_main)
{
    CHECK_EQUAL(in_thread(run_here, fresh()), 5);
    CHECK_DROPPED(1);
    in_thread(close_here, fresh());
    CHECK_DROPPED(0);
    CHECK_EQUAL(asyncio_await((asyncio_coro *)in_thread(make_here, NULL)), 77);
    return 0;
}

TEST(other_threads)
{
    /* Made before any loop exists, here and in another thread; run in either. */
    asyncio_coro *early = fresh();
    assert_int_equal(in_thread(run_here, early), 5);
    assert_int_equal((intptr_t)run_here((void *)in_thread(make_here, NULL)), 77);
    asyncio_coro_close((asyncio_coro *)in_thread(make_here, NULL));
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    assert_int_equal(asyncio_run_with(hands_over_main(), &options), 0);
    harness_settle();
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

static int alive;

static void count_drop(void *arg)
{
    (void)arg;
    alive--;
}

static intptr_t sleeps_once(void *arg)
{
    (void)arg;
    return asyncio_sleep(1);
}

static asyncio_coro *counted(void)
{
    alive++;
    return asyncio_coro_new(sleeps_once, NULL, count_drop);
}

ASYNC(sweep_main)
{
    (void)asyncio_await(counted());
    (void)asyncio_await(asyncio_create_task(counted()));
    const asyncio_task_options options = {.name = "x", .stack_size = 1 << 19};
    asyncio_release(asyncio_create_task_with(counted(), &options));
    (void)asyncio_gather(NULL, counted(), counted());
    asyncio_coro_close(counted());
    (void)asyncio_await(elsewhere_sum(1, 2));
    (void)asyncio_sleep(1);
    return 0;
}

TEST(failures)
{
    alive = 0;
    sweep_failures(sweep_main);
    assert_int_equal(alive, 0);
}

TEST(cancel_sweep)
{
    alive = 0;
    sweep_cancels(sweep_main, NULL);
    assert_int_equal(alive, 0);
}

TEST_MAIN()
