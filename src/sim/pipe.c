/*
 * One way of a simulated connection: chunks on their way, in the order in which they were sent, and the bytes
 * that belong to them.
 *
 * Only the first chunk is planned as an event; the others are behind it, whatever their time. So a connection
 * has two events at most, and a chunk that is lost, or held, holds up those behind it. Bytes are cut where
 * they are sent, not where they are read: an arrival makes so many bytes readable, and no more. Within a host
 * a chunk arrives inside the call that sends it.
 *
 * unread + flying <= room; used >= unread + flying, since credit comes a latency after the read.
 */
#include "base/assert.h"
#include "sim/draws.h"
#include "sim/history.h"
#include "sim/net.h"
#include <string.h>

#define PIECE_MAX 1448
/* A drawn piece comes so much later than the one before it: a reader that waits sees the first alone. */
#define PIECE_GAP_NS 20000
#define LOCAL_WINDOW 262144
#define FIRST_RING 512
#define FIRST_CHUNKS 8

#define RETRY_NS INT64_C(200000000)
#define TRIES_MAX 10
/* Of what begins a connection. */
#define BEGIN_RETRY_NS INT64_C(1000000000)
#define BEGIN_TRIES_MAX 6

static THREAD_LOCAL uint64_t connection_count;

static const char *const chunk_words[] = {"syn", "syn-ack", "ack", "segment", "fin", "reset", "credit"};

/* ---- Chunks ----------------------------------------------------------------------------- */

static struct sim_chunk *chunk_at(struct sim_pipe *pipe, size_t i)
{
    return &pipe->chunks[(pipe->chunk_first + i) & (pipe->chunk_room - 1)];
}

static void make_room_for_chunk(struct sim_pipe *pipe)
{
    if (pipe->chunk_count < pipe->chunk_room)
        return;
    size_t room = pipe->chunk_room ? pipe->chunk_room * 2 : FIRST_CHUNKS;
    struct sim_chunk *chunks = asy_sim_alloc(room * sizeof *chunks);
    for (size_t i = 0; i < pipe->chunk_count; i++)
        chunks[i] = *chunk_at(pipe, i);
    asy_sim_free(pipe->chunks);
    pipe->chunks = chunks;
    pipe->chunk_room = room;
    pipe->chunk_first = 0;
}

static void take_first_chunk(struct sim_pipe *pipe)
{
    ASY_ASSERT(pipe->chunk_count > 0);
    pipe->chunk_first = (pipe->chunk_first + 1) & (pipe->chunk_room - 1);
    pipe->chunk_count--;
}

static void put_back_chunk(struct sim_pipe *pipe, const struct sim_chunk *chunk)
{
    make_room_for_chunk(pipe);
    pipe->chunk_first = (pipe->chunk_first - 1) & (pipe->chunk_room - 1);
    pipe->chunk_count++;
    *chunk_at(pipe, 0) = *chunk;
}

static bool begins_connection(const struct sim_chunk *chunk)
{
    return chunk->kind == CHUNK_SYN || chunk->kind == CHUNK_SYN_ACK;
}

static unsigned count_tries(const struct sim_chunk *chunk)
{
    return begins_connection(chunk) ? BEGIN_TRIES_MAX : TRIES_MAX;
}

/* It is lost: comes again, each time twice as late. */
static void lose_chunk(struct sim_chunk *chunk, int64_t from_ns)
{
    int64_t pause_ns = begins_connection(chunk) ? BEGIN_RETRY_NS : RETRY_NS;
    chunk->at_ns = from_ns + (pause_ns << chunk->tries);
    chunk->tries++;
}

/* ---- Arrival ------------------------------------------------------------------------------ */

enum passage { PASSES, IS_HELD, IS_LOST, IS_REFUSED };

static enum passage look_at_way(const struct sim_pipe *pipe, const struct sim_chunk *chunk)
{
    asyncio_sim_state state = pipe->way ? pipe->way->link.state : ASYNCIO_SIM_UP;
    if (state == ASYNCIO_SIM_HOLD)
        return IS_HELD;
    if (state == ASYNCIO_SIM_REFUSE)
        return IS_REFUSED;
    return state == ASYNCIO_SIM_DROP || chunk->tries >= count_tries(chunk) ? IS_LOST : PASSES;
}

