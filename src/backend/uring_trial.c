/*
 * The self test of io_uring: what the library does with a ring is done once, with a socket pair. A kernel or
 * a filter may take entries and deny what they ask for, so that each answer is looked at. To accept is not
 * needed for the rest: where a listener cannot be made, or is not served well, servers make calls.
 */
#include "backend/completion.h"
#include "backend/uring.h"
#include "sys/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ENTRIES 8
#define ROOM 16
#define LIMIT_NS INT64_C(1000000000)
#define GROUP 1

struct trial_op {
    struct asy_op op;
    struct io_uring_sqe entry; /* what is asked for */
    int times, result;
    uint32_t flags;
};

struct trial {
    struct completions completions;
    struct trial_op op;
    int sockets[2];
    char text[4];
    union { /* a page: a ring of one buffer, and the buffer behind it */
        struct io_uring_buf_ring ring;
        char bytes[128];
    } * buffers;
    uint64_t ops;
};

static void prepare_trial(struct asy_op *op, struct io_uring_sqe *sqe)
{
    *sqe = ((struct trial_op *)op)->entry;
}

static void trial_done(struct asy_op *op, const struct asy_done *what)
{
    struct trial_op *trial = (struct trial_op *)op;
    trial->times++;
    trial->result = what->result;
    trial->flags = what->flags;
}

static const struct asy_op_kind trial_kind = {prepare_trial, trial_done};

static int await_trial(struct trial *trial)
{
    int64_t deadline_ns = asy_sys_now_ns() + LIMIT_NS, left_ns = LIMIT_NS;
    while (!trial->op.times && left_ns > 0) {
        int err = asy_completions_enter(&trial->completions, left_ns);
        if (err && err != -EINTR)
            return err;
        asy_completions_reap(&trial->completions, ROOM);
        left_ns = deadline_ns - asy_sys_now_ns();
    }
    return trial->op.times == 1 ? 0 : trial->op.times ? -EIO : -ETIMEDOUT;
}

static void begin_trial(struct trial *trial, const struct io_uring_sqe *entry)
{
    trial->op.times = 0;
    trial->op.entry = *entry;
    asy_op_begin(&trial->completions, &trial->op.op);
}

/* 0: it was carried out, and the result is as expected. */
static int carry_out(struct trial *trial, const struct io_uring_sqe *entry, int expected)
{
    begin_trial(trial, entry);
    int err = await_trial(trial);
    if (err)
        return err;
    return trial->op.result == expected ? 0 : trial->op.result < 0 ? trial->op.result : -EIO;
}

/* ---- The steps ------------------------------------------------------------------------------- */

static int learn_operations(struct trial *trial)
{
    struct {
        struct io_uring_probe head;
        struct io_uring_probe_op ops[ASY_OPS_MAX];
    } probe = {0};
    int err = asy_ring_register(&trial->completions.ring, IORING_REGISTER_PROBE, &probe, ASY_OPS_MAX);
    for (unsigned i = 0; !err && i < probe.head.ops_len && i < ASY_OPS_MAX; i++)
        if ((probe.ops[i].flags & IO_URING_OP_SUPPORTED) && probe.ops[i].op < ASY_OPS_MAX)
            trial->ops |= UINT64_C(1) << probe.ops[i].op;
    return err;
}

static int test_nop(struct trial *trial)
{
    return carry_out(trial, &(struct io_uring_sqe){.opcode = IORING_OP_NOP, .fd = -1}, 0);
}

static int send_word(struct trial *trial)
{
    return asy_sys_write(trial->sockets[1], "ring", 4) == 4 ? 0 : -EAGAIN; /* says nothing of the ring */
}

static int test_read(struct trial *trial)
{
    struct io_uring_sqe entry = {.opcode = IORING_OP_READ,
                                 .fd = trial->sockets[0],
                                 .off = UINT64_MAX,
                                 .addr = (uintptr_t)trial->text,
                                 .len = sizeof trial->text};
    int err = send_word(trial);
    err = err ? err : carry_out(trial, &entry, sizeof trial->text);
    return err ? err : memcmp(trial->text, "ring", sizeof trial->text) ? -EIO : 0;
}

static int test_cancel(struct trial *trial)
{
    struct io_uring_sqe entry = {.opcode = IORING_OP_RECV,
                                 .fd = trial->sockets[0],
                                 .addr = (uintptr_t)trial->text,
                                 .len = sizeof trial->text};
    begin_trial(trial, &entry);
    int err = asy_completions_enter(&trial->completions, 0);
    if (err)
        return err;
    asy_op_cancel(&trial->completions, &trial->op.op);
    err = await_trial(trial);
    if (err)
        return err;
    int result = trial->op.result; /* another error: the kernel was short, and did not begin it */
    return result == -ECANCELED ? 0 : result < 0 ? result : -EIO;
}

static int test_buffer(struct trial *trial)
{
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)trial->buffers, .ring_entries = 1, .bgid = GROUP};
    char *buffer = trial->buffers->bytes + 64;
    int err = asy_ring_register(&trial->completions.ring, IORING_REGISTER_PBUF_RING, &reg, 1);
    if (err)
        return err;
    trial->buffers->ring.bufs[0].addr = (uintptr_t)buffer;
    trial->buffers->ring.bufs[0].len = 64;
    __atomic_store_n(&trial->buffers->ring.tail, 1,
                     __ATOMIC_RELEASE); /* the kernel reads the buffer's place */
    struct io_uring_sqe entry = {
        .opcode = IORING_OP_RECV, .fd = trial->sockets[0], .flags = IOSQE_BUFFER_SELECT, .buf_group = GROUP};
    err = send_word(trial);
    err = err ? err : carry_out(trial, &entry, 4);
    return err ? err : (trial->op.flags & IORING_CQE_F_BUFFER) && !memcmp(buffer, "ring", 4) ? 0 : -EIO;
}

