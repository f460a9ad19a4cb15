/*
 * Datagram transports: orders, errors that do not close, the queue.
 */
#include "asyncio.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

struct side {
    asyncio_datagram_transport *transport;
    char log[2048];
    bool is_lost, is_inside;
    size_t count;
    bool is_quiet, answers;
    void (*act)(struct side *side, const char *event);
};

static void note(struct side *side, const char *event, const char *text, int n)
{
    size_t length = strlen(side->log);
    snprintf(side->log + length, sizeof side->log - length, "%s%s%.*s", length ? " " : "", event, n, text);
    bool was_inside = side->is_inside;
    side->is_inside = true;
    if (side->act)
        side->act(side, event);
    side->is_inside = was_inside;
}

static void made(void *self, asyncio_datagram_transport *transport)
{
    struct side *side = self;
    CHECK(!side->is_inside && !asyncio_current_task());
    side->transport = transport;
    note(side, "made", "", 0);
}

static void received(void *self, const void *data, size_t n, const struct sockaddr *from, socklen_t length)
{
    struct side *side = self;
    CHECK(!side->is_inside && !side->is_lost && !asyncio_current_task());
    CHECK(length == 0 || from);
    side->count++;
    if (!side->is_quiet)
        note(side, "data:", data, (int)n);
    if (side->answers)
        CHECK_EQUAL(asyncio_datagram_transport_sendto(side->transport, data, n, from, length), 0);
}

static void failed(void *self, intptr_t err)
{
    struct side *side = self;
    CHECK(!side->is_inside && !side->is_lost && !asyncio_current_task());
    const char *name = asyncio_errname(err);
    note(side, "error:", name, (int)strlen(name));
}

static void full(void *self)
{
    note(self, "pause", "", 0);
}

static void has_room(void *self)
{
    CHECK(!((struct side *)self)->is_inside);
    note(self, "resume", "", 0);
}

static void lost(void *self, intptr_t err)
{
    struct side *side = self;
    const char *name = err ? asyncio_errname(err) : "0";
    CHECK(!side->is_inside && !side->is_lost);
    note(side, "lost:", name, (int)strlen(name));
    side->is_lost = true;
}

static const asyncio_datagram_protocol protocol = {
    .connection_made = made,
    .datagram_received = received,
    .error_received = failed,
    .pause_writing = full,
    .resume_writing = has_room,
    .connection_lost = lost,
};

static const asyncio_address here = {"127.0.0.1", 0};

static void open_bound(struct side *side)
{
    asyncio_datagram_transport *transport = NULL;
    CHECK_EQUAL(asyncio_create_datagram_endpoint(&protocol, side, &here, NULL, NULL, &transport), 0);
    CHECK(transport && transport == side->transport);
}

static int port_of(struct side *side)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    CHECK_EQUAL(asyncio_datagram_transport_sockname(side->transport, (struct sockaddr *)&name, &length), 0);
    return ntohs(name.sin_port);
}

static void open_to(struct side *side, int port)
{
    asyncio_datagram_transport *transport = NULL;
    const asyncio_address remote = {"127.0.0.1", port};
    CHECK_EQUAL(asyncio_create_datagram_endpoint(&protocol, side, NULL, &remote, NULL, &transport), 0);
}

static void wait_for_log(struct side *side, const char *part)
{
    for (int i = 0; !strstr(side->log, part) && i < 20000; i++)
        asyncio_sleep(i < 100 ? 0 : 0.0005);
    CHECK_HAS(side->log, part);
}

static void wait_lost(struct side *side)
{
    while (!side->is_lost)
        asyncio_sleep(0);
}

ASYNC_TEST(echo)
{
    struct side server = {.answers = true}, client = {0};
    open_bound(&server);
    open_to(&client, port_of(&server));
    CHECK_TEXT(client.log, "made");
    CHECK_EQUAL(asyncio_datagram_transport_sendto(client.transport, "one", 3, NULL, 0), 0);
    CHECK_EQUAL(asyncio_datagram_transport_sendto(client.transport, NULL, 0, NULL, 0),
                0); /* an empty one is sent */
    CHECK_EQUAL(asyncio_datagram_transport_sendto(client.transport, "two", 3, NULL, 0), 0);
    wait_for_log(&client, "two");
    CHECK_TEXT(client.log, "made data:one data: data:two");
    asyncio_datagram_transport_close(client.transport);
    asyncio_datagram_transport_abort(server.transport);
    wait_lost(&client);
    wait_lost(&server);
    CHECK_TEXT(client.log, "made data:one data: data:two lost:0");
    CHECK_TEXT(server.log, "made data:one data: data:two lost:0");
    return 0;
}

