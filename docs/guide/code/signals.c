/* SIGINT and SIGTERM cancel the main task; any other signal can reach the loop. */
#include <asyncio.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>

static asyncio_loop *loop;

static void reload(void *arg)
{
    (void)arg;
    puts("reload the configuration");
}

/* A handler may make hardly any call; it may make this one. */
static void on_hangup(int signo)
{
    (void)signo;
    asyncio_loop_call_soon_signalsafe(loop, reload, NULL);
}

ASYNC(async_main)
{
    loop = asyncio_get_running_loop();
    signal(SIGHUP, on_hangup);
    raise(SIGHUP);
    int err = asyncio_sleep(0.1);
    if (err)
        return err;

    raise(SIGINT); /* as if somebody had pressed Ctrl-C */
    err = asyncio_sleep(10);
    printf("main is told: %s\n", asyncio_errname(err));
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
