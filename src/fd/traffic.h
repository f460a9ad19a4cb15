/*
 * Traffic by completions: what a backend with a ring receives and sends for the socket of a stream, while
 * its tasks do something else. docs/internals/traffic.md walks through it.
 *
 * Input is plain (the record's is_plain), by readiness and calls into the reader's memory, or by completions.
 * Completions pay where a call is dear, where many connections have news at once, and where these are short.
 * So each read votes, and eight in a row that the other way would have served better turn the stream. Where a
 * call is dear enough to pay for any turn of the ring a stream begins with completions, else plain.
 *
 * Input by completions goes on as if the kernel's buffer reached into memory of ours. A receive begins when a
 * reader first waits; from then on what comes goes to the reader that waits, or is in `came`, and reads take
 * it from there, never from the descriptor.
 *
 *   INPUT_OFF      nothing is under way, and `came` is read first: then the descriptor
 *   INPUT_ON       a receive is under way
 *   INPUT_ENDING   the same, and it was cancelled: too much has come, or a reader wants much at once
 *   INPUT_OVER     the end, or an error, comes behind `came`
 *
 * A receive that repeats may miss the end: the kernel looks once for all that has happened since the last
 * time, and goes on only if it knows of more bytes, or of TCP's orderly end. So the descriptor is registered
 * for the end alone, and an event of it makes readers turn to the descriptor.
 *
 * A reader that is not there slows the peer down: above a limit the receive is cancelled. One that wants much
 * at once turns the stream plain when there is much. One of a descriptor that is registered for good already
 * is served plain.
 *
 * Output: a small write, when others are about to write, too, goes out with theirs. `sending` is under way
 * then, and is not moved.
 *
 * The traffic outlives its record: the memory is freed when the last of its operations is over. An operation
 * holds the file open, so these are cancelled, and the kernel told, before the descriptor is closed.
 */
#ifndef ASY_FD_TRAFFIC_H
#define ASY_FD_TRAFFIC_H

#include "backend/transfers.h"
#include "fd/bytes.h"
#include "fd/fd_table.h"
#include "fd/fd_wait.h"
#include <sys/types.h>

enum traffic_input { INPUT_OFF, INPUT_ON, INPUT_ENDING, INPUT_OVER };

struct fd_traffic {
    struct asy_receive receive;
    struct asy_send send;
    asyncio_loop *loop;
    struct fd_record *record; /* NULL: the descriptor was dropped */
    struct bytes came, sending;
    int end;        /* INPUT_OVER: 0 or the error */
    int closing_fd; /* to be closed when nothing is under way; -1: none */
    uint8_t input;  /* enum traffic_input */
    size_t got;     /* bytes that came since a reader last began to wait */
    /* Bytes of `sending` were sent, or not: `result` is their number, or the error if there were none. NULL:
     * nobody wants to know. */
    void (*sent)(void *context, ssize_t result);
    void *context;
};

/* ---- For streams -------------------------------------------------------------------------- */

/* A stream of this socket lets the backend carry its traffic, as far as it can. */
void asy_traffic_allow(asyncio_loop *loop, struct fd_record *record);
/* The descriptor is not the stream's alone: nothing is read ahead. */
static inline void asy_traffic_forbid_input(struct fd_record *record)
{
    record->by_ring &= (uint8_t)~FD_READ;
}

/* Do reads go to the traffic, and not to the descriptor? */
bool asy_traffic_has_input_slow(const struct fd_traffic *traffic);
static inline bool asy_traffic_has_input(const struct fd_record *record)
{
    return UNLIKELY(record->traffic != NULL) && asy_traffic_has_input_slow(record->traffic);
}
/* The number of bytes that came, up to n; 0 at the end, -EAGAIN, or an error. */
ssize_t asy_traffic_read(struct fd_record *record, void *buf, size_t n);
/* The same, behind what is in `into`. */
ssize_t asy_traffic_move(struct fd_record *record, struct bytes *into, size_t n);
/* A reader's wait with some room is over. The number of bytes that it was given. */
ssize_t asy_traffic_take(struct fd_record *record, const struct fd_room *room);
/* Does a receive put what comes into the memory of a reader that waits? */
static inline bool asy_traffic_fills_readers(const struct fd_record *record)
{
    return UNLIKELY(record->traffic != NULL) && record->traffic->input == INPUT_ON;
}
/* A read by the descriptor itself got so many bytes. */
void asy_traffic_vote_on_read(asyncio_loop *loop, struct fd_record *record, size_t got);
static inline void asy_traffic_note_read(asyncio_loop *loop, struct fd_record *record, ssize_t got)
{
    if (UNLIKELY(record->is_plain) && got > 0)
        asy_traffic_vote_on_read(loop, record, (size_t)got);
}
/* Would a read return at once, without the descriptor? */
static inline bool asy_traffic_has_news(const struct fd_record *record)
{
    const struct fd_traffic *traffic = record->traffic;
    return UNLIKELY(traffic != NULL) && (traffic->input == INPUT_OVER || asy_bytes_count(&traffic->came));
}

/* Would so many bytes better go out with those of others? */
bool asy_traffic_defers(const asyncio_loop *loop, const struct fd_record *record, size_t n);
/* Begins to send all of *bytes, and takes them over. 0 or -ENOMEM. */
int asy_traffic_send(asyncio_loop *loop, struct fd_record *record, struct bytes *bytes,
                     void (*sent)(void *context, ssize_t result), void *context);
/* Takes what is sent back into *bytes, if the kernel has not seen it: false else. */
bool asy_traffic_take_back(struct fd_record *record, struct bytes *bytes);
/* Nobody wants to know any more. What the kernel has begun to send, it may send. */
void asy_traffic_stop_sending(struct fd_record *record);

/* ---- For fd_table.c ------------------------------------------------------------------------- */

/* A reader is about to wait. 0: what comes wakes it; 1: it is to wait by readiness; or an error. */
int asy_traffic_await_input(asyncio_loop *loop, struct fd_record *record);
/* An event came: the peer may send no more, or something is wrong. */
void asy_traffic_hears(asyncio_loop *loop, struct fd_record *record, uint32_t events);
/* The descriptor is dropped. Returns the traffic if an operation is still under way, else NULL. */
struct fd_traffic *asy_traffic_leave(struct fd_record *record);
/* The descriptor of traffic that is still under way may be closed, and its number be another file's: no entry
 * that the kernel has not taken names it from here on. */
void asy_traffic_let_go(struct fd_traffic *traffic);
/* Closes the descriptor of traffic that is still under way. 0, or close(2)'s error. */
int asy_traffic_close(struct fd_traffic *traffic, int fd);

#endif
