/*
 * Broadcast: whoever connects gets each line of the standard input from then on.
 *
 *     26_broadcast [PORT]
 *
 * Try it: (while date; do sleep 1; done) | 26_broadcast 8026, and nc localhost 8026, many
 * times. It ends with its input, and at Ctrl-C.
 *
 * One task writes to all, and no client has a task of its own: clients are parked, and a write
 * that would wait is refused instead. The policy for slow ones: a client that is more than
 * BEHIND_BYTES behind what the kernel holds for it is dropped, and its connection reset, so that
 * it knows. So a client costs at most BEHIND_BYTES and one line here, and SEND_BYTES, doubled, in
 * the kernel; its writer never waits for it.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BEHIND_BYTES 16384
#define SEND_BYTES 16384 /* of a socket; else the kernel lets it grow to megabytes */
#define LINE_BYTES_MAX 8192
#define GRACE_S 2.0

struct subscriber {
    struct subscriber *next, **link; /* what points to this one */
    struct station *station;
    asyncio_stream *stream;
};

struct station {
    struct subscriber *first;
    size_t clients, clients_most;
    size_t lines, dropped;
    size_t queued_most; /* bytes of all clients, after a line */
};

/* ---- Subscribers --------------------------------------------------------------------------- */

/* The stream's data: this is called when its connection has ended, for whatever reason. */
static void leave(void *data)
{
    struct subscriber *subscriber = data;
    *subscriber->link = subscriber->next;
    if (subscriber->next)
        subscriber->next->link = subscriber->link;
    subscriber->station->clients--;
    free(subscriber);
}

static int enter(struct station *station, asyncio_stream *stream)
{
    struct subscriber *subscriber = malloc(sizeof *subscriber);
    if (!subscriber)
        return -ENOMEM;
    *subscriber = (struct subscriber){station->first, &station->first, station, stream};
    if (station->first)
        station->first->link = &subscriber->next;
    station->first = subscriber;
    if (++station->clients > station->clients_most)
        station->clients_most = station->clients;
    asyncio_stream_set_data(stream, subscriber, leave);
    return 0;
}

/* Runs when a client comes, and again when something comes from it: its end, or words that nobody reads. */
ASYNC(receive, asyncio_stream *, stream, struct station *, station)
{
    char ignored[256];
    if (!asyncio_stream_data(stream)) {
        int err = enter(station, stream);
        return err ? err : ASYNCIO_PARK;
    }
    ssize_t n = asyncio_stream_read(stream, ignored, sizeof ignored);
    return n > 0 ? ASYNCIO_PARK : n;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    return receive(stream, arg);
}

/* ---- The writer ---------------------------------------------------------------------------- */

/* Never waits, so the list changes only by its own hand: an abort takes one away. */
static void broadcast(struct station *station, const char *line, size_t n)
{
    size_t queued = 0;
    struct subscriber *next;
    for (struct subscriber *each = station->first; each; each = next) {
        next = each->next;
        int err = asyncio_stream_write_nowait(each->stream, line, n);
        if (!err) {
            queued += asyncio_stream_queued(each->stream);
            continue;
        }
        station->dropped += err == -EAGAIN || err == -ENOMEM; /* the others have gone by themselves */
        asyncio_stream_abort(each->stream);
    }
    station->lines++;
    if (queued > station->queued_most)
        station->queued_most = queued;
}

/* Returns 0 at the end of the input, or an error. */
static int write_lines(struct station *station, asyncio_stream *in)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(in, &line)) > 0) {
        broadcast(station, line, (size_t)n);
        int err = asyncio_sleep(0); /* streams send what is queued, even while the input never waits */
        if (err)
            return err;
    }
    return (int)n;
}

/* ---- The server ---------------------------------------------------------------------------- */

/* Clients inherit it from the socket that listens. */
static int bound_buffer(int fd, void *arg)
{
    int bytes = SEND_BYTES;
    (void)arg;
    return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) ? -errno : 0;
}

static int serve(struct station *station, asyncio_stream *in, int port)
{
    asyncio_server_options options = {.backlog = 4096, .write_limit = BEHIND_BYTES, .setup = bound_buffer};
    asyncio_server *server;
    int err = asyncio_start_server(handler, station, "localhost", port, &options, &server);
    if (err)
        return err;
    printf("listening on port %d\n", asyncio_server_port(server));
    fflush(stdout);
    err = write_lines(station, in);
    asyncio_server_close(server);
    asyncio_server_close_clients(server); /* what is queued is sent, for a while */
    asyncio_server_wait_closed(server, GRACE_S);
    asyncio_server_release(server);
    return err;
}

ASYNC(async_main, int, port)
{
    struct station station = {NULL};
    asyncio_connect_options options = {.limit = LINE_BYTES_MAX};
    asyncio_stream *in;
    int err = asyncio_open_pipe(STDIN_FILENO, &options, &in);
    if (err)
        return err;
    err = serve(&station, in, port);
    asyncio_stream_close(in);
    printf("%zu lines; %zu clients at most, %zu dropped; %zu bytes queued at most\n", station.lines,
           station.clients_most, station.dropped, station.queued_most);
    return err;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max; /* a descriptor for each client */
    setrlimit(RLIMIT_NOFILE, &limit);
    return asyncio_main(async_main(argc > 1 ? atoi(argv[1]) : 8026));
}
