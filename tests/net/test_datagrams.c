/*
 * Datagrams: UDP and Unix sockets, one by one and in batches; empty ones, those that
 * do not fit, what the network reports, closing and cancelling.
 */
#include "asyncio.h"
#include "support/harness.h"
#include "support/net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static const asyncio_address any_port = {"127.0.0.1", 0};

static void settle(void)
{
    for (int i = 0; i < 5; i++)
        asyncio_sleep(0.0002);
}

static asyncio_datagram *open_local(struct sockaddr_in *address)
{
    asyncio_datagram *datagram = NULL;
    socklen_t length = sizeof *address;
    CHECK_EQUAL(asyncio_open_datagram(&any_port, NULL, NULL, &datagram), 0);
    CHECK_EQUAL(asyncio_datagram_sockname(datagram, (struct sockaddr *)address, &length), 0);
    return datagram;
}

/* One that is connected to this address. */
static asyncio_datagram *open_to(const struct sockaddr_in *to)
{
    asyncio_datagram *datagram = NULL;
    asyncio_address remote = {"127.0.0.1", ntohs(to->sin_port)};
    CHECK_EQUAL(asyncio_open_datagram(NULL, &remote, NULL, &datagram), 0);
    return datagram;
}

ASYNC(recv_later, asyncio_datagram *, datagram, char *, text, size_t, size)
{
    memset(text, 0, size);
    return asyncio_datagram_recv(datagram, text, size - 1);
}

/* ---- One by one ---------------------------------------------------------------------- */

