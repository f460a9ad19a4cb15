/*
 * Streams: one object for both directions of a connection, a pipe or a terminal. Reads are buffered. Writes
 * are queued up to a high-water mark and sent in the background.
 *
 *     asyncio_stream *stream;
 *     int err = asyncio_open_connection("example.org", 80, NULL, &stream);
 *     if (err)
 *         return err;
 *     asyncio_stream_printf(stream, "GET / HTTP/1.0\r\nHost: example.org\r\n\r\n");
 *     char *line;
 *     while (asyncio_stream_readline(stream, &line) > 0)
 *         fputs(line, stdout);
 *     return asyncio_stream_close(stream);
 *
 * A stream belongs to the loop's thread and has one owner. One task may read while another writes; a second
 * reader gets ASYNCIO_ESTATE. Several writers take turns, in the order in which they came, and no write is
 * torn. Reads return the data that arrived before an error of the connection, and then the error, which
 * stays. A call that is waiting when another task closes or aborts the stream returns -EBADF. A loop that
 * closes also closes the descriptors of streams that are still open; their owners free them with _close or
 * _abort, then or later.
 */
#ifndef ASYNCIO_STREAMS_H
#define ASYNCIO_STREAMS_H

#include <asyncio/types.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/uio.h>

ASYNCIO_BEGIN_DECLS

typedef struct asyncio_stream asyncio_stream;
typedef struct asyncio_tls_context asyncio_tls_context;

typedef struct asyncio_address {
    const char *host; /* NULL: any */
    int port;
} asyncio_address;

/*
 * Options of connections and streams: all zero means the defaults.
 *
 * keepalive: a peer that has been silent for so many seconds is asked whether it is there, and after five
 * questions without an answer, one each fifth of that time (a second at least), the connection fails with
 * -ETIMEDOUT. user_timeout: so does one whose peer has not confirmed bytes that were sent, or a question, for
 * so long. setup: called with each socket that is tried, on the loop's thread, after the options above were
 * set and before the socket binds or connects; it must not wait. A result below 0 is that attempt's error. A
 * stream that is made of a descriptor has no use for family and setup.
 */
typedef struct asyncio_connect_options {
    double happy_eyeballs_delay; /* seconds between attempts (RFC 8305); 0: 0.25; < 0: one after the other */
    const asyncio_address *local;  /* bind to this first; port 0: any */
    asyncio_tls_context *tls;      /* TLS from the start; see asyncio/tls.h */
    const char *server_hostname;   /* the name to verify; NULL: host */
    size_t limit;                  /* of readline and readuntil, in bytes before the separator; 0: 64 KiB */
    double close_timeout;          /* seconds without progress, for _close; 0: 30; < 0: it does not wait */
    size_t write_limit;            /* queued bytes above which writes wait; 0: 64 KiB */
    double keepalive;              /* TCP: seconds of silence before the peer is asked; 0: off */
    double user_timeout;           /* TCP: seconds that the peer may take to confirm; 0: the system's */
    int family;                    /* of the addresses to try: AF_INET or AF_INET6; 0: both */
    int (*setup)(int fd, void *arg); /* or NULL */
    void *setup_arg;
    uintptr_t reserved[4];
} asyncio_connect_options;

/*
 * Connects, and stores the stream in *stream. Suspends. A cancel closes what was opened.
 *
 * A name may have several addresses. They are tried in turn, the families alternating; the next attempt
 * begins when the last one has failed, or after the delay. The first connection that is established wins
 * (RFC 8305). A numeric host needs no look-up; NULL is this host. Small writes go out at once
 * (TCP_NODELAY).
 *
 * 0; the resolver's ASYNCIO_EGAI_..., the error of the attempt that failed last, -ETIMEDOUT, -ECANCELED,
 * -EINVAL, -ENOMEM, ASYNCIO_ETLS, ASYNCIO_ENOTASK. The message names the address, and says how many were
 * tried. (open_connection)
 */
ASYNCIO_API int asyncio_open_connection(const char *host, int port, const asyncio_connect_options *options,
                                        asyncio_stream **stream);
/* Connects to a Unix socket, on the same terms. A path that begins with '@' is an abstract name. Waits
 * while the listener's queue is full. TLS needs a server_hostname; `local` is ignored.
 * (open_unix_connection) */
ASYNCIO_API int asyncio_open_unix_connection(const char *path, const asyncio_connect_options *options,
                                             asyncio_stream **stream);
/* Makes a stream of a connected descriptor, which belongs to the stream from then on, unless the call
 * fails. A regular file does not hold up the loop, either (asyncio/files.h). Does not wait, unless options
 * ask for TLS. 0, -EBADF, -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. */
ASYNCIO_API int asyncio_stream_from_fd(int fd, const asyncio_connect_options *options,
                                       asyncio_stream **stream);
