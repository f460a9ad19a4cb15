/*
 * The same question to two servers: the first good answer counts, the other
 * one is cancelled, and after a second it is too late for either.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

/* In place of a server: answers after `takes` seconds, or fails. */
ASYNC(lookup, const char *, server, double, takes, intptr_t, answer)
{
    int err = asyncio_sleep(takes);
    if (err)
        printf("  %s: %s\n", server, asyncio_strerror(err));
    else if (answer < 0)
        return asyncio_raise(answer, "%s: %s", server, asyncio_strerror(answer));
    return err ? err : answer;
}

/*
 * Returns the first result that is no error, or else the last error, or -ETIMEDOUT. Takes
 * the references. When it returns, all tasks have ended.
 */
static intptr_t race(asyncio_task *tasks[], size_t n, double timeout)
{
    asyncio_as_completed it;
    intptr_t result = -EINVAL;
    size_t i;
    int more = asyncio_as_completed_init(&it, tasks, n, timeout);
    if (!more) {
        while ((more = asyncio_as_completed_next(&it, &i)) > 0) {
            result = asyncio_result(tasks[i]);
            if (result >= 0)
                break;
        }
    }
    for (i = 0; i < n; i++)
        asyncio_cancel(tasks[i]);
    int err = asyncio_gather_settled_array(NULL, tasks, n);
    if (more >= 0)
        more = err; /* cancelled at the end */
    return more < 0 ? more : result;
}

static void ask(const char *what, asyncio_coro *first, asyncio_coro *second)
{
    asyncio_task *tasks[] = {asyncio_create_task(first), asyncio_create_task(second)};
    intptr_t result = race(tasks, 2, 1.0);
    if (result >= 0)
        printf("%s: the answer is %ld\n", what, (long)result);
    else
        printf("%s: %s\n", what, asyncio_strerror(result));
}

ASYNC(async_main)
{
    ask("both answer", lookup("near", 0.1, 42), lookup("far", 0.5, 42));
    ask("one fails", lookup("broken", 0.1, -ECONNREFUSED), lookup("far", 0.5, 42));
    ask("both are slow", lookup("slow", 5, 42), lookup("slower", 6, 42));
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