ASYNC_TEST(send_and_receive)
{
    struct sockaddr_in address, from = {0}, peer;
    socklen_t length = sizeof from;
    char text[16], other[16];
    asyncio_datagram *server = open_local(&address), *client = open_to(&address);
    int fd = asyncio_datagram_fd(client);
    CHECK(!net_is_blocking(fd));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_EQUAL(asyncio_datagram_peername(client, (struct sockaddr *)&peer, &length), 0);
    CHECK_EQUAL(peer.sin_port, address.sin_port);
    /* Waiting, and at once; each is whole. */
    asyncio_task *reader = asyncio_create_task(recv_later(server, text, sizeof text));
    settle();
    CHECK(!asyncio_done(reader));
    CHECK_EQUAL(asyncio_datagram_send(client, "one", 3), 3);
    CHECK_EQUAL(asyncio_await(reader), 3);
    CHECK_TEXT(text, "one");
    CHECK_EQUAL(asyncio_datagram_send(client, "two", 3), 3);
    CHECK_EQUAL(asyncio_datagram_send(client, "", 0), 0);
    CHECK_EQUAL(asyncio_datagram_send(client, NULL, 0), 0);
    CHECK_EQUAL(asyncio_datagram_send(client, "three", 5), 5);
    CHECK_EQUAL(asyncio_datagram_recvfrom(server, text, sizeof text, (struct sockaddr *)&from, &length), 3);
    CHECK_EQUAL(length, sizeof from);
    length = 1;
    CHECK_EQUAL(asyncio_datagram_recv(server, text, sizeof text), 0);
    CHECK_EQUAL(asyncio_datagram_recvfrom(server, text, sizeof text, (struct sockaddr *)&peer, &length), 0);
    CHECK_EQUAL(length, sizeof from); /* as recvfrom: what it would take */
    CHECK_EQUAL(asyncio_datagram_recv(server, NULL, 0), -EMSGSIZE);
    /* Back, by address; two who wait are served in turn. */
    asyncio_task *first = asyncio_create_task(recv_later(client, text, sizeof text));
    asyncio_task *second = asyncio_create_task(recv_later(client, other, sizeof other));
    settle();
    CHECK_EQUAL(asyncio_datagram_sendto(server, "a", 1, (struct sockaddr *)&from, sizeof from), 1);
    CHECK_EQUAL(asyncio_datagram_sendto(server, "bb", 2, (struct sockaddr *)&from, sizeof from), 2);
    CHECK_EQUAL(asyncio_await(first), 1);
    CHECK_EQUAL(asyncio_await(second), 2);
    CHECK_TEXT(text, "a");
    CHECK_TEXT(other, "bb");
    CHECK_EQUAL(asyncio_datagram_send(server, "x", 1), -EDESTADDRREQ);
    CHECK_EQUAL(asyncio_datagram_close(client), 0);
    CHECK_EQUAL(asyncio_datagram_close(server), 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* Nothing is lost without a word. */
ASYNC_TEST(too_long)
{
    struct sockaddr_in address, from;
    socklen_t length = sizeof from;
    char text[8] = "", *big = calloc(1, 70000);
    asyncio_datagram *server = open_local(&address), *client = open_to(&address);
    CHECK_EQUAL(asyncio_datagram_send(client, "0123456789", 10), 10);
    CHECK_EQUAL(asyncio_datagram_send(client, "fits", 4), 4);
    CHECK_EQUAL(asyncio_datagram_recvfrom(server, text, 4, (struct sockaddr *)&from, &length), -EMSGSIZE);
    CHECK_TEXT(asyncio_error_message(), "a datagram of 10 bytes does not fit into 4");
    CHECK_TEXT(text, "0123");
    CHECK_EQUAL(length, sizeof from);
    CHECK_EQUAL(asyncio_datagram_recv(server, text, 4), 4);
    CHECK_EQUAL(asyncio_datagram_send(client, big, 70000), -EMSGSIZE);
    CHECK_EQUAL(asyncio_datagram_send(client, "after", 5), 5);
    CHECK_EQUAL(asyncio_datagram_recv(server, text, 8), 5);
    free(big);
    asyncio_datagram_close(client);
    asyncio_datagram_close(server);
    return 0;
}

/* Nobody listens: told once, by whichever call comes next, and the socket goes on. */
ASYNC_TEST(unreachable)
{
    struct sockaddr_in address;
    char text[8];
    asyncio_datagram_close(open_local(&address));
    asyncio_datagram *client = open_to(&address);
    asyncio_task *reader = asyncio_create_task(recv_later(client, text, sizeof text));
    settle();
    CHECK_EQUAL(asyncio_datagram_send(client, "x", 1), 1);
    CHECK_EQUAL(asyncio_await(reader), -ECONNREFUSED);
    CHECK_EQUAL(asyncio_datagram_send(client, "x", 1), 1);
    settle();
    CHECK_EQUAL(asyncio_datagram_send(client, "x", 1), -ECONNREFUSED);
    CHECK_EQUAL(asyncio_datagram_send(client, "x", 1), 1);
    settle();
    struct iovec part = {text, sizeof text};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    CHECK_EQUAL(asyncio_datagram_recvmmsg(client, &message, 1), -ECONNREFUSED);
    /* Somebody comes: all is well. */
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asyncio_datagram_send(client, "x", 1), 1);
    settle();
    CHECK_EQUAL(recv(fd, text, sizeof text, MSG_DONTWAIT), 1);
    close(fd);
    asyncio_datagram_close(client);
    return 0;
}

/* ---- Batches ------------------------------------------------------------------------------ */

enum { BATCH = 64 };

struct batch {
    char texts[BATCH][16];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
    struct sockaddr_in from[BATCH];
};

static void prepare(struct batch *batch, size_t room)
{
    memset(batch, 0, sizeof *batch);
    for (int i = 0; i < BATCH; i++) {
        batch->parts[i] = (struct iovec){batch->texts[i], room};
        batch->messages[i].msg_hdr = (struct msghdr){.msg_iov = &batch->parts[i],
                                                     .msg_iovlen = 1,
                                                     .msg_name = &batch->from[i],
                                                     .msg_namelen = sizeof batch->from[i]};
    }
}

ASYNC(recv_batch, asyncio_datagram *, datagram, struct batch *, batch)
{
    return asyncio_datagram_recvmmsg(datagram, batch->messages, BATCH);
}

ASYNC_TEST(batches)
{
    struct sockaddr_in address, own;
    socklen_t length = sizeof own;
    struct batch *out = malloc(sizeof *out), *in = malloc(sizeof *in);
    asyncio_datagram *server = open_local(&address), *client = open_to(&address);
    CHECK_EQUAL(asyncio_datagram_sockname(client, (struct sockaddr *)&own, &length), 0);
    prepare(out, 0);
    prepare(in, 15);
    for (int i = 0; i < BATCH; i++) {
        out->parts[i].iov_len = (size_t)snprintf(out->texts[i], 16, "message %d", i);
        out->messages[i].msg_hdr.msg_name = NULL;
        out->messages[i].msg_hdr.msg_namelen = 0;
    }
    asyncio_task *reader = asyncio_create_task(recv_batch(server, in));
    settle();
    CHECK(!asyncio_done(reader));
    CHECK_EQUAL(asyncio_datagram_sendmmsg(client, out->messages, BATCH), BATCH);
    CHECK_EQUAL(asyncio_await(reader), BATCH);
    for (int i = 0; i < BATCH; i++) {
        CHECK_TEXT(in->texts[i], out->texts[i]);
        CHECK_EQUAL(in->messages[i].msg_len, out->parts[i].iov_len);
        CHECK_EQUAL(out->messages[i].msg_len, out->parts[i].iov_len);
        CHECK_EQUAL(in->from[i].sin_port, own.sin_port);
    }
    /* Fewer than there is room for; those that do not fit, and the empty ones. */
    prepare(in, 4);
    out->parts[1].iov_len = 0;
    CHECK_EQUAL(asyncio_datagram_sendmmsg(client, out->messages, 3), 3);
    settle();
    CHECK_EQUAL(asyncio_datagram_recvmmsg(server, in->messages, BATCH), 3);
    CHECK_EQUAL(in->messages[0].msg_hdr.msg_flags & MSG_TRUNC, MSG_TRUNC);
    CHECK_EQUAL(in->messages[0].msg_len, 4);
    CHECK_EQUAL(in->messages[1].msg_hdr.msg_flags & MSG_TRUNC, 0);
    CHECK_EQUAL(in->messages[1].msg_len, 0);
    CHECK_EQUAL(asyncio_datagram_recvmmsg(server, in->messages, 0), 0);
    CHECK_EQUAL(asyncio_datagram_sendmmsg(client, out->messages, 0), 0);
    CHECK_EQUAL(asyncio_datagram_sendmmsg(client, NULL, 1), -EINVAL);
    /* One in the middle cannot be sent: those before it are, then it is told. */
    char *big = calloc(1, 70000);
    out->parts[2] = (struct iovec){big, 70000};
    CHECK_EQUAL(asyncio_datagram_sendmmsg(client, out->messages, 5), 2);
    CHECK_EQUAL(asyncio_datagram_sendmmsg(client, out->messages + 2, 3), -EMSGSIZE);
    CHECK_EQUAL(asyncio_datagram_sendmmsg(client, out->messages + 3, 2), 2);
    settle();
    CHECK_EQUAL(asyncio_datagram_recvmmsg(server, in->messages, BATCH), 4);
    free(big);
    asyncio_datagram_close(client);
    asyncio_datagram_close(server);
    free(out);
    free(in);
    return 0;
}

/* ---- Opened ------------------------------------------------------------------------------- */

ASYNC_TEST(open)
{
    asyncio_datagram *one = NULL, *two = NULL;
    asyncio_datagram_options options = {.reuse_port = 1};
    asyncio_address local = any_port, remote = {"127.0.0.1", 9};
    struct sockaddr_in address;
    char words[128];
    socklen_t length = sizeof address;
    CHECK_EQUAL(asyncio_open_datagram(&local, &remote, &options, &one), 0);
    CHECK_EQUAL(asyncio_datagram_sockname(one, (struct sockaddr *)&address, &length), 0);
    CHECK_EQUAL(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    local.port = ntohs(address.sin_port);
    CHECK_EQUAL(asyncio_open_datagram(&local, NULL, &options, &two), 0);
    asyncio_datagram_close(two);
    two = NULL;
    CHECK_EQUAL(asyncio_open_datagram(&local, NULL, NULL, &two), -EADDRINUSE);
    snprintf(words, sizeof words, "bind to 127.0.0.1:%d: address already in use", local.port);
    CHECK_TEXT(asyncio_error_message(), words);
    asyncio_datagram_close(one);
    /* Neither address: any family that is asked for. */
    CHECK_EQUAL(asyncio_open_datagram(NULL, NULL, NULL, &two), -EINVAL);
    options = (asyncio_datagram_options){.family = AF_INET, .broadcast = 1};
    CHECK_EQUAL(asyncio_open_datagram(NULL, NULL, &options, &one), 0);
    int on = 0;
    length = sizeof on;
    CHECK_EQUAL(getsockopt(asyncio_datagram_fd(one), SOL_SOCKET, SO_BROADCAST, &on, &length), 0);
    CHECK(on);
    asyncio_datagram_close(one);
    /* Any host. */
    local = (asyncio_address){NULL, 0};
    CHECK_EQUAL(asyncio_open_datagram(&local, NULL, &options, &one), 0);
    length = sizeof address;
    CHECK_EQUAL(asyncio_datagram_sockname(one, (struct sockaddr *)&address, &length), 0);
    CHECK_EQUAL(address.sin_addr.s_addr, 0);
    CHECK(address.sin_port != 0);
    asyncio_datagram_close(one);
    /* Refused. */
    local = (asyncio_address){"198.51.100.1", 0};
    CHECK_EQUAL(asyncio_open_datagram(&local, NULL, NULL, &two), -EADDRNOTAVAIL);
    CHECK_TEXT(asyncio_error_message(), "bind to 198.51.100.1:0: cannot assign requested address");
    local = (asyncio_address){"::1", 0};
    CHECK_EQUAL(asyncio_open_datagram(&local, &remote, NULL, &two), -EADDRNOTAVAIL);
    CHECK_HAS(asyncio_error_message(), "no family in common");
    local = (asyncio_address){"127.0.0.1", 65536};
    CHECK_EQUAL(asyncio_open_datagram(&local, NULL, NULL, &two), -EINVAL);
    CHECK_EQUAL(asyncio_open_datagram(&any_port, NULL, NULL, NULL), -EINVAL);
    /* A broadcast address has to be asked for. */
    remote = (asyncio_address){"255.255.255.255", 9};
    CHECK_EQUAL(asyncio_open_datagram(NULL, &remote, NULL, &two), -EACCES);
    CHECK_HAS(asyncio_error_message(), "connect to 255.255.255.255:9: ");
    CHECK(!two);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

ASYNC_TEST(from_fd)
{
    struct sockaddr_in address, own;
    char text[8];
    int pipe_fds[2];
    asyncio_datagram *server = NULL, *client = open_local(&address);
    int fd = net_udp(&own);
    CHECK_EQUAL(asyncio_datagram_from_fd(fd, &server), 0);
    CHECK(!net_is_blocking(fd));
    CHECK_EQUAL(asyncio_datagram_sendto(client, "hi", 2, (struct sockaddr *)&own, sizeof own), 2);
    CHECK_EQUAL(asyncio_datagram_recv(server, text, 8), 2);
    asyncio_datagram_close(server);
    asyncio_datagram_close(client);
    CHECK_EQUAL(asyncio_datagram_from_fd(fd, &server), -EBADF);
    CHECK_EQUAL(asyncio_datagram_from_fd(-1, &server), -EBADF);
    CHECK_EQUAL(asyncio_datagram_from_fd(fd, NULL), -EINVAL);
    net_pipe(pipe_fds);
    CHECK_EQUAL(asyncio_datagram_from_fd(pipe_fds[0], &server), -ENOTSOCK);
    asyncio_close(pipe_fds[0]);
    asyncio_close(pipe_fds[1]);
    return 0;
}

/* A number that a foreign close has freed starts afresh, whatever was known of it. */
ASYNC_TEST(afresh)
{
    char text[8], late[8];
    struct sockaddr_in address, gone;
    asyncio_datagram *stale = open_local(&gone);
    int fd = asyncio_datagram_fd(stale);
    asyncio_task *reader = asyncio_create_task(recv_later(stale, late, sizeof late));
    settle();
    close(fd);
    asyncio_datagram *server = open_local(&address);
    CHECK_EQUAL(asyncio_datagram_fd(server), fd);
    CHECK_EQUAL(asyncio_wait_for(reader, 5), -EBADF);
    asyncio_datagram *client = open_to(&address);
    reader = asyncio_create_task(recv_later(server, text, sizeof text));
    settle();
    CHECK_EQUAL(asyncio_datagram_send(client, "new", 3), 3);
    CHECK_EQUAL(asyncio_wait_for(reader, 5), 3);
    asyncio_datagram_close(client);
    asyncio_datagram_close(server);
    CHECK_EQUAL(asyncio_datagram_close(stale), -EBADF);
    return 0;
}

/* The same for one that the program has made itself. */
ASYNC_TEST(from_fd_afresh)
{
    char text[8], late[8];
    struct sockaddr_in address, gone, own;
    asyncio_datagram *server = NULL, *stale = open_local(&gone), *client = open_local(&address);
    int fd = asyncio_datagram_fd(stale);
    asyncio_task *reader = asyncio_create_task(recv_later(stale, late, sizeof late));
    settle();
    close(fd);
    CHECK_EQUAL(net_udp(&own), fd);
    CHECK_EQUAL(asyncio_datagram_from_fd(fd, &server), 0);
    CHECK_EQUAL(asyncio_wait_for(reader, 5), -EBADF);
    reader = asyncio_create_task(recv_later(server, text, sizeof text));
    settle();
    CHECK_EQUAL(asyncio_datagram_sendto(client, "hi", 2, (struct sockaddr *)&own, sizeof own), 2);
    CHECK_EQUAL(asyncio_wait_for(reader, 5), 2);
    asyncio_datagram_close(client);
    asyncio_datagram_close(server);
    CHECK_EQUAL(asyncio_datagram_close(stale), -EBADF);
    return 0;
}

/* ---- The loop closes ------------------------------------------------------------------------- */

static asyncio_datagram *left_open[2];

ASYNC(leave_open)
{
    static char text[8];
    struct sockaddr_in address;
    for (int i = 0; i < 2; i++)
        left_open[i] = open_local(&address);
    asyncio_release(asyncio_create_task(recv_later(left_open[1], text, sizeof text)));
    return asyncio_sleep(0);
}

/* With it go the descriptors; the rest is their owner's. */
TEST(loop_closes)
{
    int descriptors = count_descriptors();
    CHECK_EQUAL(asyncio_run(leave_open()), 0);
    CHECK_EQUAL(count_descriptors(), descriptors);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(asyncio_datagram_fd(left_open[i]), -EBADF);
        CHECK_EQUAL(asyncio_datagram_close(left_open[i]), 0);
    }
    harness_settle();
}

/* ---- Unix sockets ---------------------------------------------------------------------------- */

ASYNC(send_later, asyncio_datagram *, datagram, struct mmsghdr *, message)
{
    return asyncio_datagram_sendmmsg(datagram, message, 2);
}

static unsigned steps;

static void count_steps(asyncio_loop *loop, const asyncio_trace_event *event, void *task)
{
    (void)loop;
    steps += event->kind == ASYNCIO_TRACE_STEP_END && event->task == task;
}

/* A task that waits does not go round and round. */
static void check_rests(asyncio_task *task)
{
    const asyncio_instrument instrument = {count_steps, task};
    steps = 0;
    asyncio_loop_set_instrument(asyncio_get_running_loop(), &instrument);
    asyncio_sleep(0.02);
    asyncio_loop_set_instrument(asyncio_get_running_loop(), NULL);
    CHECK(!asyncio_done(task));
    CHECK(steps < 50);
}

ASYNC_TEST(unix)
{
    char folder[] = "/tmp/asyncio-datagram-XXXXXX", path[64], text[8], words[128];
    struct sockaddr_un from;
    socklen_t length = sizeof from;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/socket", folder);
    asyncio_datagram_options options = {.family = AF_UNIX};
    asyncio_address name = {path, 0};
    asyncio_datagram *server = NULL, *client = NULL, *named = NULL;
    CHECK_EQUAL(asyncio_open_datagram(NULL, &name, &options, &client), -ENOENT);
    snprintf(words, sizeof words, "connect to %s: no such file or directory", path);
    CHECK_TEXT(asyncio_error_message(), words);
    /* An error leaves no file behind that would be in the way the next time. */
    asyncio_address nobody = {folder, 0};
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(asyncio_open_datagram(&name, &nobody, &options, &client), -ECONNREFUSED);
        CHECK(access(path, F_OK) < 0);
    }
    CHECK_EQUAL(asyncio_open_datagram(&name, NULL, &options, &server), 0);
    CHECK_EQUAL(asyncio_open_datagram(&name, NULL, &options, &client), -EADDRINUSE);
    CHECK(access(path, F_OK) == 0); /* somebody else's */
    CHECK_EQUAL(asyncio_open_datagram(NULL, &name, &options, &client), 0);
    CHECK_EQUAL(asyncio_datagram_send(client, "hi", 2), 2);
    CHECK_EQUAL(asyncio_datagram_send(client, "too long", 8), 8);
    CHECK_EQUAL(asyncio_datagram_recvfrom(server, text, 8, (struct sockaddr *)&from, &length), 2);
    CHECK_EQUAL(length, 0); /* it has no name */
    CHECK_EQUAL(asyncio_datagram_recv(server, text, 4), -EMSGSIZE);
    /* Abstract, and by address; the receiver's queue fills, and sending waits for room. */
    asyncio_address abstract = {"@asyncio-test-datagrams", 0};
    CHECK_EQUAL(asyncio_open_datagram(&abstract, NULL, &options, &named), 0);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, path, strlen(path));
    int filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* so that room is news for nobody else */
    while (sendto(filler, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) == 1)
        ;
    struct iovec part = {text, 1};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &to, .msg_namelen = sizeof to};
    struct mmsghdr messages[2] = {{.msg_hdr = header}, {.msg_hdr = header}};
    asyncio_task *task = asyncio_create_task(send_later(named, messages));
    settle();
    check_rests(task);
    size_t got = net_drain(asyncio_datagram_fd(server));
    CHECK(got > 1);
    CHECK_EQUAL(asyncio_wait_for(task, 5), 2);
    CHECK_EQUAL(messages[0].msg_len, 1);
    close(filler);
    CHECK_EQUAL(asyncio_datagram_recvfrom(server, text, 8, (struct sockaddr *)&from, &length), 1);
    asyncio_datagram_close(named);
    asyncio_datagram_close(server);
    CHECK_EQUAL(asyncio_datagram_send(client, "x", 1), -ECONNREFUSED);
    asyncio_datagram_close(client);
    unlink(path);
    rmdir(folder);
    return 0;
}

