/* Signals to wait for, and signals as callbacks. */
#include <asyncio.h>
#include <signal.h>
#include <stdio.h>

ASYNC(reload)
{
    for (;;) {
        int err = asyncio_wait_signal(SIGHUP);
        if (err)
            return err;
        puts("reload");
        err = asyncio_sleep(0.3); /* it takes a while; a signal that comes now is kept */
        if (err)
            return err;
    }
}

static void show_status(void *arg)
{
    printf("status: %d clients\n", *(int *)arg);
}

ASYNC(async_main)
{
    int clients = 12;
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_loop_add_signal_handler(loop, SIGUSR1, show_status, &clients);
    asyncio_task *reloader = asyncio_create_task(reload());
    asyncio_sleep(0);
    for (int i = 0; i < 3; i++) { /* as if somebody had sent them */
        raise(SIGHUP);
        raise(SIGUSR1);
        asyncio_sleep(0.01);
    }
    asyncio_sleep(0.5);
    asyncio_loop_remove_signal_handler(loop, SIGUSR1);
    asyncio_cancel(reloader);
    asyncio_await(reloader);
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
