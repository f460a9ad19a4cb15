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
 * A server owns its handlers as a task group does, but the failure of one is
 * reported, with the peer's address, and harms nobody else; -ECANCELED, -EPIPE
 * and -ECONNRESET are not reported. The stream is the server's until its handler has ended; then it is
 * closed, unless the handler did so: flushed if the handler returned >= 0, else aborted. A client that takes
 * nothing of what is flushed is cut off after the close timeout, and reported.
 *
 * Out of descriptors or memory, a server reports that, and accepts nothing for a second. While
 * asyncio_run shuts down it takes no more clients.
 */
#ifndef ASYNCIO_SERVERS_H
#define ASYNCIO_SERVERS_H

#include <asyncio/streams.h>

ASYNCIO_BEGIN_DECLS

typedef struct asyncio_server asyncio_server;

/* Makes the coroutine that serves one client. One that returns NULL aborts the
 * connection, and is reported. */
typedef asyncio_coro *(*asyncio_client_handler)(asyncio_stream *stream, void *arg);

/* Options of a server: all zero means the defaults. */
typedef struct asyncio_server_options {
    int backlog;                  /* of listen(2); 0: 100, or what a socket that listens already has */
    int reuse_port;               /* SO_REUSEPORT; default off */
    int max_connections;          /* more wait in the backlog; 0: no limit */
    asyncio_tls_context *tls;     /* each client starts with a handshake */
    size_t limit;                 /* of readline and readuntil, as for a connection; 0: 64 KiB */
    double close_timeout;         /* seconds without progress until a client that is flushed is cut off, and
                                   * reported; 0: 30; < 0: at once */
    uintptr_t reserved[4];
} asyncio_server_options;

/*
 * Listens, and serves from then on. host NULL: all addresses. port 0: one that is free on all
 * of them (see _port). Suspends while a name is looked up. 0; ASYNCIO_EGAI_...; -EADDRINUSE and
 * the like; -EINVAL, -ENOMEM, -ECANCELED, ASYNCIO_ENOTASK. The message says which address. (start_server)
 */
ASYNCIO_API int asyncio_start_server(asyncio_client_handler handler, void *arg, const char *host, int port,
                                     const asyncio_server_options *options, asyncio_server **server);
/* Starts a server on a Unix socket; '@' begins an abstract name. The file of a socket that is there already
 * is replaced, whether it is left over or another server's, who goes on with the clients that it has; any
 * other file is in the way: -EADDRINUSE. Removed when the server closes, if still the same. Does not wait.
 * (start_unix_server) */
ASYNCIO_API int asyncio_start_unix_server(asyncio_client_handler handler, void *arg, const char *path,
                                          const asyncio_server_options *options, asyncio_server **server);
/* Starts a server on a socket that listens, or is bound, which is the server's on success. If it listens
 * already its backlog stays as it is, unless options have one. Does not wait. 0; -EBADF, -ENOTSOCK,
 * -EOPNOTSUPP, -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. (start_server with sock) */
ASYNCIO_API int asyncio_start_server_on(int fd, asyncio_client_handler handler, void *arg,
                                        const asyncio_server_options *options, asyncio_server **server);

/* Waits until cancelled, then closes the server and waits for its clients: -ECANCELED. The same
 * when somebody closes it meanwhile. ASYNCIO_ESTATE: closed already, or another task is in this call.
 * (serve_forever) */
ASYNCIO_API int asyncio_server_serve_forever(asyncio_server *server);
/* Closes a server: it stops listening. Clients go on. Does not wait. Repeating it does nothing. (close) */
ASYNCIO_API void asyncio_server_close(asyncio_server *server);
/*
 * Waits until the server is closed, then until its handlers have ended. After `grace` seconds of that
 * they are cancelled, and waited for; ASYNCIO_FOREVER: never; 0 or less: at once. 0; -ECANCELED, and
 * everything goes on as it was; -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. Not from a handler, which would
 * wait for itself. (wait_closed)
 */
ASYNCIO_API int asyncio_server_wait_closed(asyncio_server *server, double grace);
/* Every client's handler sees the end of its input, and what it wrote is flushed: as if all peers had
 * stopped sending. Does not wait. (close_clients) */
ASYNCIO_API void asyncio_server_close_clients(asyncio_server *server);
/* Every client's stream fails with -ECONNABORTED. Does not wait. (abort_clients) */
ASYNCIO_API void asyncio_server_abort_clients(asyncio_server *server);
/* Tells the port of the first listening socket; -EINVAL if it has none. (sockets) */
ASYNCIO_API int asyncio_server_port(asyncio_server *server);
/* Lists a server's sockets: stores up to `capacity` listening descriptors, still the server's; returns how
 * many there are. (sockets) */
ASYNCIO_API int asyncio_server_fds(asyncio_server *server, int *out, size_t capacity);
/* Closes the server, cancels its handlers, leaves the rest to the loop, and
 * frees it. Does not wait. Accepts NULL. */
ASYNCIO_API void asyncio_server_release(asyncio_server *server);

ASYNCIO_END_DECLS

#endif
