/*
 * Sends queries to PostgreSQL side by side, each over a connection of its own. Tasks wait
 * for the descriptors of a foreign library, libpq, and make its non-blocking calls.
 *
 *     24_postgres CONNINFO SECONDS QUERY ...
 *     24_postgres "host=/run/postgresql dbname=test" 5 "select 6 * 7" "select pg_sleep(60)"
 *
 * A query that takes longer than SECONDS is cancelled at the server, and so are all at
 * Ctrl-C. libpq blocks the program while it looks up a name: give it hostaddr, or the folder
 * of a Unix socket.
 */
#include <asyncio.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERIES_MAX 64

/* Returns libpq's message without the hints in its further lines. */
static int failed(const char *words)
{
    return (int)asyncio_raise(-EIO, "%.*s", (int)strcspn(words, "\n"), words);
}

/* Returns the events that came, or an error. libpq may open another descriptor at any time, and closes its
 * own. So the program asks for it each time, and asyncio_wait_fd leaves no registration. */
static int wait_for(PGconn *connection, int events)
{
    int fd = PQsocket(connection);
    return fd < 0 ? failed(PQerrorMessage(connection)) : asyncio_wait_fd(fd, events, ASYNCIO_FOREVER);
}

/* ---- One connection ---------------------------------------------------------------------- */

/* Completes a connection that was started. Returns 0 or an error. */
static int finish_connecting(PGconn *connection)
{
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    if (PQstatus(connection) == CONNECTION_BAD)
        return failed(PQerrorMessage(connection));
    while (wants == PGRES_POLLING_READING || wants == PGRES_POLLING_WRITING) {
        int ready = wait_for(connection, wants == PGRES_POLLING_READING ? POLLIN : POLLOUT);
        if (ready < 0)
            return ready;
        wants = PQconnectPoll(connection);
    }
    if (wants != PGRES_POLLING_OK || PQsetnonblocking(connection, 1) < 0)
        return failed(PQerrorMessage(connection));
    return 0;
}

/* A server that does not take the query may have something to say first. */
static int send_query(PGconn *connection, const char *query)
{
    int left = PQsendQuery(connection, query) ? PQflush(connection) : -1;
    while (left > 0) {
        int ready = wait_for(connection, POLLIN | POLLOUT);
        if (ready < 0)
            return ready;
        if (ready & POLLIN && !PQconsumeInput(connection))
            break;
        left = PQflush(connection);
    }
    return left ? failed(PQerrorMessage(connection)) : 0;
}

/* Returns the next result, or NULL when there are no more. */
static int next_result(PGconn *connection, PGresult **result)
{
    while (PQisBusy(connection)) {
        int ready = wait_for(connection, POLLIN);
        if (ready < 0)
            return ready;
        if (!PQconsumeInput(connection))
            return failed(PQerrorMessage(connection));
    }
    *result = PQgetResult(connection);
    return 0;
}

/* Text of others may not move our cursor. */
static void print_harmless(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 127 ? '?' : *text);
}

static void print_failure(int number, const char *words)
{
    printf("%d: ", number);
    print_harmless(words);
    puts("");
}

static void print_rows(int number, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        printf("%d:", number);
        for (int column = 0; column < PQnfields(result); column++) {
            fputs(column ? " | " : " ", stdout);
            print_harmless(PQgetvalue(result, row, column));
        }
        puts("");
    }
}

static int print_result(int number, const PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        print_rows(number, result);
        return 0;
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        return 0;
    case PGRES_FATAL_ERROR:
        return failed(PQresultErrorMessage(result));
    default: /* COPY */
        return failed("a query that this program has no use for");
    }
}

static int run_query(PGconn *connection, int number, const char *query)
{
    PGresult *result = NULL;
    int err = finish_connecting(connection);
    if (!err)
        err = send_query(connection, query);
    while (!err && (err = next_result(connection, &result)) == 0 && result) {
        err = print_result(number, result);
        PQclear(result);
    }
    return err;
}

/* ---- Cancelled ------------------------------------------------------------------------------ */

/* Uses a connection of its own, which libpq waits for. */
static intptr_t request_cancel(void *cancel)
{
    char words[256] = "";
    return PQcancel(cancel, words, sizeof words) ? 0 : failed(words);
}

/* Tells the server that nobody waits for the answer any more. Runs in a thread, to its end, even if cancels
 * come meanwhile. */
static void cancel_query(PGconn *connection, int number)
{
    if (PQtransactionStatus(connection) != PQTRANS_ACTIVE) /* it has no query yet */
        return;
    PGcancel *cancel = PQgetCancel(connection);
    if (!cancel)
        return;
    ASYNCIO_SHIELD_SCOPE
    {
        if (asyncio_to_thread(request_cancel, cancel) < 0)
            print_failure(number, asyncio_error_message());
    }
    PQfreeCancel(cancel);
}

ASYNC(answer, const char *, conninfo, double, seconds, int, number, const char *, query)
{
    PGconn *connection = PQconnectStart(conninfo);
    if (!connection)
        return -ENOMEM;
    int err;
    ASYNCIO_TIMEOUT(err, seconds)
    {
        err = run_query(connection, number, query);
    }
    if (err == -ETIMEDOUT)
        printf("%d: no answer within %g s\n", number, seconds);
    else if (err && err != -ECANCELED)
        print_failure(number, asyncio_error_message());
    if (err == -ETIMEDOUT || err == -ECANCELED)
        cancel_query(connection, number);
    PQfinish(connection);
    return err;
}

ASYNC(async_main, const char *, conninfo, double, seconds, int, count, char **, queries)
{
    asyncio_task *tasks[QUERIES_MAX] = {0};
    intptr_t results[QUERIES_MAX];
    int failures = 0;
    for (int i = 0; i < count; i++)
        tasks[i] = asyncio_create_task(answer(conninfo, seconds, i + 1, queries[i]));
    int err = asyncio_gather_settled_array(results, tasks, (size_t)count);
    for (int i = 0; i < count; i++)
        failures += results[i] < 0;
    if (!err && failures)
        err = (int)asyncio_raise(-EIO, "%d of %d queries failed", failures, count);
    return err;
}

int main(int argc, char *argv[])
{
    int count = argc - 3;
    if (count < 1 || count > QUERIES_MAX) {
        fprintf(stderr, "usage: %s CONNINFO SECONDS QUERY ... (at most %d)\n", argv[0], QUERIES_MAX);
        return 2;
    }
    return asyncio_main(async_main(argv[1], atof(argv[2]), count, argv + 3));
}
