/*
 * A pool of connections, keyed by host and port, and many HTTP requests through it.
 *
 *     25_connection_pool REQUESTS SECONDS HOST:PORT ...
 *     25_connection_pool 1000 5 localhost:8080 localhost:8081
 *
 * At most CONNECTIONS_MAX a server, busy and idle ones together; more requests wait for a place.
 * SECONDS are for a whole request, the wait for a place included. A server closes idle
 * connections as it likes, so the pool asks whether one is still good, and a request that
 * meets the end before the first byte of its answer is sent again: GET may be.
 */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECTIONS_MAX 4
#define TASKS 20
#define SITES_MAX 16
#define IDLE_S 10.0 /* then the pool closes a connection by itself */

/* ---- The pool ------------------------------------------------------------------------------ */

/* One connection: the data of its stream. */
struct connection {
    struct connection *next; /* while idle */
    asyncio_stream *stream;
    struct site *site;
    double idle_since;
    bool is_used; /* for a request before this one */
};

/* A server by its key. A request that has a place has a connection, or is about to. */
struct site {
    char host[256];
    int port;
    asyncio_semaphore places;
    struct connection *idle; /* the last one used is the first one taken: the others may grow old */
    size_t opened;
};

struct pool {
    struct site sites[SITES_MAX];
    size_t count;
};

static struct site *find_site(struct pool *pool, const char *host, int port)
{
    for (size_t i = 0; i < pool->count; i++)
        if (pool->sites[i].port == port && strcasecmp(pool->sites[i].host, host) == 0)
            return &pool->sites[i];
    if (pool->count == SITES_MAX || strlen(host) >= sizeof pool->sites->host)
        return NULL;
    struct site *site = &pool->sites[pool->count++];
    *site = (struct site){.port = port};
    memcpy(site->host, host, strlen(host) + 1);
    asyncio_semaphore_init(&site->places, CONNECTIONS_MAX);
    return site;
}

static int open_one(struct site *site, struct connection **out)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return -ENOMEM;
    int err = asyncio_open_connection(site->host, site->port, NULL, &connection->stream);
    if (err) {
        free(connection);
        return err;
    }
    asyncio_stream_set_data(connection->stream, connection, free);
    connection->site = site;
    site->opened++;
    *out = connection;
    return 0;
}

static struct connection *take_idle(struct site *site)
{
    struct connection *connection;
    while ((connection = site->idle)) {
        site->idle = connection->next;
        connection->is_used = true;
        if (asyncio_stream_is_idle(connection->stream))
            return connection;
        asyncio_stream_close(connection->stream); /* ended, or it says what nobody asked for */
    }
    return NULL;
}

/* Waits for a place, and takes a connection that is idle and good, or opens one. 0 or an error. */
static int pool_get(struct pool *pool, const char *host, int port, struct connection **out)
{
    struct site *site = find_site(pool, host, port);
    if (!site)
        return -E2BIG;
    int err = asyncio_semaphore_acquire(&site->places);
    if (err)
        return err;
    if ((*out = take_idle(site)))
        return 0;
    err = open_one(site, out);
    if (err)
        asyncio_semaphore_release(&site->places);
    return err;
}

/* Gives a connection back. Only one whose answer was read to its end can serve another request. */
static void pool_put(struct connection *connection, bool is_good)
{
    struct site *site = connection->site;
    if (is_good) {
        connection->idle_since = asyncio_time();
        connection->next = site->idle;
        site->idle = connection;
    } else {
        asyncio_stream_abort(connection->stream);
    }
    asyncio_semaphore_release(&site->places);
}

/* Closes what has been idle since then: the end of the list, since its order is that of time. */
static void close_idle(struct pool *pool, double since)
{
    for (size_t i = 0; i < pool->count; i++) {
        struct connection **link = &pool->sites[i].idle, *connection;
        while (*link && (*link)->idle_since > since)
            link = &(*link)->next;
        connection = *link;
        *link = NULL;
        while (connection) {
            struct connection *next = connection->next;
            asyncio_stream_close(connection->stream);
            connection = next;
        }
    }
}

ASYNC(watch_idle, struct pool *, pool)
{
    int err;
    while ((err = asyncio_sleep(IDLE_S / 4)) == 0)
        close_idle(pool, asyncio_time() - IDLE_S);
    return err;
}

/* ---- A request ----------------------------------------------------------------------------- */

/* Reads a head's fields. Returns the length of the body, or an error. */
static ssize_t read_fields(asyncio_stream *stream, bool *stays)
{
    char *line;
    ssize_t n, length = -1;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        if (line[0] == '\r' || line[0] == '\n')
            return length < 0 ? asyncio_raise(-EBADMSG, "an answer without a length") : length;
        if (strncasecmp(line, "content-length:", 15) == 0)
            length = strtol(line + 15, NULL, 10);
        else if (strncasecmp(line, "connection: close", 17) == 0)
            *stays = false;
    }
    return n ? n : ASYNCIO_EINCOMPLETE;
}

