/*
 * Servers: listening sockets, and a task for each client.
 *
 *     ASYNC(echo, asyncio_stream *, stream)
 *     {
 *         char buf[4096];
 *         ssize_t n;
 *         while ((n = asyncio_stream_read(stream, buf, sizeof buf)) > 0)
 *             asyncio_stream_write(stream, buf, (size_t)n);
 *         return n;
 *     }
 *     static asyncio_coro *handler(asyncio_stream *stream, void *arg)
 *     {
 *         return echo(stream);
 *     }
 *
 * A server owns its handlers as a task group does. The failure of one is reported, with the peer's address,
 * and harms nobody else; -ECANCELED, -EPIPE and -ECONNRESET are not reported. The stream is the server's
 * until its handler has ended. Then the server closes it, unless the handler did: it flushes the stream if
 * the handler returned >= 0, else it aborts it. A client that takes none of the flushed bytes is cut off
 * after the close timeout, and reported.
 *
 * A handler that has nothing to do until its client says more may return ASYNCIO_PARK. The server then keeps
 * the stream without a task or a stack, and calls the handler anew, with the same stream and arg, when there
 * is something to read: bytes, the end, or an error. (With TLS: when there is something for the program.)
 *
 *     ASYNC(answer, asyncio_stream *, stream)
 *     {
 *         char *line;
 *         ssize_t n = asyncio_stream_readline(stream, &line);
 *         int err = n > 0 ? asyncio_stream_write(stream, line, (size_t)n) : 0;
 *         return n <= 0 ? n : err ? err : ASYNCIO_PARK;
 *     }
 *
 * Bytes that the handler has left unread count as input, and so do an end that it has seen and a connection
 * that has failed: it is called anew in the next turn, and again for as long as it parks on top of them. What
 * belongs to the connection is kept with asyncio_stream_set_data. What is queued goes on being sent. A line
 * that was handed out ends with the handler. From a stream that was closed or detached, ASYNCIO_PARK is 0. No
 * task may be reading the stream: the connection is aborted, and that is reported (ASYNCIO_ESTATE). Each call
 * begins with a fresh copy of the context of the task that started the server.
 *
 * A parked client counts for max_connections and asyncio_server_wait_closed. asyncio_server_close_clients
 * closes it, after what it has queued is sent; it is aborted after the grace, by _abort_clients, by _release,
 * when the loop closes, and when something comes from it while asyncio_run shuts down.
 *
 * With the option `loops` the clients are served on all loops of an asyncio_run_loops, of which the calling
 * one is one. The handler and its stream are of the loop that has the client, as is all that the handler
 * makes; several handlers run at a time, one on each loop, so `arg` is shared, and lives until
 * asyncio_server_wait_closed has returned 0 or asyncio_run_loops has returned. The option `spread` says which
 * loop that is: 0, the least busy, with the fewest clients of servers and calls that have not begun; 1, each
 * in turn; 2, the one that the kernel chooses, by a listening socket on each loop (SO_REUSEPORT), which only
 * asyncio_start_server can make. With 0 and 1 one loop accepts, and hands the bare descriptor over. A loop
 * that ends takes no more clients; those that wait for it go to others. The server's own calls are for the
 * loop that has started it, and are about the clients of all loops; when that loop closes, so does the server
 * on all of them.
 *
 * A server that runs out of descriptors or memory reports that, and accepts nobody for a second. While
 * asyncio_run shuts down, a server accepts no more clients.
 */
#ifndef ASYNCIO_SERVERS_H
#define ASYNCIO_SERVERS_H

#include <asyncio/loops.h>
#include <asyncio/streams.h>

ASYNCIO_BEGIN_DECLS

typedef struct asyncio_server asyncio_server;

/* Makes the coroutine that serves one client. If it returns NULL the connection is aborted, and that is
 * reported. */
typedef asyncio_coro *(*asyncio_client_handler)(asyncio_stream *stream, void *arg);

/*
 * Options of a server: all zero means the defaults.
 *
 * addresses: each is listened on as a host and a port would be alone, port 0 giving each its own. v6only: a
 * socket for "::" that takes IPv4, too, stands for both wildcards. mode: set before anybody can connect; not
 * for abstract names.
 *
 * proxy_protocol: each connection begins with a PROXY header of this version, before TLS, in which a
 * proxy such as HAProxy names its client. That one is then the peer, for asyncio_stream_peername and in
 * reports; a header that names nobody (LOCAL, UNKNOWN) leaves the proxy. A client whose header is
 * malformed, or not there within 10 seconds, is aborted and reported. Anybody who reaches the server can
 * claim to be anybody: let nobody but the proxy reach it.
 */
typedef struct asyncio_server_options {
    int backlog;                  /* of listen(2); 0: 100, or what a socket that listens already has */
    int reuse_port;               /* SO_REUSEPORT; default off */
    int max_connections;          /* more wait in the backlog; 0: no limit */
    asyncio_tls_context *tls;     /* each client starts with a handshake */
    size_t limit;                 /* of readline and readuntil, as for a connection; 0: 64 KiB */
    double close_timeout;         /* seconds without progress until a client that is flushed is cut off, and
                                   * reported; 0: 30; < 0: at once */
    size_t write_limit;           /* these six as for a connection; setup is called before a socket binds */
    double keepalive;
    double user_timeout;
    int family;
    int (*setup)(int fd, void *arg);
    void *setup_arg;
    const asyncio_address *addresses; /* listen on all of these; host is then NULL, and port 0 */
    size_t address_count;
    int v6only;                   /* 0: IPv6 sockets take IPv6 alone; -1: they take IPv4, too */
    int mode;                     /* of a Unix socket's file, such as 0660; 0: as the umask says */
    int proxy_protocol;           /* 1, 2: clients come with a PROXY header of this version; 0: without */
    double park_timeout;          /* seconds until a parked client without input is closed; 0: never */
    asyncio_loops *loops;         /* clients are served on all of these; NULL: on this loop alone */
    int spread;                   /* among them: 0 to the least busy, 1 in turn, 2 as the kernel likes */
    uintptr_t reserved[4];
} asyncio_server_options;

