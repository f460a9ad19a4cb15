/* The loop's own callbacks: plain functions, which cannot wait. */
#include <asyncio.h>
#include <stdio.h>

static void tell(void *arg)
{
    puts(arg);
}

static void try_to_wait(void *arg)
{
    (void)arg;
    printf("a wait in a callback: %s\n", asyncio_errname(asyncio_sleep(1)));
}

static void ended(asyncio_future *future, void *arg)
{
    printf("%s: %ld\n", (const char *)arg, (long)asyncio_result(future));
}

ASYNC(answer)
{
    int err = asyncio_sleep(0.1);
    return err ? err : 42;
}

ASYNC(async_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_loop_call_soon(loop, tell, "soon");
    asyncio_loop_call_soon(loop, try_to_wait, NULL);
    asyncio_loop_call_later(loop, 0.2, tell, "later");
    asyncio_handle never = asyncio_loop_call_later(loop, 0.2, tell, "never");
    printf("cancelled: %d\n", asyncio_handle_cancel(loop, never));

    asyncio_task *task = asyncio_create_task(answer());
    asyncio_add_done_callback(task, ended, "the task has ended");
    asyncio_release(task);
    return asyncio_sleep(0.3);
}

int main(void)
{
    return asyncio_main(async_main());
}
