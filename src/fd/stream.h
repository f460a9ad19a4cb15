/*
 * Streams from within.
 *
 *   input    `in`: bytes read from the descriptor and not yet by the program. It is filled only while a task
 *            reads, so a program that does not read slows its peer down. An idle stream has no buffer.
 *   output   `out`: bytes accepted and not yet sent. They are sent at once where the descriptor takes them,
 *            else by the stream's `flusher` when it does.
 *
 * With io_uring both reach further: traffic by completions (traffic.h) has bytes that came, and that go out
 * with those of others.
 *
 * A regular file has no readiness to wait for: `file` reads it, and a thread writes what is queued
 * (stream_file.c). A filter (TLS) stands between both buffers and the descriptor.
 *
 * Each call in progress counts as a user, and so does the program until it closes the stream. The last user
 * frees it. When the loop closes over a stream, it closes the descriptor, and leaves the rest to the program.
 */
#ifndef ASY_FD_STREAM_H
#define ASY_FD_STREAM_H

#include "asyncio/files.h"
#include "asyncio/streams.h"
#include "base/list.h"
#include "core/quarantine.h"
#include "fd/address.h"
#include "fd/bytes.h"
#include "fd/fd_wait.h"

/* The operations of a filter, which the TLS library plugs in. None of them waits. A filter takes its input
 * from the stream (asyncio_filter_take_) and gives it the bytes to send (asyncio_filter_give_). */
struct asy_stream_filter_ops {
    /* Goes on with the handshake. 0: done; -EAGAIN: more input is needed; or an error. */
    int (*handshake)(void *filter);
    /* The handshake cannot go on, for this reason. Makes a message of it, and returns err. */
    int (*give_up)(void *filter, int err, const char *words);
    /* Takes plain bytes out of the filter: their number, 0 at the end, -EAGAIN, or an error. With n 0 it
     * takes none: 1 if there are some. */
    ssize_t (*pull)(void *filter, void *buf, size_t n);
    /* Puts plain bytes into the filter, which takes all of them. 0 or an error. */
    int (*push)(void *filter, const void *data, size_t n);
    /* Says goodbye. Repeating it does nothing. */
    void (*shutdown)(void *filter);
    /* The seconds that the peer has to answer the goodbye. */
    double (*shutdown_timeout)(const void *filter);
    void (*free)(void *filter);
};

/* A server or a process that has the stream beside the program. */
struct stream_holder {
    /* Forgets the stream, which is closed or about to be. Called once. */
    void (*forget_stream)(struct stream_holder *holder, asyncio_stream *stream);
    bool frees_stream; /* when the loop closes: the program has no pointer to it */
};

/* A transport that has the stream in place of tasks (transports.c). */
struct stream_face {
    /* Queued bytes have been sent, or cannot be: write_error. Must not call the program. */
    void (*output_moved)(struct stream_face *face);
};

/* The fields that each call looks at come first: with many connections they have left the cache. */
struct asyncio_stream {
    const char *what; /* asy_what_stream; NULL: freed */
    asyncio_loop *loop;
    struct fd_record *record;
    asyncio_file *file; /* of a regular file: it has the descriptor; or NULL */
    void *filter;
    int fd;
    uint32_t users;
    bool is_socket, keeps_fd; /* keeps_fd: the descriptor stays open, as stdin, stdout and stderr do */
    bool is_closed;           /* the descriptor is gone; freed by the last user */
    bool is_closing;          /* _close has begun: no more writes */
    bool is_reading;          /* a task is in a read */
    bool is_at_end;           /* the end of the input was seen */
    bool ends, ended;         /* write_eof was called; and has been carried out */
    bool is_terminated;       /* in.data[in.start] is a NUL that stands for `covered` */
    char covered;
    bool is_shaking;             /* the filter's handshake is not done */
    bool is_full;                /* high water was passed, and low water is not reached yet */
    bool has_waiters;            /* drainers and writers may not be empty, or there is a face */
    int read_error, write_error; /* stay */
    struct bytes in, out;
    size_t to_come; /* bytes of the write under way that have not joined `out` yet */
    size_t sending; /* bytes that have left `out`, and are on their way by completions (traffic.h) */

    size_t high_water, low_water; /* of the bytes that are queued */
    size_t limit;
    double close_timeout;
    struct fd_waiter flusher;
    struct callback next_flush; /* goes on when others have run */
    bool has_next_flush;
    struct list drainers; /* of struct drain_wait */
    struct list writers;  /* of struct wait; the first keeps its place until it runs */
    struct fd_owner owner;
    struct file_write *file_write; /* in progress, on a thread; or NULL */