/* ---- Closed, cancelled ------------------------------------------------------------------------ */

ASYNC_TEST(closed)
{
    struct sockaddr_in address;
    char texts[3][8];
    asyncio_task *tasks[3];
    asyncio_datagram *server = open_local(&address);
    for (int i = 0; i < 3; i++)
        tasks[i] = asyncio_create_task(recv_later(server, texts[i], 8));
    struct batch *batch = malloc(sizeof *batch);
    prepare(batch, 8);
    asyncio_task *batch_task = asyncio_create_task(recv_batch(server, batch));
    settle();
    CHECK_EQUAL(asyncio_datagram_close(server), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), -EBADF);
    CHECK_EQUAL(asyncio_await(batch_task), -EBADF);
    free(batch);
    CHECK_EQUAL(asyncio_datagram_close(NULL), 0);
    CHECK_EQUAL(asyncio_datagram_recv(NULL, texts[0], 8), -EINVAL);
    CHECK_EQUAL(asyncio_datagram_fd(NULL), -EINVAL);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* None is lost by a cancel: who comes next gets it. */
ASYNC_TEST(cancelled)
{
    struct sockaddr_in address;
    char text[8];
    asyncio_datagram *server = open_local(&address), *client = open_to(&address);
    asyncio_task *reader = asyncio_create_task(recv_later(server, text, sizeof text));
    settle();
    CHECK_EQUAL(asyncio_datagram_send(client, "x", 1), 1);
    asyncio_cancel(reader);
    CHECK_EQUAL(asyncio_await(reader), -ECANCELED);
    CHECK_EQUAL(asyncio_wait_for(recv_later(server, text, sizeof text), 5), 1);
    CHECK_EQUAL(asyncio_wait_for(recv_later(server, text, sizeof text), 0.001), -ETIMEDOUT);
    asyncio_datagram_close(client);
    asyncio_datagram_close(server);
    return 0;
}

