/*
 * Servers from within: shared by the files that make listening sockets (server_start.c), accept and end
 * (servers.c), and serve clients (server_clients.c).
 */
#ifndef ASY_NET_SERVER_H
#define ASY_NET_SERVER_H

#include "asyncio/servers.h"
#include "core/quarantine.h"
#include "core/timer.h"
#include "fd/address.h"
#include "fd/fd_wait.h"
#include "fd/stream.h"
#include <sys/socket.h>

/* A server accepts at most so many connections before others run. */
#define ASY_ACCEPTS_AT_ONCE 64

struct listener {
    asyncio_server *server;
    int fd;
    struct fd_record *record;
    struct fd_waiter waiter;
};

struct asyncio_server {
    const char *what; /* asy_what_server; NULL: the owner has released it */
    asyncio_loop *loop;
    asyncio_client_handler handler;
    void *arg;
    asyncio_server_options options;
    asyncio_context *context; /* of the task that started it; each client gets a copy */
    uint32_t refs;            /* the owner's, each client's, each waiter's, a queued retry's */
    bool is_closed, is_retry_queued;
    bool is_served; /* a task is in serve_forever */
    struct fd_owner owner;
    struct listener *listeners;
    size_t listener_count, listener_room;
    struct list clients;
    size_t client_count;
    struct list waiters; /* tasks that wait for its close, or for the end of the last client */
    struct timer pause;  /* accepting goes on when it fires */
    char *path;          /* of a Unix socket, whose file is removed at the end */
    dev_t device;
    ino_t inode;
};

extern HIDDEN const char asy_what_server[];
/* First in each public call. */
static inline void asy_server_check(const asyncio_server *server, const char *call)
{
    asy_object_check(server->what, asy_what_server, server->loop, call);
}

/* Makes a server with room for so many listeners. */
int asy_server_new(asyncio_client_handler handler, void *arg, const asyncio_server_options *options,
                   size_t room, asyncio_server **out);
/* Adds a listening socket, which the server owns on success. */
int asy_server_add(asyncio_server *server, int fd);
void asy_server_begin(asyncio_server *server);
/* Removes the Unix socket's file, if it is still ours. */
void asy_server_unlink(asyncio_server *server);

/* ---- servers.c ------------------------------------------------------------------------ */
void asy_server_unref(asyncio_server *server);
/* Goes on accepting if there is room. */
void asy_server_watch(asyncio_server *server);
void asy_server_wake_waiters(asyncio_server *server);

/* ---- server_clients.c ----------------------------------------------------------------- */
/* The arguments of the task that serves the client. */
struct client {
    struct list node; /* among the server's clients */
    asyncio_server *server;
    struct stream_holder holder;
    asyncio_stream *stream;   /* NULL: the handler has closed or detached it */
    asyncio_task *task;       /* borrowed: the client ends with the task */
    const asyncio_site *site; /* of the handler's coroutine; NULL: none yet */
    union asy_peer peer;
    char *peer_path; /* its address as text, if a proxy has named a Unix socket; or NULL */
};

/* Begins to serve a connection. Takes its descriptor over, or closes it. 0 or a negative errno. */
int asy_client_begin(const struct listener *listener, int fd, const struct sockaddr_storage *peer);

#endif
