/*
 * Runs many commands, at most four at a time, and shows its progress.
 *
 *     17_run_commands [COMMAND ...]
 *
 * Each is a command for the shell. Without any, runs twenty that sleep for a moment, one of
 * which fails.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 4
#define TWENTY 20
#define OUTPUT_MAX (64 * 1024)

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

struct output {
    size_t length;
    unsigned long long dropped; /* what came after that */
    char data[OUTPUT_MAX];
};

/* To its end, whether or not there is room: a command that nobody reads from would stand still. */
static int read_output(asyncio_stream *stream, struct output *output)
{
    char rest[4096];
    for (;;) {
        size_t room = OUTPUT_MAX - output->length;
        ssize_t n = room ? asyncio_stream_read(stream, output->data + output->length, room)
                         : asyncio_stream_read(stream, rest, sizeof rest);
        if (n <= 0)
            return (int)n;
        if (room)
            output->length += (size_t)n;
        else
            output->dropped += (size_t)n;
    }
}

/* Both outputs in one, in the order in which they came. */
static int run_shell(const char *command, int *status, struct output *output)
{
    asyncio_process *process;
    asyncio_subprocess_options options = {
        .stdin_fd = ASYNCIO_DEVNULL, .stdout_fd = ASYNCIO_PIPE, .stderr_fd = ASYNCIO_STDOUT};
    int err = asyncio_create_subprocess_shell(command, &options, &process);
    if (err)
        return err;
    err = read_output(asyncio_process_stdout(process), output);
    if (!err)
        err = asyncio_process_wait(process, status);
    asyncio_process_release(process); /* one that still runs is killed: we were cancelled */
    return err;
}

/* The output of a command belongs together, so it is shown at its end. */
static void show_end(const char *command, int status, const struct output *output)
{
    if (!status && !output->length)
        return;
    printf("\r%-45s\n", command); /* overwrites the line that shows the progress */
    if (output->length)
        fwrite(output->data, 1, output->length, stdout);
    if (output->dropped)
        printf("\n(%llu bytes more)\n", output->dropped);
    if (status)
        printf("(status %d)\n", status); /* minus the signal, if one has ended it */
}

ASYNC(run_one, struct batch *, batch, const char *, command)
{
    int err = asyncio_semaphore_acquire(&batch->places);
    if (err)
        return err;
    int status = 0;
    struct output *output = calloc(1, sizeof *output);
    batch->begun++;
    show_progress(batch);
    err = output ? run_shell(command, &status, output) : -ENOMEM;
    batch->ended++;
    batch->failed += err || status;
    if (!err)
        show_end(command, status, output);
    free(output);
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
