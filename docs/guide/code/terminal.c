/* A program that thinks that a person is at its terminal. */
#include <asyncio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static int show_line(asyncio_stream *terminal)
{
    char *line;
    ssize_t n = asyncio_stream_readline(terminal, &line);
    if (n > 0)
        printf("%.*s\n", (int)strcspn(line, "\r"), line); /* lines end in \r\n there */
    return n < 0 ? (int)n : 0;
}

ASYNC(async_main)
{
    const char *command = "trap 'stty size' WINCH; test -t 0 && echo at a terminal; read line;"
                          "while :; do sleep 0.1; done";
    const char *const argv[] = {"sh", "-c", command, NULL};
    asyncio_subprocess_options options = {.pty = 1};
    asyncio_process *process;
    int status = 0;
    int err = asyncio_create_subprocess_exec(argv, &options, &process);
    if (err)
        return err;
    asyncio_stream *terminal = asyncio_process_stdin(process); /* _stdout is the same */
    err = show_line(terminal);
    if (!err)
        err = asyncio_stream_write(terminal, "hello\n", 6);
    if (!err)
        err = show_line(terminal); /* the echo */

    struct winsize size = {.ws_row = 24, .ws_col = 80};
    ioctl(asyncio_stream_fd(terminal), TIOCSWINSZ, &size); /* SIGWINCH tells the program */
    if (!err)
        err = show_line(terminal);

    if (!err)
        err = asyncio_stream_write(terminal, "\3", 1); /* ^C */
    if (!err)
        err = asyncio_process_wait(process, &status);
    printf("ended: %d\n", status);
    asyncio_process_release(process);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
