/*
 * The second yardstick of `lockstep`: an io_uring loop by hand, on the kernel's own interface. A multishot
 * receive for each connection fills buffers of one ring; answers of a step go out with the next enter.
 * `m` answers from the buffer that came, and gives it back when it is sent. `mc` copies the bytes into a
 * queue of the connection and gives the buffer back at once, as a library must: no slow peer may hold a
 * buffer.
 */
#include "lockstep.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SQ_ENTRIES 1024
#define CQ_ENTRIES 8192
#define GROUP 1
#define TAG_SEND 1u

struct buffer {
    unsigned short id;
    struct buffer *next; /* to be sent after this one */
    size_t start, end;
};

struct connection {
    int fd;
    bool is_sending;
    struct buffer *first, **last; /* m: what came, in order */
    char *out, *sending;          /* mc: what is queued, and what is under way */
    size_t out_count, sending_count, capacity;
};

struct server {
    int fd;
    bool copies;
    unsigned *sq_tail, *sq_flags, *cq_head, *cq_tail, sq_mask, cq_mask, to_submit;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    void *rings, *sqe_memory;
    size_t rings_bytes;
    struct io_uring_buf_ring *pool;
    char *pool_memory;
    size_t pool_bytes, buffer_bytes, pool_map_bytes, request_bytes;
    unsigned pool_count;
    unsigned short pool_tail;
    struct buffer *buffers;
    struct connection *connections;
    size_t count;
};

/* ---- The ring ----------------------------------------------------------------------------- */

static int enter(struct server *server)
{
    int n =
        (int)syscall(SYS_io_uring_enter, server->fd, server->to_submit, 0, IORING_ENTER_GETEVENTS, NULL, 0);
    BENCH_CHECK(n >= 0 || errno == EINTR);
    server->to_submit -= n > 0 ? (unsigned)n : 0;
    return n;
}

static struct io_uring_sqe *take_sqe(struct server *server)
{
    while (server->to_submit == SQ_ENTRIES)
        enter(server);
    struct io_uring_sqe *sqe = &server->sqes[*server->sq_tail & server->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    __atomic_store_n(server->sq_tail, *server->sq_tail + 1, __ATOMIC_RELEASE);
    server->to_submit++;
    return sqe;
}

static bool open_ring(struct server *server)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE,
                                     .cq_entries = CQ_ENTRIES};
    server->fd = (int)syscall(SYS_io_uring_setup, SQ_ENTRIES, &params);
    if (server->fd < 0)
        return false;
    size_t sq_bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t cq_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    server->rings_bytes = sq_bytes > cq_bytes ? sq_bytes : cq_bytes;
    char *rings = mmap(NULL, server->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       server->fd, IORING_OFF_SQ_RING);
    void *sqes = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, server->fd, IORING_OFF_SQES);
    BENCH_CHECK(rings != MAP_FAILED && sqes != MAP_FAILED && params.sq_entries == SQ_ENTRIES);
    server->rings = rings;
    server->sqes = server->sqe_memory = sqes;
    server->sq_tail = (unsigned *)(void *)(rings + params.sq_off.tail);
    server->sq_flags = (unsigned *)(void *)(rings + params.sq_off.flags);
    server->sq_mask = *(unsigned *)(void *)(rings + params.sq_off.ring_mask);
    server->cq_head = (unsigned *)(void *)(rings + params.cq_off.head);
    server->cq_tail = (unsigned *)(void *)(rings + params.cq_off.tail);
    server->cq_mask = *(unsigned *)(void *)(rings + params.cq_off.ring_mask);
    server->cqes = (struct io_uring_cqe *)(void *)(rings + params.cq_off.cqes);
    unsigned *array = (unsigned *)(void *)(rings + params.sq_off.array);
    for (unsigned i = 0; i < SQ_ENTRIES; i++)
        array[i] = i;
    return true;
}

/* ---- The pool ----------------------------------------------------------------------------- */

static char *buffer_at(const struct server *server, unsigned short id)
{
    return server->pool_memory + (size_t)id * server->buffer_bytes;
}

static void give_buffer(struct server *server, unsigned short id)
{
    struct io_uring_buf *slot = &server->pool->bufs[server->pool_tail & (server->pool_count - 1)];
    slot->addr = (uintptr_t)buffer_at(server, id);
    slot->len = (unsigned)server->buffer_bytes;
    slot->bid = id;
    __atomic_store_n(&server->pool->tail, ++server->pool_tail, __ATOMIC_RELEASE);
}

static void open_pool(struct server *server, const struct lockstep *set)
{
    bool is_large = set->bytes > 4096;
    server->pool_count = is_large ? 128 : 256;
    server->buffer_bytes = is_large ? 65536 : 4096;
    server->pool_map_bytes = server->pool_count * sizeof(struct io_uring_buf);
    server->pool_bytes = server->pool_count * server->buffer_bytes;
    server->pool =
        mmap(NULL, server->pool_map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    server->pool_memory = malloc(server->pool_bytes);
    server->buffers = calloc(server->pool_count, sizeof *server->buffers);
    BENCH_CHECK(server->pool != MAP_FAILED && server->pool_memory && server->buffers);
    memset(server->pool_memory, 1, server->pool_bytes);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)server->pool, .ring_entries = server->pool_count, .bgid = GROUP};
    BENCH_CHECK(syscall(SYS_io_uring_register, server->fd, IORING_REGISTER_PBUF_RING, &registration, 1) == 0);
    for (unsigned short i = 0; i < server->pool_count; i++)
        give_buffer(server, i);
}

/* ---- Serving -------------------------------------------------------------------------------- */

