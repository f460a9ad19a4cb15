/*
 * Keeps programs running: prints their output, each line with the program's name, and
 * restarts those that fail. SIGTERM (or Ctrl-C) asks all of them to end; after a while
 * SIGKILL ends them.
 *
 *     18_process_supervisor web='python3 -m http.server' job='./job --once'
 */
#include <asyncio.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MOST 32      /* programs */
#define PAUSE_S 0.1  /* before the first restart; doubled each time */
#define PAUSE_MAX_S 10
#define STEADY_S 60  /* a program that ran for so long starts with a short pause again */
#define PATIENCE_S 5 /* with a program that was asked to end */
#define LAST_WORDS_S 1

struct program {
    const char *name, *command;
};

/* Prints the program's output, until its end. A line that is too long comes in pieces. */
ASYNC(show_lines, const struct program *, program, asyncio_stream *, output)
{
    char *line, piece[4096];
    ssize_t n;
    while ((n = asyncio_stream_readline(output, &line))) {
        if (n == ASYNCIO_ELIMIT)
            n = asyncio_stream_read(output, line = piece, sizeof piece);
        if (n < 0)
            break;
        printf("%s | ", program->name);
        fwrite(line, 1, (size_t)n, stdout);
        if (line[n - 1] != '\n')
            putchar('\n');
    }
    if (n < 0) /* nobody reads it any more, and the program must see that instead of waiting */
        asyncio_stream_abort(output);
    return n;
}

ASYNC(wait_for_end, asyncio_process *, process)
{
    return asyncio_process_wait(process, NULL);
}

/* Signals the program and what it has started, which are a process group. No other group can have its number
 * before the program has ended. */
static void send_all(asyncio_process *process, int signo)
{
    if (!asyncio_process_returncode(process, NULL))
        kill(-asyncio_process_pid(process), signo);
}

/* Starts it once. Returns its status, or an error if it could not start. When cancelled, ends the program
 * first. */
static int run_once(const struct program *program, int *status)
{
    asyncio_process *process;
    asyncio_subprocess_options options = {.stdin_fd = ASYNCIO_DEVNULL,
                                          .stdout_fd = ASYNCIO_PIPE,
                                          .stderr_fd = ASYNCIO_STDOUT,
                                          .process_group = 1}; /* Ctrl-C is for us alone */
    int err = asyncio_create_subprocess_shell(program->command, &options, &process);
    if (err)
        return err;
    asyncio_task *lines = asyncio_create_task(show_lines(program, asyncio_process_stdout(process)));
    if (!lines)
        asyncio_stream_abort(asyncio_process_stdout(process));
    err = asyncio_process_wait(process, status);
    asyncio_shield_scope shield;
    asyncio_shield_scope_enter(&shield);
    if (err) { /* nicely at first */
        send_all(process, SIGTERM);
        asyncio_wait_for(wait_for_end(process), PATIENCE_S);
        send_all(process, SIGKILL);
    }
    int lost = (int)asyncio_wait_for(lines, LAST_WORDS_S);
    if (lost && lost != -ETIMEDOUT) /* its children may hold the pipe for ever */
        printf("%s: the rest of its output is lost: %s\n", program->name, asyncio_strerror(lost));
    asyncio_process_release(process);
    asyncio_shield_scope_exit(&shield);
    return err;
}

ASYNC(supervise, const struct program *, program)
{
    for (double pause = PAUSE_S;; pause = pause * 2 < PAUSE_MAX_S ? pause * 2 : PAUSE_MAX_S) {
        int status = 0;
        double began = asyncio_time();
        int err = run_once(program, &status);
        if (err == -ECANCELED)
            return err;
        if (!err && status == 0) {
            printf("%s has ended\n", program->name);
            return 0;
        }
        if (err) /* the machine's fault; the other programs run on */
            printf("%s cannot run: %s; trying again\n", program->name, asyncio_error_message());
        else
            printf("%s failed with status %d; restarting it\n", program->name, status);
        if (asyncio_time() - began > STEADY_S)
            pause = PAUSE_S;
        err = asyncio_sleep(pause);
        if (err)
            return err;
    }
}

/* Ends the group, which cancels all its tasks. */
ASYNC(wait_for_signal, asyncio_task_group *, group, int, signo)
{
    int err = asyncio_wait_signal(signo);
    if (err)
        return err;
    printf("SIG%s: all must end\n", signo == SIGTERM ? "TERM" : "INT");
    asyncio_task_group_cancel(group);
    return 0;
}

ASYNC(async_main, int, count, char **, words)
{
    struct program programs[MOST];
    asyncio_task_group group, signals;
    int err, ignored;
    if (count < 1 || count > MOST)
        return asyncio_raise(-EINVAL, "give me 1 to %d programs as NAME=COMMAND", MOST);
    for (int i = 0; i < count; i++) {
        char *is = strchr(words[i], '=');
        if (!is)
            return asyncio_raise(-EINVAL, "%s is not NAME=COMMAND", words[i]);
        *is = '\0';
        programs[i] = (struct program){words[i], is + 1};
    }
    /* Two groups: the inner one ends when the programs have ended; then no task waits for signals. */
    ASYNCIO_TASK_GROUP(signals, ignored) {
        ASYNCIO_TASK_GROUP(group, err) {
            for (int i = 0; i < count; i++)
                asyncio_task_group_create_task(&group, supervise(&programs[i]));
            asyncio_task_group_create_task(&signals, wait_for_signal(&group, SIGTERM));
            asyncio_task_group_create_task(&signals, wait_for_signal(&group, SIGINT));
        }
        asyncio_task_group_cancel(&signals);
    }
    puts("all have ended");
    return err;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* also where it is no terminal */
    return asyncio_main(async_main(argc - 1, argv + 1));
}
