/*
 * Fetches many URLs, twenty at a time, each within a limit of time. libcurl's multi interface names the
 * sockets that it waits for, and a time; our loop does the waiting.
 *
 *     27_curl SECONDS URL ...
 *     xargs 27_curl 10 <urls.txt
 *
 * Prints a line for each as it ends: "URL: STATUS, N bytes", or what went wrong. The status is 1 if something
 * did. Needs libcurl 7.85 or later.
 */
#include <asyncio.h>
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define AT_A_TIME 20
#define REDIRECTS_MAX 5
#define BODY_BYTES_MAX (64 << 20)

/* ---- The bridge --------------------------------------------------------------------------------
 *
 * libcurl waits for nothing by itself. It calls watch_socket and set_timer to say what it wants to be told,
 * and is told by curl_multi_socket_action.
 */

struct bridge {
    CURLM *multi;
    asyncio_loop *loop;
    asyncio_handle timer;
};

/* A socket that libcurl is interested in. */
struct watch {
    struct bridge *bridge;
    curl_socket_t fd;
};

/* One URL. It lives in the frame of the task that waits for it. */
struct transfer {
    CURL *easy;
    asyncio_event is_over;
    CURLcode result;
    char words[CURL_ERROR_SIZE]; /* what went wrong, or "" */
    size_t body_length;
};

/* Tells libcurl that something happened to `fd`. Each transfer that has ended wakes its task. */
static void drive(struct bridge *bridge, curl_socket_t fd, int events)
{
    int running, left;
    CURLMcode code = curl_multi_socket_action(bridge->multi, fd, events, &running);
    if (code) /* out of memory: transfers that now hang end when their time is over */
        fprintf(stderr, "libcurl: %s\n", curl_multi_strerror(code));
    CURLMsg *message;
    while ((message = curl_multi_info_read(bridge->multi, &left))) {
        struct transfer *transfer;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        transfer->result = message->data.result;
        asyncio_event_set(&transfer->is_over);
    }
}

static void on_readable(void *arg)
{
    struct watch *watch = arg;
    drive(watch->bridge, watch->fd, CURL_CSELECT_IN);
}

static void on_writable(void *arg)
{
    struct watch *watch = arg;
    drive(watch->bridge, watch->fd, CURL_CSELECT_OUT);
}

static void on_timeout(void *arg)
{
    struct bridge *bridge = arg;
    bridge->timer = (asyncio_handle){0};
    drive(bridge, CURL_SOCKET_TIMEOUT, 0);
}

static int update_watch(struct watch *watch, int what)
{
    asyncio_loop *loop = watch->bridge->loop;
    int err = 0;
    if (what & CURL_POLL_IN)
        err = asyncio_loop_add_reader(loop, watch->fd, on_readable, watch);
    if (!err && what & CURL_POLL_OUT)
        err = asyncio_loop_add_writer(loop, watch->fd, on_writable, watch);
    if (!(what & CURL_POLL_IN))
        asyncio_loop_remove_reader(loop, watch->fd);
    if (!(what & CURL_POLL_OUT))
        asyncio_loop_remove_writer(loop, watch->fd);
    return err;
}

static void stop_watch(struct watch *watch)
{
    asyncio_loop_remove_reader(watch->bridge->loop, watch->fd);
    asyncio_loop_remove_writer(watch->bridge->loop, watch->fd);
    free(watch);
}

/* libcurl calls this; with CURL_POLL_REMOVE before it closes the socket. `assigned` is NULL the first time. A
 * result of -1 ends all transfers. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
    struct bridge *bridge = arg;
    struct watch *watch = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            stop_watch(watch);
        return 0;
    }
    if (!watch) {
        watch = malloc(sizeof *watch);
        if (!watch)
            return -1;
        *watch = (struct watch){bridge, fd};
        curl_multi_assign(bridge->multi, fd, watch);
    }
    return update_watch(watch, what) ? -1 : 0;
}

/* libcurl calls this to set its one timer. The call must not report a timeout back to libcurl, not even for a
 * time of 0: a callback of the loop does that later. */
static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct bridge *bridge = arg;
    (void)multi;
    asyncio_handle_cancel(bridge->loop, bridge->timer);
    bridge->timer = (asyncio_handle){0};
    if (timeout_ms < 0)
        return 0;
    bridge->timer = asyncio_loop_call_later(bridge->loop, (double)timeout_ms / 1000, on_timeout, bridge);
    return asyncio_handle_valid(bridge->timer) ? 0 : -1;
}