static int skip(asyncio_stream *stream, ssize_t n)
{
    char buf[4096];
    ssize_t got = 1;
    for (; n > 0 && got > 0; n -= got)
        got = asyncio_stream_read(stream, buf, n < (ssize_t)sizeof buf ? (size_t)n : sizeof buf);
    return got < 0 ? (int)got : n ? ASYNCIO_EINCOMPLETE : 0;
}

/* Returns the status, or an error. -EPIPE: the end came before any answer. */
static int ask(struct connection *connection, bool *stays)
{
    asyncio_stream *stream = connection->stream;
    char *line;
    int status, err = asyncio_stream_printf(stream, "GET / HTTP/1.1\r\nHost: %s:%d\r\n\r\n",
                                            connection->site->host, connection->site->port);
    ssize_t n = err ? err : asyncio_stream_readline(stream, &line);
    if (n <= 0)
        return n == 0 || n == -ECONNRESET ? -EPIPE : (int)n;
    if (sscanf(line, "HTTP/1.1 %d", &status) != 1)
        return (int)asyncio_raise(-EBADMSG, "no answer of HTTP/1.1");
    *stays = true;
    n = read_fields(stream, stays);
    err = n < 0 ? (int)n : skip(stream, n);
    return err ? err : status;
}

/* Each failure of a used connection is one connection less, so this ends. */
static int get(struct pool *pool, const char *host, int port)
{
    for (;;) {
        struct connection *connection;
        bool stays = false;
        int err = pool_get(pool, host, port, &connection);
        if (err)
            return err;
        int status = ask(connection, &stays);
        bool was_used = connection->is_used;
        pool_put(connection, status > 0 && stays);
        if (status != -EPIPE || !was_used)
            return status;
    }
}

/* ---- Many requests ------------------------------------------------------------------------- */

struct work {
    struct pool pool;
    char **targets;
    int target_count, left, good, failed;
    double seconds;
};

/* Splits "host:port" at its last colon. */
static int port_of(const char *target, char *host, size_t size)
{
    const char *colon = strrchr(target, ':');
    if (!colon || (size_t)(colon - target) >= size)
        return -EINVAL;
    memcpy(host, target, (size_t)(colon - target));
    host[colon - target] = '\0';
    return atoi(colon + 1);
}

ASYNC(send_requests, struct work *, work)
{
    while (work->left > 0) {
        char host[256];
        int port = port_of(work->targets[--work->left % work->target_count], host, sizeof host), status;
        ASYNCIO_TIMEOUT(status, work->seconds) {
            status = get(&work->pool, host, port);
        }
        if (status == -ECANCELED)
            return status;
        if (status < 0)
            fprintf(stderr, "%s:%d: %s\n", host, port,
                    status == -ETIMEDOUT ? "no answer in time" : asyncio_error_message());
        *(status == 200 ? &work->good : &work->failed) += 1;
    }
    return 0;
}

ASYNC(send_all, struct work *, work)
{
    asyncio_task_group group;
    int err = 0;
    ASYNCIO_TASK_GROUP(group, err) {
        for (int i = 0; i < TASKS; i++)
            asyncio_task_group_create_task(&group, send_requests(work));
    }
    return err;
}

ASYNC(async_main, int, count, char **, words)
{
    struct work work = {
        .targets = words + 2, .target_count = count - 2, .left = atoi(words[0]), .seconds = atof(words[1])};
    asyncio_task *watcher = asyncio_create_task(watch_idle(&work.pool));
    int err = (int)asyncio_await(send_all(&work));
    asyncio_cancel(watcher);
    asyncio_await(watcher);
    printf("%d answers\n", work.good);
    for (size_t i = 0; i < work.pool.count; i++)
        printf("%s:%d: %zu connections\n", work.pool.sites[i].host, work.pool.sites[i].port,
               work.pool.sites[i].opened);
    close_idle(&work.pool, ASYNCIO_FOREVER);
    return err || !work.failed ? err : (int)asyncio_raise(-EIO, "%d requests have failed", work.failed);
}

int main(int argc, char **argv)
{
    char host[256];
    bool is_right = argc > 3;
    for (int i = 3; i < argc; i++)
        is_right = is_right && port_of(argv[i], host, sizeof host) > 0;
    if (!is_right) {
        fprintf(stderr, "usage: %s REQUESTS SECONDS HOST:PORT ...\n", argv[0]);
        return 2;
    }
    return asyncio_main(async_main(argc - 1, argv + 1));
}
