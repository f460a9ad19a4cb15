/* Our loop inside another one: here it is poll(2), with a descriptor of its own. */
#include <asyncio.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static int bell[2]; /* what the other loop waits for */

ASYNC(rings_twice)
{
    for (int i = 0; i < 2; i++) {
        int err = asyncio_sleep(0.1);
        if (err)
            return err;
        puts("task: ring");
        write(bell[1], "!", 1);
    }
    return 0;
}

ASYNC(answers)
{
    puts("task: somebody has rung");
    return 0;
}

/* The other loop. Everything of ours is in the lines that name asyncio. */
static int serve(asyncio_loop *loop, asyncio_task *main)
{
    while (!asyncio_done(main)) {
        struct pollfd fds[2] = {{.fd = bell[0], .events = POLLIN},
                                {.fd = asyncio_loop_fd(loop), .events = POLLIN}};
        double seconds = asyncio_loop_timeout(loop);
        poll(fds, 2, seconds < 60 ? (int)ceil(seconds * 1000) : 60000);
        if (fds[0].revents) {
            char byte;
            read(bell[0], &byte, 1);
            puts("poll: the bell");
            asyncio_release(asyncio_loop_create_task(loop, answers()));
        }
        int err = asyncio_loop_run_once(loop, 0);
        if (err)
            return err;
    }
    return 0;
}

int main(void)
{
    asyncio_runner runner;
    if (pipe(bell) || asyncio_runner_init(&runner, NULL))
        return 1;
    asyncio_loop *loop = asyncio_runner_get_loop(&runner);
    asyncio_task *main = asyncio_loop_create_task(loop, rings_twice());
    int err = serve(loop, main);
    asyncio_release(main);
    asyncio_runner_close(&runner); /* ends the tasks that are left */
    return err < 0;
}
