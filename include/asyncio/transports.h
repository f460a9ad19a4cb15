/*
 * Transports and protocols: connections by callbacks, as asyncio has them below its streams.
 *
 *     static void received(void *self, const void *data, size_t n)
 *     {
 *         asyncio_transport_write(((struct client *)self)->transport, data, n);
 *     }
 *     static const asyncio_protocol echo = {.connection_made = made, .data_received = received,
 *                                           .connection_lost = lost};
 *
 * A transport has the descriptor, sends and receives. A protocol is a table of the program's functions; the
 * same table serves many connections, and `self` is the program's object of one of them. Any entry may be
 * NULL.
 *
 * The loop calls these functions on its own stack, so they cannot wait: a waiting call gives
 * ASYNCIO_ENOTASK. It calls none of them inside another, nor inside a call of the program's, but two:
 * pause_writing comes inside the write that fills the queue. connection_made comes first and
 * connection_lost last, each once. After _close or _abort nothing comes but connection_lost. A loop that
 * closes, and with it asyncio_run at its end, first aborts what is open: connection_lost(-ECONNABORTED).
 *
 * A transport belongs to the loop's thread and to its connection. It is valid until connection_lost has
 * returned; the program frees nothing but its own object. Functions run in the context variables of the
 * code that made the connection or started the server.
 */
#ifndef ASYNCIO_TRANSPORTS_H
#define ASYNCIO_TRANSPORTS_H

#include <asyncio/datagrams.h>
#include <asyncio/servers.h>
#include <asyncio/streams.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

typedef struct asyncio_transport asyncio_transport;
typedef struct asyncio_datagram_transport asyncio_datagram_transport;

/* The functions of a protocol. (Protocol, BufferedProtocol) */
typedef struct asyncio_protocol {
    void (*connection_made)(void *self, asyncio_transport *transport);
    /* Bytes came. They are the library's, and valid during the call. Without this and get_buffer they are
     * dropped. */
    void (*data_received)(void *self, const void *data, size_t n);
    /* In place of data_received: lends memory to receive into, of any size; `hint` is what the library would
     * take. The memory is the library's until buffer_updated or the end of the iteration. 0 aborts the
     * connection: connection_lost(-ENOBUFS). */
    size_t (*get_buffer)(void *self, size_t hint, void **buf);
    /* So many bytes have come into it. */
    void (*buffer_updated)(void *self, size_t n);
    /* The peer sends no more. True keeps the writing half open until the program closes it; false, or NULL,
     * closes the transport, as _close. */
    bool (*eof_received)(void *self);
    /* More is queued than the high-water mark says; no more than the low-water mark says. They alternate. */
    void (*pause_writing)(void *self);
    void (*resume_writing)(void *self);
    /* The connection is over. 0 after an end, a _close or an _abort; else the error, whose words
     * asyncio_error_message has. May free `self`. */
    void (*connection_lost)(void *self, intptr_t err);
    uintptr_t reserved[4];
} asyncio_protocol;

/* ---- Made --------------------------------------------------------------------------------- */

/*
 * Makes a transport of a descriptor, which belongs to it from then on, unless the call fails. Sockets,
 * pipes and terminals; a regular file is -EPERM. Works in callbacks, and does not wait. connection_made
 * comes in the next iteration. Descriptors 0, 1 and 2 are never made non-blocking, and stay open at the end;
 * unless they are sockets, 1 and 2 are only written to. TLS begins with _start_tls. Of the options `limit`
 * and those of connecting do not matter. 0; -EBADF, -EPERM, -EINVAL (`tls` in options), -ENOMEM;
 * ASYNCIO_ESTATE where no loop runs. (connect_accepted_socket, connect_read_pipe, connect_write_pipe)
 */
ASYNCIO_API int asyncio_transport_from_fd(int fd, const asyncio_protocol *protocol, void *self,
                                          const asyncio_connect_options *options,
                                          asyncio_transport **transport);

/*
 * Connects, as asyncio_open_connection does, and has connection_made called before it returns. Suspends.
 * A connection that is lost by then is an error: connection_lost's, or -ECONNABORTED where that was 0. After
 * any other error no function of the protocol is ever called, and `self` stays the caller's. A cancel before
 * connection_made closes what was opened; one that comes later is left to the next wait. 0, or an error of
 * asyncio_open_connection. (create_connection)
 */
ASYNCIO_API int asyncio_create_connection(const asyncio_protocol *protocol, void *self, const char *host,
                                          int port, const asyncio_connect_options *options,
                                          asyncio_transport **transport);