/* What comes for a deaf end is lost, and what is behind it. */
static void land_bytes(struct sim_pipe *pipe, const struct sim_chunk *chunk)
{
    const struct sim_socket *to = pipe->connection->ends[!pipe->from];
    ASY_ASSERT(pipe->flying >= chunk->bytes);
    if (to && asy_sim_is_deaf(to)) {
        asy_sim_pipe_cut(pipe);
        return;
    }
    pipe->flying -= chunk->bytes;
    pipe->unread += chunk->bytes;
    pipe->received += chunk->bytes;
}

static void pass_chunk(struct sim_pipe *pipe)
{
    struct sim_chunk chunk = *chunk_at(pipe, 0);
    take_first_chunk(pipe);
    asy_sim_happened(chunk_words[chunk.kind], pipe->connection->number * 2 + pipe->from, chunk.bytes);
    if (chunk.kind == CHUNK_DATA)
        land_bytes(pipe, &chunk);
    if (asy_sim_tcp_arrived(pipe, &chunk)) {
        asy_sim_pipe_probe(&pipe->connection->pipes[0]);
        asy_sim_pipe_probe(&pipe->connection->pipes[1]);
        return;
    }
    chunk.at_ns = asy_sim_now();
    put_back_chunk(pipe, &chunk);
    lose_chunk(chunk_at(pipe, 0), asy_sim_now());
}

/* Nobody sends a reset again, but as the answer to an end that waits for room and asks for it. */
static bool comes_again(const struct sim_pipe *pipe, const struct sim_chunk *chunk)
{
    const struct sim_socket *to = pipe->connection->ends[!pipe->from];
    return chunk->kind != CHUNK_RESET || (to && to->wants_room);
}

/* The first chunk, which did not pass. */
static void stop_chunk(struct sim_pipe *pipe, enum passage passage)
{
    struct sim_chunk chunk = *chunk_at(pipe, 0);
    if (passage == IS_REFUSED) {
        asy_sim_happened("refused", pipe->connection->number * 2 + pipe->from, chunk.kind);
        take_first_chunk(pipe);
        asy_sim_tcp_refused(pipe, &chunk);
    } else if (!comes_again(pipe, &chunk)) {
        take_first_chunk(pipe);
    } else if (chunk.tries >= count_tries(&chunk)) {
        asy_sim_happened("given up", pipe->connection->number * 2 + pipe->from, chunk.kind);
        asy_sim_tcp_given_up(pipe, &chunk);
    } else {
        lose_chunk(chunk_at(pipe, 0), asy_sim_now());
    }
}

static void land_chunks(struct sim_pipe *pipe)
{
    int64_t now_ns = asy_sim_now();
    if (pipe->is_arriving)
        return;
    pipe->is_arriving = true;
    while (pipe->chunk_count && chunk_at(pipe, 0)->at_ns <= now_ns && list_is_empty(&pipe->held.node)) {
        enum passage passage = look_at_way(pipe, chunk_at(pipe, 0));
        if (passage == PASSES)
            pass_chunk(pipe);
        else if (passage == IS_HELD)
            asy_sim_way_hold(pipe->way, &pipe->held);
        else
            stop_chunk(pipe, passage);
    }
    pipe->is_arriving = false;
    if (pipe->chunk_count && list_is_empty(&pipe->held.node))
        asy_sim_event_at(&pipe->event, chunk_at(pipe, 0)->at_ns);
    asy_sim_connection_settle(pipe->connection);
}

static void chunk_due(struct sim_event *event)
{
    land_chunks(LIST_ENTRY(event, struct sim_pipe, event));
}

static void way_no_longer_holds(struct sim_held *held)
{
    land_chunks(LIST_ENTRY(held, struct sim_pipe, held));
}

/* ---- Sending --------------------------------------------------------------------------------- */

static void draw_losses(const struct sim_pipe *pipe, struct sim_chunk *chunk)
{
    double loss = pipe->way ? pipe->way->link.loss : 0;
    bool can_be_lost = chunk->kind != CHUNK_CREDIT && chunk->kind != CHUNK_RESET;
    while (loss > 0 && can_be_lost && chunk->tries < count_tries(chunk)) {
        bool is_lost = asy_sim_draw_chance(SIM_LOSS, loss);
        asy_sim_tell("%s of %u bytes %s, %s -> %s", chunk_words[chunk->kind], chunk->bytes,
                     is_lost ? "is lost" : "is not lost", pipe->way->from->name, pipe->way->to->name);
        if (!is_lost)
            return;
        lose_chunk(chunk, chunk->at_ns);
    }
}

