/*
 * Runs many commands, at most four at a time, and shows its progress.
 *
 *     17_run_commands [COMMAND ...]
 *
 * Each is a command for the shell. Without any, runs twenty that sleep for a moment, one of
 * which fails.
 */
#include <asyncio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 4
#define TWENTY 20

struct batch {
    asyncio_semaphore places;
    int count, begun, ended, failed;
};

static void show_progress(const struct batch *batch)
{
    printf("\r%2d of %d done, %d running, %d failed ", batch->ended, batch->count,
           batch->begun - batch->ended, batch->failed);
    fflush(stdout);
}

/* Both outputs in one, in the order in which they came. */
static int run_shell(const char *command, int *status, asyncio_buffer *output)
{
    asyncio_process *process;
    asyncio_subprocess_options options = {
        .stdin_fd = ASYNCIO_DEVNULL, .stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_STDOUT};
    int err = asyncio_create_subprocess_shell(command, &options, &process);
    if (err)
        return err;
    err = asyncio_process_communicate(process, NULL, 0, output, NULL);
    asyncio_process_returncode(process, status);
    asyncio_process_release(process); /* one that still runs is killed: we were cancelled */
    return err;
}

/* The output of a command belongs together, so it is shown at its end. */
static void show_end(const char *command, int status, const asyncio_buffer *output)
{
    if (!status && !output->length)
        return;
    printf("\r%-45s\n", command); /* overwrites the line that shows the progress */
    if (output->length)
        fwrite(output->data, 1, output->length, stdout);
    if (status)
        printf("(status %d)\n", status); /* minus the signal, if one has ended it */
}

ASYNC(run_one, struct batch *, batch, const char *, command)
{
    int err = asyncio_semaphore_acquire(&batch->places);
    if (err)
        return err;
    int status = 0;
    asyncio_buffer output = {0};
    batch->begun++;
    show_progress(batch);
    err = run_shell(command, &status, &output);
    batch->ended++;
    batch->failed += err || status;
    if (!err)
        show_end(command, status, &output);
    asyncio_buffer_destroy(&output);
    show_progress(batch);
    asyncio_semaphore_release(&batch->places);
    return err;
}

ASYNC(async_main, int, count, char **, commands)
{
    char twenty[TWENTY][64];
    struct batch batch = {.count = count ? count : TWENTY};
    asyncio_semaphore_init(&batch.places, AT_ONCE);
    asyncio_task_group group;
    int err;
    ASYNCIO_TASK_GROUP(group, err) {
        for (int i = 0; i < batch.count; i++) {
            if (!count)
                snprintf(twenty[i], sizeof twenty[i], "sleep 0.0%d%s", i % 7,
                         i == 12 ? "; echo no luck; exit 13" : "");
            asyncio_task_group_create_task(&group, run_one(&batch, count ? commands[i] : twenty[i]));
        }
    }
    puts("");
    return err;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc - 1, argv + 1));
}
