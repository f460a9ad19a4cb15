/*
 * Fuzzed: datagrams of any lengths, received with any room, one by one and in batches, some with
 * descriptors; and calls that are cancelled. Each comes whole, once, in its order, or is refused as too long.
 */
#include "fuzz/fuzz.h"
#include <errno.h>
#include <fcntl.h>

#define BATCH 8
#define QUEUED_MAX 8 /* the kernel takes some more before a sender waits */
#define LENGTH_MAX 2048

static struct {
    asyncio_datagram *ends[2];
    struct {
        char bytes[LENGTH_MAX];
        size_t length;
    } queue[QUEUED_MAX];
    size_t first, count;
    asyncio_task *receiver; /* waits with an empty queue; NULL: none */
    char buf[LENGTH_MAX];
} model;

/* ---- The model ------------------------------------------------------------------------------ */

static void check_first(const char *buf, size_t room, ssize_t result)
{
    MUST(model.count > 0);
    size_t length = model.queue[model.first].length;
    MUST(result == (length > room ? -EMSGSIZE : (ssize_t)length));
    MUST(memcmp(buf, model.queue[model.first].bytes, length < room ? length : room) == 0);
    model.first = (model.first + 1) % QUEUED_MAX;
    model.count--;
}

static size_t add(struct input *input)
{
    const uint8_t *bytes;
    size_t place = (model.first + model.count) % QUEUED_MAX;
    size_t n = take_bytes(input, &bytes, take_byte(input));
    size_t repeated = take_byte(input) % 4 ? 1 : 1 + take_byte(input) % 8;
    model.queue[place].length = n * repeated;
    for (size_t i = 0; i < repeated && n; i++)
        memcpy(model.queue[place].bytes + i * n, bytes, n);
    model.count++;
    return place;
}

/* ---- The calls -------------------------------------------------------------------------------- */

ASYNC(receives)
{
    return asyncio_datagram_recv(model.ends[1], model.buf, sizeof model.buf);
}

static void look_at_receiver(void)
{
    if (!model.receiver || !model.count)
        return;
    intptr_t result = asyncio_await(model.receiver);
    model.receiver = NULL;
    check_first(model.buf, sizeof model.buf, result);
}

static void send_one(struct input *input)
{
    if (model.count == QUEUED_MAX)
        return;
    size_t place = add(input);
    size_t n = model.queue[place].length;
    MUST(asyncio_datagram_send(model.ends[0], model.queue[place].bytes, n) == (ssize_t)n);
}

/* A descriptor that nobody asked for is closed by the kernel. */
static void send_with_descriptor(struct input *input)
{
    if (model.count == QUEUED_MAX)
        return;
    size_t place = add(input);
    int fd = STDERR_FILENO;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {
        .header = {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    struct iovec part = {model.queue[place].bytes, model.queue[place].length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    ssize_t sent = asyncio_sock_sendmsg(asyncio_datagram_fd(model.ends[0]), &message, 0);
    MUST(sent == (ssize_t)part.iov_len);
}

static void send_batch(struct input *input)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    unsigned n = take_byte(input) % (BATCH + 1), count = 0, done = 0;
    for (; count < n && model.count < QUEUED_MAX; count++) {
        size_t place = add(input);
        parts[count] = (struct iovec){model.queue[place].bytes, model.queue[place].length};
        messages[count].msg_hdr = (struct msghdr){.msg_iov = &parts[count], .msg_iovlen = 1};
    }
    do {
        int sent = asyncio_datagram_sendmmsg(model.ends[0], messages + done, count - done);
        MUST(sent > 0 || count == 0);
        for (int i = 0; i < sent; i++)
            MUST(messages[done + (unsigned)i].msg_len == parts[done + (unsigned)i].iov_len);
        done += (unsigned)sent;
    } while (done < count);
}

static void receive_one(struct input *input)
{
    if (model.receiver)
        return;
    if (!model.count) {
        model.receiver = asyncio_create_task(receives());
        return;
    }
    size_t room = take_number(input) % LENGTH_MAX;
    char *buf = malloc(room + 1);
    MUST(buf);
    ssize_t n = asyncio_datagram_recv(model.ends[1], buf, room);
    check_first(buf, room, n);
    free(buf);
}

/* With room for a descriptor: it comes, or none does. */
static void receive_message(struct input *input)
{
    if (model.receiver || !model.count)
        return;
    char control[64];
    struct iovec part = {model.buf, sizeof model.buf};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = take_byte(input) % 64};
    ssize_t n = asyncio_sock_recvmsg(asyncio_datagram_fd(model.ends[1]), &message, 0);
    check_first(model.buf, sizeof model.buf, n);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_len < CMSG_LEN(sizeof(int)))
        return;
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
}

static void receive_batch(struct input *input)
{
    static char bufs[BATCH][LENGTH_MAX];
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    unsigned n = take_byte(input) % (BATCH + 1);
    if (model.receiver || !model.count)
        return;
    for (unsigned i = 0; i < n; i++) {
        parts[i] = (struct iovec){bufs[i], take_number(input) % LENGTH_MAX};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int got = asyncio_datagram_recvmmsg(model.ends[1], messages, n);
    MUST(got >= (n > 0) && got <= (int)n && (size_t)got <= model.count);
    for (int i = 0; i < got; i++) {
        bool cut = messages[i].msg_hdr.msg_flags & MSG_TRUNC;
        check_first(bufs[i], parts[i].iov_len, cut ? -EMSGSIZE : (ssize_t)messages[i].msg_len);
    }
}

static void cancel_receiver(void)
{
    if (!model.receiver)
        return;
    asyncio_sleep(0);
    asyncio_cancel(model.receiver);
    MUST(asyncio_await(model.receiver) == -ECANCELED);
    model.receiver = NULL;
}

ASYNC(fuzz_main, struct input *, input)
{
    static void (*const commands[])(struct input *) = {
        send_one, send_with_descriptor, send_batch, receive_one, receive_message, receive_batch,
    };
    int fds[2];
    make_pair(SOCK_DGRAM, fds);
    for (int i = 0; i < 2; i++)
        MUST(asyncio_datagram_from_fd(fds[i], &model.ends[i]) == 0);
    while (input->left) {
        unsigned command = take_byte(input) % 8;
        if (command < sizeof commands / sizeof *commands)
            commands[command](input);
        else if (command == 6)
            cancel_receiver();
        else
            asyncio_sleep(0);
        look_at_receiver();
    }
    cancel_receiver();
    for (int i = 0; i < 2; i++)
        MUST(asyncio_datagram_close(model.ends[i]) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    model.first = model.count = 0;
    fuzz_run(fuzz_main(&input));
    return 0;
}
