/* Commands, their output, and their status. */
#include <asyncio.h>
#include <stdio.h>

/* Sorts a text, as `sort` does. */
static int sort(const char *text, size_t n, asyncio_buffer *sorted)
{
    const char *const argv[] = {"sort", NULL};
    asyncio_subprocess_options options = {.stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE};
    asyncio_process *process;
    int err = asyncio_create_subprocess_exec(argv, &options, &process);
    if (err)
        return err;
    err = asyncio_process_communicate(process, text, n, sorted, NULL);
    asyncio_process_release(process);
    return err;
}

/* Runs a command in the shell; stores its status. */
static int status_of(const char *command, int *status)
{
    asyncio_process *process;
    int err = asyncio_create_subprocess_shell(command, NULL, &process);
    if (err)
        return err;
    err = asyncio_process_wait(process, status);
    asyncio_process_release(process);
    return err;
}

ASYNC(async_main)
{
    asyncio_buffer sorted;
    int err = sort("pear\napple\nfig\n", 15, &sorted);
    if (err)
        return err;
    printf("%s", sorted.data);
    asyncio_buffer_destroy(&sorted);

    static const char *const commands[] = {"exit 3", "kill -TERM $$"};
    for (int i = 0; i < 2; i++) {
        int status;
        err = status_of(commands[i], &status);
        if (err)
            return err;
        printf("%s: %d\n", commands[i], status);
    }

    const char *const argv[] = {"no-such-program", NULL};
    asyncio_process *process;
    return asyncio_create_subprocess_exec(argv, NULL, &process);
}

int main(void)
{
    return asyncio_main(async_main());
}
