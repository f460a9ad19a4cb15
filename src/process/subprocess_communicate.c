/*
 * Input and output of a child process, all at once. If there are several pipes each has a task of its own:
 * one task that first writes everything would wait for a process that does the same.
 */
#include "asyncio/coroutines.h"
#include "asyncio/errors.h"
#include "asyncio/subprocess.h"
#include "asyncio/tasks.h"
#include "asyncio/waiting.h"
#include "base/assert.h"
#include "core/loop.h"
#include "fd/lengths.h"
#include "process/process.h"
#include <errno.h>
#include <math.h>

#define FEED_BYTES (64 * 1024)
#define READ_BYTES (16 * 1024)

#define END_OF_FILE "\4" /* ^D, what a person types at a terminal */

/* A process may stop reading its input. */
static bool is_unread(int err)
{
    return err == -EPIPE || err == -ECONNRESET;
}

/* At a terminal the end is a character, and the output is still to come. Amid a line it ends only that: then
 * the next one is the end. */
static int end_process_input(asyncio_process *process, bool is_amid_line)
{
    if (!process->has_terminal)
        return asyncio_stream_close(process->streams[0]);
    if (process->has_typed_end)
        return 0;
    int err = asyncio_stream_write(process->streams[0], END_OF_FILE END_OF_FILE, is_amid_line ? 2 : 1);
    process->has_typed_end = !err;
    return err;
}

/* In each wait others may close the stream or release the process. */
static int feed_input(asyncio_process *process, const char *input, size_t n)
{
    while (process->streams[0] && process->fed < n) {
        size_t left = n - process->fed, part = left < FEED_BYTES ? left : FEED_BYTES;
        int err = asyncio_stream_write(process->streams[0], input + process->fed, part);
        if (is_unread(err))
            break;
        if (err)
            return err;
        process->fed += part;
        ASY_ASSERT(process->fed <= n);
    }
    if (!process->streams[0])
        return 0;
    /* This may take any time. If it is cancelled, the rest of the input is still queued. */
    int err = asy_stream_wait_drained(process->streams[0], 0, INFINITY);
    if (process->streams[0] && (!err || is_unread(err)))
        err = end_process_input(process, n && input[n - 1] != '\n');
    return is_unread(err) ? 0 : err;
}

static int read_output(asyncio_process *process, int i, bool wanted)
{
    struct bytes *into = &process->output[i - 1];
    while (process->streams[i]) {
        int err = asy_bytes_reserve(into, READ_BYTES);
        if (err)
            return err;
        ssize_t n =
            asyncio_stream_read(process->streams[i], into->data + into->end, into->capacity - into->end - 1);
        if (n <= 0)
            return (int)n;
        if (wanted)
            into->end += (size_t)n;
    }
    return 0;
}

ASYNC(feeds, asyncio_process *, process, const void *, input, size_t, n)
{
    return feed_input(process, input, n);
}

ASYNC(collects, asyncio_process *, process, int, i, bool, wanted)
{
    return read_output(process, i, wanted);
}

static int exchange_all(asyncio_process *process, const void *input, size_t n, bool wants_out, bool wants_err)
{
    asyncio_awaitable *jobs[3];
    size_t count = 0;
    bool wanted[3] = {true, wants_out, wants_err};
    int pipes = 0;
    for (int i = 0; i < 3; i++)
        pipes += process->streams[i] != NULL;
    if (pipes == 1 && process->streams[0])
        return feed_input(process, input, n);
    if (pipes == 1)
        return process->streams[1] ? read_output(process, 1, wants_out) : read_output(process, 2, wants_err);
    for (int i = 0; i < 3; i++) {
        if (!process->streams[i])
            continue;
        /* Coroutines, not tasks: a gather without memory would leave tasks running, with our caller's
         * input. */
        asyncio_coro *job = i ? collects(process, i, wanted[i]) : feeds(process, input, n);
        jobs[count++] = ASYNCIO_AS_AWAITABLE(job);
    }
    return asyncio_gather_at(NULL, jobs, count, /* settled= */ false, ASYNCIO_HERE);
}

static void hand_over_bytes(struct bytes *from, asyncio_buffer *to)
{
    if (!to)
        return;
    from->data[from->end] = '\0';
    *to = (asyncio_buffer){from->data, from->end};
    *from = (struct bytes){0};
}

static int exchange_and_wait(asyncio_process *process, const void *input, size_t n, asyncio_buffer *out,
                             asyncio_buffer *err)
{
    int status = exchange_all(process, input, n, out != NULL, err != NULL);
    if (!status)
        status = asy_process_wait(process);
    if (!status && out)
        status = asy_bytes_reserve(&process->output[0], 1);
    if (!status && err)
        status = asy_bytes_reserve(&process->output[1], 1);
    if (status)
        return status;
    hand_over_bytes(&process->output[0], out);
    hand_over_bytes(&process->output[1], err);
    return 0;
}

int asyncio_process_communicate(asyncio_process *process, const void *input, size_t n, asyncio_buffer *out,
                                asyncio_buffer *err)
{
    if (!process || !asy_is_length(n) || (n && (!input || !process->takes_input)))
        return -EINVAL;
    asy_process_check(process, __func__);
    if (asy_running_loop != process->loop || !process->loop->current)
        return ASYNCIO_ENOTASK;
    if (process->is_communicating)
        return ASYNCIO_ESTATE;
    process->is_communicating = true;
    asy_process_use(process);
    int status = exchange_and_wait(process, input, n, out, err);
    ASY_ASSERT(process->is_communicating);
    process->is_communicating = false;
    asy_process_leave(process);
    return status;
}