/* ---- Accepting ------------------------------------------------------------------------------- */

struct listening {
    int fd, client;
    struct sockaddr_un address;
    socklen_t length;
};

/* At an abstract address that the kernel chooses. 0 or a negative errno. */
static int make_listener(struct listening *it)
{
    struct sockaddr *address = (struct sockaddr *)&it->address;
    it->fd = asy_sys_socket(AF_UNIX, SOCK_STREAM, 0);
    it->client = asy_sys_socket(AF_UNIX, SOCK_STREAM, 0);
    int err = it->fd < 0 ? it->fd : it->client < 0 ? it->client : 0;
    err = err ? err : asy_sys_bind(it->fd, address, sizeof address->sa_family);
    err = err ? err : asy_sys_listen(it->fd, 1);
    err = err ? err : asy_sys_getsockname(it->fd, address, &it->length);
    return err ? err : asy_sys_connect(it->client, address, it->length);
}

/* Early kernels told numbers that were no descriptors, or another's: those are not closed. */
static int check_accepted(const struct listening *it, int fd)
{
    struct sockaddr_un own;
    socklen_t length = sizeof own;
    int err = asy_sys_getsockname(fd, (struct sockaddr *)&own, &length);
    bool is_strange = err ? err == -EBADF || err == -ENOTSOCK
                          : length != it->length || memcmp(&own, &it->address, length) != 0;
    if (is_strange)
        return -EIO;
    asy_sys_close(fd);
    return err;
}

/* It repeats, and ends when it is cancelled. */
static int accept_once(struct trial *trial, const struct listening *it)
{
    struct io_uring_sqe entry = {.opcode = IORING_OP_ACCEPT,
                                 .fd = it->fd,
                                 .ioprio = IORING_ACCEPT_MULTISHOT,
                                 .accept_flags = SOCK_CLOEXEC | SOCK_NONBLOCK};
    begin_trial(trial, &entry);
    int err = await_trial(trial);
    if (!err && trial->op.result < 0)
        return trial->op.result;
    err = err ? err : check_accepted(it, trial->op.result);
    if (err || !(trial->op.flags & IORING_CQE_F_MORE))
        return err ? err : -EINVAL;
    trial->op.times = 0;
    asy_op_cancel(&trial->completions, &trial->op.op);
    err = await_trial(trial);
    return err ? err : trial->op.result == -ECANCELED ? 0 : -EIO;
}

static bool is_denied(int err)
{
    return err == -EPERM || err == -EACCES || err == -EINVAL || err == -EOPNOTSUPP || err == -EIO ||
           err == -EAFNOSUPPORT || err == -ENOSYS;
}

/* 0, also where servers are to make calls; or what is short now. */
static int test_accept(struct trial *trial)
{
    struct listening it = {.address.sun_family = AF_UNIX, .length = sizeof it.address};
    int err = make_listener(&it);
    err = err ? err : accept_once(trial, &it);
    if (it.fd >= 0)
        asy_sys_close(it.fd);
    if (it.client >= 0)
        asy_sys_close(it.client);
    if (!is_denied(err))
        return err;
    trial->ops &= ~(UINT64_C(1) << IORING_OP_ACCEPT);
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static int make_sockets(struct trial *trial)
{
    trial->buffers = asy_sys_map(asy_sys_page_size());
    int err = trial->buffers ? asy_sys_socketpair(trial->sockets) : -ENOMEM;
    bool is_standard = !err && (trial->sockets[0] <= 2 || trial->sockets[1] <= 2);
    return is_standard ? -EMFILE : err; /* what others print might go there */
}

static void end_sockets(struct trial *trial)
{
    for (int i = 0; i < 2; i++)
        if (trial->sockets[i] >= 0)
            asy_sys_close(trial->sockets[i]);
    if (trial->buffers)
        asy_sys_unmap(trial->buffers, asy_sys_page_size());
}

static int run_steps(struct trial *trial)
{
    static int (*const steps[])(struct trial *) = {make_sockets, learn_operations, test_nop,   test_read,
                                                   test_cancel,  test_buffer,      test_accept};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int err = steps[i](trial);
        if (err)
            return err;
    }
    return 0;
}

int asy_uring_try(uint64_t *ops)
{
    struct trial *trial = asy_sys_calloc(1, sizeof *trial);
    if (!trial)
        return -ENOMEM;
    trial->sockets[0] = trial->sockets[1] = -1;
    asy_op_init(&trial->op.op, &trial_kind);
    int err = asy_completions_open(&trial->completions, RING_COOPERATES, ENTRIES, ROOM);
    if (err) {
        asy_sys_free(trial);
        return err;
    }
    err = run_steps(trial);
    if (!asy_completions_end(&trial->completions, LIMIT_NS))
        return -EIO; /* the kernel may still write: what it has stays, for good */
    asy_completions_close(&trial->completions);
    end_sockets(trial);
    *ops = trial->ops;
    asy_sys_free(trial);
    return err;
}

#define TIMED_RUNS 8
#define TIMED_CALLS 4

unsigned asy_uring_time_call(void)
{
    int64_t least_ns = INT64_MAX;
    for (int run = 0; run < TIMED_RUNS; run++) {
        int64_t began_ns = asy_sys_now_ns();
        for (int i = 0; i < TIMED_CALLS; i++)
            asy_sys_poll(NULL, 0, 0);
        int64_t took_ns = (asy_sys_now_ns() - began_ns) / TIMED_CALLS;
        least_ns = took_ns < least_ns ? took_ns : least_ns;
    }
    return (unsigned)least_ns;
}
