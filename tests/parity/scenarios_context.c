/*
 * Context variables: who sees what of whom.
 */
#include "parity.h"

static asyncio_contextvar var = ASYNCIO_CONTEXTVAR_INIT("var", "none");

static const char *value(void)
{
    return asyncio_contextvar_get(&var);
}

static void set(const char *to)
{
    asyncio_contextvar_set(&var, (void *)to, NULL);
}

/* Says what it sees, sets it, and says it again a turn later. */
ASYNC(changes, const char *, name, const char *, to)
{
    say("%s: %s", name, value());
    set(to);
    int err = asyncio_sleep(0);
    say("%s: %s then", name, value());
    return err;
}

SCENARIO(a_task_has_a_copy_of_its_creators_context)
{
    asyncio_task *a = asyncio_create_task(changes("a", "a's"));
    set("main's");
    asyncio_task *b = asyncio_create_task(changes("b", "b's"));
    set("later");
    asyncio_sleep(0);
    say("main: %s", value());
    asyncio_gather(NULL, a, b, changes("c", "c's"), changes("d", "d's"));
    say("main: %s", value());
    asyncio_await(changes("in place", "set in place"));
    say("main: %s", value());
    asyncio_shield(changes("shielded", "shielded"));
    say("main: %s", value());
    return 0;
}

/* What it sees and sets in turns with another one. */
ASYNC(turns, const char *, name, const char *, to)
{
    for (int i = 0; i < 2; i++) {
        say("%s: %s", name, value());
        set(to);
        asyncio_sleep(0);
    }
    return 0;
}

SCENARIO(tasks_in_one_context)
{
    set("main's");
    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options options = {.context = context};
    set("later");
    asyncio_task *a = asyncio_create_task_with(turns("a", "a's"), &options);
    asyncio_task *b = asyncio_create_task_with(turns("b", "b's"), &options);
    asyncio_gather(NULL, a, b);
    say("main: %s", value());
    asyncio_await(asyncio_create_task_with(turns("c", "c's"), &options));
    asyncio_context_release(context);
    return 0;
}

/* Says what it sees; what it sets nobody else does. */
static void calls(void *name)
{
    say("%s: %s", (const char *)name, value());
    set("the callback's");
    say("%s: %s", (const char *)name, value());
}

static void is_done(asyncio_future *future, void *name)
{
    (void)future;
    calls(name);
}

static void makes_a_task(void *arg)
{
    (void)arg;
    set("made in a callback");
    asyncio_release(asyncio_create_task(changes("its task", "x")));
    asyncio_loop_call_soon(asyncio_get_running_loop(), calls, "its callback");
    set("later");
}

SCENARIO(callbacks_have_the_context_of_the_call)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_future *future = asyncio_future_new();

    asyncio_loop_call_soon(loop, calls, "soon");
    set("1");
    asyncio_loop_call_soon(loop, calls, "soon 1");
    asyncio_loop_call_later(loop, 1, calls, "later 1");
    asyncio_add_done_callback(future, is_done, "done 1");
    asyncio_loop_call_soon_threadsafe(loop, calls, "posted 1");
    set("2");
    asyncio_add_done_callback(future, is_done, "done 2");
    asyncio_loop_call_soon(loop, makes_a_task, NULL);
    asyncio_sleep(2);
    say("main: %s", value());
    set("3");
    asyncio_future_set_result(future, 0);
    asyncio_sleep(1);
    say("main: %s", value());
    asyncio_release(future);
    return 0;
}

ASYNC(resets, const char *, name, asyncio_contextvar_token, token)
{
    say("%s: %s", name, text(asyncio_contextvar_reset(&var, token)));
    return 0;
}

SCENARIO(tokens_of_context_variables)
{
    asyncio_contextvar_token one, two, three;

    asyncio_contextvar_set(&var, "1", &one);
    asyncio_contextvar_set(&var, "2", &two);
    asyncio_contextvar_set(&var, "3", &three);
    asyncio_await(asyncio_create_task(resets("another task", three)));
    say("main: %s", value());
    say("three: %s", text(asyncio_contextvar_reset(&var, three)));
    say("main: %s", value());
    say("three again: %s", text(asyncio_contextvar_reset(&var, three)));
    say("one: %s", text(asyncio_contextvar_reset(&var, one)));
    say("main: %s", value());
    asyncio_await(resets("in place", two));
    say("main: %s", value());
    say("two again: %s", text(asyncio_contextvar_reset(&var, two)));
    return 0;
}

LOOP_SCENARIO(context_before_the_loop_runs)
{
    asyncio_contextvar_token token;

    asyncio_future *a = ASYNCIO_AS_FUTURE(asyncio_loop_create_task(loop, changes("a", "a's")));
    asyncio_contextvar_set(&var, "outside", &token);
    asyncio_future *b = ASYNCIO_AS_FUTURE(asyncio_loop_create_task(loop, changes("b", "b's")));
    asyncio_loop_call_soon(loop, calls, "soon");
    set("outside, later");
    asyncio_loop_run_until_complete(loop, a);
    asyncio_loop_run_until_complete(loop, b);
    say("outside: %s", value());
    say("outside: %s", text(asyncio_contextvar_reset(&var, token)));
    say("outside: %s", value());
}