/* Connects to a Unix socket, on the same terms. (create_unix_connection) */
ASYNCIO_API int asyncio_create_unix_connection(const asyncio_protocol *protocol, void *self, const char *path,
                                               const asyncio_connect_options *options,
                                               asyncio_transport **transport);

/* Makes the program's object for one connection of a server, and says which protocol it has. NULL: the
 * connection is aborted, and that is reported. */
typedef void *(*asyncio_protocol_factory)(void *arg, const asyncio_protocol **protocol);

/*
 * Starts a server, as asyncio_start_server does, whose connections get a protocol in place of a handler. The
 * factory is called when a connection is ready, with TLS after the handshake, right before connection_made.
 * What servers.h says of handlers holds for connections: _wait_closed waits for connection_lost of all, and
 * aborts them after the grace, with -ECONNABORTED; so do _release and _abort_clients at once;
 * _close_clients is _close of each. With `loops`, protocols live on the loop that has the client; the kernel
 * does not spread them (-EINVAL). (create_server)
 */
ASYNCIO_API int asyncio_create_server(asyncio_protocol_factory factory, void *arg, const char *host, int port,
                                      const asyncio_server_options *options, asyncio_server **server);
/* Starts a server on a Unix socket, on the same terms. (create_unix_server) */
ASYNCIO_API int asyncio_create_unix_server(asyncio_protocol_factory factory, void *arg, const char *path,
                                           const asyncio_server_options *options, asyncio_server **server);

/* ---- Writing ------------------------------------------------------------------------------ */

/* Accepts all bytes: sends what the descriptor takes at once, and a copy of the rest in the background; with
 * TLS, encrypts about 1 MiB in an iteration. Never waits; pause_writing says when the queue is full. 0: an
 * error of the connection comes by connection_lost; ASYNCIO_ESTATE after _write_eof, _close, _abort or the
 * end, and during _start_tls; -ENOMEM, and the connection is aborted; -EINVAL. (write, writelines) */
ASYNCIO_API int asyncio_transport_write(asyncio_transport *transport, const void *buf, size_t n);
ASYNCIO_API int asyncio_transport_writev(asyncio_transport *transport, const struct iovec *parts, int count);
/* Ends the output of a transport: the peer sees the end once all is sent. Reading goes on. A pipe that can
 * only be written is closed, as by _close. 0, as above. (write_eof) */
ASYNCIO_API int asyncio_transport_write_eof(asyncio_transport *transport);
/* Returns the number of bytes that were accepted and not sent yet. (get_write_buffer_size) */
ASYNCIO_API size_t asyncio_transport_get_write_buffer_size(asyncio_transport *transport);
/* Sets the high and the low-water mark of a transport, at first 64 KiB and 16 KiB. May call pause_writing or
 * resume_writing. 0; -EINVAL if low > high. (set_write_buffer_limits) */
ASYNCIO_API int asyncio_transport_set_write_buffer_limits(asyncio_transport *transport, size_t high,
                                                          size_t low);

/* ---- Reading ------------------------------------------------------------------------------ */

/* Stops calling data_received, buffer_updated and eof_received, until the other call: the peer is slowed
 * down. Repeating either does nothing. Both accept NULL. (pause_reading, resume_reading) */
ASYNCIO_API void asyncio_transport_pause_reading(asyncio_transport *transport);
ASYNCIO_API void asyncio_transport_resume_reading(asyncio_transport *transport);
/* Tells whether a transport reads: it is neither paused nor closing. (is_reading) */
ASYNCIO_API bool asyncio_transport_is_reading(asyncio_transport *transport);

/* ---- Ending ------------------------------------------------------------------------------- */

/* Closes a transport: stops reading, sends what is queued, and calls connection_lost(0). A peer that takes
 * nothing for as long as the close timeout is cut off, with -ETIMEDOUT. With TLS it says goodbye and waits
 * for the answer, at most for the context's shutdown timeout. Does not wait. Accepts NULL. (close) */
ASYNCIO_API void asyncio_transport_close(asyncio_transport *transport);
/* Closes a transport at once: drops what is queued, resets a TCP connection, and calls connection_lost(0) in
 * the next iteration. Accepts NULL. (abort) */
ASYNCIO_API void asyncio_transport_abort(asyncio_transport *transport);
/* Tells whether a transport is closing or lost. True for NULL. (is_closing) */
ASYNCIO_API bool asyncio_transport_is_closing(asyncio_transport *transport);

