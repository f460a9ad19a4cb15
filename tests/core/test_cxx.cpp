/*
 * The library from C++17: coroutine functions, overloads of the verbs, gather
 * and options. A program of its own: each check that fails says so and counts.
 */
#include "asyncio.h"
#include "support/elsewhere.h"
#include <cerrno>
#include <cstdio>
#include <cstring>

static int failures;

static void failed(int line, const char *condition)
{
    failures++;
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, line, condition);
}

#define CHECK(condition) ((condition) ? (void)0 : failed(__LINE__, #condition))

namespace
{

struct point {
    int x, y;
};

ASYNC(nothing)
{
    return asyncio_sleep(0);
}

ASYNC(sum, int, a, double, b, point, c, const char *, text)
{
    int err = asyncio_sleep(b);
    return err ? err : a + static_cast<int>(b) + c.x + c.y + static_cast<int>(std::strlen(text));
}

ASYNC(sleeps, double, delay, intptr_t, result)
{
    int err = asyncio_sleep(delay);
    return err ? err : result;
}

ASYNC(fails, intptr_t, err)
{
    return asyncio_raise(err, "%s", "from C++");
}

} // namespace

ASYNC_DECLARE(outside, int, a);
ASYNC_DEFINE(outside, int, a)
{
    return a + 1;
}

/* The linkage is C's. */
static asyncio_coro *(*const outside_function)(int) = outside;

ASYNC(coroutines)
{
    CHECK(asyncio_await(nothing()) == 0);
    CHECK(asyncio_await(sum(1, 2, {3, 4}, "five")) == 14);
    CHECK(asyncio_await(sum('\1', 2.0f, point{3, 4}, "")) == 10);
    CHECK(asyncio_await(outside_function(4)) == 5);
    CHECK(asyncio_await(elsewhere_sum(2, 3)) == 5); /* defined in C */
    CHECK(asyncio_await(fails(-EIO)) == -EIO);
    CHECK(std::strcmp(asyncio_error_message(), "from C++") == 0);
    CHECK(asyncio_await(static_cast<asyncio_coro *>(nullptr)) == -ENOMEM);
    return 0;
}

ASYNC(tasks)
{
    asyncio_task_options options{};
    options.name = "named";
    asyncio_task *task = asyncio_create_task_with(sleeps(1, 3), &options);
    CHECK(std::strcmp(asyncio_task_name(task), "named") == 0);
    CHECK(!asyncio_done(task));
    CHECK(asyncio_result(task) == ASYNCIO_ESTATE);
    CHECK(asyncio_await(asyncio_ref(task)) == 3);
    CHECK(asyncio_result(task) == 3);
    asyncio_release(task);

    asyncio_future *future = asyncio_future_new();
    task = asyncio_create_task(sleeps(100, 0));
    asyncio_sleep(0);
    int calls = 0;
    auto count = [](asyncio_future *, void *arg) { ++*static_cast<int *>(arg); };
    CHECK(asyncio_add_done_callback(future, count, &calls) == 0);
    asyncio_future_set_result(future, 8);
    CHECK(asyncio_cancel(task));
    intptr_t result = 0;
    CHECK(asyncio_join(task, &result) == 0);
    CHECK(result == -ECANCELED);
    CHECK(calls == 1);
    CHECK(asyncio_await(asyncio_ensure_future(future)) == 8);
    CHECK(asyncio_await(asyncio_ensure_future(sleeps(0, 9))) == 9);
    return 0;
}

ASYNC(gathers)
{
    intptr_t r[4];
    asyncio_future *future = asyncio_future_new();
    asyncio_future_set_result(future, 3);
    CHECK(asyncio_gather(r, sleeps(2, 1), asyncio_create_task(sleeps(1, 2)), future) == 0);
    CHECK(r[0] == 1 && r[1] == 2 && r[2] == 3);
    CHECK(asyncio_gather_settled(r, fails(-EIO), nothing()) == 0);
    CHECK(r[0] == -EIO && r[1] == 0);
    CHECK(asyncio_gather(nullptr, fails(-EIO), sleeps(9, 1)) == -EIO);
    asyncio_task *two[] = {asyncio_create_task(sleeps(0, 5)), asyncio_create_task(sleeps(0, 6))};
    CHECK(asyncio_gather_array(r, two, 2) == 0);
    CHECK(r[0] == 5 && r[1] == 6);
    return 0;
}

ASYNC(all)
{
    CHECK(asyncio_await(coroutines()) == 0);
    CHECK(asyncio_await(tasks()) == 0);
    CHECK(asyncio_await(gathers()) == 0);
    return failures;
}

int main()
{
    asyncio_run_options options{};
    options.clock = ASYNCIO_CLOCK_VIRTUAL;
    CHECK(asyncio_run_with(all(), &options) == 0);
    return failures != 0;
}