ASYNC_TEST(destinations)
{
    struct side bound = {0}, connected = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr *address = (const struct sockaddr *)&to;
    open_bound(&bound);
    open_to(&connected, port_of(&bound));
    CHECK(asyncio_datagram_transport_sendto(bound.transport, "x", 1, NULL, 0) < 0); /* to whom? */
    to.sin_port = htons(1);
    CHECK_EQUAL(asyncio_datagram_transport_sendto(connected.transport, "x", 1, address, sizeof to), -EINVAL);
    to.sin_port = htons((uint16_t)port_of(&bound));
    CHECK_EQUAL(asyncio_datagram_transport_sendto(connected.transport, "x", 1, address, sizeof to), 0);
    CHECK_EQUAL(asyncio_datagram_transport_sendto(connected.transport, "x", 1, address, 0), -EINVAL);
    CHECK_EQUAL(asyncio_datagram_transport_sendto(connected.transport, "x", 1, NULL, 4), -EINVAL);
    CHECK_EQUAL(asyncio_datagram_transport_sendto(connected.transport, NULL, 1, NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_datagram_transport_sendto(NULL, "x", 1, NULL, 0), -EINVAL);
    char *large = calloc(1, 70000);
    CHECK_EQUAL(asyncio_datagram_transport_sendto(connected.transport, large, 70000, NULL, 0), -EMSGSIZE);
    free(large);
    wait_for_log(&bound, "data:x");
    asyncio_datagram_transport_close(bound.transport);
    CHECK(asyncio_datagram_transport_is_closing(bound.transport));
    CHECK_EQUAL(asyncio_datagram_transport_sendto(bound.transport, "x", 1, address, sizeof to),
                ASYNCIO_ESTATE);
    asyncio_datagram_transport_close(bound.transport);
    asyncio_datagram_transport_close(connected.transport);
    asyncio_datagram_transport_close(NULL);
    asyncio_datagram_transport_abort(NULL);
    wait_lost(&bound);
    wait_lost(&connected);
    return 0;
}

ASYNC_TEST(an_error_does_not_close)
{
    struct side side = {0};
    struct sockaddr_in address;
    int fd = net_udp(&address);
    int port = ntohs(address.sin_port);
    close(fd);
    open_to(&side, port);
    CHECK_EQUAL(asyncio_datagram_transport_sendto(side.transport, "x", 1, NULL, 0), 0);
    wait_for_log(&side, "error:ECONNREFUSED");
    CHECK(!side.is_lost && !asyncio_datagram_transport_is_closing(side.transport));
    CHECK_EQUAL(asyncio_datagram_transport_sendto(side.transport, "y", 1, NULL, 0), 0);
    asyncio_datagram_transport_abort(side.transport);
    wait_lost(&side);
    CHECK_HAS(side.log, "lost:0");
    return 0;
}

/* To a Unix socket whose queue is full, of which nothing tells when it has room. */
static void fill_unix(struct side *side, int reader)
{
    static char block[4096];
    (void)reader;
    for (int i = 0; i < 200; i++)
        CHECK_EQUAL(asyncio_datagram_transport_sendto(side->transport, block, sizeof block, NULL, 0), 0);
}

static int unix_pair(struct side *side)
{
    char path[64];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    static int number;
    snprintf(path, sizeof path, "@asyncio-datagrams-%d-%d", (int)getpid(), number++);
    memcpy(name.sun_path + 1, path + 1, strlen(path) - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    CHECK_EQUAL(bind(fd, (struct sockaddr *)&name, length), 0);
    const asyncio_address remote = {path, 0};
    const asyncio_datagram_options options = {.family = AF_UNIX};
    asyncio_datagram_transport *transport;
    CHECK_EQUAL(asyncio_create_datagram_endpoint(&protocol, side, NULL, &remote, &options, &transport), 0);
    return fd;
}

static size_t count_datagrams(int fd)
{
    char buf[4096];
    size_t count = 0;
    while (recv(fd, buf, sizeof buf, 0) >= 0)
        count++;
    return count;
}

ASYNC_TEST(a_full_receiver_pauses_and_close_flushes)
{
    struct side side = {0};
    int reader = unix_pair(&side);
    fill_unix(&side, reader);
    CHECK_TEXT(side.log, "made pause");
    size_t count = 0;
    while (!strstr(side.log, "resume")) {
        count += count_datagrams(reader);
        asyncio_sleep(0.0005);
    }
    fill_unix(&side, reader);
    asyncio_datagram_transport_close(side.transport);
    while (!side.is_lost) {
        count += count_datagrams(reader);
        asyncio_sleep(0.0005);
    }
    count += count_datagrams(reader);
    CHECK_EQUAL(count, 400);
    CHECK_TEXT(side.log, "made pause resume pause lost:0");
    close(reader);
    return 0;
}

static void abort_at_pause(struct side *side, const char *event)
{
    if (strcmp(event, "pause") == 0)
        asyncio_datagram_transport_abort(side->transport);
}

ASYNC_TEST(abort_inside_pause_writing)
{
    struct side side = {.act = abort_at_pause};
    static char block[4096];
    int reader = unix_pair(&side), err = 0;
    while (!err)
        err = asyncio_datagram_transport_sendto(side.transport, block, sizeof block, NULL, 0);
    CHECK_EQUAL(err, ASYNCIO_ESTATE);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made pause lost:0");
    close(reader);
    return 0;
}

static void close_at_data(struct side *side, const char *event)
{
    if (strcmp(event, "data:") == 0)
        asyncio_datagram_transport_close(side->transport);
}

ASYNC_TEST(close_inside_received)
{
    struct side side = {.act = close_at_data}, other = {0};
    open_bound(&side);
    open_to(&other, port_of(&side));
    for (int i = 0; i < 5; i++)
        asyncio_datagram_transport_sendto(other.transport, "x", 1, NULL, 0);
    wait_lost(&side);
    CHECK_TEXT(side.log, "made data:x lost:0");
    asyncio_datagram_transport_close(other.transport);
    wait_lost(&other);
    return 0;
}

/* A flood does not keep tasks from running. */
ASYNC_TEST(a_flood_gives_way)
{
    struct side side = {.is_quiet = true};
    open_bound(&side);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port_of(&side))};
    struct sockaddr_in own;
    int fd = net_udp(&own);
    size_t most = 0, before = 0;
    for (int i = 0; i < 180; i++)
        sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
    for (int i = 0; i < 1000; i++) {
        asyncio_sleep(0);
        most = side.count - before > most ? side.count - before : most;
        before = side.count;
    }
    CHECK(side.count > 100 && most <= 128);
    asyncio_datagram_transport_close(side.transport);
    wait_lost(&side);
    close(fd);
    return 0;
}

