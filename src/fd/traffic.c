/*
 * Traffic by completions. See traffic.h.
 */
#include "fd/traffic.h"
#include "base/assert.h"
#include "core/loop.h"
#include "fd/fd_wait.h"
#include "sys/net.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* More is not taken off the kernel for a reader that is not there. */
#define AHEAD_BYTES (64 * 1024)
/* A reader that has room for so much is served by readiness, if much comes. */
#define PLAIN_BYTES (16 * 1024)
/* So many reads in a row, which the other way would have served better, turn a stream. */
#define VOTES 8

/* ---- Made and freed --------------------------------------------------------------------------- */

void asy_traffic_allow(asyncio_loop *loop, struct fd_record *record)
{
    const struct asy_transfers *transfers = loop->backend->transfers;
    int type = 0;
    socklen_t length = sizeof type;
    if (LIKELY(!transfers) || !record->is_socket || record->kind != ASY_FD_POLLABLE)
        return;
    /* Only in a stream of bytes may several pieces be put together. */
    int err = record->short_is_end ? 0 : asy_sys_getsockopt(record->fd, SOL_SOCKET, SO_TYPE, &type, &length);
    if (record->short_is_end || (!err && type == SOCK_STREAM))
        record->by_ring = (uint8_t)((transfers->receives ? FD_READ : 0) | (transfers->sends ? FD_WRITE : 0));
    record->is_plain = transfers->terms.receives_from > 0;
    record->votes = 0;
}

static void receive_came(struct asy_receive *receive, ssize_t result, const char *data, bool is_last);
static void send_came(struct asy_send *send, ssize_t result);

static struct fd_traffic *need_traffic(asyncio_loop *loop, struct fd_record *record)
{
    struct fd_traffic *traffic = record->traffic;
    if (LIKELY(traffic != NULL))
        return traffic;
    traffic = asy_slab_alloc(sizeof *traffic);
    if (!traffic)
        return NULL;
    *traffic = (struct fd_traffic){.loop = loop, .record = record, .closing_fd = -1};
    asy_receive_init(&traffic->receive, record->fd, receive_came);
    asy_send_init(&traffic->send, record->fd, send_came);
    record->traffic = traffic;
    return traffic;
}

static bool is_under_way(const struct fd_traffic *traffic)
{
    return traffic->receive.op.state != OP_IDLE || traffic->send.op.state != OP_IDLE;
}

static void free_traffic(struct fd_traffic *traffic)
{
    ASY_ASSERT(!traffic->record);
    asy_bytes_free(&traffic->came);
    asy_bytes_free(&traffic->sending);
    if (traffic->closing_fd >= 0)
        asy_sys_close(traffic->closing_fd);
    asy_slab_free(traffic, sizeof *traffic);
}

/* An operation of a record that was dropped is over. */
static void end_orphan(struct fd_traffic *traffic)
{
    if (!is_under_way(traffic))
        free_traffic(traffic);
}

static bool is_receiving(const struct fd_traffic *traffic)
{
    return traffic->input == INPUT_ON || traffic->input == INPUT_ENDING;
}

static void end_receive(struct fd_traffic *traffic)
{
    if (traffic->input != INPUT_ON)
        return;
    traffic->input = INPUT_ENDING;
    asy_receive_cancel(&traffic->receive);
}

/* The stream wants to know once. */
static void tell_sender(struct fd_traffic *traffic, ssize_t result)
{
    void (*sent)(void *context, ssize_t result) = traffic->sent;
    traffic->sent = NULL;
    if (sent)
        sent(traffic->context, result);
}

/* In a forked child the operations are the parent's. */
struct fd_traffic *asy_traffic_leave(struct fd_record *record)
{
    struct fd_traffic *traffic = record->traffic;
    record->traffic = NULL;
    record->by_ring = 0;
    if (!traffic)
        return NULL;
    traffic->record = NULL;
    tell_sender(traffic, -EBADF);
    if (asy_loop_is_parents(traffic->loop) || !is_under_way(traffic)) {
        free_traffic(traffic);
        return NULL;
    }
    end_receive(traffic);
    if (traffic->send.op.state != OP_IDLE)
        asy_send_cancel(traffic->loop->backend->transfers, &traffic->send);
    return traffic;
}