static int open_bridge(struct bridge *bridge)
{
    *bridge = (struct bridge){.multi = curl_multi_init(), .loop = asyncio_get_running_loop()};
    if (!bridge->multi)
        return -ENOMEM;
    curl_multi_setopt(bridge->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(bridge->multi, CURLMOPT_SOCKETDATA, bridge);
    curl_multi_setopt(bridge->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(bridge->multi, CURLMOPT_TIMERDATA, bridge);
    return 0;
}

/* Closes the connections that libcurl kept for others. No transfer is left. */
static void close_bridge(struct bridge *bridge)
{
    curl_multi_cleanup(bridge->multi);
    asyncio_handle_cancel(bridge->loop, bridge->timer);
}

/* Waits until the transfer has ended, well or not. A cancel ends it. */
static int run_transfer(struct bridge *bridge, struct transfer *transfer)
{
    CURLMcode code = curl_multi_add_handle(bridge->multi, transfer->easy);
    if (code)
        return (int)asyncio_raise(-EIO, "%s", curl_multi_strerror(code));
    int err = asyncio_event_wait(&transfer->is_over);
    curl_multi_remove_handle(bridge->multi, transfer->easy);
    if (err || !transfer->result)
        return err;
    return (int)asyncio_raise(-EIO, "%s",
                              *transfer->words ? transfer->words : curl_easy_strerror(transfer->result));
}

/* ---- A URL ------------------------------------------------------------------------------------- */

/* A program would keep the body here. This one counts its bytes. */
static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *transfer = arg;
    (void)data;
    transfer->body_length += size * n;
    return transfer->body_length > BODY_BYTES_MAX ? 0 : size * n; /* 0: the transfer fails */
}

static int set_options(struct transfer *transfer, const char *url)
{
    CURL *easy = transfer->easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, url); /* copied: there may be no memory */
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https"); /* file: would block */
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->words);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L); /* 400 and above */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* giving up does not wait for a name server */
#endif
    return code ? (int)asyncio_raise(-EINVAL, "%s", curl_easy_strerror(code)) : 0;
}

/* The status of the answer, or an error with its message. */
static int fetch(struct bridge *bridge, const char *url, double seconds, size_t *body_length)
{
    struct transfer transfer = {.easy = curl_easy_init(), .is_over = ASYNCIO_EVENT_INIT};
    if (!transfer.easy)
        return -ENOMEM;
    long status = 0;
    int err = set_options(&transfer, url);
    if (!err) {
        ASYNCIO_TIMEOUT(err, seconds)
        {
            err = run_transfer(bridge, &transfer);
        }
    }
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(transfer.easy);
    *body_length = transfer.body_length;
    return err ? err : (int)status;
}

/* ---- All of them ------------------------------------------------------------------------------- */

struct work {
    struct bridge bridge;
    char **urls; /* those that nobody has begun with; a NULL at the end */
    double seconds;
    int failures;
};

/* There are twenty of these. An error ends its URL and nothing else. */
ASYNC(fetch_urls, struct work *, work)
{
    while (*work->urls) {
        const char *url = *work->urls++;
        size_t body_length;
        int status = fetch(&work->bridge, url, work->seconds, &body_length);
        if (status == -ECANCELED)
            return status;
        if (status == -ETIMEDOUT)
            printf("%s: no answer within %g s\n", url, work->seconds);
        else if (status < 0)
            printf("%s: %s\n", url, asyncio_error_message());
        else
            printf("%s: %d, %zu bytes\n", url, status, body_length);
        work->failures += status < 0;
    }
    return 0;
}

ASYNC(async_main, char **, urls, double, seconds)
{
    struct work work = {.urls = urls, .seconds = seconds};
    asyncio_task_group group;
    int err = open_bridge(&work.bridge);
    if (err)
        return err;
    ASYNCIO_TASK_GROUP(group, err)
    {
        for (int i = 0; i < AT_A_TIME; i++)
            asyncio_task_group_create_task(&group, fetch_urls(&work));
    }
    close_bridge(&work.bridge);
    if (!err && work.failures)
        err = (int)asyncio_raise(-EIO, "%d failed", work.failures);
    return err;
}

int main(int argc, char *argv[])
{
    double seconds = argc > 2 ? atof(argv[1]) : 0;
    if (!(seconds > 0)) {
        fprintf(stderr, "usage: %s SECONDS URL ...\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes with write(2); CURLOPT_NOSIGNAL leaves this to us */
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
        fputs("no libcurl\n", stderr);
        return 1;
    }
    int status = asyncio_main(async_main(argv + 2, seconds));
    curl_global_cleanup();
    return status;
}