/* Makes a stream of a pipe or a terminal, on the same terms. Descriptors 0, 1 and 2 are never made
 * non-blocking, and stay open when the stream is closed. (connect_read_pipe, connect_write_pipe) */
ASYNCIO_API int asyncio_open_pipe(int fd, const asyncio_connect_options *options, asyncio_stream **stream);

/*
 * Reads up to n bytes, as soon as there is one; suspends while there is none. Returns 0 at the end of the
 * stream. A cancelled read loses no byte. Errors, also of the other reads: the connection's, -ECANCELED,
 * ASYNCIO_ESTATE (another task reads), -EINVAL (such as a length above SSIZE_MAX), -ENOMEM,
 * ASYNCIO_ENOTASK. (read)
 */
ASYNCIO_API ssize_t asyncio_stream_read(asyncio_stream *stream, void *buf, size_t n);
/* Reads exactly n bytes. Returns ASYNCIO_EINCOMPLETE if the stream ends first; the bytes that came stay in
 * the stream. n may exceed the limit. (readexactly) */
ASYNCIO_API ssize_t asyncio_stream_readexactly(asyncio_stream *stream, void *buf, size_t n);
/*
 * Reads a line with its '\n', or through a separator, and returns its length. *line points into the stream,
 * is followed by a NUL, and stays valid until the next read, close or start_tls begins. At the end of the
 * stream readline returns the partial last line, then 0. readuntil returns ASYNCIO_EINCOMPLETE, and the
 * bytes stay in the stream. A line that exceeds the limit is ASYNCIO_ELIMIT; its bytes stay, too.
 * (readline, readuntil)
 */
ASYNCIO_API ssize_t asyncio_stream_readline(asyncio_stream *stream, char **line);
ASYNCIO_API ssize_t asyncio_stream_readuntil(asyncio_stream *stream, const void *separator, size_t length,
                                             char **data);
/* Returns the number of bytes that can be read without waiting. */
ASYNCIO_API size_t asyncio_stream_buffered(asyncio_stream *stream);
/* Tells whether a connection may be used again: it is alive in both directions, as far as this host knows,
 * and nothing has come that was not read. For pools. Takes no byte from the program. With TLS, records that
 * have no data in them, such as session tickets, are dealt with, and do not count. Does not wait; works in
 * callbacks, too. */
ASYNCIO_API bool asyncio_stream_is_idle(asyncio_stream *stream);
/* Tells whether the stream has ended and nothing is left to read. (at_eof) */
ASYNCIO_API bool asyncio_stream_at_eof(asyncio_stream *stream);

/*
 * Writes to the stream. Suspends first while more than write_limit bytes are queued, then accepts all
 * bytes, or none on an error. Accepted bytes are sent in the background, in order. Others run after each
 * 1 MiB of a large write: what they write comes behind it, an end or a close waits for it, and a cancel
 * is left to the next wait. 0; the connection's error (-EPIPE, -ECONNRESET ...), ASYNCIO_ESTATE after
 * write_eof, -ECANCELED, -EINVAL (such as a length above SSIZE_MAX, of all parts together), -ENOMEM,
 * ASYNCIO_ENOTASK. (write and drain, writelines)
 */
