/*
 * Receiving, sending and accepting by completions. See transfers.h.
 */
#include "backend/transfers.h"
#include "backend/uring.h"
#include "base/assert.h"
#include "base/compiler.h"
#include "sys/files.h"
#include "sys/sys.h"
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* More than a megabyte in one look: then some receives begin again. */
#define PIECES 256
#define GROUP 0

/* A turn of the ring costs about so much more than one without. */
#define TURN_NS 1300
/* Bytes that are copied in the time that a call of a nanosecond takes: in, and out again. */
#define BYTES_A_NS 5
#define BYTES_MOST (2 * ASY_PIECE_BYTES)
/* A send that waits for two others has company enough, however dear a call is. */
#define SENDS_LEAST 3
/* An accept is always under way, so that the loop always waits by the ring: where streams do, too. */
#define ACCEPTS_UP_TO 1

static struct transfer_terms terms_for(unsigned call_ns)
{
    unsigned calls = call_ns ? TURN_NS / call_ns : TURN_NS;
    size_t bytes = (size_t)call_ns * BYTES_A_NS;
    return (struct transfer_terms){.receives_from = calls,
                                   .sends_from = calls > SENDS_LEAST ? calls : SENDS_LEAST,
                                   .bytes_max = bytes < BYTES_MOST ? bytes : BYTES_MOST};
}

void asy_transfers_init(struct asy_transfers *transfers, struct completions *completions)
{
    unsigned call_ns = asy_uring_call_ns();
    struct transfer_terms terms = terms_for(call_ns);
    bool pays = call_ns >= ASY_URING_PAYS_FROM_NS;
    bool may_accept = asy_uring_may("accept") && asy_uring_knows(IORING_OP_ACCEPT);
    *transfers = (struct asy_transfers){
        .completions = completions,
        .receives = pays && asy_uring_may("receive"),
        .sends = pays && asy_uring_may("send"),
        .accepts = may_accept && terms.receives_from <= ACCEPTS_UP_TO,
        .terms = terms,
    };
}

void asy_transfers_destroy(struct asy_transfers *transfers)
{
    if (transfers->slots)
        asy_sys_unmap(transfers->slots, transfers->map_bytes);
    transfers->slots = NULL;
    transfers->pool = NULL;
}

/* The kernel lets in so many completions each time (20 in Linux 6.18), and the one that matters may be behind
 * them. */
int asy_transfers_hand_over(struct asy_transfers *transfers)
{
    struct completions *completions = transfers->completions;
    size_t tries = completions->under_way;
    int err;
    transfers->sends_queued = 0;
    do
        err = asy_completions_enter(completions, 0);
    while (!err && asy_ring_is_due(&completions->ring) && tries--);
    return err;
}

bool asy_transfers_are_told(const struct asy_transfers *transfers)
{
    const struct asy_ring *ring = &transfers->completions->ring;
    /* Relaxed: this thread's own entries of the ring have set the flag. */
    return !asy_ring_has_any(ring) &&
           !(atomic_load_explicit(ring->sq_flags, memory_order_relaxed) & IORING_SQ_CQ_OVERFLOW);
}

/* ---- The pool ---------------------------------------------------------------------------------- */

static char *piece_at(const struct asy_transfers *transfers, unsigned number)
{
    return transfers->pool + (size_t)number * ASY_PIECE_BYTES;
}

static void give_piece(struct asy_transfers *transfers, unsigned number)
{
    struct io_uring_buf *slot = &transfers->slots->bufs[transfers->tail & (PIECES - 1)];
    ASY_ASSERT(number < PIECES);
    slot->addr = (uintptr_t)piece_at(transfers, number);
    slot->len = ASY_PIECE_BYTES;
    slot->bid = (uint16_t)number;
    /* Release: what the slot says is read by the kernel after the tail. */
    __atomic_store_n(&transfers->slots->tail, ++transfers->tail, __ATOMIC_RELEASE);
}

/* The slots, which the kernel reads, and the pieces behind them. */
static int make_pool(struct asy_transfers *transfers)
{
    size_t slots_bytes = PIECES * sizeof(struct io_uring_buf); /* a page */
    size_t map_bytes = slots_bytes + PIECES * ASY_PIECE_BYTES;
    char *map = asy_sys_map(map_bytes);
    if (!map)
        return -ENOMEM;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)map, .ring_entries = PIECES, .bgid = GROUP};
    int err = asy_sys_madvise(map, map_bytes, MADV_DONTFORK);
    if (!err)
        err = asy_ring_register(&transfers->completions->ring, IORING_REGISTER_PBUF_RING, &registration, 1);
    if (err) {
        asy_sys_unmap(map, map_bytes);
        return err;
    }
    transfers->slots = (struct io_uring_buf_ring *)(void *)map;
    transfers->pool = map + slots_bytes;
    transfers->map_bytes = map_bytes;
    transfers->tail = 0;
    for (unsigned i = 0; i < PIECES; i++)
        give_piece(transfers, i);
    return 0;
}

/* ---- Receiving ----------------------------------------------------------------------------------- */

static void prepare_receive(struct asy_op *op, struct io_uring_sqe *sqe)
{
    const struct asy_receive *receive = LIST_ENTRY(op, struct asy_receive, op);
    sqe->opcode = IORING_OP_RECV;
    sqe->fd = receive->fd;
    sqe->ioprio = IORING_RECV_MULTISHOT | IORING_RECVSEND_POLL_FIRST;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
}

