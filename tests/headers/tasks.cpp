/*
 * The same from C++: overloads in place of _Generic. Only compiled.
 */
#include <asyncio.h>

typedef int (*operation)(int, int);
struct point {
    int x, y;
};
enum class colour { red, green };

namespace {

ASYNC(no_parameters)
{
    return 0;
}
ASYNC(one, int, a)
{
    return a;
}
ASYNC(two, int, a, const char *, b)
{
    return a + b[0];
}
ASYNC(three, int, a, const char *, b, double, c)
{
    return a + b[0] + static_cast<int>(c);
}
ASYNC(four, int, a, const char *, b, double, c, point, d)
{
    return a + b[0] + static_cast<int>(c) + d.x;
}
ASYNC(five, int, a, const char *, b, double, c, point, d, operation, e)
{
    return a + b[0] + static_cast<int>(c) + e(d.x, d.y);
}
ASYNC(six, int, a, const char *, b, double, c, point, d, operation, e, bool, f)
{
    return a + b[0] + static_cast<int>(c) + e(d.x, d.y) + f;
}
ASYNC(seven, int, a, const char *, b, double, c, point, d, operation, e, bool, f, const char, g)
{
    return a + b[0] + static_cast<int>(c) + e(d.x, d.y) + f + g;
}
ASYNC(eight, int, a, const char *, b, double, c, point, d, operation, e, bool, f, const char, g, colour, h)
{
    return a + b[0] + static_cast<int>(c) + e(d.x, d.y) + f + g + static_cast<int>(h);
}

} // namespace

ASYNC_DECLARE(outside_nothing);
ASYNC_DECLARE(outside, int, a, point, b);
ASYNC_DEFINE(outside_nothing)
{
    return 0;
}
ASYNC_DEFINE(outside, int, a, point, b)
{
    return a + b.x;
}

static int add(int a, int b)
{
    return a + b;
}

ASYNC(coroutines)
{
    point d = {1, 2};
    intptr_t sum = 0, result;
    sum += asyncio_await(no_parameters());
    sum += asyncio_await(one(1));
    sum += asyncio_await(two(1, "b"));
    sum += asyncio_await(three(1, "b", 3));
    sum += asyncio_await(four(1, "b", 3, {1, 2}));
    sum += asyncio_await(five(1, "b", 3, d, add));
    sum += asyncio_await(six(1, "b", 3, d, add, true));
    sum += asyncio_await(seven(1, "b", 3, d, [](int a, int b) { return a * b; }, true, 'g'));
    sum += asyncio_await(eight(1, "b", 3, d, add, true, 'g', colour::green));
    sum += asyncio_await(outside_nothing()) + asyncio_await(outside(1, d));
    sum += asyncio_await(asyncio_coro_new([](void *) -> intptr_t { return 0; }, nullptr, nullptr));
    sum += asyncio_join(one(1), &result);
    asyncio_coro_close(one(1));
    asyncio_release(one(1));
    return sum;
}

ASYNC(tasks)
{
    asyncio_task_options options{};
    options.name = "named";
    asyncio_task *task = asyncio_create_task(one(1));
    asyncio_task *named = asyncio_create_task_with(one(1), &options);
    asyncio_task *given = asyncio_loop_create_task(asyncio_get_running_loop(), one(1));
    asyncio_future *future = asyncio_ensure_future(one(1));
    intptr_t result;
    (void)asyncio_cancel(task);
    (void)asyncio_cancel_with(future, "with words");
    (void)asyncio_cancelled(task);
    (void)asyncio_done(future);
    (void)asyncio_result(task);
    auto done = [](asyncio_future *, void *) {};
    (void)asyncio_add_done_callback(task, done, nullptr);
    (void)asyncio_remove_done_callback(future, done, nullptr);
    (void)asyncio_await(asyncio_ref(task));
    (void)asyncio_join(asyncio_ref(named), &result);
    (void)asyncio_join(future, nullptr);
    (void)asyncio_await(static_cast<asyncio_task *>(nullptr));
    asyncio_release(asyncio_ensure_future(named));
    asyncio_release(given);
    asyncio_release(task);
    return asyncio_sleep(ASYNCIO_FOREVER);
}

ASYNC(gathers)
{
    intptr_t r[2];
    asyncio_task *task = asyncio_create_task(one(1));
    asyncio_future *future = asyncio_future_new();
    (void)asyncio_future_set_result(future, 1);
    (void)asyncio_gather(r, one(1));
    (void)asyncio_gather(nullptr, one(1), asyncio_ref(task), future);
    (void)asyncio_gather_settled(r, one(1), task);
    asyncio_task *two_tasks[2] = {asyncio_create_task(one(1)), asyncio_create_task(one(1))};
    asyncio_future *two_futures[2] = {asyncio_future_new(), asyncio_future_new()};
    (void)asyncio_gather_array(r, two_tasks, 2);
    (void)asyncio_gather_settled_array(r, two_futures, 2);
    return asyncio_raise(ASYNCIO_ESTATE, "%s", asyncio_error_message());
}

int main()
{
    asyncio_run_options options{};
    options.clock = ASYNCIO_CLOCK_VIRTUAL;
    (void)asyncio_run_with(coroutines(), &options);
    (void)asyncio_run(tasks());
    return asyncio_main(gathers());
}
