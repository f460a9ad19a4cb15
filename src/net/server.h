/*
 * Servers from within: shared by the files that make listening sockets (server_start.c), accept
 * (server_accept.c), end (servers.c), and serve clients (server_clients.c).
 */
#ifndef ASY_NET_SERVER_H
#define ASY_NET_SERVER_H

#include "asyncio/servers.h"
#include "asyncio/transports.h"
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
    bool needs_calls; /* completions have failed, and no call has succeeded since */
};

struct asyncio_server {
    const char *what; /* asy_what_server; NULL: the owner has released it */
    asyncio_loop *loop;
    asyncio_client_handler handler;
    asyncio_protocol_factory factory; /* of a server of protocols, which calls no handler; or NULL */
    void *arg;
    asyncio_server_options options;
    asyncio_context *context; /* of the task that started it; each client gets a copy */
    uint32_t refs;            /* the owner's, each client's, each waiter's, a queued retry's */
    bool is_closed, is_retry_queued;
    bool is_served; /* a task is in serve_forever */
    struct fd_owner owner;
    struct listener *listeners;
    size_t listener_count, listener_room;
    struct list clients;     /* with a task each */
    struct list parked;      /* the longest first */
    struct list connections; /* of struct connection: with a protocol */
    size_t client_count;     /* of all three */
    bool parks_none;         /* handlers were cancelled: a client that parks now is aborted */
    struct timer park_timer;
    struct list waiters;   /* tasks that wait for its close, or for the end of the last client */
    struct timer pause;    /* accepting goes on when it fires */
    struct spread *spread; /* over several loops (server_spread.h); NULL: this one alone */
    struct branch *branch; /* this one serves another loop's clients; NULL: it is the program's */
    char *path;            /* of a Unix socket, whose file is removed at the end */
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
/* The same for any loop, whose context is set later. NULL: no memory. */
asyncio_server *asy_server_alloc(asyncio_loop *loop, asyncio_client_handler handler, void *arg,
                                 const asyncio_server_options *options);
/* For so many listeners, once. 0 or -ENOMEM. */
int asy_server_make_room(asyncio_server *server, size_t room);
/* A listening socket, or a negative errno with a message. */
int asy_server_listen_on(const struct sockaddr *address, socklen_t length,
                         const asyncio_server_options *options);
/* Adds a listening socket, which the server owns on success. */
int asy_server_add(asyncio_server *server, int fd);
void asy_server_begin(asyncio_server *server);
/* Removes the Unix socket's file, if it is still ours. */
void asy_server_unlink(asyncio_server *server);

/* ---- servers.c ------------------------------------------------------------------------ */
void asy_server_unref(asyncio_server *server);
size_t asy_server_count_clients(const asyncio_server *server); /* on all its loops */
void asy_server_wake_waiters(asyncio_server *server);
/* What asyncio_server_close and its kin do, on this loop alone. err 0: the handlers read the end of their
 * input. Else each call on the clients' streams fails with it. */
void asy_server_close(asyncio_server *server);
void asy_server_end_clients(asyncio_server *server, int err);
void asy_server_cancel_handlers(asyncio_server *server);
/* A client has ended, here: there is room for another one. */
void asy_server_client_went(asyncio_server *server);

/* ---- server_accept.c ------------------------------------------------------------------ */
/* Goes on accepting if there is room. */
void asy_server_watch(asyncio_server *server);
/* Fires when a pause is over. */
void asy_server_resume_accepting(struct timer *timer);
/* May it accept by completions? */
bool asy_server_has_completions(const asyncio_server *server);
/* Accepts no more by completions for now: what has come that way is served. An error in that is told, and the
 * program may close the server then. */
void asy_server_end_completions(asyncio_server *server);
/* Accepts all that have come, although the loop is ending. */
void asy_server_accept_rest(asyncio_server *server);

/* ---- server_clients.c ----------------------------------------------------------------- */
/* A connection, from the accept until its stream is closed. A task serves it; or it is parked, and the server
 * waits for its input. */
struct client {
    struct list node;       /* among the server's clients, or among those that are parked */
    asyncio_server *server; /* NULL: the loop has closed, and the stream, when it is told, frees this */
    struct stream_holder holder;
    asyncio_stream *stream; /* NULL: the handler has closed or detached it */
    asyncio_task *task;     /* borrowed; NULL: parked */
    struct fd_waiter input; /* while parked */
    int64_t parked_until_ns;
};

/* Does a task serve its clients, or prepare them? Else each has a protocol from the first. */
static inline bool asy_server_has_tasks(const asyncio_server *server)
{
    return !server->factory || server->options.tls || server->options.proxy_protocol;
}
/* Begins to serve a connection. Takes its descriptor over, or closes it. 0 or a negative errno. */
int asy_client_begin(asyncio_server *server, const struct fd_record *listener, int fd,
                     const struct sockaddr_storage *peer);
/* Reports an error of a client, unless the client just went away. */
void asy_client_report(const struct client *client, intptr_t err, const char *message);
/* A task calls the handler, or sends what is queued and closes the stream. Without memory for one, the client
 * is aborted and reported. */
void asy_client_serve(struct client *client);
void asy_client_part(struct client *client);
/* Aborts its stream, if it has one, and ends it. */
void asy_client_abort(struct client *client);
/* It has ended: there is room for another one. Frees it. */
void asy_client_end(struct client *client);
/* A client of whatever sort has left the server. */
void asy_server_lose_client(asyncio_server *server);
/* The loop closes over it: no task of its runs any more. */
void asy_client_orphan(struct client *client);

/* ---- server_protocols.c --------------------------------------------------------------- */
/* A connection has a protocol from here on, in place of a task. Takes the stream over, or aborts it. 0 or a
 * negative errno. */
int asy_connection_begin(asyncio_server *server, asyncio_stream *stream);
/* End all of them: as _close of each does, or with -ECONNABORTED. */
void asy_server_close_connections(asyncio_server *server);
void asy_server_abort_connections(asyncio_server *server);
/* Ends the one that began last: as _close does, or with err, unless that is 0. */
void asy_server_end_last_connection(asyncio_server *server, int err);
/* The loop closes, and tells the transports after this. */
void asy_server_orphan_connections(asyncio_server *server);

/* ---- server_parked.c ------------------------------------------------------------------ */
/* The handler has returned ASYNCIO_PARK, and the client has a stream. False: it must be aborted, after a
 * report if that is due. */
bool asy_client_park(struct client *client);
/* The stream of a parked one goes its own way: ends the client. */
void asy_client_leave_park(struct client *client);
/* End all that are parked: after what they have queued is sent, or at once. */
void asy_server_close_parked(asyncio_server *server);
void asy_server_abort_parked(asyncio_server *server);
/* Fires when the first parked one has been idle for too long. */
void asy_server_park_timed_out(struct timer *timer);

#endif