/* The kernel stops repeating for reasons of its own, too. */
static bool goes_on_receiving(const struct asy_receive *receive, int result)
{
    return !receive->is_unwanted &&
           (result > 0 || result == -ENOBUFS || result == -EAGAIN || result == -EINTR);
}

static void tell_receive(struct asy_op *op, const struct asy_done *what)
{
    struct asy_receive *receive = LIST_ENTRY(op, struct asy_receive, op);
    struct asy_transfers *transfers = receive->transfers;
    bool has_piece = what->flags & IORING_CQE_F_BUFFER, is_last = what->is_last;
    unsigned number = what->flags >> IORING_CQE_BUFFER_SHIFT;
    if (is_last && !what->is_refused && goes_on_receiving(receive, what->result)) {
        asy_op_begin(transfers->completions, op);
        is_last = false;
    }
    transfers->receipts++;
    if (what->result > 0 || is_last)
        receive->came(receive, what->result, has_piece ? piece_at(transfers, number) : NULL, is_last);
    if (has_piece)
        give_piece(transfers, number);
}

static const struct asy_op_kind receive_kind = {prepare_receive, tell_receive};

void asy_receive_init(struct asy_receive *receive, int fd,
                      void (*came)(struct asy_receive *, ssize_t, const char *, bool))
{
    *receive = (struct asy_receive){.fd = fd, .came = came};
    asy_op_init(&receive->op, &receive_kind);
}

int asy_receive_begin(struct asy_transfers *transfers, struct asy_receive *receive)
{
    int err = transfers->pool ? 0 : make_pool(transfers);
    if (err)
        return err;
    receive->transfers = transfers;
    receive->is_unwanted = false;
    asy_op_begin(transfers->completions, &receive->op);
    return 0;
}

void asy_receive_cancel(struct asy_receive *receive)
{
    receive->is_unwanted = true;
    asy_op_cancel(receive->transfers->completions, &receive->op);
}

bool asy_receive_take_back(struct asy_receive *receive)
{
    return asy_op_take_back(receive->transfers->completions, &receive->op);
}

/* ---- Sending --------------------------------------------------------------------------------------- */

static void prepare_send(struct asy_op *op, struct io_uring_sqe *sqe)
{
    const struct asy_send *send = LIST_ENTRY(op, struct asy_send, op);
    sqe->opcode = IORING_OP_SEND;
    sqe->fd = send->fd;
    sqe->addr = (uintptr_t)send->data;
    sqe->len = (uint32_t)send->n;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
}

static void tell_send(struct asy_op *op, const struct asy_done *what)
{
    struct asy_send *send = LIST_ENTRY(op, struct asy_send, op);
    ASY_ASSERT(what->is_last);
    send->sent(send, what->result);
}

static const struct asy_op_kind send_kind = {prepare_send, tell_send};

void asy_send_init(struct asy_send *send, int fd, void (*sent)(struct asy_send *, ssize_t))
{
    *send = (struct asy_send){.fd = fd, .sent = sent};
    asy_op_init(&send->op, &send_kind);
}

void asy_send_begin(struct asy_transfers *transfers, struct asy_send *send, const char *data, size_t n)
{
    send->data = data;
    send->n = n;
    transfers->sends_queued++;
    asy_op_begin(transfers->completions, &send->op);
}

void asy_send_cancel(struct asy_transfers *transfers, struct asy_send *send)
{
    asy_op_cancel(transfers->completions, &send->op);
}

bool asy_send_take_back(struct asy_transfers *transfers, struct asy_send *send)
{
    return asy_op_take_back(transfers->completions, &send->op);
}

/* ---- Accepting -------------------------------------------------------------------------------------- */

static void prepare_accept(struct asy_op *op, struct io_uring_sqe *sqe)
{
    const struct asy_accept *accept = LIST_ENTRY(op, struct asy_accept, op);
    sqe->opcode = IORING_OP_ACCEPT;
    sqe->fd = accept->fd;
    sqe->ioprio = IORING_ACCEPT_MULTISHOT;
    sqe->accept_flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
}

/* The kernel may stop repeating after a connection. */
static void tell_accept(struct asy_op *op, const struct asy_done *what)
{
    struct asy_accept *accept = LIST_ENTRY(op, struct asy_accept, op);
    int result = what->result >= 0 ? asy_sys_opened(what->result) : what->result;
    accept->came(accept, result, what->is_last);
}

static const struct asy_op_kind accept_kind = {prepare_accept, tell_accept};

void asy_accept_init(struct asy_accept *accept, int fd, void (*came)(struct asy_accept *, int, bool))
{
    *accept = (struct asy_accept){.fd = fd, .came = came};
    asy_op_init(&accept->op, &accept_kind);
}

void asy_accept_begin(struct asy_transfers *transfers, struct asy_accept *accept)
{
    asy_op_begin(transfers->completions, &accept->op);
}

void asy_accept_end(struct asy_transfers *transfers, struct asy_accept *accept)
{
    struct completions *completions = transfers->completions;
    if (asy_op_take_back(completions, &accept->op)) {
        accept->came(accept, -ECANCELED, /* is_last= */ true);
        return;
    }
    asy_op_cancel(completions, &accept->op);
    asy_transfers_hand_over(transfers);
    asy_completions_tell(completions, &accept->op);
}