/* A kernel that does not listen now is not told at all of what it has not taken. */
void asy_traffic_let_go(struct fd_traffic *traffic)
{
    struct asy_backend *backend = traffic->loop->backend;
    ASY_ASSERT(!traffic->record);
    if (!asy_transfers_hand_over(backend->transfers))
        return;
    if (traffic->receive.op.state != OP_IDLE)
        backend->attached -= asy_receive_take_back(&traffic->receive);
    if (traffic->send.op.state != OP_IDLE)
        backend->attached -= asy_send_take_back(backend->transfers, &traffic->send);
    if (!is_under_way(traffic))
        free_traffic(traffic);
}

/* A kernel that does not listen now is told at least what the peer is to know. */
int asy_traffic_close(struct fd_traffic *traffic, int fd)
{
    ASY_ASSERT(!traffic->record && traffic->closing_fd < 0);
    if (!asy_transfers_hand_over(traffic->loop->backend->transfers))
        return asy_sys_close(fd);
    asy_sys_shutdown(fd, SHUT_RDWR);
    traffic->closing_fd = fd;
    return 0;
}

/* ---- Input: what comes -------------------------------------------------------------------------- */

/* It was the kernel's, and there is no memory: what was sent cannot be made whole again. */
static void lose_input(struct fd_traffic *traffic)
{
    traffic->end = -ENOMEM;
    end_receive(traffic);
}

/* To readiness, as soon as the receive has ended. */
static void turn_plain(struct fd_traffic *traffic)
{
    traffic->record->is_plain = true;
    traffic->record->votes = 0;
    end_receive(traffic);
}

/* A reader with much room wants much, and more than a piece is there: two copies of it are dearer than a
 * call. */
static void note_wish(struct fd_traffic *traffic, size_t room, size_t there)
{
    if (room >= PLAIN_BYTES && there > ASY_PIECE_BYTES && !traffic->record->is_plain)
        turn_plain(traffic);
}

/* Straight to the reader that waits, unless older bytes come first. Returns how much it has taken. */
static size_t fill_reader(struct fd_traffic *traffic, const char *data, size_t n)
{
    struct fd_room *room = asy_bytes_count(&traffic->came) ? NULL : asy_fd_first_room(traffic->record);
    if (!room)
        return 0;
    size_t left = room->bytes - room->filled;
    n = n < left ? n : left;
    memcpy(room->into + room->filled, data, n);
    room->filled += n;
    note_wish(traffic, room->bytes, room->filled);
    return n;
}

static void keep_piece(struct fd_traffic *traffic, const char *data, size_t n)
{
    traffic->got += n;
    if (traffic->end)
        return;
    size_t taken = fill_reader(traffic, data, n);
    data += taken;
    n -= taken;
    if (n && asy_bytes_append(&traffic->came, data, n))
        lose_input(traffic);
    else if (asy_bytes_count(&traffic->came) > AHEAD_BYTES)
        end_receive(traffic);
}

/* An end that says nothing of the connection: it was cancelled, or the kernel is short of something. */
static bool is_mere_stop(ssize_t result)
{
    return result > 0 || result == -ECANCELED || result == -EAGAIN || result == -EINTR || result == -ENOMEM ||
           result == -ENOBUFS || result == -EBUSY;
}

static void note_input_end(struct fd_traffic *traffic, ssize_t result)
{
    bool goes_on = !traffic->end && is_mere_stop(result);
    traffic->input = goes_on ? INPUT_OFF : INPUT_OVER;
    if (!goes_on && !traffic->end)
        traffic->end = (int)result;
    if (!goes_on)
        traffic->record->stays |= FD_READ; /* no event tells it again */
}