/* Puts a chunk at the end. Those that are due arrive when the caller lets them. */
static void append_chunk(struct sim_pipe *pipe, enum sim_chunk_kind kind, size_t bytes)
{
    struct sim_chunk chunk = {.kind = (uint8_t)kind, .bytes = (uint32_t)bytes};
    chunk.at_ns = asy_sim_way_arrival(pipe->way, kind == CHUNK_DATA ? bytes : 0);
    draw_losses(pipe, &chunk);
    if (chunk.at_ns < pipe->last_ns)
        chunk.at_ns = pipe->last_ns;
    pipe->last_ns = chunk.at_ns;
    make_room_for_chunk(pipe);
    pipe->chunk_count++;
    *chunk_at(pipe, pipe->chunk_count - 1) = chunk;
}

/* Has the chunks arrive that need no time, and plans the next one. */
static void send_chunks(struct sim_pipe *pipe)
{
    if (!pipe->way)
        land_chunks(pipe);
    else if (!pipe->is_arriving && pipe->chunk_count && list_is_empty(&pipe->held.node))
        asy_sim_event_at(&pipe->event, chunk_at(pipe, 0)->at_ns);
}

void asy_sim_pipe_signal(struct sim_pipe *pipe, enum sim_chunk_kind kind)
{
    append_chunk(pipe, kind, 0);
    send_chunks(pipe);
}

/* The bytes that are to arrive at once, of `left`. */
static size_t draw_piece(const struct sim_pipe *pipe, size_t left)
{
    size_t segment = pipe->way ? pipe->way->link.segment : SIZE_MAX;
    if (segment)
        return left < segment ? left : segment;
    size_t piece = (size_t)asy_sim_draw(SIM_PIECES, left < PIECE_MAX ? left : PIECE_MAX);
    if (piece == 0)
        piece = left;
    const struct sim_connection *connection = pipe->connection;
    asy_sim_tell("segment of %zu of %zu bytes, %s:%u -> %s:%u", piece, left,
                 connection->hosts[pipe->from]->name, connection->places[pipe->from].port,
                 connection->hosts[!pipe->from]->name, connection->places[!pipe->from].port);
    return piece;
}

/* ---- Bytes ------------------------------------------------------------------------------------ */

static void make_room_for_bytes(struct sim_pipe *pipe, size_t more)
{
    size_t held = pipe->unread + pipe->flying, room = pipe->room ? pipe->room : FIRST_RING;
    if (held + more <= pipe->room)
        return;
    while (room < held + more)
        room *= 2;
    char *ring = asy_sim_alloc(room);
    size_t ahead = pipe->room - pipe->first < held ? pipe->room - pipe->first : held;
    if (held) {
        memcpy(ring, pipe->ring + pipe->first, ahead);
        memcpy(ring + ahead, pipe->ring, held - ahead);
    }
    asy_sim_free(pipe->ring);
    pipe->ring = ring;
    pipe->room = room;
    pipe->first = 0;
}

static void put_bytes(struct sim_pipe *pipe, const char *bytes, size_t n)
{
    size_t at = (pipe->first + pipe->unread + pipe->flying) & (pipe->room - 1);
    size_t ahead = pipe->room - at < n ? pipe->room - at : n;
    memcpy(pipe->ring + at, bytes, ahead);
    memcpy(pipe->ring, bytes + ahead, n - ahead);
    pipe->flying += n;
}

/* A sender that has set its buffer has no more on the way than fits into that and the receiver's. */
size_t asy_sim_pipe_window(const struct sim_pipe *pipe)
{
    size_t window = pipe->way ? pipe->way->link.window : LOCAL_WINDOW;
    const struct sim_connection *connection = pipe->connection;
    const struct sim_socket *from = connection->ends[pipe->from], *to = connection->ends[!pipe->from];
    if (!from || !from->send_buffer)
        return window;
    size_t buffers = from->send_buffer + (to ? to->receive_buffer : 0);
    return buffers < window ? buffers : window;
}

size_t asy_sim_pipe_write(struct sim_pipe *pipe, const struct iovec *parts, size_t count)
{
    size_t window = asy_sim_pipe_window(pipe), room = pipe->used < window ? window - pipe->used : 0, n = 0;
    for (size_t i = 0; i < count && n < room; i++) {
        size_t part = parts[i].iov_len < room - n ? parts[i].iov_len : room - n;
        if (!part)
            continue;
        make_room_for_bytes(pipe, part);
        put_bytes(pipe, parts[i].iov_base, part);
        n += part;
    }
    pipe->used += n;
    pipe->sent += n;
    for (size_t left = n; left;) {
        size_t piece = draw_piece(pipe, left);
        if (left < n && pipe->way && !pipe->way->link.segment)
            pipe->last_ns += PIECE_GAP_NS;
        append_chunk(pipe, CHUNK_DATA, piece);
        left -= piece;
    }
    send_chunks(pipe);
    return n;
}

