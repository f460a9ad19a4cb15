/*
 * Timeouts, groups, shields and waiting from C++; compiled, not run.
 */
#include <asyncio.h>

ASYNC(fetch, int, n)
{
    int err = asyncio_sleep(n);
    return err ? err : n;
}

ASYNC(blocks)
{
    asyncio_task_group group;
    int err;
    intptr_t inner;
    ASYNCIO_TASK_GROUP(group, err) {
        for (int i = 0; i < 3; i++)
            asyncio_task_group_create_task(&group, fetch(i));
        ASYNCIO_TIMEOUT(inner, 2.0) {
            inner = asyncio_await(fetch(1));
            if (inner < 0)
                break;
            if (inner > 5)
                continue;
            return 4;
        }
        ASYNCIO_SHIELD_SCOPE {
            asyncio_sleep(1);
            goto out;
        }
    }
out:
    return err < 0 ? err : static_cast<intptr_t>(asyncio_task_group_error_count(&group));
}

ASYNC(calls)
{
    asyncio_timeout t;
    if (asyncio_timeout_enter(&t, 1) || asyncio_timeout_reschedule(&t, asyncio_time() + 1))
        return -1;
    intptr_t err = asyncio_timeout_exit(&t, asyncio_sleep(1));
    asyncio_shield_scope shield;
    asyncio_shield_scope_enter(&shield);
    asyncio_shield_scope_exit(&shield);
    asyncio_task *task = asyncio_create_task(fetch(1));
    asyncio_task *set[] = {asyncio_create_task(fetch(1)), asyncio_create_task(fetch(2))};
    asyncio_future *futures[] = {asyncio_future_new()};
    asyncio_as_completed it;
    size_t i;
    ptrdiff_t done = asyncio_wait(set, 2, ASYNCIO_FOREVER, ASYNCIO_FIRST_ERROR);
    done += asyncio_wait(futures, 1, 0, ASYNCIO_ALL_COMPLETED);
    asyncio_as_completed_init(&it, set, 2, 3);
    while (asyncio_as_completed_next(&it, &i) > 0)
        done += asyncio_result(set[i]);
    return err + done + asyncio_wait_for(fetch(1), 2) + asyncio_wait_for(asyncio_ref(task), 2) +
           asyncio_wait_for(futures[0], 0) + asyncio_shield(task) + asyncio_shield(fetch(2));
}

int main(void)
{
    return static_cast<int>(asyncio_run(blocks()) + asyncio_run(calls()));
}