/* A transport's functions may be called from here: no other is running. */
static void wake_input_reader(struct fd_traffic *traffic)
{
    struct fd_record *record = traffic->record;
    struct fd_table *table = (struct fd_table *)traffic->loop->io;
    record->ready |= FD_READ;
    if (list_is_empty(&record->waiters))
        return;
    table->is_taking_events = true;
    asy_fd_pass_on(record, FD_READ);
    table->is_taking_events = false;
}

static HOT void receive_came(struct asy_receive *receive, ssize_t result, const char *data, bool is_last)
{
    struct fd_traffic *traffic = LIST_ENTRY(receive, struct fd_traffic, receive);
    if (is_last)
        traffic->loop->backend->attached--;
    if (UNLIKELY(!traffic->record)) {
        if (is_last)
            end_orphan(traffic);
        return;
    }
    if (result > 0)
        keep_piece(traffic, data, (size_t)result);
    if (UNLIKELY(is_last))
        note_input_end(traffic, result);
    wake_input_reader(traffic);
}

/* What comes is the receive's: an event beside it is for a writer that has waited. */
void asy_traffic_hears(asyncio_loop *loop, struct fd_record *record, uint32_t events)
{
    struct fd_traffic *traffic = record->traffic;
    if (traffic->input != INPUT_ON)
        return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        end_receive(traffic);
    else
        asy_fd_narrow_to_ends(loop, record);
}

bool asy_traffic_has_input_slow(const struct fd_traffic *traffic)
{
    if (asy_bytes_count(&traffic->came) || traffic->input == INPUT_OVER)
        return true;
    return traffic->input != INPUT_OFF && !asy_transfers_are_told(traffic->loop->backend->transfers);
}

/* ---- Input: readers --------------------------------------------------------------------------------- */

/* A wait is over that brought `got` bytes, and another one begins. */
static void vote_on_wait(struct fd_traffic *traffic)
{
    struct fd_record *record = traffic->record;
    bool pays = asy_transfers_pay(traffic->loop->backend->transfers, traffic->got);
    record->votes = pays ? 0 : record->votes + 1;
    traffic->got = 0;
    if (record->votes >= VOTES)
        turn_plain(traffic);
}

int asy_traffic_await_input(asyncio_loop *loop, struct fd_record *record)
{
    struct fd_traffic *traffic = record->traffic;
    if (traffic && traffic->input == INPUT_ON && traffic->got)
        vote_on_wait(traffic);
    if (traffic && traffic->input != INPUT_OFF)
        return 0;
    if (record->is_plain)
        return 1;
    traffic = need_traffic(loop, record);
    if (!traffic)
        return -ENOMEM;
    int err = asy_fd_register_ends(loop, record);
    if (err)
        return err;
    err = asy_receive_begin(loop->backend->transfers, &traffic->receive);
    if (err)
        return 1;
    loop->backend->attached++;
    traffic->input = INPUT_ON;
    return 0;
}

/* All is read: what a wait is to tell next. */
static ssize_t note_empty(struct fd_record *record)
{
    const struct fd_traffic *traffic = record->traffic;
    if (traffic->input == INPUT_OVER)
        return traffic->end;
    asy_fd_exhausted(record, FD_READ);
    return -EAGAIN;
}

/* The memory goes back with the last byte: a stream that waits has none. */
static void note_taken(struct fd_record *record)
{
    struct fd_traffic *traffic = record->traffic;
    if (asy_bytes_count(&traffic->came))
        return;
    asy_bytes_free(&traffic->came);
    if (is_receiving(traffic))
        asy_fd_exhausted(record, FD_READ);
}

HOT ssize_t asy_traffic_read(struct fd_record *record, void *buf, size_t n)
{
    struct fd_traffic *traffic = record->traffic;
    size_t count = asy_bytes_count(&traffic->came);
    if (!count)
        return note_empty(record);
    note_wish(traffic, n, count);
    n = n < count ? n : count;
    memcpy(buf, traffic->came.data + traffic->came.start, n);
    asy_bytes_consume(&traffic->came, n);
    note_taken(record);
    return (ssize_t)n;
}

