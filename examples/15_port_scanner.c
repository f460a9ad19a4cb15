/*
 * Prints the open ports of a host: tries a hundred at a time, and shows its progress.
 *
 *     15_port_scanner HOST FIRST LAST
 *
 * Scan your own machines.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AT_A_TIME 100
#define TIMEOUT_S 1.0

struct scan {
    const char *host;
    int first, last;
    asyncio_semaphore places;
    int done;
    bool *is_open; /* of first, first + 1, ... */
};

static int connect_to(const struct scan *scan, int port)
{
    asyncio_stream *stream;
    int err;
    ASYNCIO_TIMEOUT(err, TIMEOUT_S) {
        err = asyncio_open_connection(scan->host, port, NULL, &stream);
        if (!err)
            asyncio_stream_abort(stream);
    }
    return err;
}

/* Refused, unreachable and silent ports are closed; any other error, such as a cancel, ends the scan. */
static bool means_closed(int err)
{
    return err == -ECONNREFUSED || err == -ETIMEDOUT || err == -EHOSTUNREACH || err == -ENETUNREACH ||
           err == -ECONNRESET;
}

ASYNC(try_port, struct scan *, scan, int, port)
{
    int err = asyncio_semaphore_acquire(&scan->places);
    if (err)
        return err;
    err = connect_to(scan, port);
    asyncio_semaphore_release(&scan->places);
    scan->done++;
    scan->is_open[port - scan->first] = err == 0;
    return means_closed(err) ? 0 : err;
}

/* Shows the progress on a terminal, ten times a second, until it is cancelled. */
ASYNC(show_progress, const struct scan *, scan)
{
    int total = scan->last - scan->first + 1, err;
    do {
        fprintf(stderr, "\r%d of %d ports", scan->done, total);
        err = asyncio_sleep(0.1);
    } while (!err);
    fprintf(stderr, "\r%d of %d ports\n", scan->done, total);
    return err;
}

static intptr_t try_all(struct scan *scan)
{
    asyncio_task_group group;
    intptr_t err;
    ASYNCIO_TASK_GROUP(group, err) {
        for (int port = scan->first; port <= scan->last; port++)
            asyncio_task_group_create_task(&group, try_port(scan, port));
    }
    return err;
}

ASYNC(async_main, struct scan *, scan)
{
    asyncio_task *progress = isatty(STDERR_FILENO) ? asyncio_create_task(show_progress(scan)) : NULL;
    intptr_t err = try_all(scan);
    if (progress) {
        asyncio_cancel(progress);
        asyncio_join(progress, NULL);
    }
    if (err)
        return err;
    for (int port = scan->first; port <= scan->last; port++)
        if (scan->is_open[port - scan->first])
            printf("%d is open\n", port);
    return 0;
}

int main(int argc, char *argv[])
{
    static bool is_open[65536];
    struct scan scan = {.places = ASYNCIO_SEMAPHORE_INIT(AT_A_TIME), .is_open = is_open};
    if (argc == 4) {
        scan.host = argv[1];
        scan.first = atoi(argv[2]);
        scan.last = atoi(argv[3]);
    }
    if (argc != 4 || scan.first < 1 || scan.last > 65535 || scan.first > scan.last) {
        fprintf(stderr, "usage: %s HOST FIRST LAST\n", argv[0]);
        return 2;
    }
    return asyncio_main(async_main(&scan));
}