    const struct asy_stream_filter_ops *filter_ops;
    struct bytes wire;   /* from the descriptor, for the filter */
    bool is_wire_at_end; /* no more of it will come */

    union asy_peer peer;           /* no family: not asked for yet, or not known */
    struct sockaddr_un *peer_path; /* the peer that a proxy names, if it is a Unix socket; or NULL */

    struct stream_holder *holder; /* beside the program; or NULL */
    struct stream_face *face;     /* NULL: tasks use it */

    char *peer_text; /* asyncio_stream_peer has made it; or NULL */
    void *data;      /* the program's */
    void (*drop)(void *data);
};

extern HIDDEN const char asy_what_stream[];
/* First in each public call. */
static inline void asy_stream_check(const asyncio_stream *stream, const char *call)
{
    asy_object_check(stream->what, asy_what_stream, stream->loop, call);
}

/* Bytes that the stream has accepted, or is about to, and not sent. */
static inline size_t asy_stream_unsent(const asyncio_stream *stream)
{
    return asy_bytes_count(&stream->out) + stream->to_come + stream->sending;
}

/* Of a stream without a write_limit. */
#define STREAM_HIGH_WATER (64 * 1024)

/* Makes a stream of a descriptor, which it owns on success. 0 or a negative errno. */
int asy_stream_make(asyncio_loop *loop, int fd, const asyncio_connect_options *options, asyncio_stream **out);
/* The same of a descriptor of the program's: what the loop knows of its number is of another file. */
int asy_stream_adopt(asyncio_loop *loop, int fd, const asyncio_connect_options *options,
                     asyncio_stream **out);
/* The descriptor stays open when the stream is closed. */
void asy_stream_keep_fd(asyncio_stream *stream);
/* Closes the descriptor, drops everything, wakes everybody. The stream is freed once unused. */
void asy_stream_destroy(asyncio_stream *stream);
/* The same; the peer of a connection sees a reset. A forked child closes its copy, and that is all. */
void asy_stream_reset(asyncio_stream *stream);
/* Remembers the peer of a connection. */
void asy_stream_learn_peer(asyncio_stream *stream);
/* The same of the one that a proxy names. 0 or -ENOMEM. */
int asy_stream_name_peer(asyncio_stream *stream, const struct sockaddr *peer);
/* The address of the peer that is known, or NULL. */
const struct sockaddr *asy_stream_known_peer(asyncio_stream *stream);
static inline void asy_stream_use(asyncio_stream *stream)
{
    stream->users++;
}
void asy_stream_leave(asyncio_stream *stream);
/* asyncio_stream_close. *lost: the number of accepted bytes that the peer has not taken in time. */
int asy_stream_close(asyncio_stream *stream, size_t *lost);
/* Looks at a stream that is being flushed, once in each quarter of its close timeout. */
struct flush_look {
    size_t left; /* bytes that the peer had not taken at the last look */
    int idle;    /* looks in a row that found nothing new */
};
#define FLUSH_LOOKS 4
void asy_stream_begin_looks(const asyncio_stream *stream, struct flush_look *look);
/* Is the time over? The kernel asks for more bytes only when much of what it has is gone. Its own bytes
 * count, too, so that a slow peer is not taken for one that stands still. */
bool asy_stream_has_stalled(const asyncio_stream *stream, struct flush_look *look);
/* The input ends here. With an error, reads and writes fail with it, and buffers are dropped. */
void asy_stream_end_input(asyncio_stream *stream, int err);

/* ---- stream_data.c ------------------------------------------------------------------ */
/* The stream is freed: drops the program's data. */
void asy_stream_drop_data(asyncio_stream *stream);

/* ---- stream_read.c ------------------------------------------------------------------ */
/* One attempt to receive, without a wait, into `into`, or into `buf` if that is NULL: the number of bytes, 0
 * at the end, -EAGAIN, or an error. */
ssize_t asy_stream_receive(asyncio_stream *stream, struct bytes *into, void *buf, size_t n);
/* The same of plain bytes out of the filter; with n 0, whether there are some. -EAGAIN, too, if what came
 * had none in it for so long that others must run: then the descriptor is still ready. */