ASYNCIO_API int asyncio_stream_write(asyncio_stream *stream, const void *buf, size_t n);
ASYNCIO_API int asyncio_stream_writev(asyncio_stream *stream, const struct iovec *parts, int count);
ASYNCIO_API int asyncio_stream_printf(asyncio_stream *stream, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Writes to a stream without waiting, and works in callbacks, too: accepts all bytes, or none. 0; -EAGAIN
 * while more than the write limit is queued, or another write waits or is under way; -ENOMEM; the
 * connection's error; ASYNCIO_ESTATE after write_eof, while TLS shakes hands, or in a forked child; -EBADF
 * once the stream is closed; -EINVAL. (write) */
ASYNCIO_API int asyncio_stream_write_nowait(asyncio_stream *stream, const void *buf, size_t n);
/* Returns the number of bytes that the stream has accepted and the kernel has not taken yet, with what TLS
 * adds to them. (get_write_buffer_size) */
ASYNCIO_API size_t asyncio_stream_queued(asyncio_stream *stream);
/*
 * Sends up to n bytes of a file, from *offset on, after what is queued and before what others write
 * meanwhile. Suspends. The kernel sends them itself where it can; with TLS, blocks are read and written.
 * Returns how many were sent or queued: fewer than n only at the end of the file. *offset tells how far the
 * call came, also on an error or a cancel. fd stays the caller's. An end or a close by another task does not
 * wait for the file, as nothing of it was accepted yet: the call stops, with ASYNCIO_ESTATE or -EBADF. The
 * errors of a write and of a read; -EBADF, -ESPIPE, -EINVAL. (sendfile)
 */
ASYNCIO_API ssize_t asyncio_stream_sendfile(asyncio_stream *stream, int fd, off_t *offset, size_t n);
/* Waits until at most a quarter of the write_limit is queued. 0 or as above. (drain) */
ASYNCIO_API int asyncio_stream_drain(asyncio_stream *stream);
/* Ends the output of a stream: the peer sees the end once all queued bytes are sent, and later writes fail.
 * Does not wait. 0 or as above. (write_eof) */
ASYNCIO_API int asyncio_stream_write_eof(asyncio_stream *stream);

/* Sends what is queued, closes the stream, and frees it, whatever the call returns, also when cancelled.
 * Suspends while bytes are queued. If the peer takes none of them for as long as the close timeout, they
 * are dropped: -ETIMEDOUT. To limit the whole, put a timeout around the call. With TLS the call says
 * goodbye and waits for the peer's answer, at most for the context's shutdown timeout: -ETIMEDOUT, too. 0,
 * or the error that kept bytes from being sent. In a forked child it sends nothing, closes the child's copy
 * of the descriptor, and returns ASYNCIO_ESTATE. Accepts NULL. (close, wait_closed) */
ASYNCIO_API int asyncio_stream_close(asyncio_stream *stream);
/* Closes a stream at once: drops what is queued, resets a TCP connection, and frees the stream. A _close
 * that is waiting in another task returns -ECONNABORTED. Does not wait. Accepts NULL. (abort) */
ASYNCIO_API void asyncio_stream_abort(asyncio_stream *stream);

/* Starts TLS over the stream, as client or as server, whichever the context (asyncio/tls.h) is for. A
 * client verifies server_hostname, which may be NULL only if the context does not verify names. Bytes that
 * are buffered already go to TLS. Suspends. 0; ASYNCIO_ETLS with a message, the connection's error,
 * -ETIMEDOUT, or -ECANCELED: the stream can then only be closed; -EINVAL, -ENOMEM, ASYNCIO_ESTATE (TLS
 * already, another task reads, or is amid a write, write_eof was called), ASYNCIO_ENOTASK. (start_tls) */
ASYNCIO_API int asyncio_stream_start_tls(asyncio_stream *stream, asyncio_tls_context *tls,
                                         const char *server_hostname);

/* Return the address of the stream's peer, and its own, as getpeername(2) and getsockname(2). Do not wait.
 * The peer of a TCP connection stays known after a reset. (get_extra_info) */
ASYNCIO_API int asyncio_stream_peername(asyncio_stream *stream, struct sockaddr *name, socklen_t *length);
ASYNCIO_API int asyncio_stream_sockname(asyncio_stream *stream, struct sockaddr *name, socklen_t *length);
/* Returns the peer's address as text, for people: "192.0.2.1:80", "[fe80::1%eth0]:443", a path; "" where it
 * has none, or is not known. Never NULL. The text stays until the stream is freed. */
ASYNCIO_API const char *asyncio_stream_peer(asyncio_stream *stream);
/* Returns the descriptor, which stays the stream's. */
ASYNCIO_API int asyncio_stream_fd(asyncio_stream *stream);
/*
 * Keeps something of the program's with the stream, for as long as the stream lives. drop(data), unless drop
 * is NULL, is called once, on the loop's thread, where it may not wait: when other data takes the place, or
 * after the descriptor is closed and before the stream is freed. The same data again changes its drop
 * function only; so (stream, data, NULL) takes data back. A stream that is NULL drops the data at once. Does
 * not wait.
 */
ASYNCIO_API void asyncio_stream_set_data(asyncio_stream *stream, void *data, void (*drop)(void *data));
/* Returns the data that the program keeps with the stream; NULL if there is none, or no stream. */
ASYNCIO_API void *asyncio_stream_data(asyncio_stream *stream);
/* Takes a stream away from its server, inside the server's handler: the stream belongs to the program from
 * then on and outlives the handler. 0; ASYNCIO_ESTATE if no server owns it. */
ASYNCIO_API int asyncio_stream_detach(asyncio_stream *stream);
/* Copies the bytes of one stream to another until the end of `from`, with backpressure. Needs no memory
 * while none come. Closes neither stream. Suspends. Returns the number of bytes, or the first error of
 * either; bytes that `to` did not accept stay in `from`. */
ASYNCIO_API ssize_t asyncio_stream_copy(asyncio_stream *from, asyncio_stream *to);
/* Copies n bytes of one stream to another, on the same terms. Returns fewer only at the end of `from`. */
ASYNCIO_API ssize_t asyncio_stream_copy_n(asyncio_stream *from, asyncio_stream *to, size_t n);

ASYNCIO_END_DECLS

#endif
