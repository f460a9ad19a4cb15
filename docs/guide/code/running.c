/* Programs that are run in one call, within a time, with less rights; and one that is stopped. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

#define SHELL(command) ((const char *const[]){"sh", "-c", command, NULL})

/* Its first program leaves a second one behind, which has the output open. Both are of one group. */
static int run_in_time(double seconds)
{
    asyncio_subprocess_options options = {.process_group = 1};
    asyncio_buffer out;
    int err = 0;
    ASYNCIO_TIMEOUT(err, seconds) {
        err = asyncio_run_process(SHELL("sleep 1000 & exit 0"), &options, NULL, 0, &out, NULL, NULL);
    }
    return err; /* both are gone, and `out` was not touched */
}

/* Stops a program that does not end at SIGTERM. */
static int stop_stubborn(int *status)
{
    asyncio_subprocess_options options = {.stdout_fd = ASYNCIO_PIPE, .process_group = 1};
    const char *const *argv = SHELL("trap '' TERM; echo ready; sleep 1000; sleep 1000");
    asyncio_process *process;
    char *line;
    int err = asyncio_create_subprocess_exec(argv, &options, &process);
    if (err)
        return err;
    ssize_t n = asyncio_stream_readline(asyncio_process_stdout(process), &line);
    err = n < 0 ? (int)n : asyncio_process_stop(process, 0.2, status);
    asyncio_process_release(process);
    return err;
}

ASYNC(async_main)
{
    asyncio_subprocess_options private = {.umask = 077};
    asyncio_buffer out, errors;
    int status;
    int err = asyncio_run_process(SHELL("cat; umask; echo oops >&2; exit 3"), &private, "input\n", 6, &out,
                                  &errors, &status);
    if (err)
        return err;
    printf("%s%s%d\n", out.data, errors.data, status);
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&errors);

    printf("%s\n", asyncio_errname(run_in_time(0.2)));
    err = stop_stubborn(&status);
    printf("stopped: %d\n", status);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
