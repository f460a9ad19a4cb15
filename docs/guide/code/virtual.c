/* Under the virtual clock an hour takes no time, and is exact. */
#include <asyncio.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* Under test: tries again after 1, 2, 4, ... seconds, for an hour at most. */
static int connect_patiently(int (*try_once)(void))
{
    int err;
    ASYNCIO_TIMEOUT(err, 3600) {
        double pause = 1;
        while ((err = try_once()) == -ECONNREFUSED) {
            int slept = asyncio_sleep(pause);
            if (slept) {
                err = slept;
                break;
            }
            pause *= 2;
        }
    }
    return err;
}

static int tries;

static int refuse(void)
{
    tries++;
    return -ECONNREFUSED;
}

ASYNC(test_gives_up_after_an_hour)
{
    double start = asyncio_time();
    int err = connect_patiently(refuse);
    assert(err == -ETIMEDOUT);
    assert(asyncio_time() - start == 3600);
    assert(tries == 12);
    printf("gave up after %g s and %d tries\n", asyncio_time() - start, tries);
    return 0;
}

int main(void)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    return asyncio_run_with(test_gives_up_after_an_hour(), &options) < 0;
}
