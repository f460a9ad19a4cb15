/*
 * A replicated store: three nodes keep the same log of puts and gets, and clients see one store, which is
 * there as long as two of the nodes are. It is Raft in small (raft.github.io has the paper): elections,
 * replication, commits by majority; no snapshots, no changes of membership.
 *
 * Nodes and clients speak lines over TCP, a request and its answer:
 *
 *     put KEY VALUE | get KEY                   done VALUE | ask ID | lost
 *     vote TERM ID LAST_TERM LAST               TERM IS_GRANTED
 *     append TERM ID PREV_TERM PREV COMMIT N    TERM IS_DONE LAST
 *     and N lines TERM KEY VALUE
 */
#ifndef EXAMPLES_32_STORE_H
#define EXAMPLES_32_STORE_H

#include <asyncio.h>

#define STORE_NODES 3
#define STORE_MAJORITY (STORE_NODES / 2 + 1)
#define STORE_KEY_BYTES 16
#define STORE_LOG_MAX 256
#define STORE_LINE_BYTES 80

/* A put, or a get, which has its place among the puts: that makes it a read of the latest value. */
struct store_entry {
    unsigned term; /* of the leader that has made it. A term and a place stand for one entry */
    char key[STORE_KEY_BYTES];
    int value; /* > 0; 0: a get */
};

/* What a node has to know after a crash. */
struct store_state {
    unsigned term; /* the latest that it has heard of */
    int vote;      /* the node that it has voted for in that term; 0: none yet */
    unsigned last; /* the number of entries; they are counted from 1 */
    struct store_entry log[STORE_LOG_MAX];
};

/* What a node needs of the program around it. */
struct store_config {
    int id; /* 1 .. STORE_NODES */
    asyncio_address nodes[STORE_NODES];
    unsigned short dice[3]; /* the seed of its patience. Nodes that are alike stand for election together */
    void *arg;
    void (*load)(struct store_state *state, void *arg);
    /* Keeps the state, or, if it fails, the one before. May suspend. 0 or an error. */
    int (*save)(const struct store_state *state, void *arg);
    /* Is told that the node leads. */
    void (*lead)(unsigned term, void *arg);
};

/* Runs a node until it is cancelled, or its disk fails. */
ASYNC_DECLARE(store_node, const struct store_config *, config);

/* A client. It finds the leader by itself. */
struct store_client {
    asyncio_address nodes[STORE_NODES];
    int leader; /* 0: not known */
    int tries;
};

/* Puts a value > 0. 0: it is there. After an error nobody knows: it may be there now, or soon, or never.
 * Suspends. */
int store_put(struct store_client *client, const char *key, int value);
/* Returns the value of a key, 0 if it has none, or an error. Suspends. */
int store_get(struct store_client *client, const char *key);

/* Reads a line in whole: half a number is another number. *line is the stream's. 0 or an error. Suspends. */
int store_read_line(asyncio_stream *stream, char **line);
/* Sends a request and reads the answer's line. *stream NULL: opens a connection first; if it is NULL after
 * an error, nothing was sent. 0 or an error, -ETIMEDOUT after so many seconds. Suspends. */
int store_ask(const asyncio_address *node, asyncio_stream **stream, const char *request, char **answer,
              double seconds);

#endif