ssize_t asy_traffic_move(struct fd_record *record, struct bytes *into, size_t n)
{
    struct fd_traffic *traffic = record->traffic;
    struct bytes *came = &traffic->came;
    size_t count = asy_bytes_count(came);
    if (!count)
        return note_empty(record);
    /* Memory that has room for more would let the next read take more. */
    bool is_apt = count <= n && came->capacity <= n + 1 && !asy_bytes_count(into);
    n = n < count ? n : count;
    if (!is_apt) {
        int err = asy_bytes_append(into, came->data + came->start, n);
        if (err)
            return err;
        asy_bytes_consume(came, n);
    } else {
        asy_bytes_free(into);
        *into = *came;
        *came = (struct bytes){0};
    }
    note_taken(record);
    return (ssize_t)n;
}

ssize_t asy_traffic_take(struct fd_record *record, const struct fd_room *room)
{
    struct fd_traffic *traffic = record->traffic;
    ASY_ASSERT(room->filled <= room->bytes);
    if (traffic && is_receiving(traffic) && !asy_bytes_count(&traffic->came))
        asy_fd_exhausted(record, FD_READ);
    return (ssize_t)room->filled;
}

void asy_traffic_vote_on_read(asyncio_loop *loop, struct fd_record *record, size_t got)
{
    record->votes = asy_transfers_pay(loop->backend->transfers, got) ? record->votes + 1 : 0;
    if (record->votes < VOTES)
        return;
    record->votes = 0;
    /* While somebody waits or watches it stays registered, and plain; later reads ask again. */
    record->is_plain = !asy_fd_unregister_idle(loop, record);
}

/* ---- Output ----------------------------------------------------------------------------------------- */

bool asy_traffic_defers(const asyncio_loop *loop, const struct fd_record *record, size_t n)
{
    const struct asy_transfers *transfers = loop->backend->transfers;
    return (record->by_ring & FD_WRITE) && n <= transfers->terms.bytes_max &&
           (loop->ready.count >= transfers->terms.sends_from ||
            transfers->sends_queued >= transfers->terms.sends_from);
}

int asy_traffic_send(asyncio_loop *loop, struct fd_record *record, struct bytes *bytes,
                     void (*sent)(void *context, ssize_t result), void *context)
{
    struct fd_traffic *traffic = need_traffic(loop, record);
    if (!traffic)
        return -ENOMEM;
    ASY_ASSERT(!asy_bytes_count(&traffic->sending) && asy_bytes_count(bytes));
    asy_bytes_free(&traffic->sending);
    traffic->sending = *bytes;
    *bytes = (struct bytes){0};
    traffic->sent = sent;
    traffic->context = context;
    loop->backend->attached++;
    asy_send_begin(loop->backend->transfers, &traffic->send, traffic->sending.data + traffic->sending.start,
                   asy_bytes_count(&traffic->sending));
    return 0;
}

bool asy_traffic_take_back(struct fd_record *record, struct bytes *bytes)
{
    struct fd_traffic *traffic = record->traffic;
    if (!asy_send_take_back(traffic->loop->backend->transfers, &traffic->send))
        return false;
    traffic->loop->backend->attached--;
    traffic->sent = NULL;
    *bytes = traffic->sending;
    traffic->sending = (struct bytes){0};
    return true;
}

void asy_traffic_stop_sending(struct fd_record *record)
{
    if (record->traffic)
        record->traffic->sent = NULL;
}

static HOT void send_came(struct asy_send *send, ssize_t result)
{
    struct fd_traffic *traffic = LIST_ENTRY(send, struct fd_traffic, send);
    traffic->loop->backend->attached--;
    if (result > 0)
        asy_bytes_consume(&traffic->sending, (size_t)result);
    if (UNLIKELY(!traffic->record)) {
        end_orphan(traffic);
        return;
    }
    tell_sender(traffic, result);
}
