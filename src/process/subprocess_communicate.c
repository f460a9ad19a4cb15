/*
 * Input and output of a child process, all at once. Three jobs, a task each where there are
 * several: whoever writes much and reads nothing would wait for a process that does the same.
 */
#include "asyncio/coroutines.h"
#include "asyncio/errors.h"
#include "asyncio/subprocess.h"
#include "asyncio/tasks.h"
#include "asyncio/waiting.h"
#include "core/loop.h"
#include "fd/lengths.h"
#include "process/process.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>

#define FEED_BYTES (64 * 1024)
#define READ_BYTES (16 * 1024)

/* A process that reads no more of its input is in its right. */
static int unless_unread(int err)
{
    return err == -EPIPE || err == -ECONNRESET ? 0 : err;
}

/* The stream may be closed by others, and the process released, in each wait. */
static int feed(asyncio_process *process, const char *input, size_t n)
{
    while (process->streams[0] && process->fed < n) {
        size_t left = n - process->fed, part = left < FEED_BYTES ? left : FEED_BYTES;
        int err = asyncio_stream_write(process->streams[0], input + process->fed, part);
        if (err == -EPIPE || err == -ECONNRESET)
            break;
        if (err)
            return err;
        process->fed += part;
    }
    if (!process->streams[0])
        return 0;
    /* Whatever time it takes, and if it is cut short, the rest is still queued. */
    int err = unless_unread(asy_stream_wait_drained(process->streams[0], 0, INFINITY));
    if (err)
        return err;
    return unless_unread(asyncio_stream_close(process->streams[0]));
}

static int collect(asyncio_process *process, int i, bool wanted)
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
    return feed(process, input, n);
}

ASYNC(collects, asyncio_process *, process, int, i, bool, wanted)
{
    return collect(process, i, wanted);
}

static int exchange(asyncio_process *process, const void *input, size_t n, bool wants_out, bool wants_err)
{
    asyncio_awaitable *jobs[3];
    size_t count = 0;
    bool wanted[3] = {true, wants_out, wants_err};
    int pipes = 0;
    for (int i = 0; i < 3; i++)
        pipes += process->streams[i] != NULL;
    if (pipes == 1 && process->streams[0])
        return feed(process, input, n);
    if (pipes == 1)
        return process->streams[1] ? collect(process, 1, wants_out) : collect(process, 2, wants_err);
    for (int i = 0; i < 3; i++) {
        if (!process->streams[i])
            continue;
        /* No tasks yet: a gather that finds no memory would leave them running, with our caller's input. */
        asyncio_coro *job = i ? collects(process, i, wanted[i]) : feeds(process, input, n);
        jobs[count++] = ASYNCIO_AS_AWAITABLE(job);
    }
    return asyncio_gather_at(NULL, jobs, count, false, ASYNCIO_HERE);
}

static void hand_over(struct bytes *from, asyncio_buffer *to)
{
    if (!to)
        return;
    from->data[from->end] = '\0';
    *to = (asyncio_buffer){from->data, from->end};
    *from = (struct bytes){0};
}

static int communicate(asyncio_process *process, const void *input, size_t n, asyncio_buffer *out,
                       asyncio_buffer *err)
{
    int status = exchange(process, input, n, out != NULL, err != NULL);
    if (!status)
        status = asy_process_wait(process);
    if (!status && out)
        status = asy_bytes_reserve(&process->output[0], 1);
    if (!status && err)
        status = asy_bytes_reserve(&process->output[1], 1);
    if (status)
        return status;
    hand_over(&process->output[0], out);
    hand_over(&process->output[1], err);
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
    int status = communicate(process, input, n, out, err);
    process->is_communicating = false;
    asy_process_leave(process);
    return status;
}

void asyncio_buffer_destroy(asyncio_buffer *buffer)
{
    if (!buffer)
        return;
    asy_sys_free(buffer->data);
    *buffer = (asyncio_buffer){0};
}
