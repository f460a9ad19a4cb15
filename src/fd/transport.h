/*
 * Transports from within: the callback face of a stream.
 *
 * A transport has a stream, which has the descriptor, the queue, the filter and the closing (stream.h), and
 * is its face and its holder. No task uses that stream but in start_tls. What the program is told comes from
 * two places alone: `next`, a callback of the loop that does what is due, and the reader, when the poll finds
 * input. Everything else only changes the state, and queues `next`.
 *
 *     OPEN -> CLOSING -> PARTING -> LOST -> ENDED       any state may go to LOST
 *     OPEN <-> SHAKING
 *
 * connection_made is called by the first `next`, whatever the state by then; connection_lost by one that
 * finds LOST, or by the loop when it closes.
 */
#ifndef ASY_FD_TRANSPORT_H
#define ASY_FD_TRANSPORT_H

#include "asyncio/transports.h"
#include "core/message.h"
#include "core/quarantine.h"
#include "core/timer.h"
#include "core/wait.h"
#include "fd/stream.h"

enum transport_state {
    TRANSPORT_OPEN,
    TRANSPORT_SHAKING, /* a task is in start_tls: no callbacks */
    TRANSPORT_CLOSING, /* sends what is queued */
    TRANSPORT_PARTING, /* the filter has said goodbye, and waits for the peer's */
    TRANSPORT_LOST,    /* connection_lost is due */
    TRANSPORT_ENDED,   /* it was called, or never will be */
};

/* A server. */
struct transport_owner {
    /* Sets protocol and self, right before connection_made. False: the transport is discarded. */
    bool (*choose_protocol)(struct transport_owner *owner);
    /* The transport has ended, and its descriptor is closed. */
    void (*transport_ended)(struct transport_owner *owner);
};

/* A task that waits for connection_made of a transport of either sort, on its stack. */
struct connecting {
    struct list waiters; /* the task's wait, until then */
    void *transport;
    void (*discard)(void *transport); /* a cancel comes first: ends it in silence */
    bool is_made;                     /* connection_made is being called, or was */
    bool is_lost;                     /* connection_lost has been called, too: the transport is gone, */
    intptr_t err;                     /* for this reason */
};
/* Waits. 0: the transport is the caller's to hand out; else it is gone. */
int asy_connecting_wait(struct connecting *connecting);
/* Before connection_made and after it; and after connection_lost. Accept NULL. */
void asy_connecting_begin(struct connecting *connecting);
void asy_connecting_made(struct connecting *connecting);
void asy_connecting_lost(struct connecting *connecting, intptr_t err);

/* The fields of an event come first, and the reader behind them: they are fetched together. */
struct asyncio_transport {
    const char *what; /* asy_what_transport; NULL: freed */
    asyncio_loop *loop;
    asyncio_stream *stream;
    const asyncio_protocol *protocol;
    void *self;
    enum transport_state state;
    bool is_made; /* connection_made was called */
    bool can_read, can_write;
    bool is_reading_paused;  /* by the program */
    bool is_writing_paused;  /* the program was told */
    bool must_reset;         /* the descriptor, at the end; while SHAKING: the program has closed it */
    struct fd_waiter reader; /* waits for input; of one that cannot read, for the peer to go away */
    struct callback next;
    asyncio_context *context; /* in which the program's functions run */
    struct stream_face face;
    struct stream_holder holder;
    struct transport_owner *owner; /* or NULL */
    struct connecting *connecting; /* or NULL */
    struct bytes rest;             /* of writes that go in steps; stream->to_come counts it */
    struct timer timer;            /* of closing */
    struct flush_look look;
    intptr_t error;        /* for connection_lost, */
    struct message *words; /* and its words, or NULL */
};

extern HIDDEN const char asy_what_transport[];
/* First in each public call. */
static inline void asy_transport_check(const asyncio_transport *transport, const char *call)
{
    asy_object_check(transport->what, asy_what_transport, transport->loop, call);
}

/* ---- transports.c --------------------------------------------------------------------- */
/* Makes a transport of a stream, which belongs to it on success. Takes the context over, on failure, too.
 * 0 or -ENOMEM. */
int asy_transport_make(asyncio_stream *stream, const asyncio_protocol *protocol, void *self,
                       asyncio_context *context, asyncio_transport **out);
/* Ends one whose connection_made was not called, in silence. */
void asy_transport_discard(asyncio_transport *transport);
/* Does in a later iteration what is due; first of all, calls connection_made. */
void asy_transport_do_next(asyncio_transport *transport);
/* The connection is over: connection_lost(err) is due. */
void asy_transport_lose(asyncio_transport *transport, intptr_t err);
/* Drops what is queued, and loses the connection with err; a task that shakes hands does it. */
void asy_transport_abort(asyncio_transport *transport, intptr_t err);
/* Sends what is queued, then loses the connection with 0. */
void asy_transport_close(asyncio_transport *transport);

/* ---- callouts.c ------------------------------------------------------------------------ */
/* Called by the poll, a waiter that was notified may call the program's functions at once, between these two.
 * False: in any other place one of them may be running, and what is due must be done by a callback. */
bool asy_callout_begin(asyncio_loop *loop, asyncio_context *context);
void asy_callout_end(asyncio_loop *loop);
/* The loop's buffer, which all its transports share: it is empty again when the protocol returns. NULL: no
 * memory. */
#define INPUT_BYTES ((size_t)64 * 1024)
char *asy_input_buffer_take(const asyncio_loop *loop);
void asy_input_buffer_leave(const asyncio_loop *loop);

/* ---- transport_read.c ----------------------------------------------------------------- */
/* Receives what is there, up to a step's bytes, and waits for more. */
void asy_transport_read(asyncio_transport *transport);
void asy_transport_stop_reading(asyncio_transport *transport);
/* `notify` of the reader. */
void asy_transport_reader_notified(struct fd_waiter *reader, int err);
/* Fetches what its event will touch (fd_events.c). */
static inline void asy_transport_fetch(const struct fd_waiter *reader)
{
    const asyncio_transport *transport = LIST_ENTRY(reader, asyncio_transport, reader);
    fetch_lines(transport->stream, 3);
    fetch_lines(transport->self, 1);
}

/* ---- transport_write.c ---------------------------------------------------------------- */
/* Tells the program if the queue is full, and it does not know. */
void asy_transport_pause_writing(asyncio_transport *transport);
/* The same if there is room again. */
void asy_transport_resume_writing(asyncio_transport *transport);
/* The next step of a large write through a filter, if it is time. */
void asy_transport_write_step(asyncio_transport *transport);

#endif
