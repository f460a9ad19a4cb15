/*
 * The block macros and the calls of structure from C++17. A program of its own: each check
 * that fails says so and counts.
 */
#include "asyncio.h"
#include <cerrno>
#include <cmath>
#include <cstdio>

static int failures;

static void failed(int line, const char *condition)
{
    failures++;
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, line, condition);
}

#define CHECK(condition) ((condition) ? (void)0 : failed(__LINE__, #condition))

namespace
{

ASYNC(sleeps, double, delay, intptr_t, result)
{
    int err = asyncio_sleep(delay);
    return err ? err : result;
}

struct counted {
    int &ends;
    explicit counted(int &count) : ends(count)
    {
    }
    ~counted()
    {
        ends++;
    }
};

ASYNC(returns, int, way, int *, ends)
{
    asyncio_task_group group;
    int outer = 0;
    intptr_t inner = 0;
    ASYNCIO_TASK_GROUP(group, outer) {
        counted here(*ends);
        asyncio_task_group_create_task(&group, sleeps(9, 0));
        ASYNCIO_TIMEOUT(inner, 5) {
            counted there(*ends);
            asyncio_sleep(1);
            if (way == 0)
                return 4;
            if (way == 1)
                goto out;
            if (way == 2)
                break;
            continue;
        }
        CHECK(way > 1);
        break;
    }
    return 5;
out:
    return 6;
}

ASYNC(blocks)
{
    int ends = 0, err = 1;
    CHECK(asyncio_await(returns(0, &ends)) == 4);
    CHECK(asyncio_await(returns(1, &ends)) == 6);
    CHECK(asyncio_await(returns(2, &ends)) == 5);
    CHECK(asyncio_await(returns(3, &ends)) == 5);
    CHECK(ends == 8);
    signed char small = 1;
    ASYNCIO_TIMEOUT(small, 1)
        small = static_cast<signed char>(asyncio_sleep(9));
    CHECK(small == -ETIMEDOUT);
    ASYNCIO_TIMEOUT(err, NAN)
        CHECK(false);
    CHECK(err == -EINVAL);
    ASYNCIO_SHIELD_SCOPE
    {
        asyncio_cancel(asyncio_current_task());
        CHECK(asyncio_sleep(1) == 0);
    }
    CHECK(asyncio_sleep(1) == -ECANCELED);
    asyncio_task_uncancel(asyncio_current_task());
    return 0;
}

ASYNC(calls)
{
    asyncio_task *set[] = {asyncio_create_task(sleeps(2, 0)), asyncio_create_task(sleeps(1, 0))};
    asyncio_as_completed it;
    size_t index = 9;
    CHECK(asyncio_wait(set, 2, 9, ASYNCIO_FIRST_COMPLETED) == 1);
    CHECK(asyncio_as_completed_init(&it, set, 2, 9) == 0);
    CHECK(asyncio_as_completed_next(&it, &index) == 1 && index == 0);
    CHECK(asyncio_wait_for(sleeps(9, 0), 1) == -ETIMEDOUT);
    CHECK(asyncio_wait_for(set[0], 1) == 0);
    CHECK(asyncio_wait_for(set[1], 1) == 0);
    CHECK(asyncio_wait_for(asyncio_future_new(), 0) == -ETIMEDOUT);
    CHECK(asyncio_shield(sleeps(1, 5)) == 5);
    CHECK(asyncio_shield(asyncio_create_task(sleeps(1, 6))) == 6);
    return 0;
}

ASYNC(all)
{
    CHECK(asyncio_await(blocks()) == 0);
    CHECK(asyncio_await(calls()) == 0);
    CHECK(asyncio_task_cancelling(asyncio_current_task()) == 0);
    return failures;
}

} // namespace

int main()
{
    asyncio_run_options options{};
    options.clock = ASYNCIO_CLOCK_VIRTUAL;
    CHECK(asyncio_run_with(all(), &options) == 0);
    return failures != 0;
}
