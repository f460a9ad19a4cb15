/*
 * What the tests of TLS share: pairs of streams, one of them the server's, over a TCP
 * connection of this process.
 */
#ifndef TESTS_TLS_TLS_TEST_H
#define TESTS_TLS_TLS_TEST_H

#include "asyncio.h"
#include "asyncio/tls.h"
#include "support/harness.h"
#include "support/net.h"
#include "tls/certs.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Both sides of a connection: set up, connected, closed. */
struct pair {
    asyncio_tls_context *client_tls, *server_tls;
    asyncio_stream *client, *server;
    int client_err, server_err; /* of the handshakes */
    char server_words[400];     /* as last_words() */
    int fds[2];                 /* the client's, the server's */
};

/* Contexts: a server with server.pem, a client that trusts ca.pem. */
void pair_init(struct pair *pair);
/* Shakes hands, the client wanting `name`. Neither side has a stream where it failed. */
void pair_connect(struct pair *pair, const char *name);
/* The same, over descriptors that are there already. */
void pair_connect_over(struct pair *pair, const char *name);
/* Closes what is open, both at once. */
void pair_close(struct pair *pair);
/* And releases the contexts. */
void pair_destroy(struct pair *pair);

/* Makes one, or fails a check. */
asyncio_tls_context *new_client(const char *ca);
asyncio_tls_context *new_server(const char *certificate);

/* The stream of one side, which owns the descriptor if it fails, too. */
int connect_side(int fd, asyncio_tls_context *tls, const char *name, asyncio_stream **stream);

/* The last message; the port of an address in it is PORT: it is the kernel's choice. */
const char *last_words(void);

/* One message each way. */
void check_echo(struct pair *pair);

#endif