static void begin_receive(struct server *server, const struct connection *connection)
{
    struct io_uring_sqe *sqe = take_sqe(server);
    sqe->opcode = IORING_OP_RECV;
    sqe->fd = connection->fd;
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = (uintptr_t)connection;
}

static void begin_send(struct server *server, struct connection *connection, const char *data, size_t n)
{
    struct io_uring_sqe *sqe = take_sqe(server);
    connection->is_sending = true;
    sqe->opcode = IORING_OP_SEND;
    sqe->fd = connection->fd;
    sqe->addr = (uintptr_t)data;
    sqe->len = (unsigned)n;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    sqe->user_data = (uintptr_t)connection | TAG_SEND;
}

/* m: the next buffer, if there is one. */
static void send_buffer(struct server *server, struct connection *connection)
{
    const struct buffer *first = connection->first;
    if (first)
        begin_send(server, connection, buffer_at(server, first->id) + first->start,
                   first->end - first->start);
}

static void queue_buffer(struct server *server, struct connection *connection, unsigned short id, size_t n)
{
    struct buffer *buffer = &server->buffers[id];
    *buffer = (struct buffer){.id = id, .end = n};
    *connection->last = buffer;
    connection->last = &buffer->next;
    if (!connection->is_sending)
        send_buffer(server, connection);
}

/* mc: what is queued becomes what is under way. */
static void send_queue(struct server *server, struct connection *connection)
{
    char *sent = connection->sending;
    if (!connection->out_count)
        return;
    connection->sending = connection->out;
    connection->sending_count = connection->out_count;
    connection->out = sent;
    connection->out_count = 0;
    begin_send(server, connection, connection->sending, connection->sending_count);
}

static void queue_copy(struct server *server, struct connection *connection, unsigned short id, size_t n)
{
    if (!connection->capacity) {
        connection->capacity = server->request_bytes;
        connection->out = malloc(connection->capacity);
        connection->sending = malloc(connection->capacity);
        BENCH_CHECK(connection->out && connection->sending);
    }
    BENCH_CHECK(connection->out_count + n <= connection->capacity);
    memcpy(connection->out + connection->out_count, buffer_at(server, id), n);
    connection->out_count += n;
    give_buffer(server, id);
    if (!connection->is_sending)
        send_queue(server, connection);
}

static void end_send(struct server *server, struct connection *connection, int result)
{
    connection->is_sending = false;
    BENCH_CHECK(result > 0);
    if (server->copies) {
        BENCH_CHECK((size_t)result == connection->sending_count);
        send_queue(server, connection);
        return;
    }
    struct buffer *first = connection->first;
    BENCH_CHECK((size_t)result == first->end - first->start);
    connection->first = first->next;
    if (!connection->first)
        connection->last = &connection->first;
    give_buffer(server, first->id);
    send_buffer(server, connection);
}

static void end_receive(struct server *server, struct connection *connection, const struct io_uring_cqe *cqe)
{
    if (cqe->res > 0) {
        unsigned short id = (unsigned short)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        if (server->copies)
            queue_copy(server, connection, id, (size_t)cqe->res);
        else
            queue_buffer(server, connection, id, (size_t)cqe->res);
    }
    /* -ENOBUFS: buffers come back within this step. */
    if (!(cqe->flags & IORING_CQE_F_MORE) && (cqe->res > 0 || cqe->res == -ENOBUFS))
        begin_receive(server, connection);
}

static void step_server(void *arg)
{
    struct server *server = arg;
    unsigned head = *server->cq_head;
    enter(server);
    while (head != __atomic_load_n(server->cq_tail, __ATOMIC_ACQUIRE)) {
        const struct io_uring_cqe cqe = server->cqes[head & server->cq_mask];
        __atomic_store_n(server->cq_head, ++head, __ATOMIC_RELEASE);
        struct connection *connection = (struct connection *)(uintptr_t)(cqe.user_data & ~(uint64_t)TAG_SEND);
        if (cqe.user_data & TAG_SEND)
            end_send(server, connection, cqe.res);
        else
            end_receive(server, connection, &cqe);
    }
}

/* ---- Opened and closed ------------------------------------------------------------------------ */

static void *open_server(const struct lockstep *set, const int *fds, bool copies)
{
    struct server *server = calloc(1, sizeof *server);
    BENCH_CHECK(server);
    if (!open_ring(server)) {
        free(server);
        return NULL;
    }
    server->copies = copies;
    server->request_bytes = set->bytes; /* of which a client has one under way */
    server->count = set->connections;
    server->connections = calloc(set->connections, sizeof *server->connections);
    BENCH_CHECK(server->connections);
    open_pool(server, set);
    for (size_t i = 0; i < set->connections; i++) {
        server->connections[i].fd = fds[i];
        server->connections[i].last = &server->connections[i].first;
        begin_receive(server, &server->connections[i]);
    }
    return server;
}

static void *open_direct(const struct lockstep *set, const int *fds)
{
    return open_server(set, fds, /* copies= */ false);
}

static void *open_copying(const struct lockstep *set, const int *fds)
{
    return open_server(set, fds, /* copies= */ true);
}

static void close_server(void *arg)
{
    struct server *server = arg;
    for (size_t i = 0; i < server->count; i++) {
        close(server->connections[i].fd);
        free(server->connections[i].out);
        free(server->connections[i].sending);
    }
    close(server->fd);
    munmap(server->rings, server->rings_bytes);
    munmap(server->sqe_memory, SQ_ENTRIES * sizeof(struct io_uring_sqe));
    munmap(server->pool, server->pool_map_bytes);
    free(server->pool_memory);
    free(server->buffers);
    free(server->connections);
    free(server);
}

const struct lockstep_server lockstep_ring = {"m", open_direct, step_server, close_server};
const struct lockstep_server lockstep_ring_copy = {"mc", open_copying, step_server, close_server};
