/* A process that lives longer: its lines as they come, and a time limit. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

static int ask(asyncio_process *process, const char *question)
{
    char *line;
    int err = asyncio_stream_printf(asyncio_process_stdin(process), "%s\n", question);
    if (err)
        return err;
    ssize_t n = asyncio_stream_readline(asyncio_process_stdout(process), &line);
    if (n <= 0)
        return n ? n : ASYNCIO_EINCOMPLETE;
    printf("%s = %s", question, line);
    return 0;
}

/* Uses the shell as a calculator; it does not answer the last question. */
static int calculate(asyncio_process *process)
{
    int err = ask(process, "6 * 7");
    if (!err)
        err = ask(process, "1 + 1");
    if (!err)
        ASYNCIO_TIMEOUT(err, 0.2) {
            err = ask(process, "for ever");
        }
    return err;
}

ASYNC(async_main)
{
    asyncio_subprocess_options options = {.stdin_fd = ASYNCIO_PIPE, .stdout_fd = ASYNCIO_PIPE};
    asyncio_process *process;
    int status;
    int err = asyncio_create_subprocess_shell(
        "while read line; do case $line in for*) ;; *) echo $(($line));; esac; done", &options, &process);
    if (err)
        return err;
    err = calculate(process);
    printf("%s\n", asyncio_errname(err));
    printf("still there: %s\n", asyncio_process_returncode(process, &status) ? "no" : "yes");
    asyncio_process_release(process); /* not any more */
    return err == -ETIMEDOUT ? 0 : err;
}

int main(void)
{
    return asyncio_main(async_main());
}
