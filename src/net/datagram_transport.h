/*
 * Datagram transports from within: a protocol over a datagram socket (datagrams.c), with a queue of whole
 * datagrams. The program's functions are called as those of a transport (fd/transport.h): by `next`, or
 * straight out of the poll.
 */
#ifndef ASY_NET_DATAGRAM_TRANSPORT_H
#define ASY_NET_DATAGRAM_TRANSPORT_H

#include "fd/transport.h"

struct queued {
    struct list node;
    size_t n;
    socklen_t length; /* of the address; 0: none */
    struct sockaddr_storage to;
    char data[];
};

struct asyncio_datagram_transport {
    const char *what; /* what_transport; NULL: freed */
    asyncio_loop *loop;
    asyncio_datagram *socket;
    struct fd_record *record;
    const asyncio_datagram_protocol *protocol;
    void *self;
    int fd;
    bool is_made, is_closing, is_lost;
    bool is_ended;          /* connection_lost was called, or never will be */
    bool is_writing_paused; /* the program was told */
    struct fd_waiter reader, flusher;
    struct fd_owner owner;
    struct callback next;
    struct timer pause; /* the queue goes on when it fires */
    asyncio_context *context;
    struct connecting *connecting;
    struct list queue; /* of struct queued */
    size_t queued_bytes;
    intptr_t error;          /* for connection_lost */
    intptr_t pending_error;  /* for error_received; 0: none */
    socklen_t remote_length; /* 0: it has no remote address */
    struct sockaddr_storage remote;
};

/* ---- datagram_transports.c ------------------------------------------------------------- */
/* The transport is over: connection_lost(err) is due. */
void asy_endpoint_lose(asyncio_datagram_transport *transport, intptr_t err);
/* Does in a later iteration what is due. */
void asy_endpoint_do_next(asyncio_datagram_transport *transport);

/* ---- datagram_queue.c ------------------------------------------------------------------ */
/* Sends one, or queues it. 0 or an error. */
int asy_endpoint_send(asyncio_datagram_transport *transport, const void *buf, size_t n,
                      const struct sockaddr *to, socklen_t length);
/* Sends what is queued, as far as it goes. Calls no function of the program's. */
void asy_endpoint_flush(asyncio_datagram_transport *transport);
void asy_endpoint_drop_queue(asyncio_datagram_transport *transport);
/* Tell the program that the queue is full, or has room again, if it does not know. */
void asy_endpoint_pause_writing(asyncio_datagram_transport *transport);
void asy_endpoint_resume_writing(asyncio_datagram_transport *transport);
/* Of the flusher, and of the timer. */
void asy_endpoint_flusher_notified(struct fd_waiter *flusher, int err);
void asy_endpoint_pause_ended(struct timer *timer);

#endif