ssize_t asy_stream_receive_plain(asyncio_stream *stream, void *buf, size_t n);
/* No task reads for a while: memory that holds no bytes goes back. */
void asy_stream_rest(asyncio_stream *stream);
/* One attempt to get more input, waiting for it if need be: the number of bytes, 0 at the end, or an error,
 * which stays. */
ssize_t asy_stream_fill(asyncio_stream *stream, size_t wanted);
/* Gets one lot of input for the filter; waits for it. 0, or an error, after which there may be no filter. */
int asy_stream_feed(asyncio_stream *stream);
/* The same for a stream that closes: it reads on although its readers have failed. */
int asy_stream_feed_goodbye(asyncio_stream *stream);
/* Makes reads that wait, and those to come, fail with err. */
void asy_stream_fail_reads(asyncio_stream *stream, int err);

/* ---- stream_idle.c ------------------------------------------------------------------ */
/* Has something come that a read would return: bytes, the end, an error? If not, an event tells when it has.
 * Takes nothing off the descriptor but for a filter. */
bool asy_stream_has_news(asyncio_stream *stream);

/* ---- stream_flush.c ----------------------------------------------------------------- */
/* Its place among those that wait to write. A flusher whose turn came keeps its place until all is sent:
 * nobody else's bytes come in between. */
enum flush_place { FLUSH_LAST, FLUSH_FIRST };
/* One system call, if it is worth trying and comes between nobody's bytes: their number, -EAGAIN, or an
 * error. */
ssize_t asy_stream_transmit(asyncio_stream *stream, const struct iovec *parts, int count,
                            enum flush_place place);
/* Sends what is queued, now and in the background. */
void asy_stream_flush(asyncio_stream *stream);
/* Bytes that are on their way by completions are no longer followed. */
void asy_stream_stop_sending(asyncio_stream *stream);
/* The descriptor takes no more: what is queued is lost, and writes fail with err. */
void asy_stream_fail_writes(asyncio_stream *stream, int err);
/* Shows the peer the end, if write_eof was called and everything is sent. */
void asy_stream_end_output(asyncio_stream *stream);

/* ---- stream_put.c ------------------------------------------------------------------- */
/* Accepts all parts, `total` bytes, or none on an error but a write_error. Does not wait. */
int asy_stream_put(asyncio_stream *stream, const struct iovec *parts, int count, size_t total);
/* The same of a filter's input, in slices. `is_torn`: a part of the write has gone out. */
int asy_stream_push(asyncio_stream *stream, const char *data, size_t n, bool is_torn);
/* What so many bytes may need in the queue, with what a filter adds to each 16 KiB. */
size_t asy_stream_room_for(const asyncio_stream *stream, size_t total);
/* The end that was asked for: at once, or behind what is queued. 0 or an error. */
int asy_stream_say_end(asyncio_stream *stream);
/* Is the queue above high water, or below low water, by now? */
static inline void asy_stream_note_level(asyncio_stream *stream)
{
    size_t queued = asy_stream_unsent(stream);
    if (queued > stream->high_water)
        stream->is_full = true;
    else if (queued <= stream->low_water)
        stream->is_full = false;
}

/* ---- stream_write.c ----------------------------------------------------------------- */
/* Waits for the turn to write, and keeps it: other writes wait until it is given back. 0 or an error. */
int asy_stream_take_turn(asyncio_stream *stream, struct wait *turn);
void asy_stream_give_turn(asyncio_stream *stream, struct wait *turn);
/* Waits until at most `level` bytes are queued, or the deadline. */
int asy_stream_wait_drained(asyncio_stream *stream, size_t level, double timeout);
/* Queued bytes have been sent, or cannot be: tells the tasks or the transport that wait for it. */
void asy_stream_output_moved(asyncio_stream *stream);

/* ---- stream_file.c ------------------------------------------------------------------------ */
/* Has a thread write what is queued, one block after the other. 0 or a negative errno. */
int asy_stream_write_file(asyncio_stream *stream);
/* The thread finishes the write in progress; the stream no longer follows it. */
void asy_stream_leave_file(asyncio_stream *stream);

/* ---- stream_filter.c ------------------------------------------------------------------ */
/* The filter's goodbye is sent: a peer that knows no goodbye sees the end. */
void asy_stream_shut_output(asyncio_stream *stream);
/* Waits for the peer's answer to the filter's goodbye, which is sent. 0, -ETIMEDOUT, -ECANCELED. */
int asy_stream_await_goodbye(asyncio_stream *stream);

#endif