/* ---- Outside a task, and sweeps ----------------------------------------------------------------- */

TEST(outside_a_task)
{
    asyncio_datagram *datagram;
    CHECK_EQUAL(asyncio_open_datagram(&any_port, NULL, NULL, &datagram), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_datagram_from_fd(0, &datagram), ASYNCIO_ENOTASK);
    harness_settle();
}

ASYNC(main_conversation)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    char text[8];
    asyncio_datagram_options options = {.reuse_port = 1, .broadcast = 1};
    asyncio_datagram *server = NULL, *client = NULL;
    ssize_t n = asyncio_open_datagram(&any_port, NULL, &options, &server);
    if (!n)
        n = asyncio_datagram_sockname(server, (struct sockaddr *)&address, &length);
    if (!n) {
        asyncio_address remote = {"127.0.0.1", ntohs(address.sin_port)};
        n = asyncio_open_datagram(NULL, &remote, NULL, &client);
    }
    struct iovec part = {text, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    if (!n)
        n = asyncio_datagram_send(client, "x", 1);
    if (n > 0)
        n = asyncio_datagram_recvmmsg(server, &message, 1);
    asyncio_task *reader = n > 0 ? asyncio_create_task(recv_later(server, text, sizeof text)) : NULL;
    if (n > 0)
        n = asyncio_sleep(0.0002);
    if (!n)
        n = asyncio_datagram_sendmmsg(client, &message, 1);
    if (reader && n > 0)
        n = asyncio_wait_for(asyncio_ref(reader), 1);
    if (reader) {
        asyncio_cancel(reader);
        asyncio_await(reader); /* it may not have begun, and uses the server then */
    }
    asyncio_datagram_close(server);
    asyncio_datagram_close(client);
    return n;
}

TEST(failures)
{
    sweep_failures(main_conversation);
}

TEST(cancelled_anywhere)
{
    sweep_cancels(main_conversation, NULL);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
