/*
 * A program as users write them: every macro of the headers about coroutines,
 * tasks and futures, with everything that their arguments may be. Only compiled.
 */
#include <asyncio.h>

typedef int (*operation)(int, int);
struct point {
    int x, y;
};

/* Names that differ from public ones in a word that the macros might have used. */
ASYNC(server)
{
    return 0;
}
ASYNC(unix_server, int, a)
{
    return a;
}

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
    return a + b[0] + (int)c;
}
ASYNC(four, int, a, const char *, b, double, c, struct point, d)
{
    return a + b[0] + (int)c + d.x;
}
ASYNC(five, int, a, const char *, b, double, c, struct point, d, operation, e)
{
    return a + b[0] + (int)c + e(d.x, d.y);
}
ASYNC(six, int, a, const char *, b, double, c, struct point, d, operation, e, bool, f)
{
    return a + b[0] + (int)c + e(d.x, d.y) + f;
}
ASYNC(seven, int, a, const char *, b, double, c, struct point, d, operation, e, bool, f, const char, g)
{
    return a + b[0] + (int)c + e(d.x, d.y) + f + g;
}
ASYNC(eight, int, a, const char *, b, double, c, struct point, d, operation, e, bool, f, const char, g,
      __typeof__(int[4]) *, h)
{
    return a + b[0] + (int)c + e(d.x, d.y) + f + g + (*h)[0];
}

ASYNC_DECLARE(outside_nothing);
ASYNC_DECLARE(outside, int, a, struct point, b);
ASYNC_DEFINE(outside_nothing)
{
    return 0;
}
ASYNC_DEFINE(outside, int, a, struct point, b)
{
    return a + b.x;
}

/* Defined without having been declared. */
ASYNC_DEFINE(by_itself, int, a)
{
    return a;
}

static int add(int a, int b)
{
    return a + b;
}

static intptr_t body(void *arg)
{
    (void)arg;
    return 0;
}

static void drop(void *arg)
{
    (void)arg;
}

static void done(asyncio_future *future, void *arg)
{
    (void)arg;
    (void)asyncio_result(future);
}

static void callback(void *arg)
{
    (void)arg;
}

static void handler(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

static void event(asyncio_loop *loop, const asyncio_trace_event *trace, void *arg)
{
    (void)loop;
    (void)trace;
    (void)arg;
}

ASYNC(coroutines)
{
    int h[4] = {0};
    struct point d = {1, 2};
    intptr_t sum = 0, result;
    sum += asyncio_await(no_parameters());
    sum += asyncio_await(one(1));
    sum += asyncio_await(two(1, "b"));
    sum += asyncio_await(three(1, "b", 3));
    sum += asyncio_await(four(1, "b", 3, (struct point){1, 2}));
    sum += asyncio_await(five(1, "b", 3, d, add));
    sum += asyncio_await(six(1, "b", 3, d, add, 1));
    sum += asyncio_await(seven(1, "b", 3, d, add, true, 'g'));
    sum += asyncio_await(eight(1, "b", 3, d, add, true, 'g', &h));
    sum += asyncio_await(outside_nothing()) + asyncio_await(outside(1, d)) + asyncio_await(by_itself(1));
    sum += asyncio_await(asyncio_coro_new(body, NULL, drop));
    sum += asyncio_join(one(1), &result);
    asyncio_coro_close(one(1));
    asyncio_release(one(1));
    return sum;
}

ASYNC(tasks)
{
    asyncio_task *task = asyncio_create_task(one(1));
    asyncio_task *named = asyncio_create_task_with(one(1), &(asyncio_task_options){.name = "named"});
    asyncio_task *given = asyncio_loop_create_task(asyncio_get_running_loop(), one(1));
    asyncio_future *future = asyncio_ensure_future(one(1));
    asyncio_task *all[8];
    intptr_t result;
    (void)asyncio_all_tasks(all, 8);
    (void)asyncio_task_name(asyncio_current_task());
    (void)asyncio_task_set_name(task, "other");
    (void)asyncio_task_cancelling(task);
    (void)asyncio_task_uncancel(task);
    (void)asyncio_cancel(task);
    (void)asyncio_cancel_with(future, "with words");
    (void)asyncio_cancelled(task);
    (void)asyncio_done(future);
    (void)asyncio_add_done_callback(task, done, NULL);
    (void)asyncio_remove_done_callback(task, done, NULL);
    (void)asyncio_await(asyncio_ref(task));
    (void)asyncio_join(asyncio_ref(named), &result);
    (void)asyncio_join(future, NULL);
    (void)asyncio_await(NULL);
    asyncio_release(asyncio_ensure_future(named));
    asyncio_release(given);
    asyncio_release(task);
    asyncio_release(NULL);
    (void)asyncio_sleep(0);
    return asyncio_sleep_until(asyncio_time() + 1);
}

ASYNC(gathers)
{
    intptr_t r[16];
    asyncio_task *task = asyncio_create_task(one(1));
    asyncio_future *future = asyncio_future_new();
    (void)asyncio_future_set_result(future, 1);
    (void)asyncio_future_set_error(asyncio_ref(future), -1);
    asyncio_release(future);
    (void)asyncio_gather(r, one(1));
    (void)asyncio_gather(r, one(1), asyncio_ref(task), future, (asyncio_coro *)NULL, NULL);
    (void)asyncio_gather_settled(NULL, one(1), task, one(1), one(1), one(1), one(1), one(1), one(1), one(1),
                                 one(1), one(1), one(1), one(1), one(1), one(1), one(1));
    asyncio_task *two_tasks[2] = {asyncio_create_task(one(1)), asyncio_create_task(one(1))};
    asyncio_future *two_futures[2] = {asyncio_future_new(), asyncio_future_new()};
    (void)asyncio_gather_array(r, two_tasks, 2);
    (void)asyncio_gather_settled_array(r, two_futures, 2);
    const char *words = asyncio_strerror(r[0]), *name = asyncio_errname(r[0]);
    return asyncio_raise(ASYNCIO_ESTATE, "%s: %s (%d)", words, name, 1);
}

static int loops(void)
{
    static const asyncio_instrument instrument = {event, NULL};
    const asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL, .seed = 7};
    asyncio_loop *loop = asyncio_loop_new(&options);
    asyncio_loop_set_exception_handler(loop, handler, NULL);
    asyncio_loop_set_instrument(loop, &instrument);
    asyncio_loop_set_debug(loop, true);
    asyncio_handle handle = asyncio_loop_call_soon(loop, callback, NULL);
    (void)asyncio_loop_call_later(loop, 1, callback, NULL);
    (void)asyncio_loop_call_at(loop, 1, callback, NULL);
    (void)asyncio_handle_cancel(loop, handle);
    (void)asyncio_loop_call_soon_threadsafe(loop, callback, NULL);
    asyncio_future *future = asyncio_ensure_future(asyncio_loop_create_task(loop, tasks()));
    intptr_t result = asyncio_loop_run_until_complete(loop, future);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    return result < 0;
}

ASYNC(async_main)
{
    const asyncio_site *here = ASYNCIO_HERE;
    (void)here;
    return asyncio_gather(NULL, coroutines(), tasks(), gathers());
}

int main(void)
{
    if (loops())
        return 1;
    asyncio_runner runner;
    if (asyncio_runner_init(&runner, NULL) == 0) {
        (void)asyncio_runner_run(&runner, async_main());
        asyncio_runner_close(&runner);
    }
    return asyncio_main(async_main());
}