/* The reader has made room. A little of it is not worth a packet. */
static void give_credit(struct sim_pipe *pipe, size_t bytes)
{
    struct sim_pipe *back = &pipe->connection->pipes[!pipe->from];
    pipe->owed += bytes;
    if (pipe->way && pipe->owed * 2 < asy_sim_pipe_window(pipe))
        return;
    append_chunk(back, CHUNK_CREDIT, pipe->owed);
    pipe->owed = 0;
    send_chunks(back);
}

size_t asy_sim_pipe_read(struct sim_pipe *pipe, const struct iovec *parts, size_t count, bool peeks)
{
    size_t n = 0;
    for (size_t i = 0; i < count && n < pipe->unread; i++) {
        size_t part = parts[i].iov_len < pipe->unread - n ? parts[i].iov_len : pipe->unread - n;
        size_t at = (pipe->first + n) & (pipe->room - 1);
        size_t ahead = pipe->room - at < part ? pipe->room - at : part;
        if (!part)
            continue;
        memcpy(parts[i].iov_base, pipe->ring + at, ahead);
        memcpy((char *)parts[i].iov_base + ahead, pipe->ring, part - ahead);
        n += part;
    }
    if (peeks || !n)
        return n;
    pipe->first = (pipe->first + n) & (pipe->room - 1);
    pipe->unread -= n;
    give_credit(pipe, n);
    return n;
}

void asy_sim_pipe_probe(struct sim_pipe *pipe)
{
    const struct sim_connection *connection = pipe->connection;
    const struct sim_socket *from = connection->ends[pipe->from], *to = connection->ends[!pipe->from];
    bool is_quiet = !connection->pipes[0].chunk_count && !connection->pipes[1].chunk_count;
    bool is_there = to && to->state != SIM_BROKEN;
    if (is_quiet && !is_there && from && from->wants_room && from->state == SIM_OPEN)
        asy_sim_pipe_signal(pipe, CHUNK_ACK);
}

void asy_sim_pipe_want_room(struct sim_pipe *pipe)
{
    pipe->connection->ends[pipe->from]->wants_room = true;
    list_remove(&pipe->stuck);
    if (pipe->way)
        list_append(&pipe->way->stuck, &pipe->stuck);
    asy_sim_pipe_probe(pipe);
}

void asy_sim_pipe_look_for_room(struct sim_pipe *pipe)
{
    struct sim_socket *from = pipe->connection->ends[pipe->from];
    if (!from || !from->wants_room || pipe->used >= asy_sim_pipe_window(pipe))
        return;
    from->wants_room = false;
    list_remove(&pipe->stuck);
    asy_sim_socket_woke(from, EPOLLOUT);
}

void asy_sim_pipe_cut(struct sim_pipe *pipe)
{
    pipe->chunk_count = 0;
    pipe->flying = 0;
    asy_sim_event_cancel(&pipe->event);
    list_remove(&pipe->held.node);
}

/* ---- Connections -------------------------------------------------------------------------------- */

struct sim_connection *asy_sim_connection_new(struct sim_host *from, struct sim_host *to)
{
    struct sim_connection *connection = asy_sim_alloc(sizeof *connection);
    connection->hosts[0] = from;
    connection->hosts[1] = to;
    connection->number = ++connection_count;
    for (unsigned side = 0; side < 2; side++) {
        struct sim_pipe *pipe = &connection->pipes[side];
        pipe->event.happen = chunk_due;
        pipe->held.release = way_no_longer_holds;
        list_init(&pipe->held.node);
        list_init(&pipe->stuck);
        pipe->connection = connection;
        pipe->from = side;
        pipe->way = asy_sim_way(connection->hosts[side], connection->hosts[!side]);
    }
    return connection;
}

void asy_sim_connection_settle(struct sim_connection *connection)
{
    if (connection->ends[0] || connection->ends[1])
        return;
    if (connection->pipes[0].is_arriving || connection->pipes[1].is_arriving)
        return;
    for (unsigned side = 0; side < 2; side++) {
        struct sim_pipe *pipe = &connection->pipes[side];
        asy_sim_pipe_cut(pipe);
        list_remove(&pipe->stuck);
        asy_sim_free(pipe->ring);
        asy_sim_free(pipe->chunks);
    }
    asy_sim_free(connection);
}

void asy_sim_connections_begin(void)
{
    connection_count = 0;
}