/* Returned by a handler: the server keeps the connection without a task until there is something to read. See
 * the top of this file. */
#define ASYNCIO_PARK ((intptr_t)INTPTR_MAX)

/*
 * Starts a server, which listens and serves from then on. host NULL means all addresses; port 0 means a
 * port that is free on all of them (see _port). Suspends while a name is looked up. 0; ASYNCIO_EGAI_...;
 * -EADDRINUSE and the like; -EINVAL, -ENOMEM, -ECANCELED, ASYNCIO_ENOTASK. The message says which address.
 * (start_server)
 */
ASYNCIO_API int asyncio_start_server(asyncio_client_handler handler, void *arg, const char *host, int port,
                                     const asyncio_server_options *options, asyncio_server **server);
/* Starts a server on a Unix socket; '@' begins an abstract name. The call replaces the file of an existing
 * socket, left over or in use; a server that used it keeps the clients that it has. Any other file is in
 * the way: -EADDRINUSE. The server removes its file when it closes, if it is still the same one. Does not
 * wait. (start_unix_server) */
ASYNCIO_API int asyncio_start_unix_server(asyncio_client_handler handler, void *arg, const char *path,
                                          const asyncio_server_options *options, asyncio_server **server);
/* Starts a server on a socket that listens or is bound. The socket belongs to the server if the call
 * succeeds. A socket that listens already keeps its backlog, unless options have one. Does not wait. 0;
 * -EBADF, -ENOTSOCK, -EOPNOTSUPP, -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. (start_server with sock) */
ASYNCIO_API int asyncio_start_server_on(int fd, asyncio_client_handler handler, void *arg,
                                        const asyncio_server_options *options, asyncio_server **server);

/* Waits until it is cancelled or somebody closes the server, then closes the server, waits for its clients,
 * and returns -ECANCELED. ASYNCIO_ESTATE if the server is closed already, or another task is in this call.
 * (serve_forever) */
ASYNCIO_API int asyncio_server_serve_forever(asyncio_server *server);
/* Closes a server, which stops listening. Its clients go on. Does not wait. A second call does nothing.
 * (close) */
ASYNCIO_API void asyncio_server_close(asyncio_server *server);
/*
 * Waits until the server is closed, then until its handlers have ended and no client is parked. After `grace`
 * seconds of the second wait it cancels the handlers that are left, and waits for them, and aborts the parked
 * clients; ASYNCIO_FOREVER: never; 0 or less: at once. 0; -ECANCELED, and everything goes on as before;
 * -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. A handler must not call it: it would wait for itself. (wait_closed)
 */
ASYNCIO_API int asyncio_server_wait_closed(asyncio_server *server, double grace);
/* Ends the input of every client, as if all peers had stopped sending: each handler sees the end of its
 * stream, and what it wrote is flushed. Parked clients are closed. Does not wait. (close_clients) */
ASYNCIO_API void asyncio_server_close_clients(asyncio_server *server);
/* Fails every client's stream with -ECONNABORTED, and aborts parked clients. Does not wait.
 * (abort_clients) */
ASYNCIO_API void asyncio_server_abort_clients(asyncio_server *server);
/* Returns the port of the server's first listening socket; -EINVAL if it has none. (sockets) */
ASYNCIO_API int asyncio_server_port(asyncio_server *server);
/* Lists a server's sockets: stores up to `capacity` listening descriptors, which stay the server's, and
 * returns how many there are. (sockets) */
ASYNCIO_API int asyncio_server_fds(asyncio_server *server, int *out, size_t capacity);
/* Closes the server, cancels its handlers, aborts its parked clients, and frees it; the loop completes the
 * rest. Does not wait. Accepts NULL. */
ASYNCIO_API void asyncio_server_release(asyncio_server *server);

/*
 * Lists the sockets that a service manager such as systemd has made for this process (LISTEN_FDS), for
 * asyncio_start_server_on: those of this name (FileDescriptorName=), or all if name is NULL. Stores up to
 * n descriptors in their order, and returns how many there are; 0 if the process was started by anybody
 * else. All of them become close-on-exec, those of other names, too; the ones that are asked for are the
 * caller's to close. Each call tells the same: the environment stays as it is, and children do not take
 * its sockets for theirs (LISTEN_PID). Any thread; does not wait. -EINVAL: the environment has no numbers
 * there, or too few names; -EBADF: a descriptor is not open.
 */
ASYNCIO_API int asyncio_listen_fds(int *out, size_t n, const char *name);
/*
 * Tells the service manager about the process (NOTIFY_SOCKET): "READY=1", "STOPPING=1", "WATCHDOG=1",
 * "STATUS=...", "MAINPID=...", or several, a line each (sd_notify(3)). 1: sent; 0: nobody wants to know.
 * Any thread; never waits: -EAGAIN if the manager is behind with its reading; -ECONNREFUSED, -ENOENT and
 * the like; -EAFNOSUPPORT for an address that is no path and no abstract name; -EINVAL, -EMFILE.
 */
ASYNCIO_API int asyncio_notify(const char *state);

ASYNCIO_END_DECLS

#endif