static struct side left;

ASYNC(leave_it_open)
{
    memset(&left, 0, sizeof left);
    open_bound(&left);
    return 0;
}

TEST(the_end_of_asyncio_run_aborts)
{
    CHECK_EQUAL(asyncio_run(leave_it_open()), 0);
    CHECK_TEXT(left.log, "made lost:ECONNABORTED");
    harness_settle();
}

/* ---- Sweeps ------------------------------------------------------------------------------------ */

static struct side swept;

ASYNC(open_and_send)
{
    asyncio_datagram_transport *transport = NULL;
    memset(&swept, 0, sizeof swept);
    int err = asyncio_create_datagram_endpoint(&protocol, &swept, &here, NULL, NULL, &transport);
    if (err)
        return err;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
    asyncio_datagram_transport_sendto(transport, "x", 1, (struct sockaddr *)&to, sizeof to);
    asyncio_datagram_transport_close(transport);
    while (!swept.is_lost)
        if (asyncio_sleep(0) == -ECANCELED)
            err = -ECANCELED;
    return err;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    (void)suspension;
    CHECK(result == 0 || result == -ECANCELED);
    CHECK(!*swept.log || strcmp(swept.log, "made lost:0") == 0);
}

TEST(a_cancel_at_each_wait)
{
    sweep_cancels(open_and_send, check_swept);
}

ASYNC(open_whatever_fails)
{
    asyncio_await(open_and_send());
    CHECK(!*swept.log || swept.is_lost);
    return 0;
}

TEST(each_call_fails)
{
    sweep_failures(open_whatever_fails);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
