/*
 * Receiving, sending and accepting by completions (completion.h), for streams and listeners.
 *
 * Each is part of an owner, and obeys the rules of an operation: memory that it names stays until it is over.
 * A receive takes its memory from a pool that all share. The buffer that bytes came in goes back when `came`
 * returns, so that no reader, however slow, holds one; an empty pool means that much has come at once, and
 * the receive begins again by itself.
 */
#ifndef ASY_BACKEND_TRANSFERS_H
#define ASY_BACKEND_TRANSFERS_H

#include "backend/completion.h"
#include <sys/types.h>

/* Bytes of one buffer: a piece that fills it has more behind it. */
#define ASY_PIECE_BYTES 4096

/*
 * Completions save system calls, and cost a turn of the ring and a copy of the bytes. How many calls must be
 * saved, and how much may be copied, follows from what a call costs (docs/decisions/0015).
 */
struct transfer_terms {
    uint32_t receives_from; /* connections with news at once; 0: one will do, and a stream begins so */
    uint32_t sends_from;    /* sends at once */
    size_t bytes_max;       /* of a request or an answer */
};

struct asy_transfers {
    struct completions *completions;
    bool receives, sends, accepts; /* what it may be asked for */
    struct transfer_terms terms;
    uint32_t sends_queued; /* since the ring was last entered */
    uint32_t receipts;     /* receives that something was told of in this look for events */
    uint32_t crowd;        /* how many connections have had news at once lately */
    struct io_uring_buf_ring *slots;
    char *pool; /* NULL: nobody has received yet */
    size_t map_bytes;
    uint16_t tail;
};

/* What ASYNCIO_URING_WITHOUT leaves, if it pays at all. */
void asy_transfers_init(struct asy_transfers *transfers, struct completions *completions);
/* Nothing is under way. */
void asy_transfers_destroy(struct asy_transfers *transfers);

/* Hands over what has begun, and lets what is over be reaped later: what was cancelled is over then, unless a
 * thread of the kernel's is at it. 0, or the error of the ring. */
int asy_transfers_hand_over(struct asy_transfers *transfers);

/* So many have news. A long turn looks for more in its middle, and finds few: so a large number is forgotten
 * by and by. */
static inline void asy_transfers_note_crowd(struct asy_transfers *transfers, uint32_t news)
{
    transfers->crowd = news > transfers->crowd ? news : (3 * transfers->crowd + news) / 4;
}
/* Would it pay to receive by completions, when the news at once are as many as they were, and so many bytes
 * come at a time? */
static inline bool asy_transfers_pay(const struct asy_transfers *transfers, size_t bytes)
{
    return transfers->crowd >= transfers->terms.receives_from && bytes <= transfers->terms.bytes_max;
}

/* Is nothing received that its owner has not been told of? Then a call on the descriptor itself comes in
 * order: between two entries of the ring the kernel takes nothing off a socket. */
bool asy_transfers_are_told(const struct asy_transfers *transfers);

/* ---- Receiving ---------------------------------------------------------------------------- */

struct asy_receive {
    struct asy_op op;
    struct asy_transfers *transfers;
    int fd;
    bool is_unwanted;
    /* Bytes have come: `data`, valid during the call, and `result` is their number; or it is over: 0 at the
     * end, or an error, -ECANCELED among them. Both at once are possible. */
    void (*came)(struct asy_receive *receive, ssize_t result, const char *data, bool is_last);
};

void asy_receive_init(struct asy_receive *receive, int fd,
                      void (*came)(struct asy_receive *, ssize_t, const char *, bool));
/* Receives until it is cancelled, or the end comes. 0; or an error: there is no pool, and nothing began. */
int asy_receive_begin(struct asy_transfers *transfers, struct asy_receive *receive);
void asy_receive_cancel(struct asy_receive *receive);
/* True: the kernel has not seen it, and nothing is under way. */
bool asy_receive_take_back(struct asy_receive *receive);

/* ---- Sending -------------------------------------------------------------------------------- */

struct asy_send {
    struct asy_op op;
    int fd;
    const char *data;
    size_t n;
    /* All bytes are sent, or an error stopped it. The number of them, or the error if there were none. */
    void (*sent)(struct asy_send *send, ssize_t result);
};

void asy_send_init(struct asy_send *send, int fd, void (*sent)(struct asy_send *, ssize_t));
void asy_send_begin(struct asy_transfers *transfers, struct asy_send *send, const char *data, size_t n);
/* True: the kernel has not seen it, and nothing is under way. */
bool asy_send_take_back(struct asy_transfers *transfers, struct asy_send *send);
void asy_send_cancel(struct asy_transfers *transfers, struct asy_send *send);

/* ---- Accepting ------------------------------------------------------------------------------ */

struct asy_accept {
    struct asy_op op;
    int fd;
    /* A connection has come: `result` is its descriptor, non-blocking, close-on-exec, and the owner's from
     * here on. Or it is over, with an error: -ECANCELED among them. */
    void (*came)(struct asy_accept *accept, int result, bool is_last);
};

void asy_accept_init(struct asy_accept *accept, int fd, void (*came)(struct asy_accept *, int, bool));
/* Accepts until it is ended, or something is wrong. */
void asy_accept_begin(struct asy_transfers *transfers, struct asy_accept *accept);
/* Ends it, and has it told of all that has come: now, and not in the next turn. It is under way after that
 * only where the kernel does not listen. */
void asy_accept_end(struct asy_transfers *transfers, struct asy_accept *accept);

#endif