/* ---- The rest ------------------------------------------------------------------------------ */

/* Has another protocol take over, with an object of its own. connection_made is not called again.
 * (set_protocol) */
ASYNCIO_API void asyncio_transport_set_protocol(asyncio_transport *transport,
                                                const asyncio_protocol *protocol, void *self);
/*
 * Starts TLS over a transport, as asyncio_stream_start_tls does over a stream. Suspends, and no function of
 * the protocol is called meanwhile. What was queued is sent before the handshake. 0; ASYNCIO_ESTATE or
 * -EINVAL, and nothing has happened; any other error, with a message, or -ECANCELED: the connection is
 * aborted, and connection_lost gets the error. ASYNCIO_ENOTASK outside tasks. (start_tls)
 */
ASYNCIO_API int asyncio_transport_start_tls(asyncio_transport *transport, asyncio_tls_context *tls,
                                            const char *server_hostname);
/* The peer's address, and the transport's own. 0 or a negative errno. (get_extra_info) */
ASYNCIO_API int asyncio_transport_peername(asyncio_transport *transport, struct sockaddr *name,
                                           socklen_t *length);
ASYNCIO_API int asyncio_transport_sockname(asyncio_transport *transport, struct sockaddr *name,
                                           socklen_t *length);
/* Returns the descriptor, which stays the transport's. */
ASYNCIO_API int asyncio_transport_fd(asyncio_transport *transport);

/* ---- Datagrams ----------------------------------------------------------------------------- */

/* The functions of a protocol of datagrams. (DatagramProtocol) */
typedef struct asyncio_datagram_protocol {
    void (*connection_made)(void *self, asyncio_datagram_transport *transport);
    /* One datagram came, n may be 0. The bytes and the sender's address are valid during the call. */
    void (*datagram_received)(void *self, const void *data, size_t n, const struct sockaddr *from,
                              socklen_t length);
    /* The network says that an earlier datagram did not arrive, or one that was queued could not be sent. The
     * transport stays open. */
    void (*error_received)(void *self, intptr_t err);
    void (*pause_writing)(void *self);
    void (*resume_writing)(void *self);
    void (*connection_lost)(void *self, intptr_t err);
    uintptr_t reserved[4];
} asyncio_datagram_protocol;

/* Makes a datagram socket, as asyncio_open_datagram does, and has connection_made called before it returns.
 * Suspends. A cancel and errors as for asyncio_create_connection. (create_datagram_endpoint) */
ASYNCIO_API int asyncio_create_datagram_endpoint(const asyncio_datagram_protocol *protocol, void *self,
                                                 const asyncio_address *local,
                                                 const asyncio_address *remote,
                                                 const asyncio_datagram_options *options,
                                                 asyncio_datagram_transport **transport);
/* Sends a datagram, or queues a copy of it; never waits. `to` is NULL where the transport has a remote
 * address, or that very address. Each datagram that is queued counts for 8 bytes more than it has, and above
 * 64 KiB pause_writing is called. 0; -EINVAL; ASYNCIO_ESTATE after _close or _abort; -ENOMEM; the error that
 * kept this datagram from being sent, such as -EMSGSIZE. (sendto) */
ASYNCIO_API int asyncio_datagram_transport_sendto(asyncio_datagram_transport *transport, const void *buf,
                                                  size_t n, const struct sockaddr *to, socklen_t length);
/* Closes a datagram transport: sends what is queued, then calls connection_lost(0). Accepts NULL. (close) */
ASYNCIO_API void asyncio_datagram_transport_close(asyncio_datagram_transport *transport);
/* The same, and drops what is queued. Accepts NULL. (abort) */
ASYNCIO_API void asyncio_datagram_transport_abort(asyncio_datagram_transport *transport);
/* Tells whether a datagram transport is closing. True for NULL. (is_closing) */
ASYNCIO_API bool asyncio_datagram_transport_is_closing(asyncio_datagram_transport *transport);
/* Stores the local address of a datagram transport. 0 or a negative errno. (get_extra_info) */
ASYNCIO_API int asyncio_datagram_transport_sockname(asyncio_datagram_transport *transport,
                                                    struct sockaddr *name, socklen_t *length);
/* Returns the descriptor, which stays the transport's. */
ASYNCIO_API int asyncio_datagram_transport_fd(asyncio_datagram_transport *transport);

ASYNCIO_END_DECLS

#endif
