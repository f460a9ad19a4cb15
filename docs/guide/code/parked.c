/* A server whose idle clients have no task; what belongs to a client is kept with its stream. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct account {
    int requests;
};

/* The connection is closed, the stream about to be freed. May not wait. */
static void drop_account(void *data)
{
    struct account *account = data;
    printf("a client has left; its requests: %d\n", account->requests);
    free(account);
}

static struct account *account_of(asyncio_stream *stream)
{
    struct account *account = asyncio_stream_data(stream);
    if (account)
        return account;
    account = calloc(1, sizeof *account);
    if (account)
        asyncio_stream_set_data(stream, account, drop_account);
    return account;
}

/* One request, and one task for it. */
ASYNC(answer, asyncio_stream *, stream)
{
    struct account *account = account_of(stream);
    char *line;
    ssize_t n = account ? asyncio_stream_readline(stream, &line) : -ENOMEM;
    if (n <= 0)
        return n; /* the end of a client, or an error */
    int err = asyncio_stream_printf(stream, "answer %d\n", ++account->requests);
    return err ? err : ASYNCIO_PARK; /* until the client says more */
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer(stream);
}

static int ask(asyncio_stream *stream)
{
    char *line;
    int err = asyncio_stream_printf(stream, "a question\n");
    ssize_t n = err ? err : asyncio_stream_readline(stream, &line);
    if (n > 0)
        fputs(line, stdout);
    return n < 0 ? (int)n : 0;
}

ASYNC(async_main)
{
    asyncio_server_options options = {.park_timeout = 60}; /* idle for longer: closed */
    asyncio_server *server;
    asyncio_stream *first, *second;
    int err = asyncio_start_server(handler, NULL, "127.0.0.1", 0, &options, &server);
    if (err)
        return err;
    err = asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &first);
    if (!err)
        err = asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &second);
    if (err)
        return err;
    ask(first);
    ask(second);
    printf("tasks: %zu\n", asyncio_all_tasks(NULL, 0)); /* this one */
    ask(first);
    asyncio_server_close_clients(server);
    asyncio_stream_close(first);
    asyncio_stream_close(second);
    asyncio_server_release(server);
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
