/* Tries again, with growing pauses, and at the end says why the last try failed. */
#include <asyncio.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY_S 2.0
#define PAUSE_S 0.02 /* after the first failure; doubled each time */
#define PAUSE_MAX_S 1.0

/* May the next try succeed? A wrong name stays wrong, and a cancel is meant for us. */
static bool may_pass(int err)
{
    return err == -ECONNREFUSED || err == -ECONNRESET || err == -ETIMEDOUT || err == -EHOSTUNREACH;
}

static int try_patiently(int (*try_once)(void), double seconds)
{
    char why[256];
    double pause = PAUSE_S;
    int err, last = 0;
    ASYNCIO_TIMEOUT(err, seconds) {
        for (;;) {
            ASYNCIO_TIMEOUT(err, TRY_S) {
                err = try_once();
            }
            if (!may_pass(err))
                break;
            last = err;
            snprintf(why, sizeof why, "%s", asyncio_error_message()); /* before the next wait */
            err = asyncio_sleep(pause * (0.5 + 0.5 * (double)random() / RAND_MAX)); /* not all at once */
            if (err)
                break;
            pause = pause * 2 < PAUSE_MAX_S ? pause * 2 : PAUSE_MAX_S;
        }
    }
    if (err == -ETIMEDOUT && last)
        return (int)asyncio_raise(last, "%s; given up after %g s", why, seconds);
    return err;
}

/* ---- A server that is late, one that does not come, and one that there cannot be ---- */

static int calls;

static int reach_late_one(void)
{
    return ++calls < 4 ? (int)asyncio_raise(-ECONNREFUSED, "connect to late:80: connection refused") : 0;
}

static int reach_dead_one(void)
{
    return (int)asyncio_raise(-ECONNREFUSED, "connect to dead:80: connection refused");
}

static int reach_wrong_one(void)
{
    return (int)asyncio_raise(-EINVAL, "\"no such:80\" is no address");
}

static void tell(int err)
{
    printf("%s%s%s\n", asyncio_errname(err), err ? ": " : "", err ? asyncio_error_message() : "");
}

ASYNC(async_main)
{
    tell(try_patiently(reach_late_one, 10));
    printf("%d calls\n", calls);
    tell(try_patiently(reach_dead_one, 0.2));
    tell(try_patiently(reach_wrong_one, 10));
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
