/*
 * The client of the replicated store. Nothing here knows of a simulation.
 */
#include "32_store.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_S 1.0   /* that one node may take */
#define REQUEST_S 2.0  /* that all tries may take together, but for the last one */
#define PAUSE_S 0.02   /* between tries */

int store_read_line(asyncio_stream *stream, char **line)
{
    ssize_t n = asyncio_stream_readuntil(stream, "\n", 1, line);
    return n < 0 ? (int)n : 0;
}

int store_ask(const asyncio_address *node, asyncio_stream **stream, const char *request, char **answer,
              double seconds)
{
    int err;
    ASYNCIO_TIMEOUT(err, seconds) {
        if (!*stream)
            err = asyncio_open_connection(node->host, node->port, NULL, stream);
        if (!err)
            err = asyncio_stream_write(*stream, request, strlen(request));
        if (!err)
            err = store_read_line(*stream, answer);
    }
    return err;
}

/* Asks one node. Returns the value; -EAGAIN: the node has not got the request, or does not lead, so it may be
 * sent again; another error: nobody knows what becomes of it. */
static int ask_once(struct store_client *client, const char *request)
{
    asyncio_stream *stream = NULL;
    char *answer;
    int value;
    if (client->leader < 1 || client->leader > STORE_NODES)
        client->leader = client->tries++ % STORE_NODES + 1;
    int err = store_ask(&client->nodes[client->leader - 1], &stream, request, &answer, ANSWER_S);
    if (!err && sscanf(answer, "done %d", &value) == 1)
        err = value;
    else if (!err && sscanf(answer, "ask %d", &client->leader) == 1)
        err = -EAGAIN;
    else {
        client->leader = 0;
        err = !err ? -EIO : !stream && err != -ECANCELED ? -EAGAIN : err;
    }
    asyncio_stream_abort(stream);
    return err;
}

static int ask_leader(struct store_client *client, const char *request)
{
    double end = asyncio_time() + REQUEST_S;
    int value;
    while ((value = ask_once(client, request)) == -EAGAIN && asyncio_time() < end) {
        int err = asyncio_sleep(PAUSE_S);
        if (err)
            return err;
    }
    return value;
}

int store_put(struct store_client *client, const char *key, int value)
{
    char request[STORE_LINE_BYTES];
    snprintf(request, sizeof request, "put %s %d\n", key, value);
    int done = ask_leader(client, request);
    return done < 0 ? done : 0;
}

int store_get(struct store_client *client, const char *key)
{
    char request[STORE_LINE_BYTES];
    snprintf(request, sizeof request, "get %s\n", key);
    return ask_leader(client, request);
}
